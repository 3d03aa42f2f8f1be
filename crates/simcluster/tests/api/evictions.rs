use serde_json::{Value, json};
use simcluster::SimCluster;
use tokio::time::{Duration, Instant, sleep};

use crate::client::*;

const BUDGETS: &str = "poddisruptionbudgets.policy";

/// Three pods under a budget of `allowed`; `unready` of the pods run and are not ready.
fn quorum(allowed: i64, unready: usize) -> SimCluster {
    let sim = cluster();
    for index in 0..3 {
        let pod = running_pod(&format!("p{index}"), index >= unready);
        sim.store().create("pods", pod).expect("created");
    }
    let healthy = 3 - unready;
    let status = json!({"observedGeneration": 1, "expectedPods": 3, "currentHealthy": healthy,
        "desiredHealthy": 2, "disruptionsAllowed": allowed});
    budget(&sim, "b", status);
    sim
}

fn budget(sim: &SimCluster, name: &str, status: Value) {
    let budget = json!({"metadata": {"name": name}, "status": status,
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "kafka"}}}});
    sim.store().create(BUDGETS, budget).expect("created");
}

fn budget_status(sim: &SimCluster) -> Value {
    sim.store().get(BUDGETS, "default", "b").expect("the budget")["status"].clone()
}

async fn evict(sim: &SimCluster, pod: &str, options: Value) -> Reply {
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": pod, "namespace": "default"}, "deleteOptions": options});
    post(sim, &format!("{PODS}/{pod}/eviction"), eviction).await
}

fn is_terminating(sim: &SimCluster, pod: &str) -> bool {
    let pod = sim.store().get("pods", "default", pod).expect("the pod");
    pod["metadata"]["deletionTimestamp"].is_string()
}

