//! Refusals, as the `Status` objects that a real API server answers with.

use serde_json::{Map, Value, json};

/// A refused request: everything that the `Status` object of the answer says.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason, such as `NotFound`. Empty where a real server gives none.
    pub reason: &'static str,
    /// The text for people.
    pub message: String,
    /// The `details` of the status.
    pub details: Option<Map<String, Value>>,
}

/// One entry of `details.causes`.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// The cause's reason, such as `FieldValueInvalid` or `DisruptionBudget`.
    pub reason: String,
    /// The text for people.
    pub message: String,
    /// The path of the field at fault; empty when there is none.
    pub field: String,
}

impl Cause {
    /// A cause that names a field.
    pub fn field(reason: &str, field: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into(), field: field.into() }
    }

    fn to_value(&self) -> Value {
        let mut cause = Map::new();
        if !self.reason.is_empty() {
            cause.insert("reason".into(), json!(self.reason));
        }
        cause.insert("message".into(), json!(self.message));
        if !self.field.is_empty() {
            cause.insert("field".into(), json!(self.field));
        }
        Value::Object(cause)
    }
}

impl ApiError {
    /// A refusal without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    /// Adds what the refusal is about: `res` is `plural[.group]`.
    pub fn about(mut self, res: &str, name: &str) -> Self {
        let (plural, group) = res.split_once('.').unwrap_or((res, ""));
        for (key, value) in [("name", name), ("group", group), ("kind", plural)] {
            if !value.is_empty() {
                self = self.detail(key, json!(value));
            }
        }
        self
    }

    /// Adds causes.
    pub fn because(self, causes: &[Cause]) -> Self {
        self.detail("causes", causes.iter().map(Cause::to_value).collect())
    }

    /// Adds the seconds after which the client may try again; they are sent as a `Retry-After` header too.
    pub fn retry_after(self, seconds: u32) -> Self {
        self.detail("retryAfterSeconds", json!(seconds))
    }

    /// The seconds after which the client may try again, if the refusal says so.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.details.as_ref()?.get("retryAfterSeconds")?.as_u64()
    }

    fn detail(mut self, key: &str, value: Value) -> Self {
        self.details.get_or_insert_default().insert(key.to_owned(), value);
        self
    }

    /// 404: the object does not exist.
    pub fn not_found(res: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{res} \"{name}\" not found")).about(res, name)
    }

    /// 404 of a path that no API serves. The HTTP answer is the bare text, not a `Status`.
    pub fn no_such_path() -> Self {
        Self::new(404, "", "404 page not found")
    }

    /// 409: an object of that name exists.
    pub fn already_exists(res: &str, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{res} \"{name}\" already exists")).about(res, name)
    }

    /// 409: the write was based on something that is no longer so.
    pub fn conflict(res: &str, name: &str, why: impl std::fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {res} \"{name}\": {why}");
        Self::new(409, "Conflict", message).about(res, name)
    }

    /// 409: the object was changed since the resourceVersion that the write names.
    pub fn stale(res: &str, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(res, name, why)
    }

    /// 422: the object would not be valid. `res` is the resource of the kind.
    pub fn invalid(kind: &str, res: &str, name: &str, causes: &[Cause]) -> Self {
        let group = res.split_once('.').map_or("", |(_, group)| group);
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let said: Vec<String> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let text = match said.as_slice() {
            [only] => only.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{qualified} \"{name}\" is invalid: {text}");
        Self::new(422, "Invalid", message).about(res, name).detail("kind", json!(kind)).because(causes)
    }

    /// 422 of a JSON patch that could not be applied, such as a failed `test`. It says no more than that.
    pub fn patch_failed() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self { details: Some(Map::new()), ..Self::new(422, "Invalid", message) }
    }

    /// 422 of a patch whose result cannot be read as the kind.
    pub fn bad_patch(why: &str) -> Self {
        let cause = Cause::field("FieldValueInvalid", "patch", format!("Invalid value: {why}"));
        let message = format!(" \"\" is invalid: patch: {}", cause.message);
        Self::new(422, "Invalid", message).because(&[cause])
    }

    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401: the credentials are not accepted.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 410: the asked-for resourceVersion is no longer in the history.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 404: the group is served and has no such resource.
    pub fn no_such_resource() -> Self {
        let message = "the server could not find the requested resource";
        Self { details: Some(Map::new()), ..Self::new(404, "NotFound", message) }
    }

    /// 405: this resource has no such verb.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self { details: Some(Map::new()), ..Self::new(405, "MethodNotAllowed", message) }
    }

    /// 406: the client accepts nothing that the server can write.
    pub fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json, application/yaml";
        Self::new(406, "NotAcceptable", message)
    }

    /// 415: the body is in a format that this resource does not take.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 429: the server asks to try again later.
    pub fn too_many_requests(message: impl Into<String>) -> Self {
        Self::new(429, "TooManyRequests", message)
    }

    /// 500: the server cannot do it, and says why.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        let cause = Cause { reason: String::new(), message: why.to_string(), field: String::new() };
        Self::new(500, "InternalError", format!("Internal error occurred: {why}")).because(&[cause])
    }

    /// 503: the server is not able to answer now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// What an admission webhook answers that denies the request, with the code of its choice (403 is usual).
    pub fn denied_by_webhook(code: u16, webhook: &str, why: &str) -> Self {
        let reason = match code {
            403 => "Forbidden",
            422 => "Invalid",
            _ => "BadRequest",
        };
        Self::new(code, reason, format!("admission webhook \"{webhook}\" denied the request: {why}"))
    }

    /// What a ValidatingAdmissionPolicy answers that denies the request: a 422 with a cause.
    pub fn denied_by_policy(res: &str, name: &str, policy: &str, why: &str) -> Self {
        let said =
            format!("ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: {why}");
        let cause = Cause { reason: String::new(), message: said.clone(), field: String::new() };
        Self::new(422, "Invalid", format!("{res} \"{name}\" is forbidden: {said}"))
            .about(res, name)
            .because(&[cause])
    }

    /// The `v1` `Status` object.
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            status["details"] = Value::Object(details.clone());
        }
        status
    }
}
