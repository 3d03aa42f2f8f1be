use std::fmt;

use serde::{Deserialize, Serialize};

/// One object of the cluster, identified by its uid as well as its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// `group/version`, or `v1`.
    pub api_version: String,
    /// The kind as the API spells it.
    pub kind: String,
    /// The resource name in URLs.
    pub plural: String,
    pub namespace: String,
    pub name: String,
    /// The uid that a write expects to find.
    pub uid: String,
}

impl fmt::Display for ObjectRef {
    /// `petset/my-kf-broker`, as kubectl names objects.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.to_ascii_lowercase(), self.name)
    }
}
