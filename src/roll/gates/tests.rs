use std::time::Duration;

use kube::core::Selector;

use super::*;
use crate::model::{Budget, Condition, PodCondition};
use crate::roll::testworld::*;

const NOW: Duration = Duration::from_secs(100);

/// What both looks say of the first pod of `a`.
fn asked(snapshot: &Snapshot, memory: &RollMemory, pace: &Pace, skip: &BTreeSet<Check>) -> (Answer, Answer) {
    let plan = plan(&[]);
    let facts = Facts {
        plan: &plan,
        workload: &plan.workloads[0],
        pod: &snapshot.pods[0],
        snapshot,
        memory,
        pace,
        skip,
        watched: true,
        pod_timeout: Duration::from_secs(60),
        asked: None,
        now: NOW,
    };
    (by_watch(&facts), by_reading(&facts))
}

fn on(answer: &Answer) -> Option<&WaitingOn> {
    match answer {
        Answer::Wait(wait) => wait.on.as_ref(),
        Answer::Go | Answer::Refuse(_) => None,
    }
}

fn healthy() -> Snapshot {
    snapshot(&["old", "old", "old"], &["old", "old", "old"])
}

fn tight() -> Budget {
    Budget {
        name: "pdb".into(),
        resource_version: "1".into(),
        selector: Some(Selector::default()),
        min_available: None,
        max_unavailable: None,
        generation: 1,
        observed_generation: 1,
        disruptions_allowed: 0,
        current_healthy: 2,
        desired_healthy: 3,
        expected_pods: 3,
        disrupted_pods: vec!["a-1".into()],
    }
}

#[test]
fn a_healthy_pod_of_a_healthy_database_goes() {
    let nothing = (RollMemory::default(), Pace::default(), BTreeSet::new());
    let (watched, read) = asked(&healthy(), &nothing.0, &nothing.1, &nothing.2);
    assert_eq!((watched, read), (Answer::Go, Answer::Go));
}

#[test]
fn a_budget_is_waited_for_once_the_server_has_refused_with_its_numbers() {
    let mut now = healthy();
    now.budgets.push(tight());
    let (memory, skip, mut pace) = (RollMemory::default(), BTreeSet::new(), Pace::default());
    assert_eq!(asked(&now, &memory, &pace, &skip).0, Answer::Go, "the server is asked first");
    pace.refused(false, NOW);
    let (watched, _) = asked(&now, &memory, &pace, &skip);
    let held_by = Some("a-1".to_owned());
    let numbers = WaitingOn::Budget { budget: "pdb".into(), needed: 3, healthy: 2, held_by };
    assert_eq!(on(&watched), Some(&numbers));
    let Answer::Wait(wait) = watched else { panic!("it waits") };
    assert_eq!((wait.or, wait.stale), (None, None), "the server has the last word, and it is not stale yet");
    // A pod that is not healthy is the server's to decide.
    now.pods[0].ready = false;
    assert_eq!(asked(&now, &memory, &Pace::default(), &skip).0, Answer::Go);
}

#[test]
fn a_budget_is_waited_for_a_moment_to_count_what_has_become_ready() {
    let (memory, skip) = (RollMemory::default(), BTreeSet::new());
    let ready_before = |ms: u64| {
        let mut pace = Pace::default();
        pace.ready(NOW - Duration::from_millis(ms));
        pace
    };
    // Six pods are covered. An evicted pod that its budget has not seen going does not count, whatever it says of itself.
    let shown = Some(WaitingOn::BudgetCount { budget: "pdb".into(), counted: 5, healthy: 6 });
    for (counted, disrupted, pace, waits) in [
        (5, None, ready_before(10), Some(None)),
        (5, None, ready_before(1_500), Some(shown)),
        (5, None, ready_before(3_000), None),
        (5, None, Pace::default(), None),
        (6, None, ready_before(10), None),
        (9, None, ready_before(10), None),
        (5, Some("a-1"), ready_before(10), None),
    ] {
        let mut now = healthy();
        let disrupted_pods = disrupted.map(str::to_owned).into_iter().collect();
        let counts = Budget { disruptions_allowed: 1, current_healthy: counted, disrupted_pods, ..tight() };
        now.budgets.push(counts);
        let said = match asked(&now, &memory, &pace, &skip).0 {
            Answer::Wait(wait) => Some(wait.on),
            Answer::Go => None,
            Answer::Refuse(why) => panic!("{why:?}"),
        };
        assert_eq!(said, waits, "{counted} {disrupted:?} {pace:?}");
        now.pods[0].ready = false;
        assert_eq!(asked(&now, &memory, &pace, &skip).0, Answer::Go, "only the server can tell");
    }
}

