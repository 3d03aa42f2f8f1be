//! Discovery: which groups, versions and resources there are. Both the old documents and the aggregated one.

use axum::http::Method;
use serde_json::{Value, json};

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::groups::groups;
use super::openapi;
use super::path::absent;
use super::review::REVIEWS;
use crate::access;
use crate::apis::Apis;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::resources::{RESOURCES, Resource, group_version};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

const VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

const VERBS_WITHOUT_COLLECTIONS: [&str; 7] = ["delete", "get", "list", "patch", "create", "update", "watch"];

/// A resource in one version.
struct Entry {
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
    /// Of what the server keeps; reviews are kept nowhere.
    stored: Option<&'static Resource>,
}

fn entries(apis: &Apis, group: &str, version: &str) -> Vec<Entry> {
    let stored = RESOURCES
        .iter()
        .filter(|resource| resource.group() == group && apis.serves(resource, version))
        .map(|resource| Entry {
            plural: resource.plural(),
            kind: resource.kind,
            namespaced: resource.namespaced,
            stored: Some(resource),
        });
    let reviews = REVIEWS.iter().filter(|review| review.group == group && version == "v1").map(|review| {
        Entry { plural: review.plural, kind: review.kind, namespaced: review.namespaced, stored: None }
    });
    stored.chain(reviews).collect()
}

/// Answers what is about the API itself; `None` for everything else.
pub(super) fn answer(server: &Server, caller: &Caller, call: &Call) -> Result<Option<Answer>, ApiError> {
    let path: Vec<&str> = call.path.split('/').filter(|part| !part.is_empty()).collect();
    let apis = &server.apis;
    if is_about_the_api(&path) && !server.access.allows_path(caller, &path) {
        return Err(access::forbidden_path(caller, call.method.as_str(), &call.path));
    }
    let answer = match path.as_slice() {
        [] => Answer::json(200, &json!({"paths": ["/api", "/apis", "/healthz", "/openapi/v3", "/version"]})),
        ["version"] => Answer::json(200, &version()),
        // Whatever the method: these handlers do not look at it.
        ["healthz" | "livez" | "readyz"] | ["healthz" | "livez" | "readyz", "ping"] => {
            return Ok(Some(Answer::text(200, "ok")));
        }
        ["openapi", rest @ ..] => openapi::answer(apis, call, rest)?,
        ["api"] if is_aggregated(call) => aggregated(apis, |group| group.is_empty()),
        ["api"] => Answer::json(
            200,
            &json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ),
        ["apis"] if is_aggregated(call) => aggregated(apis, |group| !group.is_empty()),
        ["apis"] => {
            call.form()?;
            return Ok(Some(group_list(apis)));
        }
        ["apis", group] => one_group(apis, group)?,
        ["api", version] => resource_list(apis, "", version)?,
        ["apis", group, version] => resource_list(apis, group, version)?,
        _ => return Ok(None),
    };
    if call.method == Method::GET { Ok(Some(answer)) } else { Err(ApiError::method_not_allowed()) }
}

/// Whether the path leads to no object.
fn is_about_the_api(path: &[&str]) -> bool {
    match path {
        ["api", rest @ ..] => rest.len() <= 1,
        ["apis", rest @ ..] => rest.len() <= 2,
        _ => true,
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": "v1.36.0+simcluster", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
    })
}

fn is_aggregated(call: &Call) -> bool {
    call.accept.split(',').any(|entry| {
        let entry: String = entry.chars().filter(|c| !c.is_whitespace()).collect();
        entry.contains("as=APIGroupDiscoveryList") && entry.contains("v=v2") && !entry.contains("v=v2beta1")
    })
}

fn group_value((group, versions): &(&str, Vec<&str>)) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": group_version(group, version), "version": version}))
        .collect();
    json!({"name": group, "preferredVersion": versions[0], "versions": versions})
}

