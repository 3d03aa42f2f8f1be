//! What reaches a listener in a pod, by a port-forward and by a proxied request.

use axum::http::StatusCode;
use futures::{SinkExt, StreamExt};
use simcluster::SimCluster;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::client::*;
use crate::websocket::{self, Socket};

/// A pod whose port 7000 says everything twice.
fn with_an_echo() -> SimCluster {
    let sim = cluster();
    sim.store().create("pods", running_pod("p", true)).expect("created");
    sim.listeners().answer("default", "p", 7000, |stream| drop(tokio::spawn(twice(stream))));
    sim
}

async fn twice(mut stream: DuplexStream) {
    let mut bytes = [0; 64];
    while let Ok(length @ 1..) = stream.read(&mut bytes).await {
        if bytes[..length] == *b"bye" {
            return;
        }
        stream.write_all(&bytes[..length].repeat(2)).await.expect("it is read");
    }
}

/// Asks for a WebSocket to the ports of a pod; what comes back instead, if none does.
async fn forward(sim: &SimCluster, path: &str, protocols: &str) -> Result<Socket, StatusCode> {
    let (headers, socket) = websocket::open(sim, path, protocols).await?;
    assert_eq!(headers["sec-websocket-protocol"], "v4.channel.k8s.io");
    // The example of RFC 6455.
    assert_eq!(headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    Ok(socket)
}

const PROTOCOLS: &str = "v5.channel.k8s.io, v4.channel.k8s.io";

#[tokio::test(start_paused = true)]
async fn bytes_go_to_the_port_and_back() {
    let sim = with_an_echo();
    let mut socket = forward(&sim, "p/portforward?ports=7000", PROTOCOLS).await.expect("a WebSocket");
    let next = async |socket: &mut WebSocketStream<_>| -> Vec<u8> {
        let message: Message = socket.next().await.expect("a message").expect("no break");
        message.into_data().to_vec()
    };
    let port = 7000_u16.to_le_bytes();
    for channel in [0, 1] {
        assert_eq!(next(&mut socket).await, [channel, port[0], port[1]]);
    }
    socket.send(Message::binary(b"\0ab".to_vec())).await.expect("sent");
    assert_eq!(next(&mut socket).await, b"\0abab");
    // The listener hangs up, and so does the server.
    socket.send(Message::binary(b"\0bye".to_vec())).await.expect("sent");
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
}

/// The kubelet says on a channel of its own what is wrong with a port.
#[tokio::test(start_paused = true)]
async fn a_port_without_a_listener_refuses() {
    let sim = with_an_echo();
    sim.listeners().close("default", "p", 7000);
    let mut pending = running_pod("q", false);
    pending["status"]["phase"] = "Pending".into();
    sim.store().create("pods", pending).expect("created");
    for (pod, why) in [("p", "connection refused"), ("q", "pod is not running. Current status=Pending")] {
        let path = format!("{pod}/portforward?ports=7000");
        let mut socket = forward(&sim, &path, PROTOCOLS).await.expect("a WebSocket");
        let mut said = Vec::new();
        while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
            said.push(bytes);
        }
        let last = said.last().expect("a message");
        assert_eq!((said.len(), last[0]), (3, 1), "{pod}");
        assert!(String::from_utf8_lossy(&last[1..]).contains(why), "{pod}: {last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_port_forward_is_refused() {
    let sim = with_an_echo();
    for (path, protocols, code) in [
        ("p/portforward", PROTOCOLS, 400),
        ("p/portforward?ports=0", PROTOCOLS, 400),
        ("p/portforward?ports=7000", "SPDY/3.1+portforward.k8s.io", 400),
        ("none/portforward?ports=7000", PROTOCOLS, 404),
    ] {
        let refused = forward(&sim, path, protocols).await.err();
        assert_eq!(refused.map(|status| status.as_u16()), Some(code), "{path}");
    }
    assert_eq!(get(&sim, &format!("{PODS}/p/portforward?ports=7000")).await.code, 400);
    sim.access().deny("get", "", "pods", "portforward");
    let refused = forward(&sim, "p/portforward?ports=7000", PROTOCOLS).await.err();
    assert_eq!(refused, Some(StatusCode::FORBIDDEN));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_passed_on_to_the_pod() {
    let sim = with_an_echo();
    sim.listeners().answer("default", "p", 80, |mut stream| {
        let answer = async move {
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.expect("a request");
            let asked = String::from_utf8_lossy(&head[..length]);
            let body = asked.lines().next().expect("a line").to_owned();
            let answer = format!("HTTP/1.1 418 Odd\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.expect("it is read");
        };
        drop(tokio::spawn(answer));
    });
    for (path, code, said) in [
        ("p/proxy/status/self?a=b%20c", 418, "GET /status/self?a=b+c HTTP/1.1"),
        ("p:80/proxy/", 418, "GET / HTTP/1.1"),
        ("http:p:/proxy/x", 418, "GET /x HTTP/1.1"),
        ("p/proxy", 301, ""),
        ("p:81/proxy/", 503, "connection refused"),
        ("p:high/proxy/", 400, ""),
        ("none/proxy/", 404, ""),
    ] {
        let reply = get(&sim, &format!("{PODS}/{path}")).await;
        assert_eq!(reply.code, code, "{path}: {}", reply.text);
        assert!(reply.text.contains(said), "{path}: {}", reply.text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_that_has_not_started_has_no_log() {
    let sim = with_an_echo();
    let mut two = running_pod("two", true);
    two["spec"]["containers"] = serde_json::json!([{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]);
    two["status"]["containerStatuses"] = serde_json::json!([
        {"name": "a", "state": {"running": {}}},
        {"name": "b", "state": {"waiting": {"reason": "ImagePullBackOff"}}},
    ]);
    sim.store().create("pods", two).expect("created");
    for (path, code, said) in [
        ("two/log?container=a", 200, ""),
        ("two/log?container=b", 400, "container \"b\" in pod \"two\" is waiting to start: ImagePullBackOff"),
        ("two/log?container=c", 400, "container c is not valid for pod two"),
        ("two/log", 400, "a container name must be specified for pod two, choose one of: [a b]"),
        ("two/log?container=a&tailLines=some", 400, "parsing \"some\""),
        ("none/log", 404, ""),
        ("two/exec?container=a", 400, "at least 1 command"),
        ("two/attach?container=a", 500, "no process"),
    ] {
        let reply = get(&sim, &format!("{PODS}/{path}")).await;
        assert_eq!(reply.code, code, "{path}: {}", reply.text);
        assert!(reply.text.contains(said) || reply.message().contains(said), "{path}: {}", reply.text);
    }
}
