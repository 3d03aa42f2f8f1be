//! The rollback: a plan of its own, from whatever an unfinished run has left to the state before it. It is carried out
//! by the same steps, with the pods in reverse order.

use std::collections::BTreeSet;

use crate::journal::{BeforeImage, Direction, Entry};
use crate::kinds::Inspection;
use crate::model::{
    Action, CatalogVersion, Check, Command, Coverage, Finding, KeptWhy, Method, Plan, Pod, Severity,
    ShapeChange, Snapshot, VersionRef, Workload, WorkloadPlan, same_image,
};
use crate::steps::leftover::{self, arrived, has_started};
use crate::steps::s1_pause;

use super::context::Context;
use super::update::{self, NoTarget, Request};
use super::workload::{self, Becomes, Changes};
use super::{preflight, trust};

/// Plans the rollback of an unfinished run. If nothing is half done, the plan only removes our own `Paused`, or does
/// nothing at all.
pub fn plan(snapshot: &Snapshot, entry: &Entry, skip: &BTreeSet<Check>) -> Plan {
    let (ahead, back) = ends(entry);
    let (ahead, target) = (trust::version(snapshot, ahead), known_by_name(&trust::version(snapshot, back)));
    let context = Context {
        snapshot,
        direction: Direction::Rollback,
        current: None,
        target: &target,
        skip,
        // The previous images are mostly still there, and going back should not wait for a download.
        pre_pull: false,
        resuming: true,
        begun: true,
        known_images: &[],
        pins: &[],
        method: way(entry),
        ops_request: None,
        coverage: Coverage::new(snapshot),
    };
    let planned =
        workload::in_order(&context).into_iter().filter_map(|now| workload_plan(&context, entry, now));
    let workloads: Vec<_> = planned.collect();
    // A rollback that did not finish was not verified.
    let unverified = entry.run.direction == Direction::Rollback;
    let action = workload::action(&context, &workloads, unverified);
    let findings = findings(&context, entry, &workloads, &ahead);
    context.plan(ahead, action, workloads, findings)
}

/// The version to roll back to; its images are taken from the journal.
fn known_by_name(back: &VersionRef) -> CatalogVersion {
    CatalogVersion {
        name: back.name.clone(),
        version: back.version.clone(),
        deprecated: false,
        end_of_life: false,
        allowlist: Vec::new(),
        denylist: Vec::new(),
        images: Default::default(),
        simulated: false,
    }
}

/// The version that the run leads to, and the one that it started from. Rolling back a rollback continues that same
/// rollback.
fn ends(entry: &Entry) -> (&VersionRef, &VersionRef) {
    match entry.run.direction {
        Direction::Update | Direction::Finish => (&entry.run.plan.to, &entry.run.plan.from),
        Direction::Rollback => (&entry.run.plan.from, &entry.run.plan.to),
    }
}

/// A workload of the run, however often the journal names it; `None` if it was not part of the run.
fn workload_plan(context: &Context<'_>, entry: &Entry, now: &Workload) -> Option<WorkloadPlan> {
    let planned = entry.run.plan.workload(&now.object.uid)?;
    let before = entry.run.before.workloads.get(&now.object.uid)?;
    Some(workload::plan(context, now, changes(now, before, planned), planned.min_ready_seconds))
}

/// The method of the rollback: if the operator has rendered the templates, or has to remove containers from them, it
/// must render them again.
fn way(entry: &Entry) -> Method {
    if entry.took(Method::Provisioner) { Method::Provisioner } else { entry.run.plan.by_us() }
}

/// The run changes that container.
fn about(planned: &WorkloadPlan, container: &str, init: bool) -> bool {
    let is = |c: &str, i: bool| c == container && i == init;
    planned.images.iter().any(|c| is(&c.container, c.init))
        || planned.kept.iter().any(|k| k.why == KeptWhy::AlreadyOnTarget && is(&k.container, k.init))
        || planned.added.iter().chain(&planned.removed).any(|s| is(&s.container, s.init))
}

