//! What an update leaves to be done in the database itself, done by whole operations on the simulated cluster.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use kubectl_dbupdate::event::{Event, Outcome, Record};
use kubectl_dbupdate::model::{Check, Finding, Method, Methods, Plan};
use kubectl_dbupdate::operation::{
    Between, End, Error, Operation, Outlook, Question, Request, Soak, Stop, Told, Wish,
};
use kubectl_dbupdate::situation::{self, Commands, State};
use simcluster::world::Database;
use simcluster::{Ailment, Behaviour, Disk, Effect, Fault, Mishap, PodRule, Sstable, Trouble};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::common::{NAMESPACE, World, secs};

const FINISH: Wish = Wish::Finish { undo: false };

const UNDO: Wish = Wish::Finish { undo: true };

/// A Kafka on 4.0.0 whose features are as 3.9.0 had them.
fn updated() -> World {
    let world = World::new(Database::kafka_topology("db").version("4.0.0").controllers(3).brokers(3)).gated();
    world.sim.databases().finalize(NAMESPACE, "db", &[("metadata.version", 21)]);
    world
}

fn features(world: &World) -> BTreeMap<String, i16> {
    world.sim.databases().features(NAMESPACE, "db")
}

/// How often the features were changed, after the levels that the world began with.
fn changes(world: &World) -> u32 {
    world.sim.databases().feature_changes(NAMESPACE, "db") - 1
}

fn all_of_4_0() -> BTreeMap<String, i16> {
    let all = [("metadata.version", 25), ("group.version", 1), ("transaction.version", 2)];
    all.map(|(name, level)| (name.to_owned(), level)).into()
}

fn operation(
    world: &World,
    client: &str,
    wish: Wish,
    change: impl FnOnce(&mut Request),
) -> (Operation, mpsc::UnboundedReceiver<Told>, watch::Sender<Stop>) {
    let (tell, told) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(Stop::Go);
    let mut request = Request { wish, take_over: true, ..world.asked() };
    change(&mut request);
    (Operation::new(world.cluster_of(client), request, world.clock(), stopped, tell), told, stop)
}

/// What a command has found and decided.
async fn outlook(world: &World, wish: Wish) -> Result<Outlook, Error> {
    let (mut operation, _told, _stop) = operation(world, "looking", wish, |_| {});
    Box::pin(operation.outlook()).await
}

/// A command from its begin to its end, confirmed by whoever is asked.
async fn carried_out(
    world: &World,
    client: &str,
    wish: Wish,
    change: impl FnOnce(&mut Request),
) -> (Result<End, Error>, Vec<Record>) {
    let (mut operation, mut told, _stop) = operation(world, client, wish, change);
    let working = Box::pin(async move {
        let outlook = operation.outlook().await?;
        assert_eq!(outlook.refused().map(|plan| &plan.findings), None);
        operation.carry_out(outlook).await
    });
    let listening = async {
        let mut records = Vec::new();
        while let Some(told) = told.recv().await {
            match told {
                Told::Record(record) => records.push(*record),
                Told::Asked(Question::Confirm { reply, .. }) => reply.send(()).expect("it waits"),
                _ => {}
            }
        }
        records
    };
    tokio::join!(working, listening)
}

async fn done(world: &World, client: &str, wish: Wish) -> Vec<Record> {
    let (end, records) = carried_out(world, client, wish, |_| {}).await;
    let end = end.expect("nobody stops it");
    assert_eq!(end.finish.outcome, Outcome::Done, "{}; {}", end.finish.error, end.finish.state);
    assert!(end.between.is_none());
    world.no_lease();
    records
}

/// What state the database is in; a lock that is left belongs to a process that has died long ago.
async fn state(world: &World) -> State {
    let cluster = world.cluster();
    let snapshot = world.snapshot(&cluster).await;
    let runs = kubectl_dbupdate::model::Lookup::Found(world.journal(&cluster).await.entries);
    situation::decide(&situation::Seen { snapshot, runs, lock_age: Some(3600), unread: Vec::new() }).state()
}

