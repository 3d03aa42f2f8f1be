use crate::event::code;
use crate::operation::Signal;

/// The exit code of the process. The table is a contract; `docs/exit-codes.md` explains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Done and verified, a dry run that passed, or nothing to do.
    Done,
    /// Failed before changing anything.
    Failed,
    /// The command line is invalid.
    Usage,
    /// A preflight check failed, or the user declined at a prompt.
    Refused,
    /// Something was changed and the update is not complete.
    Unfinished,
    /// Another user or controller is changing the database: it holds the lock, paused the operator, or runs an ops
    /// request.
    SomebodyElse,
    /// Updated, but KubeDB did not report the database as Ready within `--wait-ready`.
    NotReady,
    /// `--timeout` was exceeded.
    TimedOut,
    /// Stopped by a signal.
    Signal(Signal),
    /// The exit code in the last event of a run, or the one for a database's state.
    Run(u8),
}

impl ExitCode {
    /// The number that the shell sees in `$?`.
    pub fn code(self) -> u8 {
        match self {
            ExitCode::Done => 0,
            ExitCode::Failed => code::FAILED,
            ExitCode::Usage => 2,
            ExitCode::Refused => code::REFUSED,
            ExitCode::Unfinished => code::UNFINISHED,
            ExitCode::SomebodyElse => code::SOMEBODY_ELSE,
            ExitCode::NotReady => code::NOT_READY,
            ExitCode::TimedOut => code::TIMED_OUT,
            ExitCode::Signal(signal) => signal.exit_code(),
            ExitCode::Run(number) => number,
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
            (ExitCode::NotReady, 6),
            (ExitCode::TimedOut, 124),
            (ExitCode::Signal(Signal::HangUp), 129),
            (ExitCode::Signal(Signal::Interrupt), 130),
            (ExitCode::Signal(Signal::Terminate), 143),
        ] {
            assert_eq!(code.code(), number, "{code:?}");
        }
    }
}
