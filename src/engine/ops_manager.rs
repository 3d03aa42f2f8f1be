//! The way through the Ops-manager: its request is made, and followed to its end. Everything else is its own doing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cluster::ClusterError;
use crate::event::{Event, StepOutcome, WaitingOn};
use crate::model::{OpsRequest, Pod, WorkloadPlan};
use crate::retry::Retries;
use crate::roll::{FollowVerdict, follow};
use crate::steps::Blocked;
use crate::steps::leftover;
use crate::steps::ops_request::{self, Requested};
use crate::steps::s1_pause::{self, Pause};

use super::flights::Restarts;
use super::pause::millis;
use super::roll::Roll;
use super::run::Run;
use super::settle::SETTLE;
use super::stop_reason::StopReason;

/// An Ops-manager polls every 5 to 10 seconds: one that has not looked at a request after so long is not there, or may not.
const UNHEARD: Duration = Duration::from_secs(60);

/// For so long the pause of a request that has ended may outlive it.
const RELEASE: Duration = Duration::from_secs(10);

impl Run {
    /// Makes the request, unless it is there already.
    pub async fn request(&mut self) -> Result<StepOutcome, StopReason> {
        let mut backoff = Retries::new();
        let (mut sent, mut refused) = (false, 0);
        loop {
            self.guard()?;
            self.interrupt.stop_here()?;
            match ops_request::requested(&self.plan, &self.observer.snapshot) {
                Requested::Foreign(r) => return Err(in_the_way(r).into()),
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
                // Its name is another database's: it is not among this one's requests, however often they are read.
                Err(error @ ClusterError::Conflict { .. }) if refused > 0 => return Err(error.into()),
                // It is there: made by an earlier try whose answer was lost, or by somebody else.
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

    /// Follows the request and the pods until it ends. Whoever stops following leaves it running.
    pub async fn follow_request(&mut self) -> Result<StepOutcome, StopReason> {
        let began = self.narrator.now();
        let (mut seen, mut moved, mut told, mut blind) = (None, began, Told::default(), None);
        let workloads = self.plan.workloads.clone();
        let mut rolls: Vec<Roll<'_>> =
            workloads.iter().map(|w| Roll::new(w, self.options.bounds.pod_timeout)).collect();
        loop {
            self.guard()?;
            self.interrupt.stop_here()?;
            let now = self.narrator.now();
            let state = (self.request_as_seen(), self.pictures());
            // What could not be seen has not stood still for that.
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
                Requested::Foreign(r) => return Err(in_the_way(r).into()),
                // What has just been made may not have come by the watch yet.
                Requested::Absent if now < began + UNHEARD && told.request.is_none() => began + UNHEARD,
                Requested::Absent => {
                    self.released().await?;
                    return Err(StopReason::RequestGone { name: self.request_name() });
                }
                Requested::InFlight(r) => {
                    let (on, unheard) = (working(r), r.phase.is_empty());
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
            // Nobody tells when everything is watched again.
            let seeing = if blind.is_some() { now + SETTLE } else { Duration::MAX };
            self.wait(until.min(next).min(seeing)).await?;
        }
        self.released().await?;
        self.narrator.wait_over();
        self.ledger.operator_confirmed = true;
        self.follow_rolls(&mut rolls, &mut told).await?;
        Ok(StepOutcome::Done)
    }

    /// Waits until the database is no longer paused: a webhook sees to that, a moment after a request has ended.
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

    /// What is moved by whoever is at work: which pods there are, and whether they are well.
    fn pictures(&self) -> BTreeSet<(String, bool)> {
        self.observer.snapshot.pods.iter().map(|p| (p.uid.clone(), p.healthy())).collect()
    }

    fn tell_request(&mut self, told: &mut Told, on: WaitingOn, unheard: bool) {
        if told.request.as_ref() != Some(&on) {
            told.request = Some(on.clone());
            self.narrator.waiting(on);
        }
        if unheard && !std::mem::replace(&mut told.unheard, true) {
            let (name, seconds) = (self.request_name(), UNHEARD.as_secs());
            self.narrator.emit(Event::Notice {
                message: format!(
                    "the Ops-manager has not picked up ops request {name} for {seconds} s: is it running and licensed?"
                ),
            });
        }
    }

    /// Tells how the pods fare. Returns when to look again at the latest.
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
            let (pods, done) = self.observer.count(roll.plan);
            let restarting = |p: &Pod| p.deleting || roll.plan.has_images(p);
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

    /// It has failed, or was not carried out at all.
    fn ended_otherwise(&mut self, request: OpsRequest) -> StopReason {
        // That there was a request is no change, and an earlier process may have seen no more of it.
        (self.ledger.changed.by_this_run, self.ledger.changed.before) = (self.changed_by_request(), false);
        StopReason::RequestEnded {
            name: request.name.clone(),
            phase: request.phase.clone(),
            why: request.why(),
        }
    }

    /// The Ops-manager has touched something: a template, the version, or a pod. With the pause gone the operator may have
    /// put the old templates back by now, and restarts nothing.
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

/// What the user has heard.
#[derive(Default)]
struct Told {
    request: Option<WaitingOn>,
    unheard: bool,
    /// When each workload's turn came.
    begun: BTreeMap<String, Duration>,
    finished: BTreeSet<String>,
}

fn in_the_way(request: &OpsRequest) -> Blocked {
    let OpsRequest { kind, name, operation, .. } = request.clone();
    Blocked::OpsRequest { kind, name, operation, phase: request.phase().to_owned() }
}

/// What the Ops-manager does: its phase, and the last thing that it has written down.
fn working(request: &OpsRequest) -> WaitingOn {
    let last = request.conditions.last();
    WaitingOn::OpsManager {
        request: request.name.clone(),
        phase: request.phase().to_owned(),
        doing: last.map(|c| c.kind.clone()).unwrap_or_default(),
    }
}
