//! The pods: whether they are healthy, and whether their budgets allow evictions.

use std::collections::BTreeSet;

use crate::model::{
    Check, Command, Direction, Finding, Pod, PodAction, Severity, Strategy, WorkloadPlan, pods_needed,
};

use super::super::context::Context;

pub fn health(context: &Context<'_>, found: &mut Vec<Finding>) {
    for w in context.snapshot.members() {
        let (mut unhealthy, missing) = context.snapshot.not_ready(w);
        if missing > 0 {
            unhealthy.push(format!("{missing} of {} missing", w.replicas));
        }
        if unhealthy.is_empty() {
            continue;
        }
        let message = format!("{}: not Ready: {}", w.object, unhealthy.join(", "));
        found.push(if context.unfinished() {
            Finding::note(Check::PodNotReady, Severity::Info, message)
        } else {
            context.refusal(
                Check::PodNotReady,
                message,
                format!(
                    "find out why first: {}",
                    Command::kubectl(["get", "pods"])
                        .in_namespace(&context.snapshot.database.object.namespace)
                ),
            )
        });
    }
}

/// The run waits for a pod that is being resized in place. One finding for each pod that it would evict.
pub fn resizes(planned: &[WorkloadPlan], context: &Context<'_>, found: &mut Vec<Finding>) {
    let pods = || planned.iter().flat_map(|w| &w.pods);
    let evicted = |pod: &Pod| pods().any(|p| p.name == pod.name && p.action == PodAction::Evict);
    let resized = context.snapshot.pods.iter().filter_map(|pod| Some((pod, pod.resize()?)));
    found.extend(resized.filter(|(pod, _)| evicted(pod)).map(|(pod, what)| Finding {
        hint: "the run waits until the resize has ended before it evicts the pod".to_owned(),
        ..Finding::note(
            Check::PodResizing,
            Severity::Warning,
            format!("pod {} is being resized in place: {what}", pod.name),
        )
    }));
}

pub fn budgets(context: &Context<'_>, planned: &[WorkloadPlan], found: &mut Vec<Finding>) {
    let snapshot = context.snapshot;
    let mut never = BTreeSet::new();
    let mut blocked = BTreeSet::new();
    let mut judged = BTreeSet::new();
    let evicted = |uid: &str| planned.iter().any(|w| w.object.uid == uid && is_evicted(context.direction, w));
    for w in snapshot.workloads.iter().filter(|w| evicted(&w.object.uid)) {
        for pod in snapshot.pods_of(w) {
            let budgets = context.coverage.of(pod);
            if budgets.len() > 1 {
                let names: Vec<_> = budgets.iter().map(|b| b.name.as_str()).collect();
                found.push(context.refusal(
                    Check::TwoBudgets,
                    format!(
                        "pod {} is covered by {} PodDisruptionBudgets ({}): the API server refuses to evict it",
                        pod.name,
                        names.len(),
                        names.join(", ")
                    ),
                    "narrow the selector of one of them",
                ));
            }
            for b in budgets.iter().filter(|b| judged.insert(b.name.as_str())) {
                if b.never_allows(b.expected_pods.max(context.coverage.pods(b))) {
                    never.insert(b.name.as_str());
                } else if !b.allows() {
                    blocked.insert((b.name.as_str(), b.current_healthy, b.desired_healthy, b.expected_pods));
                }
            }
        }
    }
    let namespace = &snapshot.database.object.namespace;
    found.extend(never.into_iter().map(|b| {
        context.refusal(
            Check::BudgetNever,
            format!("PodDisruptionBudget {b} never allows a disruption"),
            format!(
                "make it allow one disruption: {}",
                Command::kubectl(["edit", "poddisruptionbudget", b]).in_namespace(namespace)
            ),
        )
    }));
    found.extend(blocked.into_iter().map(|(b, healthy, needed, expected)| {
        let message = format!(
            "PodDisruptionBudget {b} allows no disruption: {}",
            pods_needed(needed, Some(expected), healthy)
        );
        Finding::note(Check::BudgetBlocked, Severity::Warning, message)
    }));
}

/// Whether pods of that workload are evicted. In a rollback an unhealthy one is deleted if its budget never allows the
/// eviction.
fn is_evicted(direction: Direction, workload: &WorkloadPlan) -> bool {
    workload.pods.iter().any(|p| match p.action {
        PodAction::Evict => true,
        PodAction::EvictUnhealthy => direction == Direction::Update,
        PodAction::Follow => workload.strategy == Strategy::OpsManager,
        PodAction::Await | PodAction::Skip => false,
    })
}
