//! The management API that a Cassandra node may have on port 8081. It asks for no credentials.

use serde_json::{Value, json};

use super::tables;
use crate::databases::asker::Asked;
use crate::databases::http::{Question, Reply};
use crate::databases::member::Deed;

pub(in crate::databases) fn answer(asked: &Asked, question: &Question) -> Reply {
    match (question.path.trim_end_matches('/'), question.posts) {
        ("/api/v0/probes/liveness", false) => Reply::text(200, "OK"),
        ("/api/v0/probes/readiness", false) => {
            Reply::text(if asked.view.is_in(&asked.me) { 200 } else { 500 }, "")
        }
        ("/api/v0/metadata/endpoints", false) => Reply::json(&endpoints(asked)),
        ("/api/v0/ops/node/drain", true) => Reply { deed: Some(Deed::Drain), ..Reply::text(200, "OK") },
        _ => Reply::not_found(),
    }
}

/// Every node that this one knows, all values as texts.
fn endpoints(asked: &Asked) -> Value {
    let nodes: Vec<Value> = tables::nodes(asked)
        .into_iter()
        .map(|node| {
            let sight = tables::sight(asked, node);
            json!({
                "ENDPOINT_IP": node.address, "IS_LOCAL": (node.pod == asked.me.pod).to_string(),
                "IS_ALIVE": (sight.is_up && sight.is_heard).to_string(), "STATUS": sight.status,
                "DC": sight.data_centre, "RACK": sight.rack, "SCHEMA": sight.schema, "HOST_ID": sight.host_id,
                "RELEASE_VERSION": node.version, "RPC_READY": sight.is_up.to_string(),
            })
        })
        .collect();
    json!({ "entity": nodes })
}
