//! The lock: one run at a time, and no write without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use kubectl_dbupdate::clock::Clock;
use kubectl_dbupdate::engine::{Signal, Stop};
use kubectl_dbupdate::event::{Event, Outcome};
use kubectl_dbupdate::model::Check;
use kubectl_dbupdate::plan::update;
use serde_json::{Value, json};
use simcluster::world::{Database, Strategy};
use simcluster::{Ailment, ApiError, Behaviour, DeleteOptions, Effect, Fault, PodRule, RecordedRequest};
use tokio::time::Instant;

use crate::common::changes::sent;
use crate::common::invariants::Invariants;
use crate::common::{LEASES, NAMESPACE, Running, World, request, secs};

const LEASE: &str = "dbupdate-zookeeper-db";

fn zookeeper() -> World {
    World::new(Database::zookeeper("db"))
}

/// A lease of somebody else, good for 30 s after each renewal.
fn foreign_lease(world: &World, renewed: &str) {
    let lease = json!({
        "metadata": { "name": LEASE, "namespace": NAMESPACE },
        "spec": {
            "holderIdentity": "bob@desktop (run other)", "leaseDurationSeconds": 30, "leaseTransitions": 0,
            "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": renewed,
        },
    });
    world.store().create(LEASES, lease).unwrap();
}

fn change_lease(world: &World, change: impl FnOnce(&mut Value)) {
    world.store().update(LEASES, NAMESPACE, LEASE, change).unwrap();
}

/// Whether a request has taken or renewed the lock.
fn renews(request: &RecordedRequest) -> bool {
    request.path.contains("/leases") && request.method != "GET" && request.status.is_some_and(|s| s < 300)
}

