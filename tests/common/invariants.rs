//! What has to hold at the server after every request, whatever goes wrong between it and its clients.
//!
//! The server's own record is the judge: each of our writes is looked at in the moment in which it was carried out,
//! before its client hears of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kubectl_dbupdate::event::{Event, Outcome};
use kubectl_dbupdate::model::{HealthMode, Method};
use serde_json::Value;
use simcluster::{Change, ChangeKind, Databases, RecordedRequest, Store, Subscription, object};
use tokio::time::Instant;

use super::wrote::{Wrote, holder_in};
use super::{DEPLOYMENTS, Ended, LEASES, NAMESPACE, WORKLOADS, World, is_well, secs, text};

/// How long the lock is good after a renewal.
const LEASE_DURATION: Duration = secs(30);

/// What happens in a database by itself is asked for within this time.
const ANSWERED: Duration = secs(1);

/// Watches a world from now on, and keeps what goes against the rules.
pub struct Invariants {
    ledger: Arc<Mutex<Ledger>>,
}

struct Ledger {
    store: Store,
    changes: Subscription,
    /// The database's resource and name.
    database: (String, String),
    ops_requests: String,
    /// The simulated database, if the runs ask it.
    truth: Option<Databases>,
    lease: String,
    /// The versions of the catalog that name an image.
    images: BTreeMap<String, BTreeSet<String>>,
    began: Instant,
    slack: Duration,
    /// The way through the Provisioner: the version comes first, and the operator is awake.
    rendered: bool,
    pods: BTreeMap<String, Slot>,
    /// When the database's `Paused` has last been changed.
    pause_changed: Option<Instant>,
    /// Since when our `Paused` has not been in force.
    not_paused_since: Option<Instant>,
    /// The ops requests in flight, and since when.
    ops: BTreeMap<String, Instant>,
    lease_written: Option<Instant>,
    /// The name by which each client has taken the lock.
    holders: BTreeMap<String, String>,
    /// The clients whose runs do not ask the database.
    unasked: BTreeSet<String>,
    evicted: BTreeSet<String>,
    /// The pods that were well when we took them away, as long as no other stands well in their place: name and uid.
    away: BTreeMap<String, String>,
    /// Who has carried out what, beside the lock and the journal.
    wrote: Vec<(String, Wrote)>,
    violations: Vec<String>,
}

/// What stands under a pod's name.
struct Slot {
    healthy: bool,
    /// Since when it has been so.
    since: Instant,
    /// Whether it was well before its last change.
    before: bool,
}

impl Invariants {
    /// Watches a world, whose database is there already.
    pub fn watch(world: &World) -> Self {
        let store = world.store().clone();
        let (plural, singular) = (world.kind.plural(), world.kind.name().to_lowercase());
        let now = Instant::now();
        let slot = |p: &Arc<Value>| (object::name(p).to_owned(), Slot::new(is_well(p), now));
        let ledger = Ledger {
            changes: store.subscribe(),
            database: (world.res(), world.name.clone()),
            truth: (world.health != HealthMode::Off).then(|| world.sim.databases().clone()),
            ops_requests: format!("{singular}opsrequests.ops.kubedb.com"),
            lease: format!("dbupdate-{singular}-{}", world.name),
            images: images_of_catalog(&store, &format!("{singular}versions.catalog.kubedb.com")),
            began: now,
            slack: Duration::ZERO,
            rendered: world.method == Method::Provisioner,
            pods: world.pods().iter().map(slot).collect(),
            pause_changed: None,
            not_paused_since: (!in_force(&world.database())).then_some(now),
            ops: BTreeMap::new(),
            lease_written: None,
            holders: BTreeMap::new(),
            unasked: BTreeSet::new(),
            evicted: BTreeSet::new(),
            away: BTreeMap::new(),
            wrote: Vec::new(),
            violations: Vec::new(),
            store,
        };
        let ledger = Arc::new(Mutex::new(ledger));
        let (watching, plural) = (ledger.clone(), plural.to_owned());
        world.sim.on_request(move |request| {
            watching.lock().unwrap_or_else(PoisonError::into_inner).look_at(request, &plural);
        });
        Invariants { ledger }
    }

