//! Credential plugins: programs that a kubeconfig names, and what they print.

use std::time::Duration;

use crate::row::{Changes, Row, row};
use crate::rule::{any, post, status};

const DRY: &str = "zk my-zk --to 3.9.1 --dry-run";

/// Its first write comes after credentials were accepted.
const UPDATE: &str = "zk my-zk --to 3.9.1 --yes";

pub fn rows() -> Vec<Row> {
    let mut rows = outputs();
    rows.extend(programs());
    rows.extend(renewals());
    rows
}

/// What a plugin prints, and what is said of it.
fn outputs() -> Vec<Row> {
    let invalid = "its output is not a valid ExecCredential";
    let neither = "neither a token nor a certificate";
    [
        ("nothing", "", neither, 1),
        ("a text", "echo hunter2-open-sesame", invalid, 1),
        ("half of the JSON", "echo '{\"status\": {\"token\": \"hunter2-open-sesame'", invalid, 1),
        ("an empty object", "echo '{}'", neither, 1),
        ("a null status", "echo '{\"status\": null}'", neither, 1),
        ("a status that is a text", "echo '{\"status\": \"hunter2-open-sesame\"}'", invalid, 1),
        ("a token that is a number", "echo '{\"status\": {\"token\": 42}}'", "", 0),
        ("a token that is a list", "echo '{\"status\": {\"token\": [\"hunter2-open-sesame\"]}}'", invalid, 1),
        ("an empty token", "echo '{\"status\": {\"token\": \"\"}}'", neither, 1),
        ("a token with a line break", "printf '%s' '{\"status\": {\"token\": \"hunter2-open-sesame\\nx\"}}'", "the token cannot be sent", 1),
        ("a token that ends in a line break", "printf '%s' '{\"status\": {\"token\": \"hunter2-open-sesame\\n\"}}'", "", 0),
        ("a token of control characters", "printf '%s' '{\"status\": {\"token\": \"\\u001b[2J\"}}'", "the token cannot be sent", 1),
        ("a certificate that is none", "echo '{\"status\": {\"clientCertificateData\": \"hunter2-open-sesame\", \"clientKeyData\": \"x\"}}'", "", 1),
        ("a certificate without a key", "echo '{\"status\": {\"clientCertificateData\": \"hunter2-open-sesame\"}}'", "", 1),
        ("bytes that are no text", "printf '\\377\\376{}'", invalid, 1),
        ("lines without an end", "exec yes '{\"status\": {}}'", "", 1),
        ("zeros without an end", "exec cat /dev/zero", "", 1),
        ("YAML that grows without an end", "echo 'a: &a [x,x,x,x,x,x,x,x,x]'; for b in b c d e f g h i j; do echo \"$b: &$b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\"; done", "", 1),
        ("brackets without an end", "head -c 1000000 /dev/zero | tr '\\0' '['", "", 1),
        ("a credential that expired long ago", "echo '{\"status\": {\"token\": \"t\", \"expirationTimestamp\": \"0001-01-01T00:00:00Z\"}}'", "", 0),
        ("a credential that expires on no day", "echo '{\"status\": {\"token\": \"t\", \"expirationTimestamp\": \"tomorrow\"}}'", "", 0),
    ]
    .into_iter()
    .map(|(name, script, said, code)| {
        row(format!("a plugin that prints {name}"), DRY).plugin(script).ends(code).says(said).within(30)
    })
    .collect()
}

