//! What forbids the next write of a run: the cluster is no longer as its plan expects it.

use std::collections::BTreeMap;

use crate::model::{
    Action, Method, OpsRequest, Plan, Snapshot, Strategy, UpdateStrategy, Workload, WorkloadPlan,
};

use super::s1_pause::{self, Pause};
use super::{Blocked, Status, s4_set_version};

/// What a run relies on: it has seen or changed these things, and nobody else may change them during the run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The fingerprint that each workload's template must keep, by uid.
    pub templates: BTreeMap<String, u64>,
    pub pause: OurPause,
    /// `spec.version` is the target, if it was set before the pods are restarted.
    pub version: bool,
}

/// The state of this run's own pause of the operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OurPause {
    /// Not requested, or removed again.
    #[default]
    Free,
    /// Requested. `fresh`: by this run, not taken over from an earlier one.
    Asked { fresh: bool },
    /// In force: from here on a missing `Paused` means that another user or controller has removed it.
    Held { fresh: bool },
}

impl OurPause {
    /// It may be removed from here on.
    pub fn no_longer_held(self) -> Self {
        match self {
            OurPause::Held { fresh } => OurPause::Asked { fresh },
            other => other,
        }
    }

    /// This run has written it, and must remove it if nothing else was changed.
    pub fn fresh(self) -> bool {
        matches!(self, OurPause::Asked { fresh: true } | OurPause::Held { fresh: true })
    }
}

/// What in the cluster forbids the next write.
///
/// # Errors
/// The first thing that is not as the run expects it.
pub fn check(plan: &Plan, snapshot: &Snapshot, expected: &Expected) -> Result<(), Blocked> {
    let db = &snapshot.database;
    if db.object.uid != plan.database.uid {
        let (expected, found) = (plan.database.uid.clone(), db.object.uid.clone());
        return Err(Blocked::DatabaseReplaced { expected, found });
    }
    if db.deleting {
        return Err(Blocked::DatabaseGone);
    }
    if let Some(request) = other_request(plan, snapshot) {
        return Err(Blocked::by(request));
    }
    if plan.method == Method::OpsManager {
        // Pause, templates and version are changed by the Ops-manager.
        return Ok(());
    }
    match s1_pause::status(db) {
        Pause::Foreign(message) => return Err(Blocked::PausedByOther { message }),
        Pause::Absent if matches!(expected.pause, OurPause::Held { .. }) => return Err(Blocked::PauseLifted),
        Pause::Absent | Pause::Requested | Pause::Acknowledged => {}
    }
    if expected.version && db.version != plan.to.name {
        let (expected, found) = (plan.to.name.clone(), db.version.clone());
        return Err(Blocked::UnexpectedVersion { expected, found });
    }
    if let Status::Blocked(why) = s4_set_version::status(plan, db) {
        return Err(why);
    }
    workloads(plan, snapshot, expected)
}

fn workloads(plan: &Plan, snapshot: &Snapshot, expected: &Expected) -> Result<(), Blocked> {
    // In a rollback, a new workload is accepted: it is on the previous version already.
    let rollback = plan.action == Action::Rollback;
    let new = |w: &&Workload| !rollback && !w.deleting && plan.workload(&w.object.uid).is_none();
    if let Some(w) = snapshot.workloads.iter().find(new) {
        return Err(Blocked::WorkloadAppeared { workload: w.object.to_string() });
    }
    if let Some(w) = plan.workloads.iter().find(|w| rolls_by_itself(w, snapshot)) {
        return Err(Blocked::RollsByItself { workload: w.object.to_string() });
    }
    let changed =
        |w: &&Workload| expected.templates.get(&w.object.uid).is_some_and(|kept| *kept != w.template);
    match snapshot.workloads.iter().find(changed) {
        Some(w) => Err(Blocked::TemplateChanged { workload: w.object.to_string() }),
        None => Ok(()),
    }
}

/// According to the plan this tool evicts the workload's pods, but now its controller would restart them at every
/// change of the template.
fn rolls_by_itself(planned: &WorkloadPlan, snapshot: &Snapshot) -> bool {
    let by_itself = |w: &Workload| w.strategy == UpdateStrategy::RollingUpdate;
    planned.strategy == Strategy::Evict && snapshot.workload(&planned.object.uid).is_some_and(by_itself)
}

/// An ops request in progress that is not the plan's own.
fn other_request<'a>(plan: &Plan, snapshot: &'a Snapshot) -> Option<&'a OpsRequest> {
    let ours = plan.ops_request.as_ref().map(|r| r.metadata.name.as_str());
    let ours = ours.filter(|_| plan.method == Method::OpsManager);
    snapshot.ops_in_flight().find(|r| Some(r.name.as_str()) != ours)
}
