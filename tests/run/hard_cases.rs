//! What a review has found: stale knowledge, lost journals, clocks that differ, and odd objects.
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use kubectl_dbupdate::clock::Clock;
use kubectl_dbupdate::engine::{Signal, Stop};
use kubectl_dbupdate::event::{Event, Outcome};
use kubectl_dbupdate::model::Check;
use kubectl_dbupdate::situation::{self, Seen, Status};
use serde_json::json;
use simcluster::world::Database;
use simcluster::{Ailment, ApiError, Behaviour, Cause, DeleteOptions, Effect, Fault, PodRule};

use crate::common::process::Process;
use crate::common::*;

/// What `kubectl dbupdate status` tells.
async fn status_of(world: &World) -> Status {
    let found = overview(&world.cluster(), world.kind, NAMESPACE, Some("db")).await.unwrap().remove(0);
    let seen = Seen {
        snapshot: found.snapshot,
        runs: found.journal.map(|j| j.entries),
        lock_age: None,
        unread: found.unread,
    };
    situation::status(&seen, |next| format!("{next:?}"))
}

fn no_journal(world: &World) {
    for verb in ["create", "get", "patch"] {
        world.sim.access().deny(verb, "", "configmaps", "");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_nothing_goes_back_unasked() {
    let world = World::new(Database::cassandra_racks("db", &[("r0", 2)]));
    let mut run = world.start().await;
    run.ready("db-rack-r0-0").await;
    run.interrupt();
    run.end().await.ended(Outcome::Stopped, 130, true, true);
    let with = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("half done");
    assert_eq!(with.refusals(), [Check::DataDowngrade], "with the journal");
    world.store().delete("configmaps", NAMESPACE, "dbupdate-cassandra-db", DeleteOptions::now()).unwrap();
    let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("ours is there");
    assert!(back.refusals().contains(&Check::DataDowngrade), "{:?}", back.refusals());
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_the_command_itself_is_what_goes_on() {
    let world = World::new(Database::zookeeper("db"));
    no_journal(&world);
    let mut run = world.start_with(|o| o.skip = [Check::NoJournal].into()).await;
    run.ready("db-0").await;
    run.interrupt();
    let ended = run.end().await;
    assert_eq!(ended.finish.next, ["kubectl dbupdate zookeeper db --to 3.9.1"]);
    let again = world.start_with(|o| o.skip = [Check::NoJournal].into()).await;
    again.end().await.done();
    world.is_updated();
}

/// the new image has run; then its node is drained and the pod finds no other.
#[tokio::test(start_paused = true)]
async fn what_has_started_once_is_not_rolled_back_by_itself() {
    let ill = PodRule::new(Ailment::NeverReady).name("db-0").image("*:3.9.1*");
    let world = World::behaving(Behaviour::default().with(ill), Database::zookeeper("db"));
    let mut run = world
        .start_with(|o| {
            o.roll_back_on_failure = true;
            o.bounds.pod_timeout = secs(120);
        })
        .await;
    run.evicted("db-0").await;
    tokio::time::sleep(secs(20)).await;
    let pod = world.pod("db-0");
    assert!(pod["status"]["containerStatuses"][0]["state"]["running"].is_object(), "it has started");
    let none = PodRule::new(Ailment::Unschedulable).name("db-0").image("*:3.9.1*");
    world.sim.behaviour().change(|b| b.pods = vec![none]);
    world.store().delete("pods", NAMESPACE, "db-0", DeleteOptions::now()).unwrap();
    let ended = run.end().await;
    assert_eq!(ended.finish.outcome, Outcome::Failed);
}

/// the same by the command, over a Cassandra major.
#[tokio::test(start_paused = true)]
async fn a_major_that_has_started_once_is_remembered() {
    for killed in [false, true] {
        has_started_once(killed).await;
    }
}

async fn has_started_once(killed: bool) {
    let ill = PodRule::new(Ailment::NeverReady).name("db-rack-r0-0").image("*:5.0.7*");
    let racks = Database::cassandra_racks("db", &[("r0", 2)]);
    let world = World::behaving(Behaviour::default().with(ill), racks);
    let mut run = world.start().await;
    run.evicted("db-rack-r0-0").await;
    tokio::time::sleep(secs(20)).await;
    let pod = world.pod("db-rack-r0-0");
    assert!(pod["status"]["containerStatuses"][0]["state"]["running"].is_object(), "it has started");
    if killed {
        run.crash().await;
    } else {
        run.stop(Stop::Now(Signal::Interrupt));
        run.end().await;
    }
    let refused = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.unwrap().refusals();
    assert!(refused.contains(&Check::DataDowngrade), "while it runs: {refused:?}");
    let none = PodRule::new(Ailment::Unschedulable).name("db-rack-r0-0").image("*:5.0.7*");
    world.sim.behaviour().change(|b| b.pods = vec![none]);
    world.store().delete("pods", NAMESPACE, "db-rack-r0-0", DeleteOptions::now()).unwrap();
    tokio::time::sleep(secs(10)).await;
    let refused = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.unwrap().refusals();
    assert!(refused.contains(&Check::DataDowngrade), "after its node was drained: {refused:?}");
}

/// a pod that recovers while the run looks once more is deleted in spite of its budget.
#[tokio::test(start_paused = true)]
async fn a_pod_that_has_recovered_is_not_deleted() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.ready("db-1").await;
    run.interrupt();
    run.end().await;
    assert_eq!(world.old_pods(), ["db-2"]);
    let ready = |ready: &'static str| {
        world
            .store()
            .update_status("pods", NAMESPACE, "db-2", |pod| {
                for c in pod["status"]["conditions"].as_array_mut().unwrap() {
                    if c["type"] == "Ready" {
                        c["status"] = json!(ready);
                    }
                }
            })
            .unwrap();
    };
    ready("False");
    let cause = Cause { reason: "DisruptionBudget".into(), message: "not now".into(), field: String::new() };
    let refusal = ApiError::too_many_requests("it would violate the budget").because(&[cause]);
    world
        .sim
        .faults()
        .add(Fault::new(Effect::Answer(refusal)).path("/db-2/eviction").when(|r| !r.dry_run).always());
    let process = Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("half done");
    // The fresh look before the eviction takes two seconds; the pod recovers meanwhile.
    world.sim.faults().add(
        Fault::new(Effect::Delay(secs(2)))
            .when(|r| r.method == "GET" && r.path.ends_with("/petsets/db"))
            .always(),
    );
    let mut resumed = process.start();
    resumed.event("db-2 is next", |e| matches!(e, Event::WorkloadStarted { .. })).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    ready("True");
    tokio::time::sleep(secs(30)).await;
    let deletes: Vec<_> = world
        .sim
        .requests()
        .into_iter()
        .filter(|r| r.method == "DELETE" && r.path.ends_with("/pods/db-2"))
        .map(|r| (r.at, r.status))
        .collect();
    assert!(deletes.is_empty(), "a well pod was deleted against its budget: {deletes:?}");
    drop(resumed);
}

#[tokio::test(start_paused = true)]
async fn a_lease_without_a_holder_is_taken() {
    let world = World::new(Database::zookeeper("db"));
    let lease = json!({ "metadata": { "name": "dbupdate-zookeeper-db", "namespace": NAMESPACE },
        "spec": { "holderIdentity": "", "leaseDurationSeconds": 30 } });
    world.store().create(LEASES, lease).unwrap();
    let ended = world.update().await;
    ended.done();
}

#[tokio::test(start_paused = true)]
async fn a_killed_rollback_is_resumed_whichever_clock_is_ahead() {
    let world = World::new(Database::zookeeper("db"));
    let wall = world.store().clock();
    let ahead = Clock::with_wall(move || SystemTime::from(wall.now()) + secs(300));
    let mut run = world.start_with(|o| o.clock = ahead).await;
    run.ready("db-0").await;
    run.crash().await;
    let mut back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.unwrap().start();
    back.event("patched", |e| matches!(e, Event::WorkloadPatched { .. })).await;
    back.crash().await;
    let resumed = Process::resume(&world, world.cluster(), BTreeSet::new()).await.unwrap();
    assert_eq!(resumed.plan.to.name, "3.8.3", "the rollback was what was unfinished");
}

/// a finished run after that is told as unfinished.
#[tokio::test(start_paused = true)]
async fn a_done_update_is_done_whosever_clock_was_ahead() {
    let world = World::new(Database::zookeeper("db"));
    let wall = world.store().clock();
    let ahead = Clock::with_wall(move || SystemTime::from(wall.now()) + secs(3600));
    let mut run = world.start_with(|o| o.clock = ahead).await;
    run.ready("db-0").await;
    run.crash().await;
    Process::rollback(&world, world.cluster(), BTreeSet::new()).await.unwrap().start().end().await.done();
    let run2 = world.launch(world.options("run2")).await;
    run2.end().await.done();
    let plan = Process::resume(&world, world.cluster(), BTreeSet::new()).await;
    assert!(plan.is_none(), "nothing is unfinished, but resume would do {:?}", plan.map(|p| p.plan.action));
}

#[tokio::test(start_paused = true)]
async fn an_endless_grace_is_borne() {
    let world = World::new(Database::zookeeper("db"));
    for pod in ["db-0", "db-1", "db-2"] {
        world
            .store()
            .update("pods", NAMESPACE, pod, |p| p["spec"]["terminationGracePeriodSeconds"] = json!(i64::MAX))
            .unwrap();
    }
    world.update().await.done();
}

#[tokio::test(start_paused = true)]
async fn what_a_run_found_done_is_half_done_as_well() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.ready("db-0").await;
    run.interrupt();
    run.end().await;
    // A rollback that is thought better of.
    let mut back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.unwrap().start();
    back.event("asked", |e| matches!(e, Event::PauseRequested { .. })).await;
    back.interrupt();
    back.end().await;
    // The update after all; somebody lifts its pause.
    let mut again = Process::update(&world, world.cluster()).await.start();
    again.event("acknowledged", |e| matches!(e, Event::PauseAcknowledged { .. })).await;
    world.lift_pause();
    again.end().await;
    tokio::time::sleep(secs(30)).await;
    assert_eq!(world.old_pods().len(), 2);
    let status = status_of(&world).await;
    assert_eq!(status.next, ["Resume", "Rollback"], "{}", status.sentence);
    let resume = Process::resume(&world, world.cluster(), BTreeSet::new()).await.is_some();
    let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.is_some();
    assert!(resume && back, "resume finds something: {resume}, rollback: {back}");
}

