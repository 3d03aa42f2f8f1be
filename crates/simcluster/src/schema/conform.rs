//! Whether an object has the types of its schema, without what the schema does not know.

use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{At, OBJECT_META, Object, Type};

/// What was found in an object that the schema does not have.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Where fields were that no schema knows; they are gone.
    pub unknown: Vec<String>,
    pub mistakes: Vec<Mistake>,
}

/// A value of the wrong type.
#[derive(Debug, PartialEq)]
pub(crate) struct Mistake {
    pub at: String,
    /// What should be there: `string`, `integer`, `date-time`...
    pub wanted: &'static str,
    /// What is: the type, or the value where only its form is wrong.
    pub found: String,
}

impl Mistake {
    /// Whether the mistake is in the metadata, which a custom resource shares with built-in kinds.
    pub fn is_in_metadata(&self) -> bool {
        self.at.starts_with("metadata.")
    }
}

/// Drops from an object what its schema does not know, and tells what is mistyped. A null counts as absent; a time
/// is written anew, in UTC.
pub(crate) fn conform(schema: &'static Object, object: &mut Value, custom: bool) -> Report {
    let mut reader = Reader { custom, report: Report::default() };
    reader.value(&Type::Object(schema), object, &At::ROOT);
    reader.report.unknown.sort_unstable();
    reader.report
}

struct Reader {
    custom: bool,
    report: Report,
}

impl Reader {
    fn fields(&mut self, schema: &Object, map: &mut Map<String, Value>, at: &At<'_>) {
        let unknown: Vec<String> = map.keys().filter(|key| schema.field(key).is_none()).cloned().collect();
        for key in unknown {
            self.report.unknown.push(at.field(&key).to_string());
            map.remove(&key);
        }
        map.retain(|_, value| !value.is_null());
        for (key, value) in map {
            if let Some(field) = schema.field(key) {
                self.value(&field.kind, value, &at.field(key));
            }
        }
    }

    fn value(&mut self, kind: &Type, value: &mut Value, at: &At<'_>) {
        match (kind, &mut *value) {
            (Type::Any, _) => {}
            (Type::Object(schema), Value::Object(map)) => {
                // The metadata of a custom resource is that of built-in kinds.
                let custom = self.custom;
                self.custom &= !std::ptr::eq(*schema, &raw const OBJECT_META);
                self.fields(schema, map, at);
                self.custom = custom;
            }
            (Type::Map(kind), Value::Object(map)) => self.entries(kind, map, at),
            (Type::List(kind, _), Value::Array(list)) => {
                for (index, item) in list.iter_mut().enumerate() {
                    self.value(kind, item, &at.index(index));
                }
            }
            (Type::Time | Type::MicroTime, Value::String(text)) => match read_time(kind, text, self.custom) {
                Some(time) => *text = time,
                None => self.mistake(at, "date-time", value.as_str().unwrap_or_default()),
            },
            (Type::Bytes, Value::String(text)) if !is_base64(text) => self.mistake(at, "byte", "string"),
            (Type::Text | Type::Choice(_) | Type::Bytes | Type::NumberOrText, Value::String(_))
            | (Type::Flag, Value::Bool(_)) => {}
            (Type::Whole | Type::Long | Type::NumberOrText, Value::Number(number)) => {
                if number.is_f64() {
                    self.mistake(at, "integer", "float64");
                } else if matches!(kind, Type::Whole)
                    && i32::try_from(number.as_i64().unwrap_or(i64::MAX)).is_err()
                {
                    self.mistake(at, "int32", &number.to_string());
                }
            }
            (kind, found) => self.mistake(at, name_of(kind), json_type(found)),
        }
    }

    /// The values of a map with free keys. A null is an empty text in a built-in kind, and nothing in a custom resource.
    fn entries(&mut self, kind: &Type, map: &mut Map<String, Value>, at: &At<'_>) {
        if self.custom || !matches!(kind, Type::Text) {
            map.retain(|_, value| !value.is_null());
        }
        for (key, value) in map {
            if value.is_null() {
                *value = json!("");
            }
            self.value(kind, value, &at.field(key));
        }
    }

    fn mistake(&mut self, at: &At<'_>, wanted: &'static str, found: &str) {
        self.report.mistakes.push(Mistake { at: at.to_string(), wanted, found: found.to_owned() });
    }
}

/// A time as it is stored: in UTC, with the decimals of its type. A custom resource keeps the text that it got.
fn read_time(kind: &Type, text: &str, custom: bool) -> Option<String> {
    let time: Timestamp = text.parse().ok()?;
    match kind {
        Type::MicroTime => has_micros(text).then(|| format!("{time:.6}")),
        _ if custom => Some(text.to_owned()),
        _ => Some(crate::clock::format_seconds(time)),
    }
}

