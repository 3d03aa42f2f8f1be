//! What a run records about itself, for later runs to read. Pure.
//!
//! A journal lives in a ConfigMap beside the database. Progress is always observed in the cluster; the journal only
//! tells what was planned, and what was there before.

mod read;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Finish, Outcome, Step, StepOutcome};
use crate::model::{Method, Methods, Plan, Snapshot, Work, pinned};

pub use crate::model::Direction;
pub use read::entry;

/// The schema version of the journal.
pub const JOURNAL_SCHEMA: &str = "dbupdate/v1";

/// How many runs are kept.
pub const KEPT_RUNS: usize = 10;

/// How many bytes they may take in all: a ConfigMap holds one MiB.
pub const KEPT_BYTES: usize = 900 * 1024;

/// One run of one database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// [`JOURNAL_SCHEMA`].
    pub schema: String,
    /// The id of the run.
    pub run: String,
    pub direction: Direction,
    /// Who started it, on which host.
    pub who: String,
    /// When, in RFC 3339.
    pub began: String,
    pub plan: Plan,
    /// The version that further updates after this one lead to (`--through`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// The methods that were chosen for them.
    #[serde(rename = "ways", default, skip_serializing_if = "Methods::is_empty")]
    pub methods: Methods,
    /// The database is to be finished after these updates (`--finish`), once it has been healthy for so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<Soak>,
    /// The state that a rollback restores.
    pub before: Before,
}

/// How long a database has to be healthy after its update before it is finished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Soak {
    pub soak_seconds: u64,
}

/// The exact state before the update: pod templates that get these images back are equal to the old ones, and so is
/// their revision. Empty if it is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Before {
    /// `spec.version` of the database.
    pub version: String,
    /// Images by the uid of the workload.
    pub workloads: BTreeMap<String, Vec<BeforeImage>>,
}

/// The image of one container before the update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BeforeImage {
    pub container: String,
    pub init: bool,
    pub image: String,
}

/// The progress of a run. It is written many times, the [`Run`] itself only once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The steps that were started, in order; a resumed run starts them again.
    pub steps: Vec<StepEntry>,
    /// Pods on the target and Ready, by workload. It may lag behind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pods: BTreeMap<String, u64>,
    /// How long pods were away, by workload. It may lag behind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub away: BTreeMap<String, PodsAway>,
    /// The pods that take on no new work because of this run, or may not: recorded before they are told, until they are
    /// restarted or told otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drained: Vec<DrainedPod>,
    /// When this was recorded; empty in entries of earlier versions of this tool.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub time: String,
    /// Who has resumed it, and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<Resumption>,
    /// The database was changed, by any process of the run.
    #[serde(default)]
    pub changed: bool,
    /// A container of a new image has started at some time. It may lag behind.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub started: bool,
    /// An operator has answered the run, in any of its processes. It may lag behind.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answered: bool,
    /// How the last process ended; absent while it runs, or when it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Finish>,
}

impl Progress {
    /// Every pod was on the target, and the run had started to set the version, remove the pause or verify.
    pub fn let_go(&self) -> bool {
        self.steps.iter().any(|s| matches!(s.step, Step::SetVersion | Step::Resume | Step::Verify))
    }
}

/// How long the pods of a workload were away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodsAway {
    pub longest_ms: u64,
    /// It was longer, but it is not known how long.
    pub at_least: bool,
    /// How many pods were restarted.
    pub restarted: u64,
    /// The pods that were away when this was recorded: since when, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pods: BTreeMap<String, i64>,
}

/// A pod that was drained, and can be told to take on work again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainedPod {
    pub pod: String,
    pub uid: String,
}

/// One step that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepEntry {
    pub step: Step,
    pub began: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<StepOutcome>,
}

/// A run was resumed, by the same method or another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resumption {
    pub who: String,
    pub time: String,
    /// The method from here on; absent in entries of earlier versions of this tool, which kept that of the run.
    #[serde(rename = "via", default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// The methods that were chosen for this update and the ones after it.
    #[serde(rename = "ways", default, skip_serializing_if = "Methods::is_empty")]
    pub methods: Methods,
    /// The ops request that is created or resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ops_request: Option<String>,
}

/// A run and its progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub run: Run,
    pub progress: Progress,
}

impl Entry {
    /// The run is unfinished: the process was killed, or stopped after something was changed. A rollback undoes what
    /// another run has changed, so it is unfinished even before it changes anything itself.
    pub fn unfinished(&self) -> bool {
        match &self.progress.result {
            None => true,
            Some(finish) => {
                let ended = matches!(finish.outcome, Outcome::Done | Outcome::NotReady | Outcome::RolledBack);
                let back = self.run.direction == Direction::Rollback;
                !ended && (self.progress.changed || finish.paused || back)
            }
        }
    }

    /// It may have left pods of its own, which were to bring images to nodes: they are removed when that is done.
    pub fn may_leave_pods(&self) -> bool {
        let over =
            |step: &StepEntry| matches!(step.outcome, Some(StepOutcome::Done | StepOutcome::AlreadyDone));
        self.progress.steps.iter().any(|step| step.step == Step::PrePull && !over(step))
    }

