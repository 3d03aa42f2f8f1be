//! Images and digests, asked of a registry on loopback. Every test that needs one runs on our own, and, where it is
//! installed, on Debian's docker-registry, so that ours answers as a real one does.
#![cfg(unix)]

mod answers;
mod backend;
#[path = "../programs/mod.rs"]
mod programs;
#[path = "../served/mod.rs"]
mod served;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use backend::{Backend, EMPTY, INDEX, MANIFEST, PASSWORD, RIGHT, Registry, WRONG, manifest};
use kubectl_dbupdate::model::ImageFound;
use kubectl_dbupdate::registry::look_up;
use serde_json::{Value, json};
use served::{Directory, Outcome, Sandbox, run};

/// Makes two tests of each function.
macro_rules! on_each_registry {
    ($($test:ident),* $(,)?) => {
        mod ours {
            $(#[test]
            fn $test() {
                super::$test(super::Backend::Ours);
            })*
        }

        mod debian {
            $(#[test]
            fn $test() {
                if super::programs::installed("docker-registry") {
                    super::$test(super::Backend::Debian);
                }
            })*
        }
    };
}

on_each_registry!(
    what_is_pushed_is_checked,
    what_was_pushed_is_given,
    a_closed_registry_wants_a_login,
    an_image_is_there_or_not,
    who_cannot_be_asked_says_nothing_of_an_image,
    what_was_pinned_is_pinned_afterwards,
    an_image_that_is_missing_is_refused_and_one_that_cannot_be_asked_for_is_not,
    a_proxy_is_for_others,
    a_login_is_used_and_never_shown,
);

/// Waits for it.
fn now<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(future)
}

/// How long the registries of a test may take: on a busy machine, long.
const PATIENCE: Duration = Duration::from_secs(8);

async fn found(image: &str) -> ImageFound {
    look_up(&BTreeSet::from([image.to_owned()]), PATIENCE, "").await.remove(image).expect("it was asked for")
}

/// A port on which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("it has an address").to_string()
}

/// Answers every connection with the same text.
fn answering(text: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has an address").to_string();
    let text = text(&address);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (mut reader, mut line) = (BufReader::new(&stream), String::new());
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let _ = (&stream).write_all(text.as_bytes());
        }
    });
    address
}

/// Answers with that status, those headers and that body, whatever it is asked.
fn always(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    answering(move |_| text.clone())
}

fn token_server(url: &str) -> String {
    format!("WWW-Authenticate: Bearer realm=\"{url}\"\r\n")
}

const OK: &str = "HTTP/1.1 200 OK\r\n";
const BAD: &str = "HTTP/1.1 400 Bad Request\r\n";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\n";

