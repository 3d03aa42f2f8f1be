//! Reads a journal. Anyone who may write ConfigMaps in the namespace can write it, so nothing in it is used unchecked:
//! texts are made safe for a terminal and limited in length, numbers are clamped, and impossible times are dropped.

use serde_json::{Map, Number, Value};

use super::{Entry, JOURNAL_SCHEMA, Run, key};
use crate::model::clean;

/// The longest text. The longest that this tool writes is the message of a finding.
const LONGEST_TEXT: usize = 2048;

/// The longest name in Kubernetes.
const LONGEST_NAME: usize = 253;

/// More than any count, any time in a real run and any date in milliseconds, and small enough to be added up.
const LARGEST_NUMBER: i64 = 10_000_000_000_000;

/// Having each pod stay Ready for longer than an hour would hold up a run indefinitely.
const LONGEST_READY: i64 = 3600;

/// The years in which a run can have started.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2199;

/// The run under a key, with its progress; `None` if it is not a run of this schema, or belongs under a different key.
pub fn entry(under: &str, run: &str, progress: &str) -> Option<Entry> {
    let read = |text: &str| serde_json::from_str(text).ok().map(|value| scrubbed("", value));
    let run: Run = serde_json::from_value(read(run)?).ok()?;
    if run.schema != JOURNAL_SCHEMA || key(&run) != under {
        return None;
    }
    Some(Entry { run, progress: serde_json::from_value(read(progress)?).ok()? })
}

/// The value of that field and everything in it, made harmless.
fn scrubbed(field: &str, value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(scrubbed_text(field, &text)),
        Value::Number(number) => Value::Number(scrubbed_number(field, number)),
        Value::Array(all) => all.into_iter().map(|one| scrubbed(field, one)).collect(),
        Value::Object(fields) => {
            let one = |(name, value): (String, Value)| {
                let value = scrubbed(&name, value);
                (bounded(&name, LONGEST_NAME), value)
            };
            Value::Object(fields.into_iter().map(one).collect::<Map<_, _>>())
        }
        harmless @ (Value::Null | Value::Bool(_)) => harmless,
    }
}

fn scrubbed_text(field: &str, text: &str) -> String {
    match field {
        "began" | "ended" | "time" if !sane(text) => String::new(),
        // Text for a person may be as long as a sentence, and an image is a name with a host in front and a digest at
        // the end.
        "message" | "hint" | "error" | "state" | "next" | "waitsFor" | "why" | "obstacles" | "settled"
        | "remarks" | "left" | "image" | "now" | "after" => bounded(text, LONGEST_TEXT),
        _ => bounded(text, LONGEST_NAME),
    }
}

fn bounded(text: &str, most: usize) -> String {
    clean(&text.chars().take(most).collect::<String>())
}

fn scrubbed_number(field: &str, number: Number) -> Number {
    let largest = if field == "minReadySeconds" { LONGEST_READY } else { LARGEST_NUMBER };
    match (number.as_i64(), number.as_u64()) {
        (Some(n), _) => n.clamp(0, largest).into(),
        (None, Some(_)) => largest.into(),
        (None, None) => number,
    }
}

