//! Restarts that wait for the database's own word: the order, the gates, and what is done if nothing is said.
//!
//! The simulated database judges every departure of a pod by its own truth, whatever it has answered.

use kubectl_dbupdate::event::{Event, Outcome, WaitingOn, code};
use kubectl_dbupdate::model::{Check, HealthMode, Plan, Severity};
use simcluster::world::Database;
use simcluster::{Misanswer, Trouble};

use crate::back::roll_back;
use crate::common::{Ended, NAMESPACE, World, secs};

fn databases() -> Vec<(Database, &'static [&'static str])> {
    vec![
        (Database::kafka_topology("db"), &["controller"]),
        (Database::kafka_combined("db"), &["controller"]),
        (druid_pairs(), &["coordinator", "overlord"]),
        (Database::cassandra_racks("db", &[("r0", 2), ("r1", 1)]), &[]),
        (Database::hazelcast("db"), &["master"]),
        (Database::zookeeper("db"), &["leader"]),
    ]
}

/// A Druid whose leaders can move.
fn druid_pairs() -> Database {
    Database::druid("db").replicas_of("coordinators", 2).replicas_of("overlords", 2)
}

/// The departures that the database could not bear.
pub fn unborne(world: &World) -> Vec<String> {
    let departures = world.sim.databases().departures();
    assert!(!departures.is_empty(), "no pod has gone");
    let unborne = departures.iter().filter_map(|gone| Some((&gone.pod, gone.borne.as_ref().err()?)));
    unborne.map(|(pod, why)| format!("{pod}: {why}")).collect()
}

/// The reasons of the database for which the run has waited.
fn reasons(ended: &Ended) -> Vec<String> {
    let reasons = ended.events().filter_map(|event| match event {
        Event::PodWaiting { on: WaitingOn::Database { why, .. } | WaitingOn::Answer { why, .. }, .. } => {
            Some(why.join("; "))
        }
        _ => None,
    });
    reasons.collect()
}

fn finding(plan: &Plan, check: Check) -> Option<(Severity, &str)> {
    plan.findings.iter().find(|f| f.check == check).map(|f| (f.severity, f.message.as_str()))
}

/// The order in which pods were evicted.
fn order(ended: &Ended) -> Vec<&str> {
    let evicted = ended.events().filter_map(|event| match event {
        Event::PodEvicted { pod, .. } => Some(pod.as_str()),
        _ => None,
    });
    evicted.collect()
}

