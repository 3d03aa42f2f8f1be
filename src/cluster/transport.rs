//! What carries the calls: one connection with HTTP/2 for all of them, or several with HTTP/1.1 if the server or a proxy
//! speaks nothing else. kube's own stack has HTTP/1.1 only, and leaves Nagle's algorithm on.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{CaptureConnection, HttpConnector, capture_connection};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kube::Config;
use kube::client::{Body, ClientBuilder, ConfigExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard, Semaphore};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

use super::proxy;

/// The timeout of a call. An API server answers in milliseconds, but its webhooks may take ten seconds by default.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// After this much silence the server is asked by a ping whether the connection still stands.
const PING_AFTER: Duration = Duration::from_secs(5);

/// How long the answer to a ping may take. Together with [`PING_AFTER`] it is less than [`CALL_TIMEOUT`]: a call on a
/// dead connection fails before its time is over, and the retry opens another one.
const PING_ANSWERED: Duration = Duration::from_secs(4);

/// How much of one answer may be on its way, in bytes: 20 MiB a second at 50 ms of distance.
const STREAM_WINDOW: u32 = 1 << 20;

/// How much of all answers may be on its way. The watches of a run that nobody reads for a moment must leave room for the
/// answer to the call that is waited for.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// How many calls wait for an answer at a time where each needs a connection of its own. A plan asks dozens of questions at
/// once; as many TLS handshakes would keep a server busy, and a proxy may allow a client no more than a few connections.
const CALLS_WITHOUT_HTTP2: usize = 8;

/// A TCP connection to the server or to a proxy, by TLS if the proxy wants it.
type Wire = MaybeHttpsStream<TokioIo<TcpStream>>;

type Dialer = BoxCloneSyncService<Uri, Wire, BoxError>;

type Pool = Client<HttpsConnector<Dialer>, Body>;

/// A client for this configuration. Nothing is sent yet.
///
/// # Errors
/// The certificates, the credentials or the proxy of the configuration are not valid.
pub(super) fn client(config: &Config, http2: bool) -> Result<kube::Client, kube::Error> {
    let (dialer, tls) = (dialer(config)?, config.rustls_client_config()?);
    let multiplexed = http2 && config.cluster_url.scheme_str() == Some("https");
    let calls = Calls {
        pool: pool(encrypted(config, dialer.clone(), tls.clone(), multiplexed)?),
        upgrades: pool(encrypted(config, dialer, tls, false)?),
        opening: Mutex::default(),
        one_at_a_time: AtomicBool::new(multiplexed),
        few: Semaphore::new(CALLS_WITHOUT_HTTP2),
        answers: AtomicUsize::new(0),
        packed: !config.disable_compression,
    };
    let calls = Arc::new(calls);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(service_fn(move |request| calls.clone().send(request)));
    Ok(ClientBuilder::new(service, config.default_namespace.clone()).build())
}

/// The connections to a server.
struct Calls {
    pool: Pool,
    /// HTTP/1.1 only: hyper cannot upgrade a request of HTTP/2 to another protocol.
    upgrades: Pool,
    /// Held while a request looks for a connection.
    opening: Mutex<()>,
    /// Whether the server speaks HTTP/2, as far as is known, so that all requests can share one connection. Without this
    /// each of several requests at the start would open its own.
    one_at_a_time: AtomicBool,
    /// The calls that may wait for an answer without HTTP/2.
    few: Semaphore,
    /// How many answers there have been.
    answers: AtomicUsize,
    /// Whether answers may come packed: an API server packs those of more than 128 KiB. A list of pods is packed to a tenth of
    /// its size, which far from the server saves more round trips than it costs time near to it.
    packed: bool,
}

impl Calls {
    async fn send(self: Arc<Self>, mut request: Request<Body>) -> Result<Response<Incoming>, Error> {
        if request.headers().contains_key(header::UPGRADE) {
            return self.upgrades.request(request).await;
        }
        if self.packed && request.method() == Method::GET {
            let gzip = HeaderValue::from_static("gzip");
            request.headers_mut().entry(header::ACCEPT_ENCODING).or_insert(gzip);
        }
        // A connection may be closed just as it is chosen. hyper would try again itself, but each request for itself, and so
        // on several new connections.
        let (parts, body) = request.into_parts();
        let again = body.try_clone().map(|body| Request::from_parts(parts.clone(), body));
        match (self.once(Request::from_parts(parts, body)).await, again) {
            (Err(error), Some(again)) if taken_back(&error) => self.once(again).await,
            (answer, _) => answer,
        }
    }

    async fn once(&self, mut request: Request<Body>) -> Result<Response<Incoming>, Error> {
        let turn = self.turn().await;
        let _one_of_few = match turn.is_none() && !is_watch(&request) {
            true => self.few.acquire().await.ok(),
            false => None,
        };
        let taken = capture_connection(&mut request);
        let unanswered = Unanswered::new(taken.clone(), &self.answers);
        let mut answer = std::pin::pin!(self.pool.request(request));
        if let Some(turn) = turn {
            tokio::select! {
                http2 = is_http2(taken) => self.one_at_a_time.store(http2, Ordering::Relaxed),
                answer = &mut answer => {
                    unanswered.is_over();
                    return answer;
                }
            }
            drop(turn);
        }
        let answer = answer.await;
        unanswered.is_over();
        answer
    }

    /// The turn to look for a connection; `None` if nobody waits for one, because requests cannot share a connection.
    async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        if !self.one_at_a_time.load(Ordering::Relaxed) {
            return None;
        }
        let turn = self.opening.lock().await;
        // That the server has no HTTP/2 may have been found out meanwhile.
        self.one_at_a_time.load(Ordering::Relaxed).then_some(turn)
    }
}

