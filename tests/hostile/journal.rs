//! The journal: a ConfigMap that anyone may write who may write ConfigMaps in the namespace. Here it is damaged, or one field of
//! its last run is not as we write it.

use serde_json::{Value, json};
use simcluster::SimCluster;

use crate::forged::{Entry, half_done, nothing_of_the_victim, planted};
use crate::row::{Changes, Row, row};
use crate::rule::set;

const ESC: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{200b}\u{ad}";
const UPDATE: &str = "zk my-zk --to 3.9.1 --yes";
const RESUME: &str = "resume zk my-zk --yes";
const ROLLBACK: &str = "rollback zk my-zk --yes";
const STATUS: &str = "status zk my-zk";
const HISTORY: &str = "history zk my-zk -o json";

pub fn rows() -> Vec<Row> {
    let mut rows = damaged();
    rows.extend(fields());
    rows
}

/// A ConfigMap with this content.
fn map(fields: Value) -> impl Fn(&SimCluster, &str) + Send + Sync + 'static {
    move |sim, _| {
        let mut map = fields.clone();
        map["metadata"] = json!({"name": "dbupdate-zookeeper-my-zk", "namespace": "default"});
        sim.store().create("configmaps", map).expect("it is not there yet");
    }
}

/// It is told that the journal cannot be read and may be deleted, and no update is started beside it.
fn damaged() -> Vec<Row> {
    let key = "20260102T030405678Z-0123456789ab";
    let run = |text: &str| json!({"data": {key: text, format!("{key}.progress"): "{\"steps\":[]}"}});
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let contents = [
        ("nonsense", run("nonsense\u{1b}[2J")),
        ("a list", run("[]")),
        ("a null", run("null")),
        ("half of the JSON", run("{\"schema\":\"dbupdate/v1\",")),
        ("an empty text", run("")),
        ("100,000 brackets", run(&deep)),
        ("a newer schema", run("{\"schema\":\"dbupdate/v2\"}")),
        ("a number beyond every number", run("{\"schema\":\"dbupdate/v1\",\"began\":1e999}")),
        ("a text of a megabyte", run(&"x".repeat(1 << 20))),
        ("a run without progress", json!({"data": {key: "{}"}})),
        ("a key that steers the terminal", json!({"data": {ESC: "{}", format!("{ESC}.progress"): "{}"}})),
    ];
    let mut rows = Vec::new();
    for (what, content) in contents {
        rows.push(
            row(format!("a journal of {what}"), UPDATE).given(map(content.clone())).ends(3).says("delete it"),
        );
        rows.push(
            row(format!("a journal of {what} for status"), STATUS)
                .given(map(content.clone()))
                .ends(0)
                .ends(1),
        );
        rows.push(row(format!("a journal of {what} for resume"), RESUME).given(map(content)).ends(0).ends(3));
    }
    let many: Value =
        (0..5000).map(|n| (format!("{n:05}"), json!("{}"))).collect::<serde_json::Map<_, _>>().into();
    for command in [UPDATE, STATUS, HISTORY] {
        rows.push(
            row(format!("a journal of five thousand keys for {command}"), command)
                .given(map(json!({"data": many})))
                .ends(3)
                .ends(0)
                .ends(1),
        );
        rows.push(
            row(format!("a journal of progress alone for {command}"), command)
                .given(map(json!({"data": {"x.progress": "{}"}})))
                .ends(0)
                .changes(Changes::Anything),
        );
    }
    for (what, data) in [("null", json!(null)), ("a list", json!([])), ("of numbers", json!({"x": 42}))] {
        rows.push(
            row(format!("a journal whose data is {what}"), STATUS)
                .on(crate::rule::get(
                    "configmaps",
                    "dbupdate-zookeeper-my-zk",
                    crate::rule::json_of(
                        "200 OK",
                        &json!({
                            "metadata": {"name": "x", "resourceVersion": "1"}, "data": data,
                        }),
                    ),
                ))
                .ends(0)
                .ends(1),
        );
    }
    rows
}

