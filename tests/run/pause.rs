//! The handshake with KubeDB's operator, and what becomes of the pause afterwards.

use std::collections::BTreeSet;

use kubectl_dbupdate::event::{Event, Outcome};
use serde_json::{Value, json};
use simcluster::world::Database;
use simcluster::{ApiError, Behaviour, Effect, Fault, Provisioner, RecordedRequest};

use crate::common::process::Process;
use crate::common::{Ended, World, secs, text};

fn world(provisioner: Provisioner) -> World {
    World::behaving(Behaviour { provisioner, ..Behaviour::default() }, Database::zookeeper("db"))
}

fn count(world: &World, change: &str) -> usize {
    world.sent().iter().filter(|s| *s == change).count()
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_answers_late_is_waited_for() {
    let world = world(Provisioner { acknowledge: Some(secs(20)), ..Provisioner::default() });
    let ended = world.update().await;
    ended.done();
    assert!(ended.finish.operator_confirmed);
    let acknowledged = ended.at("acknowledged", |e| matches!(e, Event::PauseAcknowledged { .. }));
    assert!((secs(20)..secs(21)).contains(&acknowledged), "{acknowledged:?}");
    assert_eq!(count(&world, "assert"), 0);
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_the_pause_is_asserted_and_nobody_has_confirmed() {
    let silent = Provisioner { acknowledge: None, ..Provisioner::default() };
    let dead = Provisioner { alive: false, ..Provisioner::default() };
    for provisioner in [silent, dead] {
        let world = world(provisioner);
        let run = world.start_with(|o| o.bounds.wait_ready = secs(0)).await;
        let ended = run.end().await;
        ended.done();
        world.is_updated();
        let asserted = ended.at("asserted", |e| matches!(e, Event::PauseUnanswered { .. }));
        assert!((secs(30)..secs(31)).contains(&asserted), "{asserted:?}");
        assert_eq!(count(&world, "assert"), 1);
        assert!(!ended.finish.operator_confirmed);
        assert!(ended.finish.state.contains("not confirmed by an operator"), "{}", ended.finish.state);
    }
}

/// An operator that has not answered, and reports on the database after the update, is there after all.
#[tokio::test(start_paused = true)]
async fn an_operator_that_reports_after_the_update_has_confirmed_it() {
    let world = world(Provisioner { acknowledge: None, ..Provisioner::default() });
    let ended = world.update().await;
    ended.done();
    assert!(ended.finish.operator_confirmed);
}

/// A pause that is True already says nothing of an operator: the run may have set it itself.
#[tokio::test(start_paused = true)]
async fn a_resumed_run_knows_of_an_operator_what_the_run_has_seen() {
    for alive in [false, true] {
        let world = world(Provisioner { alive, check_period: secs(3600), ..Provisioner::default() });
        let mut run = world.start().await;
        run.ready("db-0").await;
        run.interrupt();
        run.end().await.ended(Outcome::Stopped, 130, true, true);
        let resume =
            Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
        let ended = resume.with(|o| o.bounds.wait_ready = secs(0)).start().end().await;
        ended.done();
        assert!(ended.has(|e| *e == Event::PauseRequested { adopted: true }));
        assert!(!ended.has(|e| matches!(e, Event::PauseAcknowledged { .. })));
        assert_eq!(ended.finish.operator_confirmed, alive);
    }
}

/// The condition itself tells who has set it to True: the process that was killed has recorded nothing of an answer.
#[tokio::test(start_paused = true)]
async fn an_answer_to_a_killed_process_is_known_to_the_next() {
    let world = world(Provisioner { check_period: secs(3600), ..Provisioner::default() });
    let mut run = world.start().await;
    run.event("answered", |e| matches!(e, Event::PauseAcknowledged { .. })).await;
    run.crash().await;
    tokio::time::sleep(secs(60)).await;
    let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("it is paused");
    let ended = back.start().end().await;
    ended.done();
    assert!(ended.finish.operator_confirmed);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_erased_before_the_answer_is_written_again() {
    let world = world(Provisioner { erase_pause: 2, ..Provisioner::default() });
    let ended = world.update().await;
    ended.done();
    world.is_updated();
    assert_eq!(ended.events().filter(|e| **e == Event::PauseRewritten).count(), 2);
    assert_eq!(count(&world, "pause"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_erased_again_and_again_ends_the_run() {
    let world = world(Provisioner { erase_pause: 1000, ..Provisioner::default() });
    let ended = world.update().await;
    ended.ended(Outcome::Failed, 1, false, false).says(&["erased", "nothing was changed"]);
    assert!(count(&world, "pause") <= 10);
    assert_eq!(world.paused(), None);
    assert_eq!(world.old_pods().len(), 3);
    world.no_lease();
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_comes_back_after_the_resume_is_removed_again() {
    let world = world(Provisioner { restore_pause: 2, ..Provisioner::default() });
    let ended = world.update().await;
    ended.done();
    world.is_updated();
    assert_eq!(ended.events().filter(|e| **e == Event::PauseRemovedAgain).count(), 2);
    assert_eq!(count(&world, "resume"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_always_comes_back_is_told() {
    let world = world(Provisioner { restore_pause: 1000, ..Provisioner::default() });
    let ended = world.update().await;
    ended.ended(Outcome::Failed, 4, true, true).says(&["Paused"]);
    world.no_lease();
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_somebody_lifts_stops_the_run_before_its_next_write() {
    let world = world(Provisioner::default());
    let mut run = world.start().await;
    run.evicted("db-0").await;
    let before = world.sent();
    world.lift_pause();
    let ended = run.end().await;
    ended.ended(Outcome::SomebodyElse, 5, true, false).says(&["Paused condition was removed"]);
    assert_eq!(world.sent(), before);
    world.no_lease();
    // The operator has put the old images back into the template meanwhile.
    tokio::time::sleep(secs(30)).await;
    world.goes_on().await;
}

/// A run whose pause is lifted when all pods are done, and the server has twice said 403 to the version.
async fn paused_no_more_before_the_version(world: &World) -> Ended {
    let version =
        |r: &RecordedRequest| r.method == "PATCH" && r.path.ends_with("/zookeepers/db") && !r.dry_run;
    world.sim.faults().add(Fault::new(Effect::Forbid).when(version).times(2));
    let mut run = world.start().await;
    run.event("a 403", |e| matches!(e, Event::Retrying { .. })).await;
    world.lift_pause();
    run.end().await
}

/// A 403 is doubted and the write tried again: only if it may still be sent.
#[tokio::test(start_paused = true)]
async fn a_pause_that_is_lifted_while_a_403_is_doubted_stops_the_run() {
    let world = world(Provisioner::default());
    let version =
        |r: &RecordedRequest| r.method == "PATCH" && r.path.ends_with("/zookeepers/db") && !r.dry_run;
    world.sim.faults().add(Fault::new(Effect::Forbid).when(version).times(2));
    let mut run = world.start().await;
    run.event("a 403", |e| matches!(e, Event::Retrying { .. })).await;
    world.lift_pause();
    let ended = run.end().await;
    ended.ended(Outcome::SomebodyElse, 5, true, false).says(&["Paused condition was removed"]);
    assert_eq!(text(&world.database(), "/spec/version"), "3.8.3");
}

/// The operator may put the old images back between the plan of a run that finds them done and its pause.
#[tokio::test(start_paused = true)]
async fn images_that_return_after_the_plan_stop_the_run() {
    let world = world(Provisioner { reconcile: secs(3), ..Provisioner::default() });
    paused_no_more_before_the_version(&world).await;
    // The next run plans at once, and is kept from its pause until the operator has acted.
    let journal = |r: &RecordedRequest| r.method == "PATCH" && r.path.contains("/configmaps/");
    world.sim.faults().add(Fault::new(Effect::Reset).when(journal).times(5));
    let ended = world.update().await;
    ended.ended(Outcome::SomebodyElse, 5, false, false).says(&["template of petset/db"]);
    world.goes_on().await;
}

/// The operator pins images to digests again when it is resumed: that restarts nothing, and is said.
#[tokio::test(start_paused = true)]
async fn images_that_the_operator_pins_again_are_told() {
    let provisioner = Provisioner { pin_digests: true, ..Provisioner::default() };
    let behaviour = Behaviour { provisioner, ..Behaviour::default() };
    let world = World::behaving(behaviour, Database::zookeeper("db").pinned());
    let ended = world.update().await;
    ended.done();
    world.is_updated();
    assert!(ended.has(|e| matches!(e, Event::Repinned { image, .. } if image.contains(":3.9.1@sha256:"))));
    assert!(world.evictions().values().all(|times| *times == 1));
}

/// Makes the condition somebody else's.
fn take_over(db: &mut Value) {
    let condition = json!({
        "type": "Paused", "status": "True", "reason": "Paused", "message": "maintenance of the team",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let conditions = db["status"]["conditions"].as_array_mut().unwrap();
    conditions.retain(|c| c["type"] != "Paused");
    conditions.push(condition);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_pause_stops_the_run_and_is_left_alone() {
    let world = world(Provisioner::default());
    let mut run = world.start().await;
    run.evicted("db-0").await;
    let before = world.sent();
    world.change_status(take_over);
    let ended = run.end().await;
    ended.ended(Outcome::SomebodyElse, 5, true, false).says(&["maintenance of the team"]);
    assert_eq!(world.sent(), before);
    assert_eq!(world.paused().unwrap()["message"], "maintenance of the team");
    world.no_lease();
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_pause_before_ours_stops_the_run_before_any_change() {
    let world = world(Provisioner::default());
    let run = world.start().await;
    world.change_status(take_over);
    let ended = run.end().await;
    ended.ended(Outcome::SomebodyElse, 5, false, false).says(&["maintenance of the team"]);
    assert_eq!(world.sent(), Vec::<String>::new());
    assert_eq!(world.paused().unwrap()["message"], "maintenance of the team");
    world.no_lease();
}

/// The operator's reconcile must not be able to undo the images: it renders only while nothing is paused.
#[tokio::test(start_paused = true)]
async fn a_database_that_was_left_paused_is_taken_up_by_the_next_run() {
    let world = world(Provisioner::default());
    let mut run = world.start().await;
    run.ready("db-0").await;
    run.interrupt();
    run.end().await.ended(Outcome::Stopped, 130, true, true);
    let ended = world.goes_on().await;
    assert!(ended.has(|e| *e == Event::PauseRequested { adopted: true }));
    assert_eq!(count(&world, "resume"), 1);
}

/// The time in which nothing may happen after the resume begins when the condition is gone for good, not when its
/// removal is begun.
#[tokio::test(start_paused = true)]
async fn a_removal_that_takes_long_is_followed_by_silence_too() {
    let world = world(Provisioner { restore_pause: 2, ..Provisioner::default() });
    let mut run = world.start().await;
    run.event("resumed", |e| *e == Event::Resumed).await;
    let conflict = Fault::new(Effect::Answer(ApiError::stale("zookeepers", "db")));
    world.sim.faults().add(conflict.mutating().path("/status").lasting(secs(8)));
    run.end().await.done();
    tokio::time::sleep(secs(5)).await;
    assert_eq!(world.paused(), None);
}
