//! For how long pods were away, and how many were restarted, over the whole run.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use kubectl_dbupdate::engine::{Signal, Stop};
use kubectl_dbupdate::event::{Outcome, Step};
use simcluster::world::Database;
use simcluster::{Ailment, Behaviour, DeleteOptions, PodRule};

use crate::common::process::Process;
use crate::common::*;

/// A ZooKeeper whose second pod takes so long to become Ready.
fn slow(time: Duration) -> World {
    let rule = PodRule::new(Ailment::SlowStart(time)).name("db-1").image("*:3.9.1*");
    World::behaving(Behaviour::default().with(rule), Database::zookeeper("db"))
}

/// The run says that some pod was away for so long, and that so many were restarted.
fn says(ended: &Ended, longest: Range<u64>, at_least: bool, restarted: u64) {
    let finish = &ended.finish;
    let ms = longest.start * 1000..longest.end * 1000;
    assert!(ms.contains(&finish.longest_away_ms), "{} ms is not {longest:?} s", finish.longest_away_ms);
    assert_eq!(finish.longest_away_at_least, at_least, "{} ms", finish.longest_away_ms);
    assert_eq!(finish.workloads[0].restarted, restarted);
    assert_eq!(finish.workloads[0].longest_away_ms, finish.longest_away_ms);
}

async fn resumed(world: &World) -> Ended {
    let ended = Process::update(world, world.cluster()).await.start().end().await;
    ended.done();
    ended
}

#[tokio::test(start_paused = true)]
async fn an_undisturbed_run_has_seen_it_all() {
    says(&slow(secs(46)).update().await, 46..48, false, 3);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_away_again_later_counts() {
    let world = slow(secs(40));
    let mut run = world.start().await;
    run.evicted("db-2").await;
    // The first pod, which is on the target, goes away once more, and for longer than any other.
    world.sim.behaviour().change(|b| b.pods.push(PodRule::new(Ailment::SlowStart(secs(90))).name("db-0")));
    world.store().delete("pods", NAMESPACE, "db-0", DeleteOptions::now()).unwrap();
    says(&run.end().await, 90..94, false, 3);
}

/// It is counted from the end of the old pod on, whether the next process comes before the new one is Ready or after.
#[tokio::test(start_paused = true)]
async fn a_pod_that_an_earlier_process_has_restarted_counts() {
    for (killed_after, comes_after) in [(20, 0), (20, 600), (1, 0)] {
        let world = slow(secs(60));
        let mut run = world.start().await;
        run.evicted("db-1").await;
        tokio::time::sleep(secs(killed_after)).await;
        run.crash().await;
        tokio::time::sleep(secs(comes_after)).await;
        let ended = resumed(&world).await;
        let known = ended.finish.longest_away_at_least;
        says(&ended, 58..64, known, 3);
    }
}

/// What was recorded at the end of a process is exact for the next one.
#[tokio::test(start_paused = true)]
async fn a_run_that_was_stopped_and_resumed_forgets_nothing() {
    let world = slow(secs(46));
    let mut run = world.start().await;
    run.ready("db-1").await;
    run.interrupt();
    let ended = run.end().await;
    ended.ended(Outcome::Stopped, 130, true, true);
    says(&ended, 46..48, false, 2);
    tokio::time::sleep(secs(3600)).await;
    says(&resumed(&world).await, 46..48, false, 3);
}

/// Stopped at once, in the middle of a pod's restart: until then it was away for so long at least.
#[tokio::test(start_paused = true)]
async fn a_pod_that_is_still_away_at_the_end_counts_until_then() {
    let world = slow(secs(46));
    let mut run = world.start().await;
    run.evicted("db-1").await;
    tokio::time::sleep(secs(20)).await;
    run.stop(Stop::Now(Signal::Interrupt));
    let ended = run.end().await;
    ended.ended(Outcome::Stopped, 130, true, true);
    says(&ended, 20..22, true, 1);
    tokio::time::sleep(secs(3600)).await;
    // Nobody has watched the pod come back, and the cluster tells that in whole seconds.
    says(&resumed(&world).await, 45..47, true, 3);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_rolled_back_is_away_from_its_first_end() {
    let pull = PodRule::new(Ailment::PullError).image("*:3.9.1*");
    let world = World::behaving(Behaviour::default().with(pull), Database::zookeeper("db"));
    let run = world.start_with(|o| o.roll_back_on_failure = true).await;
    let ended = run.end().await;
    ended.ended(Outcome::RolledBack, 4, true, false);
    says(&ended, 46..52, false, 1);
}

/// A rollback is a run of its own. The pod that the failed update has left away is so from its first end on, whichever
/// process of the rollback watches it come back; what the update has restarted is not the rollback's doing.
#[tokio::test(start_paused = true)]
async fn a_pod_that_a_failed_update_has_left_is_away_from_its_first_end() {
    for (update_killed, rollback_killed) in [(false, false), (false, true), (true, false)] {
        let pull = PodRule::new(Ailment::PullError).name("db-1").image("*:3.9.1*");
        let world = World::behaving(Behaviour::default().with(pull), Database::zookeeper("db"));
        let mut run = world.start().await;
        run.evicted("db-1").await;
        if update_killed {
            tokio::time::sleep(secs(20)).await;
            run.crash().await;
        } else {
            run.end().await.ended(Outcome::Failed, 4, true, true);
        }
        tokio::time::sleep(secs(600)).await;
        let rollback = || Process::rollback(&world, world.cluster(), BTreeSet::new());
        let mut run = rollback().await.expect("it is unfinished").start();
        if rollback_killed {
            run.step(Step::PatchImages).await;
            run.crash().await;
            run = rollback().await.expect("it is unfinished").start();
        }
        let ended = run.end().await;
        ended.done();
        // What a process does in its last seconds may not be recorded.
        let unrecorded = update_killed && ended.finish.longest_away_at_least;
        says(&ended, 620..690, unrecorded, 2);
    }
}

/// A pod that was never well is not the update's doing, until the update takes it.
#[tokio::test(start_paused = true)]
async fn an_old_pod_that_comes_and_goes_does_not_count() {
    let world = slow(secs(46));
    let mut run = world.start().await;
    run.evicted("db-1").await;
    let sick = PodRule::new(Ailment::NeverReady).name("db-2").image("*:3.8.3*");
    world.sim.behaviour().change(|b| b.pods.push(sick));
    tokio::time::sleep(secs(1)).await;
    world.sim.behaviour().change(|b| b.pods.retain(|rule| *rule.ailment() != Ailment::NeverReady));
    says(&run.end().await, 46..48, false, 3);
}
