//! PetSets, StatefulSets, Deployments, budgets and the garbage collector.

use simcluster::world::{PodManagement, Strategy};
use simcluster::{ChangeKind, DeleteOptions, WorkloadApi};

use super::*;

const NEW: &str = "example.com/db:2";

#[tokio::test(start_paused = true)]
async fn on_delete_restarts_nothing_by_itself_and_each_deleted_pod_comes_back_new() {
    for api in WorkloadApi::ALL {
        let database = Database::zookeeper("zk").workload_api(api);
        let cluster = running(
            Behaviour::default(),
            database
                .adjust(|zk| zk["status"] = json!({"conditions": [{"type": "Paused", "status": "True"}]})),
        );
        let store = cluster.store();
        let (res, old) = (api.resource(), update_revision(cluster.store(), api.resource(), "zk"));
        let template = get(store, res, "zk")["spec"]["template"].clone();
        set_image(store, res, "zk", NEW);
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(revision(store, "zk-0"), old);
        for pod in ["zk-0", "zk-1", "zk-2"] {
            delete(store, PODS, pod);
            let took = until(store, pod, || is_ready(store, pod)).await;
            assert!(took > 2 * SECOND && took < 3 * SECOND, "{took:?}");
            assert_eq!(revision(store, pod), update_revision(store, res, "zk"));
        }
        tokio::time::sleep(SECOND).await;
        let set = get(store, res, "zk");
        assert_eq!(text(&set, "/status/currentRevision"), old, "it never moves under OnDelete");
        assert!(set["status"].get("currentReplicas").is_none());
        assert_eq!((number(&set, "/status/updatedReplicas"), number(&set, "/status/readyReplicas")), (3, 3));
        store.update(res, "default", "zk", |set| set["spec"]["template"] = template).unwrap();
        tokio::time::sleep(SECOND).await;
        assert_eq!(update_revision(store, res, "zk"), old, "the old template has its old revision again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rolling_update_goes_down_one_by_one_whatever_the_budget_says() {
    let rolling = Strategy::RollingUpdate { partition: 1 };
    let database = Database::zookeeper("zk").strategy(rolling).pod_management(PodManagement::Parallel);
    let cluster = running(paused_operator(), database);
    let store = cluster.store();
    store.update(BUDGETS, "default", "zk", |budget| budget["spec"]["maxUnavailable"] = json!(0)).unwrap();
    let mut changes = store.subscribe();
    set_image(store, PETSETS, "zk", NEW);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut gone = Vec::new();
    while let Some(change) = changes.try_next() {
        if change.res == PODS && change.kind == ChangeKind::Deleted {
            gone.push(change.name.clone());
        }
    }
    assert_eq!(gone, ["zk-2", "zk-1"]);
    let set = get(store, PETSETS, "zk");
    assert_eq!((number(&set, "/status/updatedReplicas"), number(&set, "/status/currentReplicas")), (2, 1));
    store
        .update(PETSETS, "default", "zk", |set| {
            set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(0)
        })
        .unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let set = get(store, PETSETS, "zk");
    assert_eq!(set["status"]["currentRevision"], set["status"]["updateRevision"]);
    assert_eq!(number(&set, "/status/currentReplicas"), 3);
}

/// An operator that is away, so that it does not undo what a test changes.
fn paused_operator() -> Behaviour {
    let mut behaviour = Behaviour::default();
    behaviour.provisioner.alive = false;
    behaviour
}

#[tokio::test(start_paused = true)]
async fn pods_follow_the_scale() {
    let cluster = running(paused_operator(), Database::zookeeper("zk"));
    let store = cluster.store();
    for (replicas, top) in [(5, "zk-4"), (2, "zk-1")] {
        store.update(PETSETS, "default", "zk", |set| set["spec"]["replicas"] = json!(replicas)).unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(number(&get(store, PETSETS, "zk"), "/status/readyReplicas"), replicas);
        assert!(is_ready(store, top));
        assert_eq!(store.list(PODS, None).len() as i64, replicas);
    }
}

#[tokio::test(start_paused = true)]
async fn min_ready_seconds_delay_availability() {
    let database = Database::zookeeper("zk").min_ready_seconds(30);
    let cluster = running(paused_operator(), database);
    let store = cluster.store();
    tokio::time::sleep(60 * SECOND).await;
    delete(store, PODS, "zk-0");
    until(store, "ready", || is_ready(store, "zk-0")).await;
    tokio::time::sleep(SECOND).await;
    let available = || number(&get(store, PETSETS, "zk"), "/status/availableReplicas");
    assert_eq!(available(), 2);
    let took = until(store, "available", || available() == 3).await;
    assert!(took > 27 * SECOND && took < 31 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_budget_answers_within_some_milliseconds() {
    let cluster = running(paused_operator(), Database::zookeeper("zk"));
    let store = cluster.store();
    let allowed = || number(&get(store, BUDGETS, "zk"), "/status/disruptionsAllowed");
    assert_eq!(allowed(), 1);
    delete(store, PODS, "zk-1");
    let took = until(store, "spent", || allowed() == 0).await;
    assert!(took >= Duration::from_millis(5) && took <= Duration::from_millis(17), "{took:?}");
    until(store, "ready", || is_ready(store, "zk-1")).await;
    let took = until(store, "allowed", || allowed() == 1).await;
    assert!(took >= Duration::from_millis(5) && took <= Duration::from_millis(17), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_recovers_after_two_minutes() {
    let cluster = running(paused_operator(), Database::zookeeper("zk"));
    let store = cluster.store();
    let now = store.now().to_string();
    store
        .update_status(BUDGETS, "default", "zk", |budget| {
            budget["status"]["disruptionsAllowed"] = json!(0);
            budget["status"]["disruptedPods"] = json!({"zk-1": now});
        })
        .unwrap();
    let allowed = || number(&get(store, BUDGETS, "zk"), "/status/disruptionsAllowed");
    let took = until(store, "allowed again", || allowed() == 1).await;
    assert!(took > 118 * SECOND && took < 122 * SECOND, "{took:?}");
    assert!(get(store, BUDGETS, "zk")["status"].get("disruptedPods").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_deployment_replaces_its_pod_by_an_available_one() {
    let cluster = running(paused_operator(), Database::kafka_topology("kf").cruise_control());
    let store = cluster.store();
    let name = "kf-cruise-control";
    let revision =
        |object: &Value| text(object, "/metadata/annotations/deployment.kubernetes.io~1revision").to_owned();
    set_image(store, "deployments.apps", name, NEW);
    let pods = || -> Vec<Arc<Value>> {
        let all = store.list(PODS, None).into_iter();
        all.filter(|pod| text(pod, "/metadata/name").starts_with(name)).collect()
    };
    let has_new = || pods().iter().any(|pod| text(pod, "/spec/containers/0/image") == NEW);
    until(store, "a new pod", has_new).await;
    assert_eq!(pods().len(), 2, "the old one stays until the new one is available");
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(pods().len(), 1);
    let deployment = get(store, "deployments.apps", name);
    assert_eq!(number(&deployment, "/status/updatedReplicas"), 1);
    assert_eq!(text(&condition(&deployment, "Progressing").unwrap(), "/reason"), "NewReplicaSetAvailable");
    assert_eq!(revision(&deployment), "2");
}

#[tokio::test(start_paused = true)]
async fn what_a_database_owns_goes_with_it() {
    let cluster = running(Behaviour::default(), Database::kafka_topology("kf").cruise_control());
    let store = cluster.store();
    let owner = json!([{"apiVersion": "kubedb.com/v1", "kind": "Kafka", "name": "kf", "uid": uid(store, KAFKAS, "kf")}]);
    store.create("configmaps", json!({"metadata": {"name": "journal", "ownerReferences": owner}})).unwrap();
    store.create("configmaps", json!({"metadata": {"name": "other"}})).unwrap();
    delete(store, KAFKAS, "kf");
    tokio::time::sleep(60 * SECOND).await;
    for res in [PODS, PETSETS, BUDGETS, "deployments.apps", "replicasets.apps", "controllerrevisions.apps"] {
        assert_eq!(store.list(res, None).len(), 0, "{res}");
    }
    assert_eq!(store.list("configmaps", None).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn foreground_deletion_waits_for_the_pods_and_orphans_stay() {
    let cluster = running(paused_operator(), Database::zookeeper("zk"));
    let store = cluster.store();
    let with = |finalizer| DeleteOptions { finalizer: Some(finalizer), ..Default::default() };
    store.delete(PETSETS, "default", "zk", with("foregroundDeletion")).unwrap();
    until(store, "pods stop", || store.list(PODS, None).len() < 3).await;
    assert!(store.get(PETSETS, "default", "zk").is_some());
    until(store, "the set goes", || store.get(PETSETS, "default", "zk").is_none()).await;
    assert_eq!(store.list(PODS, None).len(), 0);

    let cluster = running(paused_operator(), Database::zookeeper("zk"));
    let store = cluster.store();
    store.delete(PETSETS, "default", "zk", with("orphan")).unwrap();
    until(store, "the set goes", || store.get(PETSETS, "default", "zk").is_none()).await;
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(store.list(PODS, None).len(), 3);
}
