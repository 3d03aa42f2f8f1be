//! The live part of the screen during a run: pure state, fed by records, rendered as lines.

use super::downloads::Downloads;
use super::estimate;
use super::finish::Working;
use super::layout::{View, fit, fit_end, wrap};
use super::workload_line::WorkloadLine;
use super::{tables, words};
use crate::event::{Event, Record, Step, StepOutcome};
use crate::model::clean;

/// How many of the next workloads are shown where there are too many to show all.
const NEXT_SHOWN: usize = 3;
/// With as many workloads at most, all are shown.
const ALL_SHOWN: usize = 8;
/// Lines for one reason to wait; a kubelet's message may be a page long.
const REASON_LINES: usize = 3;
/// Pods in flight that are shown for one workload: a Deployment may have many.
const PODS_SHOWN: usize = 3;
/// Maximum columns of a bar: wider ones show no more.
const BAR: usize = 30;

/// The state of the screen.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Milliseconds since the run began, as the last record says.
    now_ms: u64,
    step: Option<StepLine>,
    workloads: Vec<WorkloadLine>,
    downloads: Downloads,
    working: Working,
    /// The call that fails, as of its last failure.
    retry: Option<String>,
    pub(super) color: bool,
}

/// The step that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StepLine {
    step: Step,
    since_ms: u64,
    waits: Option<String>,
}

/// One part of the live region, which renders itself for any width and any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Step(Step),
    Download(usize),
    Work,
    Workload(usize),
    Retry,
}

impl Board {
    pub(super) fn new(color: bool) -> Self {
        Board { color, ..Board::default() }
    }

    /// Takes a record in; returns the lines that stay on the screen from now on.
    pub(super) fn apply(&mut self, record: &Record, columns: usize) -> Vec<String> {
        self.now_ms = record.elapsed_ms;
        let retried = !matches!(record.event, Event::Heartbeat { .. }) && self.retry.take().is_some();
        match &record.event {
            Event::Started { plan, .. } => {
                let restarted = plan.workloads.iter().filter(|_| plan.finish.is_none());
                self.workloads = restarted.map(WorkloadLine::planned).collect();
                return vec![self.view().bold(&clean(&tables::title(plan)))];
            }
            Event::StepStarted { step } => self.step = Some(StepLine::new(*step, self.now_ms)),
            Event::Waiting { step, on } => {
                let line = self.step.get_or_insert_with(|| StepLine::new(*step, self.now_ms));
                line.waits = Some(format!("waiting for {}", words::waiting(on)));
            }
            Event::WaitOver { .. } => self.step.iter_mut().for_each(|s| s.waits = None),
            Event::StepFinished { step, outcome, took_ms, note } => {
                return self.step_finished(*step, *outcome, *took_ms, note, columns);
            }
            Event::WorkloadStarted { workload, pods, done } => {
                let now = self.now_ms;
                let line = self.workload(workload);
                (line.pods, line.done, line.since_ms) = (*pods, *done, Some(now));
                line.arrived.clear();
            }
            Event::WorkloadFinished { workload, took_ms } => {
                return self.workload_finished(workload, *took_ms, columns);
            }
            Event::ImagePullStarted { .. }
            | Event::ImagePullWaiting { .. }
            | Event::ImagePulled { .. }
            | Event::ImageNotPulled { .. } => return self.download(&record.event, columns),
            Event::WorkStarted { .. } | Event::WorkProgressed { .. } => {
                self.working.apply(&record.event, self.now_ms);
            }
            Event::WorkDone { .. } => {
                self.working.clear();
                let text = words::remark(&record.event).unwrap_or_default();
                return self.lasting(&format!("  {} ", self.view().good("✓")), &clean(&text), columns);
            }
            Event::PodStarted { .. }
            | Event::PodEvicted { .. }
            | Event::PodWaiting { .. }
            | Event::PodReady { .. } => self.pod(&record.event),
            Event::Retrying { .. } => {
                self.retry = words::remark(&record.event);
                if !retried {
                    return self.remark(&record.event, columns);
                }
            }
            Event::RollingBack { plan } => {
                self.workloads = plan.workloads.iter().map(WorkloadLine::planned).collect();
                return self.remark(&record.event, columns);
            }
            Event::Finished(_) => return self.end(columns),
            Event::Heartbeat { .. }
            | Event::PauseRequested { adopted: false }
            | Event::PauseAcknowledged { .. }
            | Event::WorkloadPatched { .. }
            | Event::VersionSet { .. }
            | Event::Resumed
            | Event::Requested { .. } => {}
            Event::PauseRequested { adopted: true }
            | Event::PauseUnanswered { .. }
            | Event::PauseRewritten
            | Event::PauseRemovedAgain
            | Event::Repinned { .. }
            | Event::Notice { .. }
            | Event::Stopping { .. } => return self.remark(&record.event, columns),
        }
        Vec::new()
    }

