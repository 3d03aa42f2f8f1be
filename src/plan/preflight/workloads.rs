//! The workloads: whether they exist, how their controllers update them, and where their pods run.

use crate::kinds;
use crate::model::{
    Check, Command, Finding, Lookup, PodAction, Remark, Severity, Snapshot, UpdateStrategy, Workload,
    WorkloadPlan,
};

use super::super::context::Context;
use super::super::images;

pub fn workloads(context: &Context<'_>, found: &mut Vec<Finding>) {
    let db = &context.snapshot.database;
    if context.snapshot.members().next().is_none() {
        found.push(context.refusal(
            Check::NoWorkloads,
            format!("{} has no PetSet or StatefulSet (by label and owner)", db.object),
            "is the operator running, and has it created the workloads?",
        ));
    } else if let Some(leaving) = context.snapshot.members().find(|w| w.deleting) {
        found.push(context.refusal(
            Check::NoWorkloads,
            format!("{} is being deleted", leaving.object),
            "wait until it is gone and the operator has created it again",
        ));
    } else if context.snapshot.members().all(|w| w.replicas <= 0) {
        found.push(context.refusal(
            Check::NoWorkloads,
            format!("all workloads of {} have zero replicas: there is no pod to update", db.object),
            "scale the database up first",
        ));
    }
    for w in context.snapshot.workloads.iter().filter(|w| w.distributed) {
        found.push(context.refusal(
            Check::Distributed,
            format!(
                "{} is distributed: its pods run in other clusters, which this tool cannot reach",
                w.object
            ),
            "",
        ));
    }
    for shape in context.facts().shapes {
        let asked_for = shape.switch.filter(|switch| db.switched_on.contains(switch));
        if let Some(switch) = asked_for
            && !context.snapshot.workloads.iter().any(|w| w.container(shape.anchor).is_some())
        {
            found.push(Finding::note(
                Check::CruiseControlMissing,
                Severity::Warning,
                format!(
                    "spec.{switch} of {} is set, but its workload was not found: its image will not be updated",
                    db.object
                ),
            ));
        }
    }
}

pub fn strategies(context: &Context<'_>, planned: &[WorkloadPlan], found: &mut Vec<Finding>) {
    for w in context.snapshot.members() {
        if w.partition > 0 && restarts(w, planned) {
            found.push(context.refusal(
                Check::Partition,
                format!(
                    "{} has partition {}: its controller creates pods below that ordinal from the old template",
                    w.object, w.partition
                ),
                "set spec.updateStrategy.rollingUpdate.partition to 0",
            ));
        }
        if w.strategy != UpdateStrategy::RollingUpdate {
            continue;
        }
        found.push(Finding::note(
            Check::RollingUpdate,
            Severity::Warning,
            format!("{} has update strategy RollingUpdate: its controller restarts the pods regardless of PodDisruptionBudgets, and Ctrl-C cannot stop it", w.object),
        ));
        if images::rolls_twice(context, w, planned) {
            found.push(context.refusal(
                Check::PinnedRollingUpdate,
                format!("{} pins images to digests: when the operator pins the new ones, every pod will be restarted again", w.object),
                "with --digests auto they are pinned from the start, if the registry can be asked",
            ));
        }
    }
}

/// The database itself says what it means that a workload has one pod.
fn told_by_the_database(snapshot: &Snapshot, workload: &str) -> bool {
    let only = format!("{workload}-0 ");
    let about = |remark: &Remark| remark.check == Check::OneReplica && remark.message.starts_with(&only);
    snapshot.said().is_some_and(|health| health.remarks.iter().any(about))
}

pub fn placement(context: &Context<'_>, found: &mut Vec<Finding>) {
    let snapshot = context.snapshot;
    for w in &context.snapshot.workloads {
        if w.replicas == 1 && !told_by_the_database(snapshot, &w.object.name) {
            found.push(Finding::note(
                Check::OneReplica,
                Severity::Warning,
                format!("{} has one replica: it is unavailable while its pod restarts", w.object),
            ));
        }
        if w.replicas == 2 && is_controller(context, w) {
            found.push(Finding::note(
                Check::TwoControllers,
                Severity::Warning,
                format!("{} has two controllers: the quorum is lost while either restarts", w.object),
            ));
        }
        for pod in snapshot.pods_of(w) {
            if let (Some(node), Lookup::Found(cordoned)) = (&pod.node, &snapshot.cordoned)
                && cordoned.contains(node)
            {
                let message = format!(
                    "pod {} runs on node {node}, which is cordoned: it will be rescheduled to another node, if its volumes can move",
                    pod.name
                );
                found.push(Finding::note(Check::CordonedNode, Severity::Warning, message));
            }
        }
    }
}

/// PlacementPolicies that are gone: the controller of a PetSet that names one creates no pod, and says nothing.
pub fn policies(context: &Context<'_>, planned: &[WorkloadPlan], found: &mut Vec<Finding>) {
    for w in context.snapshot.workloads.iter().filter(|w| restarts(w, planned)) {
        let Some(policy) = &w.placement_policy else { continue };
        match &context.snapshot.environment.placement {
            Lookup::Found(all) if !all.contains(policy) => found.push(context.refusal(
                Check::PlacementPolicy,
                format!(
                    "{} names PlacementPolicy {policy}, which does not exist: its controller would not create a pod again",
                    w.object
                ),
                format!("create it, or name one of {}", Command::kubectl(["get", "placementpolicies"])),
            )),
            Lookup::Unreadable(why) => found.push(Finding::note(
                Check::NotChecked,
                Severity::Info,
                format!("could not check whether PlacementPolicy {policy} of {} exists: {why}", w.object),
            )),
            Lookup::Found(_) | Lookup::Absent => {}
        }
    }
}

/// Some of its pods will be restarted, by whomever.
fn restarts(workload: &Workload, planned: &[WorkloadPlan]) -> bool {
    let plan = planned.iter().find(|plan| plan.object.uid == workload.object.uid);
    plan.is_some_and(|plan| plan.pods.iter().any(|p| !matches!(p.action, PodAction::Skip)))
}

fn is_controller(context: &Context<'_>, workload: &Workload) -> bool {
    let db = &context.snapshot.database;
    !workload.kind.serves_only() && (context.facts().controllers)(&kinds::role(&db.object.name, workload))
}
