//! Changing objects: PUT and PATCH, of the object and of its status.

use serde_json::Value;

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::create::{body_object, check_namespace, create_object};
use super::options::{Verb, WriteOptions};
use super::patch::{Patch, Style};
use super::path::Target;
use super::{read, validate};
use crate::error::{ApiError, Cause};
use crate::object;
use crate::resources::Resource;
use crate::store::{Part, Place};

pub(super) fn replace(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let form = call.form()?;
    let options = WriteOptions::read(call, Verb::Update)?;
    let object = body_object(call, target)?;
    check_name(target, &object)?;
    let missing = || server.store.get(target.resource.name, &target.namespace, &target.name).is_none();
    if creates_on_update(target.resource) && target.subresource.is_empty() && missing() {
        return create_by_put(server, call, target, object, &options);
    }
    let updated = server.store.try_update(place(target), part(target), options.dry_run, |stored| {
        let uid = object::uid(&object);
        if !uid.is_empty() && uid != object::uid(stored) {
            return Err(wrong_uid(target, uid, object::uid(stored)));
        }
        accept(target, stored, object)
    })?;
    read::written(server, call, target, 200, &updated, form)
}

/// A PUT to where nothing is, for the few kinds that allow it.
fn create_by_put(
    server: &Server,
    call: &Call,
    target: &Target,
    mut object: Value,
    options: &WriteOptions,
) -> Result<Answer, ApiError> {
    if !object::uid(&object).is_empty() {
        return Err(wrong_uid(target, object::uid(&object), ""));
    }
    object::metadata_mut(&mut object).remove("resourceVersion");
    create_object(server, call, target, object, options)
}

pub(super) fn patch(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let form = call.form()?;
    let patch = Patch::parse(call, target.resource)?;
    let verb = if patch.style() == Style::Apply { Verb::Apply } else { Verb::Patch };
    let options = WriteOptions::read(call, verb)?;
    let updated = server.store.try_update(place(target), part(target), options.dry_run, |stored| {
        let mut document = stored.clone();
        object::map_mut(&mut document).insert("apiVersion".into(), target.api_version().into());
        patch.apply(&mut document)?;
        check_immutable(target, stored, &document)?;
        accept(target, stored, document)
    });
    match (updated, patch.style()) {
        (Err(error), Style::Apply) if error.code == 404 && target.subresource.is_empty() => {
            create_object(server, call, target, patch.into_object(target)?, &options)
        }
        (updated, _) => read::written(server, call, target, 200, &updated?, form),
    }
}

/// Makes `wanted` the stored object, if it is based on what is stored and valid.
fn accept(target: &Target, stored: &mut Value, wanted: Value) -> Result<(), ApiError> {
    let resource = target.resource;
    check_version(resource, stored, &wanted)?;
    if part(target) == Part::Main || wanted["status"] != stored["status"] {
        validate::check(resource, &wanted)?;
    }
    if part(target) == Part::Main {
        validate::check_update(resource, stored, &wanted)?;
    }
    *stored = wanted;
    Ok(())
}

/// Optimistic locking: a write that names a version must name the stored one, and some kinds must name one.
fn check_version(resource: &Resource, stored: &Value, wanted: &Value) -> Result<(), ApiError> {
    let name = object::name(stored);
    match object::resource_version(wanted) {
        "" | "0" if updates_unconditionally(resource) => Ok(()),
        "" | "0" => {
            let message = "Invalid value: 0x0: must be specified for an update";
            let cause = Cause::field("FieldValueInvalid", "metadata.resourceVersion", message);
            Err(ApiError::invalid(resource.kind, resource.name, name, &[cause]))
        }
        version if version == object::resource_version(stored) => Ok(()),
        version if version.parse::<u64>().is_err() => {
            let message = format!("strconv.ParseUint: parsing \"{version}\": invalid syntax");
            Err(ApiError::new(500, "", message))
        }
        _ => Err(ApiError::stale(resource.name, name)),
    }
}

/// Kinds whose PUT may leave out the resourceVersion.
fn updates_unconditionally(resource: &Resource) -> bool {
    let conditional = [
        "leases.coordination.k8s.io",
        "poddisruptionbudgets.policy",
        "namespaces",
        "serviceaccounts",
        "customresourcedefinitions.apiextensions.k8s.io",
    ];
    !resource.custom && !conditional.contains(&resource.name)
}

/// Kinds whose PUT creates what is not there.
fn creates_on_update(resource: &Resource) -> bool {
    matches!(resource.name, "leases.coordination.k8s.io" | "events" | "services")
}

/// A patch, and a body, may not name another object than the path does.
pub(super) fn check_name(target: &Target, object: &Value) -> Result<(), ApiError> {
    let (name, wanted) = (object::name(object), &target.name);
    if name.is_empty() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be provided"
        )));
    }
    if name != wanted {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({wanted})"
        )));
    }
    Ok(())
}

/// What a patch may not change. A creationTimestamp that it sets is dropped in silence.
fn check_immutable(target: &Target, stored: &Value, wanted: &Value) -> Result<(), ApiError> {
    let resource = target.resource;
    if wanted["kind"] != resource.kind {
        let kind = wanted["kind"].as_str().unwrap_or_default();
        let message = format!("Invalid value: \"{kind}\": must be {}", resource.kind);
        let cause = Cause::field("FieldValueInvalid", "kind", message);
        return Err(ApiError::invalid(kind, resource.name, &target.name, &[cause]));
    }
    if wanted["apiVersion"] != target.api_version() {
        let version = &wanted["apiVersion"];
        let why = format!("no kind \"{}\" is registered for version {version}", resource.kind);
        return Err(ApiError::bad_patch(&why));
    }
    check_name(target, wanted)?;
    check_namespace(target, wanted)?;
    let changed = ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"].into_iter().find(|field| {
        let wanted = &wanted["metadata"][field];
        // What is left out is not changed: the server sets it again.
        !wanted.is_null() && stored["metadata"][field] != *wanted
    });
    let Some(field) = changed else { return Ok(()) };
    let message = format!("Invalid value: {}: field is immutable", wanted["metadata"][field]);
    let cause = Cause::field("FieldValueInvalid", &format!("metadata.{field}"), message);
    Err(ApiError::invalid(resource.kind, resource.name, &target.name, &[cause]))
}

fn wrong_uid(target: &Target, wanted: &str, found: &str) -> ApiError {
    let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}");
    ApiError::conflict(target.resource.name, &target.name, why)
}

fn place(target: &Target) -> Place<'_> {
    Place { resource: target.resource, namespace: &target.namespace, name: &target.name }
}

fn part(target: &Target) -> Part {
    if target.subresource == "status" { Part::Status } else { Part::Main }
}
