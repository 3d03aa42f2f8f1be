//! Every topology, on both workload APIs, with both update strategies: from the plan to the end.

use std::sync::{Arc, Mutex};

use simcluster::WorkloadApi;
use simcluster::world::{Database, Strategy};

use crate::common::changes::{announced, sent};
use crate::common::{World, old_pods};

const ROLLING: Strategy = Strategy::RollingUpdate { partition: 0 };

/// Updates the database in each of the four settings. `workloads` are its workloads in the order in which they have to
/// be rolled, with their pods.
async fn updates(database: Database, workloads: &[(&str, usize)]) {
    for api in WorkloadApi::ALL {
        for strategy in [Strategy::OnDelete, ROLLING] {
            let case = format!("{api:?} {strategy:?}");
            let world = World::new(database.clone().workload_api(api).strategy(strategy));
            let (mut guard, turns) = (world.guard(), turns(&world));
            let ended = world.update().await;
            ended.done();
            world.is_updated();
            assert!(guard.most_away() <= 1, "{case}: pods were away at once");
            assert_eq!(world.sent(), announced(&ended.plan), "{case}");
            assert_eq!(shortened(&world.sent()), expected(&world, api, strategy, workloads), "{case}");
            if strategy == ROLLING {
                assert_eq!(*turns.lock().unwrap(), old_at_each_turn(workloads), "{case}");
            }
            let results: Vec<_> = ended.finish.workloads.iter().map(|w| (w.restarted, w.updated)).collect();
            let pods: Vec<_> = workloads.iter().map(|(_, pods)| (*pods as u64, *pods as u64)).collect();
            assert_eq!(results, pods, "{case}");
            assert!(ended.finish.operator_confirmed && ended.finish.longest_away_ms > 0, "{case}");
        }
    }
}

/// What the server has to receive, spelled out without asking the plan; images left out.
fn expected(world: &World, api: WorkloadApi, strategy: Strategy, workloads: &[(&str, usize)]) -> Vec<String> {
    let mut all = vec!["pause".to_owned()];
    all.extend(workloads.iter().map(|(name, _)| format!("images {api:?}/{name}").to_lowercase()));
    if strategy == Strategy::OnDelete {
        all.extend(pods(workloads).iter().map(|pod| format!("evict {pod}")));
    }
    all.extend([format!("version {}", world.target()), "resume".to_owned()]);
    all
}

fn pods(workloads: &[(&str, usize)]) -> Vec<String> {
    workloads.iter().flat_map(|(name, pods)| (0..*pods).map(move |at| format!("{name}-{at}"))).collect()
}

/// Without the images that a patch sets.
fn shortened(sent: &[String]) -> Vec<String> {
    let short = |s: &String| match s.split(' ').collect::<Vec<_>>().as_slice() {
        ["images", workload, ..] => format!("images {workload}"),
        _ => s.clone(),
    };
    sent.iter().map(short).collect()
}

/// Notes at each image patch which pods are still on old images.
fn turns(world: &World) -> Arc<Mutex<Vec<Vec<String>>>> {
    let turns: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let (noted, store, target) = (turns.clone(), world.store().clone(), world.target());
    world.sim.on_request(move |request| {
        if sent(request).is_some_and(|s| s.starts_with("images")) {
            noted.lock().unwrap().push(old_pods(&store, target));
        }
    });
    turns
}

/// When a workload that rolls by itself is patched, those before it are done and those after it untouched.
fn old_at_each_turn(workloads: &[(&str, usize)]) -> Vec<Vec<String>> {
    let sorted = |mut pods: Vec<String>| {
        pods.sort();
        pods
    };
    (0..workloads.len()).map(|turn| sorted(pods(&workloads[turn..]))).collect()
}

#[tokio::test(start_paused = true)]
async fn kafka_combined() {
    updates(Database::kafka_combined("db"), &[("db", 3)]).await;
}

#[tokio::test(start_paused = true)]
async fn kafka_with_controllers_and_brokers() {
    updates(Database::kafka_topology("db"), &[("db-controller", 3), ("db-broker", 3)]).await;
}

#[tokio::test(start_paused = true)]
async fn druid_with_every_role() {
    let database = Database::druid("db").replicas_of("brokers", 2).replicas_of("historicals", 2);
    let workloads = [
        ("db-historicals", 2),
        ("db-middlemanagers", 1),
        ("db-brokers", 2),
        ("db-routers", 1),
        ("db-overlords", 1),
        ("db-coordinators", 1),
    ];
    updates(database, &workloads).await;
}

#[tokio::test(start_paused = true)]
async fn druid_without_routers_and_overlords() {
    let workloads =
        [("db-historicals", 1), ("db-middlemanagers", 1), ("db-brokers", 1), ("db-coordinators", 1)];
    updates(Database::druid("db").without("routers").without("overlords"), &workloads).await;
}

#[tokio::test(start_paused = true)]
async fn cassandra_standalone() {
    updates(Database::cassandra("db"), &[("db", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn cassandra_with_racks() {
    let database = Database::cassandra_racks("db", &[("r0", 2), ("r1", 3)]);
    updates(database, &[("db-rack-r0", 2), ("db-rack-r1", 3)]).await;
}

#[tokio::test(start_paused = true)]
async fn hazelcast() {
    updates(Database::hazelcast("db"), &[("db", 3)]).await;
}

#[tokio::test(start_paused = true)]
async fn zookeeper() {
    updates(Database::zookeeper("db"), &[("db", 3)]).await;
}

/// Cruise control is patched last, and followed to its end; none of its pods is evicted.
#[tokio::test(start_paused = true)]
async fn kafka_with_cruise_control() {
    for api in WorkloadApi::ALL {
        let world = World::new(Database::kafka_topology("db").workload_api(api).cruise_control());
        let (mut guard, turns) = (world.guard(), turns(&world));
        let ended = world.update().await;
        ended.done();
        world.is_updated();
        assert!(guard.most_away() <= 1);
        assert_eq!(world.sent(), announced(&ended.plan));
        let all = [("db-controller", 3), ("db-broker", 3)];
        let mut expected = expected(&world, api, Strategy::OnDelete, &all);
        expected.insert(expected.len() - 2, "images deployment/db-cruise-control".to_owned());
        assert_eq!(shortened(&world.sent()), expected);
        let before_the_last: Vec<_> = turns.lock().unwrap().last().cloned().unwrap_or_default();
        assert!(
            matches!(before_the_last.as_slice(), [pod] if pod.starts_with("db-cruise-control")),
            "{before_the_last:?}"
        );
    }
}
