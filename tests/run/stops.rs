//! Ctrl-C once and twice, other signals, and the whole run's bound: nothing is left behind, and the same command goes on.

use std::time::Duration;

use kubectl_dbupdate::engine::{Signal, Stop};
use kubectl_dbupdate::event::{Event, Outcome, Step, StepOutcome, WaitingOn};
use kubectl_dbupdate::model::Action;
use simcluster::world::{self, Database, Strategy};
use simcluster::{Behaviour, Effect, Fault, Provisioner, RecordedRequest};

use crate::common::{World, secs};

/// Lets such requests take a second, so that a stop falls into them.
fn slow(world: &World, when: impl Fn(&RecordedRequest) -> bool + Send + Sync + 'static) {
    world.sim.faults().add(Fault::new(Effect::Delay(secs(1))).when(move |r| !r.dry_run && when(r)).always());
}

/// Nothing has been changed, and nothing is left.
fn untouched(world: &World) {
    assert_eq!(world.paused(), None);
    assert_eq!(world.old_pods().len(), world.pods().len());
    assert!(!world.sent().iter().any(|s| !matches!(s.as_str(), "pause" | "resume")), "{:?}", world.sent());
    world.no_lease();
}

/// Each pod was evicted at most once, by whichever run.
fn evicted_once(world: &World) {
    assert!(world.evictions().values().all(|times| *times == 1), "{:?}", world.evictions());
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_lock_is_taken_changes_nothing() {
    let world = World::new(Database::zookeeper("db"));
    slow(&world, |r| r.method == "POST" && r.path.ends_with("/leases"));
    let mut run = world.start().await;
    run.step(Step::Lock).await;
    run.interrupt();
    run.end().await.ended(Outcome::Stopped, 130, false, false).says(&["nothing was changed"]);
    untouched(&world);
    world.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_operator_is_asked_takes_the_pause_back() {
    let signals = [(Signal::Interrupt, 130), (Signal::Terminate, 143), (Signal::HangUp, 129)];
    for stop in [Stop::Finish, Stop::Now] {
        for (signal, code) in signals {
            let provisioner = Provisioner { acknowledge: Some(secs(20)), ..Provisioner::default() };
            let behaviour = Behaviour { provisioner, ..Behaviour::default() };
            let world = World::behaving(behaviour, Database::zookeeper("db"));
            let mut run = world.start().await;
            run.event("asked", |e| matches!(e, Event::PauseRequested { .. })).await;
            run.stop(stop(signal));
            run.end().await.ended(Outcome::Stopped, code, false, false).says(&["nothing was changed"]);
            assert_eq!(world.sent(), ["pause", "resume"]);
            untouched(&world);
            world.goes_on().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_between_two_patches_leaves_the_second_workload_alone() {
    let world = World::new(Database::kafka_topology("db"));
    slow(&world, |r| r.method == "PATCH" && r.path.contains("/petsets/"));
    let mut run = world.start().await;
    run.step(Step::PatchImages).await;
    run.interrupt();
    let ended = run.end().await;
    ended.ended(Outcome::Stopped, 130, true, true).says(&["0 of 6 pods", "kubectl dbupdate resume"]);
    assert_eq!(world.sent().iter().filter(|s| s.starts_with("images")).count(), 1);
    assert_eq!(world.evictions().len(), 0);
    world.no_lease();
    world.goes_on().await;
    assert_eq!(world.sent().iter().filter(|s| s.starts_with("images")).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_the_pod_in_flight_and_touches_no_other() {
    for (signal, code) in [(Signal::Interrupt, 130), (Signal::Terminate, 143), (Signal::HangUp, 129)] {
        let world = World::new(Database::zookeeper("db"));
        let mut run = world.start().await;
        run.evicted("db-1").await;
        run.stop(Stop::Finish(signal));
        let ended = run.end().await;
        ended.ended(Outcome::Stopped, code, true, true);
        ended.says(&["2 of 3 pods", "is paused", "spec.version is 3.8.3", "kubectl dbupdate resume"]);
        let told = |e: &Event| matches!(e, Event::Stopping { pod: Some(pod), .. } if pod == "db-1");
        assert_eq!(ended.events().filter(|e| told(e)).count(), 1);
        assert!(ended.ready_at("db-1") > secs(0), "the pod in flight was waited for");
        let stopped = |e: &Event| {
            matches!(e, Event::StepFinished { step: Step::RollPods, outcome: StepOutcome::Stopped, .. })
        };
        assert!(ended.has(stopped));
        assert_eq!(world.old_pods(), ["db-2"]);
        world.no_lease();
        world.goes_on().await;
        evicted_once(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_stop_leaves_the_pod_in_flight() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.evicted("db-1").await;
    run.interrupt();
    tokio::time::sleep(Duration::from_millis(500)).await;
    run.stop(Stop::Now(Signal::Interrupt));
    let asked = tokio::time::Instant::now();
    let ended = run.end().await;
    assert!(asked.elapsed() < Duration::from_millis(100), "{:?}", asked.elapsed());
    ended.ended(Outcome::Stopped, 130, true, true).says(&["1 of 3 pods", "kubectl dbupdate resume"]);
    world.no_lease();
    world.goes_on().await;
    evicted_once(&world);
}

/// Even a server that does not answer cannot keep a user who has pressed Ctrl-C twice.
#[tokio::test(start_paused = true)]
async fn a_second_stop_does_not_wait_for_a_server_that_hangs() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.evicted("db-1").await;
    world.sim.faults().add(Fault::new(Effect::Hang).always());
    run.stop(Stop::Now(Signal::Terminate));
    let asked = tokio::time::Instant::now();
    run.end().await.ended(Outcome::Stopped, 143, true, true);
    assert!(asked.elapsed() <= secs(2), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stop_before_the_version_is_set_is_resumed_there() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.evicted("db-2").await;
    slow(&world, |r| r.method == "PATCH" && r.path.contains("/configmaps/"));
    run.step(Step::SetVersion).await;
    run.interrupt();
    let ended = run.end().await;
    ended.ended(Outcome::Stopped, 130, true, true).says(&["3 of 3 pods", "spec.version is 3.8.3"]);
    world.sim.faults().clear();
    world.goes_on().await;
    evicted_once(&world);
}

/// Once the version is set there is nothing to stop: the operator is resumed in any case.
#[tokio::test(start_paused = true)]
async fn a_stop_after_the_version_is_set_still_resumes() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    slow(&world, |r| r.method == "PATCH" && r.path.ends_with("/zookeepers/db/status"));
    run.step(Step::Resume).await;
    run.interrupt();
    let ended = run.end().await;
    ended
        .ended(Outcome::Stopped, 130, true, false)
        .says(&["is on 3.9.1, but the update has not been verified: 3 of 3 pods Ready"]);
    world.sim.faults().clear();
    world.is_updated();
    assert_eq!(world.plan().await.action, Action::Nothing);
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_a_workload_rolls_by_itself_ends_with_that_workload() {
    let racks = Database::cassandra_racks("db", &[("r0", 2), ("r1", 2)]);
    let world = World::new(racks.strategy(Strategy::RollingUpdate { partition: 0 }));
    let mut run = world.start().await;
    run.event("rack r0 is patched", |e| matches!(e, Event::WorkloadPatched { .. })).await;
    run.interrupt();
    let ended = run.end().await;
    ended.ended(Outcome::Stopped, 130, true, true).says(&["2 of 4 pods"]);
    assert_eq!(world.old_pods(), ["db-rack-r1-0", "db-rack-r1-1"]);
    assert!(!world.sent().iter().any(|s| s.contains("r1")), "{:?}", world.sent());
    world.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn the_whole_run_is_bounded() {
    let world = World::new(Database::zookeeper("db"));
    let ended = world.start_with(|o| o.bounds.timeout = Some(secs(4))).await.end().await;
    ended.ended(Outcome::Stopped, 124, true, true).says(&["--timeout", "4 s", "kubectl dbupdate resume"]);
    assert!((secs(4)..secs(5)).contains(&ended.took()), "{:?}", ended.took());
    world.no_lease();
    world.goes_on().await;
    evicted_once(&world);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_time_is_over_before_it_changes_anything_says_so() {
    let provisioner = Provisioner { acknowledge: None, ..Provisioner::default() };
    let behaviour = Behaviour { provisioner, ..Behaviour::default() };
    let world = World::behaving(behaviour, Database::zookeeper("db"));
    let ended = world.start_with(|o| o.bounds.timeout = Some(secs(10))).await.end().await;
    ended.ended(Outcome::Stopped, 124, false, false).says(&["nothing was changed"]);
    untouched(&world);
}

/// While nothing is in flight, a stop is at once.
#[tokio::test(start_paused = true)]
async fn a_stop_while_a_budget_blocks_is_at_once() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.evicted("db-0").await;
    world::block_budgets(&world.sim);
    let blocked = |e: &Event| matches!(e, Event::PodWaiting { on: WaitingOn::Budget { .. }, .. });
    run.event("blocked", blocked).await;
    run.interrupt();
    let asked = tokio::time::Instant::now();
    run.end().await.ended(Outcome::Stopped, 130, true, true).says(&["1 of 3 pods"]);
    assert!(asked.elapsed() < Duration::from_millis(100), "{:?}", asked.elapsed());
    world.no_lease();
}

/// A process that dies leaves its lock and its pause. The next run sees that nobody renews the lock, and goes on.
#[tokio::test(start_paused = true)]
async fn a_run_that_dies_is_resumed() {
    for at in (0..10).map(|at| Duration::from_millis(100 + at * 1000)) {
        let world = World::new(Database::zookeeper("db"));
        let mut guard = world.guard();
        let mut run = world.start().await;
        run.step(Step::Lock).await;
        tokio::time::sleep(at).await;
        run.crash().await;
        world.goes_on().await;
        evicted_once(&world);
        assert!(guard.most_away() <= 1, "died at {at:?}");
    }
}

/// Wherever a run is stopped, the same command completes the update and evicts no pod twice.
#[tokio::test(start_paused = true)]
async fn a_run_may_be_stopped_at_any_moment() {
    for (at, how) in (0..28).flat_map(|at| [(at, true), (at, false)]) {
        let world = World::new(Database::zookeeper("db"));
        let mut guard = world.guard();
        let mut run = world.start().await;
        run.step(Step::Lock).await;
        tokio::time::sleep(Duration::from_millis(at * 400)).await;
        run.stop(if how { Stop::Finish(Signal::Interrupt) } else { Stop::Now(Signal::Interrupt) });
        let ended = run.end().await;
        world.no_lease();
        if ended.finish.exit_code == 0 || world.plan().await.action == Action::Nothing {
            world.is_updated();
        } else {
            assert_eq!(ended.finish.exit_code, 130, "at {at}: {}", ended.finish.error);
            world.goes_on().await;
        }
        evicted_once(&world);
        assert!(guard.most_away() <= 1, "at {at}");
    }
}