#[tokio::test(start_paused = true)]
async fn every_feature_is_raised_once_and_what_is_settled_stays() {
    let world = updated();
    let records = done(&world, "first", FINISH).await;
    assert_eq!(features(&world), all_of_4_0());
    assert_eq!(changes(&world), 3);
    let works = records.iter().filter(|r| matches!(r.event, Event::WorkDone { .. })).count();
    assert_eq!(works, 3);
    let nothing = outlook(&world, FINISH).await.expect("it can be read");
    let (finish, _) = nothing.not_begun(&Commands::default()).expect("nothing is left");
    assert_eq!((finish.outcome, finish.exit_code), (Outcome::Nothing, 0));
    assert!(finish.state.ends_with("; nothing is left to finish"), "{}", finish.state);
    // There is no way back behind it.
    let back = outlook(&world, Wish::Rollback).await.expect_err("it is refused");
    assert!(matches!(back, Error::Finished { .. }), "{back}");
    let undo = outlook(&world, UNDO).await.expect("it can be read");
    let why = undo.refused().expect("it cannot be taken back");
    assert!(why.refusals().all(|finding| finding.check == Check::CannotFinish), "{:?}", why.findings);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_would_lower_again_is_taken_back() {
    let world = World::new(Database::kafka_topology("db").version("3.9.0").controllers(1).brokers(2)).gated();
    let before = BTreeMap::from([("metadata.version".to_owned(), 19)]);
    world.sim.databases().finalize(NAMESPACE, "db", &[("metadata.version", 19)]);
    let error = outlook(&world, UNDO).await.expect_err("nothing was finished");
    assert!(matches!(error, Error::NothingFinished { .. }), "{error}");
    done(&world, "first", FINISH).await;
    assert_eq!(features(&world)["metadata.version"], 21);
    done(&world, "second", UNDO).await;
    assert_eq!(features(&world), before);
    assert_eq!(state(&world).await, State::Fine);
    let again = outlook(&world, UNDO).await.expect("it can be read");
    assert!(again.not_begun(&Commands::default()).is_some(), "{:?}", again.hops.first.finish);
}

/// A node of an older release may be about to come back, or never be updated.
#[tokio::test(start_paused = true)]
async fn a_controller_that_does_not_answer_is_no_reason_to_go_on() {
    let world = updated();
    let silent = Fault::new(Effect::Reset).path("/pods/db-controller-1/portforward").always();
    world.sim.faults().add(silent);
    let refused = outlook(&world, FINISH).await.expect("it can be read");
    let plan = refused.refused().expect("it is refused");
    assert!(plan.refusals().any(|f| f.message.contains("db-controller-1")), "{:?}", plan.findings);
    assert_eq!(features(&world)["metadata.version"], 21);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_is_looked_up() {
    for mishap in [
        Mishap::Lost { done: true },
        Mishap::Lost { done: false },
        Mishap::Late(secs(10)),
        Mishap::Error { code: 7, done: true },
        Mishap::Lie,
        Mishap::Nonsense,
    ] {
        let world = updated();
        world.sim.databases().trouble(Trouble::FeatureUpdate(mishap));
        done(&world, "first", FINISH).await;
        assert_eq!(features(&world), all_of_4_0(), "{mishap:?}");
        assert_eq!(changes(&world), 3, "{mishap:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_in_kafkas_words_and_leaves_what_was_done() {
    let world = updated();
    world.sim.databases().trouble(Trouble::FeatureUpdate(Mishap::Error { code: 95, done: false }));
    let (end, _) = carried_out(&world, "first", FINISH, |_| {}).await;
    let end = end.expect("it ends").finish;
    assert_eq!((end.outcome, end.exit_code), (Outcome::Failed, 4), "{}", end.error);
    assert!(end.error.contains("metadata.version from 3.9-IV0 (21) to 4.0-IV3 (25)"), "{}", end.error);
    assert!(end.next.iter().any(|next| next.contains("dbupdate resume")), "{:?}", end.next);
    assert_eq!(state(&world).await, State::HalfFinished);
    done(&world, "second", Wish::Resume { through: false }).await;
    assert_eq!(features(&world), all_of_4_0());
    assert_eq!(state(&world).await, State::Fine);
}

/// The process dies at each of its writes, before the server has carried it out and after.
#[tokio::test(start_paused = true)]
async fn whoever_dies_is_continued_and_nothing_is_done_twice() {
    for after in [false, true] {
        for death in 1.. {
            let world = updated();
            if !dies(&world, death, after).await {
                assert!(death > 4, "{death}");
                break;
            }
            let when = format!("death {death}, {after}");
            goes_on(&world).await;
            assert_eq!(features(&world), all_of_4_0(), "{when}");
            assert_eq!(changes(&world), 3, "{when}");
            assert_eq!(state(&world).await, State::Fine, "{when}");
        }
    }
}

/// What another process does that is told to resume, or where nothing is to be resumed, to finish.
async fn goes_on(world: &World) {
    sleep(secs(60)).await;
    for wish in [Wish::Resume { through: false }, FINISH] {
        let found = outlook(world, wish.clone()).await.expect("it can be read");
        if found.not_begun(&Commands::default()).is_none() {
            done(world, "second", wish).await;
            return;
        }
    }
}

/// `false` if it came to its end before that write.
async fn dies(world: &World, death: u64, after: bool) -> bool {
    let writes = std::sync::Arc::new(AtomicU64::new(0));
    let counted = writes.clone();
    let fault = Fault::new(Effect::Hang).always().when(move |request| {
        let mutates = request.is_mutating() && !request.path.contains("/events");
        if request.client != "mortal" {
            return false;
        }
        let seen = counted.load(Ordering::Relaxed) + u64::from(mutates);
        counted.store(seen, Ordering::Relaxed);
        seen >= death && !(after && mutates && seen == death)
    });
    world.sim.faults().add(fault);
    let running = carried_out(world, "mortal", FINISH, |_| {});
    let died = timeout(secs(10), running).await.is_err();
    world.sim.faults().clear();
    died
}

#[tokio::test(start_paused = true)]
async fn an_update_with_finish_leaves_nothing_and_without_it_says_what_is_left() {
    let to = || Wish::Update {
        to: Some("4.0.0".to_owned()),
        through: false,
        methods: Methods { all: Some(Method::Provisioner), ..Methods::default() },
    };
    let world =
        || World::new(Database::kafka_topology("db").version("3.9.0").controllers(1).brokers(2)).gated();
    let plain = world();
    done(&plain, "first", to()).await;
    assert_eq!(state(&plain).await, State::ToFinish);
    assert_eq!(features(&plain)["metadata.version"], 21);
    let finishing = world();
    let soak = Some(Soak { soak_seconds: 60 });
    let (end, records) = carried_out(&finishing, "first", to(), |request| request.finish = soak).await;
    let end = end.expect("nobody stops it");
    assert_eq!((end.finish.outcome, end.runs.len()), (Outcome::Done, 2), "{}", end.finish.error);
    assert_eq!(features(&finishing), all_of_4_0());
    assert_eq!(state(&finishing).await, State::Fine);
    assert!(records.iter().any(|record| matches!(record.event, Event::WorkStarted { number: 3, of: 3, .. })));
}

#[tokio::test(start_paused = true)]
async fn nothing_that_its_update_still_has_to_do_speaks_against_a_finish_that_follows() {
    let slow = PodRule::new(Ailment::SlowStart(secs(400))).name("db-controller-0").image("*4.0.0*");
    let kafka = Database::kafka_topology("db").version("3.9.0").controllers(1).brokers(2);
    let world = World::behaving(Behaviour::default().with(slow), kafka).gated();
    let methods = Methods { all: Some(Method::Provisioner), ..Methods::default() };
    let to = Wish::Update { to: Some("4.0.0".to_owned()), through: false, methods };
    let finish = Some(Soak::default());
    let updating = carried_out(&world, "mortal", to, |request| request.finish = finish);
    timeout(secs(30), updating).await.expect_err("it dies half way");
    world.change_status(|db| db["status"]["phase"] = "Critical".into());
    let resumed = outlook(&world, Wish::Resume { through: false }).await.expect("it can be read");
    let against: Vec<_> = resumed.hops.all().flat_map(Plan::refusals).collect();
    assert_eq!(against, Vec::<&Finding>::new());
    let found = |check| resumed.hops.last().findings.iter().any(|finding| finding.check == check);
    assert!(found(Check::PodNotReady) && found(Check::Phase), "{:#?}", resumed.hops.last().findings);
    assert!(resumed.hops.last().finish.is_some() && resumed.hops.first.finish.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_database_that_falls_ill_while_it_soaks_is_not_finished() {
    let world = World::new(Database::kafka_topology("db").version("3.9.0").controllers(1).brokers(2)).gated();
    let methods = Methods { all: Some(Method::Provisioner), ..Methods::default() };
    let to = Wish::Update { to: Some("4.0.0".to_owned()), through: false, methods };
    let soak = Some(Soak { soak_seconds: 3600 });
    let updating = carried_out(&world, "first", to, |request| request.finish = soak);
    let hindering = async {
        while state(&world).await != State::ToFinish {
            sleep(secs(5)).await;
        }
        sleep(secs(600)).await;
        world.change_status(|db| db["status"]["phase"] = "Critical".into());
        sleep(secs(1)).await;
        std::future::pending::<()>().await
    };
    let (end, _) = tokio::select! {
        ended = updating => ended,
        () = hindering => unreachable!("it never ends"),
    };
    let end = end.expect("the update is done");
    assert!(matches!(end.between, Some(Between::Failed(_))), "{:?}", end.finish);
    assert_eq!(end.finish.exit_code, 4);
    assert_eq!(features(&world)["metadata.version"], 21);
}

/// Kafka 4 refuses to start on what is older than 3.3-IV3.
#[tokio::test(start_paused = true)]
async fn a_version_that_needs_it_is_refused_or_finished_first() {
    let world = || {
        let world =
            World::new(Database::kafka_topology("db").version("3.9.0").controllers(1).brokers(2)).gated();
        world.sim.databases().finalize(NAMESPACE, "db", &[("metadata.version", 6)]);
        world
    };
    let to = || Wish::Update {
        to: Some("4.0.0".to_owned()),
        through: true,
        methods: Methods { all: Some(Method::Provisioner), ..Methods::default() },
    };
    let refused = outlook(&world(), to()).await.expect("it can be read");
    let plan = refused.refused().expect("it is refused");
    let why = plan.refusals().find(|finding| finding.check == Check::NotFinished).expect("by that check");
    assert!(why.hint.contains("kubectl dbupdate finish kafka db"), "{}", why.hint);
    let world = world();
    let finish = Some(Soak::default());
    let (end, _) = carried_out(&world, "first", to(), |request| request.finish = finish).await;
    let end = end.expect("nobody stops it");
    assert_eq!((end.finish.outcome, end.runs.len()), (Outcome::Done, 3), "{}", end.finish.error);
    assert_eq!(features(&world), all_of_4_0());
}

/// A node goes on rewriting when the process dies that has told it to, and is not told again.
#[tokio::test(start_paused = true)]
async fn a_cassandra_is_rewritten_node_by_node_whenever_the_process_dies() {
    const NODES: [&str; 3] = ["db-rack-r0-0", "db-rack-r0-1", "db-rack-r1-0"];
    for seconds in [0, 1, 2, 3, 5, 8, 12, 3600] {
        let world = World::new(Database::cassandra_racks("db", &[("r0", 2), ("r1", 1)])).gated();
        let sstable = |table, format| Sstable::new("shop", table, format, 3 << 20);
        let sstables = vec![sstable("orders", "md"), sstable("items", "me"), sstable("items", "nb")];
        let disk = Disk { sstables, ..Disk::default() };
        NODES.iter().for_each(|node| world.sim.databases().put(NAMESPACE, node, disk.clone()));
        let running = carried_out(&world, "mortal", FINISH, |_| {});
        let died = timeout(secs(seconds), running).await.is_err();
        assert_eq!(died, seconds < 3600, "{seconds}");
        goes_on(&world).await;
        let formats = |node: &&str| world.sim.databases().disk(NAMESPACE, node).sstables;
        assert!(NODES.iter().flat_map(formats).all(|sstable| sstable.format == "nb"), "{seconds}");
        let told = world.sim.requests().into_iter();
        let told = told.filter(|sent| sent.query.iter().any(|(_, value)| value == "upgradesstables"));
        assert_eq!(told.count(), NODES.len(), "{seconds}");
        assert_eq!(state(&world).await, State::Fine, "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_not_restart_pods_may_finish_and_continue_a_finish() {
    let world = updated();
    for (verb, group, resource, subresource) in [
        ("create", "", "pods", "eviction"),
        ("patch", "kubedb.com", "kafkas", ""),
        ("patch", "apps.k8s.appscode.com", "petsets", ""),
    ] {
        world.sim.access().deny(verb, group, resource, subresource);
    }
    assert!(dies(&world, 3, true).await);
    sleep(secs(60)).await;
    assert_eq!(state(&world).await, State::HalfFinished);
    done(&world, "second", Wish::Resume { through: false }).await;
    assert_eq!(features(&world), all_of_4_0());
    let to = Wish::Update { to: Some("4.2.0".to_owned()), through: false, methods: Methods::default() };
    let update = outlook(&world, to).await.expect("it can be read");
    let refused = update.refused().expect("pods cannot be evicted");
    assert!(refused.refusals().any(|finding| finding.check == Check::Permissions));
}
