//! HTTP/1.1 to a port of a pod, over one connection that is kept between questions.

use std::error::Error;
use std::pin::pin;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::future::{BoxFuture, Either, select};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::door::{Door, Login, Wire, lost};
use super::kept::Kept;
use super::tls::broken;
use crate::model::evidence::Said;
use crate::model::{Obstacle, Place, Unasked};

/// How much of a page is read, in bytes. The longest list all datasources or running tasks.
const LARGEST_PAGE: usize = 4 << 20;

/// The connections to the pods of a database.
#[derive(Default)]
pub struct Connections(Kept<Connection>);

impl Connections {
    /// Asks pods at their ports, all at once. The connections to all others are closed.
    pub async fn ask_all<'a, T>(
        &mut self,
        door: &Door,
        ports: impl Iterator<Item = (&'a Place, u16)>,
        question: impl for<'p> Fn(&'p mut Pages<'_>) -> BoxFuture<'p, Result<T, Unasked>>,
    ) -> Vec<Said<T>> {
        let question = &question;
        self.0
            .ask_all(ports, |place, port, connection| Pages { door, place, port, connection }.asked(question))
            .await
    }

    /// Asks one pod, and keeps the connections to the others.
    ///
    /// # Errors
    /// Those of the question.
    pub async fn ask_one<T>(
        &mut self,
        door: &Door,
        (place, port): (&Place, u16),
        question: impl for<'p> Fn(&'p mut Pages<'_>) -> BoxFuture<'p, Result<T, Unasked>>,
    ) -> Result<T, Unasked> {
        let pages = Pages { door, place, port, connection: self.0.take(place) };
        let (said, connection) = pages.asked(&question).await;
        self.0.keep(place, connection);
        said
    }
}

/// Has a pod do something, over a connection to a port that knows no users.
///
/// # Errors
/// The pod does not answer, or refuses.
pub async fn post(wire: Box<dyn Wire>, host: &str, path: &str) -> Result<(), Unasked> {
    open(wire, host, Method::POST, path, "").await?.good(path).map(|_| ())
}

/// The reply to a request with a body of JSON, if it is not empty, at a port that knows no users.
///
/// # Errors
/// The pod does not answer.
pub async fn open(
    wire: Box<dyn Wire>,
    host: &str,
    method: Method,
    path: &str,
    body: &str,
) -> Result<Reply, Unasked> {
    let mut request = request(method, path, host, None)?;
    if !body.is_empty() {
        fill(&mut request, body.to_owned());
    }
    Ok(Connection::over(wire).await?.send(request).await?.0)
}

/// What a pod serves at one of its ports.
pub struct Pages<'a> {
    pub door: &'a Door,
    pub place: &'a Place,
    port: u16,
    connection: Option<Connection>,
}

/// The answer to a request, whatever its status is.
pub struct Reply {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Pages<'_> {
    /// The answer to a question, and the connection if it can be used again.
    async fn asked<T>(
        mut self,
        question: &impl for<'p> Fn(&'p mut Pages<'_>) -> BoxFuture<'p, Result<T, Unasked>>,
    ) -> (Result<T, Unasked>, Option<Connection>) {
        let door = self.door;
        let said = door.asked(question(&mut self)).await;
        (said, self.connection)
    }

    /// A page, asked for as the database's own user.
    ///
    /// # Errors
    /// The pod does not answer, rejects the user, or sends too much.
    pub async fn get(&mut self, path: &str) -> Result<Reply, Unasked> {
        let login = self.door.login().await?;
        self.send(self.request(Method::GET, path, login.as_ref())?, path).await
    }

    /// The answer to a question in JSON, asked as the database's own user.
    ///
    /// # Errors
    /// Those of [`Pages::get`].
    pub async fn ask(&mut self, path: &str, question: &Value) -> Result<Reply, Unasked> {
        let login = self.door.login().await?;
        let mut request = self.request(Method::POST, path, login.as_ref())?;
        fill(&mut request, question.to_string());
        self.send(request, path).await
    }

    /// A page of JSON, asked for as the database's own user.
    ///
    /// # Errors
    /// Those of [`Pages::get`], and that the page does not exist or is something else.
    pub async fn json<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Unasked> {
        self.get(path).await?.json(path)
    }

    /// A request that changes something, as the database's own user.
    ///
    /// # Errors
    /// Those of [`Pages::get`], and that the pod refuses it.
    pub async fn post(&mut self, path: &str) -> Result<(), Unasked> {
        let login = self.door.login().await?;
        let request = self.request(Method::POST, path, login.as_ref())?;
        self.send(request, path).await?.good(path).map(|_| ())
    }

