//! Reads the pod templates of old revisions, for pods that are not on their workload's current one.

use serde::Deserialize;
use serde_json::Value;

use crate::model::{Lookup, Revision, Snapshot, clean};

use super::read::labels;
use super::wire::{Meta, containers};
use super::{Cluster, ClusterError};

#[derive(Deserialize)]
struct RevisionWire {
    metadata: Meta,
    /// What a StatefulSet's or PetSet's controller patches its workload with to go back to the revision.
    #[serde(default)]
    data: Value,
}

impl Cluster {
    /// Adds the revisions that pods were created from, and the current ones to compare them with, where a pod is on
    /// another revision than its workload's current one; otherwise nothing is asked.
    ///
    /// # Errors
    /// They cannot be read for another reason than missing permissions.
    pub(super) async fn add_revisions(&self, snapshot: &mut Snapshot) -> Result<(), ClusterError> {
        if !snapshot.has_outdated_pods() {
            return Ok(());
        }
        let db = &snapshot.database;
        let labels = labels(db.kind, &db.object.name);
        let listed = self
            .list::<RevisionWire>("apps/v1", &db.object.namespace, "controllerrevisions", &labels, "")
            .await;
        snapshot.revisions = match listed {
            Ok((all, _)) => Lookup::Found(all.into_iter().filter_map(|r| r.revision(snapshot)).collect()),
            Err(ClusterError::ApiAbsent { .. }) => Lookup::Absent,
            Err(
                error @ (ClusterError::Forbidden { .. }
                | ClusterError::Refused { .. }
                | ClusterError::TooLarge { .. }),
            ) => Lookup::Unreadable(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok(())
    }
}

impl RevisionWire {
    /// The revision, if it is a workload's current one or a pod is on it.
    fn revision(self, snapshot: &Snapshot) -> Option<Revision> {
        let (name, owner) = (clean(&self.metadata.name), self.metadata.controller());
        let workload = snapshot.workload(&owner)?;
        let used = workload.update_revision == name || snapshot.pods_of(workload).any(|p| p.revision == name);
        let template = self.data.pointer("/spec/template").filter(|_| used)?;
        let mut all = containers(&template["spec"]["initContainers"], true);
        all.extend(containers(&template["spec"]["containers"], false));
        Some(Revision { name, owner, containers: all, template: Some(template.clone()) })
    }
}
