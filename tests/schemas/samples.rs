//! What no run of the sandbox prints, made by hand: every event, every wait, every verdict, every work of a finish.

use super::*;

/// Most of these never happen in a sandbox.
#[test]
fn every_event_and_every_wait_is_described() {
    let [workload, pod, text] = ["petset/my-zk", "my-zk-0", "words"].map(str::to_owned);
    let text = || text.clone();
    let (workload, pod) = (|| workload.clone(), || pod.clone());
    let plan = Sandbox::start().run("zk my-zk --to 3.9.1 --dry-run -o json").ended(0, "").object();
    let plan: Box<Plan> = serde_json::from_value(plan).expect("a plan");
    let image = ImageChange { container: text(), init: false, index: 0, now: text(), after: text() };
    let result = WorkloadResult {
        workload: workload(),
        role: text(),
        pods: 3,
        updated: 2,
        restarted: 2,
        took_ms: 1,
        longest_away_ms: 1,
        longest_away_at_least: true,
    };
    let finish = Finish {
        outcome: Came::RolledBack,
        exit_code: 4,
        changed: true,
        paused: false,
        operator_confirmed: true,
        phase: "Ready".into(),
        error: text(),
        pod: Some(pod()),
        not_rolled_back: Some(text()),
        state: text(),
        left: vec![text()],
        next: vec![text()],
        workloads: vec![result],
        elapsed_ms: 1,
        longest_away_ms: 1,
        longest_away_at_least: true,
    };
    let waits = vec![
        WaitingOn::Operator { timeout_seconds: 30 },
        WaitingOn::OpsManager { request: text(), phase: text(), doing: text() },
        WaitingOn::Rendering { workload: workload(), what: text() },
        WaitingOn::Controller,
        WaitingOn::OtherPod { pod: pod(), why: text() },
        WaitingOn::DatabaseHealth { what: text() },
        WaitingOn::Database { database: text(), why: vec![text()] },
        WaitingOn::Answer { database: text(), why: vec![text()] },
        WaitingOn::Work { database: text(), work: works()[0].clone() },
        WaitingOn::Drain { work: vec![text()], timeout_seconds: 600 },
        WaitingOn::Resize { what: text() },
        WaitingOn::Budget { budget: text(), needed: 2, healthy: 2, held_by: None },
        WaitingOn::Budget { budget: text(), needed: 2, healthy: 2, held_by: Some(pod()) },
        WaitingOn::BudgetCount { budget: text(), counted: 2, healthy: 3 },
        WaitingOn::Server { message: text() },
        WaitingOn::Termination { grace_seconds: 30 },
        WaitingOn::Creation { why: String::new(), since: String::new() },
        WaitingOn::Creation { why: text(), since: text() },
        WaitingOn::SchedulingGates { gates: vec![text()] },
        WaitingOn::ReadinessGates { gates: vec![text()], message: text() },
        WaitingOn::Scheduling { message: text() },
        WaitingOn::Container { container: text(), reason: text(), message: text() },
        WaitingOn::Readiness,
        WaitingOn::MinReady { seconds: 1 },
        WaitingOn::Settling { seconds: 1 },
        WaitingOn::Phase { phase: text(), before: false },
    ];
    let on: Vec<Value> = waits.iter().map(|on| json!(on)).collect();
    assert_eq!(tags(&on, "/on"), variants::<WaitingOn>(json!({"on": ""})));
    let progress = WorkProgress { doing: text(), done: 1, total: 2 };
    let mut all = vec![
        Event::Started { schema: EVENT_SCHEMA.to_owned(), plan: plan.clone() },
        Event::StepStarted { step: Step::Lock },
        Event::StepFinished { step: Step::Lock, outcome: StepOutcome::Done, took_ms: 1, note: text() },
        Event::Waiting { step: Step::Pause, on: WaitingOn::Controller },
        Event::WaitOver { step: Step::Pause },
        Event::ImagePullStarted { node: text(), image: text() },
        Event::ImagePullWaiting {
            node: text(),
            image: text(),
            on: WaitingOn::Creation { why: "no".into(), since: String::new() },
        },
        Event::ImagePulled { node: text(), image: text(), took_ms: 1 },
        Event::ImageNotPulled { node: text(), image: text(), why: text() },
        Event::PauseRequested { adopted: true },
        Event::PauseAcknowledged { took_ms: 1 },
        Event::PauseUnanswered { after_ms: 1 },
        Event::PauseRewritten,
        Event::PauseRemovedAgain,
        Event::WorkloadPatched { workload: workload(), images: vec![image] },
        Event::WorkloadStarted { workload: workload(), pods: 3, done: 1 },
        Event::PodStarted { workload: workload(), pod: pod(), ordinal_in_run: 1 },
        Event::PodEvicted { workload: workload(), pod: pod() },
        Event::PodReady { workload: workload(), pod: pod(), took_ms: 1, away_ms: 1 },
        Event::WorkloadFinished { workload: workload(), took_ms: 1 },
        Event::VersionSet { from: text(), to: text() },
        Event::Resumed,
        Event::Requested { request: text() },
        Event::WorkStarted { work: works()[0].clone(), number: 1, of: 3 },
        Event::WorkProgressed { work: works()[1].clone(), progress },
        Event::WorkDone { work: works()[2].clone(), took_ms: 1 },
        Event::RollingBack { plan },
        Event::Repinned { workload: workload(), container: text(), image: text() },
        Event::Retrying { call: text(), why: text(), attempt: 1, in_ms: 1 },
        Event::Notice { message: text() },
        Event::Heartbeat { silent_seconds: 60 },
        Event::Stopping { why: text(), pod: None },
        Event::Stopping { why: text(), pod: Some(pod()) },
        Event::Finished(finish),
    ];
    all.extend(waits.into_iter().map(|on| Event::PodWaiting { workload: workload(), pod: pod(), on }));
    let time = "2026-01-02T03:04:05.678Z";
    let record = |event| json!(Record { time: time.to_owned(), elapsed_ms: 1, run: text(), event });
    let all: Vec<Value> = all.into_iter().map(record).collect();
    assert_eq!(tags(&all, "/event"), variants::<Event>(json!({"event": ""})));
    all.iter().for_each(|record| fits("event", record));
}

