//! `kubectl dbupdate versions`: the versions in the catalog, and which of them a database can be updated to.

use std::collections::BTreeSet;

use super::exit_code::ExitCode;
use super::failure::Failure;
use super::look::{Look, ended};
use super::options::LookOptions;
use super::stream;
use super::terminal::Terminal;
use super::values::{ListOutput, format};
use crate::cluster::ClusterError;
use crate::model::Kind;
use crate::operation::{self, Error, unless_stopped};
use crate::plan::versions::{self, Choice};
use crate::report;

/// Lists the versions of a kind, or those of one database.
pub async fn versions(options: LookOptions, terminal: Terminal) -> ExitCode {
    ended(Look::begin(options, terminal).await, async |look| show(look).await).await
}

async fn show(look: &mut Look) -> Result<ExitCode, Failure> {
    let Some(kind) = look.options.kind else { return Ok(ExitCode::Done) };
    let (cluster, namespace) = (look.cluster().clone(), look.namespace());
    let (database, choices) = match look.options.name.clone() {
        None => {
            let reading = async { cluster.versions(kind).await.map_err(|error| absent(error, kind)) };
            (None, versions::catalog(&unless_stopped(&mut look.stop, reading).await??))
        }
        Some(name) => {
            let reading = operation::snapshot(&cluster, kind, &namespace, &name);
            let snapshot = unless_stopped(&mut look.stop, reading).await??;
            let choices = versions::choices(&snapshot, &BTreeSet::new());
            (Some(snapshot.database.object), choices)
        }
    };
    let text = match (look.options.output, format(look.options.output)) {
        (_, Some(format)) => report::object::versions(kind, database.as_ref(), &choices, format)?,
        (ListOutput::Name, None) => choices.iter().map(|choice| name(kind, choice)).collect(),
        (_, None) => look.table(report::list::versions(&choices, look.view())),
    };
    stream::out(&text);
    if choices.is_empty() {
        stream::err(&format!("the catalog has no versions for {}\n", kind.singular()));
    }
    Ok(ExitCode::Done)
}

fn absent(error: ClusterError, kind: Kind) -> Error {
    match error {
        ClusterError::ApiAbsent { .. } => Error::KindAbsent { kind },
        error => error.into(),
    }
}

/// The version's name as kubectl prints it, and as `--to` accepts it.
fn name(kind: Kind, choice: &Choice) -> String {
    format!("{}.catalog.kubedb.com/{}\n", kind.facts().version_kind.to_ascii_lowercase(), choice.name)
}
