use serde::{Deserialize, Serialize};

use super::{
    Finding, FinishPlan, Health, Kind, Method, ObjectRef, OpsRequestManifest, Permission, PrePull, Rewriting,
    Rewritten, WorkloadKind, is_another,
};

/// The version of the schema in which plans are printed; it changes when a field's meaning does.
pub const PLAN_SCHEMA: &str = "dbupdate/v1";

/// The whole of an update, decided before anything is changed. It is immutable and complete: no decision is left to be
/// made during the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// [`PLAN_SCHEMA`].
    pub schema: String,
    pub kind: Kind,
    pub database: ObjectRef,
    pub from: VersionRef,
    pub to: VersionRef,
    pub action: Action,
    /// Who changes the templates, and who restarts the pods.
    #[serde(default)]
    #[serde(rename = "via")]
    pub method: Method,
    /// The ops request to create, or to follow if it exists; only with the method ops-manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ops_request: Option<OpsRequestManifest>,
    /// The images that are brought to the nodes first; only with `--pre-pull`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_pull: Option<PrePull>,
    /// What the database said of itself before the start; only if it was asked and has answered. Then no pod is restarted
    /// while the database says that it cannot bear it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// What is done to the database itself; only if the plan finishes an update. Of a finish that follows updates it is not
    /// known before these are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<FinishPlan>,
    /// In the order in which they are rolled.
    pub workloads: Vec<WorkloadPlan>,
    /// All of them, refusals first.
    pub findings: Vec<Finding>,
    /// The permissions that the user lacks, of those that the run needs or would use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Permission>,
    /// The versions that lead to the target one step at a time, if one step is not allowed; the current version first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
}

impl Plan {
    /// The findings that stop it.
    pub fn refusals(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.refuses())
    }

    /// The pods of all workloads.
    pub fn pods(&self) -> impl Iterator<Item = &PodPlan> {
        self.workloads.iter().flat_map(|w| &w.pods)
    }

    /// The method with which this tool can carry out the plan of an update on its own. If containers are added or
    /// removed, only provisioner is possible: with the client method, the operator would restore the old containers as
    /// soon as it is resumed.
    pub fn by_us(&self) -> Method {
        match self.workloads.iter().any(WorkloadPlan::reshapes) {
            true => Method::Provisioner,
            false => Method::Client,
        }
    }

    /// The workload's part of the plan.
    pub fn workload(&self, uid: &str) -> Option<&WorkloadPlan> {
        self.workloads.iter().find(|w| w.object.uid == uid)
    }
}

/// A version object of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionRef {
    /// The object's name, which `spec.version` of the database holds.
    pub name: String,
    /// What the version rule compares; empty if the catalog lacks the object.
    pub version: String,
}

/// The direction of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    Update,
    Rollback,
    /// What the update leaves to be done in the database itself.
    Finish,
}

/// What a plan will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Images, pods and `spec.version`.
    Update,
    /// `spec.version` is the target already; images or pods are not.
    Roll,
    /// The images, pods and `spec.version` of an unfinished run go back to what was before it.
    Rollback,
    /// Everything is on the target; only our own `Paused` is left, or the update has not been verified.
    Resume,
    /// Everything is on the target; what its version allows or needs is done to the database itself.
    Finish,
    /// Everything is on the target.
    Nothing,
}

/// What will happen to one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadPlan {
    pub kind: WorkloadKind,
    pub object: ObjectRef,
    /// Its role in the database, e.g. `broker`, `historicals`, `rack-r0`.
    pub role: String,
    pub strategy: Strategy,
    pub replicas: i64,
    /// Seconds that a pod must stay Ready: the larger of the workload's own `minReadySeconds` and what was requested.
    pub min_ready_seconds: i64,
    /// The images that the patch replaces.
    pub images: Vec<ImageChange>,
    /// The containers whose images are left unchanged.
    pub kept: Vec<KeptContainer>,
    /// The containers that will be added to the template; patching images cannot do that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<ShapeChange>,
    /// The containers that will be removed from the template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<ShapeChange>,
    /// How admission makes the pods of today differ from their template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewriting: Vec<Rewriting>,
    /// In the order in which they are restarted.
    pub pods: Vec<PodPlan>,
}

impl WorkloadPlan {
    /// The images that its pods will have, by container.
    pub fn target_images(&self) -> impl Iterator<Item = (&str, &str)> {
        let changed = self.images.iter().map(|c| (c.container.as_str(), c.after.as_str()));
        let on_target = self.kept.iter().filter(|k| k.why == KeptWhy::AlreadyOnTarget);
        let added = self.added.iter().map(|a| (a.container.as_str(), a.image.as_str()));
        changed.chain(on_target.map(|k| (k.container.as_str(), k.image.as_str()))).chain(added)
    }

    /// A container's image in a pod is not what admission makes of the image that was asked for.
    pub fn another(&self, container: &str, asked: &str, found: &str) -> bool {
        let replaced = |r: &Rewriting| r.container == container && matches!(r.how, Rewritten::Other { .. });
        is_another(asked, found) && !self.rewriting.iter().any(replaced)
    }

    /// The template will have other containers, which patching images cannot do.
    pub fn reshapes(&self) -> bool {
        !self.added.is_empty() || !self.removed.is_empty()
    }

    /// There is nothing to do.
    pub fn settled(&self) -> bool {
        self.as_it_ends() && self.pods.iter().all(|p| p.action == PodAction::Skip)
    }

    /// This tool has to evict pods of it.
    pub fn evicts(&self) -> bool {
        self.strategy == Strategy::Evict && !self.settled()
    }

    /// The template or a pod has an old image; a pod that is merely unhealthy is not to be fixed by this tool.
    pub fn outdated(&self) -> bool {
        let old = |p: &PodPlan| !matches!(p.action, PodAction::Skip | PodAction::Await);
        !self.as_it_ends() || self.pods.iter().any(old)
    }

    /// The template needs no change.
    fn as_it_ends(&self) -> bool {
        !self.reshapes() && self.images.is_empty()
    }
}

/// Who restarts a workload's pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// This tool evicts one pod after the other.
    Evict,
    /// The workload's controller, once the images are patched; this tool follows.
    Follow,
    /// The Ops-manager; this tool follows.
    OpsManager,
}

/// One image that is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageChange {
    pub container: String,
    /// An init container.
    pub init: bool,
    /// Its place in the template's list.
    pub index: usize,
    pub now: String,
    pub after: String,
}

/// A container that is added or removed, with its image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShapeChange {
    pub container: String,
    /// An init container.
    pub init: bool,
    pub image: String,
}

/// A container whose image is left unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptContainer {
    pub container: String,
    pub init: bool,
    pub image: String,
    pub why: KeptWhy,
}

/// Why an image is left unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeptWhy {
    /// The catalog does not know the container.
    Sidecar,
    AlreadyOnTarget,
}

/// What will happen to one pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodPlan {
    pub name: String,
    pub action: PodAction,
    /// The condition that the action waits for, for a person to read.
    pub waits_for: String,
}

/// How a pod is brought to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PodAction {
    /// The pod is healthy; this tool evicts it.
    Evict,
    /// The pod is unhealthy, so it is evicted first.
    #[serde(rename = "evictUnwell")]
    EvictUnhealthy,
    /// The workload's controller replaces it.
    Follow,
    /// The pod is on the target but not Ready yet: the run waits for it.
    Await,
    /// It is on the target and Ready.
    Skip,
}
