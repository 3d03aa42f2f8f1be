//! Answers that no API server gives: those of a proxy, of a login page, of a machine that wants to harm whoever asks.

use std::time::Duration;

use serde_json::json;

use crate::row::{Row, SECRET, row};
use crate::rule::{Effect, Rule, any, change, get, json_of, list, object, post, says, set, status};

const DRY: &str = "zk my-zk --to 3.9.1 --dry-run";
const UPDATE: &str = "zk my-zk --to 3.9.1 --yes";
const ESC: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{200b}";

pub fn rows() -> Vec<Row> {
    let mut rows = everywhere();
    rows.extend(discovery());
    rows.extend(permissions());
    rows.extend(other_commands());
    rows
}

/// Where an answer is distorted: all of them, one object, one list.
type Place = (&'static str, fn(Effect) -> Rule);

fn places() -> [Place; 3] {
    [
        ("from everywhere", any),
        ("for the database", |effect| get("zookeepers", "my-zk", effect)),
        ("for the pods", |effect| list("pods", effect)),
    ]
}

/// What comes instead of an answer, and what is said of it.
fn distortions() -> Vec<(&'static str, Effect, &'static str)> {
    let html = "text/html";
    let deep = format!("{{\"items\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let redirect = |code: &str| {
        Effect::Raw(format!("HTTP/1.1 {code} Moved\r\nLocation: http://{{elsewhere}}/steal\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes())
    };
    let raw = |text: &str| Effect::Raw(text.as_bytes().to_vec());
    vec![
        ("a login page", says("200 OK", html, "<html>\u{1b}[2Jlog in</html>"), "unexpected response"),
        ("no body", says("200 OK", "application/json", ""), "unexpected response"),
        ("a null", says("200 OK", "application/json", "null"), "unexpected response"),
        ("a list of lists", says("200 OK", "application/json", "[[[]]]"), "unexpected response"),
        ("a text", says("200 OK", "application/json", "\"\\u001b[2J\""), "unexpected response"),
        ("a number", says("200 OK", "application/json", "1e999"), "unexpected response"),
        ("200,000 brackets", says("200 OK", "application/json", &deep), "error"),
        ("half of the JSON", Effect::Cut(100), "end of file"),
        (
            "bytes that are no text",
            Effect::Raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\xff\xfe\"}".to_vec()),
            "unexpected response",
        ),
        (
            "a status without content",
            raw("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
            "unexpected response",
        ),
        (
            "a status of tomorrow",
            raw("HTTP/1.1 299 \u{1b}[2J\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
            "error",
        ),
        ("a status beyond every number", raw("HTTP/1.1 99999 No\r\nContent-Length: 0\r\n\r\n"), "error"),
        ("a redirection", redirect("302"), "302"),
        ("a permanent redirection", redirect("308"), "308"),
        ("something that is not HTTP", raw("SSH-2.0-OpenSSH_9.2\r\n\u{1b}[2J"), "error"),
        ("a length that is none", raw("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"), "error"),
        (
            "a length beyond every number",
            raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}"),
            "error",
        ),
        ("two lengths", raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), "error"),
        (
            "a chunk beyond every number",
            raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}"),
            "error",
        ),
        (
            "headers without an end",
            Effect::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-Y: z\r\n".to_vec()),
            "error",
        ),
        (
            "one header without an end",
            Effect::Endless(b"HTTP/1.1 200 OK\r\nX: ".to_vec(), b"y".to_vec()),
            "error",
        ),
        (
            "a body without an end",
            Effect::Endless([crate::rule::OPEN_HEAD, b"{\"x\":\""].concat(), b"y".to_vec()),
            "larger",
        ),
        ("space without an end", Effect::Endless(crate::rule::OPEN_HEAD.to_vec(), b"   ".to_vec()), "larger"),
        (
            "an error without an end",
            Effect::Endless(b"HTTP/1.1 500 No\r\nConnection: close\r\n\r\n".to_vec(), b"no ".to_vec()),
            "error",
        ),
        ("an error that steers the terminal", status(403, "Forbidden", ESC), "forbidden"),
        ("an error of a megabyte", status(403, "Forbidden", &"no ".repeat(350_000)), "forbidden"),
        (
            "an error whose code is a text",
            json_of("400 No", &json!({"kind": "Status", "code": ESC, "message": [], "details": "x"})),
            "error",
        ),
        ("the request in a page of 502", Effect::Echo("502 Bad Gateway"), "502"),
        ("the request in a page of 403", Effect::Echo("403 Forbidden"), "forbidden"),
        ("the request in a page of 401", Effect::Echo("401 Unauthorized"), "credentials"),
        ("the request in a page of 200", Effect::Echo("200 OK"), "unexpected response"),
        ("the request in a Status of 500", Effect::EchoStatus("500 No"), "error"),
        ("the request in a Status of 403", Effect::EchoStatus("403 Forbidden"), "forbidden"),
        ("the request in a Status of 400", Effect::EchoStatus("400 Bad Request"), "rejected"),
        ("the request in a Status of 422", Effect::EchoStatus("422 No"), "rejected"),
        (
            "a wait of a hundred years",
            raw(
                "HTTP/1.1 429 No\r\nRetry-After: 3153600000\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            ),
            "429",
        ),
        (
            "a Status with a wait of a hundred years",
            json_of(
                "503 No",
                &json!({"kind": "Status", "status": "Failure", "message": "later", "code": 503, "details": {"retryAfterSeconds": 3153600000u64}}),
            ),
            "later",
        ),
        ("no answer", Effect::Silence, "no response within"),
        ("a closed connection", Effect::Hangup, "error"),
        (
            "half an answer and then silence",
            Effect::Open(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"kind\"".to_vec()),
            "no response within",
        ),
        (
            "a byte in each second",
            Effect::Drip(
                b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"kind\"".to_vec(),
                Duration::from_secs(1),
            ),
            "no response within",
        ),
    ]
}

fn everywhere() -> Vec<Row> {
    let row = |(name, effect, said): (&str, Effect, &str), (place, rule): Place| {
        // Where only the database is affected, it is a real run: it must not get as far as a write.
        let line = if place == "for the database" { UPDATE } else { DRY };
        // What never comes is waited for no longer than it takes to see that the wait ends. What never ends takes a while to
        // become too large, on a machine that is busy.
        let patience = if said == "larger" { "--request-timeout=20s" } else { "--request-timeout=2s" };
        row(format!("{name} {place}"), line).word(patience).on(rule(effect)).ends(1).says(said).within(40)
    };
    let [everywhere, database, pods] = places();
    let mut rows = Vec::new();
    for (at, one) in distortions().into_iter().enumerate() {
        let other = if at % 2 == 0 { database } else { pods };
        rows.extend([row(one.clone(), everywhere), row(one, other)]);
    }
    rows
}

/// What the cluster says that it serves.
fn discovery() -> Vec<Row> {
    let kubedb = |effect| Rule::new("GET", "/apis/kubedb.com/*", effect);
    vec![
        row("no resources at all", DRY)
            .on(kubedb(json_of("200 OK", &json!({}))))
            .ends(1)
            .says("unexpected response"),
        row("resources that are a text", DRY)
            .on(kubedb(json_of("200 OK", &json!({"resources": ESC}))))
            .ends(1)
            .says("unexpected response"),
        row("resources without a name", DRY)
            .on(kubedb(json_of("200 OK", &json!({"resources": [{}]}))))
            .ends(1),
        row("a group that is forbidden", DRY)
            .on(kubedb(status(403, "Forbidden", ESC)))
            .ends(1)
            .says("forbidden"),
        row("a million resources", DRY)
            .on(kubedb(json_of(
                "200 OK",
                &json!({"resources": vec![json!({"name": "zookeepers"}); 1_000_000 / 8]}),
            )))
            .ends(0)
            .ends(1),
    ]
}

fn permissions() -> Vec<Row> {
    let review = |effect| post("*selfsubject*", effect);
    let answered = |name: &str, body: serde_json::Value| {
        row(name, "auth zk my-zk").on(review(json_of("201 Created", &body))).ends(1).ends(3)
    };
    vec![
        answered("a permission that nobody grants or denies", json!({})),
        answered("a permission that is a text", json!({"status": {"allowed": "yes"}})),
        answered("a permission that is a list", json!({"status": []})),
        answered("permissions that are null", json!({"status": null})),
        row("permissions that are silent", "auth zk my-zk --request-timeout=2s")
            .on(review(Effect::Silence))
            .ends(1)
            .within(60),
        row("permissions that steer the terminal", "auth zk my-zk")
            .on(review(status(500, "No", ESC)))
            .ends(1)
            .within(60),
        row("pods that may not be listed before an update", UPDATE)
            .on(list("pods", status(403, "Forbidden", ESC)))
            .ends(1)
            .says("forbidden"),
    ]
}

/// The commands that only look.
fn other_commands() -> Vec<Row> {
    let mut rows = Vec::new();
    for command in [
        "status zk my-zk",
        "status",
        "list",
        "list -A -o json",
        "versions zk my-zk",
        "history zk my-zk",
        "auth zk my-zk",
    ] {
        let name = |what: &str| format!("{what} for {command}");
        rows.push(
            row(name("a login page"), command).on(any(says("200 OK", "text/html", "<p>\u{1b}[2J"))).ends(1),
        );
        rows.push(row(name("the bearer token"), command).on(any(Effect::Echo("500 No"))).ends(1).within(60));
        let silent = row(name("silence"), command).on(any(Effect::Silence)).ends(1).within(60);
        // One of them waits for as long as it does by default.
        rows.push(if command == "list" { silent } else { silent.word("--request-timeout=2s") });
    }
    rows.push(
        row("a warning that steers the terminal", "zk my-zk --to 3.9.1 --dry-run=server")
            .on(patch_with_warning())
            .ends(0)
            .ends(3),
    );
    rows.push(
        row("another database in the place of the one asked for", UPDATE)
            .on(get("zookeepers", "my-zk", change(|db| set(db, "/metadata/name", json!("other")))))
            .ends(1)
            .says("it is about zookeeper/"),
    );
    rows.push(
        row("a database of another namespace", UPDATE)
            .on(get("zookeepers", "my-zk", change(|db| set(db, "/metadata/namespace", json!("kube-system")))))
            .ends(1)
            .says("it is about zookeeper/"),
    );
    rows.push(
        row("a secret in a version's name", "versions zk")
            .on(object("zookeeperversions", "3.9.1", |v| set(v, "/metadata/name", json!(format!("3{ESC}")))))
            .hides(SECRET)
            .ends(0),
    );
    rows
}

fn patch_with_warning() -> Rule {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nWarning: 299 - \"\u{200b}\u{202e}\\\"x\"\r\n";
    Rule::new("PATCH", "*", Effect::Under(head.to_owned()))
}
