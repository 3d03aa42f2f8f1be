//! The patch formats.

use serde_json::{Map, Value};

use super::call::Call;
use super::json_patch::JsonPatch;
use super::options::Verb;
use super::path::Target;
use super::strategic;
use super::yaml;
use crate::error::ApiError;
use crate::schema::{self, Object};

/// A patch that can be applied to an object.
pub(super) enum Patch {
    /// RFC 6902.
    Json(JsonPatch),
    /// RFC 7386.
    Merge(Value),
    /// A merge that knows lists by their keys; built-in kinds only.
    Strategic(Value, &'static Object),
    /// What a manager wants of the object, of which it owns the fields.
    Apply(Value),
}

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

impl Patch {
    pub fn parse(call: &Call, target: &Target) -> Result<Self, ApiError> {
        let resource = target.resource;
        match call.content_type.as_str() {
            JSON_PATCH => JsonPatch::parse(&call.body).map(Self::Json),
            MERGE_PATCH => object_body(call).map(Self::Merge),
            STRATEGIC_PATCH if !resource.custom => {
                Ok(Self::Strategic(object_body(call)?, schema::of(resource, target.version)))
            }
            APPLY_PATCH => apply_body(call).map(Self::Apply),
            _ if resource.custom => {
                Err(ApiError::unsupported_media_type(&[JSON_PATCH, MERGE_PATCH, APPLY_PATCH]))
            }
            _ => Err(ApiError::unsupported_media_type(&[
                JSON_PATCH,
                MERGE_PATCH,
                STRATEGIC_PATCH,
                APPLY_PATCH,
            ])),
        }
    }

    /// Which options it takes.
    pub fn verb(&self) -> Verb {
        if matches!(self, Self::Apply(_)) { Verb::Apply } else { Verb::Patch }
    }

    /// Applies the patch. Nothing of the document is to be used when it fails.
    pub fn apply(&self, document: &mut Value) -> Result<(), ApiError> {
        match self {
            Self::Json(patch) => patch.apply(document)?,
            Self::Merge(patch) => json_patch::merge(document, patch),
            Self::Strategic(patch, schema) => strategic::merge(schema, document, patch)?,
            // Where nobody keeps owners, as of a scale, it is a merge.
            Self::Apply(object) => json_patch::merge(document, object),
        }
        if document.is_object() { Ok(()) } else { Err(ApiError::patch_failed()) }
    }
}

fn object_body(call: &Call) -> Result<Value, ApiError> {
    let map: Map<String, Value> = serde_json::from_slice(&call.body)
        .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
    Ok(Value::Object(map))
}

/// An apply is YAML, of which JSON is a part.
fn apply_body(call: &Call) -> Result<Value, ApiError> {
    let object = yaml::read(&call.body)?;
    if object.is_object() {
        Ok(object)
    } else {
        Err(ApiError::bad_request("error decoding patch: not an object"))
    }
}
