//! The management API that a Cassandra node may have on port 8081. It asks for no credentials.

use serde_json::{Value, json};

use super::tables;
use crate::databases::asker::Asked;
use crate::databases::http::{Question, Reply};
use crate::databases::id;
use crate::databases::member::Deed;

pub(in crate::databases) fn answer(asked: &Asked, question: &Question) -> Reply {
    match (question.path.trim_end_matches('/'), question.posts) {
        ("/api/v0/probes/liveness", false) => Reply::text(200, "OK"),
        ("/api/v0/probes/readiness", false) => {
            Reply::text(if asked.view.is_in(&asked.me) { 200 } else { 500 }, "")
        }
        ("/api/v0/metadata/endpoints", false) => Reply::json(&endpoints(asked)),
        ("/api/v1/ops/tables/sstables/upgrade", true) => upgrade(asked),
        ("/api/v0/ops/executor/job", false) => job(asked, question),
        ("/api/v0/ops/node/drain", true) => Reply { deed: Some(Deed::Drain), ..Reply::text(200, "OK") },
        _ => Reply::not_found(),
    }
}

/// The node begins to rewrite its old sstables. The answer names the job.
fn upgrade(asked: &Asked) -> Reply {
    let pod = &asked.me.pod;
    let last = asked.view.rewriting(pod);
    let number = match last {
        Some(rewriting) if !rewriting.has_ended(asked.view.now) => rewriting.number,
        _ => asked.view.rewritings(pod) + 1,
    };
    Reply { deed: Some(Deed::Rewrite), ..Reply::text(202, &job_id(asked, number)) }
}

fn job_id(asked: &Asked, number: u32) -> String {
    id::uuid(&format!("{}/job/{number}", asked.me.uid))
}

/// What has become of a job. The process forgets it when it ends.
fn job(asked: &Asked, question: &Question) -> Reply {
    let wanted = question.query.strip_prefix("job_id=").unwrap_or_default();
    let rewriting = asked.view.rewriting(&asked.me.pod);
    let Some(rewriting) = rewriting.filter(|rewriting| job_id(asked, rewriting.number) == wanted) else {
        return Reply::not_found();
    };
    let status = match rewriting.failure() {
        _ if !rewriting.has_ended(asked.view.now) => "WAITING",
        Some(_) => "ERROR",
        None => "COMPLETED",
    };
    let error = rewriting.failure().filter(|_| status == "ERROR");
    Reply::json(&json!({
        "id": wanted, "type": "upgradeSSTables", "status": status, "submit_time": "1795960715000",
        "end_time": "0", "error": error,
    }))
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
