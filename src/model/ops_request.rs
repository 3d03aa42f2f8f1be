use serde::{Deserialize, Serialize};

use super::{Condition, ObjectRef};

/// The API of ops requests.
pub const OPS_API: &str = "ops.kubedb.com/v1alpha1";

/// An ops request of the database, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpsRequest {
    /// E.g. `KafkaOpsRequest`.
    pub kind: String,
    pub name: String,
    /// `spec.type`, e.g. `UpdateVersion`.
    pub operation: String,
    /// `spec.updateVersion.targetVersion`; empty if it is for a different operation.
    pub target: String,
    /// `status.phase`; empty until the Ops-manager has picked it up.
    pub phase: String,
    /// Oldest first.
    pub conditions: Vec<Condition>,
}

impl OpsRequest {
    /// It has ended. An empty or unknown phase counts as in progress.
    pub fn ended(&self) -> bool {
        matches!(self.phase.as_str(), "Successful" | "Failed" | "Denied" | "Skipped")
    }

    /// The phase, in a word for a person.
    pub fn phase(&self) -> &str {
        if self.phase.is_empty() { "not started" } else { &self.phase }
    }

    /// Why it has ended: the message of the condition named after its phase, otherwise of the last condition whose
    /// reason is a failure, otherwise of the last condition. A condition keeps its place when it is rewritten, so the
    /// failure of a step may come before the conditions of later steps.
    pub fn why(&self) -> String {
        let says = |c: &&Condition| !c.message.is_empty();
        let named = |c: &&Condition| [&c.kind, &c.reason].contains(&&self.phase);
        let failed = |c: &&Condition| c.reason.contains("Fail");
        let all = || self.conditions.iter().filter(says);
        let said = all().rfind(named).or_else(|| all().rfind(failed)).or_else(|| all().next_back());
        said.map(|c| c.message.clone()).unwrap_or_default()
    }
}

/// An ops request as it is created: the manifest, field by field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpsRequestManifest {
    pub api_version: String,
    pub kind: String,
    pub metadata: ManifestMeta,
    pub spec: ManifestSpec,
}

/// `metadata` of an ops request that is created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestMeta {
    pub name: String,
    pub namespace: String,
}

/// `spec` of an ops request that is created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestSpec {
    /// `UpdateVersion`.
    #[serde(rename = "type")]
    pub operation: String,
    pub database_ref: DatabaseRef,
    pub update_version: UpdateVersion,
    /// The bound of each of its steps, as Go writes durations: `20m`.
    pub timeout: String,
    pub apply: Apply,
    /// How often the Ops-manager tries again.
    pub max_retries: i32,
}

/// Whose request it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseRef {
    pub name: String,
}

/// What it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateVersion {
    pub target_version: String,
}

/// When the Ops-manager begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Apply {
    /// Once the database is Ready.
    IfReady,
    Always,
}

impl OpsRequestManifest {
    /// The request as an object, for messages and paths. Its uid is not known before it is created.
    pub fn object(&self, plural: &str) -> ObjectRef {
        ObjectRef {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            plural: plural.to_owned(),
            namespace: self.metadata.namespace.clone(),
            name: self.metadata.name.clone(),
            uid: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_wherever_its_condition_stands() {
        let condition = |kind: &str, reason: &str, message: &str| Condition {
            kind: kind.to_owned(),
            status: "False".to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            ..Condition::default()
        };
        let evicted = condition("EvictPod--db-0", "EvictPod", "evict pod; PodName:db-0");
        for (phase, conditions, why) in [
            ("Failed", vec![condition("UpdateVersion", "Failed", "too slow"), evicted.clone()], "too slow"),
            ("Failed", vec![condition("UpdateVersion", "UpdateFailed", "no"), evicted.clone()], "no"),
            ("Denied", vec![condition("Denied", "Freeze", "not today"), evicted.clone()], "not today"),
            ("Failed", vec![evicted.clone(), condition("RunningPod", "", "")], "evict pod; PodName:db-0"),
            ("Skipped", vec![], ""),
        ] {
            let request = OpsRequest {
                kind: "ZooKeeperOpsRequest".to_owned(),
                name: "db-to-3-9-1".to_owned(),
                operation: "UpdateVersion".to_owned(),
                target: "3.9.1".to_owned(),
                phase: phase.to_owned(),
                conditions,
            };
            assert_eq!(request.why(), why, "{phase}");
        }
    }
}
