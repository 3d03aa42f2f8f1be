//! A database as a line of a list.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::journal::Entry;
use crate::model::{Kind, Methods, ObjectRef, Snapshot};
use crate::steps::s1_pause;

use super::decide::left;
use crate::plan::versions::{self, Further};

/// A database as a line of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    pub kind: Kind,
    pub database: ObjectRef,
    /// `spec.version`.
    pub version: String,
    /// What `--to latest` means for it; `None` if it is on that version, or the catalog is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// It is on the version that `--to latest` means.
    #[serde(default)]
    pub on_newest: bool,
    /// A newer version than that, to which other flags lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub further: Option<Further>,
    /// `status.phase`.
    pub phase: String,
    /// Who has paused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_by: Option<PausedBy>,
    /// What its last update has left to be done in the database itself, as the database said at its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_finish: Vec<String>,
}

/// Who wrote the `Paused` condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PausedBy {
    /// A run of this tool.
    Dbupdate,
    Other,
}

/// The line of a database, with the last run on it.
pub fn listed(snapshot: &Snapshot, last: Option<&Entry>) -> Listed {
    let db = &snapshot.database;
    let nothing = BTreeSet::new();
    let latest = versions::latest(snapshot, &nothing);
    let paused_by = s1_pause::deciding(db).map(|(_, condition)| match s1_pause::run_of(condition) {
        Some(_) => PausedBy::Dbupdate,
        None => PausedBy::Other,
    });
    Listed {
        kind: db.kind,
        database: db.object.clone(),
        version: db.version.clone(),
        on_newest: latest.as_ref() == Some(&db.version),
        newest: latest.filter(|newest| *newest != db.version),
        further: versions::further(snapshot, &nothing, &Methods::default()),
        phase: db.phase.to_string(),
        paused_by,
        to_finish: left(last, snapshot).to_vec(),
    }
}
