use std::time::Duration;

use crate::event::WaitingOn;
use crate::model::{ContainerState, CreationNews, Pod, PodCondition, Snapshot};

use super::creation::{Heard, LONGEST_PAUSE};

/// Wrong names and configuration do not fix themselves, but the kubelet may see a new ConfigMap a moment late.
const CONFIG_PATIENCE: Duration = Duration::from_secs(15);

/// A registry may fail briefly; the kubelet has tried about three times by then, unless a download takes long: while it
/// tries again, the container still reports the failure before.
const PULL_PATIENCE: Duration = Duration::from_secs(45);

/// A container that has exited this often is crashing, not starting slowly.
const CRASHES: i64 = 3;

/// A container that has crashed and is Ready again may be between two crashes: it must stay Ready for as long as the kubelet's
/// first back-off lasts.
const STEADY: Duration = Duration::from_secs(10);

/// How long a kubelet may take beyond the grace period until the pod object is deleted.
const TERMINATION_PATIENCE: Duration = Duration::from_secs(60);

/// A pod that the run is waiting for. Times are durations since the run started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flight {
    pub pod: String,
    /// The uid of the workload that owns it: an unhealthy pod of another one may be restarted first.
    pub owner: String,
    /// When the eviction was accepted, or the wait started.
    pub began: Duration,
    /// The uid of the pod that is being replaced; `None` if it was never seen.
    pub old_uid: Option<String>,
    /// It is being restarted, and not only waited for.
    pub restarts: bool,
    /// Its grace period in seconds.
    pub grace_seconds: i64,
    /// The uid of the pod that has replaced it, and its restart count when it was first seen.
    seen: Option<(String, i64)>,
    /// How often one of its containers has restarted since then.
    restarted: i64,
    trouble: Option<(Trouble, Duration)>,
    /// Since when the new pod has been healthy.
    healthy_since: Option<Duration>,
    /// When the old pod was gone.
    gone: Option<Duration>,
    /// Since when the new pod has been terminating.
    leaving_since: Option<Duration>,
    /// Why there is no pod, if there is none.
    heard: Heard,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a pod to become healthy again, not counting its grace period.
    pub pod_timeout: Duration,
    /// For how long it must stay Ready.
    pub min_ready: Duration,
}

/// How the pod is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is making progress. Nothing changes before `until` unless the cluster changes.
    Progress {
        on: WaitingOn,
        until: Duration,
    },
    Stuck(Stuck),
    /// It is on the target and has been healthy for long enough.
    Done {
        healthy_since: Duration,
    },
    /// It was replaced by a pod that is not on the target.
    Outdated,
}

/// Why a pod will not become healthy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Stuck {
    #[error("container {container}: {reason}: {message}")]
    Container { container: String, reason: String, message: String },
    #[error("container {container}: CrashLoopBackOff: it has crashed {restarts} times{}", ending(.last_end))]
    CrashLoop { container: String, restarts: i64, last_end: String },
    #[error("{}", late(.on, .seconds))]
    TimedOut { on: WaitingOn, seconds: u64 },
    /// Nobody creates it again before something is changed.
    #[error("its controller cannot create it: {why}{}; {}", dated(.since), AGAIN_LATE)]
    NotCreated { why: String, since: String },
    #[error("the old pod is still terminating {seconds} s after its grace period{}", held(.node, .node_state, .finalizers))]
    Terminating {
        seconds: u64,
        node: Option<String>,
        /// The Ready condition of the node; read once the pod is stuck.
        node_state: Option<String>,
        finalizers: Vec<String>,
    },
}

/// What to know about a controller whose attempts have failed for a while.
const AGAIN_LATE: &str = "once that is resolved, its controller creates the pod by itself, but up to 17 min may pass before it tries again";

const _: () = assert!(LONGEST_PAUSE.as_secs().div_ceil(60) == 17);

fn dated(since: &str) -> String {
    if since.is_empty() { String::new() } else { format!(" (since {since})") }
}

