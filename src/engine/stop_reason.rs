//! Why a run ends before it is done.

use crate::cluster::{ClusterError, LockError};
use crate::event::Outcome;
use crate::model::pods_needed;
use crate::roll::Stuck;
use crate::steps::Blocked;
use crate::steps::s6_verify::Unverified;

use super::Signal;

/// Why a run ends before it is done.
#[derive(Debug, thiserror::Error)]
pub(super) enum StopReason {
    #[error(transparent)]
    Blocked(#[from] Blocked),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("the lock was lost: {why}")]
    LockLost { why: String },
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("the API server would reject the update: {}", .refused.join("; "))]
    WouldBeRefused { refused: Vec<String> },
    #[error("pod {pod}: {stuck}{}", event_of(.last_event))]
    Stuck { pod: String, stuck: Stuck, last_event: Option<String> },
    #[error(
        "pod {pod} cannot be evicted: PodDisruptionBudget {budget} allows no disruption: {}",
        pods_needed(*needed, None, *healthy)
    )]
    BudgetBlocked { pod: String, budget: String, needed: i64, healthy: i64 },
    #[error("pod {pod} is not healthy ({why}); no other pod is restarted until it is")]
    OtherPod { pod: String, why: String },
    #[error("the database reports {what}; no pod is restarted until it is healthy")]
    DatabaseUnhealthy { what: String },
    #[error("{workload}: its controller did not observe the new pod template within {seconds} s")]
    NotTakenUp { workload: String, seconds: u64 },
    #[error(
        "the operator did not render {workload} within {seconds} s ({what}): is it running?{}",
        event_of(.last_event)
    )]
    NotRendered { workload: String, what: String, seconds: u64, last_event: Option<String> },
    #[error("ops request {name} ended: {phase}{}", reason_of(.why))]
    RequestEnded { name: String, phase: String, why: String },
    #[error("ops request {name} was deleted before it ended")]
    RequestGone { name: String },
    #[error("no progress in ops request {name} or in any pod for {seconds} s; it was left running")]
    RequestStalled { name: String, seconds: u64 },
    #[error("pod {pod} was recreated from the old pod template twice")]
    OldTemplate { pod: String },
    #[error("the Paused condition was erased {times} times before the operator acknowledged it")]
    PauseErased { times: u32 },
    #[error("cannot tell whether the update is complete: the cluster could not be watched for {seconds} s")]
    Blind { seconds: u64 },
    #[error("pod templates kept changing for {seconds} s; something else is editing them")]
    Restless { seconds: u64 },
    #[error("the update is not complete: {0}")]
    Unverified(#[from] Unverified),
    #[error("{failure}; the update was rolled back")]
    RolledBack { failure: Box<StopReason> },
    #[error("the run exceeded its --timeout of {seconds} s")]
    TimedOut { seconds: u64 },
    #[error("interrupted by {signal}")]
    Stopped { signal: Signal },
}

fn event_of(last_event: &Option<String>) -> String {
    last_event.as_ref().map(|e| format!("; last event: {e}")).unwrap_or_default()
}

fn reason_of(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

impl StopReason {
    /// Another user or controller is changing the database.
    pub fn somebody_else(&self) -> bool {
        match self {
            StopReason::Blocked(blocked) => blocked.somebody_else(),
            StopReason::Lock(error) => !matches!(error, LockError::Cluster(_)),
            StopReason::LockLost { .. } => true,
            _ => false,
        }
    }

    pub fn outcome(&self) -> Outcome {
        match self {
            StopReason::TimedOut { .. } | StopReason::Stopped { .. } => Outcome::Stopped,
            StopReason::RolledBack { .. } => Outcome::RolledBack,
            _ if self.somebody_else() => Outcome::SomebodyElse,
            _ => Outcome::Failed,
        }
    }

    /// The process's exit code; documented in `docs/exit-codes.md`. `half_done` tells whether this run, or the one that
    /// it resumes, has changed something.
    pub fn exit_code(&self, half_done: bool) -> u8 {
        match self {
            StopReason::TimedOut { .. } => 124,
            StopReason::Stopped { signal } => signal.exit_code(),
            _ if self.somebody_else() => 5,
            _ if half_done => 4,
            _ => 1,
        }
    }
}
