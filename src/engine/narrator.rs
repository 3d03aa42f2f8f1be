//! Reports what happens: events for the user who watches the run, and Events on the database for everyone else.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::event::{Event, Step, StepOutcome, WaitingOn};
use crate::model::Unlike;

use super::announcer::{Announcer, announcement};
use super::emitter::Emitter;

/// Reports how a run is doing: the current step, what that is waiting for, and what has happened.
pub(super) struct Narrator {
    pub emitter: Emitter,
    /// Posts Events on the database; absent until the lock is held.
    pub announcer: Option<Announcer>,
    /// The version that the run leads to, as shown in the Events.
    pub target: String,
    /// A remark about the current step, shown when it is done.
    pub note: String,
    /// What was reported of pods that admission treats otherwise than before: the workload's uid and the difference.
    pub unlike: BTreeSet<(String, Unlike)>,
    step: Option<Step>,
    waiting: bool,
}

impl Narrator {
    pub fn new(emitter: Emitter, target: &str) -> Self {
        Narrator {
            emitter,
            announcer: None,
            target: target.to_owned(),
            note: String::new(),
            unlike: BTreeSet::new(),
            step: None,
            waiting: false,
        }
    }

    pub fn emit(&self, event: Event) {
        if let (Some(announcer), Some(said)) = (&self.announcer, announcement(&event, &self.target)) {
            announcer.say(said);
        }
        self.emitter.emit(event);
    }

    pub fn notice(&self, message: impl Into<String>) {
        self.emit(Event::Notice { message: message.into() });
    }

    /// The time since the run began.
    pub fn now(&self) -> Duration {
        self.emitter.began().elapsed()
    }

    pub fn step_started(&mut self, step: Step) {
        self.step = Some(step);
        self.emit(Event::StepStarted { step });
    }

    pub fn step_finished(&mut self, step: Step, outcome: StepOutcome, took: Duration) {
        let note = std::mem::take(&mut self.note);
        self.emit(Event::StepFinished { step, outcome, took_ms: took.as_millis() as u64, note });
    }

    /// Reports what the step is waiting for.
    pub fn waiting(&mut self, on: WaitingOn) {
        if let Some(step) = self.step {
            self.waiting = true;
            self.emit(Event::Waiting { step, on });
        }
    }

    /// Reports that the step is no longer waiting.
    pub fn wait_over(&mut self) {
        if let Some(step) = self.step.filter(|_| std::mem::take(&mut self.waiting)) {
            self.emit(Event::WaitOver { step });
        }
    }
}
