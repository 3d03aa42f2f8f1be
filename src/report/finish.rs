//! What is done to the database itself when an update is finished, for a person to read: the steps of a plan, and how far
//! the one in progress is.

use super::layout::View;
use super::words;
use crate::event::Event;
use crate::model::{Completion, FinishPlan, FinishStep, Plan, Reversal, Tool, Work, clean};

/// The steps of a plan, each with whether it can be undone.
pub(super) fn steps(finish: &FinishPlan, view: View) -> String {
    let mut out = String::new();
    if !finish.completion.steps.is_empty() {
        out.push_str(&format!("{}\n", view.bold("Steps")));
    }
    for (i, step) in finish.completion.steps.iter().enumerate() {
        out.push_str(&view.paragraph(&format!("{:>3}. ", i + 1), &clean(&step.work.to_string())));
        out.push_str(&reversal(step, finish.undo, view));
        if let Work::RewriteFiles { tool: Tool::Nodetool, .. } = step.work {
            let memory = "by nodetool in the pod, which takes memory from the database while it runs";
            out.push_str(&view.paragraph("     ", memory));
        }
    }
    let known: Vec<_> = finish.completion.settled.iter().chain(&finish.completion.remarks).collect();
    if !known.is_empty() {
        let gap = if out.is_empty() { "" } else { "\n" };
        out.push_str(&format!("{gap}{}\n", view.bold("Left as it is")));
        known.iter().for_each(|text| out.push_str(&view.hanging("  ", 4, &clean(text))));
    }
    out
}

fn reversal(step: &FinishStep, undo: bool, view: View) -> String {
    let (word, why) = match &step.reversal {
        Reversal::Yes { why } => ("reversible", why),
        Reversal::No { why } => ("not reversible", why),
        Reversal::Unknown { why } => ("not known whether it is reversible", why),
    };
    let word = match (undo, &step.reversal) {
        (true, Reversal::Yes { .. }) => "possible",
        (true, _) => "not known whether that is possible",
        (false, _) => word,
    };
    let text = clean(&format!("{word}: {why}"));
    match step.reversal.is_no() {
        true => view.warning("     ", &text),
        false => view.paragraph("     ", &text),
    }
}

/// What the plan of a finish comes to, in a few words; `None` for any other plan.
pub fn in_short(plan: &Plan) -> Option<String> {
    let finish = plan.finish.as_ref()?;
    let undo = if finish.undo { "undo " } else { "" };
    Some(format!("{undo}{}", conclusion(plan, finish)))
}

/// How many steps there are, and how many of them cannot be undone.
pub(super) fn conclusion(plan: &Plan, finish: &FinishPlan) -> String {
    let steps = &finish.completion.steps;
    let lasting = steps.iter().filter(|step| step.reversal.is_no()).count() as u64;
    let after = || format!("once it runs {}, the database is asked what is left to finish", plan.to.name);
    match (steps.len() as u64, lasting) {
        // The database was asked, and has nothing left.
        (0, _) if finish.completion.complete() && !finish.completion.settled.is_empty() => {
            "no step is left; the interrupted finish will be verified and recorded as done".to_owned()
        }
        (0, _) => after(),
        (all, 0) => words::count(all, "step"),
        (1, _) => "1 step, which cannot be undone".to_owned(),
        (all, lasting) => format!("{}, of which {lasting} cannot be undone", words::count(all, "step")),
    }
}

/// What is left to be done, and what is as the version has it.
pub(super) fn left(completion: &Completion, view: View) -> String {
    let line = |text: &str| view.hanging("  ", 4, &clean(text));
    let mut out = String::new();
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let gap = if out.is_empty() { "" } else { "\n" };
            out.push_str(&format!("{gap}{}\n{}", view.bold(title), lines.concat()));
        }
    };
    let steps = completion.steps.iter().map(|step| line(&step.work.to_string())).collect();
    section("Left to finish (kubectl dbupdate finish)", steps);
    section("In the way of finishing", completion.obstacles.iter().map(|text| line(text)).collect());
    let known = completion.settled.iter().chain(&completion.remarks);
    section("The last update", known.map(|text| line(text)).collect());
    out
}

/// The work in progress, as a line of the live part of the screen.
#[derive(Debug, Default)]
pub(super) struct Working(Option<(String, u64)>);

impl Working {
    /// Takes an event in, at that time of the run.
    pub fn apply(&mut self, event: &Event, now_ms: u64) {
        match event {
            Event::WorkStarted { .. } => self.0 = words::remark(event).map(|said| (said, now_ms)),
            Event::WorkProgressed { .. } => {
                let since = self.0.as_ref().map_or(now_ms, |(_, since)| *since);
                self.0 = words::remark(event).map(|said| (said, since));
            }
            _ => self.0 = None,
        }
    }

    /// Nothing is done any more.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// What is done, and since when.
    pub fn said(&self, now_ms: u64) -> Option<String> {
        let (said, since) = self.0.as_ref()?;
        Some(format!("{} ({})", clean(said), words::seconds(now_ms.saturating_sub(*since) / 1000)))
    }
}
