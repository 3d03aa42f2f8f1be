//! The permissions that an update needs and the user lacks, for a person to read.

use super::columns::{bare_table, print};
use super::layout::View;
use super::words;
use crate::model::{Auth, Check, Lacking, Rule, Weight, clean, verbs};

/// The missing permissions, required ones first, and the rules that grant them.
pub fn auth(auth: &Auth, view: View) -> String {
    let mut sections = vec![header(auth, view)];
    sections.extend(table(auth, view));
    sections.extend(costs(auth, view));
    let namespace = format!(
        "Rules for namespace {}: a Role, or a ClusterRole with a RoleBinding there",
        auth.database.namespace
    );
    sections.extend(rules(&namespace, &auth.rules.namespace, view));
    let cluster = "Rules for the whole cluster: a ClusterRole with a ClusterRoleBinding";
    sections.extend(rules(cluster, &auth.rules.cluster, view));
    sections.join("\n")
}

fn header(auth: &Auth, view: View) -> String {
    let (kind, database) = (auth.kind, &auth.database);
    let title = format!("{kind} {} in namespace {}", database.name, database.namespace);
    let verdict = match (auth.lacking.len(), auth.allowed) {
        (0, _) => format!("you have all {} permissions that an update needs", auth.asked),
        (lacking, true) => {
            format!(
                "you can update it; {lacking} of {} permissions are missing, but none is required",
                auth.asked
            )
        }
        (lacking, false) => {
            format!("an update would be refused: {lacking} of {} permissions are missing", auth.asked)
        }
    };
    let mut out = format!("{}\n{}", view.bold(&title), view.paragraph("", &verdict));
    if let Some(why) = &auth.unread {
        let note =
            format!("not everything could be read, so this is what any {kind} may need ({})", clean(why));
        out.push_str(&view.hanging("", 2, &note));
    }
    out
}

/// The permissions without which an update is refused.
fn table(auth: &Auth, view: View) -> Option<String> {
    let needed = of(auth, |weight| weight == Weight::Needed);
    let mut table = bare_table(&["NEEDED", "VERBS"], view);
    for ((group, resource), verbs) in verbs(needed.iter().map(|l| &l.permission)) {
        table.add_row([words::resource(group, resource), verbs.join(", ")]);
    }
    (!needed.is_empty()).then(|| print(&table))
}

/// The permissions that an update can do without, and what is lost without them.
fn costs(auth: &Auth, view: View) -> Option<String> {
    let mut lines = Vec::new();
    let journal = of(auth, |weight| weight == Weight::Journal);
    if !journal.is_empty() {
        let verbs: Vec<_> = journal.iter().map(|l| l.permission.verb.as_str()).collect();
        let flag = words::flag(Check::NoJournal).unwrap_or_default();
        lines.push(format!(
            "{} configmaps: no journal can be kept, so no rollback is possible; override with {flag}",
            verbs.join(", ")
        ));
    }
    for Lacking { permission, weight } in &auth.lacking {
        if let Weight::Spared(cost) = weight {
            lines.push(format!("{permission}: {cost}"));
        }
    }
    if lines.is_empty() {
        return None;
    }
    let lines: String = lines.iter().map(|line| view.hanging("  ", 4, line)).collect();
    Some(format!("{}\n{lines}", view.bold("Also missing")))
}

fn rules(heading: &str, rules: &[Rule], view: View) -> Option<String> {
    if rules.is_empty() {
        return None;
    }
    let rules: String = rules.iter().map(ToString::to_string).collect();
    let rules: String = rules.lines().map(|line| format!("  {line}\n")).collect();
    let heading: String = view.paragraph("", heading).lines().map(|l| view.bold(l) + "\n").collect();
    Some(format!("{heading}{rules}"))
}

fn of(auth: &Auth, is: impl Fn(Weight) -> bool) -> Vec<&Lacking> {
    auth.lacking.iter().filter(|lacking| is(lacking.weight)).collect()
}
