//! What the server makes of an object of its own accord, before it stores it: defaults, and what each kind begins with.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use super::NAMESPACES;
use crate::object;
use crate::read::list;
use crate::resources::Resource;
use crate::schema;
use crate::schema::defaults::complete;

/// Prepares a new object.
pub(super) fn prepare_new(resource: &Resource, object: &mut Value) {
    match resource.name {
        NAMESPACES => prepare_namespace(object),
        "pods" => begin_pod(object),
        "statefulsets.apps" if object["status"].is_null() => {
            object["status"] = json!({"replicas": 0, "availableReplicas": 0});
        }
        _ => {}
    }
    prepare_changed(resource, object);
}

/// Prepares an object whose spec has changed.
pub(super) fn prepare_changed(resource: &Resource, object: &mut Value) {
    if resource.name == "secrets" {
        encode_texts(object);
    }
    complete(schema::of(resource, resource.versions[0]), object, resource.custom);
}

/// Whether all that has changed of a pod is that it has got its node: that is no change of what is wanted.
pub(super) fn is_bound(resource: &Resource, current: &Value, next: &Value) -> bool {
    resource.name == "pods" && current["spec"]["nodeName"].is_null() && !next["spec"]["nodeName"].is_null()
}

/// A namespace is held by its content, and can be selected by its name.
fn prepare_namespace(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    let map = object::map_mut(object);
    map.insert("spec".into(), json!({"finalizers": ["kubernetes"]}));
    map.insert("status".into(), json!({"phase": "Active"}));
    let labels = object::metadata_mut(object).entry("labels").or_insert_with(|| json!({}));
    labels["kubernetes.io/metadata.name"] = name;
}

/// A pod waits for a node, and has a class by what it asks for.
fn begin_pod(pod: &mut Value) {
    let class = quality_of_service(&pod["spec"]);
    let status = object::map_mut(&mut pod["status"]);
    status.entry("phase").or_insert_with(|| json!("Pending"));
    status.entry("qosClass").or_insert_with(|| json!(class));
}

/// What a node may take from a pod when it runs short: `Guaranteed` asks for no more than it may have at most.
fn quality_of_service(spec: &Value) -> &'static str {
    let containers = || list(spec, "/containers").iter().chain(list(spec, "/initContainers"));
    let has = |container: &Value, kind: &str, what: &str| !container["resources"][kind][what].is_null();
    let asks = |container: &Value| {
        ["limits", "requests"]
            .iter()
            .any(|kind| ["cpu", "memory"].iter().any(|what| has(container, kind, what)))
    };
    let is_bounded = |container: &Value| {
        ["cpu", "memory"].iter().all(|what| {
            let resources = &container["resources"];
            let (limit, request) = (&resources["limits"][*what], &resources["requests"][*what]);
            !limit.is_null() && (request.is_null() || request == limit)
        })
    };
    if !containers().any(asks) {
        "BestEffort"
    } else if containers().all(is_bounded) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// A Secret takes texts, and keeps them as data.
fn encode_texts(secret: &mut Value) {
    let Some(Value::Object(texts)) = object::map_mut(secret).remove("stringData") else { return };
    let data = object::map_mut(object::map_mut(secret).entry("data").or_insert(Value::Null));
    for (key, value) in texts {
        data.insert(key, json!(BASE64_STANDARD.encode(value.as_str().unwrap_or_default())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_has_a_class_by_what_it_asks_for() {
        let class = |resources: Value| quality_of_service(&json!({"containers": [{"resources": resources}]}));
        let both = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(class(json!({})), "BestEffort");
        assert_eq!(class(json!({"requests": {"cpu": "1"}})), "Burstable");
        assert_eq!(class(json!({"limits": both, "requests": both})), "Guaranteed");
        assert_eq!(class(json!({"limits": both})), "Guaranteed");
    }
}
