//! The way back: a plan of its own, from whatever an unfinished run has left to what was there before it. It is carried out
//! by the same steps, with the pods in reverse order.

use std::collections::BTreeSet;

use crate::journal::{BeforeImage, Entry};
use crate::kinds::{self, Inspection};
use crate::model::{
    Action, CatalogVersion, Check, Command, Container, Coverage, Finding, ImageChange, KeptContainer,
    KeptWhy, Method, PLAN_SCHEMA, Plan, Pod, PodAction, PodPlan, Severity, ShapeChange, Snapshot, Strategy,
    UpdateStrategy, VersionRef, Workload, WorkloadKind, WorkloadPlan, same_image,
};

use super::context::Context;
use super::preflight;
use super::trust;
use super::update::{self, NoTarget, Request};
use crate::steps::leftover::{self, arrived, has_started};
use crate::steps::s1_pause;

/// Decides the way back from an unfinished run. Where nothing is half done the plan only removes our own `Paused`, or
/// nothing at all.
pub fn plan(snapshot: &Snapshot, entry: &Entry, skip: &BTreeSet<Check>) -> Plan {
    let db = &snapshot.database;
    let (ahead, back) = ends(entry);
    let (ahead, back) = (&trust::version(snapshot, ahead), &trust::version(snapshot, back));
    let workloads = workload_plans(snapshot, entry);
    let settled = |w: &WorkloadPlan| {
        !w.reshapes() && w.images.is_empty() && w.pods.iter().all(|p| p.action == PodAction::Skip)
    };
    let ours = s1_pause::ours(db).is_some();
    // A rollback that has not come to its end has not been verified.
    let unverified = entry.run.direction == crate::journal::Direction::Rollback;
    let action = match (db.version == back.name && workloads.iter().all(settled), ours || unverified) {
        (false, _) => Action::Rollback,
        (true, true) => Action::Resume,
        (true, false) => Action::Nothing,
    };
    let findings = findings(snapshot, entry, &workloads, (ahead, back), skip);
    Plan {
        schema: PLAN_SCHEMA.to_owned(),
        kind: db.kind,
        database: db.object.clone(),
        from: ahead.clone(),
        to: back.clone(),
        action,
        method: way(entry),
        ops_request: None,
        workloads,
        findings,
        missing: snapshot.environment.denied().to_vec(),
        path: Vec::new(),
        afterwards: Vec::new(),
    }
}

/// The version that the run was going to, and the one that it came from. A rollback that is rolled back once more is the
/// same rollback.
fn ends(entry: &Entry) -> (&VersionRef, &VersionRef) {
    match entry.run.direction {
        crate::journal::Direction::Update => (&entry.run.plan.to, &entry.run.plan.from),
        crate::journal::Direction::Rollback => (&entry.run.plan.from, &entry.run.plan.to),
    }
}

/// The workloads in the opposite order of an update. Each of them once, however often the journal names it.
fn workload_plans(snapshot: &Snapshot, entry: &Entry) -> Vec<WorkloadPlan> {
    let db = &snapshot.database;
    let mut order: Vec<&Workload> = snapshot.workloads.iter().collect();
    order.sort_by_key(|w| (db.kind.facts().rank(&db.object.name, w), w.object.name.as_str()));
    let planned = |now: &Workload| entry.run.plan.workload(&now.object.uid);
    order.into_iter().rev().filter_map(|now| workload_plan(snapshot, entry, planned(now)?)).collect()
}

