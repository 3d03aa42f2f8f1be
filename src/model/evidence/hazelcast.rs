//! What the pods of a Hazelcast answer.

use super::Said;

/// The answers of all pods that were asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    pub pods: Vec<Said<Pod>>,
    /// The version in which the members work together, e.g. `5.5`, where that was asked:
    /// `/hazelcast/rest/management/cluster/version`.
    pub cluster_version: Vec<Said<String>>,
}

/// What one pod says of itself and of its cluster: `/hazelcast/health` and `/hazelcast/rest/cluster`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pod {
    /// `nodeState`: `ACTIVE`, `PASSIVE` or `SHUT_DOWN`.
    pub node_state: String,
    /// `clusterState`: `ACTIVE`, or what forbids migrations, e.g. `NO_MIGRATION` while a persistent member is away.
    pub cluster_state: String,
    /// `clusterSafe`: every partition has its backups, as all members were asked.
    pub safe: bool,
    /// `migrationQueueSize`: partitions that are still to move.
    pub queued: u64,
    /// `clusterSize`.
    pub size: u64,
    /// In the order in which they joined, so that the oldest comes first.
    pub members: Vec<Peer>,
}

/// A member, as the pod that was asked sees it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Peer {
    pub uuid: String,
    pub version: String,
    /// It is the pod that was asked.
    pub local: bool,
    /// It holds no partitions.
    pub lite: bool,
}

impl Pod {
    /// What the pod says of itself in the list of members.
    pub fn itself(&self) -> Option<&Peer> {
        self.members.iter().find(|member| member.local)
    }
}
