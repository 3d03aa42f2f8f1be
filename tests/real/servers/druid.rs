//! Druid, two processes of each role and three historicals. What it needs besides runs in a process of its own, apart from the
//! pods: a ZooKeeper, and the Derby that stands in for KubeDB's MySQL. Deep storage is a folder.
//!
//! Maven Central has all of 25.0.0 only, so that both versions of the catalog run it. It lacks the jar for logging in, so that
//! everybody may ask.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use simcluster::world::{Database, catalog};
use simcluster::{Kind, SimCluster};

use super::{Needs, Probe, Seat, Server, class_path, fetched, java};

/// What runs under all names of the catalog.
const RUNS: &str = "25.0.0";

pub const DRUID: Server = Server {
    kind: "druid",
    versions: ["25.0.0-v1", "25.0.0-v2"],
    catalog: install_versions,
    via: "client",
    ports: &[8081, 8090, 8083, 8091, 8082, 8888],
    probe: |seat| Probe::Answers { port: role(seat).port, question: HEALTH, answer: "200 OK" },
    leader: None,
    fit: None,
    hangs: "historicals",
    tls: false,
    database,
    command,
    needs: Some(Needs { place: NEEDS, command: needs, port: 2181 }),
    client: ("druid", RUNS),
    load: "DruidLoad",
    clients: "routers",
};

const HEALTH: &str = "GET /status/health HTTP/1.1\r\nHost: pod\r\n\r\n";

/// The last number of the address of ZooKeeper and Derby.
const NEEDS: u8 = 100;

/// What the processes of a workload are.
struct Role {
    /// The end of the workload's name.
    pods: &'static str,
    /// As it is typed behind `server`.
    process: &'static str,
    service: &'static str,
    port: u16,
    /// In MB.
    heap: u32,
}

const ROLES: [Role; 6] = [
    Role {
        pods: "coordinators",
        process: "coordinator",
        service: "druid/coordinator",
        port: 8081,
        heap: 160,
    },
    Role { pods: "overlords", process: "overlord", service: "druid/overlord", port: 8090, heap: 160 },
    Role { pods: "historicals", process: "historical", service: "druid/historical", port: 8083, heap: 160 },
    Role {
        pods: "middlemanagers",
        process: "middleManager",
        service: "druid/middleManager",
        port: 8091,
        heap: 96,
    },
    Role { pods: "brokers", process: "broker", service: "druid/broker", port: 8082, heap: 160 },
    Role { pods: "routers", process: "router", service: "druid/router", port: 8888, heap: 128 },
];

fn role(seat: &Seat) -> &'static Role {
    ROLES.iter().find(|role| seat.pod.contains(role.pods)).expect("every pod has a role")
}

/// Puts the versions into the catalog, as copies of one that KubeDB has.
fn install_versions(cluster: &SimCluster) {
    catalog::install(cluster.store());
    for name in DRUID.versions {
        let mut version = catalog::version(Kind::Druid, "28.0.1").expect("the catalog has it");
        version["metadata"]["name"] = json!(name);
        version["spec"]["version"] = json!(RUNS);
        // KubeDB brought one with 26 only.
        version["spec"].as_object_mut().expect("it is an object").remove("initContainer");
        version["spec"]["db"]["image"] = json!(format!("ghcr.io/appscode-images/druid:{name}"));
        version["spec"]["updateConstraints"]["allowlist"] = json!([">= 25.0.0"]);
        cluster.store().create(Kind::Druid.version_resource(), version).expect("a new name");
    }
}

fn database(name: &str) -> Database {
    let pairs = ["coordinators", "overlords", "middleManagers", "brokers", "routers"];
    let database = Database::druid(name).replicas_of("historicals", 3);
    pairs.into_iter().fold(database, |database, role| database.replicas_of(role, 2))
}

fn java11() -> PathBuf {
    fetched().expect("the caller has looked").join("java11/bin/java")
}

