//! A connection to a port of a pod, by a port-forward.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use simcluster::SimCluster;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tower::ServiceExt;

pub struct Line {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    received: Vec<u8>,
}

impl Line {
    /// A connection; `None` where nobody listens.
    pub async fn open(sim: &SimCluster, pod: &str, port: u16) -> Option<Self> {
        let request = Request::get(format!("/api/v1/namespaces/default/pods/{pod}/portforward?ports={port}"))
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", "v4.channel.k8s.io")
            .body(Body::empty())
            .expect("a request");
        let answer = sim.transport().oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        let upgraded = hyper::upgrade::on(answer).await.expect("a connection");
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await;
        for channel in [0, 1] {
            let first = socket.next().await.expect("a frame").expect("no break").into_data();
            assert_eq!(first[..], [&[channel], &port.to_le_bytes()[..]].concat());
        }
        // A refusal comes at once, or not at all.
        let mut line = Self { socket, received: Vec::new() };
        match timeout(Duration::from_millis(1), line.receive()).await {
            Ok(false) => None,
            _ => Some(line),
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        // Who has hung up answers nothing, which the test sees.
        let _ = self.socket.send(Message::binary([&[0], bytes].concat())).await;
    }

    /// The next bytes of an answer; fewer if it ends.
    pub async fn read(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count && self.receive().await {}
        let count = count.min(self.received.len());
        self.received.drain(..count).collect()
    }

    /// All that still comes.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        while self.receive().await {}
        std::mem::take(&mut self.received)
    }

    /// Takes in one message; `false` at the end, and where the port refuses.
    async fn receive(&mut self) -> bool {
        match self.socket.next().await {
            Some(Ok(Message::Binary(bytes))) if bytes[0] == 0 => {
                self.received.extend_from_slice(&bytes[1..]);
                true
            }
            _ => false,
        }
    }
}

/// What a process answers that hangs up after it; `None` where nobody listens.
pub async fn told(sim: &SimCluster, pod: &str, port: u16, question: &[u8]) -> Option<String> {
    let mut line = Line::open(sim, pod, port).await?;
    line.send(question).await;
    Some(String::from_utf8(line.read_to_end().await).expect("text"))
}

/// What a pod answers to a request through the proxy: the code and the body.
pub async fn got(sim: &SimCluster, pod: &str, port: u16, path: &str) -> (u16, Value) {
    let uri = format!("/api/v1/namespaces/default/pods/{pod}:{port}/proxy{path}");
    let request = Request::get(uri).body(Body::empty()).expect("a request");
    let answer = sim.transport().oneshot(request).await.expect("an answer");
    let code = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a whole body");
    (code, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// What a pod answers to a request over a port-forward, with or without Basic authentication: all of it.
pub async fn asked(
    sim: &SimCluster,
    pod: &str,
    port: u16,
    head: &str,
    authorization: Option<&str>,
) -> String {
    let authorization = authorization.map(|value| format!("authorization: Basic {value}\r\n"));
    let authorization = authorization.unwrap_or_default();
    let request = format!(
        "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{authorization}content-length: 0\r\n\r\n"
    );
    told(sim, pod, port, request.as_bytes()).await.expect("somebody listens")
}

/// The value of a database's Secret, as it is in the Secret.
pub fn secret(sim: &SimCluster, database: &str, key: &str) -> Vec<u8> {
    use base64::Engine;
    let secret = sim.store().get("secrets", "default", &format!("{database}-auth")).expect("it is there");
    let text = secret["data"][key].as_str().expect("it has it");
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}
