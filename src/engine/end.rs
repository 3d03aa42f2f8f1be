//! The end of a run, whatever the outcome: cleans up, and tells the user what state the database is in and what to do
//! next.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::cluster::{ClusterError, Delta, LockError, Part};
use crate::event::{Event, Finish, Outcome};
use crate::journal::Entry;
use crate::model::{Command, Lock, Lookup, OPS_API, ObjectRef};
use crate::retry::Retries;
use crate::situation::{self, Next, Seen, Situation, What};
use crate::steps::s1_pause;
use crate::steps::s6_verify::Unverified;
use crate::steps::{Blocked, s5_resume};

use super::Stop;
use super::ledger::Operator;
use super::run::Run;
use super::stop_reason::StopReason;

/// How long the cleanup may take: enough for a few calls, and no longer than a user who has pressed Ctrl-C will wait.
const TIDY: Duration = Duration::from_secs(15);

/// The same after a second Ctrl-C.
const TIDY_NOW: Duration = Duration::from_secs(2);

/// How long the end tries to remove our own pause.
const TAKE_BACK: Duration = Duration::from_secs(3);

/// How long to try to read the final state of the database if the watches do not know it: the server may be down.
const LOOK: Duration = Duration::from_secs(5);

/// How long to wait until the last Events on the database are written.
const TELL: Duration = Duration::from_secs(2);

impl Run {
    /// Cleans up, emits the last event and returns it.
    pub async fn end(mut self, came_to: Result<(), StopReason>) -> Finish {
        let unanswered = self.interrupt.asking();
        if unanswered {
            // The signal that ended the run also ended the wait for the credential plugin, so the plugin is not run
            // again.
            self.observer.cluster.keep_credentials();
            self.observer.watches = None;
            self.lock.renewal = None;
        }
        let hurried = unanswered || matches!(self.interrupt.wish(), Stop::Now(_));
        let until = Instant::now() + if hurried { TIDY_NOW } else { TIDY };
        self.clean_up(came_to.as_ref().err(), until).await;
        let suspect = came_to.as_ref().err().and_then(|reason| self.suspect(reason));
        let by = match suspect {
            Some((object, part)) => {
                let asking = self.observer.cluster.last_writer(&object, part);
                timeout_at(until.min(Instant::now() + LOOK), asking).await.ok().flatten()
            }
            None => None,
        };
        let (mut finish, next) = self.finish(came_to);
        if let Some(by) = by {
            finish.error.push_str(&format!(" (last written by {by})"));
        }
        self.announce_end(&finish, &next);
        self.record_end(&finish, &next, until).await;
        self.release_lock(until).await;
        if let Some(announcer) = self.narrator.announcer.take() {
            announcer.finish(until.min(Instant::now() + TELL)).await;
        }
        self.narrator.emit(Event::Finished(finish.clone()));
        finish
    }

    /// Removes what the run must not leave, and learns what another run has done in the meantime. From then on nothing is
    /// watched.
    async fn clean_up(&mut self, reason: Option<&StopReason>, until: Instant) {
        if timeout_at(until, self.take_back_pause(reason.is_some())).await.is_err() {
            self.narrator.notice("our Paused condition could not be removed in time".to_owned());
        }
        // Pods that cannot be removed must leave time for the journal and the lock.
        self.remove_own_pods(until - until.saturating_duration_since(Instant::now()) / 2).await;
        self.catch_up();
        let overtaken = reason.is_some_and(overtaken);
        let another = match reason {
            Some(StopReason::Lock(LockError::Held(lock))) => Some(Lock::clone(lock)),
            Some(_) if overtaken => self.lock_of_another(until).await,
            _ => None,
        };
        if overtaken {
            self.read_journal_once_more(until).await;
        }
        // If the other run has released its lock by now, this is what it has left.
        if overtaken || !self.observer.watching() || self.unseen_eviction() {
            self.look_once_more(until).await;
        }
        self.observer.watches = None;
        self.lock.renewal = None;
        self.observer.snapshot.lock = another;
    }