#[test]
fn a_budget_that_counts_too_few_healthy_pods_for_a_while_is_stale() {
    let mut now = healthy();
    now.budgets.push(tight());
    let (memory, skip, mut pace) = (RollMemory::default(), BTreeSet::new(), Pace::default());
    pace.refused(false, NOW - BUDGET_STALE);
    pace.refused(false, NOW);
    let stale = |now: &Snapshot| match asked(now, &memory, &pace, &skip).0 {
        Answer::Wait(wait) => wait.stale.map(|stale| stale.budget),
        Answer::Go | Answer::Refuse(_) => None,
    };
    assert_eq!(stale(&now).as_deref(), Some("pdb"));
    now.budgets[0].current_healthy = 6;
    assert_eq!(stale(&now), None, "it counts all of them");
}

#[test]
fn a_sick_database_keeps_healthy_pods_and_lets_sick_ones_go() {
    let (memory, pace, skip) = (RollMemory::default(), Pace::default(), BTreeSet::new());
    let refuses = Condition {
        kind: "AcceptingConnection".into(),
        status: "False".into(),
        reason: String::new(),
        message: "connection refused".into(),
        ..Condition::default()
    };
    let mut unreachable = healthy();
    unreachable.database.conditions.push(refuses);
    let mut not_ready = healthy();
    not_ready.database.phase = Phase::NotReady;
    for (mut now, what) in
        [(not_ready, "phase NotReady"), (unreachable, "AcceptingConnection=False (connection refused)")]
    {
        let health = WaitingOn::DatabaseHealth { what: what.to_owned() };
        let (watched, read) = asked(&now, &memory, &pace, &skip);
        assert_eq!((on(&watched), on(&read)), (Some(&health), Some(&health)), "{what}");
        let overridden = BTreeSet::from([Check::DatabaseHealth]);
        assert_eq!(asked(&now, &memory, &pace, &overridden), (Answer::Go, Answer::Go), "{what}");
        now.pods[0].ready = false;
        assert_eq!(asked(&now, &memory, &pace, &skip), (Answer::Go, Answer::Go), "{what}");
    }
}

#[test]
fn a_template_that_its_controller_has_not_seen_is_waited_for() {
    let (memory, pace, skip) = (RollMemory::default(), Pace::default(), BTreeSet::new());
    let mut now = healthy();
    now.workloads[0].generation = 2;
    let (watched, read) = asked(&now, &memory, &pace, &skip);
    assert_eq!(watched, Answer::Go, "only a fresh look tells");
    assert_eq!(on(&read), Some(&WaitingOn::Controller));
}

#[test]
fn a_pod_that_came_back_on_the_old_template_twice_is_not_evicted_again() {
    let (mut memory, pace, skip) = (RollMemory::default(), Pace::default(), BTreeSet::new());
    memory.evictions.insert("a-0".into(), 1);
    assert_eq!(asked(&healthy(), &memory, &pace, &skip).1, Answer::Go);
    memory.evictions.insert("a-0".into(), 2);
    let refused = Answer::Refuse(Refusal::OldTemplate { pod: "a-0".into() });
    assert_eq!(asked(&healthy(), &memory, &pace, &skip).1, refused);
}

