//! Pausing the operator for the database: the `Paused` condition, and the operator's acknowledgement.
//!
//! We write status `Unknown`; the Provisioner acknowledges by setting it to `True`, which proves that it is running and
//! not in the middle of a reconcile.

use serde_json::json;

use crate::model::{Condition, Database, PAUSED, PatchOp, Purpose, Write, WriteAction};

/// The text before the run's id in the message of our own condition.
const MARK: &str = "kubectl-dbupdate run ";

/// The reason of our own condition after we have set it to `True` ourselves.
const UNANSWERED: &str = "PausedUnanswered";

/// The text before the versions in the message, and between them.
const UPDATING: &str = ": updating ";
const TO: &str = " to ";

/// The message of our condition: who runs what, with which run id.
pub fn message(run: &str, who: &str, from: &str, to: &str) -> String {
    format!("{MARK}{run} by {who}{UPDATING}{from}{TO}{to}")
}

/// The run that wrote a `Paused` condition; `None` if this tool did not write it.
pub fn run_of(condition: &Condition) -> Option<&str> {
    condition.message.strip_prefix(MARK)?.split([' ', ':']).next().filter(|run| !run.is_empty())
}

/// The run of this tool that has paused the database; `None` if it is not paused, or only by another user or controller.
pub fn ours(database: &Database) -> Option<&str> {
    run_of(our(database)?.1)
}

/// Our own condition and its place in the list.
pub fn our(database: &Database) -> Option<(usize, &Condition)> {
    database.pauses().find(|(_, condition)| run_of(condition).is_some())
}

/// The condition that counts, and its place in the list: that of another user or controller, even if there is also ours.
pub fn deciding(database: &Database) -> Option<(usize, &Condition)> {
    let foreign = database.pauses().find(|(_, condition)| run_of(condition).is_none());
    foreign.or_else(|| our(database))
}

/// The versions that the run which wrote our `Paused` condition leads from and to.
pub fn ends_of(condition: &Condition) -> Option<(&str, &str)> {
    let (_, ends) = condition.message.strip_prefix(MARK)?.rsplit_once(UPDATING)?;
    ends.split_once(TO)
}

/// The JSON patch by which a person removes that condition of another user or controller, if it is still the same.
pub fn lift(at: usize, condition: &Condition) -> String {
    let at = format!("/status/conditions/{at}");
    let patch = json!([
        { "op": "test", "path": format!("{at}/type"), "value": PAUSED },
        { "op": "test", "path": format!("{at}/message"), "value": condition.message },
        { "op": "remove", "path": at },
    ]);
    patch.to_string()
}

/// The state of the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pause {
    /// There is no `Paused` condition.
    Absent,
    /// It is ours, and the operator has not acknowledged it.
    Requested,
    /// It is ours, and was acknowledged, or set to True by us without an acknowledgement.
    Acknowledged,
    /// Another user or controller wrote it; its message.
    Foreign(String),
}

/// The state of the handshake for the condition that `run` has written or taken over.
pub fn status(database: &Database) -> Pause {
    match deciding(database) {
        None => Pause::Absent,
        Some((_, c)) if run_of(c).is_none() => Pause::Foreign(c.message.clone()),
        Some((_, c)) if c.status == "True" => Pause::Acknowledged,
        Some(_) => Pause::Requested,
    }
}

/// Our own condition is `True`, and it was the operator that set it.
pub fn answered(database: &Database) -> bool {
    our(database).is_some_and(|(_, c)| c.status == "True" && c.reason != UNANSWERED)
}

/// Requests the pause: adds our condition, or takes over one that an earlier run of this tool has left.
///
/// `now` is the wall-clock time in RFC 3339 with whole seconds, as conditions carry it.
pub fn request(database: &Database, message: &str, now: &str) -> Write {
    let condition = json!({
        "type": PAUSED, "status": "Unknown", "reason": PAUSED, "message": message, "lastTransitionTime": now,
    });
    let change = match (our(database), database.has_status, database.has_conditions) {
        (Some((at, _)), _, _) => PatchOp::replace(format!("/status/conditions/{at}"), condition),
        (None, _, true) => PatchOp::add("/status/conditions/-", condition),
        (None, true, false) => PatchOp::add("/status/conditions", json!([condition])),
        (None, false, _) => PatchOp::add("/status", json!({ "conditions": [condition] })),
    };
    patch(database, Purpose::RequestPause, vec![change])
}

