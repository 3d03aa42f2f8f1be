//! The API on a listener, as a real API server has it: TLS with a client certificate or a token, HTTP/2 and HTTP/1.1.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring as ring_provider};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::SimCluster;
use crate::authentication::{Shown, random};
use crate::authority::{Authority, named_in};
use crate::caller::{Caller, MASTERS, USER};
use crate::distance;
use crate::rest::Transport;
use crate::world::VIEWER;

/// How many requests one HTTP/2 connection may have under way at a time, as an API server of today says.
const STREAMS: u32 = 100;

/// How long to wait before the next attempt to accept a connection for which there was no descriptor.
const UNTIL_ROOM: Duration = Duration::from_millis(100);

/// A cluster on a listener.
pub struct Endpoint {
    cluster: SimCluster,
    listener: TcpListener,
    address: SocketAddr,
    authority: Authority,
    verifier: Arc<dyn ClientCertVerifier>,
    acceptor: TlsAcceptor,
    round_trip: Duration,
    dismissal: watch::Sender<()>,
}

impl Endpoint {
    /// Makes the certificates. Connections are accepted by [`Endpoint::serve`].
    ///
    /// # Errors
    /// The listener has no address, or the system no random numbers.
    pub fn new(cluster: &SimCluster, listener: TcpListener) -> io::Result<Self> {
        let authority = Authority::new().map_err(io::Error::other)?;
        let provider = Arc::new(ring_provider::default_provider());
        let verifier = verifier(&authority, &provider).map_err(io::Error::other)?;
        let (certificate, key) = authority.server().map_err(io::Error::other)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_client_cert_verifier(Arc::new(AsksOnly(Arc::clone(&verifier))))
            .with_single_cert(vec![certificate], key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            cluster: cluster.clone(),
            address: listener.local_addr()?,
            listener,
            authority,
            verifier,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            round_trip: Duration::ZERO,
            dismissal: watch::Sender::default(),
        })
    }

    /// Puts every client at this distance: a round trip takes at least so long.
    #[must_use]
    pub fn at_a_distance(self, round_trip: Duration) -> Self {
        Self { round_trip, ..self }
    }

    /// Speaks HTTP/1.1 only, as many a proxy in front of an API server does.
    #[must_use]
    pub fn without_http2(mut self) -> Self {
        let mut config = ServerConfig::clone(self.acceptor.config());
        config.alpn_protocols.retain(|protocol| protocol != b"h2");
        self.acceptor = TlsAcceptor::from(Arc::new(config));
        self
    }

    /// Asks the clients of today's connections to open others (GOAWAY), as a server does that shuts down or spreads its clients
    /// anew. What is under way is finished. HTTP/1.1 has no word for that.
    pub fn dismiss(&self) {
        self.dismissal.send_replace(());
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Who signs the certificates of the server and of its clients.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// A kubeconfig with two contexts: `name` for the user [`USER`] by a client certificate, and `name-viewer` for
    /// [`VIEWER`] by a token. Whoever reads it has these users' rights.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn kubeconfig(&self, name: &str) -> io::Result<String> {
        let admin = self.authority.client(USER, MASTERS).map_err(io::Error::other)?;
        let token = random()?;
        self.cluster.tokens().accept(&token, Caller::new(VIEWER, ""));
        let [authority, certificate, key] =
            [self.authority.certificate(), admin.certificate, admin.key].map(|pem| STANDARD.encode(pem));
        let server = self.url();
        Ok(format!(
            "apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: {server}
    certificate-authority-data: {authority}
contexts:
- name: {name}
  context:
    cluster: {name}
    namespace: default
    user: {name}
- name: {name}-{VIEWER}
  context:
    cluster: {name}
    namespace: default
    user: {name}-{VIEWER}
current-context: {name}
users:
- name: {name}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
- name: {name}-{VIEWER}
  user:
    token: {token}
"
        ))
    }

    /// Serves connections until the listener fails. Dropping the future closes them. While the process has no descriptor
    /// left, clients wait in the listener's queue.
    ///
    /// # Errors
    /// What the listener reports.
    pub async fn serve(&self) -> io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, _)) => drop(connections.spawn(self.connection(stream))),
                Err(error) if is_the_clients(&error) => {}
                Err(error) if is_full(&error) => sleep(UNTIL_ROOM).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// What serves one connection to its end.
    fn connection(&self, stream: TcpStream) -> impl Future<Output = ()> + Send + 'static {
        // Small answers must not wait for the acknowledgement of the one before. A client that has left already is
        // noticed below.
        let _ = stream.set_nodelay(true);
        let secured = Secured {
            transport: self.cluster.transport(),
            verifier: Arc::clone(&self.verifier),
            acceptor: self.acceptor.clone(),
            dismissed: self.dismissal.subscribe(),
        };
        let round_trip = self.round_trip;
        async move {
            if round_trip.is_zero() {
                secured.serve(stream).await;
            } else {
                let (near, carrying) = distance::put(stream, round_trip);
                tokio::join!(secured.serve(near), carrying);
            }
        }
    }
}

/// One connection before its handshake.
struct Secured {
    transport: Transport,
    verifier: Arc<dyn ClientCertVerifier>,
    acceptor: TlsAcceptor,
    dismissed: watch::Receiver<()>,
}

impl Secured {
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        // A client that does not trust the server hangs up.
        let Ok(stream) = self.acceptor.accept(stream).await else { return };
        let transport = self.transport.of(shown(&stream, self.verifier.as_ref()));
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        // A connection that breaks is the client's affair, or a fault's.
        let _ = match is_http2 {
            true => speak_http2(TokioIo::new(stream), transport, self.dismissed).await,
            false => speak_http1(TokioIo::new(stream), transport).await,
        };
    }
}

async fn speak_http2(
    stream: impl Read + Write + Unpin + Send + 'static,
    transport: Transport,
    mut dismissed: watch::Receiver<()>,
) -> hyper::Result<()> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.max_concurrent_streams(STREAMS);
    let mut connection = pin!(http.serve_connection(stream, TowerToHyperService::new(transport)));
    tokio::select! {
        ended = &mut connection => return ended,
        Ok(()) = dismissed.changed() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// What is spoken as well if the handshake has settled nothing.
async fn speak_http1(
    stream: impl Read + Write + Unpin + Send + 'static,
    transport: Transport,
) -> hyper::Result<()> {
    let service = TowerToHyperService::new(transport);
    http1::Builder::new().serve_connection(stream, service).with_upgrades().await
}

/// What the handshake tells of the client.
fn shown<S>(stream: &TlsStream<S>, verifier: &dyn ClientCertVerifier) -> Shown {
    let Some([certificate, others @ ..]) = stream.get_ref().1.peer_certificates() else {
        return Shown::Nothing;
    };
    let verified = verifier.verify_client_cert(certificate, others, UnixTime::now());
    let caller = verified.ok().and_then(|_| named_in(certificate));
    caller.map_or(Shown::BadCertificate, Shown::Identity)
}

fn verifier(
    authority: &Authority,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    Ok(verifier.allow_unauthenticated().build()?)
}

/// Asks for a certificate, and lets the requests tell what was wrong with it: an API server answers 401 where others
/// break the handshake off.
#[derive(Debug)]
struct AsksOnly(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for AsksOnly {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Whether a connection failed before it was accepted, which says nothing about the listener.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Whether the process or the system has too many open files: EMFILE and ENFILE, or WSAEMFILE on Windows. The standard
/// library has no name for them.
fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24 | 10024))
}
