//! A pod's status, as a kubelet reports it: edits of a `status` in place.

use serde_json::{Value, json};

use crate::kubedb::digest;
use crate::object;
use crate::read::{list, set_condition, text};

/// A container of a pod, by its list and its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub init: bool,
    pub at: usize,
}

impl Spot {
    fn statuses(self) -> &'static str {
        if self.init { "initContainerStatuses" } else { "containerStatuses" }
    }

    /// The container in the pod's spec.
    pub fn container(self, pod: &Value) -> &Value {
        let list = if self.init { "initContainers" } else { "containers" };
        &pod["spec"][list][self.at]
    }

    /// An init container that keeps running beside the containers: a native sidecar.
    pub fn is_sidecar(self, pod: &Value) -> bool {
        self.init && text(self.container(pod), "/restartPolicy") == "Always"
    }

    /// The container's field path in Events.
    pub fn path(self, pod: &Value) -> String {
        let list = if self.init { "spec.initContainers" } else { "spec.containers" };
        format!("{list}{{{}}}", text(self.container(pod), "/name"))
    }
}

/// The status that the API server has given the pod when it was new.
fn pending(pod: &Value) -> Value {
    json!({ "phase": "Pending", "qosClass": pod["status"]["qosClass"] })
}

/// A node was chosen.
pub(crate) fn scheduled(status: &mut Value, now: &str) {
    set_condition(status, json!({ "type": "PodScheduled", "status": "True" }), now);
}

/// No node has room.
pub(crate) fn unschedulable(status: &mut Value, message: &str, now: &str) {
    let condition =
        json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message });
    set_condition(status, condition, now);
}

/// Nobody looks for a node before the pod's scheduling gates are removed.
pub(crate) fn gated(status: &mut Value, now: &str) {
    let message = "Scheduling is blocked due to non-empty scheduling gates";
    let condition =
        json!({ "type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": message });
    set_condition(status, condition, now);
}

/// The kubelet has taken the pod on; no container runs yet.
pub(crate) fn accepted(status: &mut Value, pod: &Value, now: &str) {
    let inits = list(pod, "/spec/initContainers");
    let waiting = if inits.is_empty() { "ContainerCreating" } else { "PodInitializing" };
    let fresh = |containers: &[Value]| -> Value {
        containers.iter().map(|container| fresh(container, waiting)).collect()
    };
    let map = object::map_mut(status);
    map.insert("phase".into(), json!("Pending"));
    if !inits.is_empty() {
        map.insert("initContainerStatuses".into(), fresh(inits));
    }
    map.insert("containerStatuses".into(), fresh(list(pod, "/spec/containers")));
    map.insert("startTime".into(), json!(now));
    set_addresses(status, "hostIP", "hostIPs", &host_ip(pod));
    let initialized = inits.is_empty();
    set_condition(status, json!({ "type": "PodReadyToStartContainers", "status": "False" }), now);
    set_initialized(status, initialized, pod, now);
    set_ready(status, false, pod, now);
}

fn fresh(container: &Value, reason: &str) -> Value {
    json!({
        "name": container["name"], "image": container["image"], "imageID": "",
        "ready": false, "started": false, "restartCount": 0,
        "state": { "waiting": { "reason": reason } }, "lastState": {},
    })
}

fn set_initialized(status: &mut Value, done: bool, pod: &Value, now: &str) {
    let condition = if done {
        json!({ "type": "Initialized", "status": "True" })
    } else {
        let names = names(list(pod, "/spec/initContainers"));
        let message = format!("containers with incomplete status: [{names}]");
        json!({ "type": "Initialized", "status": "False", "reason": "ContainersNotInitialized", "message": message })
    };
    set_condition(status, condition, now);
}

/// Sets both conditions about readiness.
fn set_ready(status: &mut Value, ready: bool, pod: &Value, now: &str) {
    let containers = if ready {
        json!({ "type": "ContainersReady", "status": "True" })
    } else {
        let message = format!("containers with unready status: [{}]", names(list(pod, "/spec/containers")));
        json!({ "type": "ContainersReady", "status": "False", "reason": "ContainersNotReady", "message": message })
    };
    let unmet = unmet_gates(status, pod);
    let mut whole = match ready && !unmet.is_empty() {
        true => json!({ "status": "False", "reason": "ReadinessGatesNotReady", "message": unmet }),
        false => containers.clone(),
    };
    whole["type"] = json!("Ready");
    set_condition(status, whole, now);
    set_condition(status, containers, now);
}

/// What the kubelet says of the readiness gates whose conditions are not True; somebody else sets these.
fn unmet_gates(status: &Value, pod: &Value) -> String {
    let unmet = list(pod, "/spec/readinessGates").iter().filter_map(|gate| {
        let kind = text(gate, "/conditionType");
        match list(status, "/conditions").iter().find(|condition| condition["type"] == kind) {
            None => Some(format!("corresponding condition of pod readiness gate \"{kind}\" does not exist.")),
            Some(condition) if condition["status"] == "True" => None,
            Some(condition) => Some(format!(
                "the status of pod readiness gate \"{kind}\" is not \"True\", but {}",
                text(condition, "/status")
            )),
        }
    });
    unmet.collect::<Vec<_>>().join(", ")
}

