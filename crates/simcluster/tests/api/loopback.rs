//! The same server behind a real socket, under the real clock.

use simcluster::{Effect, Fault, SimCluster};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::cluster;

/// What comes back for one GET on a connection of its own.
async fn get(sim: &SimCluster, path: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn({
        let sim = sim.clone();
        async move { sim.serve(listener).await }
    });
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // A broken connection may end in an error instead of an end: what matters is what came before it.
    let _ = stream.read_to_end(&mut answer).await;
    server.abort();
    String::from_utf8(answer).expect("text")
}

#[tokio::test]
async fn requests_are_answered_on_a_socket() {
    let sim = cluster();
    let answer = get(&sim, "/api/v1/namespaces/default").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\"kind\":\"Namespace\""), "{answer}");
}

#[tokio::test]
async fn a_connection_that_a_fault_breaks_ends_without_an_answer() {
    let sim = cluster();
    sim.faults().add(Fault::new(Effect::Reset));
    assert_eq!(get(&sim, "/version").await, "");
    assert!(get(&sim, "/version").await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn a_watch_arrives_line_by_line() {
    let sim = cluster();
    let answer = get(&sim, "/api/v1/namespaces?watch=1&timeoutSeconds=1").await;
    assert!(answer.contains("transfer-encoding: chunked"), "{answer}");
    assert!(answer.contains("{\"type\":\"ADDED\",\"object\":{"), "{answer}");
}
