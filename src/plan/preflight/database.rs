//! The database itself, and who else is changing it.

use crate::model::{Check, Command, Finding, Lookup, Phase, Severity, Snapshot};
use crate::steps::ops_request::{self, LeftPaused};
use crate::steps::s1_pause;

use super::super::context::Context;

pub fn database(context: &Context<'_>, found: &mut Vec<Finding>) {
    let db = &context.snapshot.database;
    let name = &db.object;
    if db.deleting {
        found.push(context.refusal(Check::BeingDeleted, format!("{name} is being deleted"), ""));
    }
    if db.halted || db.phase == Phase::Halted {
        found.push(context.refusal(
            Check::Halted,
            format!("{name} is halted (spec.halted): it has no pods to update"),
            "set spec.halted to false, wait until the database is Ready, then try again",
        ));
    }
    if db.phase != Phase::Ready && db.phase != Phase::Halted {
        let message = format!("{name} is {}, not Ready", db.phase);
        found.push(if context.unfinished() {
            Finding::note(Check::Phase, Severity::Info, message)
        } else {
            context.refusal(Check::Phase, message, "make sure the database is Ready first")
        });
    }
}

/// How to remove the pause of an ops request that is gone, or has ended without removing it: nothing else removes it.
fn left_over(snapshot: &Snapshot) -> Option<String> {
    let LeftPaused { request, patch } = ops_request::left_paused(snapshot)?;
    let db = &snapshot.database;
    let (plural, name, namespace) = (db.kind.plural(), &db.object.name, &db.object.namespace);
    let command = Command::kubectl(["patch", plural, name]).in_namespace(namespace);
    let command = command.words(["--subresource=status", "--type", "json", "-p", &patch]);
    let ended = request.map(|request| format!("{request}; ")).unwrap_or_default();
    Some(format!(
        "{ended}none of its ops requests is in progress; if nothing else is changing the database, remove the condition, and \
         the operator will restore the pod templates of {}: {command}",
        db.version
    ))
}

pub fn others(context: &Context<'_>, found: &mut Vec<Finding>) {
    let snapshot = context.snapshot;
    let db = &snapshot.database;
    let followed = snapshot.ops_in_flight().any(|r| context.follows(r));
    if let Some((_, condition)) = s1_pause::deciding(db).filter(|_| !followed) {
        match s1_pause::run_of(condition) {
            // The finding from the journal says the same, with more detail.
            Some(_) if context.resuming => {}
            Some(run) => found.push(Finding::note(
                Check::UnfinishedRun,
                Severity::Info,
                format!("run {run} of this tool was not finished ({}); it is resumed", condition.message),
            )),
            None if context.left_paused(&condition.message) => found.push(Finding::note(
                Check::PausedByOther,
                Severity::Info,
                format!(
                    "{} is paused for the ops request of this run, which is gone: it will be recreated",
                    db.object
                ),
            )),
            None => found.push(context.refusal(
                Check::PausedByOther,
                format!(
                    "{} is paused by another user or controller: {}",
                    db.object,
                    said(&condition.message)
                ),
                left_over(snapshot).unwrap_or_else(|| {
                    "wait until whoever paused it has removed the Paused condition".to_owned()
                }),
            )),
        }
    }
    if let Some(lock) = context.snapshot.lock.as_ref().filter(|l| l.alive) {
        found.push(context.refusal(
            Check::Locked,
            format!(
                "locked by {} since {}, which is still running: it just renewed the lock for another {} s",
                lock.holder, lock.since, lock.duration_seconds
            ),
            "`status -w` follows it; wait for it to end",
        ));
    }
    match &context.snapshot.ops_requests {
        Lookup::Absent => {}
        Lookup::Unreadable(why) => found.push(context.refusal(
            Check::OpsRequestsUnreadable,
            format!("cannot tell whether an ops request is in progress: {why}"),
            format!("ask for permission to list {}.ops.kubedb.com", context.facts().ops_plural),
        )),
        Lookup::Found(_) => found.extend(snapshot.ops_in_flight().map(|r| {
            let message = format!("{} {} ({}) is in progress: {}", r.kind, r.name, r.operation, r.phase());
            if context.follows(r) {
                return Finding::note(Check::OpsRequest, Severity::Info, message + "; this run follows it");
            }
            context.refusal(Check::OpsRequest, message, "wait for it to end, or delete it")
        })),
    }
}

fn said(message: &str) -> &str {
    if message.is_empty() { "no message" } else { message }
}
