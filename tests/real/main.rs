//! Real databases behind the simulated API: a pod's life is given to a process on loopback, and the built binary updates the
//! database while a client writes to it. `.ci/real` fetches the servers and runs this.
#![cfg(target_os = "linux")]

mod certificates;
mod compare;
mod files;
mod finish;
mod fit;
mod lives;
mod load;
#[path = "../programs/mod.rs"]
mod programs;
mod roll;
#[path = "../served/mod.rs"]
mod served;
mod servers;
mod site;
mod tls;

use served::signal;

use crate::compare::{Beside, compare};
use crate::load::Load;
use crate::servers::{
    CASSANDRA, CASSANDRA_BOOTSTRAPS, DRUID, HAZELCAST, KAFKA, KAFKA_EMPTIED, KAFKA_THROTTLED, Server,
    ZOOKEEPER,
};
use crate::site::Site;

/// Whether the servers are there. They are too large to be fetched by a test.
fn there() -> bool {
    if servers::fetched().is_some() {
        return programs::installed("java");
    }
    programs::not_tested("REAL_SERVERS is not set; .ci/real fetches the servers and sets it");
    false
}

/// Starts the database, and updates it under load.
async fn started_and_updated(server: &'static Server) {
    let site = Site::start(server).await;
    let load = Load::start(&site).await;
    update(site, load).await;
}

/// Updates the database under load: nothing that was acknowledged may be lost.
async fn update(site: Site, load: Load) {
    let server = site.server;
    let watch = fit::Watch::start(&site);
    let outcome = site.update(&["--via", server.via, "--health", "require"]).await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.said);
    if let Some(watch) = watch {
        let waits = watch.waits(&site.lives.evictions());
        eprintln!(
            "{}: from the database's being fit for long enough to the eviction: {waits:?}",
            server.kind
        );
    }
    let tally = load.end().await;
    site.lives.end().await;
    eprintln!("{}\n{} in {:?}: {tally:?}", outcome.said, server.kind, outcome.took);
    assert_eq!(tally.lost, 0, "{tally:?}");
    assert!(tally.acknowledged > 100, "{tally:?} is hardly a load");
}

#[tokio::test]
async fn zookeeper_loses_nothing() {
    if there() {
        started_and_updated(&ZOOKEEPER).await;
    }
}

#[tokio::test]
#[ignore = "takes minutes: .ci/real compare"]
async fn zookeeper_compared() {
    if there() {
        compare(&ZOOKEEPER, &[Beside::Nothing, Beside::Hang]).await;
    }
}

#[tokio::test]
#[ignore = "takes minutes: .ci/real compare"]
async fn kafka_compared() {
    if there() {
        compare(&KAFKA, &[Beside::Nothing, Beside::Hang]).await;
        compare(&KAFKA_THROTTLED, &[Beside::Throttle]).await;
    }
}

#[tokio::test]
#[ignore = "takes minutes: .ci/real compare"]
async fn kafka_bootstraps_compared() {
    if there() {
        compare(&KAFKA_EMPTIED, &[Beside::ThrottledBootstrap]).await;
    }
}

#[tokio::test]
async fn hazelcast_loses_nothing() {
    if there() {
        started_and_updated(&HAZELCAST).await;
    }
}

#[tokio::test]
#[ignore = "takes minutes: .ci/real compare"]
async fn hazelcast_compared() {
    if there() {
        compare(&HAZELCAST, &[Beside::Nothing, Beside::Hang]).await;
    }
}

#[tokio::test]
#[ignore = "takes minutes: .ci/real compare"]
async fn cassandra_compared() {
    if there() {
        compare(&CASSANDRA, &[Beside::Nothing, Beside::Hang]).await;
    }
}

#[tokio::test]
#[ignore = "takes minutes: .ci/real compare"]
async fn cassandra_bootstraps_compared() {
    if there() {
        compare(&CASSANDRA_BOOTSTRAPS, &[Beside::Bootstrap]).await;
    }
}

#[tokio::test]
#[ignore = "takes minutes: .ci/real compare"]
async fn druid_compared() {
    if there() {
        compare(&DRUID, &[Beside::Nothing, Beside::Hang]).await;
    }
}
