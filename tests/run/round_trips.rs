//! How many round trips a command takes: requests that are sent one after the other, because one needs the answer of the
//! other. Every request takes a fixed time here, so that the time that has passed counts them.

use std::net::TcpListener;
use std::time::Duration;

use kubectl_dbupdate::cluster::Selection;
use kubectl_dbupdate::model::{BACKUP_APIS, Check, GITOPS_API, Kind};
use kubectl_dbupdate::operation::{
    self, Error, Notice, Operation, Outlook, Registries, Request, Stop, Told, Wish,
};
use serde_json::Value;
use simcluster::world::Database;
use simcluster::{DeleteOptions, Effect, Fault, RecordedRequest};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::common::{NAMESPACE, World};
use crate::requests::databases;

/// How long the server takes to answer.
const TRIP: Duration = Duration::from_millis(100);

/// A server at a distance.
fn far(world: &World) {
    world.sim.faults().add(Fault::new(Effect::Delay(TRIP)).always());
}

async fn trips<T>(work: impl Future<Output = T>) -> (T, u128) {
    let began = Instant::now();
    let came = work.await;
    (came, began.elapsed().as_millis() / TRIP.as_millis())
}

fn operation(world: &World, request: Request) -> (Operation, mpsc::UnboundedReceiver<Told>) {
    let (tell, told) = mpsc::unbounded_channel();
    let (_, stopped) = watch::channel(Stop::Go);
    (Operation::new(world.cluster_of("me"), request, world.clock(), stopped, tell), told)
}

async fn planned(world: &World, request: Request) -> (Operation, Result<Outlook, Error>, u128) {
    let (mut operation, _) = operation(world, request);
    let (outlook, taken) = trips(operation.outlook()).await;
    (operation, outlook, taken)
}

