//! Strategic merge patches, for the lists of built-in kinds that have a key.

use serde_json::{Map, Value};

/// Merges `patch` into `base`: maps by key, lists of known fields by their elements' key, everything else replaced.
pub(super) fn merge(base: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *base = patch.clone();
        return;
    };
    if !base.is_object() {
        *base = Value::Object(Map::new());
    }
    let Value::Object(base) = base else { return };
    if patch.get("$patch").is_some_and(|directive| directive == "replace") {
        *base = patch.clone();
        base.remove("$patch");
        return;
    }
    for (key, value) in patch {
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            remove_elements(base, field, value);
        } else if key.starts_with('$') {
            // Orders and retained keys change nothing that this server keeps.
        } else if value.is_null() {
            base.remove(key);
        } else {
            merge_field(base.entry(key.as_str()).or_insert(Value::Null), key, value);
        }
    }
}

fn merge_field(base: &mut Value, field: &str, patch: &Value) {
    let Value::Array(changes) = patch else { return merge(base, patch) };
    if !base.is_array() {
        *base = Value::Array(Vec::new());
    }
    let Value::Array(list) = base else { return };
    if field == "finalizers" {
        let new: Vec<Value> = changes.iter().filter(|change| !list.contains(change)).cloned().collect();
        list.extend(new);
        return;
    }
    let replace = changes.iter().any(|change| change["$patch"] == "replace");
    let Some(key) = merge_key(field, changes).filter(|_| !replace) else {
        *list = changes.iter().filter(|change| change["$patch"] != "replace").cloned().collect();
        return;
    };
    for change in changes {
        merge_element(list, key, change);
    }
}

fn merge_element(list: &mut Vec<Value>, key: &str, change: &Value) {
    let at = list.iter().position(|element| element[key] == change[key]);
    match (at, change["$patch"] == "delete") {
        (Some(at), true) => drop(list.remove(at)),
        (Some(at), false) => merge(&mut list[at], change),
        (None, true) => {}
        (None, false) => {
            let mut element = Value::Null;
            merge(&mut element, change);
            list.push(element);
        }
    }
}

fn remove_elements(base: &mut Map<String, Value>, field: &str, gone: &Value) {
    let gone = gone.as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(Value::Array(list)) = base.get_mut(field) {
        list.retain(|element| !gone.contains(element));
    }
}

/// The key by which the elements of a list field are told apart; `None` for lists that are replaced.
fn merge_key(field: &str, elements: &[Value]) -> Option<&'static str> {
    let key = match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "secrets" => "name",
        "conditions" | "addresses" => "type",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "ownerReferences" => "uid",
        "hostAliases" | "podIPs" => "ip",
        "topologySpreadConstraints" => "topologyKey",
        "taints" => "key",
        // Ports of a container and of a service have different keys.
        "ports" if elements.iter().all(|port| !port["containerPort"].is_null()) => "containerPort",
        "ports" => "port",
        _ => return None,
    };
    elements.iter().all(Value::is_object).then_some(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::merge;

    #[test]
    fn containers_are_merged_by_name() {
        let mut spec = json!({"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]});
        merge(
            &mut spec,
            &json!({"$setElementOrder/containers": [{"name": "a"}],
            "containers": [{"name": "b", "image": "b:2"}, {"$patch": "delete", "name": "a"}]}),
        );
        assert_eq!(spec, json!({"containers": [{"name": "b", "image": "b:2"}]}));
    }

    #[test]
    fn lists_without_a_key_are_replaced_and_nulls_remove() {
        let mut spec = json!({"command": ["a", "b"], "paused": true});
        merge(&mut spec, &json!({"command": ["c"], "paused": null}));
        assert_eq!(spec, json!({"command": ["c"]}));
    }
}
