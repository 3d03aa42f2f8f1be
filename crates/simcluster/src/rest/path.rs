//! What a path of the API stands for.

use crate::apis::Apis;
use crate::error::ApiError;
use crate::resources::{RESOURCES, Resource};

/// A collection, an object or a subresource.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub resource: &'static Resource,
    pub version: &'static str,
    /// The namespace; empty for cluster-scoped resources and for a collection across all namespaces.
    pub namespace: String,
    /// The name; empty for a collection.
    pub name: String,
    /// The subresource; empty for none.
    pub subresource: String,
}

impl Target {
    /// The `apiVersion` that objects are read and written in.
    pub fn api_version(&self) -> String {
        self.resource.api_version(self.version)
    }

    /// Refuses what no collection takes: a write across all namespaces, a delete of every namespace.
    pub fn check_collection(&self, verb: &str) -> Result<(), ApiError> {
        let across = self.resource.namespaced && self.namespace.is_empty();
        let refused = match verb {
            "create" => across && self.name.is_empty(),
            "deletecollection" => across || !self.resource.deletes_collections(),
            _ => false,
        };
        match refused {
            true if self.resource.custom => Err(ApiError::no_such_path()),
            true => Err(ApiError::method_not_allowed()),
            false => Ok(()),
        }
    }
}

/// The parts of a path below a group's version.
pub(super) struct Parts<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub rest: Vec<&'a str>,
}

/// Splits `/api/v1/…` and `/apis/<group>/<version>/…`; `None` for other paths.
pub(super) fn split(path: &str) -> Option<Parts<'_>> {
    let mut segments = path.split('/').skip(1);
    let group = match segments.next()? {
        "api" => "",
        "apis" => segments.next()?,
        _ => return None,
    };
    let version = segments.next()?;
    let mut rest: Vec<&str> = segments.collect();
    // A slash at the end is no part of the path; one in the middle makes a name that nothing has.
    rest.pop_if(|last| last.is_empty());
    Some(Parts { group, version, rest })
}

/// What a path says, whether it leads anywhere or not. Empty where [`Target`] says so.
pub(super) struct Words<'a> {
    pub plural: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    pub subresource: &'a str,
}

/// The words of a path; `None` if it has too few or too many.
pub(super) fn words<'a>(parts: &Parts<'a>) -> Option<Words<'a>> {
    let (namespace, rest) = match parts.rest.as_slice() {
        // `namespaces/<name>` and its subresources are the namespace itself.
        ["namespaces", namespace, rest @ ..]
            if !rest.is_empty() && !matches!(rest[0], "status" | "finalize") =>
        {
            (*namespace, rest)
        }
        rest => ("", rest),
    };
    let (plural, name, subresource) = match rest {
        [plural] => (*plural, "", ""),
        [plural, name] => (*plural, *name, ""),
        [plural, name, subresource] => (*plural, *name, *subresource),
        // What follows is for the pod.
        ["pods", name, "proxy", ..] => ("pods", *name, "proxy"),
        _ => return None,
    };
    Some(Words { plural, namespace, name, subresource })
}

/// Finds what a path stands for among the resources that are served.
pub(super) fn target(parts: &Parts<'_>, apis: &Apis) -> Result<Target, ApiError> {
    let words = words(parts).ok_or_else(|| absent(parts.group))?;
    let Words { plural, namespace, name, subresource } = words;
    let found =
        RESOURCES.iter().find(|resource| resource.plural() == plural && resource.group() == parts.group);
    let resource = found.ok_or_else(|| absent(parts.group))?;
    let version = apis.versions(resource).into_iter().find(|version| *version == parts.version);
    let version = version.ok_or_else(|| absent(parts.group))?;
    let across_namespaces = resource.namespaced && namespace.is_empty() && name.is_empty();
    let scope_fits = resource.namespaced != namespace.is_empty() || across_namespaces;
    if !scope_fits {
        return Err(absent(parts.group));
    }
    if !has_subresource(resource, subresource) {
        let custom = resource.custom;
        return Err(if custom { ApiError::not_found(resource.name, name) } else { absent(parts.group) });
    }
    Ok(Target {
        resource,
        version,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource: subresource.to_owned(),
    })
}

fn has_subresource(resource: &Resource, subresource: &str) -> bool {
    match subresource {
        "" => true,
        "status" => resource.status,
        "scale" => resource.scale,
        "eviction" | "log" | "exec" | "attach" | "portforward" | "proxy" => resource.name == "pods",
        "token" => resource.name == "serviceaccounts",
        _ => false,
    }
}

/// A built-in group answers for itself; what would have to be a custom resource falls through to nothing.
pub(super) fn absent(group: &str) -> ApiError {
    let builtin = RESOURCES.iter().any(|resource| resource.group() == group && !resource.custom);
    if builtin { ApiError::no_such_resource() } else { ApiError::no_such_path() }
}
