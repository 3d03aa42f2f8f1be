//! `docs/rbac.yaml` grants what the tool sends, and nothing beyond. Every request of updates, of what goes wrong in
//! them, and of the commands that only look, is held against the rules: none is missing, none is idle.

mod common;
#[cfg(unix)]
mod served;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use common::process::Process;
use common::{BUDGETS, NAMESPACE, World, overview, request, secs};
use kubectl_dbupdate::cluster::Cluster;
use kubectl_dbupdate::engine;
use kubectl_dbupdate::event::{Event, Outcome, Step};
use kubectl_dbupdate::model::{BACKUP_APIS, GITOPS_API, Kind, Method, Permission, Snapshot, WorkloadKind};
use kubectl_dbupdate::plan::{permissions, update};
use serde::Deserialize;
use serde_json::{Value, json};
use simcluster::world::{self, Database};
use simcluster::{Ailment, Behaviour, PodRule, RecordedRequest};

/// One verb on one resource, as a rule grants it.
type Grant = (String, String, String);

/// The ClusterRoles of `docs/rbac.yaml`.
struct Roles {
    catalog: BTreeSet<Grant>,
    view: BTreeSet<Grant>,
    update: BTreeSet<Grant>,
}

#[derive(Deserialize)]
struct ClusterRole {
    kind: String,
    metadata: Metadata,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
}

fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rbac.yaml");
    fs::read_to_string(path).expect("the file is there")
}

fn roles() -> Roles {
    let text = text();
    let documents = serde_yaml::Deserializer::from_str(&text);
    // Before the first mark there are only comments.
    let found = documents.filter_map(|d| Option::<ClusterRole>::deserialize(d).expect("a ClusterRole"));
    let mut by_name: BTreeMap<String, BTreeSet<Grant>> = BTreeMap::new();
    for role in found {
        assert_eq!(role.kind, "ClusterRole");
        by_name.insert(role.metadata.name, role.rules.iter().flat_map(grants).collect());
    }
    assert_eq!(by_name.len(), 3, "{:?}", by_name.keys());
    let mut role = |name: &str| by_name.remove(name).unwrap_or_else(|| panic!("there is no {name}"));
    Roles { catalog: role("dbupdate-catalog"), view: role("dbupdate-view"), update: role("dbupdate-update") }
}

fn grants(rule: &Rule) -> Vec<Grant> {
    let Rule { api_groups, resources, verbs } = rule;
    let every = [api_groups, resources, verbs].map(|list| list.iter().all(|word| word != "*"));
    assert_eq!(every, [true; 3], "a rule that grants everything is not the least");
    let each = api_groups.iter().flat_map(|g| resources.iter().map(move |r| (g, r)));
    each.flat_map(|(g, r)| verbs.iter().map(move |v| (g.clone(), r.clone(), v.clone()))).collect()
}

/// What a request asks the authorizer for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    grant: Grant,
    /// It is about one namespace, so that a RoleBinding there is enough.
    namespaced: bool,
}

/// `None` for what every authenticated user may: discovery, and asking what one may do.
fn asked(request: &RecordedRequest) -> Option<Asked> {
    let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => ("", &[][..]),
    };
    let (namespaced, rest) = match rest {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => (true, rest),
        rest => (false, rest),
    };
    let (resource, named) = match rest {
        [] | ["selfsubjectaccessreviews"] => return None,
        [plural] => ((*plural).to_owned(), false),
        [plural, _] => ((*plural).to_owned(), true),
        [plural, _, sub] => (format!("{plural}/{sub}"), true),
        _ => panic!("an odd path: {}", request.path),
    };
    let verb = match (request.method.as_str(), named) {
        ("GET", true) => "get",
        ("GET", false) if request.parameter("watch").is_some_and(|w| w != "false" && w != "0") => "watch",
        ("GET", false) => "list",
        ("POST", _) => "create",
        ("PATCH", true) => "patch",
        ("DELETE", true) => "delete",
        _ => panic!("an odd request: {} {}", request.method, request.path),
    };
    Some(Asked { grant: (group.to_owned(), resource, verb.to_owned()), namespaced })
}

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
}

