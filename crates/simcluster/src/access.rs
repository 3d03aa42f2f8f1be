//! Who may do what: an administrator everything that is not denied, some users only read, and all others next to nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::caller::{Caller, MASTERS};
use crate::error::ApiError;

/// The verbs of those who may only read.
pub(crate) const READS: [&str; 3] = ["get", "list", "watch"];

/// What a request asks to be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Attributes<'a> {
    pub caller: &'a Caller,
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
}

#[derive(Clone, Debug)]
struct Denial {
    verb: String,
    group: String,
    resource: String,
    subresource: String,
}

/// What a user may do, apart from what is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Admin,
    /// Reads everything but secrets, and reaches into no pod.
    Reader,
    Nobody,
}

/// The rules that requests and `SelfSubjectAccessReview`s obey alike. Clones share them.
#[derive(Clone, Default)]
pub struct Access {
    denials: Arc<Mutex<Vec<Denial>>>,
    readers: Arc<Mutex<BTreeSet<String>>>,
}

impl Access {
    /// Denies `verb` on `resource` of `group`. `*` stands for any verb, group, resource or subresource; an empty
    /// subresource means the resource itself.
    pub fn deny(&self, verb: &str, group: &str, resource: &str, subresource: &str) {
        self.denials().push(Denial {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
        });
    }

    /// From now on this user may read, and no secrets; also a user who might do everything before.
    pub fn only_reads(&self, user: &str) {
        self.readers().insert(user.to_owned());
    }

    pub(crate) fn role(&self, caller: &Caller) -> Role {
        match self.readers().contains(&caller.name) {
            true => Role::Reader,
            false if caller.is_in(MASTERS) => Role::Admin,
            false => Role::Nobody,
        }
    }

    /// Takes all denials back.
    pub fn allow_all(&self) {
        self.denials().clear();
    }

    pub(crate) fn allows(&self, asked: &Attributes<'_>) -> bool {
        let fits = |rule: &str, asked: &str| rule == "*" || rule == asked;
        let by_role = match self.role(asked.caller) {
            Role::Admin => true,
            Role::Reader => reads(asked) || asks_about_oneself(asked),
            Role::Nobody => asks_about_oneself(asked),
        };
        by_role
            && !self.denials().iter().any(|denial| {
                fits(&denial.verb, asked.verb)
                    && fits(&denial.group, asked.group)
                    && fits(&denial.resource, asked.resource)
                    && fits(&denial.subresource, asked.subresource)
            })
    }

    /// Whether the caller may read a path that holds no objects. As on a real cluster everyone may ask for the version
    /// and the health, and who has credentials may ask what is served.
    pub(crate) fn allows_path(&self, caller: &Caller, path: &[&str]) -> bool {
        match path.first() {
            Some(&("healthz" | "livez" | "readyz" | "version")) => true,
            Some(&("api" | "apis" | "openapi")) => caller.is_authenticated(),
            _ => self.role(caller) != Role::Nobody,
        }
    }

    fn readers(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn denials(&self) -> MutexGuard<'_, Vec<Denial>> {
        self.denials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reads(asked: &Attributes<'_>) -> bool {
    // A connection to a pod is read from and written to, so Kubernetes' own role for viewers has none.
    let reaches = matches!(asked.subresource, "attach" | "exec" | "portforward" | "proxy");
    READS.contains(&asked.verb) && asked.resource != "secrets" && !reaches
}

/// Everyone with credentials may ask who they are and what they may do.
fn asks_about_oneself(asked: &Attributes<'_>) -> bool {
    asked.caller.is_authenticated()
        && matches!(asked.group, "authentication.k8s.io" | "authorization.k8s.io")
        && asked.resource.starts_with("self")
}

/// The 403 that a real authorizer answers.
pub(crate) fn forbidden(asked: &Attributes<'_>) -> ApiError {
    let Attributes { caller, verb, group, resource, subresource, namespace, name } = *asked;
    let res = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
    let object = if name.is_empty() { res.clone() } else { format!("{res} \"{name}\"") };
    let what = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
    let scope = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{namespace}\"")
    };
    let user = &caller.name;
    let message = format!(
        "{object} is forbidden: User \"{user}\" cannot {verb} resource \"{what}\" in API group \"{group}\" {scope}"
    );
    ApiError::new(403, "Forbidden", message).about(&res, name)
}

/// The 403 of a path that holds no objects.
pub(crate) fn forbidden_path(caller: &Caller, method: &str, path: &str) -> ApiError {
    let (user, verb) = (&caller.name, method.to_lowercase());
    let why = format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\"");
    ApiError { details: Some(Default::default()), ..ApiError::new(403, "Forbidden", why) }
}
