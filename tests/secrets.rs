//! Credentials that somebody repeats: a proxy, a plugin, an address. None of them is shown.
#![cfg(unix)]

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

use served::{Directory, Outcome, Running, dbupdate, run};
use tls::{secured, tls};

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
