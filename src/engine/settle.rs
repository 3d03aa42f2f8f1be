//! The end of the sequence: setting the version, resuming the operator, and verifying that the update is complete.

use std::time::Duration;

use crate::event::{Event, StepOutcome, WaitingOn};
use crate::journal::Entry;
use crate::model::Method;
use crate::retry::Retries;
use crate::steps::guard::OurPause;
use crate::steps::s1_pause;
use crate::steps::{Status, s4_set_version, s5_resume, s6_verify};

use super::run::{OUTAGE, Run};
use super::stop_reason::StopReason;

/// How long no template may change after the operator was resumed: it reconciles at once, and may pin images then.
pub(super) const SETTLE: Duration = Duration::from_secs(3);

/// How often our condition is removed again after an outdated status update has brought it back.
const REMOVALS: u32 = 5;

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

    /// Waits until nothing changes any more, then checks that the update is complete.
    pub async fn verify(&mut self) -> Result<StepOutcome, StopReason> {
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
            match s6_verify::unverified(&self.plan, &self.observer.snapshot, &pins) {
                None => break,
                Some(unverified) if unverified.passing() && now < limit => self.wait(limit).await?,
                Some(unverified) => return Err(unverified.into()),
            }
        }
        self.narrator.wait_over();
        // If the operator has rendered the templates, it pinned the images before the pods were restarted.
        let ours = self.plan.method == Method::Client;
        for (workload, container, image) in
            s6_verify::repinned(&self.plan, &self.observer.snapshot).into_iter().filter(|_| ours)
        {
            self.narrator.emit(Event::Repinned { workload, container, image });
        }
        if !self.ledger.operator_confirmed {
            self.narrator.note = "not confirmed by an operator".to_owned();
        }
        Ok(StepOutcome::Done)
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
