//! When an eviction is retried: budgets follow their pods with a delay, and the server decides.

use std::time::Duration;

/// How long after a pod has become Ready its budget may not count it yet: until then a blocked eviction is not
/// reported.
const BUDGET_LAG: Duration = Duration::from_secs(1);

/// How long after a pod has become Ready its budget is waited for to count it, though it would allow an eviction. What is
/// avoided is a delay of half a second.
const COUNTED_WITHIN: Duration = Duration::from_secs(3);

/// The shortest time between two attempts of an eviction.
const AGAIN: Duration = Duration::from_millis(20);

/// The same if the server refuses what the budget's status allows, or what only the server can decide.
const DOUBTED: Duration = Duration::from_secs(1);

/// How often a blocked eviction is retried although the budget's status has not changed: the watch may have missed a
/// change.
const ANYWAY: Duration = Duration::from_secs(5);

/// The timing of the evictions of one workload. Times are durations since the run started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// When a pod last became Ready.
    last_ready: Option<Duration>,
    blockage: Option<Blockage>,
}

/// An eviction that is currently refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Blockage {
    since: Duration,
    not_before: Duration,
    at_the_latest: Duration,
}

impl Pace {
    /// A pod has become Ready.
    pub fn ready(&mut self, now: Duration) {
        self.last_ready = Some(now);
    }

    /// The same for the next workload: a budget may cover the pods of both.
    pub fn of_next_workload(&self) -> Self {
        Pace { blockage: None, ..*self }
    }

    /// A pod was evicted.
    pub fn evicted(&mut self) {
        self.blockage = None;
    }

    /// The server has refused an eviction because of a budget; `allowed` is what the budget's own status says. Returns
    /// how long evictions have been refused.
    pub fn refused(&mut self, allowed: bool, now: Duration) -> Duration {
        let since = self.blocked_since().unwrap_or(now);
        let lag = self.within_lag(now);
        let at_the_latest = now + if lag { AGAIN } else { ANYWAY };
        let not_before = now + if lag || !allowed { AGAIN } else { DOUBTED };
        self.blockage = Some(Blockage { since, not_before, at_the_latest });
        now - since
    }

    /// Since when evictions have been refused.
    pub fn blocked_since(&self) -> Option<Duration> {
        self.blockage.map(|blockage| blockage.since)
    }

    /// A pod has just become Ready, and its budget may not count it yet.
    pub fn within_lag(&self, now: Duration) -> bool {
        self.last_ready.is_some_and(|ready| now < ready + BUDGET_LAG)
    }

    /// Until when a budget that has not counted all Ready pods is waited for, and whether that is shown; `None` if it is not.
    pub fn budgets_count(&self, now: Duration) -> Option<(Duration, bool)> {
        let ready = self.last_ready?;
        let told = !self.within_lag(now);
        let until = ready + if told { COUNTED_WITHIN } else { BUDGET_LAG };
        (now < until).then_some((until, told))
    }

    /// When the eviction is retried at the latest; `None` means now. `allowed`: the status of the budgets allows it.
    pub fn not_before(&self, allowed: bool, now: Duration) -> Option<Duration> {
        let until = match (self.blockage, allowed) {
            (Some(blockage), true) => blockage.not_before,
            (Some(blockage), false) => blockage.at_the_latest,
            (None, true) => return None,
            (None, false) => self.last_ready.map_or(now, |ready| ready + BUDGET_LAG),
        };
        (now < until).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_budget_is_given_time_to_count_a_pod_that_has_just_become_ready() {
        let mut pace = Pace::default();
        assert_eq!(pace.not_before(true, at(0)), None, "nothing speaks against the first eviction");
        assert_eq!(pace.not_before(false, at(0)), None, "without a pod that became Ready the server decides");
        pace.ready(at(100));
        assert_eq!(pace.not_before(true, at(101)), None);
        assert_eq!(pace.not_before(false, at(101)), Some(at(1100)));
        assert_eq!(pace.not_before(false, at(1100)), None);
    }

    #[test]
    fn a_refused_eviction_is_tried_again_by_what_its_budget_says() {
        for (ready, allowed, then_allowed, wait) in [
            // Within that delay the budget's status may change at any moment.
            (Some(at(10_000)), false, true, Some(at(10_020))),
            (Some(at(10_000)), false, false, Some(at(10_020))),
            // The server refuses what the budget's status allows, so it may know more.
            (None, true, true, Some(at(11_000))),
            (None, false, true, Some(at(10_020))),
            (None, false, false, Some(at(15_000))),
        ] {
            let mut pace = Pace::default();
            if let Some(ready) = ready {
                pace.ready(ready);
            }
            assert_eq!(pace.refused(allowed, at(10_000)), at(0));
            assert_eq!(pace.not_before(then_allowed, at(10_000)), wait, "{ready:?} {allowed} {then_allowed}");
            assert_eq!(pace.refused(allowed, at(12_000)), at(2_000), "it counts from the first refusal");
            pace.evicted();
            assert_eq!(pace.blocked_since(), None);
        }
    }
}
