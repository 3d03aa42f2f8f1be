//! One time-stamped line for each event, for logs and for terminals that cannot move their cursor.

use std::collections::BTreeMap;
use std::io::Write;

use super::board::Board;
use super::runs::Runs;
use super::{summary, tables, words};
use crate::event::{Event, Finish, Record};
use crate::model::{ImageChange, clean};

/// Writes each record as a line of text.
#[derive(Debug)]
pub struct Lines<W> {
    out: W,
    runs: Runs,
    /// What each run is doing.
    boards: BTreeMap<String, Board>,
}

impl<W: Write> Lines<W> {
    /// Lines go to `out`, which is flushed after each.
    pub fn new(out: W) -> Self {
        Lines { out, runs: Runs::default(), boards: BTreeMap::new() }
    }

    /// Writes the record. A closed pipe must not end the run, so write errors are ignored.
    pub fn record(&mut self, record: &Record) {
        self.runs.take_in(record);
        let board = self.boards.entry(record.run.clone()).or_default();
        board.apply(record, usize::MAX);
        let said = match &record.event {
            Event::Heartbeat { .. } => board.doing(),
            Event::PodReady { .. } => {
                let counted = board.progress().map(|counted| format!("; {counted}"));
                sentence(&record.run, &record.event) + &counted.unwrap_or_default()
            }
            event => sentence(&record.run, event),
        };
        let database = self.runs.prefix(&record.run);
        let line = format!("{} {database}{}\n", record.time, clean(&said));
        let _ = self.out.write_all(line.as_bytes()).and_then(|()| self.out.flush());
    }
}

/// The event in words, on one line.
fn sentence(run: &str, event: &Event) -> String {
    match event {
        Event::Started { plan, .. } => {
            format!("{}; {}; run {run}", tables::title(plan), tables::restarts(plan))
        }
        Event::StepStarted { step } => format!("{}: started", words::step(*step)),
        Event::StepFinished { step, outcome, took_ms, note } => {
            let (step, outcome) = (words::step(*step), words::step_outcome(*outcome));
            with_note(&format!("{step}: {outcome} after {}", words::duration(*took_ms)), note)
        }
        Event::Waiting { step, on } => {
            format!("{}: waiting for {}", words::step(*step), words::waiting(on))
        }
        Event::WaitOver { step } => format!("{}: no longer waiting", words::step(*step)),
        Event::WorkloadPatched { workload, images } => {
            format!("{workload}: images patched: {}", changes(images))
        }
        Event::WorkloadStarted { workload, pods, done } => {
            format!("{workload}: {done} of {} done", words::count(*pods, "pod"))
        }
        Event::WorkloadFinished { workload, took_ms } => {
            format!("{workload}: done{}", lasted(" after", *took_ms))
        }
        Event::PodStarted { workload, pod, .. } => {
            format!("{workload}: pod {pod}: restarting")
        }
        Event::PodEvicted { workload, pod } => format!("{workload}: pod {pod}: evicted"),
        Event::PodWaiting { workload, pod, on } => {
            format!("{workload}: pod {pod}: waiting for {}", words::waiting(on))
        }
        Event::PodReady { workload, pod, took_ms, away_ms } => {
            let (took, away) = (lasted(" after", *took_ms), lasted(", unavailable for", *away_ms));
            format!("{workload}: pod {pod}: Ready{took}{away}")
        }
        Event::Finished(finish) => finished(finish),
        other => words::remark(other).unwrap_or_default(),
    }
}

/// Nobody who has only followed the last part of something knows how long it took.
fn lasted(what: &str, ms: u64) -> String {
    match ms {
        0 => String::new(),
        ms => format!("{what} {}", words::duration(ms)),
    }
}

