//! Why an operation ended before it changed anything.

use super::stop::{Over, Signalled};
use crate::cluster::{Cluster, ClusterError};
use crate::engine::Signal;
use crate::model::{Command, Kind};
use crate::plan::update::NoTarget;

/// Why an operation ended before it changed anything, or between two hops.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(
        "cannot reach the cluster {cluster}: {why}; {}",
        check.unwrap_or("check that it is running and that the address is correct")
    )]
    Unreachable { cluster: String, why: String, check: Option<&'static str> },
    #[error("the cluster {cluster} is not responding properly: {error}")]
    Troubled { cluster: String, error: ClusterError },
    #[error(transparent)]
    NoTarget(#[from] NoTarget),
    #[error("{} {name:?} not found in namespace {namespace}{}", kind.singular(), listed(names))]
    NoSuchDatabase { kind: Kind, name: String, namespace: String, names: Vec<String> },
    #[error(
        "no {} found in namespace {namespace}; choose another namespace with -n",
        kind.map_or("database", Kind::singular)
    )]
    NoDatabases { kind: Option<Kind>, namespace: String },
    #[error("the cluster does not serve the kind {}; is KubeDB installed?", kind.name())]
    KindAbsent { kind: Kind },
    #[error("{database} has no unfinished run; nothing to do")]
    NothingUnfinished { database: String },
    #[error(
        "no {} in namespace {namespace} has an unfinished run; nothing to do",
        kind.map_or("database", Kind::singular)
    )]
    NoneUnfinished { kind: Option<Kind>, namespace: String },
    /// Only the journal knows of the run that would be resumed without a confirmation. `further`: beyond the unfinished
    /// update.
    #[error(
        "the journal says that {who} started an update of {}/{name} to {to} at {began}, but the cluster shows no sign of it; \
         anybody who may write ConfigMaps can write the journal",
        kind.singular()
    )]
    Untraced { kind: Kind, name: String, to: String, who: String, began: String, further: bool },
    /// Only the journal says that a rollback is unfinished, which would be started without a confirmation.
    #[error(
        "the journal says that {who} started a rollback of {}/{name} to {to} at {began}, but the cluster shows no sign of it; \
         anybody who may write ConfigMaps can write the journal",
        kind.singular()
    )]
    UntracedRollback { kind: Kind, name: String, to: String, who: String, began: String },
    /// Only the journal says that more updates follow, which would be started without a confirmation.
    #[error(
        "the journal says that more updates of {}/{name} should follow, up to {to}; --yes alone does not start them",
        kind.singular()
    )]
    MayFollow { kind: Kind, name: String, to: String },
    /// Only the journal says that the update is to be finished, which would be started without a confirmation.
    #[error(
        "the journal says that the update of {}/{name} should be finished; --yes alone does not start that",
        kind.singular()
    )]
    MayFinish { kind: Kind, name: String },
    /// There is no update to roll back any more, since the last one was finished.
    #[error(
        "{}/{name} cannot be rolled back: its update to {version} was finished (run {run}), and an earlier version may not be \
         able to read the result; nothing was changed",
        kind.singular()
    )]
    Finished { kind: Kind, name: String, run: String, version: String },
    #[error(
        "nothing to undo: the journal of {database} has no finish since its last update; nothing was changed"
    )]
    NothingFinished { database: String },
    /// The database was not healthy throughout `--soak`.
    #[error(
        "the update is not finished, because the database did not stay healthy for {soak} s (--soak): {why}"
    )]
    NotSoaked { soak: u64, why: String },
    /// The database, or what belongs to it, may not be read.
    #[error("{error}")]
    MayNotRead { error: ClusterError, kind: Kind, name: String },
    #[error(
        "the journal of {database} was written by a newer version of kubectl-dbupdate, or is damaged: use that version; \
         inspect it with {show}; if it is damaged, delete it: earlier runs are \
         then unknown and can no longer be rolled back; nothing was changed"
    )]
    LaterJournal { database: String, show: Command },
    /// A question was not answered, or declined.
    #[error("declined; nothing was changed")]
    Unanswered,
    #[error("stopped by {0}; nothing was changed")]
    Signalled(Signal),
    #[error("timed out after {seconds} s (--timeout) while {doing}; nothing was changed")]
    TimedOut { seconds: u64, doing: String },
}

impl From<Over> for Error {
    fn from(over: Over) -> Self {
        match over {
            Over::Signalled(signalled) => signalled.into(),
            Over::TimedOut { seconds } => {
                Error::TimedOut { seconds, doing: "reading the cluster".to_owned() }
            }
        }
    }
}

impl From<Signalled> for Error {
    fn from(Signalled(signal): Signalled) -> Self {
        Error::Signalled(signal)
    }
}

impl Error {
    /// Adds the cluster's name to a connection failure: the user may have chosen the wrong cluster.
    pub fn of(self, cluster: &Cluster) -> Self {
        let cluster = cluster.name().to_owned();
        match self {
            Error::Cluster(ClusterError::Transient { refusal, .. }) if refusal.unreachable => {
                Error::Unreachable { cluster, why: refusal.why, check: refusal.check }
            }
            Error::Cluster(error) if error.transient() => Error::Troubled { cluster, error },
            other => other,
        }
    }
}

fn listed(names: &[String]) -> String {
    /// How many names fit on a line or two.
    const SHOWN: usize = 10;
    match names.len() {
        0 => String::new(),
        n if n <= SHOWN => format!("; existing databases: {}", names.join(", ")),
        n => format!("; existing databases: {}, and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}
