//! Gives the pods of a simulated cluster their lives: a process for each, which starts and stops as the kubelet orders.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use simcluster::{Order, Report, SimCluster};
use tokio::process::Child;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use crate::servers::{Seat, Server};
use crate::signal;

/// Until a pod is Ready it is asked so often.
const AT_FIRST: Duration = Duration::from_millis(500);

/// A kubelet's usual period, time limit and threshold: a pod that hangs is Ready for up to half a minute.
const PERIOD: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(1);
const FAILURES: u32 = 3;

/// The processes of a database's pods.
pub struct Lives {
    cluster: SimCluster,
    server: &'static Server,
    seats: Vec<Seat>,
    /// The process of each pod, by the pod's uid.
    processes: Mutex<BTreeMap<String, u32>>,
    /// The pods that are Ready, by uid.
    ready: watch::Sender<BTreeSet<String>>,
    /// When a process was told to end.
    evictions: Mutex<Vec<Instant>>,
    /// No process is started any more.
    over: AtomicBool,
}

impl Lives {
    pub fn new(cluster: &SimCluster, server: &'static Server, seats: Vec<Seat>) -> Arc<Self> {
        let lives = Lives {
            cluster: cluster.clone(),
            server,
            seats,
            processes: Mutex::default(),
            ready: watch::Sender::default(),
            evictions: Mutex::default(),
            over: AtomicBool::new(false),
        };
        Arc::new(lives)
    }

    /// Starts the process of every pod that is there, and waits until all are Ready.
    pub async fn begin(self: &Arc<Self>) {
        let pods = self.cluster.store().list("pods", Some("default"));
        for pod in &pods {
            self.start(pod);
        }
        let all = |ready: &BTreeSet<String>| ready.len() == pods.len();
        let ready = timeout(Duration::from_secs(400), self.ready.subscribe().wait_for(all)).await.is_ok();
        let said: String = self.seats.iter().map(Seat::last_words).collect();
        assert!(ready, "not all of {} become Ready:{said}", self.server.kind);
    }

    /// Does what the kubelet orders, until the cluster is gone.
    pub async fn obey(self: Arc<Self>, mut orders: UnboundedReceiver<Order>) {
        while let Some(order) = orders.recv().await {
            match order {
                Order::Start(pod) => self.start(&pod),
                Order::Stop { uid } => {
                    self.evictions.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                    self.signal(&uid, "TERM");
                }
                Order::Kill { uid } => self.signal(&uid, "KILL"),
            }
        }
    }

    /// Ends every process, so that the next database may have the addresses.
    pub async fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        let all: Vec<_> = self.lock().keys().cloned().collect();
        for uid in all {
            self.signal(&uid, "KILL");
        }
        while !self.lock().is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// When the pods were told to end, one after the other.
    pub fn evictions(&self) -> Vec<Instant> {
        self.evictions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// There is a pod in every seat, and it is Ready.
    pub fn all_ready(&self) -> bool {
        self.ready.borrow().len() == self.seats.len()
    }

    /// Sends the process of the pod of this name a signal.
    pub fn signal_pod(&self, pod: &str, name: &str) {
        if let Some(pod) = self.cluster.store().get("pods", "default", pod) {
            self.signal(uid(&pod), name);
        }
    }

    fn signal(&self, uid: &str, name: &str) {
        if let Some(pid) = self.lock().get(uid) {
            signal::send(*pid, name);
        }
    }

    /// Has commands in the pods run in their volumes, whose `bin` comes first on the path.
    pub fn run_commands(&self) {
        let seats = self.seats.clone();
        self.cluster.outside().run_commands(move |pod, _, words| {
            let name = &pod["metadata"]["name"];
            let seat = seats.iter().find(|seat| seat.pod == *name).expect("a seat for each pod");
            let path = std::env::var("PATH").unwrap_or_default();
            let mut command = Command::new("env");
            command
                .arg(format!("PATH={}:{path}", seat.directory.join("bin").display()))
                .args(words)
                .current_dir(&seat.directory);
            command
        });
    }

    fn start(self: &Arc<Self>, pod: &Value) {
        if self.over.load(Ordering::Relaxed) {
            return;
        }
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let seat = self.seats.iter().find(|seat| seat.pod == name).expect("a seat for each pod").clone();
        let address = seat.address.to_string();
        let set = |pod: &mut Value| {
            pod["status"]["podIP"] = json!(address);
            pod["status"]["podIPs"] = json!([{ "ip": address }]);
        };
        self.cluster.store().update_status("pods", "default", name, set).expect("the pod is there");
        let command = (self.server.command)(&seat, &self.seats, version(pod));
        let child = spawn(command);
        let uid = uid(pod).to_owned();
        self.lock().insert(uid.clone(), child.id().expect("it has not been waited for"));
        tokio::spawn(Arc::clone(self).live(seat, uid, child));
    }

    /// One process from its start to its end.
    async fn live(self: Arc<Self>, seat: Seat, uid: String, mut child: Child) {
        let asked = self.ask(&seat, &uid);
        let code = tokio::select! {
            ended = child.wait() => ended.expect("it can be waited for").code(),
            () = asked => unreachable!("it is asked until it ends"),
        };
        self.lock().remove(&uid);
        self.say(&uid, false);
        // What a signal has ended has no code of its own.
        self.cluster.outside().report(&uid, Report::Exited(code.unwrap_or(137)));
    }

    /// The readiness probe.
    async fn ask(&self, seat: &Seat, uid: &str) {
        let (mut ready, mut failures) = (false, 0);
        let mut ticks = interval_at(Instant::now() + AT_FIRST, AT_FIRST);
        loop {
            ticks.tick().await;
            let success = timeout(LIMIT, (self.server.probe)(seat).succeeds(seat.address)).await == Ok(true);
            failures = if success { 0 } else { failures + 1 };
            if success != ready && (success || failures >= FAILURES) {
                ready = success;
                self.say(uid, ready);
                self.cluster.outside().report(uid, Report::Ready(ready));
                let period = if ready { PERIOD } else { AT_FIRST };
                ticks = interval_at(Instant::now() + period, period);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            }
        }
    }

    fn say(&self, uid: &str, ready: bool) {
        self.ready.send_modify(|all| {
            if ready {
                all.insert(uid.to_owned())
            } else {
                all.remove(uid)
            };
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u32>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        let processes = std::mem::take(&mut *self.lock());
        for pid in processes.into_values() {
            signal::send(pid, "KILL");
        }
    }
}

/// Starts a process that ends when it is no longer held.
pub fn spawn(command: Command) -> Child {
    let mut command = tokio::process::Command::from(command);
    let child = command.kill_on_drop(true).spawn();
    child.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn uid(pod: &Value) -> &str {
    pod["metadata"]["uid"].as_str().expect("every pod has a uid")
}

/// The tag of the image of the pod's first container.
fn version(pod: &Value) -> &str {
    let image = pod["spec"]["containers"][0]["image"].as_str().expect("every container has an image");
    let tagged = image.split('@').next().unwrap_or_default();
    tagged.rsplit(':').next().unwrap_or_default()
}
