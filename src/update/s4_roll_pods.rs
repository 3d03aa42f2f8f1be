//! Which pod is restarted next, and what has to be so before.
//!
//! A well pod is evicted only while every other pod of the database is well. A pod that is not well may be restarted at
//! any time: on the old revision it goes first, since waiting for it would be waiting for ever.

use std::collections::BTreeSet;

use crate::model::{ContainerState, ObjectRef, Purpose, WriteAction};
use crate::model::{Plan, Pod, Snapshot, Strategy, WorkloadKind, WorkloadPlan, Write};

/// What a workload's rolling comes to next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Every pod is on the target and well.
    Done,
    /// The workload is gone.
    WorkloadGone,
    /// This pod has to become well first: it is on its way, or not there at all.
    Await { pod: String },
    /// This pod is to be evicted.
    Evict { pod: String, uid: String, well: bool },
    /// A pod elsewhere in the database is not well, and restarting it is not ours to do.
    Hold { pod: String, why: String },
}

/// Decides. `evicted` holds the uids of pods whose eviction was accepted: they are as good as deleted, whatever the
/// watch has shown so far.
pub fn next(plan: &Plan, workload: &WorkloadPlan, snapshot: &Snapshot, evicted: &BTreeSet<String>) -> Next {
    let Some(now) = snapshot.workload(&workload.object.uid) else { return Next::WorkloadGone };
    let mut pods: Vec<&Pod> = snapshot.pods_of(now).collect();
    pods.sort_by_key(|p| p.ordinal());
    let leaving = |p: &Pod| p.deleting || evicted.contains(&p.uid);
    let outdated = |p: &Pod| !workload.has_images(p);
    let evict = |p: &Pod| Next::Evict { pod: p.name.clone(), uid: p.uid.clone(), well: p.well() };
    if let Some(pod) = pods.iter().find(|p| outdated(p) && !p.well() && !leaving(p)) {
        return evict(pod);
    }
    if let Some(pod) = pods.iter().find(|p| !p.well() || leaving(p)) {
        return Next::Await { pod: pod.name.clone() };
    }
    if (pods.len() as i64) < now.replicas {
        return Next::Await { pod: missing(&now.object.name, &pods) };
    }
    let Some(pod) = pods.iter().find(|p| outdated(p)) else { return Next::Done };
    match unwell_elsewhere(plan, workload, snapshot, evicted) {
        None => evict(pod),
        Some((other, true)) => evict(other),
        Some((other, false)) => Next::Hold { pod: other.name.clone(), why: ailment(other) },
    }
}

/// The first ordinal that has no pod.
fn missing(workload: &str, pods: &[&Pod]) -> String {
    let taken: BTreeSet<u32> = pods.iter().filter_map(|p| p.ordinal()).collect();
    let first = (0..).find(|o| !taken.contains(o)).unwrap_or_default();
    format!("{workload}-{first}")
}

/// A pod of another workload that is not well, and whether it is one that we may restart: on the old images, of a
/// workload whose pods we evict. A Deployment's pods hold nothing up: they serve the database, they are not it.
fn unwell_elsewhere<'a>(
    plan: &Plan,
    workload: &WorkloadPlan,
    snapshot: &'a Snapshot,
    evicted: &BTreeSet<String>,
) -> Option<(&'a Pod, bool)> {
    let ill = |p: &&Pod| !p.well() || evicted.contains(&p.uid);
    // Nearly always none is, and then the pods need not be gone through once for each workload.
    snapshot.pods.iter().find(ill)?;
    let others = plan.workloads.iter().filter(|w| w.object.uid != workload.object.uid);
    others.filter(|w| w.kind != WorkloadKind::Deployment).find_map(|other| {
        let now = snapshot.workload(&other.object.uid)?;
        let ill = snapshot.pods_of(now).find(ill)?;
        let ours = other.strategy == Strategy::Evict && !other.has_images(ill);
        Some((ill, ours && !ill.deleting && !evicted.contains(&ill.uid)))
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
    waiting.unwrap_or_else(|| if pod.ready { pod.phase.clone() } else { "not Ready".to_owned() })
}

/// The eviction of a pod; the server refuses it unless the pod has that uid.
pub fn write(namespace: &str, pod: &str, uid: &str) -> Write {
    Write {
        purpose: Purpose::Evict,
        object: ObjectRef {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            plural: "pods".to_owned(),
            namespace: namespace.to_owned(),
            name: pod.to_owned(),
            uid: uid.to_owned(),
        },
        action: WriteAction::Evict,
    }
}
