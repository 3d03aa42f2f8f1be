//! Kubelet and scheduler.

use simcluster::{Ailment, DeleteOptions, PodRule};

use super::*;

fn sick(ailment: Ailment) -> Behaviour {
    let mut behaviour = Behaviour::default().with(PodRule::new(ailment).name("zk-1"));
    behaviour.provisioner.alive = false;
    behaviour
}

fn state(store: &Store, list: &str) -> Value {
    store.get(PODS, "default", "zk-1").map(|pod| pod["status"][list][0].clone()).unwrap_or_default()
}

fn waits_for(store: &Store, list: &str) -> String {
    text(&state(store, list), "/state/waiting/reason").to_owned()
}

/// The reasons of the Events about the pod as it is now.
fn reasons(store: &Store) -> Vec<String> {
    let uid = uid(store, PODS, "zk-1");
    let events = store.list("events", Some("default"));
    let about = events.iter().filter(|event| event["involvedObject"]["uid"] == json!(uid));
    about.map(|event| text(event, "/reason").to_owned()).collect()
}

/// A cluster whose `zk-1` is deleted and comes back sick.
fn restarted(ailment: Ailment) -> SimCluster {
    let cluster = running(sick(ailment), Database::zookeeper("zk"));
    delete(cluster.store(), PODS, "zk-1");
    cluster
}

