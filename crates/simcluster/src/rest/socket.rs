//! WebSockets with channels: the first byte of a message names its channel (`channel.k8s.io`).

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::call::Call;
use crate::error::ApiError;

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A request for a WebSocket that is answered with one.
pub(super) struct Accepted {
    /// Where the connection will be.
    pub upgrade: OnUpgrade,
    /// What the request is answered.
    pub headers: HeaderMap,
}

/// Accepts a request in the first of the subprotocols spoken here that its client speaks.
pub(super) fn accepted(call: &Call, spoken: &[&'static str], what: &str) -> Result<Accepted, ApiError> {
    // An old kubectl speaks SPDY, and shows what it is told here.
    let only = || {
        let why = format!(
            "no SPDY is spoken here, {what} over a WebSocket with the protocol {} only",
            spoken.join(" or ")
        );
        ApiError::bad_request(why)
    };
    let wanted = call.upgrade.as_ref().ok_or_else(only)?;
    let chosen = spoken.iter().find(|protocol| wanted.protocols.iter().any(|offered| offered == *protocol));
    let (Some(key), Some(chosen)) = (&wanted.key, chosen) else { return Err(only()) };
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(ApiError::internal)?;
    let headers = HeaderMap::from_iter([
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
        (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(chosen)),
    ]);
    Ok(Accepted { upgrade: wanted.connection.clone(), headers })
}

/// The WebSocket, once the connection is handed over. A client that leaves before that has nothing to be told.
pub(super) async fn of(upgrade: OnUpgrade) -> Option<Socket> {
    let upgraded = upgrade.await.ok()?;
    Some(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await)
}

/// A message on a channel.
pub(super) fn frame(channel: u8, bytes: &[u8]) -> Message {
    Message::Binary(Bytes::from([&[channel], bytes].concat()))
}
