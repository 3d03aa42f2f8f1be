//! What is worth knowing before nodes of a Cassandra are restarted.

use std::collections::BTreeSet;

use crate::kinds::heard::Voice;
use crate::model::evidence::cassandra::{Keyspace, Pod, Task};
use crate::model::{Check, Remark};

use super::ring::Ring;

/// KubeDB's health checker keeps its own data there.
const OF_KUBEDB: &str = "kubedb_keyspace";

/// How many names a remark holds.
const NAMED: usize = 3;

/// The remarks of all pods together.
pub fn of(ring: &Ring<'_>) -> Vec<Remark> {
    let mut found = Vec::new();
    if ring.voices.len() == 1 {
        found.push((Check::OneReplica, "the only node: nobody is served while it restarts".to_owned()));
    } else if let Some(pod) = ring.said().next() {
        found.extend(replication(&pod.keyspaces).into_iter().map(|message| (Check::Replication, message)));
    }
    found.extend(ring.voices.iter().filter_map(moving).map(|message| (Check::DataMoving, message)));
    let versions: BTreeSet<_> = ring.said().map(|pod| pod.version.as_str()).collect();
    if versions.len() > 1 {
        let versions = versions.into_iter().collect::<Vec<_>>().join(" and ");
        found.push((Check::MemberVersions, format!("the nodes run {versions}")));
    }
    found.into_iter().map(|(check, message)| Remark { check, message }).collect()
}

/// Keyspaces of which a quorum, or everything, is away with one node.
fn replication(keyspaces: &[Keyspace]) -> Vec<String> {
    let of_users = |keyspace: &&Keyspace| !keyspace.name.starts_with("system") && keyspace.name != OF_KUBEDB;
    let with = |factor| {
        let few = keyspaces.iter().filter(of_users).filter(|k| k.factors.iter().min() == Some(&factor));
        named(&few.map(|keyspace| keyspace.name.as_str()).collect::<Vec<_>>())
    };
    let one = with(1).map(|names| {
        format!("keyspaces with 1 replica: {names}: the data of a node is unavailable while it restarts")
    });
    let two = with(2).map(|names| {
        format!("keyspaces with 2 replicas: {names}: no quorum for the data of a node while it restarts")
    });
    // Even a connection that is open already is then refused (seen with 4.1.8 and CassandraAuthorizer).
    let auth =
        keyspaces.iter().any(|keyspace| keyspace.name == "system_auth" && keyspace.factors.contains(&1));
    let auth = auth.then(|| {
        "system_auth has 1 replica: users whose role is on a node are refused while it restarts".to_owned()
    });
    [one, two, auth].into_iter().flatten().collect()
}

fn named(names: &[&str]) -> Option<String> {
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => None,
        count if count > NAMED => Some(format!("{shown} and {} more", count - NAMED)),
        _ => Some(shown),
    }
}

/// Streams, and whatever works on sstables besides the compactions that go on all the time.
fn moving(voice: &Voice<'_, Pod>) -> Option<String> {
    let said = voice.said()?;
    let streams = said.streams.iter().map(|operation| format!("stream of {operation}"));
    let tasks = said.tasks.iter().filter(|task| !is_routine(task));
    let tasks = tasks.map(|task| format!("{} of {}.{}", task.kind, task.keyspace, task.table));
    let work: BTreeSet<String> = streams.chain(tasks).collect();
    let work: Vec<_> = work.iter().map(String::as_str).collect();
    named(&work).map(|work| format!("{}: {work}", voice.place.pod))
}

fn is_routine(task: &Task) -> bool {
    let routine = ["compaction", "tombstone compaction", "flush", "write", "index summary redistribution"];
    task.kind.ends_with(" cache save") || routine.contains(&task.kind.as_str())
}
