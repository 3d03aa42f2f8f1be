//! Workloads: the group `apps`, and PetSets, which borrow from it.

use serde_json::{Map, Value, json};

use super::meta::{CONDITION, EMPTY, NAME, SELECTOR, root};
use super::pod::TEMPLATE;
use super::table::{
    Default, Field, Object, Type, any, flag, keyed, list, long, number_or_text, object, text, time, whole,
};

pub(super) fn find(plural: &str) -> Option<&'static Object> {
    Some(match plural {
        "controllerrevisions" => &REVISION,
        "deployments" => &DEPLOYMENT,
        "replicasets" => &REPLICA_SET,
        "statefulsets" => &STATEFUL_SET,
        _ => return None,
    })
}

static REVISION: Object = root![any("data"), long("revision")];

const ONE: Default = Default::Whole(1);
static A_CONDITION: Type = Type::Object(&CONDITION);
const CONDITIONS: Field = keyed("conditions", &A_CONDITION, &["type"]);

static STATEFUL_SET: Object = root![object("spec", &STATEFUL_SPEC), object("status", &STATEFUL_STATUS)];

static STATEFUL_SPEC: Object = Object::new(&[
    whole("minReadySeconds"),
    object("ordinals", &ORDINALS),
    object("persistentVolumeClaimRetentionPolicy", &RETENTION).or(EMPTY),
    text("podManagementPolicy").or(Default::Text("OrderedReady")),
    whole("replicas").or(ONE),
    whole("revisionHistoryLimit").or(Default::Whole(10)),
    object("selector", &SELECTOR).required(),
    text("serviceName"),
    object("template", &TEMPLATE).required(),
    object("updateStrategy", &STATEFUL_STRATEGY).or(EMPTY),
    list("volumeClaimTemplates", &Type::Object(&CLAIM_TEMPLATE)),
]);

static ORDINALS: Object = Object::new(&[whole("start")]);

static RETENTION: Object = Object::new(&[
    text("whenDeleted").or(Default::Text("Retain")),
    text("whenScaled").or(Default::Text("Retain")),
]);

static STATEFUL_STRATEGY: Object = Object::new(&[
    object("rollingUpdate", &PARTITION).or(Default::From(rolls_all)),
    text("type").or(Default::Text("RollingUpdate")),
]);

/// A rolling update without a partition has none below 0.
fn rolls_all(strategy: &Map<String, Value>) -> Option<Value> {
    let kind = strategy.get("type").and_then(Value::as_str).unwrap_or("RollingUpdate");
    (kind == "RollingUpdate").then(|| json!({}))
}

static PARTITION: Object =
    Object::new(&[number_or_text("maxUnavailable"), whole("partition").or(Default::Whole(0))]);

static CLAIM_TEMPLATE: Object = Object::new(&[
    text("apiVersion"),
    text("kind"),
    object("metadata", &super::OBJECT_META),
    any("spec"),
    any("status"),
]);

static STATEFUL_STATUS: Object = Object::new(SET_STATUS_FIELDS);

/// What a PetSet's status has as well.
static SET_STATUS_FIELDS: &[Field] = &[
    whole("availableReplicas"),
    whole("collisionCount"),
    CONDITIONS,
    whole("currentReplicas"),
    text("currentRevision"),
    long("observedGeneration"),
    whole("readyReplicas"),
    whole("replicas"),
    text("updateRevision"),
    whole("updatedReplicas"),
];

static DEPLOYMENT: Object = root![object("spec", &DEPLOYMENT_SPEC), object("status", &DEPLOYMENT_STATUS)];

static DEPLOYMENT_SPEC: Object = Object::new(&[
    whole("minReadySeconds"),
    flag("paused"),
    whole("progressDeadlineSeconds").or(Default::Whole(600)),
    whole("replicas").or(ONE),
    whole("revisionHistoryLimit").or(Default::Whole(10)),
    object("selector", &SELECTOR).required(),
    object("strategy", &DEPLOYMENT_STRATEGY).or(EMPTY),
    object("template", &TEMPLATE).required(),
]);

static DEPLOYMENT_STRATEGY: Object = Object::new(&[
    object("rollingUpdate", &SURGE).or(Default::From(rolls_all)),
    text("type").or(Default::Text("RollingUpdate")),
]);

static SURGE: Object = Object::new(&[
    number_or_text("maxSurge").or(Default::Text("25%")),
    number_or_text("maxUnavailable").or(Default::Text("25%")),
]);

static DEPLOYMENT_STATUS: Object = Object::new(&[
    whole("availableReplicas"),
    whole("collisionCount"),
    CONDITIONS,
    long("observedGeneration"),
    whole("readyReplicas"),
    whole("replicas"),
    whole("terminatingReplicas"),
    whole("unavailableReplicas"),
    whole("updatedReplicas"),
]);

static REPLICA_SET: Object = root![object("spec", &REPLICA_SPEC), object("status", &REPLICA_STATUS)];

static REPLICA_SPEC: Object = Object::new(&[
    whole("minReadySeconds"),
    whole("replicas").or(ONE),
    object("selector", &SELECTOR).required(),
    object("template", &TEMPLATE).required(),
]);

static REPLICA_STATUS: Object = Object::new(&[
    whole("availableReplicas"),
    CONDITIONS,
    whole("fullyLabeledReplicas"),
    long("observedGeneration"),
    whole("readyReplicas"),
    whole("replicas"),
    whole("terminatingReplicas"),
]);

/// A PetSet: shaped like a StatefulSet, with a schema of its own that fills in nothing.
pub(super) static PET_SET: Object = root![object("spec", &PET_SPEC), object("status", &PET_STATUS)];

static PET_SPEC: Object = Object::new(&[
    flag("distributed"),
    whole("minReadySeconds"),
    object("ordinals", &ORDINALS),
    object("persistentVolumeClaimRetentionPolicy", &RETENTION),
    text("podManagementPolicy"),
    object("podPlacementPolicy", &NAME),
    whole("replicas"),
    whole("revisionHistoryLimit"),
    object("selector", &SELECTOR).required(),
    text("serviceName").required(),
    object("template", &TEMPLATE).required(),
    object("updateStrategy", &STATEFUL_STRATEGY),
    list("volumeClaimTemplates", &Type::Object(&CLAIM_TEMPLATE)),
]);

static PET_STATUS: Object = Object::new(&[
    whole("availableReplicas"),
    whole("collisionCount"),
    keyed("conditions", &Type::Object(&PET_CONDITION), &["type"]),
    whole("currentReplicas"),
    text("currentRevision"),
    long("observedGeneration"),
    whole("readyReplicas"),
    whole("replicas").required(),
    text("updateRevision"),
    whole("updatedReplicas"),
]);

static PET_CONDITION: Object = Object::new(&[
    time("lastTransitionTime"),
    text("message"),
    text("reason"),
    text("status").required(),
    text("type").required(),
]);