fn ending(last_end: &str) -> String {
    if last_end.is_empty() { String::new() } else { format!("; last exit: {last_end}") }
}

fn late(on: &WaitingOn, seconds: &u64) -> String {
    let within = format!("within {seconds} s");
    match on {
        WaitingOn::Creation { why, since } if !since.is_empty() => {
            format!("its controller could not create it {within}: {why}{}; {AGAIN_LATE}", dated(since))
        }
        WaitingOn::Creation { why, .. } => {
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            format!("it was not created by its controller {within}{why}")
        }
        WaitingOn::SchedulingGates { gates } => {
            format!("nobody removed its scheduling gates {within}: {}", gates.join(", "))
        }
        WaitingOn::ReadinessGates { gates, message } => format!(
            "its containers are ready, but its readiness gates did not open {within}: {}: {message}",
            gates.join(", ")
        ),
        WaitingOn::Scheduling { message } => format!("it was not scheduled: {message} {within}"),
        WaitingOn::Container { container, reason, message } => {
            let why = format!("{reason} {message}");
            format!("it did not start: container {container}: {} {within}", why.trim_end())
        }
        WaitingOn::Termination { .. } => format!("it did not terminate {within}"),
        WaitingOn::Database { database, why } => {
            format!("it is Ready, but no full member of {database} again {within}: {}", why.join("; "))
        }
        WaitingOn::Answer { database, why } => {
            format!("it is Ready, but {database} did not say {within} whether it is back: {}", why.join("; "))
        }
        _ => format!("it did not become Ready {within}"),
    }
}

fn held(node: &Option<String>, state: &Option<String>, finalizers: &[String]) -> String {
    let mut words = Vec::new();
    if let Some(node) = node {
        words.push(format!("node {node}: {}", state.as_deref().unwrap_or("readiness unknown")));
    }
    if !finalizers.is_empty() {
        words.push(format!("finalizers: {}", finalizers.join(", ")));
    }
    if words.is_empty() { String::new() } else { format!(" ({})", words.join("; ")) }
}

/// Kinds of problem, each with its own timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Config,
    Pull,
}

impl Trouble {
    fn patience(self) -> Duration {
        match self {
            Trouble::Config => CONFIG_PATIENCE,
            Trouble::Pull => PULL_PATIENCE,
        }
    }

    /// The problem, according to the reason that the kubelet reports.
    fn of(reason: &str) -> Option<Self> {
        match reason {
            "InvalidImageName"
            | "CreateContainerConfigError"
            | "CreateContainerError"
            | "ErrImageNeverPull"
            | "RunContainerError" => Some(Trouble::Config),
            "ErrImagePull"
            | "ImagePullBackOff"
            | "RegistryUnavailable"
            | "ImageInspectError"
            | "SignatureValidationFailed" => Some(Trouble::Pull),
            _ => None,
        }
    }
}

/// For how long a container may have the problem that the kubelet reports by this reason; `None` if it is none.
pub(super) fn trouble(reason: &str) -> Option<Duration> {
    Trouble::of(reason).map(Trouble::patience)
}

impl Flight {
    /// A pod whose eviction was just accepted.
    pub fn evicted(pod: &Pod, now: Duration) -> Self {
        Flight {
            old_uid: Some(pod.uid.clone()),
            restarts: true,
            grace_seconds: pod.grace_seconds,
            ..Flight::awaited(&pod.name, &pod.owner, now)
        }
    }

    /// A pod that a controller is replacing: the old pod if it is seen terminating, otherwise the new one.
    pub fn followed(pod: &Pod, now: Duration) -> Self {
        Flight {
            old_uid: pod.deleting.then(|| pod.uid.clone()),
            restarts: true,
            grace_seconds: pod.grace_seconds,
            ..Flight::awaited(&pod.name, &pod.owner, now)
        }
    }

