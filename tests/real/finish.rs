//! Updates are finished on real databases, and what their own tools say then is compared with what was said.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use crate::load::Load;
use crate::roll::Outcome;
use crate::servers::{HAZELCAST, KAFKA, KAFKA_UNFINISHED, KAFKA_WITH_AN_OLD_BROKER};
use crate::site::{NAME, Site};
use crate::there;

/// The levels that Kafka's own tool shows, without those that are 0.
async fn levels(site: &Site) -> Vec<(String, String)> {
    site.features().await.into_iter().filter(|(_, level)| level != "0").collect()
}

fn owned(levels: &[(&str, &str)]) -> Vec<(String, String)> {
    levels.iter().map(|(feature, level)| ((*feature).to_owned(), (*level).to_owned())).collect()
}

/// Runs `finish` with these flags.
pub async fn finish(site: &Site, flags: &[&str]) -> Outcome {
    let outcome = site
        .run(&[&["finish", site.server.kind, NAME, "--yes", "--progress", "plain"], flags].concat())
        .await;
    eprintln!("{}\nfinish {flags:?} in {:?}: {:?}", outcome.said, outcome.took, outcome.code);
    outcome
}

/// Everything that 4.0 has. `kraft.version` is not in it.
const ALL_OF_4_0: &[(&str, &str)] =
    &[("group.version", "1"), ("metadata.version", "4.0-IV3"), ("transaction.version", "2")];

#[tokio::test]
async fn kafka_is_finished_before_and_after_an_update() {
    if !there() {
        return;
    }
    let site = Site::start(&KAFKA).await;
    site.feature_tool(&["downgrade", "--feature", "metadata.version=19"]).await;
    let old = owned(&[("metadata.version", "3.7-IV4")]);
    assert_eq!(levels(&site).await, old);

    let tried = finish(&site, &["--dry-run=server"]).await;
    assert!(tried.said.contains("3.7-IV4 (19) to 3.9-IV0 (21)"), "{}", tried.said);
    assert_eq!((tried.code, levels(&site).await), (Some(0), old.clone()));

    let finished = owned(&[("metadata.version", "3.9-IV0")]);
    for (flags, expected) in [(&[][..], &finished), (&["--undo"], &old), (&[], &finished), (&[], &finished)] {
        assert_eq!(finish(&site, flags).await.code, Some(0), "{flags:?}");
        assert_eq!(levels(&site).await, *expected, "{flags:?}");
    }

    let load = Load::start(&site).await;
    let updated = site.update(&["--via", site.server.via, "--health", "require", "--finish"]).await;
    let tally = load.end().await;
    assert_eq!((updated.code, tally.lost), (Some(0), 0), "{tally:?}: {}", updated.said);
    assert!(tally.acknowledged > 100, "{tally:?} is hardly a load");
    assert_eq!(levels(&site).await, owned(ALL_OF_4_0), "{}", updated.said);
    let undone = finish(&site, &["--undo"]).await;
    assert_ne!(undone.code, Some(0), "{}", undone.said);
    assert!(undone.said.contains("4.0-IV1 (23) changes the format of the metadata"), "{}", undone.said);
    assert_eq!(levels(&site).await, owned(ALL_OF_4_0), "all or nothing");
    site.lives.end().await;
}

#[tokio::test]
async fn kafka_with_an_old_broker_is_not_finished() {
    if !there() {
        return;
    }
    let site = Site::start(&KAFKA_WITH_AN_OLD_BROKER).await;
    let refused = finish(&site, &[]).await;
    assert_ne!(refused.code, Some(0), "{}", refused.said);
    let why =
        format!("{NAME}-broker-2 supports metadata.version up to 3.9-IV0 (21), and 4.0.0 up to 4.0-IV3 (25)");
    assert!(refused.said.contains(&why), "{}", refused.said);
    assert_eq!(levels(&site).await, owned(&[("metadata.version", "3.9-IV0")]));
    site.lives.end().await;
}

#[tokio::test]
async fn kafka_is_finished_after_a_crash() {
    if !there() {
        return;
    }
    let site = Site::start(&KAFKA_UNFINISHED).await;
    let mut child = site.start_binary(&["finish", "kafka", NAME, "--yes", "--progress", "plain"]);
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let dies = async {
        while let Some(line) = lines.next_line().await.expect("it writes text") {
            eprintln!("{line}");
            if line.contains("metadata.version") && line.contains("done") {
                break;
            }
        }
        child.kill().await.expect("it can be killed");
    };
    timeout(Duration::from_secs(120), dies).await.expect("it begins");
    let crashed = levels(&site).await;
    assert_ne!(crashed, owned(ALL_OF_4_0), "it was too late to be killed");
    assert!(crashed.contains(&("metadata.version".to_owned(), "4.0-IV3".to_owned())), "{crashed:?}");
    assert_eq!(finish(&site, &["--take-over"]).await.code, Some(0));
    assert_eq!(levels(&site).await, owned(ALL_OF_4_0));
    site.lives.end().await;
}

#[tokio::test]
async fn hazelcast_tells_its_cluster_version() {
    if !there() {
        return;
    }
    let site = Site::start(&HAZELCAST).await;
    let settled = finish(&site, &[]).await;
    assert_eq!(settled.code, Some(0), "{}", settled.said);
    assert!(settled.said.contains("the cluster version is 5.3"), "{}", settled.said);
    site.lives.end().await;
}