    /// How long something that happens by itself (a pod falls ill, the pause is lifted, an ops request appears) may go
    /// unheard. At first no time at all: a watch tells at once. Where faults cut watches it takes longer.
    pub fn slack(self, slack: Duration) -> Self {
        self.ledger().slack = slack;
        self
    }

    /// What went against the rules so far.
    pub fn violations(&self) -> Vec<String> {
        self.ledger().violations.clone()
    }

    /// Nothing did.
    pub fn hold(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "{violations:#?}");
    }

    /// What the run says at its end is true.
    pub fn ended(&self, ended: &Ended) {
        self.ledger().claims(ended);
    }

    /// That client's run was planned when the database could not be asked: by its warning, pods go by their readiness alone.
    pub fn goes_unasked(&self, client: &str) {
        self.ledger().unasked.insert(client.to_owned());
    }

    /// How many pods of the database are not well.
    pub fn unhealthy(&self) -> usize {
        let mut ledger = self.ledger();
        ledger.catch_up();
        ledger.expected_pods().iter().filter(|p| !ledger.pods.get(*p).is_some_and(|s| s.healthy)).count()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn new(healthy: bool, since: Instant) -> Self {
        Slot { healthy, since, before: healthy }
    }
}

impl Ledger {
    /// A request was carried out, or refused.
    fn look_at(&mut self, request: &RecordedRequest, plural: &str) {
        self.catch_up();
        let carried_out = request.status.is_some_and(|s| s < 300);
        if !carried_out || !request.user_agent.starts_with("kubectl-dbupdate/") {
            return;
        }
        let Some(wrote) = Wrote::of(request, plural) else { return };
        let client =
            if request.client.is_empty() { request.user_agent.clone() } else { request.client.clone() };
        if let Wrote::Lease = wrote {
            if request.method == "DELETE" {
                self.holders.remove(&client);
            }
            self.holders.extend(holder_in(request).map(|holder| (client, holder)));
            return;
        }
        let broken: Vec<_> = [
            self.without_lock(&client, &wrote),
            self.without_pause(&wrote, request),
            self.beside_an_ops_request(&wrote, request),
            self.disagreeing(&wrote),
            self.rolling_beside_an_unhealthy_pod(&wrote, request),
            self.taken_away(&wrote, request),
        ]
        .into_iter()
        .flatten()
        .collect();
        for why in broken {
            let (at, number) = (self.began.elapsed(), request.number);
            self.violations.push(format!("{at:?}, request {number} of {client}: {wrote:?}: {why}"));
        }
        self.wrote.push((client, wrote));
    }

    /// Nothing is written by a holder whose lease has passed.
    fn without_lock(&self, client: &str, wrote: &Wrote) -> Option<String> {
        // Its own pods, which it knows by their names, a run removes whatever has become of the lock.
        if *wrote == Wrote::RemovePrePull {
            return None;
        }
        let ours = self.holders.get(client);
        let Some(lease) = self.store.get(LEASES, NAMESPACE, &self.lease) else {
            // Where somebody else has deleted it, its holder hears of that when it renews it, and until then it is good.
            let good = ours.is_some() && self.lease_written.is_some_and(|at| at.elapsed() <= LEASE_DURATION);
            return (!good).then(|| "there is no lease".to_owned());
        };
        let holder = text(&lease, "/spec/holderIdentity");
        if ours.is_none_or(|ours| ours != holder) {
            return Some(format!("the lease is held by {holder:?}, not by {ours:?}"));
        }
        let good_for = secs(lease["spec"]["leaseDurationSeconds"].as_u64().unwrap_or_default());
        let age = self.lease_written.map(|at| at.elapsed());
        age.is_none_or(|age| age > good_for).then(|| format!("the lease was renewed {age:?} ago"))
    }

    /// Templates, pods and the version are touched only while the operator is halted by us.
    fn without_pause(&self, wrote: &Wrote, request: &RecordedRequest) -> Option<String> {
        if self.rendered && *wrote == Wrote::Version {
            return None;
        }
        let since = self.not_paused_since.filter(|_| wrote.changes_database())?;
        self.known(since, request).then(|| "our Paused is not in force".to_owned())
    }

