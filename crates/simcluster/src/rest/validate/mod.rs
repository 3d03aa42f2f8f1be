//! What an object must look like beside its types: metadata, and of the built-in kinds what clients get wrong in
//! practice. What a custom resource must look like is told by its schema.

mod pods;
mod workloads;

use serde_json::Value;

use crate::error::{ApiError, Cause};
use crate::object;
use crate::resources::Resource;
use crate::schema;
use crate::store::NAMESPACES;

/// The values of a ConfigMap or Secret may not be larger together.
const LARGEST_DATA: usize = 1024 * 1024;

/// All annotations together may not be larger.
const LARGEST_ANNOTATIONS: usize = 256 * 1024;

/// Refuses an object that a real server would not store: 422 with causes.
pub(super) fn check(resource: &Resource, version: &str, object: &Value) -> Result<(), ApiError> {
    refuse(resource, object, causes(resource, version, object))
}

/// Refuses a change that a real server would not make: 422 with causes. What was wrong before may stay so.
pub(super) fn check_update(
    resource: &Resource,
    version: &str,
    stored: &Value,
    wanted: &Value,
) -> Result<(), ApiError> {
    let mut found = causes(resource, version, wanted);
    if !found.is_empty() {
        let before = causes(resource, version, stored);
        found.retain(|cause| !before.contains(cause));
    }
    check_finalizers(stored, wanted, &mut found);
    let changed = |field: &str| stored[field] != wanted[field];
    match resource.name {
        "statefulsets.apps" => workloads::check_statefulset_update(stored, wanted, &mut found),
        "pods" => pods::check_update(stored, wanted, &mut found),
        "deployments.apps" | "replicasets.apps"
            if stored["spec"]["selector"] != wanted["spec"]["selector"] =>
        {
            found.push(invalid("spec.selector", "field is immutable"));
        }
        "controllerrevisions.apps" if changed("data") => {
            found.push(invalid("data", "field is immutable"));
        }
        "configmaps" | "secrets" if stored["immutable"] == true => {
            for field in ["data", "binaryData"].into_iter().filter(|field| changed(field)) {
                found.push(forbidden(field, "field is immutable when `immutable` is set"));
            }
        }
        _ => {}
    }
    refuse(resource, stored, found)
}

fn causes(resource: &Resource, version: &str, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_metadata(resource, &object["metadata"], &mut causes);
    if resource.custom {
        causes.extend(schema::check::check(schema::of(resource, version), object));
    }
    match resource.name {
        "configmaps" | "secrets" => check_data(object, &mut causes),
        "events" => check_event(object, &mut causes),
        "leases.coordination.k8s.io" => check_lease(object, &mut causes),
        "pods" => pods::check_spec(&object["spec"], "spec", false, &mut causes),
        "services" => workloads::check_service(object, &mut causes),
        "poddisruptionbudgets.policy" => workloads::check_budget(object, &mut causes),
        "deployments.apps" | "replicasets.apps" => workloads::check(object, &mut causes),
        "statefulsets.apps" => {
            workloads::check(object, &mut causes);
            workloads::check_statefulset(object, &mut causes);
        }
        _ => {}
    }
    causes
}

fn refuse(resource: &Resource, object: &Value, causes: Vec<Cause>) -> Result<(), ApiError> {
    if causes.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(resource.kind, resource.name, object::name(object), &causes))
}

fn invalid(field: &str, why: &str) -> Cause {
    Cause::field("FieldValueInvalid", field, format!("Invalid value: {why}"))
}

fn forbidden(field: &str, why: &str) -> Cause {
    Cause::field("FieldValueForbidden", field, format!("Forbidden: {why}"))
}

fn required(field: &str) -> Cause {
    Cause::field("FieldValueRequired", field, "Required value")
}

fn unsupported(field: &str, found: &str, known: &[&str]) -> Cause {
    let known: Vec<String> = known.iter().map(|choice| format!("\"{choice}\"")).collect();
    let message = format!("Unsupported value: \"{found}\": supported values: {}", known.join(", "));
    Cause::field("FieldValueNotSupported", field, message)
}

