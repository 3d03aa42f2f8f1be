use kube::core::Status;

use crate::model::{NOT_READY, clean, refused_by_admission, why_forbidden};

use super::tls::Distrust;
use super::transport::unsent;

/// Why a call failed. Control characters are stripped from the server's messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The object does not exist.
    #[error("{what}: not found")]
    NotFound { what: String },
    /// The cluster does not serve the API at all.
    #[error("{what}: the cluster does not serve this API")]
    ApiAbsent { what: String },
    /// The user lacks a permission (403). A policy that rejects the request is [`ClusterError::Refused`], whatever its code.
    #[error("{what}: forbidden: {message}")]
    Forbidden { what: String, message: String },
    #[error("{what}: the server rejected the credentials: {message}")]
    Unauthorized { what: String, message: String },
    /// The renewed credentials lead to a different cluster than the one the run started on.
    #[error("{what}: {message}")]
    AnotherCluster { what: String, message: String },
    /// The object is not in the state that the write expected (409, or a failed `test` of a JSON patch): read it and decide
    /// again.
    #[error("{what}: conflict, the object was changed: {message}")]
    Conflict { what: String, message: String },
    /// A webhook, a policy or a schema rejected the request.
    #[error("{what}: rejected: {message}")]
    Refused { what: String, message: String },
    /// A PodDisruptionBudget does not allow the eviction now.
    #[error("{what}: blocked by a PodDisruptionBudget: {message}")]
    Budget { what: String, message: String },
    /// More than one PodDisruptionBudget matches the pod: no eviction will ever be allowed.
    #[error("{what}: {message}")]
    TwoBudgets { what: String, message: String },
    /// The resource version of a watch or list has expired (410).
    #[error("{what}: the resource version has expired")]
    Expired { what: String },
    /// A failure that may go away: no connection, a timeout, 429, 500, 502, 503, 504.
    #[error("{what}: {}", refusal.why)]
    Transient { what: String, refusal: Refusal },
    /// The server, or a proxy before it, carries no WebSocket.
    #[error("{what}: no WebSocket is carried: {message}")]
    NoUpgrade { what: String, message: String },
    /// A response, or a list, that is not read to its end.
    #[error("{what}: {why}")]
    TooLarge { what: String, why: String },
    /// A name that no object can have, so nothing was sent.
    #[error("{name:?} is not a valid name in Kubernetes")]
    BadName { name: String },
    /// A response that cannot be interpreted.
    #[error("{what}: unexpected response: {message}")]
    Unexpected { what: String, message: String },
}

/// All that an API server says of a JSON patch that cannot be applied, such as a failed `test` (`NewGenericServerResponse` of
/// apimachinery). Any other 422 is a rejection, whoever else has changed the object.
const NOT_APPLICABLE: &str = "the server rejected our request due to an error in our request";

/// What an API server says of a request for a WebSocket that has lost its `Upgrade` on the way (`UpgradeAwareHandler` of
/// apimachinery).
const UPGRADE_REQUIRED: &str = "Upgrade request required";

/// How many characters of a server's message are shown. A webhook may list hundreds of reasons.
const LONGEST_MESSAGE: usize = 2000;

/// The details of a failure that may go away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, for a person to read.
    pub why: String,
    /// The request was certainly not carried out: there was no connection, or the response is in doubt.
    pub unreachable: bool,
    /// The `Retry-After` that the server asked for, in seconds.
    pub retry_after: Option<u64>,
    /// What to check, if it is not only whether the server is running at that address.
    pub check: Option<&'static str>,
}

impl Refusal {
    /// The request was certainly not carried out, for this reason.
    fn unsent(why: String) -> Self {
        Refusal { why, unreachable: true, retry_after: None, check: None }
    }
}

impl ClusterError {
    /// Whether the failure may go away on its own.
    pub fn transient(&self) -> bool {
        matches!(self, ClusterError::Transient { .. })
    }

    /// Whether the object or its API does not exist.
    pub fn absent(&self) -> bool {
        matches!(self, ClusterError::NotFound { .. } | ClusterError::ApiAbsent { .. })
    }

