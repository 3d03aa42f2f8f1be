//! The database object itself.

use kubectl_dbupdate::cluster::ClusterError;
use kubectl_dbupdate::model::{Check, Severity};
use serde_json::{Value, json};
use simcluster::DeleteOptions;
use simcluster::world::Database;

use crate::scene::{NAMESPACE, PETSETS, Scene, of, said};

#[tokio::test]
async fn not_found() {
    let scene = Scene::new(Database::zookeeper("zk"));
    let other = Scene { name: "zk2".to_owned(), ..scene };
    assert!(matches!(other.read().await, Err(ClusterError::NotFound { .. })));
}

#[tokio::test]
async fn being_deleted() {
    let keep = |db: &mut Value| db["metadata"]["finalizers"] = json!(["kubedb.com"]);
    let scene = Scene::new(Database::zookeeper("zk").adjust(keep));
    let deleted = scene.store().delete(&scene.res(), NAMESPACE, "zk", DeleteOptions::default());
    deleted.expect("it can be deleted");
    scene.refuses("3.9.1", &[(Check::BeingDeleted, "zookeeper/zk is being deleted", "")]).await;
}

/// KubeDB removes the workloads of a halted database: `spec.halted` is not the pause of an update.
#[tokio::test]
async fn halted() {
    let message = "zookeeper/zk is halted (spec.halted): it has no pods to update";
    let hint = "set spec.halted to false, wait until the database is Ready, then try again";
    let scene = Scene::new(Database::zookeeper("zk").adjust(|db| db["spec"]["halted"] = json!(true)));
    scene.refuses("3.9.1", &[(Check::Halted, message, hint)]).await;
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change_database_status(|db| db["status"]["phase"] = json!("Halted"));
    scene.refuses("3.9.1", &[(Check::Halted, message, hint)]).await;
}

#[tokio::test]
async fn distributed() {
    let spread = |set: &mut Value| set["spec"]["distributed"] = json!(true);
    let scene = Scene::new(Database::zookeeper("zk").adjust_workload(spread));
    let message = "petset/zk is distributed: its pods run in other clusters, which this tool cannot reach";
    scene.refuses("3.9.1", &[(Check::Distributed, message, "")]).await;
}

#[tokio::test]
async fn a_phase_other_than_ready() {
    for (phase, shown) in [
        (json!("Provisioning"), "Provisioning"),
        (json!("DataRestoring"), "DataRestoring"),
        (json!("Critical"), "Critical"),
        (json!("NotReady"), "NotReady"),
        (json!("Unknown"), "Unknown"),
        (json!("Sulking"), "Sulking"),
        (Value::Null, "not reported"),
    ] {
        let scene = Scene::new(Database::zookeeper("zk"));
        scene.change_database_status(|db| db["status"]["phase"] = phase);
        let message = format!("zookeeper/zk is {shown}, not Ready");
        scene.yields("3.9.1", (Check::Phase, &message, "make sure the database is Ready first")).await;
    }
}

#[tokio::test]
async fn no_status_at_all() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change_database_status(|db| db["status"] = Value::Null);
    let message = "zookeeper/zk is not reported, not Ready";
    scene.yields("3.9.1", (Check::Phase, message, "make sure the database is Ready first")).await;
}

#[tokio::test]
async fn no_workloads() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.store().delete(PETSETS, NAMESPACE, "zk", DeleteOptions::now()).expect("it can be deleted");
    let message = "zookeeper/zk has no PetSet or StatefulSet (by label and owner)";
    let hint = "is the operator running, and has it created the workloads?";
    scene.refuses("3.9.1", &[(Check::NoWorkloads, message, hint)]).await;
}

/// A PetSet with the right labels that another database owns is not this database's.
#[tokio::test]
async fn workloads_of_another_owner() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change(PETSETS, "zk", |set| set["metadata"]["ownerReferences"][0]["uid"] = json!("another"));
    let plan = scene.plan("3.9.1").await;
    assert_eq!(of(&plan, Check::NoWorkloads).len(), 1);
    assert!(plan.workloads.is_empty());
}

#[tokio::test]
async fn zero_replicas() {
    let scene = Scene::new(Database::zookeeper("zk").replicas(0));
    let message = "all workloads of zookeeper/zk have zero replicas: there is no pod to update";
    scene.refuses("3.9.1", &[(Check::NoWorkloads, message, "scale the database up first")]).await;
}

/// One empty rack does not keep the other from being updated.
#[tokio::test]
async fn one_workload_of_zero_replicas() {
    let scene = Scene::new(Database::cassandra_racks("cas", &[("r0", 0), ("r1", 2)]));
    let plan = scene.warns("5.0.7", &[]).await;
    let pods: Vec<_> = plan.workloads.iter().map(|w| (w.pods.len(), w.images.len())).collect();
    assert_eq!(pods, [(0, 2), (2, 2)], "the empty rack gets its images");
}

#[tokio::test]
async fn all_findings_are_reported_at_once() {
    let scene = Scene::new(
        Database::kafka_topology("kf").controllers(2).brokers(1).sidecar("agent", "agent:1").adjust(|db| {
            db["spec"]["cruiseControl"] = json!({});
            db["spec"]["halted"] = json!(true);
        }),
    );
    scene
        .store()
        .delete("deployments.apps", NAMESPACE, "kf-cruise-control", DeleteOptions::now())
        .expect("gone");
    scene.condition("Paused", "True", "Controller has started to Progress with OpsRequest: default/x");
    scene.change_database_status(|db| db["status"]["phase"] = json!("Critical"));
    scene.unready("kf-controller-1");
    let plan = scene.plan("3.5.1").await;
    let checks =
        |severity| -> Vec<_> { said(&plan, severity).into_iter().map(|(check, _, _)| check).collect() };
    assert_eq!(
        checks(Severity::Refusal),
        [
            Check::Halted,
            Check::Phase,
            Check::PausedByOther,
            Check::DeprecatedTarget,
            Check::Downgrade,
            Check::VersionDenied,
            Check::PodNotReady,
        ]
    );
    assert_eq!(
        checks(Severity::Warning),
        [Check::EndOfLife, Check::CruiseControlMissing, Check::OneReplica, Check::TwoControllers]
    );
    assert_eq!(checks(Severity::Info), [Check::Sidecar, Check::Sidecar, Check::Via]);
    assert!(plan.findings.is_sorted_by_key(|f| f.severity), "refusals come first");
}
