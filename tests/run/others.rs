//! Somebody else changes things while a run is on its way.

use std::sync::atomic::{AtomicBool, Ordering};

use kubectl_dbupdate::engine::RunOptions;
use kubectl_dbupdate::event::{Event, Outcome, WaitingOn};
use kubectl_dbupdate::model::Check;
use kubectl_dbupdate::plan::update;
use serde_json::{Value, json};
use simcluster::world::{Database, Strategy};
use simcluster::{Ailment, Behaviour, DeleteOptions, Effect, Fault, PodRule, RecordedRequest, object};

use crate::common::changes::sent;
use crate::common::invariants::Invariants;
use crate::common::{Ended, NAMESPACE, Running, WORKLOADS, World, request, secs};

const PETSETS: &str = WORKLOADS[0];

/// Lets something happen while the first pod is on its way. Nothing may be written after it.
async fn stopped_by(world: &World, change: impl FnOnce(&World)) -> Ended {
    let mut run = world.start().await;
    run.evicted("db-0").await;
    let before = world.sent();
    change(world);
    let ended = run.end().await;
    assert_eq!(world.sent(), before, "something was written after it");
    ended
}

/// Lets something happen while the first pod is on its way. The run copes with it.
async fn copes_with(world: &World, change: impl FnOnce(&World)) -> Ended {
    let mut run = world.start().await;
    run.evicted("db-0").await;
    change(world);
    let ended = run.end().await;
    ended.done();
    world.is_updated();
    ended
}

fn delete(world: &World, res: &str, name: &str) {
    world.store().delete(res, NAMESPACE, name, DeleteOptions::default()).unwrap();
}

fn scale(world: &World, replicas: i64) {
    let change = |set: &mut Value| set["spec"]["replicas"] = json!(replicas);
    world.store().update(PETSETS, NAMESPACE, "db", change).unwrap();
}

fn ops_request(world: &World) {
    let request = json!({
        "metadata": { "name": "restart-1", "namespace": NAMESPACE },
        "spec": { "type": "Restart", "databaseRef": { "name": "db" } },
    });
    world.store().create("zookeeperopsrequests.ops.kubedb.com", request).unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_ops_request_stops_the_run() {
    let world = World::new(Database::zookeeper("db"));
    let ended = stopped_by(&world, ops_request).await;
    ended.ended(Outcome::SomebodyElse, 5, true, true).says(&["restart-1", "Restart"]);
    ended.says(&["kubectl describe zookeeperopsrequests restart-1 -n default"]);
    world.no_lease();
    delete(&world, "zookeeperopsrequests.ops.kubedb.com", "restart-1");
    world.goes_on().await;
}

/// Before anything is changed, our own pause is taken back.
#[tokio::test(start_paused = true)]
async fn an_ops_request_while_the_operator_is_asked_changes_nothing() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.event("asked", |e| matches!(e, Event::PauseRequested { .. })).await;
    ops_request(&world);
    let ended = run.end().await;
    ended.ended(Outcome::SomebodyElse, 5, false, false).says(&["restart-1", "nothing was changed"]);
    assert_eq!(world.sent(), ["pause", "resume"]);
    assert_eq!(world.paused(), None);
    world.no_lease();
}

#[tokio::test(start_paused = true)]
async fn an_ops_request_of_another_database_stops_nothing() {
    let world = World::new(Database::zookeeper("db"));
    let other = |world: &World| {
        let request = json!({
            "metadata": { "name": "restart-1", "namespace": NAMESPACE },
            "spec": { "type": "Restart", "databaseRef": { "name": "another" } },
        });
        world.store().create("zookeeperopsrequests.ops.kubedb.com", request).unwrap();
    };
    copes_with(&world, other).await;
}