/// Sets our condition to `True` without an acknowledgement; `None` if it is missing.
pub fn assert(database: &Database, now: &str) -> Option<Write> {
    let (at, _) = our(database)?;
    let at = format!("/status/conditions/{at}");
    Some(patch(
        database,
        Purpose::AssertPause,
        vec![
            PatchOp::test(format!("{at}/type"), PAUSED),
            PatchOp::replace(format!("{at}/status"), "True"),
            PatchOp::add(format!("{at}/reason"), UNANSWERED),
            PatchOp::replace(format!("{at}/lastTransitionTime"), now),
        ],
    ))
}

/// A patch of the status that applies only to the resourceVersion that was read. The list of conditions has no merge
/// key, so an index in it is only meaningful for that one version; a race then causes a 409 and not a lost update.
pub(super) fn patch(database: &Database, purpose: Purpose, changes: Vec<PatchOp>) -> Write {
    let mut operations = vec![
        PatchOp::test("/metadata/uid", database.object.uid.as_str()),
        PatchOp::replace("/metadata/resourceVersion", database.resource_version.as_str()),
    ];
    operations.extend(changes);
    Write {
        purpose,
        object: database.object.clone(),
        action: WriteAction::Patch { status: true, operations },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HealthChecker, Kind, ObjectRef, Phase};

    fn condition(message: &str) -> Condition {
        Condition {
            kind: PAUSED.to_owned(),
            status: "True".to_owned(),
            reason: PAUSED.to_owned(),
            message: message.to_owned(),
            ..Condition::default()
        }
    }

    #[test]
    fn our_own_condition_is_told_by_its_message() {
        let ours = message("1f2e", "ann@laptop", "3.5.2", "3.6.1");
        assert_eq!(run_of(&condition(&ours)), Some("1f2e"));
        assert_eq!(ends_of(&condition(&ours)), Some(("3.5.2", "3.6.1")));
        assert_eq!(ends_of(&condition("kubectl-dbupdate run 1f2e by hand")), None);
        assert_eq!(run_of(&condition("Controller has started to Progress with OpsRequest: ns/x")), None);
        assert_eq!(run_of(&condition("kubectl-dbupdate run ")), None);
        assert_eq!(run_of(&condition("")), None);
    }

    fn database(conditions: Vec<Condition>) -> Database {
        Database {
            kind: Kind::ALL[0],
            object: ObjectRef {
                api_version: "kubedb.com/v1".into(),
                kind: Kind::ALL[0].name().into(),
                plural: Kind::ALL[0].plural().into(),
                namespace: "ns".into(),
                name: "db".into(),
                uid: "u1".into(),
            },
            resource_version: "1".into(),
            generation: 1,
            version: "1".into(),
            phase: Phase::Ready,
            conditions,
            has_status: true,
            has_conditions: true,
            deleting: false,
            halted: false,
            health_checker: HealthChecker::default(),
            switched_on: Vec::new(),
            owner: None,
            own_images: Vec::new(),
            access: Default::default(),
        }
    }

    /// Nothing forbids two conditions of one type: whoever else has paused the database counts, wherever it stands.
    #[test]
    fn of_two_pauses_the_foreign_one_counts() {
        let (ours, foreign) = (message("1f2e", "ann@laptop", "3.5.2", "3.6.1"), "by hand".to_owned());
        for (messages, came_to, our_place) in [
            (vec![], Pause::Absent, None),
            (vec![&ours], Pause::Acknowledged, Some(0)),
            (vec![&foreign], Pause::Foreign(foreign.clone()), None),
            (vec![&ours, &foreign], Pause::Foreign(foreign.clone()), Some(0)),
            (vec![&foreign, &ours], Pause::Foreign(foreign.clone()), Some(1)),
        ] {
            let database = database(messages.iter().map(|message| condition(message)).collect());
            assert_eq!(status(&database), came_to, "{messages:?}");
            assert_eq!(our(&database).map(|(at, _)| at), our_place, "{messages:?}");
        }
    }
}
