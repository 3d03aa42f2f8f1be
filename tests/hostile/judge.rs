//! Runs a row and judges it. What is asked of every row stands in [`verdict`].

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use simcluster::{Behaviour, SimCluster, world};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::front::{Front, Request};
use crate::row::{Changes, Content, Row, SECRET, Scene};
use crate::served::{BINARY, Directory, signal};
use crate::tls::tls;

/// The memory that a row may use, in KiB: the data segment and every private mapping, of which peak memory is a part.
pub const MEMORY: u64 = 256 << 10;

/// The longest output, in bytes.
const OUTPUT: usize = 1 << 20;

/// The codes of docs/exit-codes.md.
const DOCUMENTED: [i32; 10] = [0, 1, 2, 3, 4, 5, 124, 129, 130, 143];

/// An image of an attacker. It must get into no workload and no pod.
pub const EVIL: &str = "evil.example/";

/// How many rows run at a time. Most of them wait.
const AT_ONCE: usize = 8;

/// How a command ended.
pub struct Ended {
    /// `None` if it did not end in time.
    pub status: Option<ExitStatus>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub took: Duration,
}

/// Runs all rows of a kind, several at a time, and fails with everything that is wrong. `HOSTILE=words` runs only the rows
/// whose names hold these words, and shows what they print.
pub fn judge_all(rows: &[Row]) {
    let wanted = std::env::var("HOSTILE").ok();
    let chosen: Vec<&Row> = rows
        .iter()
        .filter(|row| wanted.as_ref().is_none_or(|words| row.name.contains(words.as_str())))
        .collect();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(row) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (found, shown) = judged(row);
            if wanted.is_some() {
                println!("=== {}\n{shown}", row.name);
            }
            if !found.is_empty() {
                let found = found.join("\n  ");
                wrong.lock().expect("no row panics").push(format!("--- {}\n  {found}\n{shown}", row.name));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let wrong = wrong.into_inner().expect("no row panics");
    assert!(wrong.is_empty(), "{} of {} rows:\n\n{}", wrong.len(), chosen.len(), wrong.join("\n\n"));
}

/// What is wrong, and what was shown.
fn judged(row: &Row) -> (Vec<String>, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let sim = cluster();
        let elsewhere = Front::listen(Vec::new(), None, str::to_owned).await;
        let to_elsewhere = |text: &str| text.replace("{elsewhere}", &elsewhere.address);
        let registry = Front::listen(row.registry.clone(), None, to_elsewhere).await;
        for prepare in &row.prepare {
            prepare(&sim, &registry.address);
        }
        sim.start();
        let client = kube::Client::new(sim.transport(), "default");
        let server = Front::listen(row.rules.clone(), Some(client), to_elsewhere).await;
        let directory = Directory::new();
        let fill = |text: &str| {
            to_elsewhere(text)
                .replace("{server}", &server.address)
                .replace("{ca}", &tls().authority)
                .replace("{registry}", &registry.address)
                .replace("{dir}", &directory.path().display().to_string())
        };
        for (name, content) in &row.files {
            lay(directory.path(), name, content, fill);
        }
        let ended = run(row, directory.path(), fill).await;
        let mut wrong = verdict(row, &ended);
        if !elsewhere.seen().is_empty() {
            wrong.push(format!("another host was asked: {:?}", elsewhere.seen()));
        }
        let idle = server.idle().into_iter().chain(registry.idle());
        wrong.extend(idle.map(|rule| format!("nothing was distorted: {}", rule.about())));
        wrong.extend(unchanged(row.changes, &server.seen(), &sim));
        let (stdout, stderr) = (text(&ended.stdout), text(&ended.stderr));
        let (asked, requests) = (registry.seen(), server.seen());
        let scene = Scene {
            sim: &sim,
            directory: directory.path(),
            stdout: &stdout,
            stderr: &stderr,
            registry: &asked,
            server: &requests,
        };
        wrong.extend(row.checks.iter().filter_map(|check| check(&scene).err()));
        let end = ended.status.map_or("no end".to_owned(), |status| status.to_string());
        (wrong, format!("{end} after {:?}\nstdout: {}\nstderr: {}", ended.took, head(&stdout), head(&stderr)))
    })
}

