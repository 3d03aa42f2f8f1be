//! Pods that do not come up: the run stops at once or in time, touches no other, and says which and why.

use std::time::Duration;

use kubectl_dbupdate::event::{Event, Outcome, WaitingOn};
use kubectl_dbupdate::model::Check;
use serde_json::json;
use simcluster::world::Database;
use simcluster::{Ailment, Behaviour, DeleteOptions, PodRule, object};

use crate::common::{Ended, NAMESPACE, World, is_well, secs};

const POD_TIMEOUT: Duration = secs(200);

/// A ZooKeeper whose second pod has this on the new version's image.
fn ill(ailment: Ailment) -> World {
    let rule = PodRule::new(ailment).name("db-1").image("*zookeeper:3.9.1");
    World::behaving(Behaviour::default().with(rule), Database::zookeeper("db"))
}

async fn run(world: &World) -> Ended {
    world.start_with(|o| o.bounds.pod_timeout = POD_TIMEOUT).await.end().await
}

/// The run has stopped at `db-1`, so long after its eviction, and can be resumed once it is healed.
async fn stopped(world: World, words: &[&str], after: [Duration; 2]) {
    let untouched = world.pod("db-2");
    let ended = run(&world).await;
    ended.ended(Outcome::Failed, 4, true, true).says(words);
    ended.says(&["pod db-1", "kubectl describe pod db-1 -n default", "kubectl dbupdate resume"]);
    ended.says(&["1 of 3 pods", "is paused"]);
    let took = ended.took() - ended.evicted_at("db-1");
    assert!((after[0]..=after[1]).contains(&took), "stopped after {took:?}");
    assert_eq!(
        world.evictions().into_iter().collect::<Vec<_>>(),
        [("db-0".to_owned(), 1), ("db-1".to_owned(), 1)]
    );
    assert_eq!(object::uid(&world.pod("db-2")), object::uid(&untouched));
    assert!(world.paused().is_some());
    world.no_lease();

    world.sim.behaviour().change(|b| b.pods.clear());
    world.goes_on().await;
    assert!(world.evictions().values().all(|times| *times == 1), "{:?}", world.evictions());
}

/// The grace of a pod.
fn grace(world: &World) -> Duration {
    let grace = world.pod("db-1")["spec"]["terminationGracePeriodSeconds"].as_u64();
    secs(grace.unwrap_or(30))
}

