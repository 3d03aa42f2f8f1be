//! As much OpenAPI as kubectl asks for: what the fields of a kind are (`kubectl explain`), whether a kind can be tried
//! (`dryRun`) and checked (`fieldValidation`).

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::call::Call;
use super::groups::groups;
use crate::apis::Apis;
use crate::error::ApiError;
use crate::resources::{RESOURCES, Resource, group_version};
use crate::schema::{self, Keys, Object, Type};

const PROTOBUF_V2: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

pub(super) fn answer(apis: &Apis, call: &Call, rest: &[&str]) -> Result<Answer, ApiError> {
    match rest {
        // An empty message is the protobuf of an empty document.
        ["v2"] if call.accept.contains(PROTOBUF_V2) => Ok(Answer::bytes(PROTOBUF_V2, 200, Vec::new())),
        ["v2"] => Ok(Answer::json(
            200,
            &json!({"swagger": "2.0", "info": info(), "paths": {}, "definitions": definitions(apis)}),
        )),
        ["v3"] => Ok(Answer::json(200, &index(apis))),
        ["v3", "api", version] => answered(apis, "", version),
        ["v3", "apis", group, version] => answered(apis, group, version),
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
            // kubectl keeps a document until its hash changes.
            let mut hasher = DefaultHasher::new();
            document(apis, group, version).unwrap_or_default().to_string().hash(&mut hasher);
            let url = format!("/openapi/v3/{prefix}?hash={:016X}", hasher.finish());
            paths.insert(prefix, json!({"serverRelativeURL": url}));
        }
    }
    json!({"paths": paths})
}

fn answered(apis: &Apis, group: &str, version: &str) -> Result<Answer, ApiError> {
    let document = document(apis, group, version).ok_or_else(ApiError::no_such_path)?;
    Ok(Answer::json(200, &document))
}

/// The document of a group's version, if it is served.
fn document(apis: &Apis, group: &str, version: &str) -> Option<Value> {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    let wanted = |(resource, known): &(&Resource, &str)| resource.group() == group && *known == version;
    for (resource, _) in served(apis).filter(wanted) {
        let scope = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
        let path = format!("/{}/{scope}{}/{{name}}", prefix(group, version), resource.plural());
        paths.insert(path, operations(resource, group, version));
        schemas.insert(schema_name(resource, version), of_resource(resource, version));
    }
    (!schemas.is_empty()).then(
        || json!({"openapi": "3.0.0", "info": info(), "paths": paths, "components": {"schemas": schemas}}),
    )
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

/// Every resource in each version that it is served in.
fn served(apis: &Apis) -> impl Iterator<Item = (&'static Resource, &'static str)> {
    RESOURCES
        .iter()
        .flat_map(|resource| apis.versions(resource).into_iter().map(move |version| (resource, version)))
}

/// The schemas in the old document, which has those of all groups.
fn definitions(apis: &Apis) -> Map<String, Value> {
    let schema = |(resource, version)| (schema_name(resource, version), of_resource(resource, version));
    served(apis).map(schema).collect()
}

fn of_resource(resource: &Resource, version: &str) -> Value {
    let mut schema = of_object(schema::of(resource, version));
    let kind = json!({"group": resource.group(), "version": version, "kind": resource.kind});
    schema["x-kubernetes-group-version-kind"] = json!([kind]);
    schema
}

fn of_object(object: &Object) -> Value {
    let property = |field: &schema::Field| {
        let mut schema = of_type(&field.kind);
        let default = field.default.filter(|_| field.default_in_schema);
        if let Some(default) = default.and_then(|default| default.value(&Map::new())) {
            schema["default"] = default;
        }
        (field.name.to_owned(), schema)
    };
    let properties: Map<String, Value> = object.fields.iter().map(property).collect();
    let required: Vec<&str> =
        object.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn of_type(kind: &Type) -> Value {
    match kind {
        Type::Any => json!({"x-kubernetes-preserve-unknown-fields": true}),
        Type::Text => json!({"type": "string"}),
        Type::Choice(choices) => json!({"type": "string", "enum": choices}),
        Type::Bytes => json!({"type": "string", "format": "byte"}),
        Type::Time | Type::MicroTime => json!({"type": "string", "format": "date-time"}),
        Type::Whole => json!({"type": "integer", "format": "int32"}),
        Type::Long => json!({"type": "integer", "format": "int64"}),
        Type::Flag => json!({"type": "boolean"}),
        Type::NumberOrText => json!({"x-kubernetes-int-or-string": true,
            "oneOf": [{"type": "integer"}, {"type": "string"}]}),
        Type::Map(of) => json!({"type": "object", "additionalProperties": of_type(of)}),
        Type::List(of, keys) => {
            let list = match keys {
                Keys::None => json!({"x-kubernetes-list-type": "atomic"}),
                Keys::Value => json!({"x-kubernetes-list-type": "set"}),
                Keys::Fields(keys) => {
                    json!({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys})
                }
            };
            let mut schema = json!({"type": "array", "items": of_type(of)});
            if let (Some(schema), Value::Object(list)) = (schema.as_object_mut(), list) {
                schema.extend(list);
            }
            schema
        }
        Type::Object(object) => of_object(object),
    }
}
