//! What happened in a run, as data. The engine emits these and never prints; bars, lines and JSON are three
//! readers of the same stream.
//!
//! The first event is [`Event::Started`] and carries the whole plan; exactly one is terminal,
//! [`Event::Finished`]. None holds a colour, and none needs a clock to be shown: each comes in a [`Record`] that
//! says when it happened, and in which run.

use serde::{Deserialize, Serialize};

use crate::model::{ImageChange, OpsRequest, Plan, Work, WorkProgress};

/// The version of the schema in which events are printed; it changes when a field's meaning does.
pub const EVENT_SCHEMA: &str = "dbupdate/v1";

/// An event, when it happened, and in which run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Wall-clock time in RFC 3339, UTC.
    pub time: String,
    /// Milliseconds since the run began.
    pub elapsed_ms: u64,
    /// The id of the run, which distinguishes it from others in progress at the same time.
    pub run: String,
    #[serde(flatten)]
    pub event: Event,
}

/// The steps of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    Lock,
    /// With `--pre-pull`: the new images are brought to the nodes.
    PrePull,
    /// With ops-manager: the ops request is created.
    Request,
    /// With ops-manager: the ops request is followed until it ends.
    Follow,
    /// With provisioner: `spec.version` is set, and the operator renders the pod templates.
    Render,
    Pause,
    PatchImages,
    RollPods,
    SetVersion,
    Resume,
    /// What the version allows or needs is done to the database itself.
    Finish,
    Verify,
}

impl Step {
    /// Every step, in order. No run has all of them: that depends on the method.
    pub const ALL: [Step; 12] = [
        Step::Lock,
        Step::PrePull,
        Step::Request,
        Step::Follow,
        Step::Render,
        Step::Pause,
        Step::PatchImages,
        Step::RollPods,
        Step::SetVersion,
        Step::Resume,
        Step::Finish,
        Step::Verify,
    ];
}

/// Something that happened. Workloads and pods are named; a workload is `petset/my-kf-broker`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// The run starts. Always the first event.
    Started {
        schema: String,
        plan: Box<Plan>,
    },
    StepStarted {
        step: Step,
    },
    /// `note` is a short addition such as "acknowledged by the operator in 0.4 s"; empty where there is none.
    StepFinished {
        step: Step,
        outcome: StepOutcome,
        took_ms: u64,
        note: String,
    },
    /// The lock or a step waits for something; sent when that changes, not while it stays the same.
    Waiting {
        step: Step,
        on: WaitingOn,
    },
    /// The wait is over.
    WaitOver {
        step: Step,
    },
    /// A node downloads an image, for a pod of our own.
    ImagePullStarted {
        node: String,
        image: String,
    },
    /// What such a pod is waiting for has changed.
    ImagePullWaiting {
        node: String,
        image: String,
        on: WaitingOn,
    },
    /// The node has the image.
    ImagePulled {
        node: String,
        image: String,
        took_ms: u64,
    },
    /// The node has not downloaded the image; the run continues without it.
    ImageNotPulled {
        node: String,
        image: String,
        why: String,
    },
    /// `Paused` was written, or was there already and is ours.
    PauseRequested {
        adopted: bool,
    },
    /// The operator has acknowledged the pause.
    PauseAcknowledged {
        took_ms: u64,
    },
    /// No operator acknowledged the pause in time, and the condition was set to True without it.
    PauseUnanswered {
        after_ms: u64,
    },
    /// A status update by the operator erased the condition; it was written again.
    PauseRewritten,
    /// After the resume a stale status update brought our condition back; it was removed again.
    PauseRemovedAgain,
    WorkloadPatched {
        workload: String,
        images: Vec<ImageChange>,
    },
    /// The workload's pods are restarted next. `pods` counts all of its pods, `done` those that need no restart.
    WorkloadStarted {
        workload: String,
        pods: u64,
        done: u64,
    },
    /// A pod is about to be restarted, or is being replaced by the workload's controller.
    PodStarted {
        workload: String,
        pod: String,
        ordinal_in_run: u64,
    },
    /// The eviction was accepted.
    PodEvicted {
        workload: String,
        pod: String,
    },
    /// What the pod being restarted is waiting for has changed.
    PodWaiting {
        workload: String,
        pod: String,
        on: WaitingOn,
    },
    /// The new pod is Ready and stays so. `away_ms` is the time without a Ready pod in its place.
    PodReady {
        workload: String,
        pod: String,
        took_ms: u64,
        away_ms: u64,
    },
    WorkloadFinished {
        workload: String,
        took_ms: u64,
    },
    VersionSet {
        from: String,
        to: String,
    },
    Resumed,
    /// The ops request was created.
    Requested {
        request: String,
    },
    /// The database is about to do this, the first of `of` having the number 1.
    WorkStarted {
        work: Work,
        number: usize,
        of: usize,
    },
    /// How far it is.
    WorkProgressed {
        work: Work,
        progress: WorkProgress,
    },
    /// It is done, as the database says when it is asked again.
    WorkDone {
        work: Work,
        took_ms: u64,
    },
    /// The update failed, and the run rolls back with that plan.
    RollingBack {
        plan: Box<Plan>,
    },
    /// After the resume the operator pinned an image to a digest; the pods need no restart for it.
    Repinned {
        workload: String,
        container: String,
        image: String,
    },
    /// A call failed with a transient error and is retried.
    Retrying {
        call: String,
        why: String,
        attempt: u32,
        in_ms: u64,
    },
    /// A warning of the API server, or something else that the user should know.
    Notice {
        message: String,
    },
    /// Nothing else has happened for that long, and the run goes on. Not sent by the engine: whoever shows the events
    /// to a log or a program adds it, since many a CI system ends a job that is silent.
    Heartbeat {
        silent_seconds: u64,
    },
    /// The user, a signal or a timeout asks the run to stop.
    Stopping {
        why: String,
        pod: Option<String>,
    },
    /// The run is over. Always the last event, exactly once.
    Finished(Finish),
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepOutcome {
    Done,
    /// There was nothing to do.
    AlreadyDone,
    Failed,
    /// The run was stopped in it.
    Stopped,
}

