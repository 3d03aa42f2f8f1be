//! Clusters and objects that are not as usual.

use kubectl_dbupdate::cluster::ClusterError;
use kubectl_dbupdate::model::{Check, Plan, Severity};
use kubectl_dbupdate::report::object::{self, Format};
use kubectl_dbupdate::report::{self, View};
use serde_json::{Value, json};
use simcluster::world::Database;
use simcluster::{ApiError, Effect, Fault, WorkloadApi};

use crate::scene::{PETSETS, Scene, of, said};

#[tokio::test]
async fn a_cluster_without_petsets() {
    let scene = Scene::new(Database::zookeeper("zk").workload_api(WorkloadApi::StatefulSet));
    scene.sim.apis().remove(PETSETS);
    let plan = scene.warns("3.9.1", &[]).await;
    assert_eq!(plan.workloads[0].object.to_string(), "statefulset/zk");
}

#[tokio::test]
async fn a_cluster_without_statefulsets() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.sim.apis().remove("statefulsets.apps");
    let plan = scene.warns("3.9.1", &[]).await;
    assert_eq!(plan.workloads[0].object.to_string(), "petset/zk");
}

#[tokio::test]
async fn workloads_that_cannot_be_read_are_an_error() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.sim.access().deny("list", "apps.k8s.appscode.com", "petsets", "");
    let error = scene.read().await.expect_err("it is forbidden");
    assert!(matches!(&error, ClusterError::Forbidden { .. }), "{error:?}");
    let begin = "list petsets: forbidden: petsets.apps.k8s.appscode.com is forbidden";
    assert!(error.to_string().starts_with(begin), "{error}");
}

#[tokio::test]
async fn a_kind_that_the_cluster_does_not_serve() {
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.sim.apis().remove("zookeepers.kubedb.com");
    assert!(matches!(scene.read().await, Err(ClusterError::ApiAbsent { .. })));
    scene.sim.access().deny("*", "kubedb.com", "zookeepers", "*");
    let read = scene.read().await;
    assert!(matches!(read, Err(ClusterError::ApiAbsent { .. })), "no permission would help");
}

#[tokio::test]
async fn a_kind_that_may_not_be_read() {
    for versions in [&[][..], &["v1"], &["v1alpha2"]] {
        let scene = Scene::new(Database::kafka_combined("kf"));
        for version in versions {
            scene.sim.apis().remove_version("kafkas.kubedb.com", version);
        }
        scene.sim.access().deny("get", "kubedb.com", "kafkas", "");
        let error = scene.read().await.expect_err("it may not be read");
        assert!(matches!(error, ClusterError::Forbidden { .. }), "{error}");
        assert!(error.to_string().starts_with("get kafka/kf: forbidden: "), "{error}");
    }
}

/// An older cluster: a Kafka is read and written in the one version that there is.
#[tokio::test]
async fn kafka_is_served_as_v1alpha2_only() {
    let scene = Scene::new(Database::kafka_topology("kf"));
    assert_eq!(scene.plan("3.6.1").await.database.api_version, "kubedb.com/v1", "the newer one is preferred");
    scene.sim.apis().remove_version("kafkas.kubedb.com", "v1");
    let plan = scene.plan("3.6.1").await;
    assert_eq!(said(&plan, Severity::Refusal), []);
    assert_eq!(plan.database.api_version, "kubedb.com/v1alpha2");
}

/// A label's value has at most 63 characters, and so has a workload's name.
#[tokio::test]
async fn names_at_the_limit() {
    let longest = "z".repeat(63);
    let scene = Scene::new(Database::zookeeper(&longest));
    let plan = scene.warns("3.9.1", &[]).await;
    assert_eq!(plan.pods().count(), 3);
    assert_eq!(plan.pods().next().map(|p| p.name.as_str()), Some(format!("{longest}-0").as_str()));
    // `-controller` fills it up to 63 characters.
    let name = "k".repeat(52);
    let scene = Scene::new(Database::kafka_topology(&name));
    let plan = scene.plan("3.6.1").await;
    let order: Vec<_> = plan.workloads.iter().map(|w| w.object.name.as_str()).collect();
    assert_eq!(order, [format!("{name}-controller"), format!("{name}-broker")]);
    let narrow = report::plan(&plan, None, View { width: Some(40), color: false });
    assert!(narrow.contains(&format!("{name}-controller-2")), "a name is never cut: {narrow}");
}

