//! What state a database is in, and which command to run next. Pure: everything that was read comes in as a [`Seen`].

mod commands;
mod decide;
mod list;
mod onlooker;
mod parts;
mod record;
mod rolling;
mod state;

use serde::{Deserialize, Serialize};

pub use commands::{Commands, Next, Typed};
pub use decide::{decide, look_at, unfinished};
pub use list::{Listed, PausedBy, listed};
pub use onlooker::{Onlooker, last_words};
pub use record::{NoRun, PodsRecord, Resumed, RunRecord, record};
pub use state::{Situation, State, What};

use crate::event::{Outcome, Step, code};
use crate::journal::{Direction, Entry};
use crate::model::{Kind, Lookup, Method, ObjectRef, Snapshot};

/// The version of the schema in which a status is printed.
pub const STATUS_SCHEMA: &str = "dbupdate/v1";

/// One database, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub snapshot: Snapshot,
    /// The runs in the journal, oldest first.
    pub runs: Lookup<Vec<Entry>>,
    /// How many seconds ago the lock was renewed, by the clocks of its holder and of this machine.
    pub lock_age: Option<i64>,
    /// What could not be read, and why: `pods: …`, by the plural of the resource.
    pub unread: Vec<String>,
}

impl Seen {
    /// It is not known whether there is a lock.
    pub fn lock_unread(&self) -> bool {
        self.unread.iter().any(|what| what.starts_with("leases: "))
    }
}

/// The state of one database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// [`STATUS_SCHEMA`].
    pub schema: String,
    pub kind: Kind,
    pub database: ObjectRef,
    /// `spec.version`.
    pub version: String,
    /// `status.phase`.
    pub phase: String,
    pub state: State,
    /// The exit code for the state. What could not be checked is not taken for fine.
    #[serde(default)]
    pub exit_code: u8,
    /// The state in one sentence.
    pub sentence: String,
    /// The commands to run next, most useful first.
    pub next: Vec<String>,
    pub workloads: Vec<WorkloadStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseStatus>,
    /// The ops requests that have not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ops_requests: Vec<OpsStatus>,
    /// The last run in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockStatus>,
    /// The pods that were to bring images to nodes, and that a run which was killed has left behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_pods: Vec<String>,
    /// What could not be checked, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_checked: Vec<String>,
}

impl Status {
    /// The pods of all workloads, and how many of them are Ready.
    pub fn pods(&self) -> (u64, u64) {
        let revisions = self.workloads.iter().flat_map(|w| &w.revisions);
        revisions.fold((0, 0), |(pods, ready), r| (pods + r.pods, ready + r.ready))
    }
}

/// One workload of a database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// `petset/my-kf-broker`.
    pub workload: String,
    pub role: String,
    pub images: Vec<ImageStatus>,
    /// The pods, by the revision that they were created from.
    pub revisions: Vec<RevisionStatus>,
}

/// One container of a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    pub container: String,
    pub init: bool,
    pub image: String,
    pub of: ImageOf,
}

/// Which version an image belongs to, according to the catalog; digests are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ImageOf {
    /// The version in `spec.version`.
    Version,
    /// The other version of the unfinished run.
    Run,
    /// Neither of them.
    Other,
    /// The catalog does not know the container.
    Unmapped,
}

/// Pods of one revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStatus {
    pub revision: String,
    /// It is that of the template.
    pub current: bool,
    pub pods: u64,
    pub ready: u64,
}

/// Who has paused the operator for the database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PauseStatus {
    /// This tool has.
    pub ours: bool,
    /// The operator has acknowledged it.
    pub acknowledged: bool,
    pub message: String,
}

/// An ops request that has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpsStatus {
    pub kind: String,
    pub name: String,
    pub operation: String,
    pub phase: String,
}

/// A run in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    pub run: String,
    pub direction: Direction,
    /// Its current method.
    #[serde(rename = "via")]
    pub method: Method,
    pub from: String,
    pub to: String,
    pub who: String,
    pub began: String,
    /// The last step that was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// How its last process ended; absent while it runs, or if it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why it was not done; that it ended without a word, if it was killed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// The pod that it failed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// How long that took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// Who has resumed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed_by: Vec<String>,
    /// It has not finished, and the cluster still shows something of it.
    pub unfinished: bool,
}

