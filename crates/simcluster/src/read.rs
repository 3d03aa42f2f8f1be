//! Questions that controllers ask of objects: pointers, conditions, owners, selectors.

use serde_json::{Value, json};

use crate::object::{condition, map_mut, name, uid};

/// The text at a JSON pointer; empty when there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number at a JSON pointer.
pub(crate) fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// The list at a JSON pointer; empty when there is none.
pub(crate) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// `metadata.generation`, 0 when absent.
pub(crate) fn generation(object: &Value) -> i64 {
    number(object, "/metadata/generation").unwrap_or_default()
}

/// A label's value; empty when absent.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"]["labels"][key].as_str().unwrap_or_default()
}

/// The owner reference that has `controller: true`.
pub(crate) fn controller_of(object: &Value) -> Option<&Value> {
    list(object, "/metadata/ownerReferences").iter().find(|owner| owner["controller"] == true)
}

/// An owner reference to `owner`, as its controller.
pub(crate) fn controlled_by(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The status of a condition, such as `True`; empty when there is no such condition.
pub(crate) fn condition_status<'a>(object: &'a Value, kind: &str) -> &'a str {
    condition(object, kind).map_or("", |condition| text(condition, "/status"))
}

/// Sets a condition of a `status`, in place; the transition time moves only when the condition's status does.
pub(crate) fn set_condition(status: &mut Value, mut condition: Value, now: &str) {
    condition["lastTransitionTime"] = json!(now);
    let conditions = map_mut(status).entry("conditions").or_insert_with(|| json!([]));
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(conditions) = conditions.as_array_mut() else { return };
    let Some(old) = conditions.iter_mut().find(|old| old["type"] == condition["type"]) else {
        conditions.push(condition);
        return;
    };
    if old["status"] == condition["status"] {
        condition["lastTransitionTime"] = old["lastTransitionTime"].clone();
    }
    *old = condition;
}

/// Whether a pod runs and is Ready; a pod that terminates may still be.
pub(crate) fn is_ready(pod: &Value) -> bool {
    text(pod, "/status/phase") == "Running" && condition_status(pod, "Ready") == "True"
}

/// Whether a label selector (`matchLabels`, `matchExpressions`) selects an object. An empty one selects all.
pub(crate) fn selects(selector: &Value, object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    let wanted = selector["matchLabels"].as_object();
    let equal = wanted.is_none_or(|wanted| wanted.iter().all(|(key, value)| labels[key] == *value));
    equal && list(selector, "/matchExpressions").iter().all(|expression| fulfils(expression, labels))
}

fn fulfils(expression: &Value, labels: &Value) -> bool {
    let value = labels.get(text(expression, "/key"));
    let named = || value.is_some_and(|value| list(expression, "/values").contains(value));
    match text(expression, "/operator") {
        "In" => named(),
        "NotIn" => !named(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

/// The number behind an int-or-percent field, of `total`; percentages are rounded up.
pub(crate) fn scaled(value: &Value, total: i64) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    let percent: i64 = value.as_str()?.strip_suffix('%')?.parse().ok()?;
    Some(percent.saturating_mul(total).saturating_add(99).div_euclid(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_up() {
        assert_eq!(scaled(&json!(2), 5), Some(2));
        assert_eq!(scaled(&json!("50%"), 5), Some(3));
        assert_eq!(scaled(&json!("100%"), 3), Some(3));
        assert_eq!(scaled(&json!("many"), 3), None);
    }

    #[test]
    fn selectors_follow_every_operator() {
        let pod = json!({"metadata": {"labels": {"app": "a", "role": "broker"}}});
        let cases = [
            (json!({}), true),
            (json!({"matchLabels": {"app": "a"}}), true),
            (json!({"matchLabels": {"app": "a", "role": "x"}}), false),
            (json!({"matchExpressions": [{"key": "role", "operator": "In", "values": ["broker"]}]}), true),
            (
                json!({"matchExpressions": [{"key": "role", "operator": "NotIn", "values": ["broker"]}]}),
                false,
            ),
            (json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["x"]}]}), true),
            (json!({"matchExpressions": [{"key": "role", "operator": "Exists"}]}), true),
            (json!({"matchExpressions": [{"key": "role", "operator": "DoesNotExist"}]}), false),
        ];
        for (selector, expected) in cases {
            assert_eq!(selects(&selector, &pod), expected, "{selector}");
        }
    }

    #[test]
    fn a_transition_time_moves_with_the_status_only() {
        let mut status = json!({});
        set_condition(&mut status, json!({"type": "Ready", "status": "False"}), "t1");
        set_condition(&mut status, json!({"type": "Ready", "status": "False", "reason": "x"}), "t2");
        assert_eq!(
            status["conditions"][0],
            json!({"type": "Ready", "status": "False", "reason": "x", "lastTransitionTime": "t1"})
        );
        set_condition(&mut status, json!({"type": "Ready", "status": "True"}), "t3");
        assert_eq!(status["conditions"][0]["lastTransitionTime"], "t3");
    }
}