/// What a run waits for. Shown as long as it lasts, so that the screen always says why nothing is happening.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum WaitingOn {
    /// The operator's acknowledgement of the pause.
    Operator { timeout_seconds: u64 },
    /// The Ops-manager to carry out an ops request: its phase, and the last condition that it has written.
    OpsManager { request: String, phase: String, doing: String },
    /// The operator to render a workload's pod template; `what` is still missing in it.
    Rendering { workload: String, what: String },
    /// The workload's controller to observe the new pod template.
    Controller,
    /// Another pod of the database that is not healthy. `why` says what is wrong with it.
    OtherPod { pod: String, why: String },
    /// The database to report that it is healthy.
    DatabaseHealth { what: String },
    /// The database itself, because it cannot bear now that the pod is restarted, or does not count the new pod as one of its
    /// members yet. `database` is its kind; `why` is said in its own terms.
    Database { database: String, why: Vec<String> },
    /// An answer of the database that says whether it can bear that.
    Answer { database: String, why: Vec<String> },
    /// The database to have done that.
    Work { database: String, work: Work },
    /// What the pod that is next still does, e.g. the ids of tasks: it is drained, and takes on nothing new.
    Drain { work: Vec<String>, timeout_seconds: u64 },
    /// The resize in place of the pod that is next; `what` is its condition.
    Resize { what: String },
    /// A PodDisruptionBudget that allows no disruption now. `held_by` names a pod whose earlier eviction is still pending.
    Budget { budget: String, needed: i64, healthy: i64, held_by: Option<String> },
    /// A PodDisruptionBudget to count all the pods that are Ready, `healthy` of them: an eviction that meets its controller's
    /// write would take half a second longer.
    BudgetCount { budget: String, counted: i64, healthy: i64 },
    /// The API server is busy, or the eviction was refused for a reason of its own.
    Server { message: String },
    /// The old pod to terminate.
    Termination { grace_seconds: i64 },
    /// The controller to create the new pod. `why` it has not yet, and `since` when it says so; empty if it has not said.
    Creation {
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        since: String,
    },
    /// The new pod to be scheduled.
    Scheduling { message: String },
    /// Somebody to remove the scheduling gates of the new pod.
    SchedulingGates { gates: Vec<String> },
    /// Somebody to set the conditions of the new pod's readiness gates; its containers are ready.
    ReadinessGates { gates: Vec<String>, message: String },
    /// A container to start, with the kubelet's reason and message.
    Container { container: String, reason: String, message: String },
    /// The new pod to become Ready.
    Readiness,
    /// The pod is Ready and must stay so for that many seconds.
    MinReady { seconds: u64 },
    /// After the resume: the pod templates must stay unchanged for that many seconds.
    Settling { seconds: u64 },
    /// After that: KubeDB to report that the database is Ready. `before` tells that its phase is Ready, but may be from
    /// before the update was complete.
    Phase { phase: String, before: bool },
}

