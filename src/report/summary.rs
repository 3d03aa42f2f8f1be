//! The result of a run, for a person to read.

use super::columns::{GAP, bare_table, print};
use super::layout::View;
use super::words;
use crate::event::{Finish, Outcome, WorkloadResult};
use crate::model::{Action, Plan, clean};

/// The last block of a run: the table of workloads, what happened, the state of the database and the next
/// commands. Its last line says whether anything was changed and whether the database is left paused.
pub fn final_block(finish: &Finish, plan: &Plan, view: View) -> String {
    let mut out = String::new();
    if !finish.workloads.is_empty() && plan.finish.is_none() {
        let back = plan.action == Action::Rollback || finish.outcome == Outcome::RolledBack;
        out.push_str(&workloads(&finish.workloads, back, view));
        out.push('\n');
    }
    out.push_str(&headline(finish, plan, view));
    if !finish.state.is_empty() {
        out.push_str(&view.paragraph("state: ", &clean(&finish.state)));
    }
    if let Some(why) = &finish.not_rolled_back {
        let text = format!("not rolled back automatically: {}; rolling back is up to you", clean(why));
        out.push_str(&view.paragraph("note: ", &text));
    }
    if finish.outcome == Outcome::Done && !finish.operator_confirmed && plan.finish.is_none() {
        let text = "not confirmed by an operator: none acknowledged the pause or was seen reconciling";
        out.push_str(&view.paragraph("note: ", text));
    }
    out.push_str(&next(finish, view));
    out.push_str(&last_line(finish));
    out
}

/// The end of a run in a line if it is done, with the command that finishes it if something is left; otherwise with all that
/// there is to do about it.
pub fn final_words(finish: &Finish, plan: &Plan, view: View) -> String {
    match finish.outcome {
        Outcome::Done => headline(finish, plan, view) + &next(finish, view),
        _ => final_block(&Finish { workloads: Vec::new(), ..finish.clone() }, plan, view),
    }
}

/// The commands to run next; empty if there are none.
pub fn next(finish: &Finish, view: View) -> String {
    if finish.next.is_empty() {
        return String::new();
    }
    // Commands are meant to be copied, so each stays on one line however narrow the terminal.
    let commands: String = finish.next.iter().map(|command| format!("  {}\n", clean(command))).collect();
    format!("{}\n{commands}", view.bold("next:"))
}

/// `changed: yes, left paused: no`.
pub(super) fn last_line(finish: &Finish) -> String {
    let yes = |b| if b { "yes" } else { "no" };
    format!("changed: {}, left paused: {}\n", yes(finish.changed), yes(finish.paused))
}

fn headline(finish: &Finish, plan: &Plan, view: View) -> String {
    let word = match finish.outcome {
        // The error says that it was rolled back.
        Outcome::RolledBack => words::outcome(Outcome::Failed),
        outcome => words::outcome(outcome),
    };
    let text = match finish.outcome {
        Outcome::Done => done(finish, plan),
        Outcome::Nothing => format!("{} {} is already on {}", plan.kind, plan.database.name, plan.to.name),
        Outcome::Refused
        | Outcome::NotReady
        | Outcome::RolledBack
        | Outcome::Stopped
        | Outcome::SomebodyElse
        | Outcome::Failed => clean(&finish.error),
    };
    let first = format!("{word}: ");
    let painted = match finish.outcome {
        Outcome::Done | Outcome::Nothing => view.good(&first),
        Outcome::NotReady | Outcome::RolledBack | Outcome::Stopped => view.warn(&first),
        Outcome::Refused | Outcome::SomebodyElse | Outcome::Failed => view.bad(&first),
    };
    // A long outcome leaves no room beside it, so that the text is indented as if the label were short.
    let body = view.paragraph("", &format!("{first}{text}"));
    body.replacen(&first, &painted, 1)
}

fn done(finish: &Finish, plan: &Plan) -> String {
    if let Some(done) = &plan.finish {
        let what = if done.undo { "the finish of the update" } else { "the update" };
        let came = if done.undo { "undone" } else { "finished" };
        let (kind, name, to) = (plan.kind, &plan.database.name, &plan.to.name);
        let took = words::duration(finish.elapsed_ms);
        return format!("{what} of {kind} {name} to {to} is {came} after {took}");
    }
    let mut text = format!(
        "{} {} is on {} after {}",
        plan.kind,
        plan.database.name,
        plan.to.name,
        words::duration(finish.elapsed_ms)
    );
    if finish.longest_away_ms > 0 {
        let away = words::at_least(finish.longest_away_ms, finish.longest_away_at_least);
        text.push_str(&format!("; longest pod downtime {away}"));
    }
    text
}

/// The table of workloads, which went `back` or forward; where it does not fit, each name stands on a line of its own.
fn workloads(results: &[WorkloadResult], back: bool, view: View) -> String {
    let reached = if back { "restored" } else { "updated" };
    let header = ["WORKLOAD", &reached.to_uppercase(), "RESTARTED", "TOOK", "MAX DOWNTIME"];
    let mut table = bare_table(&header, view);
    for result in results {
        table.add_row(cells(result));
    }
    let wide = table.column_max_content_widths();
    let needed = wide.iter().map(|w| usize::from(*w) + GAP).sum::<usize>() - GAP;
    if view.columns().is_none_or(|columns| needed <= columns) {
        return print(&table);
    }
    let mut out = String::new();
    for result in results {
        let [name, updated, restarted, took, away] = cells(result);
        out.push_str(&view.paragraph("", &name));
        let text = format!("{updated} {reached}, {restarted} restarted, took {took}, max downtime {away}");
        out.push_str(&view.paragraph("  ", &text));
    }
    out
}

fn cells(result: &WorkloadResult) -> [String; 5] {
    let time = |ms| match ms {
        0 => "-".to_owned(),
        ms => words::duration(ms),
    };
    [
        clean(&result.workload),
        format!("{}/{}", result.updated, result.pods),
        result.restarted.to_string(),
        time(result.took_ms),
        match result.longest_away_at_least {
            true => words::at_least(result.longest_away_ms, true),
            false => time(result.longest_away_ms),
        },
    ]
}
