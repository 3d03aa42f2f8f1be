//! What a delete leads to: gone at once, or a deletion timestamp and a wait.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::NAMESPACES;
use super::state::{Key, State};
use crate::clock::{Clock, format_seconds};
use crate::error::ApiError;
use crate::object;
use crate::resources::Resource;

/// How to delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Seconds that a pod gets to stop; `None` leaves it to the pod's own spec. Other kinds have none.
    pub grace: Option<u64>,
    /// Delete only the object of this uid.
    pub uid: Option<String>,
    /// Delete only the object at this resourceVersion.
    pub resource_version: Option<String>,
    /// A finalizer to leave for the garbage collector: `foregroundDeletion` or `orphan`.
    pub finalizer: Option<&'static str>,
    /// Answer as if it were done, and do nothing.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// Away at once, as a kubelet confirms that a pod has stopped.
    pub fn now() -> Self {
        Self { grace: Some(0), ..Self::default() }
    }
}

/// What came of a delete.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Arc<Value>),
    /// The object stays for its grace period or its finalizers.
    Terminating(Arc<Value>),
}

impl Deleted {
    /// The object, gone or not.
    pub fn object(&self) -> &Arc<Value> {
        match self {
            Self::Gone(object) | Self::Terminating(object) => object,
        }
    }
}

/// Checks uid and resourceVersion against what is stored.
fn check_preconditions(
    resource: &Resource,
    current: &Value,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let differs = |what: &str, wanted: &Option<String>, found: &str, guess: &str| match wanted {
        Some(wanted) if wanted != found => Err(format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). \
             The object might have been {guess}"
        )),
        _ => Ok(()),
    };
    let uid = object::uid(current);
    let version = object::resource_version(current);
    differs("UID", &options.uid, uid, "deleted and then recreated")
        .and_then(|()| differs("ResourceVersion", &options.resource_version, version, "modified"))
        .map_err(|why| {
            // A real server names the kind here, where other conflicts name the resource.
            let kind = match resource.group() {
                "" => resource.kind.to_owned(),
                group => format!("{}.{group}", resource.kind),
            };
            ApiError::conflict(&kind, object::name(current), why)
        })
}

pub(super) fn delete(
    state: &mut State,
    clock: &Clock,
    resource: &'static Resource,
    key: Key,
    options: &DeleteOptions,
) -> Result<Deleted, ApiError> {
    let current =
        state.get(resource, &key).ok_or_else(|| ApiError::not_found(resource.name, &key.1))?.clone();
    check_preconditions(resource, &current, options)?;
    let grace = (resource.name == "pods").then(|| pod_grace(&current, options.grace));
    let mut next = (*current).clone();
    mark(&mut next, clock, grace, options.finalizer);
    if resource.name == NAMESPACES {
        next["status"]["phase"] = json!("Terminating");
    }
    let waits = is_held(resource, &next) || remaining_grace(&next) > 0;
    if options.dry_run {
        let next = Arc::new(next);
        return Ok(if waits { Deleted::Terminating(next) } else { Deleted::Gone(next) });
    }
    if !waits {
        return Ok(Deleted::Gone(state.remove(resource, key, next)));
    }
    if next == *current {
        return Ok(Deleted::Terminating(current));
    }
    bump_generation(resource, &current, &mut next);
    Ok(Deleted::Terminating(state.put(resource, key, next)))
}

/// A deletion that begins counts as a change of what is wanted.
fn bump_generation(resource: &Resource, current: &Value, next: &mut Value) {
    if resource.generation && !object::is_terminating(current) {
        let generation = current["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        object::metadata_mut(next).insert("generation".into(), json!(generation));
    }
}

/// Whether an object that is being deleted has nothing left to wait for after an update.
pub(super) fn is_released(resource: &Resource, current: &Value, next: &Value) -> bool {
    object::is_terminating(current) && !is_held(resource, next) && remaining_grace(current) == 0
}

/// Whether somebody has yet to agree to a deletion: a namespace has a second list of those, in its spec.
fn is_held(resource: &Resource, object: &Value) -> bool {
    let listed = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
    object::has_finalizers(object) || (resource.name == NAMESPACES && listed(&object["spec"]["finalizers"]))
}

fn remaining_grace(object: &Value) -> u64 {
    object["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or(0)
}

/// A pod that nothing runs needs no grace; one that is stopping keeps what it has unless less is asked for.
fn pod_grace(pod: &Value, asked: Option<u64>) -> u64 {
    if object::is_terminating(pod) {
        return asked.unwrap_or(remaining_grace(pod));
    }
    let unscheduled = pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty();
    let finished = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if unscheduled || finished {
        return 0;
    }
    asked.or_else(|| pod["spec"]["terminationGracePeriodSeconds"].as_u64()).unwrap_or(30)
}

/// Sets deletion timestamp and grace. A second delete can only shorten the grace.
fn mark(object: &mut Value, clock: &Clock, grace: Option<u64>, finalizer: Option<&str>) {
    let terminating = object::is_terminating(object);
    let left = remaining_grace(object);
    let grace = grace.unwrap_or(0);
    if terminating && grace >= left {
        return;
    }
    let since = deletion_began(object).unwrap_or_else(|| clock.now());
    let gone_by = since.checked_add(Duration::from_secs(grace)).unwrap_or(since);
    let metadata = object::metadata_mut(object);
    if let Some(finalizer) = finalizer.filter(|_| !terminating)
        && let Some(list) = metadata.entry("finalizers").or_insert_with(|| json!([])).as_array_mut()
    {
        list.push(json!(finalizer));
    }
    metadata.insert("deletionTimestamp".into(), json!(format_seconds(gone_by)));
    metadata.insert("deletionGracePeriodSeconds".into(), json!(grace));
}

/// When an object under deletion was first deleted.
fn deletion_began(object: &Value) -> Option<Timestamp> {
    let gone_by: Timestamp = object::meta(object, "deletionTimestamp").parse().ok()?;
    gone_by.checked_sub(Duration::from_secs(remaining_grace(object))).ok()
}