#[tokio::test(start_paused = true)]
async fn a_template_that_somebody_changes_stops_the_run() {
    let world = World::new(Database::zookeeper("db"));
    let change = |set: &mut Value| {
        set["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{ "name": "A", "value": "b" }]);
    };
    let ended = stopped_by(&world, |world| {
        world.store().update(PETSETS, NAMESPACE, "db", change).unwrap();
    })
    .await;
    ended.ended(Outcome::SomebodyElse, 5, true, true).says(&["template of petset/db"]);
    world.no_lease();
    world.goes_on().await;
}

/// The template of a workload whose turn has not come yet.
#[tokio::test(start_paused = true)]
async fn a_later_workload_whose_images_somebody_changes_stops_the_run() {
    let world = World::new(Database::kafka_topology("db"));
    let mut run = world.start().await;
    run.evicted("db-controller-0").await;
    let before = world.sent();
    let change = |set: &mut Value| {
        set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("example.com/kafka:1");
    };
    world.store().update(PETSETS, NAMESPACE, "db-broker", change).unwrap();
    let ended = run.end().await;
    ended.ended(Outcome::SomebodyElse, 5, true, true).says(&["petset/db-broker"]);
    assert_eq!(world.sent(), before);
}

/// The operator must not be resumed then: it would render the old templates.
#[tokio::test(start_paused = true)]
async fn a_version_that_somebody_sets_back_stops_the_run() {
    for (after, paused) in [("version 3.9.1", true), ("resume", false)] {
        let world = World::new(Database::zookeeper("db"));
        let (store, res, done) = (world.store().clone(), world.res(), AtomicBool::new(false));
        world.sim.on_request(move |request| {
            if sent(request).is_some_and(|sent| sent == after) && !done.swap(true, Ordering::Relaxed) {
                let back = |db: &mut Value| db["spec"]["version"] = json!("3.8.3");
                store.update(&res, NAMESPACE, "db", back).unwrap();
            }
        });
        let ended = world.update().await;
        let said = "spec.version of the database is 3.8.3 instead of 3.9.1";
        ended.ended(Outcome::SomebodyElse, 5, true, paused).says(&[said]);
        world.no_lease();
        world.goes_on().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_deleted_ends_the_run() {
    let world = World::new(Database::zookeeper("db"));
    let ended = stopped_by(&world, |world| delete(world, &world.res(), "db")).await;
    assert_eq!(
        (ended.finish.outcome, ended.finish.exit_code),
        (Outcome::Failed, 4),
        "{}",
        ended.finish.error
    );
    ended.says(&["has been deleted", "was deleted or replaced"]);
    assert_eq!(ended.finish.next, Vec::<String>::new(), "nothing is left to resume");
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_recreated_is_left_alone() {
    let world = World::new(Database::zookeeper("db"));
    let ended = stopped_by(&world, |world| {
        let mut another = (*world.database()).clone();
        delete(world, &world.res(), "db");
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
            another["metadata"].as_object_mut().unwrap().remove(field);
        }
        another["status"] = Value::Null;
        world.store().create(&world.res(), another).unwrap();
    })
    .await;
    assert_eq!((ended.finish.exit_code, ended.finish.changed), (5, true), "{}", ended.finish.error);
    ended.says(&["recreated"]);
    assert_eq!(world.paused(), None);
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_is_deleted_ends_the_run() {
    let world = World::new(Database::zookeeper("db"));
    let ended = stopped_by(&world, |world| delete(world, PETSETS, "db")).await;
    ended.ended(Outcome::Failed, 4, true, true).says(&["petset/db is gone"]);
    world.no_lease();
}

#[tokio::test(start_paused = true)]
async fn a_workload_may_be_scaled_up() {
    let world = World::new(Database::zookeeper("db"));
    copes_with(&world, |world| scale(world, 5)).await;
    assert_eq!(world.evictions().keys().collect::<Vec<_>>(), ["db-0", "db-1", "db-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_workload_may_be_scaled_down() {
    let world = World::new(Database::zookeeper("db"));
    let mut guard = world.guard();
    copes_with(&world, |world| scale(world, 2)).await;
    // The pod that is given up and the one that is restarted.
    assert!(guard.most_away() <= 2);
    assert!(world.evictions().values().all(|times| *times == 1), "{:?}", world.evictions());
}

/// A pod that somebody drains comes back on the new template by itself, and the run waits for both.
#[tokio::test(start_paused = true)]
async fn a_pod_that_somebody_drains_is_waited_for() {
    let world = World::new(Database::zookeeper("db").no_budget());
    let ended = copes_with(&world, |world| delete(world, "pods", "db-2")).await;
    assert_eq!(world.evictions().keys().collect::<Vec<_>>(), ["db-0", "db-1"]);
    assert!(ended.evicted_at("db-1") > ended.ready_at("db-0"));
}

/// Somebody takes a label off a pod that has just come back: its controller releases it, and can neither use it nor make
/// another of its name. `own` is what then stands for its owner.
fn release(world: &World, pod: &str, own: &Value, database_label: bool) {
    let change = |pod: &mut Value| {
        pod["metadata"]["ownerReferences"] = own.clone();
        // A pod that its controller still selects would be adopted again.
        let labels = pod["metadata"]["labels"].as_object_mut().unwrap();
        labels.remove("app.kubernetes.io/managed-by");
        if !database_label {
            labels.remove("app.kubernetes.io/instance");
        }
    };
    world.store().update("pods", NAMESPACE, pod, change).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_its_controller_has_released_stops_the_run() {
    let other = json!([{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "x", "uid": "x", "controller": true }]);
    for (own, labelled) in [(json!([]), true), (json!([]), false), (other.clone(), true), (other, false)] {
        let world = World::new(Database::zookeeper("db"));
        let owners = world.pod("db-0")["metadata"]["ownerReferences"].clone();
        let mut run = world.start().await;
        run.ready("db-0").await;
        release(&world, "db-0", &own, labelled);
        let ended = run.end().await;
        ended.ended(Outcome::SomebodyElse, 5, true, true);
        ended.says(&["pod db-0 no longer belongs to petset/db", "another user or controller", "resume"]);
        ended.says(&["kubectl describe pod db-0 -n default", "kubectl dbupdate resume"]);
        assert!(ended.took() < secs(300), "{own} {labelled}: {:?}", ended.took());
        assert!(ended.records.len() < 200, "{own} {labelled}: {} events", ended.records.len());
        world.no_lease();
        // The same again is stopped again, and once the pod is back everything is.
        let again = world.launch(world.options("again")).await.end().await;
        assert_eq!(again.finish.exit_code, 5, "{}", again.finish.error);
        let back = |pod: &mut Value| {
            pod["metadata"]["ownerReferences"] = owners.clone();
            pod["metadata"]["labels"]["app.kubernetes.io/instance"] = json!("db");
            pod["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("kubedb.com");
        };
        world.store().update("pods", NAMESPACE, "db-0", back).unwrap();
        world.goes_on().await;
    }
}

/// Whoever follows the advice and deletes the pod may have to wait for it: that has an end as well.
#[tokio::test(start_paused = true)]
async fn a_released_pod_that_does_not_go_away_is_not_waited_for_without_end() {
    for labelled in [true, false] {
        let world = World::new(Database::zookeeper("db"));
        let mut run = world.start().await;
        run.ready("db-0").await;
        release(&world, "db-0", &json!([]), labelled);
        run.end().await.ended(Outcome::SomebodyElse, 5, true, true);
        let keep = |pod: &mut Value| pod["metadata"]["finalizers"] = json!(["example.com/keep"]);
        world.store().update("pods", NAMESPACE, "db-0", keep).unwrap();
        world.store().delete("pods", NAMESPACE, "db-0", DeleteOptions::now()).unwrap();
        let again = world.launch(world.options("again")).await.end().await;
        again.ended(Outcome::Failed, 4, false, true).says(&["db-0"]);
        assert!(again.took() < secs(1400), "{labelled}: {:?}", again.took());
        assert!(
            again.records.iter().any(|r| matches!(&r.event, Event::PodWaiting { pod, .. } if pod == "db-0"))
        );
    }
}

/// A pod of a later workload that is broken on the old image is restarted first, and waited for where it belongs.
#[tokio::test(start_paused = true)]
async fn a_broken_pod_of_a_later_workload_is_restarted_first() {
    let broken = PodRule::new(Ailment::NeverReady).name("db-broker-1").image("*:3.5.2*");
    let world = World::behaving(Behaviour::default().with(broken), Database::kafka_topology("db"));
    world.store().delete("pods", NAMESPACE, "db-broker-1", DeleteOptions::now()).unwrap();
    world.until("it is back, and broken", || world.pods().len() == 6).await;
    let skip = |options: &mut RunOptions| options.skip.extend([Check::PodNotReady, Check::Phase]);
    let ended = world.start_with(skip).await.end().await;
    ended.done();
    assert!(ended.evicted_at("db-broker-1") < ended.evicted_at("db-controller-0"));
    assert!(ended.ready_at("db-broker-1") <= ended.evicted_at("db-controller-0"));
    assert!(world.evictions().values().all(|times| *times == 1), "{:?}", world.evictions());
}

/// While it is on its way, or before its turn has come.
#[tokio::test(start_paused = true)]
async fn a_pod_may_be_released_at_any_moment() {
    for (pod, labelled) in [("db-0", true), ("db-0", false), ("db-2", true), ("db-2", false)] {
        let world = World::new(Database::zookeeper("db"));
        let mut run = world.start().await;
        run.evicted("db-0").await;
        world.until("it is there", || world.pods().len() == 3 && world.old_pods().len() == 2).await;
        release(&world, pod, &json!([]), labelled);
        let ended = run.end().await;
        ended.ended(Outcome::SomebodyElse, 5, true, true).says(&[pod, "no longer belongs to petset/db"]);
        assert!(ended.records.len() < 200, "{pod} {labelled}: {} events", ended.records.len());
    }
}

/// A workload that rolls by itself never comes to an end without its pod.
#[tokio::test(start_paused = true)]
async fn a_released_pod_of_a_workload_that_rolls_by_itself_stops_the_run() {
    let database = Database::zookeeper("db").strategy(Strategy::RollingUpdate { partition: 0 });
    let world = World::new(database);
    let mut run = world.start().await;
    run.event("asked", |e| matches!(e, Event::PauseRequested { .. })).await;
    world.until("it has begun", || world.old_pods().len() < 3).await;
    release(&world, "db-0", &json!([]), true);
    let ended = run.end().await;
    ended.ended(Outcome::SomebodyElse, 5, true, true).says(&["db-0", "no longer belongs to petset/db"]);
}

/// A drained pod of another workload holds the next eviction.
#[tokio::test(start_paused = true)]
async fn a_drained_pod_of_another_workload_is_waited_for() {
    let slow = PodRule::new(Ailment::SlowStart(secs(30))).name("db-broker-2");
    let world = World::behaving(Behaviour::default().with(slow), Database::kafka_topology("db"));
    let mut run = world.start().await;
    run.evicted("db-controller-0").await;
    delete(&world, "pods", "db-broker-2");
    let held = |e: &Event| matches!(e, Event::PodWaiting { on: WaitingOn::OtherPod { pod, .. }, .. } if pod == "db-broker-2");
    run.event("a controller is held by the broker", held).await;
    run.end().await.done();
    world.is_updated();
    assert!(!world.evictions().contains_key("db-broker-2"));
}

/// A database that reports this of itself, with nobody who would correct it.
fn reports(world: &World, phase: &str, accepting: &str) {
    world.sim.behaviour().change(|b| b.provisioner.alive = false);
    world.change_status(|db| {
        db["status"]["phase"] = json!(phase);
        for condition in db["status"]["conditions"].as_array_mut().unwrap() {
            if condition["type"] == "AcceptingConnection" {
                condition["status"] = json!(accepting);
            }
        }
    });
}

fn on_health(event: &Event) -> bool {
    matches!(event, Event::PodWaiting { on: WaitingOn::DatabaseHealth { .. }, .. })
}

#[tokio::test(start_paused = true)]
async fn a_database_that_reports_ill_health_holds_the_next_eviction() {
    for (phase, accepting, words) in
        [("NotReady", "True", "NotReady"), ("Ready", "False", "AcceptingConnection")]
    {
        let world = World::new(Database::zookeeper("db"));
        let mut run = world.start_with(|o| o.bounds.pod_timeout = secs(100)).await;
        run.evicted("db-0").await;
        reports(&world, phase, accepting);
        run.event("it is held", on_health).await;
        let before = world.sent();
        let ended = run.end().await;
        ended.ended(Outcome::Failed, 4, true, true).says(&["the database reports", words]);
        assert_eq!(world.sent(), before);
        let took = ended.took() - ended.ready_at("db-0");
        assert!((secs(100)..secs(102)).contains(&took), "{took:?}");
        reports(&world, "Ready", "True");
        world.sim.behaviour().change(|b| b.provisioner.alive = true);
        world.goes_on().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_database_that_recovers_holds_no_longer() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.evicted("db-0").await;
    reports(&world, "NotReady", "False");
    run.event("it is held", on_health).await;
    tokio::time::sleep(secs(60)).await;
    reports(&world, "Ready", "True");
    run.end().await.done();
}

#[tokio::test(start_paused = true)]
async fn ill_health_can_be_overridden() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start_with(|o| o.skip = [Check::DatabaseHealth].into()).await;
    run.evicted("db-0").await;
    reports(&world, "NotReady", "False");
    let ended = run.end().await;
    // It is updated all the same, and KubeDB still says that it is ill.
    ended.ended(Outcome::NotReady, 6, true, false).says(&["its phase is NotReady"]);
    assert!(!ended.has(on_health));
    assert!(world.pods().iter().all(|p| !object::is_terminating(p)));
}

/// While the pods cannot be watched they are read before each eviction.
#[tokio::test(start_paused = true)]
async fn a_pod_that_is_drained_while_nobody_can_watch_is_waited_for() {
    let slow = PodRule::new(Ailment::SlowStart(secs(30))).name("db-2");
    let world = World::behaving(Behaviour::default().with(slow), Database::zookeeper("db").no_budget());
    let invariants = Invariants::watch(&world);
    let mut run = world.start().await;
    run.event("asked", |e| matches!(e, Event::PauseRequested { .. })).await;
    let blind = |r: &RecordedRequest| r.parameter("watch").is_some() && r.path.ends_with("/pods");
    world.sim.faults().add(Fault::new(Effect::Reset).when(blind).lasting(secs(10)));
    world.sim.faults().break_watches();
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    delete(&world, "pods", "db-2");
    run.end().await.done();
    invariants.hold();
}

/// The patch of a workload that rolls by itself restarts well pods as an eviction does.
#[tokio::test(start_paused = true)]
async fn a_workload_that_rolls_by_itself_waits_for_an_unhealthy_pod_of_another() {
    let slow = PodRule::new(Ailment::SlowStart(secs(30))).name("db-rack-r1-0");
    let racks = Database::cassandra_racks("db", &[("r0", 2), ("r1", 2)]);
    let racks = racks.strategy(Strategy::RollingUpdate { partition: 0 });
    let world = World::behaving(Behaviour::default().with(slow), racks);
    let invariants = Invariants::watch(&world);
    let mut run = world.start().await;
    run.event("asked", |e| matches!(e, Event::PauseRequested { .. })).await;
    delete(&world, "pods", "db-rack-r1-0");
    let held = |e: &Event| matches!(e, Event::PodWaiting { on: WaitingOn::OtherPod { pod, .. }, .. } if pod == "db-rack-r1-0");
    run.event("a rack is held by the other", held).await;
    assert_eq!(world.sent(), ["pause"]);
    run.end().await.done();
    invariants.hold();
}

/// An operator that nobody halts any more writes the old templates back. A plan that was made just before has no image to
/// change, and must not be taken for done.
#[tokio::test(start_paused = true)]
async fn a_template_that_was_put_back_since_the_plan_stops_the_run() {
    let world = World::new(Database::zookeeper("db"));
    world.sim.behaviour().change(|b| b.provisioner.alive = false);
    let mut run = world.start_with(|o| o.bounds.pause_timeout = secs(1)).await;
    run.ready("db-0").await;
    world.lift_pause();
    run.end().await.ended(Outcome::SomebodyElse, 5, true, false);
    let cluster = world.cluster();
    let snapshot = world.snapshot(&cluster).await;
    let plan = update::plan(&snapshot, &request(world.target())).unwrap();
    world.sim.behaviour().change(|b| b.provisioner.alive = true);
    tokio::time::sleep(secs(1)).await;
    let before = world.sent();
    let mut options = world.options("run2");
    options.story.journal = cluster.journal(world.kind, NAMESPACE, "db").await.expect("it can be read");
    let ended = Running::start(cluster, snapshot, plan, options).end().await;
    assert_eq!(ended.finish.exit_code, 5, "{}", ended.finish.error);
    ended.says(&["petset/db", "zookeeper:3.8.3"]);
    assert_eq!(world.sent(), before);
}
