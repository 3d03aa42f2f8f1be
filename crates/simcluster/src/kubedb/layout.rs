//! Which workloads a database has, by its spec.

use serde_json::{Value, json};

use super::kind::Kind;
use crate::object;
use crate::read::{self, number, text};

/// One workload of a database.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    /// The workload's name, cut at 63 characters.
    pub name: String,
    /// The pods that the database asks for.
    pub replicas: i64,
    /// The label that tells this workload's pods from those of the others.
    pub label: (&'static str, String),
}

const ROLE: &str = "kubedb.com/role";
const PETSET: &str = "kubedb.com/petset";

/// The roles of a Druid: the field in the spec, the workload's suffix, whether it may be absent.
const DRUID: [(&str, &str, bool); 6] = [
    ("coordinators", "coordinators", false),
    ("overlords", "overlords", true),
    ("historicals", "historicals", false),
    ("middleManagers", "middlemanagers", false),
    ("brokers", "brokers", false),
    ("routers", "routers", true),
];

/// The workloads that `database` asks for.
pub(crate) fn members(kind: Kind, database: &Value) -> Vec<Member> {
    let topology = &database["spec"]["topology"];
    match kind {
        Kind::Kafka if topology.is_object() => kafka_roles(database, topology),
        Kind::Druid => druid_roles(database, topology),
        Kind::Cassandra if topology["rack"].is_array() => racks(database, topology),
        Kind::Kafka => vec![single(database, (ROLE, "combined".into()))],
        _ => vec![single(database, (PETSET, "standalone".into()))],
    }
}

fn single(database: &Value, label: (&'static str, String)) -> Member {
    Member {
        name: cut(object::name(database)),
        replicas: number(database, "/spec/replicas").unwrap_or(1),
        label,
    }
}

fn kafka_roles(database: &Value, topology: &Value) -> Vec<Member> {
    ["controller", "broker"].map(|role| from_role(database, &topology[role], role, role)).to_vec()
}

fn druid_roles(database: &Value, topology: &Value) -> Vec<Member> {
    let asked = DRUID.iter().filter(|(field, _, optional)| !optional || topology[*field].is_object());
    asked.map(|(field, suffix, _)| from_role(database, &topology[*field], suffix, suffix)).collect()
}

fn racks(database: &Value, topology: &Value) -> Vec<Member> {
    let member = |rack: &Value| {
        let rack_name = format!("rack-{}", text(rack, "/name"));
        from_role(database, rack, &rack_name, &rack_name)
    };
    let renamed = |mut member: Member| {
        member.label.0 = PETSET;
        member
    };
    read::list(topology, "/rack").iter().map(member).map(renamed).collect()
}

fn from_role(database: &Value, role: &Value, suffix: &str, label: &str) -> Member {
    let suffix = role["suffix"].as_str().unwrap_or(suffix);
    Member {
        name: cut(&format!("{}-{suffix}", object::name(database))),
        replicas: role["replicas"].as_i64().unwrap_or(1),
        label: (ROLE, label.to_owned()),
    }
}

fn cut(name: &str) -> String {
    name.chars().take(63).collect()
}

/// The roles of a Druid in the order in which they are restarted.
const DRUID_ROLLING: [&str; 6] =
    ["historicals", "middlemanagers", "brokers", "routers", "overlords", "coordinators"];

/// The workloads that `database` asks for, in the order in which an update restarts them.
pub(crate) fn members_in_rolling_order(kind: Kind, database: &Value) -> Vec<Member> {
    let mut members = members(kind, database);
    if kind == Kind::Druid {
        members.sort_by_key(|member| DRUID_ROLLING.iter().position(|role| *role == member.label.1));
    }
    members
}

/// The labels that everything of a database carries, and by which it is found.
pub(crate) fn labels(kind: Kind, database: &Value) -> Value {
    json!({
        "app.kubernetes.io/component": "database",
        "app.kubernetes.io/instance": object::name(database),
        "app.kubernetes.io/managed-by": "kubedb.com",
        "app.kubernetes.io/name": kind.resource(),
    })
}

/// The labels of a workload's pods, which are also its selector.
pub(crate) fn pod_labels(kind: Kind, database: &Value, member: &Member) -> Value {
    let mut labels = labels(kind, database);
    labels[member.label.0] = json!(member.label.1);
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(kind: Kind, spec: Value) -> Vec<(String, i64)> {
        let database = json!({"metadata": {"name": "db"}, "spec": spec});
        members(kind, &database).into_iter().map(|member| (member.name, member.replicas)).collect()
    }

    #[test]
    fn each_topology_has_its_workloads() {
        let pairs = |wanted: &[(&str, i64)]| {
            wanted.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Vec<_>>()
        };
        assert_eq!(names(Kind::Kafka, json!({"replicas": 3})), pairs(&[("db", 3)]));
        assert_eq!(
            names(
                Kind::Kafka,
                json!({"topology": {"controller": {"replicas": 3}, "broker": {"replicas": 2, "suffix": "b"}}})
            ),
            pairs(&[("db-controller", 3), ("db-b", 2)])
        );
        let druid = json!({"topology": {"brokers": {"replicas": 2}, "routers": {}}});
        let wanted = [
            ("db-coordinators", 1),
            ("db-historicals", 1),
            ("db-middlemanagers", 1),
            ("db-brokers", 2),
            ("db-routers", 1),
        ];
        assert_eq!(names(Kind::Druid, druid), pairs(&wanted));
        let racks =
            json!({"topology": {"rack": [{"name": "r0", "replicas": 2}, {"name": "r1", "replicas": 3}]}});
        assert_eq!(names(Kind::Cassandra, racks), pairs(&[("db-rack-r0", 2), ("db-rack-r1", 3)]));
        assert_eq!(names(Kind::Cassandra, json!({"replicas": 1})), pairs(&[("db", 1)]));
        assert_eq!(names(Kind::ZooKeeper, json!({})), pairs(&[("db", 1)]));
    }

    #[test]
    fn names_are_cut() {
        let database = json!({"metadata": {"name": "x".repeat(62)}, "spec": {"topology": {"broker": {}}}});
        assert!(members(Kind::Kafka, &database).iter().all(|member| member.name.len() == 63));
    }
}
