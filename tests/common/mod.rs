//! A simulated cluster with one database, and runs of the engine on it, all in tokio's paused time.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod agree;
pub mod changes;
mod guard;
pub mod invariants;
pub mod process;
pub mod wrote;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use kubectl_dbupdate::clock::Clock;
use kubectl_dbupdate::cluster::{Cluster, ClusterError, Found, Journal, Selection};
use kubectl_dbupdate::engine::{self, Bounds, Caller, Earlier, RunOptions, Signal, Stop, Story};
use kubectl_dbupdate::event::{Event, Finish, Outcome, Record, Step};
use kubectl_dbupdate::journal::Direction;
use kubectl_dbupdate::model::{HealthMode, Kind, Method, Methods, PRE_PULL_LABEL, Plan, Snapshot};
use kubectl_dbupdate::operation::{self, Which, Wish};
use kubectl_dbupdate::plan::update::{self, Request};
use kubectl_dbupdate::situation::Commands;
use serde_json::Value;
use simcluster::world::{self, Database};
use simcluster::{Behaviour, SimCluster, Store, object};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use changes::sent;
pub use guard::Guard;

pub const NAMESPACE: &str = "default";
pub const DEPLOYMENTS: &str = "deployments.apps";
pub const LEASES: &str = "leases.coordination.k8s.io";
pub const PETSETS: &str = "petsets.apps.k8s.appscode.com";
pub const BUDGETS: &str = "poddisruptionbudgets.policy";
pub const WORKLOADS: [&str; 3] = ["petsets.apps.k8s.appscode.com", "statefulsets.apps", DEPLOYMENTS];

/// Longer than anything in a test may take, in simulated time.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A running cluster that holds one database.
pub struct World {
    pub sim: SimCluster,
    pub kind: Kind,
    pub name: String,
    /// The version to which it is updated: at first one that the new database can reach in one step.
    pub target: &'static str,
    /// The way that an update takes.
    pub method: Method,
    /// The images are brought to the nodes first.
    pub pre_pull: bool,
    /// Whether the database is asked.
    pub health: HealthMode,
    /// How many clients there have been.
    clients: AtomicUsize,
}

impl World {
    /// A healthy cluster with this database in it.
    pub fn new(database: Database) -> Self {
        Self::behaving(Behaviour::default(), database)
    }

    /// A cluster that behaves so.
    pub fn behaving(behaviour: Behaviour, database: Database) -> Self {
        let sim = SimCluster::new(behaviour);
        world::catalog::install(sim.store());
        let installed = database.install(&sim);
        sim.start();
        let kind = text(&installed, "/kind");
        let kind = Kind::ALL.into_iter().find(|k| k.name() == kind).expect("a kind that we know");
        let target = match kind {
            Kind::Kafka => "3.6.1",
            Kind::Druid => "30.0.1",
            Kind::Cassandra => "5.0.7",
            Kind::Hazelcast => "5.5.6",
            Kind::ZooKeeper => "3.9.1",
        };
        let (name, clients) = (object::name(&installed).to_owned(), AtomicUsize::new(0));
        let (method, health) = (Method::Client, HealthMode::Off);
        World { sim, kind, name, target, method, pre_pull: false, health, clients }
    }

    /// The database itself is asked before each restart. Otherwise its pods are restarted by their readiness and budgets alone,
    /// one after the other by their ordinals.
    pub fn gated(mut self) -> Self {
        self.health = HealthMode::Auto;
        self
    }

    pub fn store(&self) -> &Store {
        self.sim.store()
    }

    /// Through the Provisioner, to that version.
    pub fn rendered_to(mut self, target: &'static str) -> Self {
        (self.target, self.method) = (target, Method::Provisioner);
        self
    }

    /// What is asked for: the usual target, by the usual way.
    pub fn request(&self) -> Request {
        let methods = Methods { all: Some(self.method), ..Methods::default() };
        Request { methods, pre_pull: self.pre_pull, ..request(self.target) }
    }

