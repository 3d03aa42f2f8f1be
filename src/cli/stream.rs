//! Standard output and standard error. A closed pipe (`| head`) is tolerated: Rust ignores SIGPIPE, and `println!` would
//! panic, possibly in the middle of a run.

use std::error::Error;
use std::io::{self, Write};

use super::usage::UsageError;

/// Writes to standard output. Returns `false` if the pipe is closed or the write fails.
pub fn out(text: &str) -> bool {
    written(io::stdout().lock(), text)
}

/// Writes to standard error.
pub fn err(text: &str) -> bool {
    written(io::stderr().lock(), text)
}

/// Prints an error and its causes in one line.
pub fn complain(error: &dyn Error) {
    err(&format!("error: {}\n", chain(error)));
}

/// Prints a usage error, followed by the usage if that helps.
pub fn complain_of_usage(error: &UsageError, usage: &str) {
    err(&format!("error: {error}\n{usage}See 'kubectl dbupdate --help'.\n"));
}

fn written(mut stream: impl Write, text: &str) -> bool {
    stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).is_ok()
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