fn workload_plan(snapshot: &Snapshot, entry: &Entry, planned: &WorkloadPlan) -> Option<WorkloadPlan> {
    let now = snapshot.workload(&planned.object.uid)?;
    let before = entry.run.before.workloads.get(&planned.object.uid)?;
    let (images, kept) = images(now, before, planned);
    let (added, removed) = shape_changes(now, before, planned);
    let strategy = match (now.kind, now.strategy) {
        (WorkloadKind::Deployment, _) | (_, UpdateStrategy::RollingUpdate { .. }) => Strategy::Follow,
        (_, UpdateStrategy::OnDelete) => Strategy::Evict,
    };
    // Which object it is, and what it is, the cluster says: nothing that the journal says of it leads to another one.
    let mut plan = WorkloadPlan {
        kind: now.kind,
        object: now.object.clone(),
        role: kinds::role(&snapshot.database.object.name, now),
        strategy,
        replicas: now.replicas,
        min_ready_seconds: planned.min_ready_seconds.max(now.min_ready_seconds),
        images,
        kept,
        added,
        removed,
        pods: Vec::new(),
    };
    plan.pods = pods(snapshot, now, &plan);
    Some(plan)
}

/// The way back: whoever has rendered containers into a template takes them away again.
fn way(entry: &Entry) -> Method {
    let reshaped = || entry.run.plan.workloads.iter().any(WorkloadPlan::reshapes);
    if entry.took(Method::Provisioner) || reshaped() { Method::Provisioner } else { Method::Client }
}

/// The container is one that the run was about.
fn about(planned: &WorkloadPlan, container: &str, init: bool) -> bool {
    let is = |c: &str, i: bool| c == container && i == init;
    planned.images.iter().any(|c| is(&c.container, c.init))
        || planned.kept.iter().any(|k| k.why == KeptWhy::AlreadyOnTarget && is(&k.container, k.init))
        || planned.added.iter().chain(&planned.removed).any(|s| is(&s.container, s.init))
}

/// The containers that come back, and those that go again.
fn shape_changes(
    now: &Workload,
    before: &[BeforeImage],
    planned: &WorkloadPlan,
) -> (Vec<ShapeChange>, Vec<ShapeChange>) {
    let is_now = |b: &&BeforeImage| now.containers.iter().any(|c| c.name == b.container && c.init == b.init);
    let was = |c: &&Container| before.iter().any(|b| b.container == c.name && b.init == c.init);
    let back = before.iter().filter(|b| about(planned, &b.container, b.init) && !is_now(b));
    let gone = now.containers.iter().filter(|c| about(planned, &c.name, c.init) && !was(c));
    let change = |container: &str, init, image: &str| ShapeChange {
        container: container.to_owned(),
        init,
        image: image.to_owned(),
    };
    (
        back.map(|b| change(&b.container, b.init, &b.image)).collect(),
        gone.map(|c| change(&c.name, c.init, &c.image)).collect(),
    )
}

/// Only the containers that the run was about go back; to the letter, so that the old revision returns.
fn images(
    now: &Workload,
    before: &[BeforeImage],
    planned: &WorkloadPlan,
) -> (Vec<ImageChange>, Vec<KeptContainer>) {
    let (mut images, mut kept) = (Vec::new(), Vec::new());
    for c in &now.containers {
        let ours = about(planned, &c.name, c.init);
        let old = before.iter().find(|b| b.container == c.name && b.init == c.init).filter(|_| ours);
        let keep =
            |why| KeptContainer { container: c.name.clone(), init: c.init, image: c.image.clone(), why };
        match old {
            None if ours => {}
            None => kept.push(keep(KeptWhy::Sidecar)),
            Some(old) if old.image == c.image => kept.push(keep(KeptWhy::AlreadyOnTarget)),
            Some(old) => images.push(ImageChange {
                container: c.name.clone(),
                init: c.init,
                index: c.index,
                now: c.image.clone(),
                after: old.image.clone(),
            }),
        }
    }
    (images, kept)
}

/// The pods that are not well first, then the others from the last to the first.
fn pods(snapshot: &Snapshot, now: &Workload, plan: &WorkloadPlan) -> Vec<PodPlan> {
    let pods = crate::roll::order::pods(crate::model::Direction::Rollback, plan.strategy, now, snapshot);
    let planned = |pod: &&Pod| {
        let (action, waits_for) = match (plan.has_images(pod), pod.healthy(), plan.strategy) {
            (true, true, _) => (PodAction::Skip, ""),
            (true, false, _) => (PodAction::Await, "it is Ready"),
            (false, _, Strategy::Follow | Strategy::OpsManager) => (PodAction::Follow, "its controller"),
            (false, true, Strategy::Evict) => (PodAction::Evict, "every other pod is Ready"),
            (false, false, Strategy::Evict) => (
                PodAction::EvictUnhealthy,
                "its PodDisruptionBudget allows it (deleted instead if it never will)",
            ),
        };
        PodPlan { name: pod.name.clone(), action, waits_for: waits_for.to_owned() }
    };
    pods.iter().map(planned).collect()
}

