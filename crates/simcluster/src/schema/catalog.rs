//! KubeDB's catalog: the versions of the databases.

use super::Type;
use super::meta::root;
use super::table::{Field, Object, any, flag, list, object, text};

/// The schema of a version object.
pub(super) fn find(kind: &str) -> Option<&'static Object> {
    Some(match kind {
        "CassandraVersion" => &CASSANDRA,
        "KafkaVersion" => &KAFKA,
        "DruidVersion" | "HazelcastVersion" | "ZooKeeperVersion" => &PLAIN,
        _ => return None,
    })
}

/// What every version has.
macro_rules! version_fields {
    ($($own:expr),* $(,)?) => {
        &[
            IMAGE.required(),
            flag("deprecated"),
            flag("endOfLife"),
            any("podSecurityPolicies"),
            any("securityContext"),
            any("ui"),
            object("updateConstraints", &CONSTRAINTS),
            text("version").required(),
            $($own),*
        ]
    };
}

const IMAGE: Field = object("db", &WITH_IMAGE);

static WITH_IMAGE: Object = Object::new(&[text("image").required()]);

static CONSTRAINTS: Object = Object::new(&[list("allowlist", &Type::Text), list("denylist", &Type::Text)]);

static PLAIN: Object = root![object("spec", &PLAIN_SPEC)];
static PLAIN_SPEC: Object = Object::new(version_fields![object("initContainer", &WITH_IMAGE).required()]);

static KAFKA: Object = root![object("spec", &KAFKA_SPEC)];
static KAFKA_SPEC: Object = Object::new(version_fields![
    object("connectCluster", &WITH_IMAGE),
    object("cruiseControl", &WITH_IMAGE),
    object("initContainer", &WITH_IMAGE),
]);

static CASSANDRA: Object = root![object("spec", &CASSANDRA_SPEC)];
static CASSANDRA_SPEC: Object = Object::new(version_fields![
    object("exporter", &WITH_IMAGE),
    object("gitSyncer", &WITH_IMAGE),
    object("initContainer", &WITH_IMAGE).required(),
    object("medusa", &MEDUSA),
]);
static MEDUSA: Object = Object::new(&[text("image").required(), object("init", &WITH_IMAGE)]);
