//! Deployments and their ReplicaSets.

use std::sync::Arc;

use serde_json::{Value, json};

use super::agenda::{Place, Work};
use super::index::PODS;
use super::sets::from_template;
use super::{Context, creation};
use crate::admission::REPLICASET_CONTROLLER;
use crate::kubedb::digest::{name_suffix, of_value};
use crate::object::{self, is_terminating, put};
use crate::read::{controlled_by, generation, is_ready, number, scaled, set_condition, text};
use crate::store::DeleteOptions;

const DEPLOYMENTS: &str = "deployments.apps";
const REPLICA_SETS: &str = "replicasets.apps";
const HASH: &str = "pod-template-hash";

/// The condition of a ReplicaSet that cannot create its pods, which its Deployment repeats.
const REPLICA_FAILURE: &str = "ReplicaFailure";

/// The annotation in which the number of a revision stands.
pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";

/// The hash that tells a template's ReplicaSet and pods.
pub(crate) fn template_hash(deployment: &Value) -> String {
    name_suffix(of_value(&deployment["spec"]["template"]), 10)
}

/// The ReplicaSet of a Deployment's template.
pub(crate) fn new_replica_set(deployment: &Value, replicas: i64, revision: i64) -> Value {
    let hash = template_hash(deployment);
    let mut template = deployment["spec"]["template"].clone();
    let mut selector = deployment["spec"]["selector"].clone();
    let labels = [template.pointer_mut("/metadata/labels"), selector.pointer_mut("/matchLabels")];
    for labels in labels.into_iter().flatten() {
        object::map_mut(labels).insert(HASH.into(), json!(hash));
    }
    json!({
        "metadata": {
            "name": format!("{}-{hash}", object::name(deployment)),
            "namespace": object::namespace(deployment),
            "labels": template["metadata"]["labels"],
            "annotations": { REVISION: revision.to_string() },
            "ownerReferences": [controlled_by(deployment)],
        },
        "spec": { "replicas": replicas, "selector": selector, "template": template },
    })
}

/// How many pods a ReplicaSet wants, has, and has available.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Share {
    wanted: i64,
    available: i64,
}

/// The limits of a rolling update.
#[derive(Clone, Copy, Debug)]
struct Limits {
    replicas: i64,
    surge: i64,
    unavailable: i64,
}

impl Limits {
    fn of(deployment: &Value) -> Self {
        let replicas = number(deployment, "/spec/replicas").unwrap_or(1);
        let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
        let field = |name: &str| rolling.get(name).cloned().unwrap_or_else(|| json!("25%"));
        let surge = scaled(&field("maxSurge"), replicas).unwrap_or(1);
        // Rounded down, unlike the surge: what is rounded up here is the part that must stay.
        let unavailable = match field("maxUnavailable") {
            Value::String(percent) => {
                let percent: i64 = percent.trim_end_matches('%').parse().unwrap_or(25);
                percent.saturating_mul(replicas) / 100
            }
            count => count.as_i64().unwrap_or_default(),
        };
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        Self { replicas, surge, unavailable }
    }
}

/// How many pods the new ReplicaSet and the old ones shall have next.
fn shares(limits: Limits, new: Share, old: &[Share], recreate: bool) -> (i64, Vec<i64>) {
    if recreate {
        let stopped = old.iter().all(|share| share.available == 0 && share.wanted == 0);
        return (if stopped { limits.replicas } else { new.wanted }, vec![0; old.len()]);
    }
    let wanted = new.wanted + old.iter().map(|share| share.wanted).sum::<i64>();
    let available = new.available + old.iter().map(|share| share.available).sum::<i64>();
    let room = (limits.replicas + limits.surge - wanted).max(0);
    let next_new =
        if new.wanted > limits.replicas { limits.replicas } else { (new.wanted + room).min(limits.replicas) };
    let must_stay = limits.replicas - limits.unavailable;
    let mut spare = (wanted - must_stay - (new.wanted - new.available)).max(0);
    let mut next: Vec<i64> = old.iter().map(|share| share.wanted).collect();
    // First what does not work anyway, then as much of the rest as may be missing.
    for (next, share) in next.iter_mut().zip(old) {
        let broken = (share.wanted - share.available).max(0).min(spare);
        *next -= broken;
        spare -= broken;
    }
    let mut spare = (available - must_stay).max(0).min(spare);
    for next in &mut next {
        let fewer = (*next).min(spare);
        *next -= fewer;
        spare -= fewer;
    }
    (next_new, next)
}

