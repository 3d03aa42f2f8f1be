//! Why a run ends before it is done.

use crate::cluster::{ClusterError, LockError};
use crate::event::Outcome;
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
    #[error("the server would refuse what the update needs: {}", .refused.join("; "))]
    WouldBeRefused { refused: Vec<String> },
    #[error("pod {pod}: {stuck}{}", event_of(.last_event))]
    Stuck { pod: String, stuck: Stuck, last_event: Option<String> },
    #[error(
        "pod {pod} cannot be evicted: disruption budget {budget} needs {needed} healthy pods and has {healthy}"
    )]
    BudgetBlocked { pod: String, budget: String, needed: i64, healthy: i64 },
    #[error("pod {pod} is not well ({why}), and no other pod is restarted before it is")]
    OtherPod { pod: String, why: String },
    #[error("the database reports {what}, and no pod is restarted before it is healthy")]
    DatabaseUnhealthy { what: String },
    #[error("{workload}: its controller has not taken up the new template within {seconds} s")]
    NotTakenUp { workload: String, seconds: u64 },
    #[error(
        "KubeDB's operator has not rendered {workload} within {seconds} s ({what}): is it running?{}",
        event_of(.last_event)
    )]
    NotRendered { workload: String, what: String, seconds: u64, last_event: Option<String> },
    #[error("ops request {name} has ended: {phase}{}", reason_of(.why))]
    RequestEnded { name: String, phase: String, why: String },
    #[error("ops request {name} is gone: somebody has deleted it before it had ended")]
    RequestGone { name: String },
    #[error("nothing has moved in ops request {name} nor in any pod for {seconds} s; it was left running")]
    RequestStalled { name: String, seconds: u64 },
    #[error("pod {pod} has come back on the old template twice")]
    OldTemplate { pod: String },
    #[error("the Paused condition was erased {times} times before the operator acknowledged it")]
    PauseErased { times: u32 },
    #[error(
        "whether the update has arrived cannot be told: the cluster could not be watched for {seconds} s"
    )]
    Blind { seconds: u64 },
    #[error(
        "the templates have not come to rest within {seconds} s: somebody writes to them again and again"
    )]
    Restless { seconds: u64 },
    #[error("the update has not arrived: {0}")]
    Unverified(#[from] Unverified),
    #[error("{failure}; the update was rolled back")]
    RolledBack { failure: Box<StopReason> },
    #[error("the whole run's --timeout of {seconds} s is over")]
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
    /// Somebody else is at work on the database.
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

    /// The process's exit code; documented in `docs/exit-codes.md`.
    /// `half_done` tells whether this run, or the one that it goes on from, has changed something.
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
