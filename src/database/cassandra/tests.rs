mod frames;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::connection::Connection;
use super::frame::{self, Answer, Complaint, Consistency};
use super::node;
use crate::database::door::Login;
use crate::model::evidence::cassandra::{Keyspace, Node, Pod, Reach};
use crate::model::{Obstacle, Unasked};

fn bytes(hex: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(digits).collect()
}

/// The answers of a node to the six questions, in the order in which it sent them.
fn answers() -> [Vec<u8>; 6] {
    use frames::{EVERYWHERE, ITSELF, KEYSPACES, KNOWN, STREAMS, TASKS};
    [STREAMS, TASKS, KNOWN, ITSELF, KEYSPACES, EVERYWHERE].map(bytes)
}

fn login() -> Login {
    Login { user: "admin".into(), password: "secret".to_owned().into() }
}

/// A connection to a server that answers each request, or batch of them, with the next bytes.
fn connection(mut answers: Vec<Vec<u8>>) -> Connection<DuplexStream> {
    let (ours, mut theirs) = duplex(64 * 1024);
    answers.reverse();
    drop(tokio::spawn(async move {
        let mut heard = vec![0; 64 * 1024];
        while let Some(answer) = answers.pop() {
            if theirs.read(&mut heard).await.is_err() || theirs.write_all(&answer).await.is_err() {
                return;
            }
        }
        // It stays open, and silent.
        std::future::pending::<()>().await;
    }));
    Connection::new(ours)
}

fn obstacle<T>(result: Result<T, Unasked>) -> Option<Obstacle> {
    result.err().map(|unasked| unasked.obstacle)
}

/// The two nodes of 4.1.8, and the one of 5.0.3 whose schema differs.
fn as_recorded() -> Pod {
    let old = "33f06f64-639f-38c1-9952-454bc01c73d9";
    let known = [
        ("dc101d4a-d05d-4afd-9fec-fc9bb230c1d4", 1795960718, old, "4.1.8"),
        ("43108127-e7dc-4f9a-90f0-a534ea8cac67", 1795960715, old, "4.1.8"),
        ("266da533-cfce-4817-9a52-1cd428613391", 1795960718, "242ab7b3-bf52-3b5c-80fb-2ba28eb5662e", "5.0.3"),
    ];
    let known = known.map(|(host_id, generation, schema, version)| Node {
        host_id: host_id.into(),
        generation,
        status: "NORMAL".into(),
        schema: schema.into(),
        version: version.into(),
    });
    let keyspaces: [(&str, &[u32]); 7] = [
        ("system_auth", &[3]),
        ("solo", &[1]),
        ("system_schema", &[]),
        ("system_distributed", &[3]),
        ("system", &[]),
        ("shop", &[3]),
        ("system_traces", &[2]),
    ];
    let keyspaces = keyspaces.map(|(name, factors)| Keyspace { name: name.into(), factors: factors.into() });
    Pod {
        cluster: "prod".into(),
        host_id: "dc101d4a-d05d-4afd-9fec-fc9bb230c1d4".into(),
        version: "4.1.8".into(),
        schema: old.into(),
        known: known.into(),
        reach: Reach::All,
        streams: Vec::new(),
        tasks: Vec::new(),
        keyspaces: keyspaces.into(),
    }
}

#[test]
fn requests_are_written_as_the_protocol_says() {
    assert_eq!(frame::startup(), b"\x04\0\0\0\x01\0\0\0\x16\0\x01\0\x0bCQL_VERSION\0\x053.0.0");
    assert_eq!(frame::auth_response("me", "pw"), b"\x04\0\0\0\x0f\0\0\0\x0a\0\0\0\x06\0me\0pw");
    assert_eq!(
        frame::query(6, "SELECT 1", Consistency::All),
        b"\x04\0\0\x06\x07\0\0\0\x0f\0\0\0\x08SELECT 1\0\x05\0"
    );
}

#[tokio::test]
async fn a_node_of_a_mixed_cluster_is_understood() {
    let mut open =
        connection(vec![bytes(frames::AUTHENTICATE), bytes(frames::AUTH_SUCCESS), answers().concat()]);
    assert_eq!(open.introduce(Some(&login())).await, Ok(()));
    assert_eq!(node::ask(&mut open).await, Ok(as_recorded()));
    assert!(!open.spent);
}

