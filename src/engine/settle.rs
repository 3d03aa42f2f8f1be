//! The end of the sequence: setting the version, resuming the operator, and verifying that the update is complete.

use std::time::Duration;

use crate::event::{Event, StepOutcome, WaitingOn};
use crate::journal::Entry;
use crate::model::{Database, Method, Phase};
use crate::retry::Retries;
use crate::steps::guard::OurPause;
use crate::steps::s1_pause;
use crate::steps::s6_verify::{Health, Reported};
use crate::steps::{Status, s4_set_version, s5_resume, s6_verify};

use super::ledger::Operator;
use super::run::{OUTAGE, Run};
use super::stop_reason::{StopReason, Unready, WaitEnded};

/// How long no template may change after the operator was resumed: it reconciles at once, and may pin images then.
pub(super) const SETTLE: Duration = Duration::from_secs(3);

/// How often our condition is removed again after an outdated status update has brought it back.
const REMOVALS: u32 = 5;

/// The wait for KubeDB to report that the database is Ready.
#[derive(Default)]
struct Ready {
    /// Since when everything is on the target, and what KubeDB reported then.
    complete: Option<(Reported, Duration)>,
    /// When the wait ends; set once it has started.
    deadline: Option<Duration>,
    told: Option<WaitingOn>,
}

impl Ready {
    /// Notes whether everything is on the target.
    fn note(&mut self, complete: bool, database: &Database, now: Duration) {
        if complete {
            self.complete.get_or_insert_with(|| (Reported::of(database), now));
        } else {
            self.complete = None;
        }
    }
}

impl Run {
    /// Sets `spec.version`, unless it is the target already.
    pub async fn set_version(&mut self) -> Result<StepOutcome, StopReason> {
        let mut backoff = Retries::new();
        let mut sent = false;
        loop {
            self.guard()?;
            self.interrupt.stop_here()?;
            match s4_set_version::status(&self.plan, &self.observer.snapshot.database) {
                Status::Blocked(why) => return Err(why.into()),
                Status::AlreadyDone if sent => break,
                Status::AlreadyDone => return Ok(StepOutcome::AlreadyDone),
                Status::Ready => sent = true,
            }
            if self.write_status(&s4_set_version::write(&self.plan), &mut backoff).await? {
                break;
            }
        }
        let (from, to) = (self.plan.from.name.clone(), self.plan.to.name.clone());
        self.narrator.emit(Event::VersionSet { from, to });
        Ok(StepOutcome::Done)
    }

    /// Removes our `Paused` condition.
    pub async fn resume(&mut self) -> Result<StepOutcome, StopReason> {
        let mut removed = false;
        let mut backoff = Retries::new();
        // From here on the condition may disappear, and we must still remove it.
        self.expected.pause = self.expected.pause.no_longer_held();
        loop {
            self.guard()?;
            let Some(write) = s5_resume::write(&self.observer.snapshot.database) else { break };
            removed = true;
            if self.write_status(&write, &mut backoff).await? {
                break;
            }
        }
        self.expected.pause = OurPause::Free;
        // From here on the operator may change the templates again.
        self.expected.templates.clear();
        if !removed {
            return Ok(StepOutcome::AlreadyDone);
        }
        self.narrator.emit(Event::Resumed);
        Ok(StepOutcome::Done)
    }

    /// Waits until nothing changes any more, then checks that the update is complete, and waits for KubeDB to report the
    /// database as Ready.
    pub async fn verify(&mut self) -> Result<StepOutcome, StopReason> {
        let mut ready = Ready::default();
        if let Err(reason) = self.verified(&mut ready).await {
            return Err(self.unready(&ready, &reason).unwrap_or(reason));
        }
        self.narrator.wait_over();
        // If the operator has rendered the templates, it pinned the images before the pods were restarted.
        let ours = self.plan.method == Method::Client;
        for (workload, container, image) in
            s6_verify::repinned(&self.plan, &self.observer.snapshot).into_iter().filter(|_| ours)
        {
            self.narrator.emit(Event::Repinned { workload, container, image });
        }
        if self.ledger.operator != Operator::Confirmed {
            self.narrator.note = "not confirmed by an operator".to_owned();
        }
        Ok(StepOutcome::Done)
    }

