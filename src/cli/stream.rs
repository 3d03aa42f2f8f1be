//! Standard output and standard error. A reader that has gone away (`| head`) is no error: Rust ignores SIGPIPE, and
//! `println!` would panic, in the middle of a run at the worst.

use std::error::Error;
use std::io::{self, Write};

use super::options::UsageError;

/// Writes to standard output. `false` when nobody reads it any more, or it cannot be written.
pub fn out(text: &str) -> bool {
    written(io::stdout().lock(), text)
}

/// Writes to standard error.
pub fn err(text: &str) -> bool {
    written(io::stderr().lock(), text)
}

/// Says what went wrong, with its causes, in one line.
pub fn complain(error: &dyn Error) {
    err(&format!("error: {}\n", chain(error)));
}

/// Says what is wrong with the command line.
pub fn complain_of_usage(error: &UsageError) {
    err(&format!("error: {error}\nSee 'kubectl dbupdate --help'.\n"));
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
