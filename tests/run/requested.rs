//! The way through the Ops-manager: its request is made and followed.

use std::collections::BTreeSet;

use kubectl_dbupdate::event::{Event, Outcome, Step, WaitingOn};
use kubectl_dbupdate::model::{Check, Method, Severity};
use kubectl_dbupdate::situation::{self, State, Status};
use serde_json::json;
use simcluster::world::Database;
use simcluster::{Ailment, Behaviour, OpsManager, PodRule, Verdict};

use crate::common::process::Process;
use crate::common::{Ended, NAMESPACE, World, secs, text};

const REQUESTS: &str = "zookeeperopsrequests.ops.kubedb.com";
const REQUEST: &str = "db-to-3-9-1";

fn behaving(manager: OpsManager) -> World {
    let behaviour = Behaviour { ops_manager: OpsManager { alive: true, ..manager }, ..Behaviour::default() };
    let mut world = World::behaving(behaviour, Database::zookeeper("db"));
    world.method = Method::OpsManager;
    world
}

fn verdict(verdict: Verdict) -> World {
    behaving(OpsManager { verdict, ..OpsManager::default() })
}

fn phase(world: &World) -> String {
    text(&world.get(REQUESTS, REQUEST), "/status/phase").to_owned()
}

/// What of the database we have written ourselves, beside the request.
fn touched(world: &World) -> Vec<String> {
    world.sent().into_iter().filter(|s| !s.contains("opsrequests")).collect()
}

async fn status(world: &World) -> Status {
    let cluster = world.cluster();
    let snapshot = world.snapshot(&cluster).await;
    let journal = cluster.journal(world.kind, "default", "db").await.expect("it can be read");
    let seen = situation::Seen {
        snapshot,
        runs: kubectl_dbupdate::model::Lookup::Found(journal.entries),
        lock_age: None,
        unread: Vec::new(),
    };
    situation::status(&seen, |next| format!("{next:?}"))
}

