//! Strategic merge patches: the lists of built-in kinds are merged by the key that their schema gives.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::schema::{Keys, Object, Type};

/// Merges `patch` into `base`: maps by key, lists by their elements' key where they have one, everything else replaced.
///
/// # Errors
/// 500 for an element without its key and for a directive that is none, as a real server answers.
pub(super) fn merge(schema: &'static Object, base: &mut Value, patch: &Value) -> Result<(), ApiError> {
    merge_value(&Type::Object(schema), base, patch)
}

fn merge_value(kind: &Type, base: &mut Value, patch: &Value) -> Result<(), ApiError> {
    let Value::Object(patch) = patch else {
        *base = patch.clone();
        return Ok(());
    };
    if !base.is_object() {
        *base = Value::Object(Map::new());
    }
    let Value::Object(base) = base else { return Ok(()) };
    match patch.get("$patch").and_then(Value::as_str) {
        None | Some("merge") => {}
        Some("replace") => {
            *base = patch.clone();
            base.remove("$patch");
            return Ok(());
        }
        Some(other) => return Err(refuse(&format!("unknown patch type: {other} in map"))),
    }
    for (key, value) in patch {
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            remove_elements(base, field, value);
        } else if key.starts_with('$') {
            // Orders and retained keys change nothing that this server keeps.
        } else if value.is_null() {
            base.remove(key);
        } else {
            merge_field(&kind.field(key), base.entry(key.as_str()).or_insert(Value::Null), value)?;
        }
    }
    Ok(())
}

fn refuse(why: &str) -> ApiError {
    ApiError::new(500, "", why)
}

fn merge_field(kind: &Type, base: &mut Value, patch: &Value) -> Result<(), ApiError> {
    let Value::Array(changes) = patch else { return merge_value(kind, base, patch) };
    if !base.is_array() {
        *base = Value::Array(Vec::new());
    }
    let Value::Array(list) = base else { return Ok(()) };
    let replace = changes.iter().any(|change| change["$patch"] == "replace");
    match kind {
        Type::List(_, Keys::Value) => {
            let new: Vec<Value> = changes.iter().filter(|change| !list.contains(change)).cloned().collect();
            list.extend(new);
        }
        Type::List(kind, Keys::Fields([key, ..])) if !replace => {
            for change in changes {
                merge_element(kind, list, key, change)?;
            }
        }
        _ => *list = changes.iter().filter(|change| change["$patch"] != "replace").cloned().collect(),
    }
    Ok(())
}

fn merge_element(kind: &Type, list: &mut Vec<Value>, key: &str, change: &Value) -> Result<(), ApiError> {
    if change[key].is_null() {
        return Err(refuse(&format!("map: {change} does not contain declared merge key: {key}")));
    }
    let at = list.iter().position(|element| element[key] == change[key]);
    match (at, change["$patch"] == "delete") {
        (Some(at), true) => drop(list.remove(at)),
        (Some(at), false) => merge_value(kind, &mut list[at], change)?,
        (None, true) => {}
        (None, false) => {
            let mut element = Value::Null;
            merge_value(kind, &mut element, change)?;
            list.push(element);
        }
    }
    Ok(())
}

fn remove_elements(base: &mut Map<String, Value>, field: &str, gone: &Value) {
    let gone = gone.as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(Value::Array(list)) = base.get_mut(field) {
        list.retain(|element| !gone.contains(element));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::resources::find;
    use crate::schema;

    /// The spec of a pod after a patch of it.
    fn merged(mut spec: Value, patch: Value) -> Result<Value, u16> {
        let mut pod = json!({"spec": spec.take()});
        let schema = schema::of(find("pods").expect("a resource"), "v1");
        match super::merge(schema, &mut pod, &json!({"spec": patch})) {
            Ok(()) => Ok(pod["spec"].take()),
            Err(error) => Err(error.code),
        }
    }

    #[test]
    fn containers_are_merged_by_name() {
        let spec = json!({"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]});
        let patch = json!({"$setElementOrder/containers": [{"name": "a"}],
            "containers": [{"name": "b", "image": "b:2"}, {"$patch": "delete", "name": "a"}]});
        assert_eq!(merged(spec.clone(), patch), Ok(json!({"containers": [{"name": "b", "image": "b:2"}]})));
        assert_eq!(merged(spec.clone(), json!({"containers": [{"image": "b:2"}]})), Err(500));
        assert_eq!(merged(spec, json!({"containers": [{"name": "b", "$patch": "nope"}]})), Err(500));
    }

    #[test]
    fn lists_without_a_key_are_replaced_and_nulls_remove() {
        let spec = json!({"containers": [{"name": "a", "command": ["a", "b"], "tty": true}]});
        let patch = json!({"containers": [{"name": "a", "command": ["c"], "tty": null}]});
        assert_eq!(merged(spec, patch), Ok(json!({"containers": [{"name": "a", "command": ["c"]}]})));
    }
}
