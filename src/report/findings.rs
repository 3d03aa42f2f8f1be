//! The findings of the preflight and the answers to a server-side dry run, for a person to read.

use super::columns::{bare_table, print};
use super::layout::View;
use super::words;
use crate::model::{Finding, Plan, Purpose, Severity, Trial, clean, rules, verbs};

/// The findings by severity, and the path of updates where one step is not allowed.
pub(super) fn findings(plan: &Plan, view: View) -> String {
    let mut sections = Vec::new();
    for severity in [Severity::Refusal, Severity::Overridden, Severity::Warning, Severity::Info] {
        let of_it: Vec<&Finding> = plan.findings.iter().filter(|f| f.severity == severity).collect();
        if !of_it.is_empty() {
            sections.push(group(severity, &of_it, view));
        }
    }
    if !plan.missing.is_empty() {
        sections.push(missing(plan, view));
    }
    if !plan.path.is_empty() {
        let steps = view.paragraph("  ", &plan.path.join(" → "));
        sections.push(format!("{}\n{steps}", view.bold("Update path")));
    }
    sections.join("\n")
}

/// The permissions that are missing, and the rules that grant them.
fn missing(plan: &Plan, view: View) -> String {
    let mut table = bare_table(&["MISSING", "VERBS"], view);
    for ((group, resource), verbs) in verbs(&plan.missing) {
        table.add_row([words::resource(group, resource), verbs.join(", ")]);
    }
    let heading = view.bold(&format!("Rules for a Role in namespace {}", plan.database.namespace));
    let rules: String = rules(&plan.missing).lines().map(|line| format!("  {line}\n")).collect();
    format!("{}\n{heading}\n{rules}", print(&table))
}

fn group(severity: Severity, findings: &[&Finding], view: View) -> String {
    let heading = capital(words::severity(severity));
    let mut out = format!("{}\n", view.bold(&heading));
    for finding in findings {
        let name = format!("{}:", finding.check);
        let text = view.hanging("  ", 6, &format!("{name} {}", clean(&finding.message)));
        out.push_str(&text.replacen(&name, &mark(severity, &name, view), 1));
        if !finding.hint.is_empty() {
            out.push_str(&view.paragraph("    → ", &clean(&finding.hint)));
        }
        if let Some(flag) = words::flag(finding.check).filter(|_| severity == Severity::Refusal) {
            let text = format!("to override: {flag}");
            out.push_str(&view.paragraph("    → ", &text));
        }
    }
    out
}

fn mark(severity: Severity, name: &str, view: View) -> String {
    match severity {
        Severity::Refusal => view.bad(name),
        Severity::Overridden | Severity::Warning => view.warn(name),
        Severity::Info => view.dim(name),
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// What the API server answered to each write of the plan.
pub(super) fn trials(trials: &[Trial], view: View) -> String {
    let mut out = format!("{}\n", view.bold("Server-side dry run"));
    if trials.is_empty() {
        out.push_str("  nothing to try\n");
    }
    for trial in trials {
        let what = match trial.write {
            // That is said by what is tried.
            Purpose::Finish => clean(&trial.object),
            write => format!("{}, {}", clean(&trial.object), words::purpose(write)),
        };
        let (mark, painted, line) = match &trial.refused {
            Some(why) => ("✗", view.bad("✗"), format!("{what}: refused: {}", clean(why))),
            // A warning may be that this user would be refused, who is not the controller.
            None if trial.write == Purpose::Recreate && !trial.warnings.is_empty() => {
                ("!", view.warn("!"), format!("{what}: tried"))
            }
            None => ("✓", view.good("✓"), format!("{what}: accepted")),
        };
        let text = view.paragraph(&format!("  {mark} "), &line);
        out.push_str(&text.replacen(mark, &painted, 1));
        for warning in &trial.warnings {
            out.push_str(&view.paragraph("      ", &format!("warning: {}", clean(warning))));
        }
    }
    out
}
