//! How the tests of the kinds write verdicts: in a row, one letter for each pod.

use crate::model::{Health, Member, Verdict};

/// `y`, `n` or `?` for each of them.
fn letters<'a>(verdicts: impl Iterator<Item = &'a Verdict>) -> String {
    let letter = |verdict: &Verdict| match verdict {
        Verdict::Yes => 'y',
        Verdict::No { .. } => 'n',
        Verdict::Unknown { .. } => '?',
    };
    verdicts.map(letter).collect()
}

/// Which members may go, and which are back, as far as the filter lets them through.
pub(super) fn may_go_and_back(health: &Health, counts: impl Fn(&Member) -> bool) -> (String, String) {
    let members = || health.members.iter().filter(|member| counts(member));
    (letters(members().map(|member| &member.may_go)), letters(members().map(|member| &member.back)))
}
