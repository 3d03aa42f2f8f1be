use std::io;

use super::exit_code::ExitCode;
use crate::cluster::{Cluster, ClusterError, ConnectError};
use crate::engine::Signal;
use crate::model::Kind;
use crate::plan::update::NoTarget;

/// Why a command ended before it changed anything.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("cannot reach the cluster {cluster}: {why}; is it up, and is the address right?")]
    Unreachable { cluster: String, why: String },
    #[error("the cluster {cluster} does not answer as it should: {error}")]
    Troubled { cluster: String, error: ClusterError },
    #[error(transparent)]
    NoTarget(#[from] NoTarget),
    #[error("{} {name:?} does not exist in namespace {namespace}{}", kind.singular(), listed(names))]
    NoSuchDatabase { kind: Kind, name: String, namespace: String, names: Vec<String> },
    #[error("there is no {} in namespace {namespace}; name another with -n", kind.map_or("database", Kind::singular))]
    NoDatabases { kind: Option<Kind>, namespace: String },
    #[error("the cluster does not know the kind {}: is KubeDB installed?", kind.name())]
    KindAbsent { kind: Kind },
    #[error("which database? there are: {}", choices.join(", "))]
    WhichDatabase { choices: Vec<String> },
    #[error("which version? add --to; there are:\n  {}", choices.join("\n  "))]
    WhichVersion { choices: Vec<String> },
    #[error("cannot ask on the terminal; add --yes to go on without")]
    Terminal(#[source] io::Error),
    #[error("cannot listen to signals")]
    Signals(#[source] io::Error),
    #[error("cannot print the plan")]
    Unprintable(#[from] crate::report::object::Unprintable),
    #[error("{database} has no unfinished run; nothing to do")]
    NothingUnfinished { database: String },
    #[error(
        "the journal tells of an update of {database} to {to} that {who} began at {began}, and the cluster shows nothing of it: \
         whoever may write ConfigMaps can have written that. To go on with it, name the version: {command}"
    )]
    Untraced { database: String, to: String, who: String, began: String, command: String },
    #[error(
        "the journal says that further updates of {database} are to follow, to {to}; --yes alone begins none. To go on: {command}"
    )]
    MayFollow { database: String, to: String, command: String },
    #[error("the runs of the database cannot be read: {why}")]
    JournalUnreadable { why: String },
    #[error("what you may do cannot be asked: {why}")]
    PermissionsUnknown { why: String },
    #[error("{error}; {command} tells all that is lacking")]
    MayNotRead { error: ClusterError, command: String },
    #[error(
        "the last run of {database} was written down by a later version of kubectl-dbupdate, or is damaged: use that version; \
         look at it with kubectl get configmap {journal} -n {namespace} -o yaml; where it is damaged, delete it: then nothing \
         is known of the runs before, and a rollback is no longer possible; nothing was changed"
    )]
    LaterJournal { database: String, journal: String, namespace: String },
    #[error("declined; nothing was changed")]
    Declined,
    #[error(
        "the whole run's --timeout of {seconds} s was over before there were credentials; nothing was changed"
    )]
    TimedOut { seconds: u64 },
    #[error("ended by {0}; nothing was changed")]
    Signalled(Signal),
}

impl Failure {
    /// Trouble with the connection names the cluster: it may be the wrong one.
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

    /// What the process ends with.
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
    /// As many as fit on a line or two.
    const SHOWN: usize = 10;
    match names.len() {
        0 => String::new(),
        n if n <= SHOWN => format!("; there are: {}", names.join(", ")),
        n => format!("; there are: {}, and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}
