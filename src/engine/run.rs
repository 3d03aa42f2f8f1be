//! A run under way: its parts, its steps, and its one way of waiting.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::cluster::{Cluster, ClusterError, Delta, LockError, Watches};
use crate::event::{EVENT_SCHEMA, Event, Record, Step, StepOutcome};
use crate::model::{Plan, Snapshot};
use crate::retry::Retries;
use crate::roll::order::RollMemory;
use crate::steps::guard::{self, Expected};
use crate::steps::{Blocked, s1_pause};

use super::emitter::Emitter;
use super::interrupt::{Interrupt, far_away};
use super::ledger::Ledger;
use super::lock::Lock;
use super::narrator::Narrator;
use super::observer::Observer;
use super::stop_reason::StopReason;
use super::{RunOptions, Stop};

/// How long a run puts up with a cluster that does not answer: an API server or a load balancer in front of it is
/// replaced within that time.
pub(super) const OUTAGE: Duration = Duration::from_secs(300);

/// A run under way. Its parts can be borrowed apart: a call of the cluster waits with the interrupt alone.
pub(super) struct Run {
    /// What will be done; it never changes.
    pub plan: Arc<Plan>,
    pub options: RunOptions,
    pub observer: Observer,
    pub interrupt: Interrupt,
    pub lock: Lock,
    pub ledger: Ledger,
    pub narrator: Narrator,
    /// What nobody else may change.
    pub expected: Expected,
    /// What no snapshot shows of the pods.
    pub memory: RollMemory,
}

impl Run {
    pub fn new(
        cluster: &Cluster,
        snapshot: Snapshot,
        plan: Plan,
        options: RunOptions,
        events: mpsc::UnboundedSender<Record>,
        stop: watch::Receiver<Stop>,
    ) -> Self {
        let (to_aside, asides) = mpsc::unbounded_channel();
        let (to_lost, lost) = watch::channel(None);
        let emitter = Emitter::new(events, options.clock.clone(), &options.caller.run);
        // Whoever resumes a run, or rolls one back, does so because the database shows something of it.
        let changed_before = s1_pause::ours(&snapshot.database).is_some()
            || options.story.resuming.is_some()
            || options.story.before.is_some();
        let cluster = cluster.for_run(&options.caller.run, &plan.database, OUTAGE, to_aside);
        Run {
            observer: Observer::new(cluster, snapshot),
            interrupt: Interrupt::new(stop, lost, options.bounds.timeout, asides, emitter.clone()),
            lock: Lock::new(to_lost),
            ledger: Ledger::new(&plan, changed_before),
            narrator: Narrator::new(emitter, &plan.to.name),
            expected: Expected::default(),
            memory: RollMemory::default(),
            plan: Arc::new(plan),
            options,
        }
    }

    pub fn started(&self) {
        self.narrator.emit(Event::Started {
            schema: EVENT_SCHEMA.to_owned(),
            plan: Box::new(Plan::clone(&self.plan)),
        });
    }

    /// Another run with that plan, to which this one hands over what it holds: the lock, the watches, the journal.
    pub fn hand_over(mut self, plan: Plan) -> Run {
        self.narrator.target.clone_from(&plan.to.name);
        Run { plan: Arc::new(plan), memory: RollMemory::default(), ..self }
    }

    /// Makes one step of the sequence, and tells of it.
    pub async fn step(
        &mut self,
        step: Step,
        make: impl AsyncFnOnce(&mut Run) -> Result<StepOutcome, StopReason>,
    ) -> Result<(), StopReason> {
        let began = self.narrator.now();
        self.narrator.step_started(step);
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
        self.narrator.step_finished(step, outcome, self.narrator.now() - began);
        made.map(|_| ())
    }

    /// Reads everything again, and watches it from there.
    pub async fn follow(&mut self) -> Result<(), StopReason> {
        let (before, sink) = (self.observer.snapshot.to_read_anew(), self.observer.sink());
        let (snapshot, watches): (Snapshot, Watches) =
            self.interrupt.during(self.observer.cluster.follow(before, sink)).await??;
        (self.observer.snapshot, self.observer.watches) = (snapshot, Some(watches));
        // Nothing is changed before everything is watched: what cannot be seen cannot be waited for.
        let deadline = self.narrator.now() + OUTAGE;
        while !self.observer.watching() && self.narrator.now() < deadline {
            self.wait(deadline).await?;
        }
        Ok(())
    }

    /// Waits until something changes in the cluster, or that time has come. Ends the run where it must not continue.
    pub async fn wait(&mut self, until: Duration) -> Result<(), StopReason> {
        let began = self.narrator.emitter.began();
        let wake = began.checked_add(until).unwrap_or_else(far_away);
        if let Some(delta) = self.interrupt.wait(self.observer.next(), wake).await? {
            self.hear(delta);
        }
        self.catch_up();
        self.interrupt.check()
    }

    /// Takes in whatever was told meanwhile.
    pub fn catch_up(&mut self) {
        while let Some(delta) = self.observer.pending() {
            self.hear(delta);
        }
        self.interrupt.catch_up();
    }

    /// Takes in what a watch has told.
    fn hear(&mut self, delta: Delta) {
        if let Delta::Pod(pod) = &delta
            && !self.ledger.started
            && self.ledger.has_started(&self.plan, pod)
        {
            self.ledger.started = true;
            self.journal_started();
        }
        self.observer.take_in(delta);
    }

    /// What in the cluster speaks against the next write, by all that the watches have told so far.
    pub fn guard(&mut self) -> Result<(), Blocked> {
        self.catch_up();
        guard::check(&self.plan, &self.observer.snapshot, &self.expected)
    }

    /// Before any write: the lock is held for long enough that a write which takes as long as a call may take is still
    /// within it. After an outage the lease is renewed first; that succeeds only if nobody has taken it since.
    pub async fn hold(&mut self) -> Result<(), StopReason> {
        let Some(lease) = self.lock.lease.clone() else { return Ok(()) };
        let mut backoff = Retries::new();
        while !lease.good() {
            match self.interrupt.during(lease.renew()).await? {
                Ok(()) => {}
                Err(LockError::Cluster(
                    error @ (ClusterError::Transient { .. } | ClusterError::Forbidden { .. }),
                )) => {
                    self.back_off(&mut backoff, "renew the lock", &error).await?;
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
        backoff: &mut Retries,
        call: &str,
        error: &ClusterError,
    ) -> Result<(), StopReason> {
        let Some(pause) = backoff.pause(OUTAGE) else { return Err(error.clone().into()) };
        let now = self.narrator.now();
        self.narrator.emit(Event::Retrying {
            call: call.to_owned(),
            why: error.to_string(),
            attempt: backoff.tries(),
            in_ms: pause.as_millis() as u64,
        });
        while self.narrator.now() < now + pause {
            // A server that is away may stay away for minutes, and nothing is to be learnt before it is back.
            self.interrupt.stop_here()?;
            self.wait(now + pause).await?;
        }
        Ok(())
    }
}
