//! Pods that are not made again, and pods that a gate holds: the run says why, in the words of whoever knows, and stops in
//! seconds where that does not pass by itself.

use std::time::Duration;

use kubectl_dbupdate::event::{Event, Outcome, WaitingOn};
use kubectl_dbupdate::model::{Check, Lookup};
use kubectl_dbupdate::plan::update::{self, Request};
use serde_json::{Value, json};
use simcluster::world::{Database, Strategy};
use simcluster::{AdmissionRule, ApiError, DeleteOptions, Effect, Fault, Rewrite};

use crate::common::{Ended, NAMESPACE, Running, World, secs, text};

const POD_TIMEOUT: Duration = secs(200);
const POLICIES: &str = "placementpolicies.apps.k8s.appscode.com";

/// From now on pods of that name are treated so, when their controllers create them.
fn admit(world: &World, rule: AdmissionRule, name: &str) {
    let rule = rule.name(name).user("system:serviceaccount:*");
    world.sim.behaviour().change(|b| b.admission = vec![rule]);
}

/// A run that will find that `db-1` is treated so.
async fn run(world: &World, rule: AdmissionRule) -> Running {
    let run = world.start_with(|o| o.bounds.pod_timeout = POD_TIMEOUT).await;
    admit(world, rule, "db-1");
    run
}

/// It has stopped at `db-1`, so long after its eviction, and points to the workload, whose Events tell more.
fn stopped(ended: &Ended, words: &[&str], look: &str, after: [Duration; 2]) {
    ended.ended(Outcome::Failed, 4, true, true).says(&["pod db-1"]).says(words);
    assert_eq!(ended.finish.next[0], look);
    assert!(ended.finish.next[1].starts_with("kubectl dbupdate resume"), "{:?}", ended.finish.next);
    let took = ended.took() - ended.evicted_at("db-1");
    assert!((after[0]..=after[1]).contains(&took), "stopped after {took:?}");
}

fn waits(run: &Ended, says: &str) -> bool {
    run.has(|e| matches!(e, Event::PodWaiting { on: WaitingOn::Creation { why, since }, .. } if why.contains(says) && !since.is_empty()))
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_a_policy_refuses_stops_the_run_in_seconds() {
    let forbidden = "pods \"db-1\" is forbidden";
    for (rule, says) in [
        (
            AdmissionRule::refuse("violates PodSecurity \"restricted:latest\": runAsNonRoot != true"),
            format!("{forbidden}: violates PodSecurity \"restricted:latest\": runAsNonRoot != true"),
        ),
        (
            AdmissionRule::answer(ApiError::denied_by_webhook(403, "guard.example.com", "no root")),
            "admission webhook \"guard.example.com\" denied the request: no root".to_owned(),
        ),
        (
            AdmissionRule::answer(ApiError::denied_by_policy("pods", "db-1", "no-root", "no root")),
            "ValidatingAdmissionPolicy 'no-root'".to_owned(),
        ),
        (
            AdmissionRule::refuse(
                "error looking up service account default/db: serviceaccount \"db\" not found",
            ),
            "serviceaccount \"db\" not found".to_owned(),
        ),
    ] {
        for (database, kind) in
            [(Database::zookeeper("db"), "petset"), (Database::hazelcast("db"), "statefulset")]
        {
            let world = World::new(database);
            let ended = run(&world, rule.clone()).await.end().await;
            let look = format!("kubectl describe {kind}/db -n default");
            stopped(&ended, &[&says, "up to 17 min"], &look, [secs(5), secs(15)]);
            assert!(waits(&ended, &says), "{says}");
            assert!(!world.evictions().contains_key("db-2"), "{:?}", world.evictions());
            // Once nothing refuses it, the controller creates it when its pause is over.
            world.sim.behaviour().change(|b| b.admission.clear());
            world.goes_on().await;
        }
    }
}

/// A quota is freed when another pod goes, and a webhook may answer again.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_may_pass_is_waited_for() {
    let quota =
        || AdmissionRule::refuse("exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3");
    let webhook = || {
        let called = "failed calling webhook \"guard.example.com\": context deadline exceeded";
        AdmissionRule::answer(ApiError::internal(called))
    };
    for (rule, says) in [(quota(), "exceeded quota: few"), (webhook(), "failed calling webhook")] {
        let world = World::new(Database::zookeeper("db"));
        let mut passing = run(&world, rule.clone()).await;
        let told = |e: &Event| matches!(e, Event::PodWaiting { on: WaitingOn::Creation { why, .. }, .. } if why.contains(says));
        passing.event("it says why", told).await;
        tokio::time::sleep(secs(60)).await;
        world.sim.behaviour().change(|b| b.admission.clear());
        let ended = passing.end().await;
        ended.done();
        let poke = "kubectl annotate petsets db -n default --overwrite kubectl-dbupdate/poke=run1";
        assert!(
            ended.has(|e| matches!(e, Event::Notice { message } if message.ends_with(poke))),
            "it says how to hurry"
        );

        let world = World::new(Database::zookeeper("db"));
        let ended = run(&world, rule).await.end().await;
        let late = POD_TIMEOUT + secs(30);
        stopped(
            &ended,
            &[says, "within 230 s"],
            "kubectl describe petset/db -n default",
            [late, late + secs(1)],
        );
    }
}

