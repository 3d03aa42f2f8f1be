//! The catalog: which versions there are, their images, and which may follow which.

use serde_json::{Value, json};

use crate::kubedb::kind::Kind;
use crate::store::Store;

/// One version of a kind.
struct Row {
    kind: Kind,
    version: &'static str,
    /// The image of the database itself.
    db: &'static str,
    /// The tag of the init container's image; empty when the version has none.
    init: &'static str,
    allow: &'static str,
    deny: &'static str,
    deprecated: bool,
}

const fn row(
    kind: Kind,
    version: &'static str,
    db: &'static str,
    init: &'static str,
    allow: &'static str,
) -> Row {
    Row { kind, version, db, init, allow, deny: "", deprecated: false }
}

const fn kafka(version: &'static str, db: &'static str, allow: &'static str, deny: &'static str) -> Row {
    Row { deny, ..row(Kind::Kafka, version, db, "", allow) }
}

const fn deprecated(row: Row) -> Row {
    Row { deprecated: true, ..row }
}

const KRAFT: &str = "ghcr.io/appscode-images/kafka-kraft";
const OLD_KRAFT: &str = "ghcr.io/kubedb/kafka-kraft";
const KAFKA: &str = "ghcr.io/appscode-images/kafka";
const DRUID: &str = "ghcr.io/appscode-images/druid";
const OLD_DRUID: &str = "docker.io/apache/druid";
const CASSANDRA: &str = "ghcr.io/appscode-images/cassandra-management";
const HAZELCAST: &str = "docker.io/hazelcast/hazelcast-enterprise";
const ZOOKEEPER: &str = "ghcr.io/appscode-images/zookeeper";

/// Every version, oldest first.
static ROWS: &[Row] = &[
    deprecated(kafka("3.3.0", OLD_KRAFT, "", "")),
    deprecated(kafka("3.3.2", KRAFT, ">= 3.3.2, <= 3.6.1", "< 3.3.2")),
    deprecated(kafka("3.4.0", OLD_KRAFT, "", "")),
    deprecated(kafka("3.4.1", KRAFT, ">= 3.4.1, <= 3.6.1", "< 3.4.1")),
    deprecated(kafka("3.5.1", KRAFT, ">= 3.5.1, <= 3.6.1", "< 3.5.1")),
    kafka("3.5.2", KRAFT, ">= 3.5.2", "< 3.5.2"),
    deprecated(kafka("3.6.0", KRAFT, ">= 3.6.0, <= 3.6.1", "< 3.6.0")),
    kafka("3.6.1", KRAFT, ">= 3.6.1", "< 3.6.1"),
    kafka("3.7.2", KRAFT, ">= 3.7.2", "< 3.7.2"),
    kafka("3.8.1", KRAFT, ">= 3.8.1", "< 3.8.1"),
    kafka("3.9.0", KRAFT, ">= 3.9.0", "< 3.9.0"),
    Row { init: "4.0-v2", ..kafka("4.0.0", KAFKA, ">= 4.0.0", "< 4.0.0") },
    Row { init: "4.0-v2", ..kafka("4.2.0", KAFKA, ">= 4.2.0", "< 4.2.0") },
    deprecated(row(Kind::Druid, "25.0.0", OLD_DRUID, "25.0.0", "")),
    row(Kind::Druid, "28.0.1", DRUID, "28.0.1", ">= 28.0.1 < 31.0.0"),
    deprecated(row(Kind::Druid, "30.0.0", DRUID, "30.0.0", "")),
    row(Kind::Druid, "30.0.1", DRUID, "30.0.1", ">= 30.0.1 < 35.0.0"),
    row(Kind::Druid, "31.0.0", DRUID, "31.0.0", ">= 31.0.0 < 36.0.0"),
    row(Kind::Druid, "35.0.1", DRUID, "35.0.1", ">= 35.0.1 < 37.0.0"),
    row(Kind::Druid, "36.0.0", DRUID, "36.0.0", ">= 36.0.0"),
    row(Kind::Cassandra, "4.1.8", CASSANDRA, "4.1.6-v2", ">= 4.1.8"),
    row(Kind::Cassandra, "4.1.11", CASSANDRA, "4.1.6-v2", ">= 4.1.11"),
    row(Kind::Cassandra, "5.0.3", CASSANDRA, "5.0.0-v2", ">= 5.0.3"),
    row(Kind::Cassandra, "5.0.7", CASSANDRA, "5.0.0-v2", ">= 5.0.7"),
    row(Kind::Hazelcast, "5.5.2", HAZELCAST, "5.5.2", ">= 5.5.2, <= 6.0.0"),
    row(Kind::Hazelcast, "5.5.6", HAZELCAST, "5.5.2", ">= 5.5.6, <= 6.0.0"),
    row(Kind::ZooKeeper, "3.7.2", ZOOKEEPER, "3.7-v1", ""),
    row(Kind::ZooKeeper, "3.8.3", ZOOKEEPER, "3.7-v1", ""),
    row(Kind::ZooKeeper, "3.9.1", ZOOKEEPER, "3.7-v1", ""),
];

