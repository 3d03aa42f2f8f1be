//! The plan of a finish: what the version that the database is on allows or needs is done to the database itself, and none
//! of its pods is restarted.

use std::collections::BTreeSet;

use crate::model::{
    Action, Check, Completion, Coverage, Direction, Finding, FinishPlan, Lookup, Method, Plan, Snapshot,
    VersionRef,
};

use super::context::Context;
use super::update::{self, NoTarget, Unfinished};
use super::{preflight, templates, workload};

/// What the user asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Take back what an earlier finish has done.
    pub undo: bool,
    /// The checks that are overridden by name.
    pub skip: BTreeSet<Check>,
    /// A finish was interrupted, which may only have to be verified.
    pub resuming: bool,
    /// An update comes first, which brings everything to the version; if it does not, that is seen then.
    pub after_an_update: bool,
    /// An update or rollback that is not complete.
    pub unfinished: Option<Unfinished>,
}

/// Plans a finish, from what the database has said of itself. If it was not asked yet, what will be done is left open.
///
/// # Errors
/// The database's version is not in the catalog.
pub fn plan(snapshot: &Snapshot, request: &Request) -> Result<Plan, NoTarget> {
    let target = update::target(snapshot, &snapshot.database.version)?;
    let context = Context {
        snapshot,
        direction: Direction::Finish,
        current: Some(target),
        target,
        coverage: Coverage::new(snapshot),
        skip: &request.skip,
        known_images: &[],
        pins: &[],
        pre_pull: false,
        resuming: false,
        begun: false,
        method: Method::default(),
        ops_request: None,
    };
    let planned = |w| workload::plan(&context, w, templates::changes(&context, w), 0);
    let workloads: Vec<_> = workload::in_order(&context).into_iter().map(planned).collect();
    let mut findings = preflight::of_a_finish(&context);
    let update = workload::action(&context, &workloads, false);
    if !request.after_an_update {
        findings.extend(not_updated(update, request.unfinished.as_ref(), &context));
    }
    findings.extend(said(&context, &snapshot.completion));
    findings.sort_by_key(|finding| finding.severity);
    let completion = snapshot.completion.found();
    let nothing = !request.resuming && completion.is_some_and(Completion::complete);
    let action = if nothing { Action::Nothing } else { Action::Finish };
    let version = VersionRef { name: target.name.clone(), version: target.version.clone() };
    Ok(Plan {
        finish: Some(FinishPlan { undo: request.undo, completion: completion.cloned().unwrap_or_default() }),
        ..context.plan(version, action, workloads, findings)
    })
}

/// The update itself is not complete: this is still to be done of it, or its run is unfinished.
fn not_updated(update: Action, unfinished: Option<&Unfinished>, context: &Context<'_>) -> Option<Finding> {
    let db = &context.snapshot.database;
    if let Some(unfinished) = unfinished {
        let what = if unfinished.rollback { "rollback" } else { "update" };
        let message = format!("the {what} to {} (run {}) is not complete", unfinished.to, unfinished.run);
        let hint = format!("complete it first: {}", context.command(&["resume"], &[]));
        return Some(context.refusal(Check::UnfinishedOther, message, hint));
    }
    let message = match update {
        Action::Nothing => return None,
        Action::Resume => format!("the last update of {} is not verified, or has left it paused", db.object),
        _ => format!("not all templates and pods of {} are on {}", db.object, db.version),
    };
    let hint = format!("complete the update first: {}", context.command(&[], &["--to", &db.version]));
    Some(context.refusal(Check::CannotFinish, message, hint))
}

/// What the database says against it.
fn said(context: &Context<'_>, completion: &Lookup<Completion>) -> Vec<Finding> {
    let kind = context.snapshot.database.kind.name();
    let refusal =
        |message: String| context.refusal(Check::CannotFinish, message, "the database is left as it is");
    match completion {
        Lookup::Absent => Vec::new(),
        Lookup::Unreadable(why) => vec![context.refusal(
            Check::CannotFinish,
            format!("{kind} cannot be asked: {why}"),
            "docs/health.md says what asking takes",
        )],
        Lookup::Found(completion) => completion.obstacles.iter().map(|why| refusal(why.clone())).collect(),
    }
}