    /// How long the pod was away; `None` if it was only waited for, or is not back.
    pub fn away(&self) -> Option<Duration> {
        self.healthy_since.filter(|_| self.restarts).map(|since| since.saturating_sub(self.began))
    }

    /// The old pod took its whole grace period, so it was most likely killed.
    pub fn killed(&self) -> bool {
        let grace = Duration::from_secs(self.grace_seconds.max(0) as u64);
        self.gone.is_some_and(|gone| gone.saturating_sub(self.began) >= grace)
    }

    /// The workload's pod that has the place of the one that is waited for: the new pod, as soon as there is one.
    pub fn in_place<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a Pod> {
        let workload = snapshot.workload(&self.owner)?;
        let named = || snapshot.pods_of(workload).filter(|p| p.name == self.pod);
        named().find(|p| Some(&p.uid) != self.old_uid.as_ref()).or_else(|| named().next())
    }

    /// The pod will not be created again: a Deployment's pods never return under the same name, and a workload that was
    /// scaled down in the meantime may already have all its pods.
    pub fn gone_for_good(&self, snapshot: &Snapshot) -> bool {
        let Some(workload) = snapshot.workload(&self.owner) else { return false };
        let ordinal = self.pod.rsplit_once('-').and_then(|(_, ordinal)| ordinal.parse::<i64>().ok());
        let scaled_away = ordinal.is_some_and(|o| o >= workload.replicas)
            && snapshot.pods_of(workload).count() as i64 >= workload.replicas;
        !workload.kind.has_stable_names() || scaled_away
    }

    /// A pod that the run is waiting for although it has not evicted it.
    pub fn awaited(pod: &str, owner: &str, now: Duration) -> Self {
        Flight {
            pod: pod.to_owned(),
            owner: owner.to_owned(),
            began: now,
            old_uid: None,
            restarts: false,
            grace_seconds: 0,
            seen: None,
            restarted: 0,
            trouble: None,
            healthy_since: None,
            gone: None,
            leaving_since: None,
            heard: Heard::default(),
        }
    }

    /// Before the pod is given up because an image cannot be downloaded: it is to be asked whether the kubelet is trying again.
    pub fn fails_to_pull(&self, now: Duration) -> bool {
        self.trouble.is_some_and(|(kind, since)| kind == Trouble::Pull && now >= since + PULL_PATIENCE)
    }

    /// The kubelet is downloading the image again.
    pub fn pulls_again(&mut self, now: Duration) {
        self.trouble = Some((Trouble::Pull, now));
    }

    /// It is time to ask why the pod has not been created.
    pub fn asks(&self, now: Duration) -> bool {
        self.heard.ask_at().is_some_and(|at| now >= at)
    }

    /// The controller has failed to create the pod for so long that it tries again only seldom.
    pub fn tries_seldom(&self, now: Duration) -> bool {
        self.heard.obstacle().is_some() && self.heard.seldom(now)
    }

    /// Takes in what was read about that. `policy` is the PlacementPolicy that its workload names.
    pub fn hear(&mut self, news: CreationNews, policy: Option<&str>, now: Duration) {
        self.heard.hear(news, &self.pod, policy, now);
    }

