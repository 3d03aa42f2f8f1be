use super::*;
use crate::model::{Lookup, UpdateStrategy};
use crate::roll::testworld::*;

fn short(next: Next) -> String {
    match next {
        Next::Done => "done".into(),
        Next::WorkloadGone => "gone".into(),
        Next::Await { pod } => format!("await {pod}"),
        Next::Evict { pod, healthy, .. } => format!("evict {pod}{}", if healthy { "" } else { ", ill" }),
        Next::Hold { pod, .. } => format!("hold for {pod}"),
        Next::Taken { pod, .. } => format!("{pod} is taken"),
    }
}

/// What comes next in `a`.
fn next_of(a: &[&str], b: &[&str], ill: &[&str], memory: &RollMemory) -> String {
    let plan = plan(ill);
    short(next(&plan, &plan.workloads[0], &snapshot(a, b), memory))
}

const WELL: [&str; 3] = ["old", "old", "old"];

#[test]
fn one_pod_after_the_other_while_all_others_are_well() {
    for (a, b, expected) in [
        (["old", "old", "old"], WELL, "evict a-0"),
        (["old-going", "old", "old"], WELL, "await a-0"),
        (["-", "old", "old"], WELL, "await a-0"),
        (["ill-new", "old", "old"], WELL, "await a-0"),
        (["new", "old", "old"], WELL, "evict a-1"),
        (["new", "old", "new"], WELL, "evict a-1"),
        (["new", "new", "new"], WELL, "done"),
        // A done pod that relapses holds the next.
        (["ill-new", "new", "old"], WELL, "await a-0"),
        // Somebody else restarts another one.
        (["new", "old", "old-going"], WELL, "await a-2"),
        (["new", "old", "-"], WELL, "await a-2"),
        // An old pod that has become unhealthy is given time, and no other is touched.
        (["new", "old", "ill-old"], WELL, "hold for a-2"),
        // Nor while anything of another workload is away.
        (["new", "old", "old"], ["old", "ill-old", "old"], "hold for b-1"),
        (["new", "old", "old"], ["old", "ill-new", "old"], "hold for b-1"),
        (["new", "old", "old"], ["old", "old-going", "old"], "hold for b-1"),
        (["new", "new", "new"], ["old", "ill-old", "old"], "done"),
    ] {
        assert_eq!(next_of(&a, &b, &[], &RollMemory::default()), expected, "{a:?} {b:?}");
    }
}

#[test]
fn a_pod_that_is_missing_elsewhere_holds_as_well() {
    assert_eq!(
        next_of(&["new", "old", "old"], &["old", "-", "old"], &[], &RollMemory::default()),
        "hold for b-1"
    );
}

#[test]
fn what_was_ill_from_the_start_goes_first() {
    for (a, b, ill, expected) in [
        (["old", "old", "ill-old"], WELL, "a-2", "evict a-2, ill"),
        (["old", "old", "-"], WELL, "a-2", "await a-2"),
        (["old", "old", "ill-new"], WELL, "a-2", "await a-2"),
        (["old", "old", "new"], WELL, "a-2", "evict a-0"),
        (["ill-new", "old", "ill-old"], WELL, "a-2", "evict a-2, ill"),
        (["old", "old", "old"], ["old", "old", "ill-old"], "b-2", "evict b-2, ill"),
    ] {
        assert_eq!(next_of(&a, &b, &[ill], &RollMemory::default()), expected, "{a:?} {b:?}");
    }
}

#[test]
fn what_the_run_knows_counts_before_the_watch_tells_it() {
    let uid = |name: &str, at| pod(name, at, "old").uid;
    let evicted = |uid| RollMemory { evicted: [uid].into(), ..RollMemory::default() };
    let given_up = |uid| RollMemory { given_up: [uid].into(), ..RollMemory::default() };
    assert_eq!(next_of(&WELL, &WELL, &[], &evicted(uid("a", 0))), "await a-0");
    assert_eq!(next_of(&WELL, &WELL, &[], &evicted(uid("b", 1))), "hold for b-1");
    let ill = ["new", "old", "ill-old"];
    assert_eq!(next_of(&ill, &WELL, &[], &given_up(uid("a", 2))), "evict a-2, ill");
    assert_eq!(next_of(&["new", "old", "old"], &ill, &[], &given_up(uid("b", 2))), "evict b-2, ill");
}

#[test]
fn a_workload_that_is_gone_is_told() {
    let (plan, mut now) = (plan(&[]), snapshot(&WELL, &WELL));
    now.workloads.remove(0);
    assert_eq!(short(next(&plan, &plan.workloads[0], &now, &RollMemory::default())), "gone");
}

