//! Pod disruption budgets.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Context;
use super::agenda::{Place, Work};
use super::index::BUDGETS;
use crate::object::{self, is_terminating, put};
use crate::read::{condition_status, controller_of, generation, number, scaled, set_condition, text};
use crate::store::Store;

/// How long an eviction that was allowed counts against the budget while its pod does not go away.
const DISRUPTION_LASTS: Duration = Duration::from_secs(120);

/// Counts a budget's pods again and reports it.
pub(super) fn reconcile(context: &mut Context, place: &Place) {
    let pods = context.index.pods_of_budget(&context.store, &place.namespace, &place.name);
    let store = &context.store;
    let (scale, now) = (scale(store, &pods), store.now());
    let mut again = None;
    // The budget may be gone by now. Its status is computed from what is stored at the moment of the write,
    // since the eviction handler writes it too.
    let _ = store.update_status(BUDGETS, &place.namespace, &place.name, |budget| {
        let (status, recheck) = status(budget, &pods, scale, now);
        budget["status"] = status;
        again = recheck;
    });
    if let Some(again) = again {
        context.agenda.after(again, Work::Budget(place.clone()));
    }
}

/// The pods that the controllers of these pods want in all; `None` when one of the controllers cannot be found.
fn scale(store: &Store, pods: &[Arc<Value>]) -> Option<i64> {
    let mut counted: Vec<&str> = Vec::new();
    let mut total = 0;
    for owner in pods.iter().filter_map(|pod| controller_of(pod).map(|owner| (pod, owner))) {
        let (pod, owner) = owner;
        if !counted.contains(&text(owner, "/uid")) {
            counted.push(text(owner, "/uid"));
            total += wanted_by(store, object::namespace(pod), owner)?;
        }
    }
    Some(total)
}

fn wanted_by(store: &Store, namespace: &str, owner: &Value) -> Option<i64> {
    let res = match text(owner, "/kind") {
        "PetSet" => "petsets.apps.k8s.appscode.com",
        "StatefulSet" => "statefulsets.apps",
        "ReplicaSet" => "replicasets.apps",
        "Deployment" => "deployments.apps",
        _ => return None,
    };
    let controller = store.get(res, namespace, text(owner, "/name"))?;
    // What a Deployment wants is not the sum of what its ReplicaSets want during an update.
    match controller_of(&controller).filter(|_| res == "replicasets.apps") {
        Some(deployment) => wanted_by(store, namespace, deployment),
        None => Some(number(&controller, "/spec/replicas").unwrap_or(1)),
    }
}

/// The status of a budget, and when to look again though no pod changes. `scale` is what the pods' controllers want,
/// if that is known.
pub(crate) fn status(
    budget: &Value,
    pods: &[Arc<Value>],
    scale: Option<i64>,
    now: Timestamp,
) -> (Value, Option<Duration>) {
    let (disrupted, recheck) = still_disrupted(budget, pods, now);
    let Some((expected, desired)) = expectation(budget, pods, scale) else {
        return (failed(budget), recheck);
    };
    let counts = |pod: &&Arc<Value>| {
        !is_terminating(pod)
            && !disrupted.contains_key(object::name(pod))
            && condition_status(pod, "Ready") == "True"
    };
    let healthy = i64::try_from(pods.iter().filter(counts).count()).unwrap_or(i64::MAX);
    let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    let mut status = json!({
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "expectedPods": expected,
        "observedGeneration": generation(budget),
        "conditions": budget.pointer("/status/conditions").cloned().unwrap_or_else(|| json!([])),
    });
    put(
        object::map_mut(&mut status),
        "disruptedPods",
        (!disrupted.is_empty()).then_some(Value::Object(disrupted)),
    );
    let enough = allowed > 0;
    let condition = json!({
        "type": "DisruptionAllowed",
        "status": if enough { "True" } else { "False" },
        "reason": if enough { "SufficientPods" } else { "InsufficientPods" },
        "message": "",
        "observedGeneration": generation(budget),
    });
    set_condition(&mut status, condition, &crate::clock::format_seconds(now));
    (status, recheck)
}

/// How many pods there should be, and how many of them have to be healthy.
fn expectation(budget: &Value, pods: &[Arc<Value>], scale: Option<i64>) -> Option<(i64, i64)> {
    let spec = &budget["spec"];
    if !spec["maxUnavailable"].is_null() {
        let expected = scale?;
        return Some((expected, (expected - scaled(&spec["maxUnavailable"], expected)?).max(0)));
    }
    let count = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    let expected = if spec["minAvailable"].is_string() { scale? } else { count };
    Some((expected, scaled(&spec["minAvailable"], expected).unwrap_or_default()))
}

