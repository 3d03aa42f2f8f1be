use std::collections::{BTreeMap, BTreeSet};

use super::{ImageFound, Lookup, Permission, among};

/// The API of the objects that keep a database at what they say, where KubeDB's GitOps operator is installed.
pub const GITOPS_API: &str = "gitops.kubedb.com/v1alpha1";

/// The APIs of the systems that take backups: KubeStash, and Stash before it.
pub const BACKUP_APIS: [&str; 2] = ["core.kubestash.com/v1alpha1", "stash.appscode.com/v1beta1"];

/// What is read before a plan is made, besides the database and what belongs to it. The default means that nothing was
/// read, so there are no findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The permissions that a run needs and the user does not have.
    pub denied: Lookup<Vec<Permission>>,
    /// How many seconds the credentials are still valid; `None` if they are renewed automatically, or do not say.
    pub credentials_left: Option<i64>,
    /// An object of the same kind and name in `gitops.kubedb.com`.
    pub gitops: Lookup<bool>,
    /// Backups and restores of the database that have not ended.
    pub backups: Lookup<Vec<Backup>>,
    /// A database that cannot be asked about its health is not updated.
    pub require_health: bool,
    /// The user may create pods, so that a new one can be tried.
    pub may_create_pods: bool,
    /// The names of the PlacementPolicies that exist.
    pub placement: Lookup<BTreeSet<String>>,
    /// What the registries report about the images that a plan sets, by the catalog's names for them.
    pub images: BTreeMap<String, ImageFound>,
    /// The names of the images that nodes with pods of the database have, by node, as their kubelets report them: at
    /// most 50 each, so an image that is not among them may be there. A node that was not read is missing.
    pub nodes: BTreeMap<String, Lookup<Vec<String>>>,
    /// The pods of this tool that a run has left behind, which were to bring images to nodes.
    pub left_pods: Vec<String>,
}

impl Default for Environment {
    fn default() -> Self {
        Environment {
            denied: Lookup::Absent,
            credentials_left: None,
            gitops: Lookup::Absent,
            backups: Lookup::Absent,
            require_health: false,
            may_create_pods: false,
            placement: Lookup::Absent,
            images: BTreeMap::new(),
            nodes: BTreeMap::new(),
            left_pods: Vec::new(),
        }
    }
}

impl Environment {
    /// The missing permissions, as far as they are known.
    pub fn denied(&self) -> &[Permission] {
        match &self.denied {
            Lookup::Found(denied) => denied,
            Lookup::Absent | Lookup::Unreadable(_) => &[],
        }
    }
}

impl Environment {
    /// Whether the node reports that image; `None` if it reports none at all, or was not read.
    pub fn reported(&self, node: &str, image: &str) -> Option<bool> {
        match self.nodes.get(node) {
            Some(Lookup::Found(names)) if !names.is_empty() => Some(among(image, names)),
            _ => None,
        }
    }
}

/// A backup or a restore of KubeStash or Stash that is in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// `BackupSession` or `RestoreSession`.
    pub kind: String,
    pub name: String,
    /// `status.phase`; empty until its operator has picked it up.
    pub phase: String,
    /// The resource's name with its group, as kubectl takes it.
    pub resource: String,
}
