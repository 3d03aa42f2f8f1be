//! The end of the sequence: setting the version, resuming the operator, and verifying that the update is complete.

use std::time::Duration;

use crate::event::{Event, StepOutcome, WaitingOn};
use crate::journal::Entry;
use crate::model::{Database, Method};
use crate::retry::Retries;
use crate::steps::guard::OurPause;
use crate::steps::s1_pause;
use crate::steps::s6_verify::{Health, Reported, Unverified};
use crate::steps::{Blocked, Status, s4_set_version, s5_resume, s6_verify};

use super::ledger::Operator;
use super::run::{OUTAGE, Run};
use super::stop_reason::{StopReason, Unready, WaitEnded};

/// How long no template may change after the operator was resumed: it reconciles at once, and may pin images then.
pub(super) const SETTLE: Duration = Duration::from_secs(3);

/// The longest that a Ready which stands is waited for beyond `--wait-ready`, however slow the database's health checker
/// is said to be.
const STANDS: Duration = Duration::from_secs(3600);

/// How often our condition is removed again after an outdated status update has brought it back.
const REMOVALS: u32 = 5;

/// The wait for KubeDB to report that the database is Ready.
#[derive(Default)]
struct Ready {
    /// Since when everything is on the target, and what KubeDB reported then.
    complete: Option<(Reported, Duration)>,
    /// It has reported something else since.
    news: bool,
    /// When the wait began.
    began: Option<Duration>,
    /// The database was just read, so silence is no fault of its watch.
    fresh: bool,
    told: Option<WaitingOn>,
}

impl Ready {
    /// Notes whether everything is on the target, and whether KubeDB has reported anything since.
    fn note(&mut self, complete: bool, database: &Database, now: Duration) {
        if !complete {
            (self.complete, self.news) = (None, false);
            return;
        }
        let reported = Reported::of(database);
        self.news |= self.complete.as_ref().is_some_and(|(then, _)| *then != reported);
        self.complete.get_or_insert((reported, now));
    }
}

impl Run {
    /// Sets `spec.version`, unless it is the target already. From then on nobody else may set another one: the operator would
    /// render that one's pod templates.
    pub async fn set_version(&mut self) -> Result<StepOutcome, StopReason> {
        let outcome = self.bring_version().await?;
        self.expected.version = true;
        Ok(outcome)
    }

    async fn bring_version(&mut self) -> Result<StepOutcome, StopReason> {
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
        self.tell_all_unlike();
        if self.ledger.operator != Operator::Confirmed {
            self.narrator.note = "not confirmed by an operator".to_owned();
        }
        Ok(StepOutcome::Done)
    }

    async fn verified(&mut self, ready: &mut Ready) -> Result<(), StopReason> {
        // Since when something is changing or incomplete.
        let mut troubled = Some(self.narrator.now());
        let (mut quiet_since, mut templates, mut removals) =
            (self.narrator.now(), self.observer.fingerprints(), 0);
        let mut blind = None;
        let pins = self.options.story.resuming.as_ref().map(Entry::pins).unwrap_or_default();
        self.narrator.waiting(WaitingOn::Settling { seconds: SETTLE.as_secs() });
        loop {
            self.catch_up();
            self.interrupt.stop_here()?;
            let (now, fresh) = (self.narrator.now(), std::mem::take(&mut ready.fresh));
            if self.removes_again(&mut removals).await? {
                quiet_since = self.narrator.now();
                continue;
            }
            let unverified = s6_verify::unverified(&self.plan, &self.observer.snapshot, &pins);
            self.note_report(ready, unverified.is_none());
            let found = self.observer.fingerprints();
            // While the server is down, the absence of changes means nothing, and the time does not count.
            let unseen = self.blind_for(&mut blind)?;
            if found != templates || blind.is_some() {
                (templates, quiet_since) = (found, now);
            }
            let calm = now >= quiet_since + SETTLE;
            troubled = match troubled {
                _ if calm && unverified.is_none() => None,
                since => Some(since.map_or(now, |since| since + unseen)),
            };
            let limit = troubled.unwrap_or(now) + self.options.bounds.pod_timeout;
            if !calm {
                self.bear_restlessness(limit)?;
                self.wait(quiet_since + SETTLE).await?;
                continue;
            }
            match unverified {
                None => match self.reported_ready(ready, fresh).await? {
                    None => return Ok(()),
                    Some(until) => self.wait(until).await?,
                },
                Some(unverified) if unverified.passing() && now < limit => self.wait(limit).await?,
                // It was the target when this run resumed the operator.
                Some(Unverified::Version { expected, found }) if self.expected.version => {
                    return Err(Blocked::UnexpectedVersion { expected, found }.into());
                }
                Some(unverified) => return Err(unverified.into()),
            }
        }
    }

