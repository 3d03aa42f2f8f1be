//! The images that a user has set in the pod templates of a database. A field of its `spec` is such a template, or holds
//! one for each kind of node, or a list of them.

use serde_json::{Map, Value};

use crate::model::{OwnImage, clean};

/// Collects these images from the fields of `spec` that may hold pod templates.
pub(super) fn of(spec: &Map<String, Value>, fields: &[&str]) -> Vec<OwnImage> {
    let mut found = Vec::new();
    for field in fields {
        if let Some(value) = spec.get(*field) {
            in_field("spec", field, value, &mut found);
        }
    }
    found
}

fn in_field(path: &str, key: &str, value: &Value, found: &mut Vec<OwnImage>) {
    let path = format!("{path}.{}", clean(key));
    if key == "podTemplate" { in_template(&path, value, found) } else { below(&path, value, found) }
}

fn below(path: &str, value: &Value, found: &mut Vec<OwnImage>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| in_field(path, key, value, found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| below(&format!("{path}[{at}]"), item, found));
        }
        _ => {}
    }
}

fn in_template(path: &str, template: &Value, found: &mut Vec<OwnImage>) {
    for list in ["containers", "initContainers"] {
        let containers = template["spec"][list].as_array().into_iter().flatten();
        for (at, container) in containers.enumerate() {
            let text = |field: &str| clean(container[field].as_str().unwrap_or_default());
            let (name, image) = (text("name"), text("image"));
            if !name.is_empty() && !image.is_empty() {
                let path = format!("{path}.spec.{list}[{at}].image");
                found.push(OwnImage { path, container: name, image });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_pod_template_is_looked_into() {
        let template =
            |name: &str, image: &str| json!({"spec": {"containers": [{"name": name, "image": image}]}});
        let inits = json!({"spec": {
            "containers": [{"name": "kafka"}, {"name": "agent", "image": "agent:1"}],
            "initContainers": [{"name": "kafka-init", "image": "init:1"}, {"image": "nameless:1"}, 7],
        }});
        let racks =
            json!({"rack": [{"name": "r0"}, {"name": "r1", "podTemplate": template("cassandra", "cas:1")}]});
        let nodes = json!({
            "broker": {"replicas": 3, "podTemplate": template("kafka", "kafka:1")},
            "controller": {"podTemplate": {"metadata": {"labels": {"a": "b"}}}},
        });
        let cruise = json!({"podTemplate": template("cruise-control", "cc:1")});
        // A field that is not among the known facts.
        let elsewhere = template("exporter", "exporter:1");
        let agent = "spec.podTemplate.spec.containers[1].image agent agent:1";
        let init = "spec.podTemplate.spec.initContainers[0].image kafka-init init:1";
        for (template, topology, cruise, expected) in [
            (Value::Null, Value::Null, Value::Null, vec![]),
            (json!("odd"), json!([1, "x"]), json!(true), vec![]),
            (inits, Value::Null, Value::Null, vec![agent, init]),
            (
                Value::Null,
                racks,
                Value::Null,
                vec!["spec.topology.rack[1].podTemplate.spec.containers[0].image cassandra cas:1"],
            ),
            (
                Value::Null,
                nodes,
                cruise,
                vec![
                    "spec.topology.broker.podTemplate.spec.containers[0].image kafka kafka:1",
                    "spec.cruiseControl.podTemplate.spec.containers[0].image cruise-control cc:1",
                ],
            ),
        ] {
            let spec = Map::from_iter([
                ("podTemplate".to_owned(), template),
                ("topology".to_owned(), topology),
                ("cruiseControl".to_owned(), cruise),
                ("monitor".to_owned(), json!({"podTemplate": elsewhere.clone()})),
            ]);
            let found = of(&spec, &["podTemplate", "topology", "cruiseControl"]);
            let shown: Vec<_> =
                found.iter().map(|o| format!("{} {} {}", o.path, o.container, o.image)).collect();
            assert_eq!(shown, expected);
        }
    }
}