fn group_list(apis: &Apis) -> Answer {
    let groups: Vec<Value> =
        groups(apis).iter().filter(|(group, _)| !group.is_empty()).map(group_value).collect();
    Answer::json(200, &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
}

fn one_group(apis: &Apis, name: &str) -> Result<Answer, ApiError> {
    let groups = groups(apis);
    let group = groups.iter().find(|(group, _)| *group == name).ok_or_else(ApiError::no_such_path)?;
    let mut value = group_value(group);
    value["kind"] = json!("APIGroup");
    value["apiVersion"] = json!("v1");
    Ok(Answer::json(200, &value))
}

fn resource_list(apis: &Apis, group: &str, version: &str) -> Result<Answer, ApiError> {
    let entries = entries(apis, group, version);
    if entries.is_empty() {
        return Err(absent(group));
    }
    let mut resources: Vec<Value> = Vec::new();
    for entry in &entries {
        resources.push(entry.value());
        for (subresource, (group, version, kind), verbs) in entry.subresources(group, version) {
            let mut value = json!({"name": format!("{}/{subresource}", entry.plural), "singularName": "",
                "namespaced": entry.namespaced, "kind": kind, "verbs": verbs});
            if subresource != "status" {
                value["group"] = json!(group);
                value["version"] = json!(version);
            }
            resources.push(value);
        }
    }
    let group_version = group_version(group, version);
    Ok(Answer::json(
        200,
        &json!({"kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": group_version, "resources": resources}),
    ))
}

fn aggregated(apis: &Apis, wanted: impl Fn(&str) -> bool) -> Answer {
    let items: Vec<Value> = groups(apis)
        .into_iter()
        .filter(|(group, _)| wanted(group))
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .into_iter()
                .map(|version| {
                    let resources: Vec<Value> = entries(apis, group, version)
                        .iter()
                        .map(|entry| entry.aggregated(group, version))
                        .collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            json!({"metadata": {"name": group, "creationTimestamp": null}, "versions": versions})
        })
        .collect();
    let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {}, "items": items});
    Answer::json_as(AGGREGATED, 200, &list)
}

type Subresource<'a> = (&'static str, (&'a str, &'a str, &'static str), &'static [&'static str]);

impl Entry {
    fn verbs(&self) -> &'static [&'static str] {
        match self.stored {
            Some(resource) if resource.deletes_collections() => &VERBS,
            Some(_) => &VERBS_WITHOUT_COLLECTIONS,
            None => &["create"],
        }
    }

    fn value(&self) -> Value {
        let mut value = json!({"name": self.plural, "singularName": self.kind.to_lowercase(),
            "namespaced": self.namespaced, "kind": self.kind, "verbs": self.verbs()});
        self.add_names(&mut value);
        value
    }

    fn add_names(&self, value: &mut Value) {
        let Some(resource) = self.stored else { return };
        for (field, names) in [("shortNames", resource.short), ("categories", resource.categories)] {
            if !names.is_empty() {
                value[field] = json!(names);
            }
        }
    }

    fn subresources<'a>(&self, group: &'a str, version: &'a str) -> Vec<Subresource<'a>> {
        const CHANGE: &[&str] = &["get", "patch", "update"];
        let Some(resource) = self.stored else { return Vec::new() };
        let mut all: Vec<Subresource<'a>> = Vec::new();
        if resource.name == "pods" {
            let core = |kind| ("", "v1", kind);
            const STREAM: &[&str] = &["create", "get"];
            all.push(("attach", core("PodAttachOptions"), STREAM));
            all.push(("eviction", ("policy", "v1", "Eviction"), &["create"]));
            all.push(("exec", core("PodExecOptions"), STREAM));
            all.push(("log", core("Pod"), &["get"]));
            all.push(("portforward", core("PodPortForwardOptions"), STREAM));
            all.push(("proxy", core("PodProxyOptions"), &["create", "delete", "get", "patch", "update"]));
        }
        if resource.name == "serviceaccounts" {
            all.push(("token", ("authentication.k8s.io", "v1", "TokenRequest"), &["create"]));
        }
        if resource.scale {
            all.push(("scale", ("autoscaling", "v1", "Scale"), CHANGE));
        }
        if resource.status {
            all.push(("status", (group, version, resource.kind), CHANGE));
        }
        all
    }

    fn aggregated(&self, group: &str, version: &str) -> Value {
        let kind = |(group, version, kind): (&str, &str, &str)| json!({"group": group, "version": version, "kind": kind});
        let mut value = json!({"resource": self.plural, "singularResource": self.kind.to_lowercase(),
            "responseKind": kind((group, version, self.kind)), "verbs": self.verbs(),
            "scope": if self.namespaced { "Namespaced" } else { "Cluster" }});
        self.add_names(&mut value);
        let subresources: Vec<Value> = self
            .subresources(group, version)
            .into_iter()
            .map(|(name, response, verbs)| {
                json!({"subresource": name, "responseKind": kind(response), "verbs": verbs})
            })
            .collect();
        if !subresources.is_empty() {
            value["subresources"] = json!(subresources);
        }
        value
    }
}
