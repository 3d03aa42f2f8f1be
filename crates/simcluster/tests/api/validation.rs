//! Types, unknown fields, defaults, and what built-in kinds must look like.

use serde_json::{Value, json};
use simcluster::SimCluster;

use crate::client::*;

const SETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";
const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";

/// Code, and the fields of the causes.
fn refusal(reply: &Reply) -> (u16, Vec<&str>) {
    let causes = reply.body["details"]["causes"].as_array().into_iter().flatten();
    (reply.code, causes.filter_map(|cause| cause["field"].as_str()).collect())
}

fn warnings(reply: &Reply) -> Vec<&str> {
    reply.headers.get_all("warning").iter().map(|value| value.to_str().expect("text")).collect()
}

async fn tried(sim: &SimCluster, path: &str, object: Value) -> Reply {
    post(sim, &format!("{path}?dryRun=All"), object).await
}

#[tokio::test(start_paused = true)]
async fn an_unknown_field_is_dropped_with_a_warning_or_refused() {
    let sim = cluster();
    let mut odd = kafka("k");
    odd["spec"]["nope"] = json!(1);
    let unknown = "299 - \"unknown field \\\"spec.nope\\\"\"";
    for (query, code, told) in [
        ("", 201, vec![unknown]),
        ("&fieldValidation=Warn", 201, vec![unknown]),
        ("&fieldValidation=Ignore", 201, vec![]),
        ("&fieldValidation=Strict", 400, vec![]),
    ] {
        let reply = post(&sim, &format!("{KAFKAS}?dryRun=All{query}"), odd.clone()).await;
        assert_eq!((reply.code, warnings(&reply)), (code, told), "{query}");
        assert_eq!(reply.body["spec"].get("nope"), None);
    }
    post(&sim, KAFKAS, kafka("k")).await;
    let path = format!("{KAFKAS}/k");
    let patched = patch(&sim, &path, "merge", json!({"spec": {"nope": 1}})).await;
    assert_eq!((patched.code, warnings(&patched)), (200, vec![unknown]));
    let strict = format!("{path}?fieldValidation=Strict");
    let refused = patch(&sim, &strict, "merge", json!({"spec": {"nope": 1}})).await;
    assert_eq!(refusal(&refused), (422, vec!["patch"]));
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}, "nope": 1});
    let reply = post(&sim, &format!("{PODS}/p/eviction?fieldValidation=Strict"), eviction).await;
    assert_eq!(reply.code, 400);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_type_is_refused_as_the_kind_refuses_it() {
    let sim = cluster();
    let with = |field: &str, value: Value| {
        let mut object = kafka("k");
        object["spec"][field] = value;
        object
    };
    for (object, fields) in [
        (with("replicas", json!("3")), vec!["spec.replicas"]),
        (with("replicas", json!(1.5)), vec!["spec.replicas", "<nil>"]),
        (with("halted", json!("yes")), vec!["spec.halted"]),
        (with("deletionPolicy", json!("Nope")), vec!["spec.deletionPolicy"]),
    ] {
        assert_eq!(refusal(&tried(&sim, KAFKAS, object).await), (422, fields));
    }
    let map = |data: Value| json!({"metadata": {"name": "m"}, "data": data});
    assert_eq!(tried(&sim, CONFIGMAPS, map(json!({"a": 1}))).await.code, 400, "a body");
    post(&sim, CONFIGMAPS, configmap("m")).await;
    let add = json!([{"op": "add", "path": "/data/n", "value": 1}]);
    let reply = patch(&sim, &format!("{CONFIGMAPS}/m"), "json", add).await;
    assert_eq!(refusal(&reply), (422, vec!["patch"]));
    let lease = json!({"metadata": {"name": "l"}, "spec": {"renewTime": "2026-01-01T00:00:00Z"}});
    assert_eq!(tried(&sim, LEASES, lease).await.code, 400, "a time without its decimals");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_defaults_alone_costs_no_generation() {
    let sim = cluster();
    let created = post(&sim, KAFKAS, kafka("k")).await.body;
    assert_eq!(created["spec"]["healthChecker"]["periodSeconds"], 10);
    let path = format!("{KAFKAS}/k");
    let removed = patch(&sim, &path, "merge", json!({"spec": {"healthChecker": null}})).await.body;
    assert_eq!(removed["spec"], created["spec"], "it is filled in again");
    assert_eq!(removed["metadata"]["generation"], 1);
    assert_eq!(removed["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"]);
}

fn set(change: impl FnOnce(&mut Value)) -> Value {
    let containers = json!([{"name": "c", "image": "i:1"}]);
    let template = json!({"metadata": {"labels": {"app": "s"}}, "spec": {"containers": containers}});
    let mut set = json!({"metadata": {"name": "s"}, "spec": {"serviceName": "s", "template": template,
        "selector": {"matchLabels": {"app": "s"}}}});
    change(&mut set["spec"]);
    set
}

#[tokio::test(start_paused = true)]
async fn a_workload_and_its_pods_make_sense() {
    let sim = cluster();
    assert_eq!(tried(&sim, SETS, set(|_| {})).await.code, 201);
    let labels = "spec.template.metadata.labels";
    let container = "spec.template.spec.containers[0]";
    let cases: [(Value, Vec<String>); 7] = [
        (set(|spec| spec["template"]["metadata"]["labels"] = json!({"app": "x"})), vec![labels.into()]),
        (set(|spec| spec["selector"] = Value::Null), vec!["spec.selector".into(), labels.into()]),
        (set(|spec| spec["replicas"] = json!(-1)), vec!["spec.replicas".into()]),
        (set(|spec| spec["podManagementPolicy"] = json!("x")), vec!["spec.podManagementPolicy".into()]),
        (
            set(|spec| spec["template"]["spec"]["restartPolicy"] = json!("Never")),
            vec!["spec.template.spec.restartPolicy".into()],
        ),
        (
            set(|spec| spec["template"]["spec"]["containers"] = json!([{"name": "C_", "image": " x"}])),
            vec![format!("{container}.name"), format!("{container}.image")],
        ),
        (
            set(|spec| spec["template"]["spec"]["containers"] = json!([])),
            vec!["spec.template.spec.containers".into()],
        ),
    ];
    for (object, fields) in cases {
        let reply = tried(&sim, SETS, object).await;
        let (code, found) = refusal(&reply);
        assert_eq!((code, found), (422, fields.iter().map(String::as_str).collect()));
    }
    let twice = json!([{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]);
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": twice}});
    assert_eq!(refusal(&tried(&sim, PODS, pod).await), (422, vec!["spec.containers[1].name"]));
}

#[tokio::test(start_paused = true)]
async fn a_budget_counts_in_numbers_or_percent_and_one_way() {
    let sim = cluster();
    for (spec, field) in [
        (json!({"minAvailable": 1, "maxUnavailable": 1}), "spec"),
        (json!({"maxUnavailable": -1}), "spec.maxUnavailable"),
        (json!({"maxUnavailable": "abc"}), "spec.maxUnavailable"),
        (json!({"maxUnavailable": "200%"}), "spec.maxUnavailable"),
        (json!({"unhealthyPodEvictionPolicy": "x"}), "spec.unhealthyPodEvictionPolicy"),
        (
            json!({"selector": {"matchExpressions": [{"key": "a", "operator": "x"}]}}),
            "spec.selector.matchExpressions[0].operator",
        ),
    ] {
        let budget = json!({"metadata": {"name": "b"}, "spec": spec});
        assert_eq!(refusal(&tried(&sim, BUDGETS, budget).await), (422, vec![field]));
    }
    let budget = json!({"metadata": {"name": "b"}, "spec": {"maxUnavailable": "50%"}});
    assert_eq!(tried(&sim, BUDGETS, budget).await.code, 201);
}

#[tokio::test(start_paused = true)]
async fn metadata_is_checked_in_every_kind() {
    let sim = cluster();
    let owner =
        |uid: &str| json!({"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": uid, "controller": true});
    for (metadata, field) in [
        (json!({"annotations": {"a b": "c"}}), "metadata.annotations"),
        (json!({"finalizers": ["nope"]}), "metadata.finalizers[0]"),
        (json!({"ownerReferences": [owner("")]}), "metadata.ownerReferences.uid"),
        (json!({"ownerReferences": [owner("1"), owner("2")]}), "metadata.ownerReferences"),
    ] {
        let mut map = json!({"metadata": metadata});
        map["metadata"]["name"] = json!("m");
        assert_eq!(refusal(&tried(&sim, CONFIGMAPS, map).await), (422, vec![field]));
    }
    let mut odd = kafka("k");
    odd["metadata"]["finalizers"] = json!(["nope"]);
    let reply = tried(&sim, KAFKAS, odd).await;
    assert_eq!((reply.code, warnings(&reply).len()), (201, 1), "a custom resource is warned of");
}

#[tokio::test(start_paused = true)]
async fn a_secret_keeps_its_texts_as_data_and_a_status_takes_labels() {
    let sim = cluster();
    let secrets = "/api/v1/namespaces/default/secrets";
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}});
    let created = post(&sim, secrets, secret).await.body;
    assert_eq!((&created["data"], created.get("stringData")), (&json!({"k": "dg=="}), None));
    sim.store().create("pods", running_pod("p", true)).expect("created");
    let label = json!({"metadata": {"labels": {"x": "y"}}});
    let pod = patch(&sim, &format!("{PODS}/p/status"), "merge", label.clone()).await.body;
    assert_eq!(pod["metadata"]["labels"]["x"], "y");
    post(&sim, KAFKAS, kafka("k")).await;
    let custom = patch(&sim, &format!("{KAFKAS}/k/status"), "merge", label).await.body;
    assert_eq!(custom["metadata"].get("labels"), None, "the status of a custom resource is written alone");
}
