//! Who wrote to an object last, according to its `managedFields`.

use serde_json::Value;

use crate::model::{ObjectRef, clean};

use super::Cluster;
use super::request::MANAGER;

/// A part of an object whose last writer is of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `spec.template` of a workload.
    Template,
    /// `spec.version` of a database.
    Version,
    /// `status.conditions` of a database.
    Conditions,
    /// Any part of `spec`, for the creator of an object.
    Spec,
}

impl Part {
    fn path(self) -> &'static [&'static str] {
        match self {
            Part::Template => &["f:spec", "f:template"],
            Part::Version => &["f:spec", "f:version"],
            Part::Conditions => &["f:status", "f:conditions"],
            Part::Spec => &["f:spec"],
        }
    }
}

impl Cluster {
    /// The last writer of that part of an object other than this tool: the field manager recorded by the API server, and the
    /// time. `None` if unknown.
    pub async fn last_writer(&self, object: &ObjectRef, part: Part) -> Option<String> {
        let ObjectRef { api_version, namespace, plural, name, .. } = object;
        let word = object.kind.to_ascii_lowercase();
        let found: Value = self.get(api_version, namespace, plural, &word, name).await.ok()?;
        last_writer(&found["metadata"]["managedFields"], part)
    }
}

fn last_writer(managed: &Value, part: Part) -> Option<String> {
    let text = |entry: &Value, field: &str| entry[field].as_str().map(clean).unwrap_or_default();
    let concerns = |entry: &&Value| {
        let mut fields = part.path().iter();
        fields.try_fold(&entry["fieldsV1"], |at, field| at.get(field)).is_some()
    };
    let others = managed.as_array()?.iter().filter(concerns).filter(|e| text(e, "manager") != MANAGER);
    let last = others.max_by_key(|entry| text(entry, "time"))?;
    let (manager, time) = (text(last, "manager"), text(last, "time"));
    Some(if time.is_empty() { manager } else { format!("{manager}, {time}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_writer_of_a_part_is_told() {
        let managed = json!([
            { "manager": "kubedb-provisioner", "operation": "Update", "time": "2026-11-01T10:00:00Z",
              "fieldsV1": { "f:spec": { "f:template": {}, "f:replicas": {} } } },
            { "manager": "kubectl-edit", "operation": "Update", "time": "2026-11-01T11:00:00Z",
              "fieldsV1": { "f:spec": { "f:template": { "f:spec": {} } } } },
            { "manager": "kubectl-dbupdate", "operation": "Update", "time": "2026-11-01T12:00:00Z",
              "fieldsV1": { "f:spec": { "f:template": {} } } },
            { "manager": "kubedb-ops\u{1b}[2J", "operation": "Update", "subresource": "status",
              "time": "2026-11-01T12:30:00Z", "fieldsV1": { "f:status": { "f:conditions": {} } } },
            { "manager": "old", "operation": "Update", "fieldsV1": { "f:spec": { "f:version": {} } } },
        ]);
        for (part, writer) in [
            (Part::Template, "kubectl-edit, 2026-11-01T11:00:00Z"),
            (Part::Conditions, "kubedb-ops [2J, 2026-11-01T12:30:00Z"),
            (Part::Version, "old"),
        ] {
            assert_eq!(last_writer(&managed, part).as_deref(), Some(writer), "{part:?}");
        }
        assert_eq!(last_writer(&json!(null), Part::Template), None);
        assert_eq!(last_writer(&json!([{ "manager": "a", "fieldsV1": {} }]), Part::Spec), None);
    }
}
