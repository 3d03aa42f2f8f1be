//! The plan of a finish: what the version that the database is on allows or needs is done to the database itself, and none
//! of its pods is restarted.

use std::collections::BTreeSet;

use crate::model::{
    Action, Check, Command, Completion, Coverage, Direction, Finding, FinishPlan, Lookup, Method, Plan,
    Snapshot,
};

use super::context::Context;
use super::preflight;
use super::update::{self, NoTarget, Unfinished};

/// What the user asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Take back what an earlier finish has done.
    pub undo: bool,
    /// The checks that are overridden by name.
    pub skip: BTreeSet<Check>,
    /// A finish was interrupted, which may only have to be verified.
    pub resuming: bool,
    /// An update or rollback that is not complete.
    pub unfinished: Option<Unfinished>,
}

/// Plans a finish, from what the database has said of itself. If it was not asked yet, what will be done is left open.
///
/// # Errors
/// The database's version is not in the catalog.
pub fn plan(snapshot: &Snapshot, request: &Request) -> Result<Plan, NoTarget> {
    let version = &snapshot.database.version;
    let update = update::Request {
        unfinished: request.unfinished.clone(),
        skip: request.skip.clone(),
        ..update::Request::to(version)
    };
    let as_it_is = update::plan(snapshot, &update)?;
    let mut findings = Vec::new();
    if let Some(target) = snapshot.version(version) {
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
        findings = preflight::of_a_finish(&context);
        findings.extend(not_updated(&as_it_is, request, &context));
        findings.extend(said(&context, &snapshot.completion));
        findings.sort_by_key(|finding| finding.severity);
    }
    let completion = found(&snapshot.completion);
    let nothing = !request.resuming && completion.as_ref().is_some_and(Completion::complete);
    Ok(Plan {
        action: if nothing { Action::Nothing } else { Action::Finish },
        finish: Some(FinishPlan { undo: request.undo, completion: completion.unwrap_or_default() }),
        findings,
        path: Vec::new(),
        pre_pull: None,
        ..as_it_is
    })
}

fn found(completion: &Lookup<Completion>) -> Option<Completion> {
    match completion {
        Lookup::Found(completion) => Some(completion.clone()),
        Lookup::Absent | Lookup::Unreadable(_) => None,
    }
}

/// The update itself is not complete.
fn not_updated(as_it_is: &Plan, request: &Request, context: &Context<'_>) -> Option<Finding> {
    let db = &context.snapshot.database;
    let (kind, name, namespace) = (db.kind.singular(), &db.object.name, &db.object.namespace);
    if let Some(unfinished) = &request.unfinished {
        let what = if unfinished.rollback { "rollback" } else { "update" };
        let message = format!("the {what} to {} (run {}) is not complete", unfinished.to, unfinished.run);
        let command = Command::kubectl(["dbupdate", "resume", kind, name]).in_namespace(namespace);
        let hint = format!("complete it first: {command}");
        return Some(context.refusal(Check::UnfinishedOther, message, hint));
    }
    let message = match as_it_is.action {
        Action::Nothing => return None,
        Action::Resume => format!("the last update of {} is not verified, or has left it paused", db.object),
        _ => format!("not all templates and pods of {} are on {}", db.object, db.version),
    };
    let command = Command::kubectl(["dbupdate", kind, name]).flag("--to", &db.version);
    let hint = format!("complete the update first: {}", command.in_namespace(namespace));
    Some(context.refusal(Check::CannotFinish, message, hint))
}

/// What the database says against it.
fn said(context: &Context<'_>, completion: &Lookup<Completion>) -> Vec<Finding> {
    let kind = context.snapshot.database.kind.name();
    let refusal = |message: String| {
        context.refusal(
            Check::CannotFinish,
            message,
            "nothing is changed in the database as long as that is so",
        )
    };
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