fn findings(
    snapshot: &Snapshot,
    entry: &Entry,
    workloads: &[WorkloadPlan],
    (ahead, back): (&VersionRef, &VersionRef),
    skip: &BTreeSet<Check>,
) -> Vec<Finding> {
    let target = CatalogVersion {
        name: back.name.clone(),
        version: back.version.clone(),
        deprecated: false,
        end_of_life: false,
        allowlist: Vec::new(),
        denylist: Vec::new(),
        images: Default::default(),
        simulated: false,
    };
    let facts = snapshot.database.kind.facts();
    let context = Context {
        snapshot,
        facts,
        current: None,
        target: &target,
        skip,
        resuming: true,
        begun: true,
        known_images: &[],
        pins: &[],
        method: way(entry),
        ops_request: None,
        coverage: Coverage::new(snapshot),
    };
    let evicts = |uid: &str| {
        workloads.iter().any(|w| w.object.uid == uid && w.pods.iter().any(|p| p.action == PodAction::Evict))
    };
    let mut found = preflight::findings_of_a_rollback(&context, workloads, &evicts);
    found.extend(gone(snapshot, entry));
    found.extend(of_others(snapshot, entry, skip));
    found.extend(trust::of_a_rollback(snapshot, entry, workloads, (ahead, back), skip));
    if let Some(why) = data_at_risk(snapshot, entry, workloads, (ahead, back)) {
        let overridden = skip.contains(&Check::DataDowngrade);
        found.push(Finding {
            check: Check::DataDowngrade,
            severity: if overridden { Severity::Overridden } else { Severity::Refusal },
            message: why,
            hint: format!("check the data first: {}", look_at(snapshot)),
        });
    }
    found.sort_by_key(|f| f.severity);
    found
}

/// A workload of the run that is gone, or has no previous state in the journal, cannot be rolled back. A Deployment that
/// the operator has recreated is rendered back by the operator.
fn gone(snapshot: &Snapshot, entry: &Entry) -> Vec<Finding> {
    let there = |w: &&WorkloadPlan| {
        snapshot.workload(&w.object.uid).is_some() && entry.run.before.workloads.contains_key(&w.object.uid)
    };
    let lost = entry.run.plan.workloads.iter().filter(|w| !there(w)).map(|w| Finding {
        check: Check::NoWorkloads,
        severity: match (w.kind, way(entry)) {
            (WorkloadKind::Deployment, Method::Provisioner) => Severity::Warning,
            _ => Severity::Refusal,
        },
        message: format!("{} is gone, or its previous state is not known", w.object),
        hint: String::new(),
    });
    lost.collect()
}

/// A pod on an image that is neither from before the run nor the run's own: another user or controller has set a version of
/// which the run knows nothing.
fn of_others(snapshot: &Snapshot, entry: &Entry, skip: &BTreeSet<Check>) -> Option<Finding> {
    if entry.run.direction == crate::journal::Direction::Rollback {
        // What it goes back from was looked at when it began.
        return None;
    }
    let strange = |planned: &WorkloadPlan, pod: &Pod| {
        let before = entry.run.before.workloads.get(&planned.object.uid)?;
        planned.target_images().find_map(|(container, target)| {
            let was = before.iter().find(|b| b.container == container)?;
            let image = pod.image(container)?;
            (!same_image(image, target) && !same_image(image, &was.image)).then(|| image.to_owned())
        })
    };
    let (pod, image) = entry.run.plan.workloads.iter().find_map(|planned| {
        let now = snapshot.workload(&planned.object.uid)?;
        snapshot.pods_of(now).find_map(|pod| Some((pod.name.clone(), strange(planned, pod)?)))
    })?;
    Some(Finding {
        check: Check::Drift,
        severity: if skip.contains(&Check::Drift) { Severity::Overridden } else { Severity::Refusal },
        message: format!("pod {pod} runs {image}, which this run neither found nor set"),
        hint: format!("check the data first: {}", look_at(snapshot)),
    })
}

