//! What a database says of itself, for a person to read.

use super::columns::{bare_table, print};
use super::layout::View;
use crate::model::{Health, HealthReport, Member, Verdict, clean};

/// The answer of `health`.
pub fn report(report: &HealthReport, view: View) -> String {
    let database = &report.database;
    let title = format!("{} {} in namespace {}", report.kind, database.name, database.namespace);
    let verdict = match &report.unasked {
        Some(why) => format!("it could not be asked: {}", clean(why)),
        None if report.fit => "every pod could be restarted now, one after the other".to_owned(),
        None => "not every pod could be restarted now".to_owned(),
    };
    let mut sections = vec![format!("{}\n{}", view.bold(&title), view.paragraph("", &verdict))];
    if report.unasked.is_none() {
        sections.push(members(&report.health, view));
        sections.extend(reasons(&report.health, view));
        sections.extend(remarks(&report.health, view));
    }
    sections.join("\n")
}

/// The members as a table. A column that nobody fills is left out.
pub(super) fn members(health: &Health, view: View) -> String {
    let column = |name: &'static str, cell: fn(&Member) -> String| (name, cell);
    let mut columns = vec![column("POD", |m| m.pod.clone()), column("ROLE", |m| m.role.clone())];
    columns.push(column("ID", |m| m.id.clone()));
    columns.push(column("VERSION", |m| m.version.clone()));
    columns.push(column("STATE", state));
    columns.push(column("MEMBER", |m| word(&m.back).to_owned()));
    columns.push(column("MAY RESTART", |m| word(&m.may_go).to_owned()));
    columns.retain(|(_, cell)| health.members.iter().any(|member| !cell(member).is_empty()));
    let header: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut table = bare_table(&header, view);
    for member in &health.members {
        table.add_row(columns.iter().map(|(_, cell)| clean(&cell(member))));
    }
    print(&table)
}

fn state(member: &Member) -> String {
    if member.leader { format!("{}, goes last", member.state) } else { member.state.clone() }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Yes => "yes",
        Verdict::No { .. } => "no",
        Verdict::Unknown { .. } => "unknown",
    }
}

/// What speaks against restarts, each reason once, with its pods.
fn reasons(health: &Health, view: View) -> Option<String> {
    let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
    for member in &health.members {
        for why in member.back.why().iter().chain(member.may_go.why()) {
            match by_reason.iter_mut().find(|(known, _)| known == why) {
                Some((_, pods)) if pods.contains(&member.pod.as_str()) => {}
                Some((_, pods)) => pods.push(&member.pod),
                None => by_reason.push((why, vec![&member.pod])),
            }
        }
    }
    let everybody = health.members.len();
    let of = |pods: &[&str]| if pods.len() == everybody { "all pods".to_owned() } else { pods.join(", ") };
    let line =
        |(why, pods): &(&str, Vec<&str>)| view.hanging("  ", 4, &clean(&format!("{}: {why}", of(pods))));
    let lines: String = by_reason.iter().map(line).collect();
    (!lines.is_empty()).then(|| format!("{}\n{lines}", view.bold("What speaks against it")))
}

fn remarks(health: &Health, view: View) -> Option<String> {
    let line = |message: &str| view.hanging("  ", 4, &clean(message));
    let lines: String = health.remarks.iter().map(|remark| line(&remark.message)).collect();
    (!lines.is_empty()).then(|| format!("{}\n{lines}", view.bold("Warnings")))
}