/// Nothing may be disrupted while the budget cannot be computed.
fn failed(budget: &Value) -> Value {
    let mut status = budget.get("status").cloned().unwrap_or_else(|| json!({}));
    object::map_mut(&mut status).insert("disruptionsAllowed".into(), json!(0));
    status
}

/// The allowed evictions whose pods are still there, and when the next of them is given up.
fn still_disrupted(
    budget: &Value,
    pods: &[Arc<Value>],
    now: Timestamp,
) -> (Map<String, Value>, Option<Duration>) {
    let mut still = Map::new();
    let mut next: Option<Duration> = None;
    let known = budget.pointer("/status/disruptedPods").and_then(Value::as_object);
    for (name, since) in known.into_iter().flatten() {
        let there = pods.iter().any(|pod| object::name(pod) == name && !is_terminating(pod));
        let Some(left) = lasts(since, now).filter(|_| there) else { continue };
        still.insert(name.clone(), since.clone());
        next = Some(next.map_or(left, |next| next.min(left)));
    }
    (still, next)
}

/// How long an eviction allowed at `since` goes on counting.
fn lasts(since: &Value, now: Timestamp) -> Option<Duration> {
    let since: Timestamp = since.as_str()?.parse().ok()?;
    let until = since.checked_add(DISRUPTION_LASTS).ok()?;
    Duration::try_from(until.duration_since(now)).ok().filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2024-01-01T00:01:00Z";

    fn pods(ready: &[bool]) -> Vec<Arc<Value>> {
        let pod = |(at, ready): (usize, &bool)| {
            let condition = json!({"type": "Ready", "status": if *ready { "True" } else { "False" }});
            Arc::new(json!({"metadata": {"name": format!("db-{at}")}, "status": {"conditions": [condition]}}))
        };
        ready.iter().enumerate().map(pod).collect()
    }

    fn found(spec: Value, ready: &[bool]) -> (i64, i64, i64, i64) {
        let budget = json!({"metadata": {"generation": 1}, "spec": spec});
        let (status, _) = status(&budget, &pods(ready), Some(3), NOW.parse().unwrap());
        let count = |field: &str| number(&status, field).unwrap();
        (
            count("/expectedPods"),
            count("/desiredHealthy"),
            count("/currentHealthy"),
            count("/disruptionsAllowed"),
        )
    }

    #[test]
    fn budgets_count_what_is_wanted_not_what_is_there() {
        assert_eq!(found(json!({"maxUnavailable": 1}), &[true, true, true]), (3, 2, 3, 1));
        assert_eq!(found(json!({"maxUnavailable": 1}), &[true, true, false]), (3, 2, 2, 0));
        assert_eq!(found(json!({"maxUnavailable": 1}), &[true, true]), (3, 2, 2, 0));
        assert_eq!(found(json!({"maxUnavailable": 0}), &[true, true, true]), (3, 3, 3, 0));
        assert_eq!(found(json!({"maxUnavailable": "50%"}), &[true, true, true]), (3, 1, 3, 2));
        assert_eq!(found(json!({"minAvailable": 2}), &[true, true, true]), (3, 2, 3, 1));
        assert_eq!(found(json!({"minAvailable": "50%"}), &[true, true, true]), (3, 2, 3, 1));
    }

    #[test]
    fn an_allowed_eviction_counts_for_two_minutes_or_until_the_pod_goes() {
        let at = |since: &str, name: &str| {
            let budget = json!({
                "metadata": {"generation": 1}, "spec": {"maxUnavailable": 1},
                "status": {"disruptedPods": {name: since}},
            });
            let (status, again) = status(&budget, &pods(&[true, true, true]), Some(3), NOW.parse().unwrap());
            (number(&status, "/disruptionsAllowed").unwrap(), again)
        };
        assert_eq!(at("2024-01-01T00:00:30Z", "db-1"), (0, Some(Duration::from_secs(90))));
        assert_eq!(at("2023-12-31T23:58:59Z", "db-1"), (1, None));
        assert_eq!(at("2024-01-01T00:00:30Z", "db-9"), (1, None));
    }
}
