//! What `--to latest` comes to, and that what was passed over is said.

use std::collections::BTreeSet;

use kubectl_dbupdate::model::{Action, Check, Method, Methods, Severity};
use kubectl_dbupdate::plan::update::Request;
use kubectl_dbupdate::plan::versions::{self, Choice, Further, Reach};
use kubectl_dbupdate::situation;
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

/// What `list` says of a database: the newest version, and the one that other flags lead to.
async fn listed(scene: &Scene) -> (Option<String>, bool, Option<String>) {
    let listed = situation::listed(&scene.read().await.expect("the database can be read"), None);
    let flags = |f: Further| {
        let via = f.via.map(|via| format!(" via {via}")).unwrap_or_default();
        format!("{}{}{via}", f.version, if f.through { " through" } else { "" })
    };
    (listed.newest, listed.on_newest, listed.further.map(flags))
}

#[tokio::test]
async fn a_version_that_other_flags_lead_to_is_listed_with_them() {
    let some = |text: &str| Some(text.to_owned());
    let provisioner = some("4.2.0 via provisioner");
    for (database, newest, on_newest, further) in [
        (Database::kafka_topology("kf"), some("3.9.0"), false, provisioner.clone()),
        (Database::kafka_topology("kf").version("3.9.0"), None, true, provisioner),
        (Database::druid("dr"), some("30.0.1"), false, some("36.0.0 through")),
        (Database::druid("dr").version("36.0.0"), None, true, None),
        (Database::zookeeper("zk"), some("3.9.1"), false, None),
        (Database::zookeeper("zk").version("3.9.1"), None, true, None),
    ] {
        let scene = Scene::new(database);
        assert_eq!(listed(&scene).await, (newest, on_newest, further), "{}", scene.kind);
    }
    // One hop to 3.9.0 and a second one that changes the shape.
    let scene = Scene::new(Database::kafka_topology("kf"));
    scene.change_version("3.5.2", |v| v["spec"]["updateConstraints"] = json!({ "allowlist": ["<= 3.9.0"] }));
    let through = some("4.2.0 through via provisioner");
    assert_eq!(listed(&scene).await, (some("3.9.0"), false, through));
    // What nothing leads to is not named.
    scene.change_version("4.2.0", |v| v["spec"]["deprecated"] = json!(true));
    scene.change_version("4.0.0", |v| v["spec"]["deprecated"] = json!(true));
    assert_eq!(listed(&scene).await, (some("3.9.0"), false, None));
}

#[tokio::test]
async fn the_first_numbers_mean_the_newest_version_that_is_reached() {
    for (database, typed, through, via, meant) in [
        (Database::kafka_topology("kf"), "3.6", false, None, Some("3.6.1")),
        (Database::kafka_topology("kf"), "3", false, None, Some("3.9.0")),
        (Database::kafka_topology("kf"), "4", false, Some(Method::Provisioner), Some("4.2.0")),
        (Database::kafka_topology("kf"), "4", false, None, Some("4.2.0")),
        (Database::kafka_topology("kf"), "5", false, None, None),
        (Database::kafka_topology("kf"), "3.6.1", false, None, None),
        (Database::kafka_topology("kf"), "3.6.", false, None, None),
        (Database::kafka_topology("kf"), "latest", false, None, None),
        (Database::druid("dr"), "30", false, None, Some("30.0.1")),
        (Database::druid("dr"), "36.0", true, None, Some("36.0.0")),
        (Database::druid("dr"), "3", false, None, None),
        (Database::cassandra("cas"), "4.1", false, None, Some("4.1.11")),
    ] {
        let snapshot = Scene::new(database).read().await.expect("the database can be read");
        let methods = Methods { all: via, ..Methods::default() };
        let asked = Request { methods, ..Request::to(typed) };
        assert_eq!(versions::meant(&snapshot, &asked, through).as_deref(), meant, "{typed}");
    }
}

/// A version object may have any name.
#[tokio::test]
async fn an_exact_name_always_wins() {
    let scene = Scene::new(Database::kafka_topology("kf"));
    let mut named = catalog::version(simcluster::Kind::Kafka, "3.6.0").expect("it is in the catalog");
    named["metadata"]["name"] = json!("3.6");
    scene.store().create(&scene.versions(), named).expect("it is new");
    let snapshot = scene.read().await.expect("the database can be read");
    assert_eq!(versions::meant(&snapshot, &Request::to("3.6"), false), None);
}
