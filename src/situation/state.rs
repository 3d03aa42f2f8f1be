//! The state of a database: a word, and the facts for its sentence.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::commands::Next;
use crate::event::code;
use crate::model::{Method, OpsRequest, Phase};
use crate::steps::ops_request::LeftPaused;

/// The state of a database in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// On its version, with every pod Ready.
    Fine,
    /// A run of this tool is active, or was until a moment ago.
    Running,
    /// Between two versions, paused by us or with templates that follow `spec.version`, and no run active.
    HalfDone,
    /// Between two versions and not paused: the operator may render other images at any time.
    Exposed,
    /// Everything is on the target, but the update has not been verified.
    Unverified,
    /// On its version, with every pod Ready; further updates are pending.
    OnItsWay,
    /// On its version, with every pod Ready; the last update has left something to be done in the database itself.
    ToFinish,
    /// The same, and doing it was interrupted.
    HalfFinished,
    /// Paused by us, with nothing else changed.
    LeftPaused,
    PausedByOther,
    /// An ops request is in progress.
    OpsRequest,
    /// Templates or pods do not have the images of `spec.version`, and no run of ours is the reason.
    Drift,
    NotReady,
    Halted,
    Deleting,
    /// Too little could be read.
    Unknown,
}

/// The state of a database, with the facts for its sentence. Its [`fmt::Display`] is that sentence: the state of a
/// database is always reported in these words.
#[derive(Debug, Clone, PartialEq)]
pub struct Situation {
    /// `kafka/my-kf`.
    pub database: String,
    /// `spec.version`.
    pub version: String,
    pub what: What,
}

/// What there is to report about a database.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A different database may have its name by now.
    Gone,
    Deleting,
    Halted,
    /// A lock that was renewed lately.
    Running {
        holder: String,
        renewed_seconds_ago: Option<i64>,
        /// How long it is valid without being renewed.
        lease_seconds: i64,
        updating: Option<Progress>,
    },
    /// The ops request of an unfinished run is in progress.
    Requested {
        request: Box<OpsRequest>,
        run: Progress,
    },
    /// The same for any other ops request. A run of this tool, to that version, may be unfinished as well.
    OtherRequest {
        request: Box<OpsRequest>,
        unfinished: Option<String>,
    },
    /// Paused for the ops request of an unfinished run, which is gone.
    PausedForRequest(Progress),
    PausedByOther {
        message: String,
        unfinished: Option<String>,
        /// The condition is left over from an ops request, and nobody else will remove it.
        left: Option<LeftPaused>,
    },
    /// Paused by a run of this tool, whose journal cannot be read.
    JournalUnreadable {
        why: String,
    },
    /// Paused by a run of this tool without a journal entry, with other images in its templates.
    NoJournalEntry,
    /// Paused by a run of this tool that has changed nothing else; the version that it leads to, if known.
    LeftPaused {
        to: Option<String>,
    },
    /// Everything is on the target.
    Unverified {
        pods: Pods,
        to: String,
        unhealthy: Vec<String>,
    },
    /// Paused by this tool, and `spec.version` was changed by another user or controller.
    VersionMoved {
        run: Progress,
        was: String,
    },
    /// The ops request of an unfinished run has ended or was deleted. `by_us` is the method that can continue.
    RequestEnded {
        run: Progress,
        by_us: Method,
    },
    /// Not paused, and the operator renders the templates of `spec.version`.
    Rendered(Progress),
    HalfDone(Progress),
    Exposed(Progress),
    /// The finish of an update was interrupted, or the undoing of one. The database tells how much of it is left.
    Finishing {
        pods: Pods,
        run: String,
        undo: bool,
    },
    /// On its version, with every pod Ready; what the last update has left to be done in the database itself, as the
    /// database said at its end.
    ToFinish {
        pods: Pods,
        left: Vec<String>,
    },
    /// Not everything could be read.
    Unread {
        phase: Phase,
    },
    Drift,
    NotReady {
        pods: Pods,
        phase: Phase,
        unhealthy: Vec<String>,
    },
    /// That many pods were created from an older template.
    Outdated {
        pods: usize,
    },
    OnItsWay {
        pods: Pods,
        to: String,
    },
    Fine(Pods),
}

