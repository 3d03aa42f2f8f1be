//! Credentials that somebody repeats: a proxy, a plugin, an address, a database. None of them is shown.
#![cfg(unix)]

#[path = "programs/sandbox.rs"]
mod sandbox;
mod served;
#[path = "programs/tls.rs"]
mod tls;

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use served::{Directory, Outcome, Running, dbupdate, run};
use simcluster::{SimCluster, object};
use tls::{secured, tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const TOKEN: &str = "eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl";
const PASSWORD: &str = "hunter2-correct-horse";

/// A server, as a cluster of a kubeconfig, that answers so to the lines of a request's head: headers and a body.
fn serving(
    status: &'static str,
    answer: impl Fn(Vec<String>) -> (String, String) + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = secured(stream);
            let lines = BufReader::new(&mut stream).lines().map_while(Result::ok);
            let (headers, body) = answer(lines.take_while(|line| !line.is_empty()).collect());
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    format!("server: \"https://{address}\", certificate-authority-data: {}", tls().authority)
}

/// A server that answers with the request that it got, as some proxies do in their error pages.
fn echo(status: &'static str) -> String {
    serving(status, |request| {
        let body = request.iter().rev().cloned().collect::<Vec<_>>().join(" | ");
        (format!("Warning: 299 - \"{}\"\r\n", body.replace('"', "")), body)
    })
}

fn kubeconfig(directory: &Directory, cluster: &str, user: &str) -> PathBuf {
    let text = format!(
        "apiVersion: v1
kind: Config
current-context: c
clusters: [{{name: c, cluster: {{{cluster}}}}}]
contexts: [{{name: c, context: {{cluster: c, user: ann}}}}]
users: [{{name: ann, user: {{{user}}}}}]
"
    );
    directory.file("config", &text)
}

fn command(line: &str, kubeconfig: &Path) -> Command {
    let mut command = dbupdate(line);
    command.env("KUBECONFIG", kubeconfig);
    command
}

#[track_caller]
fn shows_none(ended: &Outcome) {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    // `ann:` and the password in base64.
    for secret in [TOKEN, PASSWORD, "YW5uOmh1bnRlcjI"] {
        assert!(!said.contains(secret), "{secret} is in {said}");
    }
}

#[test]
fn a_request_that_comes_back_is_shown_without_its_credentials() {
    let basic = format!("username: ann, password: {PASSWORD}");
    thread::scope(|scope| {
        for user in [format!("token: {TOKEN}"), basic] {
            for status in ["403 Forbidden", "502 Bad Gateway", "400 Bad Request", "200 OK"] {
                let user = user.clone();
                scope.spawn(move || {
                    let directory = Directory::new();
                    let config = kubeconfig(&directory, &echo(status), &user);
                    let ended = run(command("kafka my-kf --to 3.6.1 --yes --v 8", &config));
                    shows_none(ended.ended(1, "[hidden]"));
                });
            }
        }
    });
}

#[test]
fn a_secret_that_is_escaped_or_cut_is_not_shown() {
    let directory = Directory::new();
    let escaped = TOKEN.replace("eyJ", "\\u0065yJ");
    let denied = format!(r#"{{"kind":"Status","status":"Failure","code":403,"message":"no {escaped}"}}"#);
    // What is logged of a body ends within the token.
    let long = format!("{}{TOKEN}{}", "x".repeat((8 << 10) - 5), "x".repeat(99));
    for (status, body, verbosity, said) in
        [("403 Forbidden", denied, 0, "no [hidden]"), ("200 OK", long, 8, "x[hidd [")]
    {
        let config = kubeconfig(
            &directory,
            &serving(status, move |_| (String::new(), body.clone())),
            &format!("token: {TOKEN}"),
        );
        let ended = run(command(&format!("status kafka my-kf --v {verbosity}"), &config));
        shows_none(ended.ended(1, said));
        let half = &TOKEN[..10];
        assert!(!format!("{}{}", ended.stdout, ended.stderr).contains(half), "{half} is shown: {ended:?}");
    }
}

#[test]
fn a_password_in_an_address_is_refused_and_not_shown() {
    let directory = Directory::new();
    let server = format!("http://ann:{PASSWORD}@127.0.0.1:1");
    let config = kubeconfig(&directory, &format!("server: \"{server}\""), "");
    let typed = format!("status kafka my-kf --server {server}");
    for (line, config) in [("status kafka my-kf", config.as_path()), (&typed, Path::new("/dev/null"))] {
        let ended = run(command(line, config));
        ended.ended(1, "it must not have a user and a password in it");
        shows_none(&ended);
    }
    let proxied = format!("server: \"https://127.0.0.1:1\", proxy-url: \"ftp://ann:{PASSWORD}@proxy\"");
    let ended = run(command("status kafka my-kf", &kubeconfig(&directory, &proxied, "")));
    shows_none(ended.ended(1, "is not a valid proxy address"));
}

/// A user of the provider `gcp`, whose token comes from this script.
fn provider(directory: &Directory, script: &str) -> String {
    let program = directory.file("provider.sh", &format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("it can be made executable");
    format!("auth-provider: {{name: gcp, config: {{cmd-path: {}, cmd-args: login}}}}", program.display())
}

#[test]
fn the_command_of_an_auth_provider_gives_a_token_and_shows_none() {
    for (script, said) in [
        (format!("echo {TOKEN}; echo {TOKEN} >&2; exit 3"), "returned no credentials: exit status: 3"),
        (format!("echo {TOKEN} $1"), "authorization: Bearer [hidden]"),
        (format!("echo {TOKEN}; echo more"), "the token cannot be sent"),
        ("yes".to_owned(), "its output is larger than 1 MiB"),
    ] {
        let directory = Directory::new();
        let user = provider(&directory, &script);
        let config = kubeconfig(&directory, &echo("403 Forbidden"), &user);
        shows_none(run(command("status kafka my-kf", &config)).ended(1, said));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_command_of_an_auth_provider_that_hangs_is_ended() {
    let directory = Directory::new();
    let begun = directory.path().join("begun");
    let made = Command::new("mkfifo").arg(&begun).status().expect("mkfifo runs");
    assert!(made.success());
    let user = provider(&directory, &format!("echo > {}\nsleep 600", begun.display()));
    let config = kubeconfig(&directory, "server: \"https://127.0.0.1:1\"", &user);
    let line = "kafka my-kf --to 3.6.1 --dry-run --timeout";
    let running = Running::start(command(&format!("{line} 1h"), &config));
    fs::read(&begun).expect("it has begun");
    running.signal("INT");
    running.end().ended(130, "nothing was changed");
    let running = Running::start(command(&format!("{line} 1s"), &config));
    fs::read(&begun).expect("it has begun");
    running.end().ended(124, "timed out after 1 s (--timeout)");
}

/// Gives every database of the sandbox the password.
fn give_password(sim: &SimCluster) {
    for secret in sim.store().list("secrets", Some("default")) {
        let name = object::name(&secret);
        if name.ends_with("-auth") {
            give(
                sim,
                name,
                json!({ "username": STANDARD.encode("admin"), "password": STANDARD.encode(PASSWORD) }),
            );
        }
    }
}

fn give(sim: &SimCluster, name: &str, data: Value) {
    let changed = sim.store().update("secrets", "default", name, |secret| secret["data"] = data);
    changed.expect("it is there");
}

#[track_caller]
fn holds_no_password(what: &str, text: &str) {
    for secret in
        [PASSWORD.to_owned(), STANDARD.encode(PASSWORD), STANDARD.encode(format!("admin:{PASSWORD}"))]
    {
        assert!(!text.contains(&secret), "{secret} is in {what}: {text}");
    }
}

#[test]
fn the_password_of_a_database_is_sent_to_its_pods_and_to_nobody_else() {
    let (sim, kubeconfig) = sandbox::serve(give_password);
    let directory = Directory::new();
    let kubeconfig = directory.file("config", &kubeconfig);
    for (line, code) in [
        ("health kafka my-kf --v 9", 0),
        ("health druid my-dr -o json --v 9", 0),
        ("health cas my-cas --v 9", 0),
        ("druid my-dr --to 30.0.1 --dry-run -o json --v 9", 0),
        ("hz my-hz --to 5.5.6 --yes --wait-ready 0 --v 9", 0),
    ] {
        let ended = run(command(line, &kubeconfig));
        holds_no_password(line, &format!("{}{}", ended.ended(code, "").stdout, ended.stderr));
    }
    let asked = sim.requests().into_iter().filter(|request| request.path.ends_with("-auth")).count();
    assert!(asked >= 5, "the Secrets were read {asked} times");
    let written = ["configmaps", "events", "leases.coordination.k8s.io", "hazelcasts.kubedb.com"]
        .map(|resource| sim.store().list(resource, None));
    assert!(!written[0].is_empty() && !written[1].is_empty(), "a journal and Events");
    for object in written.iter().flatten() {
        holds_no_password("the cluster", &object.to_string());
    }
    // Nothing is sent to the API server but what is carried to the pods.
    for request in sim.requests() {
        holds_no_password("a request", &format!("{} {:?} {}", request.path, request.query, request.body));
    }
}

/// A node of a Cassandra that asks for the login and then refuses it in its own words.
fn repeat_the_login(mut stream: DuplexStream) {
    const AUTHENTICATE: u8 = 3;
    const STARTUP: u8 = 1;
    const AUTH_RESPONSE: u8 = 15;
    let text =
        |text: &[u8]| [&u16::try_from(text.len()).expect("it is short").to_be_bytes()[..], text].concat();
    tokio::spawn(async move {
        loop {
            let mut head = [0; 9];
            if stream.read_exact(&mut head).await.is_err() {
                return;
            }
            let mut body = vec![0; u32::from_be_bytes([head[5], head[6], head[7], head[8]]) as usize];
            let _ = stream.read_exact(&mut body).await;
            let (opcode, answer) = match head[4] {
                STARTUP => (AUTHENTICATE, text(b"org.apache.cassandra.auth.PasswordAuthenticator")),
                AUTH_RESPONSE => (0, [&0x100_i32.to_be_bytes()[..], &text(&body)].concat()),
                _ => (6, vec![0, 0]),
            };
            let length = u32::try_from(answer.len()).expect("it is short").to_be_bytes();
            let frame = [&[0x84, 0, head[2], head[3], opcode][..], &length, &answer].concat();
            let _ = stream.write_all(&frame).await;
        }
    });
}

#[test]
fn a_password_that_a_database_repeats_is_not_shown() {
    let (_, kubeconfig) = sandbox::serve(|sim| {
        give_password(sim);
        for pod in ["my-cas-rack-r0-0", "my-cas-rack-r0-1", "my-cas-rack-r1-0", "my-cas-rack-r1-1"] {
            sim.listeners().answer("default", pod, 9042, repeat_the_login);
        }
    });
    let directory = Directory::new();
    let kubeconfig = directory.file("config", &kubeconfig);
    for line in ["health cas my-cas --v 9", "health cas my-cas -o json", "cas my-cas --to 5.0.7 --dry-run"] {
        let ended = run(command(line, &kubeconfig));
        holds_no_password(line, &format!("{}{}", ended.stdout, ended.stderr));
        assert!(ended.stdout.contains("[hidden]"), "{line}: {ended:#?}");
    }
}

#[test]
fn a_secret_that_is_none_is_not_shown() {
    let encoded = STANDARD.encode(PASSWORD);
    for data in [
        json!(PASSWORD),
        json!([encoded]),
        json!({ "username": "YWRtaW4=", "password": format!("{PASSWORD}!") }),
        json!({ "username": "YWRtaW4=", "password": { "is": encoded } }),
        json!({ "username": "YWRtaW4=", "passwort": encoded }),
    ] {
        let (_, kubeconfig) = sandbox::serve(move |sim| give(sim, "my-kf-auth", data));
        let directory = Directory::new();
        let kubeconfig = directory.file("config", &kubeconfig);
        let ended = run(command("health kafka my-kf --v 9", &kubeconfig));
        ended.ended(3, "secret/my-kf-auth");
        holds_no_password("what is shown", &format!("{}{}", ended.stdout, ended.stderr));
    }
}