#[tokio::test(start_paused = true)]
async fn an_invalid_image_name_is_given_15_seconds() {
    stopped(ill(Ailment::InvalidImageName), &["InvalidImageName"], [secs(15), secs(18)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_configuration_is_given_15_seconds() {
    stopped(ill(Ailment::ConfigError), &["CreateContainerConfigError"], [secs(15), secs(18)]).await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_pulled_is_given_45_seconds() {
    stopped(ill(Ailment::PullError), &["ImagePull", "container zookeeper"], [secs(45), secs(48)]).await;
}

/// While the kubelet tries again, the pod still shows the failure before: only its Events tell of the download.
#[tokio::test(start_paused = true)]
async fn an_image_that_is_being_downloaded_again_is_waited_for() {
    let world = ill(Ailment::PullError);
    let mut run = world.start_with(|o| o.bounds.pod_timeout = POD_TIMEOUT).await;
    let fails = |e: &Event| matches!(e, Event::PodWaiting { on: WaitingOn::Container { reason, .. }, .. } if reason == "ImagePullBackOff");
    run.event("it fails", fails).await;
    let pod = world.pod("db-1");
    let pulling = json!({
        "metadata": { "name": "pulling", "namespace": NAMESPACE },
        "involvedObject": { "kind": "Pod", "namespace": NAMESPACE, "name": "db-1", "uid": object::uid(&pod) },
        "reason": "Pulling", "type": "Normal", "message": "Pulling image", "lastTimestamp": "2999-01-01T00:00:00Z",
    });
    world.store().create("events", pulling).unwrap();
    let ended = run.end().await;
    ended.ended(Outcome::Failed, 4, true, true).says(&["pod db-1", "ImagePull", "within 2"]);
    let took = ended.took() - ended.evicted_at("db-1");
    let late = POD_TIMEOUT + grace(&world);
    assert!((late..late + secs(2)).contains(&took), "stopped after {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_told_at_three_restarts() {
    let crash = Ailment::Crash { after: Duration::from_millis(500), exit_code: 3 };
    stopped(ill(crash), &["CrashLoopBackOff", "crashed 3 times", "exit code 3"], [secs(5), secs(100)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_a_node_is_given_the_pod_timeout() {
    let world = ill(Ailment::Unschedulable);
    let late = POD_TIMEOUT + grace(&world);
    stopped(world, &["was not scheduled"], [late, late + secs(1)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_never_ready_is_given_the_pod_timeout() {
    let world = ill(Ailment::NeverReady);
    let late = POD_TIMEOUT + grace(&world);
    stopped(world, &["did not become Ready"], [late, late + secs(1)]).await;
}

#[tokio::test(start_paused = true)]
async fn an_old_pod_that_does_not_go_is_given_a_minute_beyond_its_grace() {
    let rule = PodRule::new(Ailment::StuckTerminating).name("db-1").image("*zookeeper:3.8.3");
    let world = World::behaving(Behaviour::default().with(rule), Database::zookeeper("db"));
    let late = grace(&world) + secs(60);
    let node = world.pod("db-1")["spec"]["nodeName"].as_str().unwrap().to_owned();
    stopped(world, &["still terminating", &node], [late, late + secs(1)]).await;
}

#[tokio::test(start_paused = true)]
async fn what_heals_in_time_stops_nothing() {
    let world = ill(Ailment::PullError);
    let mut run = world.start().await;
    let failing = |e: &Event| matches!(e, Event::PodWaiting { on: WaitingOn::Container { reason, .. }, .. } if reason.contains("Pull"));
    run.event("it cannot be pulled", failing).await;
    tokio::time::sleep(secs(30)).await;
    world.sim.behaviour().change(|b| b.pods.clear());
    run.end().await.done();
    world.is_updated();
}

/// A pod that is ill on the old version goes first: waiting for it would be waiting for ever.
#[tokio::test(start_paused = true)]
async fn a_pod_that_is_ill_before_goes_first() {
    let rule = PodRule::new(Ailment::NeverReady).name("db-2").image("*zookeeper:3.8.3");
    let world = World::behaving(Behaviour::default().with(rule), Database::zookeeper("db"));
    let old = object::uid(&world.pod("db-2")).to_owned();
    world.store().delete("pods", NAMESPACE, "db-2", DeleteOptions::default()).unwrap();
    let store = world.store();
    let again = || store.get("pods", NAMESPACE, "db-2").is_some_and(|p| object::uid(&p) != old);
    world.until("db-2 is recreated", again).await;
    tokio::time::sleep(secs(20)).await;
    assert!(!is_well(&world.pod("db-2")));

    let mut guard = world.guard();
    let skip = [Check::PodNotReady, Check::Phase].into();
    let ended = world.start_with(|o| o.skip = skip).await.end().await;
    ended.done();
    world.is_updated();
    let evicted: Vec<_> = world.sent().into_iter().filter(|s| s.starts_with("evict")).collect();
    assert_eq!(evicted, ["evict db-2", "evict db-0", "evict db-1"]);
    assert_eq!(guard.most_away(), 1);
}

/// A done pod that falls ill again holds the next eviction of its workload ...
#[tokio::test(start_paused = true)]
async fn a_done_pod_that_relapses_holds_its_workload() {
    let rule = PodRule::new(Ailment::Relapse { after: secs(1) }).name("db-0").image("*zookeeper:3.9.1");
    let world = World::behaving(Behaviour::default().with(rule), Database::zookeeper("db"));
    let ended = run(&world).await;
    ended.ended(Outcome::Failed, 4, true, true).says(&["pod db-0", "kubectl describe pod db-0"]);
    assert!(!world.evictions().contains_key("db-2"), "{:?}", world.evictions());
    world.sim.behaviour().change(|b| b.pods.clear());
    world.goes_on().await;
}

/// ... and of every other one.
#[tokio::test(start_paused = true)]
async fn a_done_pod_that_relapses_holds_the_other_workloads() {
    let relapse = Ailment::Relapse { after: secs(6) };
    let rule = PodRule::new(relapse).name("db-controller-0").image("*kafka-kraft:3.6.1");
    let world = World::behaving(Behaviour::default().with(rule), Database::kafka_topology("db"));
    let mut run = world.start_with(|o| o.bounds.pod_timeout = POD_TIMEOUT).await;
    let held = |e: &Event| matches!(e, Event::PodWaiting { on: WaitingOn::OtherPod { pod, .. }, .. } if pod == "db-controller-0");
    run.event("a broker is held", held).await;
    let before = world.sent();
    let ended = run.end().await;
    assert_eq!(world.sent(), before, "a pod was touched while another was ill");
    ended.ended(Outcome::Failed, 4, true, true).says(&["pod db-controller-0 is not healthy"]);
    ended.says(&["kubectl describe pod db-controller-0"]);
    world.sim.behaviour().change(|b| b.pods.clear());
    world.goes_on().await;
}

/// Rolling back: with the old images in the template again, the stuck pod is restarted first.
#[tokio::test(start_paused = true)]
async fn an_update_that_is_stuck_can_be_taken_back() {
    let crash = Ailment::Crash { after: Duration::from_millis(500), exit_code: 3 };
    for ailment in [Ailment::PullError, Ailment::NeverReady, crash] {
        let mut world = ill(ailment.clone());
        run(&world).await.ended(Outcome::Failed, 4, true, true);
        let before = world.sent().len();
        world.target = "3.8.3";
        world.goes_on().await;
        let sent: Vec<_> = world.sent().split_off(before);
        let evicted: Vec<_> = sent.iter().filter(|s| s.starts_with("evict")).collect();
        assert_eq!(evicted, ["evict db-1", "evict db-0"], "{ailment:?}");
        assert!(!sent.iter().any(|s| s.starts_with("version")), "{sent:?}");
    }
}

/// A pod that was Ready for a moment only is not done.
#[tokio::test(start_paused = true)]
async fn a_pod_has_to_stay_ready() {
    let world = World::new(Database::zookeeper("db").min_ready_seconds(20));
    let ended = world.update().await;
    ended.done();
    for (pod, next) in [("db-0", "db-1"), ("db-1", "db-2")] {
        let took = ended.ready_at(pod) - ended.evicted_at(pod);
        assert!((secs(22)..secs(24)).contains(&took), "{took:?}");
        assert!(ended.evicted_at(next) >= ended.ready_at(pod));
    }
    let away = Duration::from_millis(ended.finish.longest_away_ms);
    assert!(away < secs(4), "it was away until it was Ready, and no longer: {away:?}");
}

/// A workload that rolls by itself is judged in the same way.
#[tokio::test(start_paused = true)]
async fn a_stuck_pod_stops_a_rolling_update_as_well() {
    let rule = PodRule::new(Ailment::PullError).name("db-rack-r0-0").image("*:5.0.7");
    let rolling = simcluster::world::Strategy::RollingUpdate { partition: 0 };
    let racks = Database::cassandra_racks("db", &[("r0", 2), ("r1", 2)]).strategy(rolling);
    let world = World::behaving(Behaviour::default().with(rule), racks);
    let ended = run(&world).await;
    ended.ended(Outcome::Failed, 4, true, true).says(&["pod db-rack-r0-0", "ImagePull"]);
    assert!(!world.sent().iter().any(|s| s.contains("db-rack-r1")), "{:?}", world.sent());
    world.sim.behaviour().change(|b| b.pods.clear());
    world.goes_on().await;
}

/// A controller that does nothing is not waited for as long as a pod.
#[tokio::test(start_paused = true)]
async fn a_controller_that_sleeps_is_told() {
    let rolling = simcluster::world::Strategy::RollingUpdate { partition: 0 };
    let world = World::new(Database::zookeeper("db").strategy(rolling));
    let run = world.start().await;
    world.sim.behaviour().change(|b| b.controller_lag = secs(500));
    let ended = run.end().await;
    ended.ended(Outcome::Failed, 4, true, true).says(&[
        "petset/db",
        "did not observe the new pod template",
        "60 s",
    ]);
    world.sim.behaviour().change(|b| b.controller_lag = Behaviour::default().controller_lag);
    tokio::time::sleep(secs(500)).await;
    world.goes_on().await;
}
