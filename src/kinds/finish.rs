//! What is left to do after an update, by the rules of each kind.

use crate::model::evidence::Evidence;
use crate::model::{Bar, Completion, Health, Roster, Snapshot, Work};

/// What a kind's rules look at.
pub struct Examined<'a> {
    pub evidence: &'a Evidence,
    /// What was judged from the same answers.
    pub health: &'a Health,
    pub roster: &'a Roster,
    /// The version that the database is on, as the rule compares it, e.g. `4.0.0`.
    pub version: &'a str,
}

/// How the databases of a kind are finished.
#[derive(Debug)]
pub struct Finishing {
    /// What the database's version still allows or needs.
    pub left: fn(&Examined<'_>) -> Completion,
    /// What leads back from these works, the last one first. The obstacles say what cannot be undone.
    pub undo: fn(&Examined<'_>, &[Work]) -> Completion,
    /// What keeps the database from an update to that version (as the rule compares it) before it is finished, or at all.
    pub bar: fn(&Health, version: &str) -> Option<Bar>,
    /// Asking takes commands in the database's containers, or doing it may.
    pub runs_commands: bool,
}

impl Finishing {
    /// Every member reports the version, and there is nothing else to do.
    pub(super) const BY_VERSION: Finishing = Finishing {
        left: members_report_it,
        undo: |_, _| Completion::default(),
        bar: |_, _| None,
        runs_commands: false,
    };
}

/// What is left to be done in the database of a snapshot, or what leads back from these works, by what its pods answered.
pub fn completion(
    snapshot: &Snapshot,
    evidence: &Evidence,
    health: &Health,
    roster: &Roster,
    undo: Option<&[Work]>,
) -> Completion {
    let examined = Examined { evidence, health, roster, version: version(snapshot) };
    let finishing = &snapshot.database.kind.facts().finishing;
    match undo {
        None => (finishing.left)(&examined),
        Some(works) => (finishing.undo)(&examined, works),
    }
}

/// The version that a database is on, as the rule compares it; its name if the catalog does not know it.
fn version(snapshot: &Snapshot) -> &str {
    let name = &snapshot.database.version;
    snapshot.version(name).map_or(name, |version| &version.version)
}

/// Whether every member reports the version that the database is on.
pub(super) fn members_report_it(examined: &Examined<'_>) -> Completion {
    let Examined { health, version, .. } = examined;
    let mut completion = Completion::default();
    for member in &health.members {
        match &*member.version {
            "" => completion.obstacles.push(format!("{} does not tell its version", member.pod)),
            told if is(told, version) => {}
            told => {
                completion.obstacles.push(format!("{} reports version {told}, not {version}", member.pod))
            }
        }
    }
    if completion.obstacles.is_empty() {
        completion.settled.push(format!("all {} members report {version}", health.members.len()));
    }
    completion
}

/// What a member tells is that version, whatever it adds, e.g. `3.9.3-c26634f` or `31.0.0-SNAPSHOT`.
fn is(told: &str, version: &str) -> bool {
    told.strip_prefix(version).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
}

#[cfg(test)]
mod tests {
    use super::is;

    #[test]
    fn what_is_added_to_a_version_does_not_make_it_another() {
        for (told, version, same) in [
            ("3.9.1", "3.9.1", true),
            ("3.9.1-7c4d5a2", "3.9.1", true),
            ("3.9.12", "3.9.1", false),
            ("3.9.1.1", "3.9.1", false),
            ("3.8.3", "3.9.1", false),
            ("", "3.9.1", false),
        ] {
            assert_eq!(is(told, version), same, "{told}");
        }
    }
}