async fn resumed(world: &World) -> Ended {
    let resume = Process::resume(world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
    resume.start().end().await
}

#[tokio::test(start_paused = true)]
async fn a_request_is_followed_to_its_end() {
    let world = behaving(OpsManager::default());
    let ended = world.update().await;
    ended.done();
    world.is_updated();
    assert_eq!(phase(&world), "Successful");
    assert_eq!(touched(&world), Vec::<String>::new());
    let manifest = ended.plan.ops_request.clone().expect("it is planned");
    let made = world.get(REQUESTS, REQUEST);
    assert_eq!(serde_json::to_value(&manifest.spec).expect("it is JSON"), made["spec"]);
    for pod in ["db-0", "db-1", "db-2"] {
        let starts = |e: &&Event| matches!(e, Event::PodStarted { pod: p, .. } if p == pod);
        assert_eq!(ended.events().filter(starts).count(), 1, "{pod}");
        ended.ready_at(pod);
    }
    assert!(ended.has(|e| matches!(e, Event::WorkloadFinished { .. })));
    let says = |e: &Event| match e {
        Event::Waiting { on: WaitingOn::OpsManager { doing, .. }, .. } => doing.contains("db-1"),
        _ => false,
    };
    assert!(ended.has(says), "what it does to which pod is told");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_says_why_and_what_goes_on() {
    let world = verdict(Verdict::Fail { at: "db-1".to_owned(), message: "the disk is full".to_owned() });
    let ended = world.update().await;
    ended.ended(Outcome::Failed, 4, true, false).says(&[REQUEST, "Failed", "the disk is full"]);
    assert_eq!(
        ended.finish.next,
        [
            "kubectl describe zookeeperopsrequests db-to-3-9-1 -n default",
            "kubectl dbupdate zookeeper db --to 3.9.1 --via client",
            "kubectl dbupdate rollback zookeeper db"
        ]
    );
    let again = Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
    assert_eq!(again.refusals(), [Check::Via]);
    let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
    back.start().end().await.done();
    assert_eq!(text(&world.database(), "/spec/version"), "3.8.3");
}

/// Whoever goes on by another way and is interrupted goes on, or back, by that one.
#[tokio::test(start_paused = true)]
async fn a_run_that_changed_its_method_keeps_the_new_one() {
    for back in [false, true] {
        let mut world = verdict(Verdict::Fail { at: "db-1".to_owned(), message: "no".to_owned() });
        world.update().await.ended(Outcome::Failed, 4, true, false);
        world.method = Method::Client;
        let mut running = Process::update(&world, world.cluster()).await.start();
        running.event("a pod moves", |e| matches!(e, Event::PodStarted { .. })).await;
        running.interrupt();
        running.end().await.ended(Outcome::Stopped, 130, true, true);
        if back {
            let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await;
            back.expect("it is unfinished").start().end().await.done();
            assert_eq!(text(&world.database(), "/spec/version"), "3.8.3");
        } else {
            resumed(&world).await.done();
            world.is_updated();
        }
    }
}

/// A step that changes the shape is resumed through the Provisioner. While that renders, the version means nothing:
/// the rollback asks for no consent, and the status names the commands of this method.
#[tokio::test(start_paused = true)]
async fn a_request_of_another_shape_is_resumed_through_the_provisioner() {
    let fail = Verdict::Fail { at: "db-broker-1".to_owned(), message: "no".to_owned() };
    let manager = OpsManager { alive: true, verdict: fail, ..OpsManager::default() };
    let database = Database::kafka_topology("db").version("3.9.0").controllers(3).brokers(2);
    let mut world = World::behaving(Behaviour { ops_manager: manager, ..Behaviour::default() }, database)
        .rendered_to("4.0.0");
    world.method = Method::OpsManager;
    world.update().await.ended(Outcome::Failed, 4, true, false);
    assert_eq!(status(&world).await.next, [r#"Method("4.0.0", Provisioner)"#, "Rollback"]);
    world.method = Method::Provisioner;
    let mut running = Process::update(&world, world.cluster()).await.start();
    running.event("it waits", |e| matches!(e, Event::Waiting { step: Step::Render, .. })).await;
    running.interrupt();
    running.end().await.ended(Outcome::Stopped, 130, true, false);
    assert_eq!(status(&world).await.next, ["Resume", "Rollback"]);
    let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
    assert_eq!(back.refusals(), []);
    resumed(&world).await.done();
    world.is_updated();
}

/// After a request that has failed this tool completes the update on its own.
#[tokio::test(start_paused = true)]
async fn a_request_that_fails_is_resumed_by_the_client() {
    let mut world = verdict(Verdict::Fail { at: "db-1".to_owned(), message: "no".to_owned() });
    world.update().await.ended(Outcome::Failed, 4, true, false);
    world.method = Method::Client;
    Process::update(&world, world.cluster()).await.start().end().await.done();
    world.is_updated();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_denied_or_skipped_has_changed_nothing() {
    for (verdict_, said) in [
        (Verdict::Deny { message: "not on a Friday".to_owned() }, "Denied"),
        (Verdict::Skip { message: "a newer one is there".to_owned() }, "Skipped"),
    ] {
        let world = verdict(verdict_);
        let ended = world.update().await;
        ended.ended(Outcome::Failed, 1, false, false).says(&[said]);
        assert!(world.pods().iter().all(|p| text(p, "/spec/containers/0/image").ends_with(":3.8.3")));
        assert!(Process::resume(&world, world.cluster(), BTreeSet::new()).await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_comes_back_to_the_same_request() {
    let world = behaving(OpsManager::default());
    let mut running = world.start().await;
    running.event("a pod moves", |e| matches!(e, Event::PodStarted { .. })).await;
    running.interrupt();
    let left = running.end().await;
    left.ended(Outcome::Stopped, 130, true, false);
    assert!(left.finish.state.contains("continues without this command"), "{}", left.finish.state);
    assert_eq!(
        left.finish.next,
        [
            "kubectl dbupdate resume zookeeper db",
            "kubectl describe zookeeperopsrequests db-to-3-9-1 -n default"
        ]
    );
    assert_eq!(phase(&world), "Progressing");
    resumed(&world).await.done();
    world.is_updated();
    assert_eq!(world.store().list(REQUESTS, None).len(), 1);
    assert_eq!(touched(&world), Vec::<String>::new());
}

/// The request ends while nobody follows it: what is left is to verify.
#[tokio::test(start_paused = true)]
async fn a_request_that_ends_alone_is_verified() {
    let world = behaving(OpsManager::default());
    let mut running = world.start().await;
    running.step(Step::Follow).await;
    running.crash().await;
    world.until("it ends", || phase(&world) == "Successful").await;
    tokio::time::sleep(secs(60)).await;
    resumed(&world).await.done();
    world.is_updated();
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_approval_goes_on_once_it_has_it() {
    let world = verdict(Verdict::WaitForApproval);
    let mut running = world.start().await;
    let waits = |e: &Event| match e {
        Event::Waiting { on: WaitingOn::OpsManager { phase, .. }, .. } => phase == "WaitingForApproval",
        _ => false,
    };
    running.event("it waits", waits).await;
    let approve = |request: &mut serde_json::Value| request["status"]["phase"] = "Approved".into();
    world.store().update_status(REQUESTS, "default", REQUEST, approve).expect("it is there");
    running.end().await.done();
}

/// The pause of a request that is gone, or has failed under an older KubeDB, stays behind for ever: it is said how to get
/// rid of it, and that works.
#[tokio::test(start_paused = true)]
async fn a_pause_that_a_request_has_left_can_be_removed() {
    for (request, said) in [
        (None, None),
        (Some("Progressing"), None),
        (
            Some("Failed"),
            Some("ZooKeeperOpsRequest up ended: Failed: it took too long; none of its ops requests"),
        ),
    ] {
        let world = World::new(Database::zookeeper("db"));
        if let Some(phase) = request {
            let conditions = json!([{ "type": "Failed", "status": "True", "message": "it took too long" }]);
            let up = json!({
                "metadata": { "name": "up", "namespace": NAMESPACE },
                "spec": { "type": "UpdateVersion", "databaseRef": { "name": "db" } },
                "status": { "phase": phase, "conditions": conditions },
            });
            world.store().create(REQUESTS, up).expect("it is new");
        }
        tokio::time::sleep(secs(10)).await;
        world.change_status(|db| {
            let message = "Controller has started to Progress with OpsRequest: default/up";
            let paused =
                json!({ "type": "Paused", "status": "True", "reason": "Paused", "message": message });
            db["status"]["conditions"].as_array_mut().expect("there are some").push(paused);
        });
        let plan = world.plan().await;
        let refusal = plan.refusals().find(|f| f.check == Check::PausedByOther).expect("it is refused");
        let command = refusal.hint.split_once("kubectl patch zookeepers db -n default --subresource=status");
        let patch = command.and_then(|(_, rest)| rest.split('\'').nth(1)).map(str::to_owned);
        assert_eq!(patch.is_some(), request != Some("Progressing"), "{}", refusal.hint);
        assert!(said.is_none_or(|said| refusal.hint.contains(said)), "{}", refusal.hint);
        let Some(patch) = patch else { continue };
        let path = "/apis/kubedb.com/v1alpha2/namespaces/default/zookeepers/db/status";
        let request = http::Request::patch(path).header("content-type", "application/json-patch+json");
        let client = kube::Client::new(world.sim.transport(), NAMESPACE);
        client
            .request_text(request.body(patch.into_bytes()).expect("a request"))
            .await
            .expect("it is accepted");
        assert_eq!(world.paused(), None);
        world.update().await.done();
    }
}

/// Without an Ops-manager nobody looks at the request: the user hears of it, and may leave.
#[tokio::test(start_paused = true)]
async fn a_request_at_which_nobody_looks_is_told() {
    let world = behaving(OpsManager::default());
    world.sim.behaviour().change(|b| b.ops_manager.alive = false);
    let mut running = world.start().await;
    let heard = |e: &Event| matches!(e, Event::Notice { message } if message.contains("licensed"));
    running.event("it is told", heard).await;
    let ended = running.end().await;
    ended.ended(Outcome::Failed, 4, true, false).says(&["no progress", "left running"]);
    assert!(
        ended.finish.state.contains("has not been picked up by the Ops-manager yet"),
        "{}",
        ended.finish.state
    );
    let out = "kubectl delete zookeeperopsrequests db-to-3-9-1 -n default";
    assert_eq!(ended.finish.next.last().map(String::as_str), Some(out));
    assert_eq!(status(&world).await.next, ["Resume", r#"DeleteRequest("db-to-3-9-1")"#]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_deleted_ends_the_run() {
    let world = behaving(OpsManager::default());
    let mut running = world.start().await;
    running.event("a pod moves", |e| matches!(e, Event::PodStarted { .. })).await;
    world.store().delete(REQUESTS, "default", REQUEST, Default::default()).expect("it is there");
    running.end().await.ended(Outcome::Failed, 4, true, false).says(&["was deleted before it ended"]);
}

/// The engine has no health gate: that the last pod never becomes Ready is found by the verification.
#[tokio::test(start_paused = true)]
async fn success_is_not_believed_without_a_look() {
    let world = behaving(OpsManager::default());
    world.sim.behaviour().change(|b| {
        b.pods.push(PodRule::new(Ailment::NeverReady).name("db-2").image("*zookeeper:3.9.1*"));
    });
    let ended = world.start_with(|o| o.bounds.pod_timeout = secs(120)).await.end().await;
    ended.ended(Outcome::Failed, 4, true, false).says(&["db-2", "not Ready"]);
}

#[tokio::test(start_paused = true)]
async fn the_status_tells_of_our_own_request() {
    let world = behaving(OpsManager::default());
    let mut running = world.start().await;
    running.event("a pod moves", |e| matches!(e, Event::PodStarted { .. })).await;
    running.interrupt();
    running.end().await;
    let status = status(&world).await;
    assert_eq!(status.state, State::OpsRequest);
    assert_eq!(status.next, ["Resume", r#"DescribeRequest("db-to-3-9-1")"#]);
    assert!(status.sentence.contains("created by run run1 of this tool"), "{}", status.sentence);
}

/// Finished requests keep their names.
#[tokio::test(start_paused = true)]
async fn a_name_that_was_used_gets_a_number() {
    let world = verdict(Verdict::Deny { message: "no".to_owned() });
    world.update().await.ended(Outcome::Failed, 1, false, false);
    let plan = world.plan().await;
    assert_eq!(plan.ops_request.expect("it is planned").metadata.name, "db-to-3-9-1-2");
    assert!(plan.findings.iter().all(|f| f.severity != Severity::Refusal));
}
