//! What an object must look like: metadata, and of the rest what clients get wrong in practice.

use serde_json::{Map, Value};

use crate::error::{ApiError, Cause};
use crate::object;
use crate::resources::Resource;

/// The data of a ConfigMap or Secret may not be larger.
const LARGEST_DATA: usize = 1024 * 1024;

/// All annotations together may not be larger.
const LARGEST_ANNOTATIONS: usize = 256 * 1024;

/// Refuses an object that a real server would not store: 422 with causes.
pub(super) fn check(resource: &Resource, object: &Value) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    check_metadata(&object["metadata"], &mut causes);
    check_required(resource, object, &mut causes);
    if resource.custom {
        check_conditions(resource, object, &mut causes);
        check_phase(resource, object, &mut causes);
    }
    if resource.group() == "ops.kubedb.com" {
        check_ops_request(resource, object, &mut causes);
    }
    match resource.name {
        "configmaps" | "secrets" => check_size(object, &mut causes),
        "events" => check_event(object, &mut causes),
        "leases.coordination.k8s.io" => check_lease(object, &mut causes),
        _ => {}
    }
    refuse(resource, object, causes)
}

/// Refuses a change that a real server would not make: 422 with causes.
pub(super) fn check_update(resource: &Resource, stored: &Value, wanted: &Value) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    check_finalizers(stored, wanted, &mut causes);
    match resource.name {
        "statefulsets.apps" => check_statefulset(stored, wanted, &mut causes),
        "pods" => check_pod(stored, wanted, &mut causes),
        "deployments.apps" | "replicasets.apps"
            if stored["spec"]["selector"] != wanted["spec"]["selector"] =>
        {
            causes.push(invalid("spec.selector", "field is immutable"));
        }
        _ => {}
    }
    refuse(resource, stored, causes)
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

fn check_metadata(metadata: &Value, causes: &mut Vec<Cause>) {
    let name = metadata["name"].as_str().unwrap_or_default();
    if !name.is_empty() && !is_subdomain(name) {
        causes.push(invalid(
            "metadata.name",
            &format!("\"{name}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"),
        ));
    }
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
    let size: usize = annotations.map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if size > LARGEST_ANNOTATIONS {
        let message = format!("Too long: may not be more than {LARGEST_ANNOTATIONS} bytes");
        causes.push(Cause::field("FieldValueTooLong", "metadata.annotations", message));
    }
}

