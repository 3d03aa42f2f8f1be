//! A small client for the tests.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, Response};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};
use simcluster::{Behaviour, SimCluster};
use tower::ServiceExt;

pub const KAFKAS: &str = "/apis/kubedb.com/v1/namespaces/default/kafkas";
pub const PODS: &str = "/api/v1/namespaces/default/pods";
pub const CONFIGMAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Sends a request of another user, in one more group if it is not empty.
pub async fn send_as(
    sim: &SimCluster,
    (user, group): (&str, &str),
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Reply {
    let mut request = request(method, path, "application/json", body.as_ref(), "application/json");
    for (header, value) in [("impersonate-user", user), ("impersonate-group", group)] {
        if !value.is_empty() {
            request.headers_mut().insert(header, value.parse().expect("a name"));
        }
    }
    read(sim.transport().oneshot(request).await.expect("an answer")).await
}

/// A cluster whose controllers do not run.
pub fn cluster() -> SimCluster {
    SimCluster::new(Behaviour::default())
}

/// What a request was answered.
#[derive(Debug)]
pub struct Reply {
    pub code: u16,
    pub headers: HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Reply {
    pub fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or_default()
    }

    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// The names of a list's items.
    pub fn names(&self) -> Vec<&str> {
        let items = self.body["items"].as_array().expect("a list");
        items.iter().map(|item| item["metadata"]["name"].as_str().expect("a name")).collect()
    }
}

fn request(method: &str, path: &str, kind: &str, body: Option<&Value>, accept: &str) -> Request<Body> {
    let bytes = body.map(|body| serde_json::to_vec(body).expect("JSON")).unwrap_or_default();
    Request::builder()
        .method(method)
        .uri(path)
        .header("accept", accept)
        .header("content-type", kind)
        .header("user-agent", "test/1")
        .body(Body::from(bytes))
        .expect("a request")
}

async fn read(response: Response<Body>) -> Reply {
    let (head, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.expect("a whole body");
    let text = String::from_utf8(bytes.to_vec()).expect("text");
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Reply { code: head.status.as_u16(), headers: head.headers, body, text }
}

/// Sends a request, or reports that its connection broke.
pub async fn try_send(
    sim: &SimCluster,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Result<Reply, simcluster::Broken> {
    let request = request(method, path, "application/json", body.as_ref(), "application/json");
    Ok(read(sim.transport().oneshot(request).await?).await)
}

pub async fn send(sim: &SimCluster, method: &str, path: &str, body: Option<Value>) -> Reply {
    try_send(sim, method, path, body).await.expect("an answer")
}

pub async fn get(sim: &SimCluster, path: &str) -> Reply {
    send(sim, "GET", path, None).await
}

pub async fn get_as(sim: &SimCluster, path: &str, accept: &str) -> Reply {
    let request = request("GET", path, "", None, accept);
    read(sim.transport().oneshot(request).await.expect("an answer")).await
}

pub async fn post(sim: &SimCluster, path: &str, body: Value) -> Reply {
    send(sim, "POST", path, Some(body)).await
}

/// Sends a body as it is, and asks for the answer in a media type.
pub async fn send_text(
    sim: &SimCluster,
    method: &str,
    path: &str,
    (kind, body): (&str, &str),
    accept: &str,
) -> Reply {
    let request = Request::builder().method(method).uri(path).header("content-type", kind);
    let request = request.header("accept", accept).body(Body::from(body.to_owned())).expect("a request");
    read(sim.transport().oneshot(request).await.expect("an answer")).await
}

/// Sends a patch; `kind` is `json`, `merge`, `strategic` or `apply`.
pub async fn patch(sim: &SimCluster, path: &str, kind: &str, body: Value) -> Reply {
    let content_type = match kind {
        "json" => "application/json-patch+json",
        "merge" => "application/merge-patch+json",
        "strategic" => "application/strategic-merge-patch+json",
        _ => "application/apply-patch+yaml",
    };
    let request = request("PATCH", path, content_type, Some(&body), "application/json");
    read(sim.transport().oneshot(request).await.expect("an answer")).await
}

/// The lines of a watch as they come; an error where the connection breaks.
pub async fn watch(sim: &SimCluster, path: &str) -> Lines {
    let request = request("GET", path, "", None, "application/json");
    let response = sim.transport().oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), 200);
    Lines { chunks: Box::pin(response.into_body().into_data_stream()) }
}

pub struct Lines {
    chunks: std::pin::Pin<Box<dyn futures::Stream<Item = Result<Bytes, axum::Error>> + Send>>,
}

impl Lines {
    /// The next event; `None` at the end in good order.
    pub async fn next(&mut self) -> Option<Value> {
        let chunk = self.chunks.next().await?.expect("no break");
        Some(serde_json::from_slice(&chunk).expect("a line of JSON"))
    }

    /// The next chunk as it is.
    pub async fn raw(&mut self) -> Option<Result<Bytes, axum::Error>> {
        self.chunks.next().await
    }

    /// The next event's type and object name.
    pub async fn event(&mut self) -> (String, String) {
        let event = self.next().await.expect("an event");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
    }
}

pub fn kafka(name: &str) -> Value {
    json!({"apiVersion": "kubedb.com/v1", "kind": "Kafka", "metadata": {"name": name},
        "spec": {"version": "3.5.2"}})
}

pub fn configmap(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"k": "v"}})
}

/// A pod that runs on a node, ready or not.
pub fn running_pod(name: &str, ready: bool) -> Value {
    let status = if ready { "True" } else { "False" };
    json!({"metadata": {"name": name, "labels": {"app": "kafka"}},
        "spec": {"nodeName": "node-1", "containers": [{"name": "kafka", "image": "kafka:1"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]}})
}
