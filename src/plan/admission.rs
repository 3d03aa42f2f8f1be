//! What admission does to the pods of the database, as today's pods show it. Part of the preflight.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Check, Finding, Rewriting, Rewritten, Severity, WorkloadPlan};

/// One finding for the whole database: an update must not be surprised by what has always been so.
pub fn findings(planned: &[WorkloadPlan], found: &mut Vec<Finding>) {
    let all: BTreeSet<&Rewriting> = planned.iter().flat_map(|w| &w.rewriting).collect();
    if all.is_empty() {
        return;
    }
    // A container whose image admission replaces altogether may not change with the template at all.
    let replaced = all.iter().any(|r| matches!(r.how, Rewritten::Other { .. }));
    let severity = if replaced { Severity::Warning } else { Severity::Info };
    found.push(Finding {
        hint: "a pod counts as updated when it is on the new revision of its workload and Ready; what then differs in another \
               way is reported"
            .to_owned(),
        ..Finding::note(
            Check::PodsRewritten,
            severity,
            format!("pods differ from their templates, as admission rewrites them: {}", in_words(&all)),
        )
    });
}

/// Containers with the same rewriting are named together.
fn in_words(all: &BTreeSet<&Rewriting>) -> String {
    let mut of: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for Rewriting { container, how } in all {
        of.entry(how_in_words(how)).or_default().push(container);
    }
    let part = |(how, mut containers): (String, Vec<&str>)| {
        containers.dedup();
        format!("{}: {how}", containers.join(", "))
    };
    of.into_iter().map(part).collect::<Vec<_>>().join("; ")
}

fn how_in_words(how: &Rewritten) -> String {
    match how {
        Rewritten::Elsewhere { from, to } if from.is_empty() => format!("image from the mirror {to}"),
        Rewritten::Elsewhere { from, to } => format!("image from {to} instead of {from}"),
        Rewritten::Digest => "image pinned to a digest".to_owned(),
        Rewritten::Other { asked, found } => format!("image {found} instead of {asked}"),
        Rewritten::Added { image } => format!("added ({image})"),
        Rewritten::Removed => "removed".to_owned(),
    }
}