/// Only the containers that the run changes are rolled back, to exactly their previous images, so that the old revision
/// is restored.
fn changes(now: &Workload, before: &[BeforeImage], planned: &WorkloadPlan) -> Changes {
    let is_now = |b: &&BeforeImage| now.containers.iter().any(|c| c.name == b.container && c.init == b.init);
    let back = before.iter().filter(|b| about(planned, &b.container, b.init) && !is_now(b));
    let added = back.map(|b| {
        let (container, image) = (b.container.clone(), b.image.clone());
        ShapeChange { container, init: b.init, image }
    });
    Changes::of(now, added.collect(), |c| {
        if !about(planned, &c.name, c.init) {
            return Becomes::Sidecar;
        }
        match before.iter().find(|b| b.container == c.name && b.init == c.init) {
            None => Becomes::Removed,
            Some(old) if old.image == c.image => Becomes::OnTarget,
            Some(old) => Becomes::Image(old.image.clone()),
        }
    })
}

fn findings(
    context: &Context<'_>,
    entry: &Entry,
    workloads: &[WorkloadPlan],
    ahead: &VersionRef,
) -> Vec<Finding> {
    let snapshot = context.snapshot;
    let mut found = preflight::findings(context, workloads);
    found.extend(gone(context, entry));
    found.extend(of_others(context, entry));
    found.extend(trust::of_a_rollback(context, entry, workloads, ahead));
    found.extend(data_at_risk(context, entry, workloads, ahead).map(|why| {
        let hint = format!("check the data first: {}", look_at(snapshot));
        context.refusal(Check::DataDowngrade, why, hint)
    }));
    found.sort_by_key(|f| f.severity);
    found
}

/// A workload of the run that is gone, or has no previous state in the journal, cannot be rolled back. A Deployment
/// that the operator has recreated is rolled back by the operator, which renders its template.
fn gone(context: &Context<'_>, entry: &Entry) -> Vec<Finding> {
    let there = |w: &&WorkloadPlan| {
        let (uid, before) = (&w.object.uid, &entry.run.before.workloads);
        context.snapshot.workload(uid).is_some() && before.contains_key(uid)
    };
    let lost = entry.run.plan.workloads.iter().filter(|w| !there(w)).map(|w| {
        let message = format!("{} is gone, or its previous state is not known", w.object);
        if w.kind.serves_only() && context.method == Method::Provisioner {
            Finding::note(Check::NoWorkloads, Severity::Warning, message)
        } else {
            context.refusal(Check::NoWorkloads, message, "")
        }
    });
    lost.collect()
}

/// A pod has an image that is neither from before the run nor set by it: another user or controller has set a version
/// that the run does not know.
fn of_others(context: &Context<'_>, entry: &Entry) -> Option<Finding> {
    let snapshot = context.snapshot;
    if entry.run.direction == Direction::Rollback {
        // For a rollback, this was checked when it started.
        return None;
    }
    let strange = |planned: &WorkloadPlan, pod: &Pod| {
        let before = entry.run.before.workloads.get(&planned.object.uid)?;
        let asked = snapshot.asked_images(pod);
        planned.target_images().find_map(|(container, target)| {
            let was = before.iter().find(|b| b.container == container)?;
            let (_, image) = *asked.iter().find(|(name, _)| *name == container)?;
            // Somebody may have set another image on the pod itself.
            let own = pod.image(container).filter(|own| planned.another(container, image, own));
            let image = own.unwrap_or(image);
            (!same_image(image, target) && !same_image(image, &was.image)).then(|| image.to_owned())
        })
    };
    let (pod, image) = entry.run.plan.workloads.iter().find_map(|planned| {
        let now = snapshot.workload(&planned.object.uid)?;
        snapshot.pods_of(now).find_map(|pod| Some((pod.name.clone(), strange(planned, pod)?)))
    })?;
    let message = format!("pod {pod} runs {image}, which this run neither found nor set");
    let hint = format!("check the data first: {}", look_at(snapshot));
    Some(context.refusal(Check::Drift, message, hint))
}

