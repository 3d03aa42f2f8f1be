//! What the schema of a custom resource demands beside types.

use serde_json::{Map, Value};

use super::conform::Mistake;
use super::{At, Keys, Object, Type};
use crate::error::Cause;

/// Required fields that are missing, texts that are no choice, and elements that are there twice.
pub(crate) fn check(schema: &Object, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Value::Object(map) = object {
        fields(schema, map, &At::ROOT, &mut causes);
    }
    causes
}

/// The causes of a refusal for a value of the wrong type in a custom resource.
pub(crate) fn causes_of(mistake: &Mistake) -> Vec<Cause> {
    let Mistake { at, wanted, found } = mistake;
    // In a status the path of the words begins below the status.
    let path = at.strip_prefix("status.").unwrap_or(at);
    let message = format!("Invalid value: \"{found}\": {path} in body must be of type {wanted}: \"{found}\"");
    let mut causes = vec![Cause::field("FieldValueTypeInvalid", at, message)];
    if *wanted == "integer" && found == "float64" {
        let message =
            format!("Invalid value: \"\": Checked value must be of type integer with format int32 in {path}");
        causes.push(Cause::field("FieldValueInvalid", "<nil>", message));
    }
    causes
}

fn fields(schema: &Object, map: &Map<String, Value>, at: &At<'_>, causes: &mut Vec<Cause>) {
    for field in schema.fields {
        let at = at.field(field.name);
        match map.get(field.name) {
            None | Some(Value::Null) if field.required => {
                causes.push(Cause::field("FieldValueRequired", &at.to_string(), "Required value"));
            }
            Some(value) => value_of(&field.kind, value, &at, causes),
            None => {}
        }
    }
}

fn value_of(kind: &Type, value: &Value, at: &At<'_>, causes: &mut Vec<Cause>) {
    match (kind, value) {
        (Type::Object(schema), Value::Object(map)) => fields(schema, map, at, causes),
        (Type::Map(kind), Value::Object(map)) => {
            map.iter().for_each(|(key, value)| value_of(kind, value, &at.field(key), causes));
        }
        (Type::List(kind, keys), Value::Array(list)) => {
            for (index, item) in list.iter().enumerate() {
                let at = at.index(index);
                value_of(kind, item, &at, causes);
                if let Keys::Fields(keys) = keys {
                    duplicate(keys, &list[..index], item, &at, causes);
                }
            }
        }
        (Type::Choice(choices), Value::String(found)) if !choices.contains(&found.as_str()) => {
            let known: Vec<String> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
            let message = format!("Unsupported value: \"{found}\": supported values: {}", known.join(", "));
            causes.push(Cause::field("FieldValueNotSupported", &at.to_string(), message));
        }
        _ => {}
    }
}

fn duplicate(keys: &[&str], before: &[Value], item: &Value, at: &At<'_>, causes: &mut Vec<Cause>) {
    let same = |other: &Value| keys.iter().all(|key| other[*key] == item[*key]);
    if before.iter().any(same) {
        let key: Map<String, Value> =
            keys.iter().map(|key| ((*key).to_owned(), item[*key].clone())).collect();
        let message = format!("Duplicate value: {}", Value::Object(key));
        causes.push(Cause::field("FieldValueDuplicate", &at.to_string(), message));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::find;
    use crate::schema;

    fn found(res: &str, version: &str, object: Value) -> Vec<(String, String)> {
        let schema = schema::of(find(res).expect("a resource"), version);
        check(schema, &object).into_iter().map(|cause| (cause.reason, cause.field)).collect()
    }

    #[test]
    fn a_custom_resource_needs_what_is_required_and_a_choice_that_is_known() {
        let one = |reason: &str, field: &str| vec![(reason.to_owned(), field.to_owned())];
        let zookeeper = |spec: Value| found("zookeepers.kubedb.com", "v1alpha2", json!({"spec": spec}));
        assert_eq!(zookeeper(json!({})), one("FieldValueRequired", "spec.version"));
        assert_eq!(zookeeper(json!({"version": "1"})), []);
        let unknown = zookeeper(json!({"version": "1", "deletionPolicy": "Nope"}));
        assert_eq!(unknown, one("FieldValueNotSupported", "spec.deletionPolicy"));
        let status =
            |version: &str, status: Value| found("kafkas.kubedb.com", version, json!({"status": status}));
        assert_eq!(status("v1", json!({"phase": "Halted"})), []);
        let old = status("v1alpha2", json!({"phase": "Halted"}));
        assert_eq!(old, one("FieldValueNotSupported", "status.phase"));
        let condition = status("v1", json!({"conditions": [{"type": "A", "status": "True"}]}));
        assert_eq!(condition, one("FieldValueRequired", "status.conditions[0].lastTransitionTime"));
        let containers = json!([{"name": "c"}, {"name": "c"}]);
        let set = json!({"spec": {"selector": {}, "serviceName": "s", "template": {"spec": {"containers": containers}}}});
        let twice = found("petsets.apps.k8s.appscode.com", "v1", set);
        assert_eq!(twice, one("FieldValueDuplicate", "spec.template.spec.containers[1]"));
    }
}
