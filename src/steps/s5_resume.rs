//! Resuming the operator: our `Paused` condition is removed from the list.

use crate::model::{Database, PAUSED, PatchOp, Purpose, Write};

use super::s1_pause;

/// Removes our condition; `None` if there is none. The condition of another user or controller is never removed.
pub fn write(database: &Database) -> Option<Write> {
    let (at, _) = s1_pause::our(database)?;
    let at = format!("/status/conditions/{at}");
    Some(s1_pause::patch(
        database,
        Purpose::Resume,
        vec![PatchOp::test(format!("{at}/type"), PAUSED), PatchOp::remove(at)],
    ))
}
