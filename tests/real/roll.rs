//! The built binary, as a person runs it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::served;
use crate::site::{NAME, Site};

/// Longer than any of these updates takes on a machine that is busy with others.
const FOREVER: Duration = Duration::from_secs(600);

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub said: String,
    pub took: Duration,
}

impl Site {
    /// Updates the database, with these flags.
    pub async fn update(&self, flags: &[&str]) -> Outcome {
        let to = [self.server.kind, NAME, "--to", self.server.versions[1], "--yes", "--progress", "plain"];
        self.run(&[&to, flags].concat()).await
    }

    /// Runs the binary with these arguments.
    pub async fn run(&self, arguments: &[&str]) -> Outcome {
        let begun = Instant::now();
        let child = self.start_binary(arguments);
        let output = timeout(FOREVER, child.wait_with_output()).await.expect("the run ends");
        let output = output.expect("it can be waited for");
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        Outcome { code: output.status.code(), said: said.concat(), took: begun.elapsed() }
    }

    /// Starts the binary with these arguments.
    pub fn start_binary(&self, arguments: &[&str]) -> Child {
        let mut command = served::isolated(served::BINARY);
        command
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Command::from(command).kill_on_drop(true).spawn().expect("the binary starts")
    }
}
