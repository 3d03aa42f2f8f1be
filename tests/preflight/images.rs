//! What the images of the templates say.

use kubectl_dbupdate::model::{Action, Check, ImageFound, KeptWhy, Severity};
use kubectl_dbupdate::plan::images::to_ask;
use serde_json::{Value, json};
use simcluster::DeleteOptions;
use simcluster::world::{Database, Strategy};

use crate::scene::{NAMESPACE, PETSETS, Scene, of, said};

const SHAPE: &str =
    "patching images is not enough for this update: the operator has to render the new pod templates";
const LOST_PIN: &str = "petset/zk pins images to digests, and the new ones are tags: when the operator pins them after \
                        the resume, no pod is restarted, but every pod counts as outdated";
const ZOOKEEPER: &str = "ghcr.io/appscode-images/zookeeper:3.9.1";
const DIGEST: &str = "sha256:00ff";

fn exists() -> ImageFound {
    ImageFound::Exists { digest: DIGEST.to_owned() }
}

const DRIFT: &str = "it was changed by hand, or another update was left unfinished";

#[tokio::test]
async fn the_target_needs_a_container_that_the_template_lacks() {
    let scene = Scene::new(Database::kafka_topology("kf"));
    let message =
        "4.0.0 needs init container kafka-init, which is missing from petset/kf-broker, petset/kf-controller";
    let plan = scene.plan("4.0.0").await;
    let found: Vec<_> = plan.refusals().map(|f| (f.check, f.message.as_str())).collect();
    assert_eq!(found, [(Check::ShapeChange, message)]);
}

#[tokio::test]
async fn the_template_has_a_container_that_the_target_lacks() {
    let scene = Scene::new(Database::kafka_combined("kf").version("4.0.0"));
    let message = "3.9.0 has no image for init container kafka-init of petset/kf";
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
        "petset/zk: container zookeeper has image mirror/zk:3.8.3-fix, which neither 3.8.3 nor 3.9.1 uses";
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
    let cassandra = "petset/cas-rack-r0: container cassandra already has the target's image";
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
    let message = LOST_PIN;
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
    let message = "petset/zk pins images to digests: when the operator pins the new ones, every pod will be restarted again";
    let hint = "with --digests auto they are pinned from the start, if the registry can be asked";
    scene.yields("3.9.1", (Check::PinnedRollingUpdate, message, hint)).await;
    let known = [(ZOOKEEPER, exists())];
    let plan = scene.plan_knowing("3.9.1", &[], &known).await;
    assert_eq!(said(&plan, Severity::Refusal), [], "where the digest is known nothing restarts twice");
}

#[tokio::test]
async fn a_sidecar_is_left_alone() {
    let scene = Scene::new(Database::zookeeper("zk").sidecar("agent", "agent:1"));
    let plan = scene.warns("3.9.1", &[]).await;
    let info: Vec<_> = said(&plan, Severity::Info).into_iter().filter(|f| f.0 == Check::Sidecar).collect();
    assert_eq!(
        info,
        [(Check::Sidecar, "petset/zk: container agent is not in the catalog: left unchanged", "")]
    );
    let kept: Vec<_> = plan.workloads[0].kept.iter().filter(|k| k.why == KeptWhy::Sidecar).collect();
    assert_eq!((kept.len(), kept[0].image.as_str()), (1, "agent:1"));
}

#[tokio::test]
async fn containers_that_are_on_the_target() {
    let scene = Scene::new(Database::zookeeper("zk"));
    let plan = scene.warns("3.9.1", &[]).await;
    let told: Vec<_> =
        of(&plan, Check::AlreadyOnTarget).into_iter().map(|f| (f.severity, f.message.as_str())).collect();
    let message = "petset/zk: container zookeeper-init already has the target's image";
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
    let one = (
        Check::OneReplica,
        "deployment/kf-cruise-control has one replica: it is unavailable while its pod restarts",
    );
    let plan = scene.warns("3.6.1", &[one]).await;
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
    let missing = "spec.cruiseControl of kafka/kf is set, but its workload was not found: its image will not be updated";
    scene.warns("3.6.1", &[(Check::CruiseControlMissing, missing)]).await;
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
                   cruise-control): left unchanged";
    assert!(said(&plan, Severity::Info).contains(&(Check::Sidecar, message, "")));
}

#[tokio::test]
async fn a_known_digest_comes_where_one_was() {
    for (database, after) in [
        (Database::zookeeper("zk").pinned(), format!("{ZOOKEEPER}@{DIGEST}")),
        (Database::zookeeper("zk"), ZOOKEEPER.to_owned()),
    ] {
        let scene = Scene::new(database);
        let plan = scene.plan_knowing("3.9.1", &[], &[(ZOOKEEPER, exists())]).await;
        let told: Vec<_> = said(&plan, Severity::Info).into_iter().map(|(check, _, _)| check).collect();
        assert_eq!(told, [Check::AlreadyOnTarget, Check::Via]);
        assert_eq!(said(&plan, Severity::Warning), []);
        assert_eq!(plan.workloads[0].images[0].after, after);
    }
}

/// Half way, with another digest by now, or by tags alone: what is there stays.
#[tokio::test]
async fn an_image_that_is_there_stays_as_it_is() {
    let scene = Scene::new(Database::zookeeper("zk").pinned());
    for there in [ZOOKEEPER.to_owned(), format!("{ZOOKEEPER}@sha256:0a")] {
        scene.change(PETSETS, "zk", |set| {
            set["spec"]["template"]["spec"]["containers"][0]["image"] = json!(there);
        });
        let plan = scene.plan_knowing("3.9.1", &[], &[(ZOOKEEPER, exists())]).await;
        assert_eq!((plan.action, plan.workloads[0].images.len()), (Action::Update, 0), "{there}");
        let images: Vec<_> = plan.workloads[0].target_images().map(|(_, image)| image).collect();
        assert!(images.contains(&there.as_str()), "{images:?}");
    }
}

