//! The way in: a tower service. [`Endpoint`](crate::Endpoint) puts it behind a listener.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{self, Body, HttpBody};
use axum::http::{Request, Response, header};
use axum::{BoxError, Router};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use hyper::client::conn::http1;
use hyper::server::conn::http1 as server_http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;

use super::Server;
use super::answer::{Answer, Broken};
use super::call::Call;
use crate::authentication::Shown;
use crate::caller::Caller;
use crate::error::ApiError;

/// The largest body that a server reads.
const LARGEST_BODY: usize = 3 * 1024 * 1024;

/// How many bytes may be on their way in each direction of a connection in memory.
const CONNECTION: usize = 64 * 1024;

/// The API server as a tower service, which fails where a connection would break. A client in the same process is
/// [`USER`](crate::USER).
#[derive(Clone)]
pub struct Transport {
    server: Server,
    client: Arc<str>,
    shown: Shown,
}

impl Transport {
    pub(crate) fn new(server: Server) -> Self {
        Self { server, client: "".into(), shown: Shown::Identity(Caller::admin()) }
    }

    /// Asks over a connection in memory, which an upgrade needs: what comes of it belongs to the answer.
    async fn over_a_connection(self, request: Request<Body>) -> Result<Response<Body>, Broken> {
        let (near, far) = tokio::io::duplex(CONNECTION);
        let service = TowerToHyperService::new(self);
        let serving = server_http1::Builder::new().serve_connection(TokioIo::new(far), service);
        tokio::spawn(serving.with_upgrades());
        let (mut sender, connection) = http1::handshake(TokioIo::new(near)).await.map_err(|_| Broken)?;
        tokio::spawn(connection.with_upgrades());
        let answer = sender.send_request(request).await.map_err(|_| Broken)?;
        Ok(answer.map(Body::new))
    }

    /// The same server for a connection whose client has shown this.
    pub(crate) fn of(self, shown: Shown) -> Self {
        Self { shown, ..self }
    }

    /// The same server for a client of that name, which [`RecordedRequest`](crate::RecordedRequest) tells: two processes
    /// of the same run send the same `User-Agent`.
    pub fn of_client(self, name: &str) -> Self {
        Self { client: name.into(), ..self }
    }
}

impl<B> tower::Service<Request<B>> for Transport
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (server, client) = (self.server.clone(), self.client.clone());
        let upgrades = request.headers().contains_key(header::UPGRADE);
        if upgrades && request.extensions().get::<OnUpgrade>().is_none() {
            return Box::pin(self.clone().over_a_connection(request.map(Body::new)));
        }
        let (head, body) = request.into_parts();
        let caller = server.identify(&self.shown, &head.headers);
        Box::pin(async move {
            let Ok(body) = body::to_bytes(Body::new(body), LARGEST_BODY).await else {
                let message = format!("Request entity too large: limit is {LARGEST_BODY}");
                let error = ApiError::new(413, "RequestEntityTooLarge", message);
                return Ok(Answer::refusal(&error).into_response(&[]));
            };
            server.handle(Call::new(&head, body, caller, client)).await
        })
    }
}

/// The transport as a router. A router cannot fail: where a connection would break, its answer's body does.
pub(crate) fn router(server: Server) -> Router {
    let transport = Transport::new(server);
    Router::new().fallback_service(tower::service_fn(move |request: Request<Body>| {
        let mut transport = transport.clone();
        async move {
            let answer = tower::Service::call(&mut transport, request).await;
            Ok::<_, Infallible>(answer.unwrap_or_else(|broken| {
                Response::new(Body::from_stream(stream::iter([Err::<Bytes, _>(broken)]).boxed()))
            }))
        }
    }))
}
