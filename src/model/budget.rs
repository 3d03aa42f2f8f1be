use std::fmt;

use kube::core::{Selector, SelectorExt};

use super::Pod;

/// A PodDisruptionBudget of the database's namespace.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    pub name: String,
    pub resource_version: String,
    /// Which pods it covers; `None` if the budget has no selector, and so covers no pod.
    pub selector: Option<Selector>,
    pub min_available: Option<Amount>,
    pub max_unavailable: Option<Amount>,
    pub generation: i64,
    pub observed_generation: i64,
    pub disruptions_allowed: i64,
    pub current_healthy: i64,
    pub desired_healthy: i64,
    pub expected_pods: i64,
    /// Pods whose eviction it has allowed but not seen yet: each counts as disrupted for up to two minutes.
    pub disrupted_pods: Vec<String>,
}

impl Budget {
    /// Its status says that it would allow the eviction of a healthy pod now.
    pub fn allows(&self) -> bool {
        self.disruptions_allowed > 0 && self.observed_generation >= self.generation
    }

    /// It covers that pod.
    pub fn covers(&self, pod: &Pod) -> bool {
        self.selector.as_ref().is_some_and(|s| s.matches(&pod.labels))
    }

    /// It can never allow an eviction among that many pods, however healthy they are.
    pub fn never_allows(&self, pods: i64) -> bool {
        match (&self.max_unavailable, &self.min_available) {
            (Some(max), _) => max.of(pods) <= 0,
            (None, Some(min)) => min.of(pods) >= pods,
            (None, None) => false,
        }
    }
}

/// Why a budget allows no disruption: `3 of 3 pods needed healthy, 3 are`, or without the total if it is not known.
pub fn pods_needed(needed: i64, total: Option<i64>, healthy: i64) -> String {
    let pods = match (total, needed) {
        (Some(total), _) => format!("{needed} of {total} pods"),
        (None, 1) => "1 pod".to_owned(),
        (None, _) => format!("{needed} pods"),
    };
    let verb = if healthy == 1 { "is" } else { "are" };
    format!("{pods} needed healthy, {healthy} {verb}")
}

/// A number of pods, or a percentage of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    Pods(i64),
    Percent(i64),
}

impl Amount {
    /// The number of pods that it means among `total`; percentages round up, as the disruption controller
    /// rounds both fields of a budget.
    pub fn of(self, total: i64) -> i64 {
        match self {
            Amount::Pods(n) => n,
            Amount::Percent(p) => total.saturating_mul(p).saturating_add(99).div_euclid(100),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Pods(n) => write!(f, "{n}"),
            Amount::Percent(p) => write!(f, "{p}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Amount, pods_needed};

    #[test]
    fn a_budget_that_allows_nothing_is_told_in_pods() {
        for (needed, total, healthy, shown) in [
            (3, Some(3), 3, "3 of 3 pods needed healthy, 3 are"),
            (2, Some(3), 1, "2 of 3 pods needed healthy, 1 is"),
            (2, None, 2, "2 pods needed healthy, 2 are"),
            (1, None, 0, "1 pod needed healthy, 0 are"),
        ] {
            assert_eq!(pods_needed(needed, total, healthy), shown);
        }
    }

    #[test]
    fn percentages_round_up() {
        for (amount, total, pods) in [
            (Amount::Pods(2), 5, 2),
            (Amount::Percent(0), 5, 0),
            (Amount::Percent(1), 3, 1),
            (Amount::Percent(50), 3, 2),
            (Amount::Percent(100), 3, 3),
            (Amount::Percent(i64::MAX), i64::MAX, i64::MAX / 100),
        ] {
            assert_eq!(amount.of(total), pods, "{amount} of {total}");
        }
    }
}
