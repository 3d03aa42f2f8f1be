//! The simulated cluster behind a loopback socket, and what it saw of an update.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use serde_json::Value;
use simcluster::{Behaviour, Change, ChangeKind, Endpoint, RecordedRequest, SimCluster, Subscription};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant};

/// A simulated cluster that is served on 127.0.0.1 by a thread of its own, as `kubectl dbupdate sandbox` serves it.
pub struct Server {
    /// A kubeconfig that leads to it.
    pub kubeconfig: PathBuf,
    cluster: SimCluster,
    changes: Subscription,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the world that `install` puts up.
    pub fn start(behaviour: Behaviour, install: impl FnOnce(&SimCluster) + Send + 'static) -> Self {
        Server::far(Duration::ZERO, behaviour, install)
    }

    /// The same at a distance: a round trip takes at least so long.
    pub fn far(
        round_trip: Duration,
        behaviour: Behaviour,
        install: impl FnOnce(&SimCluster) + Send + 'static,
    ) -> Self {
        let (to_us, started) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let cluster = SimCluster::new(behaviour);
                install(&cluster);
                let changes = cluster.store().subscribe();
                cluster.start();
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
                let port = listener.local_addr().expect("a bound listener has an address").port();
                let endpoint = Endpoint::new(&cluster, listener).expect("certificates");
                let endpoint = endpoint.at_a_distance(round_trip);
                let content = endpoint.kubeconfig("bench").expect("credentials");
                let kubeconfig = scratch().join(format!("kubeconfig-{port}"));
                fs::write(&kubeconfig, content).expect("the target directory is writable");
                to_us.send((kubeconfig, cluster, changes)).expect("the caller waits");
                tokio::select! {
                    served = endpoint.serve() => served.expect("the listener holds"),
                    _ = stopped => {}
                }
            });
        });
        let (kubeconfig, cluster, changes) = started.recv().expect("the server starts");
        Server { kubeconfig, cluster, changes, stop: Some(stop), thread: Some(thread) }
    }

    /// What has happened since the start, or since this was last asked.
    pub fn journal(&mut self) -> Journal {
        let begun_again = self.cluster.evictions_begun_again();
        let mut journal = Journal { begun_again, ..Journal::default() };
        let changes: Vec<_> = std::iter::from_fn(|| self.changes.try_next()).collect();
        let mut changes = changes.iter().map(AsRef::as_ref).peekable();
        let mut pods = Pods::default();
        for request in self.cluster.requests() {
            journal.requests += 1;
            journal.first_request.get_or_insert(request.at);
            if request.is_mutating() && !request.path.starts_with("/apis/coordination.k8s.io/") {
                journal.last_write = Some(request.at);
            }
            let Some(pod) = restarted(&request) else { continue };
            if !matches!(request.status, Some(200 | 201)) {
                journal.refused += 1;
                continue;
            }
            while let Some(change) = changes.next_if(|c| c.at <= request.at) {
                pods.note(change);
            }
            journal.restarts.push(Restart {
                asked: request.at,
                ready: None,
                free: pods.free(pod),
                pod: pod.to_owned(),
            });
            pods.ready.remove(pod);
        }
        changes.for_each(|c| pods.note(c));
        journal.match_readiness(&pods);
        journal
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.kubeconfig);
    }
}

/// A directory for what the measured programs need.
pub fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// What the server saw of an update.
#[derive(Default)]
pub struct Journal {
    /// In their order.
    pub restarts: Vec<Restart>,
    /// Evictions and deletions that it refused.
    pub refused: usize,
    /// Evictions that the server began again after half a second, because their budget was written meanwhile.
    pub begun_again: usize,
    /// All requests, watches and lease renewals included.
    pub requests: usize,
    first_request: Option<Instant>,
    /// Locks aside: giving one back is no part of an update.
    last_write: Option<Instant>,
}

