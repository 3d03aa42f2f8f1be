//! Runs that go on another way than they began, and what goes wrong on the ways through KubeDB's own operators.

use std::collections::BTreeSet;

use kubectl_dbupdate::event::{Event, Outcome, Step, WaitingOn};
use kubectl_dbupdate::model::{Check, Lookup, Method};
use kubectl_dbupdate::situation::{self, Seen, State};
use kubectl_dbupdate::steps::leftover;
use serde_json::{Value, json};
use simcluster::world::Database;
use simcluster::{Ailment, Behaviour, Effect, Fault, OpsManager, PodRule, Verdict};

use crate::common::invariants::Invariants;
use crate::common::process::Process;
use crate::common::{DEPLOYMENTS, NAMESPACE, Running, World, secs, text};

const PETSETS: &str = "petsets.apps.k8s.appscode.com";
const REQUESTS: &str = "zookeeperopsrequests.ops.kubedb.com";
const REQUEST: &str = "db-to-3-9-1";

fn kafka(behaviour: Behaviour) -> World {
    let database = Database::kafka_topology("db").version("3.9.0").controllers(3).brokers(2).cruise_control();
    World::behaving(behaviour, database).rendered_to("4.0.0")
}

fn requested(verdict: Verdict) -> World {
    let ops_manager = OpsManager { alive: true, verdict, ..OpsManager::default() };
    let mut world =
        World::behaving(Behaviour { ops_manager, ..Behaviour::default() }, Database::zookeeper("db"));
    world.method = Method::OpsManager;
    world
}

fn slow(reconcile: u64) -> Behaviour {
    let mut behaviour = Behaviour::default();
    behaviour.provisioner.reconcile = secs(reconcile);
    behaviour
}

async fn while_rendering(world: &World) -> Running {
    let mut running = world.start().await;
    let rendering = |e: &Event| matches!(e, Event::Waiting { on: WaitingOn::Rendering { .. }, .. });
    running.event("it waits for the operator", rendering).await;
    running
}

fn set_version(world: &World, version: &str) {
    let set = |db: &mut Value| db["spec"]["version"] = version.into();
    world.store().update(&world.res(), NAMESPACE, "db", set).expect("it is there");
}

/// Somebody has every PetSet replace its pods by itself.
fn let_them_roll(world: &World) {
    for set in world.store().list(PETSETS, None) {
        let name = text(&set, "/metadata/name").to_owned();
        let roll = |set: &mut Value| set["spec"]["updateStrategy"] = json!({ "type": "RollingUpdate" });
        world.store().update(PETSETS, NAMESPACE, &name, roll).expect("it is there");
    }
}

/// A run that was resumed knows where it came from, though the version is the target's by then.
#[tokio::test(start_paused = true)]
async fn what_is_resumed_is_rolled_back_automatically_to_where_it_began() {
    let stuck = PodRule::new(Ailment::PullError).image("*kafka:4.0.0*");
    let world = kafka(slow(30).with(stuck));
    let invariants = Invariants::watch(&world);
    while_rendering(&world).await.crash().await;
    let again = Process::update(&world, world.cluster()).await.with(|o| o.roll_back_on_failure = true);
    let ended = again.start().end().await;
    ended.ended(Outcome::RolledBack, 4, true, false);
    invariants.hold();
    assert_eq!(text(&world.database(), "/spec/version"), "3.9.0");
}

/// That a container of the new image runs is seen as well by whoever finds the templates on the target already.
#[tokio::test(start_paused = true)]
async fn what_has_started_before_is_not_rolled_back_by_itself() {
    let never = PodRule::new(Ailment::NeverReady).image("*:3.9.1*");
    let world = World::behaving(Behaviour::default().with(never), Database::zookeeper("db"));
    let mut running = world.start().await;
    running.event("it runs", |e| matches!(e, Event::PodWaiting { on: WaitingOn::Readiness, .. })).await;
    running.crash().await;
    let again = Process::update(&world, world.cluster()).await.with(|o| o.roll_back_on_failure = true);
    again.start().end().await.ended(Outcome::Failed, 4, false, true);
}

/// The pause is not lifted over templates that the version knows nothing of.
#[tokio::test(start_paused = true)]
async fn what_the_client_has_begun_the_provisioner_ends() {
    let mut world = World::new(Database::zookeeper("db"));
    let mut running = world.start().await;
    running.ready("db-0").await;
    running.crash().await;
    world.method = Method::Provisioner;
    let invariants = Invariants::watch(&world);
    Process::update(&world, world.cluster()).await.start().end().await.done();
    invariants.hold();
    world.is_updated();
}

