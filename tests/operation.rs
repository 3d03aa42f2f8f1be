//! Operations on databases of a simulated cluster, in tokio's paused time: several in one process, and what they ask.

mod common;

use std::collections::BTreeSet;

use common::{NAMESPACE, World, secs};
use kubectl_dbupdate::cluster::Journal;
use kubectl_dbupdate::event::{Event, Finish, Outcome, Record};
use kubectl_dbupdate::journal::Direction;
use kubectl_dbupdate::model::{Check, Kind, Methods, Snapshot};
use kubectl_dbupdate::operation::{
    Bounds, End, Error, Goal, Notice, Operation, Outlook, Question, Request, Signal, Stop, Told, Which, Wish,
    goal,
};
use kubectl_dbupdate::situation::Commands;
use serde_json::json;
use simcluster::world::Database;
use simcluster::{Effect, Fault};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

/// What an operation came to, and what it has told.
struct Came {
    end: Result<End, Error>,
    records: Vec<Record>,
    asked: Vec<&'static str>,
    /// The ids of its runs, as each was told at its end.
    runs: Vec<String>,
}

impl Came {
    fn done(&self) -> &Self {
        let Ok(End { finish, between: None, .. }) = &self.end else { panic!("{:?}", self.end) };
        assert_eq!(finish.outcome, Outcome::Done, "{}; {}", finish.error, finish.state);
        self
    }
}

fn to(version: Option<&str>) -> Wish {
    Wish::Update { to: version.map(str::to_owned), through: false, methods: Methods::default() }
}

/// An operation from its begin to its end, by a person who takes the last of what there is to choose, and confirms or not.
async fn carried_out(world: &World, client: &str, which: Which, wish: Wish, confirms: bool) -> Came {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(Stop::Go);
    let request = Request { which, wish, ..world.asked() };
    let mut operation = Operation::new(world.cluster_of(client), request, world.clock(), stopped, tell);
    // Its future is large.
    let working = Box::pin(async move {
        let outlook = operation.outlook().await?;
        assert_eq!(outlook.refused(), None);
        operation.carry_out(outlook).await
    });
    let listening = async {
        let (mut records, mut asked, mut runs) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(told) = told.recv().await {
            match told {
                Told::Record(record) => records.push(*record),
                Told::Notice(Notice::HopEnded(ran)) => runs.push(ran.run),
                Told::Notice(_) => {}
                Told::Asked(Question::Database { found, reply, .. }) => {
                    asked.push("database");
                    reply.send(found.len() - 1).expect("it waits");
                }
                Told::Asked(Question::Version { choices, reply, .. }) => {
                    asked.push("version");
                    let latest = choices.iter().position(|choice| choice.latest).expect("there is one");
                    reply.send(latest).expect("it waits");
                }
                Told::Asked(Question::Confirm { reply, .. }) => {
                    asked.push("confirm");
                    if confirms {
                        reply.send(()).expect("it waits");
                    }
                }
            }
        }
        (records, asked, runs)
    };
    let both = async { tokio::join!(working, listening) };
    let (end, (records, asked, runs)) = timeout(secs(24 * 3600), both).await.expect("it ends");
    Came { end, records, asked, runs }
}

fn named(kind: Kind, name: &str) -> Which {
    Which { namespace: Some(NAMESPACE.to_owned()), kind: Some(kind), name: Some(name.to_owned()) }
}

/// A server that does not answer is given up after a while; the timeout comes first.
#[tokio::test(start_paused = true)]
async fn the_timeout_reaches_what_is_read_before_a_run() {
    let world = World::new(Database::zookeeper("my-zk"));
    for what in ["/poddisruptionbudgets", "/zookeepers/my-zk", "/zookeeperversions"] {
        world.sim.faults().add(Fault::new(Effect::Hang).path(what).always());
        let (tell, _told) = mpsc::unbounded_channel();
        let (_stop, stopped) = watch::channel(Stop::Go);
        let mut request =
            Request { which: named(Kind::ZooKeeper, "my-zk"), wish: to(Some("3.9.1")), ..world.asked() };
        request.bounds.timeout = Some(secs(3));
        let began = Instant::now();
        let mut operation = Operation::new(world.cluster_of("me"), request, world.clock(), stopped, tell);
        let error = operation.outlook().await.expect_err("nothing is read");
        assert!(matches!(error, Error::TimedOut { seconds: 3, .. }), "{error}");
        assert_eq!(began.elapsed().as_secs(), 3);
        world.sim.faults().clear();
    }
}

