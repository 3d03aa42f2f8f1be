//! Pods, strategies and places.

use kubectl_dbupdate::model::{Check, PodAction, Severity, Strategy as How};
use serde_json::json;
use simcluster::DeleteOptions;
use simcluster::world::{self, Database, Strategy};

use crate::scene::{NAMESPACE, Scene, of, said};

const FIND_OUT: &str = "find out why first: kubectl get pods -n default";

#[tokio::test]
async fn a_pod_that_is_not_ready() {
    let scene = Scene::new(Database::zookeeper("zk").no_budget());
    scene.unready("zk-1");
    scene.yields("3.9.1", (Check::PodNotReady, "petset/zk: not Ready: zk-1", FIND_OUT)).await;
    let plan = scene.plan_skipping("3.9.1", &[Check::PodNotReady]).await;
    let pods: Vec<_> = plan.pods().map(|p| (p.name.as_str(), p.action)).collect();
    let order = [("zk-1", PodAction::EvictUnhealthy), ("zk-0", PodAction::Evict), ("zk-2", PodAction::Evict)];
    assert_eq!(pods, order);
}

#[tokio::test]
async fn a_pod_that_is_missing() {
    let scene = Scene::new(Database::zookeeper("zk").no_budget());
    scene.store().delete("pods", NAMESPACE, "zk-2", DeleteOptions::now()).expect("it can be deleted");
    scene.yields("3.9.1", (Check::PodNotReady, "petset/zk: not Ready: 1 of 3 missing", FIND_OUT)).await;
}

#[tokio::test]
async fn a_pod_that_goes_away() {
    let scene = Scene::new(Database::zookeeper("zk").no_budget());
    scene.store().delete("pods", NAMESPACE, "zk-2", DeleteOptions::default()).expect("it can be deleted");
    scene.yields("3.9.1", (Check::PodNotReady, "petset/zk: not Ready: zk-2", FIND_OUT)).await;
}

#[tokio::test]
async fn a_controller_that_rolls_by_itself() {
    let scene = Scene::new(Database::zookeeper("zk").strategy(Strategy::RollingUpdate { partition: 0 }));
    let message = "petset/zk has update strategy RollingUpdate: its controller restarts the pods regardless of \
                   PodDisruptionBudgets, and Ctrl-C cannot stop it";
    let plan = scene.warns("3.9.1", &[(Check::RollingUpdate, message)]).await;
    assert_eq!(plan.workloads[0].strategy, How::Follow);
    let pods: Vec<_> = plan.pods().map(|p| (p.name.as_str(), p.action)).collect();
    let order = [("zk-2", PodAction::Follow), ("zk-1", PodAction::Follow), ("zk-0", PodAction::Follow)];
    assert_eq!(pods, order, "from the highest ordinal down");
}

/// The default of every workload API is RollingUpdate, where the object does not say.
#[tokio::test]
async fn an_absent_strategy_is_a_rolling_update() {
    let scene = Scene::new(Database::zookeeper("zk").adjust_workload(|set| {
        set["spec"].as_object_mut().expect("it is an object").remove("updateStrategy");
    }));
    let plan = scene.plan("3.9.1").await;
    assert_eq!(of(&plan, Check::RollingUpdate).len(), 1);
}

#[tokio::test]
async fn a_partition() {
    let scene = Scene::new(Database::zookeeper("zk").strategy(Strategy::RollingUpdate { partition: 2 }));
    let message =
        "petset/zk has partition 2: its controller creates pods below that ordinal from the old template";
    let hint = "set spec.updateStrategy.rollingUpdate.partition to 0";
    scene.refuses("3.9.1", &[(Check::Partition, message, hint)]).await;
    // Where no pod is restarted, none is created from the old template.
    let same = scene.plan("3.8.3").await;
    assert_eq!(of(&same, Check::Partition).len(), 0);
}

#[tokio::test]
async fn one_replica() {
    let scene = Scene::new(Database::cassandra("cas"));
    let message = "petset/cas has one replica: it is unavailable while its pod restarts";
    scene.warns("5.0.7", &[(Check::OneReplica, message)]).await;
}

#[tokio::test]
async fn two_controllers() {
    let scene = Scene::new(Database::kafka_topology("kf").controllers(2));
    let message = "petset/kf-controller has two controllers: the quorum is lost while either restarts";
    scene.warns("3.6.1", &[(Check::TwoControllers, message)]).await;
    let scene = Scene::new(Database::kafka_combined("kf").replicas(2));
    let message = "petset/kf has two controllers: the quorum is lost while either restarts";
    scene.warns("3.6.1", &[(Check::TwoControllers, message)]).await;
    let scene = Scene::new(Database::kafka_topology("kf").brokers(2));
    scene.warns("3.6.1", &[]).await;
}

#[tokio::test]
async fn a_pod_on_a_cordoned_node() {
    let scene = Scene::new(Database::zookeeper("zk"));
    let pod = scene.store().get("pods", NAMESPACE, "zk-1").expect("it is there");
    let node = pod["spec"]["nodeName"].as_str().expect("it is placed").to_owned();
    scene
        .store()
        .update("nodes", "", &node, |n| n["spec"]["unschedulable"] = json!(true))
        .expect("it is there");
    let message = format!(
        "pod zk-1 runs on node {node}, which is cordoned: it will be rescheduled to another node, if its volumes can move"
    );
    scene.warns("3.9.1", &[(Check::CordonedNode, &message)]).await;
}

/// Many users may not see nodes, and some clusters have no permission to give.
#[tokio::test]
async fn nodes_that_cannot_be_read() {
    let scene = Scene::new(Database::zookeeper("zk"));
    for node in world::NODES {
        scene
            .store()
            .update("nodes", "", node, |n| n["spec"]["unschedulable"] = json!(true))
            .expect("it is there");
    }
    scene.sim.access().deny("*", "", "nodes", "");
    scene.warns("3.9.1", &[]).await;
}

#[tokio::test]
async fn pods_of_another_database_are_not_ours() {
    let scene = Scene::new(Database::zookeeper("zk"));
    Database::zookeeper("zk2").install(&scene.sim);
    scene.unready("zk2-0");
    let plan = scene.plan("3.9.1").await;
    assert_eq!(said(&plan, Severity::Refusal), []);
    assert_eq!(plan.pods().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["zk-0", "zk-1", "zk-2"]);
}

#[tokio::test]
async fn racks_follow_their_numbers() {
    let racks = [("r10", 1), ("r2", 1), ("r1", 1)];
    let plan = Scene::new(Database::cassandra_racks("cas", &racks)).plan("5.0.7").await;
    let order: Vec<_> = plan.workloads.iter().map(|w| w.object.to_string()).collect();
    assert_eq!(order, ["petset/cas-rack-r1", "petset/cas-rack-r2", "petset/cas-rack-r10"]);
}
