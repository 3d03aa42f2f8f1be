//! Which protocol a process speaks on which port.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::answers;
use super::asker::{Asked, Asker};
use super::trouble::Misanswer;
use super::{cassandra, druid, hazelcast, http, kafka, zookeeper};
use crate::kubedb::kind::Kind;

/// How many bytes may be on their way in each direction.
const CONNECTION: usize = 64 * 1024;

/// A protocol that a process speaks.
#[derive(Clone, Copy)]
enum Protocol {
    Kafka,
    FourLetterWords,
    Cql,
    Http(http::Handler),
}

fn protocol(asked: &Asked, port: u16) -> Option<Protocol> {
    let role = asked.me.role.as_str();
    match (asked.view.membership.kind, port) {
        (Kind::Kafka, 9092) if role != "controller" => Some(Protocol::Kafka),
        (Kind::Kafka, 9093) if role == "controller" => Some(Protocol::Kafka),
        (Kind::ZooKeeper, 2181) => Some(Protocol::FourLetterWords),
        (Kind::ZooKeeper, 8080) => Some(Protocol::Http(zookeeper::admin_server)),
        (Kind::Cassandra, 9042) if !asked.me.drained => Some(Protocol::Cql),
        (Kind::Cassandra, 8081) if asked.view.managed => Some(Protocol::Http(cassandra::management)),
        (Kind::Druid, port) if druid::listens(role, port) => Some(Protocol::Http(druid::answer)),
        (Kind::Hazelcast, 5701) => Some(Protocol::Http(hazelcast::rest)),
        _ => None,
    }
}

/// A connection to a port of a process, if it listens there.
pub(super) fn connect(asker: Asker, port: u16) -> Option<DuplexStream> {
    let asked = asker.look()?;
    let protocol = protocol(&asked, port)?;
    let misanswer = asked.view.misanswer(&asked.me.pod);
    if misanswer == Some(Misanswer::Refuse) {
        return None;
    }
    let (near, far) = duplex(CONNECTION);
    match misanswer {
        None | Some(Misanswer::RejectCredentials | Misanswer::Refuse) => {
            tokio::spawn(speak(protocol, asker, far));
        }
        Some(Misanswer::Reset) => {
            let (inner, process) = duplex(CONNECTION);
            tokio::spawn(speak(protocol, asker, process));
            tokio::spawn(answers::cut(far, inner));
        }
        Some(Misanswer::Hang) => drop(tokio::spawn(answers::hang(far))),
        Some(Misanswer::Garbage) => drop(tokio::spawn(answers::garbage(far))),
        Some(Misanswer::Endless) => drop(tokio::spawn(answers::endless(far, prefix(protocol)))),
    }
    Some(near)
}

async fn speak(protocol: Protocol, asker: Asker, stream: DuplexStream) {
    match protocol {
        Protocol::Kafka => kafka::serve(stream, &asker).await,
        Protocol::FourLetterWords => four_letter_word(stream, &asker).await,
        Protocol::Cql => cassandra::serve(stream, &asker).await,
        Protocol::Http(handler) => http::serve(stream, asker, handler).await,
    }
}

/// Reads a word, answers and hangs up.
async fn four_letter_word(mut stream: DuplexStream, asker: &Asker) {
    let mut word = [0; 4];
    if stream.read_exact(&mut word).await.is_err() {
        return;
    }
    let Some(asked) = asker.ask() else { return };
    if let Some(answer) = zookeeper::four_letter_word(&asked, word) {
        // Who has left does not want to know.
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

/// How an answer of a GiB begins.
fn prefix(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Kafka => &[0x40, 0, 0, 0],
        Protocol::FourLetterWords => b"",
        Protocol::Cql => &[0x84, 0, 0, 0, 0x08, 0x40, 0, 0, 0],
        Protocol::Http(_) => {
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n"
        }
    }
}
