//! What is typed: by a careless script, or by somebody who chooses the words of one.

use crate::row::{Content, Row, row};

const ESC: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}\u{200b}";

pub fn rows() -> Vec<Row> {
    [names(), values(), addresses(), files()].into_iter().flatten().collect()
}

/// A usage error.
fn usage(name: &str, line: &str) -> Row {
    row(name, line).ends(2)
}

fn names() -> Vec<Row> {
    let long = "x".repeat(70_000);
    vec![
        usage("a kind that steers the terminal", "")
            .word(&format!("kafka{ESC}"))
            .word("my-kf")
            .says("unknown kind"),
        usage("a kind of 70,000 characters", "").word(&long).word("x").says("unknown kind"),
        usage("a kind that is not UTF-8", "").bytes(b"kaf\xff\xfeka").word("my-kf"),
        usage("a name that steers the terminal", "kafka --to 3.6.1 --yes")
            .word(&format!("my{ESC}"))
            .says("lower case"),
        usage("a name that leads elsewhere", "kafka ../../secrets/x --to 3.6.1 --yes").says("lower case"),
        usage("a name with a query", "kafka my-kf?watch=true --to 3.6.1 --yes").says("lower case"),
        usage("a name with a slash", "zk my-zk/status --to 3.9.1 --yes").says("lower case"),
        usage("a name that is encoded", "zk my%2dzk --to 3.9.1 --yes").says("lower case"),
        usage("a name of 70,000 characters", "kafka --to 3.6.1 --yes").word(&long),
        usage("an empty name", "kafka --to 3.6.1 --yes").word("").says("name"),
        usage("a name with a line break", "kafka --to 3.6.1 --yes")
            .word("my-kf\nnext: rm")
            .says("lower case"),
        usage("a name for rm", "zk --to 3.9.1 --yes").word("; rm -rf ~").says("lower case"),
        usage("a namespace that leads elsewhere", "zk my-zk --to 3.9.1 --dry-run -n ../../x")
            .says("namespace"),
        usage("a namespace with a query", "zk my-zk --to 3.9.1 --dry-run -n default?x=y").says("namespace"),
        usage("a namespace that steers the terminal", "zk my-zk --to 3.9.1 --dry-run -n")
            .word(&format!("default{ESC}"))
            .says("namespace"),
        usage("a namespace of the kubeconfig that leads elsewhere", "status zk my-zk -n ..")
            .says("namespace"),
        row("a version that leads elsewhere", "zk my-zk --to ../../../api/v1/secrets --dry-run").ends(3),
        row("a version that steers the terminal", "zk my-zk --dry-run --to")
            .word(&format!("3.9.1{ESC}"))
            .ends(3),
        row("a version of 70,000 characters", "zk my-zk --dry-run --to").word(&long).ends(3),
        row("an empty version", "zk my-zk --dry-run --to").word("").ends(2).ends(3),
        row("a version with a line break", "zk my-zk --dry-run --to").word("3.9.1\nkubectl delete").ends(3),
        row("a version that runs a command", "zk my-zk --dry-run --to").word("$(touch x)").ends(3),
        usage("a thousand words", "zk my-zk --to 3.9.1 --dry-run").word("x").word("y").word("z"),
    ]
}