/// A pod that somebody had restarted, by an eviction or a deletion.
pub struct Restart {
    pub pod: String,
    /// When the request arrived.
    pub asked: Instant,
    /// When the new pod was Ready.
    pub ready: Option<Instant>,
    /// When the pod before it was Ready *and* its own budget allowed its eviction; `None` for the first.
    pub free: Option<Instant>,
}

impl Journal {
    /// From the moment at which nothing stood in the way of a restart to the arrival of its request.
    pub fn reactions(&self) -> Vec<Duration> {
        self.restarts.iter().filter_map(|r| Some(r.asked.duration_since(r.free?))).collect()
    }

    /// The sum of the times that the pods themselves took, from the request to Ready.
    pub fn floor(&self) -> Duration {
        self.restarts.iter().filter_map(|r| Some(r.ready?.duration_since(r.asked))).sum()
    }

    /// From the first request of all to the last one that changed something: an update without its verification.
    pub fn to_last_write(&self) -> Duration {
        self.first_request.zip(self.last_write).map_or(Duration::ZERO, |(first, last)| last - first)
    }

    /// From the first restart to the last pod's Ready.
    pub fn rolling(&self) -> Duration {
        let first = self.restarts.first().map(|r| r.asked);
        let last = self.restarts.iter().filter_map(|r| r.ready).max();
        first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first)
    }

    fn match_readiness(&mut self, pods: &Pods) {
        for restart in &mut self.restarts {
            let became = pods.became.get(&restart.pod).into_iter().flatten();
            restart.ready = became.copied().find(|at| *at > restart.asked);
        }
    }
}

/// The pod that a request asks to be restarted.
fn restarted(request: &RecordedRequest) -> Option<&str> {
    let rest = request.path.strip_prefix("/api/v1/namespaces/default/pods/")?;
    let pod = match request.method.as_str() {
        "POST" => rest.strip_suffix("/eviction")?,
        "DELETE" => rest,
        _ => return None,
    };
    (!request.dry_run).then_some(pod)
}

/// What is known of pods and budgets.
#[derive(Default)]
struct Pods {
    /// Since when each pod has been Ready, those that never changed left out.
    ready: BTreeMap<String, Instant>,
    /// Every moment at which a pod became Ready.
    became: BTreeMap<String, Vec<Instant>>,
    last_ready: Option<Instant>,
    /// Since when each budget has allowed an eviction; `None` while it does not.
    allows: BTreeMap<String, Option<Instant>>,
}

impl Pods {
    fn note(&mut self, change: &Change) {
        let name = change.name.clone();
        let before = change.previous.as_deref();
        match change.res.as_str() {
            "pods" if change.kind == ChangeKind::Deleted || !is_ready(&change.object) => {
                self.ready.remove(&name);
            }
            "pods" if !before.is_some_and(is_ready) => {
                self.became.entry(name.clone()).or_default().push(change.at);
                self.ready.insert(name, change.at);
                self.last_ready = Some(change.at);
            }
            "poddisruptionbudgets.policy" => {
                let now = allows(&change.object);
                if now != before.is_some_and(allows) {
                    self.allows.insert(name, now.then_some(change.at));
                }
            }
            _ => {}
        }
    }

    /// Since when nothing has stood in the way of that pod's restart. A budget has the name of its workload.
    fn free(&self, pod: &str) -> Option<Instant> {
        let workload = pod.rsplit_once('-').map_or(pod, |(workload, _)| workload);
        let allowed = self.allows.get(workload).copied().flatten();
        self.last_ready.map(|ready| allowed.map_or(ready, |allowed| allowed.max(ready)))
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let ready = |c: &Value| c["type"] == "Ready" && c["status"] == "True";
    pod["metadata"]["deletionTimestamp"].is_null() && conditions.is_some_and(|c| c.iter().any(ready))
}

fn allows(budget: &Value) -> bool {
    budget.pointer("/status/disruptionsAllowed").and_then(Value::as_i64).is_some_and(|n| n > 0)
}
