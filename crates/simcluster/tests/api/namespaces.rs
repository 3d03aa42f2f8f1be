//! Namespaces: who may create in them, and how they end.

use serde_json::{Value, json};
use simcluster::{Behaviour, SimCluster};
use tokio::time::{Duration, sleep};

use crate::client::*;

const SPACES: &str = "/api/v1/namespaces";

#[tokio::test(start_paused = true)]
async fn a_new_namespace_can_be_selected_and_is_held_by_its_content() {
    let sim = SimCluster::new(Behaviour::default());
    sim.start();
    let created = post(&sim, SPACES, json!({"metadata": {"name": "n"}})).await.body;
    assert_eq!(created["metadata"]["labels"]["kubernetes.io/metadata.name"], "n");
    assert_eq!(created["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(created["status"]["phase"], "Active");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(get(&sim, &format!("{SPACES}/n/serviceaccounts/default")).await.code, 200);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_created_where_no_namespace_is() {
    let sim = cluster();
    let missing = post(&sim, "/api/v1/namespaces/none/configmaps", configmap("a")).await;
    assert_eq!((missing.code, missing.message()), (404, "namespaces \"none\" not found"));
    let lease = "/apis/coordination.k8s.io/v1/namespaces/none/leases/l";
    assert_eq!(send(&sim, "PUT", lease, Some(json!({"metadata": {"name": "l"}}))).await.code, 404);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_ends_when_its_content_is_gone() {
    let sim = SimCluster::new(Behaviour::default());
    sim.start();
    let maps = format!("{SPACES}/n/configmaps");
    post(&sim, SPACES, json!({"metadata": {"name": "n"}})).await;
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/hold"]}});
    for map in [configmap("free"), held] {
        assert_eq!(post(&sim, &maps, map).await.code, 201);
    }
    let ended = send(&sim, "DELETE", &format!("{SPACES}/n"), None::<Value>).await;
    assert_eq!((ended.code, &ended.body["status"]["phase"]), (200, &json!("Terminating")));
    let late = post(&sim, &maps, configmap("late")).await;
    assert_eq!((late.code, late.reason()), (403, "Forbidden"));
    assert_eq!(late.body["details"]["causes"][0]["reason"], "NamespaceTerminating");
    sleep(Duration::from_secs(5)).await;
    let code = async |path: &str| get(&sim, path).await.code;
    assert_eq!(code(&format!("{maps}/free")).await, 404);
    assert_eq!(code(&format!("{SPACES}/n")).await, 200, "it waits for what is held");
    patch(&sim, &format!("{maps}/held"), "merge", json!({"metadata": {"finalizers": null}})).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(code(&format!("{SPACES}/n")).await, 404);
}

#[tokio::test(start_paused = true)]
async fn some_namespaces_cannot_be_deleted() {
    let sim = cluster();
    let refused = send(&sim, "DELETE", &format!("{SPACES}/default"), None::<Value>).await;
    assert_eq!((refused.code, refused.reason()), (403, "Forbidden"));
}
