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
    /// The `details` of the status; an empty object is left out of the answer.
    pub details: Map<String, Value>,
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
        Self {
            reason: reason.into(),
            message: message.into(),
            field: field.into(),
        }
    }

    fn to_value(&self) -> Value {
        let mut cause = Map::new();
        cause.insert("reason".into(), json!(self.reason));
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
        Self {
            code,
            reason,
            message: message.into(),
            details: Map::new(),
        }
    }

    /// Adds what the refusal is about: `res` is `plural[.group]`.
    pub fn about(mut self, res: &str, name: &str) -> Self {
        let (plural, group) = res.split_once('.').unwrap_or((res, ""));
        for (key, value) in [("name", name), ("group", group), ("kind", plural)] {
            if !value.is_empty() {
                self.details.insert(key.into(), json!(value));
            }
        }
        self
    }

    /// Adds causes.
    pub fn because(mut self, causes: &[Cause]) -> Self {
        self.details.insert(
            "causes".into(),
            causes.iter().map(Cause::to_value).collect(),
        );
        self
    }

    /// Adds the seconds after which the client may try again; they are sent as a `Retry-After` header too.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.details
            .insert("retryAfterSeconds".into(), json!(seconds));
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
        Self::new(
            409,
            "AlreadyExists",
            format!("{res} \"{name}\" already exists"),
        )
        .about(res, name)
    }

    /// 409: the write was based on something that is no longer so.
    pub fn conflict(res: &str, name: &str, why: impl std::fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {res} \"{name}\": {why}");
        Self::new(409, "Conflict", message).about(res, name)
    }

    /// 409: the object was changed since the resourceVersion that the write names.
    pub fn stale(res: &str, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(res, name, why)
    }

    /// 422: the object would not be valid. `kind` is the kind's name, `res` its resource.
    pub fn invalid(kind: &str, res: &str, name: &str, causes: &[Cause]) -> Self {
        let group = res.split_once('.').map_or("", |(_, group)| group);
        let qualified = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        let mut said: Vec<String> = causes
            .iter()
            .map(|c| format!("{}: {}", c.field, c.message))
            .collect();
        let text = if said.len() == 1 {
            said.remove(0)
        } else {
            format!("[{}]", said.join(", "))
        };
        let mut error = Self::new(
            422,
            "Invalid",
            format!("{qualified} \"{name}\" is invalid: {text}"),
        )
        .about(res, name);
        error.details.insert("kind".into(), json!(kind));
        error.because(causes)
    }

    /// 422 of a JSON patch that could not be applied, such as a failed `test`: no causes.
    pub fn patch_failed(why: impl std::fmt::Display) -> Self {
        Self::new(
            422,
            "Invalid",
            format!("the server rejected our request due to an error in our request: {why}"),
        )
    }

    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 410: the asked-for resourceVersion is no longer in the history.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 405: this resource has no such verb.
    pub fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    /// 500: the server cannot do it, and says why.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        Self::new(
            500,
            "InternalError",
            format!("Internal error occurred: {why}"),
        )
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
        if !self.details.is_empty() {
            status["details"] = Value::Object(self.details.clone());
        }
        status
    }
}
