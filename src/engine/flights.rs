//! Waiting for pods that are being replaced, whether by this run, the workload's controller, or the Ops-manager.

use std::time::Duration;

use crate::event::{Event, WaitingOn};
use crate::model::{CreationNews, Lookup, Pod, Rewriting, WorkloadPlan, millis};
use crate::roll::pull::moved_away;
use crate::roll::{Flight, Found, Stuck, Verdict, judge};

use super::roll::Roll;
use super::run::Run;
use super::stop_reason::StopReason;

/// Who restarts the pods, which decides what happens when one is stuck.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Restarts {
    /// The workload's controller: a pod that is stuck ends the run.
    Controller,
    /// The Ops-manager, which decides itself whether a pod is stuck.
    OpsManager,
}

impl Run {
    /// Starts waiting for a pod.
    pub(super) fn take_off(&mut self, roll: &mut Roll<'_>, flight: Flight) {
        let started = self.ledger.results.get(&roll.plan.object.uid).map_or(0, |r| r.restarted);
        self.narrator.emit(Event::PodStarted {
            workload: roll.name.clone(),
            pod: flight.pod.clone(),
            ordinal_in_run: started,
        });
        roll.flights.push(flight);
    }

    /// Judges the pods that this run has evicted. `None` if none is left; otherwise when to check again at the latest.
    pub(super) async fn land(&mut self, roll: &mut Roll<'_>) -> Result<Option<Duration>, StopReason> {
        let now = self.narrator.now();
        let mut wake: Option<Duration> = None;
        for mut flight in std::mem::take(&mut roll.flights) {
            flight.observe(flight.in_place(&self.observer.snapshot).cloned().as_ref(), now);
            self.ask_about(roll, &mut flight).await?;
            let target = self.plan.workload(&flight.owner).unwrap_or(roll.plan);
            let pod = flight.in_place(&self.observer.snapshot);
            if pod.is_none() && flight.gone_for_good(&self.observer.snapshot) {
                continue;
            }
            let waits = pod.filter(|pod| pod.healthy()).and_then(|pod| self.asked()?.not_back(pod, now));
            let on_target = |pod: &Pod| self.observer.snapshot.on_target(target, pod);
            let pod = pod.map(|pod| Found { pod, on_target: on_target(pod), not_back: waits.as_ref() });
            match judge(&flight, pod, roll.limits, now) {
                Verdict::Progress { on, until } => {
                    wake = Some(wake.map_or(until, |w| w.min(until)));
                    if !self.asked().is_some_and(|asked| asked.in_a_moment(&on, now)) {
                        self.tell_pod(roll, &flight.pod, on);
                    }
                    roll.flights.push(flight);
                }
                Verdict::Done { .. } => self.landed(roll, &flight),
                Verdict::Outdated => {}
                Verdict::Stuck(stuck) => {
                    let (seen, name, owner) =
                        (pod.map(|found| found.pod.clone()), flight.pod.clone(), flight.owner.clone());
                    roll.flights.push(flight);
                    self.believe(&owner, &name, seen, stuck).await?;
                    wake = Some(now);
                }
            }
        }
        Ok(wake)
    }

    /// Follows the pods that a controller restarts; `pending` are those that are not on the target or not healthy yet.
    /// Returns when to check again at the latest.
    pub(super) async fn follow_pods(
        &mut self,
        roll: &mut Roll<'_>,
        pending: &[Pod],
        by: Restarts,
    ) -> Result<Duration, StopReason> {
        let now = self.narrator.now();
        self.arrive(roll, pending);
        let snapshot = &self.observer.snapshot;
        let moving = pending.iter().filter(|p| p.deleting || snapshot.on_target(roll.plan, p));
        let new = moving.filter(|p| !roll.flights.iter().any(|f| f.pod == p.name));
        for flight in new.map(|pod| Flight::followed(pod, now)).collect::<Vec<_>>() {
            self.take_off(roll, flight);
        }
        let mut wake = Duration::MAX;
        for at in 0..roll.flights.len() {
            let pod = roll.flights[at].in_place(&self.observer.snapshot).cloned();
            let mut flight = roll.flights[at].clone();
            flight.observe(pod.as_ref(), now);
            match by {
                Restarts::Controller => self.ask_about(roll, &mut flight).await?,
                Restarts::OpsManager => self.ask_why_missing(roll, &mut flight).await?,
            }
            roll.flights[at] = flight;
            let flight = &roll.flights[at];
            let on_target = |pod: &Pod| self.observer.snapshot.on_target(roll.plan, pod);
            let found = pod.as_ref().map(|pod| Found { pod, on_target: on_target(pod), not_back: None });
            match judge(flight, found, roll.limits, now) {
                Verdict::Progress { on, until } => {
                    let name = flight.pod.clone();
                    wake = wake.min(until);
                    self.tell_pod(roll, &name, on);
                }
                Verdict::Stuck(stuck) if by == Restarts::Controller => {
                    let (name, owner) = (flight.pod.clone(), flight.owner.clone());
                    self.believe(&owner, &name, pod, stuck).await?;
                    return Ok(now);
                }
                Verdict::Stuck(_) | Verdict::Done { .. } | Verdict::Outdated => {}
            }
        }
        Ok(wake)
    }

