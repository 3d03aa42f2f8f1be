//! Following a workload whose own controller restarts its pods.

use std::time::Duration;

use crate::event::WaitingOn;
use crate::model::{Method, Pod, Workload};
use crate::roll::order::{self, Unhealthy};
use crate::roll::{FollowVerdict, Stuck, creation, follow};
use crate::steps::Blocked;

use super::flights::Restarts;
use super::roll::Roll;
use super::run::Run;
use super::stop_reason::StopReason;

/// How long a controller may take to observe a new template.
const TAKE_UP: Duration = Duration::from_secs(60);

impl Run {
    /// Patches a workload whose controller restarts the pods, and follows it until it is done. It cannot be stopped
    /// halfway: the controller would continue anyway.
    pub(super) async fn follow_workload(&mut self, roll: &mut Roll<'_>) -> Result<(), StopReason> {
        self.interrupt.stop_here()?;
        while self.plan.method == Method::Client
            && let Some(Unhealthy { pod, why }) = self.patch_workload(roll.plan).await?
        {
            if let Some(owner) = self.misses(&pod) {
                self.await_missing(roll, &pod, &owner).await?;
                continue;
            }
            let on = WaitingOn::OtherPod { pod: pod.clone(), why: why.clone() };
            self.held(roll, &pod.clone(), on, StopReason::OtherPod { pod, why }, Duration::MAX).await?;
        }
        roll.held_since = None;
        let patched = self.narrator.now();
        let mut moved = (0, self.narrator.now());
        let mut healthy_since: Option<Duration> = None;
        loop {
            self.never_spin(&mut roll.turns).await?;
            self.guard()?;
            self.interrupt.requested(Some(&roll.name));
            self.none_taken(roll).await?;
            let now = self.narrator.now();
            let gone = || Blocked::WorkloadGone { workload: roll.name.clone() };
            let workload = self.observer.snapshot.workload(&roll.plan.object.uid).ok_or_else(gone)?;
            let wake = match follow(roll.plan, workload, &self.observer.snapshot) {
                FollowVerdict::Done => {
                    let settled = *healthy_since.get_or_insert(now) + roll.limits.min_ready;
                    if now >= settled {
                        self.follow_pods(roll, &[], Restarts::Controller).await?;
                        return Ok(());
                    }
                    settled
                }
                FollowVerdict::Unobserved if now >= patched + TAKE_UP => {
                    self.taken_up(roll).await?;
                    continue;
                }
                FollowVerdict::Unobserved => {
                    self.tell_pod(roll, "", WaitingOn::Controller);
                    patched + TAKE_UP
                }
                FollowVerdict::Rolling { pending, done } => {
                    healthy_since = None;
                    if moved.0 != done {
                        moved = (done, now);
                    }
                    let pending: Vec<Pod> = pending.into_iter().cloned().collect();
                    match workload.replica_failure.clone() {
                        Some(why) => self.not_created(roll, moved.1, why).await?,
                        None => self.rolling(roll, &pending, moved.1).await?,
                    }
                }
            };
            self.wait(wake).await?;
        }
    }

    /// Fails if the controller has not observed the new template. Only a fresh read is reliable, because the watch may have
    /// been interrupted.
    async fn taken_up(&mut self, roll: &Roll<'_>) -> Result<(), StopReason> {
        self.observe(roll.plan).await?;
        let workload = self.observer.snapshot.workload(&roll.plan.object.uid);
        if workload.is_some_and(Workload::observed) {
            return Ok(());
        }
        Err(StopReason::NotTakenUp { workload: roll.name.clone(), seconds: TAKE_UP.as_secs() })
    }

    /// Fails if a foreign pod has the name of one of the workload's pods: the controller could never finish.
    async fn none_taken(&mut self, roll: &Roll<'_>) -> Result<(), StopReason> {
        let workload = self.observer.snapshot.workload(&roll.plan.object.uid);
        let taken = workload.and_then(|w| order::taken(w, &self.observer.snapshot).next());
        match taken.map(|p| (p.name.clone(), p.uid.clone())) {
            Some((pod, uid)) => self.taken(roll, &pod, &uid).await,
            None => Ok(()),
        }
    }

    /// A Deployment cannot create its pods, which have a new name each time, so that it is the Deployment that says why.
    /// Returns when to check again at the latest.
    async fn not_created(
        &mut self,
        roll: &mut Roll<'_>,
        moved: Duration,
        why: String,
    ) -> Result<Duration, StopReason> {
        let now = self.narrator.now();
        let lasts = creation::lasts(&why);
        roll.refused_since = roll.refused_since.or(Some(now)).filter(|_| lasts);
        let gives_up =
            roll.refused_since.map_or(moved + roll.limits.pod_timeout, |since| since + creation::REFUSED);
        if now < gives_up {
            let why = creation::without_preamble(&why).to_owned();
            self.tell_pod(roll, "", WaitingOn::Creation { why, since: String::new() });
            return Ok(gives_up);
        }
        self.observe(roll.plan).await?;
        let workload = self.observer.snapshot.workload(&roll.plan.object.uid);
        match workload.and_then(|w| w.replica_failure.clone()) {
            Some(why) => Err(StopReason::NotCreated { workload: roll.name.clone(), why }),
            None => Ok(now),
        }
    }

    /// Waits for the pods that are being replaced, for as long as there is progress. Returns when to check again at the
    /// latest.
    async fn rolling(
        &mut self,
        roll: &mut Roll<'_>,
        pending: &[Pod],
        moved: Duration,
    ) -> Result<Duration, StopReason> {
        let now = self.narrator.now();
        roll.refused_since = None;
        let deadline = moved + roll.limits.pod_timeout + longest_grace(pending);
        if now < deadline {
            return Ok(self.follow_pods(roll, pending, Restarts::Controller).await?.min(deadline));
        }
        let seconds = (now - moved).as_secs();
        let Some(first) = pending.first().cloned() else {
            return Err(StopReason::NotTakenUp { workload: roll.name.clone(), seconds });
        };
        let stuck = Stuck::TimedOut { on: WaitingOn::Readiness, seconds };
        self.believe(&roll.plan.object.uid, &first.name.clone(), Some(first), stuck).await?;
        Ok(now)
    }
}

fn longest_grace(pods: &[Pod]) -> Duration {
    Duration::from_secs(pods.iter().map(|p| p.grace_seconds.max(0) as u64).max().unwrap_or_default())
}