/// How far an unfinished run has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub run: String,
    pub from: String,
    pub to: String,
    /// The pods of its workloads, and how many of them are on the target and Ready.
    pub pods: Pods,
    /// The pods that are not Ready.
    pub unhealthy: Vec<String>,
    /// The command that shows the one of them, or the missing one, that the run has failed on.
    pub stuck: Option<Next>,
}

/// Some of so many pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pods {
    pub ready: i64,
    pub all: i64,
}

impl Situation {
    /// The state in a word.
    pub fn state(&self) -> State {
        match self.what {
            What::Gone | What::Deleting => State::Deleting,
            What::Halted => State::Halted,
            What::Running { .. } => State::Running,
            What::Requested { .. } | What::OtherRequest { .. } => State::OpsRequest,
            What::PausedByOther { .. } => State::PausedByOther,
            What::PausedForRequest(_)
            | What::JournalUnreadable { .. }
            | What::NoJournalEntry
            | What::VersionMoved { .. }
            | What::RequestEnded { .. }
            | What::Rendered(_)
            | What::HalfDone(_) => State::HalfDone,
            What::LeftPaused { .. } => State::LeftPaused,
            What::Unverified { .. } => State::Unverified,
            What::Exposed(_) => State::Exposed,
            What::Unread { .. } => State::Unknown,
            What::Drift => State::Drift,
            What::NotReady { .. } => State::NotReady,
            What::OnItsWay { .. } => State::OnItsWay,
            What::ToFinish { .. } => State::ToFinish,
            What::Finishing { .. } => State::HalfFinished,
            What::Outdated { .. } | What::Fine(_) => State::Fine,
        }
    }

    /// The exit code for the state; documented in `docs/exit-codes.md`.
    pub fn exit_code(&self) -> u8 {
        match &self.what {
            What::Fine(_) | What::Outdated { .. } | What::ToFinish { .. } => 0,
            What::Unread { .. } => code::FAILED,
            What::Gone | What::Deleting | What::Halted | What::Drift => code::REFUSED,
            What::PausedForRequest(_)
            | What::JournalUnreadable { .. }
            | What::NoJournalEntry
            | What::LeftPaused { .. }
            | What::Unverified { .. }
            | What::VersionMoved { .. }
            | What::RequestEnded { .. }
            | What::Rendered(_)
            | What::HalfDone(_)
            | What::Exposed(_)
            | What::Finishing { .. }
            | What::OnItsWay { .. } => code::UNFINISHED,
            What::Running { .. }
            | What::Requested { .. }
            | What::OtherRequest { .. }
            | What::PausedByOther { .. } => code::SOMEBODY_ELSE,
            What::NotReady { .. } => code::NOT_READY,
        }
    }

    /// The commands to run next, most useful first.
    pub fn next(&self) -> Vec<Next> {
        match &self.what {
            What::Gone | What::Outdated { .. } | What::Fine(_) => Vec::new(),
            What::PausedByOther { left: Some(LeftPaused { patch, .. }), .. } => {
                vec![Next::Describe, Next::LiftPause(patch.clone())]
            }
            What::Deleting
            | What::Halted
            | What::PausedByOther { left: None, .. }
            | What::NoJournalEntry
            | What::Unread { .. } => vec![Next::Describe],
            What::Running { .. } => vec![Next::Follow],
            // If no Ops-manager picks it up, it can only be deleted.
            What::Requested { request, .. } if request.phase.is_empty() => {
                vec![Next::Resume, Next::DeleteRequest(request.name.clone())]
            }
            What::Requested { request, .. } => {
                vec![Next::Resume, Next::DescribeRequest(request.name.clone())]
            }
            What::OtherRequest { request, .. } => vec![Next::DescribeRequest(request.name.clone())],
            // The request is created again. A rollback would be refused because of the pause that the request has left.
            What::PausedForRequest(_) => vec![Next::Resume, Next::Describe],
            What::JournalUnreadable { .. } => vec![Next::Resume, Next::Rollback, Next::Describe],
            What::LeftPaused { to: None } => vec![Next::Rollback],
            What::Unverified { .. } => vec![Next::Resume],
            What::VersionMoved { was, .. } => {
                vec![Next::VersionBack(was.clone()), Next::Resume, Next::Rollback]
            }
            What::RequestEnded { run, by_us } => vec![Next::Method(run.to.clone(), *by_us), Next::Rollback],
            What::LeftPaused { to: Some(_) } => vec![Next::Resume, Next::Rollback],
            What::Rendered(run) | What::HalfDone(run) | What::Exposed(run) => {
                let look = run.stuck.clone();
                look.into_iter().chain([Next::Resume, Next::Rollback]).collect()
            }
            What::Drift => vec![Next::Update(self.version.clone())],
            What::NotReady { .. } => vec![Next::Pods, Next::Describe],
            What::OnItsWay { .. } => vec![Next::Further],
            What::Finishing { .. } => vec![Next::Resume],
            What::ToFinish { .. } => vec![Next::Finish { undo: false }],
        }
    }

