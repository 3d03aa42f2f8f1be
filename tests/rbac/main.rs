//! `docs/rbac.yaml` grants what the tool sends, and nothing beyond. Every request of updates, of what goes wrong in
//! them, and of the commands that only look, is held against the rules: none is missing, none is idle.

#[cfg(unix)]
mod binary;
#[path = "../common/mod.rs"]
mod common;
mod roles;
#[cfg(unix)]
#[path = "../programs/sandbox.rs"]
mod sandbox;
#[cfg(unix)]
#[path = "../served/mod.rs"]
mod served;

use std::collections::BTreeSet;

use common::process::Process;
use common::{BUDGETS, NAMESPACE, World, overview, request, secs};
use kubectl_dbupdate::cluster::Cluster;
use kubectl_dbupdate::engine;
use kubectl_dbupdate::event::{Event, Outcome, Step};
use kubectl_dbupdate::model::{BACKUP_APIS, GITOPS_API, Kind, Method, Permission, Snapshot, WorkloadKind};
use kubectl_dbupdate::operation::{Operation, Request, Stop, Wish};
use kubectl_dbupdate::plan::permissions::{self, Doing};
use kubectl_dbupdate::plan::update;
use roles::{Asked, Grant, Roles, asked, roles, text};
use serde_json::{Value, json};
use simcluster::world::{self, Database};
use simcluster::{Ailment, ApiError, Behaviour, Effect, Fault, PodRule};
use tokio::sync::{mpsc, watch};

/// What is not granted by a role that is bound in the namespace, nor by the catalog's, which is bound everywhere.
fn lacking<'a>(asked: &'a BTreeSet<Asked>, bound: &BTreeSet<Grant>, roles: &Roles) -> Vec<&'a Asked> {
    let granted = |a: &&Asked| a.namespaced && bound.contains(&a.grant) || roles.catalog.contains(&a.grant);
    asked.iter().filter(|a| !granted(a)).collect()
}

/// The requests of the clients whose names begin so.
fn of(world: &World, client: &str) -> BTreeSet<Asked> {
    let requests = world.sim.requests();
    requests.iter().filter(|r| r.client.starts_with(client)).filter_map(asked).collect()
}

/// Everything that was asked for, by who has asked.
#[derive(Default)]
struct Record {
    /// By commands that only look, at one database or at a namespace.
    looks: BTreeSet<Asked>,
    /// By commands that look at all namespaces.
    everywhere: BTreeSet<Asked>,
    /// By runs.
    runs: BTreeSet<Asked>,
    /// By runs that finish an update.
    finishes: BTreeSet<Asked>,
}

impl Record {
    fn take(&mut self, world: &World) {
        self.looks.extend(of(world, "look"));
        self.everywhere.extend(of(world, "everywhere"));
        // As `World::cluster` names its clients.
        self.runs.extend(of(world, "client"));
        self.finishes.extend(of(world, "finish"));
    }

    fn grants(sets: &[&BTreeSet<Asked>]) -> BTreeSet<Grant> {
        sets.iter().flat_map(|set| set.iter().map(|a| a.grant.clone())).collect()
    }
}

fn databases() -> [Database; 5] {
    [
        Database::kafka_topology("db").cruise_control(),
        Database::druid("db"),
        Database::cassandra_racks("db", &[("r0", 2), ("r1", 2)]),
        Database::hazelcast("db"),
        Database::zookeeper("db"),
    ]
}

/// A database whose PetSet names a PlacementPolicy.
fn placed() -> Database {
    let named = |set: &mut Value| set["spec"]["podPlacementPolicy"] = json!({ "name": "spread" });
    Database::zookeeper("db").adjust_workload(named)
}

/// With everything installed that a cluster may have beside KubeDB.
fn complete(world: World) -> World {
    let policy = json!({ "metadata": { "name": "spread" }, "spec": {} });
    world.store().create("placementpolicies.apps.k8s.appscode.com", policy).expect("it is new");
    for api in BACKUP_APIS.into_iter().chain([GITOPS_API]) {
        world.sim.apis().add(api.split('/').next().expect("it has a group"));
    }
    world
}

/// What a dry run, `status`, `history` and a list of databases read.
async fn look(world: &World) {
    let cluster = world.cluster_of("look");
    let snapshot = dry_run(world, &cluster).await;
    update::plan(&snapshot, &request(world.target())).expect("the target is in the catalog");
    if let Some(lock) = snapshot.lock {
        cluster.watch_lock(world.kind, NAMESPACE, &world.name, lock).await.expect("it can be watched");
    }
    for name in [Some(world.name.as_str()), None] {
        overview(&cluster, world.kind, NAMESPACE, name).await.expect("it can be read");
    }
    cluster.databases(world.kind, NAMESPACE).await.expect("they can be listed");
    let everywhere = world.cluster_of("everywhere");
    overview(&everywhere, world.kind, "", None).await.expect("they can be listed");
}