#[tokio::test(start_paused = true)]
async fn a_pod_comes_up_step_by_step() {
    let cluster = running(Behaviour::default(), Database::zookeeper("zk"));
    let store = cluster.store();
    let mut changes = store.subscribe();
    delete(store, PODS, "zk-1");
    until(store, "ready", || is_ready(store, "zk-1")).await;
    let mut seen: Vec<String> = Vec::new();
    while let Some(change) = changes.try_next() {
        if change.res == PODS && change.name == "zk-1" {
            let pod = &change.object;
            let says = |kind| if holds(pod, kind) { kind } else { "-" };
            let line = format!(
                "{} {} {} {}",
                text(pod, "/status/phase"),
                says("PodScheduled"),
                says("Initialized"),
                says("Ready"),
            );
            if seen.last() != Some(&line) {
                seen.push(line);
            }
        }
    }
    let wanted = [
        "Running PodScheduled Initialized Ready",
        "Succeeded PodScheduled Initialized -",
        "Pending - - -",
        "Pending PodScheduled - -",
        "Pending PodScheduled Initialized -",
        "Running PodScheduled Initialized -",
        "Running PodScheduled Initialized Ready",
    ];
    assert_eq!(seen, wanted);
    for reason in ["Scheduled", "Pulled", "Started"] {
        assert!(reasons(store).contains(&reason.to_owned()), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_pulled_is_tried_again_and_heals() {
    let cluster = restarted(Ailment::PullError);
    let store = cluster.store();
    until(store, "an error", || waits_for(store, "containerStatuses") == "ErrImagePull").await;
    until(store, "a back-off", || waits_for(store, "containerStatuses") == "ImagePullBackOff").await;
    assert_eq!(text(&get(store, PODS, "zk-1"), "/status/phase"), "Pending");
    assert!(reasons(store).contains(&"Failed".to_owned()) && reasons(store).contains(&"BackOff".to_owned()));
    let again =
        until(store, "another error", || waits_for(store, "containerStatuses") == "ErrImagePull").await;
    assert_eq!(again.as_secs(), 10);
    cluster.behaviour().change(|behaviour| behaviour.pods.clear());
    until(store, "healed", || is_ready(store, "zk-1")).await;
}

#[tokio::test(start_paused = true)]
async fn a_rule_by_image_hits_the_container_of_that_image() {
    let mut behaviour = sick(Ailment::PullError);
    behaviour.pods = vec![PodRule::new(Ailment::PullError).image("*zookeeper-init*")];
    let cluster = running(behaviour, Database::zookeeper("zk"));
    let store = cluster.store();
    delete(store, PODS, "zk-1");
    until(store, "an error", || waits_for(store, "initContainerStatuses") == "ErrImagePull").await;
    assert_eq!(waits_for(store, "containerStatuses"), "PodInitializing");
}

#[tokio::test(start_paused = true)]
async fn containers_that_cannot_be_created_say_why() {
    let cases = [
        (Ailment::InvalidImageName, "InvalidImageName", "InspectFailed"),
        (Ailment::ConfigError, "CreateContainerConfigError", "Failed"),
    ];
    for (ailment, reason, event) in cases {
        let cluster = restarted(ailment);
        let store = cluster.store();
        until(store, reason, || waits_for(store, "containerStatuses") == reason).await;
        tokio::time::sleep(SECOND).await;
        assert!(reasons(store).contains(&event.to_owned()));
        assert!(!text(&state(store, "containerStatuses"), "/state/waiting/message").is_empty());
        cluster.behaviour().change(|behaviour| behaviour.pods.clear());
        until(store, "healed", || is_ready(store, "zk-1")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_crashing_container_is_restarted_with_growing_back_off() {
    let cluster = restarted(Ailment::Crash { after: SECOND, exit_code: 3 });
    let store = cluster.store();
    let restarts = || number(&state(store, "containerStatuses"), "/restartCount");
    until(store, "the first restart", || restarts() == 1).await;
    until(store, "a back-off", || waits_for(store, "containerStatuses") == "CrashLoopBackOff").await;
    assert_eq!(number(&state(store, "containerStatuses"), "/lastState/terminated/exitCode"), 3);
    assert_eq!(text(&get(store, PODS, "zk-1"), "/status/phase"), "Running");
    let first = until(store, "the second restart", || restarts() == 2).await;
    until(store, "the next back-off", || waits_for(store, "containerStatuses") == "CrashLoopBackOff").await;
    let second = until(store, "the third restart", || restarts() == 3).await;
    assert_eq!((first.as_secs(), second.as_secs()), (10, 20));
    assert!(!is_ready(store, "zk-1"));
    cluster.behaviour().change(|behaviour| behaviour.pods.clear());
    until(store, "healed", || is_ready(store, "zk-1")).await;
}

#[tokio::test(start_paused = true)]
async fn readiness_can_fail_from_the_start_or_later() {
    let cluster = restarted(Ailment::NeverReady);
    let store = cluster.store();
    tokio::time::sleep(600 * SECOND).await;
    assert!(!is_ready(store, "zk-1"));
    assert_eq!(text(&get(store, PODS, "zk-1"), "/status/phase"), "Running");
    assert!(reasons(store).contains(&"Unhealthy".to_owned()));
    cluster.behaviour().change(|behaviour| behaviour.pods.clear());
    until(store, "healed", || is_ready(store, "zk-1")).await;

    let cluster = restarted(Ailment::Relapse { after: 60 * SECOND });
    let store = cluster.store();
    until(store, "stopped", || !is_ready(store, "zk-1")).await;
    until(store, "ready", || is_ready(store, "zk-1")).await;
    let held = until(store, "lost", || !is_ready(store, "zk-1")).await;
    assert_eq!(held.as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_a_node_waits_for_one() {
    let cluster = restarted(Ailment::Unschedulable);
    let store = cluster.store();
    let unschedulable = || {
        let scheduled = store.get(PODS, "default", "zk-1").and_then(|pod| condition(&pod, "PodScheduled"));
        scheduled.is_some_and(|scheduled| scheduled["reason"] == "Unschedulable")
    };
    until(store, "unschedulable", unschedulable).await;
    assert!(reasons(store).contains(&"FailedScheduling".to_owned()));
    cluster.behaviour().change(|behaviour| behaviour.pods.clear());
    until(store, "healed", || is_ready(store, "zk-1")).await;

    for node in simcluster::world::NODES {
        store.update("nodes", "", node, |node| node["spec"]["unschedulable"] = json!(true)).unwrap();
    }
    delete(store, PODS, "zk-1");
    until(store, "unschedulable", unschedulable).await;
    let node = simcluster::world::NODES[1];
    store.update("nodes", "", node, |node| node["spec"]["unschedulable"] = json!(false)).unwrap();
    until(store, "scheduled", || is_ready(store, "zk-1")).await;
    assert_eq!(text(&get(store, PODS, "zk-1"), "/spec/nodeName"), node);
}

#[tokio::test(start_paused = true)]
async fn stopping_is_cut_short_by_the_grace() {
    let cases = [(SECOND, 1, "Succeeded"), (300 * SECOND, 30, "Failed")];
    for (stop, seconds, phase) in cases {
        let cluster = running(sick(Ailment::SlowStop(stop)), Database::zookeeper("zk"));
        let store = cluster.store();
        let before = uid(store, PODS, "zk-1");
        let mut changes = store.subscribe();
        delete(store, PODS, "zk-1");
        let gone =
            || store.get(PODS, "default", "zk-1").is_none_or(|pod| text(&pod, "/metadata/uid") != before);
        assert_eq!(until(store, "gone", gone).await.as_secs(), seconds);
        let mut last = String::new();
        while let Some(change) = changes.try_next() {
            if change.res == PODS && text(&change.object, "/metadata/uid") == before {
                last = text(&change.object, "/status/phase").to_owned();
            }
        }
        assert_eq!(last, phase);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_a_lost_node_goes_by_force_only() {
    let cluster = restarted(Ailment::StuckTerminating);
    let store = cluster.store();
    tokio::time::sleep(3600 * SECOND).await;
    let before = uid(store, PODS, "zk-1");
    assert!(!get(store, PODS, "zk-1")["metadata"]["deletionTimestamp"].is_null());
    cluster.behaviour().change(|behaviour| behaviour.pods.clear());
    store.delete(PODS, "default", "zk-1", DeleteOptions::now()).unwrap();
    until(store, "back", || is_ready(store, "zk-1")).await;
    assert_ne!(uid(store, PODS, "zk-1"), before);
}

#[tokio::test(start_paused = true)]
async fn a_slow_pod_takes_its_time() {
    let cluster = restarted(Ailment::SlowStart(90 * SECOND));
    let store = cluster.store();
    until(store, "stopped", || !is_ready(store, "zk-1")).await;
    let took = until(store, "ready", || is_ready(store, "zk-1")).await;
    assert_eq!(took.as_secs(), 90);
}

/// How long a deleted pod takes to be Ready again.
async fn back_after(store: &simcluster::Store, pod: &str) -> Duration {
    let began = tokio::time::Instant::now();
    let before = uid(store, PODS, pod);
    delete(store, PODS, pod);
    until(store, "ready", || {
        store.get(PODS, "default", pod).is_some_and(|p| p["metadata"]["uid"] != json!(before))
            && is_ready(store, pod)
    })
    .await;
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_node_downloads_an_image_once() {
    let mut behaviour = Behaviour { download: 60 * SECOND, ..Behaviour::default() };
    behaviour.provisioner.alive = false;
    let cluster = running(behaviour, Database::zookeeper("zk"));
    let store = cluster.store();
    let usual = back_after(store, "zk-1").await;
    assert!(usual < 5 * SECOND, "its image is there: {usual:?}");
    let patched = store.update(PETSETS, "default", "zk", |set| {
        set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("example.com/zookeeper:new");
    });
    patched.expect("it is there");
    let first = back_after(store, "zk-1").await;
    assert!(first >= usual + 60 * SECOND && first < usual + 61 * SECOND, "{first:?}");
    let again = back_after(store, "zk-1").await;
    assert!(again < 5 * SECOND, "its image is there: {again:?}");
    let node = text(&get(store, PODS, "zk-1"), "/spec/nodeName").to_owned();
    let node = store.get("nodes", "", &node).expect("it is there");
    let images = node["status"]["images"].to_string();
    assert!(images.contains("example.com/zookeeper:new"), "{images}");
}

/// A pod that only brings an image to a node: the container need not start for it.
#[tokio::test(start_paused = true)]
async fn a_pod_whose_command_is_not_in_its_image_has_pulled_it() {
    let behaviour = Behaviour { download: 60 * SECOND, ..Behaviour::default() };
    let cluster = running(behaviour, Database::zookeeper("zk"));
    let store = cluster.store();
    let node = simcluster::world::NODES[1];
    let terms = json!([{ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": [node] }] }]);
    let required =
        json!({ "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms } });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "pull", "namespace": "default" },
        "spec": {
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
            "affinity": { "nodeAffinity": required },
            "containers": [{ "name": "pull", "image": "example.com/new:1", "command": ["/no-such-command"] }],
        },
    });
    store.create(PODS, pod).expect("the name is free");
    tokio::time::sleep(50 * SECOND).await;
    assert_eq!(get(store, PODS, "pull")["status"]["containerStatuses"][0]["imageID"], "");
    until(store, "over", || text(&get(store, PODS, "pull"), "/status/phase") == "Failed").await;
    let pod = get(store, PODS, "pull");
    assert_eq!(text(&pod, "/spec/nodeName"), node);
    assert_eq!(text(&pod, "/status/containerStatuses/0/state/terminated/reason"), "StartError");
    assert!(text(&pod, "/status/containerStatuses/0/imageID").starts_with("example.com/new@sha256:"));
    delete(store, PODS, "pull");
    assert!(store.get(PODS, "default", "pull").is_none());
}
