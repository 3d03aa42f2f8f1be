//! Requests to the API server and its responses, as values: paths, bodies, a call and its response.

use bytes::Bytes;
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
    /// What permissions are about, e.g. `pods/eviction` or `kafkas.kubedb.com`.
    pub resource: String,
    pub request: Request<Vec<u8>>,
}

impl Call {
    /// A read of what is at this path.
    ///
    /// # Errors
    /// It is no path.
    pub fn get(what: String, resource: String, path: &str) -> Result<Self, ClusterError> {
        let request = Request::get(path).body(Vec::new());
        let request =
            request.map_err(|e| ClusterError::Unexpected { what: what.clone(), message: e.to_string() })?;
        Ok(Call { what, verb: "get", resource, request })
    }
}

/// A successful response.
pub(super) struct Answer {
    pub body: Bytes,
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
///
/// # Errors
/// The namespace's name would lead elsewhere.
pub(super) fn path(api_version: &str, namespace: &str, plural: &str) -> Result<String, ClusterError> {
    let root = if api_version.contains('/') { "/apis" } else { "/api" };
    match namespace {
        "" => Ok(format!("{root}/{api_version}/{plural}")),
        ns => Ok(format!("{root}/{api_version}/namespaces/{}/{plural}", segment(ns)?)),
    }
}

/// A resource with its API group, as kubectl writes it: other groups may have resources of the same name.
pub(super) fn resource(api_version: &str, plural: &str) -> String {
    match api_version.split_once('/') {
        Some((group, _)) => format!("{plural}.{group}"),
        None => plural.to_owned(),
    }
}

/// A name as a part of a path or of a selector, if it is one that Kubernetes allows. `../../x` would lead elsewhere.
///
/// # Errors
/// [`ClusterError::BadName`].
pub(super) fn segment(name: &str) -> Result<&str, ClusterError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    match name {
        "" | "." | ".." => Err(ClusterError::BadName { name: name.to_owned() }),
        name if name.chars().all(allowed) => Ok(name),
        name => Err(ClusterError::BadName { name: clean(name) }),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        for (name, good) in [
            ("default", true),
            ("my-kf.v1_2", true),
            ("system:x", true),
            ("", false),
            ("..", false),
            ("../../x", false),
            ("a/b", false),
            ("a%2fb", false),
            ("a?b", false),
            ("a b", false),
            ("a,b=c", false),
            ("ä", false),
        ] {
            assert_eq!(segment(name).is_ok(), good, "{name:?}");
        }
        assert_eq!(path("v1", "", "pods"), Ok("/api/v1/pods".to_owned()));
        assert_eq!(resource("v1", "pods"), "pods");
        assert_eq!(resource("kubedb.com/v1", "kafkas"), "kafkas.kubedb.com");
        assert_eq!(path("policy/v1", "db", "pods"), Ok("/apis/policy/v1/namespaces/db/pods".to_owned()));
        let error = path("v1", "../../x", "pods").expect_err("it leads elsewhere").to_string();
        assert_eq!(error, "\"../../x\" is not a valid name in Kubernetes");
    }
}
