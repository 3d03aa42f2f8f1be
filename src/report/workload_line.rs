//! The workloads of a run and their pods in flight, as the live part of the screen counts them.

use std::collections::BTreeSet;

use super::estimate::Course;
use super::words;
use crate::model::{PodAction, WorkloadPlan, clean};

/// A workload of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WorkloadLine {
    pub name: String,
    pub pods: u64,
    pub done: u64,
    /// Since when it is its turn.
    pub since_ms: Option<u64>,
    pub finished: bool,
    pub in_flight: Vec<PodLine>,
    /// Pods that this run has restarted, how long they took, and when the last of them was Ready.
    pub restarted: u64,
    pub pods_ms: u64,
    pub last_ms: Option<u64>,
    /// When the first of them was started. What the workload waited for before that may not come again.
    pub first_ms: Option<u64>,
    /// The names of the pods that are done; one that becomes unhealthy again is removed.
    pub arrived: BTreeSet<String>,
}

/// A pod in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodLine {
    pub name: String,
    pub since_ms: u64,
    pub waits: String,
    /// It is being restarted, not only waiting for its turn.
    pub started: bool,
}

impl PodLine {
    /// What it waits for; a controller that has to move first is no pod, and has no name.
    pub fn said(&self, now_ms: u64) -> String {
        if self.name.is_empty() {
            return self.waits.clone();
        }
        let time = words::seconds(now_ms.saturating_sub(self.since_ms) / 1000);
        format!("{} ({time}): {}", self.name, self.waits)
    }
}

impl WorkloadLine {
    pub fn named(name: &str) -> Self {
        WorkloadLine {
            name: clean(name),
            pods: 0,
            done: 0,
            since_ms: None,
            finished: false,
            in_flight: Vec::new(),
            restarted: 0,
            pods_ms: 0,
            last_ms: None,
            first_ms: None,
            arrived: BTreeSet::new(),
        }
    }

    pub fn planned(plan: &WorkloadPlan) -> Self {
        let done = plan.pods.iter().filter(|p| p.action == PodAction::Skip);
        WorkloadLine {
            pods: plan.pods.len() as u64,
            done: done.count() as u64,
            ..WorkloadLine::named(&plan.object.to_string())
        }
    }

    pub fn flying(&mut self, pod: &str, now_ms: u64) -> &mut PodLine {
        self.since_ms.get_or_insert(now_ms);
        if self.arrived.remove(pod) {
            self.done = self.done.saturating_sub(1);
        }
        let found = self.in_flight.iter().position(|p| p.name == pod);
        let index = found.unwrap_or_else(|| {
            self.in_flight.push(PodLine {
                name: clean(pod),
                since_ms: now_ms,
                waits: "restarting".into(),
                started: false,
            });
            self.in_flight.len() - 1
        });
        &mut self.in_flight[index]
    }

    pub fn course(&self, now_ms: u64) -> Course {
        let age = |p: &PodLine| now_ms.saturating_sub(p.since_ms);
        Course {
            left: self.pods.saturating_sub(self.done),
            in_flight_ms: self.in_flight.iter().filter(|p| p.started).map(age).collect(),
            held_ms: self.in_flight.iter().filter(|p| !p.started).map(age).max().unwrap_or(0),
            restarted: self.restarted,
            pods_ms: self.pods_ms,
            turn_ms: self.last_ms.zip(self.first_ms).map_or(0, |(last, first)| last.saturating_sub(first)),
        }
    }
}