fn my_zk() -> ObjectRef {
    ObjectRef {
        api_version: "kubedb.com/v1alpha2".to_owned(),
        kind: "ZooKeeper".to_owned(),
        plural: "zookeepers".to_owned(),
        namespace: "default".to_owned(),
        name: "my-zk".to_owned(),
        uid: String::new(),
    }
}

/// One work of each sort.
fn works() -> [Work; 3] {
    let level = |level, name: &str| Level { level, name: name.to_owned() };
    let [words, nb, oa] = ["words", "nb", "oa"].map(str::to_owned);
    [
        Work::SetFeature { feature: words.clone(), from: level(1, ""), to: level(25, "4.0-IV3") },
        Work::RewriteFiles {
            pod: "my-cas-rack-r0-0".to_owned(),
            from: vec![nb],
            to: oa,
            files: 2,
            bytes: 1024,
            tool: Tool::Nodetool,
        },
        Work::Await { what: words, from: "5.4".to_owned(), to: "5.5".to_owned() },
    ]
}

/// What is left to be done after an update, with every sort of work and of reversal.
fn completion() -> Completion {
    let why = || "words".to_owned();
    let reversals =
        [Reversal::Yes { why: why() }, Reversal::No { why: why() }, Reversal::Unknown { why: why() }];
    let steps = works().into_iter().zip(reversals).map(|(work, reversal)| FinishStep { work, reversal });
    let words = vec![why()];
    Completion { steps: steps.collect(), obstacles: words.clone(), settled: words.clone(), remarks: words }
}

#[test]
fn everything_that_a_finish_does_is_described() {
    let plan = Sandbox::start().run("zk my-zk --to 3.9.1 --dry-run -o json").ended(0, "").object();
    let mut plan: Plan = serde_json::from_value(plan).expect("a plan");
    let feature = Feature {
        feature: "metadata.version".to_owned(),
        level: Level { level: 25, name: "4.0-IV3".to_owned() },
    };
    plan.action = Action::Finish;
    plan.health = Some(Health { features: vec![feature], ..Health::default() });
    plan.finish = Some(FinishPlan { undo: true, completion: completion() });
    let printed = json!(plan);
    fits("plan", &printed);
    let steps = printed["finish"]["steps"].as_array().expect("a list");
    assert_eq!(tags(steps, "/work"), variants::<Work>(json!({"work": ""})));
    assert_eq!(tags(steps, "/reversal/reversible"), variants::<Reversal>(json!({"reversible": ""})));
}

/// The databases of the sandbox are well and can be asked.
#[test]
fn every_verdict_of_a_database_is_described() {
    let why = || vec!["it is not synced".to_owned()];
    let member = |verdict: Verdict| Member {
        pod: "my-zk-0".to_owned(),
        uid: "7".to_owned(),
        role: "follower".to_owned(),
        id: "1".to_owned(),
        version: "3.8.3".to_owned(),
        state: "following".to_owned(),
        leader: true,
        back: verdict.clone(),
        may_go: verdict,
        unasked: true,
        busy: vec!["task".to_owned()],
    };
    let verdicts = [Verdict::Yes, Verdict::No { why: why() }, Verdict::Unknown { why: why() }];
    let remark = Remark { check: Check::Replication, message: "words".to_owned() };
    let features =
        vec![Feature { feature: "words".to_owned(), level: Level { level: 1, name: String::new() } }];
    let report = HealthReport {
        schema: HEALTH_SCHEMA.to_owned(),
        kind: Kind::ZooKeeper,
        database: my_zk(),
        fit: false,
        health: Health { members: verdicts.map(member).into(), remarks: vec![remark], features },
        finish: Some(completion()),
        unasked: Some("forbidden".to_owned()),
    };
    let printed = json!(report);
    fits("health", &printed);
    let answers = tags(printed["members"].as_array().expect("a list"), "/back/answer");
    assert_eq!(answers, words(&schema("plan")["$defs"]["verdict"]["properties"]["answer"]["enum"]));
    assert_eq!(answers, variants::<Verdict>(json!({ "answer": "" })));
}

/// The sandbox lacks no permission.
#[test]
fn every_missing_permission_is_described() {
    let create = |resource| Permission::new("create", "", resource);
    let weights = [Weight::Needed, Weight::Journal, Weight::Spared("no Events")];
    let lacking = |weight| Lacking { permission: create("pods/eviction"), weight };
    let mut all = Vec::from(weights.map(lacking));
    all[0].permission = create("pods/eviction").named("my-zk-0");
    let secret = Permission::new("get", "", "secrets").named("my-zk-auth");
    let rules = Rule::of([&create("pods/eviction"), &create("events"), &secret]);
    let auth = Auth {
        schema: AUTH_SCHEMA.to_owned(),
        kind: Kind::ZooKeeper,
        database: my_zk(),
        allowed: false,
        asked: 3,
        lacking: all,
        rules: Rules { namespace: rules.clone(), cluster: rules },
        unread: Some("forbidden".to_owned()),
    };
    let printed = json!(auth);
    fits("auth", &printed);
    let weights = tags(printed["lacking"].as_array().expect("a list"), "/weight");
    assert_eq!(weights, words(&schema("auth")["$defs"]["lacking"]["properties"]["weight"]["enum"]));
}
