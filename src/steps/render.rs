//! The method provisioner, which replaces the patching of images: `spec.version` is set first, and KubeDB's operator,
//! which is not paused, renders the templates. With the update strategy OnDelete, that restarts no pod. Then the
//! operator is paused, and the pods are restarted as with the method client.

use crate::model::{Plan, Snapshot, WorkloadPlan, same_image};

/// Whether the templates match `spec.version` yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    /// Every template has the target's containers and images.
    All,
    /// This workload's template does not; what is missing, for a person to read.
    Not { workload: String, what: String },
    /// The workload is gone.
    WorkloadGone { workload: String },
}

/// Whether the operator has rendered every template of the plan.
pub fn rendered(plan: &Plan, snapshot: &Snapshot) -> Rendered {
    for planned in &plan.workloads {
        let workload = planned.object.to_string();
        let Some(now) = snapshot.workload(&planned.object.uid) else {
            return Rendered::WorkloadGone { workload };
        };
        if let Some(what) = missing(planned, now) {
            return Rendered::Not { workload, what };
        }
    }
    Rendered::All
}

/// A template has an image of the target that the version in the database's spec does not use: an earlier run has
/// started with the method client.
pub fn foreign(plan: &Plan, snapshot: &Snapshot) -> bool {
    let db = &snapshot.database;
    let declared = snapshot.version(&db.version);
    let strange = |image: &str| {
        let named = declared.is_some_and(|v| v.images.values().any(|i| same_image(i, image)));
        db.version != plan.to.name && !named
    };
    plan.workloads.iter().any(|planned| {
        snapshot.workload(&planned.object.uid).is_some_and(|now| {
            planned.target_images().any(|(container, target)| {
                now.container(container).is_some_and(|c| same_image(&c.image, target) && strange(target))
            })
        })
    })
}

/// The first difference between a template and its target; digests are pinned by the operator and do not count.
fn missing(planned: &WorkloadPlan, now: &crate::model::Workload) -> Option<String> {
    for (container, image) in planned.target_images() {
        match now.container(container) {
            None => return Some(format!("container {container} is missing")),
            Some(c) if !same_image(&c.image, image) => {
                return Some(format!("container {container} has {}", c.image));
            }
            Some(_) => {}
        }
    }
    let left = planned.removed.iter().find(|r| now.container(&r.container).is_some());
    left.map(|r| format!("container {} is still present", r.container))
}