/// Part, pointer, value, commands.
type Field = (Part, &'static str, Value);

/// Which of the two texts of an entry.
#[derive(Clone, Copy)]
enum Part {
    Run,
    Progress,
}

impl Part {
    fn of(self, entry: &mut Entry) -> &mut Value {
        match self {
            Part::Run => &mut entry.run,
            Part::Progress => &mut entry.progress,
        }
    }
}

fn table() -> Vec<Field> {
    let huge = "x".repeat(70_000);
    vec![
        (Part::Run, "/who", json!(ESC)),
        (Part::Run, "/who", json!(huge)),
        (Part::Run, "/run", json!(ESC)),
        (Part::Run, "/direction", json!(ESC)),
        (Part::Run, "/direction", json!("rollback")),
        (Part::Run, "/began", json!("9999-12-31T23:59:59.999Z")),
        (Part::Run, "/began", json!(i64::MAX)),
        (Part::Run, "/through", json!(ESC)),
        (Part::Run, "/through", json!("3.7.2; touch x #")),
        (Part::Run, "/ways", json!({ESC: ESC})),
        (Part::Run, "/plan", json!(null)),
        (Part::Run, "/plan/kind", json!("Kafka")),
        (Part::Run, "/plan/via", json!(ESC)),
        (Part::Run, "/plan/action", json!(ESC)),
        (Part::Run, "/plan/from/name", json!("$(touch x)")),
        (Part::Run, "/plan/to/name", json!(ESC)),
        (Part::Run, "/plan/to/name", json!(huge)),
        (Part::Run, "/plan/to/name", json!("../../x")),
        (Part::Run, "/plan/database/name", json!("../../victim")),
        (Part::Run, "/plan/database/namespace", json!("kube-system")),
        (Part::Run, "/plan/database/uid", json!("other")),
        (Part::Run, "/plan/workloads", json!(null)),
        (Part::Run, "/plan/workloads", json!([])),
        (Part::Run, "/plan/workloads/0/role", json!(ESC)),
        (Part::Run, "/plan/workloads/0/minReadySeconds", json!(i64::MAX)),
        (Part::Run, "/plan/workloads/0/replicas", json!(u64::MAX)),
        (Part::Run, "/plan/workloads/0/replicas", json!(-1)),
        (Part::Run, "/plan/workloads/0/object/uid", json!("other")),
        (Part::Run, "/plan/workloads/0/object/name", json!(ESC)),
        (Part::Run, "/plan/workloads/0/images", json!(null)),
        (Part::Run, "/plan/workloads/0/images/0/after", json!("evil.example/zookeeper:3.9.1")),
        (Part::Run, "/plan/workloads/0/images/0/index", json!(u64::MAX)),
        (Part::Run, "/plan/findings", json!([{"check": ESC, "severity": "overridden", "message": ESC}])),
        (
            Part::Run,
            "/plan/findings",
            json!([{"check": "downgrade", "severity": "overridden", "message": ""}]),
        ),
        (Part::Run, "/before", json!(null)),
        (Part::Run, "/before/version", json!(ESC)),
        (Part::Run, "/before/version", json!("0.0.1")),
        (Part::Run, "/before/workloads", json!({ESC: []})),
        (Part::Run, "/before/workloads", json!([])),
        (Part::Progress, "/steps", json!([{"step": ESC, "began": ESC}])),
        (Part::Progress, "/steps", json!([{"step": "rollPods", "began": "9999-12-31T23:59:59.999Z"}])),
        (Part::Progress, "/pods", json!({ESC: u64::MAX})),
        (Part::Progress, "/resumed", json!([{"who": ESC, "time": ESC}])),
        (Part::Progress, "/changed", json!("yes")),
        (Part::Progress, "/result", json!({"outcome": "done"})),
        (Part::Progress, "/result", json!(ESC)),
    ]
}

/// Each field for one command that acts, beside an update that is half done, and for one that shows.
fn fields() -> Vec<Row> {
    let mut rows = Vec::new();
    for (at, (part, pointer, value)) in table().into_iter().enumerate() {
        let shown: String = value.to_string().chars().take(60).collect();
        let of = if matches!(part, Part::Run) { "run" } else { "progress" };
        let with = |command: &str| {
            let value = value.clone();
            row(format!("a journal whose {of} has {pointer} = {shown} for {command}"), command)
                .given(planted(move |entry| set(part.of(entry), pointer, value.clone())))
                .given(half_done)
                .ends(0)
        };
        let (acts, shows) = if at % 2 == 0 { (RESUME, STATUS) } else { (ROLLBACK, HISTORY) };
        rows.push(with(acts).ends(3).changes(Changes::Anything).check(nothing_of_the_victim));
        rows.push(with(shows));
    }
    rows
}
