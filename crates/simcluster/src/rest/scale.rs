//! The scale subresource.

use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::options::{Verb, WriteOptions};
use super::patch::Patch;
use super::path::Target;
use super::update::check_name;
use crate::error::{ApiError, Cause};
use crate::object;
use crate::store::{Part, Place};

pub(super) fn scale(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    call.form()?;
    let resource = target.resource;
    let place = Place { resource, namespace: &target.namespace, name: &target.name };
    let stored: Arc<Value> = match call.method {
        Method::PUT => {
            let dry_run = WriteOptions::read(call, Verb::Update)?.dry_run;
            let scale = call.json()?;
            check_name(target, &scale)?;
            server.store.try_update(place, Part::Main, dry_run, |stored| accept(target, stored, &scale))?
        }
        Method::PATCH => {
            let dry_run = WriteOptions::read(call, Verb::Patch)?.dry_run;
            let patch = Patch::parse(call, target)?;
            server.store.try_update(place, Part::Main, dry_run, |stored| {
                let mut scale = view(target, stored);
                patch.apply(&mut scale)?;
                accept(target, stored, &scale)
            })?
        }
        _ => server
            .store
            .get(resource.name, &target.namespace, &target.name)
            .ok_or_else(|| ApiError::not_found(resource.name, &target.name))?,
    };
    Ok(Answer::json(200, &view(target, &stored)))
}

fn accept(target: &Target, stored: &mut Value, scale: &Value) -> Result<(), ApiError> {
    let name = target.name.as_str();
    let version = object::resource_version(scale);
    if !version.is_empty() && version != object::resource_version(stored) {
        return Err(ApiError::stale(target.resource.name, name));
    }
    let wanted = &scale["spec"]["replicas"];
    if !matches!(wanted, Value::Null | Value::Number(_)) {
        let why = "json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas of type int32";
        return Err(ApiError::bad_patch(why));
    }
    let replicas = wanted.as_i64().unwrap_or(0);
    if replicas < 0 {
        return Err(below_zero(target, replicas));
    }
    stored["spec"]["replicas"] = json!(replicas);
    Ok(())
}

/// A custom resource is refused itself, a built-in kind's scale by its own name.
fn below_zero(target: &Target, replicas: i64) -> ApiError {
    let resource = target.resource;
    let (kind, res, field, why) = match resource.custom {
        true => (resource.kind, resource.name, ".spec.replicas", "should be a non-negative integer"),
        false => ("Scale", "scales.autoscaling", "spec.replicas", "must be greater than or equal to 0"),
    };
    let message = format!("Invalid value: {replicas}: {why}");
    let cause = Cause::field("FieldValueInvalid", field, message);
    ApiError::invalid(kind, res, &target.name, &[cause])
}

fn view(target: &Target, stored: &Value) -> Value {
    let from = &stored["metadata"];
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        metadata[field] = from[field].clone();
    }
    let replicas = stored["spec"]["replicas"].as_i64().unwrap_or(1);
    let mut status = json!({"replicas": stored["status"]["replicas"].as_i64().unwrap_or(0)});
    if !target.resource.custom {
        let labels = stored["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
        let terms: Vec<String> =
            labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
        status["selector"] = json!(terms.join(","));
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": replicas}, "status": status})
}
