//! Pods as the API server sends them, reduced like the other objects of [`wire`](super::wire).

use serde::Deserialize;
use serde_json::Value;

use crate::model::{
    ContainerState, ContainerStatus, Pod, PodCondition, PodTimes, RESIZES, clean, epoch_millis,
};

use super::wire::{Meta, Reference, grace, or_default};

#[derive(Deserialize, Clone)]
pub(super) struct PodWire {
    pub metadata: Meta,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default, deserialize_with = "or_default")]
    status: PodStatus,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    node_name: Option<String>,
    termination_grace_period_seconds: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    containers: Vec<NamedImage>,
    #[serde(deserialize_with = "or_default")]
    init_containers: Vec<NamedImage>,
    #[serde(deserialize_with = "or_default")]
    readiness_gates: Vec<ReadinessGate>,
    #[serde(deserialize_with = "or_default")]
    scheduling_gates: Vec<Reference>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct ReadinessGate {
    condition_type: String,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct NamedImage {
    name: String,
    image: String,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    phase: String,
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<PodConditionWire>,
    #[serde(deserialize_with = "or_default")]
    container_statuses: Vec<StatusWire>,
    #[serde(deserialize_with = "or_default")]
    init_container_statuses: Vec<StatusWire>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct PodConditionWire {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
    message: String,
    #[serde(deserialize_with = "or_default")]
    last_transition_time: String,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct StatusWire {
    name: String,
    restart_count: i64,
    state: StateWire,
    last_state: StateWire,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct StateWire {
    waiting: Option<Reason>,
    running: Option<Value>,
    terminated: Option<Reason>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct Reason {
    reason: String,
    message: String,
    exit_code: i64,
}

impl PodWire {
    pub fn pod(self) -> Pod {
        let PodWire { metadata: meta, spec, status } = self;
        let readiness = status.conditions.iter().find(|c| c.kind == "Ready");
        let ready = readiness.is_some_and(|c| c.status == "True");
        // A deletion timestamp is the time at which the grace period ends.
        let graced_ms = meta.deletion_grace_period_seconds.unwrap_or_default().saturating_mul(1000);
        let times = PodTimes {
            created: meta.creation_timestamp.as_deref().and_then(epoch_millis),
            ready: readiness.and_then(|c| epoch_millis(&c.last_transition_time)),
            leaving: meta
                .deletion_timestamp
                .as_deref()
                .and_then(epoch_millis)
                .map(|end| end.saturating_sub(graced_ms)),
        };
        let closed = |gate: &ReadinessGate| {
            !status.conditions.iter().any(|c| c.kind == gate.condition_type && c.status == "True")
        };
        let closed_gates = spec
            .readiness_gates
            .iter()
            .filter(|gate| closed(gate))
            .map(|gate| clean(&gate.condition_type))
            .collect();
        let always = |kind: &str| kind == "PodScheduled" || RESIZES.contains(&kind);
        let telling = |c: &PodConditionWire| c.status != "True" || always(&c.kind);
        let conditions = status.conditions.into_iter().filter(telling).map(|c| PodCondition {
            kind: clean(&c.kind),
            status: clean(&c.status),
            reason: clean(&c.reason),
            message: clean(&c.message),
        });
        let init = status.init_container_statuses.into_iter().map(|s| s.status(true));
        let main = status.container_statuses.into_iter().map(|s| s.status(false));
        let images = spec.init_containers.into_iter().chain(spec.containers);
        let graced = meta.deletion_grace_period_seconds.or(spec.termination_grace_period_seconds);
        Pod {
            name: clean(&meta.name),
            owner: meta.controller(),
            revision: meta.labels.get("controller-revision-hash").cloned().unwrap_or_default(),
            uid: meta.uid,
            resource_version: meta.resource_version,
            labels: meta.labels,
            node: spec.node_name.map(|n| clean(&n)),
            phase: clean(&status.phase),
            ready,
            conditions: conditions.collect(),
            deleting: meta.deletion_timestamp.is_some(),
            grace_seconds: grace(graced),
            finalizers: meta.finalizers.iter().map(|name| clean(name)).collect(),
            scheduling_gates: spec.scheduling_gates.iter().map(|gate| clean(&gate.name)).collect(),
            closed_gates,
            times,
            images: images.map(|i| (clean(&i.name), clean(&i.image))).collect(),
            containers: init.chain(main).collect(),
        }
    }
}

impl StatusWire {
    fn status(self, init: bool) -> ContainerStatus {
        let last_end = match self.last_state.terminated {
            Some(end) => {
                let text = format!("{} (exit code {}) {}", end.reason, end.exit_code, end.message);
                clean(&text)
            }
            None => String::new(),
        };
        let state = match self.state {
            StateWire { waiting: Some(w), .. } => {
                ContainerState::Waiting { reason: clean(&w.reason), message: clean(&w.message) }
            }
            StateWire { running: Some(_), .. } => ContainerState::Running,
            StateWire { terminated: Some(t), .. } => ContainerState::Terminated {
                reason: clean(&t.reason),
                exit_code: t.exit_code,
                message: clean(&t.message),
            },
            _ => ContainerState::Unknown,
        };
        ContainerStatus { name: clean(&self.name), init, restarts: self.restart_count, state, last_end }
    }
}