/// Why the old version may not be able to read the data: the new version was set in `spec.version`, or one of its
/// containers has started, in an update that changes the data format.
fn data_at_risk(
    context: &Context<'_>,
    entry: &Entry,
    workloads: &[WorkloadPlan],
    ahead: &VersionRef,
) -> Option<String> {
    let (snapshot, back) = (context.snapshot, context.target);
    let db = &snapshot.database;
    if declared(snapshot, entry) {
        return Some(format!(
            "spec.version of {} is already {}: its data may have been written in the new format",
            db.object, ahead.name
        ));
    }
    if !db.kind.facts().data.rewrites.is_some_and(|rewrites| rewrites(&back.version, &ahead.version)) {
        return None;
    }
    let pod = workloads.iter().find_map(|w| {
        let now = snapshot.workload(&w.object.uid)?;
        snapshot.pods_of(now).find(|p| !snapshot.on_target(w, p) && has_started(p))
    });
    // A pod that has run the new version may be gone, but what it wrote to the data is not.
    let written_down = entry.progress.started || entry.progress.pods.values().any(|done| *done > 0);
    let who = match pod {
        Some(pod) => format!("pod {}", pod.name),
        None if written_down && entry.run.direction == Direction::Update => "a pod".to_owned(),
        None => return None,
    };
    Some(format!(
        "{who} has started {} {}: that version writes its data in a format that {} cannot read",
        db.kind,
        shown(&ahead.name, &ahead.version),
        shown(&back.name, &back.version)
    ))
}

/// `spec.version` is the new version, and the pods have followed. If the operator renders the templates, the version is
/// set first, and means nothing before the pods are updated.
fn declared(snapshot: &Snapshot, entry: &Entry) -> bool {
    let (ahead, back) = ends(entry);
    // For a rollback, this was checked when it started.
    let by_another = || entry.run.plan.method != Method::Provisioner && arrived(&entry.run.plan, snapshot);
    let followed = || entry.run.direction == Direction::Update && (entry.progress.let_go() || by_another());
    // If the cluster shows nothing of the previous version, only the journal claims that a run is in progress.
    let at_rest =
        || s1_pause::ours(&snapshot.database).is_none() && !leftover::shows_images(snapshot, &back.name);
    snapshot.database.version == ahead.name
        && ahead.name != back.name
        && (!entry.took(Method::Provisioner) || followed() || at_rest())
}

fn shown<'a>(name: &'a str, version: &'a str) -> &'a str {
    if version.is_empty() { name } else { version }
}

fn look_at(snapshot: &Snapshot) -> String {
    let db = &snapshot.database.object;
    let Inspection { container, command } = &snapshot.database.kind.facts().data.inspection;
    let pod = snapshot.pods.first().map_or("POD", |p| p.name.as_str());
    let exec = Command::kubectl(["exec", pod]).in_namespace(&db.namespace);
    exec.words(["-c", container, "--", "sh", "-c", command]).to_string()
}

/// The rollback of a run without a journal entry: if everything is on the version in the database's spec, only our
/// pause is removed. Otherwise the previous state is unknown, and so is which version has written to the data.
///
/// # Errors
/// The version is not in the catalog.
pub fn without_a_journal(snapshot: &Snapshot, request: &Request) -> Result<Plan, NoTarget> {
    let mut plan = update::plan(snapshot, request)?;
    if matches!(plan.action, Action::Resume | Action::Nothing) {
        return Ok(plan);
    }
    let message = format!(
        "there is no record of the run that left {} half updated: neither its previous state nor what has written to its \
         data is known",
        snapshot.database.object
    );
    let hint = format!("finish it with the update that started it, or check the data: {}", look_at(snapshot));
    let finding = Finding::refusal(Check::DataDowngrade, message, hint, &request.skip);
    plan.findings.insert(0, finding);
    plan.findings.sort_by_key(|f| f.severity);
    Ok(plan)
}
