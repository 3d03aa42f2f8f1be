//! Against a scripted broker. Its answers are those of a Kafka 4.0.0 with three controllers, three brokers and a topic, as they
//! came from it, without their lengths and numbers.

use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy, duplex, split};
use tokio::sync::mpsc::unbounded_channel;

use super::super::codec::Writer;
use super::*;
use crate::database::door::Login;
use crate::model::evidence::kafka::{Follower, Partition, Quorum, Supported};

const API_VERSIONS: &str = "00003e00000000000c000001000400110000020001000a0000030000000d000008000200090000090001000900000a000000\
     0600000b0002000900000c0000000400000d0000000500000e0000000500000f000000060000100000000500001100000001\
     0000120000000400001300020007000014000100060000150000000200001600000005000017000200040000180000000500\
     00190000000400001a0000000500001b0001000100001c0000000500001d0001000300001e0001000300001f000100030000\
     2000010004000021000000020000220001000200002300010004000024000000020000250000000300002600010003000027\
     00010002000028000100020000290001000300002a0000000200002b0000000200002c0000000100002d0000000000002e00\
     00000000002f0000000000003000000001000031000000010000320000000000003300000000000037000000020000390000\
     000200003c0000000200003d0000000000004000000000000041000000000000420000000100004400000001000045000000\
     0100004a0000000000004b000000000000500000000000005100000000000000000003007c060e67726f75702e7665727369\
     6f6e00000001000e6b726166742e76657273696f6e0000000100116d657461646174612e76657273696f6e00070019001474\
     72616e73616374696f6e2e76657273696f6e000000020021656c696769626c652e6c65616465722e7265706c696361732e76\
     657273696f6e0000000100010800000000000000260243040e67726f75702e76657273696f6e0001000100147472616e7361\
     6374696f6e2e76657273696f6e0002000200116d657461646174612e76657273696f6e0019001900";
/// The same in the older version, to which 3.8 and before are bound: features that begin at level 0 are not in it.
const OLD_API_VERSIONS: &str = "00003e00000000000c000001000400110000020001000a0000030000000d000008000200090000090001000900000a000000\
     0600000b0002000900000c0000000400000d0000000500000e0000000500000f000000060000100000000500001100000001\
     0000120000000400001300020007000014000100060000150000000200001600000005000017000200040000180000000500\
     00190000000400001a0000000500001b0001000100001c0000000500001d0001000300001e0001000300001f000100030000\
     2000010004000021000000020000220001000200002300010004000024000000020000250000000300002600010003000027\
     00010002000028000100020000290001000300002a0000000200002b0000000200002c0000000100002d0000000000002e00\
     00000000002f0000000000003000000001000031000000010000320000000000003300000000000037000000020000390000\
     000200003c0000000200003d0000000000004000000000000041000000000000420000000100004400000001000045000000\
     0100004a0000000000004b000000000000500000000000005100000000000000000003001702116d657461646174612e7665\
     7273696f6e0007001900010800000000000004c30243040e67726f75702e76657273696f6e0001000100147472616e736163\
     74696f6e2e76657273696f6e0002000200116d657461646174612e76657273696f6e0019001900";
const SASL_HANDSHAKE: &str = "0000000000010005504c41494e";
const SASL_AUTHENTICATE: &str = "00000000000000000000000000000000";
const METADATA: &str = "000000000004000000000a3132372e302e302e3100004a940000000000010a3132372e302e302e3100004a95000000000002\
     0a3132372e302e302e3100004a96000017344c3667336e5368542d654d43744b2d2d583836737700000002020000086f7264\
     6572733000020000000000000000000200000000040000000200000000000000010400000002000000000000000101008000\
     0000008000000000";
const DESCRIBE_QUORUM: &str = "00000002135f5f636c75737465725f6d6574616461746102000000000000000003e90000000600000000000004c504000003\
     e800000000000004c5000001a2279b0f95000001a2279b0f9500000003e900000000000004c5000001a2279b105e000001a2\
     279b105e00000003ea00000000000004c5000001a2279b0f94000001a2279b0f9400040000000200000000000004c5000001\
     a2279b0f93000001a2279b0f93000000000100000000000004c5000001a2279b0f93000001a2279b0f930000000000000000\
     00000004c5000001a2279b0f93000001a2279b0f9300000000";
const DESCRIBE_CONFIGS: &str =
    "00000000000200000102086f72646572733002146d696e2e696e73796e632e7265706c696361730232000100010300000000";
const LIST_REASSIGNMENTS: &str = "00000000000000000100";

