//! Ops requests: what is read of them, and the one that is made.

use serde::Deserialize;

use crate::model::{Condition, Database, Lookup, OPS_API, OpsRequest, clean};

use super::wire::{Meta, or_default};
use super::{Cluster, ClusterError};

#[derive(Deserialize, Clone)]
pub(super) struct OpsRequestWire {
    pub metadata: Meta,
    #[serde(default)]
    spec: OpsRequestSpec,
    #[serde(default, deserialize_with = "or_default")]
    status: OpsRequestStatus,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct OpsRequestSpec {
    #[serde(rename = "type")]
    operation: String,
    database_ref: DatabaseRef,
    update_version: UpdateVersion,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct UpdateVersion {
    target_version: String,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct DatabaseRef {
    name: String,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct OpsRequestStatus {
    phase: String,
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
}

impl OpsRequestWire {
    /// The request; `None` where it is another database's.
    pub fn of(self, kind: &str, database: &str) -> Option<OpsRequest> {
        (self.spec.database_ref.name == database).then(|| OpsRequest {
            kind: kind.to_owned(),
            name: clean(&self.metadata.name),
            operation: clean(&self.spec.operation),
            target: clean(&self.spec.update_version.target_version),
            phase: clean(&self.status.phase),
            conditions: self.status.conditions.into_iter().map(cleaned).collect(),
        })
    }
}

/// Conditions are shown: their words are the Ops-manager's.
fn cleaned(condition: Condition) -> Condition {
    let Condition { kind, status, reason, message } = condition;
    Condition { kind: clean(&kind), status: clean(&status), reason: clean(&reason), message: clean(&message) }
}

impl Cluster {
    pub(super) async fn ops_requests(
        &self,
        db: &Database,
    ) -> Result<(Lookup<Vec<OpsRequest>>, Option<String>), ClusterError> {
        let facts = db.kind.facts();
        let listed =
            self.list::<OpsRequestWire>(OPS_API, &db.object.namespace, facts.ops_plural, "", "").await;
        match listed {
            Ok((items, mark)) => {
                let of_this = |r: OpsRequestWire| r.of(facts.ops_kind, &db.object.name);
                Ok((Lookup::Found(items.into_iter().filter_map(of_this).collect()), Some(mark)))
            }
            Err(ClusterError::ApiAbsent { .. }) => Ok((Lookup::Absent, None)),
            Err(error @ ClusterError::Forbidden { .. }) => Ok((Lookup::Unreadable(error.to_string()), None)),
            Err(error) => Err(error),
        }
    }
}
