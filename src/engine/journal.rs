//! Recording what a run does, so that a later run can resume it or roll it back.

use std::time::Duration;

use crate::cluster::{CALL_TIMEOUT, ClusterError, FORBIDDEN_DOUBT};
use crate::event::{Finish, Step, StepOutcome};
use crate::journal::{
    Before, Direction, DrainedPod, JOURNAL_SCHEMA, KEPT_BYTES, Progress, Resumption, StepEntry, key,
};
use crate::model::{Action, Check, Method, Place, Plan};
use crate::retry::Retries;
use crate::steps::leftover;
use crate::steps::{Blocked, s1_pause};

use super::ledger::Operator;
use super::run::Run;
use super::stop_reason::StopReason;
use super::writer::Writer;

/// The shortest time between two records of the pods' progress. The record may lag behind and nothing depends on it, so
/// one request for several pods is enough.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// How long a 403 for the journal is retried before the run continues without one: a restarting API server briefly
/// answers 403, and a user without the permission should not wait long.
const NO_JOURNAL_DOUBT: Duration = Duration::from_secs(2);

impl Run {
    /// Records the run, or that it is resumed, before its first change.
    pub(super) async fn open_journal(&mut self) -> Result<(), StopReason> {
        let writer = self.first_entry();
        let (mut backoff, began_writing) = (Retries::new(), self.narrator.now());
        loop {
            self.hold().await?;
            let (plan, journal) = (&self.plan, &self.options.story.journal);
            let writing = self.observer.cluster.open_journal(
                &plan.database,
                plan.kind,
                journal,
                &writer.run,
                &writer.progress,
            );
            let without = self.options.skip.contains(&Check::NoJournal);
            let doubt = if without { NO_JOURNAL_DOUBT } else { FORBIDDEN_DOUBT };
            match self.interrupt.during_write(&mut self.ledger.in_the_air, writing).await? {
                Ok(()) => break,
                // The journal that the plan was based on has changed: another run has started or ended in the meantime.
                Err(ClusterError::Conflict { .. }) => return Err(Blocked::JournalChanged.into()),
                Err(error) if passes(&error, self.narrator.now() - began_writing, doubt) => {
                    self.back_off(&mut backoff, "write the journal", &error).await?;
                }
                // A rollback by one command needs the journal; the user has overridden that check by name.
                Err(error @ (ClusterError::Forbidden { .. } | ClusterError::Refused { .. })) if without => {
                    self.narrator
                        .notice(format!("no journal can be kept, so rollback will not be possible: {error}"));
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.ledger.journal = Some(writer);
        Ok(())
    }

    /// What is recorded first: of a run that is resumed, what it has recorded so far.
    fn first_entry(&mut self) -> Writer {
        let now = self.options.clock.rfc3339(3);
        let (run, mut progress) = match self.options.story.resuming.clone() {
            Some(mut entry) => {
                self.resume_account(&entry);
                // A killed process has not recorded its last change.
                entry.progress.changed |= leftover::changed(&entry, &self.observer.snapshot);
                entry.progress.resumed.push(self.resumption(now));
                (entry.run, entry.progress)
            }
            None => {
                if let Some(left) = self.options.story.undoing.clone() {
                    self.inherit_account(&left);
                }
                let run = self.described(&self.after_the_last(&now));
                (run, Progress { away: self.account(), ..Progress::default() })
            }
        };
        progress.result = None;
        self.inherit_drained();
        progress.drained.clone_from(&self.ledger.drained);
        let began = self.options.clock.rfc3339(3);
        progress.steps.push(StepEntry { step: self.first_step(), began, ended: None, outcome: None });
        self.ledger.changed.before |= progress.changed;
        self.ledger.before = Some(run.before.clone());
        // The pause tells it only until this run removes it.
        progress.answered |= s1_pause::answered(&self.observer.snapshot.database);
        if progress.answered {
            self.ledger.operator = Operator::Confirmed;
        }
        self.ledger.started |= progress.started || self.any_has_started();
        Writer { run, progress, written: self.narrator.now(), behind: None }
    }

    /// Takes over the pods that the last run has left drained, whatever has become of it.
    fn inherit_drained(&mut self) {
        let last = self.options.story.journal.last();
        let mut noted = last.map(|entry| entry.progress.drained.clone()).unwrap_or_default();
        let places = leftover::drained(&noted, &self.observer.snapshot);
        noted.retain(|note| places.iter().any(|place| place.uid == note.uid));
        self.ledger.drained = noted;
    }

    fn resumption(&self, time: String) -> Resumption {
        Resumption {
            who: self.options.caller.who.clone(),
            time,
            method: Some(self.plan.method),
            methods: self.options.story.methods.clone(),
            ops_request: self.plan.ops_request.as_ref().map(|r| r.metadata.name.clone()),
        }
    }

    /// The last recorded run is the one that counts, whatever the clocks of two machines say.
    fn after_the_last(&self, now: &str) -> String {
        let last =
            self.options.story.journal.last().and_then(|e| e.run.began.parse::<jiff::Timestamp>().ok());
        match (last, now.parse::<jiff::Timestamp>()) {
            (Some(last), Ok(at)) if at <= last => {
                let after = last.checked_add(jiff::SignedDuration::from_millis(1));
                after.map_or_else(|_| now.to_owned(), |after| format!("{after:.3}"))
            }
            _ => now.to_owned(),
        }
    }

    /// The state that a rollback restores: the current one, unless a run that is not recorded as ended has left its
    /// pause. Then other changes of that run may be left as well.
    fn before_it(&self) -> Before {
        let pause = s1_pause::ours(&self.observer.snapshot.database);
        let ended = |run: &str| {
            self.options.story.journal.entries.iter().any(|e| e.run.run == run && !e.unfinished())
        };
        match pause {
            Some(run) if !ended(run) => Before::default(),
            _ => Before::of(&self.observer.snapshot),
        }
    }

    fn described(&self, now: &str) -> crate::journal::Run {
        let direction = match self.plan.action {
            Action::Rollback => Direction::Rollback,
            Action::Finish => Direction::Finish,
            _ => self.options.story.direction,
        };
        let mut run = crate::journal::Run {
            schema: JOURNAL_SCHEMA.to_owned(),
            run: self.options.caller.run.clone(),
            direction,
            who: self.options.caller.who.clone(),
            began: now.to_owned(),
            plan: Plan::clone(&self.plan),
            through: self.options.story.through.clone(),
            finish: self.options.story.finish,
            methods: self.options.story.methods.clone(),
            before: self.options.story.before.clone().unwrap_or_else(|| self.before_it()),
        };
        // The lists of pods and nodes are only informative, and in a plan of many thousand pods they would leave no room for the
        // rest.
        if serde_json::to_string(&run).map_or(0, |text| text.len()) > KEPT_BYTES / 2 {
            run.plan.workloads.iter_mut().for_each(|w| w.pods.clear());
            run.plan.pre_pull = None;
        }
        run
    }

    /// The step that follows the lock.
    fn first_step(&self) -> Step {
        match self.plan.method {
            _ if self.plan.finish.is_some() => Step::Finish,
            _ if self.plan.pre_pull.is_some() => Step::PrePull,
            Method::Client => Step::Pause,
            Method::Provisioner => Step::Render,
            Method::OpsManager if self.plan.action == Action::Resume => Step::Verify,
            Method::OpsManager => Step::Request,
        }
    }

    /// Records that a step starts, before its first write.
    pub(super) async fn journal_step(&mut self, step: Step) -> Result<(), StopReason> {
        let began = self.options.clock.rfc3339(3);
        let Some(writer) = &mut self.ledger.journal else { return Ok(()) };
        if writer.progress.steps.last().is_some_and(|last| last.step == step && last.ended.is_none()) {
            // This was recorded together with the run itself.
            return Ok(());
        }
        writer.progress.steps.push(StepEntry { step, began, ended: None, outcome: None });
        // Verifying sends no write of its own, so its start is recorded together with its end.
        if step == Step::Verify { Ok(()) } else { self.write_journal().await }
    }

    /// Notes how a step ended; this is recorded with whatever comes next.
    pub(super) fn journal_step_end(&mut self, step: Step, outcome: StepOutcome) {
        let ended = self.options.clock.rfc3339(3);
        let last = self.ledger.journal.as_mut().and_then(|w| w.progress.steps.last_mut());
        if let Some(entry) = last.filter(|e| e.step == step && e.ended.is_none()) {
            (entry.ended, entry.outcome) = (Some(ended), Some(outcome));
        }
    }

    /// Records that the pod is drained, before it is told.
    pub(super) async fn journal_drained(&mut self, place: &Place) -> Result<(), StopReason> {
        if self.ledger.drained.iter().any(|noted| noted.uid == place.uid) {
            return Ok(());
        }
        self.ledger.drained.push(DrainedPod { pod: place.pod.clone(), uid: place.uid.clone() });
        let written = self.write_journal().await;
        if written.is_err() {
            self.ledger.no_longer_drained(&place.uid);
        }
        written
    }

    async fn write_journal(&mut self) -> Result<(), StopReason> {
        let mut backoff = Retries::new();
        let began_writing = self.narrator.now();
        loop {
            let Some(writer) = self.noted() else { return Ok(()) };
            // Two writes in flight could arrive in the wrong order.
            if let Some(behind) = writer.behind.take() {
                self.interrupt.during(async move { drop(behind.await) }).await?;
            }
            self.hold().await?;
            let Some(writer) = &self.ledger.journal else { return Ok(()) };
            let (cluster, plan) = (&self.observer.cluster, &self.plan);
            let key = key(&writer.run);
            let writing = cluster.write_progress(&plan.database, plan.kind, &key, &writer.progress);
            let written = self.interrupt.during_write(&mut self.ledger.in_the_air, writing).await?;
            let now = self.narrator.now();
            match (written, &mut self.ledger.journal) {
                (Ok(()), Some(writer)) => writer.written = now,
                (Ok(()), None) => {}
                (Err(error), _) if passes(&error, now - began_writing, FORBIDDEN_DOUBT) => {
                    self.back_off(&mut backoff, "write the journal", &error).await?;
                    continue;
                }
                (Err(error), _) => return Err(error.into()),
            }
            return Ok(());
        }
    }

    /// The journal entry, including everything that was done so far.
    fn noted(&mut self) -> Option<&mut Writer> {
        let (away, time) = (self.account(), self.options.clock.rfc3339(3));
        let writer = self.ledger.noted()?;
        (writer.progress.away, writer.progress.time) = (away, time);
        Some(writer)
    }

    /// Records that pods are away, if that was not recorded lately.
    pub(super) fn journal_away(&mut self) {
        let (now, held) = (self.narrator.now(), self.lock.good());
        let due = self.ledger.journal.as_ref().is_some_and(|w| now >= w.written + PROGRESS_EVERY);
        if held && due {
            self.write_behind();
        }
    }

    /// Notes that a pod has arrived. It is recorded in the background, and not for every pod.
    pub(super) fn journal_pods(&mut self, workload: &str, done: u64) {
        let (now, held) = (self.narrator.now(), self.lock.good());
        let Some(writer) = self.noted() else { return };
        writer.progress.pods.insert(workload.to_owned(), done);
        if held && now >= writer.written + PROGRESS_EVERY {
            self.write_behind();
        }
    }

    /// Notes that a container of a new image has started. It is recorded at once if a rollback depends on it, because
    /// the pod may be gone when someone asks.
    pub(super) fn journal_started(&mut self) {
        let held = self.lock.good();
        let Some(writer) = &mut self.ledger.journal else { return };
        writer.progress.started = true;
        if held && self.plan.kind.facts().data.rewrites.is_some() {
            self.write_behind();
        }
    }

    /// Records the progress in the background, unless the previous record is still being written.
    fn write_behind(&mut self) {
        let now = self.narrator.now();
        let (cluster, kind, db) = (self.observer.cluster.clone(), self.plan.kind, self.plan.database.clone());
        let Some(writer) = self.noted() else { return };
        if writer.behind.as_ref().is_some_and(|b| !b.is_finished()) {
            return;
        }
        writer.written = now;
        let (key, progress) = (key(&writer.run), writer.progress.clone());
        writer.behind = Some(tokio::spawn(async move {
            // The record lags behind anyway, and the next one includes everything.
            let _ = cluster.write_progress(&db, kind, &key, &progress).await;
        }));
    }

    /// Records how the run ended; retries for as long as its caller waits.
    pub(super) async fn close_journal(&mut self, finish: &Finish) -> Result<(), ClusterError> {
        let held = self.lock.good();
        let _ = self.noted();
        let Some(mut writer) = self.ledger.journal.take().filter(|_| held) else { return Ok(()) };
        if let Some(behind) = writer.behind.take() {
            let _ = behind.await;
        }
        writer.progress.result = Some(finish.clone());
        let (kind, db) = (self.plan.kind, &self.plan.database);
        let mut retries = Retries::new();
        loop {
            let sent = self.narrator.now();
            match self.observer.cluster.write_progress(db, kind, &key(&writer.run), &writer.progress).await {
                // The failed write may still arrive. It arrives before its retry, unless it was delayed for longer than
                // its response was waited for.
                Err(error) if error.transient() => {
                    self.ledger.in_the_air |= self.narrator.now() >= sent + CALL_TIMEOUT;
                    tokio::time::sleep(retries.pause(Duration::MAX).unwrap_or_default()).await;
                }
                written => return written,
            }
        }
    }
}

/// Whether a failed record may succeed when it is retried. The write has no precondition, so a conflict is the server's
/// own and may pass.
fn passes(error: &ClusterError, tried: Duration, doubt: Duration) -> bool {
    match error {
        ClusterError::Forbidden { .. } => tried < doubt,
        error => error.transient() || matches!(error, ClusterError::Conflict { .. }),
    }
}
