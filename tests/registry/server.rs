//! A registry of our own: as much of the OCI distribution API as it takes to push an image and to ask for one, with the
//! answers of Debian's docker-registry. <https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md>

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use serde_json::{Value, json};

/// A client that says nothing for so long has left.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running registry. It stops listening when it is dropped.
pub struct Server {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a free port of loopback. With credentials (`Basic …`) it answers to nobody who does not send them.
    pub fn start(credentials: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let store = Arc::new(Mutex::new(Store { credentials, ..Store::default() }));
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let listening = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let store = Arc::clone(&store);
                // A client that hangs up in the middle is no fault of the registry.
                thread::spawn(move || serve(&stream, &store));
            }
        });
        Server { address, stopped, listening: Some(listening) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // It is waiting for a connection, and looks up at the next one.
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

/// One request to a connection.
fn serve(stream: &TcpStream, store: &Mutex<Store>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let request = Request::read(&mut reader)?;
    let host = stream.local_addr()?.to_string();
    let (answer, body_wanted) = match &request {
        Some(request) => {
            let mut store = store.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            (store.answer(request, &host), request.method != "HEAD")
        }
        None => (Answer::new("400 Bad Request"), true),
    };
    answer.write(stream, body_wanted)
}

struct Request {
    method: String,
    path: String,
    query: String,
    /// Their names in lower case.
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    /// Nothing where what comes is not HTTP: TLS, for example.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let first = line(reader)?;
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1")) = (words.next(), words.next(), words.next())
        else {
            return Ok(None);
        };
        let mut headers = BTreeMap::new();
        loop {
            let line = line(reader)?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
        Ok(Some(Request { method, path, query, headers, body }))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Without its end. What is not UTF-8 is no request, and is not taken for one either.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    reader.read_until(b'\n', &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

struct Answer {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: &'static str) -> Self {
        Answer { status, headers: Vec::new(), body: Vec::new() }
    }

    /// The specification's form of an error.
    fn error(status: &'static str, code: &str, message: &str, detail: &Value) -> Self {
        let error = json!({"code": code, "message": message, "detail": detail});
        Answer::new(status)
            .header("Content-Type", "application/json; charset=utf-8")
            .body(json!({"errors": [error]}).to_string().as_bytes())
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    fn write(&self, mut stream: &TcpStream, with_body: bool) -> io::Result<()> {
        let mut text = format!("HTTP/1.1 {}\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!(
            "Docker-Distribution-Api-Version: registry/2.0\r\nContent-Length: {}\r\n\r\n",
            self.body.len()
        );
        let mut bytes = text.into_bytes();
        if with_body {
            bytes.extend_from_slice(&self.body);
        }
        stream.write_all(&bytes)
    }
}

struct Manifest {
    kind: String,
    digest: String,
    bytes: Vec<u8>,
}

/// What has been pushed, each under the name of its repository.
#[derive(Default)]
struct Store {
    credentials: Option<String>,
    blobs: BTreeSet<(String, String)>,
    /// By tag and by digest.
    manifests: BTreeMap<(String, String), Arc<Manifest>>,
}

impl Store {
    fn answer(&mut self, request: &Request, host: &str) -> Answer {
        let login = self.credentials.as_deref();
        if login.is_some_and(|login| login != request.header("authorization")) {
            return Answer::error(
                "401 Unauthorized",
                "UNAUTHORIZED",
                "authentication required",
                &Value::Null,
            )
            .header("WWW-Authenticate", "Basic realm=\"here\"");
        }
        let Some(rest) = request.path.strip_prefix("/v2/") else {
            return no_such_page();
        };
        let reading = matches!(request.method.as_str(), "GET" | "HEAD");
        if rest.is_empty() && reading {
            return Answer::new("200 OK")
                .header("Content-Type", "application/json; charset=utf-8")
                .body(b"{}");
        }
        if let Some((repository, reference)) = rest.rsplit_once("/manifests/") {
            return match request.method.as_str() {
                "PUT" => self.put_manifest(repository, reference, request),
                _ if reading => self.get_manifest(repository, reference, request.header("accept")),
                _ => no_such_page(),
            };
        }
        match rest.rsplit_once("/blobs/uploads/") {
            Some((_, "")) if request.method == "POST" => Answer::new("202 Accepted")
                .header("Location", format!("http://{host}{}only?_state=none", request.path)),
            Some((repository, "only")) if request.method == "PUT" => self.put_blob(repository, request),
            _ => no_such_page(),
        }
    }

    /// An upload that comes whole with its last request.
    fn put_blob(&mut self, repository: &str, request: &Request) -> Answer {
        let digest = digest(&request.body);
        let named = request.query.split('&').find_map(|pair| pair.strip_prefix("digest="));
        if named != Some(&digest) {
            return invalid_digest("provided digest did not match uploaded content");
        }
        self.blobs.insert((repository.to_owned(), digest.clone()));
        Answer::new("201 Created").header("Docker-Content-Digest", digest)
    }

    /// What a manifest refers to has to be there before it.
    fn put_manifest(&mut self, repository: &str, reference: &str, request: &Request) -> Answer {
        let Ok(manifest) = serde_json::from_slice::<Value>(&request.body) else {
            return Answer::error("400 Bad Request", "MANIFEST_INVALID", "manifest invalid", &Value::Null);
        };
        let digest = digest(&request.body);
        if reference.contains(':') && reference != digest {
            return invalid_digest("provided digest did not match uploaded content");
        }
        let list = |name: &str| manifest[name].as_array().cloned().unwrap_or_default();
        let blobs = list("layers").into_iter().chain(manifest.get("config").cloned());
        let blobs = blobs.map(|blob| (key(repository, &blob), self.blobs.contains(&key(repository, &blob))));
        let images = list("manifests").into_iter();
        let images = images
            .map(|image| (key(repository, &image), self.manifests.contains_key(&key(repository, &image))));
        if let Some(((_, missing), _)) = blobs.chain(images).find(|(_, there)| !there) {
            let detail = json!(missing);
            let message = "blob unknown to registry";
            return Answer::error("400 Bad Request", "MANIFEST_BLOB_UNKNOWN", message, &detail);
        }
        let kind = request.header("content-type").to_owned();
        let manifest = Arc::new(Manifest { kind, digest: digest.clone(), bytes: request.body.clone() });
        for reference in [reference, &digest] {
            self.manifests.insert((repository.to_owned(), reference.to_owned()), Arc::clone(&manifest));
        }
        Answer::new("201 Created").header("Docker-Content-Digest", digest)
    }

    /// Only to clients that say that they take manifests of its kind.
    fn get_manifest(&self, repository: &str, reference: &str, accept: &str) -> Answer {
        let found = self.manifests.get(&(repository.to_owned(), reference.to_owned()));
        let taken = |kind: &str| accept.split(',').any(|one| one.trim() == kind);
        match found {
            Some(manifest) if taken(&manifest.kind) => Answer::new("200 OK")
                .header("Content-Type", manifest.kind.clone())
                .header("Docker-Content-Digest", manifest.digest.clone())
                .body(&manifest.bytes),
            _ => {
                let detail = json!({"Tag": reference});
                Answer::error("404 Not Found", "MANIFEST_UNKNOWN", "manifest unknown", &detail)
            }
        }
    }
}

fn key(repository: &str, descriptor: &Value) -> (String, String) {
    (repository.to_owned(), descriptor["digest"].as_str().unwrap_or_default().to_owned())
}

fn invalid_digest(message: &str) -> Answer {
    Answer::error("400 Bad Request", "DIGEST_INVALID", message, &Value::Null)
}

/// What is not of the API, as any other web server has it.
fn no_such_page() -> Answer {
    Answer::new("404 Not Found")
        .header("Content-Type", "text/plain; charset=utf-8")
        .body(b"404 page not found\n")
}

/// By rustls's SHA-256, because no other is a dependency of ours.
fn digest(bytes: &[u8]) -> String {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().expect("it is one of TLS 1.3");
    let hash = suite.common.hash_provider.hash(bytes);
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
