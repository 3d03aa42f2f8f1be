//! A WebSocket to a pod, as a client of Kubernetes asks for it.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use simcluster::SimCluster;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tower::ServiceExt;

pub type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Asks for a WebSocket below the pods of a namespace, in one of these protocols: the headers of the answer and the
/// connection; or what comes back instead, if none does.
pub async fn open(sim: &SimCluster, path: &str, protocols: &str) -> Result<(HeaderMap, Socket), StatusCode> {
    let request = Request::get(format!("/api/v1/namespaces/default/pods/{path}"))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", protocols)
        .body(Body::empty())
        .expect("a request");
    let answer = sim.transport().oneshot(request).await.expect("an answer");
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(answer.status());
    }
    let headers = answer.headers().clone();
    let upgraded = hyper::upgrade::on(answer).await.expect("a connection");
    Ok((headers, WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await))
}
