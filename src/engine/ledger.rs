//! What a run has done, as far as its end or a later run has to know.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::Reading;
use crate::event::WorkloadResult;
use crate::journal::{Before, DrainedPod};
use crate::model::{Plan, Pod, Purpose, Snapshot, WorkloadPlan, same_image};
use crate::roll::Away;
use crate::steps::leftover;

use super::writer::Writer;

/// The records of a run.
pub(super) struct Ledger {
    pub journal: Option<Writer>,
    pub changed: Changed,
    /// The state before the update.
    pub before: Option<Before>,
    /// A container of a new image has started at some time: the data may have seen the new version.
    pub started: bool,
    pub operator: Operator,
    /// What the update leaves to be done in the database itself, as it has said at the end.
    pub left: Vec<String>,
    /// A write was sent, and its response was not waited for.
    pub in_the_air: bool,
    /// The names of the pods that this process has created to bring images to nodes, until they are seen to be gone.
    pub pull_pods: BTreeSet<String>,
    /// The pods that were drained, by this or an earlier process, and neither restarted nor told to take on work again.
    pub drained: Vec<DrainedPod>,
    /// The result for each workload, by uid.
    pub results: BTreeMap<String, WorkloadResult>,
    /// How long its pods were away.
    pub away: BTreeMap<String, Away>,
    /// Both clocks when this process began.
    pub began: Reading,
    /// The fingerprint that each workload's template had when the lock was taken.
    pub started_with: BTreeMap<String, u64>,
    /// Since when the server has answered 403 to a call that it allowed before.
    pub forbidden_since: Option<(Purpose, String, Duration)>,
}

/// What the run has seen of KubeDB's operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Operator {
    /// The run had no reason to ask it, or an earlier process did and has not recorded an answer.
    #[default]
    Unasked,
    /// It was asked for the pause and has not answered.
    Silent,
    /// It has acknowledged the pause or reported on the database since, in this or an earlier process of the run.
    Confirmed,
}

/// Whether any of the database's workloads, pods or spec was changed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Changed {
    pub by_this_run: bool,
    /// By an earlier process, whose run this one resumes or rolls back.
    pub before: bool,
}

impl Changed {
    /// The database is between two states.
    pub fn half_done(self) -> bool {
        self.by_this_run || self.before
    }
}

impl Ledger {
    pub fn new(plan: &Plan, changed_before: bool, began: Reading) -> Self {
        Ledger {
            journal: None,
            changed: Changed { by_this_run: false, before: changed_before },
            before: None,
            started: false,
            operator: Operator::default(),
            left: Vec::new(),
            in_the_air: false,
            pull_pods: BTreeSet::new(),
            drained: Vec::new(),
            results: plan.workloads.iter().map(|w| (w.object.uid.clone(), untouched(w))).collect(),
            away: BTreeMap::new(),
            began,
            started_with: BTreeMap::new(),
            forbidden_since: None,
        }
    }

    /// The journal entry, including everything that was done so far.
    pub fn noted(&mut self) -> Option<&mut Writer> {
        let writer = self.journal.as_mut()?;
        writer.progress.changed |= self.changed.by_this_run;
        writer.progress.started |= self.started;
        writer.progress.answered = self.operator == Operator::Confirmed;
        writer.progress.drained.clone_from(&self.drained);
        Some(writer)
    }

    /// The pod was restarted, or takes on work again.
    pub fn no_longer_drained(&mut self, uid: &str) {
        self.drained.retain(|noted| noted.uid != uid);
    }

    /// The journal says that further updates follow.
    pub fn leads_further(&self) -> bool {
        self.journal.as_ref().is_some_and(|writer| writer.run.through.is_some())
    }

    /// The version that the update starts from, whichever process started it.
    pub fn came_from<'a>(&'a self, plan: &'a Plan) -> &'a str {
        let Plan { from, to, .. } = plan;
        match &self.before {
            Some(before) if from.name == to.name && !before.version.is_empty() => &before.version,
            _ => &from.name,
        }
    }

    /// A container of a new image runs in this pod, or has run.
    pub fn has_started(&self, plan: &Plan, pod: &Pod, snapshot: &Snapshot) -> bool {
        let new = |w: &&WorkloadPlan| {
            w.object.uid == pod.owner && self.brings_images(w) && snapshot.on_target(w, pod)
        };
        leftover::has_started(pod) && plan.workloads.iter().any(|w| new(&w))
    }

    /// The run changes the workload's images. A resumed run may find the template on the target already, so the images
    /// are compared with those from before the run.
    fn brings_images(&self, planned: &WorkloadPlan) -> bool {
        let Some(before) = &self.before else { return !planned.images.is_empty() };
        let Some(was) = before.workloads.get(&planned.object.uid) else { return true };
        planned.target_images().any(|(container, image)| {
            was.iter().find(|b| b.container == container).is_none_or(|b| !same_image(&b.image, image))
        })
    }
}

fn untouched(plan: &WorkloadPlan) -> WorkloadResult {
    WorkloadResult {
        workload: plan.object.to_string(),
        role: plan.role.clone(),
        pods: plan.pods.len() as u64,
        updated: 0,
        restarted: 0,
        took_ms: 0,
        longest_away_ms: 0,
        longest_away_at_least: false,
    }
}
