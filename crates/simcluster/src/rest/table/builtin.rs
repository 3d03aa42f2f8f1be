//! The columns of the kinds that Kubernetes has built in.

use serde_json::Value;

use super::age;
use super::column::{AGE, CREATED, Column, NAME, at};
use super::pod::{self, or_none};
use crate::resources::Resource;

pub(super) fn columns(resource: &Resource) -> &'static [Column] {
    match resource.name {
        "pods" => pod::COLUMNS,
        "nodes" => NODES,
        "services" => SERVICES,
        "secrets" => SECRETS,
        "configmaps" => CONFIGMAPS,
        "events" => EVENTS,
        "namespaces" => NAMESPACES,
        "persistentvolumeclaims" => CLAIMS,
        "statefulsets.apps" => STATEFULSETS,
        "deployments.apps" => DEPLOYMENTS,
        "replicasets.apps" => REPLICASETS,
        "controllerrevisions.apps" => REVISIONS,
        "poddisruptionbudgets.policy" => BUDGETS,
        "leases.coordination.k8s.io" => LEASES,
        "customresourcedefinitions.apiextensions.k8s.io" => DEFINITIONS,
        _ => PLAIN,
    }
}

static PLAIN: &[Column] = &[NAME, AGE];

static DEFINITIONS: &[Column] = &[NAME, Column::path("Created At", "date", CREATED)];

static NAMESPACES: &[Column] = &[NAME, Column::path("Status", "string", "status.phase"), AGE];

static LEASES: &[Column] = &[NAME, Column::path("Holder", "string", "spec.holderIdentity"), AGE];

static SECRETS: &[Column] =
    &[NAME, Column::path("Type", "string", "type"), Column::count("Data", |s| size(&s["data"])), AGE];

static CONFIGMAPS: &[Column] =
    &[NAME, Column::count("Data", |map| size(&map["data"]) + size(&map["binaryData"])), AGE];

static NODES: &[Column] = &[
    NAME,
    Column::text("Status", node_status),
    Column::text("Roles", node_roles),
    AGE,
    Column::path("Version", "string", "status.nodeInfo.kubeletVersion"),
    Column::text("Internal-IP", |node| node_address(node, "InternalIP")).wide(),
    Column::text("External-IP", |node| node_address(node, "ExternalIP")).wide(),
    Column::path("OS-Image", "string", "status.nodeInfo.osImage").wide(),
    Column::path("Kernel-Version", "string", "status.nodeInfo.kernelVersion").wide(),
    Column::path("Container-Runtime", "string", "status.nodeInfo.containerRuntimeVersion").wide(),
];

static SERVICES: &[Column] = &[
    NAME,
    Column::path("Type", "string", "spec.type"),
    Column::text("Cluster-IP", |service| or_none(&service["spec"]["clusterIP"])),
    Column::text("External-IP", |_| "<none>".to_owned()),
    Column::text("Port(s)", ports),
    AGE,
    Column::text("Selector", |service| equalities(&service["spec"]["selector"])).wide(),
];

static EVENTS: &[Column] = &[
    Column::timed("Last Seen", |event, now| age::since(last_seen(event), now)),
    Column::path("Type", "string", "type"),
    Column::path("Reason", "string", "reason"),
    Column::text("Object", event_object),
    Column::path("Subobject", "string", "involvedObject.fieldPath").wide(),
    Column::text("Source", event_source).wide(),
    Column::path("Message", "string", "message"),
    Column::since("First Seen", "firstTimestamp").wide(),
    Column::count("Count", |event| event["count"].as_i64().unwrap_or(1)).wide(),
    Column::path("Name", "string", "metadata.name").wide(),
];

static CLAIMS: &[Column] = &[
    NAME,
    Column::path("Status", "string", "status.phase"),
    Column::path("Volume", "string", "spec.volumeName"),
    Column::path("Capacity", "string", "status.capacity.storage"),
    Column::text("Access Modes", |claim| join(&claim["spec"]["accessModes"])),
    Column::path("StorageClass", "string", "spec.storageClassName"),
    Column::text("VolumeAttributesClass", |claim| {
        claim["spec"]["volumeAttributesClassName"].as_str().unwrap_or("<unset>").to_owned()
    }),
    AGE,
    Column::path("VolumeMode", "string", "spec.volumeMode").wide(),
];

static STATEFULSETS: &[Column] = &[
    NAME,
    Column::text("Ready", ready_of_wanted),
    AGE,
    Column::text("Containers", |set| containers(set, "name")).wide(),
    Column::text("Images", |set| containers(set, "image")).wide(),
];