    /// An image on its way to a node: what stays on the screen of it.
    fn download(&mut self, event: &Event, columns: usize) -> Vec<String> {
        self.downloads.apply(event, self.now_ms);
        match event {
            Event::ImagePulled { .. } => {
                let text = words::remark(event).unwrap_or_default();
                self.lasting(&format!("  {} ", self.view().good("✓")), &clean(&text), columns)
            }
            Event::ImageNotPulled { .. } => self.remark(event, columns),
            _ => Vec::new(),
        }
    }

    /// The parts that are on the screen now, from top to bottom.
    pub(super) fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = self.step.iter().map(|s| Part::Step(s.step)).collect();
        parts.extend((0..self.downloads.len()).map(Part::Download));
        parts.extend(self.working.is_some().then_some(Part::Work));
        let open = |(i, w): (usize, &WorkloadLine)| (!w.finished).then_some((i, w.since_ms));
        let open: Vec<_> = self.workloads.iter().enumerate().filter_map(open).collect();
        let many = self.workloads.len() > ALL_SHOWN;
        let mut waiting = 0;
        for (i, since) in open {
            if since.is_none() {
                waiting += 1;
            }
            if since.is_some() || !many || waiting <= NEXT_SHOWN {
                parts.push(Part::Workload(i));
            }
        }
        if self.retry.is_some() {
            parts.push(Part::Retry);
        }
        parts
    }

    /// The part's lines, `passed_ms` after the last record.
    pub(super) fn render(&self, part: &Part, columns: usize, passed_ms: u64) -> Vec<String> {
        let now = self.now_ms + passed_ms;
        match part {
            Part::Step(_) => self.step.as_ref().map(|s| self.step_lines(s, columns, now)),
            Part::Download(i) => self.downloads.said(*i, now).map(|(text, waits)| {
                let mut lines = vec![fit(&format!("  {} {text}", spinner(now)), columns)];
                lines.extend(self.reason("      ", waits, columns));
                lines
            }),
            Part::Work => self
                .working
                .said(now)
                .map(|text| self.lasting(&format!("  {} ", spinner(now)), &text, columns)),
            Part::Workload(i) => self.workloads.get(*i).map(|w| {
                let mark = w.since_ms.map_or(" ", |_| spinner(now));
                self.workload_lines(w, mark, columns, now)
            }),
            Part::Retry => self.retry.as_ref().map(|text| {
                let line = format!("! {}", clean(text));
                vec![self.view().warn(&fit(&line, columns))]
            }),
        }
        .unwrap_or_default()
    }

    fn view(&self) -> View {
        View { width: None, color: self.color }
    }

    /// A line that stays, broken at its words.
    fn lasting(&self, first: &str, text: &str, columns: usize) -> Vec<String> {
        let view = View { width: u16::try_from(columns).ok(), color: self.color };
        view.paragraph(first, text).lines().map(|line| line.trim_end().to_owned()).collect()
    }

    fn remark(&self, event: &Event, columns: usize) -> Vec<String> {
        let text = words::remark(event).unwrap_or_default();
        self.lasting(&format!("{} ", self.view().warn("!")), &clean(&text), columns)
    }

    fn workload(&mut self, name: &str) -> &mut WorkloadLine {
        let found = self.workloads.iter().position(|w| w.name == name);
        let index = found.unwrap_or_else(|| {
            self.workloads.push(WorkloadLine::named(name));
            self.workloads.len() - 1
        });
        &mut self.workloads[index]
    }

    fn pod(&mut self, event: &Event) {
        let now = self.now_ms;
        match event {
            Event::PodStarted { workload, pod, .. } => {
                let line = self.workload(workload);
                line.first_ms.get_or_insert(now);
                // Whatever the workload was waiting for before, it goes on now.
                line.in_flight.retain(|p| p.started || p.name == *pod);
                let pod = line.flying(pod, now);
                (pod.started, pod.since_ms) = (true, now);
            }
            Event::PodEvicted { workload, pod } => {
                self.workload(workload).flying(pod, now).waits = "evicted".into();
            }
            Event::PodWaiting { workload, pod, on } => {
                let waits = format!("waiting for {}", words::waiting(on));
                self.workload(workload).flying(pod, now).waits = waits;
            }
            Event::PodReady { workload, pod, took_ms, .. } => {
                let line = self.workload(workload);
                line.in_flight.retain(|p| p.name != *pod);
                if line.arrived.insert(pod.clone()) {
                    line.done = (line.done + 1).min(line.pods);
                }
                line.restarted += 1;
                line.pods_ms = line.pods_ms.saturating_add(*took_ms);
                line.last_ms = Some(now);
            }
            _ => {}
        }
    }

    fn step_finished(
        &mut self,
        step: Step,
        outcome: StepOutcome,
        took_ms: u64,
        note: &str,
        columns: usize,
    ) -> Vec<String> {
        let mut kept = Vec::new();
        if matches!(step, Step::RollPods | Step::Follow) {
            kept = self.leave_workloads(columns);
        }
        self.downloads.clear();
        self.working.clear();
        let waits = self.step.take().and_then(|s| s.waits);
        let failed = matches!(outcome, StepOutcome::Failed | StepOutcome::Stopped);
        let mark = match outcome {
            StepOutcome::Done => self.view().good("✓"),
            StepOutcome::AlreadyDone => self.view().dim("✓"),
            StepOutcome::Failed => self.view().bad("✗"),
            StepOutcome::Stopped => self.view().warn("■"),
        };
        let time = words::duration(took_ms);
        let said = match outcome {
            StepOutcome::Done => clean(note),
            _ if note.is_empty() => words::step_outcome(outcome).to_owned(),
            _ => format!("{}, {}", words::step_outcome(outcome), clean(note)),
        };
        let line = format!("{mark} {:12}  {time:>8}  ", words::step(step));
        kept.extend(self.lasting(&line, &said, columns));
        kept.extend(waits.filter(|_| failed).iter().flat_map(|w| self.lasting("    ", w, columns)));
        kept
    }

    fn workload_finished(&mut self, name: &str, took_ms: u64, columns: usize) -> Vec<String> {
        let now = self.now_ms;
        let line = self.workload(name);
        line.finished = true;
        line.in_flight.clear();
        line.since_ms = Some(now.saturating_sub(took_ms));
        let line = line.clone();
        self.workload_lines(&line, &self.view().good("✓"), columns, now)
    }

    /// Unfinished workloads that have started stay on the screen as they are; the others are dropped.
    fn leave_workloads(&mut self, columns: usize) -> Vec<String> {
        let mark = self.view().bad("✗");
        let mut kept = Vec::new();
        for line in self.workloads.iter().filter(|w| !w.finished) {
            if line.since_ms.is_some() {
                kept.extend(self.workload_lines(line, &mark, columns, self.now_ms));
            }
        }
        self.workloads.clear();
        kept
    }

    fn end(&mut self, columns: usize) -> Vec<String> {
        let mut kept = self.leave_workloads(columns);
        if let Some(step) = self.step.take() {
            let took = self.now_ms.saturating_sub(step.since_ms);
            self.step = Some(step.clone());
            kept.extend(self.step_finished(step.step, StepOutcome::Stopped, took, "", columns));
        }
        kept
    }

    fn step_lines(&self, line: &StepLine, columns: usize, now: u64) -> Vec<String> {
        let time = words::seconds(now.saturating_sub(line.since_ms) / 1000);
        let counted = self.counted(now).filter(|_| matches!(line.step, Step::RollPods | Step::Follow));
        let counted = counted.unwrap_or_default();
        let text = format!("{} {:12}  {time:>8}  {counted}", spinner(now), words::step(line.step));
        let mut out = vec![fit(text.trim_end(), columns)];
        out.extend(self.reason("    ", line.waits.as_deref().unwrap_or_default(), columns));
        out
    }

    fn workload_lines(&self, line: &WorkloadLine, mark: &str, columns: usize, now: u64) -> Vec<String> {
        let counts = format!("{}/{}", line.done, line.pods);
        let time = match line.since_ms {
            Some(since) => {
                let ms = now.saturating_sub(since);
                match line.finished {
                    // It was done before anybody looked.
                    true if ms == 0 => String::new(),
                    true => words::duration(ms),
                    false => words::seconds(ms / 1000),
                }
            }
            None => String::new(),
        };
        let widest = self.workloads.iter().map(|w| w.name.chars().count()).max();
        let widest = widest.unwrap_or(0).max(line.name.chars().count());
        // Mark and spaces, then counts and time in columns of their own.
        let fixed = 4 + 1 + counts.len().max(5) + 2 + 8;
        let room = columns.saturating_sub(fixed);
        let bar = room.saturating_sub(widest + 1).min(BAR);
        let bar = if bar < 5 { 0 } else { bar };
        let name_room = if bar > 0 { widest } else { room.min(widest) };
        let name = fit_end(&line.name, name_room);
        let mut text = format!("  {mark} {name:name_room$} ");
        if bar > 0 {
            text.push_str(&self.bar(line.done, line.pods, bar));
            text.push(' ');
        }
        text.push_str(&format!("{counts:>5}  {time:>8}"));
        let mut out = vec![fit(text.trim_end(), columns)];
        for pod in line.in_flight.iter().take(PODS_SHOWN) {
            out.extend(self.reason("      ", &pod.said(now), columns));
        }
        let more = line.in_flight.len().saturating_sub(PODS_SHOWN);
        if more > 0 {
            out.push(fit(&format!("      and {more} more in flight"), columns));
        }
        out
    }

    fn bar(&self, done: u64, pods: u64, columns: usize) -> String {
        let filled = match pods {
            0 => columns,
            _ => (columns as u64 * done.min(pods) / pods) as usize,
        };
        let view = self.view();
        let (full, rest) = ("━".repeat(filled), "─".repeat(columns - filled));
        format!("{}{}", view.good(&full), view.dim(&rest))
    }

    /// A reason to wait, on a few lines at most; the last one is cut.
    fn reason(&self, indent: &str, text: &str, columns: usize) -> Vec<String> {
        if text.is_empty() {
            return Vec::new();
        }
        let room = columns.saturating_sub(indent.len());
        let all = wrap(text, Some(room));
        let mut out: Vec<String> = all.iter().take(REASON_LINES).cloned().collect();
        if let (Some(last), true) = (out.last_mut(), all.len() > REASON_LINES) {
            // The end of a kubelet's message says more than an ellipsis alone, but there is no room for both.
            last.push_str(" …");
        }
        out.iter().map(|l| fit(&format!("{indent}{l}"), columns)).collect()
    }

    /// `4/6 pods, about 40 s left`; `None` without pods.
    fn counted(&self, now: u64) -> Option<String> {
        let (done, pods) = self.workloads.iter().fold((0, 0), |(d, p), w| (d + w.done, p + w.pods));
        let mut parts = Vec::new();
        if self.workloads.len() > ALL_SHOWN {
            let finished = self.workloads.iter().filter(|w| w.finished).count();
            parts.push(format!("{finished}/{} workloads", self.workloads.len()));
        }
        parts.push(format!("{done}/{pods} pods"));
        let courses: Vec<_> = self.workloads.iter().map(|w| w.course(now)).collect();
        parts.extend(estimate::left_ms(&courses).map(|ms| format!("{} left", estimate::about(ms))));
        (pods > 0).then(|| parts.join(", "))
    }

    /// The same at the time of the last record, for a line of text.
    pub(super) fn progress(&self) -> Option<String> {
        self.counted(self.now_ms)
    }

    /// What the run is doing, at the time of the last record, for a line of text.
    pub(super) fn doing(&self) -> String {
        let Some(step) = &self.step else { return "still running".into() };
        let mut parts: Vec<String> = step.waits.iter().cloned().collect();
        if matches!(step.step, Step::RollPods | Step::Follow) {
            parts.extend(self.progress());
        }
        let pods: Vec<_> = self.workloads.iter().flat_map(|w| &w.in_flight).collect();
        parts.extend(pods.iter().take(PODS_SHOWN).map(|p| p.said(self.now_ms)));
        let more = pods.len().saturating_sub(PODS_SHOWN);
        parts.extend((more > 0).then(|| format!("{more} more in flight")));
        parts.extend(self.working.said(self.now_ms));
        parts.extend(self.retry.clone());
        let gap = if parts.is_empty() { "" } else { "; " };
        let time = words::seconds(self.now_ms.saturating_sub(step.since_ms) / 1000);
        let name = words::step(step.step);
        format!("{name}: still running after {time}{gap}{}", parts.join("; "))
    }
}

