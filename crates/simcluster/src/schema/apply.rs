//! Laying one object over another, as a server-side apply does.

use serde_json::{Map, Value};

use super::fields::element;
use super::{Keys, Object, Type};

/// Lays `top` over `base`: maps by their keys, lists whose elements can be told apart by their elements, everything else
/// whole.
pub(crate) fn lay(schema: &'static Object, base: &mut Value, top: &Value) {
    merge(&Type::Object(schema), base, top);
}

fn merge(kind: &Type, base: &mut Value, top: &Value) {
    match (kind, top) {
        (Type::Object(schema), _) if schema.atomic => *base = top.clone(),
        (Type::Object(_) | Type::Map(_) | Type::Any, Value::Object(top)) => merge_map(kind, base, top),
        (Type::List(kind, keys), Value::Array(top)) if *keys != Keys::None => {
            merge_list(kind, *keys, base, top);
        }
        _ => *base = top.clone(),
    }
}

fn merge_map(kind: &Type, base: &mut Value, top: &Map<String, Value>) {
    let base = crate::object::map_mut(base);
    for (key, value) in top {
        merge(&kind.field(key), base.entry(key.as_str()).or_insert(Value::Null), value);
    }
}

fn merge_list(kind: &Type, keys: Keys, base: &mut Value, top: &[Value]) {
    if !base.is_array() {
        *base = Value::Array(Vec::new());
    }
    let Value::Array(base) = base else { return };
    for item in top {
        let name = element(keys, item);
        match base.iter().position(|old| element(keys, old) == name) {
            Some(at) => merge(kind, &mut base[at], item),
            None => base.push(item.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::find;
    use crate::schema;

    #[test]
    fn lists_are_laid_over_by_their_keys() {
        let schema = schema::of(find("pods").expect("a resource"), "v1");
        let mut pod = json!({"spec": {"nodeSelector": {"a": "b"}, "containers": [
            {"name": "a", "image": "a:1", "command": ["x", "y"]}, {"name": "b", "image": "b:1"}]}});
        let top = json!({"spec": {"containers": [
            {"name": "b", "image": "b:2"}, {"name": "a", "command": ["z"]}, {"name": "c"}]}});
        lay(schema, &mut pod, &top);
        let containers = json!([{"name": "a", "image": "a:1", "command": ["z"]},
            {"name": "b", "image": "b:2"}, {"name": "c"}]);
        assert_eq!(pod, json!({"spec": {"nodeSelector": {"a": "b"}, "containers": containers}}));
    }
}
