//! What a dry run prints, word for word, and that it changes nothing.

#[path = "preflight/scene.rs"]
mod scene;

use std::collections::BTreeSet;

use kubectl_dbupdate::engine;
use kubectl_dbupdate::model::{Check, Plan, Trial};
use kubectl_dbupdate::operation;
use kubectl_dbupdate::plan::update::{self, Request};
use kubectl_dbupdate::report::object::{self, Format};
use kubectl_dbupdate::report::{self, View};
use scene::{BUDGETS, PETSETS, Scene};
use serde_json::{Value, json};
use simcluster::world::{Database, Strategy};
use simcluster::{ApiError, Effect, Fault};

const PIPE: View = View { width: None, color: false };

const fn columns(width: u16) -> View {
    View { width: Some(width), color: false }
}

/// The dry run prints what stands in the file under `testdata`.
#[track_caller]
fn prints(plan: &Plan, trials: Option<&[Trial]>, view: View, file: &str, expected: &str) {
    let shown = report::plan(plan, trials, view);
    assert!(shown == expected, "testdata/{file} is not what was printed:\n{shown}");
    let widest = shown.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    assert!(view.width.is_none_or(|width| widest <= usize::from(width)), "{widest} columns");
}

macro_rules! prints {
    ($plan:expr, $trials:expr, $view:expr, $file:literal) => {
        prints($plan, $trials, $view, $file, include_str!(concat!("testdata/", $file)))
    };
}

/// A Kafka with everything that a plan can show: three kinds of containers that stay, and a Deployment.
async fn kafka() -> Plan {
    let database = Database::kafka_topology("my-kf").controllers(2).sidecar("agent", "example.org/agent:1");
    Scene::new(database.cruise_control()).plan("3.6.1").await
}

#[tokio::test]
async fn kafka_with_cruise_control() {
    let plan = kafka().await;
    prints!(&plan, None, PIPE, "kafka-pipe.txt");
    prints!(&plan, None, columns(80), "kafka-80.txt");
}

#[tokio::test]
async fn druid_that_cannot_get_there_in_one_step() {
    let plan = Scene::new(Database::druid("my-dr")).plan("36.0.0").await;
    prints!(&plan, None, columns(80), "druid-refused-80.txt");
}

/// A Druid that was asked how it is.
async fn asked() -> Plan {
    let scene = Scene::new(Database::druid("my-dr").replicas_of("coordinators", 2));
    let mut snapshot = scene.read().await.expect("the database can be read");
    snapshot.health = operation::said(&scene.cluster(), &snapshot).await;
    update::plan(&snapshot, &Request::to("30.0.1")).expect("the target is in the catalog")
}

#[tokio::test]
async fn druid_that_says_how_it_is() {
    let plan = asked().await;
    prints!(&plan, None, columns(80), "druid-asked-80.txt");
    // It knows better than its replicas what a pod that is alone means.
    let of_routers =
        plan.findings.iter().filter(|f| f.check == Check::OneReplica && f.message.contains("-routers"));
    assert_eq!(of_routers.count(), 1);
}

/// One rack is rolled by its controller, and one pod is not well.
#[tokio::test]
async fn cassandra_with_a_refusal_that_is_overridden() {
    let scene = Scene::new(Database::cassandra_racks("my-cas", &[("r0", 2), ("r1", 2)]));
    scene.change(PETSETS, "my-cas-rack-r1", |set| {
        set["spec"]["updateStrategy"] = json!({ "type": "RollingUpdate" });
    });
    scene.unready("my-cas-rack-r0-1");
    let plan = scene.plan_skipping("5.0.7", &[Check::PodNotReady]).await;
    prints!(&plan, None, columns(80), "cassandra-80.txt");
    prints!(&plan, None, PIPE, "cassandra-pipe.txt");
}

#[tokio::test]
async fn hazelcast_with_pinned_images() {
    let plan = Scene::new(Database::hazelcast("my-hz").pinned().min_ready_seconds(90)).plan("5.5.6").await;
    prints!(&plan, None, columns(80), "hazelcast-80.txt");
}

