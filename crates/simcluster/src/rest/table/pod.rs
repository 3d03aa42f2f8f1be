//! The columns of pods: a short word for all that can be the matter with one.

use jiff::Timestamp;
use serde_json::Value;

use super::age;
use super::column::{AGE, Column, NAME};
use crate::object;

pub(super) static COLUMNS: &[Column] = &[
    NAME,
    Column::text("Ready", ready),
    Column::text("Status", |pod| Summary::of(pod).reason),
    Column::timed("Restarts", restarts),
    AGE,
    Column::text("IP", |pod| or_none(&pod["status"]["podIP"])).wide(),
    Column::text("Node", |pod| or_none(&pod["spec"]["nodeName"])).wide(),
    Column::text("Nominated Node", |pod| or_none(&pod["status"]["nominatedNodeName"])).wide(),
    Column::text("Readiness Gates", |_| "<none>".to_owned()).wide(),
];

/// A text, or what kubectl prints for none.
pub(super) fn or_none(value: &Value) -> String {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or("<none>").to_owned()
}

fn ready(pod: &Value) -> String {
    let sidecars = containers(pod, "initContainers").iter().filter(|init| init["restartPolicy"] == "Always");
    let total = containers(pod, "containers").len() + sidecars.count();
    format!("{}/{total}", Summary::of(pod).ready)
}

fn restarts(pod: &Value, now: Timestamp) -> String {
    let summary = Summary::of(pod);
    match summary.last_restart {
        Some(at) if summary.restarts > 0 => {
            format!("{} ({} ago)", summary.restarts, age::human(now.duration_since(at).as_secs()))
        }
        _ => summary.restarts.to_string(),
    }
}

/// What `kubectl get pods` says about a pod.
struct Summary {
    reason: String,
    ready: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let status = &pod["status"];
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let reason = text(&status["reason"]).or_else(|| text(&status["phase"])).unwrap_or_default();
        let mut summary = Self { reason, ready: 0, restarts: 0, last_restart: None };
        if !summary.count_init_containers(pod) || is_true(pod, "Initialized") {
            summary.count_containers(pod);
        }
        let finished = matches!(status["phase"].as_str(), Some("Succeeded" | "Failed"));
        if object::is_terminating(pod) && status["reason"] == "NodeLost" {
            summary.reason = "Unknown".to_owned();
        } else if object::is_terminating(pod) && !finished {
            summary.reason = "Terminating".to_owned();
        }
        summary
    }

    /// Whether an init container is still to be waited for.
    fn count_init_containers(&mut self, pod: &Value) -> bool {
        let total = containers(pod, "initContainers").len();
        for (index, container) in statuses(pod, "initContainerStatuses").iter().enumerate() {
            self.count_restarts(container);
            let state = &container["state"];
            let waiting = state["waiting"]["reason"].as_str().unwrap_or_default();
            if state["terminated"]["exitCode"] == 0 {
                continue;
            }
            // Only a native sidecar counts as started.
            if container["started"] == true {
                self.ready += usize::from(container["ready"] == true);
                continue;
            }
            self.reason = if state["terminated"].is_object() {
                format!("Init:{}", terminated(&state["terminated"]))
            } else if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{index}/{total}")
            };
            return true;
        }
        false
    }

    fn count_containers(&mut self, pod: &Value) {
        (self.restarts, self.last_restart) = (0, None);
        let mut runs = false;
        for container in statuses(pod, "containerStatuses").iter().rev() {
            self.count_restarts(container);
            let state = &container["state"];
            let waiting = state["waiting"]["reason"].as_str().unwrap_or_default();
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if state["terminated"].is_object() {
                self.reason = terminated(&state["terminated"]);
            } else if container["ready"] == true && state["running"].is_object() {
                runs = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && runs {
            self.reason = if is_true(pod, "Ready") { "Running" } else { "NotReady" }.to_owned();
        }
    }

    fn count_restarts(&mut self, container: &Value) {
        self.restarts += container["restartCount"].as_i64().unwrap_or(0);
        let finished = container["lastState"]["terminated"]["finishedAt"].as_str();
        let finished = finished.and_then(|time| time.parse().ok());
        self.last_restart = self.last_restart.max(finished);
    }
}

fn containers<'a>(pod: &'a Value, list: &str) -> &'a [Value] {
    pod["spec"][list].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn statuses<'a>(pod: &'a Value, field: &str) -> &'a [Value] {
    pod["status"][field].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn terminated(state: &Value) -> String {
    let signal = state["signal"].as_i64().unwrap_or(0);
    match state["reason"].as_str().filter(|reason| !reason.is_empty()) {
        Some(reason) => reason.to_owned(),
        None if signal != 0 => format!("Signal:{signal}"),
        None => format!("ExitCode:{}", state["exitCode"].as_i64().unwrap_or(0)),
    }
}

fn is_true(pod: &Value, condition: &str) -> bool {
    object::condition(pod, condition).is_some_and(|condition| condition["status"] == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Summary;

    fn pod(deleted: bool, status: Value) -> Value {
        let mut pod = json!({"metadata": {}, "spec": {"initContainers": [{}, {}]}, "status": status});
        if deleted {
            pod["metadata"]["deletionTimestamp"] = json!("2024-01-01T00:00:00Z");
        }
        pod
    }

    #[test]
    fn the_status_column_names_what_matters_most() {
        let waiting = |reason: &str| json!([{"state": {"waiting": {"reason": reason}}}]);
        let running = json!([{"ready": true, "state": {"running": {}}}]);
        let cases = [
            (false, json!({"phase": "Pending"}), "Pending"),
            (false, json!({"phase": "Running", "containerStatuses": running}), "Running"),
            (true, json!({"phase": "Running", "containerStatuses": running}), "Terminating"),
            (
                false,
                json!({"phase": "Pending", "containerStatuses": waiting("ImagePullBackOff")}),
                "ImagePullBackOff",
            ),
            (
                false,
                json!({"phase": "Pending", "initContainerStatuses": waiting("ErrImagePull")}),
                "Init:ErrImagePull",
            ),
            (
                false,
                json!({"phase": "Pending", "initContainerStatuses": [
                    {"state": {"terminated": {"exitCode": 0}}}, {"state": {"running": {}}}]}),
                "Init:1/2",
            ),
            (
                false,
                json!({"phase": "Running", "containerStatuses": [
                    {"state": {"terminated": {"exitCode": 3}}}]}),
                "ExitCode:3",
            ),
        ];
        for (deleted, status, expected) in cases {
            assert_eq!(Summary::of(&pod(deleted, status)).reason, expected);
        }
    }
}
