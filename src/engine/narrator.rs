//! Telling what happens: events for whoever watches the run, and Events on the database for everybody else.

use std::time::Duration;

use crate::event::{Event, Step, StepOutcome, WaitingOn};

use super::announcer::{Announcer, announcement};
use super::emitter::Emitter;

/// Tells the story of a run: which step it is at, what that waits for, what has happened.
pub(super) struct Narrator {
    pub emitter: Emitter,
    /// Posts Events on the database; absent until the lock is held.
    pub announcer: Option<Announcer>,
    /// The version that the run leads to, for the Events.
    pub target: String,
    /// What is worth knowing about the step under way once it is over.
    pub note: String,
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

    /// Says what the step waits for.
    pub fn waiting(&mut self, on: WaitingOn) {
        if let Some(step) = self.step {
            self.waiting = true;
            self.emit(Event::Waiting { step, on });
        }
    }

    /// Says that the step waits no longer.
    pub fn wait_over(&mut self) {
        if let Some(step) = self.step.filter(|_| std::mem::take(&mut self.waiting)) {
            self.emit(Event::WaitOver { step });
        }
    }
}