/// Everything that is read before a plan is made.
async fn dry_run(world: &World, cluster: &Cluster) -> Snapshot {
    let snapshot = world.snapshot(cluster).await;
    cluster.journal(world.kind, NAMESPACE, &world.name).await.expect("it can be read");
    let update = Doing::Update { ops_manager: false, pre_pull: false };
    let needed = permissions::needed(&snapshot, update);
    let environment = cluster.environment(world.kind, NAMESPACE, &world.name, &needed).await;
    let environment = environment.expect("it can be asked");
    let nodes = snapshot.pods.iter().filter_map(|pod| pod.node.clone());
    cluster.images_of_nodes(nodes.collect()).await;
    Snapshot { environment, ..snapshot }
}

/// A look, a trial on the server, and a whole update. The database itself is asked.
async fn updated(database: Database, record: &mut Record) {
    let world = complete(World::new(database).gated());
    look(&world).await;
    let cluster = world.cluster();
    let snapshot = dry_run(&world, &cluster).await;
    let plan = update::plan(&snapshot, &request(world.target())).expect("the target is in the catalog");
    engine::trials(&cluster, &snapshot, &plan, &world.clock()).await.expect("they can be tried");
    world.update().await.done();
    world.is_updated();
    record.take(&world);
}

/// What an update has left to be done in the database is done, by somebody who may do no more than that.
async fn finished(database: Database, record: &mut Record) {
    let world = complete(World::new(database).gated());
    world.update().await.done();
    let (told, _) = mpsc::unbounded_channel();
    let (_, stop) = watch::channel(Stop::Go);
    let request = Request { wish: Wish::Finish { undo: false }, unasked: true, ..world.asked() };
    let cluster = world.cluster_of("finish");
    let mut operation = Operation::new(cluster, request, world.clock(), stop, told);
    let outlook = Box::pin(operation.outlook()).await.expect("it can be read");
    assert_eq!(outlook.refused(), None);
    if outlook.not_begun(&world.asked().caller.commands).is_none() {
        assert_eq!(
            operation.carry_out(outlook).await.expect("nobody is asked").finish.outcome,
            Outcome::Done
        );
    }
    record.take(&world);
}

/// The images are brought to the nodes first.
async fn pre_pulled(record: &mut Record) {
    let mut world = World::new(Database::zookeeper("db"));
    world.pre_pull = true;
    world.update().await.done();
    record.take(&world);
}

/// A database whose certificates are signed by an authority of its own.
fn with_tls() -> Database {
    Database::hazelcast("db").adjust(|database| database["spec"]["enableSSL"] = json!(true))
}

/// Something on the way carries no WebSockets, so that pages are asked for.
async fn by_pages(record: &mut Record) {
    let world = World::new(Database::zookeeper("db")).gated();
    let refusal = ApiError::new(400, "BadRequest", "Upgrade request required");
    world.sim.faults().add(Fault::new(Effect::Answer(refusal)).path("/portforward").always());
    world.update().await.done();
    record.take(&world);
}

/// The Ops-manager does it, by a request of ours.
async fn requested(database: Database, record: &mut Record) {
    let mut world = World::new(database);
    world.sim.behaviour().change(|behaviour| behaviour.ops_manager.alive = true);
    world.method = Method::OpsManager;
    world.update().await.done();
    record.take(&world);
}

/// Somebody's ops request ends a run, and its writer is asked for.
async fn ended_by_an_ops_request(database: Database, record: &mut Record) {
    let world = World::new(database);
    let mut run = world.start().await;
    run.event("a pod is evicted", |e| matches!(e, Event::PodEvicted { .. })).await;
    let request = json!({
        "metadata": { "name": "restart-1", "namespace": NAMESPACE },
        "spec": { "type": "Restart", "databaseRef": { "name": "db" } },
    });
    let res = format!("{}.ops.kubedb.com", world.kind.facts().ops_plural);
    world.store().create(&res, request).expect("it is new");
    run.end().await.ended(Outcome::SomebodyElse, 5, true, true);
    record.take(&world);
}

