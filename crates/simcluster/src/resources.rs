//! What the server serves: every resource with its names, versions and subresources.

/// A resource that the server stores, as discovery describes it.
#[derive(Debug)]
pub struct Resource {
    /// `plural[.group]`, as kubectl writes it: `pods`, `petsets.apps.k8s.appscode.com`.
    pub name: &'static str,
    /// The kind, such as `PetSet`.
    pub kind: &'static str,
    /// Served versions; the first is preferred, and the one that objects are stored in.
    pub versions: &'static [&'static str],
    /// Short names, such as `po`.
    pub short: &'static [&'static str],
    /// Categories, such as `all`.
    pub categories: &'static [&'static str],
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
    /// Whether it is defined by a CustomResourceDefinition, which decides how it patches, defaults and prints.
    pub custom: bool,
    /// Whether `/status` exists; then the main resource ignores `.status`.
    pub status: bool,
    /// Whether `/scale` exists.
    pub scale: bool,
    /// Whether `metadata.generation` counts changes of what is wanted.
    pub generation: bool,
    /// Whether most clusters do not serve it: it has to be added first.
    pub optional: bool,
}

impl Resource {
    /// The plural, without the group.
    pub fn plural(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(plural, _)| plural)
    }

    /// The API group; empty for the core group.
    pub fn group(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(_, group)| group)
    }

    /// The lower-case singular name.
    pub fn singular(&self) -> String {
        self.kind.to_lowercase()
    }

    /// Whether a collection of it can be deleted at once.
    pub fn deletes_collections(&self) -> bool {
        self.name != "namespaces"
    }

    /// The `apiVersion` of an object in `version`.
    pub fn api_version(&self, version: &str) -> String {
        group_version(self.group(), version)
    }
}

/// `group/version`, or only the version for the core group.
pub fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// The resource of a `plural[.group]` name.
pub fn find(name: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.name == name)
}

const BUILTIN: Resource = Resource {
    name: "",
    kind: "",
    versions: &["v1"],
    short: &[],
    categories: &[],
    namespaced: true,
    custom: false,
    status: false,
    scale: false,
    generation: false,
    optional: false,
};

const WORKLOAD: Resource =
    Resource { categories: &["all"], status: true, scale: true, generation: true, ..BUILTIN };

const CUSTOM: Resource = Resource { custom: true, generation: true, ..BUILTIN };

const DATABASE: Resource = Resource {
    versions: &["v1alpha2"],
    categories: &["datastore", "kubedb", "appscode", "all"],
    status: true,
    ..CUSTOM
};

const OPS_REQUEST: Resource =
    Resource { versions: &["v1alpha1"], categories: &["ops", "kubedb", "appscode"], status: true, ..CUSTOM };

const VERSION_OBJECT: Resource = Resource {
    versions: &["v1alpha1"],
    categories: &["catalog", "kubedb", "appscode"],
    namespaced: false,
    ..CUSTOM
};

const BACKUP: Resource = Resource { optional: true, status: true, ..CUSTOM };

/// Made elsewhere, by a GitOps controller, and copied to the database.
const KEPT: Resource = Resource { versions: &["v1alpha1"], optional: true, status: true, ..CUSTOM };

