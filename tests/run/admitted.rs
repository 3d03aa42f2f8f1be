//! Clusters whose pods are not what their templates say: admission rewrites them, or the operator has been upgraded.

use kubectl_dbupdate::model::{Action, Check};
use serde_json::{Value, json};
use simcluster::object;
use simcluster::world::Database;

use crate::common::{NAMESPACE, World, text};

const ZOOKEEPER_VERSIONS: &str = "zookeeperversions.catalog.kubedb.com";
const INIT: &str = "zookeeper-init:3.7-v1";

/// Every pod is of its workload's current revision.
fn no_pod_counts_as_outdated(world: &World) {
    for workload in world.workloads().values() {
        let current = text(workload, "/status/updateRevision");
        let owned = |pod: &&std::sync::Arc<Value>| {
            text(pod, "/metadata/ownerReferences/0/uid") == text(workload, "/metadata/uid")
        };
        for pod in world.pods().iter().filter(owned) {
            assert_eq!(
                text(pod, "/metadata/labels/controller-revision-hash"),
                current,
                "{}",
                object::name(pod)
            );
        }
    }
}

/// A version object names its init container's image so.
fn spell(world: &World, version: &str, image: &str) {
    let change = |object: &mut Value| object["spec"]["initContainer"]["image"] = json!(image);
    world.store().update(ZOOKEEPER_VERSIONS, "", version, change).expect("it is in the catalog");
}

/// The catalog of an upgraded operator spells an image otherwise, which both versions share: the operator brings the
/// new spelling as soon as it is resumed, unless the update has.
#[tokio::test(start_paused = true)]
async fn the_targets_spelling_comes_with_the_update() {
    let world = World::new(Database::zookeeper("db"));
    for (version, image) in
        [("3.8.3", format!("kubedb/{INIT}")), ("3.9.1", format!("docker.io/kubedb/{INIT}"))]
    {
        spell(&world, version, &image);
    }
    let template = |set: &mut Value| {
        set["spec"]["template"]["spec"]["initContainers"][0]["image"] = json!(format!("kubedb/{INIT}"));
    };
    world.store().update("petsets.apps.k8s.appscode.com", NAMESPACE, "db", template).expect("it is there");
    world.update().await.done();
    world.is_updated();
    no_pod_counts_as_outdated(&world);
}

/// The upgraded operator has rendered the new spelling already, and has restarted no pod: each one still runs the image
/// that is asked for.
#[tokio::test(start_paused = true)]
async fn another_spelling_is_no_other_image() {
    let world = World::new(Database::hazelcast("db").version("5.5.6"));
    let old = |image: &str| image.strip_prefix("docker.io/").expect("it is spelled out").to_owned();
    for pod in world.pods() {
        let change = |pod: &mut Value| {
            let image = &mut pod["spec"]["containers"][0]["image"];
            *image = json!(old(image.as_str().expect("a name")));
        };
        world.store().update("pods", NAMESPACE, object::name(&pod), change).expect("it is there");
    }
    let plan = world.plan().await;
    assert_eq!(plan.action, Action::Nothing, "{plan:#?}");
    assert!(plan.findings.iter().all(|f| f.check != Check::Drift), "{:?}", plan.findings);
}
