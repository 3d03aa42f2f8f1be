//! Everything that a person or a program reads: bars, lines, JSON and tables. Knows events and plans only.
//!
//! Bars and lines go to stderr, JSON events to stdout, both during the run ([`Reporter`]). What is printed
//! once (the plan, the result, the last block) is returned as text, and the caller prints it.

pub mod auth;
mod bars;
mod board;
mod columns;
mod downloads;
mod estimate;
mod findings;
mod finish;
pub mod health;
mod json;
mod layout;
mod lines;
pub mod list;
pub mod object;
pub mod record;
mod runs;
pub mod status;
mod summary;
mod tables;
mod terminal;
pub mod words;
mod workload_line;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use std::io::{Stderr, Stdout};
use std::time::Duration;

use indicatif::MultiProgress;

pub use bars::Bars;
pub use finish::in_short as finish_in_short;
pub use json::Json;
pub use layout::View;
pub use lines::Lines;
pub use summary::{final_block, final_words, next};
pub use tables::{plan, verdict, way};

use crate::event::{Event, Record};

/// How a run shows its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Bars on stderr, which must be a terminal that can move its cursor.
    Bars,
    /// A line for each event on stderr.
    Plain,
    /// A JSON object for each event on stdout.
    Json,
    None,
}

/// Shows the events of one or more runs as they happen. Where they concern several databases, each line names its own.
#[derive(Debug)]
pub struct Reporter {
    shown: Shown,
    /// The run of the last record, and how long it had been going then.
    last: Option<(String, u64)>,
}

#[derive(Debug)]
enum Shown {
    Bars(Box<Bars>),
    Lines(Lines<Stderr>),
    Json(Json<Stdout>),
    Nothing,
}

impl Reporter {
    /// A reporter; `color` is for bars alone.
    pub fn new(progress: Progress, color: bool) -> Self {
        let shown = match progress {
            Progress::Bars => Shown::Bars(Box::new(Bars::new(color))),
            Progress::Plain => Shown::Lines(Lines::new(std::io::stderr())),
            Progress::Json => Shown::Json(Json::new(std::io::stdout())),
            Progress::None => Shown::Nothing,
        };
        Reporter { shown, last: None }
    }

    /// Shows the record.
    pub fn record(&mut self, record: &Record) {
        self.last = Some((record.run.clone(), record.elapsed_ms));
        self.show(record);
    }

    /// Says in a log or to a program that the run goes on, since nothing has happened for that long. Bars show it
    /// themselves.
    pub fn heartbeat(&mut self, time: String, silent: Duration) {
        let Some((run, elapsed_ms)) = self.last.clone().filter(|_| !matches!(self.shown, Shown::Bars(_)))
        else {
            return;
        };
        let elapsed_ms = elapsed_ms + silent.as_millis() as u64;
        let event = Event::Heartbeat { silent_seconds: silent.as_secs() };
        self.show(&Record { time, elapsed_ms, run, event });
    }

    fn show(&mut self, record: &Record) {
        match &mut self.shown {
            Shown::Bars(bars) => bars.record(record),
            Shown::Lines(lines) => lines.record(record),
            Shown::Json(json) => json.record(record),
            Shown::Nothing => {}
        }
    }

    /// Removes the live part from the screen. Call it before anything else is printed.
    pub fn finish(&mut self) {
        if let Shown::Bars(bars) = &mut self.shown {
            bars.finish();
        }
    }

    /// The reader of standard output has not closed the pipe.
    pub fn heard(&self) -> bool {
        match &self.shown {
            Shown::Json(json) => !json.closed(),
            _ => true,
        }
    }

    /// The screen, for those who need it while the reporter is elsewhere.
    pub fn screen(&self) -> Screen {
        Screen {
            bars: match &self.shown {
                Shown::Bars(bars) => Some(bars.multi().clone()),
                _ => None,
            },
        }
    }
}

/// The screen on which a reporter draws.
#[derive(Debug, Clone)]
pub struct Screen {
    bars: Option<MultiProgress>,
}

impl Screen {
    /// Runs something that uses the terminal itself (a credential plugin, a prompt) with the bars out of its way;
    /// they come back afterwards. Records that come meanwhile wait.
    pub fn suspend<R>(&self, run: impl FnOnce() -> R) -> R {
        match &self.bars {
            Some(bars) => bars.suspend(run),
            None => run(),
        }
    }
}
