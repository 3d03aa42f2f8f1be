use serde_json::{Value, json};
use simcluster::SimCluster;

use crate::client::*;

async fn with_kafka() -> (SimCluster, String) {
    let sim = cluster();
    let created = post(&sim, KAFKAS, kafka("k")).await;
    assert_eq!(created.code, 201);
    (sim, format!("{KAFKAS}/k"))
}

fn version_of(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().expect("a resourceVersion")
}

#[tokio::test(start_paused = true)]
async fn a_new_object_gets_what_the_server_owns() {
    let (sim, path) = with_kafka().await;
    let object = get(&sim, &path).await.body;
    assert_eq!(object["metadata"]["generation"], 1);
    assert_eq!(object["metadata"]["namespace"], "default");
    assert_eq!(object["metadata"]["uid"].as_str().map(str::len), Some(36));
    assert!(object["metadata"]["creationTimestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
    let again = post(&sim, KAFKAS, kafka("k")).await;
    assert_eq!((again.code, again.reason()), (409, "AlreadyExists"));
    assert_eq!(again.message(), "kafkas.kubedb.com \"k\" already exists");
    let named = post(&sim, CONFIGMAPS, json!({"metadata": {"generateName": "run-"}})).await.body;
    assert_eq!(named["metadata"]["name"].as_str().map(str::len), Some("run-".len() + 5));
}

#[tokio::test(start_paused = true)]
async fn spec_and_status_are_written_apart() {
    let (sim, path) = with_kafka().await;
    let both = json!({"spec": {"version": "3.6.1"}, "status": {"phase": "Ready"}});
    let main = patch(&sim, &path, "merge", both.clone()).await.body;
    assert_eq!(main["spec"]["version"], "3.6.1");
    assert_eq!(main.get("status"), None);
    assert_eq!(main["metadata"]["generation"], 2);
    let other = json!({"spec": {"version": "9"}, "status": {"phase": "Ready"}});
    let status = patch(&sim, &format!("{path}/status"), "merge", other).await.body;
    assert_eq!((&status["spec"]["version"], &status["status"]["phase"]), (&json!("3.6.1"), &json!("Ready")));
    assert_eq!(status["metadata"]["generation"], 2);
    let same = patch(&sim, &path, "merge", json!({"spec": {"version": "3.6.1"}})).await.body;
    assert_eq!(version_of(&same), version_of(&status));
}

#[tokio::test(start_paused = true)]
async fn json_patches_test_before_they_write() {
    let (sim, path) = with_kafka().await;
    let operations = |expected: &str| {
        json!([{"op": "test", "path": "/spec/version", "value": expected},
            {"op": "replace", "path": "/spec/version", "value": "3.6.1"}])
    };
    let failed = patch(&sim, &path, "json", operations("1.0.0")).await;
    assert_eq!((failed.code, failed.reason()), (422, "Invalid"));
    assert!(failed.body["details"].get("causes").is_none());
    let done = patch(&sim, &path, "json", operations("3.5.2")).await;
    assert_eq!((done.code, &done.body["spec"]["version"]), (200, &json!("3.6.1")));
    let stale = json!([{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "replace", "path": "/spec/version", "value": "3.7.2"}]);
    let conflict = patch(&sim, &path, "json", stale).await;
    assert_eq!((conflict.code, conflict.reason()), (409, "Conflict"));
    let fresh = json!([{"op": "replace", "path": "/metadata/resourceVersion", "value": version_of(&done.body)},
        {"op": "replace", "path": "/spec/version", "value": "3.7.2"}]);
    assert_eq!(patch(&sim, &path, "json", fresh).await.code, 200);
}

#[tokio::test(start_paused = true)]
async fn a_schema_refuses_with_causes() {
    let (sim, path) = with_kafka().await;
    let cases = [
        ("", json!({"spec": {"version": null}}), "spec.version", "FieldValueRequired"),
        ("", json!({"spec": {"version": 3}}), "spec.version", "FieldValueTypeInvalid"),
        ("", json!({"metadata": {"labels": {"a": "b c"}}}), "metadata.labels", "FieldValueInvalid"),
        ("/status", json!({"status": {"phase": "Fine"}}), "status.phase", "FieldValueNotSupported"),
        (
            "/status",
            json!({"status": {"conditions": [{"type": "Paused", "status": "True"}]}}),
            "status.conditions[0].lastTransitionTime",
            "FieldValueRequired",
        ),
    ];
    for (subresource, body, field, reason) in cases {
        let reply = patch(&sim, &format!("{path}{subresource}"), "merge", body).await;
        let cause = &reply.body["details"]["causes"][0];
        assert_eq!((reply.code, &cause["field"], &cause["reason"]), (422, &json!(field), &json!(reason)));
    }
}

#[tokio::test(start_paused = true)]
async fn custom_resources_take_no_strategic_patch() {
    let (sim, path) = with_kafka().await;
    let reply = patch(&sim, &path, "strategic", json!({})).await;
    assert_eq!((reply.code, reply.reason()), (415, "UnsupportedMediaType"));
}

#[tokio::test(start_paused = true)]
async fn what_identifies_an_object_cannot_be_patched() {
    let (sim, path) = with_kafka().await;
    for (field, code) in [("name", 400), ("namespace", 400), ("uid", 422), ("deletionTimestamp", 422)] {
        let reply = patch(&sim, &path, "merge", json!({"metadata": {field: "other"}})).await;
        assert_eq!(reply.code, code, "{field}");
    }
    let created = get(&sim, &path).await.body["metadata"]["creationTimestamp"].clone();
    let reply =
        patch(&sim, &path, "merge", json!({"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}}));
    assert_eq!(reply.await.body["metadata"]["creationTimestamp"], created, "dropped in silence");
    let reply = patch(&sim, &path, "merge", json!({"kind": "Druid"})).await;
    assert_eq!((reply.code, &reply.body["details"]["causes"][0]["field"]), (422, &json!("kind")));
}

#[tokio::test(start_paused = true)]
async fn a_replace_needs_the_version_where_the_kind_demands_it() {
    let (sim, path) = with_kafka().await;
    let mut object = get(&sim, &path).await.body;
    object["metadata"]["resourceVersion"] = Value::Null;
    let missing = send(&sim, "PUT", &path, Some(object.clone())).await;
    assert_eq!(missing.code, 422);
    assert_eq!(missing.body["details"]["causes"][0]["field"], "metadata.resourceVersion");
    object["metadata"]["resourceVersion"] = json!("1");
    assert_eq!(send(&sim, "PUT", &path, Some(object.clone())).await.reason(), "Conflict");
    object["metadata"]["name"] = json!("other");
    assert_eq!(send(&sim, "PUT", &path, Some(object)).await.reason(), "BadRequest");
    post(&sim, CONFIGMAPS, configmap("m")).await;
    let unconditional = send(&sim, "PUT", &format!("{CONFIGMAPS}/m"), Some(configmap("m"))).await;
    assert_eq!(unconditional.code, 200);
}

#[tokio::test(start_paused = true)]
async fn a_lease_can_be_put_where_none_is() {
    let sim = cluster();
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l";
    let lease = json!({"metadata": {"name": "l"}, "spec": {"leaseDurationSeconds": 15}});
    assert_eq!(send(&sim, "PUT", path, Some(lease.clone())).await.code, 201);
    assert_eq!(send(&sim, "PUT", path, Some(lease)).await.code, 422);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_answers_as_if_and_stores_nothing() {
    let (sim, path) = with_kafka().await;
    let before = sim.store().version();
    let changed =
        patch(&sim, &format!("{path}?dryRun=All"), "merge", json!({"spec": {"version": "9"}})).await;
    assert_eq!(
        (&changed.body["spec"]["version"], &changed.body["metadata"]["generation"]),
        (&json!("9"), &json!(2))
    );
    assert_eq!(post(&sim, &format!("{KAFKAS}?dryRun=All"), kafka("other")).await.code, 201);
    assert_eq!(post(&sim, &format!("{KAFKAS}?dryRun=All"), kafka("k")).await.code, 409);
    let delete = json!({"dryRun": ["All"]});
    assert_eq!(send(&sim, "DELETE", &path, Some(delete)).await.code, 200);
    assert_eq!(patch(&sim, &format!("{path}?dryRun=Some"), "merge", json!({})).await.code, 422);
    assert_eq!(sim.store().version(), before);
    let dry: Vec<bool> = sim.requests().iter().map(|request| request.dry_run).collect();
    assert_eq!(dry, [false, true, true, true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn an_apply_creates_and_changes() {
    let sim = cluster();
    let path = format!("{KAFKAS}/k");
    assert_eq!(patch(&sim, &path, "apply", kafka("k")).await.code, 422, "it needs a field manager");
    let path = format!("{path}?fieldManager=me&force=true");
    assert_eq!(patch(&sim, &path, "apply", kafka("k")).await.code, 201);
    let mut next = kafka("k");
    next["spec"]["version"] = json!("3.6.1");
    let applied = patch(&sim, &path, "apply", next).await;
    assert_eq!((applied.code, &applied.body["spec"]["version"]), (200, &json!("3.6.1")));
    assert_eq!(sim.requests()[2].field_manager.as_deref(), Some("me"));
}

#[tokio::test(start_paused = true)]
async fn scale_changes_the_replicas_alone() {
    let sim = cluster();
    let template = json!({"spec": {"containers": [{"name": "c"}]}});
    let set = json!({"apiVersion": "apps.k8s.appscode.com/v1", "kind": "PetSet", "metadata": {"name": "s"},
        "spec": {"serviceName": "s", "selector": {}, "template": template, "replicas": 2}});
    let path = "/apis/apps.k8s.appscode.com/v1/namespaces/default/petsets";
    assert_eq!(post(&sim, path, set).await.code, 201);
    let scale = patch(&sim, &format!("{path}/s/scale"), "merge", json!({"spec": {"replicas": 3}})).await.body;
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(3)));
    let set = get(&sim, &format!("{path}/s")).await.body;
    assert_eq!((&set["spec"]["replicas"], &set["metadata"]["generation"]), (&json!(3), &json!(2)));
}

#[tokio::test(start_paused = true)]
async fn an_event_belongs_to_the_namespace_of_its_object() {
    let sim = cluster();
    let path = "/api/v1/namespaces/default/events";
    let event =
        |namespace: &str| json!({"metadata": {"name": "e"}, "involvedObject": {"namespace": namespace}});
    assert_eq!(post(&sim, path, event("elsewhere")).await.code, 422);
    assert_eq!(post(&sim, path, event("default")).await.code, 201);
}

#[tokio::test(start_paused = true)]
async fn an_ops_request_gets_its_defaults_and_no_unknown_choice() {
    let sim = cluster();
    let path = "/apis/ops.kubedb.com/v1alpha1/namespaces/default/zookeeperopsrequests";
    let request = |spec: Value| {
        json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "ZooKeeperOpsRequest",
            "metadata": {"name": "up"}, "spec": spec})
    };
    let reference = json!({"name": "zk"});
    let refused = [
        (json!({"type": "UpdateVersion"}), "spec.databaseRef"),
        (json!({"databaseRef": reference}), "spec.type"),
        (json!({"type": "Upgrade", "databaseRef": reference}), "spec.type"),
        (json!({"type": "StorageMigration", "databaseRef": reference}), "spec.type"),
        (json!({"type": "UpdateVersion", "databaseRef": reference, "apply": "Never"}), "spec.apply"),
    ];
    for (spec, field) in refused {
        let refusal = post(&sim, path, request(spec)).await;
        assert_eq!((refusal.code, refusal.reason()), (422, "Invalid"));
        assert_eq!(refusal.body["details"]["causes"][0]["field"], field);
    }
    let created = post(&sim, path, request(json!({"type": "UpdateVersion", "databaseRef": reference}))).await;
    assert_eq!(created.code, 201);
    assert_eq!(
        (&created.body["spec"]["apply"], &created.body["spec"]["maxRetries"]),
        (&json!("IfReady"), &json!(1))
    );
}
