//! The images of a workload's template, set by a JSON patch that tests what it replaces.

use crate::model::{
    KeptWhy, PatchOp, Plan, Purpose, Snapshot, Strategy, Workload, WorkloadPlan, Write, WriteAction,
    same_image,
};

use super::{Blocked, Status};

/// Whether a workload's template has the plan's images.
pub fn status(plan: &WorkloadPlan, workload: &Workload) -> Status {
    let image = |container: &str, init: bool| {
        workload.containers.iter().find(|c| c.name == container && c.init == init).map(|c| c.image.as_str())
    };
    let mut pending = false;
    for change in &plan.images {
        match image(&change.container, change.init) {
            Some(found) if found == change.after => {}
            Some(found) if found == change.now => pending = true,
            found => {
                return Status::Blocked(Blocked::UnexpectedImage {
                    workload: workload.object.to_string(),
                    container: change.container.clone(),
                    expected: change.now.clone(),
                    found: found.unwrap_or("none").to_owned(),
                });
            }
        }
    }
    let on_target = plan.kept.iter().filter(|k| k.why == KeptWhy::AlreadyOnTarget);
    for kept in on_target {
        // An operator that is not paused yet may have restored the old template since the plan was made.
        let found = image(&kept.container, kept.init).unwrap_or("none");
        if !same_image(found, &kept.image) {
            return Status::Blocked(Blocked::UnexpectedImage {
                workload: workload.object.to_string(),
                container: kept.container.clone(),
                expected: kept.image.clone(),
                found: found.to_owned(),
            });
        }
    }
    if pending { Status::Ready } else { Status::AlreadyDone }
}

/// The patch of one workload; `None` if the plan changes none of its images.
pub fn write(plan: &WorkloadPlan) -> Option<Write> {
    if plan.images.is_empty() {
        return None;
    }
    let mut operations = vec![PatchOp::test("/metadata/uid", plan.object.uid.as_str())];
    for change in &plan.images {
        let list = if change.init { "initContainers" } else { "containers" };
        let at = format!("/spec/template/spec/{list}/{}", change.index);
        operations.push(PatchOp::test(format!("{at}/name"), change.container.as_str()));
        operations.push(PatchOp::test(format!("{at}/image"), change.now.as_str()));
        operations.push(PatchOp::replace(format!("{at}/image"), change.after.as_str()));
    }
    Some(Write {
        purpose: Purpose::PatchImages,
        object: plan.object.clone(),
        action: WriteAction::Patch { status: false, operations },
    })
}

/// The workloads whose templates are patched before any pod is restarted: those whose pods this tool evicts. The
/// controllers of the others restart the pods as soon as the template is patched, so each of these is patched when its
/// turn comes.
pub fn at_once<'a>(plan: &'a Plan, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a WorkloadPlan> {
    plan.workloads
        .iter()
        .filter(|w| w.strategy == Strategy::Evict)
        .filter(|w| snapshot.workload(&w.object.uid).is_none_or(|now| status(w, now) != Status::AlreadyDone))
}