/// What is said of a run that has recorded no end, and does not run.
const KILLED: &str = "it ended without a word: it was killed, or its machine was lost";

impl RunStatus {
    /// The entry of a run, which may still be `running`. It is `unfinished` if the cluster still shows something of it.
    fn of(entry: &Entry, running: bool, unfinished: bool) -> Self {
        let (run, progress) = (&entry.run, &entry.progress);
        let result = progress.result.as_ref();
        RunStatus {
            run: run.run.clone(),
            direction: run.direction,
            method: entry.method(),
            from: run.plan.from.name.clone(),
            to: run.plan.to.name.clone(),
            who: run.who.clone(),
            began: run.began.clone(),
            step: progress.steps.last().map(|s| s.step),
            outcome: result.map(|r| r.outcome),
            error: match result {
                Some(result) => result.error.clone(),
                None if running => String::new(),
                None => KILLED.to_owned(),
            },
            pod: result.and_then(|r| r.pod.clone()),
            took_ms: result.map(|r| r.elapsed_ms),
            resumed_by: progress.resumed.iter().map(|r| r.who.clone()).collect(),
            unfinished,
        }
    }
}

/// A run, and the database that it is on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabaseRun {
    pub kind: Kind,
    pub database: ObjectRef,
    #[serde(flatten)]
    pub run: RunStatus,
}

/// The lock of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockStatus {
    pub holder: String,
    pub since: String,
    /// How many seconds ago it was renewed, as far as the clocks of two machines tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_seconds: Option<i64>,
    /// How many seconds it is valid after each renewal.
    pub duration_seconds: i64,
}

/// The runs of a database, the last one first.
pub fn runs(seen: &Seen) -> Vec<RunStatus> {
    let Lookup::Found(entries) = &seen.runs else { return Vec::new() };
    entries.iter().rev().map(|entry| run_status(seen, entries, entry)).collect()
}

/// One of the runs, of which only the last one may still be running.
fn run_status(seen: &Seen, runs: &[Entry], entry: &Entry) -> RunStatus {
    let is = |other: Option<&Entry>| other.is_some_and(|o| o.run.run == entry.run.run);
    let running = is(runs.last()) && decide::running(seen).is_some();
    RunStatus::of(entry, running, is(unfinished(seen)))
}

/// Everything that is shown of a database. `commands` gives the text of the next commands.
pub fn status(seen: &Seen, commands: impl Fn(Next) -> String) -> Status {
    let situation = decide(seen);
    let db = &seen.snapshot.database;
    let unfinished = unfinished(seen);
    let not_checked = parts::not_checked(seen);
    Status {
        schema: STATUS_SCHEMA.to_owned(),
        kind: db.kind,
        database: db.object.clone(),
        version: db.version.clone(),
        phase: db.phase.to_string(),
        state: situation.state(),
        exit_code: match situation.exit_code() {
            0 if !not_checked.is_empty() => code::FAILED,
            code => code,
        },
        sentence: situation.to_string(),
        next: situation.next().into_iter().map(commands).collect(),
        workloads: parts::workloads(seen, unfinished),
        paused: parts::paused(db),
        ops_requests: parts::ops_requests(seen),
        run: runs(seen).into_iter().next(),
        lock: parts::lock(seen),
        // A run that is alive needs its pods.
        left_pods: match decide::running(seen) {
            Some(_) => Vec::new(),
            None => seen.snapshot.environment.left_pods.clone(),
        },
        not_checked,
    }
}

/// The exit code for the states of several databases: the most serious one; `None` if there are no databases.
pub fn exit_code(all: &[Status]) -> Option<u8> {
    let rising = [0, code::SOMEBODY_ELSE, code::FAILED, code::NOT_READY, code::REFUSED, code::UNFINISHED];
    let serious = |code: &u8| rising.iter().position(|known| known == code);
    all.iter().map(|status| status.exit_code).max_by_key(serious)
}

#[cfg(test)]
mod tests;
