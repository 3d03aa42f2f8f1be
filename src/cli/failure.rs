use std::io;

use super::exit_code::ExitCode;
use super::usage::UsageError;
use crate::cluster::{Cluster, ClusterError, ConnectError};
use crate::operation::{self, Signal, Signalled};
use crate::situation::NoRun;

/// Why a command ended before changing anything.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Operation(#[from] operation::Error),
    /// With the command that helps.
    #[error("{error}{advice}")]
    Advised { error: operation::Error, advice: String },
    /// The question cannot be asked, which was not known to be one before the database was read.
    #[error(transparent)]
    Usage(UsageError),
    #[error("no database given; choose one of: {}", choices.join(", "))]
    WhichDatabase { choices: Vec<String> },
    #[error("no version given; add --to with one of:\n  {}", choices.join("\n  "))]
    WhichVersion { choices: Vec<String> },
    #[error("cannot prompt on the terminal; add --yes to skip the confirmation")]
    Terminal(#[source] io::Error),
    #[error("cannot install signal handlers")]
    Signals(#[source] io::Error),
    #[error("cannot print the plan")]
    Unprintable(#[from] crate::report::object::Unprintable),
    #[error("cannot read the journal of the database: {why}")]
    JournalUnreadable { why: String },
    #[error(transparent)]
    NoSuchRun(#[from] NoRun),
    #[error("cannot check your permissions: {why}")]
    PermissionsUnknown { why: String },
    #[error("timed out after {seconds} s (--timeout) while waiting for credentials; nothing was changed")]
    TimedOut { seconds: u64 },
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        Failure::Operation(error.into())
    }
}

impl From<Signalled> for Failure {
    fn from(signalled: Signalled) -> Self {
        Failure::Operation(signalled.into())
    }
}

impl Failure {
    /// A signal came while nothing was changed.
    pub fn signalled(signal: Signal) -> Self {
        Signalled(signal).into()
    }

    /// Adds the cluster's name to a connection failure: the user may have chosen the wrong cluster.
    pub fn of(self, cluster: &Cluster) -> Self {
        match self {
            Failure::Operation(error) => Failure::Operation(error.of(cluster)),
            other => other,
        }
    }

    /// The exit code of the process.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Usage(_) | Failure::WhichDatabase { .. } | Failure::WhichVersion { .. } => {
                ExitCode::Usage
            }
            Failure::NoSuchRun(_) => ExitCode::Refused,
            Failure::TimedOut { .. } => ExitCode::TimedOut,
            Failure::Operation(error) | Failure::Advised { error, .. } => code(error),
            Failure::Connect(_)
            | Failure::JournalUnreadable { .. }
            | Failure::PermissionsUnknown { .. }
            | Failure::Terminal(_)
            | Failure::Signals(_)
            | Failure::Unprintable(_) => ExitCode::Failed,
        }
    }
}

fn code(error: &operation::Error) -> ExitCode {
    use operation::Error;
    match error {
        Error::NoSuchDatabase { .. }
        | Error::NoTarget(_)
        | Error::LaterJournal { .. }
        | Error::Untraced { .. }
        | Error::UntracedRollback { .. }
        | Error::MayFollow { .. }
        | Error::MayFinish { .. }
        | Error::Finished { .. }
        | Error::NothingFinished { .. }
        | Error::Unanswered => ExitCode::Refused,
        Error::NothingUnfinished { .. } | Error::NoneUnfinished { .. } => ExitCode::Done,
        Error::Signalled(signal) => ExitCode::Signal(*signal),
        Error::TimedOut { .. } => ExitCode::TimedOut,
        Error::Cluster(_)
        | Error::Unreachable { .. }
        | Error::Troubled { .. }
        | Error::NoDatabases { .. }
        | Error::KindAbsent { .. }
        | Error::NotSoaked { .. }
        | Error::MayNotRead { .. } => ExitCode::Failed,
    }
}
