use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The three ways to an update: who changes the templates, and who restarts the pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// We patch the images while the operator is halted, restart the pods, and set `spec.version` last.
    #[default]
    Client,
    /// `spec.version` is set first, KubeDB's operator renders the templates, and we restart the pods while it is halted:
    /// for steps that images alone cannot do.
    Provisioner,
    /// KubeDB's Ops-manager does all of it, by an ops request that we make and follow.
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

/// Which way each update takes: one for all, or another for the update to some version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Methods {
    /// Where nothing else is said; `None` is [`Method::Client`], or the way of the run that is gone on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<Method>,
    /// By the name of the version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub to: BTreeMap<String, Method>,
}

impl Methods {
    /// The way that was chosen for the update to a version.
    pub fn to(&self, version: &str) -> Option<Method> {
        self.to.get(version).copied().or(self.all)
    }

    /// Some update takes that way.
    pub fn any(&self, method: Method) -> bool {
        self.all == Some(method) || self.to.values().any(|v| *v == method)
    }

    /// Nothing was chosen.
    pub fn is_empty(&self) -> bool {
        self.all.is_none() && self.to.is_empty()
    }
}
