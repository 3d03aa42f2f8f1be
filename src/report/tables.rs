//! The plan of an update, for a person to read.

use std::collections::BTreeSet;

use super::columns::{GAP, bare_table, print};
use super::layout::{View, break_image, short_digest};
use super::{findings, finish, health, words};
use crate::model::{Plan, PodAction, PodPlan, PrePull, Pull, Trial, WorkloadPlan, clean};

/// The whole plan: title, images, order, findings, and the answers to a server-side dry run if there was one.
pub fn plan(plan: &Plan, trials: Option<&[Trial]>, view: View) -> String {
    let mut sections = vec![header(plan, view)];
    if let Some(finish) = &plan.finish {
        sections.push(finish::steps(finish, view));
    } else if !plan.workloads.is_empty() {
        sections.push(images(plan, view));
        // What does not run has no order.
        if plan.refusals().next().is_none() {
            sections.push(order(plan, view));
            sections.extend(plan.health.as_ref().map(|health| {
                format!("{}\n{}", view.bold("What the database says"), health::members(health, view))
            }));
            sections.extend(plan.pre_pull.as_ref().map(|pre_pull| images_of_nodes(pre_pull, view)));
        }
    }
    sections.push(findings::findings(plan, view));
    sections.extend(trials.map(|t| findings::trials(t, view)));
    sections.push(conclusion(plan, trials, view));
    sections.retain(|s| !s.is_empty());
    sections.join("\n")
}

/// All updates of a multi-step update; the plan of the first one is shown below.
pub fn way(plans: &[&Plan], view: View) -> String {
    fn name<'a>(plan: &&'a Plan) -> &'a str {
        if plan.finish.is_some() { "finish" } else { &plan.to.name }
    }
    let mut names: Vec<&str> = plans
        .first()
        .map(|first| first.from.name.as_str())
        .into_iter()
        .chain(plans.iter().map(name))
        .collect();
    // A resumed update may have set its version already.
    names.dedup();
    let way = clean(&names.join(" → "));
    let updates = plans.iter().filter(|plan| plan.finish.is_none()).count() as u64;
    let text = match updates {
        0 | 1 => format!("the update is verified, then finished: {way}"),
        updates => {
            format!("{}, each verified before the next one starts: {way}", words::count(updates, "update"))
        }
    };
    view.paragraph("", &text) + "\n"
}

/// `Kafka my-kf in namespace default: 3.5.2 → 3.6.1`.
pub(super) fn title(plan: &Plan) -> String {
    let database = &plan.database;
    let (kind, name, namespace) = (plan.kind, &database.name, &database.namespace);
    let (from, to) = (&plan.from.name, &plan.to.name);
    if from == to {
        format!("{kind} {name} in namespace {namespace}: {to}")
    } else {
        format!("{kind} {name} in namespace {namespace}: {from} → {to}")
    }
}

/// How many pods will be restarted, in how many workloads.
pub(super) fn restarts(plan: &Plan) -> String {
    let moves = |p: &&PodPlan| !matches!(p.action, PodAction::Skip | PodAction::Await);
    let pods = plan.pods().filter(moves).count() as u64;
    let workloads = plan.workloads.iter().filter(|w| w.pods.iter().any(|p| moves(&p))).count() as u64;
    match pods {
        0 => "no pod will be restarted".to_owned(),
        1 => "1 pod will be restarted".to_owned(),
        _ => format!("{pods} pods in {} will be restarted", words::count(workloads, "workload")),
    }
}

fn header(plan: &Plan, view: View) -> String {
    let mut out = view.paragraph("", &title(plan));
    if view.color {
        out = format!("{}\n", view.bold(out.trim_end()));
    }
    if plan.refusals().next().is_none() {
        out.push_str(&view.paragraph("", words::action(plan)));
    }
    out
}

/// Whether the plan can run, and how many pods it will restart; and why not, in a line for each reason.
pub fn verdict(plan: &Plan, trials: Option<&[Trial]>, view: View) -> String {
    let title = format!("{}: ", title(plan));
    let refused = trials.into_iter().flatten().filter_map(|trial| trial.refused.as_deref());
    let checks = plan.refusals().map(|f| format!("{}: {}", f.check, f.message));
    let why = checks.chain(refused.map(|why| format!("the API server would reject it: {why}")));
    let why: String = why.map(|why| view.paragraph("  ", &clean(&why))).collect();
    view.paragraph(
        "",
        &format!("{title}{}", conclusion(plan, trials, View { color: false, ..view }).trim_end()),
    ) + &why
}

