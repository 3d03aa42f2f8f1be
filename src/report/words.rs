//! The words for what a run does and waits for, shared by every reporter.

use crate::event::{Event, Outcome, Step, StepOutcome, WaitingOn};
use crate::model::{
    Action, Check, KeptWhy, Method, Plan, PodAction, Purpose, Severity, Strategy, WorkProgress, WorkloadPlan,
    clean, pods_needed, size,
};

/// A duration that is over, from milliseconds: `5 ms`, `0.4 s`, `1m 05s`, `2h 03m`. Never rounded up.
pub fn duration(ms: u64) -> String {
    match ms {
        0..100 => format!("{ms} ms"),
        100..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => seconds(ms / 1000),
    }
}

/// A duration that may have been longer.
pub fn at_least(ms: u64, at_least: bool) -> String {
    format!("{}{}", if at_least { "at least " } else { "" }, duration(ms))
}

/// A duration that is still running, or a limit, from seconds: `5 s`, `1m 05s`, `2h 03m`.
pub fn seconds(s: u64) -> String {
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        _ => format!("{}h {:02}m", s / 3600, s % 3600 / 60),
    }
}

/// `1 pod`, `3 pods`; the plural takes an `s`.
pub fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// What a step does, in at most twelve columns.
pub fn step(step: Step) -> &'static str {
    match step {
        Step::Lock => "lock",
        Step::PrePull => "pre-pull",
        Step::Request => "request",
        Step::Follow => "follow",
        Step::Render => "render",
        Step::Pause => "pause",
        Step::PatchImages => "patch images",
        Step::RollPods => "roll pods",
        Step::SetVersion => "set version",
        Step::Resume => "resume",
        Step::Finish => "finish",
        Step::Verify => "verify",
    }
}

/// How a step ended.
pub fn step_outcome(outcome: StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Done => "done",
        StepOutcome::AlreadyDone => "nothing to do",
        StepOutcome::Failed => "failed",
        StepOutcome::Stopped => "stopped",
    }
}

/// How a run ended.
pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Nothing => "nothing to do",
        Outcome::Refused => "refused",
        Outcome::NotReady => "not Ready",
        Outcome::RolledBack => "failed and rolled back",
        Outcome::Stopped => "stopped",
        Outcome::SomebodyElse => "stopped because another user or controller is changing the database",
        Outcome::Failed => "failed",
    }
}

