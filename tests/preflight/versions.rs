//! Which version may follow which, by the catalog of the cluster.

use kubectl_dbupdate::model::{Check, Plan, Severity};
use kubectl_dbupdate::plan::update::{self, NoTarget, Request};
use serde_json::{Value, json};
use simcluster::DeleteOptions;
use simcluster::world::{Database, catalog};
use simcluster::{Behaviour, SimCluster};

use crate::scene::{Scene, of, said};

/// Deprecated 30.0.0 would be two steps shorter, and the wrong answer.
#[tokio::test]
async fn denied_by_the_current_versions_allowlist() {
    let scene = Scene::new(Database::druid("dr"));
    let message = "28.0.1 may not be updated to 36.0.0: its allowlist only has \">= 28.0.1 < 31.0.0\"";
    let hint = "update in steps, in one command with --through: 28.0.1 → 30.0.1 → 31.0.0 → 35.0.1 → 36.0.0";
    let plan = scene.refuses("36.0.0", &[(Check::VersionDenied, message, hint)]).await;
    assert_eq!(plan.path, ["28.0.1", "30.0.1", "31.0.0", "35.0.1", "36.0.0"]);
}

#[tokio::test]
async fn denied_by_the_current_versions_denylist() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change_version("3.8.3", |v| {
        v["spec"]["updateConstraints"] = json!({ "denylist": [">= 3.9.0, < 3.9.2"] })
    });
    let message = "3.8.3 may not be updated to 3.9.1: its denylist has \">= 3.9.0, < 3.9.2\"";
    let hint = "no sequence of allowed updates leads to it";
    let plan = scene.refuses("3.9.1", &[(Check::VersionDenied, message, hint)]).await;
    assert!(plan.path.is_empty());
}

/// The constraint is compared with `spec.version`, not with the object's name.
#[tokio::test]
async fn a_version_object_of_another_name() {
    let scene = Scene::new(Database::druid("dr"));
    let mut object = catalog::version(simcluster::Kind::Druid, "30.0.1").expect("it is in the catalog");
    object["metadata"]["name"] = json!("our-own-30");
    scene.store().create(&scene.versions(), object).expect("it is new");
    let plan = scene.plan("our-own-30").await;
    assert_eq!(said(&plan, Severity::Refusal), []);
    assert_eq!((plan.to.name.as_str(), plan.to.version.as_str()), ("our-own-30", "30.0.1"));
}

#[tokio::test]
async fn a_deprecated_target() {
    let scene = Scene::new(Database::druid("dr"));
    let hint = "choose another version";
    scene.yields("30.0.0", (Check::DeprecatedTarget, "30.0.0 is deprecated in the catalog", hint)).await;
}

/// ZooKeeper's version objects have no constraints at all: the operator's own rule would allow it.
#[tokio::test]
async fn a_downgrade() {
    let scene = Scene::new(Database::zookeeper("zk"));
    let message = "3.8.3 to 3.7.2 is a downgrade: the older version may not be able to read the data";
    let hint = "make sure that the older version can read the data";
    scene.yields("3.7.2", (Check::Downgrade, message, hint)).await;
}

/// Unknown is not none: the operator's own rule would allow it here as well.
#[tokio::test]
async fn a_downgrade_that_cannot_be_excluded() {
    let scene = Scene::new(Database::zookeeper("zk"));
    for (version, why) in [
        (json!("three"), "version object \"3.8.3\" has a malformed spec.version: "),
        (Value::Null, "version object \"3.8.3\" has a malformed spec.version: "),
        (json!(3), "version object \"3.8.3\" has a malformed spec.version: "),
    ] {
        scene.change_version("3.8.3", |v| v["spec"]["version"] = version.clone());
        for to in ["3.7.2", "3.9.1"] {
            let plan = scene.plan(to).await;
            let [(Check::DowngradeUnchecked, message, hint)] = said(&plan, Severity::Refusal)[..] else {
                panic!("{version} {to}: {plan:?}")
            };
            let begin = format!("cannot tell whether 3.8.3 to {to} is a downgrade: {why}");
            assert!(message.starts_with(&begin) && message.len() > begin.len(), "{message}");
            assert_eq!(hint, "fix the object: kubectl edit zookeeperversions 3.8.3");
        }
        let plan = scene.plan_skipping("3.9.1", &[Check::DowngradeUnchecked]).await;
        assert_eq!(said(&plan, Severity::Refusal), []);
        let plan = scene.plan_skipping("3.9.1", &[Check::Downgrade]).await;
        assert_eq!(plan.refusals().count(), 1, "another check was overridden");
    }
}

/// Charts leave deprecated version objects out by default.
#[tokio::test]
async fn the_current_version_is_missing() {
    let scene = Scene::new(Database::druid("dr").version("30.0.0"));
    scene.store().delete(&scene.versions(), "", "30.0.0", DeleteOptions::now()).expect("it can be deleted");
    let message =
        "the catalog has no version object 30.0.0: cannot check whether it may be updated to 31.0.0";
    let hint =
        "install the version object, for example from the catalog chart with deprecated versions enabled";
    scene.yields("31.0.0", (Check::CurrentVersionMissing, message, hint)).await;
    let plan = scene.plan("31.0.0").await;
    assert_eq!((plan.from.name.as_str(), plan.from.version.as_str()), ("30.0.0", ""));
    let now: Vec<_> = plan.workloads[0].images.iter().map(|i| i.now.as_str()).collect();
    let from_the_template = ["ghcr.io/kubedb/druid-init:30.0.0", "ghcr.io/appscode-images/druid:30.0.0"];
    assert_eq!(now, from_the_template);
}

