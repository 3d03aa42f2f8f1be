use super::Lookup;

/// What is known, at one moment, of why the controller of a workload does not create a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreationNews {
    /// What the controller has written: Events of the workload with the reason `FailedCreate`.
    pub failures: Lookup<Vec<FailedCreate>>,
    /// Whether the PlacementPolicy exists that the workload names; [`Lookup::Absent`] if it names none.
    pub policy: Lookup<bool>,
}

/// An Event about a pod that a controller could not create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCreate {
    /// The Event's uid and resourceVersion: it is another one each time that the controller fails again.
    pub version: String,
    pub message: String,
    /// When that was written first and last, as the controller wrote it, in RFC 3339.
    pub first: String,
    pub last: String,
}
