use serde_json::json;
use simcluster::SimCluster;

use crate::client::*;

fn with_pod() -> SimCluster {
    let sim = cluster();
    sim.store().create("pods", running_pod("p", true)).expect("created");
    sim
}

#[tokio::test(start_paused = true)]
async fn a_running_pod_gets_its_grace() {
    let sim = with_pod();
    let path = format!("{PODS}/p");
    let reply = send(&sim, "DELETE", &path, None).await;
    assert_eq!((reply.code, &reply.body["metadata"]["deletionGracePeriodSeconds"]), (200, &json!(30)));
    let longer = send(&sim, "DELETE", &format!("{path}?gracePeriodSeconds=60"), None).await;
    assert_eq!(longer.body["metadata"]["deletionGracePeriodSeconds"], 30);
    let shorter = send(&sim, "DELETE", &path, Some(json!({"gracePeriodSeconds": 5}))).await;
    assert_eq!(shorter.body["metadata"]["deletionGracePeriodSeconds"], 5);
    send(&sim, "DELETE", &format!("{path}?gracePeriodSeconds=0"), None).await;
    assert_eq!(get(&sim, &path).await.code, 404);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_nothing_runs_goes_at_once() {
    let sim = cluster();
    let mut pod = running_pod("p", false);
    pod["spec"]["nodeName"] = json!(null);
    sim.store().create("pods", pod).expect("created");
    assert_eq!(send(&sim, "DELETE", &format!("{PODS}/p"), None).await.code, 200);
    assert!(sim.store().get("pods", "default", "p").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_precondition_that_does_not_hold_is_a_conflict() {
    let sim = with_pod();
    let options = json!({"preconditions": {"uid": "other"}});
    let reply = send(&sim, "DELETE", &format!("{PODS}/p"), Some(options)).await;
    assert_eq!((reply.code, reply.reason()), (409, "Conflict"));
    assert!(
        reply
            .message()
            .starts_with("Operation cannot be fulfilled on Pod \"p\": the UID in the precondition (other)")
    );
    assert!(sim.store().get("pods", "default", "p").is_some());
}

#[tokio::test(start_paused = true)]
async fn finalizers_are_waited_for() {
    let sim = cluster();
    let mut object = kafka("k");
    object["metadata"]["finalizers"] = json!(["kubedb.com"]);
    post(&sim, KAFKAS, object).await;
    let path = format!("{KAFKAS}/k");
    let reply = send(&sim, "DELETE", &path, None).await;
    assert!(reply.body["metadata"]["deletionTimestamp"].is_string());
    let added = patch(&sim, &path, "merge", json!({"metadata": {"finalizers": ["kubedb.com", "new"]}})).await;
    assert_eq!(added.body["details"]["causes"][0]["field"], "metadata.finalizers");
    assert_eq!(patch(&sim, &path, "merge", json!({"metadata": {"finalizers": null}})).await.code, 200);
    assert_eq!(get(&sim, &path).await.code, 404);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_delete_says_what_is_gone() {
    let sim = cluster();
    let created = post(&sim, KAFKAS, kafka("k")).await.body;
    let reply = send(&sim, "DELETE", &format!("{KAFKAS}/k"), None).await;
    assert_eq!(reply.body["status"], "Success");
    assert_eq!(
        reply.body["details"],
        json!({"name": "k", "group": "kubedb.com", "kind": "kafkas", "uid": created["metadata"]["uid"]})
    );
}

#[tokio::test(start_paused = true)]
async fn a_collection_is_deleted_by_selector() {
    let sim = cluster();
    for name in ["a", "b"] {
        post(&sim, CONFIGMAPS, configmap(name)).await;
    }
    let query = format!("{CONFIGMAPS}?fieldSelector=metadata.name=a");
    assert_eq!(send(&sim, "DELETE", &query, None).await.names(), ["a"]);
    assert_eq!(get(&sim, CONFIGMAPS).await.names(), ["b"]);
}
