//! `pods/portforward` over a WebSocket: of the protocols that a kubelet speaks the one with two channels for each port, an even
//! one for bytes and an odd one for what went wrong (`v4.channel.k8s.io`).

use std::time::Duration;

use futures::stream::SplitSink;
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::path::Target;
use super::socket::{self, Accepted, Socket, frame};
use crate::error::ApiError;
use crate::listeners::Stream;
use crate::object;

const PROTOCOL: &str = "v4.channel.k8s.io";

/// What is read from a pod and sent on at once, in bytes.
const PIECE: usize = 32 * 1024;

/// How long the client's side stays open when the pod has closed its own (containerd and CRI-O).
const LINGERING: Duration = Duration::from_secs(1);

/// How many messages may wait for the client.
const WAITING: usize = 16;

pub(super) fn forward(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let (resource, name) = (target.resource.name, target.name.as_str());
    let pod = server
        .store
        .get(resource, &target.namespace, name)
        .ok_or_else(|| ApiError::not_found(resource, name))?;
    let Accepted { upgrade, headers } = socket::accepted(call, &[PROTOCOL], "a port is forwarded")?;
    let ports = ports(call)?;
    let server = server.clone();
    let namespace = target.namespace.clone();
    tokio::spawn(async move {
        let Some(socket) = socket::of(upgrade).await else { return };
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
                None => {
                    if writers.iter().any(Option::is_some) {
                        sleep(LINGERING).await;
                    }
                    return close(sink).await;
                }
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
