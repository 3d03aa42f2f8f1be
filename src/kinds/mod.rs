//! What differs between the kinds of database: API names, which container takes its image from which field of the
//! catalog, and in which order the workloads are rolled. One file each.

mod cassandra;
mod druid;
mod hazelcast;
mod kafka;
mod zookeeper;

use crate::model::{Kind, Workload, WorkloadKind, clean};

/// The facts about one kind of database.
#[derive(Debug)]
pub struct Facts {
    /// Kind and resource name of the version objects in `catalog.kubedb.com/v1alpha1`.
    pub version_kind: &'static str,
    pub version_plural: &'static str,
    /// Kind and resource name of the ops requests in `ops.kubedb.com/v1alpha1`.
    pub ops_kind: &'static str,
    pub ops_plural: &'static str,
    /// What the templates of this kind's workloads look like.
    pub shapes: &'static [Shape],
    /// The roles that the kind's workloads play, in the order in which they are rolled. Others come after.
    pub roles: &'static [&'static str],
    /// A Deployment may belong to a database of this kind.
    pub deployments: bool,
    /// Manual follow-up after an update between two versions (the versions as the rule compares them).
    pub afterwards: fn(from: &str, to: &str) -> Vec<String>,
}

/// One form of pod template: told by its main container.
#[derive(Debug)]
pub struct Shape {
    /// The container that tells the shape.
    pub anchor: &'static str,
    /// The containers whose images the catalog names, the anchor included.
    pub containers: &'static [Mapping],
}

/// A container whose image the catalog names.
#[derive(Debug)]
pub struct Mapping {
    pub container: &'static str,
    pub init: bool,
    /// The field of the version object, e.g. `spec.db.image`.
    pub field: &'static str,
    /// The template may lack it though the catalog names an image, since a feature of the database is off.
    pub optional: bool,
}

const fn container(container: &'static str, field: &'static str) -> Mapping {
    Mapping { container, init: false, field, optional: false }
}

const fn init(container: &'static str, field: &'static str) -> Mapping {
    Mapping { container, init: true, field, optional: false }
}

const fn optional(container: &'static str, init: bool, field: &'static str) -> Mapping {
    Mapping { container, init, field, optional: true }
}

impl Kind {
    /// The facts about this kind.
    pub fn facts(self) -> &'static Facts {
        match self {
            Kind::Kafka => &kafka::FACTS,
            Kind::Druid => &druid::FACTS,
            Kind::Cassandra => &cassandra::FACTS,
            Kind::Hazelcast => &hazelcast::FACTS,
            Kind::ZooKeeper => &zookeeper::FACTS,
        }
    }
}

impl Facts {
    /// The shape of a workload's template; `None` where it holds no container that the kind is known by.
    pub fn shape(&self, workload: &Workload) -> Option<&'static Shape> {
        self.shapes.iter().find(|s| workload.container(s.anchor).is_some())
    }

    /// The fields of a version object from which images are taken.
    pub fn image_fields(&self) -> impl Iterator<Item = &'static str> {
        self.shapes.iter().flat_map(|s| s.containers).map(|m| m.field)
    }

    /// Where a workload stands in the order of rolling; Deployments come last, whatever they do.
    pub fn rank(&self, database: &str, workload: &Workload) -> usize {
        if workload.kind == WorkloadKind::Deployment {
            return usize::MAX;
        }
        let role = role(database, workload);
        self.roles.iter().position(|r| same_role(r, &role)).unwrap_or(self.roles.len())
    }
}

/// What a workload is to its database: the role that KubeDB's labels give it (`kubedb.com/role: broker`, or the key
/// `kubedb.com/role-broker`), else what its name says behind the database's name, else `all`.
pub fn role(database: &str, workload: &Workload) -> String {
    let named = |suffix: &str| clean(suffix).to_ascii_lowercase();
    if let Some(role) = workload.labels.get("kubedb.com/role") {
        return named(role);
    }
    let mut keys = workload.labels.keys().filter_map(|k| k.strip_prefix("kubedb.com/role-"));
    match (keys.next(), keys.next()) {
        (Some(role), None) => return named(role),
        (Some(_), Some(_)) => return "all".to_owned(),
        (None, _) => {}
    }
    match workload.object.name.strip_prefix(database).and_then(|rest| rest.strip_prefix('-')) {
        Some(suffix) if !suffix.is_empty() => named(suffix),
        _ => "all".to_owned(),
    }
}

/// KubeDB writes roles in the plural for some kinds and in the singular for others.
fn same_role(one: &str, other: &str) -> bool {
    one.trim_end_matches('s') == other.trim_end_matches('s')
}