impl WaitingOn {
    /// What the Ops-manager is doing: its phase, and the last condition that it has written.
    pub fn ops_manager(request: &OpsRequest) -> Self {
        WaitingOn::OpsManager {
            request: request.name.clone(),
            phase: request.phase().to_owned(),
            doing: request.conditions.last().map(|c| c.kind.clone()).unwrap_or_default(),
        }
    }
}

/// The numbers that a run, an operation and a database's state exit with, besides 0 and those of signals. They are a
/// contract; `docs/exit-codes.md` explains them.
pub mod code {
    /// Failed before changing anything; of a state: not everything could be read.
    pub const FAILED: u8 = 1;
    /// A check failed; of a state: an update would be refused.
    pub const REFUSED: u8 = 3;
    /// Something was changed, and the update is not complete.
    pub const UNFINISHED: u8 = 4;
    /// A run, another user or a controller is changing the database.
    pub const SOMEBODY_ELSE: u8 = 5;
    /// Updated, or on its version, but not Ready.
    pub const NOT_READY: u8 = 6;
    /// `--timeout` was exceeded.
    pub const TIMED_OUT: u8 = 124;
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finish {
    pub outcome: Outcome,
    /// The process's exit code; documented in `docs/exit-codes.md`.
    pub exit_code: u8,
    /// Anything of the database's workloads, pods or spec was changed by this run.
    pub changed: bool,
    /// The database is left with our `Paused`.
    pub paused: bool,
    /// The operator acknowledged our pause or was seen reconciling after the resume.
    pub operator_confirmed: bool,
    /// `status.phase` of the database; empty if KubeDB reports none.
    #[serde(default)]
    pub phase: String,
    /// What failed, and on which object; empty on success.
    pub error: String,
    /// The pod that it failed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Why it was not rolled back, although `--on-failure rollback` asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_rolled_back: Option<String>,
    /// What state the database is in, in one sentence.
    pub state: String,
    /// What the update leaves to be done in the database itself, as far as it was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// The commands to run next, most useful first.
    pub next: Vec<String>,
    /// The result for each workload.
    pub workloads: Vec<WorkloadResult>,
    /// The whole run.
    #[serde(rename = "tookMs")]
    pub elapsed_ms: u64,
    /// The longest downtime of any pod; 0 where none was restarted.
    pub longest_away_ms: u64,
    /// It was longer, but it is not known how long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub longest_away_at_least: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Done and verified.
    Done,
    /// There was nothing to do.
    Nothing,
    /// Checks of the preflight, or what is tried before the first change, failed; nothing was changed.
    Refused,
    /// Everything was done, but KubeDB did not report the database as Ready.
    NotReady,
    /// It failed, and everything was rolled back, as `--on-failure rollback` asks.
    RolledBack,
    /// Stopped by the user, a signal or `--timeout`.
    Stopped,
    /// Stopped because another user or controller is changing the database.
    SomebodyElse,
    Failed,
}

/// The result for one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadResult {
    pub workload: String,
    pub role: String,
    pub pods: u64,
    /// Pods on the target and Ready, as far as this run has seen.
    pub updated: u64,
    /// Pods that the run restarted, whichever process of it.
    pub restarted: u64,
    pub took_ms: u64,
    pub longest_away_ms: u64,
    /// It was longer, but it is not known how long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub longest_away_at_least: bool,
}