fn names(containers: &[Value]) -> String {
    let names: Vec<_> = containers.iter().map(|container| text(container, "/name")).collect();
    names.join(" ")
}

fn set_addresses(status: &mut Value, one: &str, all: &str, ip: &str) {
    let map = object::map_mut(status);
    map.insert(one.into(), json!(ip));
    map.insert(all.into(), json!([{ "ip": ip }]));
}

fn host_ip(pod: &Value) -> String {
    node_ip(text(pod, "/spec/nodeName"))
}

/// The address of a node.
pub(crate) fn node_ip(node: &str) -> String {
    let hash = digest::hash(node.as_bytes());
    format!("10.0.0.{}", 2 + hash % 250)
}

fn pod_ip(pod: &Value) -> String {
    let hash = digest::hash(object::uid(pod).as_bytes());
    format!("10.244.{}.{}", (hash >> 8) % 250, 2 + hash % 250)
}

/// The pod's sandbox and network are up.
fn has_network(status: &mut Value, pod: &Value, now: &str) {
    set_addresses(status, "podIP", "podIPs", &pod_ip(pod));
    set_condition(status, json!({ "type": "PodReadyToStartContainers", "status": "True" }), now);
}

fn edit(status: &mut Value, spot: Spot, change: impl FnOnce(&mut Value)) {
    let container = status.get_mut(spot.statuses()).and_then(|list| list.get_mut(spot.at));
    // Anybody may write to a pod's status: what is no object is not ours.
    if let Some(container) = container.filter(|container| container.is_object()) {
        change(container);
    }
}

fn run(container: &mut Value, spot: Spot, pod: &Value, now: &str) {
    let image = text(spot.container(pod), "/image");
    let seed = format!("{}{}{}", object::uid(pod), container["name"], container["restartCount"]);
    container["imageID"] = json!(digest::image_id(image));
    container["containerID"] = json!(format!("containerd://{}", digest::sha256(&seed)));
    container["state"] = json!({ "running": { "startedAt": now } });
    container["started"] = json!(!spot.init || spot.is_sidecar(pod));
}

/// An init container runs.
pub(crate) fn init_running(status: &mut Value, at: usize, pod: &Value, now: &str) {
    let spot = Spot { init: true, at };
    edit(status, spot, |container| run(container, spot, pod, now));
    has_network(status, pod, now);
}

/// An init container has done its work; a native sidecar goes on running.
pub(crate) fn init_completed(status: &mut Value, at: usize, pod: &Value, now: &str) {
    let spot = Spot { init: true, at };
    edit(status, spot, |container| {
        if !spot.is_sidecar(pod) {
            container["state"] = ended(container, 0, "Completed", now);
        }
        container["ready"] = json!(true);
    });
}

/// All init containers are done; the containers are being created.
pub(crate) fn initialized(status: &mut Value, pod: &Value, now: &str) {
    set_initialized(status, true, pod, now);
}

/// A container runs; its readiness probe has not succeeded yet.
pub(crate) fn started(status: &mut Value, at: usize, pod: &Value, now: &str) {
    let spot = Spot { init: false, at };
    edit(status, spot, |container| run(container, spot, pod, now));
    has_network(status, pod, now);
}

/// Every container has run.
pub(crate) fn phase_running(status: &mut Value) {
    object::map_mut(status).insert("phase".into(), json!("Running"));
}

/// The readiness probes have succeeded, or fail again.
pub(crate) fn ready(status: &mut Value, ready: bool, pod: &Value, now: &str) {
    for at in 0..list(pod, "/spec/containers").len() {
        edit(status, Spot { init: false, at }, |container| {
            container["ready"] = json!(ready && container["state"]["running"].is_object());
        });
    }
    set_ready(status, ready, pod, now);
}

/// A container waits, and says why.
pub(crate) fn waiting(status: &mut Value, spot: Spot, reason: &str, message: &str) {
    edit(status, spot, |container| {
        if container["state"]["terminated"].is_object() {
            container["lastState"] = container["state"].take();
        }
        container["state"] = json!({ "waiting": { "reason": reason, "message": message } });
        container["ready"] = json!(false);
        container["started"] = json!(false);
    });
}

/// A container has exited.
pub(crate) fn exited(status: &mut Value, spot: Spot, exit_code: i32, pod: &Value, now: &str) {
    edit(status, spot, |container| {
        container["state"] = ended(container, exit_code, exit_reason(exit_code), now);
        container["ready"] = json!(false);
        container["started"] = json!(false);
    });
    if !spot.init {
        set_ready(status, false, pod, now);
    }
}

/// A container that has exited runs again.
pub(crate) fn restarted(status: &mut Value, spot: Spot, pod: &Value, now: &str) {
    edit(status, spot, |container| {
        if container["state"]["terminated"].is_object() {
            container["lastState"] = container["state"].take();
        }
        container["restartCount"] = json!(container["restartCount"].as_i64().unwrap_or_default() + 1);
        run(container, spot, pod, now);
    });
}

