//! Who else is at work on the database.

use std::time::Duration;

use kubectl_dbupdate::model::{Action, Check, Lookup, Severity};
use kubectl_dbupdate::plan::update;
use serde_json::{Value, json};
use simcluster::world::Database;
use tokio::time::{Instant, sleep};

use crate::scene::{NAMESPACE, Scene, of, said};

const LEASES: &str = "leases.coordination.k8s.io";
const OPS: &str = "zookeeperopsrequests.ops.kubedb.com";

#[tokio::test]
async fn paused_by_somebody_else() {
    let hint = "wait until whoever paused it has removed the Paused condition";
    for (status, message, shown) in [
        ("True", "maintenance, by hand", None),
        ("Unknown", "", Some("no message")),
        ("False", "kubectl-dbupdate was here", None),
    ] {
        let scene = Scene::new(Database::zookeeper("zk"));
        scene.condition("Paused", status, message);
        let said =
            format!("zookeeper/zk is paused by another user or controller: {}", shown.unwrap_or(message));
        scene.refuses("3.9.1", &[(Check::PausedByOther, &said, hint)]).await;
    }
}

/// What an interrupted run of ours has left is resumed: its phase and its unready pod refuse nothing.
#[tokio::test]
async fn paused_by_an_unfinished_run_of_ours() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.condition("Paused", "True", "kubectl-dbupdate run 1f2e by ann@laptop: updating 3.8.3 to 3.9.1");
    scene.change_database_status(|db| db["status"]["phase"] = json!("Critical"));
    scene.unready("zk-1");
    let plan = scene.plan("3.9.1").await;
    assert_eq!(said(&plan, Severity::Refusal), []);
    let info: Vec<_> = said(&plan, Severity::Info).into_iter().map(|(c, m, _)| (c, m)).collect();
    let unfinished = "run 1f2e of this tool was not finished (kubectl-dbupdate run 1f2e by ann@laptop: updating 3.8.3 \
                      to 3.9.1); it is resumed";
    assert!(info.contains(&(Check::UnfinishedRun, unfinished)), "{info:?}");
    assert!(info.contains(&(Check::Phase, "zookeeper/zk is Critical, not Ready")), "{info:?}");
    assert!(info.contains(&(Check::PodNotReady, "petset/zk: not Ready: zk-1")), "{info:?}");
    assert_eq!(plan.action, Action::Update);
    assert_eq!(plan.workloads[0].pods[0].name, "zk-1", "what is not well goes first");
}

fn ops_request(name: &str, database: &str, phase: Value) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": { "type": "UpdateVersion", "databaseRef": { "name": database } },
        "status": if phase.is_null() { json!({}) } else { json!({ "phase": phase }) },
    })
}

#[tokio::test]
async fn an_ops_request_in_flight() {
    for (phase, shown) in [
        (Value::Null, Some("not started")),
        (json!(""), Some("not started")),
        (json!("Pending"), Some("Pending")),
        (json!("Progressing"), Some("Progressing")),
        (json!("WaitingForApproval"), Some("WaitingForApproval")),
        (json!("Approved"), Some("Approved")),
        (json!("SomethingNew"), Some("SomethingNew")),
        (json!("Successful"), None),
        (json!("Failed"), None),
        (json!("Denied"), None),
        (json!("Skipped"), None),
    ] {
        let scene = Scene::new(Database::zookeeper("zk"));
        scene.store().create(OPS, ops_request("up", "zk", phase)).expect("it is new");
        scene.store().create(OPS, ops_request("of-another", "zk2", json!("Progressing"))).expect("it is new");
        let Some(shown) = shown else {
            scene.warns("3.9.1", &[]).await;
            continue;
        };
        let message = format!("ZooKeeperOpsRequest up (UpdateVersion) is in progress: {shown}");
        let hint = "wait for it to end, or delete it";
        scene.refuses("3.9.1", &[(Check::OpsRequest, &message, hint)]).await;
    }
}

#[tokio::test]
async fn ops_requests_that_cannot_be_read() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.sim.access().deny("list", "ops.kubedb.com", "zookeeperopsrequests", "");
    let message = "cannot tell whether an ops request is in progress: list zookeeperopsrequests: forbidden: \
                   zookeeperopsrequests.ops.kubedb.com is forbidden: User \"sandbox-user\" cannot list resource \
                   \"zookeeperopsrequests\" in API group \"ops.kubedb.com\" in the namespace \"default\"";
    let hint = "ask for permission to list zookeeperopsrequests.ops.kubedb.com";
    scene.refuses("3.9.1", &[(Check::OpsRequestsUnreadable, message, hint)]).await;
}

#[tokio::test]
async fn a_cluster_without_ops_requests_has_none() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.sim.apis().remove(OPS);
    assert_eq!(scene.read().await.expect("it can be read").ops_requests, Lookup::Absent);
    scene.warns("3.9.1", &[]).await;
}

fn lease() -> Value {
    json!({
        "metadata": { "name": "dbupdate-zookeeper-zk" },
        "spec": {
            "holderIdentity": "bob@desk run 77aa", "leaseDurationSeconds": 30,
            "acquireTime": "2026-01-02T03:04:05.000000Z", "renewTime": "2026-01-02T03:04:05.000000Z",
        },
    })
}

/// A lock is told alive by a renewal, however old its times are; the wait for one is bounded by its duration.
#[tokio::test(start_paused = true)]
async fn locked() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.store().create(LEASES, lease()).expect("it is new");
    let cluster = scene.cluster();
    let mut snapshot = scene.read().await.expect("it can be read");
    let lock = snapshot.lock.take().expect("it is locked");
    assert_eq!(lock.since, "2026-01-02T03:04:05Z");
    let store = scene.store().clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(4)).await;
        let renew = |lease: &mut Value| lease["spec"]["renewTime"] = json!("2026-01-02T03:04:15.000000Z");
        store.update(LEASES, NAMESPACE, "dbupdate-zookeeper-zk", renew).expect("it is there");
    });
    let began = Instant::now();
    let watched = cluster.watch_lock(scene.kind, NAMESPACE, "zk", lock).await.expect("it can be watched");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    snapshot.lock = watched;
    let request = update::Request::to("3.9.1");
    let plan = update::plan(&snapshot, &request).expect("the target is there");
    let message = "locked by bob@desk run 77aa since 2026-01-02T03:04:05Z, which is still running: it just renewed the \
                   lock for another 30 s";
    assert_eq!(
        said(&plan, Severity::Refusal),
        [(Check::Locked, message, "`status -w` follows it; wait for it to end")]
    );
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_nobody_renews_is_no_obstacle() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.store().create(LEASES, lease()).expect("it is new");
    let mut snapshot = scene.read().await.expect("it can be read");
    let lock = snapshot.lock.take().expect("it is locked");
    let began = Instant::now();
    let watched =
        scene.cluster().watch_lock(scene.kind, NAMESPACE, "zk", lock).await.expect("it can be watched");
    assert!(began.elapsed() >= Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(watched.as_ref().is_some_and(|lock| !lock.alive));
    snapshot.lock = watched;
    let request = update::Request::to("3.9.1");
    let plan = update::plan(&snapshot, &request).expect("the target is there");
    assert!(of(&plan, Check::Locked).is_empty());
}