    /// Nothing is written once an ops request was seen, but for what tidies up.
    fn beside_an_ops_request(&self, wrote: &Wrote, request: &RecordedRequest) -> Option<String> {
        if matches!(wrote, Wrote::Resume | Wrote::Journal | Wrote::RemovePrePull) {
            return None;
        }
        let (name, _) = self.ops.iter().find(|(_, since)| self.known(**since, request))?;
        Some(format!("ops request {name} is in flight"))
    }

    /// The operator is resumed only where templates and version agree: it would undo the one or the other. Where it renders
    /// the templates, no pod is restarted before it has.
    fn disagreeing(&self, wrote: &Wrote) -> Option<String> {
        let restarts = matches!(wrote, Wrote::Evict { .. } | Wrote::Delete { .. });
        let images = matches!(wrote, Wrote::Images { .. });
        match wrote {
            _ if self.rendered && images => Some("the templates are the operator's".to_owned()),
            _ if self.rendered && restarts => self.disagreement(),
            // Whatever is rendered then is what the version asks for.
            Wrote::Resume if self.rendered => None,
            Wrote::Resume => self.disagreement(),
            _ => None,
        }
    }

    /// A template of a workload that rolls by itself restarts pods as an eviction does. Which of its own pods goes first
    /// is its controller's to say.
    fn rolling_beside_an_unhealthy_pod(&self, wrote: &Wrote, request: &RecordedRequest) -> Option<String> {
        let Wrote::Images { workload } = wrote else { return None };
        let rolls = self.workloads().into_iter().any(|w| {
            object::name(&w) == workload && text(&w, "/spec/updateStrategy/type") == "RollingUpdate"
        });
        if !rolls {
            return None;
        }
        let own = |pod: &str| pod.rsplit_once('-').is_some_and(|(set, _)| set == workload);
        let ill = self.unhealthy_beside(own, request)?;
        Some(format!("it restarts pods while {ill} is not well"))
    }

    fn taken_away(&mut self, wrote: &Wrote, request: &RecordedRequest) -> Option<String> {
        let (Wrote::Evict { pod, uid } | Wrote::Delete { pod, uid }) = wrote else { return None };
        if !self.evicted.insert(uid.clone()) {
            return Some("this pod was taken away before".to_owned());
        }
        if !self.pods.get(pod).is_some_and(|slot| slot.before) {
            return None;
        }
        if matches!(wrote, Wrote::Delete { .. }) {
            return Some("a well pod was deleted".to_owned());
        }
        // A pod that a workload no longer has does not come back.
        let expected = self.expected_pods();
        self.away.retain(|pod, _| expected.contains(pod));
        let away = self.away.keys().next().cloned();
        self.away.insert(pod.clone(), uid.clone());
        if let Some(other) = away {
            return Some(format!("we have taken {other} away, and it is not back"));
        }
        let asked = !self.unasked.contains(&request.client);
        if let Some(why) = self.unbearable(uid).filter(|_| asked) {
            return Some(format!("the database could not bear it: {why}"));
        }
        let ill = self.unhealthy_beside(|other| other == pod, request)?;
        Some(format!("a well pod is evicted while {ill} is not well"))
    }

    /// Why the database could not bear that the pod went, by its own truth. What has changed in it just now nobody can know.
    fn unbearable(&self, uid: &str) -> Option<String> {
        let gone = self.truth.as_ref()?.departures().into_iter().rfind(|gone| gone.uid == uid)?;
        gone.borne.err().filter(|_| gone.quiet > self.slack.max(ANSWERED))
    }

    /// It has been so for long enough that the client can know of it.
    fn known(&self, since: Instant, request: &RecordedRequest) -> bool {
        since + self.slack < request.at
    }

    /// A pod of the database, but for these, that has not been well since before the request.
    fn unhealthy_beside(&self, own: impl Fn(&str) -> bool, request: &RecordedRequest) -> Option<String> {
        let ill = |name: &String| match self.pods.get(name) {
            Some(slot) => !slot.healthy && self.known(slot.since, request),
            None => self.known(self.began, request),
        };
        self.expected_pods().into_iter().find(|name| !own(name) && ill(name))
    }

    fn workloads(&self) -> Vec<Arc<Value>> {
        let all = WORKLOADS.iter().filter(|res| **res != DEPLOYMENTS);
        let all = all.flat_map(|res| self.store.list(res, Some(NAMESPACE)));
        all.filter(|w| text(w, "/metadata/ownerReferences/0/name") == self.database.1).collect()
    }

