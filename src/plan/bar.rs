//! What keeps a database from a version, by what it says of itself. Part of the preflight.

use crate::model::{Bar, Check, Direction, Finding, Health, Severity};

use super::context::Context;

/// What keeps the database from an update, or a rollback, to the target before it is finished, or at all.
pub(super) fn bar(context: &Context<'_>) -> Option<Finding> {
    if context.on_target_version() && context.direction == Direction::Update {
        return None;
    }
    let unasked = Health::default();
    let health = context.snapshot.said().unwrap_or(&unasked);
    let command = |flags| context.command(&["finish"], flags);
    match (context.facts().finishing.bar)(health, &context.target.version)? {
        Bar::Unfinished { why } => {
            let hint = format!(
                "finish the last update first: {}; or let this command do it with --finish",
                command(&[])
            );
            Some(context.refusal(Check::NotFinished, why, hint))
        }
        Bar::Beyond { why } => {
            let hint = format!("to see whether that can be undone: {} --dry-run", command(&["--undo"]));
            Some(context.refusal(Check::Finished, why, hint))
        }
        Bar::Unknown { why } => Some(Finding::note(Check::NotFinished, Severity::Warning, why)),
    }
}
