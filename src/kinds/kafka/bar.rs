//! What of the cluster's features keeps it from a version of Kafka.

use crate::model::{Bar, Health};

use super::finish::{METADATA, words};
use super::release;

/// The features that a release knows only from that one on. A node of an older release does not start in a cluster that has one
/// of them in force.
const SINCE: [(&str, (u32, u32)); 6] = [
    ("kraft.version", (3, 9)),
    ("eligible.leader.replicas.version", (4, 0)),
    ("group.version", (4, 0)),
    ("transaction.version", (4, 0)),
    ("share.version", (4, 1)),
    ("streams.version", (4, 2)),
];

/// What keeps the cluster from that version before its features are raised, or at all.
pub(super) fn bar(health: &Health, version: &str) -> Option<Bar> {
    let metadata = health.features.iter().find(|feature| feature.feature == METADATA);
    let Some(metadata) = metadata.map(|feature| feature.level.level) else {
        let lowest = release::lowest(version).filter(|level| *level > 1)?;
        let why = format!(
            "{METADATA} is not known, and {version} does not start below {}",
            words(METADATA, lowest)
        );
        return Some(Bar::Unknown { why });
    };
    let now = words(METADATA, metadata);
    match (release::lowest(version), release::highest(version)) {
        (Some(lowest), _) if metadata < lowest => {
            let lowest = words(METADATA, lowest);
            Some(Bar::Unfinished {
                why: format!("{METADATA} is {now}, and {version} needs at least {lowest}"),
            })
        }
        (_, Some(highest)) if metadata > highest => {
            let highest = words(METADATA, highest);
            Some(Bar::Beyond {
                why: format!("{METADATA} is {now}, and {version} knows none above {highest}"),
            })
        }
        _ => unknown_feature(health, version),
    }
}

/// A feature that is in force and that the version does not know.
fn unknown_feature(health: &Health, version: &str) -> Option<Bar> {
    let mut strange = SINCE.iter().filter(|(_, since)| release::before(version, *since));
    strange.find_map(|(name, (major, minor))| {
        let feature = health.features.iter().find(|f| f.feature == *name && f.level.level > 0)?;
        let level = feature.level.level;
        let why =
            format!("{name} is {level}, which Kafka knows from {major}.{minor} on, and {version} does not");
        Some(Bar::Beyond { why })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::kafka::finish::called;
    use crate::model::Feature;

    fn health(features: &[(&str, i16)]) -> Health {
        let feature = |(name, level): &(&str, i16)| Feature {
            feature: (*name).to_owned(),
            level: called(name, *level),
        };
        Health { features: features.iter().map(feature).collect(), ..Health::default() }
    }

    #[test]
    fn a_version_needs_features_that_it_knows_and_can_start_from() {
        for (features, version, expected) in [
            (&[("metadata.version", 11)][..], "3.9.0", ""),
            (&[("metadata.version", 11)], "4.0.0", ""),
            (&[("metadata.version", 7)], "4.0.0", ""),
            (
                &[("metadata.version", 6)],
                "4.0.0",
                "unfinished: metadata.version is 3.3-IV2 (6), and 4.0.0 needs at least 3.3-IV3 (7)",
            ),
            (&[("metadata.version", 6)], "3.9.0", ""),
            (
                &[("metadata.version", 25)],
                "3.9.0",
                "beyond: metadata.version is 4.0-IV3 (25), and 3.9.0 knows none above 3.9-IV0 (21)",
            ),
            (
                &[("metadata.version", 31)],
                "4.2.0",
                "beyond: metadata.version is 31, and 4.2.0 knows none above 4.2-IV1 (29)",
            ),
            (&[("metadata.version", 31)], "4.9.0", ""),
            (
                &[("metadata.version", 21), ("transaction.version", 2)],
                "3.9.0",
                "beyond: transaction.version is 2, which Kafka knows from 4.0 on, and 3.9.0 does not",
            ),
            (&[("metadata.version", 21), ("transaction.version", 2)], "4.0.0", ""),
            (&[("metadata.version", 21), ("transaction.version", 0)], "3.9.0", ""),
            (
                &[("metadata.version", 20), ("kraft.version", 1)],
                "3.8.1",
                "beyond: kraft.version is 1, which Kafka knows from 3.9 on, and 3.8.1 does not",
            ),
            (&[], "3.9.0", ""),
            (
                &[],
                "4.0.0",
                "unknown: metadata.version is not known, and 4.0.0 does not start below 3.3-IV3 (7)",
            ),
        ] {
            let said = match bar(&health(features), version) {
                None => String::new(),
                Some(Bar::Unfinished { why }) => format!("unfinished: {why}"),
                Some(Bar::Beyond { why }) => format!("beyond: {why}"),
                Some(Bar::Unknown { why }) => format!("unknown: {why}"),
            };
            assert_eq!(said, expected, "{features:?} to {version}");
        }
    }
}