fn is_subdomain(name: &str) -> bool {
    let part_fits = |part: &str| {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !part.is_empty() && part.chars().all(allowed) && !part.starts_with('-') && !part.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(part_fits)
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

/// What the schemas of custom resources, and the validation of built-in kinds, demand.
fn check_required(resource: &Resource, object: &Value, causes: &mut Vec<Cause>) {
    let fields: &[&str] = match resource.name {
        "kafkas.kubedb.com" | "cassandras.kubedb.com" | "hazelcasts.kubedb.com" | "zookeepers.kubedb.com" => {
            &["version"]
        }
        "druids.kubedb.com" => &["deepStorage", "version"],
        "petsets.apps.k8s.appscode.com" => &["selector", "serviceName", "template"],
        "statefulsets.apps" | "deployments.apps" => &["selector", "template"],
        "kafkaversions.catalog.kubedb.com" => &["db", "version"],
        "cassandraversions.catalog.kubedb.com"
        | "druidversions.catalog.kubedb.com"
        | "hazelcastversions.catalog.kubedb.com"
        | "zookeeperversions.catalog.kubedb.com" => &["db", "initContainer", "version"],
        _ if resource.group() == "ops.kubedb.com" => &["databaseRef", "type"],
        _ => &[],
    };
    let spec = &object["spec"];
    // A custom resource without any spec passes its schema; one with a spec must fill it in.
    if spec.is_null() && resource.custom {
        return;
    }
    for field in fields.iter().filter(|field| spec[**field].is_null()) {
        causes.push(required(&format!("spec.{field}")));
    }
    if resource.custom && !matches!(spec["version"], Value::Null | Value::String(_)) {
        let found = json_type(&spec["version"]);
        let message =
            format!("Invalid value: \"{found}\": spec.version in body must be of type string: \"{found}\"");
        causes.push(Cause::field("FieldValueTypeInvalid", "spec.version", message));
    }
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check_conditions(resource: &Resource, object: &Value, causes: &mut Vec<Cause>) {
    let fields: &[&str] = if resource.group() == "apps.k8s.appscode.com" {
        &["status", "type"]
    } else {
        &["lastTransitionTime", "status", "type"]
    };
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    for (index, condition) in conditions.enumerate() {
        for field in fields.iter().filter(|field| condition[**field].is_null()) {
            causes.push(required(&format!("status.conditions[{index}].{field}")));
        }
    }
}

fn check_phase(resource: &Resource, object: &Value, causes: &mut Vec<Cause>) {
    let phases: &[&str] = match resource.group() {
        "kubedb.com" => {
            &["Provisioning", "DataRestoring", "Ready", "Critical", "NotReady", "Halted", "Unknown"]
        }
        "ops.kubedb.com" => &[
            "Pending",
            "Progressing",
            "Successful",
            "WaitingForApproval",
            "Failed",
            "Approved",
            "Denied",
            "Skipped",
        ],
        _ => return,
    };
    check_choice(object, "/status/phase", phases, causes);
}

fn check_ops_request(resource: &Resource, object: &Value, causes: &mut Vec<Cause>) {
    const TYPES: &[&str] = &[
        "UpdateVersion",
        "HorizontalScaling",
        "VerticalScaling",
        "VolumeExpansion",
        "Restart",
        "Reconfigure",
        "ReconfigureTLS",
        "RotateAuth",
        "StorageMigration",
    ];
    // A ZooKeeper's storage cannot be migrated.
    let types = if resource.kind.starts_with("ZooKeeper") { &TYPES[..8] } else { TYPES };
    check_choice(object, "/spec/type", types, causes);
    check_choice(object, "/spec/apply", &["IfReady", "Always"], causes);
}

/// A field that is there has one of these values.
fn check_choice(object: &Value, pointer: &str, choices: &[&str], causes: &mut Vec<Cause>) {
    let Some(found) = object.pointer(pointer).and_then(Value::as_str) else { return };
    if !choices.contains(&found) {
        let known: Vec<String> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
        let message = format!("Unsupported value: \"{found}\": supported values: {}", known.join(", "));
        let field = pointer.trim_start_matches('/').replace('/', ".");
        causes.push(Cause::field("FieldValueNotSupported", &field, message));
    }
}

fn check_size(object: &Value, causes: &mut Vec<Cause>) {
    let size_of = |map: &Map<String, Value>| -> usize {
        map.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum()
    };
    let size: usize = ["data", "binaryData", "stringData"]
        .iter()
        .filter_map(|field| object[field].as_object())
        .map(size_of)
        .sum();
    if size > LARGEST_DATA {
        let message = format!("Too long: may not be more than {LARGEST_DATA} bytes");
        causes.push(Cause::field("FieldValueTooLong", "", message));
    }
}

fn check_event(object: &Value, causes: &mut Vec<Cause>) {
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

fn check_statefulset(stored: &Value, wanted: &Value, causes: &mut Vec<Cause>) {
    const FREE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    if without(&stored["spec"], &FREE) != without(&wanted["spec"], &FREE) {
        causes.push(forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

fn check_pod(stored: &Value, wanted: &Value, causes: &mut Vec<Cause>) {
    let fixed = |pod: &Value| {
        let mut spec =
            without(&pod["spec"], &["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"]);
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        spec
    };
    if fixed(stored) != fixed(wanted) {
        causes.push(forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
}

fn without(spec: &Value, fields: &[&str]) -> Value {
    let mut spec = spec.clone();
    if let Value::Object(map) = &mut spec {
        map.retain(|key, _| !fields.contains(&key.as_str()));
    }
    spec
}
