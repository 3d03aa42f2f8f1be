//! Changing objects: PUT and PATCH, of the object and of its status.

use serde_json::Value;

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::create::{body_object, create_object};
use super::patch::{Patch, Style};
use super::path::Target;
use super::{read, validate};
use crate::error::{ApiError, Cause};
use crate::object;
use crate::resources::Resource;
use crate::store::{Part, Place};

pub(super) fn replace(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let form = call.form()?;
    let object = body_object(call, target)?;
    let dry_run = call.query.dry_run()?;
    if object::name(&object) != target.name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            object::name(&object),
            target.name
        )));
    }
    let missing = || server.store.get(target.resource.name, &target.namespace, &target.name).is_none();
    if creates_on_update(target.resource) && target.subresource.is_empty() && missing() {
        return create_by_put(server, call, target, object, dry_run);
    }
    let updated = server.store.try_update(place(target), part(target), dry_run, |stored| {
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
    dry_run: bool,
) -> Result<Answer, ApiError> {
    if !object::uid(&object).is_empty() {
        return Err(wrong_uid(target, object::uid(&object), ""));
    }
    object::metadata_mut(&mut object).remove("resourceVersion");
    create_object(server, call, target, object, dry_run)
}

pub(super) fn patch(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let form = call.form()?;
    let dry_run = call.query.dry_run()?;
    let patch = Patch::parse(call, target.resource)?;
    let updated = server.store.try_update(place(target), part(target), dry_run, |stored| {
        let mut document = stored.clone();
        object::map_mut(&mut document).insert("apiVersion".into(), target.api_version().into());
        patch.apply(&mut document)?;
        check_immutable(target, stored, &document)?;
        accept(target, stored, document)
    });
    match (updated, patch.style()) {
        (Err(error), Style::Apply) if error.code == 404 && target.subresource.is_empty() => {
            create_object(server, call, target, patch.into_object(target)?, dry_run)
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
    matches!(resource.name, "leases.coordination.k8s.io" | "events")
}

fn check_immutable(target: &Target, stored: &Value, wanted: &Value) -> Result<(), ApiError> {
    let resource = target.resource;
    if !wanted["metadata"].is_object() {
        return Err(ApiError::bad_request("the patch leaves the object without metadata"));
    }
    if wanted["kind"] != resource.kind || wanted["apiVersion"] != target.api_version() {
        return Err(ApiError::bad_request("the patch changes the object's apiVersion or kind"));
    }
    let changed = ["name", "namespace", "uid", "creationTimestamp"]
        .into_iter()
        .find(|field| stored["metadata"][field] != wanted["metadata"][field]);
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