    /// The run sets `spec.version`, in this process or in an earlier one.
    fn changes_version(&self) -> bool {
        let begun = self.options.story.resuming.as_ref().map(|entry| &entry.run.plan);
        std::iter::once(&*self.plan).chain(begun).any(|plan| plan.from != plan.to)
    }

    /// Notes what KubeDB reports while everything is on the target: news can only come from an operator.
    fn note_report(&mut self, ready: &mut Ready, complete: bool) {
        ready.note(complete, &self.observer.snapshot.database, self.narrator.now());
        if ready.news {
            self.ledger.operator = Operator::Confirmed;
        }
    }

    /// Until when to wait for KubeDB to report that the database is Ready; `None` if it has, or is not waited for.
    async fn reported_ready(
        &mut self,
        ready: &mut Ready,
        fresh: bool,
    ) -> Result<Option<Duration>, StopReason> {
        let (now, patience) = (self.narrator.now(), self.options.bounds.wait_ready);
        let Some((_, since)) = ready.complete.as_ref().filter(|_| !patience.is_zero()) else {
            return Ok(None);
        };
        let (since, db, began) = (*since, &self.observer.snapshot.database, *ready.began.get_or_insert(now));
        let reported = Reported::of(db);
        let alive = self.ledger.operator == Operator::Confirmed
            || self.changes_version() && s6_verify::reported_since_the_change(db);
        let slowest = db.health_checker.reports_within();
        let (before, deadline, wake) =
            match s6_verify::health(&reported, ready.news, now - since, slowest, alive) {
                Health::Ready => return Ok(None),
                Health::Stands if fresh => return Ok(None),
                // The watch may not have reported a failure yet.
                Health::Stands => (true, now, now),
                Health::Before { within: Some(within) } => {
                    (true, began + patience.max(within.min(STANDS)), since + within)
                }
                Health::Before { within: None } => (true, began + patience, Duration::MAX),
                Health::NotReady => (false, began + patience, Duration::MAX),
            };
        if now >= deadline {
            if fresh {
                let ended = WaitEnded::Late { seconds: patience.as_secs() };
                let unready = Unready { phase: reported.to_string(), before, ended };
                return Err(StopReason::NotReady { to: self.plan.to.name.clone(), unready });
            }
            self.read_database().await?;
            ready.fresh = true;
            return Ok(Some(now));
        }
        let on = WaitingOn::Phase { phase: reported.to_string(), before };
        self.tell_waiting(&mut ready.told, on);
        Ok(Some(wake.min(deadline)))
    }

    /// How the run has ended if it was stopped while only KubeDB's report was missing: the update is complete then.
    fn unready(&self, ready: &Ready, reason: &StopReason) -> Option<StopReason> {
        let ended = match *reason {
            StopReason::TimedOut { seconds, .. } => WaitEnded::TimedOut { seconds },
            StopReason::Stopped { signal } => WaitEnded::Stopped { signal },
            _ => return None,
        };
        let reported = Reported::of(&self.observer.snapshot.database);
        let complete = ready.began.is_some() && ready.complete.is_some();
        let unready = Unready { phase: reported.to_string(), before: reported.ready(), ended };
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
