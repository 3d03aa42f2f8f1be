//! Resuming a run from its journal, and rolling it back.

use std::collections::{BTreeMap, BTreeSet};

use kubectl_dbupdate::cluster::Journal;
use kubectl_dbupdate::engine::{RunOptions, Story};
use kubectl_dbupdate::event::{Event, Outcome, Step};
use kubectl_dbupdate::model::{Action, Snapshot};
use kubectl_dbupdate::operation;
use kubectl_dbupdate::plan::update;
use kubectl_dbupdate::report;
use simcluster::world::Database;
use simcluster::{Ailment, Behaviour, PodRule};

use crate::common::process::Process;
use crate::common::*;

/// Where a second process finds itself: the snapshot, and the journal.
async fn found(world: &World) -> (Snapshot, Journal) {
    let cluster = world.cluster();
    let mut snapshot = world.snapshot(&cluster).await;
    if let Some(lock) = snapshot.lock.take() {
        snapshot.lock = cluster.watch_lock(world.kind, NAMESPACE, &world.name, lock).await.unwrap();
    }
    (snapshot, world.journal(&cluster).await)
}

/// Carries out `rollback`; `None` if nothing is unfinished.
pub async fn roll_back(world: &World) -> Option<Ended> {
    let back = Process::rollback(world, world.cluster(), BTreeSet::new()).await?;
    Some(back.start().end().await)
}

/// Templates, revisions, pods' images and the version: what a rollback has to bring back.
pub fn state(world: &World) -> BTreeMap<String, String> {
    let mut state =
        BTreeMap::from([("version".to_owned(), text(&world.database(), "/spec/version").to_owned())]);
    for (name, workload) in world.workloads() {
        state.insert(format!("{name} template"), workload["spec"]["template"].to_string());
        state.insert(format!("{name} revision"), text(&workload, "/status/updateRevision").to_owned());
    }
    for pod in world.pods() {
        let revision = text(&pod, "/metadata/labels/controller-revision-hash").to_owned();
        state.insert(text(&pod, "/metadata/name").to_owned(), revision);
    }
    state
}

