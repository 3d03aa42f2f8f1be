//! Everything that differs between the kinds of database, one file for each kind: names, which container gets its image
//! from which field of the catalog, the order of the workloads, and what an update means for the data.

mod cassandra;
mod druid;
mod finish;
mod hazelcast;
mod heard;
mod kafka;
#[cfg(test)]
mod letters;
mod names;
mod zookeeper;

use std::time::Duration;

use crate::model::evidence::{Evidence, Protocol};
use crate::model::{
    Container, Health, Kind, Place, Pod, Roster, Snapshot, Workload, WorkloadKind, by_number, clean,
};

pub use finish::{Examined, Finishing, completion};
pub use names::UnknownKind;

/// Lists the kinds. A kind of the enum that is missing here does not compile.
macro_rules! kinds {
    ($($kind:ident: $facts:path),+ $(,)?) => {
        impl Kind {
            /// Every kind, in the order in which lists show them.
            pub const ALL: [Kind; [$(Kind::$kind),+].len()] = [$(Kind::$kind),+];

            /// The facts about this kind.
            pub fn facts(self) -> &'static Facts {
                match self {
                    $(Kind::$kind => &$facts,)+
                }
            }
        }
    };
}

kinds! {
    Kafka: kafka::FACTS,
    Druid: druid::FACTS,
    Cassandra: cassandra::FACTS,
    Hazelcast: hazelcast::FACTS,
    ZooKeeper: zookeeper::FACTS,
}

/// The facts about one kind of database.
#[derive(Debug)]
pub struct Facts {
    pub names: Names,
    /// Kind and resource name of the version objects in `catalog.kubedb.com/v1alpha1`.
    pub version_kind: &'static str,
    pub version_plural: &'static str,
    /// Kind and resource name of the ops requests in `ops.kubedb.com/v1alpha1`.
    pub ops_kind: &'static str,
    pub ops_plural: &'static str,
    /// What the pod templates of this kind's workloads look like.
    pub shapes: &'static [Shape],
    /// The roles of the kind's workloads, in the order in which they are restarted. Any others come last.
    pub roles: &'static [&'static str],
    /// The pods of a set of this role are controllers that need a quorum.
    pub controllers: fn(role: &str) -> bool,
    /// A Deployment may belong to a database of this kind.
    pub deployments: bool,
    /// The fields of the database's `spec` that are or hold pod templates.
    pub pod_templates: &'static [&'static str],
    pub data: Data,
    pub questions: Questions,
    pub finishing: Finishing,
}

/// What the API and its users call a kind.
#[derive(Debug)]
pub struct Names {
    /// As the API spells it, e.g. `ZooKeeper`.
    pub kind: &'static str,
    /// As a user types it, e.g. `zookeeper`.
    pub singular: &'static str,
    /// The resource name, e.g. `zookeepers`.
    pub plural: &'static str,
    /// The short name that the CRD declares, e.g. `zk`.
    pub short: &'static str,
}

/// More pods than any database has: a number of replicas is text from outside, and each pod is judged by all the others.
const MOST_PODS: i64 = 1000;

/// How a database is asked about its health, and how its answers are judged.
#[derive(Debug)]
pub struct Questions {
    pub protocol: Protocol,
    /// Judges what the pods answered. The roster says who has to be there.
    pub judge: fn(&Evidence, &Roster) -> Health,
    /// For how long the answers have to be good before they are believed: views of a member that has just gone or returned
    /// are known to be out of date for so long.
    pub apart: Duration,
    /// The same if the last pod that was restarted did not end cleanly, so that the others were not told.
    pub apart_after_a_hang: Duration,
    /// The pause between two questions while the answer is waited for.
    pub pause: Duration,
    /// How the pods of a role are drained before their restart; `None` if they are not.
    pub drain: fn(role: &str) -> Option<Drain>,
}

/// The usual pause between two questions: what a fit database costs in time until the eviction is half of it.
const PAUSE: Duration = Duration::from_millis(150);

/// What draining does to a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// It takes on no new work, and what it does is waited for. That can be taken back.
    Work,
    /// It writes its data down and serves nobody from then on, so it goes at once.
    Service,
}