    /// The version to which the database is updated.
    pub fn target(&self) -> &'static str {
        self.target
    }

    /// A client of its own, as another process would have.
    pub fn cluster(&self) -> Cluster {
        self.cluster_of(&format!("client {}", self.clients.fetch_add(1, Ordering::Relaxed) + 1))
    }

    /// A client of that name, by which the record tells its requests from those of others.
    pub fn cluster_of(&self, client: &str) -> Cluster {
        let transport = self.sim.transport().of_client(client);
        Cluster::new(kube::Client::new(transport, NAMESPACE), client)
    }

    /// Wall time as the simulation has it.
    pub fn clock(&self) -> Clock {
        let clock = self.store().clock();
        Clock::with_wall(move || SystemTime::from(clock.now()))
    }

    pub async fn snapshot(&self, cluster: &Cluster) -> Snapshot {
        let read = cluster.snapshot(self.kind, NAMESPACE, &self.name).await;
        let mut snapshot = read.expect("the database can be read");
        snapshot.environment.require_health = self.health == HealthMode::Require;
        if self.health != HealthMode::Off {
            snapshot.health = operation::said(cluster, &snapshot).await;
        }
        snapshot
    }

    pub async fn journal(&self, cluster: &Cluster) -> Journal {
        cluster.journal(self.kind, NAMESPACE, &self.name).await.expect("the journal can be read")
    }

    /// The name of the ConfigMap that holds the journal.
    pub fn journal_map(&self) -> String {
        format!("dbupdate-{}-{}", self.kind.singular(), self.name)
    }

    /// The plan to the usual target, which may have refusals.
    pub async fn plan(&self) -> Plan {
        let snapshot = self.snapshot(&self.cluster()).await;
        update::plan(&snapshot, &self.request()).expect("the target is in the catalog")
    }

    /// Options with short bounds; a test changes what it is about.
    pub fn options(&self, run: &str) -> RunOptions {
        RunOptions {
            caller: Caller {
                run: run.to_owned(),
                who: "ann@laptop".to_owned(),
                commands: Commands::default(),
            },
            bounds: Bounds {
                timeout: None,
                pod_timeout: secs(1200),
                pause_timeout: secs(30),
                drain: secs(600),
                wait_ready: secs(300),
            },
            story: Story {
                journal: Journal::default(),
                resuming: None,
                undoing: None,
                direction: Direction::Update,
                before: None,
                through: None,
                finish: None,
                undo: None,
                methods: Methods::default(),
                earlier: Earlier::default(),
            },
            skip: BTreeSet::new(),
            roll_back_on_failure: false,
            clock: self.clock(),
        }
    }

    /// What a person asks for who is shown the plan, with short bounds.
    pub fn asked(&self) -> operation::Request {
        let usual = self.options("");
        operation::Request {
            which: Which {
                namespace: Some(NAMESPACE.to_owned()),
                kind: Some(self.kind),
                name: Some(self.name.clone()),
            },
            wish: Wish::Update {
                to: Some(self.target.to_owned()),
                through: false,
                methods: self.request().methods,
            },
            unasked: false,
            take_over: false,
            skip: BTreeSet::new(),
            bounds: usual.bounds,
            min_ready: Duration::ZERO,
            pre_pull: self.pre_pull,
            registries: operation::Registries::ForARun,
            health: self.health,
            finish: None,
            roll_back_on_failure: false,
            caller: operation::Caller { who: usual.caller.who, commands: usual.caller.commands },
        }
    }

    /// Starts an update to the usual target.
    pub async fn start(&self) -> Running {
        self.start_with(|_| {}).await
    }

    /// Starts an update to the usual target with changed options.
    pub async fn start_with(&self, change: impl FnOnce(&mut RunOptions)) -> Running {
        let mut options = self.options("run1");
        change(&mut options);
        self.launch(options).await
    }

    /// Plans anew as another process would, and starts. A lock of somebody else is watched first, as the command does.
    pub async fn launch(&self, mut options: RunOptions) -> Running {
        let cluster = self.cluster();
        if self.store().get("configmaps", NAMESPACE, &self.journal_map()).is_some() {
            options.story.journal = self.journal(&cluster).await;
        }
        let mut snapshot = self.snapshot(&cluster).await;
        if let Some(lock) = snapshot.lock.take() {
            let watched = cluster.watch_lock(self.kind, NAMESPACE, &self.name, lock).await;
            snapshot.lock = watched.expect("the lock can be watched");
        }
        let asked = Request { skip: options.skip.clone(), ..self.request() };
        let plan = update::plan(&snapshot, &asked).expect("the target is in the catalog");
        let refusals: Vec<_> = plan.refusals().map(|f| (f.check, f.message.clone())).collect();
        assert!(refusals.is_empty(), "refused: {refusals:?}");
        Running::start(cluster, snapshot, plan, options)
    }

    /// Runs an update to its end.
    pub async fn update(&self) -> Ended {
        self.start().await.end().await
    }

    /// Runs it again, as the user is told to: it has to complete.
    pub async fn goes_on(&self) -> Ended {
        let ended = self.launch(self.options("again")).await.end().await;
        ended.done();
        self.is_updated();
        ended
    }

    /// The pods of ours that bring images to nodes.
    pub fn pull_pods(&self) -> Vec<Arc<Value>> {
        let label = |pod: &Arc<Value>| pod["metadata"]["labels"].get(PRE_PULL_LABEL).is_some();
        self.pods().into_iter().filter(label).collect()
    }

    /// An object of the namespace.
    pub fn get(&self, res: &str, name: &str) -> Arc<Value> {
        self.store().get(res, NAMESPACE, name).unwrap_or_else(|| panic!("{res} {name} is not there"))
    }

    /// The database's resource, as the store names it.
    pub fn res(&self) -> String {
        format!("{}.kubedb.com", self.kind.plural())
    }

    pub fn database(&self) -> Arc<Value> {
        self.get(&self.res(), &self.name)
    }

    /// Changes the database's status, as another client would.
    pub fn change_status(&self, change: impl FnOnce(&mut Value)) {
        self.store().update_status(&self.res(), NAMESPACE, &self.name, change).expect("it is there");
    }

    /// The database's `Paused` condition.
    pub fn paused(&self) -> Option<Value> {
        object::condition(&self.database(), "Paused").cloned()
    }

    /// Removes `Paused` as KubeDB's webhook does, whoever has set it.
    pub fn lift_pause(&self) {
        self.change_status(|db| {
            if let Some(conditions) = db["status"]["conditions"].as_array_mut() {
                conditions.retain(|c| c["type"] != "Paused");
            }
        });
    }

    /// Every workload of the database: `petset/db-broker` and the object.
    pub fn workloads(&self) -> BTreeMap<String, Arc<Value>> {
        let all = WORKLOADS.iter().flat_map(|res| self.store().list(res, Some(NAMESPACE)));
        all.map(|w| (format!("{}/{}", text(&w, "/kind").to_lowercase(), object::name(&w)), w)).collect()
    }

    pub fn pods(&self) -> Vec<Arc<Value>> {
        self.store().list("pods", Some(NAMESPACE))
    }

    pub fn pod(&self, name: &str) -> Arc<Value> {
        self.get("pods", name)
    }

    /// The pods that still have another image than the target's.
    pub fn old_pods(&self) -> Vec<String> {
        old_pods(self.store(), self.target())
    }

    /// Everything is as it has to be after an update.
    pub fn is_updated(&self) {
        self.is_on_target();
        self.no_lease();
    }

    /// Every pod is on the target and healthy, the version is set, and nothing is paused.
    pub fn is_on_target(&self) {
        assert_eq!(self.old_pods(), Vec::<String>::new(), "pods on old images");
        assert!(self.pods().iter().all(|p| is_well(p)), "a pod is not well");
        assert_eq!(text(&self.database(), "/spec/version"), self.target());
        assert_eq!(self.paused(), None);
    }

    /// No lock is left behind.
    pub fn no_lease(&self) {
        assert_eq!(self.store().list(LEASES, Some(NAMESPACE)).len(), 0, "a lease is left");
    }

    /// The changes of the database that the server has carried out, in order; see [`sent`].
    pub fn sent(&self) -> Vec<String> {
        self.sim.requests().iter().filter(|r| r.status.is_some_and(|s| s < 300)).filter_map(sent).collect()
    }

    /// How many evictions of each pod the server has carried out.
    pub fn evictions(&self) -> BTreeMap<String, usize> {
        let mut count = BTreeMap::new();
        for pod in self.sent().iter().filter_map(|s| s.strip_prefix("evict ")) {
            *count.entry(pod.to_owned()).or_default() += 1;
        }
        count
    }

    /// Watches from now on how many pods are away at once.
    pub fn guard(&self) -> Guard {
        let changes = self.store().subscribe();
        let pods = self.pods();
        let counted = pods.iter().filter(|p| is_counted(p));
        let healthy = counted.clone().map(|p| (object::name(p).to_owned(), is_well(p))).collect();
        Guard::new(changes, healthy)
    }

    /// Waits in simulated time until something holds in the store.
    pub async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let mut changes = self.store().subscribe();
        while !holds() {
            let change = timeout(FOREVER, changes.next()).await;
            assert!(matches!(change, Ok(Some(_))), "{what}: never");
        }
    }
}