fn programs() -> Vec<Row> {
    let exec = |name: &str, fields: &str| {
        row(name, DRY)
            .user(&format!("exec: {{apiVersion: client.authentication.k8s.io/v1, {fields}}}"))
            .ends(1)
    };
    vec![
        row("a plugin that fails", DRY).plugin("exit 3").ends(1).says("exit status: 3"),
        row("a plugin that kills itself", DRY).plugin("kill -9 $$").ends(1).says("signal: 9"),
        row("a plugin that shows a secret and fails", DRY)
            .plugin("echo hunter2-open-sesame; exit 1")
            .ends(1)
            .says("exit status: 1"),
        row("a plugin that hangs, and Ctrl-C", DRY)
            .plugin("exec sleep 600")
            .signal(Duration::from_secs(1), "INT")
            .ends(130),
        row("a plugin that hangs, and SIGTERM", DRY)
            .plugin("exec sleep 600")
            .signal(Duration::from_secs(1), "TERM")
            .ends(143),
        row("a plugin that hangs, and SIGHUP", DRY)
            .plugin("exec sleep 600")
            .signal(Duration::from_secs(1), "HUP")
            .ends(129),
        row("a plugin that hangs, and a timeout", DRY)
            .plugin("exec sleep 600")
            .word("--timeout=1s")
            .ends(124)
            .says("--timeout"),
        row("a plugin that hangs, for completion", "__complete kafka")
            .word("")
            .plugin("exec sleep 600")
            .ends(0),
        row("a plugin that leaves a process behind", DRY)
            .plugin("sleep 600 > /dev/null 2>&1 & echo '{\"status\": {\"token\": \"t\"}}'")
            .ends(0),
        row("a plugin that ignores signals, and a timeout", DRY)
            .plugin("trap '' INT TERM; sleep 600")
            .word("--timeout=1s")
            .ends(124),
        exec("a plugin that is not there", "command: /nonexistent/plugin, interactiveMode: Never")
            .says("cannot be run"),
        exec(
            "a plugin whose name steers the terminal",
            "command: \"/nonexistent/\\e[2J\\u202e\", interactiveMode: Never",
        )
        .says("cannot be run"),
        exec("a plugin without a name", "interactiveMode: Never"),
        exec("a plugin whose name is empty", "command: \"\", interactiveMode: Never"),
        exec(
            "a plugin with a hint that steers the terminal",
            "command: /nonexistent/x, installHint: \"\\e]0;x\\a\", interactiveMode: Never",
        ),
        exec("a plugin that is a directory", "command: \"{dir}\", interactiveMode: Never")
            .says("cannot be run"),
        exec("a plugin that may not be run", "command: \"{dir}/config\", interactiveMode: Never")
            .says("cannot be run"),
        exec("a plugin that must have a terminal", "command: \"true\", interactiveMode: Always")
            .says("interactive login"),
        exec(
            "a plugin with an argument that ends early",
            "command: \"true\", args: [\"\\0\"], interactiveMode: Never",
        ),
        exec(
            "a plugin with an environment that ends early",
            "command: \"true\", env: [{name: \"A=\\0\", value: x}], interactiveMode: Never",
        ),
        exec("a plugin of another version", "command: \"true\", interactiveMode: Sometimes"),
    ]
}

/// The server rejects the credentials again and again.
fn renewals() -> Vec<Row> {
    let token = "echo '{\"status\": {\"token\": \"hunter2-open-sesame\"}}'";
    let rejected = || status(401, "Unauthorized", "hunter2\u{1b}[2J");
    vec![
        row("a plugin whose credentials are never accepted", DRY).plugin(token).on(any(rejected())).ends(1).says("credentials"),
        row("a plugin whose credentials are accepted only once", DRY).plugin(token).on(any(rejected()).after(1)).ends(1).within(30),
        row("a plugin whose credentials expire in between", UPDATE)
            .plugin(token)
            .on(post("*/leases*", rejected()).times(1))
            .ends(0)
            .changes(Changes::Anything)
            .within(60),
        row("a plugin that gives something else at the renewal", UPDATE)
            .plugin("if [ -e once ]; then printf '{\"status\": {\"token\": \"hunter2-open-sesame\\\\nx\"}}'; else touch once; echo '{\"status\": {\"token\": \"t\"}}'; fi")
            .on(post("*/leases*", rejected()).times(1))
            .ends(1)
            .says("the token cannot be sent"),
        row("a plugin that prints without an end at the renewal", UPDATE)
            .plugin("if [ -e once ]; then exec yes hunter2-open-sesame; else touch once; echo '{\"status\": {\"token\": \"t\"}}'; fi")
            .on(post("*/leases*", rejected()).times(1))
            .ends(1)
            .within(30),
        row("a plugin that hangs at the renewal, and Ctrl-C", UPDATE)
            .plugin("if [ -e once ]; then exec sleep 600; else touch once; echo '{\"status\": {\"token\": \"t\"}}'; fi")
            .on(post("*/leases*", rejected()).times(1))
            .signal(Duration::from_secs(3), "INT")
            .ends(130),
        row("a plugin that hangs at the renewal, and a timeout", UPDATE)
            .plugin("if [ -e once ]; then exec sleep 600; else touch once; echo '{\"status\": {\"token\": \"t\"}}'; fi")
            .on(post("*/leases*", rejected()).times(1))
            .word("--timeout=3s")
            .ends(124),
    ]
}
