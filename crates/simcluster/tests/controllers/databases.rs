//! The KubeDB operator.

use simcluster::world::{Strategy, catalog};
use simcluster::{Kind, Render};

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

/// The images of a Kafka's controllers and brokers.
fn kafka_images(store: &Store) -> [String; 2] {
    ["kf-controller", "kf-broker"].map(|set| {
        let set = get(store, PETSETS, set);
        let image = text(&set, "/spec/template/spec/containers/0/image");
        image.rsplit(':').next().unwrap_or_default().to_owned()
    })
}

#[tokio::test(start_paused = true)]
async fn an_operator_may_render_one_workload_after_another() {
    let mut behaviour = Behaviour::default();
    behaviour.provisioner.render = Render::Slowly(30 * SECOND);
    let cluster = running(behaviour, Database::kafka_topology("kf").version("3.9.0").cruise_control());
    let store = cluster.store();
    tokio::time::sleep(60 * SECOND).await;
    let rendered = |images: [&str; 2]| kafka_images(store) == images;
    let set = |version: &str| {
        store.update(KAFKAS, "default", "kf", |kf| kf["spec"]["version"] = json!(version)).unwrap();
    };
    set("4.0.0");
    let first = until(store, "the controllers", || rendered(["4.0.0", "3.9.0"])).await;
    assert_eq!(first, Duration::from_millis(150));
    assert_eq!(until(store, "the brokers", || rendered(["4.0.0", "4.0.0"])).await, 30 * SECOND);
    let cruise_control = || {
        let deployment = get(store, "deployments.apps", "kf-cruise-control");
        text(&deployment, "/spec/template/spec/containers/0/image").ends_with(":4.0.0")
    };
    assert!(!cruise_control());
    assert_eq!(until(store, "cruise control", cruise_control).await, 30 * SECOND);
    tokio::time::sleep(60 * SECOND).await;
    set("3.9.0");
    until(store, "the controllers", || rendered(["3.9.0", "4.0.0"])).await;
    pause(store, KAFKAS, "kf");
    tokio::time::sleep(600 * SECOND).await;
    assert!(rendered(["3.9.0", "4.0.0"]), "a pause leaves it half rendered");
    resume(store, KAFKAS, "kf");
    until(store, "the rest", || rendered(["3.9.0", "3.9.0"])).await;
}

#[tokio::test(start_paused = true)]
async fn an_operator_may_fail_to_render() {
    let cluster = zookeeper(|operator| operator.render = Render::Fails("no such init container".to_owned()));
    let store = cluster.store();
    tokio::time::sleep(60 * SECOND).await;
    let failed = || condition(&get(store, ZOOKEEPERS, "zk"), "ReconcileFailed");
    assert_eq!(failed(), None, "nothing is to be rendered");
    set_version(store, "3.9.1");
    until(store, "failed", || failed().is_some()).await;
    tokio::time::sleep(600 * SECOND).await;
    let says = failed().unwrap();
    assert_eq!((text(&says, "/status"), text(&says, "/message")), ("True", "no such init container"));
    let event =
        store.list("events", None).into_iter().find(|event| text(event, "/reason") == "ReconcileFailed");
    let event = event.expect("an Event");
    assert_eq!((text(&event, "/type"), text(&event, "/message")), ("Warning", "no such init container"));
    assert_eq!(event["involvedObject"]["uid"], json!(uid(store, ZOOKEEPERS, "zk")));
    assert_eq!(image(store), image_of("3.8.3"));
    cluster.behaviour().change(|behaviour| behaviour.provisioner.render = Render::AtOnce);
    until(store, "rendered", || image(store) == image_of("3.9.1")).await;
    until(store, "well", || failed().is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_rolling_update_brings_a_new_version_to_the_pods_by_itself() {
    let databases = [
        (Kind::ZooKeeper, Database::zookeeper("db"), "3.9.1"),
        (Kind::Hazelcast, Database::hazelcast("db"), "5.5.6"),
    ];
    for (kind, database, version) in databases {
        let database = database.strategy(Strategy::RollingUpdate { partition: 0 });
        let cluster = running(Behaviour::default(), database);
        let store = cluster.store();
        let mut changes = store.subscribe();
        let change = |database: &mut Value| database["spec"]["version"] = json!(version);
        store.update(kind.resource(), "default", "db", change).unwrap();
        tokio::time::sleep(60 * SECOND).await;
        let mut created = Vec::new();
        while let Some(change) = changes.try_next() {
            if change.res == PODS && change.previous.is_none() {
                created.push(change.name.clone());
            }
        }
        assert_eq!(created, ["db-2", "db-1", "db-0"]);
        let wanted = catalog::version(kind, version).unwrap();
        for pod in created {
            assert!(is_ready(store, &pod));
            let pod = get(store, PODS, &pod);
            assert_eq!(text(&pod, "/spec/containers/0/image"), text(&wanted, "/spec/db/image"));
        }
    }
}