fn conclusion(plan: &Plan, trials: Option<&[Trial]>, view: View) -> String {
    let refused = plan.refusals().count() as u64;
    if refused > 0 {
        let text = format!("refused: {} failed", words::count(refused, "check"));
        return format!("{}\n", view.bad(&text));
    }
    let denied = trials.into_iter().flatten().filter(|t| t.refused.is_some()).count() as u64;
    if denied > 0 {
        let text = match plan.finish.is_some() {
            true => format!("refused: the database would refuse {}", words::count(denied, "step")),
            false => format!("refused: the API server would reject {}", words::count(denied, "write")),
        };
        return format!("{}\n", view.bad(&text));
    }
    let text = match &plan.finish {
        Some(finish) => finish::conclusion(plan, finish),
        None => restarts(plan),
    };
    format!("{}\n", view.bold(&format!("{text}.")))
}

/// One container of one workload, with its image before and after.
struct ImageRow {
    container: String,
    now: String,
    after: Result<String, &'static str>,
}

fn image_rows(workload: &WorkloadPlan, view: View) -> Vec<ImageRow> {
    let shown = |image: &str| {
        if view.narrow_lists() { short_digest(image) } else { image.to_owned() }
    };
    let named = |name: &str, init: bool| {
        if init { format!("{name} (init)") } else { name.to_owned() }
    };
    let changed = workload.images.iter().map(|c| ImageRow {
        container: named(&c.container, c.init),
        now: shown(&c.now),
        after: Ok(shown(&c.after)),
    });
    let kept = workload.kept.iter().map(|k| ImageRow {
        container: named(&k.container, k.init),
        now: shown(&k.image),
        after: Err(words::kept(k.why)),
    });
    let removed = workload.removed.iter().map(|r| ImageRow {
        container: named(&r.container, r.init),
        now: shown(&r.image),
        after: Err("removed: the target has no such container"),
    });
    let added = workload.added.iter().map(|a| ImageRow {
        container: named(&a.container, a.init),
        now: "(none)".to_owned(),
        after: Ok(shown(&a.image)),
    });
    changed.chain(kept).chain(removed).chain(added).collect()
}

/// Four columns where every image fits on a line; otherwise the two images stand one above the other.
fn images(plan: &Plan, view: View) -> String {
    let rows: Vec<(String, Vec<ImageRow>)> =
        plan.workloads.iter().map(|w| (w.object.to_string(), image_rows(w, view))).collect();
    let mut table = bare_table(&["WORKLOAD", "CONTAINER", "IMAGE NOW", "IMAGE AFTER"], view);
    for (workload, containers) in &rows {
        for (i, row) in containers.iter().enumerate() {
            let workload = if i == 0 { workload.as_str() } else { "" };
            let after = row.after.as_ref().map_or_else(|why| *why, String::as_str);
            table.add_row([workload, &row.container, &row.now, after]);
        }
    }
    let wide = table.column_max_content_widths();
    let needed = wide.iter().map(|w| usize::from(*w) + GAP).sum::<usize>() - GAP;
    match view.columns() {
        Some(columns) if needed > columns => stacked_images(&rows, columns, view),
        _ => print(&table),
    }
}

/// The images stand beside the names of their containers where all of them fit, and otherwise below.
fn stacked_images(rows: &[(String, Vec<ImageRow>)], columns: usize, view: View) -> String {
    let all = || rows.iter().flat_map(|(_, containers)| containers);
    let wide = |image: &String| image.chars().count();
    let widest = all().flat_map(|c| c.after.iter().chain([&c.now])).map(wide).max().unwrap_or(0);
    let beside = all().map(|c| c.container.chars().count()).max().unwrap_or(0) + 4;
    let label = if beside + 2 + widest <= columns { beside } else { 4 };
    let room = columns.saturating_sub(label + 2);
    let mut out = String::new();
    for (workload, containers) in rows {
        out.push_str(&view.paragraph("", workload));
        for row in containers {
            let after = match &row.after {
                Ok(image) => break_image(image, room),
                Err(why) => super::layout::wrap(why, Some(room)),
            };
            let mark = if row.after.is_ok() { "→ " } else { "  " };
            let now = first_then(&break_image(&row.now, room), "  ", "  ");
            let mut name = row.container.as_str();
            if label < beside {
                out.push_str(&format!("  {name}\n"));
                name = "";
            }
            for line in now.into_iter().chain(first_then(&after, mark, "  ")) {
                let text = format!("  {name:width$}{line}", width = label - 2);
                out.push_str(text.trim_end());
                out.push('\n');
                name = "";
            }
        }
    }
    format!("{}\n{out}", view.bold("Images, now → after"))
}

