//! What is completed, written to files, and shown to be pasted into a shell.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use simcluster::SimCluster;

use crate::row::{Changes, Content, Row, Scene, row};
use crate::rule::{Effect, any, list, object, says, set};

const ESC: &str = "\u{1b}[2J\u{7}\u{202e}\u{200b}";

pub fn rows() -> Vec<Row> {
    [completed(), files(), next_lines()].into_iter().flatten().collect()
}

/// What a shell would run or expand in a candidate. Whatever is wrong, completion says nothing of it.
fn completed() -> Vec<Row> {
    let complete = |name: &str, words: &[&str]| {
        let row = row(name, "__complete --").ends(0).says(":").check(no_shell);
        words.iter().fold(row, |row, word| row.word(word)).check(silent)
    };
    let named =
        |name: &'static str| object("zookeepers", "my-zk", move |db| set(db, "/metadata/name", json!(name)));
    let version = |name: &'static str| {
        object("zookeeperversions", "3.9.1", move |v| set(v, "/metadata/name", json!(name)))
    };
    let mut rows = Vec::new();
    for name in [
        "$(touch x)",
        "; touch x #",
        "`touch x`",
        "a\nb",
        "a\tb",
        "-rf",
        "a b",
        "'x",
        "\"x",
        "a|b",
        "~root",
        ESC,
    ] {
        rows.push(complete(&format!("a database {name:?}"), &["zk", ""]).on(named(name)));
        rows.push(complete(&format!("a version {name:?}"), &["zk", "my-zk", "--to", ""]).on(version(name)));
    }
    rows.extend([
        complete("a namespace that is a command", &["zk", "-n", ""]).on(list(
            "namespaces",
            crate::rule::change(|l| {
                l["items"][0]["metadata"]["name"] = json!("$(touch x)");
            }),
        )),
        complete("a context that is a command", &["--context", ""]).kubeconfig(
            &crate::row::KUBECONFIG.replace("{name: c, context:", "{name: \"$(touch x)\", context:"),
        ),
        complete("a user that is a command", &["--user", ""])
            .kubeconfig(&crate::row::KUBECONFIG.replace("{name: ann", "{name: \"; touch x #\"")),
        complete("a server that is silent, for completion", &["zk", ""]).on(any(Effect::Silence)).within(5),
        complete("a server that is a login page, for completion", &["zk", ""]).on(any(says(
            "200 OK",
            "text/html",
            "<p>\u{1b}[2J",
        ))),
        complete("a server without an end, for completion", &["zk", ""])
            .on(any(crate::rule::endless("{", " ")))
            .within(10),
        complete("a server that shows the token, for completion", &["zk", ""])
            .on(any(Effect::Echo("200 OK"))),
        complete("a kubeconfig that is nonsense, for completion", &["zk", ""])
            .kubeconfig("{[hunter2-open-sesame"),
        complete("a kubeconfig that is a pipe, for completion", &["zk", ""])
            .file("config", Content::Pipe)
            .within(5),
        complete("a word that steers the terminal, for completion", &["zk", ESC]),
        complete("a thousand words, for completion", &["x"; 1000]),
        complete("a word of 70,000 characters, for completion", &[&"x".repeat(70_000)]),
        complete("an empty line, for completion", &[]),
    ]);
    rows
}

/// No candidate holds anything that a shell interprets.
fn no_shell(scene: &Scene<'_>) -> Result<(), String> {
    let word = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
    let bad = |word: &String| {
        word.contains(|c: char| "$`;|&<>()'\"\\* ~#!{}".contains(c)) || word.starts_with("-r")
    };
    match scene.stdout.lines().map(word).find(bad) {
        Some(word) => Err(format!("{word:?} is offered")),
        None => Ok(()),
    }
}

fn silent(scene: &Scene<'_>) -> Result<(), String> {
    if scene.stderr.is_empty() { Ok(()) } else { Err("something is said".to_owned()) }
}

