//! The end of a run, whatever the outcome: clean up, and tell the user what state the database is in and what to do
//! next.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use crate::cluster::{ClusterError, Delta, Part};
use crate::event::{Event, Finish, Outcome};
use crate::model::{Method, OPS_API, ObjectRef, Phase, Pod};
use crate::retry::Retries;
use crate::steps::ops_request::{self, Requested};
use crate::steps::s1_pause::{self, Pause};
use crate::steps::{Blocked, s5_resume};

use super::Stop;
use super::run::Run;
use super::stop_reason::StopReason;

/// How long the end may take to tidy up: a few calls, and no longer than a user who has pressed Ctrl-C will wait.
const TIDY: Duration = Duration::from_secs(15);

/// The same after a second Ctrl-C.
const TIDY_NOW: Duration = Duration::from_secs(2);

/// How long the end tries to remove our own pause.
const TAKE_BACK: Duration = Duration::from_secs(3);

/// How long the end tries to see what state the database is in, where the watches could not tell: the server may be away.
const LOOK: Duration = Duration::from_secs(5);

/// How long the end waits for the last Events on the database to be written.
const TELL: Duration = Duration::from_secs(2);

impl Run {
    /// Cleans up, emits the last event and returns it.
    pub async fn end(mut self, came_to: Result<(), StopReason>) -> Finish {
        let unanswered = self.interrupt.asking();
        if unanswered {
            // Whoever has ended the run has ended the waiting for the plugin: it is not run once more.
            self.observer.cluster.keep_credentials();
            self.observer.watches = None;
            self.lock.renewal = None;
        }
        let hurried = unanswered || matches!(self.interrupt.wish(), Stop::Now(_));
        let until = Instant::now() + if hurried { TIDY_NOW } else { TIDY };
        if timeout_at(until, self.take_back_pause(came_to.is_err())).await.is_err() {
            self.narrator.notice("our Paused condition could not be removed in time".to_owned());
        }
        self.catch_up();
        if !self.observer.watching() {
            self.look_once_more(until).await;
        }
        self.observer.watches = None;
        self.lock.renewal = None;
        let by = match came_to.as_ref().err().and_then(|reason| self.suspect(reason)) {
            Some((object, part)) => {
                let asked = timeout_at(
                    until.min(Instant::now() + LOOK),
                    self.observer.cluster.last_writer(&object, part),
                );
                asked.await.ok().flatten()
            }
            None => None,
        };
        let mut finish = self.finish(came_to);
        if let Some(by) = by {
            finish.error.push_str(&format!(" (last written by {by})"));
        }
        self.announce_end(&finish);
        match timeout_at(until, self.close_journal(&finish)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.narrator.notice(format!("the result could not be written to the journal: {error}"))
            }
            Err(_) => {
                self.ledger.in_the_air = true;
                self.narrator.notice("the result could not be written to the journal in time".to_owned());
            }
        }
        if self.ledger.in_the_air && self.lock.lease.take().is_some() {
            // A late write of this run must not reach the next holder of the lock.
            self.narrator
                .notice("a write may still be in flight: the lock is kept until it expires".to_owned());
        }
        if let Some(lease) = self.lock.lease.take() {
            match timeout_at(until, lease.release()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    self.narrator
                        .notice(format!("the lock could not be released and will expire by itself: {error}"));
                }
                Err(_) => {
                    self.narrator.notice(
                        "the lock could not be released in time and will expire by itself".to_owned(),
                    );
                }
            }
        }
        if let Some(announcer) = self.narrator.announcer.take() {
            announcer.finish(until.min(Instant::now() + TELL)).await;
        }
        self.narrator.emit(Event::Finished(finish.clone()));
        finish
    }

    /// Reads what no watch has told lately, so that the end says how the database is and not how it was: whoever was cut
    /// off may have been overtaken.
    async fn look_once_more(&mut self, until: Instant) {
        let before = self.observer.snapshot.to_read_anew();
        let reading = self.observer.cluster.read_anew(before);
        let read = timeout_at(until.min(Instant::now() + LOOK), reading).await;
        self.catch_up();
        match read {
            Ok(Ok(fresh)) if fresh.database.object.uid == self.plan.database.uid => {
                self.observer.snapshot = fresh
            }
            // It is gone, or another one has its name: the run has ended for that reason, or will be told apart by it.
            Ok(Ok(_) | Err(ClusterError::NotFound { .. })) => {}
            Ok(Err(_)) | Err(_) => {
                self.narrator
                    .notice("the cluster cannot be read: the state shown is the last one seen".to_owned());
            }
        }
    }

    /// The object that another user or controller has changed, where that ended the run.
    fn suspect(&self, reason: &StopReason) -> Option<(ObjectRef, Part)> {
        let StopReason::Blocked(blocked) = reason else { return None };
        let workload = |name: &str| {
            let planned = self.plan.workloads.iter().find(|w| w.object.to_string() == name)?;
            Some((planned.object.clone(), Part::Template))
        };
        let database = |part| Some((self.plan.database.clone(), part));
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

    /// Removes our own `Paused` where nothing was changed. Only while the lock is held: without it another run may have
    /// taken the pause over.
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

    /// Tries it once: `false` where it is to be tried again.
    async fn takes_back_pause(&mut self) -> bool {
        let (kind, db) = (self.plan.kind, &self.plan.database);
        let cluster = &self.observer.cluster;
        let read = cluster.database(kind, &db.api_version, &db.namespace, &db.name).await;
        let Ok(fresh) = read else { return false };
        Delta::Database(Box::new(fresh)).apply(&mut self.observer.snapshot);
        let ours = s1_pause::ours(&self.observer.snapshot.database) == Some(&*self.options.caller.run);
        let held = self.lock.good();
        let write = s5_resume::write(&self.observer.snapshot.database).filter(|_| ours && held);
        let Some(write) = write else { return true };
        let sent = self.observer.cluster.send(&write, false).await;
        let Ok(fresh) = sent.and_then(|sent| sent.database(kind, &self.plan.database.api_version)) else {
            return false;
        };
        Delta::Database(Box::new(fresh)).apply(&mut self.observer.snapshot);
        true
    }

    fn finish(&mut self, came_to: Result<(), StopReason>) -> Finish {
        let gone = matches!(
            &came_to,
            Err(StopReason::Blocked(Blocked::DatabaseGone | Blocked::DatabaseReplaced { .. }))
        );
        let pause = s1_pause::status(&self.observer.snapshot.database);
        let paused = !gone && matches!(pause, Pause::Requested | Pause::Acknowledged);
        let counted: Vec<_> =
            self.plan.workloads.iter().map(|w| (w.object.uid.clone(), self.observer.count(w))).collect();
        for (uid, (pods, updated)) in counted {
            if let Some(result) = self.ledger.results.get_mut(&uid) {
                (result.pods, result.updated) = (pods, updated);
            }
        }
        let workloads: Vec<_> = self
            .plan
            .workloads
            .iter()
            .filter_map(|w| self.ledger.results.get(&w.object.uid).cloned())
            .collect();
        Finish {
            outcome: came_to.as_ref().map_or_else(StopReason::outcome, |()| Outcome::Done),
            exit_code: came_to.as_ref().map_or_else(|h| h.exit_code(self.ledger.changed.half_done()), |()| 0),
            changed: self.ledger.changed.by_this_run,
            paused,
            operator_confirmed: self.ledger.operator_confirmed,
            error: came_to.as_ref().err().map(ToString::to_string).unwrap_or_default(),
            state: self.state(came_to.as_ref().err(), paused),
            next: came_to.as_ref().err().map(|h| self.next(h)).unwrap_or_default(),
            longest_away_ms: workloads.iter().map(|w| w.longest_away_ms).max().unwrap_or_default(),
            workloads,
            elapsed_ms: self.narrator.now().as_millis() as u64,
        }
    }

    /// What state the database is in, in one sentence.
    fn state(&self, reason: Option<&StopReason>, paused: bool) -> String {
        let db = &self.plan.database;
        let (from, to) = (&self.plan.from.name, &self.plan.to.name);
        if matches!(
            reason,
            Some(StopReason::Blocked(Blocked::DatabaseGone | Blocked::DatabaseReplaced { .. }))
        ) {
            return format!("{db} was deleted or replaced; nothing is left to update");
        }
        let (pods, updated) = self
            .plan
            .workloads
            .iter()
            .map(|w| self.observer.count(w))
            .fold((0, 0), |(pods, done), (p, d)| (pods + p, done + d));
        let operator = match s1_pause::status(&self.observer.snapshot.database) {
            Pause::Foreign(_) => "paused by another user or controller",
            _ if paused => "paused",
            _ => "not paused",
        };
        if reason.is_none() {
            let confirmed =
                if self.ledger.operator_confirmed { "" } else { "; not confirmed by an operator" };
            // KubeDB's own checker looks only every 10 to 30 seconds, so its word may be older than the pods'.
            let phase = match &self.observer.snapshot.database.phase {
                Phase::Ready => String::new(),
                phase => format!("; KubeDB's last health check reported {phase}"),
            };
            let paused = match s1_pause::status(&self.observer.snapshot.database) {
                Pause::Foreign(message) => {
                    format!("; it is still paused by another user or controller ({message})")
                }
                _ => String::new(),
            };
            return format!(
                "{db} is on {to}: {updated} of {pods} pods updated and Ready{confirmed}{phase}{paused}"
            );
        }
        if matches!(reason, Some(StopReason::RolledBack { .. })) {
            return format!("{db} is back on {to}: {updated} of {pods} pods Ready with the old images");
        }
        if !self.ledger.changed.half_done() && !paused {
            return format!("nothing was changed: {db} is as it was and {operator}");
        }
        if !self.ledger.changed.half_done() && self.expected.pause.fresh() {
            return format!(
                "nothing was changed, but our Paused condition could not be removed: {db} is paused"
            );
        }
        let version = &self.observer.snapshot.database.version;
        if let Requested::InFlight(r) = ops_request::requested(&self.plan, &self.observer.snapshot) {
            let goes_on = if r.phase.is_empty() {
                "has not been picked up by the Ops-manager yet"
            } else {
                "continues without this command"
            };
            return format!(
                "ops request {} ({}) {goes_on}: {updated} of {pods} pods of {db} are on {to} and \
                 Ready, spec.version is {version}",
                r.name,
                r.phase()
            );
        }
        let between =
            if from == to { format!("only partly on {to}") } else { format!("between {from} and {to}") };
        let unhealthy = self.unhealthy();
        let unhealthy = if unhealthy.is_empty() { unhealthy } else { format!("; not Ready: {unhealthy}") };
        format!(
            "{db} is {operator} and {between}: {updated} of {pods} pods are on {to} and Ready, spec.version \
             is {version}{unhealthy}"
        )
    }

    /// The pods that are not healthy at this moment, some of them by name.
    fn unhealthy(&self) -> String {
        let ours = |p: &&Pod| self.plan.workload(&p.owner).is_some() && !p.healthy();
        let names: Vec<_> =
            self.observer.snapshot.pods.iter().filter(ours).map(|p| p.name.as_str()).collect();
        match names.len() {
            0..=3 => names.join(", "),
            more => format!("{} and {} more", names[..3].join(", "), more - 3),
        }
    }

    /// The commands to run next, most useful first.
    fn next(&self, reason: &StopReason) -> Vec<String> {
        let db = &self.plan.database;
        let kubectl = |words: &[&str]| {
            let command = self.options.caller.kubectl.clone().words(words.iter().copied());
            Some(command.in_namespace(&db.namespace).to_string())
        };
        let (plural, ops_plural) = (self.plan.kind.plural(), self.plan.kind.facts().ops_plural);
        let show = match reason {
            StopReason::Stuck { pod, .. }
            | StopReason::OtherPod { pod, .. }
            | StopReason::OldTemplate { pod }
            | StopReason::Blocked(Blocked::PodTaken { pod, .. }) => kubectl(&["describe", "pod", pod]),
            StopReason::BudgetBlocked { budget, .. } => kubectl(&["describe", "poddisruptionbudget", budget]),
            StopReason::Blocked(Blocked::DatabaseGone | Blocked::DatabaseReplaced { .. }) => {
                return Vec::new();
            }
            StopReason::Blocked(Blocked::OpsRequest { name, .. }) => kubectl(&["describe", ops_plural, name]),
            StopReason::Blocked(Blocked::UnexpectedVersion { expected, .. }) => {
                let patch = json!({ "spec": { "version": expected } }).to_string();
                kubectl(&["patch", plural, &db.name, "--type", "merge", "-p", &patch])
            }
            StopReason::RolledBack { .. } => return vec![self.options.caller.commands.status.clone()],
            StopReason::RequestEnded { name, .. } | StopReason::RequestStalled { name, .. } => {
                kubectl(&["describe", ops_plural, name])
            }
            StopReason::Blocked(_)
            | StopReason::DatabaseUnhealthy { .. }
            | StopReason::Unverified(_)
            | StopReason::PauseErased { .. } => kubectl(&["describe", plural, &db.name]),
            StopReason::Cluster(ClusterError::Forbidden { .. }) | StopReason::WouldBeRefused { .. } => {
                kubectl(&["auth", "can-i", "--list"])
            }
            _ => None,
        };
        let commands = &self.options.caller.commands;
        let requested = ops_request::requested(&self.plan, &self.observer.snapshot);
        // Where no Ops-manager looks at it, deleting it is the only way out.
        let out = match &requested {
            Requested::InFlight(r) if r.phase.is_empty() => kubectl(&["delete", ops_plural, &r.name]),
            _ => None,
        };
        let methods = match self.ledger.changed.half_done() {
            true if matches!(requested, Requested::InFlight(_)) => {
                [commands.status.clone(), commands.resume.clone()].into_iter().chain(out).collect()
            }
            // It is recreated. Any other resume or rollback would stop at the pause that it has left.
            true if self.plan.method == Method::OpsManager && requested == Requested::Absent => {
                vec![commands.resume.clone()]
            }
            // It has ended; only this tool can continue, forward or back.
            true if self.plan.method == Method::OpsManager => {
                vec![commands.by_us.clone(), commands.rollback.clone()]
            }
            // Without a journal only the command itself knows where to.
            true if self.ledger.changed.by_this_run && self.ledger.journal.is_none() => {
                vec![commands.again.clone()]
            }
            true => vec![commands.resume.clone(), commands.rollback.clone()],
            // The same request would end the same way.
            false if matches!(reason, StopReason::RequestEnded { .. }) => vec![commands.by_us.clone()],
            false => vec![commands.again.clone()],
        };
        show.into_iter().chain(methods).filter(|c| !c.is_empty()).collect()
    }
}
