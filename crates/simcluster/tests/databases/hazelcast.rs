//! What a Hazelcast member says.

use serde_json::{Value, json};
use simcluster::world::catalog;
use simcluster::{Kind, Trouble};

use super::line::got;
use super::*;

async fn health(sim: &SimCluster, pod: &str) -> Value {
    let (code, body) = got(sim, pod, 5701, "/hazelcast/health").await;
    assert_eq!(code, 200);
    body
}

fn healthy(state: &str, safe: bool, queue: u32, size: u32) -> Value {
    json!({"nodeState": "ACTIVE", "clusterState": state, "clusterSafe": safe, "migrationQueueSize": queue, "clusterSize": size})
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_safe_once_the_last_member_has_its_partitions() {
    let sim = running(Database::hazelcast("hz"));
    assert_eq!(health(&sim, "hz-1").await, healthy("ACTIVE", true, 0, 3));
    delete(&sim, "hz-2");
    assert_eq!(health(&sim, "hz-1").await, healthy("NO_MIGRATION", true, 0, 2));
    ready_again(&sim, "hz-2").await;
    for pod in ["hz-1", "hz-2"] {
        assert_eq!(health(&sim, pod).await, healthy("ACTIVE", false, 12, 3), "{pod}");
    }
    assert_eq!(got(&sim, "hz-1", 5701, "/hazelcast/health/cluster-safe").await.0, 503);
    sleep(SECOND).await;
    assert_eq!(health(&sim, "hz-2").await, healthy("ACTIVE", true, 0, 3));
    assert_eq!(got(&sim, "hz-1", 5701, "/hazelcast/health/cluster-safe").await.0, 200);
}

/// The first of the list is the oldest, and a member that was away is the youngest.
#[tokio::test(start_paused = true)]
async fn members_are_listed_by_age() {
    let sim = running(Database::hazelcast("hz"));
    let addresses = async |sim: &SimCluster| -> Vec<Value> {
        let (_, body) = got(sim, "hz-1", 5701, "/hazelcast/rest/cluster").await;
        let members = body["members"].as_array().expect("a list").iter();
        members.map(|member| json!([member["uuid"], member["localMember"]])).collect()
    };
    let before = addresses(&sim).await;
    assert_eq!(before.iter().map(|member| member[1] == true).collect::<Vec<_>>(), [false, true, false]);
    delete(&sim, "hz-0");
    ready_again(&sim, "hz-0").await;
    sleep(SECOND).await;
    let after = addresses(&sim).await;
    assert_eq!(after.iter().map(|member| member[1] == true).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(before[0][0], after[2][0], "its data has kept its name");
}

#[tokio::test(start_paused = true)]
async fn an_island_looks_well_from_within() {
    let sim = running(Database::hazelcast("hz"));
    sim.databases().trouble(Trouble::Island { pod: "hz-2".into() });
    assert_eq!(health(&sim, "hz-2").await, healthy("ACTIVE", true, 0, 1));
    assert_eq!(health(&sim, "hz-0").await, healthy("NO_MIGRATION", true, 0, 2));
    let (_, body) = got(&sim, "hz-0", 5701, "/hazelcast/rest/management/cluster/version").await;
    assert_eq!(body, json!({"status": "success", "version": "5.5"}));
}

/// The cluster raises its version by itself, some seconds after the last member of an earlier one has gone.
#[tokio::test(start_paused = true)]
async fn the_cluster_version_rises_when_no_member_is_older() {
    let sim = running(Database::hazelcast("hz"));
    let version = async || {
        let (_, body) = got(&sim, "hz-1", 5701, "/hazelcast/rest/management/cluster/version").await;
        body["version"].as_str().map(str::to_owned).expect("a version")
    };
    // The Provisioner writes its image into the template, and restarts nothing.
    let mut newer = catalog::version(Kind::Hazelcast, "5.5.6").expect("the catalog has it");
    newer["metadata"]["name"] = json!("5.6.0");
    newer["spec"]["version"] = json!("5.6.0");
    newer["spec"]["db"]["image"] = json!("docker.io/hazelcast/hazelcast-enterprise:5.6.0");
    sim.store().create(Kind::Hazelcast.version_resource(), newer).expect("a new name");
    let update = |database: &mut Value| database["spec"]["version"] = json!("5.6.0");
    sim.store().update("hazelcasts.kubedb.com", "default", "hz", update).expect("it is there");
    sleep(SECOND * 30).await;
    for pod in ["hz-2", "hz-0", "hz-1"] {
        assert_eq!(version().await, "5.5");
        delete(&sim, pod);
        ready_again(&sim, pod).await;
        sleep(SECOND * 2).await;
    }
    sleep(SECOND * 5).await;
    assert_eq!(version().await, "5.6");
}
