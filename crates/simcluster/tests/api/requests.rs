//! What the query of a request may ask for.

use serde_json::{Value, json};

use crate::client::*;

/// Code, reason, and the field of the first cause.
fn refusal(reply: &Reply) -> (u16, &str, &str) {
    let cause = &reply.body["details"]["causes"][0];
    (reply.code, reply.reason(), cause["field"].as_str().unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn a_list_is_refused_what_makes_no_sense() {
    let sim = cluster();
    for name in ["a", "b", "c"] {
        post(&sim, CONFIGMAPS, configmap(name)).await;
    }
    for (query, expected) in [
        ("resourceVersionMatch=Exact", (422, "Invalid", "resourceVersionMatch")),
        ("resourceVersion=1&resourceVersionMatch=Bogus", (422, "Invalid", "resourceVersionMatch")),
        ("sendInitialEvents=true", (422, "Invalid", "sendInitialEvents")),
        ("resourceVersion=abc", (400, "BadRequest", "")),
        ("timeoutSeconds=abc", (400, "BadRequest", "")),
        ("timeout=abc", (400, "BadRequest", "")),
        ("limit=abc", (400, "BadRequest", "")),
        ("labelSelector=a=b=c", (400, "BadRequest", "")),
    ] {
        let reply = get(&sim, &format!("{CONFIGMAPS}?{query}")).await;
        assert_eq!(refusal(&reply), expected, "{query}");
    }
    let count = async |query: &str| get(&sim, &format!("{CONFIGMAPS}?{query}")).await.names().len();
    assert_eq!(count("limit=-1").await, 3);
    assert_eq!(count("limit=2").await, 2);
    assert_eq!(count("limit=2&resourceVersion=0").await, 3, "what comes from the watch cache comes whole");
}

#[tokio::test(start_paused = true)]
async fn a_read_at_a_version_waits_for_it_or_is_refused() {
    let sim = cluster();
    post(&sim, CONFIGMAPS, configmap("a")).await;
    for (version, expected) in [("0", 200), ("1", 200), ("99999", 504), ("abc", 500)] {
        let reply = get(&sim, &format!("{CONFIGMAPS}/a?resourceVersion={version}")).await;
        assert_eq!(reply.code, expected, "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_is_refused_options_that_no_server_knows() {
    let sim = cluster();
    post(&sim, CONFIGMAPS, configmap("a")).await;
    let before = sim.store().version();
    let path = format!("{CONFIGMAPS}/a");
    for (query, field) in [
        ("dryRun=", "dryRun"),
        ("dryRun=all", "dryRun"),
        ("dryRun=All&dryRun=x", "dryRun"),
        ("fieldManager=a%0Ab", "fieldManager"),
        ("fieldValidation=Bogus", "fieldValidation"),
        ("force=true", "force"),
    ] {
        let reply = patch(&sim, &format!("{path}?{query}"), "merge", json!({"data": {"k": "2"}})).await;
        assert_eq!(refusal(&reply), (422, "Invalid", field), "{query}");
    }
    let reply = patch(&sim, &path, "apply", configmap("a")).await;
    assert_eq!(refusal(&reply), (422, "Invalid", "fieldManager"));
    for (body, field) in [
        (json!({"dryRun": ["x"]}), "dryRun"),
        (json!({"propagationPolicy": "x"}), "propagationPolicy"),
        (json!({"propagationPolicy": "Background", "orphanDependents": true}), "propagationPolicy"),
    ] {
        let reply = send(&sim, "DELETE", &path, Some(body)).await;
        assert_eq!(refusal(&reply), (422, "Invalid", field));
    }
    let reply = send(&sim, "DELETE", &path, Some(json!({"apiVersion": "v1", "kind": "ConfigMap"}))).await;
    assert_eq!(refusal(&reply), (400, "BadRequest", ""));
    assert_eq!(sim.store().version(), before, "nothing was written");
}

#[tokio::test(start_paused = true)]
async fn a_collection_across_namespaces_takes_no_writes() {
    let sim = cluster();
    assert_eq!(post(&sim, "/api/v1/configmaps", configmap("a")).await.code, 405);
    assert_eq!(send(&sim, "DELETE", "/api/v1/configmaps", None::<Value>).await.code, 405);
    assert_eq!(send(&sim, "DELETE", "/api/v1/namespaces", None::<Value>).await.code, 405);
    assert_eq!(post(&sim, "/apis/kubedb.com/v1/kafkas", kafka("k")).await.code, 404, "a custom resource");
}

#[tokio::test(start_paused = true)]
async fn a_scale_names_its_object_and_counts_in_numbers() {
    let sim = cluster();
    let set = json!({"apiVersion": "apps.k8s.appscode.com/v1", "kind": "PetSet", "metadata": {"name": "s"},
        "spec": {"serviceName": "s", "selector": {}, "template": {"spec": {"containers": []}}, "replicas": 2}});
    let sets = "/apis/apps.k8s.appscode.com/v1/namespaces/default/petsets";
    assert_eq!(post(&sim, sets, set).await.code, 201);
    let path = format!("{sets}/s/scale");
    assert_eq!(send(&sim, "PUT", &path, Some(json!({}))).await.code, 400);
    let other = json!({"metadata": {"name": "other"}, "spec": {"replicas": 1}});
    assert_eq!(send(&sim, "PUT", &path, Some(other)).await.code, 400);
    for (replicas, field) in [(json!("3"), "patch"), (json!(-1), ".spec.replicas")] {
        let reply = patch(&sim, &path, "merge", json!({"spec": {"replicas": replicas}})).await;
        assert_eq!(refusal(&reply), (422, "Invalid", field));
    }
}
