//! The garbage collector: what nobody owns any more goes.

use serde_json::Value;

use super::Context;
use super::agenda::{Place, Work};
use super::index::{owners, place_of};
use crate::object;
use crate::read::{list, text};
use crate::store::{Change, ChangeKind, DeleteOptions};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// Notes what a change leaves to collect.
pub(super) fn observe(context: &mut Context, change: &Change) {
    let uid = object::uid(&change.object);
    if change.kind == ChangeKind::Deleted {
        context.soon(Work::Collect(uid.to_owned()));
        let waiting: Vec<Place> = list(&change.object, "/metadata/ownerReferences")
            .iter()
            .filter_map(|owner| owner_place(owner, &change.namespace))
            .collect();
        for place in waiting {
            context.soon(Work::Finalize(place));
        }
        return;
    }
    if change.kind == ChangeKind::Added {
        let absent: Vec<String> =
            owners(&change.object).filter(|owner| !context.index.lives(owner)).map(str::to_owned).collect();
        for owner in absent {
            context.soon(Work::Collect(owner));
        }
    }
    if object::is_terminating(&change.object) && object::has_finalizers(&change.object) {
        context.soon(Work::Finalize(place_of(change)));
    }
}

/// Deletes the dependents of an owner that is gone, unless another of their owners lives.
pub(super) fn collect(context: &mut Context, owner: &str) {
    // At the start a dependent may have been seen before its owner.
    if context.index.lives(owner) {
        return;
    }
    let dependents: Vec<Place> = context.index.dependents(owner).cloned().collect();
    for place in dependents {
        let Some(object) = context.store.get(&place.res, &place.namespace, &place.name) else { continue };
        if !owners(&object).any(|owner| context.index.lives(owner)) {
            delete(context, &place);
        }
    }
}

fn delete(context: &Context, place: &Place) {
    // Somebody else may have deleted it.
    let _ = context.store.delete(&place.res, &place.namespace, &place.name, DeleteOptions::default());
}

/// Goes on with a deletion that waits for its dependents: to be gone, or to be released.
pub(super) fn finalize(context: &mut Context, place: &Place) {
    let Some(owner) = context.store.get(&place.res, &place.namespace, &place.name) else { return };
    if !object::is_terminating(&owner) {
        return;
    }
    let dependents: Vec<Place> = context.index.dependents(object::uid(&owner)).cloned().collect();
    if has(&owner, ORPHAN) {
        for dependent in dependents {
            release(context, &dependent, object::uid(&owner));
        }
        drop_finalizer(context, place, ORPHAN);
    } else if has(&owner, FOREGROUND) {
        if dependents.is_empty() {
            drop_finalizer(context, place, FOREGROUND);
        }
        for dependent in dependents {
            delete(context, &dependent);
        }
    }
}

fn has(object: &Value, finalizer: &str) -> bool {
    list(object, "/metadata/finalizers").iter().any(|found| found == finalizer)
}

fn drop_finalizer(context: &Context, place: &Place, finalizer: &str) {
    let _ = context.store.update(&place.res, &place.namespace, &place.name, |object| {
        if let Some(list) = object.pointer_mut("/metadata/finalizers").and_then(Value::as_array_mut) {
            list.retain(|found| found != finalizer);
        }
    });
}

fn release(context: &Context, place: &Place, owner: &str) {
    let _ = context.store.update(&place.res, &place.namespace, &place.name, |object| {
        if let Some(list) = object.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut) {
            list.retain(|reference| text(reference, "/uid") != owner);
        }
    });
}

/// Where an owner is, when it is of a resource that the cluster has.
fn owner_place(owner: &Value, namespace: &str) -> Option<Place> {
    let api = text(owner, "/apiVersion");
    let group = api.split_once('/').map_or("", |(group, _)| group);
    let fits = |resource: &&crate::resources::Resource| {
        resource.kind == text(owner, "/kind")
            && resource.name.split_once('.').map_or("", |(_, group)| group) == group
    };
    let resource = crate::resources::RESOURCES.iter().find(fits)?;
    let namespace = if resource.namespaced { namespace } else { "" };
    Some(Place {
        res: resource.name.to_owned(),
        namespace: namespace.to_owned(),
        name: text(owner, "/name").to_owned(),
    })
}
