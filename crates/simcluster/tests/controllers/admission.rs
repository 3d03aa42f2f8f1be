//! Admission of pods, whoever creates them.

use simcluster::{AdmissionRule, ApiError, Rewrite};

use super::*;

const MIRROR: &str = "mirror.local/";

/// Every image comes through a mirror, and every pod gets a proxy that keeps running beside it.
fn rewriting() -> Behaviour {
    let images = Rewrite::Images { from: String::new(), to: MIRROR.into() };
    let proxy = Rewrite::NativeSidecar { name: "proxy".into(), image: "mesh/proxy:1".into() };
    let rules = [images, proxy].map(AdmissionRule::rewrite);
    rules.into_iter().fold(Behaviour::default(), Behaviour::admitting)
}

/// The pod is Ready, and was rewritten; its template was not.
fn is_rewritten(pod: &Value, template: &Value) {
    assert!(holds(pod, "Ready"), "{pod:#}");
    assert_eq!(text(pod, "/spec/initContainers/0/name"), "proxy", "{pod:#}");
    let image = |object, pointer| text(object, pointer).to_owned();
    let wanted = image(template, "/spec/template/spec/containers/0/image");
    assert_eq!(image(pod, "/spec/containers/0/image"), format!("{MIRROR}{wanted}"));
    assert!(!wanted.starts_with(MIRROR));
    let proxy = &pod["status"]["initContainerStatuses"][0];
    assert!(proxy["state"]["running"].is_object() && proxy["ready"] == true, "{proxy:#}");
}

#[tokio::test(start_paused = true)]
async fn pods_are_rewritten_from_the_start_and_when_they_come_back() {
    for (database, res, name) in [
        (Database::zookeeper("db"), PETSETS, "db-1"),
        (Database::hazelcast("db"), STATEFUL_SETS, "db-1"),
        (Database::kafka_combined("db").cruise_control(), "deployments.apps", "cruise"),
    ] {
        let cluster = running(rewriting(), database);
        let store = cluster.store();
        let pods = || store.list(PODS, Some("default"));
        let found = || pods().into_iter().find(|pod| text(pod, "/metadata/name").contains(name));
        let workload = store.list(res, Some("default")).remove(0);
        let before = found().expect("it is installed");
        is_rewritten(&before, &workload);
        delete(store, PODS, text(&before, "/metadata/name"));
        let back = || found().filter(|pod| pod["metadata"]["uid"] != before["metadata"]["uid"]);
        until(store, "ready again", || back().is_some_and(|pod| holds(&pod, "Ready"))).await;
        is_rewritten(&back().expect("it is back"), &workload);
    }
}

/// Refuses pods from now on, when controllers create them.
fn refusing(cluster: &SimCluster, rule: AdmissionRule) {
    let rule = rule.user("system:serviceaccount:*");
    cluster.behaviour().change(|behaviour| behaviour.admission = vec![rule]);
}

/// The Events with that reason about objects of a kind.
fn events(cluster: &SimCluster, kind: &str, reason: &str) -> Vec<Arc<Value>> {
    let mut events = cluster.store().list("events", Some("default"));
    events.retain(|e| e["reason"] == reason && e["involvedObject"]["kind"] == kind);
    events
}

fn is_ready(cluster: &SimCluster, pod: &str) -> bool {
    cluster.store().get(PODS, "default", pod).is_some_and(|pod| holds(&pod, "Ready"))
}

