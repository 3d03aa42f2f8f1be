use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ObjectRef, PodTerms};

/// What runs the pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WorkloadKind {
    /// `apps.k8s.appscode.com/v1`, KubeDB's own StatefulSet.
    PetSet,
    /// `apps/v1`: Hazelcast, and every kind on older installations.
    StatefulSet,
    /// `apps/v1`: Kafka's cruise control.
    Deployment,
}

impl WorkloadKind {
    /// Every kind of workload that a database can own.
    pub const ALL: [WorkloadKind; 3] =
        [WorkloadKind::PetSet, WorkloadKind::StatefulSet, WorkloadKind::Deployment];

    /// `group/version` of the resource.
    pub fn api_version(self) -> &'static str {
        match self {
            WorkloadKind::PetSet => "apps.k8s.appscode.com/v1",
            WorkloadKind::StatefulSet | WorkloadKind::Deployment => "apps/v1",
        }
    }

    /// The resource name in URLs.
    pub fn plural(self) -> &'static str {
        match self {
            WorkloadKind::PetSet => "petsets",
            WorkloadKind::StatefulSet => "statefulsets",
            WorkloadKind::Deployment => "deployments",
        }
    }

    /// The kind as the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            WorkloadKind::PetSet => "PetSet",
            WorkloadKind::StatefulSet => "StatefulSet",
            WorkloadKind::Deployment => "Deployment",
        }
    }

    /// Its pods serve the database and are no part of it, so nothing waits for them.
    pub fn serves_only(self) -> bool {
        self == WorkloadKind::Deployment
    }

    /// Its pods have ordinals, and a new pod gets the name of the one that it replaces, once that one is gone.
    pub fn has_stable_names(self) -> bool {
        self != WorkloadKind::Deployment
    }

    /// It owns its pods and labels them with its revisions; a Deployment leaves both to its ReplicaSets.
    pub fn owns_pods(self) -> bool {
        self != WorkloadKind::Deployment
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a workload's controller applies a new template to its pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateStrategy {
    /// The controller replaces a pod only when it has been deleted.
    OnDelete,
    /// The controller restarts the pods itself.
    RollingUpdate,
}

/// `spec.podManagementPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodManagement {
    OrderedReady,
    Parallel,
}

/// What a workload's controller makes its pods of.
#[derive(Debug, Clone, PartialEq)]
pub struct PodSource {
    /// `spec.template`, as the API server has it.
    pub template: Value,
    /// The names of `spec.volumeClaimTemplates`: each pod has a claim of its own for each of them.
    pub claims: Vec<String>,
    /// `spec.serviceName`; empty for a Deployment.
    pub service: String,
}

/// A PetSet, StatefulSet or Deployment of the database.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    pub kind: WorkloadKind,
    pub object: ObjectRef,
    pub resource_version: String,
    pub labels: BTreeMap<String, String>,
    pub generation: i64,
    pub observed_generation: i64,
    /// `spec.replicas`; an absent field means 1.
    pub replicas: i64,
    /// `status.replicas` and its siblings; an absent field means 0.
    pub status_replicas: i64,
    pub ready_replicas: i64,
    pub updated_replicas: i64,
    pub available_replicas: i64,
    /// `status.updateRevision`; empty for a Deployment.
    pub update_revision: String,
    pub strategy: UpdateStrategy,
    /// Pods with an ordinal below it are created from the old template. KubeDB's PetSet controller looks at it whatever the
    /// strategy is.
    pub partition: i64,
    /// The PlacementPolicy that a PetSet names: without it, its controller creates no pod.
    pub placement_policy: Option<String>,
    /// Why pods cannot be created, as the condition `ReplicaFailure` of a Deployment says.
    pub replica_failure: Option<String>,
    pub pod_management: PodManagement,
    /// Seconds.
    pub min_ready_seconds: i64,
    /// `spec.distributed`: pods live in other clusters.
    pub distributed: bool,
    /// `spec.selector.matchLabels`.
    pub selector: BTreeMap<String, String>,
    /// Containers and init containers of the template, in the template's order.
    pub containers: Vec<Container>,
    /// The template's termination grace in seconds.
    pub grace_seconds: i64,
    /// Where the template's pods may run, and how their images are downloaded.
    pub terms: PodTerms,
    /// Kept where an update is planned or carried out, and not in a list of many databases.
    pub source: Option<Arc<PodSource>>,
    /// A fingerprint of `spec.template`: equal templates have equal fingerprints.
    pub template: u64,
    pub deleting: bool,
}

impl Workload {
    /// The controller has observed the current pod template.
    pub fn observed(&self) -> bool {
        self.observed_generation >= self.generation
    }

    /// Its controller restarts the pods once the template has changed; a Deployment always does.
    pub fn rolls_by_itself(&self) -> bool {
        !self.kind.owns_pods() || self.strategy == UpdateStrategy::RollingUpdate
    }

    /// The same without what pods are made of, which is the largest part of it.
    pub fn without_source(self) -> Self {
        Workload { source: None, ..self }
    }

    /// The container or init container of that name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|c| c.name == name)
    }
}

/// A container of a pod template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    pub image: String,
    /// It is one of the `initContainers`.
    pub init: bool,
    /// Its place in its own list.
    pub index: usize,
}