/// The refused pod may be another workload's: its controller is asked as well.
#[tokio::test(start_paused = true)]
async fn a_pod_of_another_workload_that_is_refused_stops_the_run_in_seconds() {
    let world = World::new(Database::kafka_topology("db"));
    let mut run = world.start_with(|o| o.bounds.pod_timeout = POD_TIMEOUT).await;
    run.evicted("db-controller-0").await;
    let refusal = "violates PodSecurity \"restricted:latest\": runAsNonRoot != true";
    admit(&world, AdmissionRule::refuse(refusal), "db-broker-1");
    world.store().delete("pods", NAMESPACE, "db-broker-1", DeleteOptions::now()).unwrap();
    let ended = run.end().await;
    ended.ended(Outcome::Failed, 4, true, true).says(&["pod db-broker-1", refusal, "up to 17 min"]);
    assert_eq!(ended.finish.next[0], "kubectl describe petset/db-broker -n default");
    assert!(waits(&ended, refusal));
    assert!(ended.took() - ended.evicted_at("db-controller-0") < secs(30), "{:?}", ended.took());
    world.sim.behaviour().change(|b| b.admission.clear());
    world.goes_on().await;
}

/// One that comes back by itself is only waited for, and a stop is at once.
#[tokio::test(start_paused = true)]
async fn a_pod_of_another_workload_that_is_missing_holds_up_no_stop() {
    for stops in [false, true] {
        let world = World::new(Database::kafka_topology("db"));
        let mut run = world.start_with(|o| o.bounds.pod_timeout = POD_TIMEOUT).await;
        run.evicted("db-controller-0").await;
        let quota = "exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3";
        admit(&world, AdmissionRule::refuse(quota), "db-broker-1");
        world.store().delete("pods", NAMESPACE, "db-broker-1", DeleteOptions::now()).unwrap();
        let told = |e: &Event| matches!(e, Event::PodWaiting { pod, on: WaitingOn::Creation { why, .. }, .. } if pod == "db-broker-1" && why.contains("quota"));
        run.event("it says why", told).await;
        tokio::time::sleep(secs(20)).await;
        if stops {
            run.interrupt();
            let ended = run.end().await;
            ended.ended(Outcome::Stopped, 130, true, true);
            assert!(ended.took() < secs(60), "{:?}", ended.took());
        } else {
            world.sim.behaviour().change(|b| b.admission.clear());
            run.end().await.done();
        }
    }
}

