//! What happens to one workload: its containers, its pods, and who restarts them. An update and a rollback differ only
//! in the source of the images, and in the direction.

use crate::kinds;
use crate::model::{
    Action, Container, Direction, ImageChange, KeptContainer, KeptWhy, Method, Pod, PodAction, PodPlan,
    ShapeChange, Strategy, Workload, WorkloadPlan,
};
use crate::roll::order;
use crate::steps::s1_pause;

use super::context::Context;

/// What happens to a container of a pod template.
pub(super) enum Becomes {
    /// It gets this image.
    Image(String),
    /// It has its image already.
    OnTarget,
    /// It does not belong to the database's version, and is left unchanged.
    Sidecar,
    Removed,
}

/// What happens to a whole pod template.
#[derive(Default)]
pub(super) struct Changes {
    pub images: Vec<ImageChange>,
    pub kept: Vec<KeptContainer>,
    pub added: Vec<ShapeChange>,
    pub removed: Vec<ShapeChange>,
}

impl Changes {
    /// The changes to that workload's template, which also gets the containers that are `added`.
    pub fn of(workload: &Workload, added: Vec<ShapeChange>, becomes: impl Fn(&Container) -> Becomes) -> Self {
        let mut changes = Changes { added, ..Changes::default() };
        for container in &workload.containers {
            let Container { name, image, init, index } = container.clone();
            let kept = |why| KeptContainer { container: name.clone(), init, image: image.clone(), why };
            match becomes(container) {
                Becomes::OnTarget => changes.kept.push(kept(KeptWhy::AlreadyOnTarget)),
                Becomes::Sidecar => changes.kept.push(kept(KeptWhy::Sidecar)),
                Becomes::Removed => changes.removed.push(ShapeChange { container: name, init, image }),
                Becomes::Image(after) => {
                    changes.images.push(ImageChange { container: name, init, index, now: image, after });
                }
            }
        }
        changes
    }
}

/// The workloads in the order in which their pods are restarted; a rollback uses the reverse order.
pub(super) fn in_order<'a>(context: &Context<'a>) -> Vec<&'a Workload> {
    let snapshot = context.snapshot;
    let mut order = context.facts().in_order(&snapshot.database.object.name, &snapshot.workloads);
    if context.direction == Direction::Rollback {
        order.reverse();
    }
    order
}

/// Plans one workload. Which object it is, and its properties, come from the cluster alone.
pub(super) fn plan(
    context: &Context<'_>,
    workload: &Workload,
    changes: Changes,
    min_ready_seconds: i64,
) -> WorkloadPlan {
    let strategy = match context.method {
        Method::OpsManager => Strategy::OpsManager,
        Method::Client | Method::Provisioner if workload.rolls_by_itself() => Strategy::Follow,
        Method::Client | Method::Provisioner => Strategy::Evict,
    };
    let Changes { images, kept, added, removed } = changes;
    let mut plan = WorkloadPlan {
        kind: workload.kind,
        object: workload.object.clone(),
        role: kinds::role(&context.snapshot.database.object.name, workload),
        strategy,
        replicas: workload.replicas,
        min_ready_seconds: min_ready_seconds.max(workload.min_ready_seconds),
        images,
        kept,
        added,
        removed,
        rewriting: context.snapshot.rewriting(workload),
        pods: Vec::new(),
    };
    let pods = order::pods(context.direction, strategy, workload, context.snapshot);
    plan.pods = pods.into_iter().map(|pod| pod_plan(context, &plan, pod)).collect();
    plan
}

fn pod_plan(context: &Context<'_>, plan: &WorkloadPlan, pod: &Pod) -> PodPlan {
    let action = match (context.snapshot.on_target(plan, pod), pod.healthy(), plan.strategy) {
        (true, true, _) => PodAction::Skip,
        (true, false, _) => PodAction::Await,
        (false, _, Strategy::Follow | Strategy::OpsManager) => PodAction::Follow,
        (false, true, Strategy::Evict) => PodAction::Evict,
        (false, false, Strategy::Evict) => PodAction::EvictUnhealthy,
    };
    PodPlan { name: pod.name.clone(), action, waits_for: waits_for(context, pod, action) }
}

fn waits_for(context: &Context<'_>, pod: &Pod, action: PodAction) -> String {
    let names: Vec<_> = context.coverage.of(pod).iter().map(|b| b.name.as_str()).collect();
    let allowed = match names.join(", ") {
        none if none.is_empty() => none,
        names => format!("PodDisruptionBudget {names} allows it"),
    };
    match (action, context.direction) {
        (PodAction::Evict, _) => every_other_pod(context, allowed),
        (PodAction::EvictUnhealthy, Direction::Rollback) if !allowed.is_empty() => {
            allowed + " (deleted instead if it never will)"
        }
        (PodAction::EvictUnhealthy, _) => allowed,
        (PodAction::Follow, _) if context.method == Method::OpsManager => "the Ops-manager".to_owned(),
        (PodAction::Follow, _) => "its controller".to_owned(),
        (PodAction::Await, _) => "it is Ready".to_owned(),
        (PodAction::Skip, _) => String::new(),
    }
}

/// What a healthy pod waits for.
fn every_other_pod(context: &Context<'_>, allowed: String) -> String {
    let kind = context.snapshot.database.kind.name();
    let bears = context.snapshot.said().map(|_| format!("{kind} can bear it"));
    let mut conditions = vec!["every other pod is Ready".to_owned()];
    conditions.extend(bears);
    conditions.extend(Some(allowed).filter(|allowed| !allowed.is_empty()));
    match conditions.as_slice() {
        [more @ .., last] if !more.is_empty() => format!("{} and {last}", more.join(", ")),
        conditions => conditions.concat(),
    }
}

/// The action that these workloads need. `unfinished` says that an earlier run has left something to do, even if only
/// its verification.
pub(super) fn action(context: &Context<'_>, workloads: &[WorkloadPlan], unfinished: bool) -> Action {
    let unfinished = unfinished || s1_pause::ours(&context.snapshot.database).is_some();
    let settled = workloads.iter().all(WorkloadPlan::settled);
    match (context.direction, context.on_target_version()) {
        (Direction::Rollback, on_target) if !on_target || !settled => Action::Rollback,
        (Direction::Update, false) => Action::Update,
        (Direction::Update | Direction::Finish, true)
            if !settled && (unfinished || workloads.iter().any(WorkloadPlan::outdated)) =>
        {
            Action::Roll
        }
        _ if unfinished => Action::Resume,
        _ => Action::Nothing,
    }
}
