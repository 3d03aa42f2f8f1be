//! The health check: conditions and phase, by the pods.

use serde_json::{Value, json};

use crate::controllers::Context;
use crate::controllers::agenda::Place;
use crate::controllers::index::PODS;
use crate::kubedb::kind::Kind;
use crate::kubedb::layout::members;
use crate::kubedb::workload::WorkloadApi;
use crate::object::{self, is_terminating};
use crate::read::{condition_status, is_ready, number, set_condition};

/// How a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Every pod is Ready.
    Ready,
    /// Some are not, and each workload still has one.
    Critical,
    /// A workload has no Ready pod.
    NotReady,
}

/// Looks at a database's pods and writes what it found.
pub(super) fn check(context: &Context, place: &Place) {
    let Some(database) = context.store.get(&place.res, &place.namespace, &place.name) else { return };
    let Some(kind) = Kind::of_resource(&place.res) else { return };
    let halted = database["spec"]["halted"] == true;
    let health = judge(&workloads(context, kind, &database));
    let now = context.now();
    // The database may be gone by now.
    let _ = context.store.update_status(&place.res, &place.namespace, &place.name, |database| {
        let about = database.clone();
        let status = object::map_mut(database).entry("status").or_insert_with(|| json!({}));
        object::map_mut(status);
        conditions(status, kind, &about, health, &now);
        let phase = if halted { "Halted" } else { phase(status, health) };
        status["phase"] = json!(phase);
    });
}

/// For each workload: the pods that are wanted and the pods that are Ready.
fn workloads(context: &Context, kind: Kind, database: &Value) -> Vec<(i64, i64)> {
    let store = &context.store;
    let counted = members(kind, database).into_iter().map(|member| {
        let owned = |api: WorkloadApi| context.index.owned(store, object::uid(database), api.resource());
        let mut sets = WorkloadApi::ALL.into_iter().flat_map(owned);
        let Some(set) = sets.find(|set| object::name(set) == member.name) else {
            return (member.replicas, 0);
        };
        let pods = context.index.owned(store, object::uid(&set), PODS);
        let ready = pods.iter().filter(|pod| is_ready(pod) && !is_terminating(pod)).count();
        let wanted = number(&set, "/spec/replicas").unwrap_or(1);
        (wanted, i64::try_from(ready).unwrap_or(i64::MAX))
    });
    counted.collect()
}

fn judge(workloads: &[(i64, i64)]) -> Health {
    if workloads.iter().any(|(wanted, ready)| *wanted > 0 && *ready == 0) {
        Health::NotReady
    } else if workloads.iter().any(|(wanted, ready)| ready < wanted) {
        Health::Critical
    } else {
        Health::Ready
    }
}

fn phase(status: &Value, health: Health) -> &'static str {
    let provisioned = condition_status(&json!({ "status": status }), "Provisioned") == "True";
    match health {
        Health::Ready => "Ready",
        _ if !provisioned => "Provisioning",
        Health::Critical => "Critical",
        Health::NotReady => "NotReady",
    }
}

/// Writes the conditions that health decides into a database's status.
pub(crate) fn conditions(status: &mut Value, kind: Kind, database: &Value, health: Health, now: &str) {
    let kind = kind.name();
    let full = format!("{kind}: {}/{}", object::namespace(database), object::name(database));
    let generation = &database["metadata"]["generation"];
    let mut set = |condition: &str, holds: bool, reasons: [&str; 2], message: String| {
        let condition = json!({
            "type": condition, "status": if holds { "True" } else { "False" },
            "reason": reasons[usize::from(!holds)], "message": message, "observedGeneration": generation,
        });
        set_condition(status, condition, now);
    };
    let (all, some) = (health == Health::Ready, health != Health::NotReady);
    let is =
        |holds: bool, word: &'static str| if holds { format!("is {word}") } else { format!("is not {word}") };
    let started = format!("The KubeDB operator has started the provisioning of {full}");
    set("ProvisioningStarted", true, ["DatabaseProvisioningStartedSuccessfully", ""], started);
    let replicas = if all { "All desired replicas are ready." } else { "Some replicas are not ready." };
    set("ReplicaReady", all, ["AllReplicasReady", "SomeReplicasNotReady"], replicas.to_owned());
    let accepting = format!("The {full} {} client requests", is(some, "accepting"));
    set(
        "AcceptingConnection",
        some,
        ["DatabaseAcceptingConnectionRequest", "DatabaseNotAcceptingConnectionRequest"],
        accepting,
    );
    set(
        "Ready",
        some,
        ["ReadinessCheckSucceeded", "ReadinessCheckFailed"],
        format!("The {full} {}.", is(some, "ready")),
    );
    let provisioned = condition_status(database, "Provisioned") == "True";
    if all && !provisioned {
        let message = format!("The {full} is successfully provisioned.");
        set("Provisioned", true, ["DatabaseSuccessfullyProvisioned", ""], message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missing_pod_is_critical_and_an_empty_workload_is_not_ready() {
        assert_eq!(judge(&[(3, 3), (2, 2)]), Health::Ready);
        assert_eq!(judge(&[(3, 3), (2, 1)]), Health::Critical);
        assert_eq!(judge(&[(3, 3), (1, 0)]), Health::NotReady);
        assert_eq!(judge(&[(3, 3), (0, 0)]), Health::Ready);
    }

    #[test]
    fn a_database_that_never_was_ready_is_provisioning() {
        let mut status = json!({});
        let database = json!({"metadata": {"name": "db"}});
        conditions(&mut status, Kind::Kafka, &database, Health::NotReady, "t");
        assert_eq!(phase(&status, Health::NotReady), "Provisioning");
        conditions(&mut status, Kind::Kafka, &database, Health::Ready, "t");
        assert_eq!(phase(&status, Health::Critical), "Critical");
    }
}
