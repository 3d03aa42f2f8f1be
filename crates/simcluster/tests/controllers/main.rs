//! What the controllers do to the objects, under a paused clock.

mod admission;
mod databases;
mod ops_manager;
mod outside;
mod pods;
mod sets;
mod worlds;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use simcluster::world::Database;
use simcluster::{Behaviour, SimCluster, Store};
use tokio::time::{Instant, timeout};

const PODS: &str = "pods";
const PETSETS: &str = "petsets.apps.k8s.appscode.com";
const STATEFUL_SETS: &str = "statefulsets.apps";
const BUDGETS: &str = "poddisruptionbudgets.policy";
const KAFKAS: &str = "kafkas.kubedb.com";
const ZOOKEEPERS: &str = "zookeepers.kubedb.com";

const SECOND: Duration = Duration::from_secs(1);

/// A cluster that behaves so, with this database and the catalog, and with its controllers running.
fn running(behaviour: Behaviour, database: Database) -> SimCluster {
    let cluster = SimCluster::new(behaviour);
    simcluster::world::catalog::install(cluster.store());
    database.install(&cluster);
    cluster.start();
    cluster
}

/// Waits until something holds, at most for a day, and says how long it took.
async fn until(store: &Store, what: &str, holds: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    let mut changes = store.subscribe();
    while !holds() {
        let change = timeout(Duration::from_secs(86_400), changes.next()).await;
        assert!(matches!(change, Ok(Some(_))), "{what}: never");
    }
    start.elapsed()
}

fn get(store: &Store, res: &str, name: &str) -> Arc<Value> {
    store.get(res, "default", name).unwrap_or_else(|| panic!("{res} {name} is not there"))
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

fn condition(object: &Value, kind: &str) -> Option<Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind).cloned()
}

fn holds(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == "True")
}

fn is_ready(store: &Store, pod: &str) -> bool {
    let pod = store.get(PODS, "default", pod);
    pod.is_some_and(|pod| holds(&pod, "Ready") && pod["metadata"]["deletionTimestamp"].is_null())
}

fn revision(store: &Store, pod: &str) -> String {
    text(&get(store, PODS, pod), "/metadata/labels/controller-revision-hash").to_owned()
}

fn update_revision(store: &Store, res: &str, set: &str) -> String {
    text(&get(store, res, set), "/status/updateRevision").to_owned()
}

fn uid(store: &Store, res: &str, name: &str) -> String {
    text(&get(store, res, name), "/metadata/uid").to_owned()
}

fn delete(store: &Store, res: &str, name: &str) {
    store.delete(res, "default", name, Default::default()).expect("there to be deleted");
}

/// Gives the first container of a set another image.
fn set_image(store: &Store, res: &str, set: &str, image: &str) {
    let change = |set: &mut Value| set["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    store.update(res, "default", set, change).expect("there to be changed");
}

/// Adds a condition `Paused` that is for the Provisioner to acknowledge.
fn pause(store: &Store, res: &str, name: &str) {
    let paused = json!({"type": "Paused", "status": "Unknown", "reason": "Paused", "lastTransitionTime": "2024-01-01T00:00:00Z"});
    let change = |database: &mut Value| database["status"]["conditions"].as_array_mut().unwrap().push(paused);
    store.update_status(res, "default", name, change).expect("there to be paused");
}

/// Removes it.
fn resume(store: &Store, res: &str, name: &str) {
    let change = |database: &mut Value| {
        database["status"]["conditions"]
            .as_array_mut()
            .unwrap()
            .retain(|condition| condition["type"] != "Paused");
    };
    store.update_status(res, "default", name, change).expect("there to be resumed");
}

/// The status of `Paused`; empty without one.
fn paused(store: &Store, res: &str, name: &str) -> String {
    condition(&get(store, res, name), "Paused")
        .map_or_else(String::new, |paused| text(&paused, "/status").to_owned())
}
