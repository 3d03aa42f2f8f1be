//! The state of a run, and its one way of waiting.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::cluster::{Aside, Cluster, ClusterError, Delta, HeldLease, LockError, Watches};
use crate::event::{EVENT_SCHEMA, Event, Step, StepOutcome, WaitingOn, WorkloadResult};
use crate::journal::Before;
use crate::model::{
    Action, Method, Plan, Pod, Purpose, Snapshot, Strategy, UpdateStrategy, Workload, WorkloadPlan,
    same_image,
};
use crate::roll::order::RollMemory;
use crate::steps::leftover;
use crate::steps::s1_pause::{self, Pause};
use crate::steps::{Blocked, Status, s4_set_version};

use super::announce::Announcer;
use super::emit::Emitter;
use super::journal::Writer;
use super::lock::Renewal;
use super::stop_reason::StopReason;
use super::{RunOptions, Signal, Stop};

/// How long a run bears a cluster that does not answer: an API server or a load balancer in front of it is replaced
/// within that time.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

/// A run on its way.
pub(super) struct Run {
    pub cluster: Cluster,
    pub plan: Plan,
    pub options: RunOptions,
    /// The cluster as far as the watches have told.
    pub snapshot: Snapshot,
    pub emitter: Emitter,
    pub lease: Option<HeldLease>,
    pub renewal: Option<Renewal>,
    /// The fingerprint that each workload's template must keep, by uid.
    pub templates: BTreeMap<String, u64>,
    /// The fingerprint that each workload's template had when the lock was taken.
    pub started_with: BTreeMap<String, u64>,
    pub memory: RollMemory,
    /// What each workload has come to, by uid.
    pub results: BTreeMap<String, WorkloadResult>,
    /// Something of the database's workloads, pods or spec was changed.
    pub changed: bool,
    /// The same of the processes that this one goes on from.
    pub changed_before: bool,
    pub journal: Option<Writer>,
    pub announcer: Option<Announcer>,
    /// What there was before the update.
    pub before: Option<Before>,
    /// This run wrote the `Paused` condition; an earlier run's is left where it is.
    pub paused_by_us: bool,
    /// From when on a missing `Paused` means that somebody has lifted it.
    pub pause_holds: bool,
    /// From when on another `spec.version` than the target means that somebody has changed it: where it comes first.
    pub version_holds: bool,
    pub operator_confirmed: bool,
    /// Nobody has waited for the answer to a write.
    pub in_the_air: bool,
    /// A container of a new image has started at some time: the data may have seen the new version.
    pub started: bool,
    /// Since when the server has said 403 to what it had allowed before.
    pub forbidden_since: Option<(Purpose, String, Duration)>,
    pub note: String,
    pub steps: Steps,
    deltas: mpsc::UnboundedReceiver<Delta>,
    to_deltas: mpsc::UnboundedSender<Delta>,
    asides: mpsc::UnboundedReceiver<Aside>,
    lost: watch::Receiver<Option<String>>,
    pub to_lost: watch::Sender<Option<String>>,
    stop: watch::Receiver<Stop>,
    stop_told: bool,
    watches: Option<Watches>,
    blind: Option<ClusterError>,
}

/// Where the sequence stands.
#[derive(Default)]
pub(super) struct Steps {
    pub now: Option<Step>,
    waiting: bool,
}

impl Run {
    pub fn new(
        cluster: &Cluster,
        snapshot: Snapshot,
        plan: Plan,
        options: RunOptions,
        events: mpsc::UnboundedSender<crate::event::Record>,
        stop: watch::Receiver<Stop>,
    ) -> Self {
        let (to_aside, asides) = mpsc::unbounded_channel();
        let (to_deltas, deltas) = mpsc::unbounded_channel();
        let (to_lost, lost) = watch::channel(None);
        let left_over = snapshot.database.paused().is_some_and(|(_, c)| s1_pause::run_of(c).is_some());
        // Whoever goes on with a run, or back, does so because the database shows something of it.
        let between = left_over || options.resuming.is_some() || options.before.is_some();
        Run {
            cluster: cluster.for_run(&options.run, &plan.database, PATIENCE, to_aside),
            emitter: Emitter::new(events, options.clock.clone()),
            results: plan.workloads.iter().map(|w| (w.object.uid.clone(), untouched(w))).collect(),
            plan,
            options,
            snapshot,
            lease: None,
            renewal: None,
            templates: BTreeMap::new(),
            started_with: BTreeMap::new(),
            memory: RollMemory::default(),
            changed: false,
            changed_before: between,
            journal: None,
            announcer: None,
            before: None,
            paused_by_us: false,
            pause_holds: false,
            version_holds: false,
            operator_confirmed: false,
            in_the_air: false,
            started: false,
            forbidden_since: None,
            note: String::new(),
            steps: Steps::default(),
            deltas,
            to_deltas,
            asides,
            lost,
            to_lost,
            stop,
            stop_told: false,
            watches: None,
            blind: None,
        }
    }

