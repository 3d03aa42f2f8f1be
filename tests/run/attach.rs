//! Following a run from outside, in the middle of things that go right and wrong: what is seen is what the run itself
//! reports, as far as the cluster and the journal tell it.

use kubectl_dbupdate::engine::{Signal, Stop};
use kubectl_dbupdate::event::{Event, Finish, Outcome, Record, Step, StepOutcome, WaitingOn};
use kubectl_dbupdate::model::{Kind, Method, Phase};
use kubectl_dbupdate::operation::{self, Attached, Sight};
use kubectl_dbupdate::situation::{Next, Onlooker, Seen, State, decide, last_words};
use simcluster::world::Database;
use simcluster::{AdmissionRule, Ailment, Behaviour, Effect, Fault, OpsManager, PodRule, Provisioner};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::common::{Ended, LEASES, NAMESPACE, Running, World, overview, secs};

/// The client that follows.
const ONLOOKER: &str = "onlooker";

async fn look(world: &World) -> Seen {
    let found =
        overview(&world.cluster_of(ONLOOKER), world.kind, NAMESPACE, Some(&world.name)).await.unwrap();
    operation::seen(found.into_iter().next().expect("the database is there"), &world.clock())
}

/// Follows whatever is active until it ends.
async fn follow(world: &World, stop: &mut watch::Receiver<Stop>) -> (Attached, Vec<Record>) {
    let (seen, cluster, clock) = (look(world).await, world.cluster_of(ONLOOKER), world.clock());
    let mut records = Vec::new();
    let tell = |sight| {
        if let Sight::Record(record) = sight {
            records.push(*record);
        }
    };
    let attached = operation::attach(&cluster, seen, &clock, stop, tell);
    let attached = timeout(secs(24 * 3600), attached).await.expect("it ends").expect("it can be read");
    (attached, records)
}

fn going() -> (watch::Sender<Stop>, watch::Receiver<Stop>) {
    watch::channel(Stop::Go)
}

/// What the reporters draw from: the steps, the workloads and the pods, in order.
fn drawn<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<String> {
    let drawn = |event: &Event| match event {
        Event::StepStarted { step } if *step != Step::Lock => Some(format!("{step:?}")),
        Event::StepFinished { step, outcome, .. } if *step != Step::Lock => {
            Some(format!("{step:?} {outcome:?}"))
        }
        Event::WorkloadFinished { workload, .. } => Some(workload.clone()),
        Event::PodReady { pod, .. } => Some(format!("{pod} Ready")),
        Event::RollingBack { .. } => Some("rolling back".to_owned()),
        Event::Finished(finish) => Some(format!("{:?}", finish.outcome)),
        _ => None,
    };
    events.into_iter().filter_map(drawn).collect()
}

/// A run from before its first change to its end, and what is seen of it from that moment on.
async fn followed(
    world: &World,
    options: fn(&mut kubectl_dbupdate::engine::RunOptions),
) -> (Ended, Finish, Vec<Record>) {
    let mut run = world.start_with(options).await;
    run.step(Step::Pause).await;
    let (_stop, mut stopped) = going();
    let ((attached, records), ended) = tokio::join!(follow(world, &mut stopped), run.end());
    let Attached::Ended { finish, plan, seen } = attached else { panic!("{attached:?}") };
    assert_eq!(plan.database, ended.plan.database);
    let (finish, _) = last_words(&seen, &finish, &plan.to.name);
    assert!(records.is_sorted_by_key(|record| record.elapsed_ms), "{records:#?}");
    assert!(matches!(records.first().map(|r| &r.event), Some(Event::Started { .. })));
    (ended, finish, records)
}

