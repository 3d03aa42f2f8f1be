//! Hazelcast: the REST API of its members.

use serde_json::{Value, json};
use simcluster::world::catalog;
use simcluster::{DeleteOptions, Kind};
use tokio::time::sleep;

use super::*;

fn hazelcast() -> Database {
    Database::hazelcast("hz")
}

#[tokio::test(start_paused = true)]
async fn a_whole_cluster_may_be_restarted_and_its_oldest_member_leads() {
    let mut asked = Asked::new(hazelcast());
    let health = asked.health().await;
    assert_eq!((may_go(&health), back(&health)), ("yyy".to_owned(), "yyy".to_owned()), "{health:#?}");
    let master = asked.world.sim.databases().leader(NAMESPACE, "hz", "master").expect("somebody leads");
    let leaders: Vec<_> = health.members.iter().filter(|m| m.leader).map(|m| m.pod.clone()).collect();
    assert_eq!(leaders, [master]);
    assert!(health.members.iter().all(|m| m.state == "ACTIVE" && !m.version.is_empty()), "{health:#?}");
    assert_eq!(health.remarks, []);
}

#[tokio::test(start_paused = true)]
async fn whatever_a_member_does_instead_of_answering_nobody_goes() {
    misanswers(hazelcast, "hz-1").await;
}

#[tokio::test(start_paused = true)]
async fn what_one_member_sees_holds_all_of_them() {
    let pods = || "hz-1".to_owned();
    for (trouble, reason) in [
        (Trouble::Migrating { pods: pods() }, "migrations queued"),
        (Trouble::Island { pod: pods() }, "see different members"),
        (Trouble::OtherCluster { pods: pods() }, "see different members"),
    ] {
        let mut asked = Asked::new(hazelcast());
        asked.trouble(trouble.clone());
        let health = asked.health().await;
        assert_eq!(may_go(&health), "nnn", "{trouble:?}: {health:#?}");
        let why = health.members[0].may_go.why().join("; ");
        assert!(why.contains(reason), "{trouble:?}: {why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_between_questions() {
    let mut asked = Asked::new(hazelcast());
    for _ in 0..3 {
        asked.health().await;
    }
    assert_eq!(asked.connections(5701), 3, "one for each member");
}

/// Its pages are open to everybody, so that they tell as much to one who may not read its Secret.
#[tokio::test(start_paused = true)]
async fn it_is_asked_without_its_login_and_without_connections_where_those_are_forbidden() {
    let mut asked = Asked::new(hazelcast());
    asked.world.sim.access().deny("get", "", "secrets", "");
    assert_eq!(may_go(&asked.health().await), "yyy", "without the Secret");
    let mut asked = Asked::new(hazelcast());
    asked.world.sim.access().deny("get", "", "pods", "portforward");
    assert_eq!(may_go(&asked.health().await), "yyy", "by the proxy");
    asked.world.sim.access().deny("get", "", "pods", "proxy");
    let health = asked.health().await;
    assert_eq!(may_go(&health), "???");
    assert!(health.members[0].may_go.why()[0].contains("portforward"), "{health:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_version_that_rises_by_itself_is_awaited() {
    let mut asked = Asked::new(hazelcast());
    let left = asked.completion(None).await;
    assert!(left.complete(), "{left:#?}");
    assert_eq!(left.settled, ["all 3 members report 5.5.2", "the cluster version is 5.5"]);

    let store = asked.world.sim.store().clone();
    let mut newer = catalog::version(Kind::Hazelcast, "5.5.6").expect("the catalog has it");
    newer["metadata"]["name"] = json!("5.6.0");
    newer["spec"]["version"] = json!("5.6.0");
    newer["spec"]["db"]["image"] = json!("docker.io/hazelcast/hazelcast-enterprise:5.6.0");
    store.create(Kind::Hazelcast.version_resource(), newer).expect("a new name");
    let update = |database: &mut Value| database["spec"]["version"] = json!("5.6.0");
    store.update("hazelcasts.kubedb.com", NAMESPACE, "hz", update).expect("it is there");
    // The Provisioner writes its image into the template.
    sleep(Duration::from_secs(30)).await;
    for pod in ["hz-0", "hz-1", "hz-2"] {
        store.delete("pods", NAMESPACE, pod, DeleteOptions::default()).expect("it is there");
        while asked.health().await.member(pod).is_none_or(|member| member.version != "5.6.0") {
            sleep(Duration::from_millis(100)).await;
        }
    }
    let left = asked.completion(None).await;
    assert_eq!(left.obstacles, Vec::<String>::new());
    let awaited = |work: &Work| matches!(work, Work::Await { from, to, .. } if from == "5.5" && to == "5.6");
    assert!(left.steps.len() == 1 && awaited(&left.steps[0].work), "{left:#?}");
    sleep(Duration::from_secs(10)).await;
    assert!(asked.completion(None).await.complete());
}