    pub fn emit(&self, event: Event) {
        self.announce(&event);
        self.emitter.emit(event);
    }

    pub fn started(&self) {
        self.emit(Event::Started {
            schema: EVENT_SCHEMA.to_owned(),
            run: self.options.run.clone(),
            plan: Box::new(self.plan.clone()),
        });
    }

    /// The version from which the update goes, whichever process has begun it.
    pub fn came_from(&self) -> &str {
        let Plan { from, to, .. } = &self.plan;
        match &self.before {
            Some(before) if from.name == to.name && !before.version.is_empty() => &before.version,
            _ => &from.name,
        }
    }

    /// The time since the run began.
    pub fn now(&self) -> Duration {
        self.emitter.began().elapsed()
    }

    /// Makes one step of the sequence, and tells of it.
    pub async fn step(
        &mut self,
        step: Step,
        make: impl AsyncFnOnce(&mut Run) -> Result<StepOutcome, StopReason>,
    ) -> Result<(), StopReason> {
        let began = self.now();
        self.steps.now = Some(step);
        self.emit(Event::StepStarted { step });
        let made = match self.journal_step(step).await {
            // Each step is large, and no two are under way at once: they need not lie on the stack together.
            Ok(()) => Box::pin(make(self)).await,
            Err(reason) => Err(reason),
        };
        let outcome = match &made {
            Ok(outcome) => *outcome,
            Err(StopReason::Stopped { .. } | StopReason::TimedOut { .. }) => StepOutcome::Stopped,
            Err(_) => StepOutcome::Failed,
        };
        self.journal_step_end(step, outcome);
        let took_ms = (self.now() - began).as_millis() as u64;
        let note = std::mem::take(&mut self.note);
        self.emit(Event::StepFinished { step, outcome, took_ms, note });
        made.map(|_| ())
    }

    /// Reads everything anew, and follows it from there.
    pub async fn follow(&mut self) -> Result<(), StopReason> {
        let (cluster, to) = (self.cluster.clone(), self.to_deltas.clone());
        let before = self.snapshot.to_read_anew();
        let (snapshot, watches) = self.during(async move { cluster.follow(before, to).await }).await??;
        (self.snapshot, self.watches) = (snapshot, Some(watches));
        // Nothing is changed before everything is watched: what cannot be seen cannot be waited for.
        let deadline = self.now() + PATIENCE;
        while !self.watching() && self.now() < deadline {
            self.wait(deadline).await?;
        }
        Ok(())
    }