#[tokio::test]
async fn zookeeper_that_is_there_already() {
    let plan = Scene::new(Database::zookeeper("my-zk")).plan("3.8.3").await;
    prints!(&plan, None, columns(80), "zookeeper-80.txt");
}

/// A webhook that refuses, a budget that blocks, a server that warns.
#[tokio::test]
async fn what_the_server_says_to_a_trial() {
    let scene = Scene::new(Database::zookeeper("my-zk"));
    scene.change_status(BUDGETS, "my-zk", |b| b["status"]["disruptionsAllowed"] = json!(0));
    let denied = ApiError::new(
        403,
        "Forbidden",
        "admission webhook \"policy.example.org\" denied the request: frozen",
    );
    let faults = scene.sim.faults();
    faults.add(
        Fault::new(Effect::Answer(denied))
            .method("PATCH")
            .path("/zookeepers/my-zk")
            .when(|r| !r.path.ends_with("status")),
    );
    faults
        .add(Fault::new(Effect::Warn("unknown field \"spec.odd\"".into())).method("PATCH").path("/petsets/"));
    let (plan, trials) = tried(&scene).await;
    prints!(&plan, Some(&trials), columns(80), "trials-80.txt");
    let printed = object::plan(&plan, Some(&trials), Format::Json).expect("it can be printed");
    let value: Value = serde_json::from_str(&printed).expect("it is JSON");
    assert_eq!(
        value["trials"],
        json!([
            { "write": "requestPause", "object": "zookeeper/my-zk" },
            { "write": "patchImages", "object": "petset/my-zk", "warnings": ["unknown field \"spec.odd\""] },
            {
                "write": "setVersion", "object": "zookeeper/my-zk",
                "refused": "patch zookeeper/my-zk: rejected: admission webhook \"policy.example.org\" denied the \
                            request: frozen",
            },
            {
                "write": "evict", "object": "pod/my-zk-0",
                "warnings": [
                    "would have to wait now: The disruption budget my-zk needs 2 healthy pods and has 3 currently"
                ],
            },
        ])
    );
}

async fn tried(scene: &Scene) -> (Plan, Vec<Trial>) {
    let snapshot = scene.read().await.expect("it can be read");
    let plan = scene.plan("3.9.1").await;
    let clock = kubectl_dbupdate::clock::Clock::system();
    let trials = engine::trials(&scene.cluster(), &snapshot, &plan, &clock).await;
    (plan, trials.expect("the server answers"))
}

#[tokio::test]
async fn a_dry_run_reads_only() {
    let scene = Scene::new(Database::kafka_topology("my-kf"));
    let before = scene.store().version();
    scene.plan("3.6.1").await;
    assert_eq!(scene.store().version(), before);
    let methods: BTreeSet<_> = scene.sim.requests().into_iter().map(|r| r.method).collect();
    assert_eq!(methods, BTreeSet::from(["GET".to_owned()]));
}

#[tokio::test]
async fn a_dry_run_on_the_server_sends_every_write_and_changes_nothing() {
    let scene = Scene::new(Database::zookeeper("my-zk"));
    let before = scene.store().version();
    let (_, trials) = tried(&scene).await;
    assert_eq!(trials.iter().filter(|t| t.refused.is_some()).count(), 0);
    assert_eq!(scene.store().version(), before, "nothing was stored");
    let sent: Vec<_> = scene.sim.requests().into_iter().filter(|r| r.is_mutating()).collect();
    let paths: Vec<_> = sent.iter().map(|r| format!("{} {}", r.method, r.path)).collect();
    assert_eq!(
        paths,
        [
            "PATCH /apis/kubedb.com/v1alpha2/namespaces/default/zookeepers/my-zk/status",
            "PATCH /apis/apps.k8s.appscode.com/v1/namespaces/default/petsets/my-zk",
            "PATCH /apis/kubedb.com/v1alpha2/namespaces/default/zookeepers/my-zk",
            "POST /api/v1/namespaces/default/pods/my-zk-0/eviction",
        ]
    );
    assert!(sent.iter().all(|r| r.dry_run), "every one of them with dryRun=All");
    assert!(
        sent.iter().all(|r| r.method == "POST" || r.field_manager.as_deref() == Some("kubectl-dbupdate"))
    );
}

