use std::env;
use std::io::{IsTerminal, stderr, stdin, stdout};

use console::Term;

/// What the process's standard streams are connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terminal {
    /// Standard input is a terminal.
    pub stdin: bool,
    /// Standard output is a terminal.
    pub stdout: bool,
    /// Standard error is a terminal.
    pub stderr: bool,
    /// `TERM` is `dumb` or unset, so the cursor cannot be moved.
    pub dumb: bool,
    /// `NO_COLOR` is set and not empty (no-color.org).
    pub no_color: bool,
    /// The columns of the terminal on standard error; `None` without a terminal.
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

    /// The user can be asked a yes-or-no question.
    pub fn can_ask(&self) -> bool {
        self.stdin && self.stderr
    }

    /// The user can be shown a list to choose from.
    pub fn can_pick(&self) -> bool {
        self.can_ask() && !self.dumb
    }
}
