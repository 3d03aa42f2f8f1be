//! What the checks and the plans look at, and how they say what they have found.

use std::collections::BTreeSet;

use crate::kinds::Facts;
use crate::model::{
    CatalogVersion, Check, Coverage, Finding, Method, OpsRequest, Severity, Snapshot, Workload,
};
use crate::steps::{ops_request, s1_pause};

/// What the checks look at.
pub struct Context<'a> {
    pub snapshot: &'a Snapshot,
    pub facts: &'static Facts,
    /// The current version's object; `None` where the catalog lacks it.
    pub current: Option<&'a CatalogVersion>,
    pub target: &'a CatalogVersion,
    pub coverage: Coverage<'a>,
    /// Overridden by name.
    pub skip: &'a BTreeSet<Check>,
    /// Images that an unfinished run has found and brought.
    pub known_images: &'a [String],
    /// Images of the target as that run has pinned them.
    pub pins: &'a [String],
    /// The plan resumes an unfinished run.
    pub resuming: bool,
    /// The cluster itself shows something of that run, so that what it has caused is no finding.
    pub begun: bool,
    pub method: Method,
    /// The ops request that the resumed run has created.
    pub ops_request: Option<&'a str>,
}

impl Context<'_> {
    /// `spec.version` is the target already.
    pub fn on_target_version(&self) -> bool {
        self.snapshot.database.version == self.target.name
    }

    /// A run of ours was interrupted: what it has caused is no finding.
    pub(super) fn unfinished(&self) -> bool {
        self.begun || s1_pause::ours(&self.snapshot.database).is_some()
    }

    /// It is the ops request that the plan follows.
    pub(super) fn follows(&self, request: &OpsRequest) -> bool {
        self.method == Method::OpsManager
            && self.ops_request == Some(request.name.as_str())
            && request.target == self.target.name
    }

    /// The pause was left by the ops request of the resumed run, which is gone.
    pub(super) fn left_paused(&self, message: &str) -> bool {
        let namespace = &self.snapshot.database.object.namespace;
        self.method == Method::OpsManager
            && self.ops_request.is_some_and(|name| ops_request::has_paused(message, namespace, name))
    }

    pub(super) fn refusal(&self, check: Check, message: String, hint: impl Into<String>) -> Finding {
        let overridden = self.skip.contains(&check) && Check::OVERRIDABLE.contains(&check);
        let severity = if overridden { Severity::Overridden } else { Severity::Refusal };
        Finding { check, severity, message, hint: hint.into() }
    }

    pub(super) fn workloads(&self) -> impl Iterator<Item = &Workload> {
        self.snapshot.workloads.iter()
    }
}

pub(super) fn note(check: Check, severity: Severity, message: String) -> Finding {
    Finding { check, severity, message, hint: String::new() }
}