/// The words for events outside the usual sequence of steps and pods.
pub fn remark(event: &Event) -> Option<String> {
    Some(match event {
        Event::ImagePullStarted { node, image } => format!("node {node}: {image}: downloading"),
        Event::ImagePullWaiting { node, image, on } => {
            format!("node {node}: {image}: waiting for {}", waiting(on))
        }
        Event::ImagePulled { node, image, took_ms } => {
            format!("node {node}: {image}: there after {}", duration(*took_ms))
        }
        Event::ImageNotPulled { node, image, why } => {
            format!("node {node}: {image}: not pre-pulled, so its pod will have to wait for it: {why}")
        }
        Event::WorkStarted { work, number, of } => format!("{number} of {of}: {work}"),
        Event::WorkProgressed { work, progress } => format!("{work}: {}", progressed(progress)),
        Event::WorkDone { work, took_ms } => format!("{work}: done after {}", duration(*took_ms)),
        Event::PauseRequested { adopted: false } => "pause requested".into(),
        Event::PauseRequested { adopted: true } => "taking over the pause of an earlier run".into(),
        Event::PauseAcknowledged { took_ms } => {
            format!("pause acknowledged by the operator after {}", duration(*took_ms))
        }
        Event::PauseUnanswered { after_ms } => format!(
            "no operator acknowledged the pause within {}; paused without acknowledgement",
            duration(*after_ms)
        ),
        Event::PauseRewritten => "a status update by the operator erased the pause; it was set again".into(),
        Event::PauseRemovedAgain => {
            "a stale status update brought our pause back; it was removed again".into()
        }
        Event::VersionSet { from, to } => format!("spec.version set: {from} → {to}"),
        Event::Resumed => "our pause was removed".into(),
        Event::Requested { request } => format!("{request} created"),
        Event::RollingBack { plan } => {
            format!("the update failed; rolling back to {} (--on-failure rollback)", plan.to.name)
        }
        Event::Repinned { workload, container, image } => format!(
            "{workload}: the operator pinned container {container} to {image}; no pod is restarted for it"
        ),
        Event::Retrying { call, why, attempt, in_ms } => {
            // Most errors begin with the call themselves.
            let why = why.strip_prefix(call.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(why);
            format!("retrying in {}: {call}: {why} (attempt {attempt})", duration(*in_ms))
        }
        Event::Notice { message } => message.clone(),
        Event::Stopping { why, pod: None } => format!("stopping ({why})"),
        Event::Stopping { why, pod: Some(pod) } => {
            let again = if why == "SIGINT" { "press Ctrl-C" } else { "send a signal" };
            format!("stopping ({why}) as soon as {pod} is done; {again} again to stop at once")
        }
        _ => return None,
    })
}

fn progressed(progress: &WorkProgress) -> String {
    let WorkProgress { doing, done, total } = progress;
    match total {
        0 => doing.clone(),
        total => format!("{doing}: {} % of {}", done.saturating_mul(100) / total, size(*total)),
    }
}

/// What a run waits for; completes "waiting for".
pub fn waiting(on: &WaitingOn) -> String {
    match on {
        WaitingOn::Operator { timeout_seconds } => {
            format!("the operator to acknowledge the pause (timeout {})", seconds(*timeout_seconds))
        }
        WaitingOn::OpsManager { request, phase, doing } => {
            with_reason(&format!("ops request {} ({})", clean(request), clean(phase)), &[doing])
        }
        WaitingOn::Rendering { workload, what } => {
            with_reason(&format!("the operator to render {}", clean(workload)), &[what])
        }
        WaitingOn::Controller => "the controller to observe the new pod template".into(),
        WaitingOn::OtherPod { pod, why } => {
            with_reason(&format!("pod {} to become healthy", clean(pod)), &[why])
        }
        WaitingOn::DatabaseHealth { what } => with_reason("the database to become healthy", &[what]),
        WaitingOn::Database { database, why } => with_reason(&clean(database), &[&why.join("; ")]),
        WaitingOn::Answer { database, why } => {
            with_reason(&format!("an answer of {}", clean(database)), &[&why.join("; ")])
        }
        WaitingOn::Work { database, work } => {
            format!("{} to {}", clean(database), clean(&work.to_string()))
        }
        WaitingOn::Drain { work, timeout_seconds } => with_reason(
            &format!("the work of the pod to end, which is drained (timeout {})", seconds(*timeout_seconds)),
            &[&work.join(", ")],
        ),
        WaitingOn::Resize { what } => with_reason("the resize of the pod to end", &[what]),
        WaitingOn::Budget { budget, needed, healthy, held_by } => {
            blocked(budget, *needed, *healthy, held_by.as_deref())
        }
        WaitingOn::BudgetCount { budget, counted, healthy } => {
            format!("PodDisruptionBudget {} to count {healthy} healthy pods; it counts {counted}", clean(budget))
        }
        WaitingOn::Server { message } => with_reason("the API server to accept the request", &[message]),
        WaitingOn::Termination { grace_seconds } => format!(
            "the old pod to terminate (grace period {})",
            seconds(u64::try_from(*grace_seconds).unwrap_or(0))
        ),
        WaitingOn::Creation { why, since } => {
            let since = if since.is_empty() { String::new() } else { format!("since {since}") };
            with_reason("the controller to create the new pod", &[why, &since])
        }
        WaitingOn::SchedulingGates { gates } => {
            with_reason("the scheduling gates of the new pod to be removed", &[&gates.join(", ")])
        }
        WaitingOn::ReadinessGates { gates, message } => {
            with_reason("the readiness gates of the new pod to open", &[&gates.join(", "), message])
        }
        WaitingOn::Scheduling { message } => with_reason("the new pod to be scheduled", &[message]),
        WaitingOn::Container { container, reason, message } => {
            with_reason(&format!("container {} to start", clean(container)), &[reason, message])
        }
        WaitingOn::Readiness => "the new pod to become Ready".into(),
        WaitingOn::MinReady { seconds: s } => {
            format!("the new pod to stay Ready for {}", seconds(*s))
        }
        WaitingOn::Settling { seconds: s } => {
            format!("the pod templates to stay unchanged for {}", seconds(*s))
        }
        WaitingOn::Phase { before: true, .. } => {
            "KubeDB to report Ready: its phase is Ready, but may be from before (its health checker runs every 10 to 30 s)"
                .into()
        }
        WaitingOn::Phase { phase, before: false } => {
            format!("KubeDB to report Ready: now {} (its health checker runs every 10 to 30 s)", clean(phase))
        }
    }
}

fn blocked(budget: &str, needed: i64, healthy: i64, held_by: Option<&str>) -> String {
    let held = held_by.map(|pod| format!("the eviction of {} is still pending", clean(pod)));
    with_reason(
        &format!(
            "PodDisruptionBudget {} to allow a disruption: {}",
            clean(budget),
            pods_needed(needed, None, healthy)
        ),
        &[held.as_deref().unwrap_or_default()],
    )
}

/// The thing and its reasons, where there are any: `thing: reason: message`.
fn with_reason(thing: &str, reasons: &[&str]) -> String {
    let mut text = thing.to_owned();
    for reason in reasons.iter().map(|r| clean(r)).filter(|r| !r.is_empty()) {
        text.push_str(": ");
        text.push_str(&reason);
    }
    text
}

/// The heading over findings of that severity.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Refusal => "failed checks",
        Severity::Overridden => "overridden",
        Severity::Warning => "warnings",
        Severity::Info => "info",
    }
}

