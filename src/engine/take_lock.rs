//! Taking the lock, and checking that everything still is as the plan expects.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::cluster::{HeldLease, LockError};
use crate::event::StepOutcome;
use crate::model::Method;

use super::observer::Places;
use super::run::Run;
use super::stop_reason::StopReason;

/// The name by which a process holds the lock. A resumed run keeps its id, so each process needs a name of its own.
pub fn holder(who: &str, run: &str) -> String {
    let process = RandomState::new().build_hasher().finish() & 0xffff_ffff;
    format!("{who} (run {run}, process {process:08x})")
}

impl Run {
    /// Takes the lock, then rereads everything: this shows whatever has changed since the plan was made.
    pub async fn lock(&mut self) -> Result<StepOutcome, StopReason> {
        self.interrupt.stop_here()?;
        let holder = holder(&self.options.caller.who, &self.options.caller.run);
        let dead = self.observer.snapshot.lock.clone().filter(|l| !l.alive);
        if let Some(dead) = &dead {
            self.narrator.note = format!("taken over from {}, whose lease had expired", dead.holder);
        }
        let (plan, clock) = (&self.plan, &self.options.clock);
        let taking =
            self.observer.cluster.take_lock(plan.kind, &plan.database, dead.as_ref(), &holder, clock);
        let lease = self.interrupt.during(taking).await??;
        self.lock.keep(lease.clone());
        self.begin_following(&lease).await?;
        self.guard()?;
        self.as_planned()?;
        self.ledger.started_with = self.observer.fingerprints();
        if self.plan.method == Method::Client {
            // From here on, a changed template differs from the one that was planned from.
            self.keep_templates();
        }
        self.try_writes().await?;
        self.until_watched().await?;
        self.open_journal().await?;
        self.remove_left_pods().await?;
        self.begin_announcing();
        Ok(StepOutcome::Done)
    }

    /// Rereads everything, and begins to watch it from there. At the same time the lock is renewed: a user who may create a
    /// lease but not renew it must learn that before the first change.
    async fn begin_following(&mut self, lease: &HeldLease) -> Result<(), StopReason> {
        let (before, sink) = (self.observer.snapshot.to_read_anew(), self.observer.sink());
        // Its future is large.
        let following = Box::pin(async { Ok(self.observer.cluster.follow(before, sink).await?) });
        let both = async { tokio::try_join!(may_renew(lease), following) };
        let ((), (snapshot, watches)) = self.interrupt.during(both).await??;
        (self.observer.snapshot, self.observer.watches) = (snapshot, Some(watches));
        self.note_places(Places::All);
        Ok(())
    }

    /// From here on no template may change.
    pub(super) fn keep_templates(&mut self) {
        self.expected.templates = self.observer.fingerprints();
    }

    /// The workloads are still as the plan found them, or closer to the target.
    fn as_planned(&self) -> Result<(), StopReason> {
        for planned in &self.plan.workloads {
            let Some(now) = self.observer.snapshot.workload(&planned.object.uid) else {
                let workload = planned.object.to_string();
                return Err(crate::steps::Blocked::WorkloadGone { workload }.into());
            };
            // With the other methods the templates are not changed by this tool, and may be changing right now.
            let ours = self.plan.method == Method::Client;
            if let crate::steps::Status::Blocked(why) = crate::steps::s2_patch_images::status(planned, now)
                && ours
            {
                return Err(why.into());
            }
        }
        if let crate::steps::Status::Blocked(why) =
            crate::steps::s4_set_version::status(&self.plan, &self.observer.snapshot.database)
        {
            return Err(why.into());
        }
        Ok(())
    }
}

/// Renews the lock. A failure that may go away is left to the next renewals.
async fn may_renew(lease: &HeldLease) -> Result<(), StopReason> {
    match lease.renew().await {
        Err(LockError::Cluster(error)) if error.transient() => Ok(()),
        renewed => Ok(renewed?),
    }
}
