//! How a workload's template changes in an update to a version of the catalog, and what its images show: sidecars,
//! drift.

use crate::kinds::{Mapping, Shape};
use crate::model::{
    CatalogVersion, Check, Container, Finding, KeptWhy, Method, Severity, ShapeChange, Workload, pinned,
    same_image,
};

use super::context::Context;
use super::images;
use super::workload::{Becomes, Changes};

/// How a workload's template changes: the images of the target, the containers that the target lacks, and those that
/// only the target has.
pub(super) fn changes(context: &Context<'_>, workload: &Workload) -> Changes {
    let shape = context.facts().shape(workload);
    let image = |m: &Mapping| context.target.images.get(m.field);
    let lacks = |m: &&Mapping| {
        !m.optional && !workload.containers.iter().any(|c| c.name == m.container && c.init == m.init)
    };
    let lacking = shape.map_or(&[][..], |s| s.containers).iter().filter(lacks);
    let added = lacking.filter_map(|m| {
        let (container, image) = (m.container.to_owned(), image(m)?.clone());
        Some(ShapeChange { container, init: m.init, image })
    });
    let named = |container: &Container| shape.and_then(|s| s.mapping(container)).map(image);
    let another = |c: &Container| named(c).flatten().is_some_and(|after| !same_image(after, &c.image));
    // A template that is changed anyway gets the target's own spelling as well: otherwise the operator would bring it once it
    // is resumed, and every pod would count as outdated.
    let respells = context.method == Method::Client && workload.containers.iter().any(another);
    let spelled = |after: &str, now: &str| after == now || pinned(now) || !respells;
    Changes::of(workload, added.collect(), |container| match named(container) {
        None => Becomes::Sidecar,
        Some(None) => Becomes::Removed,
        Some(Some(after)) if same_image(after, &container.image) && spelled(after, &container.image) => {
            Becomes::OnTarget
        }
        Some(Some(after)) => Becomes::Image(images::replacement(context, &container.image, after)),
    })
}

/// The findings from the images of the templates: sidecars, drift.
pub(super) fn findings(context: &Context<'_>, found: &mut Vec<Finding>) {
    for workload in &context.snapshot.workloads {
        let Some(shape) = context.facts().shape(workload) else { continue };
        drift(context, workload, shape, found);
        remarks(context, workload, found);
    }
}

/// Images that belong neither to the current version nor to the target. If `spec.version` is the target already, the
/// previous version is not known, and any image that the catalog names for the container is accepted.
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
        let Some((m, target)) = shape.mapping(c).and_then(|m| Some((m, context.target.images.get(m.field)?)))
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

fn remarks(context: &Context<'_>, workload: &Workload, found: &mut Vec<Finding>) {
    for k in changes(context, workload).kept {
        let (check, message) = match k.why {
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
        found.push(Finding::note(check, Severity::Info, message));
    }
}