/// Every container that ran has been stopped; the pod ends as its exit codes say.
pub(crate) fn stopped(status: &mut Value, exit_code: i32, pod: &Value, now: &str) {
    let inits = (0..list(pod, "/spec/initContainers").len()).map(|at| Spot { init: true, at });
    let containers = (0..list(pod, "/spec/containers").len()).map(|at| Spot { init: false, at });
    for spot in inits.filter(|spot| spot.is_sidecar(pod)).chain(containers) {
        edit(status, spot, |container| {
            if container["state"]["running"].is_object() {
                let reason = if exit_code == 0 { "Completed" } else { "Error" };
                container["state"] = ended(container, exit_code, reason, now);
            }
            container["ready"] = json!(false);
            container["started"] = json!(false);
        });
    }
    let phase = if exit_code == 0 { "Succeeded" } else { "Failed" };
    object::map_mut(status).insert("phase".into(), json!(phase));
    let reason = if exit_code == 0 { "PodCompleted" } else { "PodFailed" };
    for kind in ["Ready", "ContainersReady"] {
        set_condition(status, json!({ "type": kind, "status": "False", "reason": reason }), now);
    }
    set_condition(status, json!({ "type": "PodReadyToStartContainers", "status": "False" }), now);
}

/// The container runtime could not start the pod's containers, and nobody tries again.
pub(crate) fn not_started(status: &mut Value, pod: &Value, now: &str) {
    for (at, container) in list(pod, "/spec/containers").iter().enumerate() {
        let command = text(container, "/command/0");
        let spot = Spot { init: false, at };
        edit(status, spot, |container| {
            run(container, spot, pod, now);
            container["state"] = ended(container, 128, "StartError", now);
            container["state"]["terminated"]["message"] = json!(format!(
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create \
                 failed: unable to start container process: error during container init: exec: \"{command}\": stat \
                 {command}: no such file or directory"
            ));
            container["started"] = json!(false);
        });
    }
    object::map_mut(status).insert("phase".into(), json!("Failed"));
}

fn ended(container: &Value, exit_code: i32, reason: &str, now: &str) -> Value {
    let started = container.pointer("/state/running/startedAt").cloned().unwrap_or_else(|| json!(now));
    let id = container["containerID"].clone();
    json!({ "terminated": {
        "exitCode": exit_code, "reason": reason, "startedAt": started, "finishedAt": now, "containerID": id,
    } })
}

/// What the container runtime calls an exit code.
fn exit_reason(exit_code: i32) -> &'static str {
    match exit_code {
        0 => "Completed",
        137 => "OOMKilled",
        _ => "Error",
    }
}

/// The status of a pod that has come up long ago and is Ready.
pub(crate) fn up(pod: &Value, now: &str) -> Value {
    let mut status = pending(pod);
    scheduled(&mut status, now);
    accepted(&mut status, pod, now);
    for at in 0..list(pod, "/spec/initContainers").len() {
        init_running(&mut status, at, pod, now);
        init_completed(&mut status, at, pod, now);
    }
    initialized(&mut status, pod, now);
    for at in 0..list(pod, "/spec/containers").len() {
        started(&mut status, at, pod, now);
    }
    phase_running(&mut status);
    ready(&mut status, true, pod, now);
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::condition_status;

    fn pod() -> Value {
        json!({
            "metadata": {"name": "db-0", "uid": "u"},
            "spec": {
                "nodeName": "n1",
                "initContainers": [{"name": "init", "image": "i:1"}],
                "containers": [{"name": "db", "image": "a:1"}, {"name": "agent", "image": "b:1"}],
            },
        })
    }

    #[test]
    fn a_pod_that_is_up_says_so_everywhere() {
        let mut up_pod = pod();
        up_pod["status"] = up(&pod(), "t");
        for kind in ["PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"] {
            assert_eq!(condition_status(&up_pod, kind), "True", "{kind}");
        }
        assert!(
            list(&up_pod, "/status/containerStatuses").iter().all(|container| container["ready"] == true)
        );
        assert_eq!(text(&up_pod, "/status/initContainerStatuses/0/state/terminated/reason"), "Completed");
        assert!(text(&up_pod, "/status/containerStatuses/0/imageID").starts_with("a@sha256:"));
    }

    #[test]
    fn a_crash_is_remembered_as_the_last_state() {
        let spot = Spot { init: false, at: 0 };
        let mut status = up(&pod(), "t0");
        exited(&mut status, spot, 1, &pod(), "t1");
        waiting(&mut status, spot, "CrashLoopBackOff", "back-off");
        let crashed = &status["containerStatuses"][0];
        assert_eq!(crashed["lastState"]["terminated"]["exitCode"], 1);
        assert_eq!(crashed["state"]["waiting"]["reason"], "CrashLoopBackOff");
        restarted(&mut status, spot, &pod(), "t2");
        assert_eq!(status["containerStatuses"][0]["restartCount"], 1);
        assert_eq!(status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"], 1);
        assert_eq!(status["containerStatuses"][1]["restartCount"], 0);
    }
}
