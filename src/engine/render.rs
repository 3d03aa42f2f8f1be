//! The way through the Provisioner: the version first, then waiting for the operator's templates.

use std::time::Duration;

use crate::event::{Event, StepOutcome, WaitingOn};
use crate::steps::Blocked;
use crate::steps::render::{self, Rendered};
use crate::steps::s1_pause::{self, Pause};

use super::run::Run;
use super::settle::{REMOVALS, SETTLE};
use super::stop_reason::StopReason;

/// How long the operator may take for its first or its next template: it may be electing a leader, which takes some 15 s,
/// or have many databases before this one.
const PATIENCE: Duration = Duration::from_secs(120);

impl Run {
    /// Sets `spec.version`, and waits until every template has followed it and nothing moves any more. A pause of ours is
    /// lifted for that, where it is still in the way.
    pub async fn render(&mut self) -> Result<StepOutcome, StopReason> {
        let version_is_there = self.snapshot.database.version == self.plan.to.name;
        if version_is_there && render::rendered(&self.plan, &self.snapshot) == Rendered::All && self.paused()
        {
            self.version_holds = true;
            return Ok(StepOutcome::AlreadyDone);
        }
        self.version_holds = false;
        if render::foreign(&self.plan, &self.snapshot) {
            // Left to the version that it still has, the operator would render that one first.
            self.set_version().await?;
        }
        // No template is kept from here on: they are the operator's until it is halted.
        self.resume().await?;
        self.set_version().await?;
        self.version_holds = true;
        self.follow_rendering().await?;
        Ok(if version_is_there { StepOutcome::AlreadyDone } else { StepOutcome::Done })
    }

    fn paused(&self) -> bool {
        s1_pause::status(&self.snapshot.database) == Pause::Acknowledged
    }

    async fn follow_rendering(&mut self) -> Result<(), StopReason> {
        let patience = PATIENCE.max(self.options.pause_timeout);
        let limit = self.now() + self.options.pod_timeout.max(patience);
        let (mut templates, mut moved, mut told) = (self.fingerprints(), self.now(), None);
        let (mut removals, mut quiet, mut blind) = (0, moved, None);
        loop {
            self.blocked()?;
            self.stop_here()?;
            if self.brought_back() && removals < REMOVALS {
                // While it is there nothing is rendered.
                removals += 1;
                self.resume().await?;
                self.emit(Event::PauseRemovedAgain);
                continue;
            }
            let (found, now) = (self.fingerprints(), self.now());
            // What could not be seen has neither moved nor stood still, and a watch is opened anew every few minutes.
            moved += self.blind_for(&mut blind)?;
            if found != templates {
                (templates, moved, quiet) = (found, now, now);
            }
            if blind.is_some() {
                quiet = now;
                self.wait(now + SETTLE).await?;
                continue;
            }
            let until = match render::rendered(&self.plan, &self.snapshot) {
                Rendered::WorkloadGone { workload } => return Err(Blocked::WorkloadGone { workload }.into()),
                Rendered::All if now >= quiet + SETTLE => break,
                Rendered::All => {
                    self.bear_restlessness(limit)?;
                    let settling = WaitingOn::Settling { seconds: SETTLE.as_secs() };
                    self.tell_waiting(&mut told, settling);
                    quiet + SETTLE
                }
                Rendered::Not { workload, what } if now >= moved + patience => {
                    return Err(self.not_rendered(workload, what, patience).await);
                }
                Rendered::Not { workload, what } => {
                    self.tell_waiting(&mut told, WaitingOn::Rendering { workload, what });
                    moved + patience
                }
            };
            self.wait(until).await?;
        }
        self.wait_over();
        Ok(())
    }

    fn tell_waiting(&mut self, told: &mut Option<WaitingOn>, on: WaitingOn) {
        if told.as_ref() != Some(&on) {
            *told = Some(on.clone());
            self.waiting(on);
        }
    }

    /// The last Event about the database often says why.
    async fn not_rendered(&mut self, workload: String, what: String, patience: Duration) -> StopReason {
        let (cluster, db) = (self.cluster.clone(), self.plan.database.clone());
        let asking = async move { cluster.last_warning(&db.namespace, &db.uid).await };
        match self.during(asking).await {
            Ok(last_event) => {
                StopReason::NotRendered { workload, what, seconds: patience.as_secs(), last_event }
            }
            Err(reason) => reason,
        }
    }

    /// Now that the operator is halted: the templates are what was waited for, and stay so.
    pub(super) fn keep_rendered(&mut self) -> Result<(), StopReason> {
        self.catch_up();
        match render::rendered(&self.plan, &self.snapshot) {
            Rendered::All => {
                self.keep_templates();
                Ok(())
            }
            Rendered::Not { workload, .. } => Err(Blocked::TemplateChanged { workload }.into()),
            Rendered::WorkloadGone { workload } => Err(Blocked::WorkloadGone { workload }.into()),
        }
    }
}
