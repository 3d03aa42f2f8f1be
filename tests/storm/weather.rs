//! Lets the troubles of a schedule befall a world, and ends them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use kubectl_dbupdate::clock::Clock;
use kubectl_dbupdate::engine::{Signal, Stop};
use serde_json::{Value, json};
use simcluster::{
    Ailment, Behaviour, Databases, DeleteOptions, Effect, Fault, Faults, LiveBehaviour, PodRule,
    RecordedRequest, Store, object,
};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::common::{BUDGETS, LEASES, NAMESPACE, WORKLOADS, World, text};
use crate::schedule::{Schedule, Span, Trouble, What, When, Which};

/// The ops request that somebody makes.
const OPS_REQUEST: &str = "restart-1";

/// More requests than any update needs: whoever asks more is caught in a loop.
const MOST_REQUESTS: u64 = 5_000;

/// The troubles of one world. Clones share them.
#[derive(Clone)]
pub struct Weather(Arc<Inner>);

struct Inner {
    store: Store,
    faults: Faults,
    behaviour: LiveBehaviour,
    databases: Databases,
    usual: Behaviour,
    /// The database's resource, and its name.
    database: (String, String),
    ops_requests: String,
    target: &'static str,
    over: AtomicBool,
    /// By how many seconds the machine's wall time has got ahead of its monotonic time.
    ahead: AtomicU64,
    /// What is to come, with how many requests have matched so far.
    awaited: Mutex<Vec<(Trouble, u64)>>,
    ill: Mutex<Vec<(u64, PodRule)>>,
    budgets: Mutex<Vec<Arc<Value>>>,
    killed: Notify,
    stop: Mutex<watch::Sender<Stop>>,
    trail: Mutex<Vec<String>>,
}

impl Weather {
    /// Lets a storm begin.
    pub fn begin(world: &World, schedule: &Schedule) -> Self {
        let singular = world.kind.name().to_lowercase();
        let weather = Weather(Arc::new(Inner {
            store: world.store().clone(),
            faults: world.sim.faults().clone(),
            behaviour: world.sim.behaviour().clone(),
            databases: world.sim.databases().clone(),
            usual: world.sim.behaviour().get(),
            database: (world.res(), world.name.clone()),
            ops_requests: format!("{singular}opsrequests.ops.kubedb.com"),
            target: world.target(),
            over: AtomicBool::new(false),
            ahead: AtomicU64::new(0),
            awaited: Mutex::default(),
            ill: Mutex::default(),
            budgets: Mutex::default(),
            killed: Notify::new(),
            stop: Mutex::new(watch::Sender::new(Stop::Go)),
            trail: Mutex::default(),
        }));
        for trouble in &schedule.troubles {
            match trouble.when {
                When::At(time) => weather.later(time, {
                    let what = trouble.what.clone();
                    move |weather| weather.befall(&what)
                }),
                When::After(..) => lock(&weather.0.awaited).push((trouble.clone(), 0)),
            }
        }
        let awaiting = weather.clone();
        world.sim.on_request(move |request| awaiting.count(request));
        weather
    }

    /// The machine's clocks, which part when it sleeps.
    pub fn clock(&self) -> Clock {
        let (wall, weather) = (self.0.store.clock(), self.clone());
        let ahead = move || Duration::from_secs(weather.0.ahead.load(Ordering::Relaxed));
        Clock::with_wall(move || SystemTime::from(wall.now()) + ahead())
    }

    /// What the next process hears of the user.
    pub fn user(&self) -> watch::Receiver<Stop> {
        let mut stop = lock(&self.0.stop);
        *stop = watch::Sender::new(Stop::Go);
        stop.subscribe()
    }

    /// Returns when the process is killed.
    pub async fn killed(&self) {
        self.0.killed.notified().await;
    }

    /// Writes down what happened, for whoever reads of a failure.
    pub fn tell(&self, what: String) {
        let at = self.0.store.clock().now();
        lock(&self.0.trail).push(format!("{at:.3} {what}"));
    }

    /// What has happened so far.
    pub fn trail(&self) -> Vec<String> {
        lock(&self.0.trail).clone()
    }