/// Every field of the schema `dbupdate/v1`. What is added here has to be documented, and nothing may go.
const FIELDS: [&str; 68] = [
    "action",
    "database",
    "database.apiVersion",
    "database.kind",
    "database.name",
    "database.namespace",
    "database.plural",
    "database.uid",
    "findings",
    "findings[]",
    "findings[].check",
    "findings[].hint",
    "findings[].message",
    "findings[].severity",
    "from",
    "from.name",
    "from.version",
    "health",
    "health.members",
    "health.members[]",
    "health.members[].back",
    "health.members[].back.answer",
    "health.members[].id",
    "health.members[].leader",
    "health.members[].mayGo",
    "health.members[].mayGo.answer",
    "health.members[].pod",
    "health.members[].role",
    "health.members[].state",
    "health.members[].uid",
    "health.members[].version",
    "health.remarks",
    "health.remarks[]",
    "health.remarks[].check",
    "health.remarks[].message",
    "kind",
    "path",
    "path[]",
    "schema",
    "to",
    "to.name",
    "to.version",
    "via",
    "workloads",
    "workloads[]",
    "workloads[].images",
    "workloads[].images[]",
    "workloads[].images[].after",
    "workloads[].images[].container",
    "workloads[].images[].index",
    "workloads[].images[].init",
    "workloads[].images[].now",
    "workloads[].kept",
    "workloads[].kept[]",
    "workloads[].kept[].container",
    "workloads[].kept[].image",
    "workloads[].kept[].init",
    "workloads[].kept[].why",
    "workloads[].kind",
    "workloads[].minReadySeconds",
    "workloads[].object",
    "workloads[].pods",
    "workloads[].pods[]",
    "workloads[].pods[].action",
    "workloads[].pods[].name",
    "workloads[].pods[].waitsFor",
    "workloads[].replicas",
    "workloads[].role",
];

fn fields(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                found.insert(at.clone());
                fields(value, &at, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                found.insert(format!("{at}[]"));
                fields(item, &format!("{at}[]"), found);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_schema_of_a_plan_is_stable() {
    let mut found = BTreeSet::new();
    let unreachable = Scene::new(Database::druid("my-dr")).plan("36.0.0").await;
    for plan in [kafka().await, unreachable, asked().await] {
        let printed = object::plan(&plan, None, Format::Json).expect("it can be printed");
        let value: Value = serde_json::from_str(&printed).expect("it is JSON");
        fields(&value, "", &mut found);
        assert_eq!(value["schema"], "dbupdate/v1");
    }
    // The object of a workload has the fields of the database's.
    found.retain(|field| !field.starts_with("workloads[].object."));
    let mut expected: BTreeSet<String> = FIELDS.map(str::to_owned).into();
    expected.insert("workloads[].strategy".to_owned());
    assert_eq!(found, expected);
}

/// What is read back is what was printed: no field gets lost, in either form.
#[tokio::test]
async fn both_forms_are_read_back_whole() {
    let scene =
        Scene::new(Database::hazelcast("my-hz").strategy(Strategy::RollingUpdate { partition: 1 }).pinned());
    for plan in [kafka().await, scene.plan("5.5.6").await] {
        let json = object::plan(&plan, None, Format::Json).expect("it can be printed");
        let value: Value = serde_json::from_str(&json).expect("it is JSON");
        let read: Plan = serde_json::from_str(&json).expect("it is a plan");
        assert_eq!(read, plan);
        assert_eq!(
            serde_json::to_value(&read).expect("it can be written"),
            value,
            "nothing but the plan is printed"
        );
        let yaml = object::plan(&plan, None, Format::Yaml).expect("it can be printed");
        assert_eq!(serde_yaml::from_str::<Plan>(&yaml).expect("it is a plan"), plan);
        assert_eq!(
            serde_yaml::from_str::<Value>(&yaml).expect("it is YAML"),
            value,
            "both forms say the same"
        );
    }
}
