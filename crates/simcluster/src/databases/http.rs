//! HTTP for the databases that answer by it.

use std::future::pending;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::DuplexStream;

use super::asker::{Asked, Asker};
use super::member::Deed;

/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 64 * 1024;

/// What a database makes of a request.
pub(super) type Handler = fn(&Asked, &Question) -> Reply;

/// A request.
#[derive(Debug)]
pub(super) struct Question {
    pub posts: bool,
    pub path: String,
    pub query: String,
    pub body: String,
    /// Whether it came with the credentials of the database.
    pub authenticated: bool,
}

/// An answer.
#[derive(Debug, PartialEq)]
pub(super) struct Reply {
    pub code: u16,
    pub kind: &'static str,
    pub body: String,
    /// Where the answer is instead.
    pub location: Option<String>,
    /// What the process is told to do at the same time.
    pub deed: Option<Deed>,
    /// It is never sent.
    pub withheld: bool,
}

impl Reply {
    pub fn json(body: &Value) -> Self {
        Self::coded(200, body)
    }

    pub fn coded(code: u16, body: &Value) -> Self {
        Self { kind: "application/json", ..Self::text(code, &body.to_string()) }
    }

    pub fn text(code: u16, body: &str) -> Self {
        let body = body.to_owned();
        Self { code, kind: "text/plain", body, location: None, deed: None, withheld: false }
    }

    /// Somebody else has the answer.
    pub fn moved(location: &str) -> Self {
        Self { location: Some(location.to_owned()), ..Self::text(307, "") }
    }

    pub fn not_found() -> Self {
        Self::text(404, "")
    }
}

/// Answers the requests of a connection until the process or its client is gone.
pub(super) async fn serve(stream: DuplexStream, asker: Asker, handler: Handler) {
    let service = service_fn(move |request: Request<Incoming>| answer(asker.clone(), handler, request));
    // A connection that breaks is the client's affair.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The process is gone.
#[derive(Debug, thiserror::Error)]
#[error("the process is gone")]
struct Gone;

async fn answer(asker: Asker, handler: Handler, request: Request<Incoming>) -> Result<Response<Body>, Gone> {
    let (head, body) = request.into_parts();
    let authorization = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credentials = authorization.and_then(basic);
    let body = to_bytes(Body::new(body), LONGEST_BODY).await.map_err(|_| Gone)?;
    let question = Question {
        posts: head.method == Method::POST,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
        authenticated: credentials.is_some_and(|(user, password)| asker.accepts(&user, &password)),
    };
    let asked = asker.ask().ok_or(Gone)?;
    let reply = handler(&asked, &question);
    if reply.withheld {
        pending::<()>().await;
    }
    if let Some(deed) = reply.deed {
        asker.obey(deed);
    }
    let mut answer = Response::new(Body::from(reply.body));
    *answer.status_mut() = StatusCode::from_u16(reply.code).map_err(|_| Gone)?;
    if let Ok(kind) = reply.kind.parse() {
        answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    if let Some(location) = reply.location.and_then(|location| location.parse().ok()) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}

/// The user and the password of Basic authentication.
fn basic(value: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}