#[tokio::test(start_paused = true)]
async fn a_crashing_version_is_rolled_back_and_the_old_revision_returns() {
    let crash = PodRule::new(Ailment::Crash { after: secs(1), exit_code: 1 }).name("db-1").image("*:3.9.1*");
    let world = World::behaving(Behaviour::default().with(crash), Database::zookeeper("db"));
    let before = state(&world);
    world.update().await.ended(Outcome::Failed, 4, true, true).says(&["kubectl dbupdate rollback"]);
    let ended = roll_back(&world).await.expect("it is half done");
    ended.done();
    assert_eq!(ended.plan.action, Action::Rollback);
    assert_eq!(state(&world), before);
    let back: Vec<_> = world.sent().into_iter().skip_while(|s| s != "evict db-1").skip(1).collect();
    let restarts: Vec<_> = back.iter().filter(|s| s.starts_with("evict")).map(String::as_str).collect();
    assert_eq!(restarts, ["evict db-1", "evict db-0"], "the one that is not well first");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_pulled_is_rolled_back_by_itself() {
    let pull = PodRule::new(Ailment::PullError).image("*:3.9.1*");
    let world = World::behaving(Behaviour::default().with(pull), Database::zookeeper("db"));
    let before = state(&world);
    let run = world.start_with(|o| o.roll_back_on_failure = true).await;
    let ended = run.end().await;
    ended.ended(Outcome::RolledBack, 4, true, false).says(&[
        "db-0",
        "rolled back",
        "zookeeper/db is on 3.8.3: 3 of 3 pods Ready",
    ]);
    assert_eq!(state(&world), before);
    world.no_lease();
    assert!(roll_back(&world).await.is_none(), "nothing is left to roll back");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_has_started_is_not_rolled_back_by_itself() {
    let crash = PodRule::new(Ailment::Crash { after: secs(1), exit_code: 1 }).image("*:3.9.1*");
    let world = World::behaving(Behaviour::default().with(crash), Database::zookeeper("db"));
    let run = world.start_with(|o| o.roll_back_on_failure = true).await;
    let ended = run.end().await;
    ended.ended(Outcome::Failed, 4, true, true).says(&["kubectl dbupdate rollback"]);
    let why = "a container of the new version has started, so it may have written data";
    assert_eq!(ended.finish.not_rolled_back.as_deref(), Some(why));
    let shown = report::final_block(&ended.finish, &ended.plan, report::View { width: None, color: false });
    assert!(shown.contains(&format!("\nnote: not rolled back automatically: {why}; ")), "{shown}");
}

/// It is said of a failure that has changed something, and of nothing else.
#[tokio::test(start_paused = true)]
async fn why_it_is_not_rolled_back_is_said_of_a_failure_alone() {
    let sick = PodRule::new(Ailment::NeverReady).name("db-1").image("*:3.9.1*");
    let world = World::behaving(Behaviour::default().with(sick), Database::zookeeper("db"));
    let run = world.start_with(|o| o.roll_back_on_failure = true).await;
    run.end().await.ended(Outcome::Failed, 4, true, true);
    for asked in [true, false] {
        let world = World::new(Database::zookeeper("db"));
        let mut run = world.start_with(|o| o.roll_back_on_failure = asked).await;
        run.ready("db-0").await;
        run.interrupt();
        let ended = run.end().await;
        ended.ended(Outcome::Stopped, 130, true, true);
        assert_eq!(ended.finish.not_rolled_back, None);
    }
    // The pod that is not well is not on the new version.
    let world = World::new(Database::zookeeper("db"));
    let mut run =
        world.start_with(|o| (o.roll_back_on_failure, o.bounds.pod_timeout) = (true, secs(60))).await;
    run.ready("db-0").await;
    world.sim.behaviour().change(|b| b.provisioner.alive = false);
    world.change_status(|db| db["status"]["phase"] = serde_json::json!("NotReady"));
    let ended = run.end().await;
    ended.ended(Outcome::Failed, 4, true, true);
    let why = "that is done only if a pod is stuck on the new version";
    assert_eq!(ended.finish.not_rolled_back.as_deref(), Some(why));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_killed_while_it_verified_is_verified_by_the_next() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.step(Step::Verify).await;
    run.crash().await;
    let (snapshot, journal) = found(&world).await;
    assert!(operation::unfinished(&journal, &snapshot).is_some(), "it was not verified");
    let again = Process::update(&world, world.cluster()).await;
    assert_eq!(again.plan.action, Action::Resume);
    again.start().end().await.done();
    world.is_updated();
    let (snapshot, journal) = found(&world).await;
    assert!(operation::unfinished(&journal, &snapshot).is_none());
    assert!(journal.last().is_some_and(|e| e.progress.result.is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_database_that_others_have_moved_on_is_no_longer_the_runs() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.ready("db-0").await;
    run.crash().await;
    world.lift_pause();
    let elsewhere = |db: &mut serde_json::Value| db["spec"]["version"] = "3.7.2".into();
    world.store().update(&world.res(), NAMESPACE, "db", elsewhere).unwrap();
    let (snapshot, journal) = found(&world).await;
    assert!(operation::unfinished(&journal, &snapshot).is_none());
}

/// The operator, resumed by somebody else, writes the old templates back and restarts nothing: pods on the new images are
/// all that is left to see, and both resuming and rolling back still find them.
#[tokio::test(start_paused = true)]
async fn pods_alone_on_the_new_images_are_half_done() {
    let world = World::new(Database::zookeeper("db"));
    let before = state(&world);
    let mut run = world.start().await;
    run.ready("db-0").await;
    world.lift_pause();
    run.end().await.ended(Outcome::SomebodyElse, 5, true, false);
    tokio::time::sleep(secs(10)).await;
    let template = |world: &World| {
        text(&world.get(WORKLOADS[0], "db"), "/spec/template/spec/containers/0/image").to_owned()
    };
    assert!(template(&world).ends_with(":3.8.3"), "the operator has put it back");
    assert_eq!(world.old_pods(), ["db-1", "db-2"]);
    roll_back(&world).await.expect("it is half done").done();
    assert_eq!(state(&world), before);
}

/// A run that is resumed finds the database half done and the operator resumed. It pauses the operator again, and
/// leaves it paused though it changes nothing else itself.
#[tokio::test(start_paused = true)]
async fn the_pause_of_what_is_half_done_is_not_taken_back() {
    let world = World::new(Database::zookeeper("db"));
    world.sim.behaviour().change(|b| b.provisioner.alive = false);
    let mut run = world.start_with(|o| o.bounds.pause_timeout = secs(1)).await;
    run.ready("db-0").await;
    world.lift_pause();
    run.end().await.ended(Outcome::SomebodyElse, 5, true, false);
    let (snapshot, journal) = found(&world).await;
    let resuming = operation::unfinished(&journal, &snapshot);
    assert!(resuming.is_some());
    let plan = update::plan(&snapshot, &request(world.target())).unwrap();
    let options = story_of(world.options("run1"), |story| Story { journal, resuming, ..story });
    let mut run = Running::start(world.cluster(), snapshot, plan, options);
    run.event("asked", |e| matches!(e, Event::PauseRequested { .. })).await;
    run.interrupt();
    run.end()
        .await
        .ended(Outcome::Stopped, 130, false, true)
        .says(&["is paused and between", "kubectl dbupdate resume"]);
    assert!(world.paused().is_some());
}

/// A rollback that somebody stops before it has changed anything hides nothing of what it was to go back from.
#[tokio::test(start_paused = true)]
async fn a_rollback_that_was_stopped_at_once_is_still_to_be_done() {
    let world = World::new(Database::zookeeper("db"));
    let before = state(&world);
    let mut run = world.start().await;
    run.evicted("db-0").await;
    run.interrupt();
    run.end().await.ended(Outcome::Stopped, 130, true, true);
    let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("it is half done");
    let mut run = back.start();
    run.event("asked", |e| matches!(e, Event::PauseRequested { .. })).await;
    world.change_status(|db| {
        let conditions = db["status"]["conditions"].as_array_mut().unwrap();
        let paused = conditions.iter_mut().find(|c| c["type"] == "Paused").unwrap();
        paused["message"] = "an ops request is at work".into();
    });
    run.end().await.ended(Outcome::SomebodyElse, 5, false, false);
    world.lift_pause();
    roll_back(&world).await.expect("it is half done").done();
    assert_eq!(state(&world), before);
}

fn story_of(usual: RunOptions, change: impl FnOnce(Story) -> Story) -> RunOptions {
    RunOptions { story: change(usual.story), ..usual }
}
