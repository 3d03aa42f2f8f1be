//! The built binary as a child process: the sandbox that it serves, and commands against it. Every wait is bounded.
#![allow(dead_code, reason = "each test file uses its own part")]

#[path = "../programs/signal.rs"]
pub mod signal;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

pub const BINARY: &str = env!("CARGO_BIN_EXE_kubectl-dbupdate");

/// Longer than any command in these tests takes, on a machine that is busy with others: to take over from a Druid's run that
/// was killed is to wait half a minute for its lock and as long again for what its last restart has left.
const FOREVER: Duration = Duration::from_secs(300);

/// An empty directory that is removed at the end.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dbupdate-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory can be made");
        Directory(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("a file can be written");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What came of a command.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// It ended so, and said this somewhere.
    #[track_caller]
    pub fn ended(&self, code: i32, said: &str) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(self.stdout.contains(said) || self.stderr.contains(said), "{said:?} is not in {self:#?}");
        self
    }

    /// The one object on standard output.
    #[track_caller]
    pub fn object(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// A command without a terminal and without anything of the caller's that could lead to a cluster.
pub fn isolated(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("KUBERNETES_SERVICE_PORT")
        .env("KUBECONFIG", "/nonexistent/kubeconfig")
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null());
    command
}

/// The binary with these words.
pub fn dbupdate(line: &str) -> Command {
    let mut command = isolated(BINARY);
    command.args(line.split_whitespace());
    command
}

/// Runs a command to its end.
#[track_caller]
pub fn run(command: Command) -> Outcome {
    Running::start(command).end()
}

/// A command on its way.
pub struct Running {
    child: Child,
    stdout: thread::JoinHandle<String>,
    stderr: thread::JoinHandle<String>,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
        let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (sender, lines) = std::sync::mpsc::channel();
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            let mut reader = BufReader::new(out);
            while reader.read_line(&mut text).is_ok_and(|read| read > 0) {
                let line = text.trim_end_matches('\n').rsplit('\n').next().unwrap_or_default();
                let _ = sender.send(line.to_owned());
            }
            text
        });
        Running { child, stdout, stderr: thread::spawn(move || read_all(err)), lines }
    }

    /// Waits for a line on standard output that holds this, and gives it.
    #[track_caller]
    pub fn line(&self, part: &str) -> String {
        let deadline = Instant::now() + FOREVER;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line with {part:?}: {error}"),
            }
        }
    }

    pub fn signal(&self, name: &str) {
        signal::send(self.child.id(), name);
    }

    #[track_caller]
    pub fn end(mut self) -> Outcome {
        let deadline = Instant::now() + FOREVER;
        let code = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status.code();
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let (stdout, stderr) = (self.stdout.join(), self.stderr.join());
                panic!("it does not end: {stdout:?} {stderr:?}");
            }
            thread::sleep(Duration::from_millis(10));
        };
        let text = |reader: thread::JoinHandle<String>| reader.join().expect("it was read");
        Outcome { code, stdout: text(self.stdout), stderr: text(self.stderr) }
    }
}

fn read_all(mut stream: impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the binary writes UTF-8");
    text
}

/// A sandbox of its own, served on a random port.
pub struct Sandbox {
    child: Child,
    directory: Directory,
    address: String,
}

impl Sandbox {
    pub fn start() -> Self {
        Self::failing("")
    }

    /// With `--fail`.
    pub fn failing(faults: &str) -> Self {
        let directory = Directory::new();
        let mut command = dbupdate("sandbox");
        command.arg("--kubeconfig-out").arg(directory.path().join("kubeconfig"));
        if !faults.is_empty() {
            command.args(["--fail", faults]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the sandbox starts");
        let mut first = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut first).expect("it says where it is");
        // It goes on printing how to use it.
        thread::spawn(move || read_all(stdout));
        let address = first.split("https://").nth(1).and_then(|rest| rest.split(". ").next());
        let address = address.unwrap_or_else(|| panic!("no address in {first:?}")).to_owned();
        Sandbox { child, directory, address }
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// Where it listens: `127.0.0.1:38571`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The binary with these words, on this cluster.
    pub fn dbupdate(&self, line: &str) -> Command {
        let mut command = dbupdate(line);
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    #[track_caller]
    pub fn run(&self, line: &str) -> Outcome {
        run(self.dbupdate(line))
    }

    /// Another client at work: the answer's body.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, kind: &str, body: &Value) -> Value {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("Content-Type", format!("application/{kind}"))
            .body(body)
            .expect("a request");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let answer = runtime.expect("a runtime").block_on(async {
            let client = self.client().await;
            tokio::time::timeout(FOREVER, client.request(request)).await.expect("it answers")
        });
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// A client by the kubeconfig that the sandbox has written.
    async fn client(&self) -> kube::Client {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.kubeconfig()).expect("a kubeconfig");
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await;
        kube::Client::try_from(config.expect("it leads to a cluster")).expect("a client")
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.request("GET", path, "json", &Value::Null)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
