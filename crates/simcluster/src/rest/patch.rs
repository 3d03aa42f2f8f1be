//! The patch formats.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::json_patch::JsonPatch;
use super::path::Target;
use super::strategic;
use crate::error::ApiError;
use crate::object;
use crate::resources::Resource;

/// A patch that can be applied to an object.
pub(super) enum Patch {
    /// RFC 6902.
    Json(JsonPatch),
    /// RFC 7386.
    Merge(Value),
    /// A merge that knows lists by their keys; built-in kinds only.
    Strategic(Value),
    /// Server-side apply, without ownership of fields: what is given is merged, nothing is taken away.
    Apply { object: Value, custom: bool },
}

/// Whether a patch may create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// It changes what is there.
    Change,
    /// It creates what is not there.
    Apply,
}

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

impl Patch {
    pub fn parse(call: &Call, resource: &Resource) -> Result<Self, ApiError> {
        match call.content_type.as_str() {
            JSON_PATCH => JsonPatch::parse(&call.body).map(Self::Json),
            MERGE_PATCH => object_body(call).map(Self::Merge),
            STRATEGIC_PATCH if !resource.custom => object_body(call).map(Self::Strategic),
            APPLY_PATCH => Ok(Self::Apply { object: object_body(call)?, custom: resource.custom }),
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

    pub fn style(&self) -> Style {
        if matches!(self, Self::Apply { .. }) { Style::Apply } else { Style::Change }
    }

    /// Applies the patch. Nothing of the document is to be used when it fails.
    pub fn apply(&self, document: &mut Value) -> Result<(), ApiError> {
        match self {
            Self::Json(patch) => patch.apply(document)?,
            Self::Merge(patch) => json_patch::merge(document, patch),
            Self::Strategic(patch) => strategic::merge(document, patch),
            Self::Apply { object, custom: true } => overlay(document, object),
            Self::Apply { object, custom: false } => strategic::merge(document, object),
        }
        if document.is_object() { Ok(()) } else { Err(ApiError::patch_failed()) }
    }

    /// The object that an apply creates.
    pub fn into_object(self, target: &Target) -> Result<Value, ApiError> {
        let mut object = json!({"metadata": {"name": target.name}});
        self.apply(&mut object)?;
        if object::name(&object) != target.name {
            return Err(ApiError::bad_request("metadata.name must match the name in the path"));
        }
        object::metadata_mut(&mut object).remove("resourceVersion");
        Ok(object)
    }
}

fn object_body(call: &Call) -> Result<Value, ApiError> {
    let map: Map<String, Value> = serde_json::from_slice(&call.body).map_err(undecodable)?;
    Ok(Value::Object(map))
}

fn undecodable(error: serde_json::Error) -> ApiError {
    ApiError::bad_request(format!("error decoding patch: {error}"))
}

/// Lays `top` over `base`: maps are merged, everything else is replaced. A null is a value, not a removal.
fn overlay(base: &mut Value, top: &Value) {
    match (base, top) {
        (Value::Object(base), Value::Object(top)) => {
            for (key, value) in top {
                overlay(base.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (base, top) => *base = top.clone(),
    }
}
