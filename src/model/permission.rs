use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that a user may or may not do, as a rule of RBAC names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// The API group; empty for the core group.
    pub group: String,
    /// `pods`, or with a subresource `pods/eviction`.
    pub resource: String,
    pub verb: String,
    /// The one object that it is about; empty where it is about all of them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl Permission {
    /// To do that with every object of a resource; `res` is `plural[/subresource][.group]`.
    pub fn new(verb: &str, group: &str, resource: &str) -> Self {
        let [verb, group, resource] = [verb, group, resource].map(str::to_owned);
        Permission { group, resource, verb, name: String::new() }
    }

    /// The same for one object.
    pub fn named(self, name: &str) -> Self {
        Permission { name: name.to_owned(), ..self }
    }
}

impl fmt::Display for Permission {
    /// `patch kafkas.kubedb.com/status`, as kubectl writes resources.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plural, subresource) = match self.resource.split_once('/') {
            Some((plural, subresource)) => (plural, format!("/{subresource}")),
            None => (self.resource.as_str(), String::new()),
        };
        let group = if self.group.is_empty() { String::new() } else { format!(".{}", self.group) };
        write!(f, "{} {plural}{group}{subresource}", self.verb)
    }
}
