//! Telling what happens.

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::event::{Event, Record};

/// Sends events, each with its time. Nobody has to listen.
#[derive(Clone)]
pub(super) struct Emitter {
    to: mpsc::UnboundedSender<Record>,
    clock: Clock,
    began: Instant,
}

impl Emitter {
    pub fn new(to: mpsc::UnboundedSender<Record>, clock: Clock) -> Self {
        Emitter { to, clock, began: Instant::now() }
    }

    /// The moment the run began.
    pub fn began(&self) -> Instant {
        self.began
    }

    pub fn emit(&self, event: Event) {
        let elapsed_ms = self.began.elapsed().as_millis() as u64;
        let _ = self.to.send(Record { time: self.clock.rfc3339(3), elapsed_ms, event });
    }
}