    /// Pods that are healthy again in their places have arrived. A Deployment's pod that is gone for good has no place
    /// to return to.
    fn arrive(&mut self, roll: &mut Roll<'_>, pending: &[Pod]) {
        for mut flight in std::mem::take(&mut roll.flights) {
            let pod = flight.in_place(&self.observer.snapshot).cloned();
            flight.observe(pod.as_ref(), self.narrator.now());
            let healthy = |p: &Pod| p.healthy() && self.observer.snapshot.on_target(roll.plan, p);
            let waits = pending.iter().any(|p| p.name == flight.pod);
            match pod {
                Some(pod) if healthy(&pod) && !waits => self.landed(roll, &flight),
                None if flight.gone_for_good(&self.observer.snapshot) => {}
                _ => roll.flights.push(flight),
            }
        }
    }

    /// The pod has arrived. It was away from the moment it was seen terminating until it was healthy.
    fn landed(&mut self, roll: &mut Roll<'_>, flight: &Flight) {
        let now = self.narrator.now();
        let away_ms = flight.away().map_or(0, millis);
        roll.pace.ready(now);
        self.memory.vitals.hung = flight.killed();
        let restarts = flight.restarts || self.restarted_by_another(&flight.owner, &flight.pod);
        if let Some(result) = self.ledger.results.get_mut(&roll.plan.object.uid) {
            result.restarted += u64::from(restarts);
            result.longest_away_ms = result.longest_away_ms.max(away_ms);
        }
        if let Some(pod) = flight.in_place(&self.observer.snapshot).cloned() {
            self.tell_unlike(roll.plan, &pod);
            if flight.restarts {
                self.tell_if_moved_away(&flight.owner, &pod);
            }
        }
        let (_, done) = self.observer.snapshot.count(roll.plan);
        self.journal_pods(&roll.name, done);
        self.narrator.emit(Event::PodReady {
            workload: roll.name.clone(),
            pod: flight.pod.clone(),
            took_ms: millis(now - flight.began),
            away_ms,
        });
    }

    /// Reports a pod that admission has not rewritten as it does the others: once for each container and image.
    pub(super) fn tell_unlike(&mut self, planned: &WorkloadPlan, pod: &Pod) {
        let Some(template) = self.observer.snapshot.template_of(pod) else { return };
        for unlike in Rewriting::unlike(&planned.rewriting, template, pod) {
            if !self.narrator.unlike.insert((planned.object.uid.clone(), unlike.clone())) {
                continue;
            }
            let message = format!(
                "pod {} of {}: {unlike}; admission treated the pods before the update differently: check the webhooks and \
                 policies that change pods",
                pod.name, planned.object
            );
            self.narrator.emit(Event::Notice { message });
        }
    }

    /// The same for every pod: an earlier process may have restarted it, or the workload's controller.
    pub(super) fn tell_all_unlike(&mut self) {
        let plan = self.plan.clone();
        for planned in &plan.workloads {
            let Some(workload) = self.observer.snapshot.workload(&planned.object.uid) else { continue };
            let pods: Vec<Pod> = self.observer.snapshot.pods_of(workload).cloned().collect();
            pods.iter().filter(|pod| !pod.deleting).for_each(|pod| self.tell_unlike(planned, pod));
        }
    }

    /// A pod that was scheduled to another node than the images were brought to had to wait for them.
    fn tell_if_moved_away(&self, workload: &str, pod: &Pod) {
        if let Some(node) = pod.node.as_ref().filter(|_| moved_away(&self.plan, workload, pod)) {
            self.narrator.notice(format!(
                "pod {} was scheduled to node {node}, on which its images were not pre-pulled",
                pod.name
            ));
        }
    }

