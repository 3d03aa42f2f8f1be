//! JSON patches (RFC 6902) as an API server applies them: its library is laxer than the RFC.

use json_patch::PatchOperation;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;

/// As a real server limits them.
const MOST_OPERATIONS: usize = 10_000;

/// One operation as it was sent.
#[derive(Debug, Deserialize)]
struct Operation {
    #[serde(default)]
    op: Value,
    #[serde(default)]
    path: Value,
    #[serde(default)]
    from: Value,
    #[serde(default)]
    value: Value,
}

/// A JSON patch: operations in their order.
pub(super) struct JsonPatch(Vec<Operation>);

impl JsonPatch {
    /// Reads a patch. What an operation says is looked at when it is applied.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let operations: Vec<Operation> = serde_json::from_slice(body)
            .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
        if operations.len() > MOST_OPERATIONS {
            let message = format!(
                "Request entity too large: The allowed maximum operations in a JSON patch is \
                 {MOST_OPERATIONS}, got {}",
                operations.len()
            );
            return Err(ApiError::new(413, "RequestEntityTooLarge", message));
        }
        Ok(Self(operations))
    }

    /// Applies the operations one after the other. Nothing of the document is to be used when it fails.
    pub fn apply(&self, document: &mut Value) -> Result<(), ApiError> {
        self.0.iter().try_for_each(|operation| operation.apply(document))
    }
}

impl Operation {
    fn apply(&self, document: &mut Value) -> Result<(), ApiError> {
        let failed = |_| ApiError::patch_failed();
        let path = self.path.as_str().map(|path| from_the_end(path, document));
        let mut op = self.op.as_str().unwrap_or_default();
        if let Some(path) = path.as_deref()
            && lacks(document, path)
        {
            match op {
                // What is missing is null, whose value may be left out, and can be replaced.
                "test" if self.value.is_null() => return Ok(()),
                "replace" => op = "add",
                _ => {}
            }
        }
        let strict = json!({"op": op, "path": path, "from": self.from, "value": self.value});
        let strict: PatchOperation = serde_json::from_value(strict).map_err(|_| ApiError::patch_failed())?;
        json_patch::patch_unsafe(document, &[strict]).map_err(failed)
    }
}

/// Whether a path ends in a key that a map does not have.
fn lacks(document: &Value, path: &str) -> bool {
    let Some((parent, key)) = path.rsplit_once('/') else { return false };
    let key = key.replace("~1", "/").replace("~0", "~");
    document.pointer(parent).and_then(Value::as_object).is_some_and(|map| !map.contains_key(&key))
}

/// A path whose last part counts from the end of a list (`-1` is the last element), as one that counts from its
/// beginning.
fn from_the_end(path: &str, document: &Value) -> String {
    let forward = || {
        let (parent, index) = path.rsplit_once('/')?;
        let back: usize = index.strip_prefix('-')?.parse().ok()?;
        let list = document.pointer(parent)?.as_array()?;
        Some(format!("{parent}/{}", list.len().checked_sub(back)?))
    };
    forward().unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(operation: Value) -> Option<Value> {
        let mut document = json!({"data": {"a": "1"}, "list": [1, 2, 3]});
        let patch = JsonPatch::parse(json!([operation]).to_string().as_bytes()).ok()?;
        patch.apply(&mut document).ok()?;
        Some(document)
    }

    #[test]
    fn what_a_map_lacks_is_null() {
        let data = |operation: Value| patched(operation).map(|document| document["data"].clone());
        for (operation, expected) in [
            (json!({"op": "test", "path": "/data/none"}), Some(json!({"a": "1"}))),
            (json!({"op": "test", "path": "/data/none", "value": null}), Some(json!({"a": "1"}))),
            (json!({"op": "test", "path": "/data/none", "value": "1"}), None),
            (json!({"op": "test", "path": "/none/none"}), None),
            (json!({"op": "test", "path": "/data/a"}), None),
            (json!({"op": "replace", "path": "/data/b", "value": "2"}), Some(json!({"a": "1", "b": "2"}))),
            (json!({"op": "replace", "path": "/none/b", "value": "2"}), None),
            (json!({"op": "add", "path": "/data/b"}), Some(json!({"a": "1", "b": null}))),
            (json!({"op": "remove", "path": "/data/b"}), None),
            (json!({"op": "nope", "path": "/data/a"}), None),
            (json!({"path": "/data/a", "value": "2"}), None),
            (json!({"op": "add", "path": "data", "value": "2"}), None),
        ] {
            assert_eq!(data(operation.clone()), expected, "{operation}");
        }
    }

    #[test]
    fn an_index_below_zero_counts_from_the_end() {
        let list = |operation: Value| patched(operation).map(|document| document["list"].clone());
        assert_eq!(list(json!({"op": "remove", "path": "/list/-1"})), Some(json!([1, 2])));
        assert_eq!(list(json!({"op": "replace", "path": "/list/-3", "value": 9})), Some(json!([9, 2, 3])));
        assert_eq!(list(json!({"op": "remove", "path": "/list/-4"})), None);
        assert_eq!(list(json!({"op": "replace", "path": "/list/3", "value": 9})), None);
    }
}