fn duplicate(field: &str, value: &Value) -> Cause {
    Cause::field("FieldValueDuplicate", field, format!("Duplicate value: {value}"))
}

fn check_metadata(resource: &Resource, metadata: &Value, causes: &mut Vec<Cause>) {
    check_names(resource, metadata, causes);
    check_labels(metadata, causes);
    check_owners(metadata, causes);
    let finalizers = metadata["finalizers"].as_array().map(Vec::as_slice).unwrap_or_default();
    // In a custom resource they are a warning.
    for (index, finalizer) in finalizers.iter().enumerate().filter(|_| !resource.custom) {
        let name = finalizer.as_str().unwrap_or_default();
        if !is_known_finalizer(name) {
            let why =
                format!("\"{name}\": name is neither a standard finalizer name nor is it fully qualified");
            causes.push(invalid(&format!("metadata.finalizers[{index}]"), &why));
        }
    }
}

fn is_known_finalizer(name: &str) -> bool {
    name.contains('/') || matches!(name, "orphan" | "foregroundDeletion" | "kubernetes")
}

/// What a client is warned of that no rule refuses.
pub(super) fn warnings(resource: &Resource, object: &Value) -> Vec<String> {
    let finalizers = object["metadata"]["finalizers"].as_array().into_iter().flatten();
    let names =
        finalizers.filter_map(Value::as_str).filter(|name| resource.custom && !is_known_finalizer(name));
    names
        .map(|name| {
            format!(
                "metadata.finalizers: \"{name}\": prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
            )
        })
        .collect()
}

fn check_owners(metadata: &Value, causes: &mut Vec<Cause>) {
    let owners = metadata["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
    for owner in owners {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().unwrap_or_default().is_empty() {
                let field = format!("metadata.ownerReferences.{field}");
                causes.push(invalid(&field, "\"\": must not be empty"));
            }
        }
    }
    if owners.iter().filter(|owner| owner["controller"] == true).count() > 1 {
        let why = "Only one reference can have Controller set to true";
        causes.push(invalid("metadata.ownerReferences", why));
    }
}

fn check_names(resource: &Resource, metadata: &Value, causes: &mut Vec<Cause>) {
    let name = metadata["name"].as_str().unwrap_or_default();
    let prefix = metadata["generateName"].as_str().unwrap_or_default();
    // Something is put behind the prefix, so that it may end in a hyphen.
    if !prefix.is_empty() && !is_subdomain(&format!("{prefix}x")) {
        for field in ["metadata.generateName", "metadata.name"] {
            causes.push(invalid(field, &format!("\"{prefix}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character")));
        }
    }
    if resource.name == NAMESPACES && name.contains('.') {
        causes.push(invalid("metadata.name", &format!("\"{name}\": must not contain dots")));
    } else if !name.is_empty() && !is_subdomain(name) {
        causes.push(invalid(
            "metadata.name",
            &format!("\"{name}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"),
        ));
    }
}

fn check_labels(metadata: &Value, causes: &mut Vec<Cause>) {
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        let text = value.as_str().unwrap_or("\0");
        if !is_qualified_name(key) {
            causes.push(invalid("metadata.labels", &format!("\"{key}\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character")));
        }
        if text.len() > 63 {
            causes.push(invalid("metadata.labels", &format!("\"{text}\": must be no more than 63 bytes")));
        } else if !text.is_empty() && !is_label_part(text) {
            causes.push(invalid("metadata.labels", &format!("{value}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character")));
        }
    }
    let annotations = metadata["annotations"].as_object().into_iter().flatten();
    for (key, _) in annotations.clone().filter(|(key, _)| !is_qualified_name(&key.to_lowercase())) {
        causes.push(invalid("metadata.annotations", &format!("\"{key}\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character")));
    }
    let size: usize = annotations.map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if size > LARGEST_ANNOTATIONS {
        let message = format!("Too long: may not be more than {LARGEST_ANNOTATIONS} bytes");
        causes.push(Cause::field("FieldValueTooLong", "metadata.annotations", message));
    }
}

fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label_text)
}

/// Whether a text can be the name of a container: a part of a domain.
fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_label_text(text)
}

fn is_label_text(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !part.is_empty() && part.chars().all(allowed) && !part.starts_with('-') && !part.ends_with('-')
}

fn is_label_part(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.chars().all(allowed) && edge(text.chars().next()) && edge(text.chars().last())
}

/// Whether a label can have this value.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || (text.len() <= 63 && is_label_part(text))
}

/// Whether a label can have this key: a name, with or without the prefix of a domain.
pub(super) fn is_qualified_name(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_subdomain) && name.len() <= 63 && is_label_part(name)
}

fn check_data(object: &Value, causes: &mut Vec<Cause>) {
    let entries = |field: &str| -> Vec<(String, usize)> {
        let map = object[field].as_object().into_iter().flatten();
        map.map(|(key, value)| (key.clone(), value.as_str().map_or(0, str::len))).collect()
    };
    let mut size = 0;
    for field in ["data", "binaryData"] {
        for (key, length) in entries(field) {
            size += length;
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            if key.is_empty() || !key.chars().all(allowed) {
                let why = format!(
                    "\"{key}\": a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
                );
                causes.push(invalid(&format!("{field}[{key}]"), &why));
            }
        }
    }
    if size > LARGEST_DATA {
        let message = format!("Too long: may not be more than {LARGEST_DATA} bytes");
        causes.push(Cause::field("FieldValueTooLong", "[]", message));
    }
}

fn check_event(object: &Value, causes: &mut Vec<Cause>) {
    check_new_event(object, causes);
    let about = object["involvedObject"]["namespace"].as_str().unwrap_or_default();
    let namespace = object::namespace(object);
    // Events about cluster-scoped objects live in the default namespace.
    let fits =
        if about.is_empty() { matches!(namespace, "default" | "kube-system") } else { about == namespace };
    if !fits {
        causes.push(invalid(
            "involvedObject.namespace",
            &format!("\"{about}\": does not match event.namespace"),
        ));
    }
}

/// An Event of the new kind says who reports what was done.
fn check_new_event(event: &Value, causes: &mut Vec<Cause>) {
    let lacks = |field: &str| event[field].as_str().unwrap_or_default().is_empty();
    if event["eventTime"].is_null() {
        return;
    }
    if lacks("reportingComponent") {
        causes.push(invalid("reportingComponent", "\"\": name part must be non-empty"));
    }
    for field in ["reportingComponent", "reportingInstance", "action"] {
        if lacks(field) {
            causes.push(required(field));
        }
    }
}

fn check_lease(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let duration = &spec["leaseDurationSeconds"];
    if !duration.is_null() && duration.as_i64().is_none_or(|seconds| seconds <= 0) {
        causes.push(invalid("spec.leaseDurationSeconds", &format!("{duration}: must be greater than 0")));
    }
    let transitions = &spec["leaseTransitions"];
    if transitions.as_i64().is_some_and(|count| count < 0) {
        causes.push(invalid(
            "spec.leaseTransitions",
            &format!("{transitions}: must be greater than or equal to 0"),
        ));
    }
}

fn check_finalizers(stored: &Value, wanted: &Value, causes: &mut Vec<Cause>) {
    let list = |object: &Value| -> Vec<Value> {
        object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default()
    };
    let known = list(stored);
    let added: Vec<String> =
        list(wanted).iter().filter(|f| !known.contains(f)).map(Value::to_string).collect();
    if object::is_terminating(stored) && !added.is_empty() {
        let why = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            added.join(", ")
        );
        causes.push(forbidden("metadata.finalizers", &why));
    }
}

fn without(spec: &Value, fields: &[&str]) -> Value {
    let mut spec = spec.clone();
    if let Value::Object(map) = &mut spec {
        map.retain(|key, _| !fields.contains(&key.as_str()));
    }
    spec
}
