//! Image registries and the logins for them. Whoever may write the catalog chooses the registry; its answers must neither get a
//! login nor lead anywhere else.

use serde_json::{Value, json};
use simcluster::SimCluster;

use crate::row::{Content, Row, Scene, row};
use crate::rule::{Effect, Rule, any, json_of, says};

const DRY: &str = "zk my-zk --to 3.9.1 --dry-run";
const ESC: &str = "\u{1b}[2J\u{7}\u{202e}";
const UNCHECKED: &str = "image-unchecked";

/// `ann:hunter2-open-sesame` as docker keeps it.
const LOGIN: &str = "YW5uOmh1bnRlcjItb3Blbi1zZXNhbWU=";

pub fn rows() -> Vec<Row> {
    [answers(), realms(), names(), logins()].into_iter().flatten().collect()
}

/// The versions and the template have images of this registry, and are not marked as simulated.
fn images_of(registry: &str, repository: &str) -> impl Fn(&SimCluster, &str) + Send + Sync + 'static {
    let (registry, repository) = (registry.to_owned(), repository.to_owned());
    move |sim, address| {
        let image = |version: &str| {
            let host = registry.replace("{registry}", address);
            format!("{host}{repository}:{version}")
        };
        for version in ["3.8.3", "3.9.1"] {
            let change = |object: &mut Value| {
                object["metadata"]["annotations"] = json!({});
                object["spec"]["db"]["image"] = json!(image(version));
            };
            sim.store()
                .update("zookeeperversions.catalog.kubedb.com", "", version, change)
                .expect("it is there");
        }
        let now = |set: &mut Value| {
            set["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image("3.8.3"))
        };
        sim.store().update("petsets.apps.k8s.appscode.com", "default", "my-zk", now).expect("it is there");
    }
}

/// A plan with images of the row's registry, and a login for it.
fn asked(name: &str, effect: Effect) -> Row {
    logged_in(row(name, DRY)).given(images_of("{registry}", "/zk")).registry(any(effect)).ends(0)
}

fn logged_in(row: Row) -> Row {
    let auths = format!("{{\"auths\": {{\"{{registry}}\": {{\"auth\": \"{LOGIN}\"}}}}}}");
    row.env("DOCKER_CONFIG", "{dir}/docker").file("docker/config.json", Content::Text(auths))
}