#[tokio::test]
async fn a_login_is_refused_or_missing() {
    for (answer, login, expected) in [
        (frames::BAD_CREDENTIALS, Some(login()), Some(Obstacle::Credentials)),
        (frames::AUTH_SUCCESS, Some(login()), None),
        (frames::ITSELF, Some(login()), Some(Obstacle::Unintelligible)),
        (frames::AUTH_SUCCESS, None, Some(Obstacle::Credentials)),
    ] {
        let mut open = connection(vec![bytes(frames::AUTHENTICATE), bytes(answer)]);
        assert_eq!(obstacle(open.introduce(login.as_ref()).await), expected, "{answer}");
    }
    let mut open = connection(vec![b"\x84\0\0\0\x02\0\0\0\0".to_vec()]);
    assert_eq!(obstacle(open.introduce(None).await), None, "it asks for no login");
}

/// An `ERROR` on a stream.
fn error(stream: u8, code: u32, message: &str, figures: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("short").to_be_bytes();
    let body = [&code.to_be_bytes()[..], &length, message.as_bytes(), figures].concat();
    let size = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&[0x84, 0, 0, stream, 0][..], &size, &body].concat()
}

#[tokio::test]
async fn what_a_node_refuses_tells_what_is_in_the_way() {
    // What 4.1.8 says while the only replica of a role is down.
    let no_role =
        "Unable to perform authorization of super-user permission: Cannot achieve consistency level QUORUM";
    for (code, message, expected) in [
        (0x2100, "User nobody has no SELECT permission on <table system.local>", Obstacle::Credentials),
        (0x2100, no_role, Obstacle::Unreachable),
        (
            0x0100,
            "Unable to perform authentication: Cannot achieve consistency level QUORUM",
            Obstacle::Unreachable,
        ),
        (0x1001, "Request is too big", Obstacle::Unreachable),
        (0x2200, "table gossip_info does not exist", Obstacle::Unintelligible),
    ] {
        let mut all = answers();
        all[2] = error(2, code, message, &[]);
        let mut open = connection(vec![all.concat()]);
        let refused = node::ask(&mut open).await.expect_err(message);
        assert_eq!((refused.obstacle, refused.message.as_str()), (expected, message));
    }
}

#[tokio::test(start_paused = true)]
async fn whether_a_node_sees_the_others_shows_in_a_read_of_all() {
    let timed_out = b"\0\x05\0\0\0\x02\0\0\0\x03\x01";
    for (answer, reach, spent) in [
        (bytes(frames::UNAVAILABLE), Reach::Alive { alive: 2, needed: 3 }, false),
        (error(6, 0x1200, "Operation timed out", timed_out), Reach::Silence, false),
        (error(6, 0x1300, "Operation failed", &[]), Reach::Silence, false),
        // The answer is late: the rest is told, and the connection is not used again.
        (Vec::new(), Reach::Silence, true),
    ] {
        let mut all = answers();
        all[5] = answer;
        let mut open = connection(vec![all.concat()]);
        assert_eq!(node::ask(&mut open).await, Ok(Pod { reach, ..as_recorded() }));
        assert_eq!(open.spent, spent, "{reach:?}");
    }
}

/// A question that has no answer, other than the last, leaves nothing to judge by.
#[tokio::test(start_paused = true)]
async fn a_node_that_says_only_a_part_in_time_has_said_nothing() {
    let mut open = connection(vec![answers()[1..].concat()]);
    assert_eq!(obstacle(node::ask(&mut open).await), Some(Obstacle::TimedOut));
}

