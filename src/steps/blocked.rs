//! Why a run must not write: the cluster is no longer as its plan expects it.

use crate::model::OpsRequest;

/// Why a step must not continue: the cluster is not as the plan expects it. This is checked before every write of a
/// run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    #[error("the database has been deleted")]
    DatabaseGone,
    #[error("the database was deleted and recreated: uid {found} instead of {expected}")]
    DatabaseReplaced { expected: String, found: String },
    #[error("our Paused condition was removed by another user or controller")]
    PauseLifted,
    #[error("the database was paused by another user or controller: {message}")]
    PausedByOther { message: String },
    #[error("{kind} {name} ({operation}, {phase}) was created during the run")]
    OpsRequest { kind: String, name: String, operation: String, phase: String },
    #[error("{workload} is gone")]
    WorkloadGone { workload: String },
    #[error(
        "pod {pod} no longer belongs to {workload}{}: another user or controller is changing the database. {workload} \
         cannot have its own pod {pod} while this one exists: restore the labels that the selector of \
         {workload} matches, or delete the pod, then resume",
        owned_by(.owner)
    )]
    PodTaken { workload: String, pod: String, owner: String },
    #[error("{workload} was created after the run was planned and is not part of it")]
    WorkloadAppeared { workload: String },
    #[error("another run was recorded after this one was planned")]
    JournalChanged,
    #[error(
        "{workload} now has update strategy RollingUpdate: its controller would restart pods without any checks between them"
    )]
    RollsByItself { workload: String },
    #[error("the pod template of {workload} was changed by another user or controller")]
    TemplateChanged { workload: String },
    #[error("{workload}: container {container} has image {found} instead of {expected}")]
    UnexpectedImage { workload: String, container: String, expected: String, found: String },
    #[error("spec.version of the database is {found} instead of {expected}")]
    UnexpectedVersion { expected: String, found: String },
}

fn owned_by(owner: &str) -> String {
    if owner.is_empty() {
        " (it has no owner)".to_owned()
    } else {
        format!(" (the uid of its owner is {owner})")
    }
}

impl Blocked {
    /// Another user or controller is changing the database.
    pub fn somebody_else(&self) -> bool {
        !matches!(self, Blocked::DatabaseGone | Blocked::WorkloadGone { .. })
    }

    /// That ops request is in progress.
    pub fn by(request: &OpsRequest) -> Self {
        Blocked::OpsRequest {
            kind: request.kind.clone(),
            name: request.name.clone(),
            operation: request.operation.clone(),
            phase: request.phase().to_owned(),
        }
    }
}
