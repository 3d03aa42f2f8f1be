//! The method ops-manager: the ops request that is created, and its progress.

use crate::model::{OpsRequest, Plan, Purpose, Snapshot, Write, WriteAction};

/// `spec.type` of a request that updates.
pub const UPDATE_VERSION: &str = "UpdateVersion";

/// The creation of the request; `None` where the plan makes none.
pub fn write(plan: &Plan) -> Option<Write> {
    let manifest = plan.ops_request.clone()?;
    let object = manifest.object(plan.kind.facts().ops_plural);
    let action = WriteAction::Create { manifest: Box::new(manifest) };
    Some(Write { purpose: Purpose::Request, object, action })
}

/// The `Paused` condition was written for that request: the Ops-manager names it in the message.
pub fn has_paused(message: &str, namespace: &str, name: &str) -> bool {
    let request = format!("{namespace}/{name}");
    message.split_whitespace().any(|word| word == request)
}

/// How far a plan's request has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requested<'a> {
    /// It is not there.
    Absent,
    /// It has that name, and is none of this plan's.
    Foreign(&'a OpsRequest),
    /// The Ops-manager is at it, or is to be.
    InFlight(&'a OpsRequest),
    /// It has ended well.
    Successful,
    /// It has ended otherwise.
    Ended(&'a OpsRequest),
}

/// Looks at the plan's request.
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
