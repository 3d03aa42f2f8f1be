//! The order in which a plan prints the pods is the order in which they are restarted, whoever restarts them.

use std::collections::BTreeSet;

use kubectl_dbupdate::event::Step;
use kubectl_dbupdate::model::{Check, Method, Plan, PodAction};
use simcluster::world::{Database, Strategy};
use simcluster::{Behaviour, OpsManager, Subscription, object};

use crate::common::process::Process;
use crate::common::{World, text};

const STRATEGIES: [Strategy; 2] = [Strategy::OnDelete, Strategy::RollingUpdate { partition: 0 }];

fn databases() -> Vec<Database> {
    vec![
        Database::kafka_topology("db").cruise_control(),
        Database::druid("db").replicas_of("historicals", 3).replicas_of("brokers", 2),
        Database::cassandra_racks("db", &[("r0", 2), ("r1", 3)]),
        Database::hazelcast("db"),
        Database::zookeeper("db"),
    ]
}

/// The pods of its sets in the order in which a plan prints them, less those that stay: workload and pod.
fn printed(plan: &Plan) -> Vec<(String, String)> {
    let sets = plan.workloads.iter().filter(|w| w.kind.has_stable_names());
    let restarted = sets.flat_map(|w| w.pods.iter().map(move |p| (w, p)));
    let restarted = restarted.filter(|(_, p)| p.action != PodAction::Skip);
    restarted.map(|(w, p)| (w.object.name.clone(), p.name.clone())).collect()
}

/// The pods of the same sets in the order in which the server has recorded that they began to go away.
fn gone(changes: &mut Subscription) -> Vec<(String, String)> {
    let (mut seen, mut gone) = (BTreeSet::new(), Vec::new());
    while let Some(change) = changes.try_next() {
        let owner = text(&change.object, "/metadata/ownerReferences/0/kind");
        if change.res == "pods"
            && owner != "ReplicaSet"
            && object::is_terminating(&change.object)
            && seen.insert(object::uid(&change.object).to_owned())
        {
            let workload = text(&change.object, "/metadata/ownerReferences/0/name");
            gone.push((workload.to_owned(), change.name.clone()));
        }
    }
    gone
}

fn world(database: Database, method: Method) -> World {
    let ops_manager = OpsManager { alive: method == Method::OpsManager, ..OpsManager::default() };
    let mut world = World::behaving(Behaviour { ops_manager, ..Behaviour::default() }, database);
    world.method = method;
    world
}

/// Where every template is rendered at once, the controllers of all workloads roll side by side.
fn by_workload(mut pods: Vec<(String, String)>) -> Vec<(String, String)> {
    pods.sort_by(|(one, _), (other, _)| one.cmp(other));
    pods
}

#[tokio::test(start_paused = true)]
async fn an_update_restarts_the_pods_in_the_printed_order() {
    for method in Method::ALL {
        for strategy in STRATEGIES {
            if method == Method::Provisioner && strategy != Strategy::OnDelete {
                // It is refused.
                continue;
            }
            for database in databases() {
                let world = world(database.strategy(strategy), method);
                let mut changes = world.store().subscribe();
                let ended = world.update().await;
                ended.done();
                let (mut printed, mut gone) = (printed(&ended.plan), gone(&mut changes));
                assert_eq!(printed.len(), ended.plan.pods().count() - deployed(&ended.plan));
                if method == Method::OpsManager && strategy != Strategy::OnDelete {
                    (printed, gone) = (by_workload(printed), by_workload(gone));
                }
                assert_eq!(printed, gone, "{} {method} {strategy:?}", world.kind);
            }
        }
    }
}

/// The pods that come back under other names.
fn deployed(plan: &Plan) -> usize {
    plan.workloads.iter().filter(|w| !w.kind.has_stable_names()).map(|w| w.pods.len()).sum()
}

#[tokio::test(start_paused = true)]
async fn a_rollback_restarts_the_pods_in_the_printed_order() {
    for method in [Method::Client, Method::Provisioner] {
        for strategy in STRATEGIES {
            if method == Method::Provisioner && strategy != Strategy::OnDelete {
                continue;
            }
            for database in databases() {
                let world = world(database.strategy(strategy), method);
                goes_back(&world, strategy).await;
            }
        }
    }
}

/// Kills an update once every pod is on the target, or one that evicts in the middle, and rolls it back.
async fn goes_back(world: &World, strategy: Strategy) {
    let mut running = world.start().await;
    let pods = running.plan.pods().count();
    if strategy == Strategy::OnDelete {
        let name = printed(&running.plan)[pods / 2].1.clone();
        running.ready(&name).await;
    } else {
        running.step(Step::SetVersion).await;
    }
    running.crash().await;
    let skip = BTreeSet::from([Check::DataDowngrade]);
    let back = Process::rollback(world, world.cluster(), skip).await.expect("it is unfinished");
    assert_eq!(back.refusals(), []);
    let mut changes = world.store().subscribe();
    let printed = printed(&back.plan);
    assert!(!printed.is_empty());
    back.start().end().await.done();
    assert_eq!(printed, gone(&mut changes), "{} {} {strategy:?}", world.kind, world.method);
}