    /// Treats a 403 that contradicts an earlier response as a failure that may go away; the request was not carried out.
    pub fn doubted(self) -> Self {
        match self {
            ClusterError::Forbidden { what, message } => {
                let refusal = Refusal::unsent(format!("forbidden: {message}"));
                ClusterError::Transient { what, refusal }
            }
            other => other,
        }
    }

    /// The same error with each text that others have written replaced.
    pub(super) fn told(mut self, change: impl FnOnce(String) -> String) -> Self {
        let text = match &mut self {
            ClusterError::Forbidden { message, .. }
            | ClusterError::Unauthorized { message, .. }
            | ClusterError::AnotherCluster { message, .. }
            | ClusterError::Conflict { message, .. }
            | ClusterError::Refused { message, .. }
            | ClusterError::NoUpgrade { message, .. }
            | ClusterError::Budget { message, .. }
            | ClusterError::TwoBudgets { message, .. }
            | ClusterError::Unexpected { message, .. } => message,
            ClusterError::Transient { refusal, .. } => &mut refusal.why,
            ClusterError::NotFound { .. }
            | ClusterError::ApiAbsent { .. }
            | ClusterError::Expired { .. }
            | ClusterError::TooLarge { .. }
            | ClusterError::BadName { .. } => return self,
        };
        *text = change(std::mem::take(text));
        self
    }

    /// The response, or those that arrive at the same time, have more bytes than that.
    pub(super) fn too_large(what: &str, which: &str, limit: usize) -> Self {
        let why = format!("the API server's {which} larger than {} MiB", limit >> 20);
        ClusterError::TooLarge { what: what.to_owned(), why }
    }

    /// There was no connection to the server.
    pub(super) fn no_connection(what: &str, why: &str) -> Self {
        ClusterError::Transient { what: what.to_owned(), refusal: Refusal::unsent(clean(why)) }
    }

    /// There was a connection to the server, but no TLS.
    fn distrusted(what: &str, distrust: &Distrust) -> Self {
        let refusal = Refusal { check: Some(distrust.check), ..Refusal::unsent(clean(&distrust.why)) };
        ClusterError::Transient { what: what.to_owned(), refusal }
    }

    /// The request may or may not have been carried out.
    pub(super) fn lost(what: &str, why: &str) -> Self {
        let refusal = Refusal { unreachable: false, ..Refusal::unsent(clean(why)) };
        ClusterError::Transient { what: what.to_owned(), refusal }
    }

    /// Interprets an error response of the API server.
    pub(super) fn from_status(what: &str, code: u16, body: &[u8]) -> Self {
        let status: Option<Status> = serde_json::from_slice(body).ok();
        let what = what.to_owned();
        let details = status.as_ref().and_then(|s| s.details.as_ref());
        let message = match &status {
            Some(s) if !s.message.is_empty() => {
                clean(&s.message.chars().take(LONGEST_MESSAGE).collect::<String>())
            }
            _ => format!("HTTP {code}: {}", clean(&String::from_utf8_lossy(&body[..body.len().min(200)]))),
        };
        let causes = details.map_or(&[][..], |d| d.causes.as_slice());
        match code {
            // A webhook may choose any code, and none of them means here what it means elsewhere.
            400..=499 if code != 429 && refused_by_admission(&message) => {
                ClusterError::Refused { what, message }
            }
            400 if message == UPGRADE_REQUIRED => ClusterError::NoUpgrade { what, message },
            // A missing object is named in the details; a missing API is a bare 404.
            404 if details.is_some_and(|d| !d.name.is_empty()) => ClusterError::NotFound { what },
            404 => ClusterError::ApiAbsent { what },
            401 => ClusterError::Unauthorized { what, message },
            403 if why_forbidden(&message) == Some(NOT_READY) => {
                ClusterError::Transient { what, refusal: Refusal::unsent(message) }
            }
            403 if why_forbidden(&message).is_some_and(|why| !by_authorizer(why)) => {
                ClusterError::Refused { what, message }
            }
            403 => ClusterError::Forbidden { what, message },
            409 => ClusterError::Conflict { what, message },
            410 => ClusterError::Expired { what },
            422 if causes.is_empty() && message.starts_with(NOT_APPLICABLE) => {
                ClusterError::Conflict { what, message }
            }
            429 if causes.iter().any(|c| c.reason == "DisruptionBudget") => {
                let words: Vec<_> = causes.iter().map(|c| clean(&c.message)).collect();
                ClusterError::Budget { what, message: words.join("; ") }
            }
            500 if message.contains("more than one PodDisruptionBudget") => {
                ClusterError::TwoBudgets { what, message }
            }
            429 | 500 | 502 | 503 | 504 => {
                let retry_after = details.map(|d| u64::from(d.retry_after_seconds)).filter(|s| *s > 0);
                let refusal = Refusal { unreachable: false, retry_after, ..Refusal::unsent(message) };
                ClusterError::Transient { what, refusal }
            }
            400..=499 => ClusterError::Refused { what, message },
            _ => ClusterError::Unexpected { what, message },
        }
    }
}