#[tokio::test(start_paused = true)]
async fn a_resume_needs_what_was_overridden_once_more() {
    let mut world = World::new(Database::zookeeper("db"));
    world.target = "3.7.2";
    let all: BTreeSet<Check> = Check::OVERRIDABLE.into();
    let mut run = world.start_with(|o| o.skip = all.clone()).await;
    run.ready("db-0").await;
    run.crash().await;
    let resume = Process::resume(&world, world.cluster(), BTreeSet::new()).await.unwrap();
    let refusals = resume.refusals();
    assert!(refusals.contains(&Check::Downgrade), "{refusals:?}");
    let resume = Process::resume(&world, world.cluster(), all).await.unwrap();
    assert_eq!(resume.refusals(), []);
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_stays_keeps_no_run_from_turning_back() {
    let pull = PodRule::new(Ailment::PullError).name("db-controller*").image("*kafka*:3.6.1*");
    let database = Database::kafka_topology("db").cruise_control();
    let world = World::behaving(Behaviour::default().with(pull), database);
    let versions = "kafkaversions.catalog.kubedb.com";
    let cruise = world.store().get(versions, "", "3.5.2").unwrap()["spec"]["cruiseControl"]["image"].clone();
    world.store().update(versions, "", "3.6.1", |v| v["spec"]["cruiseControl"]["image"] = cruise).unwrap();
    let run = world.start_with(|o| o.roll_back_on_failure = true).await;
    let ended = run.end().await;
    assert_eq!(ended.finish.outcome, Outcome::RolledBack);
}

/// the same state, once the journal is gone, and how status tells it.
#[tokio::test(start_paused = true)]
async fn status_names_a_command_where_the_journal_cannot_be_read() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.ready("db-0").await;
    run.interrupt();
    run.end().await;
    world.sim.access().deny("get", "", "configmaps", "");
    let status = status_of(&world).await;
    assert!(status.next.iter().any(|n| n != "Describe"));
}

