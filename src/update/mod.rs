//! The steps of an update, in their order. Pure: each decides from a [`Snapshot`](crate::model::Snapshot), the engine
//! acts.
//!
//! A step knows its own [`Status`] and the writes that it needs, so that going on after an interruption is observing
//! again and skipping what is done.

pub mod hops;
pub mod ops_request;
pub mod permissions;
pub mod rollback;
mod s0_environment;
pub mod s0_images;
mod s0_methods;
pub mod s0_preflight;
pub mod s1_plan;
pub mod s1_render;
pub mod s2_pause;
pub mod s3_patch_images;
pub mod s4_roll_pods;
pub mod s5_set_version;
pub mod s6_resume;
pub mod s7_verify;

/// Whether a step has anything to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    AlreadyDone,
    Ready,
    /// It must not be done; why.
    Blocked(Blocked),
}

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
