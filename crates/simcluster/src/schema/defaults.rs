//! What an object holds that nobody has given it.

use serde_json::{Map, Value};

use super::{Object, Type};

/// Fills in the defaults of a schema, wherever their parents are there. A custom resource gets no more than what its
/// schema says itself.
pub(crate) fn complete(schema: &Object, object: &mut Value, custom: bool) {
    if let Value::Object(map) = object {
        fill(schema, map, custom);
    }
}

fn fill(schema: &Object, map: &mut Map<String, Value>, custom: bool) {
    for field in schema.fields {
        let default = field.default.as_ref().filter(|_| field.default_in_schema || !custom);
        if let Some(default) = default
            && !map.contains_key(field.name)
            && let Some(value) = default.value(map)
        {
            map.insert(field.name.to_owned(), value);
        }
        if let Some(value) = map.get_mut(field.name) {
            descend(&field.kind, value, custom);
        }
    }
}

fn descend(kind: &Type, value: &mut Value, custom: bool) {
    match (kind, value) {
        (Type::Object(schema), Value::Object(map)) => fill(schema, map, custom),
        (Type::Map(kind @ Type::Object(_)), Value::Object(map)) => {
            map.values_mut().for_each(|value| descend(kind, value, custom));
        }
        (Type::List(kind @ Type::Object(_), _), Value::Array(list)) => {
            list.iter_mut().for_each(|value| descend(kind, value, custom));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::find;
    use crate::schema;

    fn completed(res: &str, mut object: Value) -> Value {
        let resource = find(res).expect("a resource");
        complete(schema::of(resource, resource.versions[0]), &mut object, resource.custom);
        object
    }

    #[test]
    fn a_built_in_kind_is_filled_in_by_its_code() {
        let containers = json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b"}]);
        let set = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        let set = completed("statefulsets.apps", set);
        let spec = &set["spec"]["template"]["spec"];
        assert_eq!(
            set["spec"]["updateStrategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
        );
        assert_eq!(spec["dnsPolicy"], "ClusterFirst");
        assert_eq!(spec["containers"][0]["imagePullPolicy"], "IfNotPresent");
        assert_eq!(spec["containers"][1]["imagePullPolicy"], "Always");
        assert_eq!(spec.get("tolerations"), None, "that is left to the pods");
        let pod = completed("pods", json!({"spec": {"containers": []}}));
        assert_eq!(pod["spec"]["tolerations"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_custom_resource_is_filled_in_by_its_schema_alone() {
        let ports = json!([{"containerPort": 1}]);
        let set = json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "ports": ports}]}}}});
        let set = completed("petsets.apps.k8s.appscode.com", set);
        let expected = json!([{"name": "a", "ports": [{"containerPort": 1, "protocol": "TCP"}]}]);
        assert_eq!(set["spec"]["template"]["spec"], json!({"containers": expected}));
        let database = completed("zookeepers.kubedb.com", json!({"spec": {"version": "3.8.3"}}));
        let health = json!({"failureThreshold": 3, "periodSeconds": 20, "timeoutSeconds": 10});
        assert_eq!(
            database["spec"],
            json!({"version": "3.8.3", "adminServerPort": 8080, "clientSecurePort": 2182, "healthChecker": health})
        );
        assert_eq!(completed("zookeepers.kubedb.com", json!({})), json!({}), "a default makes no parent");
    }
}
