use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The three update methods: who changes the pod templates, and who restarts the pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// This tool patches the images while the operator is paused, restarts the pods, and sets `spec.version` last.
    #[default]
    Client,
    /// `spec.version` is set first, the operator renders the pod templates, and this tool restarts the pods while the
    /// operator is paused: for updates that need more than new images.
    Provisioner,
    /// KubeDB's Ops-manager does everything, following an ops request that this tool creates and follows.
    OpsManager,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 3] = [Method::Client, Method::Provisioner, Method::OpsManager];
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Serialize::serialize(self, f)
    }
}

/// The method of each update: one for all, or a different one for the update to a certain version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Methods {
    /// The default for all updates; `None` is [`Method::Client`], or the method of the run that is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<Method>,
    /// By the name of the version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub to: BTreeMap<String, Method>,
}

impl Methods {
    /// The method that was chosen for the update to a version.
    pub fn to(&self, version: &str) -> Option<Method> {
        self.to.get(version).copied().or(self.all)
    }

    /// Some update uses that method.
    pub fn any(&self, method: Method) -> bool {
        self.all == Some(method) || self.to.values().any(|v| *v == method)
    }

    /// Nothing was chosen.
    pub fn is_empty(&self) -> bool {
        self.all.is_none() && self.to.is_empty()
    }
}
