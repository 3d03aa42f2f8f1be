//! Kafka in KRaft mode, as KubeDB runs it: controllers are 1000 and following, brokers 0 and following, everybody logs in by
//! SASL PLAIN, and each start formats the volume anew, which forgets a controller's vote but no record.

mod tls;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use simcluster::world::{Database, catalog};

pub use tls::{KAFKA_TLS, LISTENERS, Listener};

use super::{Probe, Seat, Server, class_path, java};
use crate::site::{LOGIN, Site};

pub const KAFKA: Server = Server {
    kind: "kafka",
    versions: ["3.9.0", "4.0.0"],
    catalog: |cluster| catalog::install(cluster.store()),
    // The new version brings an init container.
    via: "provisioner",
    ports: &[9092, 9093],
    probe: |seat| Probe::Open(if is_controller(seat) { 9093 } else { 9092 }),
    leader: None,
    fit: None,
    hangs: "broker",
    tls: false,
    database: Database::kafka_topology,
    command,
    needs: None,
    client: ("kafka", "4.0.0"),
    load: "KafkaLoad",
    clients: "broker",
};

/// A Kafka that has been updated to 4.0.0, and is on the features of 3.9 yet.
pub const KAFKA_UNFINISHED: Server = Server {
    versions: ["4.0.0", "4.0.0"],
    command: |seat, seats, version| process(seat, seats, version, "--release-version 3.9", ""),
    ..KAFKA
};

/// The same, of which the last broker runs 3.9.0 in spite of its image.
pub const KAFKA_WITH_AN_OLD_BROKER: Server = Server {
    command: |seat, seats, version| {
        let is_old = seat.pod.ends_with("broker-2");
        process(seat, seats, if is_old { "3.9.0" } else { version }, "--release-version 3.9", "")
    },
    ..KAFKA_UNFINISHED
};

/// One whose replicas fetch little at a time, so that a throttle of Kafka's, which counts what was fetched, comes into force.
pub const KAFKA_THROTTLED: Server =
    Server { command: |seat, seats, version| process(seat, seats, version, "", SLOWLY), ..KAFKA };

/// The same, of which the first broker to be updated comes back without its data, and fetches all of it from the others.
pub const KAFKA_EMPTIED: Server = Server {
    command: |seat, seats, version| {
        seat.loses(!is_controller(seat) && version == KAFKA.versions[1], &["data"]);
        process(seat, seats, version, "", SLOWLY)
    },
    ..KAFKA
};

const SLOWLY: &str = "replica.fetch.max.bytes=1024\nreplica.fetch.response.max.bytes=2048\n";

const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qk";

fn is_controller(seat: &Seat) -> bool {
    seat.pod.contains("controller")
}

fn command(seat: &Seat, seats: &[Seat], version: &str) -> Command {
    process(seat, seats, version, "", "")
}

/// A node of that version, of a cluster that was created so, with these settings besides.
fn process(seat: &Seat, seats: &[Seat], version: &str, created: &str, more: &str) -> Command {
    let config = seat.write("server.properties", &(config(seat, seats) + more));
    // The shell becomes the server, so that signals reach it.
    let script = format!(
        "rm -f data/meta.properties data/__cluster_metadata-0/quorum-state
         \"$@\" kafka.tools.StorageTool format -t {CLUSTER} -c {0} --ignore-formatted \
             {created} && exec \"$@\" kafka.Kafka {0}",
        config.display(),
    );
    let mut java = java(Path::new("java"), 256, &class_path("kafka", version), seat);
    java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
    super::by_shell(&script, &java, seat)
}

fn config(seat: &Seat, seats: &[Seat]) -> String {
    let controllers = seats.iter().filter(|seat| is_controller(seat));
    let voters: Vec<_> = controllers.map(|it| format!("{}@{}:9093", 1000 + it.ordinal, it.address)).collect();
    let voters = voters.join(",");
    let address = seat.address;
    let data = seat.directory.join("data");
    let role = match is_controller(seat) {
        true => format!(
            "process.roles=controller\nnode.id={}\nlisteners=CONTROLLER://{address}:9093\n",
            1000 + seat.ordinal
        ),
        false => format!(
            "process.roles=broker\nnode.id={}\nlisteners=BROKER://{address}:9092\n\
             advertised.listeners=BROKER://{address}:9092\ninter.broker.listener.name=BROKER\n",
            seat.ordinal
        ),
    };
    let login = login();
    format!(
        "{role}controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listener.security.protocol.map=BROKER:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.mechanism.controller.protocol=PLAIN
listener.name.broker.plain.sasl.jaas.config={login}
listener.name.controller.plain.sasl.jaas.config={login}
log.dirs={}
offsets.topic.replication.factor=3
offsets.topic.num.partitions=3
default.replication.factor=3
min.insync.replicas=2
auto.create.topics.enable=false
",
        data.display()
    )
}

/// How a server logs in at others, and whom it lets in.
fn login() -> String {
    let [user, password] = LOGIN;
    format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"{user}\" \
         password=\"{password}\" user_{user}=\"{password}\";"
    )
}

impl Site {
    /// What Kafka's own tool says of the features of the cluster: the level of each that is in force.
    pub async fn features(&self) -> BTreeMap<String, String> {
        let said = self.feature_tool(&["describe"]).await;
        let level = |line: &str| {
            let field = |name: &str| {
                line.split('\t').find_map(|field| field.trim().strip_prefix(name).map(str::trim))
            };
            Some((field("Feature:")?.to_owned(), field("FinalizedVersionLevel:")?.to_owned()))
        };
        said.lines().filter_map(level).collect()
    }

    /// Keeps a replica of the load's topic that is not in sync from catching up, or lets it again.
    pub async fn throttle(&self, on: bool) {
        let replicas = "follower.replication.throttled.replicas";
        if !on {
            self.configure("topics", "load", &["--delete-config", replicas]).await;
            return;
        }
        for seat in self.seats.iter().filter(|seat| !is_controller(seat)) {
            let rate = ["--add-config", "follower.replication.throttled.rate=100"];
            self.configure("brokers", &seat.ordinal.to_string(), &rate).await;
        }
        self.configure("topics", "load", &["--add-config", &format!("{replicas}=*")]).await;
    }

    async fn configure(&self, what: &str, name: &str, change: &[&str]) {
        let which = ["--alter", "--entity-type", what, "--entity-name", name];
        self.tool(["kafka", "4.0.0"], "kafka.admin.ConfigCommand", &[&which, change].concat()).await;
    }

    /// Runs `kafka-features.sh` with these arguments, and gives what it says.
    pub async fn feature_tool(&self, arguments: &[&str]) -> String {
        self.tool(["kafka-tools", "4.0.0"], "org.apache.kafka.tools.FeatureCommand", arguments).await
    }

    /// Runs one of Kafka's own tools: the class, of these jars.
    async fn tool(&self, jars: [&str; 2], class: &str, arguments: &[&str]) -> String {
        let seat = self.seats.iter().rfind(|seat| !is_controller(seat)).expect("there is a broker");
        let [user, password] = LOGIN;
        let login = format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required username=\"{user}\" \
             password=\"{password}\";\n"
        );
        let config = seat.write("client.properties", &login);
        let output = tokio::process::Command::new("java")
            .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp", &class_path(jars[0], jars[1])])
            .args([class, "--command-config"])
            .arg(config)
            .args(["--bootstrap-server", &format!("{}:9092", seat.address)])
            .args(arguments)
            .output();
        let output = output.await.expect("java starts");
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(output.status.success(), "{said:?}");
        said.concat()
    }
}
