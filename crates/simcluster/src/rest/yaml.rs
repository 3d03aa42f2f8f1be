//! YAML, which is read and written wherever JSON is.

use serde_json::Value;

use crate::error::ApiError;

/// The media type of a body or an answer in YAML.
pub(super) const MEDIA_TYPE: &str = "application/yaml";

/// The object in a body.
///
/// # Errors
/// 400 for what is no YAML.
pub(super) fn read(body: &[u8]) -> Result<Value, ApiError> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string());
    text.and_then(|text| serde_saphyr::from_str(text).map_err(|error| error.to_string()))
        .map_err(|why| ApiError::bad_request(format!("error converting YAML to JSON: {why}")))
}

/// A value in YAML; `None` if it cannot be written so.
pub(super) fn write(value: &Value) -> Option<Vec<u8>> {
    serde_saphyr::to_string(value).ok().map(String::into_bytes)
}
