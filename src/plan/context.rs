//! What the checks and the plans look at, and how findings are worded.

use std::collections::BTreeSet;

use crate::kinds::Facts;
use crate::model::{
    Action, CatalogVersion, Check, Command, Coverage, Direction, Finding, Method, OpsRequest, PLAN_SCHEMA,
    Plan, Snapshot, VersionRef, WorkloadPlan,
};
use crate::steps::{ops_request, s1_pause};

/// What the checks look at.
pub struct Context<'a> {
    pub snapshot: &'a Snapshot,
    pub direction: Direction,
    /// The current version's object; `None` if the catalog lacks it.
    pub current: Option<&'a CatalogVersion>,
    pub target: &'a CatalogVersion,
    pub coverage: Coverage<'a>,
    /// The checks that the user has overridden.
    pub skip: &'a BTreeSet<Check>,
    /// The images from before an unfinished run, and those that it has set.
    pub known_images: &'a [String],
    /// The target's images, as that run has pinned them.
    pub pins: &'a [String],
    /// The images are to be brought to the nodes before anything is changed.
    pub pre_pull: bool,
    /// The plan resumes an unfinished run.
    pub resuming: bool,
    /// The cluster itself shows something of that run, so its effects are no findings.
    pub begun: bool,
    pub method: Method,
    /// The ops request that the resumed run has created.
    pub ops_request: Option<&'a str>,
}

impl Context<'_> {
    /// The facts about the kind.
    pub fn facts(&self) -> &'static Facts {
        self.snapshot.database.kind.facts()
    }

    /// `spec.version` is the target already.
    pub fn on_target_version(&self) -> bool {
        self.snapshot.database.version == self.target.name
    }

    /// A run of this tool was interrupted, so its effects are no findings.
    pub(super) fn unfinished(&self) -> bool {
        self.begun || s1_pause::ours(&self.snapshot.database).is_some()
    }

    /// It is the ops request that the plan follows.
    pub(super) fn follows(&self, request: &OpsRequest) -> bool {
        self.method == Method::OpsManager
            && self.ops_request == Some(request.name.as_str())
            && request.target == self.target.name
    }

    /// The pause was left by the resumed run's ops request, which is gone.
    pub(super) fn left_paused(&self, message: &str) -> bool {
        let namespace = &self.snapshot.database.object.namespace;
        self.method == Method::OpsManager
            && self.ops_request.is_some_and(|name| ops_request::has_paused(message, namespace, name))
    }

    /// A command of this tool about the database, as anyone may type it: `kubectl dbupdate finish kafka my-kf --undo -n db`
    /// has `finish` before the database, and `--undo` after it.
    pub(super) fn command(&self, before: &[&str], after: &[&str]) -> Command {
        let db = &self.snapshot.database;
        let named = Command::kubectl(["dbupdate"]).words(before.iter().copied());
        let named = named.words([db.kind.singular(), &db.object.name]).words(after.iter().copied());
        named.in_namespace(&db.object.namespace)
    }

    pub(super) fn refusal(&self, check: Check, message: String, hint: impl Into<String>) -> Finding {
        Finding::refusal(check, message, hint, self.skip)
    }

    /// The plan to the target with this action and these workloads.
    pub(super) fn plan(
        &self,
        from: VersionRef,
        action: Action,
        workloads: Vec<WorkloadPlan>,
        findings: Vec<Finding>,
    ) -> Plan {
        let db = &self.snapshot.database;
        Plan {
            schema: PLAN_SCHEMA.to_owned(),
            kind: db.kind,
            database: db.object.clone(),
            from,
            to: VersionRef { name: self.target.name.clone(), version: self.target.version.clone() },
            action,
            method: self.method,
            ops_request: None,
            pre_pull: None,
            health: self.snapshot.said().cloned(),
            finish: None,
            workloads,
            findings,
            missing: self.snapshot.environment.denied().to_vec(),
            path: Vec::new(),
        }
    }
}
