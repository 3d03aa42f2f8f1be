//! What keeps a database from a version, by what it says of itself. Part of the preflight.

use crate::model::{Bar, Check, Command, Direction, Finding, Health, Severity};

use super::context::Context;

/// What keeps the database from an update, or a rollback, to the target before it is finished, or at all.
pub(super) fn bar(context: &Context<'_>) -> Option<Finding> {
    let db = &context.snapshot.database;
    if context.on_target_version() && context.direction == Direction::Update {
        return None;
    }
    let unasked = Health::default();
    let health = context.snapshot.said().unwrap_or(&unasked);
    let command = |undo: bool| {
        let finish = Command::kubectl(["dbupdate", "finish", db.kind.singular(), &db.object.name]);
        finish.words(undo.then_some("--undo")).in_namespace(&db.object.namespace)
    };
    match (context.facts().finishing.bar)(health, &context.target.version)? {
        Bar::Unfinished { why } => {
            let hint = format!(
                "finish the last update first: {}; or let this command do it with --finish",
                command(false)
            );
            Some(context.refusal(Check::NotFinished, why, hint))
        }
        Bar::Beyond { why } => {
            let hint = format!("to see whether that can be undone: {} --dry-run", command(true));
            Some(context.refusal(Check::Finished, why, hint))
        }
        Bar::Unknown { why } => Some(Finding::note(Check::NotFinished, Severity::Warning, why)),
    }
}