/// The databases of a kind, or the one of that name, as `list` and `status` read them.
pub async fn overview(
    cluster: &Cluster,
    kind: Kind,
    namespace: &str,
    name: Option<&str>,
) -> Result<Vec<Found>, ClusterError> {
    let which = Selection { kinds: &[kind], namespace, name, labels: "" };
    Ok(cluster.overview(&which).await?.found)
}

pub fn request(to: &str) -> Request {
    Request::to(to)
}

/// A run on its way.
pub struct Running {
    /// The name of its client.
    pub client: String,
    pub plan: Plan,
    stop: watch::Sender<Stop>,
    records: mpsc::UnboundedReceiver<Record>,
    seen: Vec<Record>,
    handle: JoinHandle<Finish>,
    /// By which `status` is read after its end.
    cluster: Cluster,
    commands: Commands,
}

impl Running {
    pub fn start(cluster: Cluster, snapshot: Snapshot, plan: Plan, options: RunOptions) -> Self {
        let (events, records) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(Stop::Go);
        let (client, planned) = (cluster.name().to_owned(), plan.clone());
        let (reader, commands) = (cluster.clone(), options.caller.commands.clone());
        let handle =
            tokio::spawn(
                async move { engine::run(&cluster, snapshot, planned, options, events, stopped).await },
            );
        Running { client, plan, stop, records, seen: Vec::new(), handle, cluster: reader, commands }
    }

