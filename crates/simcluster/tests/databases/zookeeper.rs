//! What a ZooKeeper server says.

use simcluster::Trouble;

use super::line::{got, told};
use super::*;

/// The values of `mntr` for some keys, `-` where it has none.
async fn mntr(sim: &SimCluster, pod: &str, keys: &[&str]) -> Vec<String> {
    let said = told(sim, pod, 2181, b"mntr").await.expect("it listens");
    let value = |key: &&str| {
        let line = said.lines().find_map(|line| line.strip_prefix(&format!("{key}\t")));
        line.unwrap_or("-").to_owned()
    };
    keys.iter().map(value).collect()
}

const KEYS: [&str; 5] =
    ["zk_server_state", "zk_peer_state", "zk_quorum_size", "zk_synced_followers", "zk_pending_syncs"];

#[tokio::test(start_paused = true)]
async fn only_the_leader_counts_its_followers() {
    let sim = running(Database::zookeeper("zk"));
    assert_eq!(mntr(&sim, "zk-0", &KEYS).await, ["follower", "following - broadcast", "3", "-", "-"]);
    assert_eq!(mntr(&sim, "zk-1", &KEYS).await, ["leader", "leading - broadcast", "3", "2", "0"]);
    delete(&sim, "zk-0");
    assert_eq!(mntr(&sim, "zk-1", &KEYS).await[3..], ["1", "0"]);
    ready_again(&sim, "zk-0").await;
    assert_eq!(mntr(&sim, "zk-1", &KEYS).await[3..], ["1", "1"]);
}

/// Whoever runs says that it is ok; its state it tells in a quorum only.
#[tokio::test(start_paused = true)]
async fn a_server_outside_a_quorum_serves_nobody() {
    let sim = running(Database::zookeeper("zk"));
    for pod in ["zk-0", "zk-1"] {
        delete(&sim, pod);
    }
    let not_serving = "This ZooKeeper instance is not currently serving requests\n";
    assert_eq!(told(&sim, "zk-0", 2181, b"ruok").await, None, "its process is gone");
    let ask = |word: &'static [u8]| told(&sim, "zk-2", 2181, word);
    // All at once: a forwarded connection ends a second after that of the pod, and the others come back.
    let said = tokio::join!(ask(b"ruok"), ask(b"mntr"), ask(b"srvr"), ask(b"none"));
    let some = |answer: &str| Some(answer.to_owned());
    assert_eq!(said, (some("imok"), some(not_serving), some(not_serving), some("")));
    let (code, body) = got(&sim, "zk-2", 8080, "/commands/monitor").await;
    assert_eq!((code, body["error"].as_str()), (200, Some(not_serving.trim_end())));
}

#[tokio::test(start_paused = true)]
async fn the_admin_server_names_the_leader() {
    let sim = running(Database::zookeeper("zk"));
    let srvr = told(&sim, "zk-1", 2181, b"srvr").await.expect("it listens");
    assert!(srvr.starts_with("Zookeeper version: 3.8.3-") && srvr.contains("\nMode: leader\n"), "{srvr}");
    for (pod, leads) in [("zk-0", false), ("zk-1", true)] {
        let (_, body) = got(&sim, pod, 8080, "/commands/leader").await;
        assert_eq!((&body["is_leader"], &body["leader_id"]), (&leads.into(), &2.into()), "{pod}");
    }
    let (_, body) = got(&sim, "zk-1", 8080, "/commands/monitor").await;
    assert_eq!((&body["server_state"], &body["synced_followers"]), (&"leader".into(), &2.into()));
    assert_eq!(got(&sim, "zk-1", 8080, "/commands/none").await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn two_servers_may_say_that_they_lead() {
    let sim = running(Database::zookeeper("zk"));
    sim.databases().trouble(Trouble::ClaimsToLead { pods: "zk-2".into() });
    for pod in ["zk-1", "zk-2"] {
        assert_eq!(mntr(&sim, pod, &KEYS[..1]).await, ["leader"], "{pod}");
    }
}
