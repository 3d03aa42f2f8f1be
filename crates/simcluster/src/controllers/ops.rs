//! The ops requests' webhook: when one ends, the pause of its database goes, whoever set it.

use serde_json::Value;

use super::Context;
use super::agenda::{Place, Work};
use super::provisioner::without_pause;
use crate::kubedb::kind::Kind;
use crate::read::text;
use crate::store::Change;

/// The phases that an ops request does not leave.
const FINAL: [&str; 4] = ["Successful", "Failed", "Denied", "Skipped"];

/// Whether a request has ended.
pub(super) fn is_final(request: &Value) -> bool {
    FINAL.contains(&text(request, "/status/phase"))
}

/// Notes an ops request that has ended just now.
pub(super) fn observe(context: &mut Context, change: &Change) {
    let before = change.previous.as_deref().is_some_and(|previous| !is_final(previous));
    let Some(kind) = Kind::of_ops_resource(&change.res) else { return };
    if before && is_final(&change.object) {
        context.soon(Work::LiftPause(Place {
            res: kind.resource().to_owned(),
            namespace: change.namespace.clone(),
            name: text(&change.object, "/spec/databaseRef/name").to_owned(),
        }));
    }
}

/// Removes a database's `Paused`.
pub(super) fn lift_pause(context: &mut Context, place: &Place) {
    // The database may be gone.
    let _ = context.store.update_status(&place.res, &place.namespace, &place.name, |database| {
        let conditions = without_pause(database);
        if conditions.is_array() {
            database["status"]["conditions"] = conditions;
        }
    });
}
