//! The pod templates of a database's workloads.

use serde_json::{Value, json};

use super::digest::{pinned, without_digest};
use super::kind::Kind;
use super::layout::{Member, pod_labels};
use crate::object;
use crate::read::{number, text};

/// The volume that hands an init container's files to the database.
const INIT_VOLUME: &str = "init-scripts";

/// The pod template of a workload of `database` on `version`.
pub(crate) fn render(kind: Kind, database: &Value, member: &Member, version: &Value, pin: bool) -> Value {
    let mut template = json!({
        "metadata": { "labels": pod_labels(kind, database, member) },
        "spec": {
            "serviceAccountName": object::name(database),
            "securityContext": { "fsGroup": run_as(version) },
            "containers": [main_container(kind, database, version)],
            "volumes": [{ "name": "data", "emptyDir": {} }],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
        },
    });
    conform(kind, version, &mut template, pin);
    template
}

/// Makes a template what `version` asks for: images, and init containers with their volume.
///
/// What the catalog knows nothing of is left alone, and an image that is right but for its digest stays.
pub(crate) fn conform(kind: Kind, version: &Value, template: &mut Value, pin: bool) {
    let wanted = kind.init_containers(version);
    object::map_mut(template);
    let spec = object::map_mut(&mut template["spec"]);
    let inits = spec.entry("initContainers").or_insert_with(|| json!([]));
    if let Some(inits) = inits.as_array_mut() {
        inits.retain(|init| {
            kind.image_field(text(init, "/name")).is_none() || wanted.contains(&text(init, "/name"))
        });
        for name in wanted {
            if !inits.iter().any(|init| init["name"] == *name) {
                inits.push(init_container(name, version));
            }
        }
        set_images(kind, version, inits, pin);
        if inits.is_empty() {
            spec.remove("initContainers");
        }
    }
    for container in conform_containers(kind, version, template, pin) {
        if container["name"] == kind.container() {
            entry(container, "volumeMounts", mount(), !wanted.is_empty());
        }
    }
    let volume = json!({ "name": INIT_VOLUME, "emptyDir": {} });
    entry(&mut template["spec"], "volumes", volume, !wanted.is_empty());
}

/// Sets the images of the containers proper, and gives those back.
pub(crate) fn conform_containers<'a>(
    kind: Kind,
    version: &Value,
    template: &'a mut Value,
    pin: bool,
) -> &'a mut [Value] {
    let containers = template.pointer_mut("/spec/containers").and_then(Value::as_array_mut);
    let containers = containers.map_or(Default::default(), Vec::as_mut_slice);
    set_images(kind, version, containers, pin);
    containers
}

/// Puts a named entry into a list of `object`, or takes it out.
fn entry(object: &mut Value, list: &str, item: Value, present: bool) {
    let object = object::map_mut(object);
    if !present && !object.contains_key(list) {
        return;
    }
    let Some(list) = object.entry(list).or_insert_with(|| json!([])).as_array_mut() else { return };
    let at = list.iter().position(|old| old["name"] == item["name"]);
    match (at, present) {
        (None, true) => list.push(item),
        (Some(at), false) => drop(list.remove(at)),
        _ => {}
    }
}

fn set_images(kind: Kind, version: &Value, containers: &mut [Value], pin: bool) {
    for container in containers {
        let wanted = kind.image_field(text(container, "/name")).map_or("", |field| text(version, field));
        let current = text(container, "/image");
        let right = without_digest(current) == wanted;
        if wanted.is_empty() || (right && !pin) {
            continue;
        }
        container["image"] = if pin { json!(pinned(wanted)) } else { json!(wanted) };
    }
}

fn main_container(kind: Kind, database: &Value, version: &Value) -> Value {
    json!({
        "name": kind.container(),
        "image": "",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{ "name": "db", "containerPort": kind.port(), "protocol": "TCP" }],
        "env": [{ "name": "CLUSTER_NAME", "value": object::name(database) }],
        "resources": { "limits": { "memory": "1Gi" }, "requests": { "cpu": "500m", "memory": "1Gi" } },
        "securityContext": { "runAsNonRoot": true, "runAsUser": run_as(version) },
        "volumeMounts": [{ "name": "data", "mountPath": "/var/data" }],
    })
}

fn init_container(name: &str, version: &Value) -> Value {
    json!({
        "name": name,
        "image": "",
        "imagePullPolicy": "IfNotPresent",
        "resources": { "limits": { "memory": "512Mi" }, "requests": { "cpu": "200m", "memory": "256Mi" } },
        "securityContext": { "runAsNonRoot": true, "runAsUser": run_as(version) },
        "volumeMounts": [mount()],
    })
}

fn mount() -> Value {
    json!({ "name": INIT_VOLUME, "mountPath": "/init-scripts" })
}

fn run_as(version: &Value) -> i64 {
    number(version, "/spec/securityContext/runAsUser").unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubedb::layout::members;
    use crate::read::list;
    use crate::world::catalog;

    fn rendered(kind: Kind, version: &str, pin: bool) -> Value {
        let database = json!({"metadata": {"name": "db"}, "spec": {"replicas": 3}});
        let version = catalog::version(kind, version).expect("a version of the catalog");
        render(kind, &database, &members(kind, &database)[0], &version, pin)
    }

    fn names<'a>(template: &'a Value, pointer: &str) -> Vec<&'a str> {
        list(template, pointer).iter().map(|item| text(item, "/name")).collect()
    }

    #[test]
    fn the_init_container_comes_and_goes_with_its_volume() {
        let mut template = rendered(Kind::Kafka, "3.9.0", false);
        let old = template.clone();
        assert!(names(&template, "/spec/initContainers").is_empty());
        conform(Kind::Kafka, &catalog::version(Kind::Kafka, "4.0.0").unwrap(), &mut template, false);
        assert_eq!(template, rendered(Kind::Kafka, "4.0.0", false));
        assert_eq!(names(&template, "/spec/initContainers"), ["kafka-init"]);
        assert_eq!(names(&template, "/spec/volumes"), ["data", INIT_VOLUME]);
        conform(Kind::Kafka, &catalog::version(Kind::Kafka, "3.9.0").unwrap(), &mut template, false);
        assert_eq!(template, old, "the template before is back, and so is its revision");
    }

    #[test]
    fn a_digest_is_kept_and_only_set_when_pinning() {
        let version = catalog::version(Kind::ZooKeeper, "3.8.3").unwrap();
        let mut template = rendered(Kind::ZooKeeper, "3.8.3", true);
        let pinned = template.clone();
        assert!(text(&template, "/spec/containers/0/image").contains("@sha256:"));
        conform(Kind::ZooKeeper, &version, &mut template, false);
        assert_eq!(template, pinned);
        let mut bare = rendered(Kind::ZooKeeper, "3.8.3", false);
        conform(Kind::ZooKeeper, &version, &mut bare, true);
        assert_eq!(bare, pinned);
    }

    #[test]
    fn sidecars_are_left_alone() {
        let mut template = rendered(Kind::Cassandra, "4.1.8", false);
        template["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "agent", "image": "x:1"}));
        conform(Kind::Cassandra, &catalog::version(Kind::Cassandra, "5.0.7").unwrap(), &mut template, false);
        assert_eq!(template["spec"]["containers"][1]["image"], "x:1");
        assert!(text(&template, "/spec/containers/0/image").ends_with(":5.0.7"));
    }
}
