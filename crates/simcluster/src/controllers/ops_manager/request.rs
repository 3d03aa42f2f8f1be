//! What a request asks for, and what its status says.

use std::time::Duration;

use serde_json::{Value, json};

use crate::controllers::Context;
use crate::controllers::agenda::Place;
use crate::kubedb::kind::Kind;
use crate::object;
use crate::read::{set_condition, text};

/// What an ops request of type `UpdateVersion` asks for.
#[derive(Debug)]
pub(super) struct Request {
    pub name: String,
    pub database: String,
    pub target: String,
    /// How long a step may take.
    pub timeout: Option<Duration>,
    /// Whether to wait until the database is Ready.
    pub if_ready: bool,
}

impl Request {
    pub fn of(request: &Value) -> Self {
        let text = |pointer| text(request, pointer).to_owned();
        Self {
            name: object::name(request).to_owned(),
            database: text("/spec/databaseRef/name"),
            target: text("/spec/updateVersion/targetVersion"),
            timeout: go_duration(&text("/spec/timeout")),
            if_ready: text("/spec/apply") != "Always",
        }
    }
}

/// One condition of a request.
pub(super) struct Word<'a> {
    pub kind: &'a str,
    pub holds: bool,
    /// Empty for the steps of a pod, which have none.
    pub reason: &'a str,
    pub message: String,
}

/// Writes into a request's status: a phase, conditions, or both.
pub(super) fn write(context: &Context, place: &Place, phase: Option<&str>, words: &[Word]) {
    let now = context.now();
    // The request may be gone.
    let _ = context.store.update_status(&place.res, &place.namespace, &place.name, |request| {
        let generation = request["metadata"]["generation"].clone();
        let status = object::map_mut(request).entry("status").or_insert(Value::Null);
        for word in words {
            let mut condition = json!({
                "type": word.kind, "status": if word.holds { "True" } else { "False" },
                "message": word.message, "observedGeneration": generation,
            });
            if !word.reason.is_empty() {
                condition["reason"] = json!(word.reason);
            }
            set_condition(status, condition, &now);
        }
        let status = object::map_mut(status);
        status.insert("observedGeneration".into(), generation);
        if let Some(phase) = phase {
            status.insert("phase".into(), json!(phase));
        }
    });
}

/// How the wait for a pod is called: the guides for these two kinds have a condition of each pod, those for the others
/// a single one that stays `False` to the end.
pub(super) fn running(kind: Kind, pod: &str) -> (String, &'static str) {
    match kind {
        Kind::Kafka | Kind::Druid => (format!("CheckPodRunning--{pod}"), "check pod running"),
        Kind::Cassandra | Kind::Hazelcast | Kind::ZooKeeper => (format!("RunningPod--{pod}"), "running pod"),
    }
}

/// A duration as Go writes it: `5m`, `1h30m`, `1.5s`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let unit = rest.find(|c: char| c != '.' && !c.is_ascii_digit())?;
        let number: f64 = rest[..unit].parse().ok()?;
        let end =
            rest[unit..].find(|c: char| c == '.' || c.is_ascii_digit()).map_or(rest.len(), |at| unit + at);
        let seconds = match &rest[unit..end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &rest[end..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases = [
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("5m0s", Some(300_000)),
            ("1.5s", Some(1_500)),
            ("250ms", Some(250)),
            ("", None),
            ("5", None),
            ("m", None),
            ("5 m", None),
            ("5d", None),
        ];
        for (text, millis) in cases {
            assert_eq!(go_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }
}