    /// The names of all pods that the database should have. A Deployment's pods serve it and are not counted.
    fn expected_pods(&self) -> Vec<String> {
        let pods = |w: &Arc<Value>| {
            let (name, replicas) = (object::name(w).to_owned(), w["spec"]["replicas"].as_i64().unwrap_or(1));
            (0..replicas).map(move |ordinal| format!("{name}-{ordinal}"))
        };
        self.workloads().iter().flat_map(pods).collect()
    }

    /// What of the templates is not of the version that the database declares.
    fn disagreement(&self) -> Option<String> {
        let database = self.store.get(&self.database.0, NAMESPACE, &self.database.1)?;
        let version = text(&database, "/spec/version");
        let deployments = self.store.list(DEPLOYMENTS, Some(NAMESPACE));
        self.workloads().iter().chain(&deployments).find_map(|workload| {
            let images = images(&workload["spec"]["template"]["spec"]);
            let strange = |image: &String| self.images.get(image).is_some_and(|v| !v.contains(version));
            let image = images.into_iter().find(strange)?;
            Some(format!("spec.version is {version}, and {} has {image}", object::name(workload)))
        })
    }

    fn claims(&mut self, ended: &Ended) {
        self.catch_up();
        let finish = &ended.finish;
        let mut untrue = Vec::new();
        let touched = self.wrote.iter().find(|(c, w)| *c == ended.client && w.changes_database());
        if let Some((_, wrote)) = touched.filter(|_| !finish.changed) {
            untrue.push(format!("it says that it has changed nothing, and did {wrote:?}"));
        }
        let database = self.store.get(&self.database.0, NAMESPACE, &self.database.1);
        let Some(database) = database.filter(|d| object::uid(d) == ended.plan.database.uid) else { return };
        let paused = object::condition(&database, "Paused").is_some_and(is_ours);
        // Whoever else has the lock may have changed that since it was looked at.
        let alone = self.store.get(LEASES, NAMESPACE, &self.lease).is_none();
        let settled = self.pause_changed.is_none_or(|at| at + self.slack < last_look(ended));
        if alone && settled && finish.paused != paused {
            untrue.push(format!("paused: {}, and it is {paused}", finish.paused));
        }
        let version = match finish.outcome {
            Outcome::Done => Some(&ended.plan.to.name),
            Outcome::RolledBack => Some(&ended.plan.from.name),
            _ => None,
        };
        if let Some(version) = version {
            let found = text(&database, "/spec/version");
            if found != version {
                untrue.push(format!("{:?} on {version}, and the version is {found}", finish.outcome));
            }
            untrue.extend(self.disagreement());
            let pods = self.expected_pods();
            let ill = pods.iter().find(|name| self.ill_before(name, last_look(ended)));
            untrue.extend(ill.map(|name| format!("{:?}, and {name} is not well", finish.outcome)));
            untrue.extend(pods.iter().find_map(|name| self.outdated(name, version)));
            untrue.extend(self.left_disabled(ended));
        }
        let said = |what| format!("the end of {}: {what}; it says: {}", ended.client, finish.state);
        self.violations.extend(untrue.into_iter().map(said));
    }

    /// A middleManager that was drained and takes on no new work, of which the run has not said so.
    fn left_disabled(&self, ended: &Ended) -> Option<String> {
        let disabled = self.truth.as_ref()?.disabled(NAMESPACE, &self.database.1);
        let said = |pod: &str| {
            ended.has(|e| {
                matches!(e, Event::Notice { message } if message.contains(pod) && message.contains("no new work"))
            })
        };
        let pod = disabled.into_iter().find(|pod| !said(pod))?;
        Some(format!("{:?}, and {pod} is left disabled", ended.finish.outcome))
    }

    /// It has not been well since before that moment.
    fn ill_before(&self, pod: &str, moment: Instant) -> bool {
        self.pods.get(pod).is_none_or(|slot| !slot.healthy && slot.since + self.slack < moment)
    }

