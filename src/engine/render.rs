//! The method provisioner: sets the version first, then waits until the operator has rendered the templates.

use std::time::Duration;

use crate::event::{StepOutcome, WaitingOn};
use crate::steps::Blocked;
use crate::steps::render::{self, Rendered};
use crate::steps::s1_pause::{self, Pause};

use super::run::Run;
use super::settle::SETTLE;
use super::stop_reason::StopReason;

/// How long the operator may take for its first or its next template: it may be electing a leader, which takes some 15
/// s, or be busy with other databases.
const PATIENCE: Duration = Duration::from_secs(120);

impl Run {
    /// Sets `spec.version` and waits until every template matches it and nothing changes any more. Our own pause is
    /// removed first if it is still there, because a paused operator renders nothing.
    pub async fn render(&mut self) -> Result<StepOutcome, StopReason> {
        let version_is_there = self.observer.snapshot.database.version == self.plan.to.name;
        if version_is_there
            && render::rendered(&self.plan, &self.observer.snapshot) == Rendered::All
            && self.paused()
        {
            self.expected.version = true;
            return Ok(StepOutcome::AlreadyDone);
        }
        self.expected.version = false;
        if render::foreign(&self.plan, &self.observer.snapshot) {
            // If the pause were removed while the database still has the old version, the operator would render that
            // one first.
            self.set_version().await?;
        }
        // From here on the templates may change, because the operator renders them until it is paused.
        self.resume().await?;
        self.set_version().await?;
        self.expected.version = true;
        self.follow_rendering().await?;
        Ok(if version_is_there { StepOutcome::AlreadyDone } else { StepOutcome::Done })
    }

    fn paused(&self) -> bool {
        s1_pause::status(&self.observer.snapshot.database) == Pause::Acknowledged
    }

    async fn follow_rendering(&mut self) -> Result<(), StopReason> {
        let patience = PATIENCE.max(self.options.bounds.pause_timeout);
        let limit = self.narrator.now() + self.options.bounds.pod_timeout.max(patience);
        let (mut templates, mut moved, mut told) = (self.observer.fingerprints(), self.narrator.now(), None);
        let (mut removals, mut quiet, mut blind) = (0, moved, None);
        loop {
            self.guard()?;
            self.interrupt.stop_here()?;
            // While the pause is there, nothing is rendered.
            if self.removes_again(&mut removals).await? {
                continue;
            }
            let (found, now) = (self.observer.fingerprints(), self.narrator.now());
            // Time in which something was not watched counts neither as progress nor as a standstill; every watch is
            // reopened every few minutes.
            moved += self.blind_for(&mut blind)?;
            if found != templates {
                (templates, moved, quiet) = (found, now, now);
            }
            if blind.is_some() {
                quiet = now;
                self.wait(now + SETTLE).await?;
                continue;
            }
            let until = match render::rendered(&self.plan, &self.observer.snapshot) {
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
        self.narrator.wait_over();
        Ok(())
    }

    pub(super) fn tell_waiting(&mut self, told: &mut Option<WaitingOn>, on: WaitingOn) {
        if told.as_ref() != Some(&on) {
            *told = Some(on.clone());
            self.narrator.waiting(on);
        }
    }

    /// The last Event of the database often says why.
    async fn not_rendered(&mut self, workload: String, what: String, patience: Duration) -> StopReason {
        let db = &self.plan.database;
        let asking = self.observer.cluster.last_warning(&db.namespace, &db.uid);
        match self.interrupt.during(asking).await {
            Ok(last_event) => {
                StopReason::NotRendered { workload, what, seconds: patience.as_secs(), last_event }
            }
            Err(reason) => reason,
        }
    }

    /// Once the operator is paused, the templates are the expected ones and must not change any more.
    pub(super) fn keep_rendered(&mut self) -> Result<(), StopReason> {
        self.catch_up();
        match render::rendered(&self.plan, &self.observer.snapshot) {
            Rendered::All => {
                self.keep_templates();
                Ok(())
            }
            Rendered::Not { workload, .. } => Err(Blocked::TemplateChanged { workload }.into()),
            Rendered::WorkloadGone { workload } => Err(Blocked::WorkloadGone { workload }.into()),
        }
    }
}
