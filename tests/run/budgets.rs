//! Evictions that a disruption budget does not allow.

use std::time::Duration;

use kubectl_dbupdate::event::{Event, Outcome, WaitingOn};
use serde_json::json;
use simcluster::world::{self, Database};
use simcluster::{ApiError, Behaviour, Cause, ChangeKind, Effect, Fault};

use crate::common::{BUDGETS, Ended, NAMESPACE, Running, World, secs};

/// Every budget allows one pod to be away again.
fn unblock(world: &World) {
    let allow = |budget: &mut serde_json::Value| budget["spec"]["maxUnavailable"] = json!(1);
    world.store().update(BUDGETS, NAMESPACE, "db", allow).unwrap();
}

fn on_a_budget(event: &Event) -> bool {
    matches!(event, Event::PodWaiting { on: WaitingOn::Budget { .. }, .. })
}

/// A run that is blocked after its first pod.
async fn blocked(world: &World) -> Running {
    let mut run = world.start_with(|o| o.bounds.pod_timeout = secs(60)).await;
    run.evicted("db-0").await;
    world::block_budgets(&world.sim);
    let shown = run.event("the budget is shown", on_a_budget).await;
    let Event::PodWaiting { pod, on: WaitingOn::Budget { budget, needed, healthy, held_by }, .. } = shown
    else {
        panic!("{shown:?}")
    };
    assert_eq!((pod.as_str(), budget.as_str(), needed, healthy, held_by), ("db-1", "db", 3, 3, None));
    run
}

#[tokio::test(start_paused = true)]
async fn a_blocked_eviction_is_tried_until_the_pod_timeout() {
    let world = World::new(Database::zookeeper("db"));
    let ended = blocked(&world).await.end().await;
    ended.ended(Outcome::Failed, 4, true, true);
    ended.says(&[
        "db-1",
        "PodDisruptionBudget db",
        "3 pods needed healthy",
        "3 are",
        "kubectl describe poddisruptionbudget db",
    ]);
    let took = ended.took() - ended.ready_at("db-0");
    assert!((secs(60)..secs(67)).contains(&took), "{took:?}");
    let refused = world.sim.requests().iter().filter(|r| r.status == Some(429)).count();
    assert!((5..40).contains(&refused), "tried {refused} times");
    assert_eq!(world.evictions().len(), 1);
    unblock(&world);
    world.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn a_blocked_eviction_goes_on_as_soon_as_it_may() {
    let world = World::new(Database::zookeeper("db"));
    let run = blocked(&world).await;
    tokio::time::sleep(secs(40)).await;
    let mut changes = world.store().subscribe();
    unblock(&world);
    let unblocked = tokio::time::Instant::now();
    let evicted = loop {
        let change = changes.next().await.unwrap();
        if change.name == "db-1" && change.kind == ChangeKind::Modified {
            break unblocked.elapsed();
        }
    };
    assert!(evicted < Duration::from_millis(100), "{evicted:?}");
    run.end().await.done();
    world.is_updated();
}

/// The watch of the budgets may be behind, and of a pod that is not well only the server can tell: it is asked now and
/// then, and not without a pause.
#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_what_the_budget_allows_is_not_hammered() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.ready("db-0").await;
    let cause = Cause { reason: "DisruptionBudget".into(), message: "not now".into(), field: String::new() };
    let refusal = ApiError::too_many_requests("it would violate the budget").because(&[cause]);
    world.sim.faults().add(Fault::new(Effect::Answer(refusal)).path("/eviction").lasting(secs(60)));
    run.end().await.done();
    let refused = world.sim.requests().iter().filter(|r| r.status == Some(429)).count();
    assert!((30..120).contains(&refused), "tried {refused} times");
    world.is_updated();
}

#[tokio::test(start_paused = true)]
async fn an_earlier_eviction_that_holds_the_budget_is_named() {
    let world = World::new(Database::zookeeper("db"));
    let since = world.store().now().to_string();
    let spend = |budget: &mut serde_json::Value| {
        budget["status"]["disruptedPods"] = json!({ "db-2": since });
        budget["status"]["disruptionsAllowed"] = json!(0);
    };
    world.store().update_status(BUDGETS, NAMESPACE, "db", spend).unwrap();
    let ended = world.update().await;
    ended.done();
    let held = |e: &Event| matches!(e, Event::PodWaiting { on: WaitingOn::Budget { held_by, .. }, .. } if held_by.as_deref() == Some("db-2"));
    assert!(ended.has(held));
    assert!(ended.evicted_at("db-0") > secs(100), "{:?}", ended.evicted_at("db-0"));
    world.is_updated();
}

