//! KubeDB's databases and ops requests, as their custom resource definitions describe them: whole in what a database is
//! asked for, and no deeper where only the operator looks.

use serde_json::{Map, Value, json};

use super::meta::root;
use super::table::{Default, Field, Object, Type, any, choice, flag, list, long, object, text, time, whole};

/// The schema of a database in a version; `None` for other kinds.
pub(super) fn database(kind: &str, version: &str) -> Option<&'static Object> {
    Some(match kind {
        "Cassandra" => &CASSANDRA,
        "Druid" => &DRUID,
        "Hazelcast" => &HAZELCAST,
        "Kafka" if version == "v1alpha2" => &KAFKA_ALPHA,
        "Kafka" => &KAFKA,
        "ZooKeeper" => &ZOOKEEPER,
        _ => return None,
    })
}

/// The schema of a database's ops requests.
pub(super) fn ops_request(kind: &str) -> &'static Object {
    // A ZooKeeper's storage cannot be migrated.
    if kind.starts_with("ZooKeeper") { &ZOOKEEPER_OPS } else { &OPS }
}

/// What most databases have in their spec.
macro_rules! database_fields {
    ($health:expr; $($own:expr),* $(,)?) => {
        &[
            any("authSecret"),
            any("autoOps"),
            any("configuration"),
            choice("deletionPolicy", &["Halt", "Delete", "WipeOut", "DoNotTerminate"]),
            flag("enableSSL"),
            object("healthChecker", &HEALTH).default(Default::From($health)),
            any("monitor"),
            list("serviceTemplates", &Type::Any),
            any("tls"),
            text("version").required(),
            $($own),*
        ]
    };
}

const STORAGE_TYPE: Field = choice("storageType", &["Durable", "Ephemeral"]);

static CASSANDRA: Object = root![object("spec", &CASSANDRA_SPEC), STATUS];
static DRUID: Object = root![object("spec", &DRUID_SPEC), STATUS];
static HAZELCAST: Object = root![object("spec", &HAZELCAST_SPEC), STATUS];
static KAFKA: Object = root![object("spec", &KAFKA_SPEC), STATUS];
static KAFKA_ALPHA: Object = root![object("spec", &KAFKA_SPEC), object("status", &KAFKA_ALPHA_STATUS)];
static ZOOKEEPER: Object = root![object("spec", &ZOOKEEPER_SPEC), STATUS];

static CASSANDRA_SPEC: Object = Object::new(database_fields![every_20_seconds;
    flag("disableSecurity"),
    any("init"),
    any("keystoreCredSecret"),
    any("podTemplate"),
    whole("replicas"),
    any("storage"),
    STORAGE_TYPE,
    object("topology", &RACKS),
]);

static RACKS: Object = Object::new(&[list("rack", &Type::Object(&RACK))]);

static RACK: Object = Object::new(&[
    any("podTemplate"),
    text("name"),
    whole("replicas"),
    any("storage"),
    STORAGE_TYPE,
    text("suffix"),
]);

static DRUID_SPEC: Object = Object::new(database_fields![every_30_seconds;
    object("deepStorage", &DEEP_STORAGE).required(),
    flag("disableSecurity"),
    flag("halted"),
    any("init"),
    any("keystoreCredSecret"),
    any("metadataStorage"),
    object("topology", &DRUID_TOPOLOGY),
    any("zookeeperRef"),
]);

static DEEP_STORAGE: Object =
    Object::new(&[any("configSecret"), choice("type", &["s3", "google", "azure", "hdfs"]).required()]);

static DRUID_TOPOLOGY: Object = Object::new(&[
    object("brokers", &DRUID_ROLE),
    object("coordinators", &DRUID_ROLE),
    object("historicals", &DRUID_STORE),
    object("middleManagers", &DRUID_STORE),
    object("overlords", &DRUID_ROLE),
    object("routers", &DRUID_ROLE),
]);

const ROLE_REPLICAS: Field = whole("replicas").default(Default::Whole(1));

static DRUID_ROLE: Object = Object::new(&[any("podTemplate"), ROLE_REPLICAS, text("suffix")]);

static DRUID_STORE: Object = Object::new(&[
    any("ephemeralStorage"),
    any("podTemplate"),
    ROLE_REPLICAS,
    any("storage"),
    STORAGE_TYPE,
    text("suffix"),
]);

static HAZELCAST_SPEC: Object = Object::new(database_fields![every_20_seconds;
    flag("disableSecurity"),
    list("javaOpts", &Type::Text),
    any("keystoreSecret"),
    any("licenseSecret"),
    any("podTemplate"),
    whole("replicas"),
    any("storage"),
    STORAGE_TYPE,
]);

static KAFKA_SPEC: Object = Object::new(database_fields![every_10_seconds;
    any("brokerRack"),
    any("configSecret"),
    object("cruiseControl", &CRUISE_CONTROL),
    flag("disableSecurity"),
    flag("halted"),
    any("keystoreCredSecret"),
    any("podTemplate"),
    whole("replicas"),
    any("storage"),
    STORAGE_TYPE,
    any("tieredStorage"),
    object("topology", &KAFKA_TOPOLOGY),
]);

