//! Who is in and who leads, over restarts, and what a database can bear.

use simcluster::{Topic, Trouble};

use super::*;

/// A member is out the moment its pod goes, and in a while after the pod is Ready.
#[tokio::test(start_paused = true)]
async fn a_member_is_in_a_while_after_its_pod_is_ready() {
    let sim = running(Database::zookeeper("zk"));
    assert_eq!(sim.databases().present("default", "zk"), ["zk-0", "zk-1", "zk-2"]);
    delete(&sim, "zk-0");
    assert_eq!(sim.databases().present("default", "zk"), ["zk-1", "zk-2"]);
    ready_again(&sim, "zk-0").await;
    let rejoin = sim.behaviour().read(|behaviour| behaviour.rejoin);
    sleep(rejoin - Duration::from_millis(1)).await;
    assert_eq!(sim.databases().present("default", "zk"), ["zk-1", "zk-2"]);
    assert!(sim.databases().can_bear("default", "zk-0").is_err_and(|why| why.contains("not back")));
    a_moment().await;
    assert_eq!(sim.databases().present("default", "zk").len(), 3);
    assert_eq!(sim.databases().can_bear("default", "zk-0"), Ok(()));
}

/// Who leads goes on leading; when it goes, there is one election, and none when it comes back.
#[tokio::test(start_paused = true)]
async fn a_leader_stays_until_it_goes() {
    for (database, name, office, first, second) in [
        (Database::zookeeper("db"), "db", "leader", "db-1", "db-2"),
        (Database::kafka_topology("db"), "db", "controller", "db-controller-0", "db-controller-1"),
        (Database::hazelcast("db"), "db", "master", "db-0", "db-1"),
        (
            Database::druid("db").replicas_of("overlords", 2),
            "db",
            "overlord",
            "db-overlords-0",
            "db-overlords-1",
        ),
    ] {
        let sim = running(database);
        let leader = || sim.databases().leader("default", name, office);
        assert_eq!(
            (leader().as_deref(), sim.databases().elections("default", name, office)),
            (Some(first), 0)
        );
        delete(&sim, first);
        assert_eq!(leader().as_deref(), Some(second), "{first}");
        ready_again(&sim, first).await;
        sleep(SECOND).await;
        assert_eq!(
            (leader().as_deref(), sim.databases().elections("default", name, office)),
            (Some(second), 1)
        );
    }
}

/// Two of three that are out leave nobody to lead; the one that comes back makes a quorum again.
#[tokio::test(start_paused = true)]
async fn without_a_quorum_nobody_leads() {
    let sim = running(Database::zookeeper("zk"));
    for pod in ["zk-0", "zk-2"] {
        delete(&sim, pod);
    }
    assert_eq!(sim.databases().leader("default", "zk", "leader"), None);
    ready_again(&sim, "zk-0").await;
    sleep(SECOND).await;
    assert_eq!(sim.databases().leader("default", "zk", "leader").as_deref(), Some("zk-1"));
    assert_eq!(sim.databases().elections("default", "zk", "leader"), 1);
}

/// Who may go while all are in, and why nobody else may while one is away.
#[tokio::test(start_paused = true)]
async fn no_second_member_may_go_while_one_is_away() {
    for (database, away, other, why) in [
        (Database::zookeeper("db"), "db-0", "db-2", "2 of 3 members are in"),
        (Database::hazelcast("db"), "db-0", "db-2", "2 of 3 members are in"),
        (
            Database::cassandra_racks("db", &[("a", 2), ("b", 1)]),
            "db-rack-a-0",
            "db-rack-b-0",
            "2 of 3 members",
        ),
        (Database::kafka_topology("db"), "db-broker-0", "db-broker-1", "has 2 replicas in sync and needs 2"),
        (Database::kafka_topology("db"), "db-controller-0", "db-controller-1", "1 other controllers"),
        (Database::kafka_combined("db"), "db-0", "db-1", "1 other controllers"),
        (Database::druid("db").replicas_of("brokers", 2), "db-brokers-0", "db-brokers-1", "1 of 2 members"),
    ] {
        let sim = running(database);
        assert_eq!(sim.databases().can_bear("default", away), Ok(()), "{away}");
        assert_eq!(sim.databases().can_bear("default", other), Ok(()), "{other}");
        delete(&sim, away);
        let said = sim.databases().can_bear("default", other).expect_err("it cannot");
        assert!(said.contains(why), "{other}: {said}");
    }
}

