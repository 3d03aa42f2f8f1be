//! The words of kubelet and scheduler, in statuses and Events.

use std::time::Duration;

use serde_json::Value;

use super::status::Spot;
use crate::controllers::Context;
use crate::controllers::events::{self, Note};
use crate::object;
use crate::read::text;

/// An Event of the pod's kubelet.
pub(super) fn kubelet(
    context: &Context,
    pod: &Value,
    warning: bool,
    reason: &str,
    message: String,
    field: String,
) {
    let host = text(pod, "/spec/nodeName");
    events::write(context, pod, Note { warning, reason, message, component: "kubelet", host, field });
}

/// An Event of the scheduler.
pub(super) fn scheduler(context: &Context, pod: &Value, warning: bool, reason: &str, message: String) {
    let note =
        Note { warning, reason, message, component: "default-scheduler", host: "", field: String::new() };
    events::write(context, pod, note);
}

/// The Events of a container that comes up.
pub(super) fn started(context: &Context, pod: &Value, spot: Spot) {
    let container = spot.container(pod);
    let pulled = format!("Container image \"{}\" already present on machine", text(container, "/image"));
    kubelet(context, pod, false, "Pulled", pulled, spot.path(pod));
    let started = format!("Started container {}", text(container, "/name"));
    kubelet(context, pod, false, "Started", started, spot.path(pod));
}

/// Why an image could not be pulled.
pub(super) fn pull_error(image: &str) -> String {
    format!(
        "rpc error: code = NotFound desc = failed to pull and unpack image \"{image}\": \
         failed to resolve reference \"{image}\": {image}: not found"
    )
}

/// Why an image's name is of no use.
pub(super) fn invalid_name(image: &str) -> String {
    format!(
        "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": invalid reference format"
    )
}

/// Why a container's environment cannot be set up.
pub(super) fn config_error(pod: &Value, spot: Spot) -> String {
    format!("secret \"{}-config\" not found", text(spot.container(pod), "/name"))
}

/// A pod as the kubelet names it in texts.
fn full_name(pod: &Value) -> String {
    format!("{}_{}({})", object::name(pod), object::namespace(pod), object::uid(pod))
}

/// How long a container that keeps failing has to wait.
pub(super) fn crash_back_off(pod: &Value, spot: Spot, delay: Duration) -> String {
    let delay = go_duration(delay);
    let container = text(spot.container(pod), "/name");
    format!("back-off {delay} restarting failed container={container} pod={}", full_name(pod))
}

/// The Event for the same.
pub(super) fn crash_event(pod: &Value, spot: Spot) -> String {
    format!(
        "Back-off restarting failed container {} in pod {}",
        text(spot.container(pod), "/name"),
        full_name(pod)
    )
}

/// A duration as Go prints it, in whole seconds.
fn go_duration(duration: Duration) -> String {
    let (minutes, seconds) = (duration.as_secs() / 60, duration.as_secs() % 60);
    if minutes == 0 { format!("{seconds}s") } else { format!("{minutes}m{seconds}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_gos() {
        assert_eq!(go_duration(Duration::from_secs(10)), "10s");
        assert_eq!(go_duration(Duration::from_secs(80)), "1m20s");
        assert_eq!(go_duration(Duration::from_secs(300)), "5m0s");
    }
}
