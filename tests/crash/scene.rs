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
    /// To that version through the Provisioner.
    rendered_to: Option<&'static str>,
    /// The images are brought to the nodes first.
    pre_pull: bool,
}

const fn scene(name: &'static str, database: fn() -> Database) -> Scene {
    Scene { name, database, rendered_to: None, pre_pull: false }
}

pub const ZOOKEEPER: Scene = scene("ZooKeeper", || Database::zookeeper("db").replicas(2));

pub const PRE_PULLED: Scene =
    Scene { pre_pull: true, ..scene("ZooKeeper with --pre-pull", ZOOKEEPER.database) };

pub const HAZELCAST: Scene = scene("Hazelcast", || Database::hazelcast("db").replicas(2));

pub const KAFKA_TOPOLOGY: Scene =
    scene("Kafka with controllers and brokers", || Database::kafka_topology("db").controllers(1).brokers(2));

pub const KAFKA_COMBINED: Scene = scene("combined Kafka with cruise control", || {
    Database::kafka_combined("db").replicas(2).cruise_control()
});

pub const DRUID: Scene = scene("Druid", || Database::druid("db").without("routers").without("overlords"));

pub const CASSANDRA: Scene = scene("Cassandra", || Database::cassandra_racks("db", &[("r0", 2), ("r1", 1)]));

pub const ROLLS_BY_ITSELF: Scene = scene("Cassandra with RollingUpdate", || {
    let racks = Database::cassandra_racks("db", &[("r0", 2), ("r1", 1)]);
    racks.strategy(Strategy::RollingUpdate { partition: 0 })
});

/// The step for which the templates need another shape.
pub const RENDERED: Scene = Scene {
    rendered_to: Some("4.0.0"),
    ..scene("Kafka through the Provisioner", || {
        Database::kafka_topology("db").version("3.9.0").controllers(1).brokers(2).cruise_control()
    })
};

impl Scene {
    pub fn world(self) -> (World, Invariants) {
        let world = World::new((self.database)()).gated();
        let mut world = match self.rendered_to {
            Some(version) => world.rendered_to(version),
            None => world,
        };
        world.pre_pull = self.pre_pull;
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
            workloads_that_roll_by_themselves ROLLS_BY_ITSELF, templates_that_are_rendered RENDERED,
            images_that_are_pre_pulled PRE_PULLED);
    };
    (@ $test:path, $($name:ident $scene:ident),*) => {
        $(#[tokio::test(start_paused = true)]
        async fn $name() {
            $test($crate::scene::$scene).await;
        })*
    };
}
pub(crate) use of_each_kind;
