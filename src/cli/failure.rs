use std::io;

use super::exit_code::ExitCode;
use crate::cluster::{Cluster, ClusterError, ConnectError};
use crate::engine::Signal;
use crate::model::Kind;
use crate::plan::update::NoTarget;

/// Why a command ended before changing anything.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(
        "cannot reach the cluster {cluster}: {why}; check that it is running and that the address is correct"
    )]
    Unreachable { cluster: String, why: String },
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
    #[error("{database} has no unfinished run; nothing to do")]
    NothingUnfinished { database: String },
    #[error(
        "the journal says that {who} started an update of {database} to {to} at {began}, but the cluster shows no sign of it; \
         anybody who may write ConfigMaps can write the journal. To continue, name the version: {command}"
    )]
    Untraced { database: String, to: String, who: String, began: String, command: String },
    #[error(
        "the journal says that more updates of {database} should follow, up to {to}; --yes alone does not start them. To \
         continue: {command}"
    )]
    MayFollow { database: String, to: String, command: String },
    #[error("cannot read the journal of the database: {why}")]
    JournalUnreadable { why: String },
    #[error("cannot check your permissions: {why}")]
    PermissionsUnknown { why: String },
    #[error("{error}; to list all missing permissions: {command}")]
    MayNotRead { error: ClusterError, command: String },
    #[error(
        "the journal of {database} was written by a newer version of kubectl-dbupdate, or is damaged: use that version; \
         inspect it with kubectl get configmap {journal} -n {namespace} -o yaml; if it is damaged, delete it: earlier runs are \
         then unknown and can no longer be rolled back; nothing was changed"
    )]
    LaterJournal { database: String, journal: String, namespace: String },
    #[error("declined; nothing was changed")]
    Declined,
    #[error("timed out after {seconds} s (--timeout) while waiting for credentials; nothing was changed")]
    TimedOut { seconds: u64 },
    #[error("stopped by {0}; nothing was changed")]
    Signalled(Signal),
}

impl Failure {
    /// Adds the cluster's name to a connection failure: the user may have chosen the wrong cluster.
    pub fn of(self, cluster: &Cluster) -> Self {
        let cluster = cluster.name().to_owned();
        match self {
            Failure::Cluster(ClusterError::Transient { refusal, .. }) if refusal.unreachable => {
                Failure::Unreachable { cluster, why: refusal.why }
            }
            Failure::Cluster(error) if error.transient() => Failure::Troubled { cluster, error },
            other => other,
        }
    }

    /// The exit code of the process.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::WhichDatabase { .. } | Failure::WhichVersion { .. } => ExitCode::Usage,
            Failure::NoSuchDatabase { .. }
            | Failure::NoTarget(_)
            | Failure::LaterJournal { .. }
            | Failure::Untraced { .. }
            | Failure::MayFollow { .. }
            | Failure::Declined => ExitCode::Refused,
            Failure::NothingUnfinished { .. } => ExitCode::Done,
            Failure::TimedOut { .. } => ExitCode::TimedOut,
            Failure::Signalled(signal) => ExitCode::Signal(*signal),
            Failure::Connect(_)
            | Failure::Cluster(_)
            | Failure::Unreachable { .. }
            | Failure::Troubled { .. }
            | Failure::NoDatabases { .. }
            | Failure::KindAbsent { .. }
            | Failure::JournalUnreadable { .. }
            | Failure::PermissionsUnknown { .. }
            | Failure::MayNotRead { .. }
            | Failure::Terminal(_)
            | Failure::Signals(_)
            | Failure::Unprintable(_) => ExitCode::Failed,
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