/// The sandbox with one of its databases, and with pods that start and stop at once.
fn cluster() -> SimCluster {
    let mut behaviour = Behaviour {
        start_up: Duration::from_millis(100),
        stop: Duration::from_millis(20),
        ..Behaviour::default()
    };
    behaviour.provisioner.check_period = Duration::from_secs(1);
    behaviour.ops_manager.alive = true;
    let sim = SimCluster::new(behaviour);
    world::catalog::install(sim.store());
    world::Database::zookeeper("my-zk").install(&sim);
    sim
}

fn lay(directory: &Path, name: &str, content: &Content, fill: impl Fn(&str) -> String) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().expect("it is in a directory")).expect("a directory can be made");
    let written = match content {
        Content::Text(content) => fs::write(&path, fill(content)),
        Content::Bytes(content) => fs::write(&path, content),
        Content::Script(content) => fs::write(&path, format!("#!/bin/sh\n{}\n", fill(content)))
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755))),
        Content::Directory => fs::create_dir(&path),
        Content::Link(to) => symlink(fill(to), &path),
        Content::Pipe => std::process::Command::new("mkfifo").arg(&path).status().map(drop),
    };
    written.unwrap_or_else(|error| panic!("{name}: {error}"));
}

async fn run(row: &Row, directory: &Path, fill: impl Fn(&str) -> String) -> Ended {
    // A shell sets the limit; where the system does not know it, memory is not bounded.
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{}exec \"$0\" \"$@\"", limit())).arg(BINARY);
    for word in &row.line {
        let filled = std::str::from_utf8(word).map(|word| OsString::from(fill(word)));
        command.arg(filled.unwrap_or_else(|_| OsString::from_vec(word.clone())));
    }
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", directory).env("KUBECONFIG", directory.join("config")).current_dir(directory);
    for (name, value) in &row.env {
        command.env(name, fill(value));
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let began = Instant::now();
    let mut child = command.spawn().expect("sh starts");
    let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let whole = async { tokio::join!(read(out), read(err), end(&mut child, row)) };
    let (stdout, stderr, status) = whole.await;
    Ended { status, stdout, stderr, took: began.elapsed() }
}

/// What a shell is told before it starts the binary.
fn limit() -> String {
    if cfg!(target_os = "linux") { format!("ulimit -d {MEMORY}; ") } else { String::new() }
}

async fn end(child: &mut Child, row: &Row) -> Option<ExitStatus> {
    let id = child.id();
    let waited = timeout(row.within, async {
        if let (Some((after, name)), Some(id)) = (row.signal, id) {
            tokio::select! {
                status = child.wait() => return status,
                () = sleep(after) => signal::send(id, name),
            }
        }
        child.wait().await
    })
    .await;
    if waited.is_err() {
        let _ = child.kill().await;
    }
    waited.ok()?.ok()
}

/// What is printed, as far as it is judged. A reader that stopped reading would block the writer.
async fn read(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    // A plugin that was left behind may keep the stream open.
    while let Ok(Ok(read)) = timeout(Duration::from_secs(60), stream.read(&mut piece)).await {
        if read == 0 {
            break;
        }
        if all.len() <= OUTPUT {
            all.extend_from_slice(&piece[..read]);
        }
    }
    all
}

