//! Commands that are run in containers.

use std::process::Stdio;

use tokio::process::Command;

/// A command that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// What it has written to its standard output.
    pub output: Vec<u8>,
    /// What it has written to its standard error.
    pub complaint: Vec<u8>,
    /// Its exit code; `None` if nobody learns of its end, as the connection breaks while it runs.
    pub code: Option<i32>,
}

impl Ended {
    /// It has done what it was to do, and has written this.
    pub fn well(output: impl Into<Vec<u8>>) -> Self {
        Self { output: output.into(), code: Some(0), ..Self::default() }
    }

    /// It has failed.
    pub fn failed(code: i32, complaint: &str) -> Self {
        Self { complaint: format!("{complaint}\n").into_bytes(), code: Some(code), ..Self::default() }
    }

    /// The connection breaks while it runs.
    pub fn lost() -> Self {
        Self::default()
    }
}

/// Runs a real process to its end; it ends with its client.
pub(crate) async fn run(command: std::process::Command) -> Ended {
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(false);
    match command.output().await {
        // What a signal has ended has no code of its own.
        Ok(ended) => Ended {
            output: ended.stdout,
            complaint: ended.stderr,
            code: Some(ended.status.code().unwrap_or(137)),
        },
        Err(error) => Ended::failed(127, &error.to_string()),
    }
}
