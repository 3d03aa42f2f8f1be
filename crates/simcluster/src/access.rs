//! Who may do what: everything, except for what is denied.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::ApiError;

/// The user that every request is made by: the sandbox has one.
pub(crate) const USER: &str = "sandbox-user";

/// What a request asks to be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Attributes<'a> {
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

    /// Takes all denials back.
    pub fn allow_all(&self) {
        self.denials().clear();
    }

    pub(crate) fn allows(&self, asked: &Attributes<'_>) -> bool {
        let fits = |rule: &str, asked: &str| rule == "*" || rule == asked;
        !self.denials().iter().any(|denial| {
            fits(&denial.verb, asked.verb)
                && fits(&denial.group, asked.group)
                && fits(&denial.resource, asked.resource)
                && fits(&denial.subresource, asked.subresource)
        })
    }

    fn denials(&self) -> MutexGuard<'_, Vec<Denial>> {
        self.denials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The 403 that a real authorizer answers.
pub(crate) fn forbidden(asked: &Attributes<'_>) -> ApiError {
    let Attributes { verb, group, resource, subresource, namespace, name } = *asked;
    let res = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
    let object = if name.is_empty() { res.clone() } else { format!("{res} \"{name}\"") };
    let what = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
    let scope = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{namespace}\"")
    };
    let message = format!(
        "{object} is forbidden: User \"{USER}\" cannot {verb} resource \"{what}\" in API group \"{group}\" {scope}"
    );
    ApiError::new(403, "Forbidden", message).about(&res, name)
}