/// Why the data may not be readable by the old version: the new one was declared, or has had it in its hands on a step
/// that changes its format.
fn data_at_risk(
    snapshot: &Snapshot,
    entry: &Entry,
    workloads: &[WorkloadPlan],
    (ahead, back): (&VersionRef, &VersionRef),
) -> Option<String> {
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
        snapshot.pods_of(now).find(|p| !w.has_images(p) && has_started(p))
    });
    // What has run is gone with its pod, but not what it did to the data.
    let written_down = entry.progress.started || entry.progress.pods.values().any(|done| *done > 0);
    let who = match pod {
        Some(pod) => format!("pod {}", pod.name),
        None if written_down && entry.run.direction == crate::journal::Direction::Update => {
            "a pod".to_owned()
        }
        None => return None,
    };
    Some(format!(
        "{who} has started {} {}: that version writes its data in a format that {} cannot read",
        db.kind,
        shown(ahead),
        shown(back)
    ))
}

/// The database has been told to be the new version, and is: where the operator renders the templates the version comes
/// first, and means nothing before the pods have followed.
fn declared(snapshot: &Snapshot, entry: &Entry) -> bool {
    let (ahead, back) = ends(entry);
    // What a rollback goes back from was looked at when it began.
    // Where an Ops-manager was at it before, the version may be its word that all is done.
    let by_another = || entry.run.plan.method != Method::Provisioner && arrived(&entry.run.plan, snapshot);
    let followed = || {
        entry.run.direction == crate::journal::Direction::Update && (entry.progress.let_go() || by_another())
    };
    // Where the cluster shows no run at all, that one is on its way is only what the journal says.
    let at_rest = || snapshot.database.paused().is_none() && leftover::settled(snapshot);
    snapshot.database.version == ahead.name
        && ahead.name != back.name
        && (!entry.took(Method::Provisioner) || followed() || at_rest())
}

fn shown(version: &VersionRef) -> &str {
    if version.version.is_empty() { &version.name } else { &version.version }
}

fn look_at(snapshot: &Snapshot) -> String {
    let db = &snapshot.database.object;
    let Inspection { container, command } = &snapshot.database.kind.facts().data.inspection;
    let pod = snapshot.pods.first().map_or("POD", |p| p.name.as_str());
    let exec = Command::kubectl(["exec", pod]).in_namespace(&db.namespace);
    exec.words(["-c", container, "--", "sh", "-c", command]).to_string()
}

/// The rollback of a run without a journal entry: where everything is on the version that the database declares, only our
/// pause is removed. Otherwise the previous state is unknown, and so is what has written to the data.
///
/// # Errors
/// When the version is not in the catalog.
pub fn without_a_journal(snapshot: &Snapshot, request: &Request) -> Result<Plan, NoTarget> {
    let mut plan = update::plan(snapshot, request)?;
    if matches!(plan.action, Action::Resume | Action::Nothing) {
        return Ok(plan);
    }
    let overridden = request.skip.contains(&Check::DataDowngrade);
    let finding = Finding {
        check: Check::DataDowngrade,
        severity: if overridden { Severity::Overridden } else { Severity::Refusal },
        message: format!(
            "there is no record of the run that left {} half updated: neither its previous state nor what has written to \
             its data is known",
            snapshot.database.object
        ),
        hint: format!("finish it with the update that started it, or check the data: {}", look_at(snapshot)),
    };
    plan.findings.insert(0, finding);
    plan.findings.sort_by_key(|f| f.severity);
    Ok(plan)
}
