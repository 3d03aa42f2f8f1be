//! The roles of `docs/rbac.yaml`, and what a request asks of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;
use simcluster::RecordedRequest;

/// One verb on one resource, as a rule grants it.
pub type Grant = (String, String, String);

/// The ClusterRoles of `docs/rbac.yaml`.
pub struct Roles {
    pub catalog: BTreeSet<Grant>,
    pub view: BTreeSet<Grant>,
    pub update: BTreeSet<Grant>,
    pub health: BTreeSet<Grant>,
    pub finish: BTreeSet<Grant>,
    /// The Secrets that `health` grants, by name.
    pub secrets: BTreeSet<String>,
}

impl Roles {
    /// What it takes to run commands in pods, which only a finish needs.
    pub fn commands(&self) -> BTreeSet<Grant> {
        self.finish.iter().filter(|grant| grant.1 == "pods/exec").cloned().collect()
    }
}

#[derive(Deserialize)]
struct ClusterRole {
    kind: String,
    metadata: Metadata,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}

pub fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rbac.yaml");
    fs::read_to_string(path).expect("the file is there")
}

pub fn roles() -> Roles {
    let text = text();
    let documents = serde_yaml::Deserializer::from_str(&text);
    // Before the first mark there are only comments.
    let found = documents.filter_map(|d| Option::<ClusterRole>::deserialize(d).expect("a ClusterRole"));
    let (mut by_name, mut secrets) = (BTreeMap::<String, BTreeSet<Grant>>::new(), BTreeSet::new());
    for role in found {
        assert_eq!(role.kind, "ClusterRole");
        by_name.insert(role.metadata.name, role.rules.iter().flat_map(grants).collect());
        secrets.extend(role.rules.into_iter().flat_map(|rule| rule.resource_names));
    }
    assert_eq!(by_name.len(), 5, "{:?}", by_name.keys());
    let mut role = |name: &str| by_name.remove(name).unwrap_or_else(|| panic!("there is no {name}"));
    Roles {
        catalog: role("dbupdate-catalog"),
        view: role("dbupdate-view"),
        update: role("dbupdate-update"),
        health: role("dbupdate-health"),
        finish: role("dbupdate-finish"),
        secrets,
    }
}

fn grants(rule: &Rule) -> Vec<Grant> {
    let Rule { api_groups, resources, verbs, resource_names } = rule;
    let secrets = resources.iter().any(|resource| resource == "secrets");
    assert_eq!(secrets, !resource_names.is_empty(), "Secrets are granted by name, and nothing else is");
    let every = [api_groups, resources, verbs].map(|list| list.iter().all(|word| word != "*"));
    assert_eq!(every, [true; 3], "a rule that grants everything is not the least");
    let each = api_groups.iter().flat_map(|g| resources.iter().map(move |r| (g, r)));
    each.flat_map(|(g, r)| verbs.iter().map(move |v| (g.clone(), r.clone(), v.clone()))).collect()
}

/// What a request asks the authorizer for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    pub grant: Grant,
    /// It is about one namespace, so that a RoleBinding there is enough.
    pub namespaced: bool,
    /// The name of the Secret that it is about.
    pub secret: Option<String>,
}

/// `None` for what every authenticated user may: discovery, and asking what one may do.
pub fn asked(request: &RecordedRequest) -> Option<Asked> {
    let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => ("", &[][..]),
    };
    let (namespaced, rest) = match rest {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => (true, rest),
        rest => (false, rest),
    };
    let (resource, named) = match rest {
        [] | ["selfsubjectaccessreviews"] => return None,
        [plural] => ((*plural).to_owned(), false),
        [plural, _] => ((*plural).to_owned(), true),
        [plural, _, sub] => (format!("{plural}/{sub}"), true),
        // What follows is a path of the pod's.
        [plural, _, "proxy", ..] => (format!("{plural}/proxy"), true),
        _ => panic!("an odd path: {}", request.path),
    };
    let verb = match (request.method.as_str(), named) {
        ("GET", true) => "get",
        ("GET", false) if request.parameter("watch").is_some_and(|w| w != "false" && w != "0") => "watch",
        ("GET", false) => "list",
        ("POST", _) => "create",
        ("PATCH", true) => "patch",
        ("DELETE", true) => "delete",
        _ => panic!("an odd request: {} {}", request.method, request.path),
    };
    let secret = rest.get(1).filter(|_| resource == "secrets").map(|name| (*name).to_owned());
    Some(Asked { grant: (group.to_owned(), resource, verb.to_owned()), namespaced, secret })
}
