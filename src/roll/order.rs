//! Which pod is restarted next, and which conditions must hold before.
//!
//! A healthy pod is evicted only while every other pod of the database is healthy. A pod that was unhealthy from the
//! start may be restarted at any time: on the old images it goes first, because it may never recover on its own. A pod
//! that has become unhealthy during the run gets time to recover: members of a quorum are often unhealthy for a moment
//! while another one restarts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::model::{
    Action, ContainerState, Direction, Plan, Pod, PodAction, Snapshot, Strategy, Workload, WorkloadPlan,
};

use super::vitals::Vitals;

/// The next action for a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Every pod is on the target and healthy.
    Done,
    /// The workload is gone.
    WorkloadGone,
    /// This pod has to become healthy first: it is being replaced, or missing.
    Await { pod: String },
    /// Evict this pod.
    Evict { pod: String, uid: String, healthy: bool },
    /// A pod of another workload is unhealthy, and this tool must not restart it.
    Hold { pod: String, uid: String, why: String },
    /// A pod that the workload does not own has the name of one that it needs, so its controller cannot create that
    /// one.
    Taken { pod: String, uid: String },
}

/// What a run has done and seen that no snapshot shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RollMemory {
    /// The uids of pods whose eviction was accepted: they will be deleted, even if the watch has not shown that yet.
    pub evicted: HashSet<String>,
    /// The uids of old pods that have become unhealthy during the run and did not recover.
    pub given_up: BTreeSet<String>,
    /// How often a pod of that name was evicted.
    pub evictions: BTreeMap<String, u32>,
    /// What the database has said of itself.
    pub vitals: Vitals,
}

impl RollMemory {
    /// What is known after another run, which has restarted pods: how the last one ended is not.
    pub fn after_another() -> Self {
        RollMemory { vitals: Vitals::after_another(), ..RollMemory::default() }
    }
}

/// The pods of a workload in the order in which they are restarted. What a plan prints, what a rollback reverses and
/// what a run does all use this order.
///
/// This tool goes by ordinal, unhealthy pods first and the one that leads last, and backwards in a rollback. A workload's own controller goes from
/// the last ordinal to the first, whoever has changed the template; the Ops-manager goes from the first to the last.
pub fn pods<'a>(
    direction: Direction,
    strategy: Strategy,
    workload: &'a Workload,
    snapshot: &'a Snapshot,
) -> Vec<&'a Pod> {
    let ours = strategy == Strategy::Evict;
    let reversed = if ours { direction == Direction::Rollback } else { workload.rolls_by_itself() };
    let mut pods: Vec<&Pod> = snapshot.pods_of(workload).collect();
    pods.sort_by_key(|pod| {
        let ordinal = pod.ordinal().map_or(i64::MAX, i64::from);
        (
            ours && pod.healthy(),
            ours && snapshot.leads(pod),
            if reversed { -ordinal } else { ordinal },
            &pod.name,
        )
    });
    pods
}

/// Decides the next action for a workload.
pub fn next(plan: &Plan, workload: &WorkloadPlan, snapshot: &Snapshot, memory: &RollMemory) -> Next {
    let Some(now) = snapshot.workload(&workload.object.uid) else { return Next::WorkloadGone };
    let direction = if plan.action == Action::Rollback { Direction::Rollback } else { Direction::Update };
    let pods = pods(direction, workload.strategy, now, snapshot);
    let leaving = |p: &Pod| p.deleting || memory.evicted.contains(&p.uid);
    let outdated = |p: &Pod| !snapshot.on_target(workload, p);
    let evict = |p: &Pod| Next::Evict { pod: p.name.clone(), uid: p.uid.clone(), healthy: p.healthy() };
    let hold = |p: &Pod| Next::Hold { pod: p.name.clone(), uid: p.uid.clone(), why: ailment(p) };
    if let Some(pod) = taken(now, snapshot).find(|p| !memory.evicted.contains(&p.uid)) {
        return Next::Taken { pod: pod.name.clone(), uid: pod.uid.clone() };
    }
    if let Some(pod) = pods.iter().find(|p| !p.healthy() && restartable(workload, p, snapshot, memory)) {
        return evict(pod);
    }
    if let Some(pod) = pods.iter().find(|p| (!p.healthy() && !outdated(p)) || leaving(p)) {
        return Next::Await { pod: pod.name.clone() };
    }
    if (pods.len() as i64) < now.replicas {
        return Next::Await { pod: missing(&now.object.name, &pods) };
    }
    if let Some(pod) = pods.iter().find(|p| !p.healthy()) {
        return hold(pod);
    }
    let Some(pod) = pods.iter().find(|p| outdated(p)) else { return Next::Done };
    match unhealthy_elsewhere(plan, workload, snapshot, memory) {
        Some((other, true)) => evict(other),
        Some((other, false)) => hold(other),
        None => match missing_elsewhere(plan, workload, snapshot) {
            Some(other) => Next::Hold { pod: other, uid: String::new(), why: "missing".to_owned() },
            None => evict(pod),
        },
    }
}

