//! Pods that do not answer as they should, though their database is well.

use simcluster::{Misanswer, Trouble};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::line::Line;
use super::*;

/// What comes of a question to a pod that does so, on three ports: the number of bytes, at most 64 KiB of them, and how it
/// ends.
async fn answered(how: Misanswer, port: u16) -> Option<(usize, &'static str)> {
    let (database, pod, question): (_, _, &[u8]) = match port {
        2181 => (Database::zookeeper("db"), "db-0", b"mntr"),
        9092 => (Database::kafka_combined("db"), "db-0", b"\0\0\0\x0b\0\x12\0\0\0\0\0\x09\0\x01t"),
        _ => (Database::hazelcast("db"), "db-0", b"GET /hazelcast/health HTTP/1.1\r\nhost: x\r\n\r\n"),
    };
    let sim = running(database);
    sim.databases().trouble(Trouble::Answers { pods: "db-*".into(), how });
    assert_eq!(sim.databases().can_bear("default", pod), Ok(()), "its database is well");
    let mut line = Line::open(&sim, pod, port).await?;
    line.send(question).await;
    // A forwarded connection ends a second after that of the pod.
    Some(match timeout(2 * SECOND, line.read(64 * 1024)).await {
        Ok(bytes) if bytes.len() < 64 * 1024 => (bytes.len(), "ends"),
        Ok(bytes) => (bytes.len(), "goes on"),
        Err(_) => (0, "waits"),
    })
}

#[tokio::test(start_paused = true)]
async fn pods_misanswer_on_demand() {
    for port in [2181, 9092, 5701] {
        assert_eq!(answered(Misanswer::Refuse, port).await, None, "{port}");
        assert_eq!(answered(Misanswer::Reset, port).await, Some((10, "ends")), "{port}");
        assert_eq!(answered(Misanswer::Garbage, port).await, Some((1024, "ends")), "{port}");
        assert_eq!(answered(Misanswer::Endless, port).await, Some((64 * 1024, "goes on")), "{port}");
        assert_eq!(answered(Misanswer::Hang, port).await, Some((0, "waits")), "{port}");
    }
}

/// A pod that is given to a real process is no simulated one, and its closed ports stay closed.
#[tokio::test(start_paused = true)]
async fn what_was_put_on_a_port_answers_there() {
    let sim = running(Database::zookeeper("zk"));
    sim.listeners().answer("default", "zk-0", 2181, |mut stream| {
        let answer = async move {
            stream.read_u8().await.expect("a question");
            stream.write_all(b"mine").await.expect("it is read");
        };
        drop(tokio::spawn(answer));
    });
    assert_eq!(line::told(&sim, "zk-0", 2181, b"ruok").await.as_deref(), Some("mine"));
    assert_eq!(line::told(&sim, "zk-1", 2181, b"ruok").await.as_deref(), Some("imok"));
    sim.databases().retire();
    assert_eq!(line::told(&sim, "zk-1", 2181, b"ruok").await, None);
}
