//! Restarting pods, one after the other.

use std::time::Duration;

use crate::event::{Event, StepOutcome, WaitingOn};
use crate::model::{Strategy, WorkloadPlan, millis};
use crate::retry::Retries;
use crate::roll::order::{self, Next};
use crate::roll::pace::Pace;
use crate::roll::{Flight, Limits};
use crate::steps::Blocked;

use super::run::Run;
use super::stop_reason::StopReason;

/// How long a pod on the old images that has become unhealthy during the run may take to recover before it is
/// restarted: enough for an election or a rebalance after another member's restart.
const RECOVERY: Duration = Duration::from_secs(60);

/// How often a loop may repeat without waiting: an eviction, its response and what follows from it take a few turns.
const TURNS: u32 = 8;

/// The pause of a loop that has repeated too often.
const BREATH: Duration = Duration::from_secs(1);

/// One workload whose pods are being restarted.
pub(super) struct Roll<'a> {
    pub plan: &'a WorkloadPlan,
    pub name: String,
    pub limits: Limits,
    /// The pods that the run is waiting for: one, or several if they were not healthy.
    pub flights: Vec<Flight>,
    pub pace: Pace,
    /// Since when something outside this workload has held up the next eviction.
    pub held_since: Option<Duration>,
    /// The user was told that a budget's status is out of date.
    pub told_stale: bool,
    /// The user was told how a controller retries.
    pub told_retries: bool,
    /// Since when a Deployment has not been able to create its pods for a reason that lasts.
    pub refused_since: Option<Duration>,
    pub told: Option<(String, WaitingOn)>,
    pub backoff: Retries,
    pub turns: Turns,
}

impl<'a> Roll<'a> {
    pub fn new(plan: &'a WorkloadPlan, pod_timeout: Duration) -> Self {
        let min_ready = Duration::from_secs(plan.min_ready_seconds.max(0) as u64);
        Roll {
            plan,
            name: plan.object.to_string(),
            limits: Limits { pod_timeout, min_ready },
            flights: Vec::new(),
            pace: Pace::default(),
            held_since: None,
            told_stale: false,
            told_retries: false,
            refused_since: None,
            told: None,
            backoff: Retries::new(),
            turns: Turns::default(),
        }
    }
}

/// How often a loop has repeated without waiting.
#[derive(Default)]
pub(super) struct Turns {
    waits: u64,
    idle: u32,
}

impl Turns {
    /// Counts a turn; `waits` is how often the run has waited so far. `true` means that it is time to wait.
    fn spins(&mut self, waits: u64) -> bool {
        if waits != self.waits {
            (self.waits, self.idle) = (waits, 0);
        }
        self.idle += 1;
        self.idle > TURNS
    }
}

impl Run {
    /// Restarts the pods of every workload, in order.
    pub async fn roll_pods(&mut self) -> Result<StepOutcome, StopReason> {
        let whole = self.plan.clone();
        self.work_again().await;
        let (mut outcome, mut pace) = (StepOutcome::AlreadyDone, Pace::default());
        for plan in &whole.workloads {
            let began = self.narrator.now();
            let mut roll = Roll { pace, ..Roll::new(plan, self.options.bounds.pod_timeout) };
            let (pods, done) = self.observer.snapshot.count(plan);
            if pods > done || !plan.images.is_empty() {
                outcome = StepOutcome::Done;
            }
            self.narrator.emit(Event::WorkloadStarted { workload: roll.name.clone(), pods, done });
            let rolled = match plan.strategy {
                Strategy::Evict => self.roll(&mut roll).await,
                Strategy::Follow | Strategy::OpsManager => self.follow_workload(&mut roll).await,
            };
            let took_ms = millis(self.narrator.now() - began);
            if let Some(result) = self.ledger.results.get_mut(&plan.object.uid) {
                result.took_ms = took_ms;
            }
            if let Err(reason) = rolled {
                self.ask_no_more().await;
                return Err(self.while_waiting(&roll, reason));
            }
            pace = roll.pace.of_next_workload();
            self.narrator.emit(Event::WorkloadFinished { workload: roll.name, took_ms });
        }
        self.ask_no_more().await;
        Ok(outcome)
    }

    /// A run whose time is up while it waits for a pod tells what that was waiting for.
    fn while_waiting(&self, roll: &Roll<'_>, reason: StopReason) -> StopReason {
        let Some((pod, on)) = &roll.told else { return reason };
        match roll.flights.iter().find(|flight| flight.pod == *pod) {
            Some(flight) => reason.while_waiting(pod, on.clone(), self.narrator.now() - flight.began),
            None => reason,
        }
    }