#[tokio::test(start_paused = true)]
async fn a_list_and_a_status_take_one() {
    for database in databases() {
        let world = World::new(database);
        far(&world);
        let cluster = world.cluster();
        let all = Selection { kinds: &Kind::ALL, namespace: "", name: None, labels: "" };
        let kinds = [world.kind];
        let one = Selection { kinds: &kinds, namespace: NAMESPACE, name: Some("db"), labels: "" };
        let empty = Selection { namespace: "other", ..all.clone() };
        for (which, found) in [(all, 1), (one, 1), (empty, 0)] {
            let (read, taken) = trips(operation::databases(&cluster, &which)).await;
            assert_eq!(read.expect("they can be read").len(), found, "{which:?}");
            assert_eq!(taken, 1, "{which:?}");
        }
        let nobody = Selection { kinds: &kinds, namespace: NAMESPACE, name: Some("nobody"), labels: "" };
        let (read, taken) = trips(operation::databases(&cluster, &nobody)).await;
        assert!(matches!(read, Err(Error::NoSuchDatabase { names, .. }) if names == ["db"]));
        assert_eq!(taken, 2, "the other names are asked for");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_takes_one_and_its_trial_another() {
    for database in databases() {
        let world = World::new(database);
        far(&world);
        let (mut operation, outlook, taken) = planned(&world, world.asked()).await;
        let outlook = outlook.expect("it can be read");
        assert_eq!((outlook.refused(), taken), (None, 1), "{}", world.kind);
        let (trials, taken) = trips(operation.trials(&outlook)).await;
        let trials = trials.expect("they can be sent").expect("the plan is not refused");
        assert!(trials.len() > 3 && trials.iter().all(|trial| trial.refused.is_none()), "{trials:?}");
        assert_eq!(taken, 1, "{}", world.kind);
    }
}

/// How many round trips a run takes before the first request of a method whose path ends so.
fn trips_before(world: &World, began: Instant, method: &str, end: &str) -> u128 {
    let requests = world.sim.requests();
    let is = |r: &&RecordedRequest| {
        r.at >= began && r.client == "me" && r.method == method && !r.dry_run && r.path.ends_with(end)
    };
    let first = requests.iter().find(is).unwrap_or_else(|| panic!("{method} {end}: never"));
    first.at.duration_since(began).as_millis() / TRIP.as_millis()
}

/// The plan, the lock, what is reread and the trial are one each; what is watched from then on is opened beside the trial.
#[tokio::test(start_paused = true)]
async fn a_run_takes_its_lock_and_pauses_soon() {
    for database in databases() {
        let world = World::new(database);
        far(&world);
        let began = Instant::now();
        let (mut operation, outlook, _) = planned(&world, Request { unasked: true, ..world.asked() }).await;
        let outlook = outlook.expect("it can be read");
        let end = operation.carry_out(outlook).await.expect("nobody is asked");
        assert_eq!(end.finish.exit_code, 0, "{}", end.finish.error);
        assert_eq!(trips_before(&world, began, "POST", "/leases"), 1);
        assert_eq!(trips_before(&world, began, "POST", "/configmaps"), 4);
        assert_eq!(trips_before(&world, began, "PATCH", "/db/status"), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_resumed_run_takes_its_lock_as_soon() {
    let world = World::new(Database::druid("db"));
    let mut running = world.start().await;
    running.evicted("db-historicals-0").await;
    running.crash().await;
    let lease = ("leases.coordination.k8s.io", "dbupdate-druid-db");
    world.store().delete(lease.0, NAMESPACE, lease.1, DeleteOptions::default()).expect("it is there");
    far(&world);
    let began = Instant::now();
    let request = Request { wish: Wish::Resume { through: false }, unasked: true, ..world.asked() };
    let (mut operation, outlook, taken) = planned(&world, request).await;
    let outlook = outlook.expect("it can be read");
    // One more, since what the pods of another revision were made from is read only where there are any.
    assert_eq!((outlook.refused(), taken), (None, 2));
    let end = operation.carry_out(outlook).await.expect("nobody is asked");
    assert_eq!(end.finish.exit_code, 0, "{}", end.finish.error);
    assert_eq!(trips_before(&world, began, "POST", "/leases"), 2);
}

/// What a user may not read is known after the same time: it is not taken for a server that has just been restarted.
#[tokio::test(start_paused = true)]
async fn what_is_asked_ahead_and_forbidden_costs_no_time() {
    let world = World::new(Database::kafka_topology("db"));
    for api in BACKUP_APIS.into_iter().chain([GITOPS_API]) {
        let group = api.split('/').next().expect("it has a group");
        world.sim.apis().add(group);
        if api != BACKUP_APIS[0] {
            world.sim.access().deny("*", group, "*", "");
        }
    }
    world.sim.access().deny("list", "", "nodes", "");
    far(&world);
    let (_, outlook, taken) = planned(&world, Request { unasked: true, ..world.asked() }).await;
    let findings = &outlook.expect("it can be read").hops.first.findings;
    let unchecked: Vec<_> = findings.iter().filter(|f| f.check == Check::NotChecked).collect();
    assert_eq!((unchecked.len(), taken), (3, 1), "{unchecked:?}");
}

#[tokio::test(start_paused = true)]
async fn an_older_cluster_and_a_wrong_name_take_no_longer() {
    let world = World::new(Database::kafka_topology("db"));
    far(&world);
    world.sim.apis().remove_version("kafkas.kubedb.com", "v1");
    let (_, outlook, taken) = planned(&world, Request { unasked: true, ..world.asked() }).await;
    let plan = outlook.expect("it can be read").hops.first;
    assert_eq!((plan.database.api_version.as_str(), taken), ("kubedb.com/v1alpha2", 1));

    // Whatever else cannot be read, and however long that takes: there is no such database.
    for path in ["/poddisruptionbudgets", "/configmaps", "/backupsessions"] {
        world.sim.faults().add(Fault::new(Effect::Hang).path(path).always());
    }
    world.sim.access().deny("list", "", "pods", "");
    let mut request = world.asked();
    request.which.name = Some("nobody".to_owned());
    let (_, outlook, taken) = planned(&world, request).await;
    assert!(matches!(outlook, Err(Error::NoSuchDatabase { names, .. }) if names == ["db"]));
    assert_eq!(taken, 2, "the other names are asked for");
}

/// Nobody waits long for registries only to see a plan. A run waits longer, since it pins the digests that they tell.
#[tokio::test(start_paused = true)]
async fn a_dry_run_gives_registries_a_second() {
    // It is connected to, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let image = format!("{}/zookeeper:3.9.1", silent.local_addr().expect("it has an address"));
    let world = World::new(Database::zookeeper("db"));
    let real = |version: &mut Value| {
        version["metadata"]["annotations"] = Value::Null;
        version["spec"]["db"]["image"] = image.as_str().into();
    };
    world.store().update("zookeeperversions.catalog.kubedb.com", "", "3.9.1", real).expect("it is there");
    for (registries, seconds) in
        [(Registries::Unasked, 0..=0), (Registries::ForAPlan, 1..=1), (Registries::ForARun, 2..=8)]
    {
        let (mut operation, mut told) = operation(&world, Request { registries, ..world.asked() });
        let began = Instant::now();
        let outlook = operation.outlook().await.expect("it can be read");
        assert!(seconds.contains(&began.elapsed().as_secs()), "{registries:?}: {:?}", began.elapsed());
        let findings = outlook.hops.first.findings;
        let unchecked = findings.iter().find(|finding| finding.check == Check::ImageUnchecked);
        let unchecked = unchecked.map(|finding| finding.message.as_str()).unwrap_or_default();
        assert_eq!(
            unchecked.contains("no answer within 1 s; a run waits up to 8 s"),
            registries == Registries::ForAPlan,
            "{unchecked}"
        );
        let shown = matches!(told.try_recv(), Ok(Told::Notice(Notice::RegistriesAsked { .. })));
        assert_eq!(shown, registries == Registries::ForARun, "whoever waits is told for whom");
    }
}
