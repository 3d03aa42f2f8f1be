//! The automatic rollback after a failure.

use crate::event::{Event, Outcome};
use crate::journal::{Before, Direction, Entry, Progress, Resumption};
use crate::model::{Action, Plan, WorkloadPlan};
use crate::plan::{rollback, trust};

use super::run::Run;
use super::stop_reason::StopReason;

/// Why a failed update is not rolled back automatically.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stays {
    #[error("that is done only if a pod is stuck on the new version")]
    NotStuck,
    #[error("a container of the new version has started, so it may have written data")]
    Started,
    #[error("only the journal tells what was there before")]
    Unvouched,
}

impl Run {
    /// Whether to roll back automatically: the user has asked for it, a pod is stuck, and no container of the new image
    /// has ever started, so the new version has never touched the data.
    ///
    /// # Errors
    /// Why not; `None` if nobody expects it.
    pub(super) fn turns_back(&self, reason: &StopReason) -> Result<(), Option<Stays>> {
        let asked = self.options.roll_back_on_failure
            && self.options.story.direction == Direction::Update
            && self.plan.action != Action::Rollback
            && self.ledger.changed.half_done();
        if !asked || reason.outcome(self.changed_anything()) != Outcome::Failed {
            return Err(None);
        }
        if !matches!(reason, StopReason::Stuck { .. }) {
            return Err(Some(Stays::NotStuck));
        }
        let started = self.ledger.started || self.any_has_started();
        let restarted =
            |w: &WorkloadPlan| self.ledger.results.get(&w.object.uid).is_some_and(|r| r.restarted > 0);
        if started || self.plan.workloads.iter().any(restarted) {
            return Err(Some(Stays::Started));
        }
        if self.may_go_back_by_itself() { Ok(()) } else { Err(Some(Stays::Unvouched)) }
    }

    /// The previous state is known for certain: this process has seen it, or everything that the journal says about it
    /// is confirmed elsewhere.
    fn may_go_back_by_itself(&self) -> bool {
        let seen = self.options.story.before.is_none() && self.options.story.resuming.is_none();
        seen || trust::vouched(&self.plan_of_rollback())
    }

    /// The run that undoes what this one has changed.
    pub(super) fn rolling_back(self) -> Run {
        let plan = self.plan_of_rollback();
        let run = self.hand_over(plan);
        run.narrator.emit(Event::RollingBack { plan: Box::new(Plan::clone(&run.plan)) });
        run
    }

    fn plan_of_rollback(&self) -> Plan {
        rollback::plan(&self.observer.snapshot, &self.as_begun(), &self.options.skip)
    }

    /// This run, as a later run would read it from the journal. A resumed run was planned by the process that started
    /// it: this process may have found the version and the templates on the target already.
    pub(super) fn as_begun(&self) -> Entry {
        let begun = self.options.story.resuming.as_ref();
        let run = crate::journal::Run {
            schema: crate::journal::JOURNAL_SCHEMA.to_owned(),
            run: self.options.caller.run.clone(),
            direction: Direction::Update,
            who: self.options.caller.who.clone(),
            began: String::new(),
            plan: begun.map_or(&*self.plan, |entry| &entry.run.plan).clone(),
            through: None,
            finish: None,
            methods: Default::default(),
            before: self.ledger.before.clone().unwrap_or_else(|| Before::of(&self.observer.snapshot)),
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