#[tokio::test]
async fn a_target_at_its_end_of_life() {
    let scene = Scene::new(Database::kafka_topology("kf"));
    scene.warns("3.6.1", &[]).await;
    scene.change_version("3.6.1", |v| v["spec"]["endOfLife"] = json!(true));
    scene.warns("3.6.1", &[(Check::EndOfLife, "3.6.1 is marked as end of life in the catalog")]).await;
}

#[tokio::test]
async fn a_malformed_constraint() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change_version("3.8.3", |v| {
        v["spec"]["updateConstraints"] = json!({ "allowlist": ["newer, please"] })
    });
    let plan = scene.plan("3.9.1").await;
    let [(Check::VersionRule, message, hint)] = said(&plan, Severity::Refusal)[..] else {
        panic!("{plan:?}")
    };
    let begin = "cannot tell whether 3.8.3 may be updated to 3.9.1: version object \"3.8.3\" has a malformed entry in \
                 spec.updateConstraints: ";
    assert!(message.starts_with(begin) && message.len() > begin.len(), "{message}");
    assert_eq!(hint, "fix the object: kubectl edit zookeeperversions 3.8.3");
}

#[tokio::test]
async fn constraints_of_a_wrong_type_are_not_none() {
    let scene = Scene::new(Database::zookeeper("zk"));
    for constraints in [
        json!({ "allowlist": "< 3.9" }),
        json!({ "allowlist": { "not": "a list" } }),
        json!({ "denylist": [3.9] }),
        json!({ "denylist": false }),
        json!(["< 3.9"]),
    ] {
        scene.change_version("3.8.3", |v| v["spec"]["updateConstraints"] = constraints.clone());
        let plan = scene.plan("3.9.1").await;
        let [(Check::VersionRule, message, _)] = said(&plan, Severity::Refusal)[..] else {
            panic!("{constraints}: {plan:?}")
        };
        assert!(message.contains("a malformed entry in spec.updateConstraints"), "{message}");
    }
    for none in [json!(null), json!({}), json!({ "allowlist": null, "denylist": [] })] {
        scene.change_version("3.8.3", |v| v["spec"]["updateConstraints"] = none.clone());
        assert_eq!(said(&scene.plan("3.9.1").await, Severity::Refusal), [], "{none}");
    }
    scene.change_version("3.9.1", |v| v["spec"]["deprecated"] = json!("true"));
    assert_eq!(of(&scene.plan("3.9.1").await, Check::DeprecatedTarget).len(), 1);
}

/// The object to mend is the malformed one: here the target's, above the current version's.
#[tokio::test]
async fn a_malformed_version() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change_version("3.8.3", |v| v["spec"]["updateConstraints"] = json!({ "allowlist": [">= 3.8"] }));
    scene.change_version("3.9.1", |v| v["spec"]["version"] = json!("three"));
    let plan = scene.plan("3.9.1").await;
    let [(Check::VersionRule, message, hint)] = said(&plan, Severity::Refusal)[..] else {
        panic!("{plan:?}")
    };
    let begin = "cannot tell whether 3.8.3 may be updated to 3.9.1: version object \"3.9.1\" has a malformed spec.version: ";
    assert!(message.starts_with(begin) && message.len() > begin.len(), "{message}");
    assert_eq!(hint, "fix the object: kubectl edit zookeeperversions 3.9.1");
}

#[tokio::test]
async fn no_such_version() {
    let scene = Scene::new(Database::kafka_topology("kf"));
    let error = plan_to(&scene, "3.6.11").await.expect_err("it is not there").to_string();
    assert_eq!(
        error,
        "the catalog has no KafkaVersion \"3.6.11\"; closest matches: 3.6.1, 3.6.0, 3.7.2, 3.5.2, 3.5.1"
    );
}

#[tokio::test]
async fn no_catalog_at_all() {
    let sim = SimCluster::new(Behaviour::default());
    let scene = Scene::on(sim, Database::kafka_topology("kf"));
    for to in ["3.6.1", "latest"] {
        let error = plan_to(&scene, to).await.expect_err("it is not there").to_string();
        assert_eq!(error, "the cluster has no KafkaVersion objects: is KubeDB's catalog installed?", "{to}");
    }
}

async fn plan_to(scene: &Scene, to: &str) -> Result<Plan, NoTarget> {
    let request = Request::to(to);
    update::plan(&scene.read().await.expect("it can be read"), &request)
}

/// Anything may stand in a catalog that a user has edited.
#[tokio::test]
async fn a_version_object_that_says_nothing() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change_version("3.9.1", |v| v["spec"] = json!({ "db": "not an object", "updateConstraints": [1] }));
    let plan = scene.plan("3.9.1").await;
    assert_eq!(of(&plan, Check::ShapeChange).len(), 2, "it names no image for either container");
    assert!(plan.workloads.iter().all(|w| w.images.is_empty()));
    let none = |v: &mut Value| v["spec"] = Value::Null;
    scene.change_version("3.9.1", none);
    assert_eq!(of(&scene.plan("3.9.1").await, Check::ShapeChange).len(), 2);
}