/// Whether a run of this tool can have happened at that time.
fn sane(text: &str) -> bool {
    let time = text.parse::<jiff::Timestamp>().ok();
    time.is_some_and(|time| YEARS.contains(&time.to_zoned(jiff::tz::TimeZone::UTC).year()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(change: impl FnOnce(&mut Value)) -> Value {
        let database = json!({
            "apiVersion": "kubedb.com/v1", "kind": "Kafka", "plural": "kafkas", "namespace": "db", "name": "my-kf",
            "uid": "u1",
        });
        let mut run = json!({
            "schema": JOURNAL_SCHEMA, "run": "r1", "direction": "update", "who": "ann@laptop",
            "began": "2026-01-02T03:04:05.678Z",
            "plan": {
                "schema": "dbupdate/v1", "kind": "Kafka", "database": database,
                "from": { "name": "3.5.2", "version": "3.5.2" }, "to": { "name": "3.6.1", "version": "3.6.1" },
                "action": "update",
                "workloads": [{
                    "kind": "PetSet", "object": database, "role": "broker", "strategy": "evict", "replicas": 3,
                    "minReadySeconds": 10, "images": [], "kept": [], "pods": [],
                }],
                "findings": [],
            },
            "before": { "version": "3.5.2", "workloads": {} },
        });
        change(&mut run);
        run
    }

    fn read(run: &Value) -> Option<Entry> {
        entry("20260102T030405678Z-r1", &run.to_string(), r#"{"steps":[]}"#)
    }

    #[test]
    fn what_a_run_has_written_is_read_as_it_was() {
        let entry = read(&run(|_| {})).expect("it is a run");
        assert_eq!(entry.run.who, "ann@laptop");
        let workload = &entry.run.plan.workloads[0];
        assert_eq!((workload.role.as_str(), workload.min_ready_seconds), ("broker", 10));
    }

    #[test]
    fn no_text_steers_a_terminal_or_has_no_end() {
        let entry = read(&run(|run| {
            run["who"] = "\u{1b}]0;title\u{7}eve\u{202e}".into();
            run["plan"]["workloads"][0]["role"] = "\u{1b}[1A\u{1b}[2Kbroker".into();
            run["plan"]["database"]["name"] = "x".repeat(70_000).into();
            run["before"]["workloads"] = json!({ "\u{1b}[2Ju1": [] });
        }));
        let entry = entry.expect("it is a run");
        assert_eq!(entry.run.who, "]0;title eve");
        assert_eq!(entry.run.plan.workloads[0].role, "[1A [2Kbroker");
        assert_eq!(entry.run.plan.database.name.len(), LONGEST_NAME);
        assert_eq!(entry.run.before.workloads.keys().collect::<Vec<_>>(), ["[2Ju1"]);
    }

    #[test]
    fn an_error_is_one_harmless_line() {
        let error = format!("\u{1b}[2Jpod a\nnext: rm -rf {}", "x".repeat(10_000));
        let result = json!({
            "outcome": "failed", "exitCode": 4, "changed": true, "paused": true, "operatorConfirmed": true,
            "error": error, "pod": "a\u{1b}[2J", "state": "", "next": [], "workloads": [], "tookMs": 1,
            "longestAwayMs": 1,
        });
        let progress = json!({ "steps": [], "result": result }).to_string();
        let entry =
            entry("20260102T030405678Z-r1", &run(|_| {}).to_string(), &progress).expect("it is a run");
        let result = entry.progress.result.expect("it has ended");
        assert!(result.error.starts_with("[2Jpod a next: rm") && result.error.len() == LONGEST_TEXT - 1);
        assert_eq!(result.pod.as_deref(), Some("a [2J"));
    }

    #[test]
    fn no_number_overflows_what_is_made_of_it() {
        for (written, taken) in [(i64::MAX, LONGEST_READY), (i64::MIN, 0), (3601, 3600), (30, 30)] {
            let entry = read(&run(|run| run["plan"]["workloads"][0]["minReadySeconds"] = written.into()));
            assert_eq!(entry.expect("it is a run").run.plan.workloads[0].min_ready_seconds, taken);
        }
    }

    #[test]
    fn a_time_that_cannot_be_and_a_run_under_anothers_key_are_not_read() {
        for began in ["9999-12-31T23:59:59.999Z", "-000001-01-01T00:00:00Z", "tomorrow", ""] {
            assert_eq!(read(&run(|run| run["began"] = began.into())), None, "{began:?}");
        }
        let late = run(|run| run["began"] = "9999-12-31T23:59:59.999Z".into()).to_string();
        assert_eq!(entry("99991231T235959999Z-r1", &late, r#"{"steps":[]}"#), None);
        assert_eq!(read(&run(|run| run["run"] = "r2".into())), None);
        assert_eq!(read(&run(|run| run["schema"] = "dbupdate/v2".into())), None);
    }
}
