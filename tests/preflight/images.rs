//! What the images of the templates say.

use kubectl_dbupdate::model::{Check, KeptWhy, Severity};
use serde_json::{Value, json};
use simcluster::DeleteOptions;
use simcluster::world::{Database, Strategy};

use crate::scene::{NAMESPACE, PETSETS, Scene, of, said};

const SHAPE: &str = "patching images cannot do this step: KubeDB's operator has to render the new templates";
const DRIFT: &str = "somebody has changed it by hand, or another update was left half done";

#[tokio::test]
async fn the_target_needs_a_container_that_the_template_lacks() {
    let scene = Scene::new(Database::kafka_topology("kf"));
    let message =
        "4.0.0 needs init container kafka-init, which is not in petset/kf-broker, petset/kf-controller";
    let plan = scene.plan("4.0.0").await;
    let found: Vec<_> = plan.refusals().map(|f| (f.check, f.message.as_str())).collect();
    assert_eq!(found, [(Check::ShapeChange, message)]);
}

#[tokio::test]
async fn the_template_has_a_container_that_the_target_lacks() {
    let scene = Scene::new(Database::kafka_combined("kf").version("4.0.0"));
    let message = "3.9.0 names no image for init container kafka-init of petset/kf";
    let plan = scene.plan_skipping("3.9.0", &[Check::Downgrade]).await;
    let found: Vec<_> = of(&plan, Check::ShapeChange).into_iter().map(|f| f.message.as_str()).collect();
    assert_eq!(found, [message]);
    assert!(of(&plan, Check::ShapeChange)[0].refuses());
}

#[tokio::test]
async fn a_template_without_any_known_container() {
    let rename = |set: &mut Value| set["spec"]["template"]["spec"]["containers"][0]["name"] = json!("zoo");
    let scene = Scene::new(Database::zookeeper("zk").adjust_workload(rename));
    let message = "petset/zk has none of the containers that the catalog names (zookeeper)";
    scene.refuses("3.9.1", &[(Check::ShapeChange, message, SHAPE)]).await;
}

#[tokio::test]
async fn drift() {
    let drift = |set: &mut Value| {
        set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("mirror/zk:3.8.3-fix")
    };
    let scene = Scene::new(Database::zookeeper("zk").adjust_workload(drift));
    let message =
        "petset/zk: container zookeeper has image mirror/zk:3.8.3-fix, which is neither 3.8.3's nor 3.9.1's";
    scene.yields("3.9.1", (Check::Drift, message, DRIFT)).await;
}

