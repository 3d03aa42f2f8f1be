//! The updates that lead to a version which is not reachable in one step.

use crate::catalog;
use crate::model::{Action, Check, Container, Lookup, Plan, Snapshot, WorkloadPlan};

use super::finish;
use super::update::{self, NoTarget, Request};

/// The updates that lead to a version, in order. The first one is planned from the current state, each later one as if
/// those before it were done, so that failed checks are known before anything is changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Hops {
    pub first: Plan,
    pub later: Vec<Plan>,
}

impl Hops {
    /// A single update.
    pub fn one(plan: Plan) -> Self {
        Hops { first: plan, later: Vec::new() }
    }

    /// All updates, in order.
    pub fn all(&self) -> impl Iterator<Item = &Plan> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// The last update.
    pub fn last(&self) -> &Plan {
        self.later.last().unwrap_or(&self.first)
    }

    /// The same updates, each one that needs it with a finish before it, and one after the last.
    ///
    /// # Errors
    /// The version of one of them is not in the catalog.
    pub fn finished(self, snapshot: &Snapshot, request: &finish::Request) -> Result<Self, NoTarget> {
        let (mut plans, mut there) = (Vec::new(), snapshot.clone());
        let nothing = self.later.is_empty() && self.first.action == Action::Nothing;
        let mut raised = false;
        let after =
            |plans: &[Plan]| finish::Request { after_an_update: !plans.is_empty(), ..request.clone() };
        for mut plan in std::iter::once(self.first).chain(self.later) {
            let needs = plan.findings.iter().any(|f| f.check == Check::NotFinished && f.refuses());
            if needs {
                if !std::mem::replace(&mut raised, true) {
                    plans.push(finish::plan(&there, &after(&plans))?);
                }
                plan.findings.retain(|finding| finding.check != Check::NotFinished);
            }
            there = arrived(there, &plan);
            // What the database says of itself now is not what it will say then.
            there.completion = Lookup::Absent;
            plans.push(plan);
        }
        if nothing {
            plans.clear();
            there.completion = snapshot.completion.clone();
        }
        plans.push(finish::plan(&there, &after(&plans))?);
        let first = plans.remove(0);
        Ok(Hops { first, later: plans })
    }

    /// The first of the later updates whose version is not allowed. Its other failed checks may have passed by the time
    /// it starts.
    pub fn barred(&self) -> Option<&Plan> {
        self.later.iter().find(|plan| !open(plan))
    }
}

/// No check fails because of the version itself.
pub(super) fn open(plan: &Plan) -> bool {
    !plan.refusals().any(|f| update::about_the_version(f.check))
}

/// The updates that lead to the request's target: a single one if it is reachable in one step, or not at all. An
/// unfinished run towards that target is finished first.
///
/// # Errors
/// The target is not in the catalog.
pub fn plan(snapshot: &Snapshot, request: &Request) -> Result<Hops, NoTarget> {
    if request.unfinished.as_ref().is_some_and(|u| u.target() != request.to) {
        return beyond_the_unfinished(snapshot, request);
    }
    if request.to == "latest" {
        return latest(snapshot, request);
    }
    let at_once = update::plan(snapshot, request)?;
    let steps = if at_once.path.len() > 2 { at_once.path.clone() } else { Vec::new() };
    let (mut plans, mut there) = (Vec::new(), snapshot.clone());
    for to in steps.into_iter().skip(1) {
        let plan = update::plan(&there, &Request { to, ..request.clone() })?;
        there = arrived(there, &plan);
        plans.push(plan);
    }
    let mut plans = plans.into_iter();
    Ok(match plans.next() {
        Some(first) => Hops { first, later: plans.collect() },
        None => Hops::one(at_once),
    })
}

/// The unfinished run leads to another version: it is finished first, if the target can be reached from there.
fn beyond_the_unfinished(snapshot: &Snapshot, request: &Request) -> Result<Hops, NoTarget> {
    let to = request.unfinished.as_ref().map(|u| u.target().to_owned()).unwrap_or_default();
    let first = update::plan(snapshot, &Request { to, ..request.clone() })?;
    let rest = plan(&arrived(snapshot.clone(), &first), &Request { unfinished: None, ..request.clone() })?;
    if rest.first.action == Action::Nothing {
        return Ok(Hops::one(first));
    }
    if !open(&rest.first) {
        // The update is refused, like any other to a different target while a run is unfinished.
        return Ok(Hops::one(update::plan(snapshot, request)?));
    }
    Ok(Hops { first, later: rest.all().cloned().collect() })
}

/// To the newest version that any sequence of updates reaches; if there is none, to the one that a single update
/// reaches.
fn latest(snapshot: &Snapshot, request: &Request) -> Result<Hops, NoTarget> {
    let at_once = update::plan(snapshot, request)?;
    let mut newer: Vec<_> = snapshot.catalog.iter().collect();
    newer.sort_by(|a, b| catalog::newest_first(a, b));
    for version in newer.into_iter().take_while(|version| version.name != at_once.to.name) {
        let hops = plan(snapshot, &Request { to: version.name.clone(), ..request.clone() })?;
        if !hops.later.is_empty() && hops.all().all(open) {
            return Ok(hops);
        }
    }
    Ok(Hops::one(at_once))
}

/// The snapshot as it will be after that update.
fn arrived(mut there: Snapshot, plan: &Plan) -> Snapshot {
    there.database.version.clone_from(&plan.to.name);
    for planned in &plan.workloads {
        let Some(workload) = there.workloads.iter_mut().find(|w| w.object.uid == planned.object.uid) else {
            continue;
        };
        for change in &planned.images {
            let is = |c: &&mut Container| c.name == change.container && c.init == change.init;
            workload.containers.iter_mut().filter(is).for_each(|c| c.image.clone_from(&change.after));
        }
        reshape(&mut workload.containers, planned);
        for pod in &planned.pods {
            let Some(pod) = there.pods.iter_mut().find(|p| p.name == pod.name) else { continue };
            pod.revision.clone_from(&workload.update_revision);
            for change in &planned.images {
                let is = |(container, _): &&mut (String, String)| *container == change.container;
                pod.images.iter_mut().filter(is).for_each(|(_, image)| image.clone_from(&change.after));
            }
            pod.images
                .retain(|(container, _)| planned.removed.iter().all(|gone| gone.container != *container));
            pod.images.extend(planned.added.iter().map(|new| (new.container.clone(), new.image.clone())));
        }
    }
    there
}

/// The containers as they will be once the template is patched or rendered.
fn reshape(containers: &mut Vec<Container>, planned: &WorkloadPlan) {
    containers.retain(|c| planned.removed.iter().all(|gone| gone.container != c.name || gone.init != c.init));
    for new in &planned.added {
        let index = containers.iter().filter(|c| c.init == new.init).count();
        let (name, image) = (new.container.clone(), new.image.clone());
        containers.push(Container { name, image, init: new.init, index });
    }
}
