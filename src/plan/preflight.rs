//! What speaks against an update. Read-only; every check runs, and all findings are reported at once.

use std::collections::BTreeSet;

use crate::catalog::{self, constraint::Verdict};
use crate::model::{
    CatalogVersion, Check, Command, Condition, Finding, Lookup, Phase, Severity, Snapshot, UpdateStrategy,
    Workload, WorkloadKind, WorkloadPlan, pods_needed,
};

use super::context::{Context, note};
use super::{environment, images, methods, templates};
use crate::steps::s1_pause;

/// Every finding, refusals first. `evicted` tells whether the plan evicts pods of that workload (by uid).
pub fn findings(
    context: &Context<'_>,
    planned: &[WorkloadPlan],
    evicted: &dyn Fn(&str) -> bool,
) -> Vec<Finding> {
    let mut found = Vec::new();
    database(context, &mut found);
    others(context, &mut found);
    versions(context, &mut found);
    workloads(context, &mut found);
    templates::findings(context, &mut found);
    health(context, &mut found);
    budgets(context, evicted, &mut found);
    images::findings(context, planned, &mut found);
    methods::findings(context, &mut found);
    strategies(context, planned, &mut found);
    placement(context, &mut found);
    environment::findings(context, planned, &mut found);
    found.sort_by_key(|f| f.severity);
    found
}

/// What speaks against a rollback, refusals first: not the versions and images, which are what they were.
pub fn findings_of_a_rollback(
    context: &Context<'_>,
    planned: &[WorkloadPlan],
    evicted: &dyn Fn(&str) -> bool,
) -> Vec<Finding> {
    let mut found = Vec::new();
    database(context, &mut found);
    others(context, &mut found);
    health(context, &mut found);
    budgets(context, evicted, &mut found);
    strategies(context, planned, &mut found);
    methods::findings_of_a_rollback(context, planned, &mut found);
    placement(context, &mut found);
    environment::findings(context, planned, &mut found);
    found.sort_by_key(|f| f.severity);
    found
}

fn database(context: &Context<'_>, found: &mut Vec<Finding>) {
    let db = &context.snapshot.database;
    let name = &db.object;
    if db.deleting {
        found.push(context.refusal(Check::BeingDeleted, format!("{name} is being deleted"), ""));
    }
    if db.halted || db.phase == Phase::Halted {
        found.push(context.refusal(
            Check::Halted,
            format!("{name} is halted (spec.halted): it has no pods to update"),
            "set spec.halted to false, wait until the database is Ready, then try again",
        ));
    }
    if db.phase != Phase::Ready && db.phase != Phase::Halted {
        let message = format!("{name} is {}, not Ready", db.phase);
        found.push(if context.unfinished() {
            note(Check::Phase, Severity::Info, message)
        } else {
            context.refusal(Check::Phase, message, "make sure the database is Ready first")
        });
    }
}

/// How to remove the pause of an ops request that is gone, or has ended without removing it: nothing else will.
fn left_over(snapshot: &Snapshot, at: usize, condition: &Condition) -> Option<String> {
    let db = &snapshot.database;
    let requests = matches!(snapshot.ops_requests, Lookup::Found(_));
    if !requests || snapshot.ops_in_flight().next().is_some() || !condition.message.contains("OpsRequest") {
        return None;
    }
    let (plural, name, namespace) = (db.kind.plural(), &db.object.name, &db.object.namespace);
    let patch = format!(
        "[{{\"op\":\"test\",\"path\":\"/status/conditions/{at}/type\",\"value\":\"Paused\"}},\
         {{\"op\":\"remove\",\"path\":\"/status/conditions/{at}\"}}]"
    );
    let command = Command::kubectl(["patch", plural, name]).in_namespace(namespace);
    let command = command.words(["--subresource=status", "--type", "json", "-p", &patch]);
    Some(format!(
        "none of its ops requests is in progress; if nothing else is changing the database, remove the condition, and the \
         operator will restore the pod templates of {}: {command}",
        db.version
    ))
}

