//! Changing objects: PUT and PATCH, of the object and of its status.

use serde_json::Value;

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::create::{body_object, check_namespace, create_object};
use super::decode::{Origin, decode, decode_config, given_twice};
use super::options::{Verb, WriteOptions};
use super::patch::Patch;
use super::path::Target;
use super::{read, validate};
use crate::error::{ApiError, Cause};
use crate::managers::{self, Writer};
use crate::object;
use crate::resources::Resource;
use crate::schema::{self, defaults::complete};
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
    let now = server.store.clock().seconds();
    let twice = given_twice(&call.body);
    let mut warnings = Vec::new();
    let updated = server.store.try_update(place(target), part(target), options.dry_run, |stored| {
        let uid = object::uid(&object);
        if !uid.is_empty() && uid != object::uid(stored) {
            return Err(wrong_uid(target, uid, object::uid(stored)));
        }
        let mut object = object;
        warnings = decode(target, &mut object, &twice, options.validation, Origin::Body)?;
        accept(target, stored, object, &options.writer(target, &now))
    })?;
    Ok(read::written(server, call, target, 200, &updated, form)?.warning(warnings))
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
    let patch = Patch::parse(call, target)?;
    let options = WriteOptions::read(call, patch.verb())?;
    if let Patch::Apply(config) = &patch {
        return apply(server, call, target, config, &options);
    }
    let now = server.store.clock().seconds();
    let mut warnings = Vec::new();
    let updated = server.store.try_update(place(target), part(target), options.dry_run, |stored| {
        let mut document = stored.clone();
        object::map_mut(&mut document).insert("apiVersion".into(), target.api_version().into());
        patch.apply(&mut document)?;
        check_immutable(target, stored, &document)?;
        warnings = decode(target, &mut document, &[], options.validation, Origin::Patch)?;
        accept(target, stored, document, &options.writer(target, &now))
    })?;
    Ok(read::written(server, call, target, 200, &updated, form)?.warning(warnings))
}

/// A server-side apply, which creates what is not there.
fn apply(
    server: &Server,
    call: &Call,
    target: &Target,
    config: &Value,
    options: &WriteOptions,
) -> Result<Answer, ApiError> {
    let form = call.form()?;
    let config = applicable(target, config)?;
    let now = server.store.clock().seconds();
    let writer = options.writer(target, &now);
    let updated = server.store.try_update(place(target), part(target), options.dry_run, |stored| {
        let mut next = managers::applied(target.resource, &writer, stored, &config, options.force)?;
        complete(schema::of(target.resource, target.version), &mut next, target.resource.custom);
        check(target, stored, &mut next)?;
        *stored = next;
        Ok(())
    });
    match updated {
        Err(error) if error.code == 404 && target.subresource.is_empty() => {
            let mut object = config;
            object::metadata_mut(&mut object).remove("resourceVersion");
            create_object(server, call, target, object, options)
        }
        updated => read::written(server, call, target, 200, &updated?, form),
    }
}

/// What an apply gives of the part that it writes, checked for what cannot be applied at all.
fn applicable(target: &Target, config: &Value) -> Result<Value, ApiError> {
    let text = |field: &str| config[field].as_str().unwrap_or_default();
    let (kind, version) = (text("kind"), text("apiVersion"));
    if kind.is_empty() || version.is_empty() {
        let message = format!("invalid object type: {version}/, Kind={kind}");
        return Err(ApiError::bad_request(message));
    }
    check_name(target, config)?;
    check_namespace(target, config)?;
    if !config["metadata"]["managedFields"].is_null() {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let mut config = config.clone();
    decode_config(target, &mut config)?;
    let part = part(target);
    let has_status = target.resource.status;
    object::map_mut(&mut config).retain(|key, _| match key.as_str() {
        "apiVersion" | "kind" | "metadata" => true,
        "status" => part == Part::Status || !has_status,
        _ => part == Part::Main,
    });
    Ok(config)
}

/// Makes `wanted` the stored object, if it is based on what is stored and valid.
fn accept(
    target: &Target,
    stored: &mut Value,
    mut wanted: Value,
    writer: &Writer<'_>,
) -> Result<(), ApiError> {
    check(target, stored, &mut wanted)?;
    managers::updated(target.resource, writer, stored, &mut wanted);
    *stored = wanted;
    Ok(())
}

/// Refuses what is not based on what is stored, or not valid.
fn check(target: &Target, stored: &Value, wanted: &mut Value) -> Result<(), ApiError> {
    let resource = target.resource;
    check_version(resource, stored, wanted)?;
    if part(target) == Part::Status && resource.custom {
        // The status of a custom resource is written alone.
        let managed = wanted["metadata"]["managedFields"].take();
        wanted["metadata"] = stored["metadata"].clone();
        object::put(object::metadata_mut(wanted), "managedFields", Some(managed));
    }
    if part(target) == Part::Main || wanted["status"] != stored["status"] {
        validate::check_update(resource, target.version, stored, wanted)?;
    }
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
    check_name(target, wanted)?;
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
