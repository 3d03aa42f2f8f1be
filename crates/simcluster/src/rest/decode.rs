//! From what a client has sent to an object of its kind: types, unknown fields, and what is told of them.

use std::collections::HashSet;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::options::FieldValidation;
use super::path::Target;
use crate::error::{ApiError, Cause};
use crate::object;
use crate::resources::Resource;
use crate::schema::check::causes_of;
use crate::schema::conform::{Report, conform};
use crate::schema::defaults::complete;
use crate::schema::{self, At};

/// Where an object comes from, which decides how it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is a request's body.
    Body,
    /// It is what a patch has made of the stored one.
    Patch,
}

/// Makes `object` one of the target's kind: without fields that the kind does not have, with its defaults. Gives back what
/// the client is warned of; `twice` are the fields that were there twice.
///
/// # Errors
/// 400 for a body and 422 for a patch that cannot be read as the kind; 422 with causes where a custom resource has the
/// wrong types.
pub(super) fn decode(
    target: &Target,
    object: &mut Value,
    twice: &[String],
    validation: FieldValidation,
    origin: Origin,
) -> Result<Vec<String>, ApiError> {
    let resource = target.resource;
    let schema = schema::of(resource, target.version);
    let report = conform(schema, object, resource.custom);
    refuse_mistakes(target, object, &report, origin)?;
    let told: Vec<String> = report
        .unknown
        .iter()
        .map(|field| format!("unknown field \"{field}\""))
        .chain(twice.iter().map(|field| format!("duplicate field \"{field}\"")))
        .collect();
    complete(schema, object, resource.custom);
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Strict if !told.is_empty() => {
            Err(unreadable(target, &format!("strict decoding error: {}", told.join(", ")), origin))
        }
        FieldValidation::Strict | FieldValidation::Warn => Ok(told),
    }
}

/// Makes what an apply gives fit the schema.
///
/// # Errors
/// 500 for a field that the schema does not have, as the owner of fields answers; what [`decode`] refuses.
pub(super) fn decode_config(target: &Target, config: &mut Value) -> Result<(), ApiError> {
    let resource = target.resource;
    let report = conform(schema::of(resource, target.version), config, resource.custom);
    refuse_mistakes(target, config, &report, Origin::Body)?;
    let Some(field) = report.unknown.first() else { return Ok(()) };
    let message = format!(
        "failed to create typed patch object ({}/{}; {}, Kind={}): .{field}: field not declared in schema",
        target.namespace,
        target.name,
        target.api_version(),
        resource.kind
    );
    Err(ApiError::new(500, "", message))
}

fn refuse_mistakes(target: &Target, object: &Value, report: &Report, origin: Origin) -> Result<(), ApiError> {
    let resource = target.resource;
    let go = |mistake: &&schema::conform::Mistake| !resource.custom || mistake.is_in_metadata();
    if let Some(mistake) = report.mistakes.iter().find(go) {
        let field = format!("{}.{}", resource.kind, mistake.at);
        let why = match mistake.wanted {
            "date-time" => format!("parsing time {:?}: cannot parse", mistake.found),
            "byte" => "illegal base64 data at input byte 0".to_owned(),
            wanted => format!(
                "json: cannot unmarshal {} into Go struct field {field} of type {wanted}",
                mistake.found
            ),
        };
        return Err(unreadable(target, &why, origin));
    }
    let causes: Vec<Cause> = report.mistakes.iter().flat_map(causes_of).collect();
    if causes.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(resource.kind, resource.name, object::name(object), &causes))
}

fn unreadable(target: &Target, why: &str, origin: Origin) -> ApiError {
    let (kind, version) = (target.resource.kind, target.version);
    match origin {
        Origin::Patch => ApiError::bad_patch(why),
        Origin::Body => ApiError::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"
        )),
    }
}

/// A custom resource says what it is; of a built-in kind the path is enough.
pub(super) fn check_type_meta(resource: &Resource, object: &Value) -> Result<(), ApiError> {
    let given = |field: &str| !object[field].as_str().unwrap_or_default().is_empty();
    if !resource.custom || (given("kind") && given("apiVersion")) {
        return Ok(());
    }
    let what = if given("kind") { "apiVersion" } else { "Kind" };
    Err(ApiError::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): Object '{what}' is missing",
        resource.kind
    )))
}

/// Where in a JSON text a field is given twice.
pub(super) fn given_twice(body: &[u8]) -> Vec<String> {
    let mut twice = Vec::new();
    let mut text = serde_json::Deserializer::from_slice(body);
    // What is no JSON is refused elsewhere.
    let _ = Scan { at: &At::ROOT, twice: &mut twice }.deserialize(&mut text);
    twice
}

/// Reads a value for nothing but the names of its fields.
struct Scan<'a> {
    at: &'a At<'a>,
    twice: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Scan<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let at = self.at.field(&key);
            if seen.contains(&key) {
                self.twice.push(at.to_string());
            }
            map.next_value_seed(Scan { at: &at, twice: self.twice })?;
            seen.insert(key);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0;
        while list.next_element_seed(Scan { at: &self.at.index(index), twice: self.twice })?.is_some() {
            index += 1;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(IgnoredAny).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::given_twice;

    #[test]
    fn a_field_that_is_there_twice_is_found() {
        let text = br#"{"spec": {"a": 1, "list": [{"b": 1, "b": 2}], "a": null}, "kind": "x"}"#;
        assert_eq!(given_twice(text), ["spec.list[0].b", "spec.a"]);
        assert!(given_twice(b"{x").is_empty());
    }
}