/// A colleague finishes the update between the plan of a rollback and its confirmation.
#[tokio::test(start_paused = true)]
async fn a_run_that_another_has_overtaken_changes_nothing() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.ready("db-0").await;
    run.interrupt();
    run.end().await;
    let late = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("half done");
    let resumed = Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("half done");
    resumed.start().end().await.done();
    let before = world.sent();
    let ended = late.start().end().await;
    ended.ended(Outcome::SomebodyElse, 5, false, false).says(&["another run was recorded"]);
    assert_eq!(world.sent(), before);
    world.is_updated();
    world.no_lease();
}

#[tokio::test(start_paused = true)]
async fn a_version_that_somebody_sets_stops_the_run_before_its_next_write() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.evicted("db-0").await;
    let before = world.sent();
    world.store().update(&world.res(), NAMESPACE, "db", |db| db["spec"]["version"] = json!("3.7.2")).unwrap();
    let ended = run.end().await;
    ended.ended(Outcome::SomebodyElse, 5, true, true).says(&["spec.version of the database is 3.7.2"]);
    let back = "kubectl patch zookeepers db --type merge -p '{\"spec\":{\"version\":\"3.8.3\"}}' -n default";
    assert_eq!(
        ended.finish.next,
        [back, "kubectl dbupdate resume zookeeper db", "kubectl dbupdate rollback zookeeper db"]
    );
    assert_eq!(world.sent(), before);
    let status = status_of(&world).await;
    assert_eq!(status.next, ["VersionBack(\"3.8.3\")", "Resume", "Rollback"], "{}", status.sentence);
    world.store().update(&world.res(), NAMESPACE, "db", |db| db["spec"]["version"] = json!("3.8.3")).unwrap();
    world.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn whether_it_has_arrived_is_not_waited_for_without_end() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.event("resumed", |e| matches!(e, Event::Resumed)).await;
    let watch = |r: &simcluster::RecordedRequest| r.query.iter().any(|(name, _)| name == "watch");
    let refusal = ApiError::new(503, "ServiceUnavailable", "no watches today");
    world.sim.faults().add(Fault::new(Effect::Answer(refusal)).when(watch).always());
    world.sim.faults().end_watches();
    let ended = run.end().await;
    ended.ended(Outcome::Failed, 4, true, false).says(&["could not be watched for 300 s"]);
    world.is_updated();
}

/// As an ops request may leave it that has failed half way.
#[tokio::test(start_paused = true)]
async fn a_pod_on_a_third_image_is_not_taken_back_unasked() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.ready("db-0").await;
    run.interrupt();
    run.end().await;
    let third = "ghcr.io/appscode-images/zookeeper:3.7.2";
    world
        .store()
        .update("pods", NAMESPACE, "db-2", |pod| pod["spec"]["containers"][0]["image"] = json!(third))
        .unwrap();
    let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("half done");
    assert_eq!(back.refusals(), [Check::Drift]);
    let back = Process::rollback(&world, world.cluster(), [Check::Drift].into()).await.expect("half done");
    back.start().end().await.done();
}