/// Brings a Deployment one step on.
pub(super) fn reconcile(context: &mut Context, place: &Place) {
    let Some(deployment) = context.store.get(DEPLOYMENTS, &place.namespace, &place.name) else { return };
    if is_terminating(&deployment) {
        return;
    }
    let mut sets = context.index.owned(&context.store, object::uid(&deployment), REPLICA_SETS);
    let name = format!("{}-{}", object::name(&deployment), template_hash(&deployment));
    let revision = sets.iter().filter_map(|set| revision_of(set)).max().unwrap_or_default();
    let at = sets.iter().position(|set| object::name(set) == name);
    let Some(new) = at.map(|at| sets.remove(at)).or_else(|| create_set(context, &deployment, revision + 1))
    else {
        return;
    };
    if at.is_some() && revision_of(&new) < Some(revision) {
        number_revision(context, REPLICA_SETS, &new, revision + 1);
        number_revision(context, DEPLOYMENTS, &deployment, revision + 1);
    }
    let recreate = text(&deployment, "/spec/strategy/type") == "Recreate";
    let old: Vec<Share> = sets.iter().map(|set| share(set)).collect();
    let (next_new, next_old) = shares(Limits::of(&deployment), share(&new), &old, recreate);
    scale(context, &new, next_new);
    for (set, next) in sets.iter().zip(next_old) {
        scale(context, set, next);
    }
    report(context, &deployment, &new, &sets);
}

fn create_set(context: &Context, deployment: &Value, revision: i64) -> Option<Arc<Value>> {
    let created = context.store.create(REPLICA_SETS, new_replica_set(deployment, 0, revision)).ok()?;
    number_revision(context, DEPLOYMENTS, deployment, revision);
    Some(created)
}

/// Writes the number of a revision where kubectl reads it.
fn number_revision(context: &Context, res: &str, object: &Value, revision: i64) {
    let _ = context.store.update(res, object::namespace(object), object::name(object), |object| {
        let annotations = object::metadata_mut(object).entry("annotations").or_insert_with(|| json!({}));
        object::map_mut(annotations).insert(REVISION.into(), json!(revision.to_string()));
    });
}

fn revision_of(set: &Value) -> Option<i64> {
    set["metadata"]["annotations"][REVISION].as_str()?.parse().ok()
}

fn share(set: &Value) -> Share {
    Share {
        wanted: number(set, "/spec/replicas").unwrap_or_default(),
        available: number(set, "/status/availableReplicas").unwrap_or_default(),
    }
}

fn scale(context: &Context, set: &Value, replicas: i64) {
    if number(set, "/spec/replicas") != Some(replicas) {
        let _ = context.store.update(REPLICA_SETS, object::namespace(set), object::name(set), |set| {
            object::map_mut(&mut set["spec"]).insert("replicas".into(), json!(replicas));
        });
    }
}

fn report(context: &Context, deployment: &Value, new: &Value, old: &[Arc<Value>]) {
    let status = deployment_status(deployment, new, old, &context.now());
    let (namespace, name) = (object::namespace(deployment), object::name(deployment));
    let _ =
        context.store.update_status(DEPLOYMENTS, namespace, name, |deployment| deployment["status"] = status);
}