/// Puts every version object of the five kinds into the store; those that exist already stay as they are.
pub fn install(store: &Store) {
    for row in ROWS {
        // A version that is there already was put there on purpose.
        let _ = store.create(row.kind.version_resource(), object(row));
    }
}

/// The names of a kind's versions, oldest first.
pub fn names(kind: Kind) -> Vec<&'static str> {
    ROWS.iter().filter(|row| row.kind == kind).map(|row| row.version).collect()
}

/// A version object as it is installed; `None` for a version that the catalog does not have.
pub fn version(kind: Kind, name: &str) -> Option<Value> {
    ROWS.iter().find(|row| row.kind == kind && row.version == name).map(object)
}

fn object(row: &Row) -> Value {
    let mut spec = json!({
        "version": row.version,
        "db": { "image": format!("{}:{}", row.db, row.version) },
        "securityContext": { "runAsUser": run_as(row) },
    });
    if !row.init.is_empty() {
        spec["initContainer"] = json!({ "image": format!("{}:{}", init_repository(row.kind), row.init) });
    }
    if row.deprecated {
        spec["deprecated"] = json!(true);
    }
    if let Some(constraints) = constraints(row) {
        spec["updateConstraints"] = constraints;
    }
    match row.kind {
        Kind::Kafka => add_kafka(row, &mut spec),
        Kind::Cassandra => add_cassandra(&mut spec),
        _ => {}
    }
    // No registry has what a simulated node pulls.
    let annotations = json!({ "kubectl-dbupdate/simulated": "true" });
    json!({ "metadata": { "name": row.version, "annotations": annotations }, "spec": spec })
}

fn constraints(row: &Row) -> Option<Value> {
    let lists = [("allowlist", row.allow), ("denylist", row.deny)];
    let lists: serde_json::Map<_, _> = lists
        .iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(key, text)| ((*key).to_owned(), json!([text])))
        .collect();
    (!lists.is_empty()).then_some(Value::Object(lists))
}

fn add_kafka(row: &Row, spec: &mut Value) {
    let connect = match row.version {
        "3.3.0" => "3.3.2",
        "3.4.0" => "3.4.1",
        version => version,
    };
    let cruise = if row.db == OLD_KRAFT {
        "ghcr.io/kubedb/cruise-control"
    } else {
        "ghcr.io/appscode-images/kafka-cruise-control"
    };
    if row.deprecated {
        spec["endOfLife"] = json!(true);
    }
    spec["connectCluster"] =
        json!({ "image": format!("ghcr.io/appscode-images/kafka-connect-cluster:{connect}") });
    spec["cruiseControl"] = json!({ "image": format!("{cruise}:{}", row.version) });
    spec["podSecurityPolicies"] = json!({ "databasePolicyName": "kafka-db" });
}

fn add_cassandra(spec: &mut Value) {
    let medusa = "ghcr.io/appscode-images/cassandra-medusa:0.24.0";
    spec["exporter"] = json!({ "image": "ghcr.io/appscode-images/cassandra-exporter:2.3.8" });
    spec["medusa"] = json!({ "image": medusa, "init": { "image": medusa } });
}

fn init_repository(kind: Kind) -> &'static str {
    match kind {
        Kind::Kafka => "ghcr.io/kubedb/kafka-init",
        Kind::Druid => "ghcr.io/kubedb/druid-init",
        Kind::Cassandra => "ghcr.io/kubedb/cassandra-init",
        Kind::Hazelcast => "ghcr.io/kubedb/hazelcast-init",
        Kind::ZooKeeper => "ghcr.io/kubedb/zookeeper-init",
    }
}

fn run_as(row: &Row) -> i64 {
    match (row.kind, row.version) {
        (Kind::Kafka, _) => 1001,
        (Kind::Druid, _) => 1000,
        (Kind::Cassandra, _) => 999,
        (Kind::Hazelcast, _) => 65534,
        (Kind::ZooKeeper, "3.7.2") => 100,
        (Kind::ZooKeeper, _) => 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::text;

    #[test]
    fn versions_say_what_the_rule_and_the_images_need() {
        let druid = version(Kind::Druid, "28.0.1").unwrap();
        assert_eq!(druid["spec"]["updateConstraints"], json!({"allowlist": [">= 28.0.1 < 31.0.0"]}));
        assert_eq!(text(&druid, "/spec/initContainer/image"), "ghcr.io/kubedb/druid-init:28.0.1");
        let kafka = version(Kind::Kafka, "3.9.0").unwrap();
        assert!(kafka.pointer("/spec/initContainer").is_none());
        assert!(kafka["spec"].get("endOfLife").is_none());
        assert_eq!(version(Kind::Kafka, "3.5.1").unwrap()["spec"]["endOfLife"], true);
        assert_eq!(
            text(&version(Kind::Kafka, "4.0.0").unwrap(), "/spec/db/image"),
            "ghcr.io/appscode-images/kafka:4.0.0"
        );
        assert_eq!(version(Kind::Druid, "30.0.0").unwrap()["spec"]["deprecated"], true);
        assert!(version(Kind::ZooKeeper, "3.9.1").unwrap()["spec"].get("updateConstraints").is_none());
        assert!(version(Kind::Kafka, "9.9.9").is_none());
    }
}