    /// Writes the result to the journal.
    async fn record_end(&mut self, finish: &Finish, next: &[Next], until: Instant) {
        match timeout_at(until, self.close_journal(&self.for_anyone(finish, next))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.narrator.notice(format!("the result could not be written to the journal: {error}"))
            }
            Err(_) => {
                self.ledger.in_the_air = true;
                self.narrator.notice("the result could not be written to the journal in time".to_owned());
            }
        }
    }

    /// Releases the lock, unless a late write of this run could arrive while the next run holds it.
    async fn release_lock(&mut self, until: Instant) {
        let Some(lease) = self.lock.lease.take() else { return };
        if self.ledger.in_the_air {
            self.narrator
                .notice("a write may still be in flight: the lock is kept until it expires".to_owned());
            return;
        }
        match timeout_at(until, lease.release()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self
                .narrator
                .notice(format!("the lock could not be released and will expire by itself: {error}")),
            Err(_) => self
                .narrator
                .notice("the lock could not be released in time and will expire by itself".to_owned()),
        }
    }

    /// A pod that this run has evicted still looks as it did before: its watch is slower than the answer to the eviction.
    fn unseen_eviction(&self) -> bool {
        let pods = &self.observer.snapshot.pods;
        pods.iter().any(|pod| !pod.deleting && self.memory.evicted.contains(&pod.uid))
    }

    /// Reads what the watches have not reported lately, so that the end describes the current state: while this process
    /// was disconnected, another user or controller may have changed the database.
    async fn look_once_more(&mut self, until: Instant) {
        let before = self.observer.snapshot.to_read_anew();
        let reading = self.observer.cluster.read_anew(before);
        let read = timeout_at(until.min(Instant::now() + LOOK), reading).await;
        self.catch_up();
        match read {
            Ok(Ok(fresh)) if fresh.database.object.uid == self.plan.database.uid => {
                self.observer.snapshot = fresh
            }
            // The database is gone, or another one has its name. Either the run has ended for that reason, or the
            // different uid shows it.
            Ok(Ok(_) | Err(ClusterError::NotFound { .. })) => {}
            Ok(Err(_)) | Err(_) => {
                self.narrator
                    .notice("the cluster cannot be read: the state shown is the last one seen".to_owned());
            }
        }
    }

    /// The lock that another run holds in the meantime.
    async fn lock_of_another(&self, until: Instant) -> Option<Lock> {
        let (kind, db) = (self.plan.kind, &self.plan.database);
        let reading = self.observer.cluster.lock(kind, &db.namespace, &db.name);
        let lock = timeout_at(until.min(Instant::now() + LOOK), reading).await.ok()?.ok()??;
        let ours = self.lock.lease.as_ref().is_some_and(|lease| lease.holds(&lock));
        Some(lock).filter(|_| !ours)
    }

    /// Reads what another run has recorded in the meantime.
    async fn read_journal_once_more(&mut self, until: Instant) {
        let db = &self.plan.database;
        let reading = self.observer.cluster.journal(self.plan.kind, &db.namespace, &db.name);
        if let Ok(Ok(journal)) = timeout_at(until.min(Instant::now() + LOOK), reading).await {
            self.options.story.journal = journal;
        }
    }

    /// The object that another user or controller has changed, if that ended the run.
    fn suspect(&self, reason: &StopReason) -> Option<(ObjectRef, Part)> {
        let workload = |name: &str| {
            let planned = self.plan.workloads.iter().find(|w| w.object.to_string() == name)?;
            Some((planned.object.clone(), Part::Template))
        };
        let database = |part| Some((self.plan.database.clone(), part));
        let blocked = match reason {
            StopReason::Blocked(blocked) => blocked,
            StopReason::Unverified(Unverified::Version { .. }) => return database(Part::Version),
            StopReason::Unverified(Unverified::Template { workload: name, .. }) => return workload(name),
            _ => return None,
        };
        match blocked {
            Blocked::TemplateChanged { workload: name } | Blocked::UnexpectedImage { workload: name, .. } => {
                workload(name)
            }
            Blocked::UnexpectedVersion { .. } => database(Part::Version),
            Blocked::WorkloadAppeared { .. } | Blocked::JournalChanged | Blocked::PodTaken { .. } => None,
            Blocked::PauseLifted | Blocked::PausedByOther { .. } => database(Part::Conditions),
            Blocked::OpsRequest { kind, name, .. } => {
                let request = ObjectRef {
                    api_version: OPS_API.to_owned(),
                    kind: kind.clone(),
                    plural: self.plan.kind.facts().ops_plural.to_owned(),
                    namespace: self.plan.database.namespace.clone(),
                    name: name.clone(),
                    uid: String::new(),
                };
                Some((request, Part::Spec))
            }
            Blocked::RollsByItself { .. } => None,
            Blocked::DatabaseGone | Blocked::DatabaseReplaced { .. } | Blocked::WorkloadGone { .. } => None,
        }
    }

    /// Removes our own `Paused` condition if nothing else was changed. Only while the lock is held: without it, another
    /// run may have taken over the pause.
    async fn take_back_pause(&mut self, stopped: bool) {
        if !stopped || self.ledger.changed.half_done() || !self.expected.pause.fresh() {
            return;
        }
        let mut retries = Retries::new();
        while !self.takes_back_pause().await {
            let Some(pause) = retries.pause(TAKE_BACK) else { return };
            sleep(pause).await;
        }
    }

    /// Tries once; `false` means that it should be tried again.
    async fn takes_back_pause(&mut self) -> bool {
        let (kind, db) = (self.plan.kind, &self.plan.database);
        let cluster = &self.observer.cluster;
        let read = cluster.database(kind, &db.api_version, &db.namespace, &db.name).await;
        let Ok(fresh) = read else { return false };
        self.observer.take_in(Delta::Database(Box::new(fresh)));
        let ours = s1_pause::ours(&self.observer.snapshot.database) == Some(&*self.options.caller.run);
        let held = self.lock.good();
        let write = s5_resume::write(&self.observer.snapshot.database).filter(|_| ours && held);
        let Some(write) = write else { return true };
        let sent = self.observer.cluster.send(&write, false).await;
        let Ok(fresh) = sent.and_then(|sent| sent.database(kind, &self.plan.database.api_version)) else {
            return false;
        };
        self.observer.take_in(Delta::Database(Box::new(fresh)));
        true
    }

    /// The result, and the commands to run next.
    fn finish(&mut self, came_to: Result<(), StopReason>) -> (Finish, Vec<Next>) {
        let reason = came_to.as_ref().err();
        // What is paused under the lock of another run is not left behind.
        let left = !gone(reason) && self.observer.snapshot.lock.is_none();
        let paused = left && s1_pause::ours(&self.observer.snapshot.database).is_some();
        self.settle_account();
        let counted = self.plan.workloads.iter().filter_map(|w| {
            let result = self.ledger.results.get_mut(&w.object.uid)?;
            (result.pods, result.updated) = self.observer.snapshot.count(w);
            Some(result.clone())
        });
        let workloads: Vec<_> = counted.collect();
        let further = self.options.story.through.is_some();
        let mut finish = Finish {
            outcome: reason.map_or(Outcome::Done, |r| r.outcome(self.changed_anything())),
            exit_code: reason.map_or(0, |r| r.exit_code(self.changed_anything(), further)),
            changed: self.ledger.changed.by_this_run,
            paused,
            operator_confirmed: self.ledger.operator == Operator::Confirmed,
            phase: match gone(reason) {
                true => String::new(),
                false => self.observer.snapshot.database.phase.to_string(),
            },
            error: reason.map(ToString::to_string).unwrap_or_default(),
            pod: reason.and_then(StopReason::pod).map(str::to_owned),
            not_rolled_back: reason.and_then(|r| self.turns_back(r).err()?).map(|why| why.to_string()),
            state: String::new(),
            left: self.ledger.left.clone(),
            next: Vec::new(),
            longest_away_ms: workloads.iter().map(|w| w.longest_away_ms).max().unwrap_or_default(),
            longest_away_at_least: workloads.iter().any(|w| w.longest_away_at_least),
            workloads,
            elapsed_ms: self.narrator.now().as_millis() as u64,
        };
        let situation = self.situation(reason, &finish);
        finish.state = format!("{situation}{}", self.remark(&situation, &finish));
        let next = match reason {
            Some(reason) => self.next(reason, &situation),
            // The caller decides whether another update or the finish follows.
            None if self.options.story.through.is_some() || self.options.story.finish.is_some() => Vec::new(),
            None => situation.next_when_done(),
        };
        finish.next = next.iter().map(|next| self.command(next).to_string()).collect();
        (finish, next)
    }

    /// The state of the database as `status` will show it once the journal holds the result and the lock is released.
    fn situation(&mut self, reason: Option<&StopReason>, finish: &Finish) -> Situation {
        let snapshot = self.observer.snapshot.clone();
        if gone(reason) {
            let (database, version) = (self.plan.database.to_string(), snapshot.database.version.clone());
            return Situation { database, version, what: What::Gone };
        }
        let (mut runs, held) = (self.options.story.journal.entries.clone(), self.lock.good());
        if let Some(writer) = self.ledger.noted() {
            let mut entry = Entry { run: writer.run.clone(), progress: writer.progress.clone() };
            // Without the lock it is not recorded.
            entry.progress.result = Some(finish.clone()).filter(|_| held);
            runs.retain(|earlier| earlier.run.run != entry.run.run);
            runs.push(entry);
        }
        let runs = Lookup::Found(runs);
        situation::decide(&Seen { snapshot, runs, lock_age: None, unread: Vec::new() })
    }

    /// What only the run knows, added to the sentence that `status` shows as well.
    fn remark(&self, situation: &Situation, finish: &Finish) -> &'static str {
        let done = finish.outcome == Outcome::Done;
        match situation.what {
            What::Gone => "",
            What::Requested { .. } => "; it continues without this command",
            _ if done && !finish.operator_confirmed && self.plan.finish.is_none() => {
                "; not confirmed by an operator"
            }
            _ if !done && !self.changed_anything() && !finish.paused => "; nothing was changed",
            _ => "",
        }
    }

    /// This run, the one that it resumes, or an earlier one of the same operation has changed something.
    pub(super) fn changed_anything(&self) -> bool {
        self.ledger.changed.half_done() || self.options.story.earlier.changed
    }

    /// The commands to run next, most useful first.
    fn next(&self, reason: &StopReason, situation: &Situation) -> Vec<Next> {
        let look = match reason {
            StopReason::Blocked(Blocked::PodTaken { pod, .. }) => Some(Next::DescribePod(pod.clone())),
            StopReason::BudgetBlocked { budget, .. } => Some(Next::DescribeBudget(budget.clone())),
            StopReason::Blocked(Blocked::OpsRequest { name, .. })
            | StopReason::RequestEnded { name, .. }
            | StopReason::RequestStalled { name, .. } => Some(Next::DescribeRequest(name.clone())),
            StopReason::Blocked(Blocked::UnexpectedVersion { expected, .. }) => {
                Some(Next::VersionBack(expected.clone()))
            }
            StopReason::RolledBack { .. } => return vec![Next::Status],
            StopReason::Blocked(_)
            | StopReason::DatabaseUnhealthy { .. }
            | StopReason::NotReady { .. }
            | StopReason::Unverified(_)
            | StopReason::PauseErased { .. } => Some(Next::Describe),
            reason if reason.lacks_permission() => Some(Next::CanI),
            StopReason::NotCreated { workload, .. } => Some(Next::DescribeWorkload(workload.clone())),
            reason => reason.pod().map(|pod| situation::look_at(&self.observer.snapshot, pod)),
        };
        let to = self.plan.to.name.clone();
        let again = match reason {
            // The same request would fail in the same way.
            StopReason::RequestEnded { .. } => Next::Method(to, self.plan.by_us()),
            // The update is complete, and what was to follow is in the journal.
            StopReason::NotReady { .. } if self.ledger.leads_further() => Next::Further,
            StopReason::NotReady { .. } if self.options.story.through.is_none() => Next::Status,
            _ => Next::Again(to),
        };
        // What is recorded nowhere is continued by the same command alone.
        if self.ledger.changed.by_this_run && self.ledger.journal.is_none() && !gone(Some(reason)) {
            return look.into_iter().chain([again]).collect();
        }
        situation.next_after(look, again)
    }

    /// The command as the user would type it.
    pub(super) fn command(&self, next: &Next) -> Command {
        self.options.caller.commands.command(next, self.plan.kind, &self.plan.database)
    }
}

/// Another run holds the lock, or held it in the meantime.
fn overtaken(reason: &StopReason) -> bool {
    matches!(
        reason,
        StopReason::Lock(LockError::Held(_))
            | StopReason::LockLost { .. }
            | StopReason::Blocked(Blocked::JournalChanged)
    )
}

/// The plan's database no longer exists.
fn gone(reason: Option<&StopReason>) -> bool {
    matches!(reason, Some(StopReason::Blocked(Blocked::DatabaseGone | Blocked::DatabaseReplaced { .. })))
}
