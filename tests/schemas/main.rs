//! `docs/schemas/` describes what the built binary prints: all of it, and nothing that it does not have.
#![cfg(unix)]

mod samples;
#[path = "../served/mod.rs"]
mod served;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::thread;

use jsonschema::{Registry, Validator};
use kubectl_dbupdate::event::{
    EVENT_SCHEMA, Event, Finish, Outcome as Came, Record, Step, StepOutcome, WaitingOn, WorkloadResult,
};
use kubectl_dbupdate::journal::Direction;
use kubectl_dbupdate::model::{
    AUTH_SCHEMA, Action, Auth, Check, Completion, Feature, FinishPlan, FinishStep, HEALTH_SCHEMA, Health,
    HealthReport, ImageChange, KeptWhy, Kind, Lacking, Level, Member, ObjectRef, Permission, Plan, PodAction,
    Purpose, Remark, Reversal, Rule, Rules, Severity, Strategy, Tool, Trial, Verdict, Weight, Work,
    WorkProgress, WorkloadKind,
};
use kubectl_dbupdate::situation::{ImageOf, PausedBy, State};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use served::{Running, Sandbox};

const FILES: [&str; 11] =
    ["auth", "event", "health", "history", "hops", "list", "plan", "result", "run", "status", "versions"];

fn schema(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/schemas/{file}.schema.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// As they are published: what they do not know is passed over.
static OPEN: LazyLock<BTreeMap<&str, Validator>> = LazyLock::new(|| validators(|_| {}));

/// With every object closed: a property that they do not describe is an error.
static CLOSED: LazyLock<BTreeMap<&str, Validator>> = LazyLock::new(|| validators(close));

fn validators(change: fn(&mut Value)) -> BTreeMap<&'static str, Validator> {
    let mut registry = Registry::new();
    for file in FILES {
        let mut schema = schema(file);
        assert!(jsonschema::meta::is_valid(&schema), "{file}: {:?}", jsonschema::meta::validate(&schema));
        assert_eq!(schema["$id"], format!("{file}.schema.json"));
        change(&mut schema);
        registry = registry.add(format!("json-schema:///{file}.schema.json"), schema).expect("a schema");
    }
    let registry = registry.prepare().expect("every reference leads somewhere");
    let options = jsonschema::options().with_registry(&registry).should_validate_formats(true);
    let validator = |file| {
        let all = json!({ "$ref": format!("json-schema:///{file}.schema.json") });
        (file, options.build(&all).unwrap_or_else(|error| panic!("{file}: {error}")))
    };
    FILES.into_iter().map(validator).collect()
}

/// Parts that are mixed into an object are not objects by themselves in these files: they have no `type`.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(close);
            if map.get("type").is_some_and(|of| of == "object") {
                map.insert("unevaluatedProperties".to_owned(), json!(false));
            }
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        _ => {}
    }
}

