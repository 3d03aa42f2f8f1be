//! `kubectl dbupdate status` and `history`. Both are read-only.

use tokio::sync::watch;

use super::exit_code::ExitCode;
use super::failure::Failure;
use super::look_args::ListOutput;
use super::options::{LookOptions, Target};
use super::stop::{self, connect, unless_stopped};
use super::terminal::Terminal;
use super::{identity, select, stream};
use crate::cluster::{Cluster, ClusterError, Found};
use crate::engine::Stop;
use crate::model::{Kind, Lookup};
use crate::report::object::Format;
use crate::report::{self, View};
use crate::sandbox::{self, Sandbox};
use crate::situation::{self, RunStatus, Seen, Status};

/// Shows the state of one or more databases.
pub async fn status(options: LookOptions, terminal: Terminal) -> ExitCode {
    ended(Look::begin(options, terminal).await, async |look| look.status().await).await
}

/// Lists the runs of one database.
pub async fn history(options: LookOptions, terminal: Terminal) -> ExitCode {
    ended(Look::begin(options, terminal).await, async |look| look.history().await).await
}

/// Runs a read-only command and reports its failure, if any.
pub(super) async fn ended(
    look: Result<Look, Failure>,
    show: impl AsyncFnOnce(&mut Look) -> Result<ExitCode, Failure>,
) -> ExitCode {
    let shown = match look {
        Ok(mut look) => match show(&mut look).await {
            Ok(code) => return code,
            Err(failure) => failure.of(&look.cluster),
        },
        Err(failure) => failure,
    };
    stream::complain(&shown);
    shown.exit_code()
}

/// One invocation of a read-only command.
pub(super) struct Look {
    pub options: LookOptions,
    terminal: Terminal,
    pub cluster: Cluster,
    /// The simulated cluster lives for as long as this.
    _sandbox: Option<Sandbox>,
    pub stop: watch::Receiver<Stop>,
}

impl Look {
    pub async fn begin(options: LookOptions, terminal: Terminal) -> Result<Self, Failure> {
        let mut stop = stop::listen().map_err(Failure::Signals)?;
        let (cluster, sandbox) = match &options.target {
            Target::Sandbox(faults) => {
                let sandbox = Sandbox::start(faults);
                (Cluster::new(sandbox.client(), sandbox::NAME), Some(sandbox))
            }
            Target::Cluster(connection) => (connect(connection, &mut stop, None).await?, None),
        };
        Ok(Look { options, terminal, cluster, _sandbox: sandbox, stop })
    }

    async fn status(&mut self) -> Result<ExitCode, Failure> {
        let found = self.found().await?;
        let all: Vec<Status> = found.into_iter().map(|found| self.status_of(found)).collect();
        let text = match (&self.options.name, format(self.options.output)) {
            (Some(_), None) => all.iter().map(|one| report::status::one(one, self.view())).collect(),
            (None, None) => report::status::many(&all, self.options.all_namespaces, self.view()),
            (Some(_), Some(format)) => match all.first() {
                Some(one) => report::object::status(one, format)?,
                None => String::new(),
            },
            (None, Some(format)) => report::object::statuses(&all, format)?,
        };
        stream::out(&text);
        if all.is_empty() {
            self.say_none();
        }
        Ok(ExitCode::Done)
    }

    async fn history(&mut self) -> Result<ExitCode, Failure> {
        let found = self.found().await?;
        let Some(found) = found.into_iter().next() else { return Ok(ExitCode::Done) };
        let database = found.snapshot.database.object.clone();
        let seen = seen(found);
        let runs = match &seen.runs {
            Lookup::Found(runs) => runs.as_slice(),
            Lookup::Absent => &[],
            Lookup::Unreadable(why) => return Err(Failure::JournalUnreadable { why: why.clone() }),
        };
        let unfinished = situation::unfinished(&seen).map(|entry| entry.run.run.as_str());
        let runs: Vec<RunStatus> =
            runs.iter().rev().map(|e| RunStatus::of(e, Some(e.run.run.as_str()) == unfinished)).collect();
        let text = match format(self.options.output) {
            None => report::status::history(&runs, self.view()),
            Some(format) => report::object::history(&database, &runs, format)?,
        };
        stream::out(&text);
        if runs.is_empty() {
            stream::err(&format!("no runs recorded for {database}\n"));
        }
        Ok(ExitCode::Done)
    }

