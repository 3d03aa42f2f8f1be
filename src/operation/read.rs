//! Reads a database, with what belongs to it and its journal.

use super::error::Error;
use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterError, Found, Journal};
use crate::journal::Entry;
use crate::model::{Kind, Method, Methods, Snapshot};
use crate::plan::permissions;
use crate::situation::Seen;

/// The database with its environment and its journal.
pub(super) async fn everything(
    cluster: &Cluster,
    kind: Kind,
    namespace: &str,
    name: &str,
    methods: &Methods,
) -> Result<(Snapshot, Journal), Error> {
    // Each future is large, and several operations may run on one stack.
    let snapshot = Box::pin(self::snapshot(cluster, kind, namespace, name));
    let journal = Box::pin(cluster.journal(kind, namespace, name));
    let (snapshot, journal) = tokio::join!(snapshot, journal);
    let (mut snapshot, journal) = (snapshot?, journal?);
    let begun = |e: &Entry| e.unfinished() && e.method() == Method::OpsManager;
    let by_ops_manager = methods.any(Method::OpsManager) || journal.last().is_some_and(begun);
    let needed = permissions::needed(&snapshot, by_ops_manager);
    snapshot.environment = Box::pin(cluster.environment(&snapshot, &needed)).await?;
    let left = |end: jiff::Timestamp| end.as_second() - jiff::Timestamp::now().as_second();
    snapshot.environment.credentials_left = cluster.expires().map(left);
    Ok((snapshot, journal))
}

/// The database and what belongs to it.
///
/// # Errors
///
/// There is no such database or kind, or it cannot be read.
pub async fn snapshot(cluster: &Cluster, kind: Kind, namespace: &str, name: &str) -> Result<Snapshot, Error> {
    match cluster.snapshot(kind, namespace, name).await {
        Ok(snapshot) => Ok(snapshot),
        Err(ClusterError::NotFound { .. }) => Err(Error::NoSuchDatabase {
            kind,
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            names: names(cluster, namespace, kind).await,
        }),
        Err(ClusterError::ApiAbsent { .. }) => Err(Error::KindAbsent { kind }),
        Err(error) => Err(error.into()),
    }
}

/// The databases of these kinds. A kind that the cluster does not serve is skipped, unless it serves none of them.
pub(super) async fn databases(
    cluster: &Cluster,
    namespace: &str,
    kinds: &[Kind],
) -> Result<Vec<Found>, ClusterError> {
    let mut found = Vec::new();
    let mut absent = None;
    for kind in kinds {
        match Box::pin(cluster.overview(*kind, namespace, None, "")).await {
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

/// The names of the existing databases, to help a user who mistyped one.
pub async fn names(cluster: &Cluster, namespace: &str, kind: Kind) -> Vec<String> {
    let found = cluster.databases(kind, namespace).await.unwrap_or_default();
    found.into_iter().map(|db| db.object.name).collect()
}
