//! Workloads and budgets of a database, as objects.

use serde_json::{Value, json};

use super::kind::Kind;
use super::layout::{Member, labels, pod_labels};
use super::template;
use crate::object;
use crate::read::controlled_by;

/// Which API a database's workloads are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadApi {
    /// `apps.k8s.appscode.com/v1`.
    PetSet,
    /// `apps/v1`.
    StatefulSet,
}

/// The field manager of what KubeDB's Provisioner writes.
pub(crate) const PROVISIONER: &str = "kubedb-provisioner";

impl WorkloadApi {
    /// Both.
    pub const ALL: [WorkloadApi; 2] = [WorkloadApi::PetSet, WorkloadApi::StatefulSet];

    /// The resource.
    pub fn resource(self) -> &'static str {
        match self {
            WorkloadApi::PetSet => "petsets.apps.k8s.appscode.com",
            WorkloadApi::StatefulSet => "statefulsets.apps",
        }
    }
}

/// What a workload looks like apart from its template.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub api: WorkloadApi,
    /// `spec.updateStrategy`.
    pub strategy: Value,
    /// `spec.podManagementPolicy`.
    pub policy: &'static str,
    pub min_ready_seconds: i64,
}

impl Shape {
    /// What KubeDB uses for the kind.
    pub fn usual(kind: Kind) -> Self {
        let parallel = matches!(kind, Kind::Kafka | Kind::Druid);
        Self {
            api: if kind == Kind::Hazelcast { WorkloadApi::StatefulSet } else { WorkloadApi::PetSet },
            strategy: json!({ "type": "OnDelete" }),
            policy: if parallel { "Parallel" } else { "OrderedReady" },
            min_ready_seconds: 0,
        }
    }
}

/// A PetSet or StatefulSet of `database`.
pub(crate) fn set(kind: Kind, database: &Value, member: &Member, shape: &Shape, template: Value) -> Value {
    let mut spec = json!({
        "serviceName": format!("{}-pods", object::name(database)),
        "replicas": member.replicas,
        "selector": { "matchLabels": pod_labels(kind, database, member) },
        "template": template,
        "podManagementPolicy": shape.policy,
        "updateStrategy": shape.strategy,
        "revisionHistoryLimit": 10,
    });
    if shape.min_ready_seconds > 0 {
        spec["minReadySeconds"] = json!(shape.min_ready_seconds);
    }
    json!({ "metadata": metadata(kind, database, member, &member.name), "spec": spec })
}

/// The budget of a workload: none for a single pod.
pub(crate) fn budget(kind: Kind, database: &Value, member: &Member) -> Option<Value> {
    (member.replicas > 1).then(|| {
        json!({
            "metadata": metadata(kind, database, member, &member.name),
            "spec": {
                "maxUnavailable": max_unavailable(member.replicas),
                "selector": { "matchLabels": pod_labels(kind, database, member) },
            },
        })
    })
}

/// How many pods of a workload may be away at once.
pub(crate) fn max_unavailable(replicas: i64) -> i64 {
    ((replicas - 1) / 2).max(1)
}

/// Kafka's cruise control, when the database asks for it.
pub(crate) fn cruise_control(database: &Value, version: &Value, pin: bool) -> Option<Value> {
    let asked = database.pointer("/spec/cruiseControl")?;
    let name = format!("{}-cruise-control", object::name(database));
    let member = Member {
        name: name.clone(),
        replicas: asked["replicas"].as_i64().unwrap_or(1),
        label: ("kubedb.com/role", "cruise-control".into()),
    };
    let pod_labels = pod_labels(Kind::Kafka, database, &member);
    let mut template = json!({
        "metadata": { "labels": pod_labels },
        "spec": {
            "containers": [{
                "name": "cruise-control", "image": "", "imagePullPolicy": "IfNotPresent",
                "ports": [{ "name": "http", "containerPort": 9090, "protocol": "TCP" }],
            }],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
        },
    });
    template::conform_containers(Kind::Kafka, version, &mut template, pin);
    Some(json!({
        "metadata": metadata(Kind::Kafka, database, &member, &name),
        "spec": {
            "replicas": member.replicas,
            "selector": { "matchLabels": pod_labels },
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } },
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
            "template": template,
        },
    }))
}

fn metadata(kind: Kind, database: &Value, member: &Member, name: &str) -> Value {
    let mut labels = labels(kind, database);
    labels[member.label.0] = json!(member.label.1);
    json!({
        "name": name,
        "namespace": object::namespace(database),
        "labels": labels,
        "ownerReferences": [controlled_by(database)],
    })
}

#[cfg(test)]
mod tests {
    use super::max_unavailable;

    #[test]
    fn a_budget_spares_a_majority() {
        let found: Vec<_> = (2..=7).map(max_unavailable).collect();
        assert_eq!(found, [1, 1, 1, 2, 2, 3]);
    }
}
