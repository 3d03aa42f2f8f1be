//! A server that finds nothing for anybody, and notes who has asked: over TLS with a certificate of its own making, and over
//! plain HTTP.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// No connection lasts so long.
const LONGEST: Duration = Duration::from_secs(20);

/// A certificate and its key, in PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

pub struct Server {
    /// By TLS.
    pub address: SocketAddr,
    pub plain: SocketAddr,
    issuer: Issuer<'static, KeyPair>,
    /// The certificate of the authority, in PEM.
    pub authority: String,
    asked: Arc<Mutex<Vec<String>>>,
    /// How many connections there are.
    open: Arc<AtomicUsize>,
}

impl Server {
    pub fn start() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = params.self_signed(&key).expect("a certificate");
        let (pem, der) = (authority.pem(), authority.der().clone());
        let issuer = Issuer::new(params, key);
        let (asked, open) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let config = Arc::new(configuration(&issuer, der));
        let address = listen(&asked, &open, move |stream, asked| {
            let Ok(tls) = ServerConnection::new(config.clone()) else { return };
            let mut stream = StreamOwned::new(tls, stream);
            let Some(head) = head(&mut stream) else { return };
            let said = who(&head, Some(&stream.conn));
            answer(&mut stream, asked, said);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        });
        let plain = listen(&asked, &open, |mut stream, asked| {
            let Some(head) = head(&mut stream) else { return };
            answer(&mut stream, asked, who(&head, None));
        });
        Server { address, plain, issuer, authority: pem, asked, open }
    }

    /// The certificate of a user.
    pub fn issue(&self, name: &str) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    /// Who has asked first since this was called last. Whoever asks must have ended.
    pub fn first(&self) -> Option<String> {
        self.settle();
        std::mem::take(&mut *self.asked.lock().expect("no test fails while it notes")).into_iter().next()
    }

    /// Waits until every request is noted. A process may end while its requests are under way, and they would be taken for those
    /// of the next one.
    fn settle(&self) {
        for address in [self.address, self.plain] {
            // Connections are accepted in their order, so when this one is over, the others are known.
            let mut last = TcpStream::connect(address).expect("it listens");
            last.set_read_timeout(Some(LONGEST)).expect("it is open");
            last.shutdown(Shutdown::Write).expect("it is open");
            // It does not matter in which way it ends.
            let _ = last.read(&mut [0]);
        }
        let until = Instant::now() + LONGEST;
        while self.open.load(Ordering::SeqCst) > 0 {
            assert!(Instant::now() < until, "a connection does not end");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn configuration(issuer: &Issuer<'static, KeyPair>, authority: CertificateDer<'static>) -> ServerConfig {
    let names = ["127.0.0.1", "::1", "localhost", "inside"].map(str::to_owned);
    let params = CertificateParams::new(names).expect("the names are valid");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(authority).expect("an authority");
    let crypto = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), crypto.clone());
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    ServerConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_client_cert_verifier(clients.allow_unauthenticated().build().expect("a verifier"))
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("they belong together")
}

/// Serves connections until the process ends.
fn listen(
    asked: &Arc<Mutex<Vec<String>>>,
    open: &Arc<AtomicUsize>,
    serve: impl Fn(TcpStream, &Mutex<Vec<String>>) + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (serve, asked, open) = (Arc::new(serve), asked.clone(), open.clone());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (serve, asked, open) = (serve.clone(), asked.clone(), open.clone());
            open.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                serve(stream, &asked);
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    address
}

/// The head of a request, or nothing if there is none.
fn head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn answer(stream: &mut impl Write, asked: &Mutex<Vec<String>>, said: Option<String>) {
    asked.lock().expect("no test fails while it notes").extend(said);
    let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}"#;
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    let _ = stream.flush();
}

/// Who asks for an API, in one line: what there is of a header, a certificate, an impersonation, a path below which the API is, and the
/// name that the server is called by. Some builds of kubectl first ask for the server's version, which counts for nothing.
fn who(head: &str, tls: Option<&ServerConnection>) -> Option<String> {
    let mut lines = head.lines();
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let headers: Vec<(String, &str)> =
        lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_lowercase(), v)).collect();
    let all = |name: &str| -> Vec<&str> {
        headers.iter().filter(|(known, _)| known == name).map(|(_, value)| *value).collect()
    };
    let mut said = String::new();
    let mut say = |what: &str, value: &str| {
        let comma = if said.is_empty() { "" } else { ", " };
        let _ = write!(said, "{comma}{what}{value}");
    };
    if tls.is_none() {
        say("", "in the open");
    }
    for value in all("authorization") {
        match value.strip_prefix("Basic ").and_then(|value| STANDARD.decode(value).ok()) {
            Some(basic) => say("password ", &String::from_utf8_lossy(&basic)),
            None => say("", &value.replacen("Bearer ", "token ", 1)),
        }
    }
    if let Some(name) = tls.and_then(certified) {
        say("certificate ", &name);
    }
    let mut acted: Vec<_> = headers.iter().filter(|(name, _)| name.starts_with("impersonate-")).collect();
    // Clients send them in any order, but the groups in their own.
    acted.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (name, value) in acted {
        say(&format!("{} ", name.replacen("impersonate-", "as ", 1)), value);
    }
    let (above, _) = path.split_once("/api")?;
    if !above.is_empty() {
        say("below ", above);
    }
    if let Some(name) = tls.and_then(ServerConnection::server_name) {
        say("to ", name);
    }
    Some(if said.is_empty() { "nobody".to_owned() } else { said })
}

/// The common name in a client's certificate.
fn certified(tls: &ServerConnection) -> Option<String> {
    let certificate = Certificate::from_der(tls.peer_certificates()?.first()?).ok()?;
    let subject = certificate.tbs_certificate().subject().to_string();
    subject.split(',').find_map(|part| part.strip_prefix("CN=")).map(str::to_owned)
}