/// What an update means for the data of a database.
#[derive(Debug)]
pub struct Data {
    /// Whether a new version writes the data in a format that the old one cannot read; `None` if no version of the kind
    /// ever does. Versions are as the rule compares them.
    pub rewrites: Option<fn(from: &str, to: &str) -> bool>,
    /// How a person inspects the state of the data.
    pub inspection: Inspection,
}

/// A shell command that shows the state of the data, and the container to run it in.
#[derive(Debug)]
pub struct Inspection {
    pub container: &'static str,
    pub command: &'static str,
}

/// One form of pod template, recognized by its main container.
#[derive(Debug)]
pub struct Shape {
    /// The container by which the shape is recognized.
    pub anchor: &'static str,
    /// The containers whose images the catalog names, the anchor included.
    pub containers: &'static [Mapping],
    /// The field of the database's `spec` that requests a workload of this shape; `None` if there always is one.
    pub switch: Option<&'static str>,
}

impl Shape {
    /// What the catalog names for that container.
    pub fn mapping(&self, container: &Container) -> Option<&'static Mapping> {
        self.containers.iter().find(|m| m.container == container.name && m.init == container.init)
    }
}

/// A container whose image the catalog names.
#[derive(Debug)]
pub struct Mapping {
    pub container: &'static str,
    pub init: bool,
    /// The field of the version object, e.g. `spec.db.image`.
    pub field: &'static str,
    /// The template may lack it although the catalog names an image, because it belongs to a feature that can be
    /// disabled.
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

impl Facts {
    /// The shape of a workload's template; `None` if it has no container by which the kind is recognized.
    pub fn shape(&self, workload: &Workload) -> Option<&'static Shape> {
        self.shapes.iter().find(|s| workload.container(s.anchor).is_some())
    }

    /// The fields of a version object from which images are taken.
    pub fn image_fields(&self) -> impl Iterator<Item = &'static str> {
        self.shapes.iter().flat_map(|s| s.containers).map(|m| m.field)
    }

    /// A database of this kind may have such workloads.
    pub fn may_have(&self, workload: WorkloadKind) -> bool {
        self.deployments || !workload.serves_only()
    }

    /// The workloads in the order of restarts. Those of the same role follow the numbers in their names.
    pub fn in_order<'a>(&self, database: &str, workloads: &'a [Workload]) -> Vec<&'a Workload> {
        let mut order: Vec<&Workload> = workloads.iter().collect();
        order.sort_by_cached_key(|w| (self.rank(database, w), by_number(&w.object.name)));
        order
    }

    /// The workload's position in the order of restarts; Deployments always come last.
    fn rank(&self, database: &str, workload: &Workload) -> usize {
        if workload.kind.serves_only() {
            return usize::MAX;
        }
        let role = role(database, workload);
        self.roles.iter().position(|r| same_role(r, &role)).unwrap_or(self.roles.len())
    }
}

/// The role of a workload in its database: what KubeDB's labels say (`kubedb.com/role: broker`, or the key
/// `kubedb.com/role-broker`), otherwise the rest of its name after the database's name, otherwise `all`.
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

/// The pods that the database consists of, in the order of the workloads and their ordinals.
pub fn roster(snapshot: &Snapshot) -> Roster {
    let (database, mut places) = (&snapshot.database.object.name, Vec::new());
    let order = snapshot.database.kind.facts().in_order(database, &snapshot.workloads);
    for workload in order.into_iter().filter(|workload| !workload.kind.serves_only()) {
        let role = role(database, workload);
        for ordinal in 0..u32::try_from(workload.replicas.clamp(0, MOST_PODS)).unwrap_or_default() {
            let pod = format!("{}-{ordinal}", workload.object.name);
            let found = snapshot.pods_of(workload).find(|p| p.name == pod);
            places.push(Place {
                uid: found.map(|pod| pod.uid.clone()).unwrap_or_default(),
                role: role.clone(),
                ordinal,
                ready: found.is_some_and(Pod::healthy),
                pod,
            });
        }
    }
    Roster { places }
}

/// KubeDB writes roles in the plural for some kinds and in the singular for others.
fn same_role(one: &str, other: &str) -> bool {
    one.trim_end_matches('s') == other.trim_end_matches('s')
}
