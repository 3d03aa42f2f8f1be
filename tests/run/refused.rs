//! Writes that the API server refuses when they are tried: the run ends before any change, and the advice fits.

use kubectl_dbupdate::event::Outcome;
use simcluster::world::Database;
use simcluster::{ApiError, Effect, Fault};

use crate::common::{PETSETS, World, secs};

/// Every patch of a pod template is answered like that.
fn guarded(answer: ApiError) -> World {
    let world = World::new(Database::zookeeper("db"));
    let patch = Fault::new(Effect::Answer(answer)).method("PATCH").path("/petsets/db");
    world.sim.faults().add(patch.always());
    world
}

/// What a policy refuses is no matter of permissions.
#[tokio::test(start_paused = true)]
async fn a_policy_that_refuses_a_write_refuses_the_run() {
    let forbidden = "petsets.apps.k8s.appscode.com \"db\" is forbidden";
    let webhook = |code| ApiError::denied_by_webhook(code, "guard.example.com", "frozen until Monday");
    for (answer, word) in [
        (webhook(403), "frozen until Monday"),
        (webhook(400), "frozen until Monday"),
        (webhook(409), "frozen until Monday"),
        (webhook(404), "frozen until Monday"),
        (ApiError::denied_by_policy(PETSETS, "db", "no-edits", "ask first"), "ask first"),
        (
            ApiError::new(
                403,
                "Forbidden",
                format!("{forbidden}: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"),
            ),
            "'b' denied request",
        ),
        (
            ApiError::new(
                403,
                "Forbidden",
                format!(
                    "{forbidden}: unable to create new content in namespace default because it is being terminated"
                ),
            ),
            "being terminated",
        ),
    ] {
        let world = guarded(answer);
        let ended = world.update().await;
        ended.ended(Outcome::Refused, 3, false, false).says(&["rejected: ", word, "nothing was changed"]);
        assert_eq!(ended.finish.next, ["kubectl dbupdate zookeeper db --to 3.9.1"]);
        assert_eq!(world.sent(), [] as [&str; 0]);
        assert!(ended.took() < secs(1), "a policy's word is not doubted: {:?}", ended.took());
        world.no_lease();
    }
}

/// A missing permission that no review has shown.
#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_told_as_one() {
    let world = World::new(Database::zookeeper("db"));
    let patch = Fault::new(Effect::Forbid).method("PATCH").path("/petsets/db");
    world.sim.faults().add(patch.always());
    let ended = world.update().await;
    ended.ended(Outcome::Refused, 3, false, false).says(&["forbidden: ", "cannot patch resource"]);
    ended.says(&["kubectl auth can-i --list -n default"]);
}

/// A run that has changed something stays unfinished, whatever refuses its next process.
#[tokio::test(start_paused = true)]
async fn a_resumed_run_that_is_refused_is_unfinished() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.ready("db-0").await;
    run.interrupt();
    run.end().await.ended(Outcome::Stopped, 130, true, true);
    let denied = ApiError::denied_by_webhook(403, "guard.example.com", "frozen");
    world.sim.faults().add(Fault::new(Effect::Answer(denied)).path("/eviction").always());
    let mut options = world.options("run1");
    let journal = world.journal(&world.cluster()).await;
    options.story.resuming = journal.entries.last().cloned();
    options.story.before = options.story.resuming.as_ref().map(|e| e.run.before.clone());
    let ended = world.launch(options).await.end().await;
    ended.ended(Outcome::Failed, 4, false, true).says(&["frozen", "kubectl dbupdate resume"]);
    assert!(!ended.finish.next.iter().any(|next| next.contains("can-i")), "{:?}", ended.finish.next);
}
