//! The features of a Kafka: what nodes of each release support, and what is in force in a new cluster.

use std::collections::BTreeMap;

pub(super) const METADATA: &str = "metadata.version";

/// The levels of features that are in force.
pub(super) type Levels = BTreeMap<String, i16>;

/// What a node supports of a feature: its name, and the lowest and the highest level.
pub(super) type Support = (&'static str, i16, i16);

/// The first two numbers of a version.
pub(super) fn release(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or_default());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

/// What a node of a version supports.
pub(super) fn supported(version: &str) -> Vec<Support> {
    let release = release(version);
    let mut all = Vec::new();
    if let Some(highest) = metadata_level(release) {
        all.push((METADATA, if release >= (4, 0) { 7 } else { 1 }, highest));
    }
    let later = [
        ((3, 9), ("kraft.version", 0, 1)),
        ((4, 0), ("group.version", 0, 1)),
        ((4, 0), ("transaction.version", 0, 2)),
        ((4, 0), ("eligible.leader.replicas.version", 0, 1)),
        ((4, 1), ("share.version", 0, 1)),
        ((4, 2), ("streams.version", 0, 1)),
    ];
    all.extend(later.into_iter().filter(|(since, _)| release >= *since).map(|(_, support)| support));
    all
}

/// The newest level of `metadata.version` that a release supports (Kafka's `MetadataVersion`).
fn metadata_level(release: (u32, u32)) -> Option<i16> {
    Some(match release {
        (3, 3) => 7,
        (3, 4) => 8,
        (3, 5) => 11,
        (3, 6) => 14,
        (3, 7) => 19,
        (3, 8) => 20,
        (3, 9) => 21,
        (4, 0) => 25,
        (4, 1) => 27,
        (4, 2) => 29,
        (4, 3) => 30,
        _ => return None,
    })
}

/// What is in force in a cluster that was created with a version. Its static quorum of controllers stays one.
pub(super) fn of_a_new_cluster(version: &str) -> Levels {
    let release = release(version);
    let metadata = metadata_level(release).map(|level| (METADATA, level));
    let group = (release >= (4, 0)).then_some(("group.version", 1));
    let transaction = (release >= (4, 0)).then_some(("transaction.version", 2));
    let all = metadata.into_iter().chain(group).chain(transaction);
    all.map(|(name, level)| (name.to_owned(), level)).collect()
}
