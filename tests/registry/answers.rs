//! Registries, and servers that only claim to be one, that answer in ways which a small registry has no reason for.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kubectl_dbupdate::model::ImageFound;

use super::{MANIFEST, found, now, token_server};

/// As Docker Hub and ghcr.io do: a token from the server that the registry names, also where it redirects.
#[test]
fn a_token_is_fetched_where_the_registry_says() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has an address").to_string();
    let (at, known) = (address.clone(), digest.clone());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let head = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|l| !l.is_empty());
            let head: Vec<String> = head.map(|line| line.to_lowercase()).collect();
            let target = head[0].split(' ').nth(1).unwrap_or_default();
            let (status, header, body) = match target {
                "/v2/" => {
                    let realm = format!("Bearer realm=\"http://{at}/token?a=b\",service=\"here\"");
                    ("401 Unauthorized", format!("WWW-Authenticate: {realm}"), "")
                }
                "/token?a=b&scope=repository%3adb%2fzk%3apull&service=here" => {
                    ("200 OK", "X: y".to_owned(), r#"{"access_token":"t"}"#)
                }
                "/v2/db/zk/manifests/1" => ("307 Temporary Redirect", "Location: /elsewhere".to_owned(), ""),
                "/elsewhere" if head.contains(&"authorization: bearer t".to_owned()) => {
                    ("200 OK", format!("Docker-Content-Digest: {known}"), "")
                }
                _ => ("403 Forbidden", "X: y".to_owned(), ""),
            };
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\n{header}\r\nContent-Length: {length}\r\n\r\n"
            );
            let _ = stream.write_all((text + body).as_bytes());
        }
    });
    assert_eq!(now(found(&format!("{address}/db/zk:1"))), ImageFound::Exists { digest });
}

/// Answers a request by its first line, with a status, headers and a body; the address is the server's own.
fn by_request(answer: impl Fn(&str, &str) -> (String, String, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has an address").to_string();
    let own = address.clone();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let head = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|l| !l.is_empty());
            let head: Vec<String> = head.collect();
            let (status, headers, body) = answer(head.first().map_or("", String::as_str), &own);
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

/// Some proxies drop the header with the digest. What is no manifest is no image, whatever its status.
#[test]
fn a_manifest_without_its_digest_is_hashed() {
    let manifest = r#"{"schemaVersion":2}"#;
    let digest = "sha256:bafebd36189ad3688b7b3915ea55d461e0bfcfbdde11e54b0a123999fb6be50f".to_owned();
    let kind = format!("Content-Type: {MANIFEST}; charset=utf-8\r\n");
    let other = format!("Docker-Content-Digest: sha256:{}\r\n", "0a".repeat(32));
    let large = format!(r#"{{"schemaVersion":2,"x":"{}"}}"#, "x".repeat(4 << 20));
    for (headers, body, found) in [
        (kind.clone(), manifest, Some(digest.clone())),
        (format!("{kind}Docker-Content-Digest: {digest}\r\n"), manifest, Some(digest)),
        (format!("{kind}{other}"), manifest, None),
        ("Content-Type: application/json\r\n".to_owned(), manifest, None),
        (String::new(), manifest, None),
        (kind.clone(), r#"{"schemaVersion":1}"#, None),
        (kind.clone(), "{}", None),
        (kind.clone(), "<h1>log in</h1>", None),
        (kind, &large, None),
    ] {
        let shown = format!("{headers}{}", &body[..body.len().min(99)]);
        let body = body.to_owned();
        let address = by_request(move |line, _| match line {
            line if line.starts_with("GET /v2/zk/") => ("200 OK".to_owned(), headers.clone(), body.clone()),
            _ => ("200 OK".to_owned(), String::new(), String::new()),
        });
        let nonsense = ImageFound::Unknown { why: "invalid response".to_owned() };
        let found = found.map_or(nonsense, |digest| ImageFound::Exists { digest });
        assert_eq!(now(self::found(&format!("{address}/zk:1"))), found, "{shown}");
    }
}

/// Only some answers of a token server are about the login.
#[test]
fn a_token_server_rejects_a_login_or_fails() {
    let login = "the registry requires a login, and neither docker nor podman has one for it";
    for (status, body, why) in [
        ("400 Bad Request", "", login),
        ("401 Unauthorized", "", login),
        ("403 Forbidden", "", login),
        ("404 Not Found", "", "HTTP status 404"),
        ("429 Too Many Requests", "", "HTTP status 429"),
        ("503 Service Unavailable", "", "HTTP status 503"),
        ("200 OK", r#"{"token":""}"#, "invalid response"),
        ("200 OK", r#"{"token":"","access_token":"t"}"#, "HTTP status 418"),
    ] {
        let (status, body) = (status.to_owned(), body.to_owned());
        let shown = format!("{status} {body}");
        let address = by_request(move |line, own| match line.split(' ').nth(1).unwrap_or_default() {
            "/v2/" => {
                let header = token_server(&format!("http://{own}/token"));
                ("401 Unauthorized".to_owned(), header, String::new())
            }
            token if token.starts_with("/token?") => (status.clone(), String::new(), body.clone()),
            _ => ("418 I'm a teapot".to_owned(), String::new(), String::new()),
        });
        let unknown = ImageFound::Unknown { why: why.to_owned() };
        assert_eq!(now(found(&format!("{address}/zk:1"))), unknown, "{shown}");
    }
}

/// A registry whose answer does not end costs neither memory nor time.
#[test]
fn an_endless_answer_of_a_registry_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has an address");
    let sent = Arc::new(AtomicUsize::new(0));
    let sending = Arc::clone(&sent);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = BufReader::new(&stream).lines().map_while(Result::ok).find(String::is_empty);
            // Otherwise the endless answer to a HEAD would be taken for the answer to the request after it.
            let mut piece = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n".to_vec();
            while stream.write_all(&piece).is_ok() {
                sending.fetch_add(piece.len(), Ordering::Relaxed);
                piece = vec![b'x'; 1 << 20];
            }
        }
    });
    let why = ImageFound::Unknown { why: "HTTP status 404".to_owned() };
    assert_eq!(now(found(&format!("{address}/zk:1"))), why);
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 64 << 20, "{sent} bytes were taken");
}

/// Nobody waits for longer than a registry is given.
#[tokio::test(start_paused = true)]
async fn a_registry_that_does_not_answer_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has an address");
    match found(&format!("{address}/zk:1")).await {
        ImageFound::Unknown { why } => assert!(why.contains("answer within "), "{why}"),
        other => panic!("{other:?}"),
    }
}
