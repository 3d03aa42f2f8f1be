//! TLS for a server that a test makes itself: a certificate for this machine, and whom a client has to trust for it.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::TcpStream;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub struct Tls {
    pub config: Arc<ServerConfig>,
    pub certificate: CertificateDer<'static>,
    /// The same as a kubeconfig's `certificate-authority-data`: it has signed itself.
    pub authority: String,
}

/// What all servers of this process show. HTTP/2 is not offered.
pub fn tls() -> &'static Tls {
    static TLS: OnceLock<Tls> = OnceLock::new();
    TLS.get_or_init(|| {
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).expect("the names are valid");
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let crypto = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("they belong together");
        Tls { config: Arc::new(config), certificate, authority: STANDARD.encode(made.cert.pem()) }
    })
}

/// The server's side of a connection. The handshake is made by the first read.
pub fn secured(stream: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
    let connection = ServerConnection::new(Arc::clone(&tls().config)).expect("a valid configuration");
    StreamOwned::new(connection, stream)
}