    /// Records the pod that is in its place now.
    pub fn observe(&mut self, pod: Option<&Pod>, now: Duration) {
        self.heard.observe(pod, now);
        if self.old_uid.is_some() && pod.is_none_or(|p| Some(&p.uid) != self.old_uid.as_ref()) {
            self.gone.get_or_insert(now);
        }
        let new = pod.filter(|p| Some(&p.uid) != self.old_uid.as_ref());
        if let Some(pod) = new.filter(|p| self.seen.as_ref().is_none_or(|(uid, _)| *uid != p.uid)) {
            // Restarts before this run first saw the pod do not count, unless the run has caused the pod to be created.
            let before = if self.old_uid.is_some() { 0 } else { restarts(pod) };
            self.seen = Some((pod.uid.clone(), before));
            self.restarted = 0;
            self.trouble = None;
            self.healthy_since = None;
            self.leaving_since = None;
        }
        let before = self.seen.as_ref().map_or(0, |(_, restarts)| *restarts);
        let restarted = new.map_or(0, |p| restarts(p) - before);
        if restarted > self.restarted {
            // It was down in between, even if that was not seen.
            self.healthy_since = None;
        }
        self.restarted = restarted;
        self.leaving_since = new.filter(|p| p.deleting).map(|_| self.leaving_since.unwrap_or(now));
        self.healthy_since = new.filter(|p| p.healthy()).map(|_| self.healthy_since.unwrap_or(now));
        let trouble = new.and_then(|p| troubled(p)).map(|(kind, ..)| kind);
        self.trouble = match (trouble, self.trouble) {
            (Some(kind), Some((known, since))) if kind == known => Some((kind, since)),
            (Some(kind), _) => Some((kind, now)),
            (None, _) => None,
        };
    }
}

fn restarts(pod: &Pod) -> i64 {
    pod.containers.iter().map(|c| c.restarts).max().unwrap_or_default()
}

/// The first container that has a problem with a timeout of its own.
fn troubled(pod: &Pod) -> Option<(Trouble, &str, &str, &str)> {
    pod.containers.iter().find_map(|c| match &c.state {
        ContainerState::Waiting { reason, message } => {
            Trouble::of(reason).map(|t| (t, c.name.as_str(), reason.as_str(), message.as_str()))
        }
        _ => None,
    })
}

/// The pod that is in the place of the one that is waited for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found<'a> {
    pub pod: &'a Pod,
    /// It was created from the target's template, whatever admission has made of it since.
    pub on_target: bool,
    /// What keeps it from being a member of the database again, though it is Ready; `None` if nothing does, or the database
    /// is not asked.
    pub not_back: Option<&'a WaitingOn>,
}

/// Judges the pod that is in the place of the one that is waited for. [`Flight::observe`] must have been called with the
/// same pod and time.
pub fn judge(flight: &Flight, found: Option<Found<'_>>, limits: Limits, now: Duration) -> Verdict {
    let grace = Duration::from_secs(flight.grace_seconds.max(0) as u64);
    let deadline = flight.began + grace + limits.pod_timeout;
    let waiting = |on: WaitingOn, earliest: Duration| {
        if now >= deadline {
            return Verdict::Stuck(Stuck::TimedOut { on, seconds: (now - flight.began).as_secs() });
        }
        Verdict::Progress { on, until: deadline.min(earliest) }
    };
    let Some(found) = found else {
        let (why, since) = flight.heard.obstacle().cloned().map(|o| (o.why, o.since)).unwrap_or_default();
        let gives_up = flight.heard.gives_up_at();
        if gives_up.is_some_and(|at| now >= at) {
            return Verdict::Stuck(Stuck::NotCreated { why, since });
        }
        let next = [gives_up, flight.heard.ask_at()].into_iter().flatten().min();
        return waiting(WaitingOn::Creation { why, since }, next.unwrap_or(deadline));
    };
    let Found { pod, on_target, .. } = found;
    if pod.deleting || Some(&pod.uid) == flight.old_uid.as_ref() {
        return terminating(flight, pod, limits, now);
    }
    if !on_target {
        return Verdict::Outdated;
    }
    if pod.healthy() {
        let since = flight.healthy_since.unwrap_or(now);
        let steady = if flight.restarted > 0 { STEADY } else { Duration::ZERO };
        let min_ready = limits.min_ready.max(steady);
        if now >= since + min_ready {
            return returned(found.not_back, since, limits, now);
        }
        return Verdict::Progress {
            on: WaitingOn::MinReady { seconds: min_ready.as_secs() },
            until: since + min_ready,
        };
    }
    if let Some((trouble, container, reason, message)) = troubled(pod) {
        let since = flight.trouble.map_or(now, |(_, since)| since);
        let (container, reason, message) = (container.to_owned(), reason.to_owned(), message.to_owned());
        if now >= since + trouble.patience() {
            return Verdict::Stuck(Stuck::Container { container, reason, message });
        }
        return waiting(WaitingOn::Container { container, reason, message }, since + trouble.patience());
    }
    if let Some(crashed) = crashed(flight, pod) {
        return Verdict::Stuck(crashed);
    }
    waiting(awaited_of(pod), deadline)
}

