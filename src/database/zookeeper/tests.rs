use tokio::io::duplex;

use super::*;

/// Lines of what ZooKeeper 3.9.1 and 3.8.3 sent, in an ensemble of three.
const LEADER: &str = "zk_version\t3.9.1-40487256d9b9f274484798758699e49c26d91cda, built on 2023-10-02 15:06 UTC\n\
    zk_server_state\tleader\nzk_peer_state\tleading - broadcast\nzk_avg_latency\t0.0\nzk_synced_followers\t2\n\
    zk_synced_non_voting_followers\t0\nzk_pending_syncs\t0\nzk_leader_uptime\t1104\nzk_quorum_size\t3\n";
const FOLLOWER: &str = "zk_version\t3.8.3-6ad6d364c7c0bcf0de452d54ebefa3058098ab56, built on 2023-10-05 10:34 UTC\n\
    zk_server_state\tfollower\nzk_peer_state\tfollowing - broadcast\nzk_avg_latency\t0.0\nzk_quorum_size\t3\n";
const PAGE: &str = r#"{"version" : "3.9.1-40487256d9b9f274484798758699e49c26d91cda, built on 2023-10-02 15:06 UTC",
    "server_state" : "leader", "peer_state" : "leading - broadcast", "avg_latency" : 0.0, "synced_followers" : 2,
    "pending_syncs" : 0, "quorum_size" : 3, "command" : "monitor", "error" : null}"#;

fn leader() -> Pod {
    Pod::Serving(Monitor {
        version: "3.9.1".into(),
        server_state: "leader".into(),
        peer_state: "leading - broadcast".into(),
        quorum_size: Some(3),
        synced_followers: Some(2),
        pending_syncs: Some(0),
    })
}

fn follower() -> Pod {
    Pod::Serving(Monitor {
        version: "3.8.3".into(),
        server_state: "follower".into(),
        peer_state: "following - broadcast".into(),
        quorum_size: Some(3),
        synced_followers: None,
        pending_syncs: None,
    })
}

#[test]
fn a_server_is_understood_by_either_way() {
    assert_eq!(from_words(LEADER.as_bytes()), Ok(leader()));
    assert_eq!(from_words(FOLLOWER.as_bytes()), Ok(follower()));
    assert_eq!(from_words(format!("{NOT_SERVING}\n").as_bytes()), Ok(Pod::NotServing));
    assert_eq!(from_page(PAGE.as_bytes()), Ok(leader()));
}

#[test]
fn what_is_no_answer_is_not_taken_for_one() {
    let cut = LEADER.trim_end();
    let words = ["", "\n", "imok", "HTTP/1.1 400 Bad Request\r\n", cut, "zk_version\t3.9.1\n", "\u{1b}[2J\n"];
    for answer in words {
        let refused = from_words(answer.as_bytes()).expect_err(answer);
        assert_eq!(refused.obstacle, Obstacle::Unintelligible, "{answer}");
        assert!(!refused.message.contains('\u{1b}'), "{refused:?}");
    }
    for page in ["", "<html>", "[]", "{}", r#"{"version": "3.9.1", "error": null}"#] {
        assert_eq!(from_page(page.as_bytes()).expect_err(page).obstacle, Obstacle::Unintelligible, "{page}");
    }
}

#[tokio::test]
async fn a_server_is_sent_one_command_and_heard_to_its_end() {
    let (mut ours, mut theirs) = duplex(64);
    let server = async {
        let mut command = [0; 4];
        theirs.read_exact(&mut command).await.expect("a command comes");
        theirs.write_all(FOLLOWER.as_bytes()).await.expect("it is read");
        drop(theirs);
        command
    };
    let (command, answer) = tokio::join!(server, mntr(&mut ours));
    assert_eq!((&command, answer), (b"mntr", Ok(follower())));
}

/// Beyond what matters nothing is waited for, and short of it everything is.
#[tokio::test]
async fn an_answer_is_heard_until_it_says_everything() {
    for (said, expected) in [(LEADER, leader()), (FOLLOWER, follower())] {
        let (mut ours, mut theirs) = duplex(64);
        let server = async {
            // The connection stays open behind it.
            theirs.write_all(said.as_bytes()).await.expect("it is read");
        };
        assert_eq!(tokio::join!(server, mntr(&mut ours)).1, Ok(expected));
        let shorter = said.trim_end().rsplit_once('\n').expect("it has lines").0;
        assert!(!says_everything(format!("{shorter}\n").as_bytes()), "{shorter}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_or_too_much_is_not_believed() {
    let (mut ours, theirs) = duplex(64);
    drop(theirs);
    assert_eq!(mntr(&mut ours).await.map_err(|e| e.obstacle), Err(Obstacle::Unreachable));

    let (mut ours, mut theirs) = duplex(64 * 1024);
    let server = async move {
        let (line, mut sent) = ([b'\n'; 1024], 0);
        while theirs.write_all(&line).await.is_ok() {
            sent += line.len() as u64;
        }
        sent
    };
    let client = async move { mntr(&mut ours).await.map_err(|e| e.obstacle) };
    let (sent, answer) = tokio::join!(server, client);
    assert_eq!(answer, Err(Obstacle::Unintelligible));
    assert!(sent < 2 * LARGEST, "{sent} bytes were taken");
}
