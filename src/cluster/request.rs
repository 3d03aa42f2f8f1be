//! Requests to the API server and its responses, as values: paths, bodies, a call and its response.

use http::{Request, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::ClusterError;
use crate::model::{PatchOp, clean};

/// The field manager of every write.
pub(super) const MANAGER: &str = "kubectl-dbupdate";

/// A call to make.
pub(super) struct Call {
    /// For messages: `get kafka/my-kf`.
    pub what: String,
    pub verb: &'static str,
    /// The resource as in RBAC, e.g. `pods/eviction`.
    pub resource: String,
    pub request: Request<Vec<u8>>,
}

/// A successful response.
pub(super) struct Answer {
    pub body: Vec<u8>,
    pub warnings: Vec<String>,
}

impl Answer {
    /// Parses the response as an object.
    pub fn parse<T: DeserializeOwned>(&self, what: &str) -> Result<T, ClusterError> {
        serde_json::from_slice(&self.body)
            .map_err(|e| ClusterError::Unexpected { what: what.to_owned(), message: clean(&e.to_string()) })
    }
}

/// The URL path of a resource; `namespace` is empty for a cluster-scoped one.
pub(super) fn path(api_version: &str, namespace: &str, plural: &str) -> String {
    let root = if api_version.contains('/') { "/apis" } else { "/api" };
    match namespace {
        "" => format!("{root}/{api_version}/{plural}"),
        ns => format!("{root}/{api_version}/namespaces/{ns}/{plural}"),
    }
}

/// A deletion of the object at this path, with preconditions.
pub(super) fn deletion(
    path: &str,
    preconditions: &Value,
    dry_run: bool,
) -> Result<Request<Vec<u8>>, ClusterError> {
    let dry_run = if dry_run { "?dryRun=All" } else { "" };
    let body = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions });
    Request::delete(format!("{path}{dry_run}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes())
        .map_err(|e| ClusterError::Unexpected { what: format!("delete {path}"), message: e.to_string() })
}

/// A JSON patch of the object at this path.
pub(super) fn json_patch(
    path: &str,
    operations: &[PatchOp],
    dry_run: bool,
) -> Result<Request<Vec<u8>>, ClusterError> {
    let invalid = |e: String| ClusterError::Unexpected { what: format!("patch {path}"), message: e };
    let dry_run = if dry_run { "&dryRun=All" } else { "" };
    Request::patch(format!("{path}?fieldManager={MANAGER}{dry_run}"))
        .header(header::CONTENT_TYPE, "application/json-patch+json")
        .header(header::ACCEPT, "application/json")
        .body(serde_json::to_vec(operations).map_err(|e| invalid(e.to_string()))?)
        .map_err(|e| invalid(e.to_string()))
}

/// Reports a request that could not be built, for example because of an invalid name.
pub(super) fn built(
    request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    what: &str,
) -> Result<Request<Vec<u8>>, ClusterError> {
    request.map_err(|e| ClusterError::Unexpected { what: what.to_owned(), message: e.to_string() })
}