/// Each has its own lock, journal, request and run, and nothing of one is taken for the other's.
#[tokio::test(start_paused = true)]
async fn two_operations_run_in_one_process_at_the_same_time() {
    let world = World::new(Database::kafka_combined("one"));
    Database::zookeeper("other").install(&world.sim);
    // The kubelet starts its pods, since this world is running already.
    sleep(secs(120)).await;
    let (one, other) = tokio::join!(
        carried_out(&world, "first", named(Kind::Kafka, "one"), to(Some("3.6.1")), true),
        carried_out(&world, "second", named(Kind::ZooKeeper, "other"), to(Some("3.9.1")), true),
    );
    one.done();
    other.done();
    let runs = |came: &Came| came.records.iter().map(|r| r.run.clone()).collect::<BTreeSet<_>>();
    assert_eq!(
        (runs(&one), runs(&other)),
        (one.runs.iter().cloned().collect(), other.runs.iter().cloned().collect())
    );
    assert!(one.runs.len() == 1 && other.runs.len() == 1 && one.runs != other.runs);
    for (came, database) in [(&one, "kafka/one"), (&other, "zookeeper/other")] {
        let Some(Record { event: Event::Started { plan, .. }, .. }) = came.records.first() else {
            panic!("it begins with its plan")
        };
        assert_eq!(plan.database.to_string(), database);
    }
    // They were under way at the same time: each has restarted a pod before the other was done.
    let moments = |client: &str| {
        let requests = world.sim.requests();
        let at = requests.iter().enumerate();
        at.filter(|(_, r)| r.client == client && r.path.ends_with("/eviction"))
            .map(|(i, _)| i)
            .collect::<Vec<_>>()
    };
    let (first, second) = (moments("first"), moments("second"));
    assert!(first.first() < second.last() && second.first() < first.last(), "{first:?} {second:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_said_is_asked_and_nothing_begins_without_an_answer() {
    let world = World::new(Database::zookeeper("db"));
    let which = || Which { namespace: Some(NAMESPACE.to_owned()), ..Which::default() };
    let declined = carried_out(&world, "first", which(), to(None), false).await;
    assert!(matches!(declined.end, Err(Error::Unanswered)), "{:?}", declined.end);
    assert_eq!(declined.asked, ["database", "version", "confirm"]);
    assert!(declined.records.is_empty() && world.sent().is_empty());
    let came = carried_out(&world, "second", which(), to(None), true).await;
    assert_eq!(came.done().asked, declined.asked);
    let resume = Wish::Resume { through: false };
    let (nothing, told) = outlook(&world, named(Kind::ZooKeeper, "db"), resume).await;
    let (finish, _) = nothing.not_begun(&Commands::default()).expect("nothing is unfinished");
    assert_eq!((finish.outcome, finish.exit_code, told.len()), (Outcome::Nothing, 0, 0));
    assert!(finish.state.ends_with("; no unfinished run, nothing to do"), "{}", finish.state);
}

/// What a command comes to, in short.
fn leads(world: &World, snapshot: &Snapshot, journal: &Journal, wish: Wish, unasked: bool) -> String {
    let request = Request { wish, unasked, ..world.asked() };
    match goal(&request, snapshot, journal) {
        Ok(Goal::To { to, through, unfinished, .. }) => {
            let through = if through { ", through" } else { "" };
            format!("to {to}{through}{}", if unfinished.is_some() { ", unfinished" } else { "" })
        }
        Ok(Goal::Back { entry }) => format!("back{}", if entry.is_some() { ", unfinished" } else { "" }),
        Ok(Goal::Finish { undo, unfinished }) => {
            let what = if undo.is_some() { "undo" } else { "finish" };
            format!("{what}{}", if unfinished.is_some() { ", unfinished" } else { "" })
        }
        Err(error) => error.to_string().split(['{', ';', ',']).next().unwrap_or_default().to_owned(),
    }
}

fn resume(through: bool) -> Wish {
    Wish::Resume { through }
}

#[tokio::test(start_paused = true)]
async fn what_a_command_continues_is_decided_by_the_cluster_and_the_journal() {
    let world = World::new(Database::zookeeper("db"));
    let read = async || {
        let cluster = world.cluster();
        let journal = world.journal(&cluster).await;
        (world.snapshot(&cluster).await, journal)
    };
    let nothing = "zookeeper/db has no unfinished run";
    let (untouched, none) = read().await;
    for (wish, expected) in [
        (to(Some("3.9.1")), "to 3.9.1"),
        (to(None), "to latest"),
        (resume(true), nothing),
        (Wish::Rollback, nothing),
    ] {
        assert_eq!(leads(&world, &untouched, &none, wish.clone(), false), expected, "{wish:?}");
    }

    let mut running = world.start().await;
    running.evicted("db-2").await;
    running.crash().await;
    let (half_done, journal) = read().await;
    let mut further = journal.clone();
    further.entries[0].run.through = Some("3.9.9".to_owned());
    let mut back = journal.clone();
    back.entries[0].run.direction = Direction::Rollback;
    // It claims to have brought the images that were there before.
    let mut untraced = journal.clone();
    let workloads = &mut untraced.entries[0].run.plan.workloads;
    workloads.iter_mut().flat_map(|w| &mut w.images).for_each(|image| image.after.clone_from(&image.now));
    let mut untraced_back = untraced.clone();
    untraced_back.entries[0].run.direction = Direction::Rollback;
    let says = "the journal says that ann@laptop started an update of zookeeper/db to 3.9.1 at ";
    let says_back = "the journal says that ann@laptop started a rollback of zookeeper/db to 3.9.1 at ";
    for (snapshot, journal, wish, unasked, expected) in [
        (&half_done, &journal, to(Some("3.9.1")), true, "to 3.9.1, unfinished"),
        (&half_done, &journal, to(Some("3.8.3")), false, "to 3.8.3, unfinished"),
        (&half_done, &journal, resume(false), true, "to 3.9.1, unfinished"),
        (&half_done, &journal, Wish::Rollback, true, "back, unfinished"),
        (&half_done, &back, resume(false), true, "back, unfinished"),
        // Only our pause is left.
        (&half_done, &none, Wish::Rollback, true, "back"),
        // Further than the unfinished update only where a person sees it, or says so.
        (&half_done, &further, resume(false), false, "to 3.9.9, through, unfinished"),
        (&half_done, &further, resume(false), true, "to 3.9.1, unfinished"),
        (&half_done, &further, resume(true), true, "to 3.9.9, through, unfinished"),
        // Only the journal tells of it.
        (&untouched, &untraced, resume(false), false, "to 3.9.1, unfinished"),
        (&untouched, &untraced, resume(false), true, says),
        (&untouched, &untraced_back, resume(false), false, "back, unfinished"),
        (&untouched, &untraced_back, resume(false), true, says_back),
        (&untouched, &untraced, to(Some("3.9.1")), true, "to 3.9.1, unfinished"),
        (&untouched, &untraced, to(Some("3.8.3")), true, "to 3.8.3"),
        (&untouched, &journal, resume(false), false, nothing),
    ] {
        let led = leads(&world, snapshot, journal, wish.clone(), unasked);
        assert!(
            led == expected || [says, says_back].contains(&expected) && led.starts_with(expected),
            "{wish:?} {unasked}: {led}, not {expected}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_to_follow_a_run_is_resumed_by_name_or_by_a_person() {
    let world = World::new(Database::zookeeper("db"));
    world.update().await.done();
    let cluster = world.cluster();
    let mut journal = world.journal(&cluster).await;
    let snapshot = world.snapshot(&cluster).await;
    assert_eq!(leads(&world, &snapshot, &journal, resume(true), true), "zookeeper/db has no unfinished run");
    journal.entries[0].run.through = Some("3.9.9".to_owned());
    for (through, unasked, expected) in [
        (false, false, "to 3.9.9, through"),
        (true, true, "to 3.9.9, through"),
        (false, true, "the journal says that more updates of zookeeper/db should follow"),
    ] {
        assert_eq!(leads(&world, &snapshot, &journal, resume(through), unasked), expected);
    }
}

/// Two hops of a Druid; `hear` is told everything.
async fn two_hops(world: &World, bounds: Bounds, mut hear: impl FnMut(&Told, &watch::Sender<Stop>)) -> End {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(Stop::Go);
    let to = Some("31.0.0".to_owned());
    let wish = Wish::Update { to, through: true, methods: Methods::default() };
    let request = Request { wish, unasked: true, bounds, ..world.asked() };
    let mut operation = Operation::new(world.cluster(), request, world.clock(), stopped, tell);
    let outlook = operation.outlook().await.expect("it can be read");
    let listening = async {
        while let Some(told) = told.recv().await {
            hear(&told, &stop);
        }
    };
    let working = Box::pin(async move { operation.carry_out(outlook).await });
    let both = async { tokio::join!(working, listening) };
    let (end, ()) = timeout(secs(24 * 3600), both).await.expect("it ends");
    end.expect("nobody is asked")
}

fn hop_ended(told: &Told) -> bool {
    matches!(told, Told::Notice(Notice::HopEnded(_)))
}

/// KubeDB's health checker is always a bit behind, and a hop that did not wait for it is no reason to refuse the next.
#[tokio::test(start_paused = true)]
async fn the_next_hop_waits_until_the_database_is_healthy() {
    let critical = |world: &World| world.change_status(|db| db["status"]["phase"] = json!("Critical"));
    let bounds =
        |world: &World| Bounds { wait_ready: secs(0), pod_timeout: secs(120), ..world.asked().bounds };
    let world = World::new(Database::druid("db"));
    let mut waits = Vec::new();
    let end = two_hops(&world, bounds(&world), |told, _| match told {
        Told::Notice(Notice::HopWaits { why }) => waits.push(why.clone()),
        told if hop_ended(told) => critical(&world),
        _ => {}
    });
    let end = end.await;
    assert_eq!((end.finish.outcome, end.finish.exit_code), (Outcome::Done, 0), "{:?}", end.finish);
    assert!(waits.len() == 1 && waits[0].contains("Critical"), "{waits:?}");

    // Not for ever, and a signal and the timeout end it as well.
    for (ends, outcome, code, waited) in [
        ("it stays", Outcome::Failed, 4, 120..125),
        ("signal", Outcome::Stopped, 130, 0..3),
        ("timeout", Outcome::Stopped, 124, 0..120),
    ] {
        let world = World::new(Database::druid("db"));
        let mut began = None;
        let mut bounds = bounds(&world);
        bounds.timeout = (ends == "timeout").then_some(end.runs[0].finish.elapsed_ms / 1000 + 60).map(secs);
        let started = Instant::now();
        let end = two_hops(&world, bounds, |told, stop| match told {
            told if hop_ended(told) => {
                world.sim.behaviour().change(|b| b.provisioner.alive = false);
                critical(&world);
                began = Some(Instant::now());
            }
            Told::Notice(Notice::HopWaits { .. }) if ends == "signal" => {
                stop.send_replace(Stop::Finish(Signal::Interrupt));
            }
            _ => {}
        });
        let finish = end.await.finish;
        assert_eq!((finish.outcome, finish.exit_code, finish.changed), (outcome, code, true), "{finish:?}");
        assert!(!finish.error.contains("nothing was changed"), "{ends}: {}", finish.error);
        let waited_for = began.expect("one is done").elapsed().as_secs();
        assert!(waited.contains(&waited_for), "{ends}: {waited_for} s");
        assert!(bounds.timeout.is_none_or(|timeout| started.elapsed() < timeout + secs(2)), "{ends}");
    }
}

/// What one hop has used up of the timeout, the next one does not have.
#[tokio::test(start_paused = true)]
async fn the_timeout_is_that_of_all_hops() {
    let world = World::new(Database::druid("db"));
    let all = two_hops(&world, world.asked().bounds, |_, _| {}).await.finish.elapsed_ms / 1000;
    let world = World::new(Database::druid("db"));
    let (limit, began) = (secs(all * 3 / 4), Instant::now());
    let bounds = Bounds { timeout: Some(limit), ..world.asked().bounds };
    let end = two_hops(&world, bounds, |_, _| {}).await;
    assert_eq!((end.runs.len(), end.finish.outcome, end.finish.exit_code), (2, Outcome::Stopped, 124));
    let seconds = format!("--timeout of {} s", limit.as_secs());
    assert!(end.finish.error.contains(&seconds), "{}", end.finish.error);
    assert!(began.elapsed() < limit + secs(20), "{:?}", began.elapsed());
}

/// The last hop alone has changed nothing, but the operation has.
#[tokio::test(start_paused = true)]
async fn a_hop_that_changes_nothing_does_not_undo_the_one_before() {
    let world = World::new(Database::druid("db"));
    let end = two_hops(&world, world.asked().bounds, |told, _| {
        if hop_ended(told) {
            let writes = |r: &simcluster::RecordedRequest| r.path.contains("/leases") && r.method != "GET";
            world.sim.faults().add(Fault::new(Effect::Forbid).when(writes).always());
        }
    });
    let finish = end.await.finish;
    assert_eq!((finish.outcome, finish.exit_code, finish.changed), (Outcome::Failed, 4, true), "{finish:?}");
    assert!(!finish.state.contains("nothing was changed"), "{}", finish.state);
}

/// Several hops: what the operation comes to is one end for all of them, also where it stops between two.
#[tokio::test(start_paused = true)]
async fn an_operation_of_several_hops_has_one_end() {
    for (disturbed, outcome, code) in
        [(None, Outcome::Done, 0), (Some("ann"), Outcome::SomebodyElse, 5), (Some(""), Outcome::Stopped, 130)]
    {
        let world = World::new(Database::druid("db"));
        let end = two_hops(&world, world.asked().bounds, |told, stop| match disturbed {
            Some("") if hop_ended(told) => {
                stop.send_replace(Stop::Finish(Signal::Interrupt));
            }
            Some(who) if hop_ended(told) => world.change_status(|db| {
                let paused = json!([{ "type": "Paused", "status": "True", "message": who,
                    "reason": "Paused", "lastTransitionTime": "2026-01-01T00:00:00Z" }]);
                db["status"]["conditions"] = paused;
            }),
            _ => {}
        });
        let end = end.await;
        let finish = &end.finish;
        assert_eq!((finish.outcome, finish.exit_code, finish.changed), (outcome, code, true), "{finish:?}");
        let each: Vec<_> =
            end.runs.iter().map(|ran| (ran.plan.to.name.as_str(), ran.finish.outcome)).collect();
        let first = ("30.0.1", Outcome::Done);
        let took =
            |finish: &Finish| (finish.elapsed_ms, finish.workloads.iter().map(|w| w.restarted).sum::<u64>());
        let all = end.runs.iter().map(|ran| took(&ran.finish)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        assert_eq!(took(finish), all);
        let again = "kubectl dbupdate druid db --to 31.0.0 --through";
        match outcome {
            Outcome::Done => {
                assert_eq!(each, [first, ("31.0.0", Outcome::Done)]);
                assert_eq!((all.1, finish.next.len()), (12, 0));
            }
            Outcome::Stopped => assert_eq!((each, &finish.next[..]), (vec![first], &[again.to_owned()][..])),
            _ => {
                assert_eq!(
                    (each, &finish.next[..]),
                    (vec![first, ("31.0.0", Outcome::Refused)], &[again.to_owned()][..])
                );
                assert!(finish.error.starts_with("paused-by-other: ") && finish.paused, "{finish:?}");
                assert!(finish.state.starts_with("druid/db is on 30.0.1: 6 of 6 pods Ready"), "{finish:?}");
            }
        }
    }
}
/// The outlook of an operation that is not carried out, and what was told meanwhile.
async fn outlook(world: &World, which: Which, wish: Wish) -> (Outlook, Vec<Told>) {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(Stop::Go);
    let request = Request { which, wish, ..world.asked() };
    let mut operation = Operation::new(world.cluster(), request, world.clock(), stopped, tell);
    let outlook = operation.outlook().await.expect("it can be planned");
    drop(operation);
    let mut all = Vec::new();
    while let Some(one) = told.recv().await {
        all.push(one);
    }
    (outlook, all)
}

#[tokio::test(start_paused = true)]
async fn on_the_latest_version_a_newer_one_is_told_with_the_command_that_leads_there() {
    for (database, kind, next) in [
        (
            Database::kafka_combined("db").version("3.9.0"),
            Kind::Kafka,
            vec!["kubectl dbupdate kafka db --to 4.2.0 --via provisioner".to_owned()],
        ),
        (Database::druid("db").version("36.0.0"), Kind::Druid, vec![]),
    ] {
        let world = World::new(database);
        sleep(secs(120)).await;
        let (outlook, _) = outlook(&world, named(kind, "db"), to(Some("latest"))).await;
        let (finish, _) = outlook.not_begun(&Commands::default()).expect("there is nothing to do");
        assert_eq!((finish.outcome, finish.next), (Outcome::Nothing, next));
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_numbers_of_a_version_are_told_with_what_they_mean() {
    let world = World::new(Database::kafka_combined("db"));
    sleep(secs(120)).await;
    let (outlook, told) = outlook(&world, named(Kind::Kafka, "db"), to(Some("3.6"))).await;
    assert_eq!(outlook.hops.first.to.name, "3.6.1");
    let [Told::Notice(Notice::VersionMeant { typed, version })] = &told[..] else { panic!("{told:?}") };
    assert_eq!((typed.as_str(), version.as_str()), ("3.6", "3.6.1"));
}

/// A lock that nobody renews is counted down to the moment in which it is free.
/// A database with a lock that was not renewed for long.
fn locked_by_bob() -> World {
    let world = World::new(Database::zookeeper("db"));
    let time = "2026-01-01T00:00:00.000000Z";
    let lease = serde_json::json!({
        "metadata": { "name": "dbupdate-zookeeper-db", "namespace": NAMESPACE },
        "spec": {
            "holderIdentity": "bob", "leaseDurationSeconds": 30, "leaseTransitions": 0, "acquireTime": time,
            "renewTime": time,
        },
    });
    world.store().create(common::LEASES, lease).expect("there is no other");
    world
}

#[tokio::test(start_paused = true)]
async fn the_timeout_in_the_wait_for_a_lock_names_its_holder() {
    let world = locked_by_bob();
    let (tell, _told) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(Stop::Go);
    let mut request = world.asked();
    request.bounds.timeout = Some(secs(3));
    let mut operation = Operation::new(world.cluster(), request, world.clock(), stopped, tell);
    let error = operation.outlook().await.expect_err("the lock is not free yet").to_string();
    assert_eq!(
        error,
        "timed out after 3 s (--timeout) while waiting for the lock of bob; nothing was changed"
    );
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_lock_counts_down() {
    let world = locked_by_bob();
    let (tell, mut told) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(Stop::Go);
    let mut operation = Operation::new(world.cluster(), world.asked(), world.clock(), stopped, tell);
    let outlook = operation.outlook().await.expect("it can be read");
    assert_eq!(outlook.refused(), None, "the lock has expired");
    let (mut counted, mut over) = (Vec::new(), 0);
    while let Ok(told) = told.try_recv() {
        match told {
            Told::Notice(Notice::LockWatched { holder, left }) if holder == "bob" => counted.push(left),
            Told::Notice(Notice::LockWatchOver) => over += 1,
            _ => {}
        }
    }
    assert_eq!((counted, over), ((1..=30).rev().collect(), 1));
}

/// Whether bob is alive does not matter to someone who may not update anyway.
#[tokio::test(start_paused = true)]
async fn what_is_refused_anyway_does_not_wait_for_a_lock() {
    let world = locked_by_bob();
    world.sim.access().deny("create", "", "pods", "eviction");
    let (tell, mut told) = mpsc::unbounded_channel();
    let (_stop, stopped) = watch::channel(Stop::Go);
    let mut operation = Operation::new(world.cluster(), world.asked(), world.clock(), stopped, tell);
    let began = Instant::now();
    let outlook = operation.outlook().await.expect("it can be read");
    assert!(began.elapsed() < secs(1), "{:?}", began.elapsed());
    assert!(told.try_recv().is_err(), "no lock was watched");
    let (finish, plan) = outlook.not_begun(&Commands::default()).expect("it is refused");
    let refusals: Vec<_> = plan.refusals().map(|finding| finding.check).collect();
    assert_eq!((finish.exit_code, refusals), (3, vec![Check::Permissions]));
    assert!(finish.state.contains("bob holds the lock"), "{}", finish.state);
}