/// Whoever has set a time for the whole run learns what has used it up.
#[tokio::test(start_paused = true)]
async fn a_run_whose_time_is_up_says_why_the_pod_was_missing() {
    let quota = "exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3";
    for missing in ["db-1", "another's"] {
        let kafka = missing != "db-1";
        let world =
            World::new(if kafka { Database::kafka_topology("db") } else { Database::zookeeper("db") });
        let mut run = world.start_with(|o| o.bounds.timeout = Some(secs(60))).await;
        let missing = if kafka { "db-broker-1" } else { missing };
        admit(&world, AdmissionRule::refuse(quota), missing);
        if kafka {
            run.evicted("db-controller-0").await;
            world.store().delete("pods", NAMESPACE, missing, DeleteOptions::now()).unwrap();
        }
        let ended = run.end().await;
        let late = format!("--timeout of 60 s; pod {missing}: its controller could not create it within ");
        ended.ended(Outcome::Stopped, 124, true, true).says(&[&late, quota]);
        assert_eq!(ended.finish.pod.as_deref(), Some(missing));
        let set = if kafka { "petset/db-broker" } else { "petset/db" };
        assert_eq!(ended.finish.next[0], format!("kubectl describe {set} -n default"));
    }
}

/// The old pod's share of a quota is free once it is gone.
#[tokio::test(start_paused = true)]
async fn a_quota_that_is_full_is_no_obstacle() {
    let world = World::new(Database::zookeeper("db"));
    let rule = AdmissionRule::quota("full", 3);
    world.sim.behaviour().change(|b| b.admission = vec![rule]);
    let ended = world.update().await;
    ended.done();
    let warned = |e: &Event| matches!(e, Event::Notice { message } if message.contains("quota"));
    assert!(!ended.has(warned), "the old pod counts only as long as it is there");
}

/// What the controller said of an earlier pod, or before the obstacle was removed, does not stop a run.
#[tokio::test(start_paused = true)]
async fn an_old_complaint_does_not_stop_a_resumed_run() {
    let world = World::new(Database::zookeeper("db"));
    let rule = AdmissionRule::refuse("violates PodSecurity \"restricted:latest\": x");
    run(&world, rule).await.end().await.ended(Outcome::Failed, 4, true, true);
    tokio::time::sleep(secs(120)).await;
    world.sim.behaviour().change(|b| b.admission.clear());
    let ended = world.goes_on().await;
    assert!(ended.took() > secs(20), "it waited for the controller's next attempt: {:?}", ended.took());
    assert!(waits(&ended, "violates PodSecurity"), "it says what was said last");
}

/// Nobody says that a PlacementPolicy is gone: the run looks.
#[tokio::test(start_paused = true)]
async fn a_placement_policy_that_is_deleted_during_a_run_is_named() {
    let named = |set: &mut Value| set["spec"]["podPlacementPolicy"] = json!({ "name": "spread" });
    let world = World::new(Database::zookeeper("db").adjust_workload(named));
    let policy = || json!({ "metadata": { "name": "spread" }, "spec": {} });
    world.store().create(POLICIES, policy()).unwrap();
    let mut run = world.start().await;
    run.evicted("db-0").await;
    tokio::time::sleep(secs(1)).await;
    world.store().delete(POLICIES, "", "spread", DeleteOptions::now()).unwrap();
    let ended = run.end().await;
    let look = "kubectl describe petset/db -n default";
    stopped(&ended, &["PlacementPolicy spread", "does not exist"], look, [secs(5), secs(10)]);
    world.store().create(POLICIES, policy()).unwrap();
    world.goes_on().await;
}

/// Who may not read Events hears at least that.
#[tokio::test(start_paused = true)]
async fn events_that_may_not_be_read_are_said_to_be() {
    let world = World::new(Database::zookeeper("db"));
    world.sim.access().deny("list", "", "events", "");
    let ended = run(&world, AdmissionRule::refuse("violates PodSecurity \"x\"")).await.end().await;
    let late = POD_TIMEOUT + secs(30);
    let look = "kubectl describe petset/db -n default";
    stopped(
        &ended,
        &["was not created by its controller within 230 s", "cannot be read: list events: forbidden"],
        look,
        [late, late + secs(1)],
    );
}