/// The only file that is written is the sandbox's kubeconfig.
fn files() -> Vec<Row> {
    let sandbox = |name: &str, file: &str| {
        row(name, "sandbox --kubeconfig-out").word(file).signal(Duration::from_secs(2), "INT")
    };
    let precious = "apiVersion: v1\nkind: Config\n# precious\n";
    vec![
        sandbox("a kubeconfig that is written over another", "{dir}/config")
            .ends(1)
            .check(holds("config", "current-context: c")),
        sandbox("a kubeconfig that is written through a link", "{dir}/link")
            .file("precious", Content::Text(precious.to_owned()))
            .file("link", Content::Link("{dir}/precious".to_owned()))
            .ends(1)
            .check(holds("precious", precious)),
        sandbox("a kubeconfig that is written through a link to one of ours", "{dir}/link")
            .file("ours", Content::Text("# written by kubectl dbupdate sandbox\nmine".to_owned()))
            .file("link", Content::Link("{dir}/ours".to_owned()))
            .ends(1)
            .check(holds("ours", "mine")),
        sandbox("a kubeconfig that is written to nowhere through a link", "{dir}/link")
            .file("link", Content::Link("{dir}/nowhere".to_owned()))
            .ends(1)
            .check(|scene| {
                if scene.directory.join("nowhere").exists() { Err("it is there".to_owned()) } else { Ok(()) }
            }),
        sandbox("a kubeconfig that is written to a directory", "{dir}").ends(1),
        sandbox("a kubeconfig that is written to a device", "/dev/full").ends(1),
        sandbox("a kubeconfig that is written to a pipe", "{dir}/pipe")
            .file("pipe", Content::Pipe)
            .ends(1)
            .ends(130),
        sandbox("a kubeconfig that is written nowhere", "/nonexistent/x").ends(1),
        sandbox("a kubeconfig whose path steers the terminal", "/nonexistent/\u{1b}[2J\u{202e}").ends(1),
        sandbox("a kubeconfig that others may not read", "{dir}/new").ends(0).ends(130).check(private("new")),
    ]
}

/// A file still holds that.
fn holds(
    name: &'static str,
    text: &'static str,
) -> impl Fn(&Scene<'_>) -> Result<(), String> + Send + Sync + 'static {
    move |scene| {
        let found = fs::read_to_string(scene.directory.join(name)).unwrap_or_default();
        if found.contains(text) { Ok(()) } else { Err(format!("{name} holds {found:?}")) }
    }
}

fn private(name: &'static str) -> impl Fn(&Scene<'_>) -> Result<(), String> + Send + Sync + 'static {
    use std::os::unix::fs::PermissionsExt;
    move |scene| {
        let mode = fs::metadata(scene.directory.join(name)).map(|found| found.permissions().mode() & 0o777);
        match mode {
            Ok(0o600) => Ok(()),
            other => Err(format!("its mode is {other:?}")),
        }
    }
}

/// Commands that are shown: a shell reads their words back as they were meant, and runs nothing else.
fn next_lines() -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, name) in [
        ("a command", "3.9.1; touch pasted #"),
        ("a substitution", "$(touch pasted)"),
        ("quotes", "'; touch pasted; '"),
        ("backquotes", "`touch pasted`"),
        ("a line break", "3.9.1\ntouch pasted"),
        ("a redirection", "3.9.1 > pasted"),
        ("a flag", "--server=http://x.invalid"),
        ("a text that steers the terminal", ESC),
    ] {
        let catalog = move |sim: &SimCluster, _: &str| {
            let known =
                sim.store().get("zookeeperversions.catalog.kubedb.com", "", "3.9.1").expect("it is there");
            let mut version = (*known).clone();
            version["metadata"] =
                json!({"name": name, "annotations": {"kubectl-dbupdate/simulated": "true"}});
            sim.store().create("zookeeperversions.catalog.kubedb.com", version).expect("it is not there yet");
        };
        rows.extend([
            row(
                format!("a version that is {what}, in the list of a typing error"),
                "zk my-zk --to 3.9.2 --yes",
            )
            .given(catalog)
            .ends(3),
            row(
                format!("a version that is {what}, in a run that is stopped"),
                "zk my-zk --yes --timeout 2s -o json --progress none",
            )
            .word(&format!("--to={name}"))
            .given(catalog)
            .given(|sim, _| sim.behaviour().change(|b| b.provisioner.alive = false))
            .ends(124)
            .ends(3)
            .changes(Changes::Anything)
            .check(pasted),
        ]);
    }
    rows.push(
        row("a namespace that is a command, in a next line", "status zk my-zk")
            .on(object("zookeepers", "my-zk", |db| set(db, "/metadata/namespace", json!("$(touch pasted)"))))
            .ends(0)
            .ends(1)
            .check(pasted),
    );
    rows
}

/// The commands of the result, each pasted into a shell in which `kubectl` does nothing.
fn pasted(scene: &Scene<'_>) -> Result<(), String> {
    let result: Value = serde_json::from_str(scene.stdout).unwrap_or_default();
    for next in result["next"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let script = format!("kubectl() {{ :; }}\n{next}\n");
        let ran = Command::new("sh").args(["-c", &script]).current_dir(scene.directory).output();
        if !ran.is_ok_and(|ran| ran.status.success()) {
            return Err(format!("a shell does not read {next:?}"));
        }
    }
    if scene.directory.join("pasted").exists() { Err("a command was run".to_owned()) } else { Ok(()) }
}
