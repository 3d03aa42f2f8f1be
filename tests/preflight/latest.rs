//! What `--to latest` comes to, and that what was passed over is said.

use std::collections::BTreeSet;

use kubectl_dbupdate::model::{Action, Check, Severity};
use kubectl_dbupdate::plan::versions::{self, Choice, Reach};
use serde_json::json;
use simcluster::DeleteOptions;
use simcluster::world::{Database, catalog};

use crate::scene::{Scene, said};

/// Where a database gets, and what is said of the versions above.
async fn latest(scene: &Scene) -> (String, Option<String>) {
    let plan = scene.plan("latest").await;
    assert_eq!(said(&plan, Severity::Refusal), []);
    let passed_over = plan.findings.into_iter().filter(|f| f.check == Check::PassedOver);
    let mut messages: Vec<_> = passed_over.map(|f| f.message).collect();
    assert!(messages.len() <= 1, "{messages:?}");
    (plan.to.name, messages.pop())
}

/// Kafka 4 needs an init container that patching images cannot add.
#[tokio::test]
async fn a_change_of_shape_is_passed_over() {
    let scene = Scene::new(Database::kafka_topology("kf"));
    let said = "latest is 3.9.0 here; skipped: 4.2.0 (shape-change), 4.0.0 (shape-change)".to_owned();
    assert_eq!(latest(&scene).await, ("3.9.0".to_owned(), Some(said)));
}

#[tokio::test]
async fn what_the_rule_denies_is_passed_over() {
    let scene = Scene::new(Database::druid("dr"));
    let said = "latest is 30.0.1 here; skipped: 36.0.0 (version-denied), 35.0.1 (version-denied), 31.0.0 \
                (version-denied)";
    assert_eq!(latest(&scene).await, ("30.0.1".to_owned(), Some(said.to_owned())));
}

#[tokio::test]
async fn what_is_deprecated_is_passed_over_even_where_it_is_allowed() {
    let scene = Scene::new(Database::druid("dr"));
    scene.change_version("30.0.1", |v| v["spec"]["deprecated"] = json!(true));
    scene.store().delete(&scene.versions(), "", "30.0.0", DeleteOptions::now()).expect("it can be deleted");
    let plan = scene.plan("latest").await;
    assert_eq!((plan.to.name.as_str(), plan.action), ("28.0.1", Action::Nothing));
    let message = &plan.findings.last().expect("something is said").message;
    assert!(message.ends_with("30.0.1 (deprecated-target)"), "{message}");
}

#[tokio::test]
async fn what_is_malformed_is_passed_over() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change_version("3.8.3", |v| v["spec"]["updateConstraints"] = json!({ "allowlist": [">= 3.8.3"] }));
    let mut odd = catalog::version(simcluster::Kind::ZooKeeper, "3.9.1").expect("it is in the catalog");
    odd["metadata"]["name"] = json!("9-odd");
    odd["spec"]["version"] = json!("nine");
    scene.store().create(&scene.versions(), odd).expect("it is new");
    assert_eq!(latest(&scene).await, ("3.9.1".to_owned(), None), "what cannot be ordered comes last");
}

/// Of two objects of the same version the one that lives is taken, whatever the order of their names.
#[tokio::test]
async fn among_equals_the_one_that_lives() {
    for (dying, living) in [("3.9.1", "3.9.1-b"), ("3.9.1-b", "3.9.1")] {
        let scene = Scene::new(Database::zookeeper("zk"));
        let mut twin = catalog::version(simcluster::Kind::ZooKeeper, "3.9.1").expect("it is in the catalog");
        twin["metadata"]["name"] = json!("3.9.1-b");
        scene.store().create(&scene.versions(), twin).expect("it is new");
        scene.change_version(dying, |v| v["spec"]["endOfLife"] = json!(true));
        assert_eq!(latest(&scene).await, (living.to_owned(), None));
    }
}

/// The end of life orders equals only: a newer version that is at its end still is the newest.
#[tokio::test]
async fn the_end_of_life_passes_nothing_over() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change_version("3.9.1", |v| v["spec"]["endOfLife"] = json!(true));
    assert_eq!(latest(&scene).await, ("3.9.1".to_owned(), None));
}

/// What is in the way of every version is no reason to pass one over.
#[tokio::test]
async fn a_refusal_of_the_database_stays_with_the_newest() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change_database_status(|db| db["status"]["phase"] = json!("NotReady"));
    let plan = scene.plan("latest").await;
    assert_eq!(plan.to.name, "3.9.1");
    assert_eq!(plan.refusals().map(|f| f.check).collect::<Vec<_>>(), [Check::Phase]);
}

#[tokio::test]
async fn on_the_latest_there_is_nothing_to_do() {
    let scene = Scene::new(Database::kafka_topology("kf").version("3.9.0"));
    let plan = scene.plan("latest").await;
    assert_eq!((plan.to.name.as_str(), plan.action), ("3.9.0", Action::Nothing));
    let said = "latest is 3.9.0 here; skipped: 4.2.0 (shape-change), 4.0.0 (shape-change)";
    assert!(plan.findings.iter().any(|f| f.check == Check::PassedOver && f.message == said));
}

/// What `kubectl dbupdate versions` says of each version, in a few words.
async fn choices(scene: &Scene) -> Vec<String> {
    let snapshot = scene.read().await.expect("the database can be read");
    let word = |c: Choice| {
        let latest = if c.latest { " latest" } else { "" };
        let reach = match c.reach.expect("a database is meant") {
            Reach::Current => "current".to_owned(),
            Reach::Allowed => "allowed".to_owned(),
            Reach::InSteps { path } => path.join(">"),
            Reach::Refused { check, .. } => check.to_string(),
        };
        format!("{}: {reach}{latest}", c.name)
    };
    versions::choices(&snapshot, &BTreeSet::new()).into_iter().map(word).collect()
}

#[tokio::test]
async fn every_version_is_told_with_what_speaks_against_it() {
    let druid = choices(&Scene::new(Database::druid("dr"))).await;
    assert_eq!(
        druid,
        [
            "36.0.0: 28.0.1>30.0.1>31.0.0>35.0.1>36.0.0",
            "35.0.1: 28.0.1>30.0.1>31.0.0>35.0.1",
            "31.0.0: 28.0.1>30.0.1>31.0.0",
            "30.0.1: allowed latest",
            "30.0.0: deprecated-target",
            "28.0.1: current",
            "25.0.0: downgrade"
        ]
    );
    let kafka = choices(&Scene::new(Database::kafka_topology("kf"))).await;
    assert_eq!(kafka[0], "4.2.0: shape-change");
    assert!(kafka.contains(&"3.9.0: allowed latest".to_owned()), "{kafka:?}");
}
