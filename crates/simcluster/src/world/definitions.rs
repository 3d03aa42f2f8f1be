//! The CustomResourceDefinitions of what the cluster serves beside its built-in kinds.

use serde_json::{Value, json};

use crate::resources::{RESOURCES, Resource};
use crate::store::Store;

const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Puts up a definition for each custom resource that every cluster with KubeDB has.
pub(super) fn install(store: &Store) {
    for resource in RESOURCES.iter().filter(|resource| resource.custom && !resource.optional) {
        // One that somebody has put up already stays as it is.
        let _ = store.create(DEFINITIONS, definition(resource));
    }
}

fn definition(resource: &Resource) -> Value {
    let names = json!({"plural": resource.plural(), "singular": resource.singular(), "kind": resource.kind,
        "listKind": format!("{}List", resource.kind), "shortNames": resource.short, "categories": resource.categories});
    let mut subresources = json!({});
    if resource.status {
        subresources["status"] = json!({});
    }
    if resource.scale {
        subresources["scale"] =
            json!({"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"});
    }
    let version = |(at, name): (usize, &&str)| {
        json!({"name": name, "served": true, "storage": at == 0,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
        "subresources": subresources})
    };
    let versions: Vec<Value> = resource.versions.iter().enumerate().map(version).collect();
    json!({
        "metadata": {"name": resource.name},
        "spec": {"group": resource.group(), "names": names, "versions": versions,
            "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
            "conversion": {"strategy": "None"}},
        "status": {"acceptedNames": names, "storedVersions": [resource.versions[0]], "conditions": [
            {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts"},
            {"type": "Established", "status": "True", "reason": "InitialNamesAccepted"}]},
    })
}
