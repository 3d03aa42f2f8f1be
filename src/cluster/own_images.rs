//! The images that a user has set in the pod templates of a database. The templates are in `spec` itself, below
//! `spec.topology`, or, for Cassandra, in a list of racks.

use serde_json::Value;

use crate::model::{OwnImage, clean};

/// Collects these images from the fields of `spec` that may hold pod templates.
pub(super) fn of(template: &Value, topology: &Value, cruise_control: &Value) -> Vec<OwnImage> {
    let mut found = Vec::new();
    in_template("spec.podTemplate", template, &mut found);
    below("spec.topology", topology, &mut found);
    below("spec.cruiseControl", cruise_control, &mut found);
    found
}

fn below(path: &str, value: &Value, found: &mut Vec<OwnImage>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            let path = format!("{path}.{}", clean(key));
            if key == "podTemplate" { in_template(&path, value, found) } else { below(&path, value, found) }
        }),
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
            let found = of(&template, &topology, &cruise);
            let shown: Vec<_> =
                found.iter().map(|o| format!("{} {} {}", o.path, o.container, o.image)).collect();
            assert_eq!(shown, expected);
        }
    }
}