    async fn roll(&mut self, roll: &mut Roll<'_>) -> Result<(), StopReason> {
        loop {
            self.never_spin(&mut roll.turns).await?;
            self.guard()?;
            self.ask_database(roll);
            let wake = self.land(roll).await?;
            if wake.is_some() {
                roll.held_since = None;
            }
            let next = order::next(&self.plan, roll.plan, &self.observer.snapshot, &self.memory);
            if let Some(wake) = wake {
                // While others are being replaced, only an unhealthy pod may be restarted.
                let in_flight = roll.flights.first().map(|f| f.pod.clone());
                match next {
                    Next::Evict { uid, healthy: false, .. }
                        if self.interrupt.requested(in_flight.as_deref()).is_none() =>
                    {
                        self.evict(roll, &uid).await?;
                    }
                    Next::WorkloadGone => {
                        return Err(Blocked::WorkloadGone { workload: roll.name.clone() }.into());
                    }
                    Next::Taken { pod, uid } => self.taken(roll, &pod, &uid).await?,
                    _ => {
                        self.interrupt.requested(in_flight.as_deref());
                        self.wait(wake).await?;
                    }
                }
                continue;
            }
            self.interrupt.stop_here()?;
            match next {
                Next::Done => return Ok(()),
                Next::WorkloadGone => {
                    return Err(Blocked::WorkloadGone { workload: roll.name.clone() }.into());
                }
                Next::Taken { pod, uid } => self.taken(roll, &pod, &uid).await?,
                Next::Await { pod } => self.look_for(roll, &pod).await?,
                Next::Evict { uid, .. } => self.evict(roll, &uid).await?,
                Next::Hold { pod, uid, why } => self.hold_for(roll, pod, uid, why).await?,
            }
        }
    }

    /// Waits if a loop has repeated many times without waiting: whatever the cluster shows, signals, the lock and the
    /// run's timeouts must be noticed.
    pub(super) async fn never_spin(&mut self, turns: &mut Turns) -> Result<(), StopReason> {
        if turns.spins(self.interrupt.waits) {
            self.wait(self.narrator.now() + BREATH).await?;
        }
        Ok(())
    }

    /// A pod that the workload does not own has the name of one that it needs. If a fresh read confirms that, another
    /// user or controller is changing the database.
    pub(super) async fn taken(&mut self, roll: &Roll<'_>, pod: &str, uid: &str) -> Result<(), StopReason> {
        let fresh = self.read_pod(pod, Some(uid)).await?;
        match fresh.filter(|p| p.uid == uid && !p.deleting && p.owner != roll.plan.object.uid) {
            Some(fresh) => {
                let (workload, pod) = (roll.name.clone(), pod.to_owned());
                Err(Blocked::PodTaken { workload, pod, owner: fresh.owner }.into())
            }
            None => Ok(()),
        }
    }

    /// Starts waiting for a pod. If the watch shows none, the pod is read once: a pod that has lost the database's
    /// labels still has the name, but the watch no longer reports it.
    async fn look_for(&mut self, roll: &mut Roll<'_>, pod: &str) -> Result<(), StopReason> {
        let flight = Flight::awaited(pod, &roll.plan.object.uid, self.narrator.now());
        if flight.in_place(&self.observer.snapshot).is_none()
            && self.read_pod(pod, None).await?.is_some_and(|fresh| !fresh.deleting)
        {
            return Ok(());
        }
        self.take_off(roll, flight);
        Ok(())
    }

    /// Waits for a pod that has become unhealthy. If it is on the old images and does not recover in time, it may be
    /// restarted like a pod that was unhealthy from the start.
    async fn hold_for(
        &mut self,
        roll: &mut Roll<'_>,
        pod: String,
        uid: String,
        why: String,
    ) -> Result<(), StopReason> {
        if let Some(owner) = self.misses(&pod) {
            return self.await_missing(roll, &pod, &owner).await;
        }
        let since = *roll.held_since.get_or_insert(self.narrator.now());
        if self.narrator.now() >= since + RECOVERY && !self.memory.given_up.contains(&uid) {
            self.memory.given_up.insert(uid);
            return Ok(());
        }
        let on = WaitingOn::OtherPod { pod: pod.clone(), why: why.clone() };
        let until = if self.memory.given_up.contains(&uid) { Duration::MAX } else { since + RECOVERY };
        self.held(roll, &pod.clone(), on, StopReason::OtherPod { pod, why }, until).await
    }

    /// Waits for something outside this workload, at most as long as for a pod.
    pub(super) async fn held(
        &mut self,
        roll: &mut Roll<'_>,
        pod: &str,
        on: WaitingOn,
        reason: StopReason,
        until: Duration,
    ) -> Result<(), StopReason> {
        let since = *roll.held_since.get_or_insert(self.narrator.now());
        let deadline = since + roll.limits.pod_timeout;
        if self.narrator.now() >= deadline {
            return Err(reason);
        }
        self.tell_pod(roll, pod, on);
        self.wait(deadline.min(until)).await
    }
}