/// The flag that overrides a failed check; `None` where the check cannot be overridden.
pub fn flag(check: Check) -> Option<String> {
    match check {
        Check::Downgrade => Some("--allow-downgrade".into()),
        Check::DeprecatedTarget => Some("--allow-deprecated".into()),
        Check::DataDowngrade => Some("--allow-data-downgrade".into()),
        _ if Check::OVERRIDABLE.contains(&check) => Some(format!("--skip-check {check}")),
        _ => None,
    }
}

/// A resource as kubectl writes it: `kafkas.kubedb.com/status`.
pub fn resource(group: &str, resource: &str) -> String {
    let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let dot = if group.is_empty() { "" } else { "." };
    let slash = if subresource.is_empty() { "" } else { "/" };
    format!("{plural}{dot}{group}{slash}{subresource}")
}

/// What a plan will do, in one line.
pub fn action(plan: &Plan) -> &'static str {
    match (plan.action, plan.method) {
        (Action::Update, Method::Client) => "images, pods and spec.version will be updated",
        (Action::Update, Method::Provisioner) => {
            "via provisioner: spec.version will be set, the operator will render the pod templates, then the pods will be restarted"
        }
        (Action::Update | Action::Roll, Method::OpsManager) => {
            "via ops-manager: an ops request will be created, and the Ops-manager will do the whole update"
        }
        (Action::Roll, Method::Client) => {
            "spec.version is already set; images and pods will be updated to match"
        }
        (Action::Roll, Method::Provisioner) => {
            "via provisioner: spec.version is already set; pod templates and pods will be updated to match"
        }
        (Action::Rollback, Method::Provisioner) => {
            "via provisioner: spec.version will be set back, the operator will render the pod templates, then the pods will be restarted"
        }
        (Action::Rollback, _) => "images, pods and spec.version will be rolled back to what they were",
        (Action::Resume, _) => {
            "everything is already on the target; our pause will be removed and the update verified"
        }
        (Action::Finish, _) if plan.finish.as_ref().is_some_and(|finish| finish.undo) => {
            "what the last finish has changed in the database itself will be undone; no pod will be restarted"
        }
        (Action::Finish, _) => "the update will be finished in the database itself; no pod will be restarted",
        (Action::Nothing, _) => "everything is already on the target; nothing to do",
    }
}

/// Why an image is left unchanged.
pub fn kept(why: KeptWhy) -> &'static str {
    match why {
        KeptWhy::Sidecar => "unchanged: a sidecar that is not in the catalog",
        KeptWhy::AlreadyOnTarget => "unchanged: already on the target",
    }
}

/// Who restarts the pods of a workload.
pub fn strategy(workload: &WorkloadPlan) -> &'static str {
    match workload.strategy {
        Strategy::Evict => "to be evicted one at a time",
        Strategy::Follow => "to be replaced by its controller once the images are patched",
        Strategy::OpsManager => "to be restarted by the Ops-manager",
    }
}

/// What will happen to a pod.
pub fn pod_action(action: PodAction) -> &'static str {
    match action {
        PodAction::Evict => "will be evicted",
        PodAction::EvictUnhealthy => "will be evicted first (not healthy)",
        PodAction::Follow => "will be replaced",
        PodAction::Await | PodAction::Skip => "will not be restarted",
    }
}