/// The controller of a RollingUpdate meets the same.
#[tokio::test(start_paused = true)]
async fn a_rolling_update_is_stopped_as_well() {
    let world = World::new(Database::zookeeper("db").strategy(Strategy::RollingUpdate { partition: 0 }));
    let ended =
        run(&world, AdmissionRule::refuse("violates PodSecurity \"restricted:latest\": x")).await.end().await;
    ended.ended(Outcome::Failed, 4, true, true).says(&["pod db-1", "violates PodSecurity"]);
    assert_eq!(ended.finish.next[0], "kubectl describe petset/db -n default");
    assert!(ended.took() < secs(30), "{:?}", ended.took());
}

/// A Deployment's pods have new names: the Deployment itself says it.
#[tokio::test(start_paused = true)]
async fn a_deployment_that_may_not_create_its_pods_is_named() {
    for (rule, least) in [
        (AdmissionRule::refuse("violates PodSecurity \"restricted:latest\": x"), secs(5)),
        (AdmissionRule::refuse("exceeded quota: few"), POD_TIMEOUT),
    ] {
        let world = World::new(Database::kafka_combined("db").cruise_control());
        let run = world.start_with(|o| o.bounds.pod_timeout = POD_TIMEOUT).await;
        admit(&world, rule, "*cruise*");
        let ended = run.end().await;
        ended
            .ended(Outcome::Failed, 4, true, true)
            .says(&["deployment/db-cruise-control cannot create its pods: pods"]);
        assert_eq!(ended.finish.next[0], "kubectl describe deployment/db-cruise-control -n default");
        let patched = ended.at(
            "it is patched",
            |e| matches!(e, Event::WorkloadStarted { workload, .. } if workload.starts_with("deployment/")),
        );
        let took = ended.took() - patched;
        assert!((least..least + secs(10)).contains(&took), "{took:?}");
        world.sim.behaviour().change(|b| b.admission.clear());
        tokio::time::sleep(secs(1000)).await;
        world.goes_on().await;
    }
}

/// A pod of another workload that is missing is looked for where it is described.
#[tokio::test(start_paused = true)]
async fn a_missing_pod_of_another_workload_points_to_that_workload() {
    let world = World::new(Database::kafka_topology("db"));
    let mut run = world.start_with(|o| o.bounds.pod_timeout = POD_TIMEOUT).await;
    run.evicted("db-broker-0").await;
    admit(&world, AdmissionRule::refuse("violates PodSecurity \"x\""), "db-controller-*");
    world.store().delete("pods", NAMESPACE, "db-controller-1", DeleteOptions::now()).unwrap();
    let ended = run.end().await;
    ended.ended(Outcome::Failed, 4, true, true).says(&["db-controller-1"]);
    assert_eq!(ended.finish.next[0], "kubectl describe petset/db-controller -n default");
}

#[tokio::test(start_paused = true)]
async fn a_readiness_gate_that_nobody_opens_is_named() {
    let world = World::new(Database::zookeeper("db"));
    let rule = AdmissionRule::rewrite(Rewrite::ReadinessGate("lb.example.com/registered".into()));
    let ended = run(&world, rule.clone()).await.end().await;
    let late = POD_TIMEOUT + secs(30);
    let words = ["its containers are ready", "lb.example.com/registered", "does not exist"];
    stopped(&ended, &words, "kubectl describe pod db-1 -n default", [late, late + secs(1)]);
    assert!(
        !ended.finish.error.contains("last event"),
        "its start is nothing out of the ordinary: {}",
        ended.finish.error
    );

    let world = World::new(Database::zookeeper("db"));
    let mut opening = run(&world, rule).await;
    let told = |e: &Event| matches!(e, Event::PodWaiting { on: WaitingOn::ReadinessGates { gates, .. }, .. } if gates == &["lb.example.com/registered"]);
    opening.event("the gate is named", told).await;
    let open = |pod: &mut Value| {
        let conditions = pod["status"]["conditions"].as_array_mut().expect("it has some");
        conditions.push(json!({ "type": "lb.example.com/registered", "status": "True" }));
    };
    world.store().update_status("pods", NAMESPACE, "db-1", open).unwrap();
    opening.end().await.done();
}