/// The status of a Deployment, by those of its ReplicaSets.
pub(crate) fn deployment_status(deployment: &Value, new: &Value, old: &[Arc<Value>], now: &str) -> Value {
    let count = |set: &Value, field: &str| number(set, field).unwrap_or_default();
    let sum = |field: &str| count(new, field) + old.iter().map(|set| count(set, field)).sum::<i64>();
    let limits = Limits::of(deployment);
    let (total, available) = (sum("/status/replicas"), sum("/status/availableReplicas"));
    let updated = count(new, "/status/replicas");
    let mut status = json!({
        "observedGeneration": generation(deployment),
        "conditions": deployment.pointer("/status/conditions").cloned().unwrap_or_else(|| json!([])),
    });
    let fields = [
        ("replicas", total),
        ("updatedReplicas", updated),
        ("readyReplicas", sum("/status/readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", (limits.replicas - available).max(0)),
    ];
    for (field, count) in fields {
        put(object::map_mut(&mut status), field, (count > 0).then(|| json!(count)));
    }
    let enough = available >= limits.replicas - limits.unavailable;
    set_condition(&mut status, availability(enough), now);
    let done = [total, updated, available] == [limits.replicas; 3];
    set_condition(&mut status, progress(object::name(new), done), now);
    let failure = [new].into_iter().chain(old.iter().map(AsRef::as_ref));
    match failure.filter_map(|set| object::condition(set, REPLICA_FAILURE)).next() {
        Some(failure) => set_condition(&mut status, failure.clone(), now),
        None => {
            if let Some(conditions) = status["conditions"].as_array_mut() {
                conditions.retain(|condition| condition["type"] != REPLICA_FAILURE);
            }
        }
    }
    status
}

fn availability(enough: bool) -> Value {
    let (status, reason, message) = if enough {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    json!({ "type": "Available", "status": status, "reason": reason, "message": message })
}

fn progress(set: &str, done: bool) -> Value {
    let (reason, verb) = if done {
        ("NewReplicaSetAvailable", "has successfully progressed")
    } else {
        ("ReplicaSetUpdated", "is progressing")
    };
    let message = format!("ReplicaSet \"{set}\" {verb}.");
    json!({ "type": "Progressing", "status": "True", "reason": reason, "message": message })
}

/// Gives a ReplicaSet as many pods as it wants, and reports.
pub(super) fn reconcile_replica_set(context: &mut Context, place: &Place) {
    let Some(set) = context.store.get(REPLICA_SETS, &place.namespace, &place.name) else { return };
    if is_terminating(&set) {
        return;
    }
    let pods = context.index.owned(&context.store, object::uid(&set), PODS);
    let mut active: Vec<_> = pods.iter().filter(|pod| !is_terminating(pod)).collect();
    // Those that are not Ready go first.
    active.sort_by_key(|pod| is_ready(pod));
    let wanted = usize::try_from(number(&set, "/spec/replicas").unwrap_or(1)).unwrap_or_default();
    for pod in active.iter().take(active.len().saturating_sub(wanted)) {
        let _ = context.store.delete(PODS, &place.namespace, object::name(pod), DeleteOptions::default());
    }
    let missing = active.len()..wanted;
    let refusal =
        missing.into_iter().find_map(|_| context.create_pod(REPLICASET_CONTROLLER, new_pod(&set)).err());
    if let Some(refusal) = &refusal {
        let message = format!("Error creating: {refusal}");
        creation::complain(context, &set, "replicaset-controller", message);
    }
    creation::again(context, &set, refusal.is_some(), Work::ReplicaSet(place.clone()));
    let mut status = replica_set_status(&set, &pods);
    if let Some(refusal) = refusal {
        let condition = json!({
            "type": REPLICA_FAILURE, "status": "True", "reason": "FailedCreate", "message": refusal.to_string(),
        });
        set_condition(&mut status, condition, &context.now());
    }
    let _ = context
        .store
        .update_status(REPLICA_SETS, &place.namespace, &place.name, |set| set["status"] = status);
}

/// A pod of a ReplicaSet; the API server completes its name.
pub(crate) fn new_pod(set: &Value) -> Value {
    let mut pod = from_template(set, &set["spec"]["template"]);
    pod["metadata"]["generateName"] = json!(format!("{}-", object::name(set)));
    pod
}

/// The status of a ReplicaSet, by its pods.
pub(crate) fn replica_set_status(set: &Value, pods: &[Arc<Value>]) -> Value {
    let active: Vec<_> = pods.iter().filter(|pod| !is_terminating(pod)).collect();
    let ready = active.iter().filter(|pod| is_ready(pod)).count();
    let mut status = json!({ "observedGeneration": generation(set), "replicas": active.len() });
    let fields =
        [("fullyLabeledReplicas", active.len()), ("readyReplicas", ready), ("availableReplicas", ready)];
    for (field, count) in fields {
        put(object::map_mut(&mut status), field, (count > 0).then(|| json!(count)));
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(replicas: i64) -> Limits {
        Limits::of(&json!({"spec": {"replicas": replicas}}))
    }

    fn share(wanted: i64, available: i64) -> Share {
        Share { wanted, available }
    }

    #[test]
    fn a_single_pod_is_replaced_only_when_the_new_one_is_available() {
        assert_eq!(shares(limits(1), share(0, 0), &[share(1, 1)], false), (1, vec![1]));
        assert_eq!(shares(limits(1), share(1, 0), &[share(1, 1)], false), (1, vec![1]));
        assert_eq!(shares(limits(1), share(1, 1), &[share(1, 1)], false), (1, vec![0]));
    }

    #[test]
    fn a_rolling_update_keeps_within_surge_and_unavailable() {
        assert_eq!(shares(limits(4), share(0, 0), &[share(4, 4)], false), (1, vec![3]));
        assert_eq!(shares(limits(4), share(1, 0), &[share(3, 3)], false), (2, vec![3]));
        assert_eq!(shares(limits(4), share(2, 2), &[share(3, 3)], false), (2, vec![1]));
    }

    #[test]
    fn recreate_waits_for_the_old_pods_to_go() {
        assert_eq!(shares(limits(2), share(0, 0), &[share(2, 2)], true), (0, vec![0]));
        assert_eq!(shares(limits(2), share(0, 0), &[share(0, 0)], true), (2, vec![0]));
    }
}
