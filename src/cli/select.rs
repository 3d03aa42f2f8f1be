//! Which database and which version, if the command line does not say: chosen by the user on a terminal, otherwise an
//! error that lists the choices.

use tokio::sync::watch;

use super::failure::Failure;
use super::options::UpdateOptions;
use super::pick::{self, Answer};
use super::stop::unless_stopped;
use super::terminal::Terminal;
use crate::cluster::{Cluster, ClusterError};
use crate::engine::Stop;
use crate::model::{Kind, Snapshot};
use crate::plan::versions;
use crate::report::list::{database_lines, version_line};
use crate::situation::{self, Listed};

/// The database to update.
///
/// # Errors
///
/// There is no terminal to ask on, there are no databases to choose from, or the user declined.
pub async fn database(
    cluster: &Cluster,
    namespace: &str,
    options: &UpdateOptions,
    terminal: &Terminal,
    stop: &mut watch::Receiver<Stop>,
) -> Result<(Kind, String), Failure> {
    if let (Some(kind), Some(name)) = (options.kind, &options.name) {
        return Ok((kind, name.clone()));
    }
    let kinds = match options.kind {
        Some(kind) => vec![kind],
        None => Kind::ALL.to_vec(),
    };
    let mut found = unless_stopped(stop, databases(cluster, namespace, &kinds)).await??;
    if found.is_empty() {
        return Err(Failure::NoDatabases { kind: options.kind, namespace: namespace.to_owned() });
    }
    if !terminal.can_pick() {
        let choices = found.into_iter().map(|db| db.database.name).collect();
        return Err(Failure::WhichDatabase { choices });
    }
    let prompt = format!("Select a database in namespace {namespace}");
    let chosen = chosen(pick::choose(&prompt, database_lines(&found), 0, terminal, stop).await)?;
    let chosen = found.swap_remove(chosen);
    Ok((chosen.kind, chosen.database.name))
}

/// The databases of these kinds. A kind that the cluster does not serve is skipped, unless it serves none of them.
async fn databases(cluster: &Cluster, namespace: &str, kinds: &[Kind]) -> Result<Vec<Listed>, ClusterError> {
    let mut found = Vec::new();
    let mut absent = None;
    for kind in kinds {
        match cluster.overview(*kind, namespace, None, "").await {
            Ok(databases) => found.extend(databases.iter().map(|found| situation::listed(&found.snapshot))),
            Err(error) if error.absent() => absent = Some(error),
            Err(error) => return Err(error),
        }
    }
    match absent {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// The names of the existing databases, to help a user who mistyped one.
pub async fn names(cluster: &Cluster, namespace: &str, kind: Kind) -> Vec<String> {
    let found = cluster.databases(kind, namespace).await.unwrap_or_default();
    found.into_iter().map(|db| db.object.name).collect()
}

/// The version to update to.
///
/// # Errors
///
/// There is no terminal to ask on, or the user declined.
pub async fn version(
    snapshot: &Snapshot,
    options: &UpdateOptions,
    terminal: &Terminal,
    stop: &mut watch::Receiver<Stop>,
) -> Result<String, Failure> {
    if let Some(to) = &options.to {
        return Ok(to.clone());
    }
    let mut choices = versions::choices(snapshot, &options.skip);
    if choices.is_empty() {
        // The plan then reports that the catalog is empty.
        return Ok("latest".to_owned());
    }
    if !terminal.can_pick() {
        let choices = choices.iter().map(version_line).collect();
        return Err(Failure::WhichVersion { choices });
    }
    let latest = choices.iter().position(|choice| choice.latest).unwrap_or(0);
    let lines = choices.iter().map(version_line).collect();
    let database = &snapshot.database.object;
    let prompt = format!("Select a version for {database} (current: {})", snapshot.database.version);
    let chosen = chosen(pick::choose(&prompt, lines, latest, terminal, stop).await)?;
    Ok(choices.swap_remove(chosen).name)
}

fn chosen(answer: std::io::Result<Answer<usize>>) -> Result<usize, Failure> {
    match answer.map_err(Failure::Terminal)? {
        Answer::Chosen(index) => Ok(index),
        Answer::Declined => Err(Failure::Declined),
        Answer::Signalled(signal) => Err(Failure::Signalled(signal)),
    }
}
