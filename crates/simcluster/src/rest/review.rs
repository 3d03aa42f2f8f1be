//! Reviews: what is the caller allowed to do, and who is it.

use axum::http::Method;
use serde_json::{Value, json};

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::path::Parts;
use crate::access::{self, Attributes, Role};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::resources::RESOURCES;

/// Resources that can be created and are kept nowhere.
pub(super) struct Review {
    pub group: &'static str,
    pub plural: &'static str,
    pub kind: &'static str,
}

pub(super) const REVIEWS: [Review; 3] = [
    Review { group: "authentication.k8s.io", plural: "selfsubjectreviews", kind: "SelfSubjectReview" },
    Review {
        group: "authorization.k8s.io",
        plural: "selfsubjectaccessreviews",
        kind: "SelfSubjectAccessReview",
    },
    Review {
        group: "authorization.k8s.io",
        plural: "selfsubjectrulesreviews",
        kind: "SelfSubjectRulesReview",
    },
];

pub(super) fn answer(
    server: &Server,
    caller: &Caller,
    call: &Call,
    parts: &Parts<'_>,
) -> Result<Option<Answer>, ApiError> {
    let Some(review) = REVIEWS.iter().find(|review| review.group == parts.group) else { return Ok(None) };
    let [plural] = parts.rest.as_slice() else { return Err(ApiError::no_such_resource()) };
    let review = REVIEWS
        .iter()
        .find(|known| known.group == review.group && known.plural == *plural && parts.version == "v1")
        .ok_or_else(ApiError::no_such_resource)?;
    if call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let asked = Attributes {
        caller,
        verb: "create",
        group: review.group,
        resource: review.plural,
        subresource: "",
        namespace: "",
        name: "",
    };
    if !server.access.allows(&asked) {
        return Err(access::forbidden(&asked));
    }
    let body = call.json()?;
    let status = match review.kind {
        "SelfSubjectAccessReview" => json!({"allowed": is_allowed(server, caller, &body["spec"])}),
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{"verbs": verbs(server, caller), "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        _ => json!({"userInfo": {"username": caller.name, "groups": caller.groups}}),
    };
    let review = json!({"kind": review.kind, "apiVersion": format!("{}/v1", review.group),
        "metadata": {"creationTimestamp": null}, "spec": body["spec"], "status": status});
    Ok(Some(Answer::json(201, &review)))
}

fn verbs(server: &Server, caller: &Caller) -> &'static [&'static str] {
    match server.access.role(caller) {
        Role::Admin => &["*"],
        Role::Reader => &access::READS,
        Role::Nobody => &[],
    }
}

fn is_allowed(server: &Server, caller: &Caller, spec: &Value) -> bool {
    let about = &spec["resourceAttributes"];
    if !about.is_object() {
        return true;
    }
    let text = |field: &str| about[field].as_str().unwrap_or_default();
    let asked = Attributes {
        caller,
        verb: text("verb"),
        group: text("group"),
        resource: text("resource"),
        subresource: text("subresource"),
        namespace: text("namespace"),
        name: text("name"),
    };
    is_granted(&asked) && server.access.allows(&asked)
}

/// The user is granted what the cluster has, and nothing under a wrong name: `pods` are not in the group `policy`.
fn is_granted(asked: &Attributes<'_>) -> bool {
    let stored = RESOURCES.iter().map(|resource| (resource.group(), resource.plural()));
    let reviews = REVIEWS.iter().map(|review| (review.group, review.plural));
    let fits = |asked: &str, known: &str| asked == "*" || asked == known;
    stored.chain(reviews).any(|(group, plural)| fits(asked.group, group) && fits(asked.resource, plural))
}
