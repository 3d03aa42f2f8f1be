//! `pods/portforward` over a WebSocket: of the protocols that a kubelet speaks the one with two channels for each port, an even
//! one for bytes and an odd one for what went wrong (`v4.channel.k8s.io`).

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use futures::stream::SplitSink;
use futures::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::path::Target;
use crate::error::ApiError;
use crate::listeners::Stream;
use crate::object;

const PROTOCOL: &str = "v4.channel.k8s.io";

/// What is read from a pod and sent on at once, in bytes.
const PIECE: usize = 32 * 1024;

/// How many messages may wait for the client.
const WAITING: usize = 16;

pub(super) fn forward(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let (resource, name) = (target.resource.name, target.name.as_str());
    let pod = server
        .store
        .get(resource, &target.namespace, name)
        .ok_or_else(|| ApiError::not_found(resource, name))?;
    let (upgrade, headers) = accepted(call)?;
    let ports = ports(call)?;
    let server = server.clone();
    let namespace = target.namespace.clone();
    tokio::spawn(async move {
        // A client that leaves before its connection is handed over has nothing to be told.
        let Ok(upgraded) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        let mut lines = Vec::new();
        for port in ports {
            lines.push((port, connect(&server, &pod, &namespace, port).await));
        }
        // A WebSocket that breaks is the client's affair.
        let _ = carry(socket, lines).await;
    });
    Ok(Answer::switching(headers))
}

/// The ports of the query.
fn ports(call: &Call) -> Result<Vec<u16>, ApiError> {
    let texts = call.query.all("ports").flat_map(|list| list.split(','));
    let parse = |text: &str| {
        let port = text.parse::<u16>().ok().filter(|port| *port > 0);
        port.ok_or_else(|| ApiError::bad_request(format!("unable to parse \"{text}\" as a port")))
    };
    let ports: Vec<u16> = texts.map(parse).collect::<Result<_, _>>()?;
    if ports.is_empty() {
        return Err(ApiError::bad_request("query parameter \"port\" is required"));
    }
    Ok(ports)
}

/// What a request for a WebSocket is answered, and where the connection will be.
fn accepted(call: &Call) -> Result<(OnUpgrade, HeaderMap), ApiError> {
    // kubectl speaks SPDY, over a WebSocket or without one, and shows what it is told here.
    let only = || {
        let why = format!(
            "no SPDY is spoken here, a port is forwarded over a WebSocket with the protocol {PROTOCOL} only"
        );
        ApiError::bad_request(why)
    };
    let wanted = call.upgrade.as_ref().ok_or_else(only)?;
    let (Some(key), true) = (&wanted.key, wanted.protocols.iter().any(|offered| offered == PROTOCOL)) else {
        return Err(only());
    };
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(ApiError::internal)?;
    let headers = HeaderMap::from_iter([
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
        (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL)),
    ]);
    Ok((wanted.connection.clone(), headers))
}

/// A connection to a port, or what the kubelet says of it.
async fn connect(
    server: &Server,
    pod: &Value,
    namespace: &str,
    port: u16,
) -> Result<Box<dyn Stream>, String> {
    let (name, uid) = (object::name(pod), object::uid(pod));
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    let failed = |why: &str| format!("error forwarding port {port} to pod {name}, uid {uid}: {why}");
    if phase != "Running" {
        return Err(failed(&format!("pod is not running. Current status={phase}")));
    }
    let connected = server.connect(namespace, name, port).await;
    connected
        .map_err(|error| failed(&format!("failed to connect to localhost:{port} inside the pod: {error}")))
}

/// A port, and the connection to it.
type Line = (u16, Result<Box<dyn Stream>, String>);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Carries bytes between the WebSocket and the ports until one of them ends.
async fn carry(socket: Socket, lines: Vec<Line>) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let (mut sink, mut messages) = socket.split();
    let (to_client, mut from_pods) = mpsc::channel(WAITING);
    let mut writers: Vec<Option<WriteHalf<Box<dyn Stream>>>> = Vec::new();
    for (channel, (port, line)) in (0_u8..).step_by(2).zip(lines) {
        // Each channel begins with its port.
        for channel in [channel, channel + 1] {
            sink.send(frame(channel, &port.to_le_bytes())).await?;
        }
        match line {
            Ok(stream) => {
                let (reader, writer) = split(stream);
                writers.push(Some(writer));
                tokio::spawn(read(reader, channel, to_client.clone()));
            }
            Err(why) => {
                writers.push(None);
                sink.send(frame(channel + 1, why.as_bytes())).await?;
            }
        }
    }
    drop(to_client);
    loop {
        tokio::select! {
            // Once every port has ended, the kubelet hangs up.
            piece = from_pods.recv() => match piece {
                Some(message) => sink.send(message).await?,
                None => return close(sink).await,
            },
            message = messages.next() => match message.transpose()? {
                Some(Message::Binary(bytes)) => write(&mut writers, &bytes).await,
                Some(Message::Close(_)) | None => return Ok(()),
                Some(_) => {}
            },
        }
    }
}

async fn close(mut sink: SplitSink<Socket, Message>) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    sink.send(Message::Close(None)).await
}

/// Passes on what a pod says, until it ends or nobody listens.
async fn read(mut reader: ReadHalf<Box<dyn Stream>>, channel: u8, to_client: mpsc::Sender<Message>) {
    let mut piece = vec![0; PIECE];
    while let Ok(length) = reader.read(&mut piece).await {
        if length == 0 || to_client.send(frame(channel, &piece[..length])).await.is_err() {
            return;
        }
    }
}

/// Passes on what the client says. A port that takes no more has its end told by its reader.
async fn write(writers: &mut [Option<WriteHalf<Box<dyn Stream>>>], message: &[u8]) {
    let Some((channel, bytes)) = message.split_first() else { return };
    let writer = writers.get_mut(usize::from(channel / 2)).filter(|_| channel % 2 == 0);
    if let Some(Some(writer)) = writer {
        let _ = writer.write_all(bytes).await;
    }
}

fn frame(channel: u8, bytes: &[u8]) -> Message {
    Message::Binary(Bytes::from([&[channel], bytes].concat()))
}
