//! Progress on a terminal: a line for each step, a bar for each workload, and what the run is waiting for.
//!
//! Finished lines are printed and belong to the terminal from then on; only what is in progress is
//! redrawn. The state is [`Board`]'s; indicatif draws it, when a record comes and on its tick.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use console::{Term, measure_text_width};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::board::{Board, Part};
use super::runs::Runs;
use super::terminal::Terminal;
use crate::event::Record;

/// Often enough for a spinner to turn.
const TICK: Duration = Duration::from_millis(100);
/// Drawings in a second; more would only flicker.
const RATE: u8 = 20;

/// The reporter for terminals.
#[derive(Debug)]
pub struct Bars<T = Term> {
    multi: MultiProgress,
    terminal: Terminal<T>,
    state: Arc<Mutex<State>>,
    shown: Vec<(Place, ProgressBar)>,
    color: bool,
    /// Off in tests, which look at the screen as it is right after a record.
    ticks: bool,
}

/// A part of the board of a run.
type Place = (String, Part);

/// What the drawing threads share.
#[derive(Debug, Default)]
struct State {
    runs: Runs,
    /// One for each run, in the order in which they started.
    boards: Vec<RunBoard>,
}

/// The board of one run.
#[derive(Debug)]
struct RunBoard {
    run: String,
    board: Board,
    /// When its last record came.
    at: Instant,
}

impl State {
    /// Takes a record in; returns the lines that stay on the screen from now on.
    fn apply(&mut self, record: &Record, columns: usize, color: bool) -> Vec<String> {
        self.runs.take_in(record);
        let found = self.boards.iter().position(|b| b.run == record.run);
        let index = found.unwrap_or_else(|| {
            let run = record.run.clone();
            self.boards.push(RunBoard { run, board: Board::new(color), at: Instant::now() });
            self.boards.len() - 1
        });
        let prefix = self.runs.prefix(&record.run);
        let board = &mut self.boards[index];
        board.at = Instant::now();
        let kept = board.board.apply(record, columns.saturating_sub(measure_text_width(&prefix)));
        kept.into_iter().map(|line| format!("{prefix}{line}")).collect()
    }

    /// The parts that are on the screen now, from top to bottom.
    fn places(&self) -> Vec<Place> {
        let of =
            |b: &RunBoard| b.board.parts().into_iter().map(|part| (b.run.clone(), part)).collect::<Vec<_>>();
        self.boards.iter().flat_map(of).collect()
    }

    fn render(&self, (run, part): &Place, columns: usize) -> Vec<String> {
        let Some(board) = self.boards.iter().find(|b| b.run == *run) else { return Vec::new() };
        let passed = u64::try_from(board.at.elapsed().as_millis()).unwrap_or(0);
        let prefix = self.runs.prefix(run);
        let lines = board.board.render(part, columns.saturating_sub(measure_text_width(&prefix)), passed);
        lines.into_iter().map(|line| format!("{prefix}{line}")).collect()
    }
}

impl Bars {
    /// Bars on stderr, which must be a terminal that can move its cursor.
    pub fn new(color: bool) -> Self {
        let terminal = Terminal::new(Term::buffered_stderr());
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), RATE);
        Bars::on(terminal, target, color, true)
    }
}

impl<T: TermLike + Clone + 'static> Bars<T> {
    fn on(terminal: Terminal<T>, target: ProgressDrawTarget, color: bool, ticks: bool) -> Self {
        Bars {
            multi: MultiProgress::with_draw_target(target),
            terminal,
            state: Arc::default(),
            shown: Vec::new(),
            color,
            ticks,
        }
    }

    /// Draws what the record has changed.
    pub fn record(&mut self, record: &Record) {
        let mut state = lock(&self.state);
        let kept = state.apply(record, self.terminal.columns(), self.color);
        let places = state.places();
        drop(state);
        if places.iter().ne(self.shown.iter().map(|(place, _)| place)) {
            self.show(places);
        }
        if !kept.is_empty() {
            self.multi.suspend(|| kept.iter().for_each(|line| self.terminal.print(line)));
        } else if self.shown.is_empty() {
            let _ = self.multi.clear();
        }
        for (_, bar) in &self.shown {
            // Its message is in the state; setting one makes indicatif redraw the bar.
            bar.set_message("");
        }
    }

    /// Takes the bars from the screen; what was finished stays.
    pub fn finish(&mut self) {
        self.show(Vec::new());
        let _ = self.multi.clear();
    }

    /// What draws the bars, for those who must hold it up.
    pub(super) fn multi(&self) -> &MultiProgress {
        &self.multi
    }

    fn show(&mut self, places: Vec<Place>) {
        for (_, bar) in self.shown.drain(..) {
            self.multi.remove(&bar);
        }
        for place in places {
            // Hidden until it is added, or it would draw on its own.
            let bar = self.multi.add(ProgressBar::hidden().with_style(self.style(place.clone())));
            // Those that stand still too, since the terminal may change its width.
            if self.ticks {
                bar.enable_steady_tick(TICK);
            }
            self.shown.push((place, bar));
        }
    }

    fn style(&self, place: Place) -> ProgressStyle {
        let (state, terminal) = (Arc::clone(&self.state), self.terminal.clone());
        let lines = move |_: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
            let lines = lock(&state).render(&place, terminal.columns());
            let _ = out.write_str(&lines.join("\n"));
        };
        // The template is a constant; a mistake in it shows in every test.
        ProgressStyle::with_template("{lines}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
            .with_key("lines", lines)
    }
}

