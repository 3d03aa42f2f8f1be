//! Sending events, each with its time.

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::event::{Event, Record};

/// Sends events, each with its time. It does not matter whether anything receives them.
#[derive(Clone)]
pub(super) struct Emitter {
    to: mpsc::UnboundedSender<Record>,
    clock: Clock,
    /// The id of the run.
    run: String,
    began: Instant,
}

impl Emitter {
    pub fn new(to: mpsc::UnboundedSender<Record>, clock: Clock, run: &str) -> Self {
        Emitter { to, clock, run: run.to_owned(), began: Instant::now() }
    }

    /// The moment the run began.
    pub fn began(&self) -> Instant {
        self.began
    }

    pub fn emit(&self, event: Event) {
        let elapsed_ms = self.began.elapsed().as_millis() as u64;
        let (time, run) = (self.clock.rfc3339(3), self.run.clone());
        let _ = self.to.send(Record { time, elapsed_ms, run, event });
    }
}