/// The process with what all others need.
fn needs(seat: &Seat) -> Command {
    let classes = fetched().expect("the caller has looked").join("load");
    let jars = format!("{}:{}", classes.display(), class_path("druid", RUNS));
    let mut command = java(&java11(), 128, &jars, seat);
    command.arg("DruidNeeds").arg(seat.address.to_string());
    command
}

fn command(seat: &Seat, _: &[Seat], _: &str) -> Command {
    let role = role(seat);
    seat.write("conf/runtime.properties", &config(seat, role));
    seat.write("conf/log4j2.xml", LOGGING);
    let conf = seat.directory.join("conf");
    let jars = format!("{}:{}", conf.display(), class_path("druid", RUNS));
    let mut command = java(&java11(), role.heap, &jars, seat);
    command
        .arg("-XX:MaxDirectMemorySize=64m")
        .args(["-Duser.timezone=UTC", "-Dfile.encoding=UTF-8"])
        .arg("-Djava.util.logging.manager=org.apache.logging.log4j.jul.LogManager")
        .args(["org.apache.druid.cli.Main", "server", role.process]);
    command
}

const LOGGING: &str = r#"<Configuration status="WARN">
  <Appenders>
    <Console name="Out"><PatternLayout pattern="%d{HH:mm:ss.SSS} %p %c{1} %m%n"/></Console>
  </Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="Out"/></Root></Loggers>
</Configuration>
"#;

fn config(seat: &Seat, role: &Role) -> String {
    let [a, b, net, _] = seat.address.octets();
    let needs = Ipv4Addr::new(a, b, net, NEEDS);
    let address = seat.address;
    let own = seat.directory.display();
    let shared = seat.shared().display();
    let mut text = format!(
        "druid.service={}
druid.host={address}
druid.plaintextPort={}
druid.bindOnHost=true
druid.extensions.loadList=[]
druid.extensions.directory={own}/none
druid.startup.logging.logProperties=false
druid.emitter=noop
druid.zk.service.host={needs}:2181
druid.zk.paths.base=/druid
druid.metadata.storage.type=derby
druid.metadata.storage.connector.connectURI=jdbc:derby://{needs}:1527/druid;create=true
druid.metadata.storage.connector.host={address}
druid.metadata.storage.connector.port=1527
druid.metadata.storage.connector.createTables=false
druid.storage.type=local
druid.storage.storageDirectory={shared}/deep
druid.indexer.logs.type=file
druid.indexer.logs.directory={shared}/logs
druid.selectors.indexing.serviceName=druid/overlord
druid.selectors.coordinator.serviceName=druid/coordinator
druid.server.http.numThreads=12
druid.processing.buffer.sizeBytes=4MiB
druid.processing.numThreads=1
druid.processing.numMergeBuffers=2
druid.processing.tmpDir={own}/processing
",
        role.service, role.port,
    );
    let more = match role.process {
        "coordinator" => "druid.coordinator.startDelay=PT10S\ndruid.coordinator.period=PT5S\n".to_owned(),
        "overlord" => "druid.indexer.storage.type=metadata\ndruid.indexer.queue.startDelay=PT5S\n".to_owned(),
        "historical" => format!(
            "druid.segmentCache.locations=[{{\"path\":\"{own}/cache\",\"maxSize\":\"300m\"}}]\n\
             druid.server.maxSize=300m\n"
        ),
        "middleManager" => format!(
            "druid.worker.capacity=2
druid.indexer.runner.javaCommand={}
druid.indexer.runner.javaOptsArray=[\"-Xmx128m\",\"-XX:MaxDirectMemorySize=64m\",\"-XX:TieredStopAtLevel=1\",\
             \"-XX:+UseSerialGC\",\"-Duser.timezone=UTC\",\"-Dfile.encoding=UTF-8\"]
druid.indexer.task.baseTaskDir={own}/tasks
",
            java11().display()
        ),
        "broker" => "druid.broker.http.numConnections=5\ndruid.sql.enable=true\n".to_owned(),
        _ => "druid.router.managementProxy.enabled=true\ndruid.router.http.numConnections=12\n".to_owned(),
    };
    text.write_str(&more).expect("text can be written");
    text
}
