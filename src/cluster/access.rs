//! What the user may do, as the API server says.

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::json;

use crate::model::{Lookup, Permission};

use super::call::Call;
use super::{Cluster, ClusterError};

/// How many questions are asked at once: enough to hide the way to the server, few enough for its limits.
const AT_ONCE: usize = 8;

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
    /// Those of the permissions that the user does not have; in that namespace, where they are about objects of one.
    ///
    /// # Errors
    /// What keeps us from asking; that the server does not answer such questions is none.
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
        // With a namespace a RoleBinding there would seem to allow what only a ClusterRoleBinding does.
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
        // It changes nothing, so that it may be asked again like any read.
        let answer: ReviewWire = self.read(Call { what, verb: "create", resource, request }).await?;
        Ok(answer.status.allowed)
    }
}
