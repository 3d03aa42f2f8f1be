//! Pods that a controller may not create: what it says of that, and when it tries again.

use std::time::Duration;

use serde_json::Value;

use super::Context;
use super::agenda::Work;
use super::events::{self, Note};
use crate::object;
use crate::read::text;

/// The first pause of a controller's work queue after a failure; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause of such a queue.
const LONGEST_PAUSE: Duration = Duration::from_secs(1000);

/// Writes the Event of a pod that could not be created.
pub(super) fn complain(context: &Context, owner: &Value, component: &str, message: String) {
    let note =
        Note { warning: true, reason: "FailedCreate", message, component, host: "", field: String::new() };
    events::write(context, owner, note);
}

/// Whether the placement policy that a PetSet names is missing. Its controller then creates no pod and says nothing.
pub(super) fn lacks_policy(context: &Context, set: &Value) -> bool {
    let name = text(set, "/spec/podPlacementPolicy/name");
    !name.is_empty() && context.store.get("placementpolicies.apps.k8s.appscode.com", "", name).is_none()
}

/// After a pass of a controller: one that has failed is repeated after a pause that grows with each failure.
pub(super) fn again(context: &mut Context, owner: &Value, failed: bool, work: Work) {
    let uid = object::uid(owner);
    if !failed {
        context.failures.remove(uid);
        return;
    }
    let failures = context.failures.entry(uid.to_owned()).or_default();
    let pause = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(*failures)).min(LONGEST_PAUSE);
    *failures += 1;
    context.agenda.after(pause, work);
}