    /// The namespace to search; empty means all namespaces.
    pub fn namespace(&self) -> String {
        match (&self.options.namespace, self.options.all_namespaces) {
            (_, true) => String::new(),
            (Some(namespace), false) => namespace.clone(),
            (None, false) => self.cluster.default_namespace(),
        }
    }

    /// The databases that the command line chooses.
    pub async fn found(&mut self) -> Result<Vec<Found>, Failure> {
        let namespace = self.namespace();
        let (cluster, name) = (&self.cluster, self.options.name.clone());
        let labels = self.options.selector.clone();
        let kinds = self.options.kind.map_or(Kind::ALL.to_vec(), |kind| vec![kind]);
        let reading = async {
            let (mut found, mut absent) = (Vec::new(), Vec::new());
            for kind in &kinds {
                match cluster.overview(*kind, &namespace, name.as_deref(), &labels).await {
                    Ok(more) => found.extend(more),
                    Err(ClusterError::ApiAbsent { .. }) => absent.push(*kind),
                    Err(error) => return Err(Failure::from(error)),
                }
            }
            match (absent.as_slice(), &name) {
                ([kind, ..], _) if absent.len() == kinds.len() => Err(Failure::KindAbsent { kind: *kind }),
                ([], Some(name)) if found.is_empty() => Err(Failure::NoSuchDatabase {
                    kind: kinds[0],
                    name: name.clone(),
                    namespace: namespace.clone(),
                    names: select::names(cluster, &namespace, kinds[0]).await,
                }),
                _ => Ok(found),
            }
        };
        unless_stopped(&mut self.stop, reading).await?
    }

    /// Reports that no database was found.
    pub fn say_none(&self) {
        let place = if self.options.all_namespaces { "in any namespace" } else { "in this namespace" };
        let what = self.options.kind.map_or("database", Kind::singular);
        let matching = if self.options.selector.is_empty() { "" } else { " matching the selector" };
        stream::err(&format!("no {what}{matching} found {place}\n"));
    }

    fn status_of(&self, found: Found) -> Status {
        let (kind, database) = (found.snapshot.database.kind, found.snapshot.database.object.clone());
        let namespace = match self.options.all_namespaces {
            true => Some(database.namespace.as_str()),
            false => self.options.namespace.as_deref(),
        };
        let commands = identity::reach(&self.options.target, namespace);
        situation::status(&seen(found), |next| commands.command(&next, kind, &database).to_string())
    }

    pub fn view(&self) -> View {
        View {
            width: self.terminal.width.filter(|_| self.terminal.stdout),
            color: self.options.colors.stdout,
        }
    }
}

fn seen(found: Found) -> Seen {
    let age = |renewed: &str| {
        let renewed: jiff::Timestamp = renewed.parse().ok()?;
        Some(jiff::Timestamp::now().as_second() - renewed.as_second())
    };
    let lock_age = found.snapshot.lock.as_ref().and_then(|lock| age(&lock.renewed));
    Seen {
        snapshot: found.snapshot,
        runs: found.journal.map(|journal| journal.entries),
        lock_age,
        unread: found.unread,
    }
}

/// The format of a printed object; `None` for a table or names.
pub(super) fn format(output: ListOutput) -> Option<Format> {
    match output {
        ListOutput::Table | ListOutput::Name => None,
        ListOutput::Json => Some(Format::Json),
        ListOutput::Yaml => Some(Format::Yaml),
    }
}