fn digest_of(text: &str) -> Effect {
    Effect::Raw(
        format!("HTTP/1.1 200 OK\r\nDocker-Content-Digest: {text}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes(),
    )
}

fn answers() -> Vec<Row> {
    let raw = |text: &str| Effect::Raw(text.as_bytes().to_vec());
    let error = |code: &str, message: &str| {
        json_of("404 Not Found", &json!({"errors": [{"code": code, "message": message, "detail": message}]}))
    };
    let unchecked = |name: &str, effect: Effect| asked(name, effect).says(UNCHECKED);
    vec![
        unchecked("a registry that is a login page", says("200 OK", "text/html", "<p>\u{1b}[2J")),
        unchecked(
            "a registry that says nothing",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        ),
        unchecked("a registry that hangs up", Effect::Hangup),
        unchecked("a registry that is silent", Effect::Silence).within(30),
        unchecked(
            "a registry that begins and is silent",
            Effect::Open(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec()),
        )
        .within(30),
        unchecked("a registry that is not HTTP", raw("SSH-2.0-x\r\n\u{1b}[2J")),
        unchecked("a registry that fails", says("500 No", "text/plain", ESC)).says("HTTP status 500"),
        unchecked("a registry that is too busy", says("429 No", "text/plain", ESC)),
        unchecked("a registry that shows the login", Effect::Echo("500 No")),
        unchecked(
            "a registry that shows the login in an error of its own",
            error(&format!("{ESC}hunter2-open-sesame"), "hunter2-open-sesame"),
        ),
        unchecked("a registry that denies with a text that steers the terminal", error("DENIED", ESC)),
        unchecked("a registry with a bare 404", says("404 Not Found", "text/plain", "x")),
        unchecked(
            "a registry that redirects to a metadata service",
            raw(
                "HTTP/1.1 302 No\r\nLocation: http://169.254.169.254/latest/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            ),
        ),
        unchecked(
            "a registry that redirects for ever",
            raw(
                "HTTP/1.1 302 No\r\nLocation: http://{own}/v2/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            ),
        ),
        unchecked("a digest that is short", digest_of("sha256:short")),
        unchecked("a digest that is no digest", digest_of("latest; touch x")),
        unchecked("a digest in capitals", digest_of(&format!("sha256:{}", "AB".repeat(32)))),
        unchecked("a digest of an odd kind", digest_of(&format!("md5:{}", "0a".repeat(16)))),
        unchecked("a digest of a megabyte", digest_of(&format!("sha256:{}", "0a".repeat(1 << 19)))),
        unchecked(
            "a registry with headers without an end",
            Effect::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-Y: z\r\n".to_vec()),
        )
        .within(30),
        unchecked(
            "a registry with a body without an end",
            Effect::Endless(b"HTTP/1.1 401 No\r\nConnection: close\r\n\r\n".to_vec(), b"x".to_vec()),
        )
        .within(30),
        asked("a tag that is missing", error("MANIFEST_UNKNOWN", ESC)).ends(3).says("image-missing"),
        asked("a repository that is missing", error("NAME_UNKNOWN", ESC)).ends(3).says("image-missing"),
    ]
}

/// Where a registry sends for a token, and what it gets there.
fn realms() -> Vec<Row> {
    let realm = |name: &str, realm: &str| {
        let challenge = format!(
            "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"{realm}\",service=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        asked(name, Effect::Raw(challenge.into_bytes())).says(UNCHECKED).within(30)
    };
    let token = |name: &str, effect: Effect| {
        let challenge = "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"http://{own}/token\",service=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        logged_in(row(name, DRY))
            .given(images_of("{registry}", "/zk"))
            .registry(Rule::new("", "/token*", effect))
            .registry(any(Effect::Raw(challenge.as_bytes().to_vec())))
            .ends(0)
            .says(UNCHECKED)
            .within(30)
    };
    vec![
        realm("a realm without TLS on another host", "http://x.invalid/token"),
        realm("a realm on another host by name", "http://localhost:1/token"),
        realm("a realm that is link-local", "http://169.254.169.254/latest/meta-data/"),
        realm("a realm that is a file", "file:///etc/passwd"),
        realm("a realm that is a script", "javascript:alert(1)"),
        realm("a realm that steers the terminal", "http://\u{7f}x"),
        realm("a realm with a password", "http://ann:hunter2-open-sesame@127.0.0.1:1/"),
        realm("a realm that is empty", ""),
        realm("a realm of 70,000 characters", &format!("http://{{own}}/{}", "x".repeat(70_000))),
        token("a registry's token that is no JSON", says("200 OK", "text/html", "<p>hunter2-open-sesame")),
        token("a registry's token with a line break", json_of("200 OK", &json!({"token": "hunter2-open-sesame\nx"}))),
        token("a registry's token that is a list", json_of("200 OK", &json!({"token": [ESC]}))),
        token("a registry's token without an end", Effect::Endless(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"token\":\"".to_vec(), b"x".to_vec())),
        token("a registry's token that never comes", Effect::Silence),
        token("a registry's token that is elsewhere", Effect::Raw(b"HTTP/1.1 307 No\r\nLocation: http://x.invalid/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec())),
        token("a registry's token that shows the login", Effect::Echo("500 No")),
    ]
}

/// Images whose names lead nowhere, or elsewhere.
fn names() -> Vec<Row> {
    let named = |name: &str, registry: &str, repository: &str| {
        logged_in(row(name, DRY)).given(images_of(registry, repository)).ends(0).within(30)
    };
    vec![
        named("an image that is no image", "", "Not An Image"),
        named("an image that is a command", "", "x.invalid/$(touch x)"),
        named("an image of a metadata service", "169.254.169.254", "/zk"),
        named("an image of nobody", "127.0.0.1:1", "/zk").says(UNCHECKED),
        named("an image with a port beyond every number", "127.0.0.1:99999999", "/zk"),
        named("an image with a user", "ann:x@127.0.0.1:1", "/zk"),
        named("an image that leads up", "{registry}", "/../../zk"),
        named("an image with a query", "{registry}", "/zk?x=y"),
        named("an image of 70,000 characters", "{registry}", &format!("/{}", "x".repeat(70_000))),
        named("an image that is not asked for", "{registry}", "/zk").word("--digests=keep-tags").check(
            |scene: &Scene<'_>| {
                if scene.registry.is_empty() { Ok(()) } else { Err("it was asked for".to_owned()) }
            },
        ),
    ]
}

/// The login takes so long that no time may be left for the registry.
fn unasked(row: Row) -> Row {
    Row { registry: Vec::new(), ..row }
}

/// The files and helpers of docker and podman.
fn logins() -> Vec<Row> {
    let with = |name: &str, config: Content| {
        row(name, DRY)
            .given(images_of("{registry}", "/zk"))
            .registry(any(says("401 No", "text/plain", "no")))
            .env("DOCKER_CONFIG", "{dir}/docker")
            .file("docker/config.json", config)
            .ends(0)
            .says(UNCHECKED)
            .within(30)
    };
    let text = |text: &str| Content::Text(text.to_owned());
    let helper = |name: &str, script: &str| {
        with(name, text("{\"credHelpers\": {\"{registry}\": \"x\"}}"))
            .file("bin/docker-credential-x", Content::Script(script.to_owned()))
            .env("PATH", "{dir}/bin:/usr/bin:/bin")
    };
    vec![
        with("a login that is no JSON", text("hunter2-open-sesame")),
        with(
            "a login that breaks off",
            text("{\"auths\": {\"{registry}\": {\"auth\": \"hunter2-open-sesame"),
        ),
        with("a login that is a list", text("{\"auths\": [\"hunter2-open-sesame\"]}")),
        with(
            "a login that is no base64",
            text("{\"auths\": {\"{registry}\": {\"auth\": \"hunter2-open-sesame!\"}}}"),
        ),
        with(
            "a login without a colon",
            text("{\"auths\": {\"{registry}\": {\"auth\": \"aHVudGVyMi1vcGVuLXNlc2FtZQ==\"}}}"),
        ),
        with(
            "a login with a line break",
            text("{\"auths\": {\"{registry}\": {\"auth\": \"YW5uOmh1bnRlcjItb3Blbi1zZXNhbWUKeA==\"}}}"),
        ),
        with("a login that is a directory", Content::Directory),
        with("a login of zeros", Content::Bytes(vec![0; 4096])),
        unasked(with("a login that is a pipe", Content::Pipe)),
        with("a login of 100,000 brackets", text(&"[".repeat(100_000))),
        unasked(with("a login of 100 MB", Content::Bytes(vec![b' '; 100 << 20]))),
        helper(
            "a helper that fails with a secret",
            "echo hunter2-open-sesame; echo hunter2-open-sesame >&2; exit 1",
        ),
        helper("a helper that tells nonsense", "echo hunter2-open-sesame"),
        unasked(helper("a helper that hangs", "exec sleep 600")),
        helper("a helper that prints without an end", "exec yes hunter2-open-sesame"),
        helper("a helper that steers the terminal", "printf '\\033[2J\\007'; exit 1"),
        helper(
            "a helper whose login has a line break",
            "echo '{\"ServerURL\":\"x\",\"Username\":\"ann\",\"Secret\":\"hunter2-open-sesame\\nx\"}'",
        ),
        with("a helper that is not there", text("{\"credHelpers\": {\"{registry}\": \"nowhere\"}}")),
        with(
            "a helper that leads elsewhere",
            text("{\"credHelpers\": {\"{registry}\": \"../../../bin/sh\"}}"),
        ),
    ]
}
