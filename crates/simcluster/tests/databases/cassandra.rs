//! What a Cassandra node says: frames by hand, byte by byte.

use simcluster::{Contents, Misanswer, Trouble};

use super::line::{Line, asked, got, secret};
use super::*;

fn cassandra() -> Database {
    Database::cassandra_racks("cas", &[("r0", 2), ("r1", 1)])
}

/// Sends a frame, and gives the opcode and the body of the answer.
async fn exchange(line: &mut Line, version: u8, opcode: u8, body: &[u8]) -> (u8, Vec<u8>) {
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    line.send(&[&[version, 0, 0, 7, opcode], &length[..], body].concat()).await;
    let head = line.read(9).await;
    assert_eq!(head[..4], [0x84, 0, 0, 7]);
    let length = u32::from_be_bytes(head[5..9].try_into().expect("four"));
    (head[4], line.read(length as usize).await)
}

/// A string map with the only option that is needed, and an authentication with a password.
const STARTUP: &[u8] = b"\0\x01\0\x0bCQL_VERSION\0\x053.0.0";

async fn log_in(line: &mut Line, password: &[u8]) -> (u8, Vec<u8>) {
    let (opcode, class) = exchange(line, 4, 1, STARTUP).await;
    assert_eq!((opcode, &class[2..]), (3, &b"org.apache.cassandra.auth.PasswordAuthenticator"[..]));
    let token = [b"\0admin\0", password].concat();
    let length = u32::try_from(token.len()).expect("short").to_be_bytes();
    exchange(line, 4, 15, &[&length, token.as_slice()].concat()).await
}

/// A node's answer to a query of one column of text, row by row.
async fn column(sim: &SimCluster, pod: &str, query: &str) -> Vec<String> {
    let mut line = Line::open(sim, pod, 9042).await.expect("it listens");
    let password = secret(sim, "cas", "password");
    assert_eq!(log_in(&mut line, &password).await, (16, vec![0xff; 4]));
    let length = u32::try_from(query.len()).expect("short").to_be_bytes();
    // The consistency ONE, and no flags.
    let (opcode, body) = exchange(&mut line, 4, 7, &[&length, query.as_bytes(), b"\0\x01\0"].concat()).await;
    assert_eq!(opcode, 8, "{}", String::from_utf8_lossy(&body));
    // Rows, of one table, with one column: then three names and a type.
    assert_eq!(body[..12], [0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1]);
    let mut at = 12;
    for _ in 0..3 {
        at += 2 + usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    }
    at += 2;
    let mut int = || {
        at += 4;
        i32::from_be_bytes(body[at - 4..at].try_into().expect("four"))
    };
    let count = int();
    let mut values = Vec::new();
    let mut rest = &body[body.len() - (body.len() - at)..];
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<4>().expect("a length");
        let (value, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        values.push(String::from_utf8_lossy(value).into_owned());
        rest = after;
    }
    values
}

