//! A run in progress: its parts, its steps, and how it waits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::cluster::{Cluster, ClusterError, Delta, LockError};
use crate::event::{EVENT_SCHEMA, Event, Record, Step, StepOutcome};
use crate::model::{Plan, Snapshot};
use crate::retry::Retries;
use crate::roll::order::RollMemory;
use crate::steps::guard::{self, Expected};
use crate::steps::{Blocked, s1_pause};

use super::drained::Drained;
use super::emitter::Emitter;
use super::interrupt::{Interrupt, far_away};
use super::ledger::Ledger;
use super::lock::Lock;
use super::narrator::Narrator;
use super::observer::{News, Observer};
use super::stop_reason::StopReason;
use super::{RunOptions, Stop};

/// How long a run tolerates a cluster that does not answer: an API server or a load balancer in front of it is replaced
/// within that time.
pub const OUTAGE: Duration = Duration::from_secs(300);

/// A run in progress. Its parts can be borrowed separately: a call to the cluster borrows only the interrupt while it
/// waits.
pub(super) struct Run {
    /// What will be done; it never changes.
    pub plan: Arc<Plan>,
    pub options: RunOptions,
    pub observer: Observer,
    pub interrupt: Interrupt,
    pub lock: Lock,
    pub ledger: Ledger,
    pub narrator: Narrator,
    /// What nobody else may change during the run.
    pub expected: Expected,
    /// What the run knows of the pods that no snapshot shows.
    pub memory: RollMemory,
    /// The pod that is drained and about to be evicted.
    pub drained: Option<Drained>,
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
        // A run is only resumed or rolled back if the database still shows its changes.
        let changed_before = s1_pause::ours(&snapshot.database).is_some()
            || options.story.resuming.is_some()
            || options.story.before.is_some();
        let cluster = cluster.for_run(&options.caller.run, &plan.database, OUTAGE, to_aside);
        Run {
            observer: Observer::new(cluster, snapshot),
            interrupt: Interrupt::new(
                stop,
                lost,
                options.bounds.timeout,
                options.story.earlier.spent,
                asides,
                emitter.clone(),
            ),
            lock: Lock::new(to_lost),
            ledger: Ledger::new(&plan, changed_before, options.clock.read()),
            narrator: Narrator::new(emitter, &plan.to.name),
            expected: Expected::default(),
            memory: match options.story.resuming.is_some() || options.story.undoing.is_some() {
                true => RollMemory::after_another(),
                false => RollMemory::default(),
            },
            drained: None,
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

    /// Another run with that plan, to which this one hands over the lock, the watches and the journal.
    pub fn hand_over(mut self, plan: Plan) -> Run {
        self.narrator.target.clone_from(&plan.to.name);
        Run { plan: Arc::new(plan), memory: RollMemory::after_another(), ..self }
    }

    /// Carries out one step of the sequence, and reports it.
    pub async fn step(
        &mut self,
        step: Step,
        make: impl AsyncFnOnce(&mut Run) -> Result<StepOutcome, StopReason>,
    ) -> Result<(), StopReason> {
        let began = self.narrator.now();
        self.narrator.step_started(step);
        let made = match self.journal_step(step).await {
            // Each step's future is large, and only one runs at a time: boxed, so that they do not all take space on
            // the stack.
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

    /// Waits until everything is watched. Nothing is changed before that, because a run cannot wait for what it does not see.
    pub async fn until_watched(&mut self) -> Result<(), StopReason> {
        let deadline = self.narrator.now() + OUTAGE;
        while !self.observer.watching() && self.narrator.now() < deadline {
            self.wait(deadline).await?;
        }
        Ok(())
    }

    /// Waits until something changes in the cluster, or until that time. Ends the run if it must not continue.
    pub async fn wait(&mut self, until: Duration) -> Result<(), StopReason> {
        let began = self.narrator.emitter.began();
        let wake = began.checked_add(until).unwrap_or_else(far_away);
        if let Some(news) = self.interrupt.wait(self.observer.next(), wake).await? {
            self.hear(news);
        }
        self.catch_up();
        self.interrupt.check()
    }

    /// Applies all changes that were reported in the meantime.
    pub fn catch_up(&mut self) {
        while let Some(news) = self.observer.pending() {
            self.hear(news);
        }
        self.interrupt.catch_up();
    }

    /// A container of a new image runs in a pod that is there now, or has run.
    pub fn any_has_started(&self) -> bool {
        let snapshot = &self.observer.snapshot;
        snapshot.pods.iter().any(|pod| self.ledger.has_started(&self.plan, pod, snapshot))
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Change(delta) => self.hear_change(delta),
            News::Answer(answered) => self.hear_answer(answered),
        }
    }

    /// Applies a change that a watch has reported.
    fn hear_change(&mut self, delta: Delta) {
        if let Delta::Pod(pod) = &delta
            && !self.ledger.started
            && self.ledger.has_started(&self.plan, pod, &self.observer.snapshot)
        {
            self.ledger.started = true;
            self.journal_started();
        }
        let places = self.observer.places_of(&delta);
        self.observer.take_in(delta);
        self.note_places(places);
    }

    /// What in the cluster forbids the next write, according to everything that the watches have reported so far.
    pub fn guard(&mut self) -> Result<(), Blocked> {
        self.catch_up();
        guard::check(&self.plan, &self.observer.snapshot, &self.expected)
    }

    /// Before any write: the lock must stay valid until even the slowest write has ended. After an outage the lease is
    /// renewed first, which succeeds only if no other run has taken it since.
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

    /// Waits before something is retried.
    ///
    /// # Errors
    /// The error itself, once it has been retried for long enough.
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
            // A server may be down for minutes, and nothing new can be learned before it is back.
            self.interrupt.stop_here()?;
            self.wait(now + pause).await?;
        }
        Ok(())
    }
}
