use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ObjectRef, OpsRequestManifest};

/// One change to the cluster that a plan requires. It states what it expects to find, and the server refuses it if that
/// is not so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Write {
    pub purpose: Purpose,
    pub object: ObjectRef,
    pub action: WriteAction,
}

/// Why a write is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// Ask the Provisioner to pause reconciling the database.
    RequestPause,
    /// Set the pause to True, because no operator has acknowledged it.
    AssertPause,
    PatchImages,
    Evict,
    /// Restart an unhealthy pod whose eviction a PodDisruptionBudget never allows.
    Delete,
    SetVersion,
    /// Remove our own `Paused`.
    Resume,
    /// Create the ops request for the Ops-manager.
    Request,
    /// Create a pod of our own that brings an image to a node.
    PrePull,
    /// Remove such a pod.
    RemovePrePull,
    /// Have the database do what its version allows or needs.
    Finish,
    /// Create a pod again, which its workload's controller does: it is only tried.
    Recreate,
}

/// How a write is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WriteAction {
    /// A JSON patch of the object, or of its status.
    Patch { status: bool, operations: Vec<PatchOp> },
    /// A `policy/v1` Eviction with the object's uid as its precondition.
    Evict,
    /// A creation of that object.
    Create { manifest: Box<OpsRequestManifest> },
    /// A creation of that pod.
    CreatePod { manifest: Box<Value> },
    /// A deletion with the object's uid and, if it matters, this resourceVersion as its preconditions.
    Delete {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resource_version: Option<String>,
    },
}

/// One operation of a JSON patch (RFC 6902).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum PatchOp {
    Test { path: String, value: Value },
    Add { path: String, value: Value },
    Replace { path: String, value: Value },
    Remove { path: String },
}

impl PatchOp {
    /// Expect that value.
    pub fn test(path: impl Into<String>, value: impl Into<Value>) -> Self {
        PatchOp::Test { path: path.into(), value: value.into() }
    }

    /// Put that value where none is.
    pub fn add(path: impl Into<String>, value: impl Into<Value>) -> Self {
        PatchOp::Add { path: path.into(), value: value.into() }
    }

    /// Put that value in the place of another.
    pub fn replace(path: impl Into<String>, value: impl Into<Value>) -> Self {
        PatchOp::Replace { path: path.into(), value: value.into() }
    }

    /// Remove what is there.
    pub fn remove(path: impl Into<String>) -> Self {
        PatchOp::Remove { path: path.into() }
    }
}
