//! Why a run ends before it is done.

use std::time::Duration;

use crate::cluster::{ClusterError, LockError};
use crate::event::{Outcome, WaitingOn, code};
use crate::model::{Work, pods_needed};
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
    /// Some of the writes, which were tried before the first one.
    #[error("the API server would reject the update: {}", all(.refused))]
    WouldBeRefused { refused: Vec<ClusterError> },
    #[error("pod {pod}: {stuck}{}", event_of(.last_event))]
    Stuck { pod: String, stuck: Stuck, last_event: Option<String> },
    /// A Deployment may not create its pods.
    #[error("{workload} cannot create its pods: {why}")]
    NotCreated { workload: String, why: String },
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
    #[error("node {node} cannot download {image}: {why}{}", event_of(.last_event))]
    PullFailed { node: String, image: String, why: String, last_event: Option<String> },
    #[error("ops request {name} ended: {phase}{}", reason_of(.why))]
    RequestEnded { name: String, phase: String, why: String },
    #[error("ops request {name} was deleted before it ended")]
    RequestGone { name: String },
    #[error("no progress in ops request {name} or in any pod for {seconds} s; it was left running")]
    RequestStalled { name: String, seconds: u64 },
    #[error(
        "pod {pod} is being resized in place and is not restarted before that has ended ({what}); if it never can, set its \
         resources back"
    )]
    Resizing { pod: String, what: String },
    #[error("pod {pod} was not restarted: {}", unbearable(.on))]
    Unbearable { pod: String, on: WaitingOn },
    #[error("pod {pod} was recreated from the old pod template twice")]
    OldTemplate { pod: String },
    #[error("the Paused condition was erased {times} times before the operator acknowledged it")]
    PauseErased { times: u32 },
    #[error("cannot tell whether the update is complete: the cluster could not be watched for {seconds} s")]
    Blind { seconds: u64 },
    #[error("pod templates kept changing for {seconds} s; something else is editing them")]
    Restless { seconds: u64 },
    #[error("the database refuses to {work}: {why}")]
    WorkRefused { work: Work, why: String },
    #[error("the database did not {work} within {seconds} s (--step-timeout): {}", why.join("; "))]
    WorkLate { work: Work, seconds: u64, why: Vec<String> },
    #[error("the update is not finished: {}", why.join("; "))]
    NotFinished { why: Vec<String> },
    #[error("the update is not complete: {0}")]
    Unverified(#[from] Unverified),
    /// Everything is on the target and verified.
    #[error("everything is on {to}, but {unready}")]
    NotReady { to: String, unready: Unready },
    #[error("{failure}; the update was rolled back{}", but(.unready))]
    RolledBack { failure: Box<StopReason>, unready: Option<Unready> },
    #[error("the run exceeded its --timeout of {seconds} s{}", late.as_ref().map(|late| format!("; {late}")).unwrap_or_default())]
    TimedOut { seconds: u64, late: Option<Late> },
    #[error("interrupted by {signal}")]
    Stopped { signal: Signal },
}

/// The pod that a run was waiting for when its time was up.
#[derive(Debug, thiserror::Error)]
#[error("pod {pod}: {stuck}")]
pub(super) struct Late {
    pod: String,
    stuck: Stuck,
}

/// KubeDB did not report the database as Ready while the run waited for that.
#[derive(Debug, thiserror::Error)]
#[error("{}", unready(.phase, *.before, .ended))]
pub(super) struct Unready {
    /// Its phase, and the check that contradicts it.
    pub phase: String,
    /// The phase is Ready, but may be from before.
    pub before: bool,
    pub ended: WaitEnded,
}

/// What ended the wait for KubeDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitEnded {
    Late { seconds: u64 },
    TimedOut { seconds: u64 },
    Stopped { signal: Signal },
}

impl Unready {
    /// The code of whatever cut the wait short; `late`, if it was over.
    fn exit_code(&self, late: u8) -> u8 {
        match self.ended {
            WaitEnded::Late { .. } => late,
            WaitEnded::TimedOut { .. } => code::TIMED_OUT,
            WaitEnded::Stopped { signal } => signal.exit_code(),
        }
    }
}

fn unready(phase: &str, before: bool, ended: &WaitEnded) -> String {
    let ended = match ended {
        WaitEnded::Late { seconds } => format!("within the {seconds} s of --wait-ready"),
        WaitEnded::TimedOut { seconds } => format!("before the --timeout of {seconds} s"),
        WaitEnded::Stopped { signal } => format!("before the run was interrupted by {signal}"),
    };
    let phase = if before { "Ready, but may be from before".to_owned() } else { phase.to_owned() };
    format!("KubeDB did not report the database as Ready {ended}: its phase is {phase}")
}

