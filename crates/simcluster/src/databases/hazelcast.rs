//! Hazelcast's REST API on the members' port.

use serde_json::{Value, json};

use super::asker::Asked;
use super::http::{Question, Reply};
use super::id;
use super::member::Member;
use super::trouble::{Trouble, means};

/// How many partitions are still to be migrated while some are.
const QUEUE: u32 = 12;

/// What a member knows of its cluster.
struct Sight<'a> {
    members: Vec<&'a Member>,
    safe: bool,
    queue: u32,
    state: &'static str,
}

/// Every member that runs Ready has joined; the partitions of one that is not in yet are still on their way to it.
fn sight(asked: &Asked) -> Sight<'_> {
    let Asked { view, me } = asked;
    let island = |pod: &str| view.any(|trouble| matches!(trouble, Trouble::Island { pod: on } if on == pod));
    if island(&me.pod) || view.is_foreign(&me.pod) {
        return Sight { members: vec![me], safe: true, queue: 0, state: "ACTIVE" };
    }
    let mut members = view.members(&[]);
    members.retain(|member| member.ready.is_some() && !island(&member.pod) && !view.is_foreign(&member.pod));
    members.sort_by_key(|member| (member.joined.map_or(u64::MAX, |joined| joined.place), member.ordinal));
    let migrates = |member: &&Member| {
        let pod = &member.pod;
        view.any(|trouble| matches!(trouble, Trouble::Migrating { pods } if means(pods, pod)))
    };
    let safe = members.iter().all(|member| member.is_in()) && !members.iter().any(migrates);
    // While a member is away, a cluster with persistence on Kubernetes moves nothing.
    let state = if members.len() < view.size() { "NO_MIGRATION" } else { "ACTIVE" };
    Sight { members, safe, queue: if safe { 0 } else { QUEUE }, state }
}

/// The REST API on port 5701.
pub(super) fn rest(asked: &Asked, question: &Question) -> Reply {
    if question.posts {
        return Reply::not_found();
    }
    let path = question.path.trim_end_matches('/');
    if let Some(aspect) = path.strip_prefix("/hazelcast/health") {
        return health(asked, aspect);
    }
    match path {
        "/hazelcast/rest/cluster" => Reply::json(&cluster(asked)),
        "/hazelcast/rest/management/cluster/version" => {
            Reply::json(&json!({ "status": "success", "version": cluster_version(asked) }))
        }
        _ => Reply::not_found(),
    }
}

fn health(asked: &Asked, aspect: &str) -> Reply {
    let sight = sight(asked);
    let size = sight.members.len();
    let flag = |holds: bool| Reply::text(if holds { 200 } else { 503 }, "");
    match aspect {
        "" => Reply::json(&json!({
            "nodeState": "ACTIVE", "clusterState": sight.state, "clusterSafe": sight.safe,
            "migrationQueueSize": sight.queue, "clusterSize": size,
        })),
        "/node-state" => Reply::json(&json!("ACTIVE")),
        "/cluster-state" => Reply::json(&json!(sight.state)),
        "/cluster-safe" => flag(sight.safe),
        "/migration-queue-size" => Reply::json(&json!(sight.queue)),
        "/cluster-size" => Reply::json(&json!(size)),
        "/ready" => flag(true),
        _ => Reply::not_found(),
    }
}

fn cluster(asked: &Asked) -> Value {
    let members: Vec<Value> = sight(asked)
        .members
        .into_iter()
        .map(|member| {
            json!({
                "address": format!("[{}]:5701", member.address),
                "liteMember": false,
                "localMember": member.pod == asked.me.pod,
                "uuid": id::uuid(&format!("{}/{}", asked.view.uid, member.pod)),
                "memberVersion": member.version,
            })
        })
        .collect();
    json!({ "members": members, "connectionCount": 1, "allConnectionCount": members.len() })
}

/// To which version the cluster has risen by itself.
fn cluster_version(asked: &Asked) -> String {
    let (major, minor) = asked.view.membership.common_version(asked.view.now).unwrap_or_default();
    format!("{major}.{minor}")
}
