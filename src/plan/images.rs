//! The images that a plan sets: whether their registries have them, and what happens to templates that pin images to
//! digests. Part of the preflight.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Action, Check, Command, Container, Finding, ImageChange, ImageFound, Method, OwnImage, Plan, Severity,
    Snapshot, Strategy, UpdateStrategy, Workload, WorkloadPlan, pinned, registry, same_image,
};

use super::context::Context;

/// The images to look up in their registries before these plans are shown: those that the plans set. None if a plan is
/// refused for another reason, sets no image, or leads to a simulated version.
pub fn to_ask<'a>(snapshot: &Snapshot, plans: impl Iterator<Item = &'a Plan>) -> BTreeSet<String> {
    let hopeful = |plan: &&Plan| plan.refusals().all(|f| f.check == Check::PinnedRollingUpdate);
    let real = |plan: &&Plan| {
        matches!(plan.action, Action::Update | Action::Roll)
            && snapshot.version(&plan.to.name).is_none_or(|version| !version.simulated)
    };
    let planned = plans.take_while(hopeful).filter(real).flat_map(|plan| &plan.workloads);
    to_bring(planned).map(str::to_owned).collect()
}

/// The image that replaces another. If that one is pinned, the new one is pinned as well, provided that the registry
/// has told its digest: otherwise the operator would pin it when it is resumed, and every pod would count as outdated.
/// If the operator or the Ops-manager renders the template, it pins the images itself. An unfinished run keeps the
/// digests that it has already set, because the tag may have moved since, and a database must not run two builds of one
/// version.
pub fn replacement(context: &Context<'_>, now: &str, target: &str) -> String {
    if context.method != Method::Client || !pinned(now) || pinned(target) {
        return target.to_owned();
    }
    if let Some(brought) = context.pins.iter().find(|pin| same_image(pin, target) && brought(context, pin)) {
        return brought.clone();
    }
    match context.snapshot.environment.images.get(target) {
        Some(ImageFound::Exists { digest }) => format!("{target}@{digest}"),
        _ => target.to_owned(),
    }
}

/// A template or a pod has exactly that image. A digest that only the journal names is not trusted.
fn brought(context: &Context<'_>, pin: &str) -> bool {
    let snapshot = context.snapshot;
    snapshot.workloads.iter().flat_map(|w| &w.containers).any(|c| c.image == pin)
        || snapshot.pods.iter().flat_map(|p| &p.images).any(|(_, image)| image == pin)
}

/// The image that the user has set for a container in the database's own pod templates, if it differs from the
/// target's: the user wants it, whatever the catalog says.
pub fn own<'a>(context: &'a Context<'_>, container: &Container, target: &str) -> Option<&'a OwnImage> {
    let own = &context.snapshot.database.own_images;
    let is = |own: &&OwnImage| own.container == container.name && same_image(&own.image, &container.image);
    own.iter().find(is).filter(|_| !same_image(target, &container.image))
}

/// Every finding about the images.
pub fn findings(context: &Context<'_>, planned: &[WorkloadPlan], found: &mut Vec<Finding>) {
    missing(context, planned, found);
    unchecked(context, planned, found);
    if !context.on_target_version() && context.method == Method::Client {
        found.extend(planned.iter().filter_map(|workload| loses_its_pin(context, workload)));
    }
}

/// The images that these workloads will have and do not have yet.
fn to_bring<'a>(planned: impl IntoIterator<Item = &'a WorkloadPlan>) -> impl Iterator<Item = &'a str> {
    planned.into_iter().flat_map(|w| {
        let changed = w.images.iter().map(|change| change.after.as_str());
        changed.chain(w.added.iter().map(|added| added.image.as_str()))
    })
}

fn missing(context: &Context<'_>, planned: &[WorkloadPlan], found: &mut Vec<Finding>) {
    for image in to_bring(planned).collect::<BTreeSet<_>>() {
        let Some(ImageFound::Missing { why }) = context.snapshot.environment.images.get(image) else {
            continue;
        };
        let message = format!("image {image} of {} does not exist: {why}", context.target.name);
        let hint = format!(
            "check the version object: {}",
            Command::kubectl(["get", context.facts().version_plural, &context.target.name, "-o", "yaml"])
        );
        found.push(context.refusal(Check::ImageMissing, message, hint));
    }
}

/// One finding for each registry and reason.
fn unchecked(context: &Context<'_>, planned: &[WorkloadPlan], found: &mut Vec<Finding>) {
    let mut of: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for image in to_bring(planned).collect::<BTreeSet<_>>() {
        if let Some(ImageFound::Unknown { why }) = context.snapshot.environment.images.get(image) {
            of.entry((registry(image), why)).or_default().push(image);
        }
    }
    found.extend(of.into_iter().map(|((registry, why), images)| {
        Finding {
        hint: "a missing image will only show when the first pod cannot pull it; --digests keep-tags asks no registry"
            .to_owned(),
        ..Finding::note(
            Check::ImageUnchecked,
            Severity::Warning,
            format!("could not ask {registry} for {}: {why}", images.join(", ")),
        )
    }
    }));
}

/// A change that replaces a digest by a tag.
fn unpins(change: &ImageChange) -> bool {
    pinned(&change.now) && !pinned(&change.after)
}

/// Only this tool restarts the pods, so a digest that is pinned later only makes them look outdated. The finding is
/// less serious if no registry was asked, because the user has chosen that.
fn loses_its_pin(context: &Context<'_>, workload: &WorkloadPlan) -> Option<Finding> {
    let lost = workload.strategy == Strategy::Evict && workload.images.iter().any(unpins);
    let asked = !context.snapshot.environment.images.is_empty();
    lost.then(|| Finding {
        hint: "--via provisioner keeps the images pinned".to_owned(),
        ..Finding::note(
            Check::PinnedImages,
            if asked { Severity::Warning } else { Severity::Info },
            format!(
                "{} pins images to digests, and the new ones are tags: when the operator pins them after the resume, \
                 no pod is restarted, but every pod counts as outdated",
                workload.object
            ),
        )
    })
}

/// A workload's controller would restart its pods again when the operator pins the images in its template.
pub fn rolls_twice(context: &Context<'_>, workload: &Workload, planned: &[WorkloadPlan]) -> bool {
    let rolls = context.method == Method::Client && workload.strategy == UpdateStrategy::RollingUpdate;
    let plan = planned.iter().find(|plan| plan.object.uid == workload.object.uid);
    rolls && plan.is_some_and(|plan| plan.images.iter().any(unpins))
}
