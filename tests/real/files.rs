//! Cassandra's files after an update, rewritten by its own nodetool in the pods.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use simcluster::DeleteOptions;
use tokio::time::{sleep, timeout};

use crate::finish::finish;
use crate::load::Load;
use crate::servers::{CASSANDRA, MODE, Seat};
use crate::site::Site;
use crate::there;

/// Longer than a node takes to start.
const START: Duration = Duration::from_secs(300);

/// What a node needs besides until all others know it.
const SETTLE: Duration = Duration::from_secs(10);

/// How many sstables of each format the nodes have, without snapshots.
fn formats(site: &Site) -> BTreeMap<String, usize> {
    let mut formats = BTreeMap::new();
    for seat in &site.seats {
        count(&seat.directory.join("data"), &mut formats);
    }
    formats
}

fn count(directory: &Path, formats: &mut BTreeMap<String, usize>) {
    for entry in std::fs::read_dir(directory).expect("it can be read").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && name != "snapshots" {
            count(&entry.path(), formats);
        } else if name.ends_with("-Data.db") {
            *formats.entry(name[..2].to_owned()).or_default() += 1;
        }
    }
}

/// Restarts a node, and waits until its pod is Ready again.
async fn restart(site: &Site, seat: &Seat) {
    let pod = || site.cluster.store().get("pods", "default", &seat.pod);
    let uid = |pod: &Value| pod["metadata"]["uid"].clone();
    let old = pod().map(|pod| uid(&pod));
    site.cluster.store().delete("pods", "default", &seat.pod, DeleteOptions::default()).expect("it is there");
    let ready = |pod: &Value| {
        let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        conditions.any(|it| it["type"] == "Ready" && it["status"] == "True")
    };
    let back = async {
        while !pod().is_some_and(|pod| Some(uid(&pod)) != old && ready(&pod)) {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(START, back).await.unwrap_or_else(|_| panic!("{}", seat.last_words()));
    sleep(SETTLE).await;
}

#[tokio::test]
async fn cassandra_is_finished_where_files_are_older_than_what_it_writes() {
    if !there() {
        return;
    }
    let site = Site::start(&CASSANDRA).await;
    let load = Load::start(&site).await;
    let updated = site.update(&["--via", "client", "--health", "require", "--finish"]).await;
    assert_eq!(updated.code, Some(0), "{}", updated.said);
    assert_eq!(formats(&site).into_keys().collect::<Vec<_>>(), ["nb"], "5.0 keeps to the format of 4.1");
    let settled = finish(&site, &[]).await;
    assert_eq!(settled.code, Some(0));
    let said = "no files of an older format than nb on any of the 3 nodes";
    assert!(settled.said.contains(said) && settled.said.contains("CASSANDRA_4"), "{}", settled.said);

    for seat in &site.seats {
        seat.write(MODE, "UPGRADING");
        restart(&site, seat).await;
    }
    assert!(formats(&site)["nb"] > 30, "{:?}", formats(&site));
    let planned = finish(&site, &["--dry-run"]).await;
    assert!(planned.said.contains("nb") && planned.said.contains("oa"), "{}", planned.said);
    let finished = finish(&site, &[]).await;
    assert_eq!(finished.code, Some(0), "{}", finished.said);
    assert_eq!(formats(&site).into_keys().collect::<Vec<_>>(), ["oa"]);
    let settled = finish(&site, &[]).await;
    assert_eq!(settled.code, Some(0));
    assert!(settled.said.contains("no files of an older format than oa on any of the 3 nodes"));

    let tally = load.end().await;
    site.lives.end().await;
    eprintln!("{tally:?}");
    assert_eq!(tally.lost, 0, "{tally:?}");
}
