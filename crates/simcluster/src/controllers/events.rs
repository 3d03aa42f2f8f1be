//! Events, as the components of a cluster write them.

use std::time::Duration;

use serde_json::{Value, json};

use super::Context;
use super::agenda::{Place, Work};
use super::index::place_of;
use crate::kubedb::digest;
use crate::object;
use crate::read::{number, text};
use crate::store::{Change, ChangeKind, DeleteOptions};

/// How long an API server keeps an Event by default.
const KEPT: Duration = Duration::from_secs(3600);

/// One thing to tell about an object.
pub(super) struct Note<'a> {
    /// Whether something is wrong.
    pub warning: bool,
    pub reason: &'a str,
    pub message: String,
    /// Who says so, and where it runs.
    pub component: &'a str,
    pub host: &'a str,
    /// The part of the object, such as `spec.containers{kafka}`.
    pub field: String,
}

/// Writes an Event about an object, or counts up the one that says the same.
pub(super) fn write(context: &Context, about: &Value, note: Note) {
    let seed = format!("{}{}{}{}", object::uid(about), note.reason, note.field, note.message);
    let name = format!("{}.{:016x}", object::name(about), digest::hash(seed.as_bytes()));
    let namespace = object::namespace(about);
    let now = context.now();
    let counted = context.store.update("events", namespace, &name, |event| {
        event["count"] = json!(number(event, "/count").unwrap_or_default() + 1);
        event["lastTimestamp"] = json!(now);
    });
    if counted.is_err() {
        // An Event that cannot be written is lost, as for real.
        let _ = context.store.create("events", new(about, &note, &name, &now));
    }
}

fn new(about: &Value, note: &Note, name: &str, now: &str) -> Value {
    let mut involved = json!({
        "apiVersion": about["apiVersion"],
        "kind": about["kind"],
        "namespace": object::namespace(about),
        "name": object::name(about),
        "uid": object::uid(about),
        "resourceVersion": object::resource_version(about),
    });
    if !note.field.is_empty() {
        involved["fieldPath"] = json!(note.field);
    }
    let mut source = json!({ "component": note.component });
    if !note.host.is_empty() {
        source["host"] = json!(note.host);
    }
    json!({
        "metadata": { "name": name, "namespace": object::namespace(about) },
        "involvedObject": involved,
        "reason": note.reason,
        "message": note.message,
        "source": source,
        "type": if note.warning { "Warning" } else { "Normal" },
        "firstTimestamp": now,
        "lastTimestamp": now,
        "eventTime": null,
        "count": 1,
        "reportingComponent": note.component,
        "reportingInstance": note.host,
    })
}

/// Events go after a time; each time that one is repeated keeps it for another while.
pub(super) fn observe(context: &mut Context, change: &Change) {
    if change.kind == ChangeKind::Added {
        context.agenda.after(KEPT, Work::Expire(place_of(change)));
    }
}

/// Removes an Event that has not been repeated for its time.
pub(super) fn expire(context: &mut Context, place: &Place) {
    let Some(event) = context.store.get("events", &place.namespace, &place.name) else { return };
    let last: Option<jiff::Timestamp> = text(&event, "/lastTimestamp").parse().ok();
    let age = last.and_then(|last| Duration::try_from(context.store.now().duration_since(last)).ok());
    match age.and_then(|age| KEPT.checked_sub(age)).filter(|left| !left.is_zero()) {
        Some(left) => context.agenda.after(left, Work::Expire(place.clone())),
        None => drop(context.store.delete("events", &place.namespace, &place.name, DeleteOptions::default())),
    }
}
