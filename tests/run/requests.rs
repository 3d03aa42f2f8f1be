//! What the server receives: the same as the dry run announces, and not more than it has to be.

use kubectl_dbupdate::engine;
use kubectl_dbupdate::model::Purpose;
use kubectl_dbupdate::plan::update;
use serde_json::Value;
use simcluster::RecordedRequest;
use simcluster::world::Database;

use crate::common::changes::announced;
use crate::common::{World, request};

/// A database of each kind, with what makes a difference to the requests.
pub fn databases() -> Vec<Database> {
    vec![
        Database::kafka_topology("db").cruise_control(),
        Database::druid("db"),
        Database::cassandra_racks("db", &[("r0", 2), ("r1", 2)]),
        Database::hazelcast("db").sidecar("agent", "example.com/agent:1"),
        Database::zookeeper("db").replicas(5),
    ]
}

/// Path and body of every image patch, eviction and version that was sent.
fn bodies(world: &World, dry_run: bool) -> Vec<(String, Value)> {
    let aside = ["/leases", "/configmaps", "/events", "/status"];
    let about = |r: &&RecordedRequest| {
        r.dry_run == dry_run && r.is_mutating() && !aside.iter().any(|a| r.path.contains(a))
    };
    world.sim.requests().iter().filter(about).map(|r| (r.path.clone(), r.body.clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_plan_changes_nothing_and_is_what_the_run_sends() {
    for database in databases() {
        let world = World::new(database);
        let plan = world.plan().await;
        assert!(!world.sim.requests().iter().any(RecordedRequest::is_mutating), "a dry run only reads");
        let ended = world.update().await;
        ended.done();
        assert_eq!(ended.plan, plan);
        assert_eq!(world.sent(), announced(&plan));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_on_the_server_sends_what_the_run_sends_and_changes_nothing() {
    for database in databases() {
        let world = World::new(database);
        let cluster = world.cluster();
        let snapshot = world.snapshot(&cluster).await;
        let plan = update::plan(&snapshot, &request(world.target())).unwrap();
        let version = world.store().version();
        let trials = engine::trials(&cluster, &snapshot, &plan, &world.clock()).await.unwrap();
        assert_eq!(world.store().version(), version, "nothing has changed");
        assert!(world.sim.requests().iter().filter(|r| r.is_mutating()).all(|r| r.dry_run));
        assert!(trials.iter().all(|t| t.refused.is_none()), "{trials:?}");
        let of = |purpose| trials.iter().filter(|t| t.write == purpose).count();
        assert_eq!(of(Purpose::RequestPause), 1);
        assert_eq!(of(Purpose::PatchImages), plan.workloads.len());
        assert_eq!(of(Purpose::SetVersion), 1);
        let tried = bodies(&world, true);

        let sent_before = world.sim.requests().len();
        world.update().await.done();
        assert!(world.sim.requests().len() > sent_before);
        let sent = bodies(&world, false);
        for one in &tried {
            assert!(sent.contains(one), "tried and not sent: {one:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_write_says_whose_it_is() {
    let world = World::new(Database::zookeeper("db"));
    world.update().await.done();
    for write in world.sim.requests().iter().filter(|r| r.is_mutating() && r.method != "DELETE") {
        assert_eq!(write.field_manager.as_deref(), Some("kubectl-dbupdate"), "{}", write.path);
        let agent = format!("kubectl-dbupdate/{} (run run1)", env!("CARGO_PKG_VERSION"));
        assert_eq!(write.user_agent, agent, "{}", write.path);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_asks_the_server_little() {
    for database in databases() {
        let world = World::new(database);
        let ended = world.start().await.end_alone().await;
        ended.done();
        // Renewals depend on the time alone, and Events are written behind the run's back.
        let aside = |r: &&RecordedRequest| {
            r.method == "PATCH" && r.path.contains("/leases/") || r.path.ends_with("/events")
        };
        let all = world.sim.requests();
        let asked = all.len() - all.iter().filter(aside).count();
        let (pods, workloads) = (ended.plan.pods().count(), ended.plan.workloads.len());
        let allowed = 3 * pods + 3 * workloads + 40;
        println!(
            "{}: {asked} requests for {pods} pods in {workloads} workloads; {allowed} allowed",
            world.kind
        );
        assert!(asked <= allowed, "{}: {asked} requests, {allowed} allowed", world.kind);
    }
}
