//! The words for what a run does and waits for, shared by every reporter.

use crate::event::{Outcome, Step, StepOutcome, WaitingOn};
use crate::model::{
    Action, Check, KeptWhy, Method, Plan, PodAction, Purpose, Severity, Strategy, WorkloadPlan, clean,
};

/// A duration that is over, from milliseconds: `5 ms`, `0.4 s`, `1m 05s`, `2h 03m`. Never rounded up.
pub fn duration(ms: u64) -> String {
    match ms {
        0..100 => format!("{ms} ms"),
        100..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => seconds(ms / 1000),
    }
}

/// A duration that goes on, or a limit, from seconds: `5 s`, `1m 05s`, `2h 03m`.
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
        Step::Request => "request",
        Step::Follow => "follow",
        Step::Render => "render",
        Step::Pause => "pause",
        Step::PatchImages => "patch images",
        Step::RollPods => "roll pods",
        Step::SetVersion => "set version",
        Step::Resume => "resume",
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
        Outcome::RolledBack => "failed and rolled back",
        Outcome::Stopped => "stopped",
        Outcome::SomebodyElse => "stopped, since somebody else is at work",
        Outcome::Failed => "failed",
    }
}

/// What is waited for; completes "waits for".
pub fn waiting(on: &WaitingOn) -> String {
    match on {
        WaitingOn::Operator { timeout_seconds } => {
            format!("KubeDB's operator to acknowledge the pause (at most {})", seconds(*timeout_seconds))
        }
        WaitingOn::OpsManager { request, phase, doing } => {
            with_reason(&format!("ops request {}, which is {}", clean(request), clean(phase)), &[doing])
        }
        WaitingOn::Rendering { workload, what } => {
            with_reason(&format!("KubeDB's operator to render {}", clean(workload)), &[what])
        }
        WaitingOn::Controller => "the workload's controller to see the new template".into(),
        WaitingOn::OtherPod { pod, why } => with_reason(&format!("pod {} to be well", clean(pod)), &[why]),
        WaitingOn::DatabaseHealth { what } => with_reason("the database to be healthy", &[what]),
        WaitingOn::Budget { budget, needed, healthy, held_by } => {
            blocked(budget, *needed, *healthy, held_by.as_deref())
        }
        WaitingOn::Server { message } => with_reason("the API server to accept the call", &[message]),
        WaitingOn::Termination { grace_seconds } => format!(
            "the old pod to end (it is given {})",
            seconds(u64::try_from(*grace_seconds).unwrap_or(0))
        ),
        WaitingOn::Creation => "the new pod to be made by its controller".into(),
        WaitingOn::Scheduling { message } => with_reason("a node for the new pod", &[message]),
        WaitingOn::Container { container, reason, message } => {
            with_reason(&format!("container {} to start", clean(container)), &[reason, message])
        }
        WaitingOn::Readiness => "the new pod to be Ready".into(),
        WaitingOn::MinReady { seconds: s } => {
            format!("the new pod to stay Ready for {}", seconds(*s))
        }
        WaitingOn::Settling { seconds: s } => {
            format!("the templates to stay as they are for {}", seconds(*s))
        }
    }
}

fn blocked(budget: &str, needed: i64, healthy: i64, held_by: Option<&str>) -> String {
    let held = held_by.map(|pod| format!("the eviction of {} still counts", clean(pod)));
    with_reason(
        &format!("disruption budget {}: {healthy} healthy, {needed} needed", clean(budget)),
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
        Severity::Refusal => "refused",
        Severity::Overridden => "overridden",
        Severity::Warning => "warnings",
        Severity::Info => "good to know",
    }
}

/// The flag with which a user overrides a refusal; `None` where nothing does.
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

/// What a plan comes to.
pub fn action(plan: &Plan) -> &'static str {
    match (plan.action, plan.method) {
        (Action::Update, Method::Client) => "images, pods and spec.version are updated",
        (Action::Update, Method::Provisioner) => {
            "via provisioner: spec.version is set, KubeDB's operator renders the templates, then the pods are restarted"
        }
        (Action::Update | Action::Roll, Method::OpsManager) => {
            "via ops-manager: an ops request is made, by which KubeDB's Ops-manager updates everything"
        }
        (Action::Roll, Method::Client) => "spec.version is there already; images and pods follow it",
        (Action::Roll, Method::Provisioner) => {
            "via provisioner: spec.version is there already; templates and pods follow it"
        }
        (Action::Rollback, Method::Provisioner) => {
            "via provisioner: spec.version goes back, KubeDB's operator renders the templates, then the pods follow"
        }
        (Action::Rollback, _) => "images, pods and spec.version go back to what they were",
        (Action::Resume, _) => {
            "everything is there already; what is left is to remove our own pause and to verify"
        }
        (Action::Nothing, _) => "everything is there already; nothing is to do",
    }
}

/// Why an image stays.
pub fn kept(why: KeptWhy) -> &'static str {
    match why {
        KeptWhy::Sidecar => "stays: a sidecar, the catalog does not name it",
        KeptWhy::AlreadyOnTarget => "stays: on the target already",
    }
}

/// Who restarts the pods of a workload.
pub fn strategy(workload: &WorkloadPlan) -> &'static str {
    match workload.strategy {
        Strategy::Evict => "evicted one at a time",
        Strategy::Follow => "replaced by its own controller once the images are patched",
        Strategy::OpsManager => "restarted by the Ops-manager",
    }
}

/// What happens to a pod; what it waits for is said beside it.
pub fn pod_action(action: PodAction) -> &'static str {
    match action {
        PodAction::Evict => "evicted",
        PodAction::EvictUnhealthy => "evicted first",
        PodAction::Follow => "replaced",
        PodAction::Await | PodAction::Skip => "left alone",
    }
}

/// What a write is for.
pub fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::RequestPause => "request the pause",
        Purpose::AssertPause => "assert the pause",
        Purpose::PatchImages => "patch the images",
        Purpose::Evict => "evict a pod",
        Purpose::Delete => "delete a pod that is not well",
        Purpose::SetVersion => "set the version",
        Purpose::Resume => "resume",
        Purpose::Request => "make the ops request",
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
    fn every_wait_names_what_it_is_about() {
        for (on, shown) in [
            (
                WaitingOn::Operator { timeout_seconds: 90 },
                "KubeDB's operator to acknowledge the pause (at most 1m 30s)",
            ),
            (
                WaitingOn::OtherPod { pod: "kf-2".into(), why: "not Ready".into() },
                "pod kf-2 to be well: not Ready",
            ),
            (
                WaitingOn::Budget { budget: "kf".into(), needed: 2, healthy: 2, held_by: None },
                "disruption budget kf: 2 healthy, 2 needed",
            ),
            (
                WaitingOn::Budget {
                    budget: "kf".into(),
                    needed: 2,
                    healthy: 3,
                    held_by: Some("kf-0".into()),
                },
                "disruption budget kf: 3 healthy, 2 needed: the eviction of kf-0 still counts",
            ),
            (WaitingOn::Termination { grace_seconds: -1 }, "the old pod to end (it is given 0 s)"),
            (WaitingOn::Scheduling { message: String::new() }, "a node for the new pod"),
            (
                WaitingOn::Container {
                    container: "kafka".into(),
                    reason: "ImagePullBackOff".into(),
                    message: "back-off\u{1b}[31m pulling".into(),
                },
                "container kafka to start: ImagePullBackOff: back-off [31m pulling",
            ),
            (WaitingOn::Settling { seconds: 3 }, "the templates to stay as they are for 3 s"),
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