    /// What the user or the system wishes of the run now.
    pub fn stop_wish(&self) -> watch::Ref<'_, Stop> {
        self.stop.borrow()
    }

    /// Every collection is watched at this moment, so that the snapshot is as fresh as can be.
    pub fn watching(&self) -> bool {
        self.watches.as_ref().is_some_and(Watches::all_open)
    }

    /// No longer follows anything.
    pub fn unfollow(&mut self) {
        self.watches = None;
    }

    /// Says what the step waits for.
    pub fn waiting(&mut self, on: WaitingOn) {
        if let Some(step) = self.steps.now {
            self.steps.waiting = true;
            self.emit(Event::Waiting { step, on });
        }
    }

    /// Says that the step waits no longer.
    pub fn wait_over(&mut self) {
        if let Some(step) = self.steps.now.filter(|_| std::mem::take(&mut self.steps.waiting)) {
            self.emit(Event::WaitOver { step });
        }
    }

    /// Waits until something changes in the cluster, or that time has come. Ends the run when it must not go on: when
    /// it is told to leave now, when its time is over, when the lock is lost.
    pub async fn wait(&mut self, until: Duration) -> Result<(), StopReason> {
        let deadline = self.options.timeout.map(|t| self.emitter.began() + t);
        let wake = self.emitter.began() + until;
        self.stop_now(deadline)?;
        tokio::select! {
            biased;
            _ = self.lost.changed() => {}
            Ok(()) = self.stop.changed() => {}
            Some(aside) = self.asides.recv() => self.tell(aside),
            Some(delta) = self.deltas.recv() => self.hear(delta),
            () = sleep_until(deadline.map_or(wake, |d| d.min(wake))) => {}
        }
        self.catch_up();
        self.stop_now(deadline)
    }

    /// Takes in whatever the watches have told meanwhile.
    pub fn catch_up(&mut self) {
        while let Ok(delta) = self.deltas.try_recv() {
            self.hear(delta);
        }
        while let Ok(aside) = self.asides.try_recv() {
            self.tell(aside);
        }
    }

    /// Takes in what a watch has told.
    fn hear(&mut self, delta: Delta) {
        if let Delta::Pod(pod) = &delta
            && !self.started
            && self.has_started(pod)
        {
            self.started = true;
            self.journal_started();
        }
        delta.apply(&mut self.snapshot);
    }

    /// A container of a new image runs in this pod, or has run.
    pub(super) fn has_started(&self, pod: &Pod) -> bool {
        let new = |w: &&WorkloadPlan| w.object.uid == pod.owner && self.brings_images(w) && w.has_images(pod);
        leftover::has_started(pod) && self.plan.workloads.iter().any(|w| new(&w))
    }

    /// The workload ends with other images than it had before the run: whoever goes on with one may find its template on
    /// the target already.
    fn brings_images(&self, planned: &WorkloadPlan) -> bool {
        let Some(before) = &self.before else { return !planned.images.is_empty() };
        let Some(was) = before.workloads.get(&planned.object.uid) else { return true };
        planned.target_images().any(|(container, image)| {
            was.iter().find(|b| b.container == container).is_none_or(|b| !same_image(&b.image, image))
        })
    }

    /// Makes a call that writes. Where the run is stopped meanwhile the write may still be carried out.
    pub async fn during_write<T>(&mut self, call: impl Future<Output = T>) -> Result<T, StopReason> {
        self.in_the_air = true;
        let answer = self.during(call).await?;
        self.in_the_air = false;
        Ok(answer)
    }

    /// Makes calls of the cluster, and is stopped meanwhile only by what stops at once.
    pub async fn during<T>(&mut self, calls: impl Future<Output = T>) -> Result<T, StopReason> {
        let deadline = self.options.timeout.map(|t| self.emitter.began() + t);
        tokio::pin!(calls);
        loop {
            self.stop_now(deadline)?;
            let far = Instant::now() + Duration::from_secs(3600);
            tokio::select! {
                biased;
                answer = &mut calls => return Ok(answer),
                Ok(()) = self.stop.changed() => {}
                Some(aside) = self.asides.recv() => self.tell(aside),
                () = sleep_until(deadline.unwrap_or(far)) => {}
            }
        }
    }

    fn tell(&mut self, aside: Aside) {
        match aside {
            Aside::Retry(r) => {
                self.emit(Event::Retrying { call: r.call, why: r.why, attempt: r.attempt, in_ms: r.in_ms });
            }
            Aside::Warning(message) => {
                self.emit(Event::Notice { message: format!("the API server warns: {message}") });
            }
            Aside::Renewed => self.emit(Event::Notice {
                message: "the server no longer accepted the credentials; new ones are used".to_owned(),
            }),
            Aside::WatchLost(error) => self.blind = Some(error),
        }
    }

    fn stop_now(&mut self, deadline: Option<Instant>) -> Result<(), StopReason> {
        if let Stop::Now(signal) = *self.stop.borrow() {
            return Err(StopReason::Stopped { signal });
        }
        if deadline.is_some_and(|d| Instant::now() >= d) {
            let seconds = self.options.timeout.unwrap_or_default().as_secs();
            return Err(StopReason::TimedOut { seconds });
        }
        if let Some(error) = &self.blind {
            return Err(error.clone().into());
        }
        if let Some(why) = self.lost.borrow().clone() {
            return Err(StopReason::LockLost { why });
        }
        Ok(())
    }

    /// The signal that asks the run to finish what is in flight and stop. Told once, with the pod that is waited for.
    pub fn asked_to_stop(&mut self, in_flight: Option<&str>) -> Option<Signal> {
        let signal = match *self.stop.borrow() {
            Stop::Go => return None,
            Stop::Finish(signal) | Stop::Now(signal) => signal,
        };
        if !std::mem::replace(&mut self.stop_told, true) {
            self.emit(Event::Stopping { why: signal.to_string(), pod: in_flight.map(str::to_owned) });
        }
        Some(signal)
    }

    /// Ends the run here if it was asked to stop: nothing is in flight.
    pub fn stop_here(&mut self) -> Result<(), StopReason> {
        match self.asked_to_stop(None) {
            Some(signal) => Err(StopReason::Stopped { signal }),
            None => Ok(()),
        }
    }

    /// Before any write: the lock is held, so that a write which takes as long as a call may take is still within it.
    /// After an outage the lease is renewed first; that succeeds only if nobody has taken it since.
    pub async fn hold(&mut self) -> Result<(), StopReason> {
        let Some(lease) = self.lease.clone() else { return Ok(()) };
        let mut pauses = Backoff::new(self.now());
        while !lease.good() {
            let held = lease.clone();
            match self.during(async move { held.renew().await }).await? {
                Ok(()) => {}
                Err(LockError::Cluster(
                    error @ (ClusterError::Transient { .. } | ClusterError::Forbidden { .. }),
                )) => {
                    self.back_off(&mut pauses, "renew the lock", &error).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits before something is tried again.
    ///
    /// # Errors
    /// The error itself, once the run's patience is used up.
    pub async fn back_off(
        &mut self,
        backoff: &mut Backoff,
        call: &str,
        error: &ClusterError,
    ) -> Result<(), StopReason> {
        let now = self.now();
        if backoff.tries == 0 {
            backoff.began = now;
        }
        if now >= backoff.began + PATIENCE {
            return Err(error.clone().into());
        }
        let pause = Duration::from_millis(200 << backoff.tries.min(4));
        backoff.tries += 1;
        self.emit(Event::Retrying {
            call: call.to_owned(),
            why: error.to_string(),
            attempt: backoff.tries,
            in_ms: pause.as_millis() as u64,
        });
        while self.now() < now + pause {
            // A server that is away may stay away for minutes, and nothing is to be learnt before it is back.
            self.stop_here()?;
            self.wait(now + pause).await?;
        }
        Ok(())
    }

    /// What in the cluster speaks against the next write, by all that the watches have told so far.
    pub fn blocked(&mut self) -> Result<(), Blocked> {
        self.catch_up();
        let db = &self.snapshot.database;
        if db.object.uid != self.plan.database.uid {
            let (expected, found) = (self.plan.database.uid.clone(), db.object.uid.clone());
            return Err(Blocked::DatabaseReplaced { expected, found });
        }
        if db.deleting {
            return Err(Blocked::DatabaseGone);
        }
        if self.plan.method == Method::OpsManager {
            // Pause, templates and version are the Ops-manager's.
            return self.blocked_by_request();
        }
        if let Some(r) = self.snapshot.ops_in_flight().next().cloned() {
            return Err(Blocked::OpsRequest {
                kind: r.kind,
                name: r.name,
                operation: r.operation,
                phase: r.phase,
            });
        }
        match s1_pause::status(db) {
            Pause::Foreign(message) => return Err(Blocked::PausedByOther { message }),
            Pause::Absent if self.pause_holds => return Err(Blocked::PauseLifted),
            Pause::Absent | Pause::Requested | Pause::Acknowledged => {}
        }
        if self.version_holds && db.version != self.plan.to.name {
            let (expected, found) = (self.plan.to.name.clone(), db.version.clone());
            return Err(Blocked::UnexpectedVersion { expected, found });
        }
        if let Status::Blocked(why) = s4_set_version::status(&self.plan, db) {
            return Err(why);
        }
        // What came since a run that is rolled back is on the version before it.
        let rollback = self.plan.action == Action::Rollback;
        let new = |w: &&Workload| !rollback && !w.deleting && self.plan.workload(&w.object.uid).is_none();
        if let Some(w) = self.snapshot.workloads.iter().find(new) {
            return Err(Blocked::WorkloadAppeared { workload: w.object.to_string() });
        }
        if let Some(w) = self.plan.workloads.iter().find(|w| self.rolls_by_now(w)) {
            return Err(Blocked::RollsByItself { workload: w.object.to_string() });
        }
        let changed =
            |w: &&Workload| self.templates.get(&w.object.uid).is_some_and(|kept| *kept != w.template);
        match self.snapshot.workloads.iter().find(changed) {
            Some(w) => Err(Blocked::TemplateChanged { workload: w.object.to_string() }),
            None => Ok(()),
        }
    }
}

impl Run {
    /// Its pods are ours to evict by the plan, and its controller would restart them for every change of its template.
    fn rolls_by_now(&self, planned: &WorkloadPlan) -> bool {
        let by_itself = |w: &Workload| matches!(w.strategy, UpdateStrategy::RollingUpdate { .. });
        planned.strategy == Strategy::Evict
            && self.snapshot.workload(&planned.object.uid).is_some_and(by_itself)
    }

    /// Another ops request than ours is at work.
    fn blocked_by_request(&self) -> Result<(), Blocked> {
        let ours = self.plan.ops_request.as_ref().map(|r| r.metadata.name.as_str());
        match self.snapshot.ops_in_flight().find(|r| Some(r.name.as_str()) != ours).cloned() {
            None => Ok(()),
            Some(r) => Err(Blocked::OpsRequest {
                phase: r.phase().to_owned(),
                kind: r.kind,
                name: r.name,
                operation: r.operation,
            }),
        }
    }
}

/// How often something was tried in vain, and since when.
pub(super) struct Backoff {
    began: Duration,
    tries: u32,
}

impl Backoff {
    pub fn new(now: Duration) -> Self {
        Backoff { began: now, tries: 0 }
    }
}

fn untouched(plan: &WorkloadPlan) -> WorkloadResult {
    WorkloadResult {
        workload: plan.object.to_string(),
        role: plan.role.clone(),
        pods: plan.pods.len() as u64,
        updated: 0,
        restarted: 0,
        took_ms: 0,
        longest_away_ms: 0,
    }
}