/// The new pod is Ready. It has as much time again to become a member of the database.
fn returned(not_back: Option<&WaitingOn>, since: Duration, limits: Limits, now: Duration) -> Verdict {
    let deadline = since + limits.min_ready + limits.pod_timeout;
    match not_back {
        None => Verdict::Done { healthy_since: since },
        Some(on) if now >= deadline => {
            Verdict::Stuck(Stuck::TimedOut { on: on.clone(), seconds: (now - since).as_secs() })
        }
        Some(on) => Verdict::Progress { on: on.clone(), until: deadline },
    }
}

/// The old pod is terminating. A pod that another user deletes gets its grace period as well.
fn terminating(flight: &Flight, pod: &Pod, limits: Limits, now: Duration) -> Verdict {
    let grace = Duration::from_secs(pod.grace_seconds.max(flight.grace_seconds).max(0) as u64);
    let since = flight.leaving_since.unwrap_or(flight.began);
    let deadline = since + grace + TERMINATION_PATIENCE.min(limits.pod_timeout);
    if now < deadline {
        return Verdict::Progress {
            on: WaitingOn::Termination { grace_seconds: grace.as_secs() as i64 },
            until: deadline,
        };
    }
    Verdict::Stuck(Stuck::Terminating {
        seconds: (now - since - grace).as_secs(),
        node: pod.node.clone(),
        node_state: None,
        finalizers: pod.finalizers.clone(),
    })
}

fn crashed(flight: &Flight, pod: &Pod) -> Option<Stuck> {
    let container = pod.containers.iter().max_by_key(|c| c.restarts)?;
    (flight.restarted >= CRASHES).then(|| Stuck::CrashLoop {
        container: container.name.clone(),
        restarts: flight.restarted,
        last_end: container.last_end.clone(),
    })
}

/// What a pod that is not Ready is waiting for, as far as it reports that.
fn awaited_of(pod: &Pod) -> WaitingOn {
    if pod.node.is_none() && !pod.scheduling_gates.is_empty() {
        return WaitingOn::SchedulingGates { gates: pod.scheduling_gates.clone() };
    }
    let unscheduled = pod.conditions.iter().find(|c| c.kind == "PodScheduled" && c.status != "True");
    if let Some(condition) = unscheduled {
        let message =
            if condition.message.is_empty() { condition.reason.clone() } else { condition.message.clone() };
        return WaitingOn::Scheduling { message };
    }
    let waiting = pod.containers.iter().find_map(|c| match &c.state {
        ContainerState::Waiting { reason, message } => Some(WaitingOn::Container {
            container: c.name.clone(),
            reason: reason.clone(),
            message: message.clone(),
        }),
        _ => None,
    });
    waiting.or_else(|| gated(pod)).unwrap_or(WaitingOn::Readiness)
}

/// A pod that waits for its readiness gates alone: the kubelet says so in the condition `Ready`.
fn gated(pod: &Pod) -> Option<WaitingOn> {
    let ready = pod.conditions.iter().find(|c| c.kind == "Ready" && c.reason == "ReadinessGatesNotReady")?;
    let gates = pod.closed_gates.clone();
    let explained = |c: &&PodCondition| gates.contains(&c.kind) && !c.message.is_empty();
    let message = pod.conditions.iter().find(explained).map_or(&ready.message, |c| &c.message).clone();
    Some(WaitingOn::ReadinessGates { gates, message })
}

#[cfg(test)]
mod tests;
