use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that a user may or may not do, in the terms of an RBAC rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// The API group; empty for the core group.
    pub group: String,
    /// `pods`, or with a subresource `pods/eviction`.
    pub resource: String,
    pub verb: String,
    /// The name of the one object that it concerns; empty if it concerns all of them.
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

    /// It concerns cluster-scoped objects, so only a ClusterRoleBinding can grant it.
    pub fn of_the_cluster(&self) -> bool {
        self.group == "catalog.kubedb.com"
            || matches!(
                (self.group.as_str(), self.resource.as_str()),
                ("", "nodes") | ("apps.k8s.appscode.com", "placementpolicies")
            )
    }
}

/// What a run cannot do without a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "weight", content = "cost", rename_all = "camelCase")]
pub enum Weight {
    /// The run is not possible.
    Needed,
    /// The run keeps no journal, so no rollback is possible.
    Journal,
    /// The run lacks something that is not essential, named here.
    Spared(&'static str),
}

/// A rule of a Role or a ClusterRole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    pub api_groups: Vec<String>,
    pub resources: Vec<String>,
    /// The only objects that it is for; empty if it is for all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    pub verbs: Vec<String>,
}

impl Rule {
    /// The rules that grant these permissions, one for each resource. What is needed is one database's Secrets: a rule without
    /// their names would give away all others of the namespace.
    pub fn of<'a>(permissions: impl IntoIterator<Item = &'a Permission>) -> Vec<Rule> {
        let permissions: Vec<_> = permissions.into_iter().collect();
        let secrets = |group: &str, resource: &str| group.is_empty() && resource == "secrets";
        let named = permissions.iter().filter(|p| secrets(&p.group, &p.resource));
        let names: BTreeSet<&str> = named.map(|p| p.name.as_str()).collect();
        let rule = |((group, resource), verbs): ((&str, &str), Vec<&str>)| Rule {
            api_groups: vec![group.to_owned()],
            resources: vec![resource.to_owned()],
            resource_names: match secrets(group, resource) {
                true => names.iter().map(|name| (*name).to_owned()).collect(),
                false => Vec::new(),
            },
            verbs: verbs.into_iter().map(str::to_owned).collect(),
        };
        verbs(permissions).into_iter().map(rule).collect()
    }
}

impl fmt::Display for Rule {
    /// As it is written below `rules:` in YAML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "- apiGroups: [{}]", quoted(&self.api_groups))?;
        writeln!(f, "  resources: [{}]", self.resources.join(", "))?;
        if !self.resource_names.is_empty() {
            writeln!(f, "  resourceNames: [{}]", quoted(&self.resource_names))?;
        }
        writeln!(f, "  verbs: [{}]", self.verbs.join(", "))
    }
}

/// As strings of JSON, which YAML takes: a name from outside stays one name.
fn quoted(texts: &[String]) -> String {
    texts.iter().map(|text| Value::from(text.as_str()).to_string()).collect::<Vec<_>>().join(", ")
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

/// The verbs of permissions by API group and resource.
pub fn verbs<'a>(of: impl IntoIterator<Item = &'a Permission>) -> BTreeMap<(&'a str, &'a str), Vec<&'a str>> {
    let mut verbs: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for permission in of {
        let known = verbs.entry((&permission.group, &permission.resource)).or_default();
        if !known.contains(&permission.verb.as_str()) {
            known.push(&permission.verb);
        }
    }
    verbs
}

/// The rules that grant these permissions, as written in a Role, in YAML.
pub fn rules(of: &[Permission]) -> String {
    Rule::of(of).iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_can_be_pasted() {
        let missing = [
            Permission::new("patch", "kubedb.com", "kafkas/status").named("my-kf"),
            Permission::new("create", "", "pods/eviction"),
            Permission::new("get", "", "secrets").named("my-kf-auth"),
            Permission::new("get", "", "secrets").named("my-kf-client-cert"),
            Permission::new("watch", "", "pods"),
            Permission::new("get", "", "pods"),
        ];
        assert_eq!(
            rules(&missing),
            "- apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [watch, get]\n\
             - apiGroups: [\"\"]\n  resources: [pods/eviction]\n  verbs: [create]\n\
             - apiGroups: [\"\"]\n  resources: [secrets]\n  resourceNames: [\"my-kf-auth\", \"my-kf-client-cert\"]\n  verbs: [get]\n\
             - apiGroups: [\"kubedb.com\"]\n  resources: [kafkas/status]\n  verbs: [patch]\n"
        );
    }
}