    /// Waits for an event like this, counted from the last one that was waited for.
    pub async fn event(&mut self, what: &str, is: impl Fn(&Event) -> bool) -> Event {
        loop {
            let record = timeout(FOREVER, self.records.recv()).await;
            let Ok(Some(record)) = record else { panic!("{what}: never; {:#?}", self.seen.last()) };
            self.seen.push(record.clone());
            if is(&record.event) {
                return record.event;
            }
        }
    }

    /// Waits until an eviction of this pod was accepted.
    pub async fn evicted(&mut self, name: &str) {
        let is = |e: &Event| matches!(e, Event::PodEvicted { pod, .. } if pod == name);
        self.event(&format!("{name} evicted"), is).await;
    }

    /// Waits until this pod has arrived.
    pub async fn ready(&mut self, name: &str) {
        let is = |e: &Event| matches!(e, Event::PodReady { pod, .. } if pod == name);
        self.event(&format!("{name} ready"), is).await;
    }

    /// Waits until a step begins.
    pub async fn step(&mut self, step: Step) {
        self.event(&format!("{step:?}"), |e| *e == Event::StepStarted { step }).await;
    }

    pub fn stop(&self, stop: Stop) {
        self.stop.send_replace(stop);
    }

    /// Ctrl-C, once.
    pub fn interrupt(&self) {
        self.stop(Stop::Finish(Signal::Interrupt));
    }

    /// The process dies: nothing is tidied up.
    pub async fn crash(self) {
        self.handle.abort();
        assert!(self.handle.await.is_err_and(|e| e.is_cancelled()), "it was over already");
    }

    /// The process dies at that moment; its end where it has come to it before.
    pub async fn lives_until(mut self, moment: impl Future<Output = ()>) -> Option<Ended> {
        tokio::select! {
            biased;
            () = moment => {
                self.handle.abort();
                // It may have come to its end in the very moment of its death.
                let _ = (&mut self.handle).await;
                None
            }
            finish = &mut self.handle => Some(self.over(finish.expect("the run does not panic"))),
        }
    }

    /// The run's end and all of its events. `status` says the same of it.
    pub async fn end(self) -> Ended {
        let (cluster, commands) = (self.cluster.clone(), self.commands.clone());
        let ended = self.end_alone().await;
        agree::agrees(&ended, &cluster, &commands).await;
        ended
    }