/// A backup of each system is on its way, and a lock is held.
async fn backups(record: &mut Record) {
    for api in BACKUP_APIS {
        let world = complete(World::new(Database::zookeeper("db")));
        let group = api.split('/').next().expect("it has a group");
        let session = json!({
            "metadata": { "name": "nightly-1", "namespace": NAMESPACE },
            "spec": { "invoker": { "kind": "BackupConfiguration", "name": "nightly" } },
        });
        world.store().create(&format!("backupsessions.{group}"), session).expect("it is new");
        let mut run = world.start().await;
        run.evicted("db-0").await;
        look(&world).await;
        run.end().await.done();
        record.take(&world);
    }
}

/// A pod that does not go away: its node and its last event are asked for.
async fn stuck(record: &mut Record) {
    let rule = PodRule::new(Ailment::StuckTerminating).name("db-1").image("*zookeeper:3.8.3");
    let world = World::behaving(Behaviour::default().with(rule), Database::zookeeper("db"));
    world.update().await.ended(Outcome::Failed, 4, true, true);
    record.take(&world);
}

/// A run dies and another takes over; the new version crashes, and a broken pod has to be deleted by the rollback.
async fn taken_over_and_rolled_back(record: &mut Record) {
    let crash = PodRule::new(Ailment::Crash { after: secs(1), exit_code: 1 }).name("db-1").image("*:3.9.1*");
    let world = World::behaving(Behaviour::default().with(crash), Database::zookeeper("db"));
    let mut run = world.start().await;
    run.evicted("db-0").await;
    run.crash().await;
    let resumed = Process::take_over(&world, world.cluster()).await.start().end().await;
    resumed.ended(Outcome::Failed, 4, true, true);
    let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("it is half done");
    let mut back = back.start();
    back.step(Step::Pause).await;
    world::block_budgets(&world.sim);
    let restarted = |e: &Event| matches!(e, Event::PodReady { pod, .. } if pod == "db-1");
    back.event("the broken pod is back", restarted).await;
    back.interrupt();
    back.end().await.ended(Outcome::Stopped, 130, true, true);
    let allow = |budget: &mut Value| budget["spec"]["maxUnavailable"] = json!(1);
    world.store().update(BUDGETS, NAMESPACE, "db", allow).expect("it is there");
    let resumed = Process::resume(&world, world.cluster(), BTreeSet::new()).await;
    resumed.expect("the rollback is not finished").start().end().await.done();
    record.take(&world);
}

#[tokio::test(start_paused = true)]
async fn no_request_lacks_a_rule_and_no_rule_is_idle() {
    let (roles, mut record) = (roles(), Record::default());
    // Their futures are large, and all of them would have their place on the stack.
    for database in databases().into_iter().chain([placed(), with_tls()]) {
        Box::pin(updated(database, &mut record)).await;
    }
    for database in databases() {
        Box::pin(ended_by_an_ops_request(database, &mut record)).await;
    }
    for database in databases() {
        Box::pin(requested(database, &mut record)).await;
    }
    for database in databases() {
        Box::pin(finished(database, &mut record)).await;
    }
    Box::pin(pre_pulled(&mut record)).await;
    Box::pin(by_pages(&mut record)).await;
    Box::pin(backups(&mut record)).await;
    Box::pin(stuck(&mut record)).await;
    Box::pin(taken_over_and_rolled_back(&mut record)).await;

    let Record { looks, everywhere, runs, finishes } = &record;
    let bound = |role: &BTreeSet<Grant>| role | &roles.health;
    assert_eq!(lacking(looks, &bound(&roles.view), &roles), Vec::<&Asked>::new(), "to look");
    // At its end an update asks what is left to finish.
    let updates = &bound(&roles.update) | &roles.commands();
    assert_eq!(lacking(runs, &updates, &roles), Vec::<&Asked>::new(), "to update");
    assert_eq!(lacking(finishes, &bound(&roles.finish), &roles), Vec::<&Asked>::new(), "to finish");
    // Bound everywhere, the role to look is enough for all namespaces.
    let granted = |a: &&Asked| roles.view.contains(&a.grant) || roles.catalog.contains(&a.grant);
    assert_eq!(everywhere.iter().filter(|a| !granted(a)).collect::<Vec<_>>(), Vec::<&Asked>::new());

    let looked = Record::grants(&[looks, everywhere]);
    let idle = |role: &BTreeSet<Grant>, used: &BTreeSet<Grant>| -> Vec<Grant> {
        role.difference(used).cloned().collect()
    };
    assert_eq!(idle(&roles.view, &looked), [], "idle in dbupdate-view");
    let all = Record::grants(&[looks, everywhere, runs, finishes]);
    assert_eq!(idle(&roles.update, &all), [], "idle in dbupdate-update");
    assert_eq!(idle(&roles.catalog, &all), [], "idle in dbupdate-catalog");
    // A WebSocket is asked for by a GET, for which API servers from 1.35 on check `create` as well.
    let create = |sub: &str| ("".to_owned(), format!("pods/{sub}"), "create".to_owned());
    assert_eq!(idle(&roles.health, &all), [create("portforward")], "idle in dbupdate-health");
    assert_eq!(idle(&roles.finish, &all), [create("exec")], "idle in dbupdate-finish");
    let sent: BTreeSet<&str> = runs.iter().filter_map(|a| a.secret.as_deref()?.strip_prefix("db-")).collect();
    // The names of the file's databases have two parts.
    let granted: BTreeSet<&str> =
        roles.secrets.iter().filter_map(|name| name.splitn(3, '-').nth(2)).collect();
    assert_eq!(sent, granted, "the names of Secrets, after that of the database");
}