/// A digest is no drift, and neither is an image that an interrupted update has set already.
#[tokio::test]
async fn digests_and_the_targets_own_images_are_no_drift() {
    let scene = Scene::new(Database::cassandra_racks("cas", &[("r0", 2), ("r1", 2)]).pinned());
    let image = "ghcr.io/appscode-images/cassandra-management:5.0.7@sha256:00ff";
    scene.change(PETSETS, "cas-rack-r0", |set| {
        set["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    });
    let plan = scene.warns("5.0.7", &[]).await;
    let on_target: Vec<_> =
        of(&plan, Check::AlreadyOnTarget).into_iter().map(|f| f.message.as_str()).collect();
    let cassandra = "petset/cas-rack-r0: container cassandra has the target's image already";
    assert_eq!(
        on_target.iter().filter(|m| m.contains("container cassandra")).collect::<Vec<_>>(),
        [&cassandra]
    );
    let changed =
        |at: usize| plan.workloads[at].images.iter().map(|i| i.container.as_str()).collect::<Vec<_>>();
    assert_eq!((changed(0), changed(1)), (vec!["cassandra-init"], vec!["cassandra-init", "cassandra"]));
}

#[tokio::test]
async fn images_that_are_pinned() {
    let scene = Scene::new(Database::zookeeper("zk").pinned());
    let plan = scene.warns("3.9.1", &[]).await;
    let message = "petset/zk pins images to digests, and the catalog names tags: the operator may pin the new ones after \
                   the resume, which restarts nothing";
    assert_eq!(
        of(&plan, Check::PinnedImages).iter().map(|f| f.message.as_str()).collect::<Vec<_>>(),
        [message]
    );
    let change = &plan.workloads[0].images[0];
    assert!(change.now.starts_with("ghcr.io/appscode-images/zookeeper:3.8.3@sha256:"), "{}", change.now);
    assert_eq!(change.after, "ghcr.io/appscode-images/zookeeper:3.9.1", "from the cluster's catalog");
}

#[tokio::test]
async fn images_that_are_pinned_and_a_controller_that_rolls() {
    let rolling = Strategy::RollingUpdate { partition: 0 };
    let scene = Scene::new(Database::zookeeper("zk").pinned().strategy(rolling));
    let message =
        "petset/zk pins images to digests: when the operator pins the new ones, every pod restarts once more";
    scene.yields("3.9.1", (Check::PinnedRollingUpdate, message, "")).await;
}

#[tokio::test]
async fn a_sidecar_is_left_alone() {
    let scene = Scene::new(Database::zookeeper("zk").sidecar("agent", "agent:1"));
    let plan = scene.warns("3.9.1", &[]).await;
    let info: Vec<_> = said(&plan, Severity::Info).into_iter().filter(|f| f.0 == Check::Sidecar).collect();
    assert_eq!(info, [(Check::Sidecar, "petset/zk: container agent is not the catalog's: left alone", "")]);
    let kept: Vec<_> = plan.workloads[0].kept.iter().filter(|k| k.why == KeptWhy::Sidecar).collect();
    assert_eq!((kept.len(), kept[0].image.as_str()), (1, "agent:1"));
}

#[tokio::test]
async fn containers_that_are_on_the_target() {
    let scene = Scene::new(Database::zookeeper("zk"));
    let plan = scene.warns("3.9.1", &[]).await;
    let told: Vec<_> =
        of(&plan, Check::AlreadyOnTarget).into_iter().map(|f| (f.severity, f.message.as_str())).collect();
    let message = "petset/zk: container zookeeper-init has the target's image already";
    assert_eq!(told, [(Severity::Info, message)]);
}

/// Private registries are set up by rewriting the version objects.
#[tokio::test]
async fn images_come_from_the_clusters_own_catalog() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change_version("3.9.1", |v| v["spec"]["db"]["image"] = json!("registry.example:5000/zk:3.9.1"));
    let plan = scene.warns("3.9.1", &[]).await;
    assert_eq!(plan.workloads[0].images[0].after, "registry.example:5000/zk:3.9.1");
}

#[tokio::test]
async fn the_cruise_control_comes_last() {
    let scene = Scene::new(Database::kafka_topology("kf").cruise_control());
    let end_of_life = (Check::EndOfLife, "3.6.1 is marked end of life in the catalog");
    let one = (
        Check::OneReplica,
        "deployment/kf-cruise-control has one replica: it is away while its pod restarts",
    );
    let plan = scene.warns("3.6.1", &[end_of_life, one]).await;
    let order: Vec<_> = plan.workloads.iter().map(|w| w.object.to_string()).collect();
    assert_eq!(order, ["petset/kf-controller", "petset/kf-broker", "deployment/kf-cruise-control"]);
    assert_eq!(plan.workloads[2].images[0].after, "ghcr.io/appscode-images/kafka-cruise-control:3.6.1");
}

#[tokio::test]
async fn a_cruise_control_that_is_not_there() {
    let scene = Scene::new(Database::kafka_topology("kf").cruise_control());
    scene
        .store()
        .delete("deployments.apps", NAMESPACE, "kf-cruise-control", DeleteOptions::now())
        .expect("gone");
    let missing = "spec.cruiseControl of kafka/kf is set, and no workload of it was found: its image stays";
    let end_of_life = "3.6.1 is marked end of life in the catalog";
    scene.warns("3.6.1", &[(Check::EndOfLife, end_of_life), (Check::CruiseControlMissing, missing)]).await;
}

/// Another Deployment of the database is none of the catalog's business.
#[tokio::test]
async fn a_deployment_that_the_catalog_does_not_know() {
    let scene = Scene::new(Database::kafka_topology("kf").cruise_control());
    scene.change("deployments.apps", "kf-cruise-control", |deployment| {
        deployment["spec"]["template"]["spec"]["containers"][0]["name"] = json!("dashboard");
    });
    let plan = scene.plan("3.6.1").await;
    assert_eq!(said(&plan, Severity::Refusal), []);
    let message = "deployment/kf-cruise-control has none of the containers that the catalog names (kafka, \
                   cruise-control): left alone";
    assert!(said(&plan, Severity::Info).contains(&(Check::Sidecar, message, "")));
}
