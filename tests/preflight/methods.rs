//! Which ways are open, and what speaks against the one that was chosen.

use kubectl_dbupdate::model::{Check, ImageFound, Method, Severity, ShapeChange};
use simcluster::world::{Database, Strategy};

use crate::scene::{Scene, said};

fn method(method: Method, database: Database) -> Scene {
    Scene { method: Some(method), ..Scene::new(database) }
}

fn kafka() -> Database {
    Database::kafka_topology("db").version("3.9.0")
}

/// Which ways the plan says are open.
async fn methods(scene: &Scene, to: &str) -> String {
    let plan = scene.plan(to).await;
    let found = plan.findings.iter().find(|f| f.check == Check::Via && f.severity == Severity::Info);
    found.map(|f| f.message.clone()).unwrap_or_default()
}

#[tokio::test]
async fn every_plan_says_which_methods_are_open() {
    let rolls = Strategy::RollingUpdate { partition: 0 };
    for (database, to, said) in [
        (
            kafka(),
            "4.0.0",
            "provisioner, ops-manager; not client: petset/db-broker lacks container kafka-init",
        ),
        (Database::zookeeper("db"), "3.9.1", "client, provisioner, ops-manager"),
        (
            Database::zookeeper("db").strategy(rolls),
            "3.9.1",
            "client, ops-manager; not provisioner: petset/db has update strategy RollingUpdate",
        ),
        (
            kafka().strategy(rolls),
            "4.0.0",
            "ops-manager; not client: petset/db-broker lacks container kafka-init; not provisioner: petset/db-broker has \
             update strategy RollingUpdate",
        ),
    ] {
        assert_eq!(methods(&Scene::new(database), to).await, format!("methods: {said}"));
    }
}

#[tokio::test]
async fn the_refusal_of_a_shape_change_names_the_way() {
    let plan = Scene::new(kafka()).plan("4.0.0").await;
    let refusals = said(&plan, Severity::Refusal);
    let [(check, message, hint)] = refusals[..] else { panic!("{refusals:?}") };
    assert_eq!(check, Check::ShapeChange);
    assert_eq!(
        message,
        "4.0.0 needs init container kafka-init, which is missing from petset/db-broker, petset/db-controller"
    );
    assert!(hint.contains("--via provisioner"), "{hint}");
}

#[tokio::test]
async fn what_is_rendered_is_planned_with_its_containers() {
    let there = method(Method::Provisioner, kafka()).plan("4.0.0").await;
    assert_eq!(there.refusals().count(), 0);
    let init = ShapeChange {
        container: "kafka-init".to_owned(),
        init: true,
        image: "ghcr.io/kubedb/kafka-init:4.0-v2".to_owned(),
    };
    for workload in &there.workloads {
        assert_eq!((&workload.added, workload.removed.len()), (&vec![init.clone()], 0));
    }
}

#[tokio::test]
async fn the_provisioner_is_refused_where_controllers_roll_by_themselves() {
    let rolls = Database::zookeeper("db").strategy(Strategy::RollingUpdate { partition: 0 });
    let plan = method(Method::Provisioner, rolls).plan("3.9.1").await;
    let refusals = said(&plan, Severity::Refusal);
    let [(check, message, _)] = refusals[..] else { panic!("{refusals:?}") };
    assert_eq!(check, Check::Via);
    assert!(message.contains("petset/db has update strategy RollingUpdate"), "{message}");
}

/// Whoever renders a template pins its images by himself, and an image that comes with a new container has to be there.
#[tokio::test]
async fn what_is_rendered_is_asked_for_and_not_pinned_by_us() {
    let scene = method(Method::Provisioner, kafka().pinned());
    let (main, init) = ("ghcr.io/appscode-images/kafka:4.0.0", "ghcr.io/kubedb/kafka-init:4.0-v2");
    let known = [
        (main, ImageFound::Exists { digest: "sha256:00ff".to_owned() }),
        (init, ImageFound::Missing { why: "its registry has no such tag".to_owned() }),
    ];
    let plan = scene.plan_knowing("4.0.0", &[], &known).await;
    assert!(plan.workloads.iter().flat_map(|w| &w.images).all(|change| change.after == main));
    let checks: Vec<_> = plan.findings.iter().map(|f| f.check).collect();
    assert_eq!(checks.iter().filter(|c| **c == Check::ImageMissing).count(), 1, "{checks:?}");
    assert!(!checks.contains(&Check::PinnedImages), "{checks:?}");
}
