//! What speaks against the next write of a run: the cluster is no longer as its plan expects it.

/// Why a step must not go on: the cluster is not as the plan expects it. Every write of a run checks for these first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    #[error("the database has been deleted")]
    DatabaseGone,
    #[error("the database was deleted and made anew: uid {found} instead of {expected}")]
    DatabaseReplaced { expected: String, found: String },
    #[error("our Paused condition is gone: somebody has lifted it")]
    PauseLifted,
    #[error("somebody else has paused the database: {message}")]
    PausedByOther { message: String },
    #[error("{kind} {name} ({operation}, {phase}) has appeared")]
    OpsRequest { kind: String, name: String, operation: String, phase: String },
    #[error("{workload} is gone")]
    WorkloadGone { workload: String },
    #[error("{workload} has appeared since the run was planned, and is not part of it")]
    WorkloadAppeared { workload: String },
    #[error("another run has been written down since this one was planned")]
    JournalChanged,
    #[error(
        "{workload} has update strategy RollingUpdate by now: its controller restarts pods past every check between two pods"
    )]
    RollsByItself { workload: String },
    #[error("the template of {workload} has been changed by somebody else")]
    TemplateChanged { workload: String },
    #[error("{workload}: container {container} has image {found} instead of {expected}")]
    UnexpectedImage { workload: String, container: String, expected: String, found: String },
    #[error("spec.version of the database is {found} instead of {expected}")]
    UnexpectedVersion { expected: String, found: String },
}

impl Blocked {
    /// Somebody else is at work on the database.
    pub fn somebody_else(&self) -> bool {
        !matches!(self, Blocked::DatabaseGone | Blocked::WorkloadGone { .. })
    }
}