    /// Ends the storm: nothing fails any more, everybody who interfered has gone away, and pods recover.
    pub fn end(&self) {
        let inner = &self.0;
        inner.over.store(true, Ordering::Relaxed);
        lock(&inner.awaited).clear();
        lock(&inner.ill).clear();
        inner.faults.clear();
        inner.behaviour.change(|b| *b = inner.usual.clone());
        inner.databases.heal_all();
        self.allow_evictions();
        // When an ops request ends, KubeDB's webhook lifts the pause, whoever has set it.
        let _ = inner.store.update_status(&inner.ops_requests, NAMESPACE, OPS_REQUEST, |request| {
            request["status"] = json!({ "phase": "Successful" });
        });
        self.change_conditions(|conditions| {
            conditions.retain(|c| c["type"] != "Paused" || c["message"] != FOREIGN)
        });
        self.tell("the storm is over".to_owned());
    }

    fn later(&self, after: Duration, act: impl FnOnce(&Weather) + Send + 'static) {
        let weather = self.clone();
        tokio::spawn(async move {
            sleep(after).await;
            if !weather.0.over.load(Ordering::Relaxed) {
                act(&weather);
            }
        });
    }

    /// Counts a request, and lets befall what has waited for it.
    fn count(&self, request: &RecordedRequest) {
        assert!(request.number < MOST_REQUESTS, "request {} {} and no end", request.method, request.path);
        let mut due = Vec::new();
        lock(&self.0.awaited).retain_mut(|(trouble, seen)| {
            let When::After(which, nth) = trouble.when else { return false };
            *seen += u64::from(which.matches(request));
            let is_due = *seen >= nth;
            if is_due {
                due.push(trouble.what.clone());
            }
            !is_due
        });
        due.iter().for_each(|what| self.befall(what));
    }