/// Whether a request opens a watch. A watch needs a connection for as long as it is open, and a proxy may hold back its head
/// until something happens: calls do not wait for that.
fn is_watch(request: &Request<Body>) -> bool {
    request.uri().query().is_some_and(|query| query.split('&').any(|parameter| parameter == "watch=true"))
}

/// Whether there was no connection, or it was closed before the request was begun: in either case nothing was sent.
pub(super) fn unsent(error: &Error) -> bool {
    error.is_connect() || taken_back(error)
}

fn taken_back(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<hyper::Error>());
    cause.is_some_and(hyper::Error::is_canceled)
}

/// Whether a request was given a connection of HTTP/2. Waits until it has one, and if it never gets one, for ever.
async fn is_http2(mut taken: CaptureConnection) -> bool {
    taken.wait_for_connection_metadata().await.as_ref().is_none_or(|connection| connection.is_negotiated_h2())
}

/// A request on its way. If it is given up and no request at all was answered since it was sent, no other request uses its
/// connection: a proxy that answers pings may have lost the server behind it. Otherwise its answer is only not needed any more.
struct Unanswered<'a> {
    taken: CaptureConnection,
    answers: &'a AtomicUsize,
    /// The answers before it was sent.
    before: usize,
}

impl<'a> Unanswered<'a> {
    fn new(taken: CaptureConnection, answers: &'a AtomicUsize) -> Self {
        Unanswered { taken, answers, before: answers.load(Ordering::Relaxed) }
    }

    /// It was answered, or has failed by itself.
    fn is_over(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if self.answers.load(Ordering::Relaxed) == self.before
            && let Some(connection) = self.taken.connection_metadata().as_ref()
        {
            connection.poison();
        }
    }
}

fn pool(connector: HttpsConnector<Dialer>) -> Pool {
    Client::builder(TokioExecutor::new())
        .retry_canceled_requests(false)
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PING_ANSWERED)
        .http2_keep_alive_while_idle(true)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .build(connector)
}

/// Speaks TLS to an `https` server, and offers HTTP/2 if that is wanted.
fn encrypted(
    config: &Config,
    dialer: Dialer,
    tls: rustls::ClientConfig,
    http2: bool,
) -> Result<HttpsConnector<Dialer>, kube::Error> {
    let mut builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name = name.clone().try_into().map_err(|error| kube::Error::Service(Box::new(error)))?;
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    Ok(match http2 {
        true => builder.enable_all_versions().wrap_connector(dialer),
        false => builder.enable_http1().wrap_connector(dialer),
    })
}

/// Connects to the server directly, or through the proxy.
fn dialer(config: &Config) -> Result<Dialer, kube::Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // Otherwise the end of a request that takes two segments waits 40 ms for a delayed acknowledgement of the first.
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CALL_TIMEOUT));
    let Some(proxy) = &config.proxy_url else {
        return Ok(BoxCloneSyncService::new(tcp.map_response(Wire::Http).map_err(BoxError::from)));
    };
    let Some(proxy) = proxy::with_login(proxy, &config.cluster_url) else {
        return Err(kube::Error::Service("the proxy cannot be used for this server".into()));
    };
    let to = proxy.uri().clone();
    if to.scheme_str() == Some("socks5") {
        let mut socks = SocksV5::new(to, tcp);
        if let Some((user, password)) = proxy.raw_auth() {
            socks = socks.with_auth(user.to_owned(), password.to_owned());
        }
        return Ok(BoxCloneSyncService::new(socks.map_response(Wire::Http).map_err(BoxError::from)));
    }
    let login = proxy.basic_auth().cloned();
    if to.scheme_str() == Some("https") {
        let tunnel = Tunnel::new(to, config.rustls_https_connector_with_connector(tcp)?);
        let tunnel = login.into_iter().fold(tunnel, Tunnel::with_auth);
        return Ok(BoxCloneSyncService::new(tunnel.map_err(BoxError::from)));
    }
    let tunnel = login.into_iter().fold(Tunnel::new(to, tcp), Tunnel::with_auth);
    Ok(BoxCloneSyncService::new(tunnel.map_response(Wire::Http).map_err(BoxError::from)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server, and a proxy that is one at once: what is said after the greeting does not matter.
    async fn greeted(listener: TcpListener) {
        let (mut client, _) = listener.accept().await.expect("a connection");
        let mut first = [0; 1024];
        let read = client.read(&mut first).await.expect("a greeting");
        if first[0] == 5 {
            client.write_all(&[5, 0]).await.expect("it is there");
            let _ = client.read(&mut first).await.expect("where to");
            client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.expect("it is there");
        } else if read > 0 {
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("it is there");
        }
    }

    #[tokio::test]
    async fn no_connection_holds_small_requests_back() {
        for proxy in [None, Some("http"), Some("socks5")] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("it is bound");
            let server: Uri = format!("http://{address}").parse().expect("an address");
            let mut config = Config::new(server.clone());
            config.proxy_url =
                proxy.map(|scheme| format!("{scheme}://{address}").parse().expect("an address"));
            let greeting = tokio::spawn(greeted(listener));
            let dialed = dialer(&config).expect("a dialer").oneshot(server).await.expect("a connection");
            let Wire::Http(stream) = dialed else { panic!("no TLS was asked for") };
            assert!(stream.inner().nodelay().expect("a socket"), "{proxy:?}");
            drop(stream);
            let _ = greeting.await;
        }
    }
}