/// Whether a time has exactly six decimals, as Go's layout of a `MicroTime` demands.
fn has_micros(text: &str) -> bool {
    let Some((_, decimals)) = text.split_once('.') else { return false };
    decimals.chars().take_while(char::is_ascii_digit).count() == 6
}

fn is_base64(text: &str) -> bool {
    // Go's decoder skips line ends.
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    BASE64_STANDARD.decode(text).is_ok()
}

fn name_of(kind: &Type) -> &'static str {
    match kind {
        Type::Any | Type::Text | Type::Choice(_) | Type::Bytes => "string",
        Type::Time | Type::MicroTime => "string",
        Type::Whole | Type::Long => "integer",
        Type::NumberOrText => "integer,string",
        Type::Flag => "boolean",
        Type::Map(_) | Type::Object(_) => "object",
        Type::List(..) => "array",
    }
}

pub(super) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::find;
    use crate::schema;

    fn conformed(res: &str, mut object: Value) -> (Value, Report) {
        let resource = find(res).expect("a resource");
        let report = conform(schema::of(resource, resource.versions[0]), &mut object, resource.custom);
        (object, report)
    }

    fn mistakes(res: &str, object: Value) -> Vec<(String, &'static str, String)> {
        let found = conformed(res, object).1.mistakes;
        found.into_iter().map(|mistake| (mistake.at, mistake.wanted, mistake.found)).collect()
    }

    #[test]
    fn what_no_schema_knows_is_dropped_and_told() {
        let containers = json!([{"name": "a", "imagee": "x"}]);
        let set = json!({"nope": 1, "metadata": {"name": "s", "label": {}},
            "spec": {"template": {"spec": {"containers": containers}}}});
        let (set, report) = conformed("petsets.apps.k8s.appscode.com", set);
        assert_eq!(set["spec"]["template"]["spec"]["containers"], json!([{"name": "a"}]));
        let unknown = ["metadata.label", "nope", "spec.template.spec.containers[0].imagee"];
        assert_eq!(report.unknown, unknown);
        let (kept, report) =
            conformed("kafkas.kubedb.com", json!({"spec": {"podTemplate": {"x": {"y": 1}}}}));
        assert_eq!(kept["spec"]["podTemplate"]["x"]["y"], 1);
        assert!(report.unknown.is_empty());
    }

    #[test]
    fn types_are_told_by_their_place() {
        let one =
            |at: &str, wanted: &'static str, found: &str| vec![(at.to_owned(), wanted, found.to_owned())];
        for (res, object, expected) in [
            ("configmaps", json!({"data": {"a": 1}}), one("data.a", "string", "integer")),
            ("configmaps", json!({"binaryData": {"a": "%%%"}}), one("binaryData.a", "byte", "string")),
            (
                "configmaps",
                json!({"metadata": {"annotations": {"a": true}}}),
                one("metadata.annotations.a", "string", "boolean"),
            ),
            (
                "statefulsets.apps",
                json!({"spec": {"replicas": "3"}}),
                one("spec.replicas", "integer", "string"),
            ),
            (
                "kafkas.kubedb.com",
                json!({"spec": {"replicas": 1.5}}),
                one("spec.replicas", "integer", "float64"),
            ),
            (
                "kafkas.kubedb.com",
                json!({"spec": {"halted": "yes"}}),
                one("spec.halted", "boolean", "string"),
            ),
            (
                "kafkas.kubedb.com",
                json!({"status": {"conditions": [{"lastTransitionTime": "yesterday"}]}}),
                one("status.conditions[0].lastTransitionTime", "date-time", "yesterday"),
            ),
            (
                "poddisruptionbudgets.policy",
                json!({"spec": {"maxUnavailable": "50%", "minAvailable": 1}}),
                vec![],
            ),
        ] {
            assert_eq!(mistakes(res, object.clone()), expected, "{res} {object}");
        }
    }

    #[test]
    fn a_micro_time_has_six_decimals_and_is_stored_in_utc() {
        let stored = |time: Value| {
            let (lease, report) =
                conformed("leases.coordination.k8s.io", json!({"spec": {"renewTime": time}}));
            report.mistakes.is_empty().then(|| lease["spec"]["renewTime"].clone())
        };
        for (given, expected) in [
            (json!("2026-01-01T00:00:05.123456Z"), Some(json!("2026-01-01T00:00:05.123456Z"))),
            (json!("2026-01-01T02:00:05.123456+02:00"), Some(json!("2026-01-01T00:00:05.123456Z"))),
            (Value::Null, Some(Value::Null)),
            (json!("2026-01-01T00:00:05Z"), None),
            (json!("2026-01-01T00:00:05.123Z"), None),
            (json!("2026-01-01T00:00:05.123456789Z"), None),
            (json!("soon"), None),
            (json!(""), None),
            (json!(5), None),
        ] {
            assert_eq!(stored(given.clone()), expected, "{given}");
        }
    }
}
