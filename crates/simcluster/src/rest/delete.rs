//! Deleting one object, or a collection.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Server;
use super::answer::Answer;
use super::call::{Call, bad_dry_run};
use super::path::Target;
use super::read::{self, in_scope, selector};
use super::view::View;
use crate::error::ApiError;
use crate::object;
use crate::store::{DeleteOptions, Deleted};

pub(super) fn delete(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let form = call.form()?;
    let options = options(call)?;
    let resource = target.resource;
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
    if let Some(body) = call.optional_json()? {
        let mut options = parse_options(&body)?;
        options.dry_run |= call.query.dry_run()?;
        return Ok(options);
    }
    let mut options = DeleteOptions {
        grace: call.query.number("gracePeriodSeconds")?,
        dry_run: call.query.dry_run()?,
        ..DeleteOptions::default()
    };
    options.finalizer = finalizer(call.query.get("propagationPolicy"))?;
    Ok(options)
}

/// `DeleteOptions` as a body, or as a part of an eviction.
pub(super) fn parse_options(body: &Value) -> Result<DeleteOptions, ApiError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let dry_run = match body["dryRun"].as_array().map(Vec::as_slice).unwrap_or_default() {
        [] => false,
        list => match list.iter().find(|entry| *entry != "All") {
            Some(other) => return Err(bad_dry_run(other.as_str().unwrap_or_default())),
            None => true,
        },
    };
    Ok(DeleteOptions {
        // A negative grace counts as one second.
        grace: body["gracePeriodSeconds"].as_i64().map(|grace| u64::try_from(grace).unwrap_or(1)),
        uid: text(&body["preconditions"]["uid"]),
        resource_version: text(&body["preconditions"]["resourceVersion"]),
        finalizer: finalizer(body["propagationPolicy"].as_str())?,
        dry_run,
    })
}

fn finalizer(policy: Option<&str>) -> Result<Option<&'static str>, ApiError> {
    match policy {
        None | Some("Background") => Ok(None),
        Some("Foreground") => Ok(Some("foregroundDeletion")),
        Some("Orphan") => Ok(Some("orphan")),
        Some(other) => {
            let message = format!(
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"{other}\": \
                 supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            );
            Err(ApiError::new(422, "Invalid", message))
        }
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
