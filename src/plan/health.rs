//! What the database says of itself before the start. Part of the preflight.

use crate::model::{
    Check, Finding, Health, Lookup, Member, PodAction, PodPlan, Severity, Verdict, WorkloadPlan,
};

use super::context::Context;

/// How many pods are named with their reasons.
const NAMED: usize = 5;

/// What the database says against restarting its pods, and what only it knows. Nothing if no pod is evicted.
pub fn findings(context: &Context<'_>, planned: &[WorkloadPlan], found: &mut Vec<Finding>) {
    if !planned.iter().any(WorkloadPlan::evicts) {
        return;
    }
    match &context.snapshot.health {
        Lookup::Absent => {}
        Lookup::Unreadable(why) => found.push(unasked(context, why)),
        Lookup::Found(health) => {
            found.extend(unbearable(context, planned, health));
            found.extend(unknown(context, health));
            found.extend(
                health
                    .remarks
                    .iter()
                    .map(|remark| Finding::note(remark.check, Severity::Warning, remark.message.clone())),
            );
            found.extend(leaders(planned, health));
        }
    }
}

/// The database cannot be asked at all.
fn unasked(context: &Context<'_>, why: &str) -> Finding {
    let kind = context.snapshot.database.kind.name();
    let message = format!("{kind} cannot be asked about its health: {why}");
    if context.snapshot.environment.require_health {
        let hint = "with --health auto, pods are restarted by their readiness and PodDisruptionBudgets alone";
        return context.refusal(Check::Health, message, hint);
    }
    let hint = "pods are restarted by their readiness and PodDisruptionBudgets alone; docs/health.md says what asking takes";
    Finding { hint: hint.to_owned(), ..Finding::note(Check::Health, Severity::Warning, message) }
}

/// A database below its strength is not touched, unless a broken pod is to be restarted first, which may be the cause.
fn unbearable(context: &Context<'_>, planned: &[WorkloadPlan], health: &Health) -> Option<Finding> {
    let no = |verdict: &Verdict| matches!(verdict, Verdict::No { .. });
    let weak = health.members.iter().filter(|member| no(&member.may_go) || no(&member.back));
    let reasons = reasons(weak, |member| if no(&member.may_go) { &member.may_go } else { &member.back })?;
    let kind = context.snapshot.database.kind.name();
    let message = format!("{kind} cannot bear that its pods are restarted now: {reasons}");
    let broken = |p: &PodPlan| p.action == PodAction::EvictUnhealthy;
    if context.unfinished() || planned.iter().flat_map(|w| &w.pods).any(broken) {
        return Some(Finding {
            hint: "the run waits before each healthy pod until it can".to_owned(),
            ..Finding::note(Check::Quorum, Severity::Warning, message)
        });
    }
    let look = context.command(&["health"], &[]);
    Some(context.refusal(
        Check::Quorum,
        message,
        format!("wait until it is at full strength: {look} --watch"),
    ))
}

/// Pods that did not say whether they may be restarted. Those that cannot be asked are not waited for.
fn unknown(context: &Context<'_>, health: &Health) -> Vec<Finding> {
    let (kind, required) =
        (context.snapshot.database.kind.name(), context.snapshot.environment.require_health);
    let unknown = |member: &&Member| matches!(member.may_go, Verdict::Unknown { .. });
    let of = |unasked: bool| {
        let members = health.members.iter().filter(unknown).filter(move |member| member.unasked == unasked);
        reasons(members, |member| &member.may_go)
    };
    let never = of(true).map(|reasons| {
        let message = format!("{kind} cannot be asked about all pods: {reasons}");
        match required {
            true => context.refusal(
                Check::Health,
                message,
                "with --health auto, these pods are restarted by their readiness and PodDisruptionBudgets alone",
            ),
            false => Finding {
                hint: "these pods are restarted by their readiness and PodDisruptionBudgets alone".to_owned(),
                ..Finding::note(Check::Health, Severity::Warning, message)
            },
        }
    });
    let not_yet = of(false).map(|reasons| Finding {
        hint: "the run waits until it does, at most for --pod-timeout".to_owned(),
        ..Finding::note(
            Check::Health,
            Severity::Warning,
            format!("{kind} does not say yet whether it can bear the restart of its pods: {reasons}"),
        )
    });
    never.into_iter().chain(not_yet).collect()
}

/// The reasons of these members, each with the pods that it is about; `None` if there are no members.
fn reasons<'a>(
    members: impl Iterator<Item = &'a Member>,
    verdict: impl Fn(&Member) -> &Verdict,
) -> Option<String> {
    let mut by_reason: Vec<(String, Vec<&str>)> = Vec::new();
    for member in members {
        let why = verdict(member).why().join("; ");
        match by_reason.iter_mut().find(|(known, _)| *known == why) {
            Some((_, pods)) => pods.push(&member.pod),
            None => by_reason.push((why, vec![&member.pod])),
        }
    }
    let more = by_reason.len().saturating_sub(NAMED);
    let said: Vec<String> =
        by_reason.iter().take(NAMED).map(|(why, pods)| format!("{}: {why}", pods.join(", "))).collect();
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    (!said.is_empty()).then(|| said.join(" | ") + &more)
}

/// Which pods go last in their workloads, as it is now. One that is alone in its workload is the first as well.
fn leaders(planned: &[WorkloadPlan], health: &Health) -> Option<Finding> {
    let evicted = |w: &WorkloadPlan| -> Vec<String> {
        w.pods.iter().filter(|p| p.action == PodAction::Evict).map(|p| p.name.clone()).collect()
    };
    let shared: Vec<String> = planned.iter().map(evicted).filter(|pods| pods.len() > 1).flatten().collect();
    let leaders = health.members.iter().filter(|m| m.leader && shared.contains(&m.pod));
    let leaders: Vec<&str> = leaders.map(|m| m.pod.as_str()).collect();
    let (lead, go, other) = match leaders.len() {
        0 => return None,
        1 => ("leads", "goes last in its workload", "another pod"),
        _ => ("lead", "go last in their workloads", "other pods"),
    };
    let message = format!(
        "{} {lead} and {go}; {other} may lead by then, which is asked before each restart",
        leaders.join(" and ")
    );
    Some(Finding::note(Check::LeaderLast, Severity::Info, message))
}