    fn befall(&self, what: &What) {
        self.tell(format!("{what:?}"));
        let inner = &self.0;
        match what.clone() {
            What::Fault { which, effect, unheard, span } => self.fail(which, effect, unheard, span),
            What::Restart(down) => inner.faults.restart_server(down),
            What::EndWatches => inner.faults.end_watches(),
            What::BreakWatches => inner.faults.break_watches(),
            What::Forget => self.forget(),
            What::ErasePause(times) => inner.behaviour.change(|b| b.provisioner.erase_pause = times),
            What::RestorePause(times) => inner.behaviour.change(|b| b.provisioner.restore_pause = times),
            What::Answers(after) => inner.behaviour.change(|b| b.provisioner.acknowledge = after),
            What::NoOperator(down) => {
                inner.behaviour.change(|b| b.provisioner.alive = false);
                self.later(down, |weather| weather.0.behaviour.change(|b| b.provisioner.alive = true));
            }
            What::Ill { pod, new_only, ailment, lasting } => self.fall_ill(pod, new_only, ailment, lasting),
            What::Drained { pod } => {
                if let Some(pod) = self.pod(pod) {
                    let _ = inner.store.delete("pods", NAMESPACE, &pod, DeleteOptions::default());
                }
            }
            What::Unwell(trouble, lasting) => inner.databases.trouble_for(trouble, lasting),
            What::Budgets(lasting) => {
                self.forbid_evictions();
                self.later(lasting, Weather::allow_evictions);
            }
            What::OpsRequest => {
                let request = json!({
                    "metadata": { "name": OPS_REQUEST, "namespace": NAMESPACE },
                    "spec": { "type": "Restart", "databaseRef": { "name": inner.database.1 } },
                });
                let _ = inner.store.create(&inner.ops_requests, request);
            }
            What::PauseLifted => self.change_conditions(|all| all.retain(|c| c["type"] != "Paused")),
            What::PausedByOther => self.change_conditions(|all| {
                all.retain(|c| c["type"] != "Paused");
                let now = inner.store.clock().seconds();
                all.push(json!({
                    "type": "Paused", "status": "True", "reason": "Paused", "message": FOREIGN, "lastTransitionTime": now,
                }));
            }),
            What::Template { workload } => self.change_workload(workload, |set| {
                set["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{ "name": "A", "value": "b" }]);
            }),
            What::Scaled { workload, by } => self.change_workload(workload, |set| {
                let replicas = set["spec"]["replicas"].as_i64().unwrap_or(1) + by;
                set["spec"]["replicas"] = json!(replicas.max(1));
            }),
            What::Touched => {
                let ((res, name), at) = (&inner.database, inner.store.version());
                let touch = |db: &mut Value| db["metadata"]["annotations"]["touched"] = json!(at.to_string());
                let _ = inner.store.update(res, NAMESPACE, name, touch);
            }
            What::LeaseGone => {
                for lease in inner.store.list(LEASES, Some(NAMESPACE)) {
                    let _ = inner.store.delete(LEASES, NAMESPACE, object::name(&lease), DeleteOptions::default());
                }
            }
            What::Killed => inner.killed.notify_waiters(),
            What::Interrupted { now } => {
                let stop = if now { Stop::Now(Signal::Interrupt) } else { Stop::Finish(Signal::Interrupt) };
                lock(&inner.stop).send_replace(stop);
            }
            What::Slept(time) => {
                inner.ahead.fetch_add(time.as_secs(), Ordering::Relaxed);
                inner.faults.break_watches();
            }
        }
    }

    fn fail(&self, which: Which, effect: Effect, unheard: bool, span: Span) {
        let fault = Fault::new(effect).when(move |request| which.matches(request));
        let fault = if unheard { fault.after_handling() } else { fault };
        self.0.faults.add(match span {
            Span::Next(times) => fault.times(times),
            Span::Lasting(time) => fault.lasting(time),
        });
    }

    /// What happens while nobody can watch is forgotten.
    fn forget(&self) {
        let blind = Duration::from_secs(1);
        self.fail(Which::Watches, Effect::Reset, false, Span::Lasting(blind));
        self.0.faults.break_watches();
        self.later(blind, |weather| weather.0.store.compact());
    }

    fn fall_ill(&self, pod: usize, new_only: bool, ailment: Ailment, lasting: Duration) {
        let Some(name) = self.pod(pod) else { return };
        let rule = PodRule::new(ailment).name(&name);
        let rule = if new_only { rule.image(&format!("*:{}*", self.0.target)) } else { rule };
        let key = self.0.store.version();
        lock(&self.0.ill).push((key, rule));
        self.treat();
        self.later(lasting, move |weather| {
            lock(&weather.0.ill).retain(|(other, _)| *other != key);
            weather.treat();
        });
    }

    /// Has the kubelets look at who is ill.
    fn treat(&self) {
        let rules = lock(&self.0.ill).iter().map(|(_, rule)| rule.clone()).collect();
        self.0.behaviour.change(|b| b.pods = rules);
    }

    fn forbid_evictions(&self) {
        let mut kept = lock(&self.0.budgets);
        for budget in self.0.store.list(BUDGETS, Some(NAMESPACE)) {
            if kept.iter().any(|k| object::name(k) == object::name(&budget)) {
                continue;
            }
            let _ = self.0.store.update(BUDGETS, NAMESPACE, object::name(&budget), |b| {
                b["spec"] = json!({ "maxUnavailable": 0, "selector": b["spec"]["selector"] });
            });
            kept.push(budget);
        }
    }

    fn allow_evictions(&self) {
        for budget in lock(&self.0.budgets).drain(..) {
            let _ = self.0.store.update(BUDGETS, NAMESPACE, object::name(&budget), |b| {
                b["spec"] = budget["spec"].clone();
            });
        }
    }

    fn change_conditions(&self, change: impl FnOnce(&mut Vec<Value>)) {
        let (res, name) = &self.0.database;
        let _ = self.0.store.update_status(res, NAMESPACE, name, |db| {
            if let Some(conditions) = db["status"]["conditions"].as_array_mut() {
                change(conditions);
            }
        });
    }

    fn change_workload(&self, which: usize, change: impl FnOnce(&mut Value)) {
        let sets: Vec<_> = WORKLOADS[..2]
            .iter()
            .flat_map(|res| self.0.store.list(res, Some(NAMESPACE)).into_iter().map(|w| (*res, w)))
            .collect();
        if let Some((res, set)) = sets.get(which % sets.len().max(1)) {
            let _ = self.0.store.update(res, NAMESPACE, object::name(set), change);
        }
    }

    /// A pod of the database itself.
    fn pod(&self, which: usize) -> Option<String> {
        let pods = self.0.store.list("pods", Some(NAMESPACE));
        let of_sets = |p: &&Arc<Value>| text(p, "/metadata/ownerReferences/0/kind") != "ReplicaSet";
        let names: Vec<_> = pods.iter().filter(of_sets).map(|p| object::name(p).to_owned()).collect();
        names.get(which % names.len().max(1)).cloned()
    }
}

/// What somebody else says who pauses the database.
const FOREIGN: &str = "Controller has started to Progress with OpsRequest: default/restart-1";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
