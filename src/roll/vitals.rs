//! What a database has said of itself in a row, and since when.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Health, Verdict};

/// An answer that was asked for this long ago says nothing about now.
const STALE: Duration = Duration::from_secs(3);

/// The answers of a database during a run. Times are durations since the run started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vitals {
    /// When the last answer was asked for.
    asked: Option<Duration>,
    /// What was asked for before this time is out of date: a pod has been restarted since.
    valid_from: Duration,
    /// Since when every answer has said that the pod may go, by the uid of the pod.
    good_since: BTreeMap<String, Duration>,
    /// The last pod that was restarted did not end by itself, so nobody was told that it would.
    pub hung: bool,
}

impl Vitals {
    /// At first it is not known how the pod ended that another run has restarted last.
    pub fn after_another() -> Self {
        Vitals { hung: true, ..Vitals::default() }
    }

    /// Something about the pods has changed: only what is asked for from now on counts.
    pub fn outdate(&mut self, now: Duration) {
        self.valid_from = now;
        self.good_since.clear();
    }

    /// Only what is asked for from now on counts, though nothing about the pods has changed: for how long the database has
    /// borne it stays true.
    pub fn ask_afresh(&mut self, now: Duration) {
        self.valid_from = now;
    }

    /// Takes in an answer that was asked for at this time.
    pub fn hear(&mut self, asked: Duration, health: &Health) {
        if asked < self.valid_from {
            return;
        }
        self.asked = Some(asked);
        let may_go = |uid: &str| health.members.iter().any(|m| m.uid == uid && m.may_go == Verdict::Yes);
        self.good_since.retain(|uid, _| may_go(uid));
        for member in health.members.iter().filter(|m| m.may_go == Verdict::Yes) {
            self.good_since.entry(member.uid.clone()).or_insert(asked);
        }
    }

    /// The last answer is about the database as it is now.
    pub fn fresh(&self, now: Duration) -> bool {
        self.asked.is_some_and(|asked| asked >= self.valid_from && now <= asked + STALE)
    }

    /// For how long the database has said, without a break, that the pod may go.
    pub fn good_for(&self, uid: &str) -> Duration {
        let since = self.good_since.get(uid);
        self.asked.zip(since).map_or(Duration::ZERO, |(asked, since)| asked.saturating_sub(*since))
    }

    /// For how long the answer has been waited for.
    pub fn awaited(&self, now: Duration) -> Duration {
        now.saturating_sub(self.valid_from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roll::testworld::health;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn only_an_unbroken_row_of_fresh_answers_counts() {
        let mut vitals = Vitals::default();
        assert!(!vitals.fresh(at(0)), "nothing was said");
        vitals.hear(at(1), &health(&[("a-0", "yes"), ("a-1", "no")]));
        assert_eq!((vitals.fresh(at(4)), vitals.fresh(at(5))), (true, false));
        vitals.hear(at(4), &health(&[("a-0", "yes"), ("a-1", "yes")]));
        assert_eq!((vitals.good_for("uid-a-0"), vitals.good_for("uid-a-1")), (at(3), at(0)));
        vitals.hear(at(5), &health(&[("a-0", "unknown"), ("a-1", "yes")]));
        vitals.hear(at(6), &health(&[("a-0", "yes"), ("a-1", "yes")]));
        assert_eq!((vitals.good_for("uid-a-0"), vitals.good_for("uid-a-1")), (at(0), at(2)));
        vitals.outdate(at(7));
        assert!(!vitals.fresh(at(7)));
        vitals.hear(at(6), &health(&[("a-0", "yes")]));
        assert!(!vitals.fresh(at(7)), "it was asked for before the change");
        vitals.hear(at(7), &health(&[("a-0", "yes")]));
        assert_eq!((vitals.fresh(at(7)), vitals.good_for("uid-a-0")), (true, at(0)));
        vitals.ask_afresh(at(8));
        assert!(!vitals.fresh(at(8)), "it was asked for before");
        vitals.hear(at(9), &health(&[("a-0", "yes")]));
        assert_eq!((vitals.fresh(at(9)), vitals.good_for("uid-a-0")), (true, at(2)), "the row is unbroken");
    }
}
