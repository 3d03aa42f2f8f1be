//! Writes that the API server refuses when they are tried: the run ends before any change, and the advice fits.

use kubectl_dbupdate::engine;
use kubectl_dbupdate::event::{Event, Outcome};
use kubectl_dbupdate::model::{Environment, Purpose, Snapshot};
use kubectl_dbupdate::operation::{Operation, Request, Stop, Told};
use simcluster::world::Database;
use simcluster::{AdmissionRule, ApiError, Effect, Fault, RecordedRequest};

use tokio::sync::{mpsc, watch};

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
                "Invalid",
                "policy 'm' with binding 'b' denied request: error applying patch: no such key".to_owned(),
            ),
            "'m' with binding 'b' denied request",
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

/// The lock and the journal are written and not tried: what refuses them refuses the run as well.
#[tokio::test(start_paused = true)]
async fn a_policy_that_refuses_the_lock_or_the_journal_refuses_the_run() {
    for records in ["/leases", "/configmaps"] {
        let world = World::new(Database::zookeeper("db"));
        let denied = ApiError::denied_by_webhook(403, "guard.example.com", "frozen until Monday");
        let create = Fault::new(Effect::Answer(denied)).method("POST").path(records);
        world.sim.faults().add(create.always());
        let ended = world.update().await;
        ended.ended(Outcome::Refused, 3, false, false).says(&["rejected: ", "frozen until Monday"]);
        assert_eq!(world.sent(), [] as [&str; 0], "{records}");
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

/// The pods that were tried.
fn tried(world: &World) -> Vec<RecordedRequest> {
    let pod = |r: &RecordedRequest| r.method == "POST" && r.path.ends_with("/pods");
    world.sim.requests().into_iter().filter(pod).collect()
}

/// A whole update, as the command makes it: it knows what the user may do.
async fn updated(world: &World) -> Vec<Event> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(Stop::Go);
    let request = Request { unasked: true, ..world.asked() };
    let mut operation = Operation::new(world.cluster(), request, world.clock(), stopped, tell);
    let outlook = operation.outlook().await.expect("it can be read");
    let end = operation.carry_out(outlook).await.expect("nobody is asked");
    assert_eq!(end.finish.exit_code, 0, "{}", end.finish.error);
    drop(operation);
    let mut events = Vec::new();
    while let Some(one) = told.recv().await {
        if let Told::Record(record) = one {
            events.push(record.event);
        }
    }
    events
}

/// A new pod that a policy would refuse is a warning: whoever tries it is not the controller.
#[tokio::test(start_paused = true)]
async fn a_new_pod_is_tried_before_the_first_change() {
    let world = World::new(Database::kafka_topology("db"));
    let refusal = AdmissionRule::refuse("violates PodSecurity \"restricted:latest\": x").name("db-broker-*");
    world.sim.behaviour().change(|b| b.admission = vec![refusal.user(simcluster::USER)]);
    let before = world.store().version();
    let cluster = world.cluster();
    let environment = Environment { may_create_pods: true, ..Environment::default() };
    let snapshot = Snapshot { environment, ..world.snapshot(&cluster).await };
    let trials = engine::trials(&cluster, &snapshot, &world.plan().await, &world.clock()).await.unwrap();
    assert_eq!(world.store().version(), before, "nothing has changed");
    assert!(tried(&world).iter().all(|r| r.dry_run));
    let pods: Vec<_> = trials.iter().filter(|t| t.write == Purpose::Recreate).collect();
    assert_eq!(
        pods.iter().map(|t| t.object.as_str()).collect::<Vec<_>>(),
        ["pod/db-controller-0", "pod/db-broker-0"]
    );
    assert_eq!(pods[0].warnings, [] as [&str; 0]);
    let warning = "may be refused when the controller of petset/db-broker creates it again: pods \"db-broker-0\" is forbidden: \
                   violates PodSecurity \"restricted:latest\": x (tried as you; the controller is another user)";
    assert_eq!((pods[1].warnings.as_slice(), &pods[1].refused), (&[warning.to_owned()][..], &None));

    let events = updated(&world).await;
    let warned = |e: &Event| matches!(e, Event::Notice { message } if message.starts_with("pod/db-broker-0 may be refused"));
    assert!(events.iter().any(warned), "the run says it as well, and goes on");
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_tried_only_by_who_may_create_pods() {
    let world = World::new(Database::zookeeper("db"));
    world.sim.access().deny("create", "", "pods", "");
    updated(&world).await;
    assert_eq!(tried(&world).len(), 0);
}

/// The old pod counts for a quota as long as it is there, and what the trial cannot find out says nothing.
#[tokio::test(start_paused = true)]
async fn what_a_trial_of_a_pod_cannot_tell_is_no_warning() {
    for rule in [
        AdmissionRule::quota("full", 3),
        AdmissionRule::answer(ApiError::internal("failed calling webhook \"guard.example.com\": timeout")),
        AdmissionRule::answer(ApiError::bad_request(
            "admission webhook \"guard.example.com\" does not support dry run",
        )),
    ] {
        let world = World::new(Database::zookeeper("db"));
        world.sim.behaviour().change(|b| b.admission = vec![rule.user(simcluster::USER)]);
        let events = updated(&world).await;
        assert!(!events.iter().any(|e| matches!(e, Event::Notice { .. })), "{events:?}");
        assert_eq!(tried(&world).len(), 1);
    }
}
