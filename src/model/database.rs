use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Kind, ObjectRef};

/// The type of the status condition that pauses the operator for one database.
pub const PAUSED: &str = "Paused";

/// A database object, reduced to what an update depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Database {
    pub kind: Kind,
    pub object: ObjectRef,
    pub resource_version: String,
    /// `metadata.generation`, which grows with each change of the spec.
    pub generation: i64,
    /// The *name* of a version object of the catalog.
    pub version: String,
    pub phase: Phase,
    pub conditions: Vec<Condition>,
    /// `status` exists at all, so that a JSON patch knows what to add.
    pub has_status: bool,
    /// `status.conditions` exists at all.
    pub has_conditions: bool,
    /// A deletion timestamp is set.
    pub deleting: bool,
    /// `spec.halted`: KubeDB deletes the workloads of such a database.
    pub halted: bool,
    pub health_checker: HealthChecker,
    /// The fields of `spec` that ask for further workloads and are set, e.g. `cruiseControl`.
    pub switched_on: Vec<&'static str>,
    /// The system that manages the object from elsewhere, such as Argo CD or Helm.
    pub owner: Option<Owner>,
    /// The images that the user has set in its pod templates.
    pub own_images: Vec<OwnImage>,
    pub access: Access,
}

/// How a client reaches the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// `spec.enableSSL`: its ports speak TLS.
    pub tls: bool,
    /// `spec.disableSecurity`: it asks for no credentials.
    pub open: bool,
    /// The Secret with `username` and `password`: `spec.authSecret.name`, by default `<database>-auth`.
    pub auth_secret: String,
    /// The Secret with the certificate authority, `ca.crt`, and a client's certificate: `<database>-client-cert`.
    pub client_secret: String,
    /// `spec.adminServerPort` of a ZooKeeper.
    pub admin_port: Option<u16>,
}

impl Access {
    /// KubeDB's defaults for a database of that name.
    pub fn of(database: &str) -> Self {
        Access {
            auth_secret: format!("{database}-auth"),
            client_secret: format!("{database}-client-cert"),
            ..Access::default()
        }
    }
}

/// `spec.healthChecker`: how often KubeDB checks the database's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthChecker {
    pub period_seconds: u32,
    pub timeout_seconds: u32,
    /// A failure is reported after so many failed checks in a row.
    pub failure_threshold: u32,
}

impl Default for HealthChecker {
    /// The slowest of KubeDB's defaults, which is Druid's.
    fn default() -> Self {
        HealthChecker { period_seconds: 30, timeout_seconds: 10, failure_threshold: 3 }
    }
}

impl HealthChecker {
    /// A database that fails from now on is reported within this time.
    pub fn reports_within(self) -> Duration {
        let checks = u64::from(self.period_seconds) * u64::from(self.failure_threshold.max(1));
        Duration::from_secs(checks.saturating_add(u64::from(self.timeout_seconds)))
    }
}

/// The tool that restores a database object to a state stored elsewhere, according to the object's labels and
/// annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// It restores the object automatically: a manual update would be reverted.
    GitOps { by: String },
    /// It restores the object when it is next used.
    Helm { release: String },
}

/// An image that the user has set in a pod template of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnImage {
    /// The path of the field: `spec.topology.broker.podTemplate.spec.containers[0].image`.
    pub path: String,
    pub container: String,
    pub image: String,
}

impl Database {
    /// The condition of that type and its place in the list.
    pub fn condition(&self, kind: &str) -> Option<(usize, &Condition)> {
        self.conditions.iter().enumerate().find(|(_, c)| c.kind == kind)
    }

    /// The `Paused` conditions and their places in the list. There should be at most one, but nothing forbids a second.
    pub fn pauses(&self) -> impl Iterator<Item = (usize, &Condition)> {
        self.conditions.iter().enumerate().filter(|(_, c)| c.kind == PAUSED)
    }
}

/// One status condition of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The condition's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `"True"`, `"False"` or `"Unknown"`.
    pub status: String,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub message: String,
    /// The generation of the object that it was written for; 0 where its writer does not say.
    #[serde(default, rename = "observedGeneration", skip_serializing)]
    pub observed_generation: i64,
}

/// `status.phase` of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    Provisioning,
    DataRestoring,
    Ready,
    Critical,
    NotReady,
    Halted,
    /// `Unknown`, absent, or a word this tool does not know.
    Other(String),
}

impl From<&str> for Phase {
    fn from(text: &str) -> Self {
        match text {
            "Provisioning" => Phase::Provisioning,
            "DataRestoring" => Phase::DataRestoring,
            "Ready" => Phase::Ready,
            "Critical" => Phase::Critical,
            "NotReady" => Phase::NotReady,
            "Halted" => Phase::Halted,
            other => Phase::Other(super::clean(other)),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Provisioning => "Provisioning",
            Phase::DataRestoring => "DataRestoring",
            Phase::Ready => "Ready",
            Phase::Critical => "Critical",
            Phase::NotReady => "NotReady",
            Phase::Halted => "Halted",
            Phase::Other(text) if text.is_empty() => "not reported",
            Phase::Other(text) => text,
        })
    }
}
