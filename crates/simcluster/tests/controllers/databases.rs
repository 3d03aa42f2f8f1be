//! The KubeDB operator.

use simcluster::Kind;
use simcluster::world::catalog;

use super::*;

fn zookeeper(change: impl FnOnce(&mut simcluster::Provisioner)) -> SimCluster {
    let mut behaviour = Behaviour::default();
    change(&mut behaviour.provisioner);
    running(behaviour, Database::zookeeper("zk"))
}

fn image(store: &Store) -> String {
    text(&get(store, PETSETS, "zk"), "/spec/template/spec/containers/0/image").to_owned()
}

fn set_version(store: &Store, version: &str) {
    store.update(ZOOKEEPERS, "default", "zk", |zk| zk["spec"]["version"] = json!(version)).unwrap();
}

fn image_of(version: &str) -> String {
    text(&catalog::version(Kind::ZooKeeper, version).unwrap(), "/spec/db/image").to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_acknowledged_and_keeps_the_templates() {
    let cluster = zookeeper(|_| {});
    let store = cluster.store();
    pause(store, ZOOKEEPERS, "zk");
    let took = until(store, "answered", || paused(store, ZOOKEEPERS, "zk") == "True").await;
    assert_eq!(took, Duration::from_millis(300));
    set_image(store, PETSETS, "zk", "example.com/other:1");
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(image(store), "example.com/other:1");
    assert_eq!(text(&get(store, ZOOKEEPERS, "zk"), "/status/phase"), "Ready");
    resume(store, ZOOKEEPERS, "zk");
    tokio::time::sleep(SECOND).await;
    assert_eq!(image(store), image_of("3.8.3"), "without the pause the old image is back");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_was_set_meanwhile_is_kept_on_resuming() {
    let cluster = zookeeper(|_| {});
    let store = cluster.store();
    pause(store, ZOOKEEPERS, "zk");
    until(store, "answered", || paused(store, ZOOKEEPERS, "zk") == "True").await;
    set_image(store, PETSETS, "zk", &image_of("3.9.1"));
    set_version(store, "3.9.1");
    resume(store, ZOOKEEPERS, "zk");
    let before = get(store, PETSETS, "zk")["spec"].clone();
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(get(store, PETSETS, "zk")["spec"], before);
}

#[tokio::test(start_paused = true)]
async fn pinning_again_makes_a_new_revision_without_a_restart() {
    let cluster = zookeeper(|operator| operator.pin_digests = true);
    let store = cluster.store();
    tokio::time::sleep(SECOND).await;
    assert!(image(store).starts_with(&format!("{}@sha256:", image_of("3.8.3"))));
    let pod = get(store, PODS, "zk-0");
    assert_ne!(
        update_revision(store, PETSETS, "zk"),
        text(&pod, "/metadata/labels/controller-revision-hash")
    );
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(uid(store, PODS, "zk-0"), text(&pod, "/metadata/uid"));
}

#[tokio::test(start_paused = true)]
async fn an_operator_may_answer_late_or_never() {
    let cluster = zookeeper(|operator| operator.acknowledge = Some(45 * SECOND));
    pause(cluster.store(), ZOOKEEPERS, "zk");
    let store = cluster.store();
    assert_eq!(until(store, "late", || paused(store, ZOOKEEPERS, "zk") == "True").await, 45 * SECOND);

    let cluster = zookeeper(|operator| operator.acknowledge = None);
    let store = cluster.store();
    pause(store, ZOOKEEPERS, "zk");
    tokio::time::sleep(3600 * SECOND).await;
    assert_eq!(paused(store, ZOOKEEPERS, "zk"), "Unknown");
    cluster.behaviour().change(|behaviour| behaviour.provisioner.acknowledge = Some(SECOND));
    until(store, "after all", || paused(store, ZOOKEEPERS, "zk") == "True").await;
}

#[tokio::test(start_paused = true)]
async fn a_fresh_pause_is_erased_as_often_as_told() {
    let cluster = zookeeper(|operator| operator.erase_pause = 1);
    let store = cluster.store();
    pause(store, ZOOKEEPERS, "zk");
    let took = until(store, "erased", || paused(store, ZOOKEEPERS, "zk").is_empty()).await;
    assert_eq!(took, Duration::from_millis(50));
    pause(store, ZOOKEEPERS, "zk");
    until(store, "answered", || paused(store, ZOOKEEPERS, "zk") == "True").await;
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(paused(store, ZOOKEEPERS, "zk"), "True");
}

#[tokio::test(start_paused = true)]
async fn a_removed_pause_is_brought_back_as_often_as_told() {
    let cluster = zookeeper(|operator| operator.restore_pause = 1);
    let store = cluster.store();
    pause(store, ZOOKEEPERS, "zk");
    until(store, "answered", || paused(store, ZOOKEEPERS, "zk") == "True").await;
    resume(store, ZOOKEEPERS, "zk");
    until(store, "back", || paused(store, ZOOKEEPERS, "zk") == "True").await;
    resume(store, ZOOKEEPERS, "zk");
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(paused(store, ZOOKEEPERS, "zk"), "");
}

#[tokio::test(start_paused = true)]
async fn an_ops_request_that_ends_lifts_any_pause() {
    let cluster = zookeeper(|_| {});
    let store = cluster.store();
    let res = Kind::ZooKeeper.ops_resource();
    let request =
        json!({"metadata": {"name": "ops"}, "spec": {"type": "Restart", "databaseRef": {"name": "zk"}}});
    store.create(res, request).unwrap();
    pause(store, ZOOKEEPERS, "zk");
    for (phase, left) in [("Progressing", "True"), ("Failed", "")] {
        store
            .update_status(res, "default", "ops", |request| request["status"] = json!({"phase": phase}))
            .unwrap();
        tokio::time::sleep(SECOND).await;
        assert_eq!(paused(store, ZOOKEEPERS, "zk"), left, "{phase}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_phase_follows_the_pods_at_the_pace_of_the_health_check() {
    let behaviour = Behaviour { start_up: 30 * SECOND, ..Behaviour::default() };
    let cluster = running(behaviour, Database::zookeeper("zk"));
    let store = cluster.store();
    let phase = || text(&get(store, ZOOKEEPERS, "zk"), "/status/phase").to_owned();
    tokio::time::sleep(3 * SECOND).await;
    delete(store, PODS, "zk-1");
    let took = until(store, "critical", || phase() == "Critical").await;
    assert_eq!(took, 7 * SECOND, "the check comes every ten seconds");
    assert!(!holds(&get(store, ZOOKEEPERS, "zk"), "ReplicaReady"));
    delete(store, PODS, "zk-0");
    delete(store, PODS, "zk-2");
    until(store, "not ready", || phase() == "NotReady").await;
    until(store, "ready", || phase() == "Ready").await;
}

#[tokio::test(start_paused = true)]
async fn a_new_database_is_provisioned_from_its_spec() {
    let cluster = SimCluster::new(Behaviour::default());
    let store = cluster.store();
    catalog::install(store);
    simcluster::world::install_nodes(store);
    cluster.start();
    let topology = json!({"controller": {"replicas": 3}, "broker": {"replicas": 5}});
    let spec = json!({"version": "4.0.0", "topology": topology, "cruiseControl": {}});
    store.create(KAFKAS, json!({"metadata": {"name": "kf", "namespace": "default"}, "spec": spec})).unwrap();
    until(store, "ready", || text(&get(store, KAFKAS, "kf"), "/status/phase") == "Ready").await;
    assert!(is_ready(store, "kf-broker-4"));
    assert_eq!(number(&get(store, BUDGETS, "kf-broker"), "/spec/maxUnavailable"), 2);
    let pod = get(store, PODS, "kf-controller-0");
    assert_eq!(text(&pod, "/spec/initContainers/0/name"), "kafka-init");
    assert!(holds(&get(store, KAFKAS, "kf"), "Provisioned"));
    let mut changes = store.subscribe();
    store.update(KAFKAS, "default", "kf", |kf| kf["spec"]["halted"] = json!(true)).unwrap();
    until(store, "halted", || text(&get(store, KAFKAS, "kf"), "/status/phase") == "Halted").await;
    assert_eq!(store.list(PETSETS, None).len() + store.list(BUDGETS, None).len(), 0);
    assert!(changes.try_next().is_some());
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_is_away_does_nothing() {
    let cluster = zookeeper(|operator| operator.alive = false);
    let store = cluster.store();
    pause(store, ZOOKEEPERS, "zk");
    set_version(store, "3.9.1");
    delete(store, PODS, "zk-0");
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!((paused(store, ZOOKEEPERS, "zk").as_str(), image(store)), ("Unknown", image_of("3.8.3")));
    cluster.behaviour().change(|behaviour| behaviour.provisioner.alive = true);
    until(store, "back", || paused(store, ZOOKEEPERS, "zk") == "True").await;
}