#[tokio::test(start_paused = true)]
async fn what_rolls_by_itself_by_now_is_not_rendered() {
    let world = kafka(Behaviour::default());
    let cluster = world.cluster();
    let (snapshot, plan) = (world.snapshot(&cluster).await, world.plan().await);
    let pods = || world.pods().iter().map(|p| text(p, "/metadata/uid").to_owned()).collect::<BTreeSet<_>>();
    let before = pods();
    let_them_roll(&world);
    let ended = Running::start(cluster, snapshot, plan, world.options("run1")).end().await;
    ended.ended(Outcome::SomebodyElse, 5, false, false).says(&["RollingUpdate"]);
    tokio::time::sleep(secs(60)).await;
    assert_eq!(pods(), before);
}

#[tokio::test(start_paused = true)]
async fn what_rolls_by_itself_by_now_is_not_rendered_back() {
    let world = kafka(Behaviour::default());
    let mut running = world.start().await;
    running.ready("db-controller-0").await;
    running.crash().await;
    let_them_roll(&world);
    let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
    assert_eq!(back.refusals(), [Check::Via; 2], "controllers and brokers");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_set_back_while_the_operator_renders_ends_the_run() {
    for version in ["3.9.0", "3.9.1"] {
        let world = kafka(slow(30));
        let running = while_rendering(&world).await;
        set_version(&world, version);
        let ended = running.end().await;
        ended.ended(Outcome::SomebodyElse, 5, true, false).says(&[
            "spec.version",
            version,
            "instead of 4.0.0",
        ]);
        assert!(ended.finish.next[0].contains(r#""version":"4.0.0""#), "{:?}", ended.finish.next);
    }
}

/// Nobody waits for ever for a cluster that is away.
#[tokio::test(start_paused = true)]
async fn a_cluster_that_stays_away_ends_the_wait() {
    let world = kafka(slow(30));
    let running = while_rendering(&world).await;
    world.sim.faults().add(Fault::new(Effect::Reset).always());
    world.sim.faults().break_watches();
    running.end().await.ended(Outcome::Failed, 4, true, false).says(&["watched"]);
    let world = requested(Verdict::Succeed);
    let mut running = world.start().await;
    running.event("a pod moves", |e| matches!(e, Event::PodStarted { .. })).await;
    world.sim.faults().add(Fault::new(Effect::Reset).always());
    world.sim.faults().break_watches();
    let ended = running.end().await;
    ended.ended(Outcome::Failed, 4, true, false).says(&["watched"]);
    assert_eq!(
        ended.finish.next,
        [
            "kubectl dbupdate resume zookeeper db",
            "kubectl describe zookeeperopsrequests db-to-3-9-1 -n default"
        ]
    );
}

/// The operator has put the old templates back by the time the failure is heard of: the pods tell.
#[tokio::test(start_paused = true)]
async fn a_request_that_fails_is_told_by_its_pods_as_well() {
    let world = requested(Verdict::Fail { at: "db-1".to_owned(), message: "no".to_owned() });
    world.sim.behaviour().change(|b| b.provisioner.reconcile = secs(0));
    world.update().await.ended(Outcome::Failed, 4, true, false);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_denied_after_all_has_changed_nothing() {
    let world = requested(Verdict::WaitForApproval);
    let mut running = world.start().await;
    running.step(Step::Follow).await;
    tokio::time::sleep(secs(20)).await;
    running.interrupt();
    running.end().await.ended(Outcome::Stopped, 130, true, false);
    let resumed = Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
    let mut running = resumed.start();
    running.step(Step::Follow).await;
    let deny = |request: &mut Value| request["status"]["phase"] = "Denied".into();
    world.store().update_status(REQUESTS, NAMESPACE, REQUEST, deny).expect("it is there");
    let ended = running.end().await;
    ended.ended(Outcome::Failed, 1, false, false);
    assert!(ended.finish.state.contains("nothing was changed"), "{}", ended.finish.state);
}

/// The pause that a deleted request has left does not keep its own run from making it anew.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_deleted_is_recreated_by_resume() {
    let world = requested(Verdict::Succeed);
    let mut running = world.start().await;
    running.event("a pod moves", |e| matches!(e, Event::PodStarted { .. })).await;
    world.store().delete(REQUESTS, NAMESPACE, REQUEST, Default::default()).expect("it is there");
    let ended = running.end().await;
    ended.ended(Outcome::Failed, 4, true, false).says(&["was deleted before it ended"]);
    assert_eq!(
        ended.finish.next,
        ["kubectl dbupdate resume zookeeper db", "kubectl describe zookeepers db -n default"]
    );
    let cluster = world.cluster();
    let journal = cluster.journal(world.kind, NAMESPACE, "db").await.expect("it can be read");
    let runs = Lookup::Found(journal.entries);
    let seen = Seen { snapshot: world.snapshot(&cluster).await, runs, lock_age: None, unread: Vec::new() };
    let status = situation::status(&seen, |next| format!("{next:?}"));
    assert_eq!((status.state, &status.next[0][..]), (State::HalfDone, "Resume"), "{}", status.sentence);
    let resumed = Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
    resumed.start().end().await.done();
    world.is_updated();
}

#[tokio::test(start_paused = true)]
async fn a_name_that_another_database_has_taken_is_told_at_once() {
    let world = requested(Verdict::Succeed);
    let other = json!({
        "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "ZooKeeperOpsRequest",
        "metadata": { "name": REQUEST, "namespace": NAMESPACE },
        "spec": { "type": "UpdateVersion", "databaseRef": { "name": "other" },
            "updateVersion": { "targetVersion": "3.9.1" } },
        "status": { "phase": "Failed" },
    });
    world.store().create(REQUESTS, other).expect("it is new");
    let ended = world.update().await;
    ended.ended(Outcome::Refused, 3, false, false).says(&[REQUEST, "already exists"]);
    assert!(ended.finish.elapsed_ms < 60_000, "{}", ended.finish.elapsed_ms);
}

/// A resumed run uses the method that was used last.
#[tokio::test(start_paused = true)]
async fn the_method_that_was_used_last_is_resumed() {
    let mut world = requested(Verdict::Fail { at: "db-1".to_owned(), message: "no".to_owned() });
    world.update().await.ended(Outcome::Failed, 4, true, false);
    world.method = Method::Client;
    let mut running = Process::update(&world, world.cluster()).await.start();
    running.step(Step::SetVersion).await;
    running.crash().await;
    let resumed = Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
    assert_eq!(resumed.plan.method, Method::Client);
    resumed.start().end().await.done();
    world.is_updated();
}

/// A request that ends badly lifts our pause, over templates of both versions.
#[tokio::test(start_paused = true)]
async fn what_the_client_has_begun_is_not_left_to_a_request() {
    let mut world = requested(Verdict::Deny { message: "no".to_owned() });
    world.method = Method::Client;
    let mut running = world.start().await;
    running.ready("db-0").await;
    running.crash().await;
    world.method = Method::OpsManager;
    let again = Process::update(&world, world.cluster()).await;
    assert_eq!(again.refusals(), [Check::Via]);
}

/// What the operator renders it may pin: it is the run's all the same.
#[tokio::test(start_paused = true)]
async fn templates_that_are_pinned_count_as_changed() {
    let mut behaviour = Behaviour::default();
    behaviour.provisioner.pin_digests = true;
    let database = Database::kafka_topology("db").version("3.9.0").pinned();
    let world = World::behaving(behaviour, database).rendered_to("4.0.0");
    let mut running = world.start().await;
    running.event("it asks for the pause", |e| matches!(e, Event::PauseRequested { .. })).await;
    running.crash().await;
    set_version(&world, "3.9.0");
    assert!(world.evictions().is_empty());
    let cluster = world.cluster();
    let journal = cluster.journal(world.kind, NAMESPACE, "db").await.expect("it can be read");
    let snapshot = world.snapshot(&cluster).await;
    assert!(leftover::changed(journal.last().expect("it is in the journal"), &snapshot));
}

/// Cruise control's Deployment serves the database, it is not it: one that is recreated keeps nobody from going back.
#[tokio::test(start_paused = true)]
async fn a_deployment_that_is_recreated_is_left_to_the_operator() {
    let world = kafka(slow(5));
    let running = while_rendering(&world).await;
    world
        .store()
        .delete(DEPLOYMENTS, NAMESPACE, "db-cruise-control", Default::default())
        .expect("it is there");
    running.end().await.ended(Outcome::SomebodyElse, 5, true, false).says(&["deployment/db-cruise-control"]);
    let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
    back.start().end().await.done();
    tokio::time::sleep(secs(60)).await;
    let image =
        world.get(DEPLOYMENTS, "db-cruise-control")["spec"]["template"]["spec"]["containers"][0]["image"]
            .clone();
    assert!(image.as_str().is_some_and(|image| image.contains("3.9.0")), "{image}");
}

/// Whoever resumes a run that was killed right after its first change, and changes nothing himself, leaves it as
/// unfinished as it was.
#[tokio::test(start_paused = true)]
async fn what_a_killed_run_has_changed_is_not_forgotten_by_the_next() {
    let world = kafka(slow(100));
    while_rendering(&world).await.crash().await;
    let resume = Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
    let mut resumed = resume.start();
    let rendering = |e: &Event| matches!(e, Event::Waiting { on: WaitingOn::Rendering { .. }, .. });
    resumed.event("it waits for the operator", rendering).await;
    resumed.interrupt();
    resumed.end().await.ended(Outcome::Stopped, 130, false, false);
    assert!(Process::rollback(&world, world.cluster(), BTreeSet::new()).await.is_some());
}