static DEPLOYMENTS: &[Column] = &[
    NAME,
    Column::text("Ready", ready_of_wanted),
    Column::count("Up-to-date", |set| count(set, "status.updatedReplicas")),
    Column::count("Available", |set| count(set, "status.availableReplicas")),
    AGE,
    Column::text("Containers", |set| containers(set, "name")).wide(),
    Column::text("Images", |set| containers(set, "image")).wide(),
    Column::text("Selector", |set| equalities(&set["spec"]["selector"]["matchLabels"])).wide(),
];

static REPLICASETS: &[Column] = &[
    NAME,
    Column::number("Desired", |set| count(set, "spec.replicas")),
    Column::number("Current", |set| count(set, "status.replicas")),
    Column::number("Ready", |set| count(set, "status.readyReplicas")),
    AGE,
    Column::text("Containers", |set| containers(set, "name")).wide(),
    Column::text("Images", |set| containers(set, "image")).wide(),
    Column::text("Selector", |set| equalities(&set["spec"]["selector"]["matchLabels"])).wide(),
];

static REVISIONS: &[Column] =
    &[NAME, Column::text("Controller", controller), Column::count("Revision", |r| count(r, "revision")), AGE];

static BUDGETS: &[Column] = &[
    NAME,
    Column::text("Min Available", |budget| or_not_available(&budget["spec"]["minAvailable"])),
    Column::text("Max Unavailable", |budget| or_not_available(&budget["spec"]["maxUnavailable"])),
    Column::number("Allowed Disruptions", |budget| count(budget, "status.disruptionsAllowed")),
    AGE,
];

fn size(map: &Value) -> i64 {
    map.as_object().map_or(0, |map| i64::try_from(map.len()).unwrap_or(i64::MAX))
}

fn count(object: &Value, path: &str) -> i64 {
    at(object, path).as_i64().unwrap_or(0)
}

fn join(list: &Value) -> String {
    let texts: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    texts.join(",")
}

fn equalities(labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten();
    let terms: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    if terms.is_empty() { "<none>".to_owned() } else { terms.join(",") }
}

fn ready_of_wanted(set: &Value) -> String {
    format!("{}/{}", count(set, "status.readyReplicas"), count(set, "spec.replicas"))
}

fn containers(set: &Value, field: &str) -> String {
    let list = set["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    let texts: Vec<&str> = list.filter_map(|container| container[field].as_str()).collect();
    texts.join(",")
}

fn or_not_available(value: &Value) -> String {
    match value {
        Value::Null => "N/A".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn node_status(node: &Value) -> String {
    let ready = crate::object::condition(node, "Ready");
    let ready = match ready.and_then(|condition| condition["status"].as_str()) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let cordoned = node["spec"]["unschedulable"] == true;
    if cordoned { format!("{ready},SchedulingDisabled") } else { ready.to_owned() }
}

fn node_roles(node: &Value) -> String {
    const PREFIX: &str = "node-role.kubernetes.io/";
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let roles: Vec<&str> = labels.filter_map(|(key, _)| key.strip_prefix(PREFIX)).collect();
    if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }
}

fn node_address(node: &Value, kind: &str) -> String {
    let mut addresses = node["status"]["addresses"].as_array().into_iter().flatten();
    or_none(addresses.find(|address| address["type"] == kind).map_or(&Value::Null, |a| &a["address"]))
}

fn ports(service: &Value) -> String {
    let list = service["spec"]["ports"].as_array().into_iter().flatten();
    let ports: Vec<String> =
        list.map(|port| format!("{}/{}", port["port"], port["protocol"].as_str().unwrap_or("TCP"))).collect();
    if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") }
}

fn last_seen(event: &Value) -> &Value {
    let places = ["series.lastObservedTime", "lastTimestamp", "eventTime", CREATED];
    places.iter().map(|path| at(event, path)).find(|time| time.is_string()).unwrap_or(&Value::Null)
}

fn event_object(event: &Value) -> String {
    let about = &event["involvedObject"];
    let kind = about["kind"].as_str().unwrap_or_default().to_lowercase();
    format!("{kind}/{}", about["name"].as_str().unwrap_or_default())
}

fn event_source(event: &Value) -> String {
    let source = &event["source"];
    let component = source["component"].as_str().filter(|text| !text.is_empty());
    let component = component.or(event["reportingComponent"].as_str()).unwrap_or_default();
    match source["host"].as_str().filter(|host| !host.is_empty()) {
        Some(host) => format!("{component}, {host}"),
        None => component.to_owned(),
    }
}

fn controller(revision: &Value) -> String {
    let mut owners = revision["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    let Some(owner) = owners.find(|owner| owner["controller"] == true) else { return "<none>".to_owned() };
    let text = |field: &str| owner[field].as_str().unwrap_or_default();
    let kind = text("kind").to_lowercase();
    match text("apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", text("name")),
        None => format!("{kind}/{}", text("name")),
    }
}