#[test]
fn a_workload_that_was_scaled_up_has_all_of_its_pods() {
    let (plan, mut now) = (plan(&[]), snapshot(&["new", "new", "new"], &WELL));
    now.workloads[0].replicas = 4;
    assert_eq!(short(next(&plan, &plan.workloads[0], &now, &RollMemory::default())), "await a-3");
}

#[test]
fn a_pod_of_the_right_name_that_is_not_the_workloads_own_is_told() {
    let (plan, memory) = (plan(&[]), RollMemory::default());
    let after = |now: &Snapshot| short(next(&plan, &plan.workloads[0], now, &memory));
    for owner in ["", "uid-of-another", "uid-of-b"] {
        let mut now = snapshot(&["new", "old", "old"], &WELL);
        now.pods[0].owner = owner.into();
        assert_eq!(after(&now), "a-0 is taken", "{owner}");
        // It goes away, and the controller makes its own.
        now.pods[0].deleting = true;
        assert_eq!(after(&now), "await a-0", "{owner}");
        // The workload has all of its pods: whoever has a name like theirs is no business of ours.
        now.pods[0].deleting = false;
        now.workloads[0].replicas = 2;
        assert_eq!(after(&now), "evict a-1", "{owner}");
        // Nor is one beyond the workload's pods, while one of these is away.
        let mut away = snapshot(&["-", "old", "old"], &WELL);
        away.pods.push(Pod { owner: owner.into(), ..pod("a", 3, "old") });
        assert_eq!(after(&away), "await a-0", "{owner}");
        // A name that no pod of the workload has.
        now.workloads[0].replicas = 3;
        now.pods[0].name = "a-x-0".into();
        assert_eq!(after(&now), "await a-0", "{owner}");
    }
}

#[test]
fn whoever_restarts_the_pods_has_an_order() {
    let rolling = UpdateStrategy::RollingUpdate;
    let order = |direction, strategy, own, words: &[&str]| {
        let mut now = snapshot(words, &WELL);
        now.workloads[0].strategy = own;
        let pods = pods(direction, strategy, &now.workloads[0], &now);
        pods.iter().filter_map(|p| p.ordinal()).map(|o| o.to_string()).collect::<Vec<_>>().join(" ")
    };
    let (update, rollback) = (Direction::Update, Direction::Rollback);
    let (on_delete, ill) = (UpdateStrategy::OnDelete, ["old", "ill-old", "old"]);
    for (direction, strategy, own, words, expected) in [
        (update, Strategy::Evict, on_delete, WELL, "0 1 2"),
        (rollback, Strategy::Evict, on_delete, WELL, "2 1 0"),
        (update, Strategy::Evict, on_delete, ill, "1 0 2"),
        (rollback, Strategy::Evict, on_delete, ill, "1 2 0"),
        // A controller does not know what the new template is for, nor waits for an unhealthy pod to go first.
        (update, Strategy::Follow, rolling, ill, "2 1 0"),
        (rollback, Strategy::Follow, rolling, WELL, "2 1 0"),
        (update, Strategy::OpsManager, on_delete, ill, "0 1 2"),
        (update, Strategy::OpsManager, rolling, WELL, "2 1 0"),
    ] {
        assert_eq!(order(direction, strategy, own, &words), expected, "{direction:?} {strategy:?} {words:?}");
    }
    let twelve = [WELL, WELL, WELL, WELL].concat();
    assert_eq!(order(update, Strategy::Evict, on_delete, &twelve), "0 1 2 3 4 5 6 7 8 9 10 11");
}

#[test]
fn the_one_that_leads_goes_last_in_its_workload() {
    for (direction, words, leader, expected) in [
        (Direction::Update, WELL, "a-0", "1 2 0"),
        (Direction::Update, WELL, "a-2", "0 1 2"),
        (Direction::Rollback, WELL, "a-2", "1 0 2"),
        (Direction::Update, WELL, "b-0", "0 1 2"),
        // A broken pod goes first, whatever it leads.
        (Direction::Update, ["ill-old", "old", "old"], "a-0", "0 1 2"),
    ] {
        let mut now = snapshot(&words, &WELL);
        now.health = Lookup::Found(health(&[(leader, "yes-leader")]));
        let order = |strategy| {
            let pods = pods(direction, strategy, &now.workloads[0], &now);
            pods.iter().filter_map(|p| p.ordinal()).map(|o| o.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(order(Strategy::Evict), expected, "{direction:?} {words:?} {leader}");
        assert_eq!(order(Strategy::OpsManager), "0 1 2", "the Ops-manager knows no leader");
    }
}
