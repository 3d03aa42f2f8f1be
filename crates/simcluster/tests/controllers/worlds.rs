//! Worlds are up when they are installed, and stay as they are.

use simcluster::WorkloadApi;
use simcluster::world::{PodManagement, Strategy, catalog, sandbox, scale_world};

use super::*;

/// Whatever the controllers would still change shows as a newer version.
async fn stays(install: impl FnOnce(&SimCluster)) {
    let cluster = SimCluster::new(Behaviour::default());
    install(&cluster);
    let before = cluster.store().version();
    let changes = &mut cluster.store().subscribe();
    cluster.start();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let moved = changes.try_next().map(|change| {
        (change.res.clone(), change.name.clone(), change.object.clone(), change.previous.clone())
    });
    assert_eq!(cluster.store().version(), before, "moved: {moved:#?}");
}

#[tokio::test(start_paused = true)]
async fn the_sandbox_stays_as_it_is() {
    stays(sandbox).await;
}

#[tokio::test(start_paused = true)]
async fn a_large_world_stays_as_it_is() {
    stays(|cluster| scale_world(cluster, 20, 10)).await;
}

#[tokio::test(start_paused = true)]
async fn every_option_gives_a_world_that_stays_as_it_is() {
    let databases = [
        Database::kafka_topology("a").version("4.0.0").controllers(3).brokers(5).cruise_control(),
        Database::kafka_combined("b").pinned().sidecar("agent", "example.com/agent:1"),
        Database::druid("c").without("routers").without("overlords").min_ready_seconds(30),
        Database::cassandra("d").workload_api(WorkloadApi::StatefulSet),
        Database::hazelcast("e")
            .workload_api(WorkloadApi::PetSet)
            .pod_management(PodManagement::OrderedReady),
        Database::zookeeper("f").strategy(Strategy::RollingUpdate { partition: 0 }).no_budget().replicas(5),
        Database::zookeeper("g")
            .workload_api(WorkloadApi::StatefulSet)
            .strategy(Strategy::RollingUpdate { partition: 2 }),
        Database::kafka_combined("h").adjust_workload(|set| set["spec"]["ordinals"] = json!({"start": 1})),
    ];
    for database in databases {
        stays(|cluster| {
            catalog::install(cluster.store());
            database.install(cluster);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_sandbox_has_what_it_promises() {
    let cluster = SimCluster::new(Behaviour::default());
    sandbox(&cluster);
    let store = cluster.store();
    let names = |res: &str| -> Vec<String> {
        store
            .list(res, Some("default"))
            .iter()
            .map(|object| text(object, "/metadata/name").to_owned())
            .collect()
    };
    assert_eq!(names(STATEFUL_SETS), ["my-hz"]);
    let petsets = [
        "my-cas-rack-r0",
        "my-cas-rack-r1",
        "my-dr-brokers",
        "my-dr-coordinators",
        "my-dr-historicals",
        "my-dr-middlemanagers",
        "my-dr-overlords",
        "my-dr-routers",
        "my-kf-broker",
        "my-kf-controller",
        "my-zk",
    ];
    assert_eq!(names(PETSETS), petsets);
    assert!(names(PODS).iter().all(|pod| is_ready(store, pod)));
    let budget = get(store, BUDGETS, "my-kf-broker");
    assert_eq!(
        (number(&budget, "/spec/maxUnavailable"), number(&budget, "/status/disruptionsAllowed")),
        (1, 1)
    );
    assert!(store.get(BUDGETS, "default", "my-dr-routers").is_none(), "a single pod has no budget");
    assert_eq!(text(&get(store, KAFKAS, "my-kf"), "/status/phase"), "Ready");
    let pod = get(store, PODS, "my-kf-broker-0");
    assert_eq!(pod["metadata"]["labels"]["app.kubernetes.io/name"], "kafkas.kubedb.com");
    assert_eq!(pod["metadata"]["labels"]["kubedb.com/role"], "broker");
    assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], json!(uid(store, PETSETS, "my-kf-broker")));
}

#[tokio::test(start_paused = true)]
async fn budgets_can_be_made_to_block() {
    let cluster = running(Behaviour::default(), Database::zookeeper("zk").max_unavailable(2));
    let allowed = || number(&get(cluster.store(), BUDGETS, "zk"), "/status/disruptionsAllowed");
    assert_eq!(allowed(), 2);
    simcluster::world::block_budgets(&cluster);
    until(cluster.store(), "blocked", || allowed() == 0).await;
    assert_eq!(number(&get(cluster.store(), BUDGETS, "zk"), "/status/desiredHealthy"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_pods_are_replaced_in_no_time() {
    let cluster = SimCluster::new(Behaviour::default());
    scale_world(&cluster, 100, 10);
    cluster.start();
    let store = cluster.store().clone();
    let pods: Vec<String> =
        store.list(PODS, None).iter().map(|pod| text(pod, "/metadata/name").to_owned()).collect();
    assert_eq!(pods.len(), 1000);
    let before: Vec<String> = pods.iter().map(|pod| uid(&store, PODS, pod)).collect();
    let real = std::time::Instant::now();
    for pod in &pods {
        delete(&store, PODS, pod);
    }
    // A look at each of a thousand pods after each of some ten thousand changes would be the longest part.
    tokio::time::sleep(300 * SECOND).await;
    assert!(pods.iter().all(|pod| is_ready(&store, pod)));
    assert!(pods.iter().zip(before).all(|(pod, before)| uid(&store, PODS, pod) != before));
    assert!(real.elapsed() < Duration::from_secs(30), "took {:?}", real.elapsed());
}
