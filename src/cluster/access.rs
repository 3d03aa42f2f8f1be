//! The user's permissions, according to the API server.

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::json;

use crate::model::{Lookup, Permission};

use super::request::Call;
use super::{Cluster, ClusterError};

/// How many reviews run in parallel: as many as a run needs, so that all of them take one round trip.
const AT_ONCE: usize = 64;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

#[derive(Deserialize)]
struct ReviewWire {
    status: Verdict,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Verdict {
    allowed: bool,
}

impl Cluster {
    /// The permissions that the user lacks. Permissions on namespaced objects are checked in `namespace`.
    ///
    /// # Errors
    /// The server cannot be asked. A server that does not support access reviews is not an error.
    pub async fn denied(
        &self,
        namespace: &str,
        needed: &[Permission],
    ) -> Result<Lookup<Vec<Permission>>, ClusterError> {
        let asked = stream::iter(needed.to_vec()).map(|permission| async move {
            let allowed = self.may(namespace, &permission).await?;
            Ok((permission, allowed))
        });
        let answers: Result<Vec<(Permission, bool)>, ClusterError> =
            asked.buffered(AT_ONCE).try_collect().await;
        match answers {
            Ok(answers) => Ok(Lookup::Found(
                answers.into_iter().filter(|(_, allowed)| !allowed).map(|(p, _)| p).collect(),
            )),
            Err(error) if error.transient() => Err(error),
            Err(error @ ClusterError::Unauthorized { .. }) => Err(error),
            Err(error) => Ok(Lookup::Unreadable(error.to_string())),
        }
    }

    async fn may(&self, namespace: &str, permission: &Permission) -> Result<bool, ClusterError> {
        let Permission { group, resource, verb, name } = permission;
        // With a namespace, a RoleBinding there would seem to allow what only a ClusterRoleBinding can.
        let namespace = if permission.of_the_cluster() { "" } else { namespace };
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": group, "resource": resource,
                "subresource": subresource, "name": name,
            } },
        });
        let what = "create selfsubjectaccessreview".to_owned();
        let request = http::Request::post(REVIEWS)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(review.to_string().into_bytes())
            .map_err(|e| ClusterError::Unexpected { what: what.clone(), message: e.to_string() })?;
        let resource = "selfsubjectaccessreviews".to_owned();
        // A review changes nothing, so it may be retried like any read.
        let answer: ReviewWire = self.read(Call { what, verb: "create", resource, request }).await?;
        Ok(answer.status.allowed)
    }
}