#[tokio::test(start_paused = true)]
async fn a_scheduling_gate_is_named() {
    let world = World::new(Database::zookeeper("db"));
    let rule = AdmissionRule::rewrite(Rewrite::SchedulingGate("queue.example.com/wait".into()));
    let ended = run(&world, rule.clone()).await.end().await;
    let late = POD_TIMEOUT + secs(30);
    let words = ["nobody removed its scheduling gates within 230 s: queue.example.com/wait"];
    stopped(&ended, &words, "kubectl describe pod db-1 -n default", [late, late + secs(1)]);

    let world = World::new(Database::zookeeper("db"));
    let mut opening = run(&world, rule).await;
    let told = |e: &Event| matches!(e, Event::PodWaiting { on: WaitingOn::SchedulingGates { gates }, .. } if gates == &["queue.example.com/wait"]);
    opening.event("the gate is named", told).await;
    world
        .store()
        .update("pods", NAMESPACE, "db-1", |pod| pod["spec"]["schedulingGates"] = json!([]))
        .unwrap();
    opening.end().await.done();
}

/// Before the start: the pods would not come back, or would come back on the old version.
#[tokio::test(start_paused = true)]
async fn what_keeps_pods_from_coming_back_is_found_before_the_start() {
    let named = |set: &mut Value| set["spec"]["podPlacementPolicy"] = json!({ "name": "spread" });
    let world = World::new(Database::zookeeper("db").adjust_workload(named));
    let outlook = async |world: &World| {
        let cluster = world.cluster();
        let mut snapshot = world.snapshot(&cluster).await;
        let environment = cluster.environment(world.kind, NAMESPACE, "db", &[]).await;
        snapshot.environment = environment.expect("it can be asked");
        let plan =
            kubectl_dbupdate::plan::update::plan(&snapshot, &world.request()).expect("it can be planned");
        plan.refusals().map(|f| (f.check, f.message.clone())).collect::<Vec<_>>()
    };
    let message = "petset/db names PlacementPolicy spread, which does not exist: its controller would not create a pod again";
    assert_eq!(outlook(&world).await, [(Check::PlacementPolicy, message.to_owned())]);
    world.sim.access().deny("list", "apps.k8s.appscode.com", "placementpolicies", "");
    assert_eq!(outlook(&world).await, [], "unknown is no refusal");
    world.sim.access().allow_all();
    let busy = Effect::Answer(ApiError::unavailable("busy"));
    world.sim.faults().add(Fault::new(busy).path("placementpolicies").always());
    assert_eq!(outlook(&world).await, [], "nor is a server that is busy");
    let partition =
        |set: &mut Value| set["spec"]["updateStrategy"]["rollingUpdate"] = json!({ "partition": 1 });
    let world = World::new(Database::zookeeper("db").adjust_workload(partition));
    let message =
        "petset/db has partition 1: its controller creates pods below that ordinal from the old template";
    assert_eq!(outlook(&world).await, [(Check::Partition, message.to_owned())]);
}

/// What no pod waits for is no matter of the plan.
#[tokio::test(start_paused = true)]
async fn where_no_pod_is_restarted_a_policy_that_cannot_be_read_is_not_mentioned() {
    let named = |set: &mut Value| set["spec"]["podPlacementPolicy"] = json!({ "name": "spread" });
    let world = World::new(Database::zookeeper("db").adjust_workload(named));
    let mut snapshot = world.snapshot(&world.cluster()).await;
    snapshot.environment.placement = Lookup::Unreadable("forbidden".to_owned());
    let same = Request::to(text(&world.database(), "/spec/version"));
    for (request, said) in [(world.request(), 1), (same, 0)] {
        let plan = update::plan(&snapshot, &request).expect("it can be planned");
        let about = plan.findings.iter().filter(|f| f.message.contains("PlacementPolicy spread"));
        assert_eq!(about.count(), said, "{:?}", plan.findings);
    }
}