    async fn verified(&mut self, ready: &mut Ready) -> Result<(), StopReason> {
        let limit = self.narrator.now() + self.options.bounds.pod_timeout;
        let (mut quiet_since, mut templates, mut removals) =
            (self.narrator.now(), self.observer.fingerprints(), 0);
        let mut blind = None;
        let pins = self.options.story.resuming.as_ref().map(Entry::pins).unwrap_or_default();
        self.narrator.waiting(WaitingOn::Settling { seconds: SETTLE.as_secs() });
        loop {
            self.catch_up();
            self.interrupt.stop_here()?;
            let now = self.narrator.now();
            if self.removes_again(&mut removals).await? {
                quiet_since = self.narrator.now();
                continue;
            }
            let unverified = s6_verify::unverified(&self.plan, &self.observer.snapshot, &pins);
            ready.note(unverified.is_none(), &self.observer.snapshot.database, now);
            let found = self.observer.fingerprints();
            // While the server is down, the absence of changes means nothing.
            self.blind_for(&mut blind)?;
            if found != templates || blind.is_some() {
                (templates, quiet_since) = (found, now);
            }
            if now < quiet_since + SETTLE {
                self.bear_restlessness(limit)?;
                self.wait(quiet_since + SETTLE).await?;
                continue;
            }
            match unverified {
                None => match self.reported_ready(ready)? {
                    None => return Ok(()),
                    Some(until) => self.wait(until).await?,
                },
                Some(unverified) if unverified.passing() && now < limit => self.wait(limit).await?,
                Some(unverified) => return Err(unverified.into()),
            }
        }
    }

    /// Until when to wait for KubeDB to report that the database is Ready; `None` if it has, or is not waited for.
    fn reported_ready(&mut self, ready: &mut Ready) -> Result<Option<Duration>, StopReason> {
        let (now, patience) = (self.narrator.now(), self.options.bounds.wait_ready);
        let Some((then, since)) = ready.complete.as_ref().filter(|_| !patience.is_zero()) else {
            return Ok(None);
        };
        let (since, db) = (*since, &self.observer.snapshot.database);
        let silent = self.ledger.operator == Operator::Silent;
        let within = db.health_checker.reports_within();
        let (before, wake) = match s6_verify::health(then, &Reported::of(db), now - since, within, silent) {
            Health::Ready => {
                self.ledger.operator = Operator::Confirmed;
                return Ok(None);
            }
            Health::Stands => return Ok(None),
            Health::Before { within } => (true, within.map(|within| since + within)),
            Health::NotReady => (false, None),
        };
        let deadline = *ready.deadline.get_or_insert(now + patience);
        let phase = db.phase.clone();
        if now >= deadline {
            let unready = Unready { phase, before, ended: WaitEnded::Late { seconds: patience.as_secs() } };
            return Err(StopReason::NotReady { to: self.plan.to.name.clone(), unready });
        }
        let on = WaitingOn::Phase { phase: phase.to_string(), before };
        if ready.told.as_ref() != Some(&on) {
            ready.told = Some(on.clone());
            self.narrator.waiting(on);
        }
        Ok(Some(wake.unwrap_or(deadline).min(deadline)))
    }

    /// How the run has ended if it was stopped while only KubeDB's report was missing: the update is complete then.
    fn unready(&self, ready: &Ready, reason: &StopReason) -> Option<StopReason> {
        let ended = match *reason {
            StopReason::TimedOut { seconds } => WaitEnded::TimedOut { seconds },
            StopReason::Stopped { signal } => WaitEnded::Stopped { signal },
            _ => return None,
        };
        let phase = self.observer.snapshot.database.phase.clone();
        let before = phase == Phase::Ready;
        let complete = ready.deadline.is_some() && ready.complete.is_some();
        let unready = Unready { phase, before, ended };
        complete.then(|| StopReason::NotReady { to: self.plan.to.name.clone(), unready })
    }

    /// Ends the wait after a while: pod templates that keep changing mean that something else is editing them.
    pub(super) fn bear_restlessness(&self, limit: Duration) -> Result<(), StopReason> {
        let restless = self.observer.watching() && self.narrator.now() >= limit;
        if restless {
            Err(StopReason::Restless { seconds: self.options.bounds.pod_timeout.as_secs() })
        } else {
            Ok(())
        }
    }

    /// Notes since when some collection is not watched. Once everything is watched again, returns how long it was not.
    pub(super) fn blind_for(&self, since: &mut Option<Duration>) -> Result<Duration, StopReason> {
        let now = self.narrator.now();
        if self.observer.watching() {
            return Ok(since.take().map(|since| now - since).unwrap_or_default());
        }
        match now >= *since.get_or_insert(now) + OUTAGE {
            true => Err(StopReason::Blind { seconds: OUTAGE.as_secs() }),
            false => Ok(Duration::ZERO),
        }
    }

    /// Removes our condition again if an outdated status update has brought it back, unless that has happened too often.
    pub(super) async fn removes_again(&mut self, removals: &mut u32) -> Result<bool, StopReason> {
        if *removals >= REMOVALS || s1_pause::ours(&self.observer.snapshot.database).is_none() {
            return Ok(false);
        }
        *removals += 1;
        self.resume().await?;
        self.narrator.emit(Event::PauseRemovedAgain);
        Ok(true)
    }
}
