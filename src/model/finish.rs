use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::size;

/// What an update leaves to be done in the database itself, as far as the database tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Completion {
    /// What its version allows or needs, in the order in which it is done.
    pub steps: Vec<FinishStep>,
    /// What has to change before any of that may be done. Not knowing is an obstacle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<String>,
    /// What is as the version has it, e.g. `metadata.version is 4.0-IV3`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<String>,
    /// What is worth knowing, and is not changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

impl Completion {
    /// Nothing is left, and that is known.
    pub fn complete(&self) -> bool {
        self.steps.is_empty() && self.obstacles.is_empty()
    }

    /// Adds an obstacle, once.
    pub fn hinder(&mut self, why: String) {
        if !self.obstacles.contains(&why) {
            self.obstacles.push(why);
        }
    }

    /// The same with every text changed so.
    pub fn told(mut self, change: impl Fn(&str) -> String) -> Self {
        let told = self.obstacles.iter_mut().chain(&mut self.settled).chain(&mut self.remarks);
        told.for_each(|text| *text = change(text));
        self
    }
}

/// What a finish does, or takes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FinishPlan {
    /// It takes back what an earlier one has done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undo: bool,
    #[serde(flatten)]
    pub completion: Completion,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FinishStep {
    #[serde(flatten)]
    pub work: Work,
    pub reversal: Reversal,
}

/// What is done to the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Work {
    /// A feature of the cluster is set to another level, such as Kafka's `metadata.version`.
    SetFeature { feature: String, from: Level, to: Level },
    /// A node rewrites the files that an older version has written.
    RewriteFiles {
        pod: String,
        /// The formats that they have, e.g. `nb`, and the one that they get.
        from: Vec<String>,
        to: String,
        files: u64,
        bytes: u64,
        tool: Tool,
    },
    /// The database changes something by itself, which is waited for.
    Await { what: String, from: String, to: String },
}

impl Work {
    /// The work that leads back; `None` if there is none.
    pub fn back(&self) -> Option<Work> {
        let Work::SetFeature { feature, from, to } = self else { return None };
        Some(Work::SetFeature { feature: feature.clone(), from: to.clone(), to: from.clone() })
    }

    /// Both change the same thing, whatever it is now.
    pub fn is_about(&self, other: &Work) -> bool {
        match (self, other) {
            (Work::SetFeature { feature, .. }, Work::SetFeature { feature: same, .. }) => feature == same,
            (Work::RewriteFiles { pod, .. }, Work::RewriteFiles { pod: same, .. }) => pod == same,
            (Work::Await { what, .. }, Work::Await { what: same, .. }) => what == same,
            _ => false,
        }
    }
}

/// What the database is to do: `raise metadata.version from 3.9-IV0 (21) to 4.0-IV3 (25)`.
impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::SetFeature { feature, from, to } => {
                let set = if to.level < from.level { "lower" } else { "raise" };
                write!(f, "{set} {feature} from {from} to {to}")
            }
            Work::RewriteFiles { pod, from, to, files, bytes, .. } => {
                let from = from.join(" and ");
                let what =
                    format!("{files} data file{} ({})", if *files == 1 { "" } else { "s" }, size(*bytes));
                write!(f, "rewrite {what} of pod {pod} from format {from} to {to}")
            }
            Work::Await { what, from, to } => write!(f, "raise {what} from {from} to {to}"),
        }
    }
}

/// The level of a feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Level {
    pub level: i16,
    /// What the database calls it, e.g. `4.0-IV3`; empty if it has no name, or one that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// `4.0-IV3 (25)`, or `2`.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.name {
            "" => self.level.fmt(f),
            name => write!(f, "{name} ({})", self.level),
        }
    }
}

/// A feature of the cluster and the level that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Feature {
    pub feature: String,
    #[serde(flatten)]
    pub level: Level,
}

/// Who rewrites the files of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Tool {
    /// The management API beside the database.
    ManagementApi,
    /// `nodetool` in the pod, which takes memory from the database.
    Nodetool,
}

/// Whether a step can be undone, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reversible", rename_all = "camelCase")]
pub enum Reversal {
    Yes { why: String },
    No { why: String },
    Unknown { why: String },
}

impl Reversal {
    /// It is known that it cannot be undone.
    pub fn is_no(&self) -> bool {
        matches!(self, Reversal::No { .. })
    }
}

/// How far a work is that takes its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkProgress {
    /// In the database's words, e.g. `orders.items`.
    pub doing: String,
    pub done: u64,
    /// 0 if it is not known.
    pub total: u64,
}

/// Why the database has to be finished before a version, or cannot go there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bar {
    /// Something has to be raised first, which the version it runs allows.
    Unfinished { why: String },
    /// What was finished cannot be read by that version.
    Beyond { why: String },
    /// It is not known whether the version can take over the database.
    Unknown { why: String },
}
