//! What Druid's processes say.

use base64::Engine;
use serde_json::{Value, json};
use simcluster::Trouble;

use super::line::{asked, got, secret};
use super::*;

fn druid() -> Database {
    let druid = Database::druid("dr").replicas_of("historicals", 2).replicas_of("coordinators", 2);
    druid.replicas_of("middleManagers", 2)
}

/// What a process answers to someone with the right credentials: the code and the body.
async fn ask(sim: &SimCluster, pod: &str, port: u16, head: &str) -> (u16, Value) {
    let (user, password) = (secret(sim, "dr", "username"), secret(sim, "dr", "password"));
    let credentials = [user.as_slice(), b":", password.as_slice()].concat();
    let credentials = base64::engine::general_purpose::STANDARD.encode(credentials);
    let answer = asked(sim, pod, port, head, Some(&credentials)).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let code = head[9..12].parse().expect("a code");
    (code, serde_json::from_str(body).unwrap_or_else(|_| json!(body)))
}

#[tokio::test(start_paused = true)]
async fn only_its_health_is_told_to_everybody() {
    let sim = running(druid());
    assert_eq!(got(&sim, "dr-brokers-0", 8082, "/status/health").await, (200, json!(true)));
    assert_eq!(got(&sim, "dr-brokers-0", 8082, "/status").await.0, 401);
    let wrong = asked(&sim, "dr-brokers-0", 8082, "GET /status", Some("YWRtaW46Z3Vlc3M=")).await;
    assert!(wrong.starts_with("HTTP/1.1 401 "), "{wrong}");
    let (code, status) = ask(&sim, "dr-brokers-0", 8082, "GET /status").await;
    assert_eq!((code, &status["version"]), (200, &json!("28.0.1")));
    assert_eq!(
        got(&sim, "dr-brokers-0", 8081, "/status/health").await.0,
        503,
        "that is a coordinator's port"
    );
}

#[tokio::test(start_paused = true)]
async fn one_of_each_leads_and_the_others_name_it() {
    let sim = running(druid());
    for (pod, port, path, code, leads) in [
        ("dr-coordinators-0", 8081, "coordinator", 200, true),
        ("dr-coordinators-1", 8081, "coordinator", 404, false),
        ("dr-overlords-0", 8090, "indexer", 200, true),
    ] {
        let answer = ask(&sim, pod, port, &format!("GET /druid/{path}/v1/isLeader")).await;
        assert_eq!(answer, (code, json!({"leader": leads})), "{pod}");
    }
    let named = ask(&sim, "dr-coordinators-1", 8081, "GET /druid/coordinator/v1/leader").await;
    assert_eq!(named, (200, json!("http://dr-coordinators-0.dr-pods.default.svc:8081")));
    let elsewhere = ask(&sim, "dr-coordinators-1", 8081, "GET /druid/coordinator/v1/loadstatus?full").await;
    assert_eq!(elsewhere.0, 307);
}

