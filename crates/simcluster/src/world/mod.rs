//! Ready-made worlds: nodes, the catalog, and databases that are already up.

pub mod catalog;
mod database;
mod definitions;
mod install;

use serde_json::{Value, json};

pub use self::database::{Database, PodManagement, Strategy};
use crate::SimCluster;
use crate::controllers::index::BUDGETS;
use crate::controllers::kubelet::status::node_ip;
use crate::controllers::namespaces;
use crate::object;
use crate::store::{NAMESPACES, Store};

/// The second namespace of the sandbox.
pub const ANALYTICS: &str = "analytics";

/// A user of the sandbox who may only read.
pub const VIEWER: &str = "viewer";

/// The nodes that a world has.
pub const NODES: [&str; 3] = ["sandbox-worker-1", "sandbox-worker-2", "sandbox-worker-3"];

/// Puts a namespace into the store, with what a namespace has, unless it is there.
pub(crate) fn install_namespace(store: &Store, name: &str) {
    // It is there, as a rule.
    let _ = store.create(NAMESPACES, json!({ "metadata": { "name": name } }));
    let _ = store.create("serviceaccounts", namespaces::account(name));
}

/// Puts the three nodes into the store, unless they are there.
pub fn install_nodes(store: &Store) {
    for name in NODES {
        // A node that is there already may have been cordoned on purpose.
        let _ = store.create("nodes", node(name, &store.clock().seconds()));
    }
}

fn node(name: &str, now: &str) -> Value {
    let capacity = json!({ "cpu": "8", "memory": "32Gi", "pods": "1000", "ephemeral-storage": "100Gi" });
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        })
    };
    json!({
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
            },
        },
        "spec": {},
        "status": {
            "addresses": [
                { "type": "InternalIP", "address": node_ip(name) },
                { "type": "Hostname", "address": name },
            ],
            "allocatable": capacity,
            "capacity": capacity,
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("Ready", "True", "KubeletReady"),
            ],
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux", "osImage": "Sandbox",
                "kernelVersion": "6.1.0", "containerRuntimeVersion": "containerd://2.0.0", "kubeletVersion": "v1.33.0",
            },
        },
    })
}

/// Makes every budget of the cluster refuse evictions of healthy pods.
pub fn block_budgets(cluster: &SimCluster) {
    let store = cluster.store();
    for budget in store.list(BUDGETS, None) {
        let block = |budget: &mut Value| {
            budget["spec"] = json!({ "maxUnavailable": 0, "selector": budget["spec"]["selector"] })
        };
        // Gone in the meantime is blocked enough.
        let _ = store.update(BUDGETS, object::namespace(&budget), object::name(&budget), block);
    }
}

/// The sandbox: the catalog, one database of each kind in the namespace `default`, and two in [`ANALYTICS`], all of them
/// Ready. It has the licensed Ops-manager, and [`VIEWER`] may only read.
pub fn sandbox(cluster: &SimCluster) {
    cluster.behaviour().change(|behaviour| behaviour.ops_manager.alive = true);
    cluster.access().only_reads(VIEWER);
    catalog::install(cluster.store());
    definitions::install(cluster.store());
    let druid = Database::druid("my-dr").replicas_of("brokers", 2).replicas_of("historicals", 2);
    let databases = [
        Database::kafka_topology("my-kf"),
        druid.replicas_of("middleManagers", 2),
        Database::cassandra_racks("my-cas", &[("r0", 2), ("r1", 2)]),
        Database::hazelcast("my-hz"),
        Database::zookeeper("my-zk"),
        Database::druid("my-dr").namespace(ANALYTICS),
        Database::zookeeper("druid-zk").namespace(ANALYTICS),
    ];
    for database in databases {
        database.install(cluster);
    }
    // It has been up for long: nobody can go back to before.
    cluster.store().compact();
}

/// A large world: one Cassandra, `my-cas`, with `petsets` racks of `pods_per` pods each, and the catalog.
pub fn scale_world(cluster: &SimCluster, petsets: usize, pods_per: usize) {
    catalog::install(cluster.store());
    let names: Vec<String> = (0..petsets).map(|rack| format!("r{rack}")).collect();
    let replicas = i64::try_from(pods_per).unwrap_or(i64::MAX);
    let racks: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), replicas)).collect();
    Database::cassandra_racks("my-cas", &racks).install(cluster);
}
