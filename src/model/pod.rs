use std::collections::BTreeMap;

/// The conditions of a pod whose resources are to be changed in place.
pub const RESIZES: [&str; 2] = ["PodResizePending", "PodResizeInProgress"];

/// A pod of the database.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    pub resource_version: String,
    /// The uid of the controller that owns it; a Deployment's pods are owned by a ReplicaSet.
    pub owner: String,
    pub labels: BTreeMap<String, String>,
    /// Label `controller-revision-hash`; empty when absent.
    pub revision: String,
    pub node: Option<String>,
    /// `status.phase`.
    pub phase: String,
    /// Condition `Ready` is `True`.
    pub ready: bool,
    /// Conditions other than `True`; `PodScheduled` and those of a resize in any state.
    pub conditions: Vec<PodCondition>,
    /// A deletion timestamp is set.
    pub deleting: bool,
    /// Termination grace in seconds (`deletionGracePeriodSeconds` while it is deleted).
    pub grace_seconds: i64,
    pub finalizers: Vec<String>,
    /// `spec.schedulingGates`: the pod gets no node before they are removed.
    pub scheduling_gates: Vec<String>,
    /// Those of `spec.readinessGates` whose condition is missing or not `True`.
    pub closed_gates: Vec<String>,
    pub times: PodTimes,
    /// Containers and init containers as the spec has them: name and image.
    pub images: Vec<(String, String)>,
    pub containers: Vec<ContainerStatus>,
}

impl Pod {
    /// Running, Ready and not terminating.
    pub fn healthy(&self) -> bool {
        self.ready && !self.deleting && self.phase == "Running"
    }

    /// What it reports of a resize in place that has not ended, if there is one (Kubernetes 1.33 and later): its new resources
    /// wait for room on the node, or are being applied.
    pub fn resize(&self) -> Option<String> {
        let resizing = |c: &&PodCondition| RESIZES.contains(&c.kind.as_str()) && c.status == "True";
        let PodCondition { kind, reason, message, .. } = self.conditions.iter().find(resizing)?;
        let said = [kind, reason, message].into_iter().filter(|text| !text.is_empty());
        Some(said.map(String::as_str).collect::<Vec<_>>().join(": "))
    }

    /// The number after the last dash of the name; `None` for a Deployment's pods.
    pub fn ordinal(&self) -> Option<u32> {
        self.name.rsplit_once('-')?.1.parse().ok()
    }

    /// The image that the pod's spec names for a container.
    pub fn image(&self, container: &str) -> Option<&str> {
        self.images.iter().find(|(name, _)| name == container).map(|(_, image)| image.as_str())
    }
}

/// When something happened to a pod, in milliseconds since 1970; the cluster tells whole seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PodTimes {
    pub created: Option<i64>,
    /// When it became Ready, or ceased to be.
    pub ready: Option<i64>,
    /// When its deletion was asked for.
    pub leaving: Option<i64>,
}

/// One of a pod's conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodCondition {
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
}

/// What the kubelet reports about one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStatus {
    pub name: String,
    pub init: bool,
    pub restarts: i64,
    pub state: ContainerState,
    /// How it ended last time: reason, exit code and message in one line; empty if it never ended.
    pub last_end: String,
}

/// `state` of a container status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    Waiting { reason: String, message: String },
    Running,
    Terminated { reason: String, exit_code: i64, message: String },
    Unknown,
}