/// Whether these are the words of an authorizer (`forbiddenMessage` of apiserver): `User "ann" cannot list resource ...`.
/// RBAC puts the same question to somebody who grants permissions, in small letters.
fn by_authorizer(why: &str) -> bool {
    ["User \"", "user \""].iter().any(|who| why.starts_with(who))
}

/// Interprets an error of the client.
pub(super) fn failure(what: &str, error: &kube::Error) -> ClusterError {
    match error {
        kube::Error::Api(status) => {
            let body = serde_json::to_vec(status).unwrap_or_default();
            ClusterError::from_status(what, status.code, &body)
        }
        kube::Error::UpgradeConnection(cause) => {
            ClusterError::NoUpgrade { what: what.to_owned(), message: clean(&cause.to_string()) }
        }
        kube::Error::Auth(_) => {
            ClusterError::Unauthorized { what: what.to_owned(), message: clean(&chain(error)) }
        }
        _ if unconnected(error) => match Distrust::of(error) {
            Some(distrust) => ClusterError::distrusted(what, &distrust),
            None => ClusterError::no_connection(what, &innermost(error)),
        },
        _ if no_http(error) => ClusterError::lost(
            what,
            &format!(
                "the answer is not HTTP ({}); if the server speaks TLS, its address begins with https://",
                innermost(error)
            ),
        ),
        // The client's own words around it tell a user nothing.
        kube::Error::Service(cause) => ClusterError::lost(what, &chain(&**cause)),
        _ => ClusterError::lost(what, &chain(error)),
    }
}

/// Whether the request was not sent, so that it cannot have reached the server.
fn unconnected(error: &kube::Error) -> bool {
    causes(error).any(|cause| cause.downcast_ref().is_some_and(unsent))
}

/// Whether the server has answered with something that is not HTTP.
fn no_http(error: &kube::Error) -> bool {
    causes(error).any(|cause| cause.downcast_ref().is_some_and(hyper::Error::is_parse))
}

/// An error, and all its causes.
fn causes(error: &kube::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source())
}

/// The innermost cause, which says why a connection failed; the outer ones only say where.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

