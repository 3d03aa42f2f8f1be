//! Who may do what: everything, except for what is denied, and for users who may only read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::ApiError;

/// The user of every request that impersonates no other one.
pub const USER: &str = "sandbox-user";

/// The verbs of those who may only read.
pub(crate) const READS: [&str; 3] = ["get", "list", "watch"];

/// What a request asks to be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Attributes<'a> {
    pub user: &'a str,
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

    /// From now on this user may only read, and no secrets.
    pub fn only_reads(&self, user: &str) {
        self.readers().insert(user.to_owned());
    }

    /// Whether the user may do no more than read.
    pub(crate) fn is_reader(&self, user: &str) -> bool {
        self.readers().contains(user)
    }

    /// Takes all denials back.
    pub fn allow_all(&self) {
        self.denials().clear();
    }

    pub(crate) fn allows(&self, asked: &Attributes<'_>) -> bool {
        let fits = |rule: &str, asked: &str| rule == "*" || rule == asked;
        (!self.is_reader(asked.user) || reads(asked))
            && !self.denials().iter().any(|denial| {
                fits(&denial.verb, asked.verb)
                    && fits(&denial.group, asked.group)
                    && fits(&denial.resource, asked.resource)
                    && fits(&denial.subresource, asked.subresource)
            })
    }

    fn readers(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn denials(&self) -> MutexGuard<'_, Vec<Denial>> {
        self.denials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every user may ask what they may do.
fn reads(asked: &Attributes<'_>) -> bool {
    let verb = READS.contains(&asked.verb) && asked.resource != "secrets";
    verb || matches!(asked.group, "authentication.k8s.io" | "authorization.k8s.io")
}

/// The 403 that a real authorizer answers.
pub(crate) fn forbidden(asked: &Attributes<'_>) -> ApiError {
    let Attributes { user, verb, group, resource, subresource, namespace, name } = *asked;
    let res = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
    let object = if name.is_empty() { res.clone() } else { format!("{res} \"{name}\"") };
    let what = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
    let scope = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{namespace}\"")
    };
    let message = format!(
        "{object} is forbidden: User \"{user}\" cannot {verb} resource \"{what}\" in API group \"{group}\" {scope}"
    );
    ApiError::new(403, "Forbidden", message).about(&res, name)
}
