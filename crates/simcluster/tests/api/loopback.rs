//! The same server behind a real socket, over TLS, under the real clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, Version};
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use simcluster::{Authority, Caller, Credentials, Effect, Endpoint, Fault, SimCluster};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::cluster;

const NAMESPACE: &str = "/api/v1/namespaces/default";

async fn serve(sim: &SimCluster, round_trip: Duration) -> Arc<Endpoint> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = Endpoint::new(sim, listener).expect("certificates").at_a_distance(round_trip);
    let endpoint = Arc::new(endpoint);
    let serving = Arc::clone(&endpoint);
    tokio::spawn(async move { serving.serve().await });
    endpoint
}

/// A client that knows the server by its authority, shows a certificate if it has one, and speaks one version of HTTP.
async fn connect(
    endpoint: &Endpoint,
    credentials: Option<&Credentials>,
    version: Version,
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let authority = endpoint.authority().certificate();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("TLS 1.3").with_root_certificates(roots);
    let mut config = match credentials {
        None => builder.with_no_client_auth(),
        Some(Credentials { certificate, key }) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
            builder.with_client_auth_cert(chain, key).expect("a certificate and its key")
        }
    };
    config.alpn_protocols = match version {
        Version::HTTP_2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Version::HTTP_11 => vec![b"http/1.1".to_vec()],
        _ => Vec::new(),
    };
    let address = endpoint.url().trim_start_matches("https://").to_owned();
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
}

/// What comes back for a GET.
struct Reply {
    version: Version,
    code: u16,
    text: String,
}

/// A GET on a connection of its own; nothing if that breaks.
async fn get(stream: TlsStream<TcpStream>, path: &str, headers: &[(&str, &str)]) -> Option<Reply> {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let mut request = Request::builder().uri(format!("https://sandbox{path}")).header("host", "sandbox");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    let answer = if is_http2 {
        let made = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = made.expect("HTTP/2");
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        sender.send_request(request).await
    };
    let answer = answer.ok()?;
    let (version, code) = (answer.version(), answer.status().as_u16());
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    Some(Reply { version, code, text: String::from_utf8(body.to_vec()).expect("text") })
}

fn admin(endpoint: &Endpoint) -> Credentials {
    endpoint.authority().client("ann", "system:masters").expect("a certificate")
}

#[tokio::test]
async fn the_client_chooses_the_version_of_http() {
    let endpoint = serve(&cluster(), Duration::ZERO).await;
    for (offered, spoken) in [
        (Version::HTTP_2, Version::HTTP_2),
        (Version::HTTP_11, Version::HTTP_11),
        (Version::HTTP_10, Version::HTTP_11),
    ] {
        let stream = connect(&endpoint, Some(&admin(&endpoint)), offered).await;
        let reply = get(stream, NAMESPACE, &[]).await.expect("an answer");
        assert_eq!((reply.code, reply.version), (200, spoken), "{offered:?}");
        assert!(reply.text.contains("\"kind\":\"Namespace\""), "{}", reply.text);
    }
}

