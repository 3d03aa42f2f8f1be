//! Turning back by itself after a failure.

use crate::journal::{Before, Direction, Entry, Progress, Resumption};
use crate::plan::rollback;

use super::run::Run;
use super::stop_reason::StopReason;

impl Run {
    /// The user has asked for it, a pod is stuck, and no container of the new image has ever started: the data has seen
    /// nothing of the new version.
    pub(super) fn turns_back(&self, reason: &StopReason) -> bool {
        let started = self.started || self.snapshot.pods.iter().any(|pod| self.has_started(pod));
        self.options.roll_back_on_failure
            && matches!(reason, StopReason::Stuck { .. })
            && self.options.direction == Direction::Update
            && !started
            && !self
                .plan
                .workloads
                .iter()
                .any(|w| self.results.get(&w.object.uid).is_some_and(|r| r.restarted > 0))
    }

    /// Takes the way back as the plan.
    pub(super) fn turn_back(&mut self) {
        let entry = self.as_begun();
        self.plan = rollback::plan(&self.snapshot, &entry, &self.options.skip);
        self.options.delete_unhealthy = true;
        self.memory = Default::default();
        self.emit(crate::event::Event::RollingBack { plan: Box::new(self.plan.clone()) });
    }

    /// The run as a later one would read of it. One that is gone on with was planned by the process that began it: this
    /// one may have found the version and templates on the target already.
    pub(super) fn as_begun(&self) -> Entry {
        let begun = self.options.resuming.as_ref();
        let run = crate::journal::Run {
            schema: crate::journal::JOURNAL_SCHEMA.to_owned(),
            run: self.options.run.clone(),
            direction: Direction::Update,
            who: self.options.who.clone(),
            began: String::new(),
            plan: begun.map_or(&self.plan, |entry| &entry.run.plan).clone(),
            through: None,
            methods: Default::default(),
            before: self.before.clone().unwrap_or_else(|| Before::of(&self.snapshot)),
        };
        let resumed = Resumption {
            who: String::new(),
            time: String::new(),
            method: Some(self.plan.method),
            methods: Default::default(),
            ops_request: None,
        };
        Entry { run, progress: Progress { resumed: vec![resumed], ..Progress::default() } }
    }
}