    /// The same, without another request after its end.
    pub async fn end_alone(mut self) -> Ended {
        let finish =
            timeout(FOREVER, &mut self.handle).await.expect("the run ends").expect("the run does not panic");
        self.over(finish)
    }

    fn over(mut self, finish: Finish) -> Ended {
        while let Ok(record) = self.records.try_recv() {
            self.seen.push(record);
        }
        Ended { client: self.client, plan: self.plan, finish, records: self.seen }.checked()
    }
}

/// A run that is over.
pub struct Ended {
    /// The name of its client.
    pub client: String,
    pub plan: Plan,
    pub finish: Finish,
    pub records: Vec<Record>,
}

impl Ended {
    /// What holds for every run: it begins with its plan and ends once.
    fn checked(self) -> Self {
        let started = |r: &Record| matches!(r.event, Event::Started { .. });
        let finished = |r: &Record| matches!(r.event, Event::Finished(_));
        assert!(self.records.first().is_some_and(started), "the first event is not the start");
        assert!(self.records.last().is_some_and(finished), "the last event is not the end");
        assert_eq!(self.records.iter().filter(|r| started(r) || finished(r)).count(), 2);
        self
    }

    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.records.iter().map(|r| &r.event)
    }

    pub fn has(&self, is: impl Fn(&Event) -> bool) -> bool {
        self.events().any(is)
    }

    /// When the first event like this happened, since the run began.
    pub fn at(&self, what: &str, is: impl Fn(&Event) -> bool) -> Duration {
        let record = self.records.iter().find(|r| is(&r.event)).unwrap_or_else(|| panic!("{what}: never"));
        Duration::from_millis(record.elapsed_ms)
    }

    /// When a pod's eviction was accepted.
    pub fn evicted_at(&self, name: &str) -> Duration {
        self.at(name, |e| matches!(e, Event::PodEvicted { pod, .. } if pod == name))
    }

    /// When a pod had arrived.
    pub fn ready_at(&self, name: &str) -> Duration {
        self.at(name, |e| matches!(e, Event::PodReady { pod, .. } if pod == name))
    }

    /// How long the run has taken.
    pub fn took(&self) -> Duration {
        Duration::from_millis(self.finish.elapsed_ms)
    }

    /// It has done everything.
    pub fn done(&self) -> &Self {
        let f = &self.finish;
        assert_eq!((f.outcome, f.exit_code), (Outcome::Done, 0), "{}; {}", f.error, f.state);
        assert!(!f.paused);
        self
    }

    /// It has ended before that, in this way, and says so.
    pub fn ended(&self, outcome: Outcome, exit_code: u8, changed: bool, paused: bool) -> &Self {
        let f = &self.finish;
        let came = (f.outcome, f.exit_code, f.changed, f.paused);
        assert_eq!(came, (outcome, exit_code, changed, paused), "{}; {}", f.error, f.state);
        assert!(!f.error.is_empty() && !f.state.is_empty());
        self
    }

    /// The error names all of these.
    pub fn says(&self, words: &[&str]) -> &Self {
        let said = format!("{} {} {}", self.finish.error, self.finish.state, self.finish.next.join(" "));
        for word in words {
            assert!(said.contains(word), "{word:?} is not in {said:?}");
        }
        self
    }
}

/// The pods whose first container is not of that version.
pub fn old_pods(store: &Store, target: &str) -> Vec<String> {
    let tag = format!(":{target}");
    let on_target = |pod: &Value| {
        text(pod, "/spec/containers/0/image").split('@').next().is_some_and(|image| image.ends_with(&tag))
    };
    let pods = store.list("pods", Some(NAMESPACE));
    pods.iter().filter(|p| !on_target(p)).map(|p| object::name(p).to_owned()).collect()
}

/// A pod of the database itself: a Deployment's pods serve it and are not counted.
fn is_counted(pod: &Value) -> bool {
    text(pod, "/metadata/ownerReferences/0/kind") != "ReplicaSet"
}

/// Running, Ready, and not going away.
pub fn is_well(pod: &Value) -> bool {
    let ready = object::condition(pod, "Ready").is_some_and(|c| c["status"] == "True");
    ready && text(pod, "/status/phase") == "Running" && !object::is_terminating(pod)
}

pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