#[tokio::test(start_paused = true)]
async fn an_allowed_eviction_spends_the_budget() {
    let sim = quorum(1, 0);
    let uid = sim.store().get("pods", "default", "p0").expect("the pod")["metadata"]["uid"].clone();
    let reply = evict(&sim, "p0", json!({"preconditions": {"uid": uid}})).await;
    assert_eq!((reply.code, &reply.body["status"]), (201, &json!("Success")));
    assert!(is_terminating(&sim, "p0"));
    let status = budget_status(&sim);
    assert_eq!(status["disruptionsAllowed"], 0);
    assert!(status["disruptedPods"]["p0"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_blocks_and_says_its_numbers() {
    let sim = quorum(0, 0);
    let reply = evict(&sim, "p0", json!({"preconditions": {"uid": "wrong"}})).await;
    assert_eq!((reply.code, reply.reason()), (429, "TooManyRequests"));
    assert_eq!(reply.message(), "Cannot evict pod as it would violate the pod's disruption budget.");
    let cause = json!([{"reason": "DisruptionBudget",
        "message": "The disruption budget b needs 2 healthy pods and has 3 currently"}]);
    assert_eq!(reply.body["details"], json!({"causes": cause}));
    assert!(!reply.headers.contains_key("retry-after"));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_uid_is_a_conflict_that_spends_the_budget() {
    let sim = quorum(1, 0);
    let reply = evict(&sim, "p0", json!({"preconditions": {"uid": "wrong"}})).await;
    assert_eq!((reply.code, reply.reason()), (409, "Conflict"));
    assert!(!is_terminating(&sim, "p0"));
    assert_eq!(budget_status(&sim)["disruptionsAllowed"], 0);
    assert_eq!(evict(&sim, "p0", json!({})).await.code, 429);
}

#[tokio::test(start_paused = true)]
async fn unready_pods_may_go_while_enough_are_healthy() {
    let one = quorum(0, 1);
    assert_eq!(evict(&one, "p0", json!({})).await.code, 201);
    let two = quorum(0, 2);
    assert_eq!(evict(&two, "p0", json!({})).await.code, 429, "a running pod, though unready");
    two.store()
        .update_status("pods", "default", "p0", |pod| pod["status"]["phase"] = json!("Pending"))
        .expect("ok");
    assert_eq!(evict(&two, "p0", json!({})).await.code, 201, "a pending pod");
    let always = quorum(0, 2);
    let change = |budget: &mut Value| budget["spec"]["unhealthyPodEvictionPolicy"] = json!("AlwaysAllow");
    always.store().update(BUDGETS, "default", "b", change).expect("ok");
    assert_eq!(evict(&always, "p1", json!({})).await.code, 201);
}

#[tokio::test(start_paused = true)]
async fn two_budgets_on_one_pod_are_an_error_of_the_server() {
    let sim = quorum(1, 0);
    budget(&sim, "c", json!({"observedGeneration": 1, "disruptionsAllowed": 1}));
    let reply = evict(&sim, "p0", json!({})).await;
    assert_eq!((reply.code, reply.reason()), (500, ""));
    assert!(reply.message().starts_with("This pod has more than one PodDisruptionBudget"));
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_its_controller_has_not_seen_asks_for_patience() {
    let sim = quorum(1, 0);
    sim.store()
        .update(BUDGETS, "default", "b", |budget| budget["spec"]["maxUnavailable"] = json!(2))
        .expect("ok");
    let reply = evict(&sim, "p0", json!({})).await;
    assert_eq!((reply.code, &reply.headers["retry-after"]), (429, &"10".parse().expect("a header")));
    assert_eq!(reply.body["details"]["retryAfterSeconds"], 10);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_asks_the_budget_and_spends_nothing() {
    let sim = quorum(1, 0);
    assert_eq!(evict(&sim, "p0", json!({"dryRun": ["All"]})).await.code, 201);
    assert!(!is_terminating(&sim, "p0"));
    assert_eq!(budget_status(&sim)["disruptionsAllowed"], 1);
    assert_eq!(evict(&quorum(0, 0), "p0", json!({"dryRun": ["All"]})).await.code, 429);
}

#[tokio::test(start_paused = true)]
async fn where_no_budget_is_asked_a_conflict_is_repeated_for_ten_seconds() {
    let sim = quorum(0, 0);
    sim.store()
        .update_status("pods", "default", "p0", |pod| pod["status"]["phase"] = json!("Pending"))
        .expect("ok");
    let start = Instant::now();
    assert_eq!(evict(&sim, "p0", json!({"preconditions": {"uid": "wrong"}})).await.code, 409);
    assert_eq!(start.elapsed().as_millis(), 9500);
}

#[tokio::test(start_paused = true)]
async fn malformed_evictions_are_refused() {
    let sim = quorum(1, 0);
    let path = format!("{PODS}/p0/eviction");
    let other = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p1"}});
    assert_eq!(post(&sim, &path, other).await.code, 400);
    let delete_options =
        json!({"delete_options": {"preconditions": {"uid": "wrong"}}, "metadata": {"name": "p0"}});
    assert_eq!(post(&sim, &path, delete_options).await.code, 201, "unknown fields are ignored");
    assert_eq!(evict(&sim, "none", json!({})).await.code, 404);
}

/// The write of a budget is refused if somebody else was faster, and the server itself begins again.
#[tokio::test(start_paused = true)]
async fn an_eviction_that_meets_a_write_of_its_budget_takes_half_a_second() {
    for (after_ms, again, took_ms) in [(3, 1, 510), (50, 0, 5)] {
        let sim = quorum(2, 0);
        let (began, other) = (Instant::now(), sim.clone());
        let controller = async move {
            sleep(Duration::from_millis(after_ms)).await;
            let counted = |budget: &mut Value| budget["status"]["currentHealthy"] = json!(2);
            other.store().update_status(BUDGETS, "default", "b", counted).expect("the budget");
        };
        let evicting = async {
            let reply = evict(&sim, "p0", json!({})).await;
            (reply.code, began.elapsed().as_millis())
        };
        let (_, answer) = tokio::join!(controller, evicting);
        assert_eq!((answer, sim.evictions_begun_again()), ((201, took_ms), again));
        assert_eq!(budget_status(&sim)["disruptionsAllowed"], 1, "it is spent once");
    }
}

#[tokio::test(start_paused = true)]
async fn an_evicted_pod_is_marked_before_it_terminates() {
    let sim = quorum(1, 0);
    let version = sim.store().version();
    let mut lines = watch(&sim, &format!("{PODS}?watch=1&resourceVersion={version}")).await;
    evict(&sim, "p0", json!({"preconditions": {"uid": "wrong"}})).await;
    let pod = sim.store().get("pods", "default", "p0").expect("the pod");
    assert_eq!(pod["metadata"]["resourceVersion"].as_str().map(|at| at <= &*version.to_string()), Some(true));
    sim.store()
        .update_status(BUDGETS, "default", "b", |budget| budget["status"]["disruptionsAllowed"] = json!(1))
        .expect("the budget");
    evict(&sim, "p0", json!({})).await;
    for terminating in [false, true] {
        let event = lines.next().await.expect("an event");
        let pod = &event["object"];
        let mark = pod["status"]["conditions"].as_array().expect("conditions").last().expect("one");
        assert_eq!((&event["type"], &mark["type"]), (&json!("MODIFIED"), &json!("DisruptionTarget")));
        assert_eq!(mark["reason"], "EvictionByEvictionAPI");
        assert_eq!(pod["metadata"]["deletionTimestamp"].is_string(), terminating);
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_with_an_empty_selector_selects_every_pod_and_one_without_a_selector_none() {
    for (selector, code) in [(json!({}), 429), (Value::Null, 201)] {
        let sim = cluster();
        sim.store().create("pods", running_pod("p0", true)).expect("created");
        let status = json!({"observedGeneration": 1, "disruptionsAllowed": 0});
        let budget = json!({"metadata": {"name": "b"}, "status": status,
            "spec": {"maxUnavailable": 0, "selector": selector}});
        sim.store().create(BUDGETS, budget).expect("created");
        assert_eq!(evict(&sim, "p0", json!({})).await.code, code, "{selector}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_eviction_names_the_namespace_of_its_path() {
    let sim = quorum(1, 0);
    let elsewhere = json!({"apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": "p0", "namespace": "elsewhere"}});
    assert_eq!(post(&sim, &format!("{PODS}/p0/eviction"), elsewhere).await.code, 400);
}
