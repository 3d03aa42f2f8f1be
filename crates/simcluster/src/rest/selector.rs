//! Label and field selectors.

use serde_json::{Map, Value};

use super::validate::{is_label_value, is_qualified_name};
use crate::error::ApiError;
use crate::resources::Resource;

/// Which objects of a resource are meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<FieldTerm>,
}

#[derive(Clone, Debug, PartialEq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Above(i64),
    Below(i64),
}

#[derive(Clone, Debug)]
struct FieldTerm {
    path: Vec<String>,
    value: String,
    equal: bool,
}

impl Selector {
    /// Reads the `labelSelector` and `fieldSelector` of a query.
    pub fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, ApiError> {
        Ok(Self { labels: parse_labels(labels)?, fields: parse_fields(resource, fields)? })
    }

    /// The selector of an object's spec (`matchLabels` and `matchExpressions`): an empty one selects everything, and
    /// `None`, for a selector that is absent or cannot be read, selects nothing.
    pub fn of_spec(spec: &Value) -> Option<Self> {
        if !spec.is_object() {
            return None;
        }
        let mut labels: Vec<Requirement> = Vec::new();
        for (key, value) in spec["matchLabels"].as_object().into_iter().flatten() {
            let value = value.as_str()?.to_owned();
            labels.push(Requirement { key: key.clone(), test: Test::In(vec![value]) });
        }
        for expression in spec["matchExpressions"].as_array().into_iter().flatten() {
            let values = expression["values"].as_array().into_iter().flatten();
            let values = values.filter_map(Value::as_str).map(str::to_owned).collect();
            let test = match expression["operator"].as_str()? {
                "In" => Test::In(values),
                "NotIn" => Test::NotIn(values),
                "Exists" => Test::Exists,
                "DoesNotExist" => Test::Absent,
                _ => return None,
            };
            labels.push(Requirement { key: expression["key"].as_str()?.to_owned(), test });
        }
        Some(Self { labels, fields: Vec::new() })
    }

    /// Whether the object is meant.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = object["metadata"]["labels"].as_object();
        self.labels.iter().all(|requirement| requirement.holds(labels))
            && self.fields.iter().all(|term| term.holds(object))
    }
}