/// This and the next two hold both registries to the answers that the other tests rely on.
fn what_is_pushed_is_checked(backend: Backend) {
    let registry = backend.open();
    let (body, kind) = (manifest("db/zk", "1").to_string(), format!("Content-Type: {MANIFEST}\r\n"));
    let put = |path: &str, body: &str, expected: &[&str]| registry.says("PUT", path, &kind, body, expected);
    let one = "/v2/db/zk/manifests/1";
    put(one, &body, &[BAD, r#""code":"MANIFEST_BLOB_UNKNOWN""#, EMPTY]);
    let upload = format!("{}&digest={EMPTY}", registry.begin_upload("db/zk"));
    put(&upload, "{ }", &[BAD, r#""code":"DIGEST_INVALID""#]);
    assert_eq!(registry.put_configuration("db/zk"), EMPTY);
    put(&format!("/v2/db/zk/manifests/{EMPTY}"), &body, &[BAD, r#""code":"DIGEST_INVALID""#]);
    put(one, "no JSON", &[BAD, r#""code":"MANIFEST_INVALID""#]);
    put(one, &body, &["HTTP/1.1 201 Created\r\n", "Docker-Content-Digest: sha256:"]);
}

fn what_was_pushed_is_given(backend: Backend) {
    let registry = backend.open();
    let digest = registry.push("db/zk", "1");
    let body = manifest("db/zk", "1").to_string();
    let get = |method: &str, path: &str, accept: &str, expected: &[&str]| {
        registry.says(method, path, &format!("Accept: {accept}\r\n"), "", expected)
    };
    let any = format!("{INDEX}, {MANIFEST}");
    let found = [
        OK,
        &format!("Content-Type: {MANIFEST}\r\n"),
        &format!("Docker-Content-Digest: {digest}\r\n"),
        &format!("Content-Length: {}\r\n", body.len()),
    ];
    for path in ["/v2/db/zk/manifests/1", &format!("/v2/db/zk/manifests/{digest}")] {
        assert_eq!(get("GET", path, &any, &found), body);
        assert_eq!(get("HEAD", path, &any, &found), "", "a HEAD has no body");
        // A client is not given a manifest of a kind that it does not accept.
        get("GET", path, INDEX, &[NOT_FOUND, r#""code":"MANIFEST_UNKNOWN""#]);
    }
    let nothing = format!("/v2/db/zk/manifests/sha256:{}", "0".repeat(64));
    for path in ["/v2/db/zk/manifests/2", "/v2/db/nope/manifests/1", &nothing] {
        let missing = [NOT_FOUND, "Content-Type: application/json"];
        let said: Value = serde_json::from_str(&get("GET", path, &any, &missing)).expect("JSON");
        let (code, message) = (&said["errors"][0]["code"], &said["errors"][0]["message"]);
        assert_eq!((code, message), (&json!("MANIFEST_UNKNOWN"), &json!("manifest unknown")));
        assert_eq!(get("HEAD", path, &any, &missing), "", "a HEAD has no body");
    }
    let version = "Docker-Distribution-Api-Version: registry/2.0\r\n";
    assert_eq!(get("GET", "/v2/", "*/*", &[OK, version]), "{}");
    let page = get("GET", "/other", "*/*", &[NOT_FOUND, "Content-Type: text/plain"]);
    assert_eq!(page, "404 page not found\n");
}

fn a_closed_registry_wants_a_login(backend: Backend) {
    let registry = backend.closed();
    let digest = registry.push("zk", "1");
    for path in ["/v2/", "/v2/zk/manifests/1", "/v2/zk/manifests/2"] {
        for login in [String::new(), format!("Authorization: Basic {WRONG}\r\n")] {
            let refused = registry.answer("GET", path, &login, "");
            assert!(refused.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{path}: {refused}");
            // The case of a header's name does not matter, and Go changes it.
            assert!(
                refused.to_lowercase().contains("\r\nwww-authenticate: basic realm=\"here\"\r\n"),
                "{refused}"
            );
            assert!(refused.contains(r#""code":"UNAUTHORIZED""#), "{path}: {refused}");
        }
    }
    let headers = format!("Authorization: Basic {RIGHT}\r\nAccept: {MANIFEST}\r\n");
    let found = registry.answer("HEAD", "/v2/zk/manifests/1", &headers, "");
    assert!(found.contains(&digest), "{found}");
}

fn an_image_is_there_or_not(backend: Backend) {
    let registry = backend.open();
    let plain = registry.push("db/zookeeper", "3.9.1");
    let index = registry.push_index("db/kafka", "3.6.1");
    let images = ["db/zookeeper:3.9.1", "db/kafka:3.6.1", "db/zookeeper:3.9.2", "db/druid:1"];
    let images = images.map(|name| registry.image(name));
    let pinned = format!("{}@{plain}", images[0]);
    let mut all = BTreeSet::from(images.clone());
    all.insert(pinned.clone());
    let missing = |why: &str| ImageFound::Missing { why: why.to_owned() };
    let [zookeeper, kafka, no_tag, no_repository] = images;
    let expected = BTreeMap::from([
        (zookeeper, ImageFound::Exists { digest: plain.clone() }),
        (kafka, ImageFound::Exists { digest: index }),
        (no_tag, missing("the registry has no such tag")),
        // It says the same of a repository that is not there.
        (no_repository, missing("the registry has no such tag")),
        (pinned, ImageFound::Exists { digest: plain }),
    ]);
    assert_eq!(now(look_up(&all, PATIENCE, "")), expected);
}

fn who_cannot_be_asked_says_nothing_of_an_image(backend: Backend) {
    let page = "<h1>no such page</h1>";
    let elsewhere = answering(move |_| {
        format!("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{page}", page.len())
    });
    // A token that is no value of a header, which the client takes for one.
    let token = r#"{"token":"a\nb"}"#;
    let odd = answering(move |address| {
        format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nWWW-Authenticate: Bearer realm=\"http://{address}/token\"\r\n\
             Docker-Content-Digest: sha256:short\r\nContent-Length: {}\r\n\r\n{token}",
            token.len()
        )
    });
    let closed = backend.closed();
    for (image, why) in [
        (format!("{}/zk:1", nobody()), "cannot connect: Connection refused (os error 111)"),
        (format!("{elsewhere}/zk:1"), "HTTP status 404"),
        (format!("{odd}/zk:1"), "invalid response"),
        // A page of a login, say, is no image.
        (format!("{}/zk:1", always("200 OK", "", "<h1>log in</h1>")), "invalid response"),
        (
            format!("{}/zk:1", always("302 Found", "Location: http://169.254.169.254/latest\r\n", "")),
            "it redirects to an address that is not reached over https",
        ),
        (
            format!("{}/zk:1", always("307 Temporary Redirect", "Location: /again\r\n", "")),
            "it redirects too often",
        ),
        (
            format!("{}/zk:1", always("401 Unauthorized", &token_server("https://169.254.169.254/t"), "")),
            "its token server is this machine or a link-local address, so it is not asked",
        ),
        (
            format!("{}/zk:1", always("401 Unauthorized", &token_server("http://example.com/t"), "")),
            "its token server is not reached over https, so it is not asked",
        ),
        // Any other address than loopback is asked by TLS, which this one does not speak.
        (
            closed.image("zk:1").replace("127.0.0.1", "0.0.0.0"),
            "cannot connect: received corrupt message of type InvalidContentType",
        ),
        (closed.image("zk:1"), "the registry requires a login, and neither docker nor podman has one for it"),
        ("Not An Image".to_owned(), "not a valid image name"),
    ] {
        assert_eq!(now(found(&image)), ImageFound::Unknown { why: why.to_owned() }, "{image}");
    }
}

/// A served sandbox whose versions of a kind have images of that registry.
struct Site {
    sandbox: Sandbox,
    /// Where docker keeps its logins.
    docker: Directory,
}

const TEMPLATE: &str = "/spec/template/spec/containers/0/image";

impl Site {
    fn new() -> Self {
        Site { sandbox: Sandbox::start(), docker: Directory::new() }
    }

    /// The version's object names that image, as in a real cluster.
    fn version(&self, plural: &str, name: &str, images: &Value) {
        let merge = json!({"metadata": {"annotations": null}, "spec": images});
        let path = format!("/apis/catalog.kubedb.com/v1alpha1/{plural}/{name}");
        self.sandbox.request("PATCH", &path, "merge-patch+json", &merge);
    }

    /// ZooKeeper 3.8.3 and 3.9.1, of which only the image of the database itself differs, and the database on 3.8.3.
    fn zookeeper(&self, registry: &Registry) {
        for version in ["3.8.3", "3.9.1"] {
            let image = registry.image(&format!("zookeeper:{version}"));
            let init = registry.image("zookeeper-init:3.7-v1");
            self.version(
                "zookeeperversions",
                version,
                &json!({"db": {"image": image}, "initContainer": {"image": init}}),
            );
        }
        let image = |name: &str| registry.image(name);
        let (db, init) = (image("zookeeper:3.8.3"), image("zookeeper-init:3.7-v1"));
        self.change("my-zk", &[("containers", db), ("initContainers", init)]);
    }

    fn set(path: &str) -> String {
        format!("/apis/apps.k8s.appscode.com/v1/namespaces/default/petsets/{path}")
    }

    fn change(&self, set: &str, images: &[(&str, String)]) {
        let patch: Vec<_> = images
            .iter()
            .map(|(list, image)| {
                let path = format!("/spec/template/spec/{list}/0/image");
                json!({"op": "replace", "path": path, "value": image})
            })
            .collect();
        self.sandbox.request("PATCH", &Self::set(set), "json-patch+json", &json!(patch));
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.sandbox.dbupdate(line);
        let logins = ["REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"];
        for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
            .iter()
            .chain(&logins)
        {
            command.env_remove(variable);
        }
        command.env("DOCKER_CONFIG", self.docker.path());
        command
    }

    #[track_caller]
    fn run(&self, line: &str) -> Outcome {
        run(self.command(line))
    }
}

/// A pinned database ends pinned to the right digests, and not one of its pods counts as outdated.
fn what_was_pinned_is_pinned_afterwards(backend: Backend) {
    let registry = backend.open();
    let site = Site::new();
    let mut digests = BTreeMap::new();
    for name in ["zookeeper:3.8.3", "zookeeper-init:3.7-v1", "kafka:3.5.2", "kafka:3.6.1"] {
        let (repository, tag) = name.split_once(':').expect("it has a tag");
        digests.insert(name, registry.push(repository, tag));
    }
    digests.insert("zookeeper:3.9.1", registry.push_index("zookeeper", "3.9.1"));
    let pinned = |name: &str| format!("{}@{}", registry.image(name), digests[name]);
    site.zookeeper(&registry);
    for version in ["3.5.2", "3.6.1"] {
        let image = json!({"db": {"image": registry.image(&format!("kafka:{version}"))}});
        site.version("kafkaversions", version, &image);
    }
    let init = pinned("zookeeper-init:3.7-v1");
    site.change("my-zk", &[("containers", pinned("zookeeper:3.8.3")), ("initContainers", init.clone())]);
    for set in ["my-kf-controller", "my-kf-broker"] {
        site.change(set, &[("containers", pinned("kafka:3.5.2"))]);
    }

    let dry = site.run("zk my-zk --to 3.9.1 --dry-run -o json").ended(0, "").object();
    let change = &dry["workloads"][0]["images"][0];
    assert_eq!(
        (&change["now"], &change["after"]),
        (&json!(pinned("zookeeper:3.8.3")), &json!(pinned("zookeeper:3.9.1")))
    );
    let checks: Vec<_> = dry["findings"].as_array().expect("a list").iter().map(|f| &f["check"]).collect();
    assert_eq!(
        checks,
        ["already-on-target", "via", "pre-pull", "leader-last"],
        "nothing is to be said of the digests"
    );
    let tags = site.run("zk my-zk --to 3.9.1 --dry-run -o json --digests keep-tags").ended(0, "").object();
    assert_eq!(tags["workloads"][0]["images"][0]["after"], json!(registry.image("zookeeper:3.9.1")));

    let site = &site;
    thread::scope(|scope| {
        for line in ["zk my-zk --to 3.9.1", "kafka my-kf --to 3.6.1"] {
            scope.spawn(move || {
                let done = site.run(&format!("{line} --yes --progress json"));
                done.ended(0, "\"outcome\":\"done\"");
                assert!(!done.stdout.contains("repinned"), "{done:#?}");
            });
        }
    });
    for (set, image) in
        [("my-zk", "zookeeper:3.9.1"), ("my-kf-controller", "kafka:3.6.1"), ("my-kf-broker", "kafka:3.6.1")]
    {
        let object = site.sandbox.get(&Site::set(set));
        assert_eq!(object.pointer(TEMPLATE), Some(&json!(pinned(image))), "{set}");
        let pods = site.sandbox.get("/api/v1/namespaces/default/pods");
        let of_set = |pod: &&Value| pod["metadata"]["ownerReferences"][0]["uid"] == object["metadata"]["uid"];
        let revisions: BTreeSet<_> = pods["items"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(of_set)
            .map(|pod| pod["metadata"]["labels"]["controller-revision-hash"].as_str().expect("a revision"))
            .collect();
        assert_eq!(
            revisions,
            BTreeSet::from([object["status"]["updateRevision"].as_str().expect("a revision")]),
            "{set}"
        );
    }
}

fn an_image_that_is_missing_is_refused_and_one_that_cannot_be_asked_for_is_not(backend: Backend) {
    let registry = backend.open();
    let site = Site::new();
    site.zookeeper(&registry);
    registry.push("zookeeper", "3.8.3");
    let image = registry.image("zookeeper:3.9.1");
    let missing = format!("image {image} of 3.9.1 does not exist: the registry has no such tag");
    let refused = site.run("zk my-zk --to 3.9.1 --dry-run -o json");
    refused.ended(3, &missing);
    site.run("zk my-zk --to 3.9.1 --yes --progress none").ended(3, "to override: --skip-check image-missing");
    site.run("zk my-zk --to 3.9.1 --dry-run --skip-check image-missing").ended(0, "image-missing");
    let unasked = site.run("zk my-zk --to 3.9.1 --dry-run --digests keep-tags");
    assert!(!unasked.ended(0, "").stdout.contains("image-"), "{unasked:#?}");
    let address = registry.address.clone();
    drop(registry);
    let why = format!("could not ask {address} for {image}: cannot connect");
    site.run("zk my-zk --to 3.9.1 --dry-run -o json").ended(0, &why);
    // The simulated catalog's other versions have no registry, and none is asked.
    let simulated = site.run("hz my-hz --to 5.5.6 --dry-run");
    assert!(!simulated.ended(0, "").stdout.contains("image-"), "{simulated:#?}");
}

/// This machine's own registry is not asked by way of a proxy.
fn a_proxy_is_for_others(backend: Backend) {
    let registry = backend.open();
    let site = Site::new();
    site.zookeeper(&registry);
    let server = site.sandbox.address().replace("127.0.0.1", "localhost");
    let mut command = site.command(&format!("zk my-zk --to 3.9.1 --dry-run --server https://{server}"));
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY"] {
        command.env(proxy, format!("http://{}", nobody()));
    }
    command.env("NO_PROXY", "localhost");
    run(command).ended(3, "the registry has no such tag");
}

/// A registry elsewhere is asked by way of a proxy, also by SOCKS 5.
#[test]
fn a_socks_proxy_leads_to_a_registry() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = format!("socks5h://{}", listener.local_addr().expect("it has an address"));
    let (tell, heard) = mpsc::channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut version = [0];
            let _ = tell.send(stream.read_exact(&mut version).map(|()| version[0]).ok());
        }
    });
    let site = Site::new();
    for version in ["3.8.3", "3.9.1"] {
        let image = json!({"db": {"image": format!("registry.invalid/zk:{version}")}});
        site.version("zookeeperversions", version, &image);
    }
    site.change("my-zk", &[("containers", "registry.invalid/zk:3.8.3".to_owned())]);
    let mut command = site.command("zk my-zk --to 3.9.1 --dry-run -o json");
    command.env("HTTPS_PROXY", proxy);
    run(command).ended(0, "could not ask registry.invalid");
    assert_eq!(heard.try_recv(), Ok(Some(5)));
}

/// With docker's login, podman's, and one from a program; with a wrong one, and with none.
fn a_login_is_used_and_never_shown(backend: Backend) {
    let registry = backend.closed();
    let site = Site::new();
    site.zookeeper(&registry);
    let digest = registry.push("zookeeper", "3.9.1");
    site.change("my-zk", &[("containers", format!("{}@{EMPTY}", registry.image("zookeeper:3.8.3")))]);
    let address = &registry.address;
    let login = |auth: &str| json!({"auths": {address: {"auth": auth}}}).to_string();
    let program =
        format!("#!/bin/sh\ncat > /dev/null\necho '{{\"Username\": \"ann\", \"Secret\": \"{PASSWORD}\"}}'\n");
    let script = site.docker.file("docker-credential-safe", &program);
    fs::set_permissions(script, Permissions::from_mode(0o755)).expect("it can be made a program");
    let failing = site.docker.file(
        "docker-credential-broken",
        &format!("#!/bin/sh\ncat > /dev/null\necho {PASSWORD} >&2; exit 1\n"),
    );
    fs::set_permissions(failing, Permissions::from_mode(0o755)).expect("it can be made a program");
    let helper = |name: &str| json!({"credHelpers": {address: name}}).to_string();
    let pinned = format!("{}@{digest}", registry.image("zookeeper:3.9.1"));
    for (docker, podman, said) in [
        (login(RIGHT), String::new(), pinned.as_str()),
        (String::new(), login(RIGHT), &pinned),
        (helper("safe"), String::new(), &pinned),
        (login(WRONG), String::new(), "the registry rejected your docker or podman login"),
        (
            helper("broken"),
            String::new(),
            "the registry requires a login, and yours could not be obtained: docker-credential-broken failed",
        ),
        (
            String::new(),
            String::new(),
            "the registry requires a login, and neither docker nor podman has one for it",
        ),
    ] {
        site.docker.file("config.json", if docker.is_empty() { "{}" } else { &docker });
        let mut command = site.command("zk my-zk --to 3.9.1 --dry-run -o json -v 9");
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", site.docker.path().display()));
        if !podman.is_empty() {
            command.env("REGISTRY_AUTH_FILE", site.docker.file("auth.json", &podman));
        }
        let outcome = run(command);
        outcome.ended(0, said);
        let shown = format!("{}{}", outcome.stdout, outcome.stderr);
        for secret in [PASSWORD, "open-barley", RIGHT, WRONG] {
            assert!(!shown.contains(secret), "{secret} is shown: {shown}");
        }
    }
    // Podman's first file has none.
    let (run_time, lasting) = (Directory::new(), Directory::new());
    for (directory, text) in [(&run_time, "{}"), (&lasting, &login(RIGHT))] {
        fs::create_dir(directory.path().join("containers")).expect("a folder");
        directory.file("containers/auth.json", text);
    }
    let mut command = site.command("zk my-zk --to 3.9.1 --dry-run -o json");
    command.env("XDG_RUNTIME_DIR", run_time.path()).env("XDG_CONFIG_HOME", lasting.path());
    run(command).ended(0, &pinned);
}
