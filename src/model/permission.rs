use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

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
    pub verbs: Vec<String>,
}

impl Rule {
    /// The rules that grant these permissions, one for each resource.
    pub fn of<'a>(permissions: impl IntoIterator<Item = &'a Permission>) -> Vec<Rule> {
        let rule = |((group, resource), verbs): ((&str, &str), Vec<&str>)| Rule {
            api_groups: vec![group.to_owned()],
            resources: vec![resource.to_owned()],
            verbs: verbs.into_iter().map(str::to_owned).collect(),
        };
        verbs(permissions).into_iter().map(rule).collect()
    }
}

impl fmt::Display for Rule {
    /// As it is written below `rules:` in YAML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<_> = self.api_groups.iter().map(|group| format!("\"{group}\"")).collect();
        writeln!(f, "- apiGroups: [{}]", groups.join(", "))?;
        writeln!(f, "  resources: [{}]", self.resources.join(", "))?;
        writeln!(f, "  verbs: [{}]", self.verbs.join(", "))
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

/// The verbs of permissions by API group and resource.
pub fn verbs<'a>(of: impl IntoIterator<Item = &'a Permission>) -> BTreeMap<(&'a str, &'a str), Vec<&'a str>> {
    let mut verbs: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for permission in of {
        verbs.entry((&permission.group, &permission.resource)).or_default().push(&permission.verb);
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
            Permission::new("watch", "", "pods"),
            Permission::new("get", "", "pods"),
        ];
        assert_eq!(
            rules(&missing),
            "- apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [watch, get]\n\
             - apiGroups: [\"\"]\n  resources: [pods/eviction]\n  verbs: [create]\n\
             - apiGroups: [\"kubedb.com\"]\n  resources: [kafkas/status]\n  verbs: [patch]\n"
        );
    }
}
