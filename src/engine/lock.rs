//! Taking the lock, and keeping it.

use std::hash::{BuildHasher, Hasher, RandomState};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Duration, sleep};

use crate::cluster::{HeldLease, LockError, RENEW_EVERY};
use crate::event::StepOutcome;
use crate::model::Method;
use crate::retry::Retries;

use super::run::Run;
use super::stop_reason::StopReason;

/// How long the renewal pauses at most after one that got no answer.
const RENEW_AGAIN: Duration = Duration::from_secs(1);

/// The lock of a run, and the task that renews it.
pub(super) struct Lock {
    /// Absent until it is taken.
    pub lease: Option<HeldLease>,
    pub renewal: Option<Renewal>,
    to_lost: watch::Sender<Option<String>>,
}

impl Lock {
    /// `to_lost` hears why the lock was lost.
    pub fn new(to_lost: watch::Sender<Option<String>>) -> Self {
        Lock { lease: None, renewal: None, to_lost }
    }

    /// Holds it from here on.
    fn keep(&mut self, lease: HeldLease) {
        self.renewal = Some(Renewal(tokio::spawn(renew(lease.clone(), self.to_lost.clone()))));
        self.lease = Some(lease);
    }

    /// It is held for long enough to write.
    pub fn good(&self) -> bool {
        self.lease.as_ref().is_some_and(HeldLease::good)
    }
}

/// The task that renews the lock; it ends when this is dropped.
pub(super) struct Renewal(JoinHandle<()>);

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Run {
    /// Takes the lock, then reads everything anew: whatever has changed since the plan was made shows here.
    pub async fn lock(&mut self) -> Result<StepOutcome, StopReason> {
        self.interrupt.stop_here()?;
        // A run that is gone on with keeps its id, so each process needs a name of its own.
        let process = RandomState::new().build_hasher().finish() & 0xffff_ffff;
        let holder =
            format!("{} (run {}, process {process:08x})", self.options.caller.who, self.options.caller.run);
        let dead = self.observer.snapshot.lock.clone().filter(|l| !l.alive);
        if let Some(dead) = &dead {
            self.narrator.note = format!("taken over from {}, whose lease had expired", dead.holder);
        }
        let (plan, clock) = (&self.plan, &self.options.clock);
        let taking =
            self.observer.cluster.take_lock(plan.kind, &plan.database, dead.as_ref(), &holder, clock);
        let lease = self.interrupt.during(taking).await??;
        // Whoever may make a lease and not renew it must hear so before the first change.
        let renewed = self.interrupt.during(lease.renew()).await?;
        if let Err(LockError::Cluster(error)) = &renewed
            && !error.transient()
        {
            let _ = lease.release().await;
            return Err(error.clone().into());
        }
        self.lock.keep(lease);
        self.follow().await?;
        self.guard()?;
        self.as_planned()?;
        self.ledger.started_with =
            self.observer.snapshot.workloads.iter().map(|w| (w.object.uid.clone(), w.template)).collect();
        if self.plan.method == Method::Client {
            // What changes in them from here on was not there when the run was decided.
            self.keep_templates();
        }
        self.try_writes().await?;
        self.open_journal().await?;
        self.begin_announcing();
        Ok(StepOutcome::Done)
    }

    /// From here on no template may change.
    pub(super) fn keep_templates(&mut self) {
        self.expected.templates =
            self.observer.snapshot.workloads.iter().map(|w| (w.object.uid.clone(), w.template)).collect();
    }

    /// The workloads are still as the plan found them, or nearer to the target.
    fn as_planned(&self) -> Result<(), StopReason> {
        for planned in &self.plan.workloads {
            let Some(now) = self.observer.snapshot.workload(&planned.object.uid) else {
                let workload = planned.object.to_string();
                return Err(crate::steps::Blocked::WorkloadGone { workload }.into());
            };
            // Elsewhere the templates are not ours, and may be on their way.
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

/// Renews the lock for as long as the run lasts, and tells when it is lost.
async fn renew(lease: HeldLease, lost: tokio::sync::watch::Sender<Option<String>>) {
    let begin = || Retries::new().at_most(RENEW_AGAIN);
    let (mut pause, mut retries) = (RENEW_EVERY, begin());
    loop {
        sleep(pause).await;
        pause = match lease.renew().await {
            Ok(()) => {
                retries = begin();
                RENEW_EVERY
            }
            Err(LockError::Cluster(_)) => retries.pause(Duration::MAX).unwrap_or(RENEW_AGAIN),
            Err(error) => {
                let _ = lost.send(Some(error.to_string()));
                return;
            }
        };
    }
}
