use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, advance};

use crate::client::*;

fn pair(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_where_a_list_ended() {
    let sim = cluster();
    post(&sim, CONFIGMAPS, configmap("a")).await;
    let version = sim.store().version();
    post(&sim, CONFIGMAPS, configmap("b")).await;
    let mut lines = watch(&sim, &format!("{CONFIGMAPS}?watch=1&resourceVersion={version}")).await;
    assert_eq!(lines.event().await, pair("ADDED", "b"));
    patch(&sim, &format!("{CONFIGMAPS}/a"), "merge", json!({"data": {"k": "w"}})).await;
    assert_eq!(lines.event().await, pair("MODIFIED", "a"));
    send(&sim, "DELETE", &format!("{CONFIGMAPS}/a"), None).await;
    let deleted = lines.next().await.expect("an event");
    assert_eq!(deleted["type"], "DELETED");
    assert_eq!(deleted["object"]["metadata"]["resourceVersion"], sim.store().version().to_string());
}

#[tokio::test(start_paused = true)]
async fn without_a_version_a_watch_begins_with_what_is_there() {
    let sim = cluster();
    post(&sim, CONFIGMAPS, configmap("a")).await;
    post(&sim, CONFIGMAPS, configmap("b")).await;
    let mut lines = watch(&sim, &format!("{CONFIGMAPS}?watch=true")).await;
    assert_eq!(lines.event().await, pair("ADDED", "a"));
    assert_eq!(lines.event().await, pair("ADDED", "b"));
}

#[tokio::test(start_paused = true)]
async fn initial_events_end_with_a_bookmark() {
    let sim = cluster();
    post(&sim, CONFIGMAPS, configmap("a")).await;
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut lines = watch(&sim, &format!("{CONFIGMAPS}?{query}")).await;
    assert_eq!(lines.event().await, pair("ADDED", "a"));
    let bookmark = lines.next().await.expect("a bookmark");
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_no_longer_selected_is_deleted_for_the_watch() {
    let sim = cluster();
    let mut map = configmap("a");
    map["metadata"]["labels"] = json!({"keep": "yes"});
    post(&sim, CONFIGMAPS, map).await;
    let version = sim.store().version();
    let query = format!("{CONFIGMAPS}?watch=1&resourceVersion={version}&labelSelector=keep=yes");
    let mut lines = watch(&sim, &query).await;
    let path = format!("{CONFIGMAPS}/a");
    patch(&sim, &path, "merge", json!({"metadata": {"labels": {"keep": "no"}}})).await;
    let event = lines.next().await.expect("an event");
    assert_eq!(
        (&event["type"], &event["object"]["metadata"]["labels"]["keep"]),
        (&json!("DELETED"), &json!("yes"))
    );
    patch(&sim, &path, "merge", json!({"metadata": {"labels": {"keep": "yes"}}})).await;
    assert_eq!(lines.event().await, pair("ADDED", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_forgotten_is_gone() {
    let sim = cluster();
    post(&sim, CONFIGMAPS, configmap("a")).await;
    post(&sim, CONFIGMAPS, configmap("b")).await;
    sim.store().compact();
    let mut lines = watch(&sim, &format!("{CONFIGMAPS}?watch=1&resourceVersion=2")).await;
    let event = lines.next().await.expect("an event");
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(event["object"]["reason"], "Expired");
    assert!(lines.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_each_minute_and_before_the_end() {
    let sim = cluster();
    let query = "watch=1&resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=90";
    let mut lines = watch(&sim, &format!("{CONFIGMAPS}?{query}&fieldSelector=metadata.name=other")).await;
    post(&sim, CONFIGMAPS, configmap("a")).await;
    let version = sim.store().version().to_string();
    post(&sim, KAFKAS, kafka("k")).await;
    let start = Instant::now();
    let mut seen = Vec::new();
    while let Some(event) = lines.next().await {
        assert_eq!(event["type"], "BOOKMARK", "a change elsewhere is no event here");
        assert_eq!(event["object"]["metadata"]["resourceVersion"], version);
        seen.push(start.elapsed().as_secs());
    }
    assert_eq!((seen, start.elapsed().as_secs()), (vec![60, 88], 90));
}

/// As seen of a kube-apiserver 1.36.
#[tokio::test(start_paused = true)]
async fn a_watch_of_what_does_not_change_gets_no_bookmark() {
    let sim = cluster();
    post(&sim, CONFIGMAPS, configmap("a")).await;
    let version = sim.store().version();
    let query = format!("watch=1&resourceVersion={version}&allowWatchBookmarks=true&timeoutSeconds=290");
    let start = Instant::now();
    let mut lines = watch(&sim, &format!("{CONFIGMAPS}?{query}")).await;
    post(&sim, KAFKAS, kafka("k")).await;
    assert!(lines.next().await.is_none());
    assert_eq!(start.elapsed().as_secs(), 290);
}

#[tokio::test(start_paused = true)]
async fn an_idle_watch_says_nothing_until_its_end() {
    let sim = cluster();
    let start = Instant::now();
    let mut lines = watch(&sim, &format!("{CONFIGMAPS}?watch=1&resourceVersion=1")).await;
    assert!(lines.next().await.is_none());
    assert_eq!(start.elapsed(), Duration::from_secs(30 * 60));
}

#[tokio::test(start_paused = true)]
async fn a_watch_can_be_a_table() {
    let sim = cluster();
    post(&sim, CONFIGMAPS, configmap("a")).await;
    let request = axum::http::Request::builder()
        .uri(format!("{CONFIGMAPS}?watch=1"))
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(axum::body::Body::empty())
        .expect("a request");
    let response = tower::ServiceExt::oneshot(sim.router(), request).await.expect("an answer");
    let mut chunks = response.into_body().into_data_stream();
    let line = futures::StreamExt::next(&mut chunks).await.expect("a line").expect("no break");
    let event: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
    advance(Duration::from_secs(1)).await;
    assert_eq!(event["object"]["rows"][0]["cells"], json!(["a", 1, "0s"]));
}
