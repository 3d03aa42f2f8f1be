//! Trying whether a pod would be created. Nothing here can create one.

use kube::core::params::PostParams;
use serde_json::Value;

use super::request::{Call, MANAGER, built, path};
use super::{Cluster, ClusterError};

impl Cluster {
    /// Asks with `dryRun=All` whether a pod would be created. Returns the server's warnings.
    ///
    /// # Errors
    /// Any [`ClusterError`]; a conflict if there is a pod of that name, which is found out after everything else.
    pub async fn try_pod(&self, namespace: &str, manifest: &Value) -> Result<Vec<String>, ClusterError> {
        let what = "create a pod".to_owned();
        let unexpected =
            |e: serde_json::Error| ClusterError::Unexpected { what: what.clone(), message: e.to_string() };
        let body = serde_json::to_vec(manifest).map_err(unexpected)?;
        let params = PostParams { dry_run: true, field_manager: Some(MANAGER.to_owned()) };
        let request = kube::core::Request::new(path("v1", namespace, "pods")?).create(&params, body);
        let call =
            Call { request: built(request, "pods")?, what, verb: "create", resource: "pods".to_owned() };
        Ok(self.once(&call).await?.warnings)
    }
}
