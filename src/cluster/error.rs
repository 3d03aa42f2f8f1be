use kube::core::Status;

use crate::model::clean;

/// What came of a call that did not do what it was meant to. Messages of the server are stripped of control characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The object does not exist.
    #[error("{what}: not found")]
    NotFound { what: String },
    /// The cluster does not serve the API at all.
    #[error("{what}: the cluster does not serve this API")]
    ApiAbsent { what: String },
    #[error("{what}: forbidden: {message}")]
    Forbidden { what: String, message: String },
    #[error("{what}: the credentials are not accepted: {message}")]
    Unauthorized { what: String, message: String },
    /// New credentials lead to another cluster than the one that the run began on.
    #[error("{what}: {message}")]
    AnotherCluster { what: String, message: String },
    /// The object is not as the write expected it (409, or a failed `test` of a JSON patch): read and decide again.
    #[error("{what}: the object has changed meanwhile: {message}")]
    Conflict { what: String, message: String },
    /// A webhook, a policy or a schema refuses the write.
    #[error("{what}: refused: {message}")]
    Refused { what: String, message: String },
    /// A disruption budget does not allow an eviction now.
    #[error("{what}: blocked by a disruption budget: {message}")]
    Budget { what: String, message: String },
    /// Two budgets cover the pod: no eviction will ever be allowed.
    #[error("{what}: {message}")]
    TwoBudgets { what: String, message: String },
    /// A watch or a list has fallen too far behind (410).
    #[error("{what}: too old, has to be read anew")]
    Expired { what: String },
    /// It may pass: no connection, no answer in time, 429, 500, 502, 503, 504.
    #[error("{what}: {}", refusal.why)]
    Transient { what: String, refusal: Refusal },
    /// An answer that makes no sense.
    #[error("{what}: unexpected answer: {message}")]
    Unexpected { what: String, message: String },
}

/// A failure that may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For a person to read.
    pub why: String,
    /// There was no connection at all, or nobody to be believed behind it: the request has not been carried out.
    pub unreachable: bool,
    /// The server asks to be left alone for that many seconds.
    pub retry_after: Option<u64>,
}

impl ClusterError {
    /// It may pass by itself.
    pub fn transient(&self) -> bool {
        matches!(self, ClusterError::Transient { .. })
    }

    /// Neither the object nor the API is there.
    pub fn absent(&self) -> bool {
        matches!(self, ClusterError::NotFound { .. } | ClusterError::ApiAbsent { .. })
    }

    /// A 403 that contradicts an earlier answer: nothing was carried out, and it may pass.
    pub fn doubted(self) -> Self {
        match self {
            ClusterError::Forbidden { what, message } => {
                let refusal =
                    Refusal { why: format!("forbidden: {message}"), unreachable: true, retry_after: None };
                ClusterError::Transient { what, refusal }
            }
            other => other,
        }
    }

    /// No connection to the server.
    pub(super) fn no_connection(what: &str, why: &str) -> Self {
        let refusal = Refusal { why: clean(why), unreachable: true, retry_after: None };
        ClusterError::Transient { what: what.to_owned(), refusal }
    }

    /// The request may or may not have been carried out.
    pub(super) fn lost(what: &str, why: &str) -> Self {
        let refusal = Refusal { why: clean(why), unreachable: false, retry_after: None };
        ClusterError::Transient { what: what.to_owned(), refusal }
    }

    /// What an error answer of the API server means.
    pub(super) fn from_status(what: &str, code: u16, body: &[u8]) -> Self {
        let status: Option<Status> = serde_json::from_slice(body).ok();
        let what = what.to_owned();
        let details = status.as_ref().and_then(|s| s.details.as_ref());
        let message = match &status {
            Some(s) if !s.message.is_empty() => clean(&s.message),
            _ => format!("HTTP {code}: {}", clean(&String::from_utf8_lossy(&body[..body.len().min(200)]))),
        };
        let causes = details.map_or(&[][..], |d| d.causes.as_slice());
        match code {
            // An object that is not there is named in the details; an API that is not there is a bare 404.
            404 if details.is_some_and(|d| !d.name.is_empty()) => ClusterError::NotFound { what },
            404 => ClusterError::ApiAbsent { what },
            401 => ClusterError::Unauthorized { what, message },
            403 => ClusterError::Forbidden { what, message },
            409 => ClusterError::Conflict { what, message },
            410 => ClusterError::Expired { what },
            422 if causes.is_empty() => ClusterError::Conflict { what, message },
            429 if causes.iter().any(|c| c.reason == "DisruptionBudget") => {
                let words: Vec<_> = causes.iter().map(|c| clean(&c.message)).collect();
                ClusterError::Budget { what, message: words.join("; ") }
            }
            500 if message.contains("more than one PodDisruptionBudget") => {
                ClusterError::TwoBudgets { what, message }
            }
            429 | 500 | 502 | 503 | 504 => {
                let retry_after = details.map(|d| u64::from(d.retry_after_seconds)).filter(|s| *s > 0);
                ClusterError::Transient {
                    what,
                    refusal: Refusal { why: message, unreachable: false, retry_after },
                }
            }
            400..=499 => ClusterError::Refused { what, message },
            _ => ClusterError::Unexpected { what, message },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(code: u16, body: &str) -> &'static str {
        match ClusterError::from_status("x", code, body.as_bytes()) {
            ClusterError::NotFound { .. } => "not found",
            ClusterError::ApiAbsent { .. } => "absent",
            ClusterError::Forbidden { .. } => "forbidden",
            ClusterError::Unauthorized { .. } => "unauthorized",
            ClusterError::AnotherCluster { .. } => "another cluster",
            ClusterError::Conflict { .. } => "conflict",
            ClusterError::Refused { .. } => "refused",
            ClusterError::Budget { .. } => "budget",
            ClusterError::TwoBudgets { .. } => "two budgets",
            ClusterError::Expired { .. } => "expired",
            ClusterError::Transient { .. } => "transient",
            ClusterError::Unexpected { .. } => "unexpected",
        }
    }

    #[test]
    fn answers_are_told_apart() {
        let cause = r#"{"kind":"Status","status":"Failure","message":"m","reason":"r","code":1,"details":{"causes":[{"reason":"DisruptionBudget","message":"b"}]}}"#;
        let named = r#"{"kind":"Status","status":"Failure","message":"m","reason":"NotFound","code":404,"details":{"name":"my-kf"}}"#;
        let bare = r#"{"kind":"Status","status":"Failure","message":"m","reason":"r","code":1}"#;
        let two = r#"{"kind":"Status","status":"Failure","message":"This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.","reason":"InternalError","code":500}"#;
        for (code, body, kind) in [
            (404, named, "not found"),
            (404, "404 page not found", "absent"),
            (401, bare, "unauthorized"),
            (403, bare, "forbidden"),
            (409, bare, "conflict"),
            (410, bare, "expired"),
            (422, bare, "conflict"),
            (422, cause, "refused"),
            (400, bare, "refused"),
            (429, cause, "budget"),
            (429, bare, "transient"),
            (429, "", "transient"),
            (500, bare, "transient"),
            (500, two, "two budgets"),
            (503, "upstream \u{1b}[2J", "transient"),
            (302, "", "unexpected"),
        ] {
            assert_eq!(kind_of(code, body), kind, "{code} {body}");
        }
    }
}
