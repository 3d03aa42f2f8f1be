//! What happened in a run, as data. The engine emits these and never prints; bars, lines and JSON are three
//! readers of the same stream.
//!
//! The first event is [`Event::Started`] and carries the whole plan; exactly one is terminal,
//! [`Event::Finished`]. None holds a colour, and none needs a clock to be shown: each comes in a [`Record`] that
//! says when it happened.

use serde::{Deserialize, Serialize};

use crate::model::{ImageChange, Plan};

/// The version of the schema in which events are printed; it changes when a field's meaning does.
pub const EVENT_SCHEMA: &str = "dbupdate/v1";

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Wall-clock time in RFC 3339, UTC.
    pub time: String,
    /// Milliseconds since the run began.
    pub elapsed_ms: u64,
    #[serde(flatten)]
    pub event: Event,
}

/// The steps of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    Lock,
    /// Through the Ops-manager: its request is made.
    Request,
    /// Through the Ops-manager: its request is followed to its end.
    Follow,
    /// Through the Provisioner: `spec.version` is set, and the operator renders the templates.
    Render,
    Pause,
    PatchImages,
    RollPods,
    SetVersion,
    Resume,
    Verify,
}

impl Step {
    /// Every step, in order. No run makes all of them: the way decides.
    pub const ALL: [Step; 10] = [
        Step::Lock,
        Step::Request,
        Step::Follow,
        Step::Render,
        Step::Pause,
        Step::PatchImages,
        Step::RollPods,
        Step::SetVersion,
        Step::Resume,
        Step::Verify,
    ];
}

/// Something that happened. Workloads and pods are named; a workload is `petset/my-kf-broker`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// The run begins. Always the first event.
    Started {
        schema: String,
        run: String,
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
    /// The lock or a step waits for something outside; sent when it changes, not while it stays.
    Waiting {
        step: Step,
        on: WaitingOn,
    },
    /// The wait is over.
    WaitOver {
        step: Step,
    },
    /// `Paused` was written, or was there already and is ours.
    PauseRequested {
        adopted: bool,
    },
    /// The operator has answered.
    PauseAcknowledged {
        took_ms: u64,
    },
    /// Nobody answered in time, and the condition was set to True without an answer.
    PauseUnanswered {
        after_ms: u64,
    },
    /// The operator's own status write had erased the condition; it was written again.
    PauseRewritten,
    /// After the resume somebody's stale write brought our condition back; it was removed again.
    PauseRemovedAgain,
    WorkloadPatched {
        workload: String,
        images: Vec<ImageChange>,
    },
    /// It is this workload's turn. `pods` counts all of its pods, `done` those that need nothing.
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
    /// What the pod in flight waits for has changed.
    PodWaiting {
        workload: String,
        pod: String,
        on: WaitingOn,
    },
    /// The new pod is Ready and stays so. `away_ms` is the time in which no Ready pod stood in its place.
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
    /// The ops request was made.
    Requested {
        request: String,
    },
    /// The update has failed, and the run takes the way back, by that plan.
    RollingBack {
        plan: Box<Plan>,
    },
    /// After the resume the operator pinned an image to a digest; the pods need no restart for it.
    Repinned {
        workload: String,
        container: String,
        image: String,
    },
    /// A call failed in a way that may pass, and is made again.
    Retrying {
        call: String,
        why: String,
        attempt: u32,
        in_ms: u64,
    },
    /// A warning of the API server, or something the user should know and nothing has to be done about.
    Notice {
        message: String,
    },
    /// The user, the system or a time-out asks the run to stop.
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

/// What a run waits for. Shown while it lasts: "why is nothing happening" is always on the screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum WaitingOn {
    /// The operator's acknowledgement of the pause.
    Operator { timeout_seconds: u64 },
    /// The Ops-manager, which works a request: its phase, and the last condition that it has written.
    OpsManager { request: String, phase: String, doing: String },
    /// The operator to render a workload's template; `what` it lacks yet.
    Rendering { workload: String, what: String },
    /// The workload's controller to see the new template.
    Controller,
    /// Another pod of the database that is not well. `why` says what is wrong with it.
    OtherPod { pod: String, why: String },
    /// The database's own word about its health.
    DatabaseHealth { what: String },
    /// A disruption budget that allows nothing now. `held_by` names a pod whose earlier eviction still counts.
    Budget { budget: String, needed: i64, healthy: i64, held_by: Option<String> },
    /// The API server is busy, or the eviction was refused for a reason of its own.
    Server { message: String },
    /// The old pod to be gone.
    Termination { grace_seconds: i64 },
    /// The new pod to be made by the controller.
    Creation,
    /// The new pod to be placed on a node.
    Scheduling { message: String },
    /// A container to start: the kubelet's reason and message.
    Container { container: String, reason: String, message: String },
    /// The pod's readiness.
    Readiness,
    /// The pod is Ready and must stay so for that many seconds.
    MinReady { seconds: u64 },
    /// After the resume: nothing may move for that many seconds.
    Settling { seconds: u64 },
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
    /// The operator answered our pause or was seen at work after the resume.
    pub operator_confirmed: bool,
    /// What happened, to which object; empty when all is well.
    pub error: String,
    /// What state the database is in, in one sentence.
    pub state: String,
    /// The commands that go on or show more, most useful first.
    pub next: Vec<String>,
    /// What each workload came to.
    pub workloads: Vec<WorkloadResult>,
    /// The whole run.
    #[serde(rename = "tookMs")]
    pub elapsed_ms: u64,
    /// The longest time that any pod was away; 0 where none was restarted.
    pub longest_away_ms: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Done and verified.
    Done,
    /// Nothing was to do.
    Nothing,
    /// The preflight's findings speak against it; nothing was begun.
    Refused,
    /// It failed, and everything was brought back to what it was before, as `--on-failure rollback` asks.
    RolledBack,
    /// Stopped by the user, a signal or `--timeout`.
    Stopped,
    /// Stopped because somebody else is at work.
    SomebodyElse,
    Failed,
}

/// What one workload came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadResult {
    pub workload: String,
    pub role: String,
    pub pods: u64,
    /// Pods on the target and Ready, as far as this run has seen.
    pub updated: u64,
    /// Pods that this run restarted.
    pub restarted: u64,
    pub took_ms: u64,
    pub longest_away_ms: u64,
}