/// What the broker does with a request of this number.
#[derive(Clone)]
enum Reply {
    Answer(Vec<u8>),
    /// These bytes and no others, whatever was asked.
    Raw(Vec<u8>),
    Hang,
    /// These bytes, and the end of the connection.
    Close(Vec<u8>),
}

type Script = fn(key: i16, nth: usize) -> Reply;

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn real(key: i16, _nth: usize) -> Reply {
    Reply::Answer(bytes(match key {
        3 => METADATA,
        17 => SASL_HANDSHAKE,
        18 => API_VERSIONS,
        32 => DESCRIBE_CONFIGS,
        36 => SASL_AUTHENTICATE,
        46 => LIST_REASSIGNMENTS,
        55 => DESCRIBE_QUORUM,
        other => panic!("nothing else is asked, not {other}"),
    }))
}

/// A broker that follows the script, and the keys of the requests that it got.
fn broker(script: Script) -> (DuplexStream, Arc<Mutex<Vec<i16>>>) {
    let (ours, mut theirs) = duplex(1 << 20);
    let got = Arc::new(Mutex::new(Vec::new()));
    let keys = got.clone();
    tokio::spawn(async move {
        while let Ok(length) = theirs.read_i32().await {
            let mut request = vec![0; usize::try_from(length).expect("a length")];
            theirs.read_exact(&mut request).await.expect("all of it");
            let key = i16::from_be_bytes([request[0], request[1]]);
            let nth = keys.lock().expect("no panic").iter().filter(|k| **k == key).count();
            keys.lock().expect("no panic").push(key);
            let raw = match script(key, nth) {
                Reply::Answer(body) => Writer::default().blob(&[&request[4..8], &body].concat()).bytes,
                Reply::Raw(raw) => raw,
                Reply::Hang => std::future::pending().await,
                Reply::Close(raw) => {
                    theirs.write_all(&raw).await.expect("it is read");
                    return;
                }
            };
            theirs.write_all(&raw).await.expect("it is read");
        }
    });
    (ours, got)
}

async fn connected(script: Script) -> Result<(Asked<DuplexStream>, Arc<Mutex<Vec<i16>>>), Unasked> {
    let (wire, got) = broker(script);
    Ok((logged_in(wire).await?, got))
}

async fn logged_in(wire: DuplexStream) -> Result<Asked<DuplexStream>, Unasked> {
    let mut connection = Connection::new(wire);
    let login = Login { user: "admin".to_owned(), password: SecretString::from("se cret") };
    connection.log_in(&login).await?;
    Ok(Asked::new(connection))
}

const TRIP: Duration = Duration::from_millis(100);

/// The same connection at a distance: what the broker says arrives later.
fn far(broker: DuplexStream) -> DuplexStream {
    let (ours, theirs) = duplex(1 << 20);
    let (mut said, mut heard) = split(broker);
    let (mut from_us, mut to_us) = split(theirs);
    let (on_its_way, mut arriving) = unbounded_channel();
    tokio::spawn(async move { copy(&mut from_us, &mut heard).await });
    tokio::spawn(async move {
        let mut piece = BytesMut::new();
        while said.read_buf(&mut piece).await.is_ok_and(|read| read > 0) {
            on_its_way.send((Instant::now() + TRIP, piece.split())).expect("it is waited for");
        }
    });
    tokio::spawn(async move {
        while let Some((arrival, piece)) = arriving.recv().await {
            sleep_until(arrival).await;
            to_us.write_all(&piece).await.expect("it is read");
        }
    });
    ours
}

#[tokio::test(start_paused = true)]
async fn questions_that_need_no_answer_first_are_asked_together() {
    let old: Script = |key, nth| match (key, nth) {
        (18, 0) => Reply::Answer(bytes("002300000001001200000003")),
        (18, _) => Reply::Answer(bytes(OLD_API_VERSIONS)),
        _ => real(key, nth),
    };
    for script in [real, old] {
        let start = Instant::now();
        let mut asked = logged_in(far(broker(script).0)).await.expect("it answers");
        assert_eq!(start.elapsed(), 2 * TRIP, "the login");
        for trips in [2, 1] {
            // It rests in between.
            let start = asked.rested.max(Instant::now());
            asked.ask().await.expect("it answers");
            assert_eq!(start.elapsed(), trips * TRIP);
        }
    }
}

async fn asked(script: Script) -> Result<Broker, Unasked> {
    connected(script).await?.0.ask().await
}

fn supported(name: &str, min: i16, max: i16) -> Supported {
    Supported { name: name.to_owned(), min, max }
}

