//! Asks a Hazelcast by its REST pages on the port of the members.

use futures::FutureExt;
use serde::Deserialize;

use crate::model::evidence::hazelcast::{Answers, Peer, Pod};
use crate::model::{Roster, Unasked, brief};

use super::door::Door;
use super::http::{Connections, Pages};

/// The port of the members, which KubeDB has serve REST as well.
const PORT: u16 = 5701;

/// More members than any cluster has.
const MOST_MEMBERS: usize = 1000;

/// The connections to the pods.
#[derive(Default)]
pub struct Asker {
    connections: Connections,
}

impl Asker {
    /// Asks every pod that is Ready.
    pub async fn ask(&mut self, door: &Door, roster: &Roster) -> Answers {
        let ports = roster.ready().map(|place| (place, PORT));
        let pods = self.connections.ask_all(door, ports, |pages| pod(pages).boxed()).await;
        Answers { pods, cluster_version: Vec::new() }
    }

    /// The same, and in which version the members work together.
    pub async fn examine(&mut self, door: &Door, roster: &Roster) -> Answers {
        let answers = self.ask(door, roster).await;
        let ports = roster.ready().map(|place| (place, PORT));
        let told = self.connections.ask_all(door, ports, |pages| cluster_version(pages).boxed()).await;
        Answers { cluster_version: told, ..answers }
    }
}

async fn pod(pages: &mut Pages<'_>) -> Result<Pod, Unasked> {
    // The health of the cluster is read last, so that it is never older than the list of its members.
    let cluster: Cluster = pages.open_json("/hazelcast/rest/cluster").await?;
    let health: State = pages.open_json("/hazelcast/health").await?;
    let peer = |member: Member| Peer {
        uuid: brief(&member.uuid),
        version: brief(&member.member_version),
        local: member.local_member,
        lite: member.lite_member,
    };
    Ok(Pod {
        node_state: brief(&health.node_state),
        cluster_state: brief(&health.cluster_state),
        safe: health.cluster_safe,
        queued: health.migration_queue_size,
        size: health.cluster_size,
        members: cluster.members.into_iter().take(MOST_MEMBERS).map(peer).collect(),
    })
}

async fn cluster_version(pages: &mut Pages<'_>) -> Result<String, Unasked> {
    let told: ClusterVersion = pages.open_json("/hazelcast/rest/management/cluster/version").await?;
    Ok(brief(&told.version))
}

/// `/hazelcast/rest/management/cluster/version`.
#[derive(Deserialize)]
struct ClusterVersion {
    version: String,
}

/// `/hazelcast/health`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    node_state: String,
    cluster_state: String,
    cluster_safe: bool,
    migration_queue_size: u64,
    cluster_size: u64,
}

/// `/hazelcast/rest/cluster`.
#[derive(Deserialize)]
struct Cluster {
    members: Vec<Member>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    uuid: String,
    member_version: String,
    local_member: bool,
    lite_member: bool,
}