#[tokio::test]
async fn an_image_that_its_registry_does_not_have() {
    let scene = Scene::new(Database::zookeeper("zk"));
    let missing = ImageFound::Missing { why: "its registry has no such tag".to_owned() };
    let known = [(ZOOKEEPER, missing)];
    let plan = scene.plan_knowing("3.9.1", &[], &known).await;
    let message = format!("image {ZOOKEEPER} of 3.9.1 does not exist: its registry has no such tag");
    let hint = "check the version object: kubectl get zookeeperversions 3.9.1 -o yaml";
    let found = [(Check::ImageMissing, message.as_str(), hint)];
    assert_eq!(said(&plan, Severity::Refusal), found);
    let plan = scene.plan_knowing("3.9.1", &[Check::ImageMissing], &known).await;
    assert_eq!((said(&plan, Severity::Refusal), said(&plan, Severity::Overridden)), (vec![], found.into()));
}

/// One warning for each registry and reason, and one for the tags that are kept.
#[tokio::test]
async fn images_whose_registries_do_not_tell() {
    let scene = Scene::new(Database::zookeeper("zk").pinned());
    let init = "ghcr.io/kubedb/zookeeper-init:3.9";
    scene.change_version("3.9.1", |v| v["spec"]["initContainer"]["image"] = json!(init));
    let unknown = |why: &str| ImageFound::Unknown { why: why.to_owned() };
    let known = [(ZOOKEEPER, unknown("it answers 503")), (init, unknown("it answers 503"))];
    let plan = scene.plan_knowing("3.9.1", &[], &known).await;
    let message = format!("could not ask ghcr.io for {ZOOKEEPER}, {init}: it answers 503");
    let hint = "a missing image will only show when the first pod cannot pull it; --digests keep-tags asks no registry";
    let lost = (Check::PinnedImages, LOST_PIN, "--via provisioner keeps the images pinned");
    assert_eq!(said(&plan, Severity::Warning), [(Check::ImageUnchecked, message.as_str(), hint), lost]);
    let known = [(ZOOKEEPER, unknown("it answers 503")), (init, unknown("it answers 429"))];
    let plan = scene.plan_knowing("3.9.1", &[], &known).await;
    assert_eq!(of(&plan, Check::ImageUnchecked).len(), 2);
}

/// Registries are asked for what a plan brings, if it can be carried out, and never for simulated images.
#[tokio::test]
async fn which_registries_are_asked() {
    let scene = Scene::new(Database::zookeeper("zk").pinned());
    let asked = async |to: &str| {
        let snapshot = scene.read().await.expect("the database can be read");
        let plan = scene.plan(to).await;
        to_ask(&snapshot, std::iter::once(&plan)).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(asked("3.9.1").await, Vec::<String>::new(), "simulated");
    for version in ["3.7.2", "3.8.3", "3.9.1"] {
        scene.change_version(version, |v| v["metadata"]["annotations"] = json!({}));
    }
    assert_eq!(asked("3.9.1").await, [ZOOKEEPER], "the init container has its image already");
    assert_eq!(asked("3.7.2").await, Vec::<String>::new(), "refused: a downgrade");
    assert_eq!(asked("3.8.3").await, Vec::<String>::new(), "nothing to do");
    scene.change(PETSETS, "zk", |set| set["spec"]["updateStrategy"] = json!({"type": "RollingUpdate"}));
    assert_eq!(asked("3.9.1").await, [ZOOKEEPER], "what is refused for want of a digest");
}

/// An image that the user has put into the database's own pod template is his, though the catalog has it as well.
#[tokio::test]
async fn an_image_of_the_users_own_is_not_overwritten_unasked() {
    for (image, after) in
        [("mirror/zk:3.8.3-fix", true), ("ghcr.io/appscode-images/zookeeper:3.8.3", true), (ZOOKEEPER, false)]
    {
        let own = move |db: &mut Value| {
            let agent = json!({"name": "agent", "image": "agent:2"});
            let containers = json!([agent, {"name": "zookeeper", "image": image}]);
            db["spec"]["podTemplate"] = json!({"spec": {"containers": containers}});
        };
        let template =
            move |set: &mut Value| set["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
        let database =
            Database::zookeeper("zk").sidecar("agent", "agent:2").adjust(own).adjust_workload(template);
        let scene = Scene::new(database);
        let message = format!(
            "petset/zk: container zookeeper has image {image}, which spec.podTemplate.spec.containers[1].image of \
             zookeeper/zk sets"
        );
        let hint = "the update would replace it with the version's image: remove it there first";
        if after {
            scene.yields("3.9.1", (Check::Drift, &message, hint)).await;
        } else {
            let plan = scene.plan("3.9.1").await;
            assert_eq!(said(&plan, Severity::Refusal), [], "the target's own image is not overwritten");
        }
        let plan = scene.plan_skipping("3.9.1", &[Check::Drift]).await;
        assert_eq!(of(&plan, Check::Sidecar).len(), 1, "a sidecar from there is a sidecar");
        let changed: Vec<_> =
            plan.workloads[0].images.iter().map(|i| (i.now.as_str(), i.after.as_str())).collect();
        assert_eq!(changed, if after { vec![(image, ZOOKEEPER)] } else { Vec::new() });
    }
}