#[tokio::test(start_paused = true)]
async fn what_breaks_the_protocol_is_not_understood() {
    let recorded = bytes(frames::KNOWN);
    let patched = |at: usize, with: &[u8]| {
        let mut frame = recorded.clone();
        frame[at..at + with.len()].copy_from_slice(with);
        frame
    };
    let cut = |to: usize| {
        let mut frame = recorded[..to].to_vec();
        frame[5..9].copy_from_slice(&u32::try_from(to - 9).expect("short").to_be_bytes());
        frame
    };
    let strange = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        // Another version, a compressed frame, an unknown kind, a size of 1 GiB, another stream, one that was answered.
        patched(0, &[0x83]),
        patched(1, &[0x01]),
        patched(4, &[0x0c]),
        patched(5, &[0x40]),
        patched(3, &[7]),
        patched(3, &[3]),
        patched(2, &[0xff, 0xff]),
        // Another kind of result, more pages, no columns, a million of them.
        patched(9, &[0, 0, 0, 1]),
        patched(13, &[0, 0, 0, 3]),
        patched(17, &[0, 0, 0, 0]),
        patched(17, &[0, 0x0f, 0, 0]),
        cut(recorded.len() - 1),
        cut(40),
        cut(13),
        cut(9),
    ];
    for frame in strange {
        let mut all = answers();
        all[2] = frame.clone();
        let mut open = connection(vec![all.concat()]);
        let said = node::ask(&mut open).await;
        assert_eq!(obstacle(said), Some(Obstacle::Unintelligible), "{:02x?}", &frame[..frame.len().min(24)]);
    }
    let mut open = connection(vec![answers()[0][..20].to_vec()]);
    assert_eq!(obstacle(node::ask(&mut open).await), Some(Obstacle::TimedOut));
}

/// A count of rows is believed only as far as there are bytes.
#[tokio::test]
async fn numbers_from_outside_reserve_nothing() {
    for (count, rows) in [(i32::MAX, None), (-1, Some(0)), (0, Some(0))] {
        let mut frame = bytes(frames::STREAMS);
        let end = frame.len() - 4;
        frame[end..].copy_from_slice(&count.to_be_bytes());
        let read = frame::read(&mut frame.as_slice()).await.ok();
        let read = read.map(|(stream, answer)| match answer {
            Answer::Rows(rows) => (stream, rows.len()),
            other => panic!("{other:?}"),
        });
        assert_eq!(read, rows.map(|rows| (3, rows)), "{count}");
    }
}

/// Null values take four bytes each, so that a large answer could hold a million rows.
#[tokio::test]
async fn only_so_many_rows_are_kept() {
    for (count, kept) in [(20_000_u32, true), (20_001, false)] {
        let head = &b"\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\x01k\0\x01t\0\x01c\0\x0d"[..];
        let body = [head, &count.to_be_bytes(), &[0xff; 4].repeat(count as usize)].concat();
        let size = u32::try_from(body.len()).expect("short").to_be_bytes();
        let frame = [&[0x84, 0, 0, 1, 8][..], &size, &body].concat();
        assert_eq!(frame::read(&mut frame.as_slice()).await.is_ok(), kept, "{count}");
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_a_connection_that_broke() {
    let frame = [&[0x84, 0, 0, 1, 8][..], &(4_u32 << 20).to_be_bytes(), b"short"].concat();
    assert_eq!(obstacle(frame::read(&mut frame.as_slice()).await), Some(Obstacle::Unreachable));
}

/// A type that is nested without end.
#[tokio::test]
async fn a_type_is_followed_only_so_far() {
    let nested = |depth: usize| {
        let kind: Vec<u8> = [0, 0x20].repeat(depth);
        let body =
            [&b"\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\x01k\0\x01t\0\x01c"[..], &kind, b"\0\x0d\0\0\0\0"].concat();
        let size = u32::try_from(body.len()).expect("short").to_be_bytes();
        [&[0x84, 0, 0, 1, 8][..], &size, &body].concat()
    };
    assert_eq!(frame::read(&mut nested(3).as_slice()).await, Ok((1, Answer::Rows(Vec::new()))));
    assert_eq!(obstacle(frame::read(&mut nested(100_000).as_slice()).await), Some(Obstacle::Unintelligible));
}

#[tokio::test]
async fn a_complaint_has_its_figures_or_is_none() {
    let (stream, answer) = frame::read(&mut bytes(frames::UNAVAILABLE).as_slice()).await.expect("it is read");
    let message = "Cannot achieve consistency level ALL".to_owned();
    let complaint = Complaint { code: Complaint::UNAVAILABLE, message, unavailable: Some((2, 3)) };
    assert_eq!((stream, answer), (6, Answer::Error(complaint)));
    let without = error(6, 0x1000, "Cannot achieve consistency level ALL", &[]);
    assert_eq!(obstacle(frame::read(&mut without.as_slice()).await), Some(Obstacle::Unintelligible));
}
