//! Creating objects.

use serde_json::{Value, json};

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::options::{Verb, WriteOptions};
use super::path::Target;
use super::{read, validate};
use crate::admission;
use crate::error::{ApiError, Cause};
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
    if resource.namespaced {
        check_home(server, target, &object)?;
        object::metadata_mut(&mut object).insert("namespace".into(), json!(target.namespace));
    }
    if resource.status {
        object::map_mut(&mut object).remove("status");
    }
    complete(resource.name, &mut object);
    validate::check(resource, &object)?;
    let created = match resource.name {
        "pods" => {
            let rules = server.behaviour.read(|behaviour| behaviour.admission.clone());
            admission::create_pod(&server.store, &rules, &call.caller()?.name, object, options.dry_run)?
        }
        _ => server.store.insert(resource, object, options.dry_run)?,
    };
    read::written(server, call, target, 201, &created, form)
}

/// The object in the body, which must be of the kind, and at the place, that the path names.
pub(super) fn body_object(call: &Call, target: &Target) -> Result<Value, ApiError> {
    let object = call.json()?;
    if !object.is_object() {
        return Err(ApiError::bad_request("the body of the request is not an object"));
    }
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

/// The defaults that matter to whoever reads the object afterwards.
fn complete(res: &str, object: &mut Value) {
    let fields: &[(&[&str], Value)] = &match res {
        "pods" => vec![
            (&["spec", "restartPolicy"] as &[&str], json!("Always")),
            (&["spec", "terminationGracePeriodSeconds"], json!(30)),
            (&["spec", "schedulerName"], json!("default-scheduler")),
            (&["status", "phase"], json!("Pending")),
            (&["status", "qosClass"], json!("BestEffort")),
        ],
        "statefulsets.apps" => vec![
            (&["spec", "replicas"] as &[&str], json!(1)),
            (&["spec", "podManagementPolicy"], json!("OrderedReady")),
            (&["spec", "updateStrategy", "type"], json!("RollingUpdate")),
        ],
        "deployments.apps" => vec![
            (&["spec", "replicas"] as &[&str], json!(1)),
            (&["spec", "strategy", "type"], json!("RollingUpdate")),
            (&["spec", "progressDeadlineSeconds"], json!(600)),
        ],
        "replicasets.apps" => vec![(&["spec", "replicas"] as &[&str], json!(1))],
        "secrets" => vec![(&["type"] as &[&str], json!("Opaque"))],
        "services" => vec![
            (&["spec", "type"] as &[&str], json!("ClusterIP")),
            (&["spec", "sessionAffinity"], json!("None")),
        ],
        // A default fills in what its parent lacks, and makes no parent.
        _ if res.ends_with(".ops.kubedb.com") && object["spec"].is_object() => {
            vec![(&["spec", "apply"] as &[&str], json!("IfReady")), (&["spec", "maxRetries"], json!(1))]
        }
        _ => Vec::new(),
    };
    for (path, value) in fields {
        let mut place = &mut *object;
        for key in *path {
            place = object::map_mut(place).entry(*key).or_insert(Value::Null);
        }
        if place.is_null() {
            *place = value.clone();
        }
    }
}