#[tokio::test(start_paused = true)]
async fn what_is_seen_of_a_run_is_what_it_reports() {
    for database in [
        Database::zookeeper("db"),
        Database::kafka_topology("db"),
        Database::kafka_combined("db").cruise_control(),
    ] {
        let world = World::new(database);
        let (ended, finish, records) = followed(&world, |_| {}).await;
        ended.done();
        let seen = drawn(records.iter().map(|r| &r.event));
        assert_eq!(seen, drawn(ended.events()), "{records:#?}");
        assert_eq!((finish.outcome, finish.exit_code), (Outcome::Done, 0));
        assert_eq!((finish.state, finish.workloads), (ended.finish.state, ended.finish.workloads));
        assert!(records.iter().all(|r| r.run == "run1" && r.time.parse::<jiff::Timestamp>().is_ok()));
    }
}

/// KubeDB checks it in the middle of the roll, and again long after it.
#[tokio::test(start_paused = true)]
async fn the_wait_for_ready_is_seen() {
    let provisioner = Provisioner { check_period: secs(61), ..Provisioner::default() };
    let behaviour = Behaviour { provisioner, ..Behaviour::default() };
    let world = World::behaving(behaviour, Database::zookeeper("db"));
    tokio::time::sleep(secs(57)).await;
    let (ended, finish, records) = followed(&world, |_| {}).await;
    ended.done();
    let on = WaitingOn::Phase { phase: "Critical".to_owned(), before: false };
    let waits = Event::Waiting { step: Step::Verify, on };
    assert!(ended.has(|e| *e == waits) && records.iter().any(|r| r.event == waits), "{records:#?}");
    assert_eq!((finish.exit_code, finish.phase.as_str()), (0, "Ready"));
}

