//! What is stored in a simulated database.

use crate::kubedb::kind::Kind;

/// A topic of a Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Whether it is one of Kafka's own.
    pub internal: bool,
    /// The brokers that have a replica, for each partition. The first one leads if it can.
    pub replicas: Vec<Vec<i32>>,
    /// `min.insync.replicas`.
    pub min_in_sync: i32,
}

impl Topic {
    /// A topic whose replicas are spread over so many brokers.
    pub fn spread(name: &str, partitions: i32, replication: i32, min_in_sync: i32, brokers: i32) -> Self {
        let replicas = |partition: i32| -> Vec<i32> {
            (0..replication.min(brokers)).map(|nth| (partition + nth) % brokers).collect()
        };
        Self {
            name: name.to_owned(),
            internal: name.starts_with("__"),
            replicas: (0..partitions).map(replicas).collect(),
            min_in_sync,
        }
    }
}

/// A keyspace of a Cassandra.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace {
    /// Its name.
    pub name: String,
    /// Its replication options: a class, and the rest in order.
    pub replication: Vec<(String, String)>,
}

impl Keyspace {
    /// One whose replicas a `SimpleStrategy` places.
    pub fn simple(name: &str, factor: usize) -> Self {
        let class = "org.apache.cassandra.locator.SimpleStrategy";
        Self::of(name, class, "replication_factor", factor)
    }

    /// One whose replicas a `NetworkTopologyStrategy` places in the only data centre.
    pub fn networked(name: &str, factor: usize) -> Self {
        Self::of(name, "org.apache.cassandra.locator.NetworkTopologyStrategy", DATA_CENTRE, factor)
    }

    fn of(name: &str, class: &str, key: &str, factor: usize) -> Self {
        let options = [("class", class.to_owned()), (key, factor.to_string())];
        Self {
            name: name.to_owned(),
            replication: options.map(|(key, value)| (key.to_owned(), value)).to_vec(),
        }
    }
}

/// The data centre of every Cassandra.
pub(super) const DATA_CENTRE: &str = "datacenter1";

/// A datasource of a Druid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datasource {
    /// Its name.
    pub name: String,
    /// How many segments it has.
    pub segments: usize,
    /// On how many historicals each of them is to be.
    pub replicas: usize,
}

/// All that is stored in one database. What its kind does not have is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Of a Kafka.
    pub topics: Vec<Topic>,
    /// Of a Cassandra, apart from its own.
    pub keyspaces: Vec<Keyspace>,
    /// Of a Cassandra 5, if its configuration says so.
    pub storage_compatibility_mode: Option<String>,
    /// Of a Druid.
    pub datasources: Vec<Datasource>,
}

impl Contents {
    /// What a database has that somebody uses: data of theirs, and what KubeDB's health checker leaves in it.
    pub(super) fn usual(kind: Kind, size_of: impl Fn(&[&str]) -> usize) -> Self {
        match kind {
            Kind::Kafka => Self { topics: usual_topics(size_of(&["broker", "combined"])), ..Self::default() },
            Kind::Cassandra => {
                let size = size_of(&[]);
                let keyspaces = vec![
                    Keyspace::networked("shop", size.min(3)),
                    Keyspace::simple("kubedb_keyspace", size.min(2)),
                ];
                Self { keyspaces, ..Self::default() }
            }
            Kind::Druid => {
                let replicas = size_of(&["historicals"]).min(2);
                let datasource =
                    |name: &str, segments| Datasource { name: name.to_owned(), segments, replicas };
                let datasources = vec![datasource("wikipedia", 24), datasource("kubedb-datasource", 1)];
                Self { datasources, ..Self::default() }
            }
            Kind::Hazelcast | Kind::ZooKeeper => Self::default(),
        }
    }
}

fn usual_topics(brokers: usize) -> Vec<Topic> {
    let brokers = i32::try_from(brokers.max(1)).unwrap_or(i32::MAX);
    let replication = brokers.min(3);
    let min_in_sync = (replication - 1).max(1);
    vec![
        Topic::spread("__consumer_offsets", 50, replication, min_in_sync, brokers),
        Topic::spread("kafka-health", brokers, 1, 1, brokers),
        Topic::spread("orders", 6, replication, min_in_sync, brokers),
        Topic::spread("payments", 3, replication, min_in_sync, brokers),
    ]
}
