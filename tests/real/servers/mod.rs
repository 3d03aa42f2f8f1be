//! The databases: how a pod's process of each is started, and what a probe asks it.

mod cassandra;
mod druid;
mod hazelcast;
mod kafka;
mod zookeeper;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use simcluster::SimCluster;
use simcluster::world::Database;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub use cassandra::{CASSANDRA, CASSANDRA_BOOTSTRAPS, CASSANDRA_TLS, KEYSTORE, MODE};
pub use druid::DRUID;
pub use hazelcast::HAZELCAST;
pub use kafka::{
    KAFKA, KAFKA_EMPTIED, KAFKA_THROTTLED, KAFKA_TLS, KAFKA_UNFINISHED, KAFKA_WITH_AN_OLD_BROKER, LISTENERS,
    Listener,
};
pub use zookeeper::ZOOKEEPER;

use crate::fit::Fit;

/// The logging of the servers that use Logback: warnings, on the standard output.
const LOGGING: &str = r#"<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
"#;

/// A database of real servers.
pub struct Server {
    /// The kind, as it is typed.
    pub kind: &'static str,
    /// The version that it is on at first, and the one that it is updated to: names of the catalog.
    pub versions: [&'static str; 2],
    /// Fills the catalog.
    pub catalog: fn(&SimCluster),
    /// How the update is carried out.
    pub via: &'static str,
    /// What a pod listens on, apart from what only the others of its database use.
    pub ports: &'static [u16],
    pub probe: fn(&Seat) -> Probe,
    /// What tells that a pod leads the others, where one does.
    pub leader: Option<Probe>,
    /// When the database can bear the loss of a pod, by its servers' own word, where that is measured.
    pub fit: Option<Fit>,
    /// What the names of the pods have in common of which one is made to hang.
    pub hangs: &'static str,
    /// `spec.enableSSL`, and with it the keystores of [`Certificates`] and the Secret of those that ask.
    pub tls: bool,
    /// Called with the name of the database.
    pub database: fn(&str) -> Database,
    /// What starts the process of this pod on this version, its files written.
    pub command: fn(&Seat, &[Seat], &str) -> Command,
    /// What runs beside the pods, where they need something.
    pub needs: Option<Needs>,
    /// The name and the version of the client that writes to it, and its Java class in `load/`.
    pub client: (&'static str, &'static str),
    pub load: &'static str,
    /// What the names of the pods have in common that clients speak to.
    pub clients: &'static str,
}

/// The database with TLS.
fn with_tls(database: Database) -> Database {
    database.adjust(|object: &mut Value| object["spec"]["enableSSL"] = json!(true))
}

/// A process outside of the pods, without which they do not start.
pub struct Needs {
    /// The last number of its address.
    pub place: u8,
    /// What starts it.
    pub command: fn(&Seat) -> Command,
    /// Open when it is there for the pods.
    pub port: u16,
}

/// What tells that a pod is Ready. As shallow as the real ones: it knows nothing of the other members.
#[derive(Clone, Copy)]
pub enum Probe {
    /// The port accepts connections.
    Open(u16),
    /// The port answers so.
    Answers { port: u16, question: &'static str, answer: &'static str },
}

impl Probe {
    pub async fn succeeds(self, address: Ipv4Addr) -> bool {
        match self {
            Probe::Open(port) => TcpStream::connect((address, port)).await.is_ok(),
            Probe::Answers { port, question, answer } => {
                says(address, port, question, answer).await.unwrap_or_default()
            }
        }
    }
}

async fn says(address: Ipv4Addr, port: u16, question: &str, answer: &str) -> Option<bool> {
    let mut stream = TcpStream::connect((address, port)).await.ok()?;
    stream.write_all(question.as_bytes()).await.ok()?;
    let mut said = Vec::new();
    // Some close the connection behind the answer, some leave it open.
    while !String::from_utf8_lossy(&said).contains(answer) && said.len() < 64 * 1024 {
        if stream.read_buf(&mut said).await.ok()? == 0 {
            return Some(false);
        }
    }
    Some(true)
}

/// A pod's place: what all pods of that name have in common, one after the other, as with a volume and a name in the DNS.
#[derive(Clone)]
pub struct Seat {
    pub pod: String,
    pub ordinal: usize,
    /// A loopback address of its own, so that every pod has the usual ports.
    pub address: Ipv4Addr,
    /// Its volume.
    pub directory: PathBuf,
}

impl Seat {
    /// The folder that all seats are in.
    pub fn shared(&self) -> &Path {
        self.directory.parent().expect("all are in one folder")
    }

    /// Whether it is this pod that has lost its data, as if the disk of its machine were gone: the first one that has been updated
    /// does, when it is started.
    pub fn loses(&self, is_updated: bool, folders: &[&str]) -> bool {
        let who = self.shared().join("loses");
        if is_updated && !who.exists() {
            std::fs::write(&who, &self.pod).expect("a file can be written");
            for folder in folders {
                std::fs::remove_dir_all(self.directory.join(folder)).expect("every pod has it");
            }
        }
        std::fs::read_to_string(who).is_ok_and(|pod| pod == self.pod)
    }

    /// What its process has said last.
    pub fn last_words(&self) -> String {
        let said = std::fs::read_to_string(self.directory.join("said")).unwrap_or_default();
        let lines: Vec<_> = said.lines().collect();
        format!("\n--- {}\n{}", self.pod, lines[lines.len().saturating_sub(15)..].join("\n"))
    }

    /// Writes a file into the volume.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.join(name);
        std::fs::create_dir_all(path.parent().expect("below the volume")).expect("a folder can be made");
        std::fs::write(&path, content).expect("a file can be written");
        path
    }
}

/// What `.ci/real` has fetched; `None` where it has not run.
pub fn fetched() -> Option<PathBuf> {
    std::env::var_os("REAL_SERVERS").map(PathBuf::from)
}

/// The jars of this name and version.
pub fn class_path(name: &str, version: &str) -> String {
    let file = fetched().expect("the caller has looked").join("classpath").join(format!("{name}-{version}"));
    let jars = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    jars.trim().to_owned()
}

/// A Java process with this heap in MB, which writes what it says into the seat's volume.
pub fn java(program: &Path, heap: u32, class_path: &str, seat: &Seat) -> Command {
    let mut command = Command::new(program);
    command.arg(format!("-Xmx{heap}m")).args([
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        class_path,
    ]);
    in_its_volume(command, seat)
}

/// The script, to which the words of the command are `"$@"`.
pub fn by_shell(script: &str, words: &Command, seat: &Seat) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(words.get_program()).args(words.get_args());
    in_its_volume(command, seat)
}

fn in_its_volume(mut command: Command, seat: &Seat) -> Command {
    let log = std::fs::File::options().create(true).append(true).open(seat.directory.join("said"));
    let log = log.expect("a file can be written");
    command
        .current_dir(&seat.directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be opened twice"))
        .stderr(log);
    command
}
