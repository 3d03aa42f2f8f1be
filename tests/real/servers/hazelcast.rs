//! Hazelcast with KubeDB's settings: the REST endpoints, a graceful shutdown, a long grace. The free edition stands in for the
//! Enterprise one, which only its customers can fetch: it has no persistence, so a member's data leaves with it, and patch
//! versions of 5.5 are not published. 5.3 has some.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use simcluster::world::{Database, catalog};
use simcluster::{Kind, SimCluster};

use crate::fit::Fit;

use super::{Probe, Seat, Server, class_path, java};

pub const HAZELCAST: Server = Server {
    kind: "hazelcast",
    versions: ["5.3.6", "5.3.8"],
    catalog: install_versions,
    via: "client",
    ports: &[5701],
    probe: |_| Probe::Answers { port: 5701, question: READY, answer: "200 OK" },
    leader: None,
    fit: Some(Fit {
        port: 5701,
        question: "GET /hazelcast/health HTTP/1.1\r\nHost: member\r\n\r\n",
        end: "}",
        is: is_fit,
        lasting: Duration::from_secs(2),
    }),
    hangs: "",
    tls: false,
    database,
    command,
    needs: None,
    client: ("hazelcast", "5.3.8"),
    load: "HazelcastLoad",
    clients: "",
};

const READY: &str = "GET /hazelcast/health/ready HTTP/1.1\r\nHost: member\r\n\r\n";

/// What Java keeps to itself, and Hazelcast asks to be let in to.
const OPENED: [&str; 5] = [
    "--add-modules=java.se",
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.management/sun.management=ALL-UNNAMED",
];

/// Puts the versions into the catalog, as copies of one that KubeDB has.
fn install_versions(cluster: &SimCluster) {
    catalog::install(cluster.store());
    for name in HAZELCAST.versions {
        let mut version = catalog::version(Kind::Hazelcast, "5.5.2").expect("the catalog has it");
        version["metadata"]["name"] = json!(name);
        version["spec"]["version"] = json!(name);
        version["spec"]["db"]["image"] = json!(format!("docker.io/hazelcast/hazelcast:{name}"));
        version["spec"]["updateConstraints"]["allowlist"] = json!([format!(">= {name}")]);
        cluster.store().create(Kind::Hazelcast.version_resource(), version).expect("a new name");
    }
}

fn database(name: &str) -> Database {
    let grace =
        |set: &mut Value| set["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(600);
    Database::hazelcast(name).adjust_workload(grace)
}

/// All of them are members, and nothing is without its backup or on its way.
fn is_fit(answers: &[String]) -> bool {
    let members = format!("\"clusterSize\":{}}}", answers.len());
    let fit = ["\"nodeState\":\"ACTIVE\"", "\"clusterSafe\":true", "\"migrationQueueSize\":0", &members];
    answers.iter().all(|answer| fit.iter().all(|part| answer.contains(part)))
}

fn command(seat: &Seat, seats: &[Seat], version: &str) -> Command {
    let config = seat.write("hazelcast.yaml", &config(seat, seats));
    let mut command = java(Path::new("java"), 256, &class_path("hazelcast", version), seat);
    command
        .args(OPENED)
        .arg(format!("-Dhazelcast.config={}", config.display()))
        // By a setting, it would have to be the address of an interface, and loopback's is 127.0.0.1 only.
        .arg(format!("-Dhazelcast.local.localAddress={}", seat.address))
        .arg("-Dhazelcast.logging.type=none")
        .arg("com.hazelcast.core.server.HazelcastMemberStarter");
    command
}

fn config(seat: &Seat, seats: &[Seat]) -> String {
    let members: Vec<_> = seats.iter().map(|seat| format!("\"{}:5701\"", seat.address)).collect();
    format!(
        "hazelcast:
  cluster-name: default/my-db
  network:
    public-address: {0}:5701
    port:
      port: 5701
      auto-increment: false
    join:
      auto-detection:
        enabled: false
      multicast:
        enabled: false
      tcp-ip:
        enabled: true
        member-list: [{1}]
    rest-api:
      enabled: true
      endpoint-groups:
        HEALTH_CHECK:
          enabled: true
        CLUSTER_READ:
          enabled: true
        CLUSTER_WRITE:
          enabled: true
        DATA:
          enabled: true
  properties:
    hazelcast.socket.bind.any: false
    hazelcast.shutdownhook.policy: GRACEFUL
    hazelcast.graceful.shutdown.max.wait: 600
    hazelcast.cluster.version.auto.upgrade.enabled: true
    hazelcast.phone.home.enabled: false
",
        seat.address,
        members.join(", ")
    )
}