impl Requirement {
    fn holds(&self, labels: Option<&Map<String, Value>>) -> bool {
        let value = labels.and_then(|labels| labels.get(&self.key)).and_then(Value::as_str);
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.test {
            Test::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
            Test::NotIn(values) => !value.is_some_and(|value| values.iter().any(|v| v == value)),
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
            Test::Above(bound) => number().is_some_and(|number| number > *bound),
            Test::Below(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

impl FieldTerm {
    fn holds(&self, object: &Value) -> bool {
        let value = self.path.iter().fold(object, |value, key| &value[key.as_str()]);
        let equal = match value {
            Value::String(text) => *text == self.value,
            Value::Null => self.value.is_empty() || self.value == "false",
            other => {
                let text = other.to_string();
                text == self.value
            }
        };
        equal == self.equal
    }
}

/// Splits at commas that are not inside parentheses.
fn split_terms(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut terms) = (0i32, 0, Vec::new());
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn parse_labels(text: &str) -> Result<Vec<Requirement>, ApiError> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    split_terms(text)
        .into_iter()
        .map(|term| {
            parse_requirement(term.trim()).ok_or_else(|| {
                ApiError::bad_request(format!("unable to parse requirement: invalid selector: {text}"))
            })
        })
        .collect()
}

fn parse_requirement(term: &str) -> Option<Requirement> {
    let made = |key: &str, test| {
        let key = key.trim();
        is_qualified_name(key).then(|| Requirement { key: key.to_owned(), test })
    };
    let single = |value: &str| values_of(value).filter(|values| values.len() == 1);
    if let Some(key) = term.strip_prefix('!') {
        return made(key, Test::Absent);
    }
    if let Some((key, value)) = term.split_once("!=") {
        return made(key, Test::NotIn(single(value)?));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return made(key, Test::In(single(value)?));
    }
    if let Some((key, bound)) = term.split_once('>') {
        return made(key, Test::Above(bound.trim().parse().ok()?));
    }
    if let Some((key, bound)) = term.split_once('<') {
        return made(key, Test::Below(bound.trim().parse().ok()?));
    }
    let Some((head, set)) = term.split_once('(') else { return made(term, Test::Exists) };
    let values = values_of(set.trim_end().strip_suffix(')')?)?;
    let (key, operator) = head.trim().split_once(char::is_whitespace)?;
    match operator.trim() {
        "in" => made(key, Test::In(values)),
        "notin" => made(key, Test::NotIn(values)),
        _ => None,
    }
}

/// Values between commas, each of which a label could have.
fn values_of(text: &str) -> Option<Vec<String>> {
    text.split(',').map(str::trim).map(|value| is_label_value(value).then(|| value.to_owned())).collect()
}

fn parse_fields(resource: &Resource, text: &str) -> Result<Vec<FieldTerm>, ApiError> {
    let mut terms = Vec::new();
    for term in text.split(',').map(str::trim).filter(|term| !term.is_empty()) {
        let split = term
            .split_once("!=")
            .map(|(key, value)| (key, value, false))
            .or_else(|| term.split_once("==").map(|(key, value)| (key, value, true)))
            .or_else(|| term.split_once('=').map(|(key, value)| (key, value, true)));
        let Some((key, value, equal)) = split else {
            let message = format!("invalid field selector: \"{term}\"; can't understand \"{term}\"");
            return Err(ApiError::bad_request(message));
        };
        if !is_selectable(resource, key) {
            return Err(ApiError::bad_request(format!("field label not supported: {key}")));
        }
        // An event is selected by the component that it comes from.
        let field = if key == SOURCE { "source.component" } else { key };
        let path = field.split('.').map(str::to_owned).collect();
        terms.push(FieldTerm { path, value: value.to_owned(), equal });
    }
    Ok(terms)
}

const SOURCE: &str = "source";

/// Each kind can be selected by few fields; custom resources by name and namespace alone.
fn is_selectable(resource: &Resource, field: &str) -> bool {
    let own: &[&str] = match resource.name {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            SOURCE,
            "type",
        ],
        "secrets" => &["type"],
        "namespaces" => &["status.phase"],
        "nodes" => &["spec.unschedulable"],
        "services" => &["spec.clusterIP", "spec.type"],
        _ => &[],
    };
    let name = field == "metadata.name" || (field == "metadata.namespace" && resource.namespaced);
    name || own.contains(&field)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Selector;
    use crate::resources;

    #[test]
    fn selectors_mean_what_a_server_means() {
        let pod = json!({
            "metadata": {"name": "a", "labels": {"app": "kafka", "n": "3"}},
            "spec": {"nodeName": "node-1"}, "status": {"phase": "Running"},
        });
        let pods = resources::find("pods").expect("a resource");
        let cases = [
            ("app=kafka", "", true),
            ("app==kafka,n!=4", "", true),
            ("app!=kafka", "", false),
            ("missing!=x", "", true),
            ("app in (druid, kafka)", "", true),
            ("app notin (druid,kafka)", "", false),
            ("app,!missing", "", true),
            ("!app", "", false),
            ("n>2,n<4", "", true),
            ("", "metadata.name=a,spec.nodeName!=node-2", true),
            ("", "status.phase=Pending", false),
        ];
        for (labels, fields, expected) in cases {
            let selector = Selector::parse(pods, labels, fields).expect("a selector");
            assert_eq!(selector.matches(&pod), expected, "{labels} {fields}");
        }
        for labels in
            ["app in kafka", "a=b=c", "-bad=x", "a=b c", "a=!", "a/b/c=d", &format!("a={}", "x".repeat(64))]
        {
            assert!(Selector::parse(pods, labels, "").is_err(), "{labels}");
        }
        assert!(Selector::parse(pods, "", "spec.replicas=1").is_err());
    }
}