/// Whoever may update may also look: one binding is enough.
#[test]
fn to_update_is_to_look_and_more() {
    let roles = roles();
    assert_eq!(roles.view.difference(&roles.update).collect::<Vec<_>>(), Vec::<&Grant>::new());
    assert!(roles.update.len() > roles.view.len());
    assert!(roles.catalog.is_disjoint(&roles.update));
}

/// Whoever may finish updates may look, and neither changes nor restarts anything. Whoever updates may also finish, where
/// that takes no commands in pods.
#[test]
fn to_finish_is_to_look_and_to_keep_a_lock_and_a_journal() {
    let roles = roles();
    assert!(roles.finish.is_superset(&roles.view));
    let rest = &(&roles.finish - &roles.update);
    assert_eq!(*rest, roles.commands());
    let own = ["leases", "configmaps", "events", "pods/exec"];
    let reads = |grant: &&Grant| ["get", "list", "watch"].contains(&grant.2.as_str());
    let others = roles.finish.iter().filter(|grant| !reads(grant) && !own.contains(&grant.1.as_str()));
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&Grant>::new());
}

/// The least for who looks holds nothing by which anything could be changed.
#[test]
fn looking_changes_nothing() {
    let roles = roles();
    let reads = |grant: &&Grant| ["get", "list", "watch"].contains(&grant.2.as_str());
    // `create` of a port-forward is a GET that becomes a WebSocket: it reaches a pod, and changes no object.
    let asking = |grant: &&Grant| grant.1 == "pods/portforward";
    let health = roles.health.iter().filter(|grant| !asking(grant)).cloned().collect();
    for role in [&roles.view, &roles.catalog, &health] {
        assert_eq!(role.iter().filter(|g| !reads(g)).collect::<Vec<_>>(), Vec::<&Grant>::new());
    }
}

/// The command `auth` asks for the same, of a database that it cannot read.
#[test]
fn auth_asks_for_what_the_roles_grant() {
    let roles = roles();
    let workloads = WorkloadKind::ALL.map(WorkloadKind::api_version);
    let apis = workloads.into_iter().chain(BACKUP_APIS).chain([GITOPS_API, "ops.kubedb.com/v1alpha1"]);
    let apis: BTreeSet<String> = apis.map(str::to_owned).collect();
    let asked = Kind::ALL.into_iter().flat_map(|kind| permissions::all(kind, "db", None, &apis));
    let (cluster, namespace): (Vec<Permission>, Vec<Permission>) =
        asked.partition(Permission::of_the_cluster);
    let grants = |permissions: Vec<Permission>| -> BTreeSet<Grant> {
        permissions.into_iter().map(|p| (p.group, p.resource, p.verb)).collect()
    };
    assert_eq!(grants(cluster), roles.catalog);
    // `status` without a name lists journals and locks; an update does not.
    let of_lists = [("", "configmaps"), ("coordination.k8s.io", "leases")];
    let lists = of_lists.map(|(group, plural)| (group.to_owned(), plural.to_owned(), "list".to_owned()));
    let lists = BTreeSet::from(lists);
    assert_eq!(grants(namespace), &(&(&roles.update - &lists) | &roles.health) | &roles.commands());
    assert!(roles.update.is_superset(&lists));
}

#[test]
fn every_rule_says_what_it_is_for() {
    let text = text();
    let lines: Vec<&str> = text.lines().collect();
    let rules: Vec<_> = lines.windows(2).filter(|pair| pair[1].starts_with("- apiGroups")).collect();
    assert!(rules.len() > 20, "{}", rules.len());
    for pair in rules {
        assert!(pair[0].starts_with("# ") && pair[0].ends_with('.'), "{pair:?}");
    }
}
