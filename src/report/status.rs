//! The state of databases and the history of one, for a person to read.

use super::columns::{GAP, bare_table, print};
use super::layout::{View, break_image};
use super::words;
use crate::event::Outcome;
use crate::journal::Direction;
use crate::model::{Method, clean};
use crate::situation::{DatabaseRun, ImageOf, ImageStatus, RunStatus, State, Status, WorkloadStatus};

/// One database, with everything that is known of it.
pub fn one(status: &Status, view: View) -> String {
    let (kind, database) = (status.kind, &status.database);
    let title = format!("{kind} {} in namespace {}: {}", database.name, database.namespace, status.version);
    let mut sections = vec![format!("{}\n", view.bold(&title)), sentence(status, view)];
    if !status.workloads.is_empty() {
        sections.push(images(status, view));
        sections.push(pods(status, view));
    }
    sections.push(facts(status, view));
    sections.retain(|s| !s.is_empty());
    sections.join("\n")
}

fn sentence(status: &Status, view: View) -> String {
    let painted = match status.state {
        State::Fine => view.good("state:"),
        State::Exposed | State::HalfDone | State::Drift | State::NotReady => view.bad("state:"),
        _ => view.warn("state:"),
    };
    let mut out = view.hanging("", 2, &format!("state: {}", clean(&status.sentence)));
    out = out.replacen("state:", &painted, 1);
    if !status.next.is_empty() {
        out.push_str("next:\n");
        // A command broken into lines could not be copied.
        status.next.iter().for_each(|command| out.push_str(&format!("  {}\n", clean(command))));
    }
    out
}

fn images(status: &Status, view: View) -> String {
    let header = ["WORKLOAD", "CONTAINER", "IMAGE", "VERSION"];
    let mut rows = Vec::new();
    for workload in &status.workloads {
        for (i, image) in workload.images.iter().enumerate() {
            let name = if i == 0 { workload.workload.clone() } else { String::new() };
            let init = if image.init { " (init)" } else { "" };
            rows.push([
                name,
                format!("{}{init}", image.container),
                image.image.clone(),
                whose(status, image),
            ]);
        }
    }
    let widest = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].len()]).max().unwrap_or_default() + GAP
    };
    let others: usize = [0, 1, 3].map(widest).iter().sum();
    let room = view.columns().map(|w| w.saturating_sub(others).max(20));
    let mut table = bare_table(&header, view);
    for [name, container, image, whose] in rows {
        let image = room.map_or_else(|| image.clone(), |w| break_image(&image, w).join("\n"));
        table.add_row([name, container, image, whose]);
    }
    print(&table)
}

fn whose(status: &Status, image: &ImageStatus) -> String {
    match image.of {
        ImageOf::Version => status.version.clone(),
        ImageOf::Run => status.run.as_ref().map_or_else(
            || "the run".to_owned(),
            |run| {
                if run.to == status.version { run.from.clone() } else { run.to.clone() }
            },
        ),
        ImageOf::Other => "neither".to_owned(),
        ImageOf::Unmapped => "-".to_owned(),
    }
}

fn pods(status: &Status, view: View) -> String {
    let mut table = bare_table(&["WORKLOAD", "REVISION", "PODS", "READY"], view);
    for WorkloadStatus { workload, revisions, .. } in &status.workloads {
        for (i, revision) in revisions.iter().enumerate() {
            let name = if i == 0 { workload.as_str() } else { "" };
            let short = revision.revision.rsplit('-').next().unwrap_or_default();
            let mark = if revision.current { " (latest)" } else { " (old)" };
            let counts = [revision.pods.to_string(), revision.ready.to_string()];
            table.add_row([name, &format!("{short}{mark}"), &counts[0], &counts[1]]);
        }
    }
    print(&table)
}

fn facts(status: &Status, view: View) -> String {
    let mut lines = vec![format!("phase: {}", clean(&status.phase))];
    if let Some(paused) = &status.paused {
        let who = if paused.ours { "by kubectl-dbupdate" } else { "by another user or controller" };
        let acknowledged = if paused.acknowledged { "acknowledged" } else { "not acknowledged" };
        lines.push(format!("paused {who}, {acknowledged}: {}", clean(&paused.message)));
    }
    for request in &status.ops_requests {
        let phase = if request.phase.is_empty() { "not started" } else { &request.phase };
        lines.push(format!("{} {} ({}): {phase}", request.kind, clean(&request.name), request.operation));
    }
    lines.extend(status.run.iter().map(|run| format!("last run: {}", described(run))));
    lines.extend(status.run.iter().filter(|run| !run.error.is_empty()).map(why));
    if let Some(lock) = &status.lock {
        let silent =
            lock.silent_seconds.map(|s| format!(", renewed {} ago", words::seconds(s.max(0) as u64)));
        lines.push(format!(
            "lock: {}, since {}{}",
            clean(&lock.holder),
            clean(&lock.since),
            silent.unwrap_or_default()
        ));
    }
    if !status.left_pods.is_empty() {
        lines.push(format!(
            "left by a run that pre-pulled images, removed by the next update, resume or rollback: {}",
            clean(&status.left_pods.join(", "))
        ));
    }
    lines.extend(status.not_checked.iter().map(|what| format!("could not check {}", clean(what))));
    lines.iter().map(|line| view.hanging("", 2, line)).collect()
}

