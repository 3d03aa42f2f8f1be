//! The ways in: a tower service inside the process, and a listener.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{self, Body, HttpBody};
use axum::http::{Request, Response};
use axum::{BoxError, Router};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Server;
use super::answer::{Answer, Broken};
use super::call::Call;
use crate::error::ApiError;

/// The largest body that a server reads.
const LARGEST_BODY: usize = 3 * 1024 * 1024;

/// The API server as a tower service, which fails where a connection would break.
#[derive(Clone)]
pub struct Transport {
    server: Server,
    client: Arc<str>,
}

impl Transport {
    pub(crate) fn new(server: Server) -> Self {
        Self { server, client: "".into() }
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
        let (head, body) = request.into_parts();
        Box::pin(async move {
            let Ok(body) = body::to_bytes(Body::new(body), LARGEST_BODY).await else {
                let message = format!("Request entity too large: limit is {LARGEST_BODY}");
                let error = ApiError::new(413, "RequestEntityTooLarge", message);
                return Ok(Answer::refusal(&error).into_response(&[]));
            };
            server.handle(Call::new(head.method, &head.uri, &head.headers, body, client)).await
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

/// Serves connections until the listener fails. Dropping the future closes them.
pub(crate) async fn serve(server: Server, listener: TcpListener) -> std::io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_the_clients(&error) => continue,
            Err(error) => return Err(error),
        };
        // Small answers must not wait for the acknowledgement of the one before. A client that has left already is
        // noticed below.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(Transport::new(server.clone()));
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move {
            // A connection that breaks is the client's affair, or a fault's.
            let _ = connection.await;
        });
    }
}

/// Whether a connection failed before it was accepted, which says nothing about the listener.
fn is_the_clients(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