    /// The commands at the end of a run that is done: none, unless something is left to be done in the database itself.
    pub fn next_when_done(&self) -> Vec<Next> {
        if matches!(self.what, What::ToFinish { .. }) { self.next() } else { Vec::new() }
    }

    /// The commands at the end of a run that has not reached its goal: first those that show the reason, then those for
    /// the state, and `again` if the state has no command that continues. While another run is active, there is only
    /// that run to look at.
    pub fn next_after(&self, look: Option<Next>, again: Next) -> Vec<Next> {
        match self.what {
            What::Gone => return Vec::new(),
            What::Running { .. } => return self.next(),
            _ => {}
        }
        let mut next = self.next();
        if !next.iter().any(Next::goes_on) {
            next.push(again);
        }
        next.retain(|n| Some(n) != look.as_ref());
        look.into_iter().chain(next).collect()
    }

    /// `between 3.5.2 and 3.6.1: 2 of 6 pods are on 3.6.1 and Ready, spec.version is 3.5.2`.
    fn between(&self, run: &Progress) -> String {
        let Progress { from, to, .. } = run;
        let between =
            if from == to { format!("only partly on {to}") } else { format!("between {from} and {to}") };
        format!("{between}: {}", self.counted(run))
    }

    fn counted(&self, run: &Progress) -> String {
        format!("{run}, spec.version is {}{}", self.version, not_ready(&run.unhealthy))
    }

    fn of_request(&self, request: &OpsRequest, run: &Progress) -> String {
        let db = &self.database;
        let stands = match request.phase.is_empty() {
            true => format!("has not been picked up by the Ops-manager yet to update {db}"),
            false => format!("is in progress on {db}"),
        };
        let (what, run_id, counted) = (named(request), &run.run, self.counted(run));
        format!("{what}, created by run {run_id} of this tool, {stands}: {counted}")
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (db, version) = (&self.database, &self.version);
        match &self.what {
            What::Gone => write!(f, "{db} was deleted or replaced; nothing is left to update"),
            What::Deleting => write!(f, "{db} is being deleted"),
            What::Halted => write!(f, "{db} is halted (spec.halted): it has no pods"),
            What::Running { holder, renewed_seconds_ago, lease_seconds, updating } => {
                let doing = updating.as_ref().map(|run| match run.from == run.to {
                    true => format!(", working on {}: {run}", run.to),
                    false => format!(", updating from {} to {}: {run}", run.from, run.to),
                });
                let (since, dead) = renewed(*renewed_seconds_ago, *lease_seconds);
                write!(f, "{holder} holds the lock of {db}{since}{}{dead}", doing.unwrap_or_default())
            }
            What::Requested { request, run } => f.write_str(&self.of_request(request, run)),
            What::OtherRequest { request, unfinished } => {
                write!(f, "{} is in progress on {db}{}", named(request), also(unfinished))
            }
            What::PausedForRequest(run) => write!(
                f,
                "{db} is {}; it is still paused for the ops request of run {} of this tool, which is gone",
                self.between(run),
                run.run
            ),
            What::PausedByOther { message, unfinished, left } => {
                let ended = left.as_ref().and_then(|left| left.request.as_ref());
                let ended = ended.map(|ended| format!("; {ended}")).unwrap_or_default();
                write!(
                    f,
                    "{db} is on {version} and paused by another user or controller ({message}){ended}{}",
                    also(unfinished)
                )
            }
            What::JournalUnreadable { why } => {
                write!(f, "{db} is paused by a run of this tool, whose journal cannot be read: {why}")
            }
            What::NoJournalEntry => write!(
                f,
                "{db} is paused by a run of this tool that has no journal entry, and its pod templates do not have the \
                 images of {version}"
            ),
            What::LeftPaused { to: None } => write!(
                f,
                "{db} is paused by a run of this tool, and nothing else is left of it: roll back to remove the pause"
            ),
            What::LeftPaused { to: Some(to) } => {
                write!(f, "{db} is paused by a run to {to} that has changed nothing else")
            }
            What::Unverified { pods, to, unhealthy } => write!(
                f,
                "{db} is on {to}, but the update has not been verified: {pods} Ready{}",
                not_ready(unhealthy)
            ),
            What::VersionMoved { run, was } => write!(
                f,
                "{db} is paused and between {} and {}, but spec.version was changed to {version} in the meantime: set it \
                 back to {was} first, then resume or roll back",
                run.from, run.to
            ),
            What::RequestEnded { run, .. } => {
                let exposed = match version == &run.from {
                    true => format!("; the operator may restore the pod templates of {version} at any time"),
                    false => String::new(),
                };
                let between = self.between(run);
                write!(f, "{db} is {between}; no update is running: its ops request has ended{exposed}")
            }
            What::Rendered(run) => write!(
                f,
                "{db} is {}; no update is running; the operator renders the pod templates of {version}: it restarts no \
                 pod, but a pod that dies is recreated from them",
                self.between(run)
            ),
            What::HalfDone(run) => {
                write!(f, "{db} is paused and {}; no update is running", self.between(run))
            }
            What::Exposed(run) => write!(
                f,
                "{db} is NOT paused and {}; no update is running: the operator may restore the images of {version} at any \
                 time",
                self.between(run)
            ),
            What::Unread { phase } => {
                write!(f, "{db} is on {version} and reports {phase}; not everything could be read")
            }
            What::Drift => {
                write!(f, "pod templates of {db} do not have the images that the catalog has for {version}")
            }
            What::NotReady { pods, phase, unhealthy } => {
                write!(f, "{db} is on {version}: {pods} Ready{}{}", reported(phase), not_ready(unhealthy))
            }
            What::Outdated { pods } => write!(
                f,
                "{db} is on {version}, and {pods} of its pods were created from an older pod template; they will change at \
                 their next restart"
            ),
            What::OnItsWay { pods, to } => {
                write!(f, "{db} is on {version}: {pods} Ready; further updates to {to} are pending")
            }
            What::Finishing { pods, run, undo } => {
                let what = if *undo { "undoing its finish" } else { "finishing its update" };
                write!(f, "{db} is on {version}: {pods} Ready; {what} (run {run}) was interrupted")
            }
            What::ToFinish { pods, left } => {
                write!(f, "{db} is on {version}: {pods} Ready; left to finish: {}", left.join("; "))
            }
            What::Fine(pods) => write!(f, "{db} is on {version}: {pods} Ready"),
        }
    }
}

