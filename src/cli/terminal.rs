use std::env;
use std::io::{IsTerminal, stderr, stdin, stdout};

use console::Term;

/// What the process is connected to, as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terminal {
    /// Standard input is a terminal.
    pub stdin: bool,
    /// Standard output is one.
    pub stdout: bool,
    /// Standard error is one.
    pub stderr: bool,
    /// `TERM` is `dumb`, or says nothing: the cursor cannot be moved.
    pub dumb: bool,
    /// `NO_COLOR` is set and not empty (no-color.org).
    pub no_color: bool,
    /// Columns of the terminal on standard error; `None` where there is none.
    pub width: Option<u16>,
}

impl Terminal {
    /// What this process is connected to.
    pub fn detect() -> Self {
        let stderr = stderr().is_terminal();
        Self {
            stdin: stdin().is_terminal(),
            stdout: stdout().is_terminal(),
            stderr,
            dumb: match env::var("TERM") {
                Ok(term) => term.is_empty() || term == "dumb",
                Err(_) => cfg!(unix),
            },
            no_color: env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
            width: Term::stderr().size_checked().map(|(_, columns)| columns),
        }
    }

    /// A person can be asked a question.
    pub fn can_ask(&self) -> bool {
        self.stdin && self.stderr
    }

    /// A person can be shown a list to choose from.
    pub fn can_pick(&self) -> bool {
        self.can_ask() && !self.dumb
    }
}