/// Every resource, in the order of discovery: groups stay together.
pub static RESOURCES: &[Resource] = &[
    Resource { name: "configmaps", kind: "ConfigMap", short: &["cm"], ..BUILTIN },
    Resource { name: "endpoints", kind: "Endpoints", short: &["ep"], ..BUILTIN },
    Resource { name: "events", kind: "Event", short: &["ev"], ..BUILTIN },
    Resource { name: "limitranges", kind: "LimitRange", short: &["limits"], ..BUILTIN },
    Resource {
        name: "namespaces",
        kind: "Namespace",
        short: &["ns"],
        namespaced: false,
        status: true,
        ..BUILTIN
    },
    Resource { name: "nodes", kind: "Node", short: &["no"], namespaced: false, status: true, ..BUILTIN },
    Resource {
        name: "persistentvolumeclaims",
        kind: "PersistentVolumeClaim",
        short: &["pvc"],
        status: true,
        ..BUILTIN
    },
    Resource {
        name: "persistentvolumes",
        kind: "PersistentVolume",
        short: &["pv"],
        namespaced: false,
        status: true,
        ..BUILTIN
    },
    Resource {
        name: "pods",
        kind: "Pod",
        short: &["po"],
        categories: &["all"],
        status: true,
        generation: true,
        ..BUILTIN
    },
    Resource { name: "resourcequotas", kind: "ResourceQuota", short: &["quota"], status: true, ..BUILTIN },
    Resource { name: "secrets", kind: "Secret", ..BUILTIN },
    Resource { name: "serviceaccounts", kind: "ServiceAccount", short: &["sa"], ..BUILTIN },
    Resource {
        name: "services",
        kind: "Service",
        short: &["svc"],
        categories: &["all"],
        status: true,
        ..BUILTIN
    },
    Resource { name: "controllerrevisions.apps", kind: "ControllerRevision", ..BUILTIN },
    Resource { name: "daemonsets.apps", kind: "DaemonSet", short: &["ds"], scale: false, ..WORKLOAD },
    Resource { name: "deployments.apps", kind: "Deployment", short: &["deploy"], ..WORKLOAD },
    Resource { name: "replicasets.apps", kind: "ReplicaSet", short: &["rs"], ..WORKLOAD },
    Resource { name: "statefulsets.apps", kind: "StatefulSet", short: &["sts"], ..WORKLOAD },
    Resource { name: "cronjobs.batch", kind: "CronJob", short: &["cj"], scale: false, ..WORKLOAD },
    Resource { name: "jobs.batch", kind: "Job", scale: false, ..WORKLOAD },
    Resource {
        name: "poddisruptionbudgets.policy",
        kind: "PodDisruptionBudget",
        short: &["pdb"],
        status: true,
        generation: true,
        ..BUILTIN
    },
    Resource {
        name: "clusterrolebindings.rbac.authorization.k8s.io",
        kind: "ClusterRoleBinding",
        namespaced: false,
        ..BUILTIN
    },
    Resource {
        name: "clusterroles.rbac.authorization.k8s.io",
        kind: "ClusterRole",
        namespaced: false,
        ..BUILTIN
    },
    Resource { name: "rolebindings.rbac.authorization.k8s.io", kind: "RoleBinding", ..BUILTIN },
    Resource { name: "roles.rbac.authorization.k8s.io", kind: "Role", ..BUILTIN },
    Resource {
        name: "storageclasses.storage.k8s.io",
        kind: "StorageClass",
        short: &["sc"],
        namespaced: false,
        ..BUILTIN
    },
    Resource { name: "leases.coordination.k8s.io", kind: "Lease", ..BUILTIN },
    Resource {
        name: "customresourcedefinitions.apiextensions.k8s.io",
        kind: "CustomResourceDefinition",
        short: &["crd", "crds"],
        categories: &["api-extensions"],
        namespaced: false,
        status: true,
        generation: true,
        ..BUILTIN
    },
    Resource {
        name: "placementpolicies.apps.k8s.appscode.com",
        kind: "PlacementPolicy",
        namespaced: false,
        ..CUSTOM
    },
    Resource { name: "petsets.apps.k8s.appscode.com", kind: "PetSet", status: true, scale: true, ..CUSTOM },
    Resource {
        name: "cassandraversions.catalog.kubedb.com",
        kind: "CassandraVersion",
        short: &["casversion"],
        ..VERSION_OBJECT
    },
    Resource {
        name: "druidversions.catalog.kubedb.com",
        kind: "DruidVersion",
        short: &["drversion"],
        ..VERSION_OBJECT
    },
    Resource {
        name: "hazelcastversions.catalog.kubedb.com",
        kind: "HazelcastVersion",
        short: &["hzversion"],
        ..VERSION_OBJECT
    },
    Resource {
        name: "kafkaversions.catalog.kubedb.com",
        kind: "KafkaVersion",
        short: &["kfversion"],
        ..VERSION_OBJECT
    },
    Resource {
        name: "zookeeperversions.catalog.kubedb.com",
        kind: "ZooKeeperVersion",
        short: &["zkversion"],
        ..VERSION_OBJECT
    },
    Resource { name: "cassandras.kubedb.com", kind: "Cassandra", short: &["cas"], ..DATABASE },
    Resource { name: "druids.kubedb.com", kind: "Druid", short: &["dr"], ..DATABASE },
    Resource { name: "hazelcasts.kubedb.com", kind: "Hazelcast", short: &["hz"], ..DATABASE },
    Resource {
        name: "kafkas.kubedb.com",
        kind: "Kafka",
        short: &["kf"],
        versions: &["v1", "v1alpha2"],
        ..DATABASE
    },
    Resource { name: "zookeepers.kubedb.com", kind: "ZooKeeper", short: &["zk"], ..DATABASE },
    Resource {
        name: "cassandraopsrequests.ops.kubedb.com",
        kind: "CassandraOpsRequest",
        short: &["casops"],
        ..OPS_REQUEST
    },
    Resource {
        name: "druidopsrequests.ops.kubedb.com",
        kind: "DruidOpsRequest",
        short: &["drops"],
        ..OPS_REQUEST
    },
    Resource {
        name: "hazelcastopsrequests.ops.kubedb.com",
        kind: "HazelcastOpsRequest",
        short: &["hzops"],
        ..OPS_REQUEST
    },
    Resource {
        name: "kafkaopsrequests.ops.kubedb.com",
        kind: "KafkaOpsRequest",
        short: &["kfops"],
        ..OPS_REQUEST
    },
    Resource {
        name: "zookeeperopsrequests.ops.kubedb.com",
        kind: "ZooKeeperOpsRequest",
        short: &["zkops"],
        ..OPS_REQUEST
    },
    Resource { name: "cassandras.gitops.kubedb.com", kind: "Cassandra", ..KEPT },
    Resource { name: "druids.gitops.kubedb.com", kind: "Druid", ..KEPT },
    Resource { name: "hazelcasts.gitops.kubedb.com", kind: "Hazelcast", ..KEPT },
    Resource { name: "kafkas.gitops.kubedb.com", kind: "Kafka", ..KEPT },
    Resource { name: "zookeepers.gitops.kubedb.com", kind: "ZooKeeper", ..KEPT },
    Resource {
        name: "backupconfigurations.core.kubestash.com",
        kind: "BackupConfiguration",
        versions: &["v1alpha1"],
        ..BACKUP
    },
    Resource {
        name: "backupsessions.core.kubestash.com",
        kind: "BackupSession",
        versions: &["v1alpha1"],
        ..BACKUP
    },
    Resource {
        name: "restoresessions.core.kubestash.com",
        kind: "RestoreSession",
        versions: &["v1alpha1"],
        ..BACKUP
    },
    Resource {
        name: "backupconfigurations.stash.appscode.com",
        kind: "BackupConfiguration",
        versions: &["v1beta1"],
        ..BACKUP
    },
    Resource {
        name: "backupsessions.stash.appscode.com",
        kind: "BackupSession",
        versions: &["v1beta1"],
        ..BACKUP
    },
    Resource {
        name: "restoresessions.stash.appscode.com",
        kind: "RestoreSession",
        versions: &["v1beta1"],
        ..BACKUP
    },
];
