//! Runs that die at any of their writes.

#[path = "../common/mod.rs"]
mod common;

use common::invariants::Invariants;
use common::*;
use simcluster::world::Database;

#[tokio::test(start_paused = true)]
async fn smoke() {
    for database in [
        Database::zookeeper("db").replicas(2),
        Database::kafka_topology("db").controllers(1).brokers(2).cruise_control(),
        Database::kafka_combined("db").cruise_control(),
        Database::druid("db"),
        Database::hazelcast("db"),
        Database::cassandra_racks("db", &[("r0", 2), ("r1", 1)]),
        Database::cassandra_racks("db", &[("r0", 2), ("r1", 1)])
            .strategy(simcluster::world::Strategy::RollingUpdate { partition: 0 }),
    ] {
        let world = World::new(database);
        let invariants = Invariants::watch(&world);
        let ended = world.update().await;
        ended.done();
        invariants.ended(&ended);
        invariants.hold();
        println!("{:?} {}", world.kind, world.sim.requests().iter().filter(|r| r.is_mutating()).count());
    }
}
