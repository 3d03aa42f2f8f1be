//! Reviews: what is the caller allowed to do, and who is it.

use axum::http::Method;
use serde_json::{Value, json};

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::path::Parts;
use crate::access::{self, Attributes, Role};
use crate::caller::Caller;
use crate::error::{ApiError, Cause};
use crate::resources::RESOURCES;

/// Resources that can be created and are kept nowhere.
pub(super) struct Review {
    pub group: &'static str,
    pub plural: &'static str,
    pub kind: &'static str,
    pub namespaced: bool,
}

const AUTHENTICATION: Review =
    Review { group: "authentication.k8s.io", plural: "", kind: "", namespaced: false };

const AUTHORIZATION: Review =
    Review { group: "authorization.k8s.io", plural: "", kind: "", namespaced: false };

pub(super) const REVIEWS: [Review; 6] = [
    Review { plural: "selfsubjectreviews", kind: "SelfSubjectReview", ..AUTHENTICATION },
    Review { plural: "tokenreviews", kind: "TokenReview", ..AUTHENTICATION },
    Review {
        plural: "localsubjectaccessreviews",
        kind: "LocalSubjectAccessReview",
        namespaced: true,
        ..AUTHORIZATION
    },
    Review { plural: "selfsubjectaccessreviews", kind: "SelfSubjectAccessReview", ..AUTHORIZATION },
    Review { plural: "selfsubjectrulesreviews", kind: "SelfSubjectRulesReview", ..AUTHORIZATION },
    Review { plural: "subjectaccessreviews", kind: "SubjectAccessReview", ..AUTHORIZATION },
];

pub(super) fn answer(
    server: &Server,
    caller: &Caller,
    call: &Call,
    parts: &Parts<'_>,
) -> Result<Option<Answer>, ApiError> {
    if !REVIEWS.iter().any(|review| review.group == parts.group) {
        return Ok(None);
    }
    let (namespace, plural) = match parts.rest.as_slice() {
        [plural] => ("", *plural),
        ["namespaces", namespace, plural] => (*namespace, *plural),
        _ => return Err(ApiError::no_such_resource()),
    };
    let fits = |review: &&Review| {
        review.group == parts.group && review.plural == plural && review.namespaced != namespace.is_empty()
    };
    let review = REVIEWS.iter().find(fits).filter(|_| parts.version == "v1");
    let review = review.ok_or_else(ApiError::no_such_resource)?;
    if call.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let asked = Attributes {
        caller,
        verb: "create",
        group: review.group,
        resource: review.plural,
        subresource: "",
        namespace,
        name: "",
    };
    if !server.access.allows(&asked) {
        return Err(access::forbidden(&asked));
    }
    let body = call.json()?;
    let review = json!({"kind": review.kind, "apiVersion": format!("{}/v1", review.group),
        "metadata": {"creationTimestamp": null}, "spec": body["spec"],
        "status": status(server, caller, review.kind, &body["spec"])?});
    Ok(Some(Answer::json(201, &review)))
}

/// What a review comes to.
fn status(server: &Server, caller: &Caller, kind: &str, spec: &Value) -> Result<Value, ApiError> {
    Ok(match kind {
        "SelfSubjectAccessReview" => json!({"allowed": is_allowed(server, caller, kind, spec)?}),
        "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            json!({"allowed": is_allowed(server, &named(spec), kind, spec)?})
        }
        "SelfSubjectRulesReview" if spec["namespace"].as_str().is_none_or(str::is_empty) => {
            return Err(ApiError::bad_request("no namespace on request"));
        }
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{"verbs": verbs(server, caller), "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        "TokenReview" => {
            match server.tokens.owner(spec["token"].as_str().unwrap_or_default(), server.store.now()) {
                Some(owner) => json!({"authenticated": true, "user": user(&owner)}),
                None => json!({"user": {}, "error": "invalid bearer token"}),
            }
        }
        _ => json!({"userInfo": user(caller)}),
    })
}

fn user(caller: &Caller) -> Value {
    json!({"username": caller.name, "groups": caller.groups})
}

/// The user that a review of somebody else's rights names: no more than the groups that stand there.
fn named(spec: &Value) -> Caller {
    let groups = spec["groups"].as_array().into_iter().flatten();
    let groups = groups.filter_map(Value::as_str).map(str::to_owned).collect();
    Caller { name: spec["user"].as_str().unwrap_or_default().to_owned(), groups }
}

fn verbs(server: &Server, caller: &Caller) -> &'static [&'static str] {
    match server.access.role(caller) {
        Role::Admin => &["*"],
        Role::Reader => &access::READS,
        Role::Nobody => &[],
    }
}

/// # Errors
/// 422 unless exactly one thing is asked.
fn is_allowed(server: &Server, caller: &Caller, kind: &str, spec: &Value) -> Result<bool, ApiError> {
    let (about, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let refuse = |field: &str, message: &str| {
        let cause = Cause::field("FieldValueInvalid", field, message);
        ApiError::invalid(kind, "reviews.authorization.k8s.io", "", &[cause])
    };
    match (about.is_object(), path.is_object()) {
        (true, true) => {
            let message = "Invalid value: cannot be specified in combination with resourceAttributes";
            return Err(refuse("spec.nonResourceAttributes", message));
        }
        (false, false) => {
            let message = "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified";
            return Err(refuse("spec.resourceAttributes", message));
        }
        (false, true) => {
            let path = path["path"].as_str().unwrap_or_default();
            let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
            return Ok(server.access.allows_path(caller, &parts));
        }
        (true, false) => {}
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
    Ok(is_granted(&asked) && server.access.allows(&asked))
}

/// The user is granted what the cluster has, and nothing under a wrong name: `pods` are not in the group `policy`.
fn is_granted(asked: &Attributes<'_>) -> bool {
    let stored = RESOURCES.iter().map(|resource| (resource.group(), resource.plural()));
    let reviews = REVIEWS.iter().map(|review| (review.group, review.plural));
    let fits = |asked: &str, known: &str| asked == "*" || asked == known;
    stored.chain(reviews).any(|(group, plural)| fits(asked.group, group) && fits(asked.resource, plural))
}