/// Where the objects of a document are.
fn objects(document: &Value, at: &str, found: &mut Vec<String>) {
    match document {
        Value::Object(map) => {
            found.push(at.to_owned());
            map.iter().for_each(|(key, value)| objects(value, &format!("{at}/{key}"), found));
        }
        Value::Array(all) => {
            all.iter().enumerate().for_each(|(n, value)| objects(value, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

/// The schema describes the document and everything in it, and would bear what a later version adds.
#[track_caller]
fn fits(file: &str, document: &Value) {
    let (open, closed) = (&OPEN[file], &CLOSED[file]);
    for validator in [open, closed] {
        let errors: Vec<String> =
            validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{file}: {errors:#?}\n{document:#}");
    }
    let mut places = Vec::new();
    objects(document, "", &mut places);
    for place in places {
        let mut later = document.clone();
        later.pointer_mut(&place).expect("it was found there")["later"] = json!("x");
        assert!(open.is_valid(&later), "{file}: a new field of {place:?} is refused");
        assert!(!closed.is_valid(&later), "{file}: whatever stands in {place:?} is taken: {document:#}");
    }
}

/// Every line is an event; gives their names.
#[track_caller]
fn events(stdout: &str) -> BTreeSet<String> {
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        fits("event", &event);
        event["event"].as_str().expect("it has a name").to_owned()
    };
    stdout.lines().map(event).collect()
}

/// These wait for pods most of the time, and do it together.
#[test]
fn what_is_printed_is_described() {
    thread::scope(|scope| {
        scope.spawn(plans_and_lists);
        scope.spawn(a_whole_run_and_what_is_told_of_it);
        scope.spawn(a_run_that_fails_and_what_it_leaves);
    });
}

fn plans_and_lists() {
    let sandbox = Sandbox::start();
    let print = |file: &str, code: i32, line: &str| {
        let printed = sandbox.run(&format!("{line} -o json")).ended(code, "").object();
        fits(file, &printed);
        printed
    };
    print("plan", 0, "kf my-kf --to 3.6.1 --dry-run");
    print("plan", 0, "cas my-cas --to 5.0.7 --dry-run");
    print("plan", 0, "hz my-hz --to 5.5.6 --dry-run");
    print("plan", 0, "zk my-zk --to 3.8.3 --dry-run");
    let first = print("plan", 0, "kf my-kf --to 3.6.1 --pre-pull --dry-run");
    assert_eq!(first["prePull"]["pulls"].as_array().map(Vec::len), Some(3));
    assert_eq!(print("plan", 3, "dr my-dr --to 36.0.0 --dry-run")["path"].as_array().map(Vec::len), Some(5));
    print("plan", 0, "kf my-kf --to 4.0.0 --via provisioner --dry-run");
    let hops = print("hops", 0, "dr my-dr --to 35.0.1 --through --dry-run=server");
    assert_eq!((&hops["from"]["name"], &hops["to"]["name"]), (&json!("28.0.1"), &json!("35.0.1")));
    assert_eq!(hops["hops"].as_array().map(Vec::len), Some(3));
    assert!(hops["hops"][0]["trials"].is_array() && hops["hops"][1]["trials"].is_null());
    print("plan", 0, "dr my-dr --to 30.0.1 --through --dry-run");
    // One that is not refused is printed as the manifest alone.
    let asked = print("plan", 3, "dr my-dr --to 36.0.0 --via ops-manager --dry-run");
    assert_eq!(asked["opsRequest"]["spec"]["updateVersion"]["targetVersion"], "36.0.0");
    let mut plan = print("plan", 0, "zk my-zk --to 3.9.1 --dry-run=server");
    assert!(plan["trials"].as_array().is_some_and(|trials| !trials.is_empty()), "{plan:#}");
    let trial = Trial {
        write: Purpose::Evict,
        object: "pod/my-zk-0".to_owned(),
        refused: Some("no".to_owned()),
        warnings: vec!["careful".to_owned()],
    };
    let named = Permission::new("patch", "kubedb.com", "zookeepers/status").named("my-zk");
    plan["trials"] = json!([trial]);
    plan["missing"] = json!([named, Permission::new("create", "", "pods/eviction")]);
    fits("plan", &plan);
    print("plan", 0, "finish zk my-zk --dry-run");
    print("hops", 0, "zk my-zk --to 3.9.1 --finish --dry-run");
    print("result", 3, "dr my-dr --to 25.0.0 --yes");
    print("list", 0, "list");
    print("status", 0, "status");
    print("history", 0, "history zk my-zk");
    print("versions", 0, "versions kafka");
    assert_eq!(print("auth", 0, "auth kafka my-kf")["allowed"], true);
    for database in ["kafka my-kf", "druid my-dr", "cas my-cas", "hz my-hz", "zk my-zk"] {
        assert_eq!(print("health", 0, &format!("health {database}"))["fit"], true);
    }
    let reach: BTreeSet<String> = ["kf my-kf", "dr my-dr"]
        .map(|name| print("versions", 0, &format!("versions {name}")))
        .iter()
        .flat_map(|versions| versions["items"].as_array().expect("a list").clone())
        .map(|item| item["reach"].as_str().expect("for a database").to_owned())
        .collect();
    assert_eq!(reach, words(&schema("versions")["$defs"]["choice"]["properties"]["reach"]["enum"]));
}

fn a_whole_run_and_what_is_told_of_it() {
    let sandbox = Sandbox::start();
    thread::scope(|scope| {
        scope.spawn(|| {
            let run = sandbox.run("hz my-hz --to 5.5.6 --yes -o json --progress none");
            fits("result", &run.ended(0, "").object());
        });
        let running = Running::start(sandbox.dbupdate("zk my-zk --to 3.9.1 --yes --progress json"));
        running.line("\"event\":\"podEvicted\"");
        let mut status = sandbox.run("status zk my-zk -o json").ended(0, "").object();
        assert!(
            status["lock"].is_object() && status["run"].is_object() && status["paused"].is_object(),
            "{status:#}"
        );
        fits("status", &status);
        status["notChecked"] = json!(["ops requests: forbidden"]);
        status["leftPods"] = json!(["dbupdate-pull-1"]);
        fits("status", &status);
        let names = events(&running.end().ended(0, "").stdout);
        for name in ["started", "podReady", "versionSet", "resumed", "finished"] {
            assert!(names.contains(name), "{name} is not in {names:?}");
        }
    });
    let history = sandbox.run("history zk my-zk -o json").ended(0, "").object();
    fits("history", &history);
    fits("history", &sandbox.run("history -A -o json").ended(0, "").object());
    let id = history["items"][0]["run"].as_str().expect("an id");
    let mut run = sandbox.run(&format!("history zk/my-zk {} -o json", &id[..4])).ended(0, "").object();
    fits("run", &run);
    run["resumed"] = json!([{ "who": "ann", "time": "2026-01-02T03:04:05Z", "via": "client" }]);
    run["overridden"] = json!([{ "check": "phase", "severity": "overridden", "message": "Critical" }]);
    fits("run", &run);
}

fn a_run_that_fails_and_what_it_leaves() {
    // A pod that cannot start is given its grace of 30 s on top of the time-out; a budget fails the run at once.
    let sandbox = Sandbox::failing("budget");
    let failed = sandbox.run("zk my-zk --to 3.9.1 --yes --progress json --pod-timeout 2s");
    events(&failed.ended(4, "").stdout);
    let status = sandbox.run("status zk my-zk -o json").ended(0, "").object();
    assert_eq!(status["run"]["outcome"], "failed");
    fits("status", &status);
    let mut list = sandbox.run("list zk -o json").ended(0, "").object();
    assert_eq!(list["items"][0]["pausedBy"], "dbupdate");
    list["items"][0]["toFinish"] = json!(["words"]);
    fits("list", &list);
    let request = json!({
        "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "ZooKeeperOpsRequest",
        "metadata": {"name": "restart", "namespace": "default"},
        "spec": {"type": "Restart", "databaseRef": {"name": "my-zk"}},
    });
    let path = "/apis/ops.kubedb.com/v1alpha1/namespaces/default/zookeeperopsrequests";
    sandbox.request("POST", path, "json", &request);
    let status = sandbox.run("status -o json").ended(0, "").object();
    assert!(status.to_string().contains("\"opsRequests\":["), "{status:#}");
    fits("status", &status);
}

fn tags(all: &[Value], at: &str) -> BTreeSet<String> {
    all.iter().map(|value| value.pointer(at).and_then(Value::as_str).expect("a name").to_owned()).collect()
}

fn words(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    list.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
}

/// The names that a type is read from. Serde lists them where it is given another.
fn variants<T: DeserializeOwned + Debug>(other: Value) -> BTreeSet<String> {
    let error = serde_json::from_value::<T>(other).expect_err("no variant has that name").to_string();
    let (_, expected) = error.split_once("expected ").unwrap_or_else(|| panic!("{error}"));
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_value_of_a_finite_set_is_listed() {
    fn same<T: DeserializeOwned + Debug>(file: &str, at: &str) {
        let schema = schema(file);
        let listed = schema.pointer(at).unwrap_or_else(|| panic!("{file} has no {at}"));
        assert_eq!(words(listed), variants::<T>(json!("")), "{file} {at}");
    }
    same::<Kind>("plan", "/$defs/kind/enum");
    same::<Action>("plan", "/properties/action/enum");
    same::<WorkloadKind>("plan", "/$defs/workloadPlan/properties/kind/enum");
    same::<Strategy>("plan", "/$defs/workloadPlan/properties/strategy/enum");
    same::<KeptWhy>("plan", "/$defs/keptContainer/properties/why/enum");
    same::<PodAction>("plan", "/$defs/podPlan/properties/action/enum");
    same::<Severity>("plan", "/$defs/finding/properties/severity/enum");
    same::<Check>("plan", "/$defs/check/enum");
    same::<Purpose>("plan", "/$defs/trial/properties/write/enum");
    same::<Tool>("plan", "/$defs/work/oneOf/1/properties/tool/enum");
    same::<Came>("result", "/$defs/outcome/enum");
    same::<Step>("event", "/$defs/step/enum");
    same::<StepOutcome>("event", "/$defs/stepOutcome/enum");
    same::<State>("status", "/$defs/status/properties/state/enum");
    same::<ImageOf>("status", "/$defs/imageStatus/properties/of/enum");
    same::<Direction>("status", "/$defs/run/properties/direction/enum");
    same::<PausedBy>("list", "/$defs/database/properties/pausedBy/enum");
}

/// Everything else is `required`: a document without it is refused.
#[test]
fn only_what_is_left_out_where_it_is_empty_may_be_absent() {
    fn optional(schema: &Value, found: &mut BTreeSet<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            let required = schema.get("required").map(words).unwrap_or_default();
            // The tag of a variant is required once, by the object that all of them belong to.
            let free =
                properties.iter().filter(|(name, of)| !required.contains(*name) && of.get("const").is_none());
            found.extend(free.map(|(name, _)| name.clone()));
        }
        match schema {
            Value::Object(map) => map.values().for_each(|part| optional(part, found)),
            Value::Array(all) => all.iter().for_each(|part| optional(part, found)),
            _ => {}
        }
    }
    for (file, expected) in [
        ("auth", &["name", "resourceNames", "unread"][..]),
        ("event", &["since", "why"]),
        ("health", &["features", "finish", "remarks", "unasked"]),
        ("history", &["database"]),
        ("hops", &[]),
        ("list", &["further", "newest", "pausedBy", "toFinish", "via"]),
        (
            "plan",
            &[
                "added",
                "busy",
                "features",
                "finish",
                "health",
                "hint",
                "id",
                "leader",
                "missing",
                "name",
                "obstacles",
                "opsRequest",
                "path",
                "prePull",
                "refused",
                "remarks",
                "removed",
                "rewriting",
                "settled",
                "trials",
                "uid",
                "unasked",
                "undo",
                "version",
                "warnings",
                "why",
            ],
        ),
        ("result", &["left", "longestAwayAtLeast", "notRolledBack", "pod"]),
        ("run", &["ended", "outcome", "overridden", "result", "resumed", "via"]),
        (
            "status",
            &[
                "database",
                "error",
                "kind",
                "leftPods",
                "lock",
                "notChecked",
                "opsRequests",
                "outcome",
                "paused",
                "pod",
                "resumedBy",
                "run",
                "silentSeconds",
                "step",
                "tookMs",
            ],
        ),
        ("versions", &["database", "reach"]),
    ] {
        let mut found = BTreeSet::new();
        optional(&schema(file), &mut found);
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{file}");
    }
}
