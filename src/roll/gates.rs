//! Whether a pod may be evicted now: a list of gates, each a small function over what is known. Callers walk the list
//! and know none of the gates by name. That every other pod must be healthy is a condition of the order itself: see
//! [`order`](super::order).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::event::WaitingOn;
use crate::model::{Budget, Check, Phase, Plan, Pod, Snapshot, Workload, WorkloadPlan};

use super::Asked;
use super::order::RollMemory;
use super::pace::Pace;

/// How often a pod may be evicted: if it is recreated from the old template once, its controller had not observed the
/// new one yet.
const EVICTIONS: u32 = 2;

/// A budget that has counted too few healthy pods for this long is out of date: its controller recalculates it only
/// when something about it changes.
const BUDGET_STALE: Duration = Duration::from_secs(10);

/// An answer that does not come, comes as no news: it is looked for again after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the gates look at.
pub struct Facts<'a> {
    pub plan: &'a Plan,
    pub workload: &'a WorkloadPlan,
    pub pod: &'a Pod,
    pub snapshot: &'a Snapshot,
    pub memory: &'a RollMemory,
    pub pace: &'a Pace,
    /// The checks that the user has overridden.
    pub skip: &'a BTreeSet<Check>,
    /// Everything is watched at this moment.
    pub watched: bool,
    /// How long a pod may be waited for.
    pub pod_timeout: Duration,
    /// How the database is asked; `None` if it is not.
    pub asked: Option<Asked<'a>>,
    /// The time since the run began.
    pub now: Duration,
}

/// What the gates decide about a pod.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Go,
    Wait(Wait),
    Refuse(Refusal),
}

/// What a pod has to wait for before it may be evicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    /// The reason that is shown; `None` if the wait is over in a moment.
    pub on: Option<WaitingOn>,
    /// Nothing changes before this time unless the cluster changes.
    pub until: Duration,
    /// How the run ends if the wait takes too long; `None` for a budget, because there the server decides.
    pub or: Option<Refusal>,
    /// The status of a budget is out of date.
    pub stale: Option<Stale>,
}

/// A budget whose status is out of date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    pub budget: String,
    /// How many healthy pods it counts; in fact there are more.
    pub counted: i64,
}

/// Why no further pod is restarted.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    DatabaseUnhealthy {
        what: String,
    },
    NotTakenUp {
        workload: String,
        seconds: u64,
    },
    OldTemplate {
        pod: String,
    },
    Resizing {
        pod: String,
        what: String,
    },
    /// The database cannot bear that the pod is restarted, or does not say whether it can.
    Unbearable {
        pod: String,
        on: WaitingOn,
    },
}

