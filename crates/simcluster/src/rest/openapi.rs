//! As much OpenAPI as kubectl asks for: whether a kind can be tried (`dryRun`) and checked (`fieldValidation`).

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::call::Call;
use super::groups::groups;
use crate::apis::Apis;
use crate::error::ApiError;
use crate::resources::{RESOURCES, Resource, group_version};

const PROTOBUF_V2: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

pub(super) fn answer(apis: &Apis, call: &Call, rest: &[&str]) -> Result<Answer, ApiError> {
    match rest {
        // An empty message is the protobuf of an empty document.
        ["v2"] if call.accept.contains(PROTOBUF_V2) => Ok(Answer::bytes(PROTOBUF_V2, 200, Vec::new())),
        ["v2"] => {
            Ok(Answer::json(200, &json!({"swagger": "2.0", "info": info(), "paths": {}, "definitions": {}})))
        }
        ["v3"] => Ok(Answer::json(200, &index(apis))),
        ["v3", "api", version] => document(apis, "", version),
        ["v3", "apis", group, version] => document(apis, group, version),
        _ => Err(ApiError::no_such_path()),
    }
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": "v1.36.0"})
}

fn prefix(group: &str, version: &str) -> String {
    let root = if group.is_empty() { "api" } else { "apis" };
    format!("{root}/{}", group_version(group, version))
}

fn index(apis: &Apis) -> Value {
    let mut paths = Map::new();
    for (group, versions) in groups(apis) {
        for version in versions {
            let prefix = prefix(group, version);
            let url = format!("/openapi/v3/{prefix}");
            paths.insert(prefix, json!({"serverRelativeURL": url}));
        }
    }
    json!({"paths": paths})
}

fn document(apis: &Apis, group: &str, version: &str) -> Result<Answer, ApiError> {
    let served: Vec<&Resource> = RESOURCES
        .iter()
        .filter(|resource| resource.group() == group && apis.serves(resource, version))
        .collect();
    if served.is_empty() {
        return Err(ApiError::no_such_path());
    }
    let prefix = prefix(group, version);
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for resource in served {
        let scope = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
        let path = format!("/{prefix}/{scope}{}/{{name}}", resource.plural());
        paths.insert(path, operations(resource, group, version));
        let kind = json!({"group": group, "version": version, "kind": resource.kind});
        schemas.insert(
            schema_name(resource, version),
            json!({"type": "object", "x-kubernetes-group-version-kind": [kind],
                "x-kubernetes-preserve-unknown-fields": true}),
        );
    }
    Ok(Answer::json(
        200,
        &json!({"openapi": "3.0.0", "info": info(), "paths": paths, "components": {"schemas": schemas}}),
    ))
}

fn operations(resource: &Resource, group: &str, version: &str) -> Value {
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
    let kind = json!({"group": group, "version": version, "kind": resource.kind});
    let schema = json!({"$ref": format!("#/components/schemas/{}", schema_name(resource, version))});
    let operation = |action: &str| {
        json!({
            "operationId": format!("{action}{}{}", version, resource.kind),
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": kind,
            "parameters": [parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")],
            "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
        })
    };
    json!({"get": operation("get"), "put": operation("put"),
        "patch": operation("patch"), "delete": operation("delete")})
}

fn schema_name(resource: &Resource, version: &str) -> String {
    let group = if resource.group().is_empty() { "core" } else { resource.group() };
    let reversed: Vec<&str> = group.split('.').rev().collect();
    format!("{}.{version}.{}", reversed.join("."), resource.kind)
}
