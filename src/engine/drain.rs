//! Draining a pod before it is evicted: it takes on no new work, and what it does is waited for.

use crate::event::WaitingOn;
use crate::kinds;
use crate::model::{Pod, WorkloadPlan};

use super::drained::Drained;
use super::roll::Roll;
use super::run::Run;
use super::stop_reason::StopReason;

impl Run {
    /// Drains the pod, where its kind has that. `false` means that its work was waited for, and everything must be decided
    /// again.
    pub(super) async fn drained(
        &mut self,
        roll: &mut Roll<'_>,
        owner: &WorkloadPlan,
        pod: &Pod,
    ) -> Result<bool, StopReason> {
        let drains = self.plan.kind.facts().questions.drains;
        let limit = self.options.bounds.drain;
        if limit.is_zero() || self.plan.health.is_none() || !pod.healthy() || !drains(&owner.role) {
            return Ok(true);
        }
        if self.drained.as_ref().is_none_or(|drained| drained.place.uid != pod.uid) {
            self.drain(pod).await?;
        }
        let busy = self.busy(pod);
        let Some(drained) = &mut self.drained else { return Ok(true) };
        drained.idle |= busy.is_empty();
        if drained.idle || !drained.told {
            return Ok(true);
        }
        let until = drained.since + limit;
        if self.narrator.now() >= until {
            self.narrator.notice(format!(
                "pod {} still had work after the {} s of --drain-timeout, and is restarted all the same: {}",
                pod.name,
                limit.as_secs(),
                busy.join(", ")
            ));
            drained.idle = true;
            return Ok(true);
        }
        self.tell_pod(roll, &pod.name, WaitingOn::Drain { work: busy, timeout_seconds: limit.as_secs() });
        self.wait(until).await?;
        Ok(false)
    }

    /// The pod is drained and has nothing left to do: it goes, whatever the database says of a member that serves nobody.
    pub(super) fn is_drained(&self, uid: &str) -> bool {
        self.drained.as_ref().is_some_and(|drained| drained.place.uid == uid && drained.told && drained.idle)
    }

    async fn drain(&mut self, pod: &Pod) -> Result<(), StopReason> {
        self.undrain().await;
        let roster = kinds::roster(&self.observer.snapshot);
        let place = roster.places.into_iter().find(|place| place.uid == pod.uid);
        let (Some(place), Some(asking)) = (place, &self.observer.asking) else { return Ok(()) };
        let told = self.interrupt.during(asking.drain(place.clone(), true)).await?;
        if let Err(why) = &told {
            self.narrator.notice(format!(
                "pod {} could not be drained and is restarted all the same: {}",
                pod.name, why.message
            ));
        }
        let since = self.narrator.now();
        self.drained = Some(Drained { place, since, told: told.unwrap_or_default(), idle: false });
        Ok(())
    }

    /// What the pod still does, as the database said last.
    fn busy(&self, pod: &Pod) -> Vec<String> {
        let member = self.observer.snapshot.said().and_then(|health| health.member(&pod.name));
        member.filter(|member| member.uid == pod.uid).map(|member| member.busy.clone()).unwrap_or_default()
    }

    /// A pod that was drained and not evicted takes on work again.
    pub(super) async fn undrain(&mut self) {
        let Some(drained) = self.drained.take().filter(|drained| drained.told) else { return };
        let Some(asking) = &self.observer.asking else { return };
        let pod = drained.place.pod.clone();
        if let Err(why) = asking.drain(drained.place, false).await {
            self.narrator.notice(format!(
                "pod {pod} was drained and not restarted, and still takes on no new work: {}; a restart ends that",
                why.message
            ));
        }
    }
}