fn changes(images: &[ImageChange]) -> String {
    let one = |c: &ImageChange| format!("{} {} → {}", c.container, c.now, c.after);
    images.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn with_note(text: &str, note: &str) -> String {
    if note.is_empty() { text.to_owned() } else { format!("{text}, {note}") }
}

fn finished(finish: &Finish) -> String {
    let parts =
        [words::outcome(finish.outcome), &finish.error, &finish.state, summary::last_line(finish).trim_end()]
            .map(clean);
    let said: Vec<&str> = parts.iter().map(|p| p.trim_end_matches('.')).filter(|p| !p.is_empty()).collect();
    format!("finished: {}", said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_run_reads_as_one_line_for_each_event() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out);
        for record in sample::records() {
            lines.record(&record);
        }
        let expected = include_str!("testdata/lines.txt");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn who_stops_a_run_is_told_what_a_second_signal_does() {
        for (why, pod, said) in [
            (
                "SIGINT",
                Some("zk-1"),
                "stopping (SIGINT) as soon as zk-1 is done; press Ctrl-C again to stop at once",
            ),
            (
                "SIGTERM",
                Some("zk-1"),
                "stopping (SIGTERM) as soon as zk-1 is done; send a signal again to stop at once",
            ),
            ("SIGINT", None, "stopping (SIGINT)"),
        ] {
            let event = Event::Stopping { why: why.to_owned(), pod: pod.map(str::to_owned) };
            assert_eq!(words::remark(&event).as_deref(), Some(said));
        }
    }

    #[test]
    fn of_several_databases_each_line_names_its_own() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out);
        let (one, other) = sample::two_runs();
        for record in one.iter().chain(&other).take(one.len() + 2).chain(&one[1..2]) {
            lines.record(record);
        }
        let text = String::from_utf8(out).unwrap();
        let said: Vec<_> =
            text.lines().filter_map(|line| line.split_once(' ')).map(|(_, said)| said).collect();
        let alone = include_str!("testdata/lines.txt").lines().filter_map(|line| line.split_once(' '));
        assert_eq!(said[..one.len()], alone.map(|(_, said)| said).collect::<Vec<_>>());
        let begun = "kafka/other: Kafka other in namespace default: 3.5.2 → 3.6.1; ";
        assert!(said[one.len()].starts_with(begun) && said[one.len()].ends_with("; run r2"), "{text}");
        assert_eq!(said[one.len() + 1..], ["kafka/other: lock: started", "kafka/my-kf: lock: started"]);
    }

    #[test]
    fn a_silent_run_says_what_it_waits_for_and_since_when() {
        let records = sample::records();
        let retrying = Event::Retrying {
            call: "read pods".into(),
            why: "connection refused".into(),
            attempt: 3,
            in_ms: 2_000,
        };
        for (taken, retrying, said) in [
            (2, None, "lock: still running after 1m 00s"),
            (
                6,
                None,
                "pause: still running after 1m 02s; waiting for the operator to acknowledge the pause (timeout 30 s)",
            ),
            (9, None, "roll pods: still running after 1m 00s; 0/4 pods"),
            (
                12,
                None,
                "roll pods: still running after 1m 03s; 2/4 pods; my-kf-controller-0 (1m 01s): waiting for \
                 PodDisruptionBudget my-kf-controller to allow a disruption: 2 pods needed healthy, 2 are: the \
                 eviction of my-kf-controller-2 is still pending",
            ),
            (
                15,
                Some(retrying),
                "roll pods: still running after 1m 07s; 3/4 pods, about 10 s left; retrying in 2.0 s: read pods: \
                 connection refused (attempt 3)",
            ),
        ] {
            let mut out = Vec::new();
            let mut lines = Lines::new(&mut out);
            let mut course: Vec<_> = records.iter().take(taken).map(|r| r.event.clone()).collect();
            course.extend(retrying);
            let course = sample::recorded(course);
            course.iter().for_each(|record| lines.record(record));
            let mut silent = course.last().expect("there are some").clone();
            silent.elapsed_ms += 60_000;
            silent.event = Event::Heartbeat { silent_seconds: 60 };
            // What was said before is not forgotten.
            lines.record(&silent);
            lines.record(&silent);
            let text = String::from_utf8(out).unwrap();
            let last: Vec<_> = text.lines().rev().take(2).filter_map(|l| l.split_once(' ')).collect();
            assert_eq!(last.iter().map(|(_, text)| *text).collect::<Vec<_>>(), [said, said], "{taken}");
        }
    }
}
