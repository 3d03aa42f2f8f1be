//! What a user gets to see of a reconcile that fails.

use serde_json::{Value, json};

use crate::controllers::Context;
use crate::controllers::agenda::Place;
use crate::controllers::events::{self, Note};
use crate::object;
use crate::read::{condition_status, set_condition};

/// The condition's type, and the Event's reason.
const FAILED: &str = "ReconcileFailed";

/// Says in the database's conditions and by an Event that it could not be rendered.
pub(super) fn tell(context: &Context, place: &Place, database: &Value, message: String) {
    let now = context.now();
    let condition = json!({
        "type": FAILED, "status": "True", "reason": FAILED, "message": message,
        "observedGeneration": database["metadata"]["generation"],
    });
    // The database may be gone.
    let _ = context.store.update_status(&place.res, &place.namespace, &place.name, |database| {
        let status = object::map_mut(database).entry("status").or_insert_with(|| json!({}));
        set_condition(status, condition, &now);
    });
    let component = "KubeDB Operator";
    let note = Note { warning: true, reason: FAILED, message, component, host: "", field: String::new() };
    events::write(context, database, note);
}

/// Takes the condition back.
pub(super) fn withdraw(context: &Context, place: &Place, database: &Value) {
    if condition_status(database, FAILED).is_empty() {
        return;
    }
    // The database may be gone.
    let _ = context.store.update_status(&place.res, &place.namespace, &place.name, |database| {
        let conditions = database.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
        conditions.into_iter().for_each(|all| all.retain(|condition| condition["type"] != FAILED));
    });
}
