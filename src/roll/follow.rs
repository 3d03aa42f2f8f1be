use crate::model::{Pod, Snapshot, Workload, WorkloadPlan};

/// How far the controller of a workload has rolled it.
#[derive(Debug, Clone, PartialEq)]
pub enum FollowVerdict<'a> {
    /// The controller has not observed the pod template yet.
    Unobserved,
    /// These pods are being replaced or are not healthy yet; `done` counts those on the target and healthy.
    Rolling {
        pending: Vec<&'a Pod>,
        done: u64,
    },
    Done,
}

/// Judges a workload that its own controller rolls. A PetSet or StatefulSet is done when its counters say so *and* every pod is
/// on the update revision; a Deployment's pods carry another label, so its counters and the images tell.
pub fn follow<'a>(plan: &WorkloadPlan, now: &'a Workload, snapshot: &'a Snapshot) -> FollowVerdict<'a> {
    if !now.observed() {
        return FollowVerdict::Unobserved;
    }
    let owned = now.kind.owns_pods();
    let revised = |p: &Pod| !owned || p.revision == now.update_revision;
    let good = |p: &Pod| p.healthy() && revised(p) && snapshot.on_target(plan, p);
    let (done, pending): (Vec<&Pod>, Vec<&Pod>) = snapshot.pods_of(now).partition(|p| good(p));
    let available = if owned { now.ready_replicas } else { now.available_replicas };
    let counted = now.updated_replicas == now.replicas
        && available == now.replicas
        && now.status_replicas == now.replicas
        && done.len() as i64 >= now.replicas;
    if counted && pending.is_empty() {
        FollowVerdict::Done
    } else {
        FollowVerdict::Rolling { pending, done: done.len() as u64 }
    }
}
