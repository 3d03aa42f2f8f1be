//! Creating objects.

use serde_json::{Value, json};

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::decode::{Origin, check_type_meta, decode, given_twice};
use super::options::{Verb, WriteOptions};
use super::path::Target;
use super::{read, validate};
use crate::admission;
use crate::error::{ApiError, Cause};
use crate::managers;
use crate::object;
use crate::store::NAMESPACES;

pub(super) fn create(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let options = WriteOptions::read(call, Verb::Create)?;
    let object = body_object(call, target)?;
    create_object(server, call, target, object, &options)
}

/// Creates `object`, which came in the body of a request to `target`.
pub(super) fn create_object(
    server: &Server,
    call: &Call,
    target: &Target,
    mut object: Value,
    options: &WriteOptions,
) -> Result<Answer, ApiError> {
    let form = call.form()?;
    let resource = target.resource;
    if !object::resource_version(&object).is_empty() {
        let message = "resourceVersion should not be set on objects to be created";
        return Err(ApiError::new(500, "", message));
    }
    let twice = given_twice(&call.body);
    let mut warnings = decode(target, &mut object, &twice, options.validation, Origin::Body)?;
    if resource.namespaced {
        check_home(server, target, &object)?;
        object::metadata_mut(&mut object).insert("namespace".into(), json!(target.namespace));
    }
    if resource.status {
        object::map_mut(&mut object).remove("status");
    }
    validate::check(resource, target.version, &object)?;
    warnings.extend(validate::warnings(resource, &object));
    let now = server.store.clock().seconds();
    managers::created(resource, &options.writer(target, &now), &mut object);
    let created = match resource.name {
        "pods" => {
            let rules = server.behaviour.read(|behaviour| behaviour.admission.clone());
            admission::create_pod(&server.store, &rules, &call.caller()?.name, object, options.dry_run)?
        }
        _ => server.store.insert(resource, object, options.dry_run)?,
    };
    Ok(read::written(server, call, target, 201, &created, form)?.warning(warnings))
}

/// The object in the body, which must be of the kind, and at the place, that the path names.
pub(super) fn body_object(call: &Call, target: &Target) -> Result<Value, ApiError> {
    let mut object = call.json()?;
    if object.is_null() && !target.resource.custom {
        object = json!({});
    }
    if !object.is_object() {
        return Err(ApiError::bad_request("the body of the request is not an object"));
    }
    check_type_meta(target.resource, &object)?;
    let (kind, api_version) = (&object["kind"], &object["apiVersion"]);
    let fits = |value: &Value, expected: &str| value.as_str().is_none_or(|value| value == expected);
    if !fits(kind, target.resource.kind) || !fits(api_version, &target.api_version()) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({}, Kind={}) does not match the expected API version ({}, Kind={})",
            text(api_version),
            text(kind),
            target.api_version(),
            target.resource.kind
        )));
    }
    check_namespace(target, &object)?;
    Ok(object)
}

/// An object that names a namespace must name that of the path.
pub(super) fn check_namespace(target: &Target, object: &Value) -> Result<(), ApiError> {
    let namespace = object::namespace(object);
    if !namespace.is_empty() && !target.namespace.is_empty() && namespace != target.namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// What is created needs a namespace, and one that does not end.
fn check_home(server: &Server, target: &Target, object: &Value) -> Result<(), ApiError> {
    let name = &target.namespace;
    let home = server.store.get(NAMESPACES, "", name).ok_or_else(|| ApiError::not_found(NAMESPACES, name))?;
    if !object::is_terminating(&home) {
        return Ok(());
    }
    let (res, object) = (target.resource.name, object::name(object));
    let message = format!(
        "{res} \"{object}\" is forbidden: unable to create new content in namespace {name} because it is being terminated"
    );
    let cause = Cause::field(
        "NamespaceTerminating",
        "metadata.namespace",
        format!("namespace {name} is being terminated"),
    );
    Err(ApiError::new(403, "Forbidden", message).about(res, object).because(&[cause]))
}