    fn outdated(&self, pod: &str, version: &str) -> Option<String> {
        let pod = self.store.get("pods", NAMESPACE, pod)?;
        let strange = |image: &String| self.images.get(image).is_some_and(|v| !v.contains(version));
        let image = images(&pod["spec"]).into_iter().find(strange)?;
        Some(format!("pod {} still has {image}", object::name(&pod)))
    }

    /// Takes in what has changed meanwhile.
    fn catch_up(&mut self) {
        while let Some(change) = self.changes.try_next() {
            if change.res == "pods" {
                self.pod_changed(&change);
            } else if change.res == self.database.0 && change.name == self.database.1 {
                let now = in_force(&change.object) && change.kind != ChangeKind::Deleted;
                let paused = |db: &Value| object::condition(db, "Paused").cloned();
                if change.previous.as_ref().is_none_or(|p| paused(p) != paused(&change.object)) {
                    self.pause_changed = Some(change.at);
                }
                let since = self.not_paused_since.unwrap_or(change.at);
                self.not_paused_since = (!now).then_some(since);
            } else if change.res == self.ops_requests {
                let over = ["Successful", "Failed", "Denied", "Skipped"];
                let ours = text(&change.object, "/spec/databaseRef/name") == self.database.1;
                if change.kind == ChangeKind::Deleted || over.contains(&text(&change.object, "/status/phase"))
                {
                    self.ops.remove(&change.name);
                } else if ours {
                    self.ops.entry(change.name.clone()).or_insert(change.at);
                }
            } else if change.res == LEASES && change.name == self.lease {
                if change.kind != ChangeKind::Deleted {
                    self.lease_written = Some(change.at);
                }
            } else if WORKLOADS.contains(&change.res.as_str()) {
                // The pods that a workload is to have from now on.
                let replicas = |w: &Value| w["spec"]["replicas"].as_i64().unwrap_or(1);
                let had = change.previous.as_deref().map_or(0, replicas);
                for ordinal in had..replicas(&change.object) {
                    let name = format!("{}-{ordinal}", change.name);
                    self.pods.entry(name).or_insert(Slot::new(false, change.at)).since = change.at;
                }
            }
        }
    }

    fn pod_changed(&mut self, change: &Change) {
        let healthy = change.kind != ChangeKind::Deleted && is_well(&change.object);
        let before = change.previous.as_ref().is_some_and(|p| is_well(p));
        let slot = self.pods.entry(change.name.clone()).or_insert(Slot::new(false, change.at));
        if slot.healthy != healthy {
            slot.since = change.at;
        }
        (slot.healthy, slot.before) = (healthy, before);
        if healthy && self.away.get(&change.name).is_some_and(|old| *old != object::uid(&change.object)) {
            self.away.remove(&change.name);
        }
    }
}

/// When a run that has just ended looked at the database for the last time.
fn last_look(ended: &Ended) -> Instant {
    let looked = |e: &Event| matches!(e, Event::StepFinished { .. });
    let at = ended.records.iter().rfind(|r| looked(&r.event)).map_or(0, |r| r.elapsed_ms);
    let end = ended.records.last().map_or(0, |r| r.elapsed_ms);
    Instant::now() - Duration::from_millis(end.saturating_sub(at))
}

/// Our own `Paused`, acknowledged or asserted.
fn in_force(database: &Value) -> bool {
    object::condition(database, "Paused").is_some_and(|c| is_ours(c) && c["status"] == "True")
}

fn is_ours(condition: &Value) -> bool {
    text(condition, "/message").starts_with("kubectl-dbupdate run ")
}

/// The images of a pod's containers, without digests.
fn images(spec: &Value) -> Vec<String> {
    let lists = [&spec["initContainers"], &spec["containers"]];
    let containers = lists.into_iter().filter_map(Value::as_array).flatten();
    containers.map(|c| text(c, "/image").split('@').next().unwrap_or_default().to_owned()).collect()
}

/// Every image of the catalog, with the versions that name it.
fn images_of_catalog(store: &Store, res: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for version in store.list(res, None) {
        let mut below = vec![&version["spec"]];
        while let Some(value) = below.pop() {
            below.extend(value.as_object().into_iter().flat_map(|map| map.values()));
            if let Some(image) = value["image"].as_str() {
                all.entry(image.to_owned()).or_default().insert(object::name(&version).to_owned());
            }
        }
    }
    all
}
