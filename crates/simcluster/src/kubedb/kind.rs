//! The five kinds of database, and the names that belong to each.

use serde_json::Value;

use crate::read;

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Apache Kafka.
    Kafka,
    /// Apache Druid.
    Druid,
    /// Apache Cassandra.
    Cassandra,
    /// Hazelcast.
    Hazelcast,
    /// Apache ZooKeeper.
    ZooKeeper,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::Kafka, Kind::Druid, Kind::Cassandra, Kind::Hazelcast, Kind::ZooKeeper];

    /// The kind as objects spell it: `Kafka`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Kafka => "Kafka",
            Kind::Druid => "Druid",
            Kind::Cassandra => "Cassandra",
            Kind::Hazelcast => "Hazelcast",
            Kind::ZooKeeper => "ZooKeeper",
        }
    }

    /// The database resource: `kafkas.kubedb.com`.
    pub fn resource(self) -> &'static str {
        match self {
            Kind::Kafka => "kafkas.kubedb.com",
            Kind::Druid => "druids.kubedb.com",
            Kind::Cassandra => "cassandras.kubedb.com",
            Kind::Hazelcast => "hazelcasts.kubedb.com",
            Kind::ZooKeeper => "zookeepers.kubedb.com",
        }
    }

    /// The catalog's resource: `kafkaversions.catalog.kubedb.com`.
    pub fn version_resource(self) -> &'static str {
        match self {
            Kind::Kafka => "kafkaversions.catalog.kubedb.com",
            Kind::Druid => "druidversions.catalog.kubedb.com",
            Kind::Cassandra => "cassandraversions.catalog.kubedb.com",
            Kind::Hazelcast => "hazelcastversions.catalog.kubedb.com",
            Kind::ZooKeeper => "zookeeperversions.catalog.kubedb.com",
        }
    }

    /// The ops requests' resource: `kafkaopsrequests.ops.kubedb.com`.
    pub fn ops_resource(self) -> &'static str {
        match self {
            Kind::Kafka => "kafkaopsrequests.ops.kubedb.com",
            Kind::Druid => "druidopsrequests.ops.kubedb.com",
            Kind::Cassandra => "cassandraopsrequests.ops.kubedb.com",
            Kind::Hazelcast => "hazelcastopsrequests.ops.kubedb.com",
            Kind::ZooKeeper => "zookeeperopsrequests.ops.kubedb.com",
        }
    }

    /// The kind of a database resource.
    pub(crate) fn of_resource(resource: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.resource() == resource)
    }

    /// The kind of an ops request's resource.
    pub(crate) fn of_ops_resource(resource: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.ops_resource() == resource)
    }

    /// The `apiVersion` in which the database is stored.
    pub(crate) fn api_version(self) -> &'static str {
        if self == Kind::Kafka { "kubedb.com/v1" } else { "kubedb.com/v1alpha2" }
    }

    /// The container of the database itself.
    pub(crate) fn container(self) -> &'static str {
        match self {
            Kind::Kafka => "kafka",
            Kind::Druid => "druid",
            Kind::Cassandra => "cassandra",
            Kind::Hazelcast => "hazelcast",
            Kind::ZooKeeper => "zookeeper",
        }
    }

    /// The init containers that a workload of this version has, in order.
    ///
    /// It depends on the version: Kafka has one from 4.0.0 on, Druid from 26 on.
    pub(crate) fn init_containers(self, version: &Value) -> &'static [&'static str] {
        match self {
            Kind::Kafka if version.pointer("/spec/initContainer/image").is_some() => &["kafka-init"],
            Kind::Kafka => &[],
            Kind::Druid if major(version) >= 26 => &["init-druid"],
            Kind::Druid => &[],
            Kind::Cassandra => &["cassandra-init", "medusa-init"],
            Kind::Hazelcast => &["hazelcast-init"],
            Kind::ZooKeeper => &["zookeeper-init"],
        }
    }

    /// Where the version object names the image of a container; `None` for containers of somebody else.
    pub(crate) fn image_field(self, container: &str) -> Option<&'static str> {
        match (self, container) {
            (_, name) if name == self.container() => Some("/spec/db/image"),
            (Kind::Kafka, "kafka-init")
            | (Kind::Druid, "init-druid")
            | (Kind::Cassandra, "cassandra-init")
            | (Kind::Hazelcast, "hazelcast-init")
            | (Kind::ZooKeeper, "zookeeper-init") => Some("/spec/initContainer/image"),
            (Kind::Kafka, "cruise-control") => Some("/spec/cruiseControl/image"),
            (Kind::Cassandra, "medusa-init") => Some("/spec/medusa/init/image"),
            (Kind::Cassandra, "medusa") => Some("/spec/medusa/image"),
            (Kind::Cassandra, "exporter") => Some("/spec/exporter/image"),
            _ => None,
        }
    }

    /// The port that clients use.
    pub(crate) fn port(self) -> u16 {
        match self {
            Kind::Kafka => 9092,
            Kind::Druid => 8888,
            Kind::Cassandra => 9042,
            Kind::Hazelcast => 5701,
            Kind::ZooKeeper => 2181,
        }
    }
}

fn major(version: &Value) -> u64 {
    let text = read::text(version, "/spec/version");
    text.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default()
}
