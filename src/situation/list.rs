//! A database as a line of a list.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::{Kind, ObjectRef, Snapshot};
use crate::steps::s1_pause;

use crate::plan::versions;

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
    /// `status.phase`.
    pub phase: String,
    /// Who has paused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_by: Option<PausedBy>,
}

/// Who wrote the `Paused` condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PausedBy {
    /// A run of this tool.
    Dbupdate,
    Other,
}

/// The line of a database.
pub fn listed(snapshot: &Snapshot) -> Listed {
    let db = &snapshot.database;
    let newest = versions::latest(snapshot, &BTreeSet::new()).filter(|newest| *newest != db.version);
    let paused_by = db.paused().map(|(_, condition)| match s1_pause::run_of(condition) {
        Some(_) => PausedBy::Dbupdate,
        None => PausedBy::Other,
    });
    Listed {
        kind: db.kind,
        database: db.object.clone(),
        version: db.version.clone(),
        newest,
        phase: db.phase.to_string(),
        paused_by,
    }
}
