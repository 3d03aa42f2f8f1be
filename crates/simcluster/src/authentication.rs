//! Whose a request is: what a client has shown, and to whom that belongs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, header};

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
pub struct Tokens(Arc<Mutex<HashMap<String, Caller>>>);

impl Tokens {
    /// From now on a request with this token is the caller's.
    pub fn accept(&self, token: &str, caller: Caller) {
        self.lock().insert(token.to_owned(), caller);
    }

    /// The token is not accepted any more.
    pub fn revoke(&self, token: &str) {
        self.lock().remove(token);
    }

    fn owner(&self, token: &str) -> Option<Caller> {
        self.lock().get(token).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Caller>> {
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
    tokens: &Tokens,
    access: &Access,
) -> Result<Caller, ApiError> {
    let caller = match (shown, bearer(headers)) {
        (Shown::Identity(caller), _) => caller.clone(),
        (_, Some(token)) => tokens.owner(token).ok_or_else(ApiError::unauthorized)?,
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