/// `update 3.5.2 → 3.6.1 by ann@laptop, started 2026-…: stopped in roll pods, unfinished (run 1f2e)`.
fn described(run: &RunStatus) -> String {
    format!(
        "{} by {}, started {}: {} (run {})",
        goal(run),
        clean(&run.who),
        clean(&run.began),
        came_to(run, ""),
        clean(&run.run)
    )
}

/// Why a run was not done.
fn why(run: &RunStatus) -> String {
    format!("reason: {}", clean(&run.error))
}

fn goal(run: &RunStatus) -> String {
    let what = match run.direction {
        Direction::Update => "update",
        Direction::Rollback => "rollback",
        Direction::Finish => return format!("finish {}", clean(&run.to)),
    };
    let method = if run.method == Method::Client { String::new() } else { format!(" via {}", run.method) };
    format!("{what} {} → {}{method}", clean(&run.from), clean(&run.to))
}

/// What a run has come to; `after` follows its outcome.
pub(super) fn came_to(run: &RunStatus, after: &str) -> String {
    let step = run.step.map(|s| format!(" in {}", words::step(s))).unwrap_or_default();
    let came = match run.outcome {
        Some(Outcome::Done) => format!("done{after}"),
        Some(outcome) => format!("{}{step}{after}", words::outcome(outcome)),
        None if run.error.is_empty() => return format!("in progress, last seen{step}"),
        None => format!("killed{step}"),
    };
    if run.unfinished { format!("{came}, unfinished") } else { came }
}

/// Many databases, a line each.
pub fn many(all: &[Status], namespaces: bool, view: View) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut header = vec!["KIND", "NAME", "VERSION", "STATE", "PODS", "PAUSED BY", "RUN"];
    if namespaces {
        header.insert(0, "NAMESPACE");
    }
    let mut table = bare_table(&header, view);
    for status in all {
        let (pods, ready) = status.pods();
        let paused = match &status.paused {
            None => "-",
            Some(paused) if paused.ours => "dbupdate",
            Some(_) => "other",
        };
        let run = match status.run.as_ref().filter(|run| run.unfinished) {
            Some(run) => format!("{} → {}", clean(&run.from), clean(&run.to)),
            None => "-".to_owned(),
        };
        let mut row = vec![
            status.kind.singular().to_owned(),
            status.database.name.clone(),
            status.version.clone(),
            word(status.state).to_owned(),
            format!("{ready}/{pods}"),
            paused.to_owned(),
            run,
        ];
        if namespaces {
            row.insert(0, status.database.namespace.clone());
        }
        table.add_row(row);
    }
    print(&table)
}

fn word(state: State) -> &'static str {
    match state {
        State::Fine => "ok",
        State::Running => "running",
        State::HalfDone => "half updated",
        State::Exposed => "half updated, NOT paused",
        State::Unverified => "unverified",
        State::OnItsWay => "more updates pending",
        State::ToFinish => "to be finished",
        State::HalfFinished => "half finished",
        State::LeftPaused => "left paused",
        State::PausedByOther => "paused by other",
        State::OpsRequest => "ops request",
        State::Drift => "drift",
        State::NotReady => "not ready",
        State::Halted => "halted",
        State::Deleting => "deleting",
        State::Unknown => "unknown",
    }
}

/// The runs of one database, the last one first.
pub fn history(runs: &[RunStatus], view: View) -> String {
    if runs.is_empty() {
        return String::new();
    }
    let mut table = bare_table(&RUN_HEADER, view);
    for run in runs {
        table.add_row(run_cells(run));
    }
    let whys = runs.iter().filter(|run| !run.error.is_empty());
    let whys = whys.map(|run| view.hanging("", 2, &format!("{}: {}", clean(&run.run), clean(&run.error))));
    print(&table) + &whys.collect::<String>()
}

/// The runs of several databases, the last one first.
pub fn histories(runs: &[DatabaseRun], namespaces: bool, view: View) -> String {
    if runs.is_empty() {
        return String::new();
    }
    let whose = if namespaces { &["NAMESPACE", "KIND", "NAME"][..] } else { &["KIND", "NAME"] };
    let mut table = bare_table(&[whose, &RUN_HEADER].concat(), view);
    for DatabaseRun { kind, database, run } in runs {
        let namespace = namespaces.then(|| database.namespace.clone());
        let whose = namespace.into_iter().chain([kind.singular().to_owned(), database.name.clone()]);
        table.add_row(whose.chain(run_cells(run)));
    }
    print(&table)
}

const RUN_HEADER: [&str; 6] = ["RUN", "STARTED", "WHAT", "BY", "TOOK", "RESULT"];

fn run_cells(run: &RunStatus) -> [String; 6] {
    let took = run.took_ms.map_or_else(|| "-".to_owned(), words::duration);
    let began = run.began.split('.').next().unwrap_or_default().replace('T', " ");
    let by = std::iter::once(&run.who).chain(&run.resumed_by).map(|w| clean(w));
    let mut by: Vec<String> = by.collect();
    by.dedup();
    [clean(&run.run), clean(&began), goal(run), by.join(", "), took, came_to(run, "")]
}