fn others(context: &Context<'_>, found: &mut Vec<Finding>) {
    let snapshot = context.snapshot;
    let db = &snapshot.database;
    let followed = snapshot.ops_in_flight().any(|r| context.follows(r));
    if let Some((at, condition)) = db.paused().filter(|_| !followed) {
        match s1_pause::run_of(condition) {
            // The finding from the journal says the same, with more detail.
            Some(_) if context.resuming => {}
            Some(run) => found.push(note(
                Check::UnfinishedRun,
                Severity::Info,
                format!("run {run} of this tool was not finished ({}); it is resumed", condition.message),
            )),
            None if context.left_paused(&condition.message) => found.push(note(
                Check::PausedByOther,
                Severity::Info,
                format!(
                    "{} is paused for the ops request of this run, which is gone: it will be recreated",
                    db.object
                ),
            )),
            None => found.push(context.refusal(
                Check::PausedByOther,
                format!(
                    "{} is paused by another user or controller: {}",
                    db.object,
                    said(&condition.message)
                ),
                left_over(snapshot, at, condition).unwrap_or_else(|| {
                    "wait until whoever paused it has removed the Paused condition".to_owned()
                }),
            )),
        }
    }
    if let Some(lock) = context.snapshot.lock.as_ref().filter(|l| l.alive) {
        found.push(context.refusal(
            Check::Locked,
            format!(
                "locked by {} since {}, which is still running: it just renewed the lock for another {} s",
                lock.holder, lock.since, lock.duration_seconds
            ),
            "wait for that run to end",
        ));
    }
    match &context.snapshot.ops_requests {
        Lookup::Absent => {}
        Lookup::Unreadable(why) => found.push(context.refusal(
            Check::OpsRequestsUnreadable,
            format!("cannot tell whether an ops request is in progress: {why}"),
            format!("ask for permission to list {}.ops.kubedb.com", context.facts.ops_plural),
        )),
        Lookup::Found(_) => found.extend(snapshot.ops_in_flight().map(|r| {
            let message = format!("{} {} ({}) is in progress: {}", r.kind, r.name, r.operation, r.phase());
            if context.follows(r) {
                return note(Check::OpsRequest, Severity::Info, message + "; this run follows it");
            }
            context.refusal(Check::OpsRequest, message, "wait for it to end, or delete it")
        })),
    }
}

fn said(message: &str) -> &str {
    if message.is_empty() { "no message" } else { message }
}

fn versions(context: &Context<'_>, found: &mut Vec<Finding>) {
    let target = context.target;
    if target.end_of_life {
        found.push(note(
            Check::EndOfLife,
            Severity::Warning,
            format!("{} is marked as end of life in the catalog", target.name),
        ));
    }
    if context.on_target_version() {
        return;
    }
    if target.deprecated {
        found.push(context.refusal(
            Check::DeprecatedTarget,
            format!("{} is deprecated in the catalog", target.name),
            "choose another version",
        ));
    }
    match context.current {
        Some(current) => transition(context, current, found),
        None => found.push(context.refusal(
            Check::CurrentVersionMissing,
            format!(
                "the catalog has no version object {}: cannot check whether it may be updated to {}",
                context.snapshot.database.version, target.name
            ),
            "install the version object, for example from the catalog chart with deprecated versions enabled",
        )),
    }
}

fn transition(context: &Context<'_>, current: &CatalogVersion, found: &mut Vec<Finding>) {
    let target = context.target;
    if let (Ok(from), Ok(to)) = (catalog::parse(current), catalog::parse(target))
        && to < from
    {
        found.push(context.refusal(
            Check::Downgrade,
            format!(
                "{} to {} is a downgrade: the older version may not be able to read the data",
                current.name, target.name
            ),
            "make sure that the older version can read the data",
        ));
    }
    let refused = match catalog::verdict(current, target) {
        Ok(Verdict::Allowed) => return,
        Ok(verdict) => context.refusal(
            Check::VersionDenied,
            format!("{} may not be updated to {}: {}", current.name, target.name, why_denied(&verdict)),
            path_hint(context),
        ),
        Err(error) => context.refusal(
            Check::VersionRule,
            format!(
                "cannot tell whether {} may be updated to {}: {}",
                current.name,
                target.name,
                with_source(&error)
            ),
            format!(
                "fix the object: {}",
                Command::kubectl(["edit", context.facts.version_plural, error.object()])
            ),
        ),
    };
    found.push(refused);
}

fn why_denied(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allowed => String::new(),
        Verdict::NotInAllowlist { allowlist } => {
            format!(
                "its allowlist only has {}",
                allowlist.iter().map(|c| format!("{c:?}")).collect::<Vec<_>>().join(", ")
            )
        }
        Verdict::DeniedBy { constraint } => format!("its denylist has {constraint:?}"),
    }
}