/// What must hold for every row, whatever it is about: it ends in time, by itself and with a documented code, within its
/// memory, and shows nothing that steers a terminal and no secret. What needs the cluster (nothing is changed, no other host is
/// asked, every rule has distorted something) is added in [`judged`].
pub fn verdict(row: &Row, ended: &Ended) -> Vec<String> {
    let mut wrong = Vec::new();
    match ended.status {
        None => wrong.push(format!("it has not ended after {:?}", row.within)),
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) if !DOCUMENTED.contains(&code) => {
                wrong.push(format!("exit code {code} is not documented"))
            }
            (Some(code), _) if !row.codes.contains(&code) => {
                wrong.push(format!("exit code {code} and not one of {:?}", row.codes));
            }
            (Some(_), _) => {}
            (None, died) => {
                wrong.push(format!("it died of signal {died:?}: a crash, or more than {MEMORY} KiB"))
            }
        },
    }
    let both = [("stdout", &ended.stdout), ("stderr", &ended.stderr)];
    for (stream, bytes) in both {
        if bytes.len() > OUTPUT {
            wrong.push(format!("{stream} has no end"));
        }
        let Ok(text) = std::str::from_utf8(&bytes[..bytes.len().min(OUTPUT)]) else {
            wrong.push(format!("{stream} is not UTF-8"));
            continue;
        };
        if let Some(found) = text.chars().find(|c| steers(*c)) {
            wrong.push(format!("{stream} steers the terminal by {found:?}"));
        }
        // Standard error is no JSON: there an escape is no more than its letters.
        if let Some(found) = escaped(text).filter(|_| stream == "stdout") {
            wrong.push(format!("{stream} hides a control character in JSON: {found}"));
        }
    }
    let all = format!("{}{}", text(&ended.stdout), text(&ended.stderr));
    for never in ["panicked at", SECRET, "memory allocation of", "out of memory"]
        .into_iter()
        .chain(row.hidden.iter().map(String::as_str))
    {
        if all.contains(never) {
            wrong.push(format!("{never:?} is shown"));
        }
    }
    // A text may be broken into lines anywhere between two words.
    let flat = all.split_whitespace().collect::<Vec<_>>().join(" ");
    for must in &row.said {
        if !flat.contains(must.as_str()) {
            wrong.push(format!("{must:?} is not shown"));
        }
    }
    wrong
}

/// A character that no output of ours has: a control character, one that changes the order of a line, or one that cannot
/// be seen.
fn steers(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// A control character as JSON spells it, which the next program in the pipe would print.
fn escaped(text: &str) -> Option<&str> {
    text.match_indices("\\u").find_map(|(at, _)| {
        let code = text.get(at + 2..at + 6)?;
        let c = char::from_u32(u32::from_str_radix(code, 16).ok()?)?;
        steers(c).then(|| &text[at..at + 6])
    })
}

/// Whether a request changes the cluster, apart from what a run may always write: its Lease, its journal, its Events.
fn writes(request: &Request) -> bool {
    let reads = matches!(request.method.as_str(), "GET" | "HEAD");
    let harmless = ["/leases", "/configmaps", "/events", "/apis/authorization.k8s.io/"];
    let dry = request.target.contains("dryRun=All") || text(&request.body).contains("\"dryRun\":[\"All\"]");
    request.reached && !reads && !dry && !harmless.iter().any(|part| request.target.contains(part))
}

fn unchanged(allowed: Changes, seen: &[Request], sim: &SimCluster) -> Vec<String> {
    let mut wrong = Vec::new();
    let may = |request: &Request| match allowed {
        Changes::Nothing => false,
        Changes::PauseOnly => request.target.contains("/status"),
        Changes::Anything => true,
    };
    if let Some(write) = seen.iter().find(|request| writes(request) && !may(request)) {
        wrong.push(format!("something was changed: {} {} {}", write.method, write.target, text(&write.body)));
    }
    if allowed == Changes::PauseOnly && paused(sim) {
        wrong.push("the operator is left paused".to_owned());
    }
    for kind in ["petsets.apps.k8s.appscode.com", "statefulsets.apps", "pods"] {
        for object in sim.store().list(kind, None) {
            if object.pointer("/spec").is_some_and(|spec| spec.to_string().contains(EVIL)) {
                wrong.push(format!("an image of {EVIL} is in a {kind}"));
            }
        }
    }
    wrong
}

fn paused(sim: &SimCluster) -> bool {
    let database = sim.store().get("zookeepers.kubedb.com", "default", "my-zk");
    let conditions = database.as_ref().and_then(|database| database.pointer("/status/conditions"));
    conditions.and_then(Value::as_array).into_iter().flatten().any(|condition| condition["type"] == "Paused")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The beginning of a text, for a person to read.
fn head(text: &str) -> String {
    let short: String = text.chars().take(2000).collect();
    short.chars().map(|c| if c == '\n' || !steers(c) { c.to_string() } else { format!("{c:?}") }).collect()
}
