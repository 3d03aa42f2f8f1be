//! The databases whose runs die. They are small: each death is a world of its own.

use simcluster::world::{Database, Strategy};

use crate::common::World;
use crate::common::invariants::Invariants;
use crate::common::wrote::Wrote;
use crate::death;
use crate::picture::Picture;

/// A database before its update, as often as it is needed.
#[derive(Clone, Copy)]
pub struct Scene {
    pub name: &'static str,
    database: fn() -> Database,
}

pub const ZOOKEEPER: Scene = Scene { name: "ZooKeeper", database: || Database::zookeeper("db").replicas(2) };

pub const HAZELCAST: Scene = Scene { name: "Hazelcast", database: || Database::hazelcast("db").replicas(2) };

pub const KAFKA_TOPOLOGY: Scene = Scene {
    name: "Kafka with controllers and brokers",
    database: || Database::kafka_topology("db").controllers(1).brokers(2),
};

pub const KAFKA_COMBINED: Scene = Scene {
    name: "combined Kafka with cruise control",
    database: || Database::kafka_combined("db").replicas(2).cruise_control(),
};

pub const DRUID: Scene =
    Scene { name: "Druid", database: || Database::druid("db").without("routers").without("overlords") };

pub const CASSANDRA: Scene =
    Scene { name: "Cassandra", database: || Database::cassandra_racks("db", &[("r0", 2), ("r1", 1)]) };

pub const ROLLS_BY_ITSELF: Scene = Scene {
    name: "Cassandra with RollingUpdate",
    database: || {
        let racks = Database::cassandra_racks("db", &[("r0", 2), ("r1", 1)]);
        racks.strategy(Strategy::RollingUpdate { partition: 0 })
    },
};

impl Scene {
    pub fn world(self) -> (World, Invariants) {
        let world = World::new((self.database)());
        let invariants = Invariants::watch(&world);
        (world, invariants)
    }

    /// What there is before a run.
    pub async fn before(self) -> Picture {
        let (world, _) = self.world();
        Picture::of(&world).await
    }

    /// What an undisturbed run leaves, and its writes: the number of each, as deaths are counted, and what it was.
    pub async fn undisturbed(self) -> (Picture, Vec<(u64, Wrote)>) {
        let (world, invariants) = self.world();
        let ended = world.update().await;
        ended.done();
        invariants.ended(&ended);
        invariants.hold();
        let requests = world.sim.requests();
        let wrote = (1..).zip(requests.iter().filter(|r| death::is_write(r)));
        let wrote = wrote.filter_map(|(n, r)| Some((n, Wrote::of(r, world.kind.plural())?))).collect();
        (Picture::of(&world).await, wrote)
    }
}

/// A test for each scene.
macro_rules! of_each_kind {
    ($test:path) => {
        $crate::scene::of_each_kind!(@ $test,
            zookeeper ZOOKEEPER, hazelcast HAZELCAST, kafka_with_controllers_and_brokers KAFKA_TOPOLOGY,
            combined_kafka_with_cruise_control KAFKA_COMBINED, druid DRUID, cassandra CASSANDRA,
            workloads_that_roll_by_themselves ROLLS_BY_ITSELF);
    };
    (@ $test:path, $($name:ident $scene:ident),*) => {
        $(#[tokio::test(start_paused = true)]
        async fn $name() {
            $test($crate::scene::$scene).await;
        })*
    };
}
pub(crate) use of_each_kind;