/// No change was sent later than the lock is good for, less what a call may take.
fn held_at_each_write(world: &World) {
    let mut renewed: Option<Instant> = None;
    for request in world.sim.requests() {
        if renews(&request) {
            renewed = Some(request.at);
        } else if let Some(change) = sent(&request) {
            let age = renewed.map(|at| request.at - at);
            assert!(age.is_some_and(|age| age < secs(20)), "{change}: the lock was renewed {age:?} before");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_once_are_one_too_many() {
    let world = zookeeper();
    let cluster = world.cluster();
    let snapshot = world.snapshot(&cluster).await;
    let plan = update::plan(&snapshot, &request(world.target())).unwrap();
    let mut first = world.start().await;
    first.evicted("db-0").await;
    let second = Running::start(cluster, snapshot, plan, world.options("run2")).end().await;
    second
        .ended(Outcome::SomebodyElse, 5, false, false)
        .says(&["ann@laptop (run run1", "holds the lock of zookeeper/db, updating from 3.8.3 to 3.9.1"]);
    assert_eq!(
        second.finish.next,
        ["kubectl dbupdate status zookeeper db -w"],
        "not again, and nothing else"
    );
    first.end().await.done();
    world.is_updated();
}

#[tokio::test(start_paused = true)]
async fn a_lock_whose_holder_lives_is_told_in_the_plan() {
    let world = zookeeper();
    let mut first = world.start().await;
    first.evicted("db-0").await;
    let cluster = world.cluster();
    let mut snapshot = world.snapshot(&cluster).await;
    let lock = snapshot.lock.take().unwrap();
    snapshot.lock = cluster.watch_lock(world.kind, NAMESPACE, "db", lock).await.unwrap();
    let plan = update::plan(&snapshot, &request(world.target())).unwrap();
    let refusals: Vec<_> = plan.refusals().collect();
    let locked = refusals.iter().find(|f| f.check == Check::Locked).expect("it is locked");
    assert!(locked.message.contains("ann@laptop (run run1"), "{}", locked.message);
    first.end().await.done();
}

/// The holder's clock says nothing to us: a lease is dead when we have watched it unchanged for its whole duration.
#[tokio::test(start_paused = true)]
async fn a_dead_holders_lock_is_taken_after_it_was_watched() {
    for renewed in ["2000-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"] {
        let world = zookeeper();
        foreign_lease(&world, renewed);
        let began = Instant::now();
        let run = world.start().await;
        let watched = began.elapsed();
        assert!((secs(30)..secs(31)).contains(&watched), "{watched:?}");
        let ended = run.end().await;
        ended.done();
        world.is_updated();
        let note = |e: &Event| matches!(e, Event::StepFinished { note, .. } if note.contains("bob@desktop"));
        assert!(ended.has(note), "it is said whose lock was taken over");
    }
}

/// A holder that renews between our look and our taking keeps the lock.
#[tokio::test(start_paused = true)]
async fn a_holder_that_wakes_up_in_the_last_moment_keeps_its_lock() {
    let world = zookeeper();
    foreign_lease(&world, "2000-01-01T00:00:00.000000Z");
    let run = world.start().await;
    change_lease(&world, |lease| lease["spec"]["renewTime"] = json!("2026-01-01T00:01:00.000000Z"));
    let ended = run.end().await;
    ended.ended(Outcome::SomebodyElse, 5, false, false).says(&["bob@desktop"]);
    assert_eq!(world.sent(), Vec::<String>::new());
    let lease = world.get(LEASES, LEASE);
    assert_eq!(lease["spec"]["holderIdentity"], "bob@desktop (run other)", "it is left alone");
}

/// A run whose second pod takes half a minute to come up, as far as the eviction of that pod.
async fn slow_run() -> (World, Running) {
    let rule = PodRule::new(Ailment::SlowStart(secs(30))).name("db-1");
    let world = World::behaving(Behaviour::default().with(rule), Database::zookeeper("db"));
    let mut run = world.start().await;
    run.evicted("db-1").await;
    (world, run)
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_somebody_takes_ends_the_run_without_a_write() {
    let (world, run) = slow_run().await;
    let before = world.sent();
    change_lease(&world, |lease| lease["spec"]["holderIdentity"] = json!("bob@desktop (run other)"));
    let lost = Instant::now();
    let ended = run.end().await;
    assert!(lost.elapsed() <= secs(6), "{:?}", lost.elapsed());
    // It is bob's by now, with the pause.
    ended.ended(Outcome::SomebodyElse, 5, true, false).says(&["bob@desktop (run other) holds the lock"]);
    assert_eq!(ended.finish.next, ["kubectl dbupdate status zookeeper db -w"]);
    assert_eq!(world.sent(), before);
    let lease = world.get(LEASES, LEASE);
    assert_eq!(lease["spec"]["holderIdentity"], "bob@desktop (run other)", "it is not ours to give back");
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_deleted_ends_the_run_without_a_write() {
    let (world, run) = slow_run().await;
    let before = world.sent();
    world.store().delete(LEASES, NAMESPACE, LEASE, DeleteOptions::default()).unwrap();
    let lost = Instant::now();
    let ended = run.end().await;
    assert!(lost.elapsed() <= secs(6), "{:?}", lost.elapsed());
    ended.ended(Outcome::SomebodyElse, 5, true, true).says(&["lock"]);
    assert_eq!(world.sent(), before);
    world.sim.behaviour().change(|b| b.pods.clear());
    world.goes_on().await;
}

/// A laptop that slept: the wall clock is a minute ahead of the monotonic one. The lock is renewed before the next write.
#[tokio::test(start_paused = true)]
async fn after_a_gap_of_the_clocks_the_lock_is_renewed_before_the_next_write() {
    let world = zookeeper();
    let skew = Arc::new(AtomicU64::new(0));
    let (ahead, wall) = (skew.clone(), world.store().clock());
    let clock = Clock::with_wall(move || {
        SystemTime::from(wall.now()) + Duration::from_secs(ahead.load(Ordering::Relaxed))
    });
    let mut run = world.start_with(|o| o.clock = clock).await;
    run.evicted("db-0").await;
    let before = world.sim.requests().len() as u64;
    skew.store(60, Ordering::Relaxed);
    run.end().await.done();
    let requests = world.sim.requests();
    let later: Vec<_> =
        requests.iter().filter(|r| r.number >= before && (renews(r) || sent(r).is_some())).collect();
    assert!(renews(later[0]), "the first write after it is {:?}", sent(later[0]));
}

/// Only the lock's own calls fail: nothing is written once it is too old, and the run goes on when it can be renewed.
#[tokio::test(start_paused = true)]
async fn nothing_is_written_with_a_lock_that_could_not_be_renewed() {
    let world = zookeeper();
    let mut run = world.start().await;
    run.evicted("db-0").await;
    world.sim.behaviour().change(|b| b.start_up = secs(15));
    let broken = Fault::new(Effect::Reset).when(|r| r.path.contains("/leases/")).lasting(secs(60));
    world.sim.faults().add(broken);
    let ended = run.end().await;
    ended.done();
    world.is_updated();
    held_at_each_write(&world);
    let retried = |e: &Event| matches!(e, Event::Retrying { call, .. } if call.contains("lock"));
    assert!(ended.has(retried), "the wait for the lock is told");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_two_minutes_is_survived_and_told() {
    for down in [1, 120] {
        let (world, run) = slow_run().await;
        let mut guard = world.guard();
        world.sim.faults().restart_server(secs(down));
        let ended = run.end().await;
        ended.done();
        world.is_updated();
        assert!(world.evictions().values().all(|times| *times == 1));
        assert!(ended.has(|e| matches!(e, Event::Retrying { .. })), "{down} s");
        assert!(guard.most_away() <= 1);
        held_at_each_write(&world);
    }
}

/// The same while a controller rolls a workload: what was not seen meanwhile is no sign that nothing has happened.
#[tokio::test(start_paused = true)]
async fn an_outage_is_survived_while_a_workload_rolls_by_itself() {
    let racks = Database::cassandra_racks("db", &[("r0", 2), ("r1", 2)]);
    let world = World::new(racks.strategy(Strategy::RollingUpdate { partition: 0 }));
    let mut run = world.start().await;
    run.event("rack r0 is patched", |e| matches!(e, Event::WorkloadPatched { .. })).await;
    world.sim.faults().restart_server(secs(120));
    run.end().await.done();
    world.is_updated();
}

/// After the outage somebody else has the lock.
#[tokio::test(start_paused = true)]
async fn a_lock_that_was_taken_during_an_outage_is_not_taken_back() {
    let (world, run) = slow_run().await;
    world.sim.faults().restart_server(secs(120));
    tokio::time::sleep(secs(60)).await;
    let before = world.sent();
    change_lease(&world, |lease| lease["spec"]["holderIdentity"] = json!("bob@desktop (run other)"));
    run.end().await.ended(Outcome::SomebodyElse, 5, true, false).says(&["bob@desktop"]);
    assert_eq!(world.sent(), before);
}

/// A conflict that is none of ours, again and again, at the end of a run: the server is not asked without a pause.
#[tokio::test(start_paused = true)]
async fn a_lock_that_cannot_be_given_back_is_not_asked_for_without_a_pause() {
    let world = zookeeper();
    let mut run = world.start().await;
    run.ready("db-2").await;
    let conflict = Fault::new(Effect::Answer(ApiError::stale("leases", LEASE)));
    world.sim.faults().add(conflict.method("DELETE").path("/leases").always());
    run.end().await.done();
    let tries = world.sim.requests().iter().filter(|r| r.method == "DELETE").count();
    assert!((10..100).contains(&tries), "tried {tries} times");
}

/// Who has pressed Ctrl-C twice does not wait for an answer. What was asked may still be carried out, and until then the
/// lock keeps others away.
#[tokio::test(start_paused = true)]
async fn a_lock_is_kept_while_a_write_may_be_on_its_way() {
    let world = zookeeper();
    let invariants = Invariants::watch(&world);
    let mut run = world.start().await;
    run.evicted("db-0").await;
    world.sim.faults().add(Fault::new(Effect::Late(secs(8))).path("/db-1/eviction"));
    run.ready("db-0").await;
    tokio::time::sleep(secs(1)).await;
    run.stop(Stop::Now(Signal::Interrupt));
    run.end().await.ended(Outcome::Stopped, 130, true, true);
    world.goes_on().await;
    invariants.hold();
}

/// A pod that falls ill while the lock is renewed is heard of before the next one goes.
#[tokio::test(start_paused = true)]
async fn what_was_decided_before_the_lock_was_renewed_is_decided_anew() {
    let world = World::new(Database::zookeeper("db").no_budget());
    let invariants = Invariants::watch(&world);
    let skew = Arc::new(AtomicU64::new(0));
    let (ahead, wall) = (skew.clone(), world.store().clock());
    let clock = Clock::with_wall(move || {
        SystemTime::from(wall.now()) + Duration::from_secs(ahead.load(Ordering::Relaxed))
    });
    let mut run = world.start_with(|o| o.clock = clock).await;
    run.evicted("db-0").await;
    skew.store(60, Ordering::Relaxed);
    world.sim.faults().add(Fault::new(Effect::Reset).when(|r| r.path.contains("/leases/")).lasting(secs(30)));
    tokio::time::sleep(secs(10)).await;
    let ready = |status: &'static str| {
        let set = |pod: &mut Value| {
            let conditions = pod["status"]["conditions"].as_array_mut().into_iter().flatten();
            conditions.filter(|c| c["type"] == "Ready").for_each(|c| c["status"] = json!(status));
        };
        world.store().update_status("pods", NAMESPACE, "db-2", set).unwrap();
    };
    ready("False");
    tokio::time::sleep(secs(45)).await;
    assert_eq!(world.evictions().len(), 1, "{:?}", world.evictions());
    ready("True");
    run.end().await.done();
    invariants.hold();
}

/// The holder that was thought to be dead gives its lock back in the last moment.
#[tokio::test(start_paused = true)]
async fn a_lock_that_is_given_back_before_it_is_taken_over_is_not_taken() {
    let world = zookeeper();
    foreign_lease(&world, "2000-01-01T00:00:00.000000Z");
    let run = world.start().await;
    world.store().delete(LEASES, NAMESPACE, LEASE, DeleteOptions::default()).unwrap();
    run.end().await.ended(Outcome::SomebodyElse, 5, false, false).says(&["the lock was deleted"]);
    assert_eq!(world.sent(), Vec::<String>::new());
}
