//! Which database and which version, where the command line does not say: chosen on a terminal, or refused with
//! the choices.

use std::collections::BTreeSet;

use tokio::sync::watch;

use super::failure::Failure;
use super::options::UpdateOptions;
use super::pick::{self, Answer};
use super::stop::unless_stopped;
use super::terminal::Terminal;
use crate::catalog::newest_first;
use crate::cluster::{Cluster, ClusterError};
use crate::engine::Stop;
use crate::model::{CatalogVersion, Check, Database, Kind, Plan, Snapshot};
use crate::update::s1_plan::{self, Request};

/// The database that is meant.
///
/// # Errors
///
/// Nobody can be asked, nothing is there to choose from, or the question was declined.
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
        let choices = found.iter().map(|db| db.object.name.clone()).collect();
        return Err(Failure::WhichDatabase { choices });
    }
    let lines = database_lines(&found);
    let prompt = format!("Which database of namespace {namespace}?");
    let chosen = chosen(pick::choose(&prompt, lines, 0, terminal, stop).await)?;
    let database = found.swap_remove(chosen);
    Ok((database.kind, database.object.name))
}

/// The databases of these kinds. A kind that the cluster does not serve has none, as long as it serves another.
async fn databases(
    cluster: &Cluster,
    namespace: &str,
    kinds: &[Kind],
) -> Result<Vec<Database>, ClusterError> {
    let mut found = Vec::new();
    let mut absent = None;
    for kind in kinds {
        match cluster.databases(*kind, namespace).await {
            Ok(databases) => found.extend(databases),
            Err(error) if error.absent() => absent = Some(error),
            Err(error) => return Err(error),
        }
    }
    match absent {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// The names of the databases there are, to help somebody who has mistyped one.
pub async fn names(cluster: &Cluster, namespace: &str, kind: Kind) -> Vec<String> {
    let found = cluster.databases(kind, namespace).await.unwrap_or_default();
    found.into_iter().map(|db| db.object.name).collect()
}

/// The version that is meant.
///
/// # Errors
///
/// Nobody can be asked, the catalog is empty, or the question was declined.
pub async fn version(
    snapshot: &Snapshot,
    options: &UpdateOptions,
    terminal: &Terminal,
    stop: &mut watch::Receiver<Stop>,
) -> Result<String, Failure> {
    if let Some(to) = &options.to {
        return Ok(to.clone());
    }
    let mut choices = version_choices(snapshot, &options.skip);
    if choices.is_empty() {
        // The plan says it with the kind's own words.
        return Ok("latest".to_owned());
    }
    if !terminal.can_pick() {
        let choices = choices.iter().map(VersionChoice::line).collect();
        return Err(Failure::WhichVersion { choices });
    }
    let latest = choices.iter().position(|choice| choice.latest).unwrap_or(0);
    let lines = choices.iter().map(VersionChoice::line).collect();
    let database = &snapshot.database.object;
    let prompt = format!("Which version for {database}, now {}?", snapshot.database.version);
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

fn database_lines(databases: &[Database]) -> Vec<String> {
    let name = |db: &Database| format!("{}/{}", db.kind.singular(), db.object.name);
    let longest = databases.iter().map(|db| name(db).chars().count()).max().unwrap_or(0);
    databases.iter().map(|db| format!("{:longest$}  {:8}  {}", name(db), db.version, db.phase)).collect()
}

/// A version in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct VersionChoice {
    name: String,
    /// It is what `--to latest` means.
    latest: bool,
    /// What is to be known of it, e.g. `current`, `deprecated`, and why it is refused.
    marks: Vec<String>,
}

impl VersionChoice {
    fn line(&self) -> String {
        match self.marks.as_slice() {
            [] => self.name.clone(),
            marks => format!("{:8}  {}", self.name, marks.join(", ")),
        }
    }
}

/// The versions of the catalog, newest first. What the list says of a version is what its plan would say.
fn version_choices(snapshot: &Snapshot, skip: &BTreeSet<Check>) -> Vec<VersionChoice> {
    let plan = |to: &str| {
        let request =
            Request { to: to.to_owned(), skip: skip.clone(), min_ready_seconds: 0, unfinished: None };
        s1_plan::plan(snapshot, &request).ok()
    };
    let latest = plan("latest").map(|plan| plan.to.name);
    let mut versions: Vec<&CatalogVersion> = snapshot.catalog.iter().collect();
    versions.sort_by(|a, b| newest_first(a, b));
    let choice = |version: &CatalogVersion| {
        let mut marks = Vec::new();
        if version.name == snapshot.database.version {
            marks.push("current".to_owned());
        }
        let latest = latest.as_deref() == Some(version.name.as_str());
        if latest {
            marks.push("latest".to_owned());
        }
        if version.deprecated {
            marks.push("deprecated".to_owned());
        }
        if version.end_of_life {
            marks.push("end of life".to_owned());
        }
        marks.extend(plan(&version.name).as_ref().and_then(refusal));
        VersionChoice { name: version.name.clone(), latest, marks }
    };
    versions.into_iter().map(choice).collect()
}

/// Why this version is refused. What is in the way of every version is no mark of one.
fn refusal(plan: &Plan) -> Option<String> {
    let about_the_version = |check: Check| {
        matches!(check, Check::VersionDenied | Check::VersionRule | Check::ShapeChange | Check::Downgrade)
    };
    let finding = plan.refusals().find(|f| about_the_version(f.check))?;
    let why = match finding.check {
        Check::Downgrade => "downgrade".to_owned(),
        Check::VersionDenied if plan.path.len() > 2 => {
            format!("not in one step: {}", plan.path.join(" -> "))
        }
        _ => finding.message.clone(),
    };
    Some(why)
}