/// What else a database cannot bear, until it is healed.
#[tokio::test(start_paused = true)]
async fn troubles_hold_pods_back() {
    let lag = |broker| Trouble::Lagging { topic: "orders".into(), partition: 3, broker };
    let pods = |name: &str| name.to_owned();
    for (database, pod, trouble) in [
        (Database::kafka_topology("db"), "db-broker-0", lag(1)),
        (Database::hazelcast("db"), "db-0", Trouble::Migrating { pods: pods("db-*") }),
        (Database::hazelcast("db"), "db-0", Trouble::Island { pod: pods("db-2") }),
        (
            Database::cassandra_racks("db", &[("a", 3)]),
            "db-rack-a-0",
            Trouble::OtherSchema { pods: pods("db-rack-a-1") },
        ),
        (Database::zookeeper("db"), "db-0", Trouble::ClaimsToLead { pods: pods("db-2") }),
        (Database::zookeeper("db"), "db-0", Trouble::OtherCluster { pods: pods("db-2") }),
        (Database::druid("db"), "db-historicals-0", Trouble::Loading { pods: pods("db-historicals-0") }),
    ] {
        let sim = running(database);
        sim.databases().trouble(trouble.clone());
        assert!(sim.databases().can_bear("default", pod).is_err(), "{trouble:?}");
        sim.databases().heal(&trouble);
        assert_eq!(sim.databases().can_bear("default", pod), Ok(()), "{trouble:?}");
        sim.databases().trouble_for(trouble.clone(), SECOND);
        assert!(sim.databases().can_bear("default", pod).is_err(), "{trouble:?}");
        sleep(SECOND).await;
        assert_eq!(sim.databases().can_bear("default", pod), Ok(()), "{trouble:?}");
    }
}

/// A broker that lags on a partition may go itself: two others are in sync.
#[tokio::test(start_paused = true)]
async fn a_replica_that_is_not_in_sync_is_not_missed() {
    let sim = running(Database::kafka_topology("kf"));
    sim.databases().trouble(Trouble::Lagging { topic: "orders".into(), partition: 3, broker: 1 });
    assert_eq!(sim.databases().can_bear("default", "kf-broker-1"), Ok(()));
    assert!(sim.databases().can_bear("default", "kf-broker-2").is_err());
}

/// What never has more replicas than it needs can never be rolled safely, and so holds nobody back.
#[tokio::test(start_paused = true)]
async fn a_topic_with_no_replica_to_spare_holds_nobody_back() {
    for (replication, least, borne) in [(1, 1, true), (2, 2, true), (3, 3, true), (3, 2, false), (2, 1, true)]
    {
        let sim = running(Database::kafka_topology("kf"));
        let mut contents = sim.databases().contents("default", "kf");
        contents.topics = vec![Topic::spread("own", 1, replication, least, 3)];
        sim.databases().fill("default", "kf", &contents);
        delete(&sim, "kf-broker-2");
        let can = sim.databases().can_bear("default", "kf-broker-0");
        assert_eq!(can.is_ok(), borne, "{replication} {least}: {can:?}");
    }
}

/// Each pod that went is judged by the moment at which it went.
#[tokio::test(start_paused = true)]
async fn departures_are_judged_at_their_own_moment() {
    let sim = running(Database::zookeeper("zk"));
    sleep(SECOND).await;
    for pod in ["zk-0", "zk-1"] {
        delete(&sim, pod);
    }
    sleep(SECOND).await;
    let departures = sim.databases().departures();
    let told: Vec<_> =
        departures.iter().map(|went| (went.pod.as_str(), went.borne.is_ok(), went.quiet)).collect();
    assert_eq!(told, [("zk-0", true, SECOND), ("zk-1", false, Duration::ZERO)]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_member_is_in_when_it_is_due_or_healed() {
    for (delay, healed, after) in [(10, None, 10), (10, Some(4), 4), (3600, Some(4), 4)] {
        let sim = running(Database::zookeeper("zk"));
        let slow = Trouble::SlowRejoin { pods: "zk-2".into(), delay: Duration::from_secs(delay) };
        sim.databases().trouble(slow.clone());
        delete(&sim, "zk-2");
        ready_again(&sim, "zk-2").await;
        for second in 0..after {
            assert_eq!(sim.databases().present("default", "zk").len(), 2, "{delay} {second}");
            if healed == Some(second) {
                break;
            }
            sleep(SECOND).await;
        }
        if healed.is_some() {
            sim.databases().heal(&slow);
        }
        assert_eq!(sim.databases().present("default", "zk").len(), 3, "{delay}");
    }
}

/// A restless leader is another one a moment after each question, and not without one.
#[tokio::test(start_paused = true)]
async fn a_restless_leader_moves_after_a_question() {
    let sim = running(Database::zookeeper("zk"));
    sim.databases().trouble(Trouble::LeaderMoves { after: Duration::from_millis(20) });
    let leader = || sim.databases().leader("default", "zk", "leader").expect("one leads");
    sleep(SECOND).await;
    assert_eq!(leader(), "zk-1");
    let mut line = line::Line::open(&sim, "zk-0", 2181).await.expect("it listens");
    line.send(b"mntr").await;
    assert_eq!(leader(), "zk-1");
    sleep(SECOND).await;
    assert_eq!((leader().as_str(), sim.databases().elections("default", "zk", "leader")), ("zk-2", 1));
    sim.databases().move_leader("default", "zk", "leader");
    assert_eq!(leader(), "zk-0");
}
