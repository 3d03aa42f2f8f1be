//! What a Kafka broker says: messages by hand, byte by byte.

use simcluster::Trouble;

use super::line::{Line, secret};
use super::*;

/// Sends a request of some version, and gives the answer after its correlation id.
async fn ask(line: &mut Line, key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let head = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 9], &[0, 1, b't']].concat();
    let request = [&head, body].concat();
    let length = u32::try_from(request.len()).expect("short").to_be_bytes();
    line.send(&[&length, request.as_slice()].concat()).await;
    let length = line.read(4).await;
    let Ok(length) = <[u8; 4]>::try_from(length) else { return Vec::new() };
    let answer = line.read(u32::from_be_bytes(length) as usize).await;
    assert_eq!(answer[..4], [0, 0, 0, 9]);
    answer[4..].to_vec()
}

/// Authenticates, and gives the two bytes of the error code.
async fn log_in(line: &mut Line, user: &[u8], password: &[u8]) -> Vec<u8> {
    let greeting = ask(line, 17, 1, b"\0\x05PLAIN").await;
    assert_eq!(greeting, b"\0\0\0\0\0\x01\0\x05PLAIN");
    let token = [b"\0", user, b"\0", password].concat();
    let length = u32::try_from(token.len()).expect("short").to_be_bytes();
    ask(line, 36, 1, &[&length, token.as_slice()].concat()).await[..2].to_vec()
}

async fn logged_in(sim: &SimCluster, pod: &str) -> Line {
    let mut line = Line::open(sim, pod, 9092).await.expect("it listens");
    let (user, password) = (secret(sim, "kf", "username"), secret(sim, "kf", "password"));
    assert_eq!(log_in(&mut line, &user, &password).await, [0, 0]);
    line
}

fn int(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"))
}

#[tokio::test(start_paused = true)]
async fn a_broker_tells_its_versions_to_everybody() {
    let sim = running(Database::kafka_topology("kf"));
    let line = async || Line::open(&sim, "kf-broker-0", 9092).await.expect("it listens");
    let old = ask(&mut line().await, 18, 0, b"").await;
    assert_eq!((&old[..2], int(&old, 2)), (&[0, 0][..], 9));
    assert_eq!(old[6..12], [0, 3, 0, 1, 0, 12], "Metadata, 1 to 12");
    // In flexible versions the header has tagged fields, and the body client software's name and version.
    let mut stranger = line().await;
    let unknown = ask(&mut stranger, 18, 4, b"\0\x02t\x021\0").await;
    assert_eq!(unknown, [0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 3], "as 3.8 and before answer version 4");
    let new = ask(&mut stranger, 18, 3, b"\0\x02t\x021\0").await;
    assert_eq!(new[..10], [0, 0, 10, 0, 3, 0, 1, 0, 12, 0], "no tags in the header of the answer");
    assert!(ask(&mut stranger, 18, 3, b"\0\x02t\x021\0").await.is_empty(), "once before a login");
    assert!(Line::open(&sim, "kf-controller-0", 9092).await.is_none(), "a controller has no such port");
}

#[tokio::test(start_paused = true)]
async fn brokers_and_controllers_tell_their_features() {
    let sim = running(Database::kafka_topology("kf").version("4.0.0"));
    sim.databases().finalize("default", "kf", &[("metadata.version", 21)]);
    let told = async |pod: &str, port: u16, version: i16| {
        let mut line = Line::open(&sim, pod, port).await.expect("it listens");
        let answer = ask(&mut line, 18, version, b"\0\x02t\x021\0").await;
        assert_eq!(answer[..2], [0, 0], "{pod}");
        let text = |name: &[u8]| answer.windows(name.len()).filter(|at| *at == name).count();
        [
            &b"metadata.version\0\x07\0\x19"[..],
            b"metadata.version\0\x15\0\x15",
            b"transaction.version\0\0\0\x02",
        ]
        .map(text)
    };
    for (pod, port) in [("kf-broker-0", 9092), ("kf-controller-1", 9093)] {
        assert_eq!(told(pod, port, 4).await, [1, 1, 1], "{pod}");
        assert_eq!(told(pod, port, 3).await, [1, 1, 0], "{pod}: version 3 cannot tell what begins at 0");
    }
    let mut controller = Line::open(&sim, "kf-controller-1", 9093).await.expect("it listens");
    assert!(ask(&mut controller, 3, 1, &[0xff; 4]).await.is_empty(), "nobody logs in there");
}

/// The answer to `UpdateFeatures`, after its header.
async fn update(line: &mut Line, feature: &str, level: i16, kind: u8, only_try: bool) -> Vec<u8> {
    let name = [&[u8::try_from(feature.len()).expect("short") + 1][..], feature.as_bytes()].concat();
    let level = level.to_be_bytes();
    let body = [&[0, 0, 0, 0x13, 0x88, 2][..], &name, &level, &[kind, 0, u8::from(only_try), 0]].concat();
    ask(line, 57, 1, &body).await
}