#[tokio::test(start_paused = true)]
async fn every_kind_is_rolled_as_it_can_bear_it_with_one_election_for_each_office() {
    for (database, offices) in databases() {
        let world = World::new(database).gated();
        let plan = world.plan().await;
        assert!(plan.health.is_some(), "{}: it was not asked: {:?}", world.kind, plan.findings);
        let leaders: Vec<_> =
            offices.iter().map(|office| world.sim.databases().leader(NAMESPACE, "db", office)).collect();
        let ended = world.update().await;
        ended.done();
        assert_eq!(unborne(&world), Vec::<String>::new(), "{}", world.kind);
        for (office, leader) in offices.iter().zip(leaders) {
            assert_eq!(
                world.sim.databases().elections(NAMESPACE, "db", office),
                1,
                "{} {office}",
                world.kind
            );
            let leader = leader.expect("somebody leads");
            let workload = leader.rsplit_once('-').map_or("", |(workload, _)| workload);
            let last = order(&ended).into_iter().rfind(|pod| pod.starts_with(workload)).map(str::to_owned);
            assert_eq!(last, Some(leader), "{} {office}", world.kind);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_ready_and_not_yet_a_member_is_waited_for_in_the_databases_words() {
    for (database, pod, words) in [
        (Database::kafka_topology("db"), "db-broker-0", "broker 0 is not in the ISR of"),
        (Database::zookeeper("db"), "db-0", "db-0"),
        (Database::hazelcast("db"), "db-0", ""),
        (Database::cassandra_racks("db", &[("r0", 3)]), "db-rack-r0-0", "db-rack-r0-0"),
    ] {
        let world = World::new(database).gated();
        let delay = secs(90);
        world.sim.databases().trouble(Trouble::SlowRejoin { pods: pod.into(), delay });
        let ended = world.update().await;
        ended.done();
        assert_eq!(unborne(&world), Vec::<String>::new(), "{}", world.kind);
        let said = reasons(&ended);
        assert!(said.iter().any(|why| why.contains(words)), "{}: {said:?}", world.kind);
        let away = ended.ready_at(pod) - ended.evicted_at(pod);
        assert!(away > delay && away < delay + secs(15), "{}: {away:?}", world.kind);
    }
}

/// Without this the test before would prove nothing.
#[tokio::test(start_paused = true)]
async fn by_readiness_alone_the_same_pods_go_too_early() {
    for database in [Database::kafka_topology("db"), Database::zookeeper("db"), Database::hazelcast("db")] {
        let world = World::new(database);
        world.sim.databases().trouble(Trouble::SlowRejoin { pods: "*-0".into(), delay: secs(90) });
        world.update().await.done();
        assert_ne!(unborne(&world), Vec::<String>::new(), "{}", world.kind);
    }
}

#[tokio::test(start_paused = true)]
async fn a_database_below_its_strength_is_not_touched_unless_that_is_overridden() {
    let world = World::new(Database::kafka_topology("db")).gated();
    let lag = Trouble::Lagging { topic: "orders".into(), partition: 3, broker: 1 };
    world.sim.databases().trouble(lag);
    let plan = world.plan().await;
    let (severity, message) = finding(&plan, Check::Quorum).expect("it is below its strength");
    assert_eq!(severity, Severity::Refusal);
    assert!(message.contains("orders-3"), "{message}");
    world.start_with(|options| options.skip.extend([Check::Quorum])).await.end().await.done();
}

#[tokio::test(start_paused = true)]
async fn a_database_that_may_not_be_asked_is_updated_by_readiness_and_that_is_said_before() {
    let mut world = World::new(Database::zookeeper("db")).gated();
    world.sim.access().deny("get", "", "pods", "portforward");
    world.sim.access().deny("get", "", "pods", "proxy");
    let plan = world.plan().await;
    assert_eq!(plan.health, None);
    let (severity, message) = finding(&plan, Check::Health).expect("it is said");
    assert_eq!(severity, Severity::Warning);
    assert!(message.contains("forbidden") && message.contains("portforward"), "{message}");
    world.health = HealthMode::Require;
    let severity = finding(&world.plan().await, Check::Health).map(|(severity, _)| severity);
    assert_eq!(severity, Some(Severity::Refusal));
    world.health = HealthMode::Auto;
    world.update().await.done();
}

#[tokio::test(start_paused = true)]
async fn whatever_is_answered_in_mid_run_no_pod_goes_that_must_not() {
    for how in [
        Misanswer::Refuse,
        Misanswer::Reset,
        Misanswer::Garbage,
        Misanswer::Endless,
        Misanswer::Hang,
        Misanswer::RejectCredentials,
    ] {
        for database in [
            Database::kafka_combined("db"),
            Database::zookeeper("db"),
            Database::hazelcast("db"),
            Database::cassandra_racks("db", &[("r0", 3)]),
        ] {
            let world = World::new(database).gated();
            let mut running = world.start().await;
            running.event("an eviction", |e| matches!(e, Event::PodEvicted { .. })).await;
            world.sim.databases().trouble_for(Trouble::Answers { pods: "*".into(), how }, secs(60));
            let ended = running.end().await;
            ended.done();
            assert_eq!(unborne(&world), Vec::<String>::new(), "{} {how:?}", world.kind);
            // A connection that stands needs no credentials any more.
            let stands = how == Misanswer::RejectCredentials;
            assert!(ended.took() > secs(60) || stands, "{} {how:?}: {:?}", world.kind, ended.took());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_database_that_stays_silent_stops_the_run_after_the_pod_timeout() {
    let world = World::new(Database::zookeeper("db")).gated();
    let mut running = world.start_with(|options| options.bounds.pod_timeout = secs(120)).await;
    running.event("an eviction", |e| matches!(e, Event::PodEvicted { .. })).await;
    world.sim.databases().trouble(Trouble::Answers { pods: "*".into(), how: Misanswer::Refuse });
    let ended = running.end().await;
    ended.ended(Outcome::Failed, code::UNFINISHED, true, true).says(&["ZooKeeper", "refuse"]);
    assert_eq!(order(&ended).len(), 1);
    world.sim.databases().heal_all();
    world.goes_on().await;
    assert_eq!(unborne(&world), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn liars_hold_the_run_up() {
    for (database, lie) in [
        (Database::zookeeper("db"), Trouble::ClaimsToLead { pods: "db-2".into() }),
        (Database::kafka_combined("db"), Trouble::ClaimsToLead { pods: "db-2".into() }),
        (Database::kafka_combined("db"), Trouble::OtherCluster { pods: "db-2".into() }),
        (Database::zookeeper("db"), Trouble::OtherCluster { pods: "db-2".into() }),
        (druid_pairs(), Trouble::ClaimsToLead { pods: "db-coordinators-*".into() }),
        (druid_pairs(), Trouble::ClaimsToLead { pods: "db-overlords-*".into() }),
        (druid_pairs(), Trouble::OtherCluster { pods: "db-coordinators-1".into() }),
        (Database::hazelcast("db"), Trouble::OtherCluster { pods: "db-2".into() }),
        (
            Database::cassandra_racks("db", &[("r0", 3)]),
            Trouble::OtherCluster { pods: "db-rack-r0-2".into() },
        ),
    ] {
        let world = World::new(database).gated();
        let mut running = world.start().await;
        running.event("an eviction", |e| matches!(e, Event::PodEvicted { .. })).await;
        world.sim.databases().trouble_for(lie.clone(), secs(60));
        let ended = running.end().await;
        ended.done();
        assert!(ended.took() > secs(60), "{} {lie:?}: {:?}", world.kind, ended.took());
        assert_eq!(unborne(&world), Vec::<String>::new(), "{} {lie:?}", world.kind);
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_moves_is_read_anew_before_each_pod() {
    for (database, office) in [
        (Database::kafka_topology("db"), "controller"),
        (Database::zookeeper("db"), "leader"),
        (Database::hazelcast("db"), "master"),
        (druid_pairs(), "coordinator"),
    ] {
        let world = World::new(database).gated();
        let databases = world.sim.databases();
        let mut running = world.start().await;
        running.event("an eviction", |e| matches!(e, Event::PodReady { .. })).await;
        databases.move_leader(NAMESPACE, "db", office);
        let ended = running.end().await;
        ended.done();
        assert_eq!(unborne(&world), Vec::<String>::new(), "{}", world.kind);
    }
    // One that moves between every question and the eviction costs elections, and nothing else.
    for database in [Database::zookeeper("db"), Database::kafka_combined("db")] {
        let world = World::new(database).gated();
        world.sim.databases().trouble(Trouble::LeaderMoves { after: secs(1) });
        world.update().await.done();
        assert_eq!(unborne(&world), Vec::<String>::new(), "{}", world.kind);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_asks_as_well() {
    let world = World::new(Database::zookeeper("db")).gated();
    let mut running = world.start().await;
    running.ready("db-0").await;
    running.interrupt();
    running.end().await.ended(Outcome::Stopped, 130, true, true);
    world.sim.databases().trouble(Trouble::SlowRejoin { pods: "*".into(), delay: secs(60) });
    roll_back(&world).await.expect("it is half done").done();
    assert_eq!(unborne(&world), Vec::<String>::new());
}

/// The API server may be down for minutes, and is not to be asked several times in each of its seconds.
#[tokio::test(start_paused = true)]
async fn a_database_that_never_answers_is_asked_more_seldom() {
    let world = World::new(Database::zookeeper("db")).gated();
    let mut running = world.start().await;
    running.event("an eviction", |e| matches!(e, Event::PodEvicted { .. })).await;
    let silent = Trouble::Answers { pods: "*".into(), how: Misanswer::Refuse };
    world.sim.databases().trouble_for(silent, secs(120));
    tokio::time::sleep(secs(10)).await;
    let questions = || world.sim.requests().iter().filter(|r| r.path.ends_with("/portforward")).count();
    let before = questions();
    tokio::time::sleep(secs(100)).await;
    let asked = questions() - before;
    // A pod is tried twice, every other second.
    assert!(asked > 0 && asked <= 3 * 2 * 51, "three pods were asked {asked} times");
    running.end().await.done();
    assert_eq!(unborne(&world), Vec::<String>::new());
}
