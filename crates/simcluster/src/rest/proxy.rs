//! `pods/proxy`: a request that the API server passes on to a pod.

use axum::body::Body;
use axum::http::{Request, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::path::Target;
use crate::error::ApiError;

/// The port where the path names none.
const HTTP: u16 = 80;

pub(super) async fn proxy(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let (name, port) = place(&target.name)?;
    let resource = target.resource.name;
    server.store.get(resource, &target.namespace, name).ok_or_else(|| ApiError::not_found(resource, name))?;
    // Relative links of a page need the slash.
    let Some((_, below)) = call.path.split_once("/proxy/") else {
        return Answer::moved(&format!("{}/", call.path));
    };
    let unreachable = |why: &dyn std::fmt::Display| {
        ApiError::new(503, "ServiceUnavailable", format!("error trying to reach service: {why}"))
    };
    let stream = server.connect(&target.namespace, name, port).await;
    let stream = stream.map_err(|error| unreachable(&format!("dial tcp {name}:{port}: connect: {error}")))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(&error))?;
    tokio::spawn(connection);
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(call.query.pairs()).finish();
    let query = if query.is_empty() { query } else { format!("?{query}") };
    let request = Request::builder()
        .method(call.method.clone())
        .uri(format!("/{below}{query}"))
        .header(header::HOST, format!("{name}:{port}"))
        .header(header::ACCEPT, &call.accept)
        .header(header::CONTENT_TYPE, &call.content_type)
        .body(Body::from(call.body.clone()))
        .map_err(ApiError::internal)?;
    let answer = sender.send_request(request).await.map_err(|error| unreachable(&error))?;
    Ok(Answer::foreign(answer.map(Body::new)))
}

/// The pod and the port of `pod`, `pod:port` or `http:pod:port`.
fn place(name: &str) -> Result<(&str, u16), ApiError> {
    let parts: Vec<&str> = name.split(':').collect();
    let (name, port) = match parts.as_slice() {
        [name] => (*name, ""),
        [name, port] | ["http", name, port] => (*name, *port),
        _ => return Err(ApiError::bad_request(format!("invalid pod request \"{name}\""))),
    };
    let port = if port.is_empty() { Some(HTTP) } else { port.parse().ok() };
    let port = port.ok_or_else(|| ApiError::bad_request(format!("invalid pod request \"{name}\"")))?;
    Ok((name, port))
}
