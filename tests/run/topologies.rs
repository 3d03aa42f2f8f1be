//! Every topology, on both workload APIs, with both update strategies: from the plan to the end.

use crate::common::{World, announced};
use simcluster::WorkloadApi;
use simcluster::world::{Database, Strategy};

const ROLLING: Strategy = Strategy::RollingUpdate { partition: 0 };

/// Updates the database in each of the four settings. `workloads` are its workloads in the order in which they have to
/// be rolled, with their pods.
async fn updates(database: Database, workloads: &[(&str, i64)]) {
    for api in WorkloadApi::ALL {
        for strategy in [Strategy::OnDelete, ROLLING] {
            let world = World::new(database.clone().workload_api(api).strategy(strategy));
            let mut guard = world.guard();
            let ended = world.update().await;
            ended.done();
            world.is_updated();
            let case = format!("{api:?} {strategy:?}");
            assert!(guard.most_away() <= 1, "{case}: {} pods away at once", guard.most_away());
            assert_eq!(world.sent(), announced(&ended.plan), "{case}");
            assert_eq!(shortened(&world.sent()), expected(&world, api, strategy, workloads), "{case}");
            assert!(ended.finish.operator_confirmed);
            let results: Vec<_> = ended.finish.workloads.iter().map(|w| (w.restarted, w.updated)).collect();
            let pods: Vec<_> = workloads.iter().map(|(_, pods)| (*pods as u64, *pods as u64)).collect();
            assert_eq!(results, pods, "{case}");
        }
    }
}

/// What the server has to receive, written down without asking the plan; images left out.
fn expected(world: &World, api: WorkloadApi, strategy: Strategy, workloads: &[(&str, i64)]) -> Vec<String> {
    let patch = |name: &str| format!("images {api:?}/{name}").to_lowercase();
    let mut all = vec!["pause".to_owned()];
    if strategy == Strategy::OnDelete {
        all.extend(workloads.iter().map(|(name, _)| patch(name)));
        all.extend(
            workloads.iter().flat_map(|(name, pods)| (0..*pods).map(move |at| format!("evict {name}-{at}"))),
        );
    } else {
        all.extend(workloads.iter().map(|(name, _)| patch(name)));
    }
    all.extend([format!("version {}", world.target()), "resume".to_owned()]);
    all
}

/// Without the images that a patch sets.
fn shortened(sent: &[String]) -> Vec<String> {
    sent.iter()
        .map(|s| {
            if s.starts_with("images") {
                s.split(' ').take(2).collect::<Vec<_>>().join(" ")
            } else {
                s.clone()
            }
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn kafka_combined() {
    updates(Database::kafka_combined("db"), &[("db", 3)]).await;
}