    /// A page of JSON that the pod serves to everybody, so that the API server's proxy can fetch it where no connection can
    /// be had.
    ///
    /// # Errors
    /// Those of [`Pages::json`].
    pub async fn open_json<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Unasked> {
        // Who may not read the login asks without.
        let login = self.door.login().await.unwrap_or_default();
        match self.send(self.request(Method::GET, path, login.as_ref())?, path).await {
            // The proxy speaks plain HTTP to the pod.
            Err(closed) if no_way(closed.obstacle) && !self.door.access.tls => {
                let page = self.door.page(self.place, self.port, path.trim_start_matches('/')).await;
                // The proxy takes the login off, so what it lacks is the connection.
                let body = page.map_err(|_| closed)?;
                Reply { status: StatusCode::OK, body: body.into() }.json(path)
            }
            reply => reply?.json(path),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        login: Option<&Login>,
    ) -> Result<Request<Full<Bytes>>, Unasked> {
        request(method, path, &self.door.host(self.place), login)
    }

    async fn send(&mut self, request: Request<Full<Bytes>>, path: &str) -> Result<Reply, Unasked> {
        // A connection that is not used for long is closed by the server, which is noticed now.
        let mut reply = match self.connection.take() {
            Some(kept) => kept.send(request.clone()).await,
            None => Err(Unasked::new(Obstacle::Unreachable, "")),
        };
        if let Err(Unasked { obstacle: Obstacle::Unreachable, .. }) = reply {
            let wire = self.door.open(self.place, self.port).await?;
            reply = Connection::over(wire).await?.send(request).await;
        }
        let (reply, connection) = reply?;
        self.connection = connection;
        match reply.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Unasked::new(Obstacle::Credentials, &format!("{path}: {}", reply.status)))
            }
            _ => Ok(reply),
        }
    }
}

impl Reply {
    /// The JSON in a page.
    ///
    /// # Errors
    /// The pod answers with an error, or with something else.
    pub fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Unasked> {
        let body = self.good(path)?;
        // What was received stays out of the message.
        serde_json::from_slice(body)
            .map_err(|_| unintelligible(path, "an answer that this tool does not understand"))
    }

    /// What is in a page.
    ///
    /// # Errors
    /// The pod answers with an error.
    pub fn good(&self, path: &str) -> Result<&[u8], Unasked> {
        match self.status.is_success() {
            true => Ok(&self.body),
            false => Err(unintelligible(path, &self.status.to_string())),
        }
    }
}

/// No connection can be had, which does not speak against the proxy.
fn no_way(obstacle: Obstacle) -> bool {
    matches!(obstacle, Obstacle::NoUpgrade | Obstacle::Forbidden)
}

fn unintelligible(path: &str, why: &str) -> Unasked {
    Unasked::new(Obstacle::Unintelligible, &format!("{path}: {why}"))
}

fn request(
    method: Method,
    path: &str,
    host: &str,
    login: Option<&Login>,
) -> Result<Request<Full<Bytes>>, Unasked> {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
    if let Some(Login { user, password }) = login {
        let pair = BASE64_STANDARD.encode(format!("{user}:{}", password.expose_secret()));
        let value = HeaderValue::try_from(format!("Basic {pair}")).map(|mut value| {
            value.set_sensitive(true);
            value
        });
        request =
            request.header(header::AUTHORIZATION, value.map_err(|e| unintelligible(path, &e.to_string()))?);
    }
    request.body(Full::default()).map_err(|error| unintelligible(path, &error.to_string()))
}

/// Gives a request a body of JSON.
fn fill(request: &mut Request<Full<Bytes>>, body: String) {
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::CONTENT_TYPE, json);
    *request.body_mut() = Full::from(body);
}

/// One connection, on which one request follows the other.
struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    wire: http1::Connection<TokioIo<Box<dyn Wire>>, Full<Bytes>>,
}

/// Why there is no reply.
enum NoReply {
    Broken(hyper::Error),
    TooLarge,
}

impl Connection {
    async fn over(wire: Box<dyn Wire>) -> Result<Self, Unasked> {
        let hands = http1::handshake(TokioIo::new(wire)).await;
        let (sender, wire) =
            hands.map_err(|error| Unasked::new(Obstacle::Unreachable, &error.to_string()))?;
        Ok(Connection { sender, wire })
    }

    /// The reply, and the connection if it can carry another request.
    async fn send(mut self, request: Request<Full<Bytes>>) -> Result<(Reply, Option<Self>), Unasked> {
        let (reply, open) = self.replied(request).await;
        match reply {
            Ok(reply) => Ok((reply, open.then_some(self))),
            Err(why) => Err(lost(no_reply(why), &mut *self.wire.into_parts().io.into_inner()).await),
        }
    }

    /// The reply, and whether the connection is still open.
    async fn replied(&mut self, request: Request<Full<Bytes>>) -> (Result<Reply, NoReply>, bool) {
        let replying = pin!(async {
            let response = self.sender.send_request(request).await.map_err(NoReply::Broken)?;
            read(response).await
        });
        match select(replying, &mut self.wire).await {
            Either::Left((reply, _)) => (reply, true),
            // What has arrived is still to be read, and why the connection ended is told there.
            Either::Right((_, replying)) => (replying.await, false),
        }
    }
}

fn no_reply(why: NoReply) -> Unasked {
    match why {
        NoReply::TooLarge => Unasked::new(
            Obstacle::Unintelligible,
            &format!("an answer of more than {} MiB", LARGEST_PAGE >> 20),
        ),
        NoReply::Broken(error) if error.is_parse() => {
            Unasked::new(Obstacle::Unintelligible, &format!("an answer that is not HTTP: {error}"))
        }
        NoReply::Broken(error) => match error.source().and_then(|cause| cause.downcast_ref()) {
            Some(cause) => broken(cause),
            None => Unasked::new(Obstacle::Unreachable, &error.to_string()),
        },
    }
}

async fn read(response: Response<Incoming>) -> Result<Reply, NoReply> {
    let (head, mut body) = response.into_parts();
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let data = frame.map_err(NoReply::Broken)?.into_data().unwrap_or_default();
        if read.len() + data.len() > LARGEST_PAGE {
            return Err(NoReply::TooLarge);
        }
        read.extend_from_slice(&data);
    }
    Ok(Reply { status: head.status, body: read.into() })
}

#[cfg(test)]
mod tests;
