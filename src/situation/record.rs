//! One run of the journal with everything that is recorded of it, as it belongs into a change ticket.

use serde::{Deserialize, Serialize};

use super::{RunStatus, STATUS_SCHEMA, Seen, run_status};
use crate::event::Finish;
use crate::journal::{Entry, StepEntry};
use crate::model::{Finding, Lookup, Method, ObjectRef, Severity};

/// One run, with everything that is recorded of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// [`STATUS_SCHEMA`].
    pub schema: String,
    pub database: ObjectRef,
    pub run: RunStatus,
    /// Who has resumed it, and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<Resumed>,
    /// The failed checks that were overridden when it started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<Finding>,
    /// The pods of each workload, as the run has last recorded them.
    pub pods: Vec<PodsRecord>,
    /// The steps in order; a resumed run starts them again.
    pub steps: Vec<StepEntry>,
    /// How its last process ended; absent while it runs, or if it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Finish>,
}

/// A run was resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resumed {
    pub who: String,
    pub time: String,
    /// The method from here on.
    #[serde(rename = "via", default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
}

/// The pods of one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodsRecord {
    pub workload: String,
    /// All of its pods.
    pub pods: u64,
    /// Those on the target and Ready.
    pub updated: u64,
}

/// Why there is no such run to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRun {
    #[error("no runs recorded for {database}")]
    None { database: String },
    #[error("{database} has no run {typed:?}; its runs are {}", known.join(", "))]
    Unknown { database: String, typed: String, known: Vec<String> },
    #[error("{typed:?} is the beginning of several runs of {database}: {}", matching.join(", "))]
    Ambiguous { database: String, typed: String, matching: Vec<String> },
}

/// The run with that id, of which the beginning is enough; without one, the last run.
///
/// # Errors
///
/// There is none, or there are several.
pub fn record(seen: &Seen, id: Option<&str>) -> Result<RunRecord, NoRun> {
    let database = seen.snapshot.database.object.to_string();
    let runs = match &seen.runs {
        Lookup::Found(runs) => runs.as_slice(),
        Lookup::Absent | Lookup::Unreadable(_) => &[],
    };
    let Some(last) = runs.last() else { return Err(NoRun::None { database }) };
    let entry = match id {
        None => last,
        Some(typed) => named(runs, typed, database)?,
    };
    Ok(recorded(entry, run_status(seen, runs, entry), &seen.snapshot.database.object))
}

fn named<'a>(runs: &'a [Entry], typed: &str, database: String) -> Result<&'a Entry, NoRun> {
    let id = |entry: &&Entry| entry.run.run.clone();
    let typed = typed.to_owned();
    if let Some(exact) = runs.iter().find(|entry| entry.run.run == typed) {
        return Ok(exact);
    }
    let matching: Vec<&Entry> = runs.iter().filter(|entry| entry.run.run.starts_with(&typed)).collect();
    match matching.as_slice() {
        [one] => Ok(one),
        [] => Err(NoRun::Unknown { database, typed, known: runs.iter().rev().map(|e| id(&e)).collect() }),
        _ => Err(NoRun::Ambiguous { database, typed, matching: matching.iter().map(id).collect() }),
    }
}

fn recorded(entry: &Entry, status: RunStatus, database: &ObjectRef) -> RunRecord {
    let (run, progress) = (&entry.run, &entry.progress);
    let resumed = progress.resumed.iter().map(|r| Resumed {
        who: r.who.clone(),
        time: r.time.clone(),
        method: r.method,
    });
    let overridden = run.plan.findings.iter().filter(|f| f.severity == Severity::Overridden);
    RunRecord {
        schema: STATUS_SCHEMA.to_owned(),
        database: database.clone(),
        run: status,
        resumed: resumed.collect(),
        overridden: overridden.cloned().collect(),
        pods: pods(entry),
        steps: progress.steps.clone(),
        result: progress.result.clone(),
    }
}

/// As the result has counted them at the end, or else as the run has recorded them on its way.
fn pods(entry: &Entry) -> Vec<PodsRecord> {
    let counted = entry.progress.result.iter().flat_map(|result| &result.workloads);
    let counted: Vec<_> = counted
        .map(|w| PodsRecord { workload: w.workload.clone(), pods: w.pods, updated: w.updated })
        .collect();
    if !counted.is_empty() {
        return counted;
    }
    let planned = entry.run.plan.workloads.iter().map(|w| {
        let workload = w.object.to_string();
        let updated = entry.progress.pods.get(&workload).copied().unwrap_or_default();
        PodsRecord { workload, pods: w.replicas.max(0).unsigned_abs(), updated }
    });
    planned.collect()
}