/// An error and its causes, without repetitions.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = vec![error.to_string()];
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if !words.iter().any(|w| w.contains(&text)) {
            words.push(text);
        }
        source = inner.source();
    }
    words.join(": ")
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
            ClusterError::NoUpgrade { .. } => "no upgrade",
            ClusterError::TooLarge { .. } | ClusterError::BadName { .. } => "not a response",
        }
    }

    #[test]
    fn a_broken_connection_is_told_in_its_own_words() {
        let error = failure("get x", &kube::Error::Service("the line is dead".into()));
        assert_eq!(error.to_string(), "get x: the line is dead");
    }

    #[test]
    fn answers_are_told_apart() {
        let cause = r#"{"kind":"Status","status":"Failure","message":"m","reason":"r","code":1,"details":{"causes":[{"reason":"DisruptionBudget","message":"b"}]}}"#;
        let named = r#"{"kind":"Status","status":"Failure","message":"m","reason":"NotFound","code":404,"details":{"name":"my-kf"}}"#;
        let bare = r#"{"kind":"Status","status":"Failure","message":"m","reason":"r","code":1}"#;
        let unapplied = r#"{"kind":"Status","status":"Failure","message":"the server rejected our request due to an error in our request","reason":"Invalid","code":422,"details":{}}"#;
        let two = r#"{"kind":"Status","status":"Failure","message":"This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.","reason":"InternalError","code":500}"#;
        for (code, body, kind) in [
            (404, named, "not found"),
            (404, "404 page not found", "absent"),
            (401, bare, "unauthorized"),
            (403, bare, "forbidden"),
            (409, bare, "conflict"),
            (410, bare, "expired"),
            (422, unapplied, "conflict"),
            (422, bare, "refused"),
            (422, "<html>Unprocessable</html>", "refused"),
            (422, cause, "refused"),
            (400, bare, "refused"),
            (
                400,
                r#"{"kind":"Status","status":"Failure","message":"Upgrade request required","reason":"BadRequest","code":400}"#,
                "no upgrade",
            ),
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

    /// What real servers say: only the authorizer's words are a matter of permissions.
    #[test]
    fn a_policy_that_rejects_is_told_from_a_missing_permission() {
        for (code, message, kind) in [
            (
                403,
                r#"pods "db-0" is forbidden: User "ann" cannot create resource "pods/eviction" in API group "" in the namespace "db""#,
                "forbidden",
            ),
            (
                403,
                r#"zookeepers.kubedb.com is forbidden: User "ann" cannot list resource "zookeepers""#,
                "forbidden",
            ),
            (403, r#"forbidden: User "system:anonymous" cannot get path "/apis""#, "forbidden"),
            (
                403,
                r#"roles "r" is forbidden: user "ann" (groups=["g"]) is attempting to grant RBAC permissions not currently held"#,
                "forbidden",
            ),
            (403, "access denied by the proxy", "forbidden"),
            (
                403,
                r#"admission webhook "guard.example.com" denied the request: User "ann" cannot do that"#,
                "refused",
            ),
            (
                403,
                r#"admission webhook "guard.example.com" denied the request without explanation"#,
                "refused",
            ),
            (
                403,
                r#"petsets.apps.k8s.appscode.com "db" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: User "ann" cannot"#,
                "refused",
            ),
            (
                422,
                r#"petsets.apps.k8s.appscode.com "db" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"#,
                "refused",
            ),
            (
                403,
                r#"pods "db-0" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true"#,
                "refused",
            ),
            (
                403,
                r#"pods "db-0" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3"#,
                "refused",
            ),
            (
                403,
                r#"pods "db-0" is forbidden: error looking up service account db/kf: serviceaccount "kf" not found"#,
                "refused",
            ),
            (403, r#"pods "db-0" is forbidden: not yet ready to handle request"#, "transient"),
            (
                403,
                "policy 'mirror' with binding 'mirror' denied request: error applying patch: invalid ApplyConfiguration",
                "refused",
            ),
            (400, r#"admission webhook "guard.example.com" denied the request: no"#, "refused"),
            (401, r#"admission webhook "guard.example.com" denied the request: who?"#, "refused"),
            (404, r#"admission webhook "guard.example.com" denied the request: no such team"#, "refused"),
            (409, r#"admission webhook "guard.example.com" denied the request: frozen"#, "refused"),
            (429, r#"admission webhook "guard.example.com" denied the request: later"#, "transient"),
            (
                500,
                r#"Internal error occurred: failed calling webhook "guard.example.com": context deadline exceeded"#,
                "transient",
            ),
        ] {
            let body = serde_json::json!({ "kind": "Status", "status": "Failure", "message": message, "code": code });
            assert_eq!(kind_of(code, &body.to_string()), kind, "{code} {message}");
        }
    }
}