impl Record {
    fn take(&mut self, world: &World) {
        self.looks.extend(of(world, "look"));
        self.everywhere.extend(of(world, "everywhere"));
        // As `World::cluster` names its clients.
        self.runs.extend(of(world, "client"));
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
    let needed = permissions::needed(&snapshot, false, false);
    let environment = cluster.environment(world.kind, NAMESPACE, &world.name, &needed).await;
    let environment = environment.expect("it can be asked");
    let nodes = snapshot.pods.iter().filter_map(|pod| pod.node.clone());
    cluster.images_of_nodes(nodes.collect()).await;
    Snapshot { environment, ..snapshot }
}

/// A look, a trial on the server, and a whole update.
async fn updated(database: Database, record: &mut Record) {
    let world = complete(World::new(database));
    look(&world).await;
    let cluster = world.cluster();
    let snapshot = dry_run(&world, &cluster).await;
    let plan = update::plan(&snapshot, &request(world.target())).expect("the target is in the catalog");
    engine::trials(&cluster, &snapshot, &plan, &world.clock()).await.expect("they can be tried");
    world.update().await.done();
    world.is_updated();
    record.take(&world);
}

/// The images are brought to the nodes first.
async fn pre_pulled(record: &mut Record) {
    let mut world = World::new(Database::zookeeper("db"));
    world.pre_pull = true;
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
    for database in databases().into_iter().chain([placed()]) {
        updated(database, &mut record).await;
    }
    for database in databases() {
        ended_by_an_ops_request(database, &mut record).await;
    }
    for database in databases() {
        requested(database, &mut record).await;
    }
    pre_pulled(&mut record).await;
    backups(&mut record).await;
    stuck(&mut record).await;
    taken_over_and_rolled_back(&mut record).await;

    let Record { looks, everywhere, runs } = &record;
    assert_eq!(lacking(looks, &roles.view, &roles), Vec::<&Asked>::new(), "to look");
    assert_eq!(lacking(runs, &roles.update, &roles), Vec::<&Asked>::new(), "to update");
    // Bound everywhere, the role to look is enough for all namespaces.
    let bound = |a: &&Asked| roles.view.contains(&a.grant) || roles.catalog.contains(&a.grant);
    assert_eq!(everywhere.iter().filter(|a| !bound(a)).collect::<Vec<_>>(), Vec::<&Asked>::new());

    let looked = Record::grants(&[looks, everywhere]);
    let idle = |role: &BTreeSet<Grant>, used: &BTreeSet<Grant>| -> Vec<Grant> {
        role.difference(used).cloned().collect()
    };
    assert_eq!(idle(&roles.view, &looked), [], "idle in dbupdate-view");
    let all = Record::grants(&[looks, everywhere, runs]);
    assert_eq!(idle(&roles.update, &all), [], "idle in dbupdate-update");
    assert_eq!(idle(&roles.catalog, &all), [], "idle in dbupdate-catalog");
}

/// Whoever may update may also look: one binding is enough.
#[test]
fn to_update_is_to_look_and_more() {
    let roles = roles();
    assert_eq!(roles.view.difference(&roles.update).collect::<Vec<_>>(), Vec::<&Grant>::new());
    assert!(roles.update.len() > roles.view.len());
    assert!(roles.catalog.is_disjoint(&roles.update));
}

/// The least for who looks holds nothing by which anything could be changed.
#[test]
fn looking_changes_nothing() {
    let roles = roles();
    let reads = |grant: &&Grant| ["get", "list", "watch"].contains(&grant.2.as_str());
    for role in [&roles.view, &roles.catalog] {
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
    assert_eq!(grants(namespace), &roles.update - &lists);
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

/// The built binary sends no more than the library does in the tests above.
#[cfg(unix)]
mod binary {
    use std::path::PathBuf;
    use std::sync::mpsc;
    use std::thread;

    use simcluster::{Endpoint, SimCluster};

    use super::served::{Directory, Outcome, dbupdate, run};
    use super::*;

    /// A sandbox whose requests can be looked at, served for as long as the process lives, and its kubeconfig.
    fn serve() -> (SimCluster, String) {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let sim = SimCluster::new(Behaviour::default());
                world::sandbox(&sim);
                sim.start();
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let endpoint = Endpoint::new(&sim, listener).expect("certificates");
                let kubeconfig = endpoint.kubeconfig("sim").expect("credentials");
                let _ = sender.send((sim.clone(), kubeconfig));
                let _ = endpoint.serve().await;
            });
        });
        receiver.recv().expect("it is served")
    }

    /// A sandbox whose requests can be looked at, and the way to it.
    struct Served {
        sim: SimCluster,
        kubeconfig: PathBuf,
        _directory: Directory,
    }

    impl Served {
        fn start() -> Self {
            let (sim, kubeconfig) = serve();
            let directory = Directory::new();
            let kubeconfig = directory.file("kubeconfig", &kubeconfig);
            Served { sim, kubeconfig, _directory: directory }
        }

        fn run(&self, line: &str) -> Outcome {
            let mut command = dbupdate(line);
            command.env("KUBECONFIG", &self.kubeconfig);
            run(command)
        }

        /// What a command asks for, which ends with that code.
        fn sent(&self, line: &str, code: i32) -> BTreeSet<Asked> {
            let before = self.sim.requests().len();
            self.run(line).ended(code, "");
            let sent: BTreeSet<Asked> = self.sim.requests()[before..].iter().filter_map(asked).collect();
            assert!(!sent.is_empty(), "{line}");
            sent
        }
    }

    #[test]
    fn every_command_keeps_to_its_role() {
        let (roles, served) = (roles(), Served::start());
        for (line, code) in [
            ("kafka my-kf --to 3.6.1 --dry-run", 0),
            ("druid my-dr --to latest --dry-run", 0),
            ("cas my-cas --to 5.0.7 --dry-run -o json", 0),
            ("hz my-hz --to 5.5.6 --dry-run", 0),
            ("zk none --to 3.9.1 --dry-run", 3),
            ("zk my-zk --dry-run", 2),
            ("status", 0),
            ("status zk my-zk", 0),
            ("history zk my-zk", 0),
            ("auth zk my-zk", 0),
            ("list", 0),
            ("list -l team=search", 0),
            ("versions kafka", 0),
            ("versions zk my-zk", 0),
            ("__complete zk my", 0),
            ("__complete zk my-zk --to 3", 0),
        ] {
            let sent = served.sent(line, code);
            assert_eq!(lacking(&sent, &roles.view, &roles), Vec::<&Asked>::new(), "{line}");
        }
        // The same role, bound everywhere.
        for line in ["status -A", "list -A"] {
            let granted = |a: &&Asked| roles.view.contains(&a.grant) || roles.catalog.contains(&a.grant);
            let sent = served.sent(line, 0);
            let lacking: Vec<&Asked> = sent.iter().filter(|a| !granted(a)).collect();
            assert_eq!(lacking, Vec::<&Asked>::new(), "{line}");
        }
        for (line, code) in [
            ("zk my-zk --to 3.9.1 --dry-run=server", 0),
            ("zk my-zk --to 3.9.1 --yes --progress none", 0),
            ("resume zk my-zk --yes", 0),
            ("rollback zk my-zk --yes", 0),
        ] {
            let sent = served.sent(line, code);
            assert_eq!(lacking(&sent, &roles.update, &roles), Vec::<&Asked>::new(), "{line}");
        }
    }

    fn deny(served: &Served, verb: &str, group: &str, resource: &str, subresource: &str) {
        served.sim.access().deny(verb, group, resource, subresource);
    }

    #[test]
    fn auth_tells_what_is_lacking_by_what_it_costs() {
        let served = Served::start();
        served.run("auth zk my-zk").ended(0, "you have all 38 permissions that an update needs");
        // What is installed beside KubeDB is asked for where it is.
        served.sim.apis().add("gitops.kubedb.com");
        deny(&served, "create", "", "events", "");
        deny(&served, "list", "", "nodes", "");
        let told = served.run("auth zk my-zk");
        assert_eq!(told.code, Some(0), "{told:#?}");
        assert_eq!(
            told.stdout,
            "ZooKeeper my-zk in namespace default\n\
             you can update it; 2 of 39 permissions are missing, but none is required\n\
             \n\
             Also missing\n  \
               create events: Events will not be recorded on the database\n  \
               list nodes: cordoned nodes will not be detected\n\
             \n\
             Rules for namespace default: a Role, or a ClusterRole with a RoleBinding there\n  \
               - apiGroups: [\"\"]\n    \
                 resources: [events]\n    \
                 verbs: [create]\n\
             \n\
             Rules for the whole cluster: a ClusterRole with a ClusterRoleBinding\n  \
               - apiGroups: [\"\"]\n    \
                 resources: [nodes]\n    \
                 verbs: [list]\n"
        );
        let asked_for = |plural: &str, field: &str| -> BTreeSet<String> {
            let requests = served.sim.requests();
            let reviews = requests.iter().map(|r| r.body["spec"]["resourceAttributes"].clone());
            let of_it = reviews.filter(|about| about["resource"] == plural && about["verb"] != "create");
            of_it.map(|about| about[field].as_str().unwrap_or_default().to_owned()).collect()
        };
        // With a namespace a RoleBinding would seem to be enough.
        assert_eq!(asked_for("nodes", "namespace"), BTreeSet::from([String::new()]));
        assert_eq!(asked_for("zookeeperversions", "namespace"), BTreeSet::from([String::new()]));
        assert_eq!(asked_for("pods", "namespace"), BTreeSet::from([NAMESPACE.to_owned()]));
        // A Role may be narrowed to these.
        assert_eq!(asked_for("leases", "name"), BTreeSet::from(["dbupdate-zookeeper-my-zk".to_owned()]));
        assert_eq!(asked_for("configmaps", "name"), BTreeSet::from(["dbupdate-zookeeper-my-zk".to_owned()]));
        deny(&served, "create", "", "pods", "eviction");
        let told = served.run("auth zk/my-zk -o json");
        assert_eq!(told.code, Some(3), "{told:#?}");
        let object = told.object();
        assert_eq!((&object["schema"], &object["allowed"]), (&json!("dbupdate/v1"), &json!(false)));
        assert_eq!(object["database"]["name"], "my-zk");
        assert_eq!(object["asked"], 39);
        let eviction =
            json!({ "group": "", "resource": "pods/eviction", "verb": "create", "weight": "needed" });
        assert_eq!(
            object["lacking"][1],
            json!({ "group": "", "resource": "nodes", "verb": "list",
            "weight": "spared", "cost": "cordoned nodes will not be detected" })
        );
        assert_eq!(object["lacking"][2], eviction);
        assert_eq!(
            object["rules"]["cluster"],
            json!([{ "apiGroups": [""], "resources": ["nodes"], "verbs": ["list"] }])
        );
        served.run("auth zk my-zk -o yaml").ended(3, "schema: dbupdate/v1");
    }

    /// An update is refused without a journal, so that this is not at a cost alone.
    #[test]
    fn auth_counts_the_journal_as_the_update_does() {
        let served = Served::start();
        deny(&served, "create", "", "configmaps", "");
        served.run("auth zk my-zk").ended(3, "create configmaps: no journal can be kept");
        served.run("zk my-zk --to 3.9.1 --dry-run").ended(3, "no-journal");
    }

    #[test]
    fn auth_helps_where_nothing_can_be_read() {
        let served = Served::start();
        for group in ["kubedb.com", "catalog.kubedb.com", "apps.k8s.appscode.com"] {
            deny(&served, "*", group, "*", "*");
            deny(&served, "*", group, "*", "");
        }
        let told = served.run("auth zk my-zk");
        told.ended(3, "so this is what any ZooKeeper may need").ended(3, "petsets.apps.k8s.appscode.com");
        told.ended(3, "get, list, watch, patch").ended(3, "resources: [zookeeperversions]");
        let object = served.run("auth zk my-zk -o json").object();
        assert_eq!(object["database"]["uid"], "");
        assert!(object["unread"].as_str().is_some_and(|why| why.contains("forbidden")), "{object}");
        // Whoever begins with the update is led here.
        served.run("zk my-zk --to 3.9.1 --dry-run").ended(1, "kubectl dbupdate auth zookeeper my-zk");
    }

    #[test]
    fn auth_says_what_keeps_it_from_answering() {
        let served = Served::start();
        served.run("auth zk none").ended(3, "zookeeper \"none\" not found in namespace default");
        served.run("auth zk").ended(2, "no database given");
        deny(&served, "create", "authorization.k8s.io", "selfsubjectaccessreviews", "");
        served.run("auth zk my-zk").ended(1, "cannot check your permissions: ");
    }
}
