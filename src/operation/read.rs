//! Reads a database, with what belongs to it and its journal.

use super::error::Error;
use super::request::{Request, Wish};
use crate::clock::Clock;
use crate::cluster::{Ahead, Cluster, ClusterError, Found, Journal, Overview, Selection};
use crate::journal::Entry;
use crate::model::{Environment, Kind, Lookup, Method, Methods, ObjectRef, Snapshot};
use crate::plan::permissions::{self, Doing};
use crate::situation::Seen;

/// The database with its environment and its journal.
pub(super) async fn everything(
    cluster: &Cluster,
    kind: Kind,
    namespace: &str,
    name: &str,
    methods: &Methods,
    request: &Request,
) -> Result<(Snapshot, Journal), Error> {
    let possible = permissions::possible(kind, name);
    // Each future is large, and several operations may run on one stack.
    let snapshot = Box::pin(self::snapshot(cluster, kind, namespace, name));
    let journal = Box::pin(cluster.journal(kind, namespace, name));
    let environment = Box::pin(cluster.environment(kind, namespace, name, &possible));
    let nodes = async {
        match request.images_of_nodes() {
            true => cluster.images_of_few_nodes().await,
            false => Default::default(),
        }
    };
    let mut beside = Ahead::new(async { tokio::join!(journal, environment, nodes) });
    let mut snapshot = beside.during(snapshot).await?;
    let (journal, environment, nodes) = beside.answer().await;
    let (journal, environment) = (journal?, environment?);
    let needed = permissions::needed(&snapshot, doing(request, methods, &journal));
    let new_pod = permissions::creating_pods();
    let may_create_pods = matches!(&environment.denied, Lookup::Found(denied) if !denied.contains(&new_pod));
    let denied = match needed.iter().all(|permission| possible.contains(permission)) {
        true => environment.denied,
        false => cluster.denied(namespace, &needed).await?,
    };
    let denied = denied.map(|all| all.into_iter().filter(|denied| needed.contains(denied)).collect());
    let left = |end: jiff::Timestamp| end.as_second() - jiff::Timestamp::now().as_second();
    let credentials_left = cluster.expires().map(left);
    let left_pods = left_pods(cluster, &snapshot.database.object, &journal).await?;
    snapshot.environment =
        Environment { denied, credentials_left, may_create_pods, left_pods, nodes, ..environment };
    Ok((snapshot, journal))
}

/// What a run of that request does, as far as the journal tells.
fn doing(request: &Request, methods: &Methods, journal: &Journal) -> Doing {
    let last = journal.last();
    let finishes = |last: &Entry| match last.unfinished() {
        true => last.finishes(),
        false => last.follow().is_none() && last.finish_to_follow().is_some(),
    };
    let begun = |e: &Entry| e.unfinished() && e.method() == Method::OpsManager;
    match request.wish {
        Wish::Finish { .. } => Doing::Finish,
        Wish::Resume { .. } if last.is_some_and(finishes) => Doing::Finish,
        Wish::Update { .. } | Wish::Resume { .. } | Wish::Rollback => {
            let ops_manager = methods.any(Method::OpsManager) || last.is_some_and(begun);
            Doing::Update { ops_manager, pre_pull: request.pre_pull }
        }
    }
}

/// The names of the pods that were to bring images to nodes, if a run of the journal may have left some.
///
/// # Errors
///
/// The pods cannot be read.
pub async fn left_pods(
    cluster: &Cluster,
    database: &ObjectRef,
    journal: &Journal,
) -> Result<Vec<String>, ClusterError> {
    if !journal.entries.iter().any(Entry::may_leave_pods) {
        return Ok(Vec::new());
    }
    let pods = cluster.pull_pods(&database.namespace, &database.uid).await?;
    Ok(pods.into_iter().filter(|pod| !pod.deleting).map(|pod| pod.name).collect())
}

/// The database and what belongs to it.
///
/// # Errors
///
/// There is no such database or kind, or it cannot be read.
pub async fn snapshot(cluster: &Cluster, kind: Kind, namespace: &str, name: &str) -> Result<Snapshot, Error> {
    match cluster.snapshot(kind, namespace, name).await {
        Ok(snapshot) => Ok(snapshot),
        Err(ClusterError::NotFound { .. }) => Err(no_such(cluster, kind, namespace, name).await),
        Err(ClusterError::ApiAbsent { .. }) => Err(Error::KindAbsent { kind }),
        Err(error) => Err(error.into()),
    }
}

/// The selected databases. A kind that the cluster does not serve is skipped, unless it serves none of them.
///
/// # Errors
///
/// It serves none of the kinds, there is no database of that name, or they cannot be read.
pub async fn databases(cluster: &Cluster, which: &Selection<'_>) -> Result<Vec<Found>, Error> {
    let Overview { found, absent } = Box::pin(cluster.overview(which)).await?;
    match (&absent[..], which) {
        ([kind, ..], _) if absent.len() == which.kinds.len() => Err(Error::KindAbsent { kind: *kind }),
        ([], Selection { kinds: [kind, ..], name: Some(name), namespace, .. }) if found.is_empty() => {
            Err(no_such(cluster, *kind, namespace, name).await)
        }
        _ => Ok(found),
    }
}

/// What was read, with the age of the lock by this machine's clock.
pub fn seen(found: Found, clock: &Clock) -> Seen {
    let seconds = |time: &str| time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    let lock_age = found.snapshot.lock.as_ref().and_then(|lock| {
        let (now, renewed) = (seconds(&clock.rfc3339(0))?, seconds(&lock.renewed)?);
        Some(now - renewed)
    });
    Seen {
        snapshot: found.snapshot,
        runs: found.journal.map(|journal| journal.entries),
        lock_age,
        unread: found.unread,
    }
}

/// There is no database of that name; with the names of those that there are, to help a user who mistyped one.
async fn no_such(cluster: &Cluster, kind: Kind, namespace: &str, name: &str) -> Error {
    let others = cluster.databases(kind, namespace).await.unwrap_or_default();
    Error::NoSuchDatabase {
        kind,
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        names: others.into_iter().map(|db| db.object.name).collect(),
    }
}