/// What is in force by the answers above.
fn features_at(epoch: i64) -> Features {
    let finalized = [("group.version", 1), ("transaction.version", 2), ("metadata.version", 25)];
    let finalized = finalized.map(|(name, level)| (name.to_owned(), level)).to_vec();
    Features { epoch: Some(epoch), finalized, ..Features::default() }
}

#[tokio::test]
async fn the_answers_of_a_real_broker_are_understood() {
    let said = asked(real).await.expect("it answers");
    let node = |id, caught_up| Follower { id, caught_up: Some(caught_up) };
    let expected = Broker {
        cluster: "4L6g3nShT-eMCtK--X86sw".to_owned(),
        serving: vec![0, 1, 2],
        topics: vec![Topic {
            name: "orders0".to_owned(),
            min_insync: Some(2),
            partitions: vec![Partition {
                index: 0,
                leader: Some(2),
                replicas: vec![2, 0, 1],
                in_sync: vec![2, 0, 1],
            }],
        }],
        quorum: Ok(Quorum {
            leader: Some(1001),
            epoch: 6,
            voters: vec![
                node(1000, 1_795_960_803_221),
                node(1001, 1_795_960_803_422),
                node(1002, 1_795_960_803_220),
            ],
            observers: [2, 1, 0].map(|id| node(id, 1_795_960_803_219)).to_vec(),
        }),
        moving: Ok(Vec::new()),
        features: Features {
            supported: vec![
                supported("group.version", 0, 1),
                supported("kraft.version", 0, 1),
                supported("metadata.version", 7, 25),
                supported("transaction.version", 0, 2),
                supported("eligible.leader.replicas.version", 0, 1),
            ],
            ..features_at(38)
        },
    };
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_broker_that_does_not_know_the_new_request_is_asked_by_the_old_one() {
    let said = asked(|key, nth| match (key, nth) {
        // As 3.8 answers it: in the oldest version, with the versions that it knows.
        (18, 0) => Reply::Answer(bytes("002300000001001200000003")),
        (18, _) => Reply::Answer(bytes(OLD_API_VERSIONS)),
        _ => real(key, nth),
    });
    let features = said.await.expect("it answers").features;
    let supported = vec![supported("metadata.version", 7, 25)];
    assert_eq!(features, Features { supported, ..features_at(0x4c3) });
}

#[test]
fn a_node_without_metadata_knows_no_levels() {
    // Neither an epoch nor levels, and an epoch of -1.
    let none = message::features(&mut Reader::new(&bytes("0000010000000000"))).expect("it is read");
    let less = message::features(&mut Reader::new(&bytes("00000100000000010108ffffffffffffffff")));
    for features in [none, less.expect("it is read")] {
        let features = features.expect("no error").expect("in this version");
        assert_eq!((features.epoch, features.level("metadata.version")), (None, None));
    }
    let known = features_at(7);
    let levels = ["metadata.version", "kraft.version"].map(|name| known.level(name));
    assert_eq!(levels, [Some(25), Some(0)]);
}

#[tokio::test(start_paused = true)]
async fn what_hardly_changes_is_asked_for_once_in_a_while() {
    let (mut asked, got) = connected(real).await.expect("it answers");
    let mut keys = async |pause| {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        got.lock().expect("no panic").clear();
        asked.ask().await.expect("it answers");
        got.lock().expect("no panic").clone()
    };
    assert_eq!(
        keys(0).await,
        [18, 18, 3, 55, 46, 32],
        "either version of the request for features is understood"
    );
    assert_eq!(keys(0).await, [3, 55]);
    assert_eq!(keys(9).await, [3, 55]);
    assert_eq!(keys(1).await, [18, 3, 55, 46, 32]);
}

#[tokio::test]
async fn features_are_asked_for_anew_where_they_have_to_be() {
    let (mut asked, got) = connected(real).await.expect("it answers");
    asked.ask().await.expect("it answers");
    got.lock().expect("no panic").clear();
    asked.forget_features();
    asked.ask().await.expect("it answers");
    assert_eq!(*got.lock().expect("no panic"), [18, 3, 55]);
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_does_not_answer_takes_the_connection_with_it() {
    let (mut asked, _) =
        connected(|key, nth| if key == 55 { Reply::Hang } else { real(key, nth) }).await.expect("it answers");
    let start = Instant::now();
    let said = asked.ask().await.expect("the broker itself answers");
    for unknown in [said.quorum.err(), said.moving.err()] {
        assert_eq!(unknown.map(|why| why.obstacle), Some(Obstacle::TimedOut), "nobody answers");
    }
    assert_eq!((said.serving, start.elapsed()), (vec![0, 1, 2], CONTROLLER));
    assert!(!asked.is_usable(), "the next answer would be that to the last question");
}

#[tokio::test]
async fn errors_of_the_controller_are_answers() {
    let said = asked(|key, nth| match key {
        55 => Reply::Answer(bytes("000006010000")),
        _ => real(key, nth),
    });
    let why = said.await.expect("the broker answers").quorum.expect_err("it is an error");
    assert_eq!(
        why,
        Unasked::new(Obstacle::Unreachable, "DescribeQuorum is answered with NOT_LEADER_OR_FOLLOWER")
    );
}

#[tokio::test]
async fn answers_that_cannot_be_used_say_why() {
    use Obstacle::{Credentials, Unintelligible, Unreachable};
    let cases: [(Script, Obstacle, &str); 8] = [
        (|_, _| Reply::Raw(vec![0x40, 0, 0, 0]), Unintelligible, "claims to be 1073741824 bytes long"),
        (|_, _| Reply::Raw(b"HTTP/1.1 400 Bad Request".to_vec()), Unintelligible, "claims to be 1213486160"),
        (|_, _| Reply::Raw(vec![0xff; 8]), Unintelligible, "claims to be -1 bytes long"),
        // The answer to another request.
        (
            |_, _| Reply::Raw(bytes("0000000800000007000000ff")),
            Unintelligible,
            "SaslHandshake makes no sense",
        ),
        // Four billion brokers.
        (
            |key, nth| if key == 3 { Reply::Answer(bytes("0000000000ffffffff0f")) } else { real(key, nth) },
            Unintelligible,
            "Metadata makes no sense",
        ),
        (
            |key, nth| if key == 3 { Reply::Close(bytes("000000ff00000003000000")) } else { real(key, nth) },
            Unreachable,
            "closes the connection",
        ),
        (|_, _| Reply::Close(Vec::new()), Unreachable, "closes the connection"),
        (
            |key, nth| if key == 36 { Reply::Answer(bytes("003a")) } else { real(key, nth) },
            Credentials,
            "rejects user and password",
        ),
    ];
    for (script, obstacle, message) in cases {
        let why = asked(script).await.expect_err(message);
        assert_eq!(why.obstacle, obstacle, "{why:?}");
        assert!(why.message.contains(message), "{why:?}");
    }
}

#[test]
fn an_answer_that_is_cut_short_anywhere_makes_no_sense() {
    let metadata = bytes(METADATA);
    let quorum = bytes(DESCRIBE_QUORUM);
    let configs = bytes(DESCRIBE_CONFIGS);
    let versions = bytes(API_VERSIONS);
    for end in 0..versions.len() {
        assert!(message::features(&mut Reader::new(&versions[..end])).is_none(), "{end}");
    }
    // What follows last is of no interest: tagged fields, and in Metadata the permissions.
    for end in 0..metadata.len() - 5 {
        assert!(message::metadata(&mut Reader::new(&metadata[1..end.max(1)])).is_none(), "{end}");
    }
    for end in 1..quorum.len() - 1 {
        assert!(message::quorum(&mut Reader::new(&quorum[1..end])).is_none(), "{end}");
    }
    for end in 1..configs.len() - 1 {
        assert!(message::min_insync(&mut Reader::new(&configs[1..end])).is_none(), "{end}");
    }
}

#[tokio::test]
async fn ten_thousand_partitions_are_read() {
    let said = asked(|key, nth| match key {
        3 => Reply::Answer(large()),
        32 => Reply::Answer(bytes("00000000000100")),
        _ => real(key, nth),
    });
    let said = said.await.expect("it answers");
    assert_eq!(said.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>(), 10_000);
}

/// The metadata of a hundred topics with a hundred partitions of three replicas.
fn large() -> Vec<u8> {
    let mut writer = Writer::default().end().int32(0).count(0).compact_string("c").int32(0).count(100);
    for topic in 0..100 {
        writer = writer.int16(0).compact_string(&format!("topic-{topic}")).bool(false).count(100);
        for partition in 0..100 {
            writer = writer.int16(0).int32(partition).int32(0).int32(0);
            for _replicas_then_in_sync in 0..2 {
                writer = writer.count(3).int32(0).int32(1).int32(2);
            }
            writer = writer.count(0).end();
        }
        writer = writer.int32(0).end();
    }
    writer.int32(0).end().bytes
}
