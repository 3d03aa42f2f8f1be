use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use serde_json::json;
use simcluster::{ApiError, Effect, Fault};
use tokio::time::{Instant, sleep, timeout};

use crate::client::*;

#[tokio::test(start_paused = true)]
async fn a_fault_befalls_the_nth_match_and_no_other() {
    let sim = cluster();
    let error = ApiError::unavailable("not now");
    sim.faults().add(Fault::new(Effect::Answer(error)).method("POST").path("/configmaps").nth(2).times(2));
    let mut codes = Vec::new();
    for name in ["a", "b", "c", "d"] {
        get(&sim, CONFIGMAPS).await;
        codes.push(post(&sim, CONFIGMAPS, configmap(name)).await.code);
    }
    assert_eq!(codes, [201, 503, 503, 201]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_breaks_before_or_after_the_work() {
    let sim = cluster();
    sim.faults().add(Fault::new(Effect::Reset).mutating());
    assert!(try_send(&sim, "POST", CONFIGMAPS, Some(configmap("a"))).await.is_err());
    assert!(sim.store().get("configmaps", "default", "a").is_none());
    sim.faults().add(Fault::new(Effect::Reset).mutating().after_handling());
    assert!(try_send(&sim, "POST", CONFIGMAPS, Some(configmap("a"))).await.is_err());
    assert!(sim.store().get("configmaps", "default", "a").is_some());
    let statuses: Vec<Option<u16>> = sim.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [None, Some(201)]);
}

#[tokio::test(start_paused = true)]
async fn through_the_router_a_broken_connection_is_a_broken_body() {
    let sim = cluster();
    sim.faults().add(Fault::new(Effect::Reset));
    let request =
        axum::http::Request::builder().uri(PODS).body(axum::body::Body::empty()).expect("a request");
    let response = tower::ServiceExt::oneshot(sim.router(), request).await.expect("a router cannot fail");
    assert!(axum::body::to_bytes(response.into_body(), usize::MAX).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn requests_hang_wait_and_are_warned_about() {
    let sim = cluster();
    sim.faults().add(Fault::new(Effect::Hang));
    let hung = timeout(Duration::from_secs(10), get(&sim, PODS)).await;
    assert!(hung.is_err());
    sim.faults().add(Fault::new(Effect::Delay(Duration::from_secs(3))));
    sim.faults().add(Fault::new(Effect::Warn("old \"API\"".into())));
    let start = Instant::now();
    let reply = get(&sim, PODS).await;
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert_eq!(reply.headers["warning"], "299 - \"old \\\"API\\\"\"");
    assert!(!get(&sim, PODS).await.headers.contains_key("warning"));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_denies_dry_runs_as_well() {
    let sim = cluster();
    let denial = ApiError::denied_by_webhook(403, "guard.example.com", "not today");
    sim.faults().add(Fault::new(Effect::Answer(denial)).method("PATCH").always());
    post(&sim, KAFKAS, kafka("k")).await;
    for query in ["", "?dryRun=All"] {
        let reply = patch(&sim, &format!("{KAFKAS}/k{query}"), "merge", json!({})).await;
        let expected = "admission webhook \"guard.example.com\" denied the request: not today";
        assert_eq!((reply.code, reply.message()), (403, expected));
    }
    sim.faults().clear();
    assert_eq!(patch(&sim, &format!("{KAFKAS}/k"), "merge", json!({})).await.code, 200);
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_cut_in_the_middle_of_a_line() {
    let sim = cluster();
    for name in ["a", "b"] {
        post(&sim, CONFIGMAPS, configmap(name)).await;
    }
    sim.faults().add(Fault::new(Effect::CutWatch(1)).path("/configmaps"));
    let mut lines = watch(&sim, &format!("{CONFIGMAPS}?watch=1")).await;
    assert_eq!(lines.event().await.1, "a");
    let part = lines.raw().await.expect("a part").expect("no break yet");
    assert!(!part.ends_with(b"\n"));
    assert!(lines.raw().await.expect("the break").is_err());
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_cut_in_the_middle_of_its_body() {
    let sim = cluster();
    sim.faults().add(Fault::new(Effect::CutBody));
    let request =
        axum::http::Request::builder().uri(PODS).body(axum::body::Body::empty()).expect("a request");
    let response = tower::ServiceExt::oneshot(sim.router(), request).await.expect("a router cannot fail");
    assert_eq!(response.status(), 200);
    let mut parts = response.into_body().into_data_stream();
    let part = parts.next().await.expect("a part").expect("no break yet");
    assert!(serde_json::from_slice::<serde_json::Value>(&part).is_err());
    assert!(parts.next().await.expect("the break").is_err());
    assert_eq!(sim.requests()[0].status, Some(200));
}

#[tokio::test(start_paused = true)]
async fn a_late_request_is_handled_though_nobody_waits() {
    let sim = cluster();
    sim.faults().add(Fault::new(Effect::Late(Duration::from_secs(15))));
    let left = timeout(Duration::from_secs(10), post(&sim, CONFIGMAPS, configmap("a"))).await;
    assert!(left.is_err());
    assert!(sim.store().get("configmaps", "default", "a").is_none());
    sleep(Duration::from_secs(6)).await;
    assert!(sim.store().get("configmaps", "default", "a").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_watch_falls_silent() {
    let sim = cluster();
    sim.faults().add(Fault::new(Effect::StallWatch(1)).path("/configmaps"));
    let mut lines = watch(&sim, &format!("{CONFIGMAPS}?watch=1&resourceVersion=1")).await;
    for name in ["a", "b"] {
        post(&sim, CONFIGMAPS, configmap(name)).await;
    }
    assert_eq!(lines.event().await.1, "a");
    sim.faults().break_watches();
    assert!(timeout(Duration::from_secs(3600), lines.raw()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn open_watches_can_be_ended() {
    let sim = cluster();
    let path = format!("{CONFIGMAPS}?watch=1&resourceVersion=1");
    let mut ended = watch(&sim, &path).await;
    sim.faults().end_watches();
    assert!(ended.next().await.is_none());
    let mut broken = watch(&sim, &path).await;
    sim.faults().break_watches();
    assert!(broken.raw().await.expect("the break").is_err());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_restarts_comes_back_in_steps() {
    let sim = cluster();
    post(&sim, KAFKAS, kafka("k")).await;
    sim.faults().restart_server(Duration::from_secs(1));
    let path = format!("{KAFKAS}/k");
    assert!(try_send(&sim, "GET", &path, None).await.is_err());
    sleep(Duration::from_millis(1000)).await;
    let denied = get(&sim, &path).await;
    assert_eq!(denied.code, 403);
    assert!(
        denied.message().starts_with("kafkas.kubedb.com \"k\" is forbidden: User "),
        "{}",
        denied.message()
    );
    sleep(Duration::from_millis(60)).await;
    assert_eq!(get(&sim, &path).await.code, 503);
    sleep(Duration::from_millis(200)).await;
    let storage = get(&sim, &path).await;
    assert_eq!((storage.code, storage.message()), (429, "storage is (re)initializing"));
    sleep(Duration::from_millis(200)).await;
    assert_eq!(get(&sim, &path).await.code, 200);
}

#[tokio::test(start_paused = true)]
async fn requests_are_remembered_and_observed() {
    let sim = cluster();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    sim.on_request(move |request| log.lock().expect("a lock").push((request.method.clone(), request.status)));
    post(&sim, &format!("{CONFIGMAPS}?fieldManager=me&dryRun=All"), configmap("a")).await;
    get(&sim, &format!("{CONFIGMAPS}/a")).await;
    assert_eq!(
        *seen.lock().expect("a lock"),
        [("POST".to_owned(), Some(201)), ("GET".to_owned(), Some(404))]
    );
    let request = &sim.requests()[0];
    assert_eq!((request.number, request.user_agent.as_str(), request.dry_run), (0, "test/1", true));
    assert_eq!((request.parameter("fieldManager"), &request.body["data"]["k"]), (Some("me"), &json!("v")));
}
