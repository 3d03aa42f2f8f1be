//! A registry to push to and to ask: our own, or Debian's docker-registry. A test does not see which.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::served::{Directory, isolated};
use crate::server::Server;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The digest of `{}`, which serves as the configuration of every image here.
pub const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// `ann` with the password `open-sesame`, by bcrypt, which is all that Debian's takes.
const USERS: &str = "ann:$2b$04$0LMeYifMjFFmC8dGVW0k1OL2ksfY0EnWCkRt0CFBCYqGxCb2GAQ9G\n";
pub const PASSWORD: &str = "open-sesame";

/// `ann:open-sesame` and `ann:open-barley` as docker keeps them.
pub const RIGHT: &str = "YW5uOm9wZW4tc2VzYW1l";
pub const WRONG: &str = "YW5uOm9wZW4tYmFybGV5";

/// Whose registry it is.
#[derive(Clone, Copy)]
pub enum Backend {
    Ours,
    Debian,
}

impl Backend {
    /// It lets in everybody.
    pub fn open(self) -> Registry {
        self.start(false)
    }

    /// It lets in nobody but `ann`.
    pub fn closed(self) -> Registry {
        self.start(true)
    }

    fn start(self, closed: bool) -> Registry {
        let credentials = closed.then(|| format!("Basic {RIGHT}"));
        let authorization =
            credentials.iter().map(|credentials| format!("Authorization: {credentials}\r\n")).collect();
        match self {
            Backend::Ours => {
                let server = Server::start(credentials);
                Registry {
                    address: server.address().to_string(),
                    authorization,
                    _running: Running::Ours(server),
                }
            }
            Backend::Debian => {
                let (debian, address) = Debian::start(closed);
                Registry { address, authorization, _running: Running::Debian(debian) }
            }
        }
    }
}

/// A registry of a test's own, on a free port.
pub struct Registry {
    pub address: String,
    /// The header with which images are pushed.
    authorization: String,
    _running: Running,
}

#[allow(dead_code, reason = "what it holds is kept running, and stopped when it is dropped")]
enum Running {
    Ours(Server),
    Debian(Debian),
}

/// docker-registry as a child process, and its configuration.
struct Debian {
    child: Child,
    _directory: Directory,
}

impl Debian {
    /// The process, and where it listens.
    fn start(closed: bool) -> (Self, String) {
        let directory = Directory::new();
        let users = directory.file("users", USERS);
        let auth = format!("auth: {{htpasswd: {{realm: here, path: {}}}}}\n", users.display());
        let auth = if closed { &auth } else { "" };
        let config =
            format!("version: 0.1\nstorage: {{inmemory: {{}}}}\nhttp: {{addr: \"127.0.0.1:0\"}}\n{auth}");
        let mut command = isolated("docker-registry");
        command.arg("serve").arg(directory.file("config.yml", &config)).env("OTEL_TRACES_EXPORTER", "none");
        let started = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("docker-registry: {error}"));
        let mut said = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(said.read_line(&mut line).is_ok_and(|read| read > 0), "it listens nowhere");
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split(['"', ' ', '\n']).next().unwrap_or_default().to_owned();
            }
        };
        // It logs every request, and would stop at a full pipe.
        thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        (Debian { child, _directory: directory }, address)
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    /// The answer to a request with these headers, each with its line's end.
    pub fn answer(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let (address, length) = (&self.address, body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// The body of the answer, which must hold each of these parts.
    #[track_caller]
    pub fn says(&self, method: &str, path: &str, headers: &str, body: &str, expected: &[&str]) -> String {
        let answer = self.answer(method, path, headers, body);
        for part in expected {
            assert!(answer.contains(part), "{part:?} is not in the answer to {method} {path}: {answer}");
        }
        let text = answer.split_once("\r\n\r\n").map(|(_, text)| text.to_owned());
        text.unwrap_or_else(|| panic!("{method} {path}: {answer}"))
    }

    /// The answer to a request that must succeed.
    fn request(&self, method: &str, path: &str, kind: &str, body: &str) -> String {
        let headers = format!("{}Content-Type: {kind}\r\n", self.authorization);
        let answer = self.answer(method, path, &headers, body);
        assert!(answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        answer
    }

    /// Pushes a manifest, and gives the digest that the registry computes of it.
    fn put(&self, repository: &str, tag: &str, kind: &str, manifest: &Value) -> String {
        let path = format!("/v2/{repository}/manifests/{tag}");
        header(&self.request("PUT", &path, kind, &manifest.to_string()), "Docker-Content-Digest: ")
    }

    /// An image that differs from every other by its name; what it gives is its digest.
    pub fn push(&self, repository: &str, tag: &str) -> String {
        self.put_configuration(repository);
        self.put(repository, tag, MANIFEST, &manifest(repository, tag))
    }

    /// The blob to which every manifest of [`manifest`] refers, and the digest that the registry computes of it.
    pub fn put_configuration(&self, repository: &str) -> String {
        let path = format!("{}&digest={EMPTY}", self.begin_upload(repository));
        header(&self.request("PUT", &path, "application/octet-stream", "{}"), "Docker-Content-Digest: ")
    }

    /// Where a blob is to be put, with a query to which its digest is added.
    pub fn begin_upload(&self, repository: &str) -> String {
        let begun = self.request("POST", &format!("/v2/{repository}/blobs/uploads/"), "", "");
        let location = header(&begun, "Location: ");
        location.split_once(&self.address).expect("it is here").1.to_owned()
    }

    /// An image of two platforms: the digest of its index.
    pub fn push_index(&self, repository: &str, tag: &str) -> String {
        let of = |arch: &str| {
            let tag = format!("{tag}-{arch}");
            let digest = self.push(repository, &tag);
            let size = manifest(repository, &tag).to_string().len();
            json!({
                "mediaType": MANIFEST, "digest": digest, "size": size,
                "platform": {"os": "linux", "architecture": arch},
            })
        };
        let manifests = [of("amd64"), of("arm64")];
        self.put(
            repository,
            tag,
            INDEX,
            &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}),
        )
    }

    /// The name by which an image of it is pulled.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }
}

/// The manifest of an image without layers.
pub fn manifest(repository: &str, tag: &str) -> Value {
    let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": EMPTY, "size": 2});
    let annotations = json!({"name": format!("{repository}:{tag}")});
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [], "annotations": annotations})
}

/// The value of a header, which has to be there.
fn header(answer: &str, name: &str) -> String {
    let line = answer.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned()
}
