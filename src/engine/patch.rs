//! Sending writes, and the images of the templates.

use crate::cluster::{ClusterError, Delta, FORBIDDEN_DOUBT, Sent};
use crate::event::{Event, StepOutcome};
use crate::model::{Check, Pod, Purpose, Strategy, WorkloadKind, WorkloadPlan, Write};
use crate::roll::order::{self, Unhealthy};
use crate::steps::{Blocked, Status, s2_patch_images};

use super::run::{Backoff, Run};
use super::stop_reason::StopReason;

impl Run {
    /// Patches every workload whose pods we evict.
    pub async fn patch_images(&mut self) -> Result<StepOutcome, StopReason> {
        let pending: Vec<WorkloadPlan> =
            s2_patch_images::at_once(&self.plan, &self.snapshot).cloned().collect();
        for workload in &pending {
            // Only a patch that restarts pods is ever held back.
            let _never_held = self.patch_workload(workload).await?;
        }
        Ok(if pending.is_empty() { StepOutcome::AlreadyDone } else { StepOutcome::Done })
    }

    /// Patches one workload, unless it has the images already, or the patch would restart pods while one elsewhere is not
    /// well: that one is returned.
    pub(super) async fn patch_workload(
        &mut self,
        plan: &WorkloadPlan,
    ) -> Result<Option<Unhealthy>, StopReason> {
        let uid = &plan.object.uid;
        let Some(write) = s2_patch_images::write(plan) else {
            // There was nothing to do for it. That has to be so still.
            return match self.snapshot.workload(uid).map(|now| s2_patch_images::status(plan, now)) {
                Some(Status::Blocked(why)) => Err(why.into()),
                _ => Ok(None),
            };
        };
        let kept = self.templates.remove(uid);
        let mut backoff = Backoff::new(self.now());
        // The patch itself tests what it replaces. Where it restarts pods as well, what it depends on is read afresh.
        let mut look_first = plan.strategy == Strategy::Follow;
        loop {
            if look_first {
                self.observe(plan).await?;
            }
            look_first = true;
            self.catch_up();
            self.blocked()?;
            let Some(now) = self.snapshot.workload(uid) else {
                return Err(Blocked::WorkloadGone { workload: plan.object.to_string() }.into());
            };
            match s2_patch_images::status(plan, now) {
                Status::Blocked(why) => return Err(why.into()),
                Status::AlreadyDone => {
                    self.templates.insert(uid.clone(), now.template);
                    return Ok(None);
                }
                Status::Ready if kept.is_some_and(|kept| kept != now.template) => {
                    return Err(Blocked::TemplateChanged { workload: plan.object.to_string() }.into());
                }
                Status::Ready => {}
            }
            self.stop_here()?;
            if let Some(unhealthy) = self.unhealthy_beside(plan) {
                self.templates.extend(kept.map(|kept| (uid.clone(), kept)));
                return Ok(Some(unhealthy));
            }
            match self.send(&write).await? {
                Ok(sent) => {
                    let workload = sent.workload(plan.kind, &self.plan.database.uid)?;
                    if let Some(workload) = workload {
                        self.templates.insert(uid.clone(), workload.template);
                        Delta::Workload(Box::new(workload)).apply(&mut self.snapshot);
                    }
                    self.emit(Event::WorkloadPatched {
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

    /// What keeps a patch that restarts well pods from being sent, unless the user has overridden it by name.
    fn unhealthy_beside(&self, plan: &WorkloadPlan) -> Option<Unhealthy> {
        let restarts = plan.strategy == Strategy::Follow
            && plan.kind != WorkloadKind::Deployment
            && !self.options.skip.contains(&Check::PodNotReady);
        let healthy = self
            .snapshot
            .workload(&plan.object.uid)
            .is_some_and(|w| self.snapshot.pods_of(w).all(Pod::healthy));
        (restarts && healthy).then(|| order::beside(&self.plan, plan, &self.snapshot, &self.memory))?
    }

    /// Reads the database and a workload afresh, side by side: what the next write depends on. While something is not
    /// watched, everything is read.
    pub(super) async fn observe(&mut self, plan: &WorkloadPlan) -> Result<(), StopReason> {
        if !self.watching() {
            // Seldom done, and large: it need not lie on the stack of everything that observes.
            return Box::pin(self.observe_all(plan)).await;
        }
        let (cluster, kind, db) = (self.cluster.clone(), self.plan.kind, self.plan.database.clone());
        let workload = plan.object.clone();
        let workload_kind = plan.kind;
        let (database, workload) = self
            .during(async move {
                tokio::join!(
                    cluster.database(kind, &db.api_version, &db.namespace, &db.name),
                    cluster.workload(workload_kind, &workload.namespace, &workload.name, &db.uid),
                )
            })
            .await?;
        self.catch_up();
        match database {
            Ok(db) => Delta::Database(Box::new(db)).apply(&mut self.snapshot),
            Err(ClusterError::NotFound { .. }) => return Err(Blocked::DatabaseGone.into()),
            Err(error) => return Err(error.into()),
        }
        let gone = || Blocked::WorkloadGone { workload: plan.object.to_string() };
        match workload {
            Ok(Some(now)) if now.object.uid == plan.object.uid => {
                Delta::Workload(Box::new(now)).apply(&mut self.snapshot);
            }
            Ok(_) | Err(ClusterError::NotFound { .. }) => return Err(gone().into()),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Reads everything afresh.
    pub(super) async fn observe_all(&mut self, plan: &WorkloadPlan) -> Result<(), StopReason> {
        self.read_everything().await?;
        match self.snapshot.workload(&plan.object.uid) {
            Some(_) => Ok(()),
            None => Err(Blocked::WorkloadGone { workload: plan.object.to_string() }.into()),
        }
    }

    pub(super) async fn read_everything(&mut self) -> Result<(), StopReason> {
        let (cluster, before) = (self.cluster.clone(), self.snapshot.to_read_anew());
        match self.during(async move { cluster.again(before).await }).await? {
            Ok(fresh) => self.snapshot = fresh,
            Err(ClusterError::NotFound { .. }) => return Err(Blocked::DatabaseGone.into()),
            Err(error) => return Err(error.into()),
        }
        self.catch_up();
        Ok(())
    }

    /// Sends a write once, under the lock. What it changes counts as changed unless the server has surely refused it. A
    /// 403 that contradicts an earlier answer is doubted for a while: it comes back as a failure that may pass, so that
    /// whoever sends it again decides anew before.
    pub(super) async fn send(&mut self, write: &Write) -> Result<Result<Sent, ClusterError>, StopReason> {
        let harmless =
            matches!(write.purpose, Purpose::RequestPause | Purpose::AssertPause | Purpose::Resume);
        let before = self.changed;
        self.hold().await?;
        self.changed |= !harmless;
        let (cluster, sent) = (self.cluster.clone(), write.clone());
        let answer = self.during_write(async move { cluster.send(&sent, false).await }).await?;
        let this = (write.purpose, write.object.to_string());
        let since =
            self.forbidden_since.take_if(|(purpose, object, _)| (*purpose, &*object) == (this.0, &this.1));
        let Err(error) = answer else { return Ok(answer) };
        if surely_refused(&error) {
            self.changed = before;
        }
        if !matches!(error, ClusterError::Forbidden { .. }) || !self.cluster.was_allowed_to(write) {
            return Ok(Err(error));
        }
        let since = since.map_or(self.now(), |(.., since)| since);
        if self.now() >= since + FORBIDDEN_DOUBT {
            return Ok(Err(error));
        }
        self.forbidden_since = Some((this.0, this.1, since));
        Ok(Err(error.doubted()))
    }
}

/// The write has not been carried out: the server said so, or was never reached.
fn surely_refused(error: &ClusterError) -> bool {
    match error {
        ClusterError::Transient { refusal, .. } => refusal.unreachable,
        ClusterError::Unexpected { .. } => false,
        _ => true,
    }
}
