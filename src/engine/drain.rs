//! Draining a pod before it is evicted: it takes on no new work, and what it does is waited for.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::event::WaitingOn;
use crate::kinds::{self, Drain};
use crate::model::{Place, Pod, WorkloadPlan};
use crate::steps::leftover;

use super::Stop;
use super::drained::{Drained, How};
use super::roll::Roll;
use super::run::Run;
use super::stop_reason::StopReason;

/// How long it may take to tell pods that they take on work again: a question that is on its way is answered first.
const TELL: Duration = Duration::from_secs(11);

/// The same after a second Ctrl-C.
const TELL_NOW: Duration = Duration::from_secs(2);

impl Run {
    /// Drains the pod, where its kind has that. `false` means that everything must be decided again: the pod was only just
    /// told, or its work was waited for.
    pub(super) async fn drained(
        &mut self,
        roll: &mut Roll<'_>,
        owner: &WorkloadPlan,
        pod: &Pod,
    ) -> Result<bool, StopReason> {
        let limit = self.options.bounds.drain;
        let drain = (self.plan.kind.facts().questions.drain)(&owner.role);
        let Some(drain) = drain.filter(|_| !limit.is_zero() && self.plan.health.is_some() && pod.healthy())
        else {
            return Ok(true);
        };
        if self.drained.as_ref().is_none_or(|drained| drained.place.uid != pod.uid) {
            self.drain(pod, drain).await?;
            // Who serves nobody any more goes at once; what another one still does is asked afresh.
            self.memory.vitals.ask_afresh(self.narrator.now());
            return Ok(drain == Drain::Service || self.drained.is_none());
        }
        let busy = self.busy(pod);
        let now = self.narrator.now();
        let Some(drained) = self.drained.as_mut().filter(|drained| drained.how == How::Work) else {
            return Ok(true);
        };
        let until = drained.since + limit;
        if busy.is_empty() {
            return Ok(true);
        }
        if now >= until {
            drained.how = How::Late;
            self.narrator.notice(format!(
                "pod {} still had work after the {} s of --drain-timeout, and is restarted all the same: {}",
                pod.name,
                limit.as_secs(),
                busy.join(", ")
            ));
            return Ok(true);
        }
        self.tell_pod(roll, &pod.name, WaitingOn::Drain { work: busy, timeout_seconds: limit.as_secs() });
        self.wait(until).await?;
        Ok(false)
    }

    /// The pod serves nobody any more: it goes, whatever the database says of it.
    pub(super) fn serves_nobody(&self, uid: &str) -> bool {
        self.drained.as_ref().is_some_and(|drained| drained.place.uid == uid && drained.how == How::Service)
    }

    async fn drain(&mut self, pod: &Pod, drain: Drain) -> Result<(), StopReason> {
        self.undrain_others(&pod.uid).await;
        let roster = kinds::roster(&self.observer.snapshot);
        let place = roster.places.into_iter().find(|place| place.uid == pod.uid);
        let Some(place) = place.filter(|_| self.observer.asking.is_some()) else { return Ok(()) };
        let since = self.narrator.now();
        if drain == Drain::Work {
            self.journal_drained(&place).await?;
        }
        let Some(asking) = &self.observer.asking else { return Ok(()) };
        // Noted first: if the run ends meanwhile, the pod may have been told.
        self.drained = Some(Drained { place: place.clone(), since, how: How::Not });
        let told = self.interrupt.during(asking.drain(place.clone(), true)).await?;
        let how = match drain {
            Drain::Work => How::Work,
            Drain::Service => How::Service,
        };
        match told {
            Ok(true) => self.drained = Some(Drained { place, since, how }),
            // There is nothing to take back.
            Ok(false) => {
                self.drained = None;
                self.ledger.no_longer_drained(&pod.uid);
            }
            Err(why) => self.narrator.notice(format!(
                "pod {} could not be drained and is restarted all the same: {}",
                pod.name, why.message
            )),
        }
        Ok(())
    }

    /// What the pod still does, as the database said last.
    fn busy(&self, pod: &Pod) -> Vec<String> {
        let member = self.observer.snapshot.said().and_then(|health| health.member(&pod.name));
        member.filter(|member| member.uid == pod.uid).map(|member| member.busy.clone()).unwrap_or_default()
    }

    /// Pods that an earlier process has left drained take on work again, before anything is restarted.
    pub(super) async fn work_again(&mut self) {
        let left = leftover::drained(&self.ledger.drained, &self.observer.snapshot);
        if left.is_empty() || self.plan.health.is_none() {
            return;
        }
        self.observer.begin_asking();
        self.undrain().await;
        let still = |place: &&Place| self.ledger.drained.iter().any(|noted| noted.uid == place.uid);
        for place in left.iter().filter(|place| !still(place)) {
            self.narrator.notice(format!(
                "pod {} was drained before, and not restarted: it was told to take on work again",
                place.pod
            ));
        }
    }

    /// Pods that were drained, or may have been, and were not evicted take on work again. Those that cannot be told stay in
    /// the journal, so that the next command tells them.
    pub(super) async fn undrain(&mut self) {
        self.undrain_others("").await;
    }

    /// All but the pod with that uid.
    async fn undrain_others(&mut self, uid: &str) {
        let mut places = leftover::drained(&self.ledger.drained, &self.observer.snapshot);
        self.ledger.drained.retain(|noted| places.iter().any(|place| place.uid == noted.uid));
        let stays = |place: &Place| {
            self.observer.snapshot.pods.iter().any(|pod| pod.uid == place.uid && !pod.deleting)
        };
        if let Some(Drained { place, .. }) = self.drained.take().filter(|drained| stays(&drained.place))
            && places.iter().all(|noted| noted.uid != place.uid)
        {
            places.push(place);
        }
        places.retain(|place| place.uid != uid);
        let within = if matches!(self.interrupt.wish(), Stop::Now(_)) { TELL_NOW } else { TELL };
        let until = Instant::now() + within;
        for place in places {
            let (pod, uid) = (place.pod.clone(), place.uid.clone());
            match self.tell_to_work(place, within, until).await {
                Ok(()) => self.ledger.no_longer_drained(&uid),
                Err(why) => self.narrator.notice(format!(
                    "pod {pod} was drained and not restarted, and may still take on no new work: {why}; a restart ends that"
                )),
            }
        }
    }

    async fn tell_to_work(&self, place: Place, within: Duration, until: Instant) -> Result<(), String> {
        let Some(asking) = &self.observer.asking else {
            return Err("the database is not asked in this run".to_owned());
        };
        if !self.lock.good() {
            // Another run may have drained it by now.
            return Err("the lock is not held any more".to_owned());
        }
        match timeout_at(until, asking.drain(place, false)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(why)) => Err(why.message),
            Err(_) => Err(format!("no answer within {} s", within.as_secs())),
        }
    }
}
