//! The licensed Ops-manager.

use simcluster::world::{PodManagement, Strategy, catalog};
use simcluster::{Ailment, Kind, PodRule, Verdict};

use super::*;

/// An Ops-manager with this verdict, and one database.
fn licensed(verdict: Verdict, database: Database) -> SimCluster {
    let mut behaviour = Behaviour::default();
    behaviour.ops_manager.alive = true;
    behaviour.ops_manager.verdict = verdict;
    running(behaviour, database)
}

/// A request to update a database.
struct Ops {
    kind: Kind,
    store: Store,
}

impl Ops {
    /// Creates it, with these fields of the spec besides those that each has.
    fn create(cluster: &SimCluster, kind: Kind, database: &str, target: &str, more: Value) -> Self {
        let mut spec = json!({
            "type": "UpdateVersion", "databaseRef": {"name": database}, "updateVersion": {"targetVersion": target},
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        let store = cluster.store().clone();
        store.create(kind.ops_resource(), json!({"metadata": {"name": "up"}, "spec": spec})).unwrap();
        Self { kind, store }
    }

    fn object(&self) -> Arc<Value> {
        get(&self.store, self.kind.ops_resource(), "up")
    }

    fn phase(&self) -> String {
        text(&self.object(), "/status/phase").to_owned()
    }

    fn set_phase(&self, phase: &str) {
        let change = |request: &mut Value| request["status"]["phase"] = json!(phase);
        self.store.update_status(self.kind.ops_resource(), "default", "up", change).unwrap();
    }

    /// Waits for a phase, and says how long it took.
    async fn until(&self, phase: &str) -> Duration {
        until(&self.store, phase, || self.phase() == phase).await
    }

    /// The conditions as they came: type and status.
    fn conditions(&self) -> Vec<String> {
        let conditions = self.object()["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let told = |condition: &Value| format!("{} {}", text(condition, "/type"), text(condition, "/status"));
        conditions.iter().map(told).collect()
    }

    /// What a condition says, with its reason.
    fn says(&self, kind: &str) -> String {
        let condition = condition(&self.object(), kind).unwrap_or_default();
        format!(
            "{} {}: {}",
            text(&condition, "/status"),
            text(&condition, "/reason"),
            text(&condition, "/message")
        )
    }
}

fn zookeeper(verdict: Verdict) -> SimCluster {
    licensed(verdict, Database::zookeeper("db"))
}

fn update_zookeeper(cluster: &SimCluster) -> Ops {
    Ops::create(cluster, Kind::ZooKeeper, "db", "3.9.1", json!({}))
}

/// What is expected of the conditions of a success.
fn course(sets: &str, pods: &[&str], running: Option<&str>) -> Vec<String> {
    let mut all = vec!["UpdateVersion True".to_owned(), format!("{sets} True")];
    for pod in pods {
        all.extend([format!("GetPod--{pod} True"), format!("EvictPod--{pod} True")]);
        all.extend(running.map(|running| format!("{running}--{pod} True")));
    }
    all.extend(["RestartPods True".to_owned(), "Successful True".to_owned()]);
    all
}

#[tokio::test(start_paused = true)]
async fn every_kind_is_updated_pod_by_pod() {
    let racks = Database::cassandra_racks("db", &[("r0", 2), ("r1", 1)]);
    let sets = "UpdatePetSets";
    let cases = [
        (
            Kind::Kafka,
            Database::kafka_topology("db").controllers(1).brokers(2),
            "3.9.0",
            course(sets, &["db-controller-0", "db-broker-0", "db-broker-1"], Some("CheckPodRunning")),
        ),
        (
            Kind::Druid,
            Database::druid("db"),
            "30.0.1",
            course(
                sets,
                &[
                    "db-historicals-0",
                    "db-middlemanagers-0",
                    "db-brokers-0",
                    "db-routers-0",
                    "db-overlords-0",
                    "db-coordinators-0",
                ],
                Some("CheckPodRunning"),
            ),
        ),
        (
            Kind::Cassandra,
            racks,
            "5.0.3",
            course(sets, &["db-rack-r0-0", "db-rack-r0-1", "db-rack-r1-0"], None),
        ),
        (
            Kind::Hazelcast,
            Database::hazelcast("db"),
            "5.5.6",
            course("UpdateStatefulSets", &["db-0", "db-1", "db-2"], None),
        ),
        (Kind::ZooKeeper, Database::zookeeper("db"), "3.9.1", course(sets, &["db-0", "db-1", "db-2"], None)),
    ];
    for (kind, database, target, course) in cases {
        let cluster = licensed(Verdict::Succeed, database);
        let (ops, store) = (Ops::create(&cluster, kind, "db", target, json!({})), cluster.store());
        let pods = store.list(PODS, None);
        until(store, "paused", || paused(store, kind.resource(), "db") == "True").await;
        let took = ops.until("Successful").await;
        assert_eq!(ops.conditions(), course, "{kind:?}");
        let (first, each) = (15, 10);
        let expected = Duration::from_secs(first + each * pods.len() as u64);
        assert!(took.abs_diff(expected) < SECOND, "{kind:?} took {took:?}, not {expected:?}");
        assert_eq!(number(&ops.object(), "/status/observedGeneration"), 1);
        assert_eq!(text(&get(store, kind.resource(), "db"), "/spec/version"), target);
        tokio::time::sleep(60 * SECOND).await;
        assert_eq!(paused(store, kind.resource(), "db"), "", "the webhook lifts it");
        assert_eq!(text(&get(store, kind.resource(), "db"), "/status/phase"), "Ready");
        let version = catalog::version(kind, target).unwrap();
        for pod in pods {
            let now = get(store, PODS, text(&pod, "/metadata/name"));
            assert_eq!(text(&now, "/spec/containers/0/image"), text(&version, "/spec/db/image"));
        }
    }
}

/// Pods that run this long after their eviction.
fn slow(name: &str, runs_after: u64) -> PodRule {
    // A pod runs at half of its start-up.
    PodRule::new(Ailment::SlowStart(2 * Duration::from_secs(runs_after))).name(name)
}

#[tokio::test(start_paused = true)]
async fn it_takes_as_long_as_the_published_runs() {
    let cases = [
        // 126 s, with pods that ran 20 and 25 s after their evictions.
        (Kind::Kafka, Database::kafka_topology("db").controllers(2).brokers(2), "3.9.0", [18, 23], 125),
        // 178 s, with evictions every 40 s.
        (Kind::ZooKeeper, Database::zookeeper("db").replicas(4), "3.9.1", [33, 33], 175),
    ];
    for (kind, database, target, [even, odd], expected) in cases {
        // What a pod waits for besides its start is not part of the published times.
        let database = database.no_budget().pod_management(PodManagement::Parallel);
        let cluster = licensed(Verdict::Succeed, database);
        let rules = [slow("*-0", even), slow("*-1", odd), slow("*", even)];
        cluster.behaviour().change(|behaviour| behaviour.pods.extend(rules));
        let took = Ops::create(&cluster, kind, "db", target, json!({})).until("Successful").await;
        assert_eq!(took.as_secs(), expected, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_it_does_is_at_a_multiple_of_its_polling() {
    let cluster = zookeeper(Verdict::Succeed);
    let mut changes = cluster.store().subscribe();
    let start = Instant::now();
    update_zookeeper(&cluster).until("Successful").await;
    let mut writes = 0;
    while let Some(change) = changes.try_next() {
        if change.res == Kind::ZooKeeper.ops_resource() {
            let since = change.at - start;
            assert!(since.as_millis() % 5000 <= 5, "{since:?}");
            writes += 1;
        }
    }
    assert!(writes > 10);
}

#[tokio::test(start_paused = true)]
async fn a_failure_ends_it_and_the_old_templates_come_back() {
    let cases = [
        ("UpdateVersion", "UpdateVersion", 0),
        ("UpdatePetSets", "UpdatePetSets", 0),
        ("db-1", "GetPod--db-1", 1),
        ("EvictPod--db-1", "EvictPod--db-1", 1),
        ("RunningPod--*", "RunningPod", 1),
        ("RunningPod--db-1", "RunningPod", 2),
        ("RestartPods", "RestartPods", 3),
        ("Successful", "Successful", 3),
    ];
    for (at, fails, restarted) in cases {
        let message = "no quorum".to_owned();
        let cluster = zookeeper(Verdict::Fail { at: at.to_owned(), message });
        let store = cluster.store();
        let before: Vec<String> = (0..3).map(|pod| uid(store, PODS, &format!("db-{pod}"))).collect();
        let ops = update_zookeeper(&cluster);
        ops.until("Failed").await;
        assert_eq!(ops.says(fails), "False Failed: no quorum", "{at}");
        assert_eq!(condition(&ops.object(), "Successful").is_some(), fails == "Successful", "{at}");
        tokio::time::sleep(60 * SECOND).await;
        let after = (0..3).map(|pod| uid(store, PODS, &format!("db-{pod}")));
        assert_eq!(after.zip(before).filter(|(after, before)| after != before).count(), restarted, "{at}");
        let database = get(store, ZOOKEEPERS, "db");
        assert_eq!(text(&database, "/spec/version"), "3.8.3", "{at}");
        assert_eq!(paused(store, ZOOKEEPERS, "db"), "", "{at}");
        let image = text(&get(store, PETSETS, "db"), "/spec/template/spec/containers/0/image").to_owned();
        assert!(image.ends_with(":3.8.3"), "{at}: {image}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_may_be_refused_before_it_begins() {
    let message = || "not in the maintenance window".to_owned();
    let cases =
        [("Denied", Verdict::Deny { message: message() }), ("Skipped", Verdict::Skip { message: message() })];
    for (phase, verdict) in cases {
        let cluster = zookeeper(verdict);
        let before = get(cluster.store(), ZOOKEEPERS, "db");
        let ops = update_zookeeper(&cluster);
        ops.until(phase).await;
        tokio::time::sleep(600 * SECOND).await;
        assert_eq!(ops.conditions(), [format!("{phase} True")]);
        assert_eq!(ops.says(phase), format!("True {phase}: not in the maintenance window"));
        assert_eq!(get(cluster.store(), ZOOKEEPERS, "db"), before);
    }
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_an_approval() {
    for (word, ends) in [("Approved", "Successful"), ("Denied", "Denied")] {
        let cluster = zookeeper(Verdict::WaitForApproval);
        let ops = update_zookeeper(&cluster);
        ops.until("WaitingForApproval").await;
        tokio::time::sleep(3600 * SECOND).await;
        assert_eq!((ops.phase().as_str(), ops.conditions().len()), ("WaitingForApproval", 0));
        ops.set_phase(word);
        ops.until(ends).await;
        tokio::time::sleep(600 * SECOND).await;
        assert_eq!(ops.phase(), ends);
        let version = text(&get(cluster.store(), ZOOKEEPERS, "db"), "/spec/version").to_owned();
        assert_eq!(version == "3.9.1", word == "Approved");
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_takes_too_long_fails() {
    let pull = |pod| PodRule::new(Ailment::PullError).name(pod).image("*:3.9.1");
    let cluster = zookeeper(Verdict::Succeed);
    cluster.behaviour().change(|behaviour| behaviour.pods.push(pull("db-1")));
    let ops = Ops::create(&cluster, Kind::ZooKeeper, "db", "3.9.1", json!({"timeout": "1m"}));
    let took = ops.until("Failed").await;
    // The first pod takes ten seconds; the second is evicted at 25 and has to run by 85.
    assert_eq!(took.as_secs(), 90);
    assert_eq!(ops.says("RunningPod"), "False Failed: RunningPod--db-1 has not ended within 1m");

    let cluster = licensed(Verdict::Succeed, Database::kafka_combined("db"));
    cluster
        .behaviour()
        .change(|behaviour| behaviour.pods.push(PodRule::new(Ailment::PullError).image("*:3.9.0")));
    let ops = Ops::create(&cluster, Kind::Kafka, "db", "3.9.0", json!({}));
    tokio::time::sleep(3600 * SECOND).await;
    let waits = "False : check pod running; ConditionStatus:False; PodName:db-0";
    assert_eq!((ops.phase().as_str(), ops.says("CheckPodRunning--db-0").as_str()), ("Progressing", waits));
}

#[tokio::test(start_paused = true)]
async fn an_eviction_waits_for_the_budget() {
    let cluster = licensed(Verdict::Succeed, Database::zookeeper("db").max_unavailable(0));
    let (ops, store) = (update_zookeeper(&cluster), cluster.store());
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(ops.says("EvictPod--db-0"), "False : evict pod; ConditionStatus:False; PodName:db-0");
    store.update(BUDGETS, "default", "db", |budget| budget["spec"]["maxUnavailable"] = json!(1)).unwrap();
    ops.until("Successful").await;
    assert!(holds(&ops.object(), "EvictPod--db-0"));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_runs_is_enough() {
    let database = Database::zookeeper("db").no_budget().pod_management(PodManagement::Parallel);
    let cluster = licensed(Verdict::Succeed, database);
    cluster.behaviour().change(|behaviour| {
        let unready = PodRule::new(Ailment::NeverReady).image("*:3.9.1");
        behaviour.pods = vec![unready.clone().name("db-1"), unready.name("db-2")];
    });
    let ops = update_zookeeper(&cluster);
    ops.until("Successful").await;
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(text(&get(cluster.store(), ZOOKEEPERS, "db"), "/status/phase"), "Critical");
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_a_database_that_is_not_ready() {
    for (apply, waits) in [("IfReady", true), ("Always", false)] {
        let behaviour = Behaviour { start_up: 120 * SECOND, ..Behaviour::default() };
        let cluster = running(behaviour, Database::zookeeper("db"));
        let store = cluster.store();
        delete(store, PODS, "db-2");
        let phase = || text(&get(store, ZOOKEEPERS, "db"), "/status/phase").to_owned();
        until(store, "critical", || phase() == "Critical").await;
        cluster.behaviour().change(|behaviour| behaviour.ops_manager.alive = true);
        let ops = Ops::create(&cluster, Kind::ZooKeeper, "db", "3.9.1", json!({"apply": apply}));
        tokio::time::sleep(20 * SECOND).await;
        assert_eq!(ops.phase() == "Pending", waits, "{apply}: {}", ops.phase());
        ops.until("Progressing").await;
        assert_eq!(phase() == "Ready", waits, "{apply}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_fails_without_a_database_or_a_version() {
    let missing = |what: &str, name: &str| format!("False Failed: {what} \"{name}\" not found");
    let cluster = zookeeper(Verdict::Succeed);
    let ops = Ops::create(&cluster, Kind::ZooKeeper, "db", "9.9.9", json!({}));
    ops.until("Failed").await;
    assert_eq!(ops.says("UpdateVersion"), missing("zookeeperversions.catalog.kubedb.com", "9.9.9"));

    let cluster = zookeeper(Verdict::Succeed);
    let ops = update_zookeeper(&cluster);
    tokio::time::sleep(27 * SECOND).await;
    assert!(holds(&ops.object(), "EvictPod--db-1"), "{:?}", ops.conditions());
    delete(cluster.store(), ZOOKEEPERS, "db");
    ops.until("Failed").await;
    assert_eq!(ops.says("UpdateVersion"), missing(ZOOKEEPERS, "db"));
}

#[tokio::test(start_paused = true)]
async fn without_a_license_nobody_works_it() {
    let cluster = running(Behaviour::default(), Database::zookeeper("db"));
    let ops = update_zookeeper(&cluster);
    tokio::time::sleep(3600 * SECOND).await;
    assert!(ops.object().get("status").is_none());
    cluster.behaviour().change(|behaviour| behaviour.ops_manager.alive = true);
    ops.until("Progressing").await;
    cluster.behaviour().change(|behaviour| behaviour.ops_manager.alive = false);
    tokio::time::sleep(3600 * SECOND).await;
    assert_eq!(ops.conditions(), ["UpdateVersion True"]);
    cluster.behaviour().change(|behaviour| behaviour.ops_manager.alive = true);
    ops.until("Successful").await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_erased_is_written_again() {
    let cluster = zookeeper(Verdict::Succeed);
    cluster.behaviour().change(|behaviour| behaviour.provisioner.erase_pause = 1);
    let ops = update_zookeeper(&cluster);
    ops.until("Progressing").await;
    let store = cluster.store();
    until(store, "paused", || paused(store, ZOOKEEPERS, "db") == "Unknown").await;
    until(store, "erased", || paused(store, ZOOKEEPERS, "db").is_empty()).await;
    until(store, "paused again", || paused(store, ZOOKEEPERS, "db") == "True").await;
    ops.until("Successful").await;
}

#[tokio::test(start_paused = true)]
async fn a_rolling_update_is_only_waited_for() {
    let database = Database::zookeeper("db").strategy(Strategy::RollingUpdate { partition: 0 });
    let cluster = licensed(Verdict::Succeed, database);
    let pods = cluster.store().list(PODS, None);
    let ops = update_zookeeper(&cluster);
    ops.until("Successful").await;
    assert!(!ops.conditions().iter().any(|condition| condition.starts_with("EvictPod")));
    for pod in pods {
        let name = text(&pod, "/metadata/name");
        assert!(is_ready(cluster.store(), name));
        assert_ne!(uid(cluster.store(), PODS, name), text(&pod, "/metadata/uid"));
    }
}
