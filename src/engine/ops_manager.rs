//! The method ops-manager: creates the ops request and follows it until it ends. The Ops-manager does everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cluster::ClusterError;
use crate::event::{Event, StepOutcome, WaitingOn};
use crate::model::{OpsRequest, Pod, WorkloadPlan, millis};
use crate::retry::Retries;
use crate::roll::{FollowVerdict, follow};
use crate::steps::Blocked;
use crate::steps::leftover;
use crate::steps::ops_request::{self, Requested};
use crate::steps::s1_pause::{self, Pause};

use super::flights::Restarts;
use super::ledger::Operator;
use super::roll::Roll;
use super::run::Run;
use super::settle::SETTLE;
use super::stop_reason::StopReason;

/// The Ops-manager polls every 5 to 10 seconds: if it has not picked up a request after this time, it is not running or
/// not licensed.
const UNHEARD: Duration = Duration::from_secs(60);

/// How long the pause may outlive an ops request that has ended.
const RELEASE: Duration = Duration::from_secs(10);

impl Run {
    /// Creates the ops request, unless it exists already.
    pub async fn request(&mut self) -> Result<StepOutcome, StopReason> {
        let mut backoff = Retries::new();
        let (mut sent, mut refused) = (false, 0);
        loop {
            self.guard()?;
            self.interrupt.stop_here()?;
            match ops_request::requested(&self.plan, &self.observer.snapshot) {
                Requested::Foreign(r) => return Err(Blocked::by(r).into()),
                Requested::Absent => {}
                _ if sent => return Ok(StepOutcome::Done),
                _ => return Ok(StepOutcome::AlreadyDone),
            }
            let Some(write) = ops_request::write(&self.plan) else { return Ok(StepOutcome::AlreadyDone) };
            match self.send(&write).await? {
                Ok(_) => {
                    self.narrator.emit(Event::Requested { request: write.object.to_string() });
                    return Ok(StepOutcome::Done);
                }
                // The name is taken by another database's request, which never appears among this database's requests.
                Err(error @ ClusterError::Conflict { .. }) if refused > 0 => return Err(error.into()),
                // The request exists: an earlier attempt created it and its response was lost, or another user created
                // it.
                Err(error @ (ClusterError::Conflict { .. } | ClusterError::Transient { .. })) => {
                    sent = true;
                    refused += u32::from(matches!(error, ClusterError::Conflict { .. }));
                    self.back_off(&mut backoff, &format!("create {}", write.object), &error).await?;
                    self.read_everything().await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Follows the ops request and the pods until the request ends. If the run stops, the request continues.
    pub async fn follow_request(&mut self) -> Result<StepOutcome, StopReason> {
        let began = self.narrator.now();
        let (mut seen, mut moved, mut told, mut blind) = (None, began, Told::default(), None);
        let whole = self.plan.clone();
        let mut rolls: Vec<Roll<'_>> =
            whole.workloads.iter().map(|w| Roll::new(w, self.options.bounds.pod_timeout)).collect();
        loop {
            self.guard()?;
            self.interrupt.stop_here()?;
            let now = self.narrator.now();
            let state = (self.request_as_seen(), self.pictures());
            // Time in which the cluster could not be watched does not count as time without progress.
            moved += self.blind_for(&mut blind)?;
            if seen.as_ref() != Some(&state) {
                (seen, moved) = (Some(state), now);
            }
            let next = self.follow_rolls(&mut rolls, &mut told).await?;
            let until = match ops_request::requested(&self.plan, &self.observer.snapshot) {
                Requested::Successful => break,
                Requested::Ended(r) => {
                    let request = r.clone();
                    self.released().await?;
                    return Err(self.ended_otherwise(request));
                }
                Requested::Foreign(r) => return Err(Blocked::by(r).into()),
                // The watch may not have reported the new request yet.
                Requested::Absent if now < began + UNHEARD && told.request.is_none() => began + UNHEARD,
                Requested::Absent => {
                    self.released().await?;
                    return Err(StopReason::RequestGone { name: self.request_name() });
                }
                Requested::InFlight(r) => {
                    let (on, unheard) = (WaitingOn::ops_manager(r), r.phase.is_empty());
                    self.tell_request(&mut told, on, unheard && now >= began + UNHEARD);
                    let deadline = moved + self.options.bounds.pod_timeout;
                    if now >= deadline && blind.is_none() {
                        let seconds = self.options.bounds.pod_timeout.as_secs();
                        return Err(StopReason::RequestStalled { name: self.request_name(), seconds });
                    }
                    if unheard && now < began + UNHEARD {
                        began + UNHEARD
                    } else {
                        deadline.max(now + SETTLE)
                    }
                }
            };
            // There is no event for the moment at which everything is watched again.
            let seeing = if blind.is_some() { now + SETTLE } else { Duration::MAX };
            self.wait(until.min(next).min(seeing)).await?;
        }
        self.released().await?;
        self.narrator.wait_over();
        self.ledger.operator = Operator::Confirmed;
        self.follow_rolls(&mut rolls, &mut told).await?;
        Ok(StepOutcome::Done)
    }

    /// A request that an earlier process has created was successful: somebody has carried it out.
    pub fn note_success(&mut self) {
        if ops_request::requested(&self.plan, &self.observer.snapshot) == Requested::Successful {
            self.ledger.operator = Operator::Confirmed;
        }
    }

    /// Waits until the database is no longer paused: a webhook removes the pause shortly after a request has ended.
    async fn released(&mut self) -> Result<(), StopReason> {
        let until = self.narrator.now() + RELEASE;
        while matches!(s1_pause::status(&self.observer.snapshot.database), Pause::Foreign(_))
            && self.narrator.now() < until
        {
            self.wait(until).await?;
        }
        Ok(())
    }

    fn request_name(&self) -> String {
        self.plan.ops_request.as_ref().map(|r| r.metadata.name.clone()).unwrap_or_default()
    }

    fn request_as_seen(&self) -> Option<OpsRequest> {
        self.observer.snapshot.ops_request(&self.request_name()).cloned()
    }

    /// What changes when there is progress: which pods there are, and whether they are healthy.
    fn pictures(&self) -> BTreeSet<(String, bool)> {
        self.observer.snapshot.pods.iter().map(|p| (p.uid.clone(), p.healthy())).collect()
    }

    fn tell_request(&mut self, told: &mut Told, on: WaitingOn, unheard: bool) {
        self.tell_waiting(&mut told.request, on);
        if unheard && !std::mem::replace(&mut told.unheard, true) {
            let (name, seconds) = (self.request_name(), UNHEARD.as_secs());
            self.narrator.notice(format!(
                "the Ops-manager has not picked up ops request {name} for {seconds} s: is it running and licensed?"
            ));
        }
    }

    /// Reports the pods' progress. Returns when to check again at the latest.
    async fn follow_rolls(
        &mut self,
        rolls: &mut [Roll<'_>],
        told: &mut Told,
    ) -> Result<Duration, StopReason> {
        let mut next = Duration::MAX;
        for roll in rolls {
            let Some(workload) = self.observer.snapshot.workload(&roll.plan.object.uid) else { continue };
            let pending: Vec<Pod> = match follow(roll.plan, workload, &self.observer.snapshot) {
                FollowVerdict::Rolling { pending, .. } => pending.into_iter().cloned().collect(),
                FollowVerdict::Unobserved | FollowVerdict::Done => Vec::new(),
            };
            let (pods, done) = self.observer.snapshot.count(roll.plan);
            let restarting = |p: &Pod| p.deleting || self.observer.snapshot.on_target(roll.plan, p);
            let moving = pending.iter().any(restarting) || !roll.flights.is_empty();
            if moving && !told.begun.contains_key(&roll.name) {
                told.begun.insert(roll.name.clone(), self.narrator.now());
                self.narrator.emit(Event::WorkloadStarted { workload: roll.name.clone(), pods, done });
            }
            next = next.min(self.follow_pods(roll, &pending, Restarts::OpsManager).await?);
            let began = told.begun.get(&roll.name).copied();
            if let Some(began) = began.filter(|_| pods > 0 && done == pods && roll.flights.is_empty())
                && told.finished.insert(roll.name.clone())
            {
                let took_ms = millis(self.narrator.now() - began);
                if let Some(result) = self.ledger.results.get_mut(&roll.plan.object.uid) {
                    result.took_ms = took_ms;
                }
                self.narrator.emit(Event::WorkloadFinished { workload: roll.name.clone(), took_ms });
            }
        }
        Ok(next)
    }

    /// The ops request has failed, or was skipped.
    fn ended_otherwise(&mut self, request: OpsRequest) -> StopReason {
        // The existence of the request is no change to the database, and an earlier process may have seen no more than
        // that.
        (self.ledger.changed.by_this_run, self.ledger.changed.before) = (self.changed_by_request(), false);
        StopReason::RequestEnded {
            name: request.name.clone(),
            phase: request.phase.clone(),
            why: request.why(),
        }
    }

    /// The Ops-manager has changed something: a template, the version, or a pod. Because the pause is gone, the
    /// operator may have restored the old templates by now, without restarting any pod.
    fn changed_by_request(&self) -> bool {
        let rendered = |w: &WorkloadPlan| {
            let now = self.observer.snapshot.workload(&w.object.uid);
            now.is_some_and(|now| {
                self.ledger.started_with.get(&w.object.uid).is_some_and(|t| *t != now.template)
            })
        };
        leftover::changed(&self.as_begun(), &self.observer.snapshot)
            || self.plan.workloads.iter().any(rendered)
    }
}

/// What was already reported to the user.
#[derive(Default)]
struct Told {
    request: Option<WaitingOn>,
    unheard: bool,
    /// When each workload was started.
    begun: BTreeMap<String, Duration>,
    finished: BTreeSet<String>,
}
