//! The scale subresource.

use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::patch::Patch;
use super::path::Target;
use crate::error::{ApiError, Cause};
use crate::object;
use crate::store::{Part, Place};

pub(super) fn scale(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    call.form()?;
    let resource = target.resource;
    let place = Place { resource, namespace: &target.namespace, name: &target.name };
    let dry_run = call.query.dry_run()?;
    let stored: Arc<Value> = match call.method {
        Method::PUT => {
            let scale = call.json()?;
            server.store.try_update(place, Part::Main, dry_run, |stored| accept(target, stored, &scale))?
        }
        Method::PATCH => {
            let patch = Patch::parse(call, resource)?;
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
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let message = format!("Invalid value: {replicas}: must be greater than or equal to 0");
        let cause = Cause::field("FieldValueInvalid", "spec.replicas", message);
        return Err(ApiError::invalid("Scale", "scales.autoscaling", name, &[cause]));
    }
    stored["spec"]["replicas"] = json!(replicas);
    Ok(())
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
