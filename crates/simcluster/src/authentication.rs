//! Whose a request is: what a client has shown, and to whom that belongs.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use crate::access::{Access, Attributes, forbidden};
use crate::caller::{AUTHENTICATED, Caller};
use crate::error::ApiError;

/// What a connection tells of its client before the first request.
#[derive(Clone, Debug)]
pub(crate) enum Shown {
    /// A certificate of the cluster's authority, or a client of the same process.
    Identity(Caller),
    /// A certificate that the authority did not sign, or one that has expired.
    BadCertificate,
    Nothing,
}

/// The bearer tokens that are accepted. Clones share them.
#[derive(Clone, Default)]
pub struct Tokens(Arc<Mutex<HashMap<String, Held>>>);

struct Held {
    caller: Caller,
    /// Until when it is accepted, if not for ever.
    until: Option<Timestamp>,
}

impl Tokens {
    /// From now on a request with this token is the caller's.
    pub fn accept(&self, token: &str, caller: Caller) {
        self.lock().insert(token.to_owned(), Held { caller, until: None });
    }

    /// A new token for a service account, as the API server signs them: a JSON Web Token that says until when it is good.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn issue(&self, caller: Caller, now: Timestamp, until: Timestamp) -> io::Result<String> {
        let claims = json!({"iss": "https://kubernetes.default.svc", "sub": caller.name,
            "iat": now.as_second(), "nbf": now.as_second(), "exp": until.as_second()});
        let [head, claims] = [json!({"alg": "none", "typ": "JWT"}), claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        // Nobody verifies a signature here: what makes it a secret stands in its place.
        let token = format!("{head}.{claims}.{}", random()?);
        self.lock().insert(token.clone(), Held { caller, until: Some(until) });
        Ok(token)
    }

    /// The token is not accepted any more.
    pub fn revoke(&self, token: &str) {
        self.lock().remove(token);
    }

    /// Whose token it is at this time.
    pub(crate) fn owner(&self, token: &str, now: Timestamp) -> Option<Caller> {
        let held = self.lock();
        let found = held.get(token).filter(|held| held.until.is_none_or(|until| now < until))?;
        Some(found.caller.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The caller of a request. As on a real API server the first credentials that are good decide, a certificate before a
/// token; bad ones are refused only if none are good, and without any the caller is anonymous.
///
/// # Errors
/// 401 for credentials that are not accepted, 403 where the caller may not impersonate the user that the headers name.
pub(crate) fn identify(
    shown: &Shown,
    headers: &HeaderMap,
    (tokens, now): (&Tokens, Timestamp),
    access: &Access,
) -> Result<Caller, ApiError> {
    let caller = match (shown, bearer(headers)) {
        (Shown::Identity(caller), _) => caller.clone(),
        (_, Some(token)) => tokens.owner(token, now).ok_or_else(ApiError::unauthorized)?,
        (Shown::BadCertificate, None) => return Err(ApiError::unauthorized()),
        (Shown::Nothing, None) => Caller::anonymous(),
    };
    impersonated(caller, headers, access)
}

/// The token of the request. Other schemes than `Bearer` are nobody's credentials.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

/// The user in whose place the caller acts: the caller, if no header names another one.
fn impersonated(caller: Caller, headers: &HeaderMap, access: &Access) -> Result<Caller, ApiError> {
    let values = |name| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let Some(name) = values("impersonate-user").next() else { return Ok(caller) };
    let users = values("impersonate-user").map(|name| ("users", name));
    for (resource, name) in users.chain(values("impersonate-group").map(|name| ("groups", name))) {
        let asked = Attributes {
            caller: &caller,
            verb: "impersonate",
            group: "",
            resource,
            subresource: "",
            namespace: "",
            name,
        };
        if !access.allows(&asked) {
            return Err(forbidden(&asked));
        }
    }
    let groups = values("impersonate-group").chain([AUTHENTICATED]);
    Ok(Caller { name: name.to_owned(), groups: groups.map(str::to_owned).collect() })
}

/// A text that nobody guesses, of 128 random bits.
///
/// # Errors
/// The system has no random numbers.
pub(crate) fn random() -> io::Result<String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