/// The other methods have other steps.
#[tokio::test(start_paused = true)]
async fn a_run_that_renders_and_one_that_requests_are_seen() {
    let database = Database::kafka_topology("db").version("3.9.0").controllers(3).brokers(2);
    let rendered = World::new(database).rendered_to("4.0.0");
    let ops_manager = OpsManager { alive: true, ..OpsManager::default() };
    let behaviour = Behaviour { ops_manager, ..Behaviour::default() };
    let mut requested = World::behaving(behaviour, Database::zookeeper("db"));
    requested.method = Method::OpsManager;
    for (world, first) in [(rendered, Step::Render), (requested, Step::Request)] {
        let mut run = world.start().await;
        run.step(first).await;
        let (_stop, mut stopped) = going();
        let ((attached, records), ended) = tokio::join!(follow(&world, &mut stopped), run.end());
        ended.done();
        assert!(matches!(attached, Attached::Ended { .. }), "{attached:?}");
        assert_eq!(drawn(records.iter().map(|r| &r.event)), drawn(ended.events()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_stuck_is_seen_with_its_reason() {
    let world = World::new(Database::zookeeper("db"));
    let rule = PodRule::new(Ailment::PullError).image("*:3.9.1*").name("db-1");
    world.sim.behaviour().change(|b| b.pods.push(rule));
    let (ended, finish, records) = followed(&world, |_| {}).await;
    ended.ended(Outcome::Failed, 4, true, true);
    assert_eq!((finish.exit_code, &finish.error), (4, &ended.finish.error));
    assert!(finish.state.contains("is paused and between 3.8.3 and 3.9.1"), "{}", finish.state);
    let waits = |event: &Event| {
        matches!(event, Event::PodWaiting { pod, on: WaitingOn::Container { reason, .. }, .. }
            if pod == "db-1" && reason.contains("ImagePull"))
    };
    assert!(records.iter().any(|r| waits(&r.event)), "{records:#?}");
    let failed = Event::StepFinished {
        step: Step::RollPods,
        outcome: StepOutcome::Failed,
        took_ms: 0,
        note: String::new(),
    };
    assert!(drawn([&failed]).iter().all(|f| drawn(records.iter().map(|r| &r.event)).contains(f)));
}

/// The controller's word is in the Events of the workload, which an onlooker reads as the run does.
#[tokio::test(start_paused = true)]
async fn a_pod_that_is_not_created_is_seen_with_the_reason() {
    let world = World::new(Database::zookeeper("db"));
    let rule = AdmissionRule::refuse("exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3");
    let rule = rule.name("db-1").user("system:serviceaccount:*");
    world.sim.behaviour().change(|b| b.admission = vec![rule]);
    let (ended, _, records) = followed(&world, |options| options.bounds.pod_timeout = secs(60)).await;
    ended.ended(Outcome::Failed, 4, true, true);
    let waits = |event: &Event| {
        matches!(event, Event::PodWaiting { pod, on: WaitingOn::Creation { why, since }, .. }
            if pod == "db-1" && why.contains("exceeded quota: few") && !since.is_empty())
    };
    assert!(records.iter().any(|r| waits(&r.event)), "{records:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_rolls_back_by_itself_is_seen_to() {
    let world = World::new(Database::zookeeper("db"));
    world.sim.behaviour().change(|b| b.pods.push(PodRule::new(Ailment::PullError).image("*:3.9.1*")));
    let (ended, finish, records) = followed(&world, |options| options.roll_back_on_failure = true).await;
    assert_eq!(ended.finish.outcome, Outcome::RolledBack);
    assert_eq!((finish.outcome, finish.exit_code), (Outcome::RolledBack, ended.finish.exit_code));
    let seen = drawn(records.iter().map(|r| &r.event));
    assert!(seen.contains(&"rolling back".to_owned()), "{seen:?}");
    assert_eq!(seen.last(), Some(&"RolledBack".to_owned()));
}

/// Anybody who may write ConfigMaps can write a journal.
#[tokio::test(start_paused = true)]
async fn which_database_is_updated_is_not_taken_from_the_journal() {
    let world = World::new(Database::kafka_topology("db"));
    let mut run = world.start().await;
    run.step(Step::RollPods).await;
    let entry = world.journal(&world.cluster()).await.last().cloned().expect("it is recorded");
    let mut forged = entry;
    (forged.run.plan.kind, forged.run.plan.database.name) = (Kind::ZooKeeper, "other".to_owned());
    let onlooker = Onlooker::new(&forged, &look(&world).await.snapshot);
    let plan = onlooker.plan();
    assert_eq!((plan.kind, plan.database.name.as_str()), (Kind::Kafka, "db"));
    run.end().await.done();
}

/// Whoever comes late sees what the run was to do and what is left of it, and is told nothing about times that nobody but
/// the run knows.
#[tokio::test(start_paused = true)]
async fn who_comes_late_sees_the_rest() {
    let world = World::new(Database::kafka_topology("db"));
    let mut run = world.start().await;
    run.evicted("db-broker-1").await;
    let (_stop, mut stopped) = going();
    let ((attached, records), ended) = tokio::join!(follow(&world, &mut stopped), run.end());
    ended.done();
    assert!(matches!(attached, Attached::Ended { .. }), "{attached:?}");
    let events: Vec<_> = records.iter().map(|r| &r.event).collect();
    let Some(Event::Started { plan, .. }) = events.first() else { panic!("{events:#?}") };
    // What the run was to do in all.
    assert_eq!(
        plan.workloads.iter().map(|w| &w.pods).collect::<Vec<_>>(),
        ended.plan.workloads.iter().map(|w| &w.pods).collect::<Vec<_>>()
    );
    let late = |e: &&&Event| matches!(e, Event::PodReady { pod, .. } if pod == "db-broker-1");
    assert!(
        matches!(events.iter().find(late), Some(Event::PodReady { took_ms: 0, away_ms: 0, .. })),
        "{events:#?}"
    );
    let over = |e: &&Event| matches!(e, Event::WorkloadFinished { took_ms: 0, workload } if workload.ends_with("/db-controller"));
    assert!(events.iter().any(over), "{events:#?}");
    let ready = drawn(events.iter().copied()).into_iter().filter(|d| d.ends_with(" Ready"));
    assert_eq!(ready.collect::<Vec<_>>(), ["db-broker-1 Ready", "db-broker-2 Ready"]);
}

/// What is seen between two looks, of which the second comes after a run that has failed on one of the pods, when all
/// pods are well again.
async fn seen_after(failing: &str, timeout: u64) -> (Ended, Vec<Event>) {
    let world = World::new(Database::kafka_topology("db"));
    world.sim.behaviour().change(|b| b.pods.push(PodRule::new(Ailment::NeverReady).name(failing)));
    let mut run = world.start_with(|options| options.bounds.pod_timeout = secs(timeout)).await;
    run.evicted("db-controller-2").await;
    let entry = world.journal(&world.cluster()).await.last().cloned().expect("it is recorded");
    let mut onlooker = Onlooker::new(&entry, &look(&world).await.snapshot);
    onlooker.look(&entry, &look(&world).await, &world.clock().rfc3339(3));
    let ended = run.end().await;
    world.sim.behaviour().change(|b| b.pods.clear());
    tokio::time::sleep(secs(60)).await;
    let entry = world.journal(&world.cluster()).await.last().cloned().expect("it is recorded");
    let records = onlooker.look(&entry, &look(&world).await, &world.clock().rfc3339(3));
    (ended, records.into_iter().map(|record| record.event).collect())
}

/// The last bars are those of the run, and so is the table below them.
#[tokio::test(start_paused = true)]
async fn what_the_pods_do_after_the_end_of_a_run_is_not_its_doing() {
    for (failing, done) in [("db-controller-2", false), ("db-broker-0", true)] {
        let (ended, events) = seen_after(failing, 120).await;
        ended.ended(Outcome::Failed, 4, true, true);
        assert!(
            !events.iter().any(|e| matches!(e, Event::PodReady { .. } | Event::PodStarted { .. })),
            "{events:#?}"
        );
        let of = |event: &Event| match event {
            Event::WorkloadStarted { workload, .. } | Event::WorkloadFinished { workload, .. } => {
                workload.rsplit('/').next().map(str::to_owned)
            }
            _ => None,
        };
        let told: Vec<_> = events.iter().filter_map(of).collect();
        let expected: &[&str] = if done { &["db-controller", "db-controller"] } else { &[] };
        assert_eq!(told, expected, "{events:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_hops_that_follow_are_followed_too() {
    let world = World::new(Database::druid("db"));
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (_stop, stopped) = going();
    let wish = operation::Wish::Update {
        to: Some("31.0.0".to_owned()),
        through: true,
        methods: kubectl_dbupdate::model::Methods::default(),
    };
    let request = operation::Request { wish, unasked: true, ..world.asked() };
    let mut runs = operation::Operation::new(world.cluster(), request, world.clock(), stopped, tell);
    let outlook = runs.outlook().await.expect("it can be read");
    let watching = async {
        while let Some(told) = told.recv().await {
            if let operation::Told::Record(record) = told
                && matches!(record.event, Event::StepStarted { step: Step::PatchImages })
            {
                break;
            }
        }
        follow(&world, &mut going().1).await
    };
    let (end, (attached, records)) = tokio::join!(runs.carry_out(outlook), watching);
    assert_eq!(end.expect("nobody is asked").finish.exit_code, 0);
    let Attached::Ended { plan, .. } = attached else { panic!("{attached:?}") };
    assert_eq!(plan.to.name, "31.0.0");
    let ends = records.iter().filter(|r| matches!(r.event, Event::Finished(_)));
    assert_eq!(ends.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_dies_is_missed_once_its_lock_has_expired() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.evicted("db-0").await;
    let (_stop, mut stopped) = going();
    let dying = async {
        tokio::time::sleep(secs(5)).await;
        run.crash().await;
    };
    let ((attached, records), ()) = tokio::join!(follow(&world, &mut stopped), dying);
    let Attached::Lost { why, mut seen } = attached else { panic!("{attached:?}") };
    assert!(why.starts_with("it has not renewed its lock for 3"), "{why}");
    assert!(!records.iter().any(|r| matches!(r.event, Event::Finished(_))));
    seen.snapshot.lock = None;
    assert_eq!(decide(&seen).state(), State::HalfDone);

    // Anybody who may write ConfigMaps can write an end.
    let forged = Finish {
        outcome: Outcome::Done,
        exit_code: 0,
        changed: true,
        paused: false,
        operator_confirmed: true,
        error: String::new(),
        state: "all is well".to_owned(),
        left: Vec::new(),
        next: vec!["rm -rf /".to_owned()],
        workloads: Vec::new(),
        elapsed_ms: 1,
        phase: String::new(),
        pod: None,
        not_rolled_back: None,
        longest_away_ms: 0,
        longest_away_at_least: false,
    };
    let (finish, next) = last_words(&seen, &forged, "3.9.1");
    assert_eq!((finish.outcome, finish.exit_code, finish.next.len()), (Outcome::Failed, 4, 0));
    assert!(finish.state.contains("is paused and between 3.8.3 and 3.9.1"), "{}", finish.state);
    assert_eq!(next, [Next::Resume, Next::Rollback]);
}

/// A run in which a pod has been evicted, and a later one will never become Ready.
async fn waiting_for_a_pod(world: &World) -> Running {
    world.sim.behaviour().change(|b| b.pods.push(PodRule::new(Ailment::NeverReady).name("db-1")));
    let mut run = world.start_with(|options| options.bounds.pod_timeout = secs(180)).await;
    run.evicted("db-0").await;
    run
}

/// Unknown is not none: neither a pod nor a lock that cannot be read is gone.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_any_more_is_not_taken_for_gone() {
    let unreadable =
        || Fault::new(Effect::Forbid).when(|r| r.path.contains("/leases") || r.path.ends_with("/pods"));
    for (fault, retried) in [(unreadable().always(), false), (Fault::new(Effect::Reset), true)] {
        let world = World::new(Database::zookeeper("db"));
        let run = waiting_for_a_pod(&world).await;
        let (_stop, mut stopped) = going();
        let disturbing = async {
            tokio::time::sleep(secs(1)).await;
            let fault = if retried { fault.lasting(secs(60)) } else { fault };
            world.sim.faults().add(fault.when(|r| r.client == ONLOOKER));
        };
        let ((attached, records), ended, ()) =
            tokio::join!(follow(&world, &mut stopped), run.end(), disturbing);
        ended.ended(Outcome::Failed, 4, true, true);
        let Attached::Ended { finish, .. } = attached else { panic!("{attached:?}") };
        assert_eq!(finish.error, ended.finish.error);
        assert_eq!(records.iter().any(|r| matches!(r.event, Event::Retrying { .. })), retried);
        let created = |e: &Event| matches!(e, Event::PodWaiting { on: WaitingOn::Creation { .. }, .. });
        assert!(retried || !records.iter().any(|r| created(&r.event)), "{records:#?}");
    }
}

/// What else cannot be read keeps no dead run alive, and a lock that cannot be read does so only for a while.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_dead_is_missed_whatever_else_cannot_be_read() {
    for (unreadable, why) in
        [("/pods", "its lock is gone"), ("/leases", "it has recorded nothing, and its lock")]
    {
        let world = World::new(Database::zookeeper("db"));
        let mut run = world.start().await;
        run.evicted("db-0").await;
        let (_stop, mut stopped) = going();
        let dying = async {
            tokio::time::sleep(secs(5)).await;
            let fault = Fault::new(Effect::Forbid).when(move |r| r.path.contains(unreadable));
            world.sim.faults().add(fault.when(|r| r.client == ONLOOKER).always());
            run.crash().await;
            let options = simcluster::DeleteOptions::default();
            world.store().delete(LEASES, NAMESPACE, "dbupdate-zookeeper-db", options).expect("it was held");
        };
        let ((attached, _), ()) = tokio::join!(follow(&world, &mut stopped), dying);
        let Attached::Lost { why: said, .. } = attached else { panic!("{unreadable}: {attached:?}") };
        assert!(said.starts_with(why), "{said}");
    }
}

/// While the API server is away, the run cannot renew its lock either.
#[tokio::test(start_paused = true)]
async fn a_run_that_survives_an_outage_is_not_taken_for_dead() {
    let world = World::new(Database::zookeeper("db"));
    let run = waiting_for_a_pod(&world).await;
    let (_stop, mut stopped) = going();
    let disturbing = async {
        tokio::time::sleep(secs(1)).await;
        let renewed = |r: &simcluster::RecordedRequest| r.client != ONLOOKER && r.path.contains("/leases");
        world.sim.faults().add(Fault::new(Effect::Reset).when(renewed).lasting(secs(55)));
        world.sim.faults().add(Fault::new(Effect::Reset).lasting(secs(40)));
    };
    let ((attached, _), ended, ()) = tokio::join!(follow(&world, &mut stopped), run.end(), disturbing);
    ended.ended(Outcome::Failed, 4, true, true);
    assert!(matches!(attached, Attached::Ended { .. }), "{attached:?}");
}

/// Anybody who may write ConfigMaps can write an end, and its code.
#[tokio::test(start_paused = true)]
async fn an_end_is_believed_as_far_as_the_cluster_shows_it() {
    let world = World::new(Database::zookeeper("db"));
    let recorded = world.update().await.done().finish.clone();
    let fine = look(&world).await;
    let changed = |change: fn(&mut Seen)| {
        let mut seen = fine.clone();
        change(&mut seen);
        seen
    };
    for (change, state, outcome, code) in [
        ((|_| {}) as fn(&mut Seen), State::Fine, Outcome::Done, 0),
        // KubeDB's report lags behind.
        (|seen| seen.snapshot.database.phase = Phase::Critical, State::NotReady, Outcome::Done, 0),
        (|seen| seen.snapshot.pods.truncate(2), State::NotReady, Outcome::NotReady, 6),
        (
            |seen| seen.snapshot.workloads[0].containers[0].image = "docker.io/x:1".to_owned(),
            State::Drift,
            Outcome::Failed,
            3,
        ),
        (|seen| seen.snapshot.database.halted = true, State::Halted, Outcome::Failed, 3),
        (|seen| seen.unread.push("pods: no".to_owned()), State::Unknown, Outcome::Failed, 1),
        (|seen| seen.snapshot.database.version = "3.8.3".to_owned(), State::Drift, Outcome::Failed, 3),
    ] {
        let seen = changed(change);
        assert_eq!(decide(&seen).state(), state);
        let (finish, _) = last_words(&seen, &recorded, "3.9.1");
        assert_eq!((finish.outcome, finish.exit_code), (outcome, code), "{state:?}");
    }
    for (outcome, changed, code) in [
        (Outcome::Failed, true, 4),
        (Outcome::Failed, false, 1),
        (Outcome::SomebodyElse, true, 5),
        (Outcome::NotReady, true, 6),
    ] {
        let forged = Finish { outcome, changed, ..recorded.clone() };
        assert_eq!(last_words(&fine, &forged, "3.9.1").0.exit_code, code, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_only_who_follows() {
    let world = World::new(Database::zookeeper("db"));
    let (_stop, mut stopped) = going();
    let (idle, records) = follow(&world, &mut stopped).await;
    assert!(matches!(idle, Attached::Idle(_)) && records.is_empty(), "{idle:?}");
    let mut run = world.start().await;
    run.evicted("db-0").await;
    let (stop, mut stopped) = going();
    let interrupting = async {
        tokio::time::sleep(secs(1)).await;
        stop.send_replace(Stop::Finish(Signal::Interrupt));
    };
    let ((attached, _), ()) = tokio::join!(follow(&world, &mut stopped), interrupting);
    assert!(matches!(attached, Attached::Detached(Signal::Interrupt)), "{attached:?}");
    run.end().await.done();
}
