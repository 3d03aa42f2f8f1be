//! What the read-only commands share: connecting, finding the databases, reporting a failure.

use tokio::sync::watch;

use super::connect::{Connected, connect};
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::options::LookOptions;
use super::stop;
use super::stream;
use super::terminal::Terminal;
use crate::cluster::{Cluster, Found, Selection};
use crate::model::{Kind, ObjectRef};
use crate::operation::{self, Stop, unless_stopped};
use crate::report::View;

/// Runs a read-only command and reports its failure, if any.
pub async fn ended(
    look: Result<Look, Failure>,
    show: impl AsyncFnOnce(&mut Look) -> Result<ExitCode, Failure>,
) -> ExitCode {
    let shown = match look {
        Ok(mut look) => match show(&mut look).await {
            Ok(code) => return code,
            Err(failure) => failure.of(look.cluster()),
        },
        Err(failure) => failure,
    };
    stream::complain(&shown);
    shown.exit_code()
}

/// The database's name as kubectl prints it, and as `kubectl dbupdate` accepts it.
pub fn resource_name(kind: Kind, database: &ObjectRef) -> String {
    format!("{}.kubedb.com/{}\n", kind.singular(), database.name)
}

/// One invocation of a read-only command.
pub struct Look {
    pub options: LookOptions,
    terminal: Terminal,
    connected: Connected,
    pub stop: watch::Receiver<Stop>,
}

impl Look {
    pub async fn begin(options: LookOptions, terminal: Terminal) -> Result<Self, Failure> {
        let mut stop = stop::listen().map_err(Failure::Signals)?;
        let connected = connect(&options.target, &mut stop, None).await?;
        Ok(Look { options, terminal, connected, stop })
    }

    /// The cluster to look at.
    pub fn cluster(&self) -> &Cluster {
        &self.connected.cluster
    }

    /// The namespace to search; empty means all namespaces.
    pub fn namespace(&self) -> String {
        match (&self.options.namespace, self.options.all_namespaces) {
            (_, true) => String::new(),
            (Some(namespace), false) => namespace.clone(),
            (None, false) => self.cluster().default_namespace(),
        }
    }

    /// The databases that the command line chooses.
    pub async fn found(&mut self) -> Result<Vec<Found>, Failure> {
        let namespace = self.namespace();
        let kinds = self.options.kind.map_or(Kind::ALL.to_vec(), |kind| vec![kind]);
        let which = Selection {
            kinds: &kinds,
            namespace: &namespace,
            name: self.options.name.as_deref(),
            labels: &self.options.selector,
        };
        let reading = operation::databases(&self.connected.cluster, &which);
        Ok(unless_stopped(&mut self.stop, reading).await??)
    }

    /// Reports that no database was found.
    pub fn say_none(&self) {
        let place = if self.options.all_namespaces { "in any namespace" } else { "in this namespace" };
        let what = self.options.kind.map_or("database", Kind::singular);
        let matching = if self.options.selector.is_empty() { "" } else { " matching the selector" };
        stream::err(&format!("no {what}{matching} found {place}\n"));
    }

    /// A table as it is to be printed.
    pub fn table(&self, table: String) -> String {
        match table.split_once('\n') {
            Some((_, rows)) if !self.options.headers => rows.to_owned(),
            _ => table,
        }
    }

    pub fn view(&self) -> View {
        View {
            width: self.terminal.width.filter(|_| self.terminal.stdout),
            color: self.options.colors.stdout,
        }
    }
}
