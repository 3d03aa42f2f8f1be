//! Deleting one object, or a collection.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::options::{dry_run_cause, refuse};
use super::path::Target;
use super::read::{self, in_scope, selector};
use super::view::View;
use crate::error::{ApiError, Cause};
use crate::object;
use crate::store::{DeleteOptions, Deleted, NAMESPACES};

/// Namespaces that a server keeps.
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];

pub(super) fn delete(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let form = call.form()?;
    let options = options(call)?;
    let resource = target.resource;
    if resource.name == NAMESPACES && IMMORTAL.contains(&target.name.as_str()) {
        let message =
            format!("namespaces \"{}\" is forbidden: this namespace may not be deleted", target.name);
        return Err(ApiError::new(403, "Forbidden", message).about(NAMESPACES, &target.name));
    }
    let deleted = server.store.delete(resource.name, &target.namespace, &target.name, options)?;
    match &deleted {
        Deleted::Gone(object) if !returns_object(resource.name) => {
            Ok(Answer::json(200, &success(target, object)))
        }
        _ => read::written(server, call, target, 200, deleted.object(), form),
    }
}

pub(super) fn delete_collection(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let options = options(call)?;
    let selector = selector(call, target)?;
    let (objects, version) = server.store.list_now(target.resource);
    let wanted = objects.iter().filter(|object| in_scope(target, object) && selector.matches(object));
    let mut items: Vec<Arc<Value>> = Vec::new();
    for object in wanted {
        let (namespace, name) = (object::namespace(object), object::name(object));
        match server.store.delete(target.resource.name, namespace, name, options.clone()) {
            Ok(deleted) => items.push(deleted.object().clone()),
            // Somebody else was faster.
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let api_version = target.api_version();
    let form = call.form()?;
    let view = |object| View::item(object, &api_version, form, target.resource.custom);
    let items: Vec<Value> =
        items.iter().map(|object| serde_json::to_value(view(object)).unwrap_or_default()).collect();
    let kind = format!("{}List", target.resource.kind);
    let metadata = json!({"resourceVersion": version.to_string()});
    let list = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items});
    Ok(Answer::json(200, &list))
}

/// Options from the body, or from the query when there is none.
fn options(call: &Call) -> Result<DeleteOptions, ApiError> {
    let body = match call.optional_json()? {
        Some(body) => {
            check_kind(&body)?;
            body
        }
        None => json!({
            "gracePeriodSeconds": call.query.integer("gracePeriodSeconds")?,
            "propagationPolicy": call.query.get("propagationPolicy"),
            "orphanDependents": call.query.get("orphanDependents").map(|_| call.query.is_set("orphanDependents")),
        }),
    };
    let mut options = parse_options(&body)?;
    options.dry_run |= dry_run(&call.query.all("dryRun").collect::<Vec<_>>())?;
    Ok(options)
}

/// A body that says what it is must be options.
fn check_kind(body: &Value) -> Result<(), ApiError> {
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let (kind, version) = (text("kind"), text("apiVersion"));
    if matches!(kind, "" | "DeleteOptions") {
        return Ok(());
    }
    let message = format!("no kind \"{kind}\" is registered for version \"{version}\"");
    Err(ApiError::bad_request(message))
}

fn dry_run(values: &[&str]) -> Result<bool, ApiError> {
    match dry_run_cause(values) {
        Some(cause) => Err(refuse("DeleteOptions", &[cause])),
        None => Ok(!values.is_empty()),
    }
}

/// `DeleteOptions` as a body, or as a part of an eviction.
pub(super) fn parse_options(body: &Value) -> Result<DeleteOptions, ApiError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let dry_runs = body["dryRun"].as_array().map(Vec::as_slice).unwrap_or_default();
    let dry_runs: Vec<&str> = dry_runs.iter().map(|value| value.as_str().unwrap_or_default()).collect();
    Ok(DeleteOptions {
        // A negative grace counts as one second.
        grace: body["gracePeriodSeconds"].as_i64().map(|grace| u64::try_from(grace).unwrap_or(1)),
        uid: text(&body["preconditions"]["uid"]),
        resource_version: text(&body["preconditions"]["resourceVersion"]),
        finalizer: finalizer(body)?,
        dry_run: dry_run(&dry_runs)?,
    })
}

/// What is to become of the dependents, by either of the two fields that say so.
fn finalizer(body: &Value) -> Result<Option<&'static str>, ApiError> {
    let refused = |reason: &str, message: String| {
        Err(refuse("DeleteOptions", &[Cause::field(reason, "propagationPolicy", message)]))
    };
    let policy = body["propagationPolicy"].as_str();
    match (policy, body["orphanDependents"].as_bool()) {
        (Some(policy), Some(_)) => refused(
            "FieldValueInvalid",
            format!(
                "Invalid value: \"{policy}\": orphanDependents and deletionPropagation cannot be both set"
            ),
        ),
        (Some("Orphan"), None) | (None, Some(true)) => Ok(Some("orphan")),
        (Some("Foreground"), None) => Ok(Some("foregroundDeletion")),
        (Some("Background") | None, _) => Ok(None),
        (Some(other), None) => refused(
            "FieldValueNotSupported",
            format!(
                "Unsupported value: \"{other}\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            ),
        ),
    }
}

/// Kinds whose delete answers with the object even when it is gone.
fn returns_object(res: &str) -> bool {
    matches!(res, "pods" | "services" | "serviceaccounts" | "persistentvolumeclaims")
}

fn success(target: &Target, object: &Value) -> Value {
    let resource = target.resource;
    let mut details = json!({"name": target.name, "kind": resource.plural(), "uid": object::uid(object)});
    if !resource.group().is_empty() {
        details["group"] = json!(resource.group());
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