#[tokio::test(start_paused = true)]
async fn the_coordinator_counts_what_is_not_loaded() {
    let sim = running(druid());
    let status = async |sim: &SimCluster, query: &str| {
        let head = format!("GET /druid/coordinator/v1/loadstatus{query}");
        ask(sim, "dr-coordinators-0", 8081, &head).await.1
    };
    let full = |wikipedia: u32, kubedb: u32| json!({"_default_tier": {"wikipedia": wikipedia, "kubedb-datasource": kubedb}});
    assert_eq!(status(&sim, "?full").await, full(0, 0));
    let loading = Trouble::Loading { pods: "dr-historicals-1".into() };
    sim.databases().trouble(loading.clone());
    assert_eq!(status(&sim, "?full&computeUsingClusterView").await, full(24, 1));
    assert_eq!(status(&sim, "?simple").await["wikipedia"], 0, "each segment has another replica");
    assert_eq!(status(&sim, "").await["wikipedia"], 100.0);
    let queue = ask(&sim, "dr-coordinators-0", 8081, "GET /druid/coordinator/v1/loadqueue?simple").await.1;
    assert_eq!(queue["dr-historicals-1.dr-pods.default.svc:8083"]["segmentsToLoad"], 5);
    let loaded = ask(&sim, "dr-historicals-1", 8083, "GET /druid/historical/v1/loadstatus").await;
    assert_eq!(loaded, (200, json!({"cacheInitialized": false})));
    sim.databases().heal(&loading);
    sim.databases().trouble(Trouble::Uncounted);
    for query in ["?full", "?full&computeUsingClusterView", "?simple"] {
        assert_eq!(status(&sim, query).await, json!({}), "{query}");
    }
    assert_eq!(status(&sim, "").await["wikipedia"], 100.0);
    let there =
        ask(&sim, "dr-coordinators-0", 8081, "GET /druid/coordinator/v1/metadata/datasources").await.1;
    assert_eq!(there, json!(["wikipedia", "kubedb-datasource"]));
    sim.databases().heal(&Trouble::Uncounted);
    for pod in ["dr-historicals-0", "dr-historicals-1"] {
        delete(&sim, pod);
    }
    assert_eq!(status(&sim, "?simple").await["wikipedia"], 24);
    assert_eq!(status(&sim, "").await["wikipedia"], 0.0);
}

/// A middleManager that is disabled hands its tasks off, and forgets that it was when it comes back.
#[tokio::test(start_paused = true)]
async fn a_middle_manager_is_drained() {
    let sim = running(druid());
    let pod = "dr-middlemanagers-0";
    sim.databases().trouble(Trouble::Task { pod: pod.into(), hand_off: 5 * SECOND });
    let tasks = async |sim: &SimCluster| {
        let (_, ids) = ask(sim, pod, 8091, "GET /druid/worker/v1/tasks").await;
        let ids = ids.as_array().expect("a list").iter();
        ids.map(|id| id.as_str().expect("an id")[..12].to_owned()).collect::<Vec<_>>()
    };
    let host = "dr-middlemanagers-0.dr-pods.default.svc:8091";
    assert_eq!(tasks(&sim).await, ["index_kafka_", "index_parall"]);
    assert!(sim.databases().can_bear("default", pod).is_err_and(|why| why.contains("a task runs")));
    assert_eq!(sim.databases().can_bear("default", "dr-middlemanagers-1"), Ok(()));
    assert_eq!(ask(&sim, pod, 8091, "POST /druid/worker/v1/disable").await, (200, json!({host: "disabled"})));
    assert_eq!(ask(&sim, pod, 8091, "GET /druid/worker/v1/enabled").await.1, json!({host: false}));
    assert_eq!(tasks(&sim).await, ["index_kafka_"], "the health checker's task is on another");
    let running = ask(&sim, "dr-overlords-0", 8090, "GET /druid/indexer/v1/runningTasks").await.1;
    assert_eq!(running.as_array().map(Vec::len), Some(2));
    sleep(5 * SECOND).await;
    assert!(tasks(&sim).await.is_empty());
    assert_eq!(sim.databases().can_bear("default", pod), Ok(()));
    delete(&sim, pod);
    ready_again(&sim, pod).await;
    sleep(SECOND).await;
    assert_eq!(ask(&sim, pod, 8091, "GET /druid/worker/v1/enabled").await.1, json!({host: true}));
}

/// Without overlords of their own, the coordinators do their work.
#[tokio::test(start_paused = true)]
async fn coordinators_stand_in_for_overlords() {
    let sim = running(druid().without("overlords"));
    let (code, body) = ask(&sim, "dr-coordinators-0", 8081, "GET /druid/indexer/v1/isLeader").await;
    assert_eq!((code, body), (200, json!({"leader": true})));
    let workers = ask(&sim, "dr-coordinators-0", 8081, "GET /druid/indexer/v1/workers").await.1;
    assert_eq!(workers.as_array().map(Vec::len), Some(2));
}
