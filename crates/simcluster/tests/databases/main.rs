//! The simulated databases: who is in, who leads, what their members answer, under a paused clock.

#[path = "../common/websocket.rs"]
mod websocket;

mod cassandra;
mod commands;
mod druid;
mod hazelcast;
mod kafka;
mod line;
mod members;
mod misanswers;
mod zookeeper;

use std::time::Duration;

use simcluster::world::Database;
use simcluster::{Behaviour, DeleteOptions, SimCluster};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

/// A cluster with this database, which has been up for long.
fn running(database: Database) -> SimCluster {
    let sim = SimCluster::new(Behaviour::default());
    simcluster::world::catalog::install(sim.store());
    database.install(&sim);
    sim.start();
    sim
}

/// Deletes a pod, whose controller makes it again at once.
fn delete(sim: &SimCluster, pod: &str) {
    sim.store().delete("pods", "default", pod, DeleteOptions::default()).expect("it is there");
}

/// Waits until a pod is Ready again.
async fn ready_again(sim: &SimCluster, pod: &str) {
    let mut changes = sim.store().subscribe();
    loop {
        let change = changes.next().await.expect("the store lives");
        let conditions = change.object["status"]["conditions"].as_array().into_iter().flatten();
        let ready = conditions.filter(|c| c["type"] == "Ready").any(|c| c["status"] == "True");
        let new = change
            .previous
            .as_deref()
            .is_some_and(|before| before["metadata"]["uid"] == change.object["metadata"]["uid"]);
        if change.name == pod && new && ready && change.object["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
    }
}

/// Lets everything that is due now happen.
async fn a_moment() {
    sleep(Duration::from_millis(1)).await;
}