/// A thread that panicked while drawing has changed nothing: the state is fed by `record` alone.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;
    use crate::event::{Event, Step, StepOutcome, WaitingOn};
    use crate::report::sample;

    fn bars(rows: u16, columns: u16) -> (InMemoryTerm, Bars<InMemoryTerm>) {
        let screen = InMemoryTerm::new(rows, columns);
        let terminal = Terminal::new(screen.clone());
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        (screen, Bars::on(terminal, target, false, false))
    }

    /// The screen after each of the records whose numbers are given.
    fn screens(columns: u16, numbers: &[usize]) -> String {
        let (screen, mut bars) = bars(30, columns);
        let mut out = String::new();
        for (i, record) in sample::records().iter().enumerate() {
            bars.record(record);
            if numbers.contains(&i) {
                out.push_str(&format!("--- {i}\n{}\n", screen.contents()));
            }
        }
        bars.finish();
        out.push_str(&format!("--- end\n{}\n", screen.contents()));
        out
    }

    #[test]
    fn the_screen_tells_what_is_done_and_what_is_waited_for() {
        let numbers = [0, 1, 5, 9, 11, 13, 14, 15];
        assert_eq!(screens(80, &numbers), include_str!("testdata/bars-80.txt"));
        assert_eq!(screens(140, &numbers), include_str!("testdata/bars-140.txt"));
    }

    #[test]
    fn no_line_is_wider_than_a_narrow_terminal() {
        for columns in [12, 20, 33, 50] {
            let (screen, mut bars) = bars(60, columns);
            for record in sample::records().iter().take(15) {
                bars.record(record);
                let state = lock(&bars.state);
                for place in state.places() {
                    for line in state.render(&place, bars.terminal.columns()) {
                        let wide = measure_text_width(&line);
                        assert!(wide < usize::from(columns), "{columns}: {line}");
                    }
                }
            }
            assert!(screen.contents().contains("my-kf") || columns < 33);
        }
    }

    #[test]
    fn of_a_hundred_workloads_the_next_few_are_shown() {
        let (screen, mut bars) = bars(40, 80);
        let mut plan = sample::plan();
        plan.workloads = (0..100).map(|i| sample::workload(&format!("rack-{i}"), 10)).collect();
        let begun = |i: usize| Event::WorkloadStarted {
            workload: format!("petset/my-kf-rack-{i}"),
            pods: 10,
            done: 4,
        };
        let step = Event::StepStarted { step: Step::RollPods };
        for record in sample::recorded(vec![sample::started(plan), step, begun(0)]) {
            bars.record(&record);
        }
        assert_eq!(screen.contents(), include_str!("testdata/hundred-80.txt").trim_end());
    }

    #[test]
    fn what_was_in_flight_stays_when_a_run_fails() {
        let (screen, mut bars) = bars(40, 80);
        let mut records = sample::records();
        records.truncate(14);
        let time = records.last().map(|r| r.elapsed_ms).unwrap_or_default();
        let failed = [
            Event::StepFinished {
                step: Step::RollPods,
                outcome: StepOutcome::Failed,
                took_ms: 6_000,
                note: String::new(),
            },
            Event::Finished(sample::failed_finish()),
        ];
        records.extend(failed.map(|event| Record {
            time: String::new(),
            elapsed_ms: time,
            run: "r1".into(),
            event,
        }));
        for record in &records {
            bars.record(record);
        }
        bars.finish();
        let shown = screen.contents();
        assert_eq!(shown, include_str!("testdata/failed-bars-80.txt").trim_end());
    }

    #[test]
    fn each_node_that_downloads_has_a_line() {
        let (screen, mut bars) = bars(40, 80);
        let (node, image) = (|n: u32| format!("n{n}"), || "kafka:3.6.1".to_owned());
        let waits = WaitingOn::Container {
            container: "pull".into(),
            reason: "ErrImagePull".into(),
            message: "no such host".into(),
        };
        let events = [
            Event::StepStarted { step: Step::PrePull },
            Event::ImagePullStarted { node: node(1), image: image() },
            Event::ImagePullStarted { node: node(2), image: image() },
            Event::ImagePullStarted { node: node(3), image: image() },
            Event::ImagePullWaiting { node: node(2), image: image(), on: waits },
            Event::ImagePulled { node: node(1), image: image(), took_ms: 42_000 },
            Event::ImageNotPulled { node: node(3), image: image(), why: "not scheduled".into() },
        ];
        let mut records = sample::recorded(events.into());
        records.iter_mut().for_each(|record| record.elapsed_ms = 5_000);
        records.iter().for_each(|record| bars.record(record));
        let shown = screen.contents();
        let lines: Vec<&str> = shown.lines().map(|line| line.trim_start_matches([' ', '⠋'])).collect();
        assert_eq!(
            lines,
            [
                "✓ node n1: kafka:3.6.1: there after 42.0 s",
                "! node n3: kafka:3.6.1: not pre-pulled, so its pod will have to wait for it:",
                "not scheduled",
                "pre-pull           0 s",
                "node n2 (0 s): kafka:3.6.1",
                "waiting for container pull to start: ErrImagePull: no such host",
            ],
            "{shown}"
        );
    }

    #[test]
    fn what_stays_is_broken_at_its_words() {
        let (screen, mut bars) = bars(40, 80);
        let note = "no operator acknowledged the pause within 30.0 s; paused without acknowledgement";
        let events = [
            Event::Stopping { why: "SIGINT".into(), pod: Some("my-kf-controller-0".into()) },
            Event::StepFinished {
                step: Step::Pause,
                outcome: StepOutcome::Done,
                took_ms: 30_000,
                note: note.into(),
            },
        ];
        sample::recorded(events.into()).iter().for_each(|record| bars.record(record));
        bars.finish();
        let shown = screen.contents();
        assert_eq!(
            shown,
            "! stopping (SIGINT) as soon as my-kf-controller-0 is done; press Ctrl-C again\n  \
             to stop at once\n\
             ✓ pause           30.0 s  no operator acknowledged the pause within 30.0 s;\n                          \
             paused without acknowledgement"
        );
    }

    #[test]
    fn a_call_that_keeps_failing_is_told_once_and_then_updated() {
        let (screen, mut bars) = bars(40, 80);
        let retry = |attempt| Event::Retrying {
            call: "read pods".into(),
            why: "connection refused".into(),
            attempt,
            in_ms: 2000,
        };
        let again = [retry(1), retry(2), retry(3)];
        let mut records = sample::records();
        records.truncate(2);
        records.extend(sample::recorded(again.into()));
        for record in &records {
            bars.record(record);
        }
        let shown = screen.contents();
        assert_eq!(shown.matches("(attempt 1)").count(), 1, "{shown}");
        assert_eq!(shown.matches("(attempt 2)").count(), 0, "{shown}");
        assert_eq!(shown.matches("(attempt 3)").count(), 1, "{shown}");
    }

    #[test]
    fn of_several_databases_each_line_names_its_own() {
        let (screen, mut bars) = bars(40, 100);
        let (one, other) = sample::two_runs();
        for record in one.iter().take(10).chain(other.iter().take(4)) {
            bars.record(record);
        }
        let shown = screen.contents();
        let live = |name: &str| shown.lines().filter(|l| l.starts_with(&format!("kafka/{name}: "))).count();
        assert!(live("my-kf") > 1 && live("other") > 1, "{shown}");
        for record in one.iter().skip(10).chain(other.iter().skip(4)) {
            bars.record(record);
        }
        bars.finish();
        assert!(screen.contents().contains("kafka/other: ✓ roll pods"), "{}", screen.contents());
    }

    #[test]
    fn something_else_may_use_the_terminal_for_a_while() {
        let (screen, mut bars) = bars(40, 80);
        for record in sample::records().iter().take(10) {
            bars.record(record);
        }
        let with_bars = screen.contents();
        assert!(with_bars.contains("roll pods"));
        let during = bars.multi().suspend(|| screen.contents());
        assert!(!during.contains("roll pods"), "{during}");
        assert_eq!(screen.contents(), with_bars);
    }
}