/// From each pod's Ready to the next eviction.
fn gaps(ended: &Ended) -> [Duration; 2] {
    [("db-0", "db-1"), ("db-1", "db-2")].map(|(done, next)| ended.evicted_at(next) - ended.ready_at(done))
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_lags_behind_for_a_moment_is_no_news() {
    for (lag, shown) in [(10, false), (300, false), (900, false), (3000, true)] {
        let lag = Duration::from_millis(lag);
        // A pod that is gone before its budget has heard of its eviction holds the budget for two minutes.
        let behaviour = Behaviour { budget_lag: lag, stop: lag + secs(1), ..Behaviour::default() };
        let world = World::behaving(behaviour, Database::zookeeper("db"));
        let ended = world.update().await;
        ended.done();
        assert_eq!(ended.has(on_a_budget), shown, "{lag:?}");
        for gap in gaps(&ended) {
            assert!(gap <= lag + Duration::from_millis(25), "{gap:?} with a lag of {lag:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_has_fallen_behind_is_said_to_have() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.evicted("db-0").await;
    // It sees that the pod is away, and not that it has come back.
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.sim.behaviour().change(|b| b.budget_lag = secs(40));
    let ended = run.end().await;
    ended.done();
    let told: Vec<_> = ended.events().filter(|e| matches!(e, Event::Notice { .. })).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let poke = "kubectl annotate poddisruptionbudget db -n default --overwrite";
    assert!(matches!(told[0], Event::Notice { message } if message.contains(poke)), "{told:?}");
}

/// A budget that would allow the next eviction is written at the moment at which it counts the pod that is Ready. An eviction
/// that meets that write costs the server half a second.
#[tokio::test(start_paused = true)]
async fn no_eviction_meets_the_write_of_its_budget() {
    for (lag, write) in [(5, 20), (17, 20), (300, 400)] {
        let (budget_lag, budget_write) = (Duration::from_millis(lag), Duration::from_millis(write));
        let behaviour =
            Behaviour { budget_lag, budget_write, stop: budget_lag + secs(1), ..Behaviour::default() };
        let world = World::behaving(behaviour, Database::zookeeper("db").max_unavailable(2));
        let ended = world.update().await;
        ended.done();
        assert_eq!(world.sim.evictions_begun_again(), 0, "{lag} ms");
        assert!(!ended.has(counting), "{lag} ms: a moment is no news");
        for gap in gaps(&ended) {
            assert!(gap <= budget_lag + budget_write + Duration::from_millis(5), "{gap:?}");
        }
        world.is_updated();
    }
}

fn counting(event: &Event) -> bool {
    matches!(event, Event::PodWaiting { on: WaitingOn::BudgetCount { .. }, .. })
}

/// The disruption controller does not run: what the budget allows is evicted, and then it is the budget that blocks.
#[tokio::test(start_paused = true)]
async fn a_budget_that_never_counts_holds_up_no_eviction_that_it_allows() {
    let world = World::new(Database::zookeeper("db").max_unavailable(2));
    let mut run = world.start_with(|o| o.bounds.pod_timeout = secs(60)).await;
    run.evicted("db-0").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.sim.behaviour().change(|b| b.budget_lag = secs(10_000));
    let ended = run.end().await;
    let shown = ended.events().find(|e| counting(e)).expect("it is shown");
    let Event::PodWaiting { pod, on: WaitingOn::BudgetCount { budget, counted, healthy }, .. } = shown else {
        panic!("{shown:?}")
    };
    assert_eq!((pod.as_str(), budget.as_str(), *counted, *healthy), ("db-1", "db", 2, 3));
    let gap = ended.evicted_at("db-1") - ended.ready_at("db-0");
    assert!((secs(3)..secs(4)).contains(&gap), "{gap:?}");
    ended.ended(Outcome::Failed, 4, true, true);
    ended.says(&["db-2", "PodDisruptionBudget db"]);
}
