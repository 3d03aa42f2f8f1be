use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::same_image;

/// The label of the pods that bring images to nodes. Its value is the uid of the database, which is always a valid
/// one; no selector of a workload, a budget or a Service of KubeDB looks at it.
pub const PRE_PULL_LABEL: &str = "kubectl-dbupdate/pre-pull";

/// The images that are brought to the nodes before anything is changed (`--pre-pull`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrePull {
    /// In this order; each by a short-lived pod of its own.
    pub pulls: Vec<Pull>,
    /// What need not be brought, because the node has it.
    pub present: Vec<Pull>,
}

impl PrePull {
    /// The image is on the node, or is brought there.
    pub fn covers(&self, node: &str, image: &str) -> bool {
        self.pulls.iter().chain(&self.present).any(|pull| pull.node == node && same_image(&pull.image, image))
    }
}

/// An image on a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pull {
    pub node: String,
    pub image: String,
    /// The uid of a workload whose pods need it there: its pull secrets and tolerations are used.
    pub workload: String,
}

/// What of a pod template decides where its pods may run and how their images are downloaded. A pod that only brings
/// an image gets the same.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PodTerms {
    /// Its own pull secrets may be used; empty means the namespace's default.
    pub service_account: String,
    pub pull_secrets: Vec<String>,
    /// As the template has them.
    pub tolerations: Vec<Value>,
    /// Another runtime may keep images of its own.
    pub runtime_class: Option<String>,
}