static CRUISE_CONTROL: Object = Object::new(&[
    any("brokerCapacity"),
    any("configSecret"),
    any("configuration"),
    any("podTemplate"),
    whole("replicas"),
    any("resources"),
    text("suffix"),
]);

static KAFKA_TOPOLOGY: Object =
    Object::new(&[object("broker", &KAFKA_ROLE), object("controller", &KAFKA_ROLE)]);

static KAFKA_ROLE: Object = Object::new(&[
    any("nodeSelector"),
    any("podTemplate"),
    whole("replicas"),
    any("resources"),
    any("storage"),
    text("suffix"),
    any("tolerations"),
]);

static ZOOKEEPER_SPEC: Object = Object::new(database_fields![every_20_seconds;
    whole("adminServerPort").default(Default::Whole(8080)),
    whole("clientSecurePort").default(Default::Whole(2182)),
    flag("disableAuth"),
    flag("halted"),
    any("keystoreCredSecret"),
    any("podTemplate"),
    whole("replicas"),
    any("storage"),
]);

static HEALTH: Object = Object::new(&[
    flag("disableWriteCheck"),
    whole("failureThreshold").default(Default::Whole(1)),
    whole("periodSeconds").default(Default::Whole(10)),
    whole("timeoutSeconds").default(Default::Whole(10)),
]);

fn every_10_seconds(_: &Map<String, Value>) -> Option<Value> {
    Some(checks_every(10))
}

fn every_20_seconds(_: &Map<String, Value>) -> Option<Value> {
    Some(checks_every(20))
}

fn every_30_seconds(_: &Map<String, Value>) -> Option<Value> {
    Some(checks_every(30))
}

fn checks_every(seconds: i64) -> Value {
    json!({"failureThreshold": 3, "periodSeconds": seconds, "timeoutSeconds": 10})
}

const STATUS: Field = object("status", &DATABASE_STATUS);

static A_CONDITION: Type = Type::Object(&CONDITION);
const CONDITIONS: Field = list("conditions", &A_CONDITION);

static DATABASE_STATUS: Object = Object::new(&[
    CONDITIONS,
    long("observedGeneration"),
    choice("phase", &["Provisioning", "DataRestoring", "Ready", "Critical", "NotReady", "Halted", "Unknown"]),
]);

static KAFKA_ALPHA_STATUS: Object = Object::new(&[
    CONDITIONS,
    long("observedGeneration"),
    choice("phase", &["Provisioning", "Ready", "NotReady", "Critical"]),
]);

static CONDITION: Object = Object::new(&[
    time("lastTransitionTime").required(),
    text("message"),
    long("observedGeneration"),
    text("reason"),
    text("severity"),
    text("status").required(),
    text("type").required(),
]);

/// An ops request whose type is one of these.
macro_rules! ops_request {
    ($types:expr) => {
        &[
            choice("apply", &["IfReady", "Always"]).default(Default::Text("IfReady")),
            any("authentication"),
            any("configuration"),
            object("databaseRef", &super::meta::NAME).required(),
            any("horizontalScaling"),
            any("keystoreCredSecret"),
            whole("maxRetries").default(Default::Whole(1)),
            any("migration"),
            any("restart"),
            text("timeout"),
            any("tls"),
            choice("type", $types).required(),
            object("updateVersion", &UPDATE_VERSION),
            any("verticalScaling"),
            any("volumeExpansion"),
        ]
    };
}

static OPS: Object = root![object("spec", &OPS_SPEC), object("status", &OPS_STATUS)];
static ZOOKEEPER_OPS: Object = root![object("spec", &ZOOKEEPER_OPS_SPEC), object("status", &OPS_STATUS)];

static OPS_SPEC: Object = Object::new(ops_request!(&[
    "UpdateVersion",
    "HorizontalScaling",
    "VerticalScaling",
    "VolumeExpansion",
    "Restart",
    "Reconfigure",
    "ReconfigureTLS",
    "RotateAuth",
    "StorageMigration",
]));

static ZOOKEEPER_OPS_SPEC: Object = Object::new(ops_request!(&[
    "UpdateVersion",
    "HorizontalScaling",
    "VerticalScaling",
    "VolumeExpansion",
    "Restart",
    "Reconfigure",
    "ReconfigureTLS",
    "RotateAuth",
]));

static UPDATE_VERSION: Object = Object::new(&[text("targetVersion")]);

static OPS_STATUS: Object = Object::new(&[
    CONDITIONS,
    long("observedGeneration"),
    any("pausedBackups"),
    choice(
        "phase",
        &[
            "Pending",
            "Progressing",
            "Successful",
            "WaitingForApproval",
            "Failed",
            "Approved",
            "Denied",
            "Skipped",
        ],
    ),
]);