/// `2 of 6 pods are on 3.6.1 and Ready`.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} are on {} and Ready", self.pods, self.to)
    }
}

/// `2 of 6 pods`.
impl fmt::Display for Pods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} pods", self.ready, self.all)
    }
}

fn named(request: &OpsRequest) -> String {
    format!("{} {} ({}, {})", request.kind, request.name, request.operation, request.phase())
}

/// When a lock was renewed, and that its holder may be dead if that was too long ago.
fn renewed(seconds_ago: Option<i64>, lease_seconds: i64) -> (String, String) {
    match seconds_ago {
        None => (String::new(), String::new()),
        Some(age) if age > lease_seconds => {
            let dead = format!(
                "; it has not renewed the lock for {age} s, and the lease is {lease_seconds} s: it may be dead, which \
                 `status -w` finds out"
            );
            (String::new(), dead)
        }
        Some(age) => (format!(", renewed {} s ago", age.max(0)), String::new()),
    }
}

/// What KubeDB has reported, unless that is that it is Ready. It may be older than the state of the pods.
fn reported(phase: &Phase) -> String {
    match phase {
        Phase::Ready => String::new(),
        phase => format!("; KubeDB's health checker, which runs every 10 to 30 s, last reported {phase}"),
    }
}

/// A run of this tool is unfinished besides what another user or controller is doing.
fn also(unfinished: &Option<String>) -> String {
    let also = |to: &String| format!("; a run of this tool to {to} is also unfinished");
    unfinished.as_ref().map(also).unwrap_or_default()
}

/// The names of some of the pods.
fn not_ready(unhealthy: &[String]) -> String {
    match unhealthy.len() {
        0 => String::new(),
        1..=3 => format!("; not Ready: {}", unhealthy.join(", ")),
        more => format!("; not Ready: {} and {} more", unhealthy[..3].join(", "), more - 3),
    }
}
