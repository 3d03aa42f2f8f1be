use crate::engine::Signal;

/// What the process ends with. The table is a contract; `docs/exit-codes.md` explains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Done and verified, feasible (a dry run), or nothing to do.
    Done,
    /// Failed before anything was changed.
    Failed,
    /// The command line asks for something that cannot be.
    Usage,
    /// A finding of the preflight refuses it, or the user declined at a prompt.
    Refused,
    /// Something was changed and the update did not finish.
    Unfinished,
    /// Somebody else is at work on the database: a lock, a foreign `Paused`, an ops request.
    SomebodyElse,
    /// `--timeout` has passed.
    TimedOut,
    /// A signal ended it.
    Signal(Signal),
    /// What the terminal event of a run says.
    Run(u8),
}

impl ExitCode {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            ExitCode::Done => 0,
            ExitCode::Failed => 1,
            ExitCode::Usage => 2,
            ExitCode::Refused => 3,
            ExitCode::Unfinished => 4,
            ExitCode::SomebodyElse => 5,
            ExitCode::TimedOut => 124,
            ExitCode::Signal(signal) => signal.exit_code(),
            ExitCode::Run(code) => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_a_contract() {
        for (code, number) in [
            (ExitCode::Done, 0),
            (ExitCode::Failed, 1),
            (ExitCode::Usage, 2),
            (ExitCode::Refused, 3),
            (ExitCode::Unfinished, 4),
            (ExitCode::SomebodyElse, 5),
            (ExitCode::TimedOut, 124),
            (ExitCode::Signal(Signal::HangUp), 129),
            (ExitCode::Signal(Signal::Interrupt), 130),
            (ExitCode::Signal(Signal::Terminate), 143),
        ] {
            assert_eq!(code.code(), number, "{code:?}");
        }
    }
}