#[tokio::test]
async fn who_asks_is_known_by_a_certificate_or_a_token() {
    let sim = cluster();
    sim.access().only_reads("vic");
    sim.tokens().accept("of-vic", Caller::new("vic", ""));
    sim.tokens().accept("of-masters", Caller::new("max", "system:masters"));
    sim.tokens().accept("of-yesterday", Caller::new("max", "system:masters"));
    sim.tokens().revoke("of-yesterday");
    let endpoint = serve(&sim, Duration::ZERO).await;
    let ann = admin(&endpoint);
    let bob = endpoint.authority().client("bob", "").expect("a certificate");
    let stranger = Authority::new().expect("a key").client("ann", "system:masters").expect("a certificate");
    let secrets = "/api/v1/namespaces/default/secrets";
    let token = |token: &'static str| vec![("authorization", token)];
    let as_user = |user: &'static str| vec![("impersonate-user", user)];
    for (shown, headers, path, code) in [
        (Some(&ann), vec![], secrets, 200),
        (Some(&ann), token("Bearer nonsense"), secrets, 200),
        (Some(&ann), as_user("vic"), NAMESPACE, 200),
        (Some(&ann), as_user("vic"), secrets, 403),
        (Some(&ann), as_user("nobody"), NAMESPACE, 403),
        (Some(&bob), vec![], NAMESPACE, 403),
        (Some(&bob), vec![], "/apis", 200),
        (Some(&stranger), vec![], NAMESPACE, 401),
        (Some(&stranger), token("Bearer of-masters"), NAMESPACE, 200),
        (None, token("Bearer of-masters"), secrets, 200),
        (None, token("bearer of-vic"), NAMESPACE, 200),
        (None, token("Bearer of-vic"), secrets, 403),
        (None, [token("Bearer of-vic"), as_user("ann")].concat(), NAMESPACE, 403),
        (None, token("Bearer of-yesterday"), NAMESPACE, 401),
        (None, token("Bearer nonsense"), "/version", 401),
        (None, token("Basic YW5uOmFubg=="), NAMESPACE, 403),
        (None, vec![], NAMESPACE, 403),
        (None, vec![], "/apis", 403),
        (None, vec![], "/version", 200),
    ] {
        let stream = connect(&endpoint, shown, Version::HTTP_11).await;
        let reply = get(stream, path, &headers).await.expect("an answer");
        let who = if std::ptr::eq(shown.unwrap_or(&ann), &raw const stranger) {
            "a stranger's certificate"
        } else {
            ""
        };
        assert_eq!(reply.code, code, "{who} {headers:?} {path}: {}", reply.text);
    }
    let stream = connect(&endpoint, None, Version::HTTP_11).await;
    let refused = get(stream, NAMESPACE, &[]).await.expect("an answer").text;
    assert!(refused.contains("User \\\"system:anonymous\\\" cannot get resource"), "{refused}");
}

#[tokio::test]
async fn a_connection_that_a_fault_breaks_ends_without_an_answer() {
    let sim = cluster();
    let endpoint = serve(&sim, Duration::ZERO).await;
    for version in [Version::HTTP_2, Version::HTTP_11] {
        sim.faults().add(Fault::new(Effect::Reset));
        for answered in [false, true] {
            let stream = connect(&endpoint, Some(&admin(&endpoint)), version).await;
            assert_eq!(get(stream, "/version", &[]).await.is_some(), answered, "{version:?}");
        }
    }
}

#[tokio::test]
async fn a_watch_arrives_line_by_line() {
    let endpoint = serve(&cluster(), Duration::ZERO).await;
    for version in [Version::HTTP_2, Version::HTTP_11] {
        let stream = connect(&endpoint, Some(&admin(&endpoint)), version).await;
        let path = "/api/v1/namespaces?watch=1&timeoutSeconds=1";
        let answer = get(stream, path, &[]).await.expect("an end in good order").text;
        assert!(answer.contains("{\"type\":\"ADDED\",\"object\":{"), "{answer}");
    }
}

/// The connection, the handshake of TLS 1.3 and a request take a round trip each; what is asked at once arrives at once.
#[tokio::test]
async fn every_round_trip_takes_its_time_and_requests_share_it() {
    let round_trip = Duration::from_millis(60);
    let endpoint = serve(&cluster(), round_trip).await;
    let ann = admin(&endpoint);
    let begun = Instant::now();
    let stream = connect(&endpoint, Some(&ann), Version::HTTP_2).await;
    assert!(begun.elapsed() >= 2 * round_trip, "{:?}", begun.elapsed());
    let made = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = made.expect("HTTP/2");
    tokio::spawn(connection);
    let asked = Instant::now();
    let requests = (0..20).map(|_| {
        let mut sender = sender.clone();
        let request = Request::get(format!("https://sandbox{NAMESPACE}")).body(Body::empty());
        async move {
            let answer = sender.send_request(request.expect("a request")).await.expect("an answer");
            answer.into_body().collect().await.expect("a body").to_bytes().len()
        }
    });
    assert!(futures::future::join_all(requests).await.iter().all(|length| *length > 0));
    let taken = asked.elapsed();
    assert!(taken >= round_trip, "{taken:?}");
    // One after the other they would take 20.
    assert!(taken < 10 * round_trip, "{taken:?}");
}
