//! Databases, described: what `install` puts into a cluster.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::kubedb::kind::Kind;
use crate::kubedb::workload::{Shape, WorkloadApi};

/// How a workload brings a new template to its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// A pod gets it when it is deleted: what KubeDB uses.
    OnDelete,
    /// The controller replaces pods by itself, down to the ordinal `partition`.
    RollingUpdate {
        /// Pods below this ordinal keep the old template.
        partition: i64,
    },
}

/// Whether the pods of a workload wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodManagement {
    /// Nothing is created above a pod that is not Ready.
    OrderedReady,
    /// All at once.
    Parallel,
}

type Adjustment = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// A database with its workloads and pods. Made with a constructor for its topology, changed with the methods,
/// put into a cluster with [`Database::install`].
#[derive(Clone)]
pub struct Database {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) spec: Value,
    pub(super) shape: Shape,
    pub(super) pinned: bool,
    pub(super) budgets: bool,
    pub(super) max_unavailable: Option<i64>,
    pub(super) sidecars: Vec<(String, String)>,
    pub(super) database_adjustments: Vec<Adjustment>,
    pub(super) workload_adjustments: Vec<Adjustment>,
}

impl Database {
    fn new(kind: Kind, name: &str, version: &str, mut spec: Value) -> Self {
        spec["version"] = json!(version);
        spec["deletionPolicy"] = json!("Delete");
        spec["healthChecker"] = json!({ "failureThreshold": 3, "periodSeconds": 10, "timeoutSeconds": 10 });
        Self {
            kind,
            name: name.to_owned(),
            namespace: "default".to_owned(),
            spec,
            shape: Shape::usual(kind),
            pinned: false,
            budgets: true,
            max_unavailable: None,
            sidecars: Vec::new(),
            database_adjustments: Vec::new(),
            workload_adjustments: Vec::new(),
        }
    }

    /// A Kafka 3.5.2 with controllers and brokers of their own, three each.
    pub fn kafka_topology(name: &str) -> Self {
        let topology = json!({ "controller": { "replicas": 3 }, "broker": { "replicas": 3 } });
        Self::new(Kind::Kafka, name, "3.5.2", json!({ "storageType": "Durable", "topology": topology }))
    }

    /// A Kafka 3.5.2 whose three pods are both controllers and brokers.
    pub fn kafka_combined(name: &str) -> Self {
        Self::new(Kind::Kafka, name, "3.5.2", json!({ "storageType": "Durable", "replicas": 3 }))
    }

    /// A Druid 28.0.1 with all six roles, one pod each.
    pub fn druid(name: &str) -> Self {
        let roles = ["coordinators", "overlords", "historicals", "middleManagers", "brokers", "routers"];
        let topology: Value =
            roles.iter().map(|role| ((*role).to_owned(), json!({ "replicas": 1 }))).collect();
        let deep_storage = json!({ "type": "s3", "configSecret": { "name": "deep-storage-config" } });
        Self::new(Kind::Druid, name, "28.0.1", json!({ "deepStorage": deep_storage, "topology": topology }))
    }

    /// A Cassandra 4.1.8 without racks, of one pod.
    pub fn cassandra(name: &str) -> Self {
        Self::new(Kind::Cassandra, name, "4.1.8", json!({ "storageType": "Durable", "replicas": 1 }))
    }

    /// A Cassandra 4.1.8 with racks: their names and numbers of pods.
    pub fn cassandra_racks(name: &str, racks: &[(&str, i64)]) -> Self {
        let racks: Value =
            racks.iter().map(|(rack, replicas)| json!({ "name": rack, "replicas": replicas })).collect();
        Self::new(Kind::Cassandra, name, "4.1.8", json!({ "topology": { "rack": racks } }))
    }

    /// A Hazelcast 5.5.2 of three pods, in a StatefulSet.
    pub fn hazelcast(name: &str) -> Self {
        let spec =
            json!({ "storageType": "Durable", "replicas": 3, "licenseSecret": { "name": "hz-license-key" } });
        Self::new(Kind::Hazelcast, name, "5.5.2", spec)
    }

