//! A row of the table: what is hostile, the command line, and what must hold.

use std::time::Duration;

use simcluster::SimCluster;

use crate::rule::Rule;

/// The bearer token and every other secret that a row plants. It must never be shown.
pub const SECRET: &str = "hunter2-open-sesame";

/// What a run may have changed when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Nothing but its Lease, its journal and its Events.
    Nothing,
    /// It may have paused the operator; the pause is gone again.
    PauseOnly,
    /// The row is about a run that goes on.
    Anything,
}

/// A file in the directory of the row.
#[derive(Clone, Debug)]
pub enum Content {
    Text(String),
    Bytes(Vec<u8>),
    /// A shell script that may be run.
    Script(String),
    /// A pipe into which nobody writes.
    Pipe,
    Directory,
    /// A symbolic link.
    Link(String),
}

type Prepare = Box<dyn Fn(&SimCluster, &str) + Send + Sync>;
type Check = Box<dyn Fn(&Scene<'_>) -> Result<(), String> + Send + Sync>;

/// What a row's own check sees.
pub struct Scene<'a> {
    pub sim: &'a SimCluster,
    pub directory: &'a std::path::Path,
    pub stdout: &'a str,
    pub stderr: &'a str,
    /// The requests that the registry got.
    pub registry: &'a [crate::front::Request],
    /// The requests that the API server got.
    pub server: &'a [crate::front::Request],
}

/// The texts may hold `{server}`, `{registry}`, `{elsewhere}` (addresses with a port), `{ca}` (the server's authority, in
/// base64) and `{dir}` (the row's directory).
pub struct Row {
    pub name: String,
    pub line: Vec<Vec<u8>>,
    pub rules: Vec<Rule>,
    pub registry: Vec<Rule>,
    pub prepare: Vec<Prepare>,
    pub files: Vec<(String, Content)>,
    pub env: Vec<(String, String)>,
    /// A signal, this long after the start.
    pub signal: Option<(Duration, &'static str)>,
    pub within: Duration,
    /// The exit codes that are right.
    pub codes: Vec<i32>,
    /// Texts that must be shown.
    pub said: Vec<String>,
    /// Texts that must not be shown.
    pub hidden: Vec<String>,
    pub changes: Changes,
    pub checks: Vec<Check>,
}

/// A row with these words; a word that holds a space is added by [`Row::word`]. A run does not wait for KubeDB's health
/// checker, which alone takes longer than most rows.
pub fn row(name: impl Into<String>, line: &str) -> Row {
    let runs = line.split_whitespace().any(|word| word == "--yes");
    let words = line.split_whitespace().chain(runs.then_some("--wait-ready=0"));
    Row {
        name: name.into(),
        line: words.map(|word| word.as_bytes().to_vec()).collect(),
        rules: Vec::new(),
        registry: Vec::new(),
        prepare: Vec::new(),
        files: vec![("config".to_owned(), Content::Text(KUBECONFIG.to_owned()))],
        env: Vec::new(),
        signal: None,
        within: Duration::from_secs(40),
        codes: Vec::new(),
        said: Vec::new(),
        hidden: Vec::new(),
        changes: Changes::Nothing,
        checks: Vec::new(),
    }
}

/// The kubeconfig of a row that is not about kubeconfigs.
pub const KUBECONFIG: &str = "apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: \"https://{server}\", certificate-authority-data: {ca}}}]
contexts: [{name: c, context: {cluster: c, user: ann, namespace: default}}]
users: [{name: ann, user: {token: hunter2-open-sesame}}]
";

impl Row {
    pub fn word(mut self, word: &str) -> Self {
        self.line.push(word.as_bytes().to_vec());
        self
    }

    pub fn bytes(mut self, word: &[u8]) -> Self {
        self.line.push(word.to_vec());
        self
    }

    /// The API server's answers are distorted so.
    pub fn on(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// The registry answers so; everything else is a bare 404.
    pub fn registry(mut self, rule: Rule) -> Self {
        self.registry.push(rule);
        self
    }

    /// The cluster is changed before the command starts. The second argument is the registry's address.
    pub fn given(mut self, prepare: impl Fn(&SimCluster, &str) + Send + Sync + 'static) -> Self {
        self.prepare.push(Box::new(prepare));
        self
    }

    pub fn file(mut self, name: &str, content: Content) -> Self {
        self.files.retain(|(known, _)| known != name);
        self.files.push((name.to_owned(), content));
        self
    }

    pub fn kubeconfig(self, text: &str) -> Self {
        self.file("config", Content::Text(text.to_owned()))
    }

    /// The usual kubeconfig with these fields of the user.
    pub fn user(self, fields: &str) -> Self {
        let usual = "token: hunter2-open-sesame";
        self.kubeconfig(&KUBECONFIG.replace(usual, fields))
    }

    /// The usual kubeconfig with another address of the server, and other fields after it.
    pub fn cluster(self, server: &str) -> Self {
        let usual = "\"https://{server}\", certificate-authority-data: {ca}";
        self.kubeconfig(&KUBECONFIG.replace(usual, server))
    }

    /// A user with a credential plugin that is this script.
    pub fn plugin(self, script: &str) -> Self {
        let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: \"{dir}/plugin\", interactiveMode: Never}";
        self.user(exec).file("plugin", Content::Script(script.to_owned()))
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn signal(self, after: Duration, name: &'static str) -> Self {
        Row { signal: Some((after, name)), ..self }
    }

    pub fn within(self, seconds: u64) -> Self {
        Row { within: Duration::from_secs(seconds), ..self }
    }

    /// It ends with this code, or with one of several if more are named.
    pub fn ends(mut self, code: i32) -> Self {
        self.codes.push(code);
        self
    }

    pub fn says(mut self, text: &str) -> Self {
        self.said.push(text.to_owned());
        self
    }

    pub fn hides(mut self, text: &str) -> Self {
        self.hidden.push(text.to_owned());
        self
    }

    pub fn changes(self, changes: Changes) -> Self {
        Row { changes, ..self }
    }

    pub fn check(mut self, check: impl Fn(&Scene<'_>) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.checks.push(Box::new(check));
        self
    }
}