#[test]
fn a_pod_that_is_resized_in_place_is_waited_for_unless_it_is_ill() {
    let (memory, pace, skip) = (RollMemory::default(), Pace::default(), BTreeSet::new());
    for (kind, status, reason, what) in [
        ("PodResizePending", "True", "Deferred", Some("PodResizePending: Deferred: no room")),
        ("PodResizeInProgress", "True", "", Some("PodResizeInProgress: no room")),
        ("PodResizeInProgress", "False", "", None),
        ("ContainersReady", "True", "", None),
    ] {
        let mut now = healthy();
        now.pods[0].conditions = vec![PodCondition {
            kind: kind.into(),
            status: status.into(),
            reason: reason.into(),
            message: "no room".into(),
        }];
        let wanted = what.map(|what| WaitingOn::Resize { what: what.to_owned() });
        let (watched, read) = asked(&now, &memory, &pace, &skip);
        assert_eq!((on(&watched), on(&read)), (wanted.as_ref(), wanted.as_ref()), "{kind} {status}");
        now.pods[0].ready = false;
        assert_eq!(asked(&now, &memory, &pace, &skip), (Answer::Go, Answer::Go), "{kind} {status}");
    }
}

/// What the gates say of `a-0`, whose database has said this of it for so long.
fn said(before: &str, last: &str, good_for: u64, ill: bool) -> Answer {
    let (plan, mut now, mut memory) = (plan(&[]), healthy(), RollMemory::default());
    now.pods[0].uid = "uid-a-0".into();
    now.pods[0].ready = !ill;
    let (before, last) = (health(&[("a-0", before)]), health(&[("a-0", last)]));
    memory.vitals.hear(NOW - Duration::from_secs(good_for), &last);
    memory.vitals.hear(NOW, &last);
    let vitals = memory.vitals.clone();
    let asked = Asked {
        database: "Kafka",
        before: &before,
        last: Some(&last),
        vitals: &vitals,
        apart: Duration::from_secs(2),
    };
    let facts = Facts {
        plan: &plan,
        workload: &plan.workloads[0],
        pod: &now.pods[0],
        snapshot: &now,
        memory: &memory,
        pace: &Pace::default(),
        skip: &BTreeSet::new(),
        watched: true,
        pod_timeout: Duration::from_secs(60),
        asked: Some(asked),
        now: NOW,
    };
    let (watched, read) = (by_watch(&facts), by_reading(&facts));
    assert_eq!(watched, read, "it is asked both before and after the reading");
    read
}

#[test]
fn a_pod_goes_only_while_the_database_says_so_long_enough() {
    assert_eq!(said("yes", "yes", 2, false), Answer::Go);
    let Answer::Wait(wait) = said("yes", "yes", 1, false) else { panic!("it waits") };
    assert_eq!((wait.on, wait.or), (None, None), "it is over in a moment");
    for (last, on) in [
        ("no", WaitingOn::Database { database: "Kafka".into(), why: vec!["1 of 2 in sync".into()] }),
        ("unknown", WaitingOn::Answer { database: "Kafka".into(), why: vec!["no answer".into()] }),
    ] {
        let Answer::Wait(wait) = said("yes", last, 2, false) else { panic!("it waits") };
        let refusal = Refusal::Unbearable { pod: "a-0".into(), on: on.clone() };
        assert_eq!((wait.on, wait.or), (Some(on), Some(refusal)), "{last}");
    }
}

#[test]
fn the_word_of_the_database_does_not_bind_every_pod() {
    for (before, ill, why) in [
        ("unasked", false, "nobody could ask it before the start"),
        ("yes", true, "it may be the cause itself"),
    ] {
        assert_eq!(said(before, "no", 2, ill), Answer::Go, "{why}");
    }
}