/// The controller says why, tries again after growing pauses, and so finds out late that it may.
#[tokio::test(start_paused = true)]
async fn a_pod_that_is_refused_is_not_made_before_the_obstacle_is_gone() {
    for (database, kind, pod) in
        [(Database::zookeeper("db"), "PetSet", "db-1"), (Database::hazelcast("db"), "StatefulSet", "db-1")]
    {
        let cluster = running(Behaviour::default(), database);
        refusing(&cluster, AdmissionRule::refuse("violates PodSecurity \"restricted:latest\": x"));
        delete(cluster.store(), PODS, pod);
        tokio::time::sleep(200 * SECOND).await;
        assert!(cluster.store().get(PODS, "default", pod).is_none());
        let said = events(&cluster, kind, "FailedCreate");
        let message = format!(
            "create Pod {pod} in {kind} db failed error: pods \"{pod}\" is forbidden: violates PodSecurity \"restricted:latest\": x"
        );
        assert_eq!((said.len(), text(&said[0], "/message")), (1, message.as_str()));
        // 5 ms, doubled each time: the 15th pause ends after 164 s.
        assert!((14..=18).contains(&said[0]["count"].as_i64().unwrap()), "{}", said[0]["count"]);
        cluster.behaviour().change(|behaviour| behaviour.admission.clear());
        tokio::time::sleep(60 * SECOND).await;
        assert!(!is_ready(&cluster, pod), "the pause is longer than that");
        tokio::time::sleep(300 * SECOND).await;
        assert!(is_ready(&cluster, pod));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_repeats_what_its_replica_set_may_not() {
    let cluster = running(Behaviour::default(), Database::kafka_combined("db").cruise_control());
    let denied = ApiError::denied_by_webhook(403, "guard.example.com", "no");
    refusing(&cluster, AdmissionRule::answer(denied).name("*cruise*"));
    let name = |object: &Value| text(object, "/metadata/name").to_owned();
    let pod = cluster.store().list(PODS, Some("default")).into_iter().find(|p| name(p).contains("cruise"));
    delete(cluster.store(), PODS, &name(&pod.expect("it is installed")));
    tokio::time::sleep(10 * SECOND).await;
    let deployment = cluster.store().list("deployments.apps", Some("default")).remove(0);
    let failure = simcluster::object::condition(&deployment, "ReplicaFailure").expect("it is repeated");
    let message = "admission webhook \"guard.example.com\" denied the request: no";
    assert_eq!((text(failure, "/status"), text(failure, "/message")), ("True", message));
    let said = events(&cluster, "ReplicaSet", "FailedCreate");
    assert_eq!(text(&said[0], "/message"), format!("Error creating: {message}"));
    cluster.behaviour().change(|behaviour| behaviour.admission.clear());
    tokio::time::sleep(60 * SECOND).await;
    let deployment = cluster.store().list("deployments.apps", Some("default")).remove(0);
    assert_eq!(simcluster::object::condition(&deployment, "ReplicaFailure"), None);
}

/// Without a word.
#[tokio::test(start_paused = true)]
async fn a_petset_without_its_placement_policy_makes_no_pod() {
    let named = |set: &mut Value| set["spec"]["podPlacementPolicy"] = json!({ "name": "spread" });
    let cluster = running(Behaviour::default(), Database::zookeeper("db").adjust_workload(named));
    delete(cluster.store(), PODS, "db-1");
    tokio::time::sleep(10 * SECOND).await;
    assert!(cluster.store().get(PODS, "default", "db-1").is_none());
    assert_eq!(events(&cluster, "PetSet", "FailedCreate"), []);
    let policy = json!({ "metadata": { "name": "spread" }, "spec": {} });
    cluster.store().create("placementpolicies.apps.k8s.appscode.com", policy).expect("it is new");
    tokio::time::sleep(30 * SECOND).await;
    assert!(is_ready(&cluster, "db-1"));
}

/// The pod that goes frees its share.
#[tokio::test(start_paused = true)]
async fn a_quota_counts_the_pods_that_are_there() {
    let cluster = running(Behaviour::default(), Database::zookeeper("db"));
    refusing(&cluster, AdmissionRule::quota("few", 3));
    delete(cluster.store(), PODS, "db-1");
    tokio::time::sleep(10 * SECOND).await;
    assert!(is_ready(&cluster, "db-1"));
    refusing(&cluster, AdmissionRule::quota("few", 2));
    delete(cluster.store(), PODS, "db-1");
    tokio::time::sleep(10 * SECOND).await;
    let said = events(&cluster, "PetSet", "FailedCreate");
    assert!(
        text(&said[0], "/message")
            .ends_with("exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2"),
        "{said:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_gate_holds_a_pod_until_somebody_opens_it() {
    let cluster = running(Behaviour::default(), Database::zookeeper("db"));
    let store = cluster.store();
    let condition = |kind: &str| {
        let pod = store.get(PODS, "default", "db-1").expect("it is back");
        simcluster::object::condition(&pod, kind).cloned().unwrap_or_default()
    };
    let gates = [Rewrite::ReadinessGate("lb/ready".into()), Rewrite::SchedulingGate("queue".into())];
    cluster.behaviour().change(|behaviour| behaviour.admission = gates.map(AdmissionRule::rewrite).into());
    delete(store, PODS, "db-1");
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(condition("PodScheduled")["reason"], "SchedulingGated");
    store.update(PODS, "default", "db-1", |pod| pod["spec"]["schedulingGates"] = json!([])).unwrap();
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(condition("ContainersReady")["status"], "True");
    assert_eq!(condition("Ready")["reason"], "ReadinessGatesNotReady");
    let set = |status: &'static str| {
        let open = json!({ "type": "lb/ready", "status": status });
        let change = move |pod: &mut Value| {
            let conditions = pod["status"]["conditions"].as_array_mut().expect("it has some");
            conditions.retain(|c| c["type"] != "lb/ready");
            conditions.push(open);
        };
        store.update_status(PODS, "default", "db-1", change).unwrap();
    };
    set("True");
    tokio::time::sleep(SECOND).await;
    assert!(is_ready(&cluster, "db-1"));
    set("False");
    tokio::time::sleep(SECOND).await;
    assert!(
        text(&condition("Ready"), "/message").ends_with("is not \"True\", but False"),
        "{:?}",
        condition("Ready")
    );
}

/// The PetSet controller looks at the partition whatever the strategy is.
#[tokio::test(start_paused = true)]
async fn a_pod_below_the_partition_comes_back_on_the_old_revision_under_on_delete_too() {
    let partition =
        |set: &mut Value| set["spec"]["updateStrategy"]["rollingUpdate"] = json!({ "partition": 2 });
    let mut behaviour = Behaviour::default();
    // It would render its own template again.
    behaviour.provisioner.alive = false;
    let cluster = running(behaviour, Database::zookeeper("db").adjust_workload(partition));
    let store = cluster.store();
    let image = |set: &mut Value| set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("x:2");
    store.update(PETSETS, "default", "db", image).unwrap();
    tokio::time::sleep(SECOND).await;
    for (pod, new) in [("db-1", false), ("db-2", true)] {
        delete(store, PODS, pod);
        tokio::time::sleep(10 * SECOND).await;
        let back = store.get(PODS, "default", pod).expect("it is back");
        assert_eq!(text(&back, "/spec/containers/0/image") == "x:2", new, "{pod}");
    }
}