fn values() -> Vec<Row> {
    let dry = "zk my-zk --to 3.9.1 --dry-run";
    let mut rows: Vec<Row> = [
        ("an endless duration", "--timeout", "99999999999999999999h"),
        ("a duration beyond every number", "--pod-timeout", "1e999s"),
        ("a duration that is no number", "--min-ready", "NaN"),
        ("a duration below zero", "--pause-timeout", "-1s"),
        ("a duration of three hundred years", "--timeout", "2700000h"),
        ("a duration that steers the terminal", "--timeout", "1s\u{1b}[2J"),
        ("a check that nobody knows", "--skip-check", "\u{1b}[2J,locked"),
        ("a thousand checks", "--skip-check", "phase,phase,phase,phase,x"),
        ("a method that nobody knows", "--via", "\u{202e}client"),
        ("a method of an odd version", "--via", "3.9.1=\u{7}"),
        ("an output that nobody knows", "-o", "\u{1b}[2J"),
        ("a progress that nobody knows", "--progress", "\u{9b}2J"),
        ("a colour that nobody knows", "--color", "\u{200b}"),
        ("a log level beyond every number", "-v", "99999999999999999999"),
        ("a log level below zero", "-v", "-1"),
        ("a request timeout beyond every number", "--request-timeout", "1e400"),
        ("a fault that nobody knows", "--sandbox-fail", "\u{1b}[2J"),
    ]
    .into_iter()
    .map(|(name, flag, value)| usage(name, dry).word(&format!("{flag}={value}")))
    .collect();
    rows.extend([
        usage("a selector that steers the terminal", "list -l").word("team=\u{1b}[2J").ends(1).ends(0),
        row("a selector with a query", "list -A -l").word("team=x&watch=true").ends(0).ends(1).ends(2),
        row("a user to impersonate with a line break", dry)
            .word("--as")
            .word("ann\nX-Evil: 1")
            .ends(1)
            .ends(2),
        row("a user to impersonate that steers the terminal", dry)
            .word("--as")
            .word("ann\u{1b}[2J")
            .ends(1)
            .ends(2),
        row("a group with a line break", dry).word("--as=ann").word("--as-group=x\r\ny").ends(1).ends(2),
        row("a token with a line break", dry)
            .word("--token")
            .word("hunter2-open-sesame\nx")
            .ends(1)
            .says("token"),
        row("a token that steers the terminal", dry)
            .word("--token")
            .word("hunter2-open-sesame\u{1b}")
            .ends(1),
        row("a context that steers the terminal", dry)
            .word("--context")
            .word("\u{1b}[2Jprod")
            .ends(1)
            .says("no context"),
        row("a user that steers the terminal", dry)
            .word("--user")
            .word("\u{202e}ann")
            .ends(1)
            .says("no user"),
        row("a manual page that leads elsewhere", "man ../../etc/passwd").ends(2),
        row("a manual page that steers the terminal", "man").word("\u{1b}[2J").ends(2),
        row("a shell that nobody knows", "completion").word("\u{1b}[2Jbash").ends(2),
        row("a port beyond every number", "sandbox --port 99999999999999999999").ends(2),
    ]);
    rows
}

fn addresses() -> Vec<Row> {
    let dry = "zk my-zk --to 3.9.1 --dry-run";
    let to = |name: &str, server: &str| row(name, dry).word("--server").word(server).ends(1);
    vec![
        to("a password in the server's address", "http://ann:hunter2-open-sesame@127.0.0.1:1"),
        to("a password in an address that answers", "https://ann:hunter2-open-sesame@{server}").ends(0),
        to("a password in an address that is no URL", "http://ann:hunter2-open-sesame@[::1"),
        to("a password in an address of an odd scheme", "ftp://ann:hunter2-open-sesame@127.0.0.1"),
        to("a script for an address", "javascript:alert(1)"),
        to("a file for an address", "file:///etc/passwd"),
        to("an address that steers the terminal", "http://127.0.0.1\u{1b}[2J"),
        to("an address with a line break", "http://127.0.0.1:1\r\nHost: x"),
        to("an address without a host", "http://"),
        to("an address with an odd port", "http://127.0.0.1:99999"),
        to("an address of 70,000 characters", &format!("http://{}", "x".repeat(70_000))),
        to("an address with a path that leads elsewhere", "https://{server}/../../.."),
        to("an address with a query", "https://{server}/?x=hunter2-open-sesame").ends(0),
    ]
}

fn files() -> Vec<Row> {
    let dry = "zk my-zk --to 3.9.1 --dry-run";
    vec![
        row("a kubeconfig that is a device", dry)
            .word("--kubeconfig")
            .word("/dev/zero")
            .ends(1)
            .says("kubeconfig"),
        row("a kubeconfig that is full", dry)
            .word("--kubeconfig")
            .word("/dev/full")
            .ends(1)
            .says("kubeconfig"),
        row("a kubeconfig that is a directory", dry)
            .word("--kubeconfig")
            .word("{dir}")
            .ends(1)
            .says("kubeconfig"),
        row("a kubeconfig whose name steers the terminal", dry)
            .word("--kubeconfig")
            .word("/nonexistent/\u{1b}[2J\u{7}")
            .ends(1)
            .says("kubeconfig"),
        row("a certificate authority that is a device", dry)
            .word("--certificate-authority")
            .word("/dev/zero")
            .ends(1),
        row("a client certificate that is a device", dry)
            .word("--client-certificate")
            .word("/dev/zero")
            .ends(1),
        row("a client key that is a device", dry)
            .word("--client-certificate={dir}/config")
            .word("--client-key=/dev/zero")
            .ends(1),
        row("a certificate authority that is no certificate", dry)
            .cluster("\"https://{server}\"")
            .file("ca", Content::Text("hunter2-open-sesame".to_owned()))
            .word("--certificate-authority={dir}/ca")
            .ends(1),
    ]
}
