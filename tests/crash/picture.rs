//! The whole store, as far as two runs can leave it alike.

use std::collections::BTreeMap;

use serde_json::Value;
use simcluster::{RESOURCES, object};

use crate::common::{LEASES, NAMESPACE, World, secs, text};

/// Longer than anything that a controller still has to do after a run: the health check comes every ten seconds.
const SETTLE: u64 = 30;

/// Every object of a cluster, and the middleManagers that are disabled, which no object shows; less what differs between two
/// runs that have done the same:
///
/// - resource versions, managed fields and times, which tell when something was done, not what;
/// - the uids of objects that were made after the database, and the addresses and ids that a node gives a pod: a pod
///   that was restarted is another one;
/// - of a Deployment's pods the part of the name that is drawn by lot, and the node, which is drawn by the name;
/// - the images that nodes have downloaded, which stay there;
/// - the journal and the Events, which tell how it came about;
/// - leases: a lock that a dead process has left is not part of the database. Tests ask for it by itself.
#[derive(Clone, PartialEq)]
pub struct Picture(BTreeMap<String, Value>);

impl Picture {
    /// Waits until the controllers have nothing more to do, and looks.
    pub async fn of(world: &World) -> Self {
        tokio::time::sleep(secs(SETTLE)).await;
        let mut objects = BTreeMap::new();
        for resource in RESOURCES.iter().filter(|r| !["events", LEASES].contains(&r.name)) {
            for object in world.store().list(resource.name, None) {
                if object["metadata"]["labels"]["kubectl-dbupdate/journal"].is_string() {
                    continue;
                }
                let mut object = (*object).clone();
                let name = known_name(&object);
                object["metadata"]["name"] = name.clone().into();
                strip(&mut object);
                objects.insert(format!("{} {name}", resource.name), object);
            }
        }
        let disabled = world.sim.databases().disabled(NAMESPACE, &world.name);
        objects.insert("middleManagers that take no new tasks".to_owned(), disabled.into());
        Picture(objects)
    }

    /// The same, less what tells how often something was changed, and less the templates of which nothing is left but the
    /// memory: a rollback cannot and need not undo that.
    pub fn regardless_of_the_way(mut self) -> Self {
        let remembered = |name: &str, object: &Value| {
            name.starts_with("controllerrevisions.")
                || (name.starts_with("replicasets.") && object["spec"]["replicas"] == 0)
        };
        self.0.retain(|name, object| !remembered(name, object));
        for object in self.0.values_mut() {
            forget(object, &["generation", "observedGeneration", "deployment.kubernetes.io/revision"]);
        }
        self
    }

    /// What is different in the other one, one line for each field.
    pub fn differences(&self, other: &Picture) -> Vec<String> {
        let mut lines = Vec::new();
        let names: std::collections::BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        for name in names {
            match (self.0.get(name), other.0.get(name)) {
                (Some(one), Some(two)) => differ(name, one, two, &mut lines),
                (Some(_), None) => lines.push(format!("{name}: is not there")),
                (None, _) => lines.push(format!("{name}: is there as well")),
            }
        }
        lines
    }

    /// The other one is the same.
    pub fn equals(&self, other: &Picture, when: &str) {
        let differences = self.differences(other);
        assert!(differences.is_empty(), "{when}: {differences:#?}");
    }
}

/// The name of an object, without what is drawn by lot.
fn known_name(object: &Value) -> String {
    let name = object::name(object);
    match name.rsplit_once('-').filter(|_| drawn_by_lot(object)) {
        Some((known, _)) => known.to_owned(),
        None => name.to_owned(),
    }
}

/// A pod of a Deployment.
fn drawn_by_lot(object: &Value) -> bool {
    text(object, "/metadata/ownerReferences/0/kind") == "ReplicaSet"
}

fn strip(object: &mut Value) {
    let made_later = ["Pod", "ControllerRevision", "ReplicaSet"].contains(&text(object, "/kind"));
    if made_later {
        forget(object, &["uid"]);
    }
    if text(object, "/kind") == "Node"
        && let Some(status) = object["status"].as_object_mut()
    {
        status.remove("images");
    }
    if drawn_by_lot(object) {
        forget(object, &["nodeName", "hostIP", "hostIPs"]);
    }
    forget(
        object,
        &[
            "resourceVersion",
            "managedFields",
            "creationTimestamp",
            "lastTransitionTime",
            "lastUpdateTime",
            "lastHeartbeatTime",
            "startTime",
            "startedAt",
            "finishedAt",
            "containerID",
            "podIP",
            "podIPs",
        ],
    );
}

/// Removes these fields wherever they are.
fn forget(value: &mut Value, fields: &[&str]) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !fields.contains(&key.as_str()));
            map.values_mut().for_each(|inner| forget(inner, fields));
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| forget(inner, fields)),
        _ => {}
    }
}

fn differ(at: &str, one: &Value, two: &Value, lines: &mut Vec<String>) {
    match (one, two) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (one, two) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                differ(&format!("{at}/{key}"), one, two, lines);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (one, two)) in a.iter().zip(b).enumerate() {
                differ(&format!("{at}/{index}"), one, two, lines);
            }
        }
        _ if one == two => {}
        _ => lines.push(format!("{at}: {one} became {two}")),
    }
}
