//! Credentials that expire in the middle of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use kubectl_dbupdate::cluster::{Cluster, Renew};
use kubectl_dbupdate::engine::{Signal, Stop};
use kubectl_dbupdate::event::{Event, Outcome};
use kubectl_dbupdate::plan::update;
use simcluster::world::Database;
use simcluster::{ApiError, Effect, Fault};

use crate::common::{Ended, NAMESPACE, Running, World, request, secs};

/// What was asked of a [`Renew`].
#[derive(Clone, Default)]
struct Renewals(Arc<AtomicU64>);

impl Renewals {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// New credentials lead to that cluster; where `accepted`, its server takes them.
    fn to(&self, sim: &simcluster::SimCluster, accepted: bool) -> Renew {
        let (count, sim) = (self.0.clone(), sim.clone());
        Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            if accepted {
                sim.faults().clear();
            }
            let client = kube::Client::new(sim.transport(), NAMESPACE);
            async move { Ok(client) }.boxed()
        })
    }
}

/// From the n-th change on, no credentials are accepted.
fn expire(world: &World, n: u64) {
    let refused = || Fault::new(Effect::Answer(ApiError::unauthorized())).always();
    world.sim.faults().add(refused().mutating().nth(n));
}

async fn run(world: &World, cluster: Cluster, expire_at: u64) -> Ended {
    let snapshot = world.snapshot(&cluster).await;
    let plan = update::plan(&snapshot, &request(world.target())).unwrap();
    expire(world, expire_at);
    Running::start(cluster, snapshot, plan, world.options("run1")).end().await
}

#[tokio::test(start_paused = true)]
async fn new_credentials_are_taken_and_nothing_is_sent_twice() {
    for n in 1..12 {
        let (world, renewals) = (World::new(Database::zookeeper("db").replicas(2)), Renewals::default());
        let ended = run(&world, world.cluster().renewing(renewals.to(&world.sim, true)), n).await;
        ended.done();
        world.is_updated();
        assert_eq!(renewals.count(), 1, "{n}");
        let said = |e: &Event| matches!(e, Event::Notice { message } if message.contains("using new ones"));
        assert_eq!(ended.events().filter(|e| said(e)).count(), 1, "{n}");
        assert!(world.evictions().values().all(|times| *times == 1), "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_watch_that_is_refused_takes_the_same_new_credentials() {
    let (world, renewals) = (World::new(Database::zookeeper("db")), Renewals::default());
    let cluster = world.cluster().renewing(renewals.to(&world.sim, true));
    let snapshot = world.snapshot(&cluster).await;
    let plan = update::plan(&snapshot, &request(world.target())).unwrap();
    let mut running = Running::start(cluster, snapshot, plan, world.options("run1"));
    running.evicted("db-0").await;
    world.sim.faults().add(Fault::new(Effect::Answer(ApiError::unauthorized())).always());
    world.sim.faults().end_watches();
    running.end().await.done();
    assert_eq!(renewals.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_refused_again_end_the_run_after_one_try() {
    let (world, renewals) = (World::new(Database::zookeeper("db")), Renewals::default());
    let cluster = world.cluster().renewing(renewals.to(&world.sim, false));
    let snapshot = world.snapshot(&cluster).await;
    let plan = update::plan(&snapshot, &request(world.target())).unwrap();
    let mut running = Running::start(cluster, snapshot, plan, world.options("run1"));
    running.evicted("db-0").await;
    world.sim.faults().add(Fault::new(Effect::Answer(ApiError::unauthorized())).always());
    let ended = running.end().await;
    ended.ended(Outcome::Failed, 4, true, true).says(&["credentials", "kubectl dbupdate resume"]);
    assert_eq!(renewals.count(), 1);
    world.sim.faults().clear();
    world.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn credentials_that_lead_to_another_database_are_not_taken() {
    let world = World::new(Database::zookeeper("db"));
    // Uids are counted in the simulation: the same name has another one where something was there before it.
    let other = World::new(Database::zookeeper("first"));
    Database::zookeeper("db").install(&other.sim);
    let renewals = Renewals::default();
    let ended = run(&world, world.cluster().renewing(renewals.to(&other.sim, true)), 16).await;
    ended.ended(Outcome::Failed, 4, true, true).says(&["this is a different cluster or database"]);
    assert!(other.sent().is_empty(), "nothing is written there");
    world.sim.faults().clear();
    world.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_without_other_credentials_ends_at_the_first_401() {
    let world = World::new(Database::zookeeper("db"));
    run(&world, world.cluster(), 16).await.ended(Outcome::Failed, 4, true, true).says(&["credentials"]);
}

/// A run whose credentials are refused once the first pod is evicted, and whose plugin then hangs.
async fn hangs(world: &World, renewals: &Renewals) -> Running {
    let count = renewals.0.clone();
    let renew: Renew = Arc::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
        std::future::pending().boxed()
    });
    let cluster = world.cluster().renewing(renew).asking(Some("aws"));
    let snapshot = world.snapshot(&cluster).await;
    let plan = update::plan(&snapshot, &request(world.target())).unwrap();
    let mut running = Running::start(cluster, snapshot, plan, world.options("run1"));
    running.evicted("db-0").await;
    world.sim.faults().add(Fault::new(Effect::Answer(ApiError::unauthorized())).always());
    running
}

fn on_the_plugin(event: &Event) -> bool {
    matches!(event, Event::Notice { message } if message.contains("waiting for the credential plugin aws"))
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_hangs_is_waited_for_for_a_minute() {
    let (world, renewals) = (World::new(Database::zookeeper("db")), Renewals::default());
    let mut running = hangs(&world, &renewals).await;
    running.event("it is said", on_the_plugin).await;
    let ended = running.end().await;
    ended.ended(Outcome::Failed, 4, true, true);
    ended.says(&[
        "the credential plugin aws returned no new credentials within 60 s",
        "kubectl dbupdate resume",
    ]);
    let waited = ended.took() - ended.at("said", on_the_plugin);
    assert!((secs(60)..secs(90)).contains(&waited), "{waited:?}");
    assert_eq!(renewals.count(), 1, "it is not run again");
    world.sim.faults().clear();
    world.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn one_interrupt_ends_the_waiting_for_a_plugin() {
    for (stop, code) in [
        (Stop::Finish(Signal::Interrupt), 130),
        (Stop::Now(Signal::Interrupt), 130),
        (Stop::Finish(Signal::Terminate), 143),
    ] {
        let (world, renewals) = (World::new(Database::zookeeper("db")), Renewals::default());
        let mut running = hangs(&world, &renewals).await;
        running.event("it is said", on_the_plugin).await;
        tokio::time::sleep(secs(5)).await;
        running.stop(stop);
        let ended = running.end().await;
        ended.ended(Outcome::Stopped, code, true, true);
        ended.says(&["db is paused and between", "kubectl dbupdate resume"]);
        let waited = ended.took() - ended.at("said", on_the_plugin);
        assert!((secs(5)..secs(10)).contains(&waited), "{waited:?}");
        assert_eq!(renewals.count(), 1, "it is not run again");
        world.sim.faults().clear();
    }
}