/// The condition that a pod's action waits for, or who does it; follows [`pod_action`].
pub fn waits_for(action: PodAction, what: &str) -> String {
    if what.is_empty() {
        return String::new();
    }
    match action {
        PodAction::Follow => format!(" by {what}"),
        PodAction::Evict | PodAction::EvictUnhealthy => format!(" once {what}"),
        PodAction::Await | PodAction::Skip => format!("; the run will continue once {what}"),
    }
}

/// What a write is for.
pub fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::RequestPause => "request the pause",
        Purpose::AssertPause => "set the pause",
        Purpose::PatchImages => "patch the images",
        Purpose::Evict => "evict a pod",
        Purpose::Delete => "delete an unhealthy pod",
        Purpose::SetVersion => "set spec.version",
        Purpose::Resume => "remove the pause",
        Purpose::Request => "create the ops request",
        Purpose::PrePull => "create a pod that downloads an image",
        Purpose::RemovePrePull => "remove a pod that downloads an image",
        Purpose::Finish => "finish the update",
        Purpose::Recreate => "create the pod again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_and_never_rounded_up() {
        for (ms, shown) in [
            (0, "0 ms"),
            (99, "99 ms"),
            (100, "0.1 s"),
            (449, "0.4 s"),
            (59_999, "59.9 s"),
            (60_000, "1m 00s"),
            (65_400, "1m 05s"),
            (3_599_999, "59m 59s"),
            (3_600_000, "1h 00m"),
            (90_061_000, "25h 01m"),
        ] {
            assert_eq!(duration(ms), shown, "{ms}");
        }
    }

    #[test]
    fn a_call_that_is_tried_again_is_named_once() {
        for why in ["watch petsets: the watch stalled", "the watch stalled"] {
            let (call, why) = ("watch petsets".to_owned(), why.to_owned());
            let said = remark(&Event::Retrying { call, why, attempt: 1, in_ms: 200 });
            let expected = "retrying in 0.2 s: watch petsets: the watch stalled (attempt 1)";
            assert_eq!(said.as_deref(), Some(expected));
        }
    }

    #[test]
    fn every_wait_names_what_it_is_about() {
        for (on, shown) in [
            (
                WaitingOn::Operator { timeout_seconds: 90 },
                "the operator to acknowledge the pause (timeout 1m 30s)",
            ),
            (
                WaitingOn::OtherPod { pod: "kf-2".into(), why: "not Ready".into() },
                "pod kf-2 to become healthy: not Ready",
            ),
            (
                WaitingOn::Budget { budget: "kf".into(), needed: 2, healthy: 2, held_by: None },
                "PodDisruptionBudget kf to allow a disruption: 2 pods needed healthy, 2 are",
            ),
            (
                WaitingOn::Budget {
                    budget: "kf".into(),
                    needed: 2,
                    healthy: 3,
                    held_by: Some("kf-0".into()),
                },
                "PodDisruptionBudget kf to allow a disruption: 2 pods needed healthy, 3 are: the eviction of kf-0 is still pending",
            ),
            (WaitingOn::Termination { grace_seconds: -1 }, "the old pod to terminate (grace period 0 s)"),
            (WaitingOn::Scheduling { message: String::new() }, "the new pod to be scheduled"),
            (
                WaitingOn::Container {
                    container: "kafka".into(),
                    reason: "ImagePullBackOff".into(),
                    message: "back-off\u{1b}[31m pulling".into(),
                },
                "container kafka to start: ImagePullBackOff: back-off [31m pulling",
            ),
            (WaitingOn::Settling { seconds: 3 }, "the pod templates to stay unchanged for 3 s"),
            (
                WaitingOn::Phase { phase: "Critical".into(), before: false },
                "KubeDB to report Ready: now Critical (its health checker runs every 10 to 30 s)",
            ),
            (
                WaitingOn::Phase { phase: "Ready".into(), before: true },
                "KubeDB to report Ready: its phase is Ready, but may be from before (its health checker runs every 10 to 30 s)",
            ),
        ] {
            assert_eq!(waiting(&on), shown);
        }
    }

    #[test]
    fn a_refusal_names_the_flag_that_overrides_it() {
        for (check, shown) in [
            (Check::Downgrade, Some("--allow-downgrade")),
            (Check::DeprecatedTarget, Some("--allow-deprecated")),
            (Check::PodNotReady, Some("--skip-check pod-not-ready")),
            (Check::Halted, None),
        ] {
            assert_eq!(flag(check).as_deref(), shown, "{check}");
        }
    }

    #[test]
    fn steps_fit_their_column() {
        for s in Step::ALL {
            assert!(step(s).len() <= 12, "{}", step(s));
        }
    }
}
