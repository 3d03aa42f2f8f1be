//! Namespaces: what each of them has from the start, and how they end.

use serde_json::{Value, json};

use super::Context;
use super::agenda::Work;
use crate::object;
use crate::resources::RESOURCES;
use crate::store::{Change, ChangeKind, DeleteOptions, NAMESPACES};

/// Notes what a change means for the namespace itself, or for the one that the object lived in.
pub(super) fn observe(context: &mut Context, change: &Change) {
    if change.res == NAMESPACES && change.kind != ChangeKind::Deleted {
        context.soon(Work::Namespace(change.name.clone()));
    } else if change.kind == ChangeKind::Deleted && ends(context, &change.namespace) {
        context.soon(Work::Namespace(change.namespace.clone()));
    }
}

fn ends(context: &Context, name: &str) -> bool {
    context.store.get(NAMESPACES, "", name).is_some_and(|namespace| object::is_terminating(&namespace))
}

/// The ServiceAccount that every namespace has.
pub(crate) fn account(namespace: &str) -> Value {
    json!({ "metadata": { "name": "default", "namespace": namespace } })
}

/// Gives a namespace its ServiceAccount; one that ends loses its content, and is gone when nothing is left in it.
pub(super) fn reconcile(context: &mut Context, name: &str) {
    let store = &context.store;
    if !ends(context, name) {
        if store.get(NAMESPACES, "", name).is_some() {
            // It is there already, as a rule.
            let _ = store.create("serviceaccounts", account(name));
        }
        return;
    }
    let mut left = false;
    for resource in RESOURCES.iter().filter(|resource| resource.namespaced) {
        for found in store.list(resource.name, Some(name)) {
            left = true;
            if !object::is_terminating(&found) {
                // Somebody else may have deleted it.
                let _ = store.delete(resource.name, name, object::name(&found), DeleteOptions::default());
            }
        }
    }
    // Whatever goes calls for another look.
    if !left {
        let _ = store.update(NAMESPACES, "", name, |namespace| namespace["spec"]["finalizers"] = Value::Null);
    }
}