    fn resumed(&self) -> Option<&Resumption> {
        self.progress.resumed.last().filter(|r| r.method.is_some())
    }

    /// Its current method: a resume may choose another one.
    pub fn method(&self) -> Method {
        self.resumed().and_then(|r| r.method).unwrap_or(self.run.plan.method)
    }

    /// The methods that were last chosen for it and for the updates after it.
    pub fn methods(&self) -> Methods {
        let Some(resumed) = self.resumed() else { return self.run.methods.clone() };
        let mut methods = resumed.methods.clone();
        methods.to.insert(self.run.plan.to.name.clone(), self.method());
        methods
    }

    /// The last ops request that it has created.
    pub fn ops_request(&self) -> Option<&str> {
        let later = self.progress.resumed.iter().rev().find_map(|r| r.ops_request.as_deref());
        later.or(self.run.plan.ops_request.as_ref().map(|r| r.metadata.name.as_str()))
    }

    /// The version that further updates lead to, if this one is complete and such updates were requested. After one
    /// that was not Ready in time they do not start by themselves, but they are still to be made.
    pub fn follow(&self) -> Option<&str> {
        let complete = |finish: &Finish| matches!(finish.outcome, Outcome::Done | Outcome::NotReady);
        self.run.through.as_deref().filter(|_| self.progress.result.as_ref().is_some_and(complete))
    }

    /// The finish that is to follow it, if it is complete and such was requested.
    pub fn finish_to_follow(&self) -> Option<Soak> {
        let done = self.progress.result.as_ref().is_some_and(|finish| finish.outcome == Outcome::Done);
        self.run.finish.filter(|_| done && self.run.direction == Direction::Update)
    }

    /// It is the finish of an update, or the undoing of one.
    pub fn finishes(&self) -> bool {
        self.run.direction == Direction::Finish
    }

    /// What it was to do to the database itself.
    pub fn works(&self) -> Vec<Work> {
        let finish = self.run.plan.finish.iter();
        finish.flat_map(|finish| &finish.completion.steps).map(|step| step.work.clone()).collect()
    }

    /// It takes back what a finish has done.
    pub fn undoes(&self) -> bool {
        self.run.plan.finish.as_ref().is_some_and(|finish| finish.undo)
    }

    /// Its process was killed, or is still running.
    pub fn killed(&self) -> bool {
        self.progress.result.is_none()
    }

    /// It used that method at some time.
    pub fn took(&self, method: Method) -> bool {
        self.run.plan.method == method || self.progress.resumed.iter().any(|r| r.method == Some(method))
    }

    /// The images that it sets, pinned to the digests that their registries had when it started.
    pub fn pins(&self) -> Vec<String> {
        let brought = self.run.plan.workloads.iter().flat_map(|w| &w.images).map(|i| &i.after);
        brought.filter(|image| pinned(image)).cloned().collect()
    }

    /// Every image from before the run, and every one that it sets.
    pub fn images(&self) -> Vec<String> {
        let before = self.run.before.workloads.values().flatten().map(|b| b.image.clone());
        let after = self.run.plan.workloads.iter().flat_map(|w| &w.images).map(|i| i.after.clone());
        before.chain(after).collect()
    }
}

impl Before {
    /// The current state, before a plan runs.
    pub fn of(snapshot: &Snapshot) -> Self {
        let images = |w: &crate::model::Workload| {
            let image = |c: &crate::model::Container| BeforeImage {
                container: c.name.clone(),
                init: c.init,
                image: c.image.clone(),
            };
            (w.object.uid.clone(), w.containers.iter().map(image).collect())
        };
        Before {
            version: snapshot.database.version.clone(),
            workloads: snapshot.workloads.iter().map(images).collect(),
        }
    }
}

/// The keys of a journal's ConfigMap, oldest first: the time comes first in each.
pub fn key(run: &Run) -> String {
    let time: String = run.began.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{time}-{}", run.run)
}

/// The keys that have to go so that a new run fits: the oldest ones, until few enough and small enough are left.
/// `kept` holds key and size in bytes of each run, oldest first; `new` is the size of the one that comes.
pub fn outlived(kept: &[(String, usize)], new: usize) -> Vec<String> {
    let mut bytes: usize = kept.iter().map(|(_, size)| size).sum::<usize>() + new;
    let mut count = kept.len() + 1;
    let mut gone = Vec::new();
    for (key, size) in kept {
        if count <= KEPT_RUNS && bytes <= KEPT_BYTES {
            break;
        }
        (count, bytes) = (count - 1, bytes - size);
        gone.push(key.clone());
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_runs_go_first_and_only_as_many_as_must() {
        let runs = |n: usize, size: usize| -> Vec<_> { (0..n).map(|i| (format!("r{i}"), size)).collect() };
        for (kept, new, gone) in [
            (runs(0, 0), 10, vec![]),
            (runs(9, 1000), 1000, vec![]),
            (runs(10, 1000), 1000, vec!["r0"]),
            (runs(3, 300 * 1024), 300 * 1024, vec!["r0"]),
            (runs(2, 500 * 1024), 800 * 1024, vec!["r0", "r1"]),
        ] {
            assert_eq!(outlived(&kept, new), gone, "{} runs and {new} bytes", kept.len());
        }
    }
}
