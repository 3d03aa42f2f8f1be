//! Which images are brought to which nodes before anything is changed, and whether that would help. Part of the
//! preflight.

use std::collections::BTreeSet;

use crate::model::{
    Check, ContainerState, Finding, Lookup, Permission, Plan, Pod, PodAction, PodPlan, PrePull, Pull,
    Severity, Snapshot, WorkloadPlan, among,
};

use super::context::Context;

/// What `--pre-pull` brings to the nodes of the pods that will be restarted; `None` if it is not asked for, or its pods
/// may not be created and removed again, or no image is missing.
pub(super) fn plan(context: &Context<'_>, planned: &[WorkloadPlan]) -> Option<PrePull> {
    if !context.pre_pull || denied(context).next().is_some() {
        return None;
    }
    let mut plan = PrePull::default();
    for pull in wanted(context.snapshot, planned) {
        if cordoned(context.snapshot, &pull.node) {
            continue;
        }
        match there(context.snapshot, &pull) {
            true => plan.present.push(pull),
            false => plan.pulls.push(pull),
        }
    }
    (plan != PrePull::default()).then_some(plan)
}

/// The nodes on which that plan will need an image; none if it is refused.
pub fn nodes(snapshot: &Snapshot, plan: &Plan) -> BTreeSet<String> {
    match plan.refusals().next() {
        Some(_) => BTreeSet::new(),
        None => wanted(snapshot, &plan.workloads).into_iter().map(|pull| pull.node).collect(),
    }
}

/// Why nothing is brought to some nodes, or what could be.
pub fn findings(context: &Context<'_>, planned: &[WorkloadPlan], found: &mut Vec<Finding>) {
    let wanted = wanted(context.snapshot, planned);
    if !context.pre_pull {
        found.extend(suggestion(context.snapshot, &wanted));
        found.extend(unknown(context.snapshot, &wanted));
        return;
    }
    // The other permission is named by the check of the permissions.
    if denied(context).any(|permission| permission.verb == "delete") {
        let message = "no image will be pre-pulled: you may not delete the pods that do so".to_owned();
        found.push(Finding::note(Check::PrePull, Severity::Warning, message));
    }
    let nodes: BTreeSet<&str> = wanted.iter().map(|pull| pull.node.as_str()).collect();
    let cordoned: Vec<&str> = nodes.into_iter().filter(|node| cordoned(context.snapshot, node)).collect();
    if !cordoned.is_empty() {
        let message = format!(
            "nothing is pre-pulled on cordoned nodes, to which no pod returns: {}",
            cordoned.join(", ")
        );
        found.push(Finding::note(Check::PrePull, Severity::Info, message));
    }
}

/// Every image that a pod will need where it is now and does not have, workload by workload, each once for a node.
fn wanted(snapshot: &Snapshot, planned: &[WorkloadPlan]) -> Vec<Pull> {
    let mut all: Vec<Pull> = Vec::new();
    for workload in planned {
        let Some(now) = snapshot.workload(&workload.object.uid) else { continue };
        let restarts = |p: &&PodPlan| !matches!(p.action, PodAction::Skip | PodAction::Await);
        let restarted: BTreeSet<&str> =
            workload.pods.iter().filter(restarts).map(|p| p.name.as_str()).collect();
        let mut pods: Vec<&Pod> =
            snapshot.pods_of(now).filter(|pod| restarted.contains(pod.name.as_str())).collect();
        pods.sort_by(|a, b| (&a.node, &a.name).cmp(&(&b.node, &b.name)));
        for pod in pods {
            let Some(node) = &pod.node else { continue };
            // Admission may rewrite the images of pods, and does the same to a pod that only downloads one.
            let had = snapshot.asked_images(pod);
            let new = |(container, image): &(&str, &str)| {
                !had.iter().any(|(name, had)| name == container && is(had, image))
            };
            for (_, image) in workload.target_images().filter(new) {
                if !all.iter().any(|pull| pull.node == *node && is(&pull.image, image)) {
                    let workload = workload.object.uid.clone();
                    all.push(Pull { node: node.clone(), image: image.to_owned(), workload });
                }
            }
        }
    }
    all
}

/// Whoever has the one has the other.
fn is(there: &str, image: &str) -> bool {
    among(image, &[there.to_owned()])
}

/// The node is known to have the image: it says so, or one of the database's pods runs it there.
fn there(snapshot: &Snapshot, pull: &Pull) -> bool {
    let runs = |pod: &Pod| {
        pod.node.as_deref() == Some(&pull.node)
            && snapshot
                .asked_images(pod)
                .iter()
                .any(|(container, image)| is(image, &pull.image) && has_run(pod, container))
    };
    snapshot.environment.reported(&pull.node, &pull.image) == Some(true) || snapshot.pods.iter().any(runs)
}

fn has_run(pod: &Pod, container: &str) -> bool {
    let state = pod.containers.iter().find(|c| c.name == container).map(|c| &c.state);
    matches!(state, Some(ContainerState::Running | ContainerState::Terminated { .. }))
}

fn cordoned(snapshot: &Snapshot, node: &str) -> bool {
    matches!(&snapshot.cordoned, Lookup::Found(cordoned) if cordoned.iter().any(|name| name == node))
}

/// The missing permissions without which no pod of ours is created: one that cannot be removed would stay.
fn denied<'a>(context: &'a Context<'_>) -> impl Iterator<Item = &'a Permission> {
    let pods = |p: &&Permission| p.group.is_empty() && p.resource == "pods";
    let denied = context.snapshot.environment.denied().iter().filter(pods);
    denied.filter(|p| p.verb == "create" || p.verb == "delete")
}

/// Some nodes report their images, and these are not among them.
fn suggestion(snapshot: &Snapshot, wanted: &[Pull]) -> Option<Finding> {
    let missing = |pull: &&Pull| {
        snapshot.environment.reported(&pull.node, &pull.image) == Some(false) && !there(snapshot, pull)
    };
    let nodes: BTreeSet<&str> = wanted.iter().filter(missing).map(|pull| pull.node.as_str()).collect();
    let images: BTreeSet<&str> = wanted.iter().filter(missing).map(|pull| pull.image.as_str()).collect();
    let (nodes, images) = match (nodes.len(), images.len()) {
        (0, _) => return None,
        (1, 1) => ("1 node is".to_owned(), "the new image"),
        (1, _) => ("1 node is".to_owned(), "the new images"),
        (n, 1) => (format!("{n} nodes are"), "the new image"),
        (n, _) => (format!("{n} nodes are"), "the new images"),
    };
    let message =
        format!("{nodes} not known to have {images}: each pod will be away while its node downloads it");
    let hint = "with --pre-pull, the nodes download it before anything is changed".to_owned();
    Some(Finding { hint, ..Finding::note(Check::PrePull, Severity::Info, message) })
}

/// Nodes that could not be read, or that report no images.
fn unknown(snapshot: &Snapshot, wanted: &[Pull]) -> Option<Finding> {
    let nodes: BTreeSet<&str> = wanted.iter().map(|pull| pull.node.as_str()).collect();
    let why = nodes.into_iter().find_map(|node| match snapshot.environment.nodes.get(node)? {
        Lookup::Found(names) if names.is_empty() => Some(format!("node {node} reports no images")),
        Lookup::Found(_) => None,
        Lookup::Absent => Some(format!("node {node} does not exist")),
        Lookup::Unreadable(why) => Some(why.clone()),
    })?;
    let message = format!("could not check whether the nodes have the new images: {why}");
    Some(Finding::note(Check::NotChecked, Severity::Info, message))
}
