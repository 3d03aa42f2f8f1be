//! Tokens for service accounts, as `kubectl create token` asks for them.

use jiff::SignedDuration;
use serde_json::json;

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::path::Target;
use crate::caller::Caller;
use crate::clock::format_seconds;
use crate::error::{ApiError, Cause};

/// How long a token is good, in seconds, if nothing else is asked for.
const USUAL: i64 = 3600;

/// The shortest time that is given, in seconds.
const SHORTEST: i64 = 600;

pub(super) fn request(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let (resource, name) = (target.resource.name, &target.name);
    let asked = call.json()?;
    let seconds = asked["spec"]["expirationSeconds"].as_i64().unwrap_or(USUAL);
    server.store.get(resource, &target.namespace, name).ok_or_else(|| ApiError::not_found(resource, name))?;
    if seconds < SHORTEST {
        let message = format!("Invalid value: {seconds}: may not specify a duration less than 10 minutes");
        let cause = Cause::field("FieldValueInvalid", "spec.expirationSeconds", message);
        return Err(ApiError::invalid("TokenRequest", "tokenrequests.authentication.k8s.io", "", &[cause]));
    }
    let now = server.store.now();
    let until = now.saturating_add(SignedDuration::from_secs(seconds)).map_err(ApiError::internal)?;
    let account = Caller::service_account(&target.namespace, name);
    let token = server.tokens.issue(account, now, until).map_err(ApiError::internal)?;
    let answer = json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": target.namespace, "creationTimestamp": format_seconds(now)},
        "spec": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": seconds, "boundObjectRef": null},
        "status": {"token": token, "expirationTimestamp": format_seconds(until)}});
    Ok(Answer::json(201, &answer))
}
