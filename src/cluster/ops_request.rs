//! Reads ops requests.

use serde::Deserialize;

use crate::model::{Condition, Kind, Lookup, OPS_API, OpsRequest, clean};

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
    conditions: Vec<ConditionWire>,
}

impl OpsRequestWire {
    /// The request; `None` if it is for another database.
    pub fn of(self, kind: &str, database: &str) -> Option<OpsRequest> {
        (self.spec.database_ref.name == database).then(|| OpsRequest {
            kind: kind.to_owned(),
            name: clean(&self.metadata.name),
            operation: clean(&self.spec.operation),
            target: clean(&self.spec.update_version.target_version),
            phase: clean(&self.status.phase),
            conditions: in_time(self.status.conditions),
        })
    }
}

/// A condition, with the time of its last transition: the Ops-manager rewrites some conditions in place, so their order in
/// the list says little.
#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct ConditionWire {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
    message: String,
    last_transition_time: String,
}

/// The conditions, oldest first. They are shown to the user in the Ops-manager's own words.
fn in_time(mut conditions: Vec<ConditionWire>) -> Vec<Condition> {
    let time = |c: &ConditionWire| c.last_transition_time.parse::<jiff::Timestamp>().ok();
    conditions.sort_by_key(time);
    let cleaned = |c: ConditionWire| Condition {
        kind: clean(&c.kind),
        status: clean(&c.status),
        reason: clean(&c.reason),
        message: clean(&c.message),
        ..Condition::default()
    };
    conditions.into_iter().map(cleaned).collect()
}

impl Cluster {
    pub(super) async fn ops_requests(
        &self,
        kind: Kind,
        namespace: &str,
        database: &str,
    ) -> Result<(Lookup<Vec<OpsRequest>>, Option<String>), ClusterError> {
        let facts = kind.facts();
        match self.list::<OpsRequestWire>(OPS_API, namespace, facts.ops_plural, "", "").await {
            Ok((items, mark)) => {
                let of_this = |r: OpsRequestWire| r.of(facts.ops_kind, database);
                Ok((Lookup::Found(items.into_iter().filter_map(of_this).collect()), Some(mark)))
            }
            Err(ClusterError::ApiAbsent { .. }) => Ok((Lookup::Absent, None)),
            Err(error @ ClusterError::Forbidden { .. }) => Ok((Lookup::Unreadable(error.to_string()), None)),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_in_the_order_of_their_times() {
        let at = |kind: &str, time: &str| ConditionWire {
            kind: kind.to_owned(),
            last_transition_time: time.to_owned(),
            ..ConditionWire::default()
        };
        let written = vec![
            at("UpdateVersion", "2026-01-01T00:00:00Z"),
            at("RestartPods", "2026-01-01T00:03:00Z"),
            at("EvictPod--db-0", "2026-01-01T00:01:00Z"),
            at("EvictPod--db-1", "2026-01-01T00:02:00+00:00"),
        ];
        let kinds: Vec<String> = in_time(written).into_iter().map(|c| c.kind).collect();
        assert_eq!(kinds, ["UpdateVersion", "EvictPod--db-0", "EvictPod--db-1", "RestartPods"]);
    }
}