#[tokio::test(start_paused = true)]
async fn features_are_changed_as_real_controllers_change_them() {
    for (version, refusal_is_at_the_top) in [("3.9.0", false), ("4.0.0", true)] {
        let sim = running(Database::kafka_topology("kf").version(version));
        let start = [("metadata.version", 19)];
        sim.databases().finalize("default", "kf", &start);
        let level = || sim.databases().features("default", "kf").get("metadata.version").copied();
        let mut line = logged_in(&sim, "kf-broker-0").await;
        let mut is_done = async |level, kind, only_try| {
            let answer = update(&mut line, "metadata.version", level, kind, only_try).await;
            let text = String::from_utf8_lossy(&answer).into_owned();
            let refused = text.contains("Refusing to perform") || text.contains("only supports versions");
            assert_eq!(refused && answer[5..7] == [0, 95], refused && refusal_is_at_the_top, "{text}");
            !refused && answer[5..7] == [0, 0]
        };
        assert!(is_done(21, 1, true).await && level() == Some(19), "only tried");
        assert!(is_done(21, 1, false).await && level() == Some(21));
        assert!(is_done(20, 2, false).await && level() == Some(20));
        assert!(!is_done(14, 2, false).await && level() == Some(20), "the format has changed since");
        assert!(!is_done(99, 1, false).await && level() == Some(20), "nobody supports that");
        let name = if refusal_is_at_the_top { "transaction.version" } else { "kraft.version" };
        update(&mut line, name, 1, 1, false).await;
        assert_eq!(sim.databases().features("default", "kf").get(name), Some(&1));
        assert_eq!(sim.databases().feature_changes("default", "kf"), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_talks_to_whom_it_knows() {
    let sim = running(Database::kafka_topology("kf"));
    let (user, password) = (secret(&sim, "kf", "username"), secret(&sim, "kf", "password"));
    let line = async |pod: &str| Line::open(&sim, pod, 9092).await.expect("it listens");
    // Metadata of all topics, without and with wrong credentials.
    let mut stranger = line("kf-broker-0").await;
    assert!(ask(&mut stranger, 3, 1, &[0xff; 4]).await.is_empty());
    let mut wrong = line("kf-broker-0").await;
    assert_eq!(log_in(&mut wrong, &user, b"guess").await, [0, 58]);
    assert!(ask(&mut wrong, 3, 1, &[0xff; 4]).await.is_empty());
    let mut right = line("kf-broker-0").await;
    assert_eq!(log_in(&mut right, &user, &password).await, [0, 0]);
    assert_eq!(int(&ask(&mut right, 3, 1, &[0xff; 4]).await, 0), 3, "brokers");
    let mut other = line("kf-broker-0").await;
    assert_eq!(ask(&mut other, 17, 1, b"\0\x05SCRAM").await[..2], [0, 33]);
}

/// The partition of `orders` that is asked for, of version 1: leader, replicas, in sync.
async fn partition(line: &mut Line, number: usize) -> (i32, Vec<i32>, Vec<i32>) {
    let answer = ask(line, 3, 1, b"\0\0\0\x01\0\x06orders").await;
    let after = answer.windows(8).position(|at| at == b"\0\x06orders").expect("its name") + 8;
    // Whether it is internal, then the partitions.
    assert_eq!((answer[after], int(&answer, after + 1)), (0, 6));
    let mut at = after + 5;
    loop {
        let (found, leader) = (int(&answer, at + 2), int(&answer, at + 6));
        at += 10;
        let mut lists = [vec![], vec![]];
        for list in &mut lists {
            let count = usize::try_from(int(&answer, at)).expect("a length");
            *list = (0..count).map(|nth| int(&answer, at + 4 + 4 * nth)).collect();
            at += 4 + 4 * count;
        }
        let [replicas, in_sync] = lists;
        if found == i32::try_from(number).expect("small") {
            return (leader, replicas, in_sync);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_is_in_sync_when_it_is_back() {
    let sim = running(Database::kafka_topology("kf"));
    let mut line = logged_in(&sim, "kf-broker-0").await;
    assert_eq!(partition(&mut line, 1).await, (1, vec![1, 2, 0], vec![1, 2, 0]));
    delete(&sim, "kf-broker-1");
    assert_eq!(partition(&mut line, 1).await, (2, vec![1, 2, 0], vec![2, 0]));
    assert_eq!(int(&ask(&mut line, 3, 1, &[0xff; 4]).await, 0), 2, "brokers");
    ready_again(&sim, "kf-broker-1").await;
    assert_eq!(int(&ask(&mut line, 3, 1, &[0xff; 4]).await, 0), 3, "registered, and not in sync");
    assert_eq!(partition(&mut line, 1).await.2, [2, 0]);
    sleep(SECOND).await;
    assert_eq!(partition(&mut line, 1).await.2, [1, 2, 0]);
    let slow = Trouble::SlowReplica { topic: "orders".into(), partition: 1, delay: 10 * SECOND };
    sim.databases().trouble(slow);
    assert_eq!(partition(&mut line, 1).await.2, [2, 0]);
    assert_eq!(partition(&mut line, 0).await.2, [0, 1, 2]);
    sleep(10 * SECOND).await;
    assert_eq!(partition(&mut line, 1).await.2, [1, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_quorum_is_told_by_any_broker() {
    let sim = running(Database::kafka_topology("kf"));
    let mut line = logged_in(&sim, "kf-broker-0").await;
    // __cluster_metadata, partition 0; each structure ends without tagged fields.
    let question = b"\0\x02\x13__cluster_metadata\x02\0\0\0\0\0\0\0";
    let answer = ask(&mut line, 55, 1, question).await;
    // The header's tags, the error, a topic, its name, a partition, its number, its error.
    let expected = b"\0\0\0\x02\x13__cluster_metadata\x02\0\0\0\0\0\0";
    assert_eq!(answer[..expected.len()], expected[..]);
    assert_eq!(int(&answer, expected.len()), 1000, "the leader");
    assert_eq!(int(&answer, expected.len() + 4), 1, "its epoch");
    // The high watermark, then the voters: one more than there are.
    assert_eq!(answer[expected.len() + 16], 4);
    for pod in ["kf-controller-0", "kf-controller-1"] {
        delete(&sim, pod);
    }
    let answer = ask(&mut line, 55, 1, question).await;
    assert_eq!(answer[expected.len() - 2..expected.len()], [0, 6], "not the leader");
    assert_eq!(int(&answer, expected.len()), -1);
}

#[tokio::test(start_paused = true)]
async fn the_effective_minimum_of_a_topic_is_told() {
    let sim = running(Database::kafka_topology("kf"));
    let mut line = logged_in(&sim, "kf-broker-2").await;
    let question = b"\0\0\0\x01\x02\0\x06orders\0\0\0\x01\0\x13min.insync.replicas\0";
    let answer = ask(&mut line, 32, 1, question).await;
    let mut expected = b"\0\0\0\0\0\0\0\x01\0\0\xff\xff\x02\0\x06orders\0\0\0\x01".to_vec();
    // Its name and value, whether it is read-only, its source, whether it is a secret, its synonyms.
    expected.extend_from_slice(b"\0\x13min.insync.replicas\0\x012\0\x01\0\0\0\0\0");
    assert_eq!(answer, expected);
}

/// A process of another cluster has another id, and knows brokers of its own only.
#[tokio::test(start_paused = true)]
async fn a_broker_names_its_cluster() {
    let sim = running(Database::kafka_topology("kf"));
    sim.databases().trouble(Trouble::OtherCluster { pods: "kf-broker-2".into() });
    let mut ids = Vec::new();
    for (pod, controller, brokers) in [("kf-broker-0", 0, 2), ("kf-broker-1", 0, 2), ("kf-broker-2", 2, 1)] {
        let mut line = logged_in(&sim, pod).await;
        // The header's tags, no authorized operations, no tags.
        let answer = ask(&mut line, 60, 0, b"\0\0\0").await;
        // The header's tags, no throttling, no error, no message, then the id of 22 letters.
        assert_eq!(answer[..9], [0, 0, 0, 0, 0, 0, 0, 0, 23], "{pod}");
        assert_eq!((int(&answer, 31), answer[35]), (controller, brokers + 1), "{pod}");
        ids.push(answer[9..31].to_vec());
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}

#[tokio::test(start_paused = true)]
async fn partitions_that_move_are_listed() {
    let sim = running(Database::kafka_topology("kf"));
    let mut line = logged_in(&sim, "kf-broker-0").await;
    // The header's tags, a timeout, all topics, no tags.
    let question = b"\0\0\0\x10\0\0\0";
    assert_eq!(ask(&mut line, 46, 0, question).await, b"\0\0\0\0\0\0\0\0\x01\0");
    sim.databases().trouble(Trouble::Reassigning { topic: "orders".into(), partition: 5 });
    let answer = ask(&mut line, 46, 0, question).await;
    let expected =
        b"\0\0\0\0\0\0\0\0\x02\x07orders\x02\0\0\0\x05\x04\0\0\0\x02\0\0\0\0\0\0\0\x01\x01\x01\0\0\0";
    assert_eq!(answer, expected);
}
