//! ZooKeeper, with KubeDB's settings: `ruok` as the probe, every four-letter word, the AdminServer on 8080.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use simcluster::world::{Database, catalog};

use crate::fit::Fit;

use super::{LOGGING, Probe, Seat, Server, class_path, java};

pub const ZOOKEEPER: Server = Server {
    kind: "zookeeper",
    versions: ["3.8.3", "3.9.1"],
    catalog: |cluster| catalog::install(cluster.store()),
    via: "client",
    ports: &[2181, 8080],
    probe: |_| Probe::Answers { port: 2181, question: "ruok", answer: "imok" },
    leader: Some(Probe::Answers { port: 2181, question: "srvr", answer: "Mode: leader" }),
    fit: Some(Fit { port: 2181, question: "mntr", end: "", is: is_fit, lasting: Duration::from_secs(1) }),
    hangs: "",
    tls: false,
    database: Database::zookeeper,
    command,
    needs: None,
    client: ("zookeeper", "3.9.1"),
    load: "ZooKeeperLoad",
    clients: "",
};

/// One leads, counts all others as synced, and they follow.
fn is_fit(answers: &[String]) -> bool {
    let with = |line: &str| answers.iter().filter(|answer| answer.contains(line)).count();
    let others = answers.len() - 1;
    with("zk_server_state\tleader") == 1
        && with("zk_server_state\tfollower") == others
        && with(&format!("zk_synced_followers\t{others}\n")) == 1
}

fn command(seat: &Seat, seats: &[Seat], version: &str) -> Command {
    seat.write("data/myid", &(seat.ordinal + 1).to_string());
    let config = seat.write("zoo.cfg", &config(seat, seats));
    let logging = seat.write("logback.xml", LOGGING);
    let mut command = java(Path::new("java"), 256, &class_path("zookeeper", version), seat);
    command
        .arg(format!("-Dlogback.configurationFile={}", logging.display()))
        .arg(format!("-Dzookeeper.admin.serverAddress={}", seat.address))
        .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
        .arg(config);
    command
}

fn config(seat: &Seat, seats: &[Seat]) -> String {
    let mut text = format!(
        "tickTime=2000
initLimit=10
syncLimit=2
dataDir={}
clientPort=2181
clientPortAddress={}
4lw.commands.whitelist=*
admin.serverPort=8080
standaloneEnabled=false
",
        seat.directory.join("data").display(),
        seat.address,
    );
    for seat in seats {
        writeln!(text, "server.{}={}:2888:3888", seat.ordinal + 1, seat.address)
            .expect("text can be written");
    }
    text
}
