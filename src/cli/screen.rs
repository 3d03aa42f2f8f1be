//! What an update prints, and in which form.

use super::options::UpdateOptions;
use super::stream;
use super::target::Target;
use super::terminal::Terminal;
use super::values::{Output, format};
use crate::clock::Clock;
use crate::event::{EVENT_SCHEMA, Event, Finish, Outcome, Record};
use crate::model::{Check, Plan, Trial, clean};
use crate::operation::{End, run_id};
use crate::plan::hops::Hops;
use crate::report::object::{self, Ran, Unprintable, Way};
use crate::report::{self, Progress, Reporter, View};

/// Printed when a run in a sandbox ends with suggested commands: they would not find the simulated cluster any more.
const SANDBOX_ENDS: &str = "note: this simulated cluster ends with this command; to try resume and\n      \
                            rollback, serve one that keeps running: kubectl dbupdate sandbox\n";

/// Where an update prints: in the requested format, on the streams that are connected.
pub struct Screen<'a> {
    pub options: &'a UpdateOptions,
    pub terminal: &'a Terminal,
}

impl Screen<'_> {
    /// Shows the plan to a person; on standard error, if a program reads standard output.
    pub fn show_before(&self, hops: &Hops) {
        if self.options.quiet {
            return;
        }
        let shown = |view| self.way(hops, view) + &report::plan(&hops.first, None, view);
        if !self.for_programs() {
            let gap = if self.options.yes { "\n" } else { "" };
            stream::out(&(shown(self.stdout()) + gap));
        } else if !self.options.yes {
            stream::err(&shown(self.stderr()));
        }
    }

    /// A program reads standard output, and a person only standard error.
    pub fn for_programs(&self) -> bool {
        self.options.output != Output::Table || self.options.progress == Progress::Json
    }

    /// The overview of all hops, if there is more than one; a program reads them from the plans.
    pub fn way(&self, hops: &Hops, view: View) -> String {
        match (hops.later.is_empty() || self.options.quiet, self.options.output) {
            (false, Output::Table) => report::way(&hops.all().collect::<Vec<_>>(), view),
            _ => String::new(),
        }
    }

    /// The plans of all hops in the requested format, the first one with its trials.
    ///
    /// # Errors
    ///
    /// They cannot be written in that format.
    pub fn plans(&self, hops: &Hops, trials: Option<&[Trial]>) -> Result<String, Unprintable> {
        if let Some(format) = format(self.options.output) {
            return object::plans(hops, trials, format);
        }
        let gap = if self.options.quiet { "" } else { "\n" };
        let later = hops.later.iter().map(|hop| format!("{gap}{}", self.plan(hop, None)));
        Ok(self.plan(&hops.first, trials) + &later.collect::<String>())
    }

    /// A plan in words, as short as was asked for.
    fn plan(&self, plan: &Plan, trials: Option<&[Trial]>) -> String {
        match self.options.quiet {
            true => report::verdict(plan, trials, self.stdout()),
            false => report::plan(plan, trials, self.stdout()),
        }
    }

    /// Reports why no run was started, in the requested format: as a plan or a sentence, as a result, or as events.
    ///
    /// # Errors
    ///
    /// It cannot be written in that format.
    pub fn not_begun(&self, finish: &Finish, plan: &Plan, way: &Way) -> Result<(), Unprintable> {
        let run = run_id();
        if let Some(format) = format(self.options.output) {
            stream::out(&object::results(&[Ran::of(plan, &run, finish)], finish, way, format)?);
        } else if self.options.progress == Progress::Json {
            let mut reporter = Reporter::new(self.options.progress, false);
            let (schema, time) = (EVENT_SCHEMA.to_owned(), Clock::system().rfc3339(3));
            let started = Event::Started { schema, plan: Box::new(plan.clone()) };
            for event in [started, Event::Finished(finish.clone())] {
                reporter.record(&Record { time: time.clone(), elapsed_ms: 0, run: run.clone(), event });
            }
            reporter.finish();
        } else if finish.outcome == Outcome::Nothing {
            self.nothing(finish, plan);
        } else {
            stream::out(&(self.plan(plan, None) + &report::next(finish, self.stdout())));
        }
        Ok(())
    }

    /// Says that there is nothing to do, and what leads further.
    pub fn nothing(&self, finish: &Finish, plan: &Plan) {
        let passed_over = plan.findings.iter().filter(|f| f.check == Check::PassedOver);
        let told = plan.finish.iter().flat_map(|f| f.completion.settled.iter().chain(&f.completion.remarks));
        let said = passed_over.map(|f| &f.message).chain(told);
        let said: String = said.map(|message| format!("{}\n", clean(message))).collect();
        stream::out(&format!("{}\n{said}{}", finish.state, report::next(finish, self.stdout())));
    }

    /// Reports the end of a run in any case: on standard error, if standard output is closed. A program reads it from the
    /// [`Screen::results`].
    pub fn end(&self, finish: &Finish, plan: &Plan, heard: bool) {
        if format(self.options.output).is_some() {
            return;
        }
        // The last event has already reported it.
        let said = if self.options.progress == Progress::Json {
            heard
        } else {
            if !finish.next.is_empty() && matches!(self.options.target, Target::Sandbox(_)) {
                stream::err(SANDBOX_ENDS);
            }
            let end = if self.options.quiet { report::final_words } else { report::final_block };
            stream::out(&end(finish, plan, self.stdout()))
        };
        if !said {
            self.instead(finish, plan);
        }
    }

    /// Prints the result of everything as one object, if an object was requested.
    ///
    /// # Errors
    ///
    /// It cannot be written in that format.
    pub fn results(&self, end: &End, way: &Way) -> Result<(), Unprintable> {
        let Some(format) = format(self.options.output) else { return Ok(()) };
        let runs: Vec<_> = end.runs.iter().map(|ran| Ran::of(&ran.plan, &ran.run, &ran.finish)).collect();
        if !stream::out(&object::results(&runs, &end.finish, way, format)?) {
            end.runs.iter().for_each(|ran| self.instead(&ran.finish, &ran.plan));
        }
        Ok(())
    }

    /// The end of a run on standard error, because standard output is closed.
    fn instead(&self, finish: &Finish, plan: &Plan) {
        let block = report::final_block(finish, plan, self.stderr());
        stream::err(&format!("standard output is closed\n{block}"));
    }

    /// Standard output.
    pub fn stdout(&self) -> View {
        View {
            width: self.terminal.width.filter(|_| self.terminal.stdout),
            color: self.options.colors.stdout,
        }
    }

    /// Standard error.
    pub fn stderr(&self) -> View {
        View {
            width: self.terminal.width.filter(|_| self.terminal.stderr),
            color: self.options.colors.stderr,
        }
    }
}