fn first_then(lines: &[String], first: &str, then: &str) -> Vec<String> {
    let marked = |(i, line)| format!("{}{line}", if i == 0 { first } else { then });
    lines.iter().enumerate().map(marked).collect()
}

fn order(plan: &Plan, view: View) -> String {
    let mut out = format!("{}\n", view.bold("Order"));
    for (i, workload) in plan.workloads.iter().enumerate() {
        let first = format!("{:>3}. ", i + 1);
        out.push_str(&view.paragraph(&first, &workload_line(workload)));
        if workload.replicas == 1 && workload.pods.iter().any(|p| p.action != PodAction::Skip) {
            let away = "one replica: unavailable while it restarts";
            out.push_str(&view.warning("     ", away));
        }
        out.push_str(&pods(&workload.pods, view));
    }
    out
}

/// Which node downloads which image first, image by image.
fn images_of_nodes(pre_pull: &PrePull, view: View) -> String {
    let mut out = format!("{}\n", view.bold("Downloads before anything is changed"));
    let all = || pre_pull.pulls.iter().chain(&pre_pull.present);
    let images: BTreeSet<&str> = all().map(|pull| pull.image.as_str()).collect();
    for image in images {
        let nodes = |pulls: &[Pull]| {
            let nodes: Vec<_> = pulls.iter().filter(|p| p.image == image).map(|p| p.node.as_str()).collect();
            nodes.join(", ")
        };
        let shown = if view.narrow_lists() { short_digest(image) } else { image.to_owned() };
        let line = match (nodes(&pre_pull.pulls), nodes(&pre_pull.present)) {
            (to, there) if there.is_empty() => format!("{shown}: to {to}"),
            (to, there) if to.is_empty() => format!("{shown}: already on {there}"),
            (to, there) => format!("{shown}: to {to}; already on {there}"),
        };
        out.push_str(&view.hanging("  ", 4, &line));
    }
    out
}

fn workload_line(workload: &WorkloadPlan) -> String {
    let mut line = workload.object.to_string();
    if !workload.role.is_empty() {
        line.push_str(&format!(" ({})", workload.role));
    }
    line.push_str(&format!(
        ": {}, {}",
        words::count(workload.pods.len() as u64, "pod"),
        words::strategy(workload)
    ));
    if workload.min_ready_seconds > 0 {
        let ready = words::seconds(workload.min_ready_seconds.unsigned_abs());
        line.push_str(&format!(", each Ready for {ready} before the next"));
    }
    line
}

// With these a workload of a common size is shown whole, and a hundred workloads still scroll by.
const SHOWN: usize = 8;

/// The pods in their order. Neighbours for which the same is to be said share a line. Of a long list on a terminal, only
/// the beginning and the end are shown.
fn pods(pods: &[PodPlan], view: View) -> String {
    const HEAD: usize = 5;
    let lines = pod_lines(pods, view.narrow_lists());
    let cut = if view.narrow_lists() && lines.len() > SHOWN { lines.len() - HEAD - 1 } else { 0 };
    let mut out = String::new();
    for (i, (pods, what)) in lines.iter().enumerate() {
        if cut > 0 && i == HEAD {
            out.push_str(&format!("     … {cut} more\n"));
        }
        if cut == 0 || i < HEAD || i >= HEAD + cut {
            out.push_str(&view.hanging("     ", 7, &format!("{pods}: {what}")));
        }
    }
    out
}

fn pod_lines(pods: &[PodPlan], short: bool) -> Vec<(String, String)> {
    let same = |a: &PodPlan, b: &PodPlan| a.action == b.action && a.waits_for == b.waits_for;
    let mut lines = Vec::new();
    for group in pods.chunk_by(same) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let names = match group.len() {
            n if short && n > SHOWN => format!("{} … {} ({n} pods)", first.name, last.name),
            _ => group.iter().map(|pod| pod.name.as_str()).collect::<Vec<_>>().join(", "),
        };
        let mut what = words::pod_action(first.action).to_owned();
        if first.action == PodAction::Skip {
            what.push_str(", already on the target");
        } else if !first.waits_for.is_empty() {
            what.push_str(&words::waits_for(first.action, &first.waits_for));
        }
        lines.push((names, what));
    }
    lines
}
