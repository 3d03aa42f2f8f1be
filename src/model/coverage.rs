use std::collections::HashMap;

use kube::core::Expression;

use super::{Budget, Pod, Snapshot};

/// Which PodDisruptionBudgets cover which pods, computed once for all of them.
pub struct Coverage<'a> {
    of_pod: HashMap<&'a str, Vec<&'a Budget>>,
    pods: HashMap<&'a str, i64>,
}

impl<'a> Coverage<'a> {
    /// Looks at every pod and every budget of a snapshot.
    ///
    /// A budget is compared only with the pods that have the rarest label of its selector: a database with hundreds of
    /// workloads has as many budgets, and comparing each with every pod would take seconds.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let mut labelled: HashMap<(&str, &str), Vec<&Pod>> = HashMap::new();
        let all: Vec<&Pod> = snapshot.pods.iter().collect();
        for pod in &snapshot.pods {
            for (key, value) in &pod.labels {
                labelled.entry((key, value)).or_default().push(pod);
            }
        }
        let mut coverage = Coverage { of_pod: HashMap::new(), pods: HashMap::new() };
        for budget in &snapshot.budgets {
            let equal = |e| match e {
                Expression::Equal(key, value) => Some((key, value)),
                _ => None,
            };
            let asked: Vec<_> = budget.selector.clone().into_iter().flatten().filter_map(equal).collect();
            let mut candidates = all.as_slice();
            for (key, value) in &asked {
                let having = labelled.get(&(key.as_str(), value.as_str())).map_or(&[][..], Vec::as_slice);
                if having.len() < candidates.len() {
                    candidates = having;
                }
            }
            for pod in candidates.iter().filter(|p| budget.covers(p)) {
                coverage.of_pod.entry(&pod.uid).or_default().push(budget);
                *coverage.pods.entry(&budget.name).or_default() += 1;
            }
        }
        coverage
    }

    /// The budgets that cover a pod.
    pub fn of(&self, pod: &Pod) -> &[&'a Budget] {
        self.of_pod.get(pod.uid.as_str()).map_or(&[], Vec::as_slice)
    }

    /// How many pods of the snapshot a budget covers.
    pub fn pods(&self, budget: &Budget) -> i64 {
        self.pods.get(budget.name.as_str()).copied().unwrap_or_default()
    }
}
