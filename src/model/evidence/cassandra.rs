//! What the nodes of a Cassandra answer in CQL, and what is found on their disks.

use super::Said;

/// The answers of all pods that were asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    pub pods: Vec<Said<Pod>>,
    /// What is on the disks of the nodes, where that was asked.
    pub files: Vec<Said<Files>>,
}

/// What one node says.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    /// `cluster_name` of `system.local`.
    pub cluster: String,
    /// What the node calls itself, a UUID, whatever its address is.
    pub host_id: String,
    /// `release_version` of `system.local`.
    pub version: String,
    /// `schema_version` of `system.local`.
    pub schema: String,
    /// The nodes that it knows, itself included, from `system_views.gossip_info`.
    pub known: Vec<Node>,
    pub reach: Reach,
    /// The operations of streams that are under way, from `system_views.streaming`.
    pub streams: Vec<String>,
    /// What works on sstables, from `system_views.sstable_tasks`.
    pub tasks: Vec<Task>,
    /// From `system_schema.keyspaces`.
    pub keyspaces: Vec<Keyspace>,
}

/// A node as another knows it by gossip. For some seconds after a change of its address, it is known by both.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub host_id: String,
    /// The time of its last start, in seconds since 1970.
    pub generation: i64,
    /// The first word of `status_with_port`, such as `NORMAL`, `LEAVING` or `shutdown`; empty if gossip has not told yet.
    pub status: String,
    pub schema: String,
    pub version: String,
}

/// What came of a read of a whole table at consistency level ALL, which every replica of every range has to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All have answered.
    All,
    /// The node did not try, since by its own view fewer replicas of some range are alive than it needs.
    Alive { alive: u32, needed: u32 },
    /// Some replica that it takes for alive did not answer it, or not in time.
    Silence,
}

/// A task on sstables.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// In Cassandra's words, e.g. `compaction`, `validation`, `upgrade sstables`.
    pub kind: String,
    pub keyspace: String,
    pub table: String,
}

/// A keyspace and how often its data is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Keyspace {
    pub name: String,
    /// The replicas in each datacenter, or in all together. Empty where each node keeps data of its own.
    pub factors: Vec<u32>,
}

/// What one node has on its disks, and what decides about that.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Files {
    /// Its sstables by their formats, in the order of the formats' names. Snapshots and backups are not among them: they stay
    /// as they are.
    pub formats: Vec<Format>,
    /// How much room there is, in bytes, where its directories have the least.
    pub free: u64,
    /// `storage_compatibility_mode`: empty if the node has that setting and nobody has set it, `None` if it has no such setting.
    pub mode: Option<String>,
    /// `sstable.selected_format`, `big` or `bti`; `None` if it has no such setting.
    pub selected: Option<String>,
    /// The management API beside it answers.
    pub managed: bool,
}

/// The sstables of one format.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Format {
    /// The letters with which the names of their files begin, e.g. `nb`; empty for names that are none of an sstable.
    pub letters: String,
    pub files: u64,
    pub bytes: u64,
    /// The table that has the most bytes of them, e.g. `shop.orders`, and how many.
    pub table: String,
    pub largest: u64,
}
