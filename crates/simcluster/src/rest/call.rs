//! A request, taken apart.

use std::sync::Arc;

use axum::http::{Method, header, request};
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use serde_json::Value;
use tokio::time::Instant;

use super::protobuf;
use super::query::Query;
use super::view::{self, Form, Syntax};
use super::yaml;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::record::RecordedRequest;

/// The media types of a body.
const BODIES: [&str; 3] = ["application/json", yaml::MEDIA_TYPE, protobuf::MEDIA_TYPE];

/// A request whose body has arrived.
pub(super) struct Call {
    pub method: Method,
    pub path: String,
    pub query: Query,
    pub accept: String,
    pub content_type: String,
    pub user_agent: String,
    /// Who sends it, or why its credentials were refused.
    pub caller: Result<Caller, ApiError>,
    /// The name of the client whose transport it came by; empty where it has none.
    pub client: Arc<str>,
    pub body: Bytes,
    /// The connection that becomes a WebSocket, if the client asks for one.
    pub upgrade: Option<Upgrade>,
}

/// A request to become a WebSocket (RFC 6455).
pub(super) struct Upgrade {
    pub connection: OnUpgrade,
    /// The `Sec-WebSocket-Key`.
    pub key: Option<String>,
    /// The subprotocols that the client speaks.
    pub protocols: Vec<String>,
}

impl Upgrade {
    fn read(head: &request::Parts) -> Option<Self> {
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        let connection = head.extensions.get::<OnUpgrade>()?.clone();
        text(header::UPGRADE).filter(|protocol| protocol.eq_ignore_ascii_case("websocket"))?;
        let protocols = text(header::SEC_WEBSOCKET_PROTOCOL).unwrap_or_default().split(',');
        Some(Self {
            connection,
            key: text(header::SEC_WEBSOCKET_KEY).map(str::to_owned),
            protocols: protocols.map(|protocol| protocol.trim().to_owned()).collect(),
        })
    }
}

impl Call {
    pub fn new(
        head: &request::Parts,
        body: Bytes,
        caller: Result<Caller, ApiError>,
        client: Arc<str>,
    ) -> Self {
        let header = |name| {
            let values: Vec<&str> =
                head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            values.join(",")
        };
        let content_type = header(header::CONTENT_TYPE);
        Self {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            query: Query::parse(head.uri.query().unwrap_or_default()),
            accept: header(header::ACCEPT),
            content_type: content_type.split(';').next().unwrap_or_default().trim().to_owned(),
            user_agent: header(header::USER_AGENT),
            caller,
            client,
            body,
            upgrade: Upgrade::read(head),
        }
    }

    /// Who sends it.
    pub fn caller(&self) -> Result<&Caller, ApiError> {
        self.caller.as_ref().map_err(ApiError::clone)
    }

    /// How the client wants objects to be written.
    pub fn form(&self) -> Result<Form, ApiError> {
        view::negotiate(&self.accept).map(|(form, _)| form)
    }

    /// Whether the client wants YAML more than JSON.
    pub fn wants_yaml(&self) -> bool {
        view::negotiate(&self.accept).is_ok_and(|(_, syntax)| syntax == Syntax::Yaml)
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value, ApiError> {
        if self.body.is_empty() {
            return Err(ApiError::bad_request("the body of the request must not be empty"));
        }
        match self.content_type.as_str() {
            yaml::MEDIA_TYPE => yaml::read(&self.body),
            "" | "application/json" | "*/*" => serde_json::from_slice(&self.body).map_err(|error| {
                let message = format!("error decoding the body of the request: {error}");
                ApiError::bad_request(message)
            }),
            protobuf::MEDIA_TYPE => {
                protobuf::decode(&self.body).ok_or_else(|| ApiError::unsupported_media_type(&BODIES))
            }
            _ => Err(ApiError::unsupported_media_type(&BODIES)),
        }
    }

    /// The body as JSON, `None` without a body.
    pub fn optional_json(&self) -> Result<Option<Value>, ApiError> {
        if self.body.is_empty() { Ok(None) } else { self.json().map(Some) }
    }

    /// What the recorder keeps of it.
    pub fn record(&self) -> RecordedRequest {
        let body: Value = serde_json::from_slice(&self.body)
            .ok()
            .or_else(|| protobuf::decode(&self.body))
            .unwrap_or(Value::Null);
        let in_body = [&body["dryRun"], &body["deleteOptions"]["dryRun"]]
            .iter()
            .any(|list| list.as_array().is_some_and(|list| list.iter().any(|entry| entry == "All")));
        RecordedRequest {
            number: 0,
            method: self.method.to_string(),
            path: self.path.clone(),
            query: self.query.pairs().to_vec(),
            content_type: self.content_type.clone(),
            user_agent: self.user_agent.clone(),
            client: self.client.to_string(),
            field_manager: self.query.get("fieldManager").map(str::to_owned),
            dry_run: in_body || self.query.get("dryRun") == Some("All"),
            at: Instant::now(),
            status: None,
            body,
        }
    }
}