type Gate = fn(&Facts<'_>) -> Answer;

/// Checked against what the watches have reported, before anything is read for the eviction.
const WATCHED: [Gate; 5] = [resized, database_bears_it, budget, counted, database_seen_healthy];

/// Checked once everything that the eviction depends on was reread.
const READ: [Gate; 5] = [resized, template_seen, database_healthy, rarely_evicted, database_bears_it];

/// What forbids the eviction according to the watches.
pub fn by_watch(facts: &Facts<'_>) -> Answer {
    first(&WATCHED, facts)
}

/// What forbids the eviction according to a fresh read.
pub fn by_reading(facts: &Facts<'_>) -> Answer {
    first(&READ, facts)
}

fn first(gates: &[Gate], facts: &Facts<'_>) -> Answer {
    gates.iter().map(|gate| gate(facts)).find(|answer| *answer != Answer::Go).unwrap_or(Answer::Go)
}

/// A healthy pod whose resources are being changed in place is left alone until that has ended: whoever has asked for it
/// waits for that pod.
fn resized(facts: &Facts<'_>) -> Answer {
    let now = facts.snapshot.pods.iter().find(|p| p.uid == facts.pod.uid).unwrap_or(facts.pod);
    match now.resize().filter(|_| now.healthy()) {
        Some(what) => {
            let (on, pod) = (WaitingOn::Resize { what: what.clone() }, now.name.clone());
            waiting(on, Refusal::Resizing { pod, what })
        }
        None => Answer::Go,
    }
}

/// A healthy pod waits until the status of its budget allows the eviction; whether an unhealthy one may be evicted,
/// only the server can tell.
fn budget(facts: &Facts<'_>) -> Answer {
    let Some(until) = facts.pace.not_before(allowed(facts.pod, facts.snapshot), facts.now) else {
        return Answer::Go;
    };
    let on = (!facts.pace.within_lag(facts.now)).then(|| blocking(facts.pod, facts.snapshot, ""));
    let stale = on.as_ref().and_then(|_| stale(facts));
    Answer::Wait(Wait { on, until, or: None, stale })
}

/// The budget has counted the pods that are Ready. If its controller does so at the very moment of the eviction, both write
/// the budget, and the server takes back the eviction and tries it again after half a second (`EvictionsRetry` of the API
/// server). That costs no more than time, so a budget that is behind is not waited for long.
fn counted(facts: &Facts<'_>) -> Answer {
    let asked = facts.pod.healthy() && allowed(facts.pod, facts.snapshot);
    let Some((until, told)) = facts.pace.budgets_count(facts.now).filter(|_| asked) else {
        return Answer::Go;
    };
    let pods = &facts.snapshot.pods;
    let behind = facts.snapshot.budgets_of(facts.pod).find_map(|budget| {
        let gone = |pod: &&Pod| !pod.healthy() || budget.disrupted_pods.contains(&pod.name);
        let healthy = pods.iter().filter(|pod| budget.covers(pod) && !gone(pod)).count() as i64;
        (budget.current_healthy < healthy).then_some((budget, healthy))
    });
    let Some((budget, healthy)) = behind else { return Answer::Go };
    let (budget, counted) = (budget.name.clone(), budget.current_healthy);
    let on = told.then_some(WaitingOn::BudgetCount { budget, counted, healthy });
    Answer::Wait(Wait { on, until, or: None, stale: None })
}

/// A pod that is evicted before its controller has observed the new template would be recreated from the old one, or
/// not at all.
fn template_seen(facts: &Facts<'_>) -> Answer {
    if facts.snapshot.workload(&facts.workload.object.uid).is_some_and(Workload::observed) {
        return Answer::Go;
    }
    let (workload, seconds) = (facts.workload.object.to_string(), facts.pod_timeout.as_secs());
    waiting(WaitingOn::Controller, Refusal::NotTakenUp { workload, seconds })
}

/// KubeDB's own health check. An unhealthy pod is not held back by it, because that pod may be the cause.
fn database_healthy(facts: &Facts<'_>) -> Answer {
    match ailing(facts.snapshot).filter(|_| facts.pod.healthy()) {
        Some(what) if !facts.skip.contains(&Check::DatabaseHealth) => {
            waiting(WaitingOn::DatabaseHealth { what: what.clone() }, Refusal::DatabaseUnhealthy { what })
        }
        _ => Answer::Go,
    }
}

/// The same before anything is read: what a broken watch has reported may be old.
fn database_seen_healthy(facts: &Facts<'_>) -> Answer {
    if facts.watched { database_healthy(facts) } else { Answer::Go }
}

/// What the database reports about its own health, if that is bad.
fn ailing(snapshot: &Snapshot) -> Option<String> {
    let db = &snapshot.database;
    if db.phase == Phase::NotReady {
        return Some("phase NotReady".to_owned());
    }
    let (_, condition) = db.condition("AcceptingConnection")?;
    (condition.status == "False").then(|| format!("AcceptingConnection=False ({})", condition.message))
}

/// The database's own word. An unhealthy pod is not held back by it, because that pod may be the cause; nor is one that could
/// not be asked about before the start. Whoever was restarted before has to be a member again.
fn database_bears_it(facts: &Facts<'_>) -> Answer {
    let bound = |asked: &Asked<'_>| facts.pod.healthy() && asked.answers_for(facts.pod);
    let Some(asked) = facts.asked.filter(bound) else { return Answer::Go };
    let returned = asked.returning(facts.plan, facts.snapshot, facts.now).map_or(Ok(()), Err);
    match returned.and_then(|()| asked.may_go(facts.pod, facts.now)) {
        Err(on) if asked.in_a_moment(&on, facts.now) => unsaid(facts.now + LOOK_AGAIN),
        Err(on) => {
            let refusal = Refusal::Unbearable { pod: facts.pod.name.clone(), on: on.clone() };
            let until = facts.now + LOOK_AGAIN;
            Answer::Wait(Wait { on: Some(on), until, or: Some(refusal), stale: None })
        }
        Ok(()) if asked.vitals.good_for(&facts.pod.uid) < asked.apart => {
            let on = asked.not_believed_yet();
            Answer::Wait(Wait { on, until: facts.now + asked.apart, or: None, stale: None })
        }
        Ok(()) => Answer::Go,
    }
}

/// A wait that is over in a moment.
fn unsaid(until: Duration) -> Answer {
    Answer::Wait(Wait { on: None, until, or: None, stale: None })
}

fn rarely_evicted(facts: &Facts<'_>) -> Answer {
    match facts.memory.evictions.get(&facts.pod.name) {
        Some(&EVICTIONS) => Answer::Refuse(Refusal::OldTemplate { pod: facts.pod.name.clone() }),
        _ => Answer::Go,
    }
}

fn waiting(on: WaitingOn, or: Refusal) -> Answer {
    Answer::Wait(Wait { on: Some(on), until: Duration::MAX, or: Some(or), stale: None })
}

/// The status of every budget allows the eviction.
pub fn allowed(pod: &Pod, snapshot: &Snapshot) -> bool {
    !pod.healthy() || snapshot.budgets_of(pod).all(Budget::allows)
}

/// The budget that blocks an eviction, with its numbers, or the server's own message if the budget is not known.
pub fn blocking(pod: &Pod, snapshot: &Snapshot, message: &str) -> WaitingOn {
    match blocker(pod, snapshot) {
        Some(b) => WaitingOn::Budget {
            budget: b.name.clone(),
            needed: b.desired_healthy,
            healthy: b.current_healthy,
            held_by: b.disrupted_pods.iter().find(|p| **p != pod.name).cloned(),
        },
        None => WaitingOn::Server { message: message.to_owned() },
    }
}

fn blocker<'a>(pod: &'a Pod, snapshot: &'a Snapshot) -> Option<&'a Budget> {
    let mut budgets = snapshot.budgets_of(pod);
    budgets.find(|b| !b.allows()).or_else(|| snapshot.budgets_of(pod).next())
}

/// The blocking budget, if it has counted too few healthy pods for a while.
fn stale(facts: &Facts<'_>) -> Option<Stale> {
    let budget = blocker(facts.pod, facts.snapshot)?;
    let healthy = facts.snapshot.pods.iter().filter(|p| p.healthy() && budget.covers(p)).count() as i64;
    let lasting = facts.pace.blocked_since().is_some_and(|since| facts.now >= since + BUDGET_STALE);
    let outdated = lasting && !budget.allows() && healthy > budget.current_healthy;
    outdated.then(|| Stale { budget: budget.name.clone(), counted: budget.current_healthy })
}

#[cfg(test)]
mod tests;