fn but(unready: &Option<Unready>) -> String {
    unready.as_ref().map(|unready| format!(", but {unready}")).unwrap_or_default()
}

fn unbearable(on: &WaitingOn) -> String {
    let overridden = "to restart it by its readiness and PodDisruptionBudgets alone, run the command again with --health off";
    match on {
        WaitingOn::Database { database, why } => {
            format!("{database} cannot bear it: {}; {overridden}", why.join("; "))
        }
        WaitingOn::Answer { database, why } => {
            format!("{database} does not say whether it can bear it: {}; {overridden}", why.join("; "))
        }
        _ => overridden.to_owned(),
    }
}

fn event_of(last_event: &Option<String>) -> String {
    last_event.as_ref().map(|e| format!("; last event: {e}")).unwrap_or_default()
}

fn all(refused: &[ClusterError]) -> String {
    refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
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

    /// The same for a run that has waited for this pod, if its time is up: a pod that is only to stay Ready explains nothing.
    pub fn while_waiting(self, pod: &str, on: WaitingOn, waited: Duration) -> Self {
        match self {
            StopReason::TimedOut { seconds, late: None } if !matches!(on, WaitingOn::MinReady { .. }) => {
                let stuck = Stuck::TimedOut { on, seconds: waited.as_secs() };
                StopReason::TimedOut { seconds, late: Some(Late { pod: pod.to_owned(), stuck }) }
            }
            other => other,
        }
    }

    /// The pod that it is about.
    pub fn pod(&self) -> Option<&str> {
        match self {
            StopReason::Stuck { pod, .. }
            | StopReason::BudgetBlocked { pod, .. }
            | StopReason::OtherPod { pod, .. }
            | StopReason::OldTemplate { pod }
            | StopReason::Resizing { pod, .. }
            | StopReason::Unbearable { pod, .. }
            | StopReason::TimedOut { late: Some(Late { pod, .. }), .. }
            | StopReason::Blocked(Blocked::PodTaken { pod, .. })
            | StopReason::Unverified(Unverified::Pod { pod, .. } | Unverified::NotReady { pod, .. }) => {
                Some(pod)
            }
            StopReason::RolledBack { failure, .. } => failure.pod(),
            _ => None,
        }
    }

    /// A permission of the user is missing.
    pub fn lacks_permission(&self) -> bool {
        let forbidden = |error: &ClusterError| matches!(error, ClusterError::Forbidden { .. });
        match self {
            StopReason::Cluster(error) => forbidden(error),
            StopReason::WouldBeRefused { refused } => refused.iter().any(forbidden),
            _ => false,
        }
    }

    /// What is tried before anything is changed has failed: the writes, the downloads of `--pre-pull`, or a write of the lock
    /// or of the journal, which a policy refuses and which is not tried.
    fn refused(&self) -> bool {
        match self {
            StopReason::WouldBeRefused { .. } | StopReason::PullFailed { .. } => true,
            StopReason::Cluster(error) | StopReason::Lock(LockError::Cluster(error)) => {
                matches!(error, ClusterError::Refused { .. })
            }
            _ => false,
        }
    }

    /// How the run ended. `changed` tells whether this run, or one that it continues, has changed something.
    pub fn outcome(&self, changed: bool) -> Outcome {
        match self {
            StopReason::TimedOut { .. } | StopReason::Stopped { .. } => Outcome::Stopped,
            StopReason::NotReady { .. } => Outcome::NotReady,
            StopReason::RolledBack { .. } => Outcome::RolledBack,
            _ if !changed && self.refused() => Outcome::Refused,
            _ if self.somebody_else() => Outcome::SomebodyElse,
            _ => Outcome::Failed,
        }
    }

    /// The process's exit code; documented in `docs/exit-codes.md`. `changed` tells whether this run, or one that it
    /// continues, has changed something; `further`, whether other updates were to follow this one.
    pub fn exit_code(&self, changed: bool, further: bool) -> u8 {
        match self {
            StopReason::TimedOut { .. } => code::TIMED_OUT,
            StopReason::Stopped { signal } => signal.exit_code(),
            StopReason::NotReady { unready, .. } => {
                unready.exit_code(if further { code::UNFINISHED } else { code::NOT_READY })
            }
            StopReason::RolledBack { unready: Some(unready), .. } => unready.exit_code(code::UNFINISHED),
            _ if self.somebody_else() => code::SOMEBODY_ELSE,
            _ if changed => code::UNFINISHED,
            _ if self.refused() => code::REFUSED,
            _ => code::FAILED,
        }
    }
}