/// What steers a terminal: an escape sequence, a carriage return, a C1 control, a bidirectional override.
const STEERS: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\u{9b}31m\u{202e}end";

fn is_clean(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c))
}

/// Everything in which a plan is shown.
fn shown(plan: &Plan) -> String {
    let mut text = report::plan(plan, None, View { width: Some(80), color: false });
    text += &report::plan(plan, None, View { width: None, color: false });
    for format in [Format::Json, Format::Yaml] {
        text += &object::plan(plan, None, format).expect("it can be printed");
    }
    text
}

#[tokio::test]
async fn what_the_cluster_says_never_steers_a_terminal() {
    let image = |set: &mut Value| {
        set["spec"]["template"]["spec"]["containers"][0]["image"] = json!(format!("a{STEERS}"));
        set["metadata"]["labels"]["kubedb.com/role"] = json!(format!("r{STEERS}"));
    };
    let scene =
        Scene::new(Database::zookeeper("zk").adjust_workload(image).sidecar(&format!("s{STEERS}"), STEERS));
    scene.condition("Paused", "True", &format!("by {STEERS}"));
    scene.change_database_status(|db| db["status"]["phase"] = json!(format!("P{STEERS}")));
    let request = json!({
        "metadata": { "name": "up" },
        "spec": { "type": format!("Up{STEERS}"), "databaseRef": { "name": "zk" } },
        "status": { "phase": format!("Going{STEERS}") },
    });
    scene.store().create("zookeeperopsrequests.ops.kubedb.com", request).expect("it is new");
    scene.change_version("3.8.3", |v| {
        v["spec"]["updateConstraints"] = json!({ "denylist": [format!("x{STEERS}")] })
    });
    scene.change_version("3.9.1", |v| v["spec"]["db"]["image"] = json!(format!("zk{STEERS}")));
    let plan = scene.plan("3.9.1").await;
    for check in [
        Check::PausedByOther,
        Check::Phase,
        Check::OpsRequest,
        Check::VersionRule,
        Check::Drift,
        Check::Sidecar,
    ] {
        let [finding] = of(&plan, check)[..] else { panic!("{check}: {:?}", plan.findings) };
        assert!(
            is_clean(&finding.message) && finding.message.contains("31m"),
            "{check}: {:?}",
            finding.message
        );
    }
    let shown = shown(&plan);
    assert!(is_clean(&shown), "{shown:?}");
    // Escaped in JSON, they would come back to life in the program that reads it.
    assert!(!shown.contains("\\u00") && !shown.contains("\\x1b") && !shown.contains("\\e"), "{shown}");
}

#[tokio::test]
async fn what_an_error_says_never_steers_a_terminal() {
    let scene = Scene::new(Database::zookeeper("zk"));
    let refusal = ApiError::new(403, "Forbidden", format!("no {STEERS}"));
    scene.sim.faults().add(Fault::new(Effect::Answer(refusal)).path("/poddisruptionbudgets"));
    let error = scene.read().await.expect_err("it is forbidden").to_string();
    assert!(is_clean(&error) && error.contains("31m"), "{error:?}");
}

/// A catalog that speaks of nothing, lists of the wrong type: nothing is made up, and nothing panics.
#[tokio::test]
async fn objects_with_nonsense_in_them() {
    for spoil in [
        |db: &mut Value| db["status"]["conditions"] = json!(null),
        |db: &mut Value| db["status"]["conditions"] = json!([{ "type": "Ready", "status": "True" }]),
        |db: &mut Value| db["status"]["phase"] = json!(null),
    ] {
        let scene = Scene::new(Database::zookeeper("zk"));
        scene.change_database_status(spoil);
        scene.read().await.expect("it can be read");
    }
    let scene = Scene::new(Database::zookeeper("zk"));
    scene.change_database_status(|db| db["status"]["conditions"] = json!("many"));
    let error = scene.read().await.expect_err("it cannot be read").to_string();
    assert!(error.starts_with("get zookeeper/zk: unexpected response: "), "{error}");
}