/// The pods that occupy the names of this workload's missing pods: they have no owner, or a different one. A pod whose
/// labels no longer match is released by its controller, which can then neither use it nor create another one with its
/// name.
pub fn taken<'a>(workload: &'a Workload, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Pod> {
    let short = (snapshot.pods_of(workload).count() as i64) < workload.replicas;
    let uid = &workload.object.uid;
    let needed =
        |p: &Pod| needs(workload, &p.name) && snapshot.pods_of(workload).all(|own| own.name != p.name);
    snapshot.pods.iter().filter(move |p| short && p.owner != *uid && !p.deleting && needed(p))
}

/// A pod that is unhealthy or missing, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhealthy {
    pub pod: String,
    pub why: String,
}

/// A pod of another workload that is unhealthy or missing: no healthy pod is restarted before it is healthy again.
pub fn beside(
    plan: &Plan,
    workload: &WorkloadPlan,
    snapshot: &Snapshot,
    memory: &RollMemory,
) -> Option<Unhealthy> {
    let ill = unhealthy_elsewhere(plan, workload, snapshot, memory);
    let ill = ill.map(|(pod, _)| Unhealthy { pod: pod.name.clone(), why: ailment(pod) });
    let missing = || missing_elsewhere(plan, workload, snapshot);
    ill.or_else(|| missing().map(|pod| Unhealthy { pod, why: "missing".to_owned() }))
}

/// A pod on the old images that is unhealthy, and either was so from the start or has not recovered.
fn restartable(workload: &WorkloadPlan, pod: &Pod, snapshot: &Snapshot, memory: &RollMemory) -> bool {
    let from_the_start =
        || workload.pods.iter().any(|p| p.name == pod.name && p.action == PodAction::EvictUnhealthy);
    workload.strategy == Strategy::Evict
        && !pod.deleting
        && !memory.evicted.contains(&pod.uid)
        && !snapshot.on_target(workload, pod)
        && (memory.given_up.contains(&pod.uid) || from_the_start())
}

/// Whether a workload needs a pod of that name. A Deployment's pods have new names each time.
pub fn needs(workload: &Workload, pod: &str) -> bool {
    let ordinal = pod.strip_prefix(workload.object.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
    let needed = ordinal.and_then(|o| o.parse::<i64>().ok()).is_some_and(|o| o < workload.replicas);
    workload.kind.has_stable_names() && needed
}

/// The first ordinal without a pod.
fn missing(workload: &str, pods: &[&Pod]) -> String {
    let taken: BTreeSet<u32> = pods.iter().filter_map(|p| p.ordinal()).collect();
    let first = (0..).find(|o| !taken.contains(o)).unwrap_or_default();
    format!("{workload}-{first}")
}

/// A pod of another workload that is unhealthy, and whether this tool may restart it. A Deployment's pods hold up
/// nothing: they serve the database and are no part of it.
fn unhealthy_elsewhere<'a>(
    plan: &Plan,
    workload: &WorkloadPlan,
    snapshot: &'a Snapshot,
    memory: &RollMemory,
) -> Option<(&'a Pod, bool)> {
    let ill = |p: &&Pod| !p.healthy() || memory.evicted.contains(&p.uid);
    snapshot.pods.iter().filter(ill).find_map(|pod| {
        let other = plan.workload(&pod.owner)?;
        let counts = other.object.uid != workload.object.uid && !other.kind.serves_only();
        counts.then(|| (pod, restartable(other, pod, snapshot, memory)))
    })
}

/// A pod of another workload that is gone and has not been recreated.
fn missing_elsewhere(plan: &Plan, workload: &WorkloadPlan, snapshot: &Snapshot) -> Option<String> {
    let mut pods: HashMap<&str, Vec<&Pod>> = HashMap::new();
    for pod in &snapshot.pods {
        pods.entry(&pod.owner).or_default().push(pod);
    }
    let others = plan.workloads.iter().filter(|w| w.object.uid != workload.object.uid);
    others.filter(|w| !w.kind.serves_only()).find_map(|other| {
        let now = snapshot.workload(&other.object.uid)?;
        let found = pods.get(other.object.uid.as_str()).map_or(&[][..], Vec::as_slice);
        ((found.len() as i64) < now.replicas).then(|| missing(&now.object.name, found))
    })
}

/// What is wrong with a pod, in a few words.
pub fn ailment(pod: &Pod) -> String {
    if pod.deleting {
        return "terminating".to_owned();
    }
    let waiting = pod.containers.iter().find_map(|c| match &c.state {
        ContainerState::Waiting { reason, .. } if !reason.is_empty() => Some(format!("{}: {reason}", c.name)),
        _ => None,
    });
    let gates = (!pod.ready && !pod.closed_gates.is_empty())
        .then(|| format!("readiness gates not open: {}", pod.closed_gates.join(", ")));
    waiting.or(gates).unwrap_or_else(|| if pod.ready { pod.phase.clone() } else { "not Ready".to_owned() })
}

#[cfg(test)]
mod tests;
