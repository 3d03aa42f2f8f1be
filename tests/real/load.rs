//! A client that writes to the database for as long as it is asked to, and then reads back what was acknowledged.

use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::servers::{class_path, fetched};
use crate::site::{LOGIN, Site};

/// What the client has seen. Times are in milliseconds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Writes that the database has acknowledged.
    pub acknowledged: u64,
    /// Those of them that it did not have at the end.
    pub lost: u64,
    /// Writes that ended in an error.
    pub failed: u64,
    /// Writes that took longer than a second.
    pub stalled: u64,
    /// The longest time from one acknowledged write to the next.
    pub longest_stall: u64,
    /// All the time in which no write was acknowledged for longer than 250 ms.
    pub without_service: u64,
    /// How often the database has elected a leader, where it has one.
    pub elections: Option<u64>,
}

pub struct Load {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Load {
    /// Starts the client, and waits until the database acknowledges its writes.
    pub async fn start(site: &Site) -> Self {
        let server = site.server;
        let classes = fetched().expect("the caller has looked").join("load");
        let jars = class_path(server.client.0, server.client.1);
        let clients = site.seats.iter().filter(|seat| seat.pod.contains(server.clients));
        let addresses: Vec<_> = clients.map(|seat| seat.address.to_string()).collect();
        let trust = server.tls.then(|| site.certificates().trust());
        let mut child = Command::new("java")
            .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(trust.into_iter().flatten())
            .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp"])
            .arg(format!("{}:{jars}", classes.display()))
            .args([server.load, &addresses.join(","), LOGIN[0], LOGIN[1]])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("java starts");
        let stdin = child.stdin.take().expect("piped");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut load = Load { child, stdin, lines };
        assert_eq!(load.line(Duration::from_secs(300)).await, "writing");
        load
    }

    /// Has it stop writing, and read back.
    pub async fn end(mut self) -> Tally {
        self.stdin.write_all(b"\n").await.expect("it reads");
        let line = self.line(Duration::from_secs(300)).await;
        // It ends by itself, and is killed if it does not.
        let _ = timeout(Duration::from_secs(10), self.child.wait()).await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    async fn line(&mut self, limit: Duration) -> String {
        let line = timeout(limit, self.lines.next_line()).await.expect("the client says something");
        line.expect("it writes text").expect("the client goes on")
    }
}