impl StepLine {
    fn new(step: Step, since_ms: u64) -> Self {
        StepLine { step, since_ms, waits: None }
    }
}

fn spinner(now_ms: u64) -> &'static str {
    const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    FRAMES[(now_ms / 100 % 10) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::WaitingOn;
    use crate::report::sample;

    #[test]
    fn a_pod_that_falls_ill_again_is_counted_once() {
        let (workload, pod) = ("petset/my-kf-controller", "my-kf-controller-0");
        let mut board = Board::new(false);
        let mut done = |event: Event| {
            board.apply(&Record { time: String::new(), elapsed_ms: 1, run: String::new(), event }, 80);
            board.workload(workload).done
        };
        let (workload, pod) = (workload.to_owned(), pod.to_owned());
        let run = Event::Started { schema: String::new(), plan: Box::new(sample::plan()) };
        assert_eq!(done(run), 0);
        let started =
            || Event::PodStarted { workload: workload.clone(), pod: pod.clone(), ordinal_in_run: 0 };
        let ready =
            || Event::PodReady { workload: workload.clone(), pod: pod.clone(), took_ms: 1, away_ms: 1 };
        let counted = [started(), ready(), started(), ready(), ready()].map(done);
        assert_eq!(counted, [0, 1, 0, 1, 1]);
    }

    /// The controllers take 20 s each, and so will the broker.
    #[test]
    fn the_pods_are_counted_and_their_time_runs_down() {
        let workload = || "petset/my-kf-controller".to_owned();
        let pod = |i: u64| format!("my-kf-controller-{i}");
        let started = |i| Event::PodStarted { workload: workload(), pod: pod(i), ordinal_in_run: i };
        let ready = |i, took_ms| Event::PodReady { workload: workload(), pod: pod(i), took_ms, away_ms: 1 };
        let held = |i| Event::PodWaiting {
            workload: workload(),
            pod: pod(i),
            on: WaitingOn::Budget { budget: "b".into(), needed: 2, healthy: 2, held_by: None },
        };
        let mut board = Board::new(false);
        for (at, event, passed, shown) in [
            (0, sample::started(sample::plan()), 0, "0/4 pods"),
            (0, Event::StepStarted { step: Step::RollPods }, 0, "0/4 pods"),
            (0, Event::WorkloadStarted { workload: workload(), pods: 3, done: 0 }, 0, "0/4 pods"),
            // What holds up the first pod does not come again for each of them.
            (0, held(0), 100, "0/4 pods"),
            (100, started(0), 19, "0/4 pods"),
            (120, ready(0, 20_000), 0, "1/4 pods, about 60 s left"),
            (120, started(1), 0, "1/4 pods, about 60 s left"),
            (120, started(1), 15, "1/4 pods, about 50 s left"),
            // It is late, and then so late that nobody knows.
            (120, started(1), 50, "1/4 pods, about 40 s left"),
            (120, started(1), 51, "1/4 pods"),
            // 40 s: the mean is 30 now, also for the broker.
            (160, ready(1, 40_000), 0, "2/4 pods, about 60 s left"),
            (160, held(2), 70, "2/4 pods, about 60 s left"),
            (160, held(2), 71, "2/4 pods"),
            // The time for which it was held up is not its own, but may be the next one's.
            (240, started(2), 0, "2/4 pods, about 60 s left"),
            (270, ready(2, 30_000), 0, "3/4 pods, about 60 s left"),
            (
                270,
                Event::WorkloadFinished { workload: workload(), took_ms: 270_000 },
                0,
                "3/4 pods, about 60 s left",
            ),
        ] {
            board
                .apply(&Record { time: String::new(), elapsed_ms: at * 1000, run: String::new(), event }, 80);
            assert_eq!(board.counted((at + passed) * 1000).as_deref(), Some(shown), "{at} + {passed}");
        }
    }
}
