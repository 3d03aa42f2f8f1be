//! What goes back to the client.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde::Serialize;

use super::yaml;
use crate::error::ApiError;

/// An answer before it becomes HTTP.
pub(super) struct Answer {
    pub code: u16,
    content_type: &'static str,
    retry_after: Option<u64>,
    /// What the client is warned of.
    warnings: Vec<String>,
    content: Content,
}

enum Content {
    Whole(Bytes),
    /// Lines, one for each event of a watch.
    Lines(BoxStream<'static, Result<Bytes, Broken>>),
    /// What somebody else has answered, or a change of the protocol.
    Foreign(Response<Body>),
}

/// A connection that breaks.
#[derive(Debug, thiserror::Error)]
#[error("connection reset by a fault")]
pub struct Broken;

impl Answer {
    pub fn json(code: u16, value: &impl Serialize) -> Self {
        Self::json_as("application/json", code, value)
    }

    pub fn json_as(content_type: &'static str, code: u16, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => Self::bytes(content_type, code, bytes),
            Err(error) => Self::refusal(&ApiError::internal(error)),
        }
    }

    pub fn text(code: u16, text: impl Into<String>) -> Self {
        Self::bytes("text/plain; charset=utf-8", code, text.into().into_bytes())
    }

    pub fn bytes(content_type: &'static str, code: u16, bytes: Vec<u8>) -> Self {
        Self {
            code,
            content_type,
            retry_after: None,
            warnings: Vec::new(),
            content: Content::Whole(bytes.into()),
        }
    }

    pub fn watch(lines: BoxStream<'static, Result<Bytes, Broken>>) -> Self {
        Self { content: Content::Lines(lines), ..Self::bytes("application/json", 200, Vec::new()) }
    }

    /// What a pod has answered.
    pub fn foreign(response: Response<Body>) -> Self {
        let code = response.status().as_u16();
        Self { content: Content::Foreign(response), ..Self::text(code, "") }
    }

    /// From here on the connection speaks another protocol.
    pub fn switching(headers: HeaderMap) -> Self {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers;
        Self::foreign(response)
    }

    /// What was asked for is elsewhere.
    ///
    /// # Errors
    /// The place cannot be written in a header.
    pub fn moved(place: &str) -> Result<Self, ApiError> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
        let place = HeaderValue::from_str(place).map_err(ApiError::internal)?;
        response.headers_mut().insert(header::LOCATION, place);
        Ok(Self::foreign(response))
    }

    pub fn refusal(error: &ApiError) -> Self {
        // Only a path that no API serves is refused without a reason and below 500, by a plain text.
        if error.code == 404 && error.reason.is_empty() {
            return Self::text(404, format!("{}\n", error.message));
        }
        let retry_after = error.retry_after_seconds();
        Self { retry_after, ..Self::json(error.code, &error.to_status()) }
    }

    /// The same answer in YAML, if it is one object in JSON.
    pub fn in_yaml(self) -> Self {
        let yaml = match &self.content {
            Content::Whole(bytes) if self.content_type == "application/json" => {
                serde_json::from_slice(bytes).ok().and_then(|value| yaml::write(&value))
            }
            _ => None,
        };
        match yaml {
            Some(text) => {
                Self { content_type: yaml::MEDIA_TYPE, content: Content::Whole(text.into()), ..self }
            }
            None => self,
        }
    }

    /// The same answer, with warnings.
    pub fn warning(self, warnings: Vec<String>) -> Self {
        Self { warnings, ..self }
    }

    /// The same answer, of which only the first half arrives.
    pub fn cut(self) -> Self {
        let content = match self.content {
            Content::Whole(bytes) => {
                let half = bytes.slice(..bytes.len() / 2);
                Content::Lines(stream::iter([Ok(half), Err(Broken)]).boxed())
            }
            other @ (Content::Lines(_) | Content::Foreign(_)) => other,
        };
        Self { content, ..self }
    }

    pub fn into_response(self, warnings: &[String]) -> Response<Body> {
        let body = match self.content {
            Content::Whole(bytes) => Body::from(bytes),
            Content::Lines(lines) => Body::from_stream(lines),
            Content::Foreign(response) => return response,
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        for warning in self.warnings.iter().chain(warnings) {
            let text = warning.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
                headers.append(header::WARNING, value);
            }
        }
        response
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        Self::refusal(&error)
    }
}