    /// A ZooKeeper 3.8.3 of three pods.
    pub fn zookeeper(name: &str) -> Self {
        Self::new(Kind::ZooKeeper, name, "3.8.3", json!({ "replicas": 3 }))
    }

    /// Another version; it must be in the store or in the catalog when the database is installed.
    pub fn version(mut self, version: &str) -> Self {
        self.spec["version"] = json!(version);
        self
    }

    /// Another namespace than `default`.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = namespace.to_owned();
        self
    }

    /// The pods of a database with one workload.
    pub fn replicas(mut self, replicas: i64) -> Self {
        self.spec["replicas"] = json!(replicas);
        self
    }

    /// The pods of a role, as the spec's topology names it: `broker`, `controller`, `historicals`, `middleManagers`...
    pub fn replicas_of(mut self, role: &str, replicas: i64) -> Self {
        self.spec["topology"][role]["replicas"] = json!(replicas);
        self
    }

    /// Kafka's controllers.
    pub fn controllers(self, replicas: i64) -> Self {
        self.replicas_of("controller", replicas)
    }

    /// Kafka's brokers.
    pub fn brokers(self, replicas: i64) -> Self {
        self.replicas_of("broker", replicas)
    }

    /// Without an optional role of a Druid: `routers` or `overlords`.
    pub fn without(mut self, role: &str) -> Self {
        if let Some(topology) = self.spec["topology"].as_object_mut() {
            topology.remove(role);
        }
        self
    }

    /// Another API for the workloads than is usual for the kind.
    pub fn workload_api(mut self, api: WorkloadApi) -> Self {
        self.shape.api = api;
        self
    }

    /// Another update strategy than OnDelete.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.shape.strategy = match strategy {
            Strategy::OnDelete => json!({ "type": "OnDelete" }),
            Strategy::RollingUpdate { partition } => {
                json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": partition } })
            }
        };
        self
    }

    /// Another pod management policy than is usual for the kind.
    pub fn pod_management(mut self, policy: PodManagement) -> Self {
        self.shape.policy = match policy {
            PodManagement::OrderedReady => "OrderedReady",
            PodManagement::Parallel => "Parallel",
        };
        self
    }

    /// How long a pod has to be Ready before it counts as available.
    pub fn min_ready_seconds(mut self, seconds: i64) -> Self {
        self.shape.min_ready_seconds = seconds;
        self
    }

    /// With images in the templates as `repo:tag@sha256:...`.
    pub fn pinned(mut self) -> Self {
        self.pinned = true;
        self
    }

    /// Without disruption budgets.
    pub fn no_budget(mut self) -> Self {
        self.budgets = false;
        self
    }

    /// With budgets that allow so many pods to be away; 0 blocks every eviction of a healthy pod.
    pub fn max_unavailable(mut self, pods: i64) -> Self {
        self.max_unavailable = Some(pods);
        self
    }

    /// With another container in every pod.
    pub fn sidecar(mut self, name: &str, image: &str) -> Self {
        self.sidecars.push((name.to_owned(), image.to_owned()));
        self
    }

    /// A Kafka with cruise control, which is a Deployment.
    pub fn cruise_control(mut self) -> Self {
        self.spec["cruiseControl"] = json!({ "replicas": 1 });
        self
    }

    /// Changes the database object before it is created, whatever the change.
    pub fn adjust(mut self, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.database_adjustments.push(Arc::new(change));
        self
    }

    /// Changes each PetSet or StatefulSet before it is created; its pods are made from the changed template.
    ///
    /// An operator that is alive undoes what the database's spec and version do not ask for (images, init containers,
    /// replicas) once the controllers run.
    pub fn adjust_workload(mut self, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.workload_adjustments.push(Arc::new(change));
        self
    }
}
