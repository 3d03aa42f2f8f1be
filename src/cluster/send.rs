//! Sends a `Write`, for real or with `dryRun=All`.

use kube::core::params::PostParams;
use serde_json::json;

use crate::model::{Database, Kind, Workload, WorkloadKind, Write, WriteAction};

use super::request::{Answer, Call, MANAGER, built, deletion, json_patch, path, resource};
use super::wire::{DatabaseWire, WorkloadWire};
use super::{Cluster, ClusterError};

/// A write that the server accepted.
pub struct Sent {
    answer: Answer,
    what: String,
}

impl Sent {
    /// The server's `Warning:` headers.
    pub fn warnings(&self) -> &[String] {
        &self.answer.warnings
    }

    /// The database after the write.
    ///
    /// # Errors
    /// The response is not a database.
    pub fn database(&self, kind: Kind, api_version: &str) -> Result<Database, ClusterError> {
        Ok(self.answer.parse::<DatabaseWire>(&self.what)?.database(kind, api_version))
    }

    /// The workload after the write; `None` if the database is no longer its controller.
    ///
    /// # Errors
    /// The response is not a workload.
    pub fn workload(&self, kind: WorkloadKind, database: &str) -> Result<Option<Workload>, ClusterError> {
        Ok(self.answer.parse::<WorkloadWire>(&self.what)?.workload(kind, database))
    }
}

impl Cluster {
    /// Sends a write once. It is never retried here: after a failure the caller must read the object and decide again.
    ///
    /// # Errors
    /// Any [`ClusterError`]. After [`ClusterError::Transient`], the write may or may not have been carried out.
    pub async fn send(&self, write: &Write, dry_run: bool) -> Result<Sent, ClusterError> {
        let call = call(write, dry_run)?;
        let answer = self.once(&call).await?;
        Ok(Sent { answer, what: call.what })
    }

    /// Whether such a write was allowed before, even as a dry run, so that a 403 for it is doubtful.
    pub fn was_allowed_to(&self, write: &Write) -> bool {
        call(write, false).is_ok_and(|call| self.was_allowed(&call))
    }
}

fn call(write: &Write, dry_run: bool) -> Result<Call, ClusterError> {
    let object = &write.object;
    let path = path(&object.api_version, &object.namespace, &object.plural)?;
    let name = &object.name;
    let (words, verb, subresource, request) = match &write.action {
        WriteAction::Patch { status, operations } => {
            let subresource = if *status { "/status" } else { "" };
            (
                "patch",
                "patch",
                subresource,
                json_patch(&format!("{path}/{name}{subresource}"), operations, dry_run),
            )
        }
        WriteAction::Evict => {
            let params = PostParams { dry_run, field_manager: Some(MANAGER.to_owned()) };
            let body = json!({
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": { "name": name, "namespace": object.namespace },
                "deleteOptions": { "preconditions": { "uid": object.uid } },
            });
            let body = body.to_string().into_bytes();
            let base = kube::core::Request::new(path);
            (
                "evict",
                "create",
                "/eviction",
                built(base.create_subresource("eviction", name, &params, body), name),
            )
        }
        WriteAction::Create { manifest } => {
            let params = PostParams { dry_run, field_manager: Some(MANAGER.to_owned()) };
            let body = serde_json::to_vec(manifest).map_err(|e| ClusterError::Unexpected {
                what: format!("create {object}"),
                message: e.to_string(),
            })?;
            let request = kube::core::Request::new(path).create(&params, body);
            ("create", "create", "", built(request, name))
        }
        WriteAction::CreatePod { manifest } => {
            let params = PostParams { dry_run, field_manager: Some(MANAGER.to_owned()) };
            let request = kube::core::Request::new(path).create(&params, manifest.to_string().into_bytes());
            ("create", "create", "", built(request, name))
        }
        WriteAction::Delete { resource_version } => {
            let mut preconditions = json!({ "uid": object.uid });
            if let Some(version) = resource_version {
                preconditions["resourceVersion"] = json!(version);
            }
            ("delete", "delete", "", deletion(&format!("{path}/{name}"), &preconditions, dry_run))
        }
    };
    Ok(Call {
        what: format!("{words} {object}"),
        verb,
        resource: format!("{}{subresource}", resource(&object.api_version, &object.plural)),
        request: request?,
    })
}