fn path_hint(context: &Context<'_>) -> String {
    let snapshot = context.snapshot;
    match catalog::shortest_path(&snapshot.catalog, &snapshot.database.version, &context.target.name) {
        Some(path) => format!("update in steps, in one command with --through: {}", path.join(" → ")),
        None => "no sequence of allowed updates leads to it".to_owned(),
    }
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn workloads(context: &Context<'_>, found: &mut Vec<Finding>) {
    let db = &context.snapshot.database;
    let runs_pods = |w: &&Workload| w.kind != WorkloadKind::Deployment;
    if !context.workloads().any(|w| runs_pods(&w)) {
        found.push(context.refusal(
            Check::NoWorkloads,
            format!("{} has no PetSet or StatefulSet (by label and owner)", db.object),
            "is the operator running, and has it created the workloads?",
        ));
    } else if context.workloads().filter(runs_pods).all(|w| w.replicas == 0) {
        found.push(context.refusal(
            Check::NoWorkloads,
            format!("all workloads of {} have zero replicas: there is no pod to update", db.object),
            "scale the database up first",
        ));
    }
    for w in context.workloads().filter(|w| w.distributed) {
        found.push(context.refusal(
            Check::Distributed,
            format!(
                "{} is distributed: its pods run in other clusters, which this tool cannot reach",
                w.object
            ),
            "",
        ));
    }
    for shape in context.facts.shapes {
        let asked_for = shape.switch.filter(|switch| db.switched_on.contains(switch));
        if let Some(switch) = asked_for
            && !context.workloads().any(|w| w.container(shape.anchor).is_some())
        {
            found.push(note(
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

fn health(context: &Context<'_>, found: &mut Vec<Finding>) {
    for w in context.workloads().filter(|w| w.kind != WorkloadKind::Deployment) {
        let pods: Vec<_> = context.snapshot.pods_of(w).collect();
        let mut unhealthy: Vec<String> =
            pods.iter().filter(|p| !p.healthy()).map(|p| p.name.clone()).collect();
        let missing = w.replicas - pods.len() as i64;
        if missing > 0 {
            unhealthy.push(format!("{missing} of {} missing", w.replicas));
        }
        if unhealthy.is_empty() {
            continue;
        }
        let message = format!("{}: not Ready: {}", w.object, unhealthy.join(", "));
        found.push(if context.unfinished() {
            note(Check::PodNotReady, Severity::Info, message)
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

fn budgets(context: &Context<'_>, evicted: &dyn Fn(&str) -> bool, found: &mut Vec<Finding>) {
    let snapshot = context.snapshot;
    let mut never = BTreeSet::new();
    let mut blocked = BTreeSet::new();
    let mut judged = BTreeSet::new();
    for w in context.workloads().filter(|w| evicted(&w.object.uid)) {
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
        note(Check::BudgetBlocked, Severity::Warning, message)
    }));
}

fn strategies(context: &Context<'_>, planned: &[WorkloadPlan], found: &mut Vec<Finding>) {
    for w in context.workloads().filter(|w| w.kind != WorkloadKind::Deployment) {
        let UpdateStrategy::RollingUpdate { partition } = w.strategy else { continue };
        found.push(note(
            Check::RollingUpdate,
            Severity::Warning,
            format!("{} has update strategy RollingUpdate: its controller restarts the pods regardless of PodDisruptionBudgets, and Ctrl-C cannot stop it", w.object),
        ));
        if partition > 0 {
            found.push(context.refusal(
                Check::Partition,
                format!("{} has partition {partition}: its controller would leave pods below that ordinal on the old version", w.object),
                "set spec.updateStrategy.rollingUpdate.partition to 0",
            ));
        }
        if images::rolls_twice(context, w, planned) {
            found.push(context.refusal(
                Check::PinnedRollingUpdate,
                format!("{} pins images to digests: when the operator pins the new ones, every pod will be restarted again", w.object),
                "with --digests auto they are pinned from the start, if the registry can be asked",
            ));
        }
    }
}

fn placement(context: &Context<'_>, found: &mut Vec<Finding>) {
    let snapshot = context.snapshot;
    for w in context.workloads() {
        if w.replicas == 1 {
            found.push(note(
                Check::OneReplica,
                Severity::Warning,
                format!("{} has one replica: it is unavailable while its pod restarts", w.object),
            ));
        }
        if w.replicas == 2 && is_controller(context, w) {
            found.push(note(
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
                found.push(note(Check::CordonedNode, Severity::Warning, message));
            }
        }
    }
}

fn is_controller(context: &Context<'_>, workload: &Workload) -> bool {
    let db = &context.snapshot.database;
    workload.kind != WorkloadKind::Deployment
        && (context.facts.controllers)(&crate::kinds::role(&db.object.name, workload))
}
