//! What a database says of itself, for a person to read.

use console::measure_text_width;

use super::columns::{bare_table, print};
use super::finish;
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
        sections.extend(report.finish.as_ref().map(|left| finish::left(left, view)));
        sections.retain(|section| !section.is_empty());
    }
    sections.join("\n")
}

/// The columns that can be spared where the table is wider than the screen: some databases call their members by long ids, and
/// the names of pods hold most roles.
const SPARED: [&str; 3] = ["ID", "ROLE", "VERSION"];

/// The members as a table. A column that nobody fills is left out.
pub(super) fn members(health: &Health, view: View) -> String {
    let columns: [(&str, Cell); 7] = [
        ("POD", |m, _| m.pod.clone()),
        ("ROLE", |m, _| m.role.clone()),
        ("ID", |m, _| m.id.clone()),
        ("VERSION", |m, _| m.version.clone()),
        ("STATE", state),
        ("MEMBER", |m, _| word(&m.back).to_owned()),
        ("MAY RESTART", |m, _| word(&m.may_go).to_owned()),
    ];
    let filled = |cell: &Cell| health.members.iter().any(|member| !cell(member, health).is_empty());
    let mut columns: Vec<_> = columns.into_iter().filter(|(_, cell)| filled(cell)).collect();
    let fits = |text: &str| {
        let widest = text.lines().map(measure_text_width).max().unwrap_or(0);
        view.columns().is_none_or(|width| widest <= width)
    };
    let mut shown = table(&columns, health, view);
    for spared in SPARED {
        if fits(&shown) {
            break;
        }
        columns.retain(|(name, _)| *name != spared);
        shown = table(&columns, health, view);
    }
    shown
}

/// What stands in a column for a member.
type Cell = fn(&Member, &Health) -> String;

fn table(columns: &[(&str, Cell)], health: &Health, view: View) -> String {
    let header: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut table = bare_table(&header, view);
    for member in &health.members {
        table.add_row(columns.iter().map(|(_, cell)| clean(&cell(member, health))));
    }
    print(&table)
}

/// A leader goes last, unless it is alone in its workload.
fn state(member: &Member, health: &Health) -> String {
    let workload = |member: &Member| member.pod.rsplit_once('-').map(|(workload, _)| workload.to_owned());
    let others = health.members.iter().filter(|other| other.pod != member.pod);
    match member.leader && others.map(workload).any(|other| other == workload(member)) {
        true => format!("{}, goes last", member.state),
        false => member.state.clone(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Check, Remark};

    fn said(back: Verdict, may_go: Verdict) -> Health {
        let member = |n: usize| Member {
            pod: format!("my-hz-{n}"),
            uid: "u".into(),
            role: "member".into(),
            id: format!("23580c63-56d2-41b7-9b8b-35032b58035{n}"),
            version: "5.5.2".into(),
            state: "ACTIVE".into(),
            leader: n == 0,
            back: back.clone(),
            may_go: may_go.clone(),
            unasked: false,
            busy: Vec::new(),
        };
        Health { members: (0..2).map(member).collect(), remarks: Vec::new(), ..Health::default() }
    }

    #[test]
    fn columns_that_do_not_fit_on_the_screen_are_left_out() {
        let health = said(Verdict::Yes, Verdict::Yes);
        for (width, first) in [
            (None, "POD      ROLE    ID                                    VERSION  STATE  "),
            (Some(140), "POD      ROLE    ID                                    VERSION  STATE  "),
            (Some(80), "POD      ROLE    VERSION  STATE  "),
            (Some(60), "POD      VERSION  STATE  "),
            (Some(50), "POD      STATE  "),
        ] {
            let shown = members(&health, View { width, color: false });
            assert!(shown.starts_with(first), "{width:?}: {shown}");
            assert!(width.is_none_or(|w| shown.lines().all(|line| line.len() <= w.into())), "{shown}");
        }
    }

    #[test]
    fn a_reason_is_told_once_with_its_pods() {
        let no = |why: &[&str]| Verdict::No { why: why.iter().map(|&why| why.to_owned()).collect() };
        let mut health = said(Verdict::Yes, no(&["the cluster is not safe: backups are missing"]));
        health.members[0].back = no(&["my-hz-0 has 3 migrations queued"]);
        let message = "3 migrations of partitions are queued".to_owned();
        health.remarks.push(Remark { check: Check::DataMoving, message });
        let view = View { width: Some(80), color: false };
        let shown = reasons(&health, view).expect("there are some") + &remarks(&health, view).expect("one");
        assert_eq!(
            shown,
            "What speaks against it\n  \
             my-hz-0: my-hz-0 has 3 migrations queued\n  \
             all pods: the cluster is not safe: backups are missing\n\
             Warnings\n  \
             3 migrations of partitions are queued\n"
        );
    }
}
