//! What becomes of the images in a workload's template, and what they say: sidecars, drift.

use crate::kinds::{Mapping, Shape};
use crate::model::{
    CatalogVersion, Check, Container, Finding, ImageChange, KeptContainer, KeptWhy, Severity, Workload,
    same_image,
};

use super::context::{Context, note};
use super::images;

/// The containers of a workload's template whose images are replaced, and those that stay.
pub(super) fn changes(context: &Context<'_>, workload: &Workload) -> (Vec<ImageChange>, Vec<KeptContainer>) {
    let shape = context.facts.shape(workload);
    let (mut images, mut kept) = (Vec::new(), Vec::new());
    for container in &workload.containers {
        let after =
            shape.and_then(|s| mapping(s, container)).and_then(|m| context.target.images.get(m.field));
        let keep = |why| KeptContainer {
            container: container.name.clone(),
            init: container.init,
            image: container.image.clone(),
            why,
        };
        match after {
            None => kept.push(keep(KeptWhy::Sidecar)),
            Some(after) if same_image(after, &container.image) => kept.push(keep(KeptWhy::AlreadyOnTarget)),
            Some(after) => images.push(ImageChange {
                container: container.name.clone(),
                init: container.init,
                index: container.index,
                now: container.image.clone(),
                after: images::replacement(context, &container.image, after),
            }),
        }
    }
    (images, kept)
}

fn mapping(shape: &Shape, container: &Container) -> Option<&'static Mapping> {
    shape.containers.iter().find(|m| m.container == container.name && m.init == container.init)
}

/// What the images of the templates say: sidecars, drift.
pub(super) fn findings(context: &Context<'_>, found: &mut Vec<Finding>) {
    for workload in &context.snapshot.workloads {
        let Some(shape) = context.facts.shape(workload) else { continue };
        drift(context, workload, shape, found);
        remarks(context, workload, shape, found);
    }
}

/// Images that are neither the current nor the target version's. When `spec.version` is the target already, the
/// version before is not known, and every image that the catalog names for the container will do.
fn drift(context: &Context<'_>, workload: &Workload, shape: &Shape, found: &mut Vec<Finding>) {
    let known = |field: &str, image: &str| {
        let of = |v: &CatalogVersion| v.images.get(field).is_some_and(|i| same_image(i, image));
        context.known_images.iter().any(|i| same_image(i, image))
            || context.current.is_none_or(of)
            || of(context.target)
            || context.on_target_version() && context.snapshot.catalog.iter().any(of)
    };
    let whose = if context.on_target_version() {
        "no version in the catalog".to_owned()
    } else {
        format!("neither {} nor {}", context.snapshot.database.version, context.target.name)
    };
    for c in &workload.containers {
        let Some((m, target)) =
            mapping(shape, c).and_then(|m| Some((m, context.target.images.get(m.field)?)))
        else {
            continue;
        };
        let has = format!("{}: container {} has image {}", workload.object, c.name, c.image);
        let (message, hint) = match images::own(context, c, target) {
            Some(own) => (
                format!("{has}, which {} of {} sets", own.path, context.snapshot.database.object),
                "the update would replace it with the version's image: remove it there first",
            ),
            None if known(m.field, &c.image) => continue,
            None => (
                format!("{has}, which {whose} uses"),
                "it was changed by hand, or another update was left unfinished",
            ),
        };
        found.push(context.refusal(Check::Drift, message, hint));
    }
}

fn remarks(context: &Context<'_>, workload: &Workload, shape: &Shape, found: &mut Vec<Finding>) {
    let (_, kept) = changes(context, workload);
    for k in &kept {
        let mapped = shape.containers.iter().any(|m| m.container == k.container && m.init == k.init);
        let (check, message) = match k.why {
            KeptWhy::Sidecar if mapped => continue,
            KeptWhy::Sidecar => (
                Check::Sidecar,
                format!(
                    "{}: container {} is not in the catalog: left unchanged",
                    workload.object, k.container
                ),
            ),
            KeptWhy::AlreadyOnTarget => (
                Check::AlreadyOnTarget,
                format!("{}: container {} already has the target's image", workload.object, k.container),
            ),
        };
        found.push(note(check, Severity::Info, message));
    }
}
