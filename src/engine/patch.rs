//! Sending writes, and the images of the templates.

use crate::cluster::{ClusterError, Delta};
use crate::event::{Event, StepOutcome};
use crate::model::{Check, Pod, Strategy, WorkloadPlan};
use crate::retry::Retries;
use crate::roll::order::{self, Unhealthy};
use crate::steps::{Blocked, Status, s2_patch_images};

use super::run::Run;
use super::stop_reason::StopReason;

impl Run {
    /// Patches every workload whose pods this tool evicts.
    pub async fn patch_images(&mut self) -> Result<StepOutcome, StopReason> {
        let pending: Vec<WorkloadPlan> =
            s2_patch_images::at_once(&self.plan, &self.observer.snapshot).cloned().collect();
        for workload in &pending {
            // Only a patch that restarts pods is ever held back.
            let _never_held = self.patch_workload(workload).await?;
        }
        Ok(if pending.is_empty() { StepOutcome::AlreadyDone } else { StepOutcome::Done })
    }

    /// Patches one workload, unless it has the images already, or the patch would restart pods while a pod of another
    /// workload is not healthy. Returns that pod.
    pub(super) async fn patch_workload(
        &mut self,
        plan: &WorkloadPlan,
    ) -> Result<Option<Unhealthy>, StopReason> {
        let uid = &plan.object.uid;
        let Some(write) = s2_patch_images::write(plan) else {
            // The plan does not change this workload; the templates must still be what the plan expects.
            return match self.observer.snapshot.workload(uid).map(|now| s2_patch_images::status(plan, now)) {
                Some(Status::Blocked(why)) => Err(why.into()),
                _ => Ok(None),
            };
        };
        let kept = self.expected.templates.remove(uid);
        let mut backoff = Retries::new();
        // The patch itself tests what it replaces. If it also restarts pods, the other conditions are reread first.
        let mut look_first = plan.strategy == Strategy::Follow;
        loop {
            if look_first {
                self.observe(plan).await?;
            }
            look_first = true;
            self.guard()?;
            let Some(now) = self.observer.snapshot.workload(uid) else {
                return Err(Blocked::WorkloadGone { workload: plan.object.to_string() }.into());
            };
            match s2_patch_images::status(plan, now) {
                Status::Blocked(why) => return Err(why.into()),
                Status::AlreadyDone => {
                    self.expected.templates.insert(uid.clone(), now.template);
                    return Ok(None);
                }
                Status::Ready if kept.is_some_and(|kept| kept != now.template) => {
                    return Err(Blocked::TemplateChanged { workload: plan.object.to_string() }.into());
                }
                Status::Ready => {}
            }
            self.interrupt.stop_here()?;
            if let Some(unhealthy) = self.unhealthy_beside(plan) {
                self.expected.templates.extend(kept.map(|kept| (uid.clone(), kept)));
                return Ok(Some(unhealthy));
            }
            match self.send(&write).await? {
                Ok(sent) => {
                    if let Some(workload) = sent.workload(plan.kind, &self.plan.database.uid)? {
                        self.expected.templates.insert(uid.clone(), workload.template);
                        self.observer.take_in(Delta::Workload(Box::new(workload)));
                    }
                    self.narrator.emit(Event::WorkloadPatched {
                        workload: plan.object.to_string(),
                        images: plan.images.clone(),
                    });
                    return Ok(None);
                }
                Err(error @ (ClusterError::Conflict { .. } | ClusterError::Transient { .. })) => {
                    self.back_off(&mut backoff, &format!("patch {}", plan.object), &error).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What forbids a patch that restarts healthy pods, unless the user has overridden it by name.
    fn unhealthy_beside(&self, plan: &WorkloadPlan) -> Option<Unhealthy> {
        let restarts = plan.strategy == Strategy::Follow
            && !plan.kind.serves_only()
            && !self.options.skip.contains(&Check::PodNotReady);
        let healthy = self
            .observer
            .snapshot
            .workload(&plan.object.uid)
            .is_some_and(|w| self.observer.snapshot.pods_of(w).all(Pod::healthy));
        (restarts && healthy)
            .then(|| order::beside(&self.plan, plan, &self.observer.snapshot, &self.memory))?
    }
}
