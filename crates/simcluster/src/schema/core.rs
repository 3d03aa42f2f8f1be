//! The core group.

use serde_json::{Map, Value};

use super::meta::{CONDITION, EMPTY, NAME, REFERENCE, SELECTOR, root};
use super::pod;
use super::table::{
    Default, Field, Keys, Object, Type, any, field, flag, keyed, list, micro_time, number_or_text, object,
    quantities, text, texts, time, whole, words,
};

pub(super) fn find(plural: &str) -> Option<&'static Object> {
    Some(match plural {
        "configmaps" => &CONFIG_MAP,
        "events" => &EVENT,
        "namespaces" => &NAMESPACE,
        "nodes" => &NODE,
        "persistentvolumeclaims" => &CLAIM,
        "pods" => &pod::POD,
        "secrets" => &SECRET,
        "serviceaccounts" => &SERVICE_ACCOUNT,
        "services" => &SERVICE,
        _ => return None,
    })
}

static CONFIG_MAP: Object =
    root![field("binaryData", Type::Map(&Type::Bytes)), texts("data"), flag("immutable"),];

static SECRET: Object = root![
    field("data", Type::Map(&Type::Bytes)),
    flag("immutable"),
    texts("stringData"),
    text("type").or(Default::Text("Opaque")),
];

static EVENT: Object = root![
    text("action"),
    whole("count"),
    micro_time("eventTime").or(Default::From(no_time)),
    time("firstTimestamp"),
    object("involvedObject", &REFERENCE),
    time("lastTimestamp"),
    text("message"),
    text("reason"),
    object("related", &REFERENCE),
    text("reportingComponent").or(Default::Text("")),
    text("reportingInstance").or(Default::Text("")),
    object("series", &SERIES),
    object("source", &SOURCE).or(EMPTY),
    text("type"),
];

/// It is written out even where an Event has none.
fn no_time(_: &Map<String, Value>) -> Option<Value> {
    Some(Value::Null)
}

static SERIES: Object = Object::new(&[whole("count"), micro_time("lastObservedTime")]);

static SOURCE: Object = Object::new(&[text("component"), text("host")]);

static NAMESPACE: Object = root![object("spec", &NAMESPACE_SPEC), object("status", &NAMESPACE_STATUS)];

static NAMESPACE_SPEC: Object = Object::new(&[list("finalizers", &Type::Text)]);

static NAMESPACE_STATUS: Object =
    Object::new(&[keyed("conditions", &Type::Object(&CONDITION), &["type"]), text("phase")]);

static NODE: Object = root![object("spec", &NODE_SPEC), object("status", &NODE_STATUS)];

static NODE_SPEC: Object = Object::new(&[
    any("configSource"),
    text("externalID"),
    text("podCIDR"),
    field("podCIDRs", Type::List(&Type::Text, Keys::Value)),
    text("providerID"),
    list("taints", &Type::Object(&TAINT)),
    flag("unschedulable"),
]);

static TAINT: Object = Object::new(&[text("effect"), text("key"), time("timeAdded"), text("value")]);

static NODE_STATUS: Object = Object::new(&[
    keyed("addresses", &Type::Any, &["type"]),
    quantities("allocatable"),
    quantities("capacity"),
    keyed("conditions", &Type::Object(&CONDITION), &["type"]),
    any("config"),
    any("daemonEndpoints"),
    any("features"),
    list("images", &Type::Any),
    any("nodeInfo"),
    text("phase"),
    any("runtimeHandlers"),
    any("volumesAttached"),
    any("volumesInUse"),
]);

static SERVICE_ACCOUNT: Object = root![
    flag("automountServiceAccountToken"),
    list("imagePullSecrets", &Type::Object(&NAME)),
    keyed("secrets", &Type::Object(&REFERENCE), &["name"]),
];

static SERVICE: Object = root![object("spec", &SERVICE_SPEC), any("status")];

static SERVICE_SPEC: Object = Object::new(&[
    flag("allocateLoadBalancerNodePorts"),
    text("clusterIP"),
    words("clusterIPs"),
    words("externalIPs"),
    text("externalName"),
    text("externalTrafficPolicy"),
    whole("healthCheckNodePort"),
    text("internalTrafficPolicy").or(Default::Text("Cluster")),
    words("ipFamilies"),
    text("ipFamilyPolicy"),
    text("loadBalancerClass"),
    text("loadBalancerIP"),
    words("loadBalancerSourceRanges"),
    keyed("ports", &Type::Object(&SERVICE_PORT), &["port", "protocol"]),
    flag("publishNotReadyAddresses"),
    texts("selector"),
    text("sessionAffinity").or(Default::Text("None")),
    any("sessionAffinityConfig"),
    text("trafficDistribution"),
    text("type").or(Default::Text("ClusterIP")),
]);

static SERVICE_PORT: Object = Object::new(&[
    text("appProtocol"),
    text("name"),
    whole("nodePort"),
    whole("port"),
    text("protocol").or(Default::Text("TCP")),
    number_or_text("targetPort").or(Default::From(same_port)),
]);

fn same_port(port: &Map<String, Value>) -> Option<Value> {
    port.get("port").cloned()
}

static CLAIM: Object = root![object("spec", &CLAIM_SPEC), object("status", &CLAIM_STATUS)];

static CLAIM_SPEC: Object = Object::new(&[
    words("accessModes"),
    any("dataSource"),
    any("dataSourceRef"),
    object("resources", &pod::RESOURCES),
    object("selector", &SELECTOR),
    text("storageClassName"),
    text("volumeAttributesClassName"),
    text("volumeMode").or(Default::Text("Filesystem")),
    text("volumeName"),
]);

const PENDING: Field = text("phase").or(Default::Text("Pending"));

static CLAIM_STATUS: Object = Object::new(&[
    words("accessModes"),
    any("allocatedResourceStatuses"),
    quantities("allocatedResources"),
    quantities("capacity"),
    keyed("conditions", &Type::Object(&CONDITION), &["type"]),
    text("currentVolumeAttributesClassName"),
    any("modifyVolumeStatus"),
    PENDING,
]);
