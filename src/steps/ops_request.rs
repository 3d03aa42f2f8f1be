//! The method ops-manager: the ops request that is created, and its progress.

use crate::model::{Lookup, OpsRequest, Plan, Purpose, Snapshot, Write, WriteAction};

use super::s1_pause;

/// `spec.type` of a request that updates.
pub const UPDATE_VERSION: &str = "UpdateVersion";

/// The creation of the ops request; `None` if the plan creates none.
pub fn write(plan: &Plan) -> Option<Write> {
    let manifest = plan.ops_request.clone()?;
    let object = manifest.object(plan.kind.facts().ops_plural);
    let action = WriteAction::Create { manifest: Box::new(manifest) };
    Some(Write { purpose: Purpose::Request, object, action })
}

/// The `Paused` condition was written for that ops request: the Ops-manager names it in the message.
pub fn has_paused(message: &str, namespace: &str, name: &str) -> bool {
    let request = format!("{namespace}/{name}");
    message.split_whitespace().any(|word| word == request)
}

/// The pause of an ops request that has ended, or is gone. The webhook that lifts it came with KubeDB v2026.1; before that,
/// a request that failed left its database paused for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftPaused {
    /// What has become of the request, if it still exists: `KafkaOpsRequest up ended: Failed: too slow`.
    pub request: Option<String>,
    /// The JSON patch that removes the condition, if it is still the same.
    pub patch: String,
}

/// The pause that an ops request has left; `None` if one is in progress, or another user or controller has set it.
pub fn left_paused(snapshot: &Snapshot) -> Option<LeftPaused> {
    let Lookup::Found(requests) = &snapshot.ops_requests else { return None };
    let (at, condition) = s1_pause::deciding(&snapshot.database)?;
    let theirs = s1_pause::run_of(condition).is_none() && condition.message.contains("OpsRequest");
    if !theirs || requests.iter().any(|r| !r.ended()) {
        return None;
    }
    let namespace = &snapshot.database.object.namespace;
    let made = |r: &&OpsRequest| has_paused(&condition.message, namespace, &r.name);
    let request = requests.iter().find(made).map(|r| {
        let why = r.why();
        let why = if why.is_empty() { why } else { format!(": {why}") };
        format!("{} {} ended: {}{why}", r.kind, r.name, r.phase)
    });
    Some(LeftPaused { request, patch: s1_pause::lift(at, condition) })
}

/// The state of the plan's ops request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requested<'a> {
    /// It does not exist.
    Absent,
    /// A request has its name, but not the plan's content.
    Foreign(&'a OpsRequest),
    /// It has not ended: the Ops-manager is working on it, or has not picked it up yet.
    InFlight(&'a OpsRequest),
    /// It was successful.
    Successful,
    /// It has ended without success.
    Ended(&'a OpsRequest),
}

/// Finds the plan's ops request.
pub fn requested<'a>(plan: &Plan, snapshot: &'a Snapshot) -> Requested<'a> {
    let Some(manifest) = &plan.ops_request else { return Requested::Absent };
    match snapshot.ops_request(&manifest.metadata.name) {
        None => Requested::Absent,
        Some(r) if r.operation != UPDATE_VERSION || r.target != plan.to.name => Requested::Foreign(r),
        Some(r) if !r.ended() => Requested::InFlight(r),
        Some(r) if r.phase == "Successful" => Requested::Successful,
        Some(r) => Requested::Ended(r),
    }
}
