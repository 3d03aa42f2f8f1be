//! Waiting for a pod of another workload that is missing: no healthy pod is restarted before it is back.

use crate::model::{Snapshot, Workload};
use crate::roll::order::needs;
use crate::roll::{Flight, Verdict, judge};

use super::roll::Roll;
use super::run::Run;
use super::stop_reason::StopReason;

impl Run {
    /// The uid of the workload whose pod of that name is missing; `None` if it is there, or nobody needs it.
    pub(super) fn misses(&self, pod: &str) -> Option<String> {
        let snapshot = &self.observer.snapshot;
        let planned = self.plan.workloads.iter().filter_map(|w| snapshot.workload(&w.object.uid));
        planned.into_iter().find(|w| lacks(snapshot, w, pod)).map(|w| w.object.uid.clone())
    }

    /// Waits until the pod is there again, or no longer needed. Nothing of ours restarts it, so the run can be stopped at
    /// any moment.
    ///
    /// # Errors
    /// Its controller does not create it in time, or says that it cannot.
    pub(super) async fn await_missing(
        &mut self,
        roll: &mut Roll<'_>,
        pod: &str,
        owner: &str,
    ) -> Result<(), StopReason> {
        let mut flight = Flight::awaited(pod, owner, self.narrator.now());
        while self.misses(pod).as_deref() == Some(owner) {
            self.guard()?;
            self.interrupt.stop_here()?;
            let now = self.narrator.now();
            flight.observe(None, now);
            self.ask_why_missing(roll, &mut flight).await?;
            match judge(&flight, None, roll.limits, now) {
                Verdict::Progress { on, until } => {
                    self.tell_pod(roll, pod, on.clone());
                    let waited = self.wait(until).await;
                    waited.map_err(|reason| {
                        reason.while_waiting(pod, on, self.narrator.now() - flight.began)
                    })?;
                }
                Verdict::Stuck(stuck) => self.believe(owner, pod, None, stuck).await?,
                Verdict::Done { .. } | Verdict::Outdated => return Ok(()),
            }
        }
        Ok(())
    }
}

fn lacks(snapshot: &Snapshot, workload: &Workload, pod: &str) -> bool {
    needs(workload, pod) && snapshot.pods_of(workload).all(|p| p.name != pod)
}
