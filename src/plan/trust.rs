//! How much of a journal is trusted. Anyone who may write ConfigMaps in the namespace can write it, without any
//! permission on the database. So it is only a proposal, which is compared with the catalog, the templates, the pods
//! and the database's own status.

use std::collections::BTreeSet;

use crate::journal::Entry;
use crate::model::{Check, Finding, Severity, Snapshot, VersionRef, WorkloadPlan, pinned, same_image};
use crate::steps::leftover::{fields, images_of};
use crate::steps::s1_pause;

use super::context::Context;

/// A version as the catalog describes it, whatever the journal says.
pub(super) fn version(snapshot: &Snapshot, named: &VersionRef) -> VersionRef {
    let version = snapshot.version(&named.name).map(|v| v.version.clone()).unwrap_or_default();
    VersionRef { name: named.name.clone(), version }
}

/// Our pause is there, and was written for an update between two versions other than these.
fn paused_for_another(snapshot: &Snapshot, ahead: &str, back: &str) -> bool {
    let ends = s1_pause::our(&snapshot.database).and_then(|(_, condition)| s1_pause::ends_of(condition));
    let these = BTreeSet::from([ahead, back]);
    ends.is_some_and(|(from, to)| BTreeSet::from([from, to]) != these)
}

/// What a rollback must not do only because the journal says so: set images that the catalog does not name for the
/// previous version and that are not in use now, or go to an unknown version.
pub(super) fn of_a_rollback(
    context: &Context<'_>,
    entry: &Entry,
    workloads: &[WorkloadPlan],
    ahead: &VersionRef,
) -> Vec<Finding> {
    let (snapshot, back) = (context.snapshot, &context.target.name);
    let mut found = versions(context, entry, ahead);
    if paused_for_another(snapshot, &ahead.name, back) {
        let message = format!(
            "{} is paused for a different update than the one in the journal, which is from {back} to {}",
            snapshot.database.object, ahead.name
        );
        found.push(context.refusal(Check::VersionRule, message, inspect_the_journal(snapshot)));
    }
    for workload in workloads {
        found.extend(images(context, workload));
    }
    found
}

fn versions(context: &Context<'_>, entry: &Entry, ahead: &VersionRef) -> Vec<Finding> {
    let snapshot = context.snapshot;
    let named = [&ahead.name, &context.target.name, &entry.run.before.version];
    let known = |name: &str| snapshot.database.version == name || snapshot.version(name).is_some();
    let unknown: BTreeSet<&String> =
        named.into_iter().filter(|name| !name.is_empty() && !known(name)).collect();
    let finding = |name: &String| {
        let message = format!(
            "the journal names version {name}, which is neither in the catalog nor spec.version of {}",
            snapshot.database.object
        );
        context.refusal(Check::VersionRule, message, inspect_the_journal(snapshot))
    };
    unknown.into_iter().map(finding).collect()
}

/// The images and the digests that only the journal knows.
fn images(context: &Context<'_>, planned: &WorkloadPlan) -> Vec<Finding> {
    let (snapshot, back) = (context.snapshot, &context.target.name);
    let Some(now) = snapshot.workload(&planned.object.uid) else { return Vec::new() };
    let written = planned.images.iter().map(|c| (c.container.as_str(), c.after.as_str()));
    let awaited = planned.added.iter().map(|a| (a.container.as_str(), a.image.as_str()));
    let check = |(container, image): (&str, &str)| {
        let catalog = snapshot.version(back);
        let named = || {
            catalog.into_iter().flat_map(|v| fields(snapshot, now, container).filter_map(|f| v.images.get(f)))
        };
        let there = || images_of(snapshot, now).filter(|(c, _)| *c == container).map(|(_, image)| image);
        let vouched = named().map(String::as_str).chain(there()).any(|i| same_image(i, image));
        let exactly = named().map(String::as_str).chain(there()).any(|i| i == image);
        let object = &planned.object;
        if !vouched {
            let message = format!(
                "{object}: container {container} would be rolled back to image {image}, which only the journal knows: the \
                 catalog has a different one for {back}, and neither the pod template nor a pod has it now"
            );
            let hint =
                format!("make sure that this was the previous image; {}", inspect_the_journal(snapshot));
            return Some(context.refusal(Check::Drift, message, hint));
        }
        let message = || {
            format!(
                "{object}: container {container} will be rolled back to {image}; only the journal knows that digest"
            )
        };
        (pinned(image) && !exactly).then(|| Finding::note(Check::PinnedImages, Severity::Warning, message()))
    };
    written.chain(awaited).filter_map(check).collect()
}

/// The commands to find out who has written the journal, and to continue without it.
fn inspect_the_journal(snapshot: &Snapshot) -> String {
    let db = &snapshot.database;
    let show = db.kind.show_journal(&db.object);
    format!(
        "inspect the journal: {show}; if none of your runs wrote it, delete it and update to the version you want"
    )
}

/// An automatic rollback is allowed: everything that it would set is confirmed.
pub fn vouched(plan: &crate::model::Plan) -> bool {
    plan.refusals().all(|f| !matches!(f.check, Check::Drift | Check::VersionRule))
}
