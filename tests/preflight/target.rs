//! The target is the version that `spec.version` names already.

use kubectl_dbupdate::model::{Action, Check, PodAction, Severity};
use serde_json::{Value, json};
use simcluster::DeleteOptions;
use simcluster::world::Database;

use crate::scene::{NAMESPACE, PETSETS, Scene, said};

const OURS: &str = "kubectl-dbupdate run 1f2e by ann@laptop: updating 3.7.2 to 3.8.3";

/// An image of the version before in the templates, the pods, or both.
const OLD: &str = "ghcr.io/appscode-images/zookeeper:3.7.2";

fn set_image(object: &mut Value, pointer: &str, image: &str) {
    *object.pointer_mut(pointer).expect("it has an image") = json!(image);
}

#[tokio::test]
async fn everything_is_there_already() {
    let scene = Scene::new(Database::zookeeper("zk"));
    let plan = scene.plan("3.8.3").await;
    assert_eq!(said(&plan, Severity::Refusal), []);
    assert_eq!(plan.action, Action::Nothing);
    assert!(plan.pods().all(|p| p.action == PodAction::Skip));
    assert!(plan.workloads.iter().all(|w| w.images.is_empty()));
}

/// A deprecated or unreachable version is no reproach to a database that runs it.
#[tokio::test]
async fn being_on_a_deprecated_version_refuses_nothing() {
    let scene = Scene::new(Database::druid("dr").version("30.0.0"));
    let plan = scene.plan("30.0.0").await;
    assert_eq!(said(&plan, Severity::Refusal), []);
    assert_eq!(plan.action, Action::Nothing);
}

#[tokio::test]
async fn pods_on_old_images_are_rolled_alone() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change("pods", "zk-1", |pod| {
        set_image(pod, "/spec/containers/0/image", OLD);
        pod["metadata"]["labels"]["controller-revision-hash"] = json!("zk-old");
    });
    let plan = scene.plan("3.8.3").await;
    assert_eq!(said(&plan, Severity::Refusal), []);
    assert_eq!(plan.action, Action::Roll);
    assert!(plan.workloads[0].images.is_empty());
    let pods: Vec<_> = plan.pods().map(|p| (p.name.as_str(), p.action)).collect();
    assert_eq!(pods, [("zk-0", PodAction::Skip), ("zk-1", PodAction::Evict), ("zk-2", PodAction::Skip)]);
}

#[tokio::test]
async fn templates_on_old_images_are_patched_and_pods_on_the_target_left_alone() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change(PETSETS, "zk", |set| set_image(set, "/spec/template/spec/containers/0/image", OLD));
    let plan = scene.plan("3.8.3").await;
    assert_eq!(said(&plan, Severity::Refusal), [], "an image of the catalog is no drift");
    assert_eq!(plan.action, Action::Roll);
    assert_eq!(plan.workloads[0].images[0].now, OLD);
    assert!(plan.pods().all(|p| p.action == PodAction::Skip), "the patch brings their revision back");
}

#[tokio::test]
async fn templates_on_unknown_images_are_drift() {
    let scene = Scene::new(Database::zookeeper("zk"));
    let fix = "mirror/zk:3.8.3-fix";
    scene.change(PETSETS, "zk", |set| set_image(set, "/spec/template/spec/containers/0/image", fix));
    let message =
        "petset/zk: container zookeeper has image mirror/zk:3.8.3-fix, which no version in the catalog uses";
    let hint = "it was changed by hand, or another update was left unfinished";
    scene.yields("3.8.3", (Check::Drift, message, hint)).await;
}

#[tokio::test]
async fn our_own_leftover_pause_is_removed() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.condition("Paused", "True", OURS);
    let plan = scene.plan("3.8.3").await;
    assert_eq!(said(&plan, Severity::Refusal), []);
    assert_eq!(plan.action, Action::Resume);
}

#[tokio::test]
async fn an_unfinished_run_of_ours_with_an_unready_pod_is_resumed() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.condition("Paused", "True", OURS);
    scene.unready("zk-2");
    let plan = scene.plan("3.8.3").await;
    assert_eq!(said(&plan, Severity::Refusal), []);
    assert_eq!(plan.action, Action::Roll);
    assert!(plan.pods().any(|p| p.name == "zk-2" && p.action == PodAction::Await));
}

/// A pod that is merely unhealthy is not this tool's business.
#[tokio::test]
async fn an_unready_pod_on_the_target_is_no_work() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.unready("zk-2");
    assert_eq!(scene.plan("3.8.3").await.action, Action::Nothing);
}

#[tokio::test]
async fn without_its_version_object_it_is_no_target() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.store().delete(&scene.versions(), "", "3.8.3", DeleteOptions::now()).expect("it can be deleted");
    assert!(scene.store().get(PETSETS, NAMESPACE, "zk").is_some());
    let plan = scene.plan("3.9.1").await;
    assert_eq!(plan.refusals().map(|f| f.check).collect::<Vec<_>>(), [Check::CurrentVersionMissing]);
}