    /// A pod counts as stuck only if a fresh read confirms what the watch shows, because that ends the run.
    pub(super) async fn believe(
        &mut self,
        owner: &str,
        pod: &str,
        seen: Option<Pod>,
        stuck: Stuck,
    ) -> Result<(), StopReason> {
        let version = |p: &Option<Pod>| p.as_ref().map(|p| (p.uid.clone(), p.resource_version.clone()));
        let fresh = self.read_pod(pod, seen.as_ref().map(|p| p.uid.as_str())).await?;
        // A pod of others that has the name is not the workload's own, and is told as such unless it is about to go.
        let fresh = fresh.filter(|p| p.owner == owner || !p.deleting);
        if version(&fresh) != version(&seen) {
            return Ok(());
        }
        let uid = seen.map(|p| p.uid).unwrap_or_default();
        Err(self.stuck(pod.to_owned(), &uid, stuck).await)
    }

    /// A pod is stuck: its last Event often says why.
    async fn stuck(&mut self, pod: String, uid: &str, mut stuck: Stuck) -> StopReason {
        let (cluster, ns) = (&self.observer.cluster, &self.plan.database.namespace);
        let node = match &stuck {
            Stuck::Terminating { node: Some(node), .. } => Some(node.clone()),
            _ => None,
        };
        let asking = async {
            let state = match node {
                Some(node) => Some(cluster.node_state(&node).await),
                None => None,
            };
            // A pod that is not there has no Events.
            let last_event = if uid.is_empty() { None } else { cluster.last_event(ns, uid).await };
            (last_event, state)
        };
        let (last_event, state) = match self.interrupt.during(asking).await {
            Ok(answers) => answers,
            Err(reason) => return reason,
        };
        if let Stuck::Terminating { node_state, .. } = &mut stuck {
            *node_state = state;
        }
        StopReason::Stuck { pod, stuck, last_event }
    }

    /// Asks what the pods do not show, if it is time to: why this one is missing, or whether its image is downloaded again.
    async fn ask_about(&mut self, roll: &mut Roll<'_>, flight: &mut Flight) -> Result<(), StopReason> {
        let now = self.narrator.now();
        if flight.fails_to_pull(now) {
            let pod = flight.in_place(&self.observer.snapshot).cloned();
            if self.is_pulling(pod.as_ref()).await? {
                flight.pulls_again(now);
            }
        }
        self.ask_why_missing(roll, flight).await
    }

    /// Whether the kubelet is downloading an image for this pod, by its Events.
    pub(super) async fn is_pulling(&mut self, pod: Option<&Pod>) -> Result<bool, StopReason> {
        let Some(pod) = pod else { return Ok(false) };
        let asking = self.observer.cluster.is_pulling(&self.plan.database.namespace, &pod.uid);
        self.interrupt.during(asking).await
    }

    /// Asks why a pod has not been created, if it has been missing for a while.
    pub(super) async fn ask_why_missing(
        &mut self,
        roll: &mut Roll<'_>,
        flight: &mut Flight,
    ) -> Result<(), StopReason> {
        let now = self.narrator.now();
        if !flight.asks(now) {
            return Ok(());
        }
        // The pods of a Deployment belong to its ReplicaSet, which is not known.
        let planned = self.plan.workload(&flight.owner).unwrap_or(roll.plan);
        let Some(workload) = self.observer.snapshot.workload(&planned.object.uid).cloned() else {
            flight.hear(CreationNews { failures: Lookup::Absent, policy: Lookup::Absent }, None, now);
            return Ok(());
        };
        let asking = self.observer.cluster.creation_news(&workload);
        let news = self.interrupt.during(asking).await?;
        flight.hear(news, workload.placement_policy.as_deref(), now);
        if flight.tries_seldom(now) && !std::mem::replace(&mut roll.told_retries, true) {
            let command = self.poke(workload.kind.plural(), &workload.object.name);
            self.narrator.notice(format!(
                "the controller of {} tries again by itself, after pauses that grow to 17 min. Once the obstacle is gone, this \
                 makes it try at once: {command}",
                workload.object
            ));
        }
        Ok(())
    }

    /// Reports what a pod is waiting for, if that has changed.
    pub(super) fn tell_pod(&mut self, roll: &mut Roll<'_>, pod: &str, on: WaitingOn) {
        let told = Some((pod.to_owned(), on.clone()));
        if roll.told != told {
            roll.told = told;
            self.narrator.emit(Event::PodWaiting { workload: roll.name.clone(), pod: pod.to_owned(), on });
        }
    }
}