#[tokio::test(start_paused = true)]
async fn a_node_talks_to_whom_it_knows() {
    let sim = running(cassandra());
    let mut line = Line::open(&sim, "cas-rack-r0-0", 9042).await.expect("it listens");
    let (opcode, body) = exchange(&mut line, 4, 5, b"").await;
    assert_eq!((opcode, &body[..15]), (6, &b"\0\x03\0\x0bCQL_VERSION"[..]));
    let (opcode, body) = exchange(&mut line, 5, 5, b"").await;
    assert_eq!((opcode, &body[..4]), (0, &[0, 0, 0, 10][..]), "another version of the protocol");
    let query = b"\0\0\0\x1aSELECT * FROM system.local\0\x01\0";
    let (opcode, body) = exchange(&mut line, 4, 7, query).await;
    assert_eq!((opcode, &body[..4]), (0, &[0, 0, 0x21, 0][..]), "not logged in");
    let password = secret(&sim, "cas", "password");
    sim.databases().trouble(Trouble::Answers { pods: "*-r1-0".into(), how: Misanswer::RejectCredentials });
    let mut other = Line::open(&sim, "cas-rack-r1-0", 9042).await.expect("it listens");
    for (line, password) in [(&mut line, &b"guess"[..]), (&mut other, &password)] {
        let (opcode, body) = log_in(line, password).await;
        assert_eq!((opcode, &body[..4]), (0, &[0, 0, 1, 0][..]), "wrong credentials");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_tells_how_it_sees_the_others() {
    let sim = running(cassandra());
    let query = "SELECT rack FROM system.local WHERE key='local'";
    assert_eq!(column(&sim, "cas-rack-r1-0", query).await, ["r1"]);
    let mut racks = column(&sim, "cas-rack-r1-0", "SELECT rack FROM system.peers_v2").await;
    racks.sort();
    assert_eq!(racks, ["r0", "r0"]);
    let schemas = async |sim: &SimCluster| {
        let mut schemas = column(sim, "cas-rack-r1-0", "SELECT schema_version FROM system.peers_v2").await;
        schemas.extend(column(sim, "cas-rack-r1-0", "SELECT schema_version FROM system.local").await);
        schemas.sort();
        schemas.dedup();
        schemas.len()
    };
    assert_eq!(schemas(&sim).await, 1);
    sim.databases().trouble(Trouble::OtherSchema { pods: "cas-rack-r0-1".into() });
    assert_eq!(schemas(&sim).await, 2);
}

#[tokio::test(start_paused = true)]
async fn gossip_tells_who_is_up() {
    let sim = running(cassandra());
    sleep(10 * SECOND).await;
    let pod = "cas-rack-r0-0";
    let of = |column: &str| format!("SELECT {column} FROM system_views.gossip_info");
    let up = async |sim: &SimCluster| {
        column(sim, pod, &of("rpc_ready")).await.iter().filter(|r| *r == "true").count()
    };
    assert_eq!(up(&sim).await, 3);
    let beats = async |sim: &SimCluster| column(sim, pod, &of("heartbeat")).await;
    sim.databases().trouble(Trouble::SeesDown { pod: pod.into(), other: "cas-rack-r1-0".into() });
    let before = beats(&sim).await;
    sleep(2 * SECOND).await;
    let still = before.iter().zip(beats(&sim).await).filter(|(before, now)| *before == now).count();
    assert_eq!((up(&sim).await, still), (3, 1), "of one it hears nothing any more");
    delete(&sim, "cas-rack-r0-1");
    ready_again(&sim, "cas-rack-r0-1").await;
    assert_eq!(up(&sim).await, 2);
    sleep(SECOND).await;
    assert_eq!(up(&sim).await, 3);
}

#[tokio::test(start_paused = true)]
async fn settings_keyspaces_and_streams_are_told() {
    let sim = running(cassandra().version("5.0.7"));
    let pod = "cas-rack-r0-0";
    let query = "SELECT value FROM system_views.settings WHERE name IN ('sstable.selected_format', 'none')";
    assert_eq!(column(&sim, pod, query).await, ["big"]);
    let mode = Some("UPGRADING".to_owned());
    let usual = sim.databases().contents("default", "cas");
    sim.databases().fill("default", "cas", &Contents { storage_compatibility_mode: mode, ..usual });
    let query = "SELECT value FROM system_views.settings WHERE name = 'storage_compatibility_mode'";
    assert_eq!(column(&sim, pod, query).await, ["UPGRADING"]);
    let names = column(&sim, pod, "SELECT keyspace_name FROM system_schema.keyspaces").await;
    assert!(names.contains(&"shop".to_owned()) && names.contains(&"system_auth".to_owned()), "{names:?}");
    let query = "SELECT status FROM system_views.streaming";
    assert!(column(&sim, pod, query).await.is_empty());
    sim.databases().trouble(Trouble::Streaming { pod: pod.into() });
    assert_eq!(column(&sim, pod, query).await, ["start"]);
}

/// A node that takes another for dead refuses what takes all of them, with the figures.
#[tokio::test(start_paused = true)]
async fn a_read_of_all_replicas_tells_who_is_taken_for_dead() {
    let sim = running(cassandra());
    let all = async |pod: &str| {
        let mut line = Line::open(&sim, pod, 9042).await.expect("it listens");
        log_in(&mut line, &secret(&sim, "cas", "password")).await;
        let query = b"SELECT view_name FROM system_distributed.view_build_status";
        let length = u32::try_from(query.len()).expect("short").to_be_bytes();
        exchange(&mut line, 4, 7, &[&length, &query[..], b"\0\x05\0"].concat()).await
    };
    assert_eq!(all("cas-rack-r0-0").await.0, 8);
    sim.databases().trouble(Trouble::SeesDown { pod: "cas-rack-r0-0".into(), other: "cas-rack-r1-0".into() });
    let (opcode, body) = all("cas-rack-r0-0").await;
    assert_eq!((opcode, &body[..4]), (0, &[0, 0, 0x10, 0][..]));
    assert_eq!(body[body.len() - 10..], [0, 5, 0, 0, 0, 3, 0, 0, 0, 2]);
    assert_eq!(all("cas-rack-r0-1").await.0, 8, "the others see it");
}

/// A drained node serves nobody, and may go; nobody else may before it is back.
#[tokio::test(start_paused = true)]
async fn a_node_is_drained_by_its_management_api() {
    let sim = running(cassandra());
    let pod = "cas-rack-r0-0";
    assert_eq!(got(&sim, pod, 8081, "/api/v0/metadata/endpoints").await.0, 503, "it has none");
    sim.databases().serve_management_api();
    let alive = async |sim: &SimCluster| {
        let (_, body) = got(sim, "cas-rack-r0-1", 8081, "/api/v0/metadata/endpoints").await;
        let nodes = body["entity"].as_array().expect("a list").iter();
        nodes.filter(|node| node["IS_ALIVE"] == "true").count()
    };
    assert_eq!(alive(&sim).await, 3);
    let answer = asked(&sim, pod, 8081, "POST /api/v0/ops/node/drain", None).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("OK"), "{answer}");
    assert!(Line::open(&sim, pod, 9042).await.is_none());
    assert_eq!(alive(&sim).await, 2);
    assert_eq!(sim.databases().can_bear("default", pod), Ok(()));
    assert!(sim.databases().can_bear("default", "cas-rack-r1-0").is_err());
    delete(&sim, pod);
    ready_again(&sim, pod).await;
    sleep(SECOND).await;
    assert_eq!((alive(&sim).await, sim.databases().can_bear("default", pod)), (3, Ok(())));
}

/// Text, bytes and a map, exactly.
#[tokio::test(start_paused = true)]
async fn a_row_is_written_as_the_protocol_says() {
    let sim = running(cassandra());
    let mut line = Line::open(&sim, "cas-rack-r0-0", 9042).await.expect("it listens");
    log_in(&mut line, &secret(&sim, "cas", "password")).await;
    let query = b"SELECT durable_writes, replication FROM system_schema.keyspaces WHERE keyspace_name='kubedb_keyspace'";
    let length = u32::try_from(query.len()).expect("short").to_be_bytes();
    let (_, body) = exchange(&mut line, 4, 7, &[&length, &query[..], b"\0\x01\0"].concat()).await;
    let mut expected = b"\0\0\0\x02\0\0\0\x01\0\0\0\x02\0\x0dsystem_schema\0\x09keyspaces".to_vec();
    expected.extend_from_slice(b"\0\x0edurable_writes\0\x04\0\x0breplication\0\x21\0\x0d\0\x0d");
    expected.extend_from_slice(b"\0\0\0\x01\0\0\0\x01\x01\0\0\0\x57\0\0\0\x02\0\0\0\x05class\0\0\0\x2b");
    expected.extend_from_slice(
        b"org.apache.cassandra.locator.SimpleStrategy\0\0\0\x12replication_factor\0\0\0\x012",
    );
    assert_eq!(String::from_utf8_lossy(&body), String::from_utf8_lossy(&expected));
}
