//! Keeps a snapshot up to date: one watch per collection, resumed where it ended, or relisted if it fell too far behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kube::core::WatchEvent;
use kube::core::params::WatchParams;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::model::{
    Budget, Database, Lookup, OPS_API, OpsRequest, Pod, Snapshot, Workload, WorkloadKind, clean,
};
use crate::retry::Retries;

use super::call::{Aside, FORBIDDEN_DOUBT, Retry};
use super::ops_request::OpsRequestWire;
use super::pod_wire::PodWire;
use super::read::{Collection, Marks, labels};
use super::request::{Call, built, path, resource};
use super::wire::{BudgetWire, DatabaseWire, Meta, WorkloadWire};
use super::{Cluster, ClusterError};

/// How long the server is asked to keep a watch open, in seconds: just under the server's own minimum of five minutes. A
/// watch that ends is opened again.
const WATCH_SECONDS: u32 = 290;

/// After this time without an event the collection is listed and watched again: the connection may be dead, which HTTP/1.1
/// does not notice. A server sends a bookmark about every minute, but may have none to send of what does not change.
const SILENCE: Duration = Duration::from_secs(100);

/// The pause after a watch has ended without an event more than once.
const SILENT_END: Duration = Duration::from_millis(500);

/// A change in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// A watch was opened, and reports changes from now on.
    Opened,
    Database(Box<Database>),
    DatabaseGone {
        uid: String,
    },
    Workload(Box<Workload>),
    WorkloadGone {
        uid: String,
    },
    Pod(Box<Pod>),
    PodGone {
        uid: String,
    },
    Budget(Box<Budget>),
    BudgetGone {
        name: String,
    },
    OpsRequest(OpsRequest),
    OpsRequestGone {
        name: String,
    },
    /// All workloads of one kind, after a relist.
    Workloads(WorkloadKind, Vec<Workload>),
    Pods(Vec<Pod>),
    Budgets(Vec<Budget>),
    OpsRequests(Vec<OpsRequest>),
}

impl Delta {
    /// Updates a snapshot. An object older than the one in the snapshot is ignored, because the response to a write may
    /// arrive before the watch event.
    pub fn apply(self, to: &mut Snapshot) {
        match self {
            Delta::Database(db) if newer(&db.resource_version, &to.database.resource_version) => {
                to.database = *db
            }
            Delta::Database(_) | Delta::Opened => {}
            Delta::DatabaseGone { uid } if uid == to.database.object.uid => to.database.deleting = true,
            Delta::DatabaseGone { .. } => {}
            Delta::Workload(w) => {
                put(&mut to.workloads, *w, |w| &w.object.uid, |w| &w.resource_version);
            }
            Delta::WorkloadGone { uid } => to.workloads.retain(|w| w.object.uid != uid),
            Delta::Pod(pod) => put(&mut to.pods, *pod, |p| &p.uid, |p| &p.resource_version),
            Delta::PodGone { uid } => to.pods.retain(|p| p.uid != uid),
            Delta::Budget(b) => put(&mut to.budgets, *b, |b| &b.name, |b| &b.resource_version),
            Delta::BudgetGone { name } => to.budgets.retain(|b| b.name != name),
            Delta::OpsRequest(request) => {
                let mut all = requests(to);
                all.retain(|r| r.name != request.name);
                all.push(request);
                to.ops_requests = Lookup::Found(all);
            }
            Delta::OpsRequestGone { name } => {
                let mut all = requests(to);
                all.retain(|r| r.name != name);
                to.ops_requests = Lookup::Found(all);
            }
            Delta::Workloads(kind, all) => {
                to.workloads.retain(|w| w.kind != kind);
                to.workloads.extend(all);
            }
            Delta::Pods(all) => to.pods = all,
            Delta::Budgets(all) => to.budgets = all,
            Delta::OpsRequests(all) => to.ops_requests = Lookup::Found(all),
        }
    }
}

fn requests(of: &Snapshot) -> Vec<OpsRequest> {
    match &of.ops_requests {
        Lookup::Found(all) => all.clone(),
        Lookup::Absent | Lookup::Unreadable(_) => Vec::new(),
    }
}

fn put<T>(into: &mut Vec<T>, new: T, key: impl Fn(&T) -> &String, version: impl Fn(&T) -> &String) {
    match into.iter_mut().find(|old| key(old) == key(&new)) {
        Some(old) if newer(version(&new), version(old)) => *old = new,
        Some(_) => {}
        None => into.push(new),
    }
}

/// Whether a resource version is newer. Versions of one resource grow; if they are not numbers, the later event wins.
fn newer(new: &str, old: &str) -> bool {
    match (new.parse::<u64>(), old.parse::<u64>()) {
        (Ok(new), Ok(old)) => new >= old,
        _ => true,
    }
}

/// The watches of a run. Dropping this ends them.
pub struct Watches {
    tasks: JoinSet<()>,
    /// How many of them are open now.
    open: Arc<AtomicUsize>,
}

impl Watches {
    /// Whether all watches are open.
    pub fn all_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) == self.tasks.len()
    }
}

impl Cluster {
    /// Rereads everything and watches it from there. Changes are sent to `to`; while it is full, nothing more is read.
    ///
    /// # Errors
    /// The read fails. A watch that fails is opened again.
    pub async fn follow(
        &self,
        before: Snapshot,
        to: mpsc::Sender<Delta>,
    ) -> Result<(Snapshot, Watches), ClusterError> {
        let (snapshot, marks) = self.reread(before).await?;
        let watches = self.watch_all(&snapshot.database, marks, &to);
        Ok((snapshot, watches))
    }

    fn watch_all(&self, db: &Database, marks: Marks, to: &mpsc::Sender<Delta>) -> Watches {
        let mut watches = Watches { tasks: JoinSet::new(), open: Arc::default() };
        for (collection, mark) in marks {
            let (db, to, open) = (db.clone(), to.clone(), watches.open.clone());
            let watch = Watch { cluster: self.clone(), db, collection, to, open };
            watches.tasks.spawn(watch.run(mark));
        }
        watches
    }
}

/// The watch of one collection.
struct Watch {
    cluster: Cluster,
    db: Database,
    collection: Collection,
    to: mpsc::Sender<Delta>,
    open: Arc<AtomicUsize>,
}

/// Counts a watch as open while this value lives.
struct Open<'a>(&'a AtomicUsize);

impl<'a> Open<'a> {
    fn count(open: &'a AtomicUsize) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Open(open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How a watch ended.
enum Ended {
    /// It can be resumed from the last resource version.
    Resumable,
    /// It fell too far behind, or has heard nothing for long, and the collection must be listed again.
    Expired,
    /// It reported an object that no server can have. It cannot be followed, so the collection is listed again.
    Nonsense,
}

impl Watch {
    /// Watches until the receiver is dropped.
    async fn run(self, mut mark: String) {
        let mut retries = Retries::from_now();
        let mut silent_ends = 0;
        while !self.to.is_closed() {
            let before = mark.clone();
            let ended = self.dispatch(&mut mark).await;
            silent_ends += 1;
            if mark != before {
                (retries, silent_ends) = (Retries::from_now(), 0);
            }
            if ended.is_ok() && silent_ends > 1 {
                // A proxy may end every watch at once: without a pause this would flood the server.
                sleep(SILENT_END).await;
            }
            if matches!(ended, Ok(Ended::Nonsense)) {
                sleep(SILENT_END).await;
            }
            let trouble = match ended {
                Ok(Ended::Resumable) => continue,
                Ok(Ended::Expired | Ended::Nonsense) => match self.relist().await {
                    Ok(fresh) => {
                        mark = fresh;
                        continue;
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            // A watch is retried without limit, because the run has its own timeouts. A watch that the server forbids is
            // lost, and the run must know that it no longer sees changes.
            let patience = match trouble {
                ClusterError::Transient { .. }
                | ClusterError::Unexpected { .. }
                | ClusterError::TooLarge { .. } => Duration::MAX,
                ClusterError::Forbidden { .. } if self.has_been_open() => FORBIDDEN_DOUBT,
                _ => Duration::ZERO,
            };
            let Some(pause) = retries.pause(patience) else {
                self.cluster.tell(Aside::WatchLost(trouble));
                return;
            };
            self.cluster.tell(Aside::Retry(Retry {
                call: format!("watch {}", self.plural()),
                why: trouble.to_string(),
                attempt: retries.tries(),
                in_ms: pause.as_millis() as u64,
            }));
            sleep(pause).await;
        }
    }

    fn has_been_open(&self) -> bool {
        self.cluster.was_allowed_before("watch", &resource(self.api(), self.plural()))
    }

    fn api(&self) -> &str {
        match self.collection {
            Collection::Database => &self.db.object.api_version,
            Collection::Workloads(kind) => kind.api_version(),
            Collection::Pods => "v1",
            Collection::Budgets => "policy/v1",
            Collection::OpsRequests => OPS_API,
        }
    }

    fn plural(&self) -> &'static str {
        match self.collection {
            Collection::Database => self.db.kind.plural(),
            Collection::Workloads(kind) => kind.plural(),
            Collection::Pods => "pods",
            Collection::Budgets => "poddisruptionbudgets",
            Collection::OpsRequests => self.db.kind.facts().ops_plural,
        }
    }

    async fn dispatch(&self, mark: &mut String) -> Result<Ended, ClusterError> {
        let (kind, uid) = (self.db.kind, self.db.object.uid.clone());
        let name = self.db.object.name.as_str();
        let labels = labels(kind, name);
        let api = self.db.object.api_version.as_str();
        match self.collection {
            Collection::Database => {
                let field = format!("metadata.name={name}");
                let changed = |d: DatabaseWire| Some(Delta::Database(Box::new(d.database(kind, api))));
                self.open("", &field, mark, |d| &d.metadata, changed, |m| Delta::DatabaseGone { uid: m.uid })
                    .await
            }
            Collection::Workloads(kind) => {
                let changed = |w: WorkloadWire| w.workload(kind, &uid).map(|w| Delta::Workload(Box::new(w)));
                let gone = |m: Meta| Delta::WorkloadGone { uid: m.uid };
                self.open(&labels, "", mark, |w| &w.metadata, changed, gone).await
            }
            Collection::Pods => {
                let changed = |p: PodWire| Some(Delta::Pod(Box::new(p.pod())));
                self.open(&labels, "", mark, |p| &p.metadata, changed, |m| Delta::PodGone { uid: m.uid })
                    .await
            }
            Collection::Budgets => {
                let changed = |b: BudgetWire| Some(Delta::Budget(Box::new(b.budget())));
                let gone = |m: Meta| Delta::BudgetGone { name: clean(&m.name) };
                self.open("", "", mark, |b| &b.metadata, changed, gone).await
            }
            Collection::OpsRequests => {
                let changed = |r: OpsRequestWire| Some(r.delta(kind.facts().ops_kind, name));
                let gone = |m: Meta| Delta::OpsRequestGone { name: clean(&m.name) };
                self.open("", "", mark, |r| &r.metadata, changed, gone).await
            }
        }
    }

    /// The call that opens the watch.
    fn call(&self, labels: &str, fields: &str, mark: &str) -> Result<Call, ClusterError> {
        let (api, plural) = (self.api(), self.plural());
        let params = WatchParams {
            label_selector: Some(labels.to_owned()).filter(|l| !l.is_empty()),
            field_selector: Some(fields.to_owned()).filter(|f| !f.is_empty()),
            timeout: Some(WATCH_SECONDS),
            bookmarks: true,
            ..WatchParams::default()
        };
        let base = kube::core::Request::new(path(api, &self.db.object.namespace, plural)?);
        let request = built(base.watch(&params, mark), plural)?;
        Ok(Call { what: format!("watch {plural}"), verb: "watch", resource: resource(api, plural), request })
    }

    /// Opens the watch and forwards its events until it ends.
    async fn open<T: DeserializeOwned>(
        &self,
        labels: &str,
        fields: &str,
        mark: &mut String,
        meta: impl Fn(&T) -> &Meta,
        changed: impl Fn(T) -> Option<Delta>,
        gone: impl Fn(Meta) -> Delta,
    ) -> Result<Ended, ClusterError> {
        let call = self.call(labels, fields, mark)?;
        let what = &call.what;
        let mut events = match self.cluster.open_watch::<T>(&call).await {
            Ok(events) => events,
            Err(error) => return expired_or(error),
        };
        let _open = Open::count(&self.open);
        let _ = self.to.send(Delta::Opened).await;
        loop {
            let event = match timeout(SILENCE, events.next()).await {
                // If something on the way holds events back, a list shows what has happened meanwhile.
                Err(_) => return Ok(Ended::Expired),
                Ok(None) => return Ok(Ended::Resumable),
                Ok(Some(Err(error))) => return expired_or(error),
                Ok(Some(Ok(event))) => event,
            };
            let delta = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object)
                    if meta(&object).uid.is_empty() =>
                {
                    return Ok(Ended::Nonsense);
                }
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    mark.clone_from(&meta(&object).resource_version);
                    changed(object)
                }
                WatchEvent::Deleted(object) => {
                    let meta = meta(&object).clone();
                    mark.clone_from(&meta.resource_version);
                    Some(gone(meta))
                }
                WatchEvent::Bookmark(bookmark) => {
                    *mark = bookmark.metadata.resource_version;
                    None
                }
                WatchEvent::Error(status) if status.code == 410 => return Ok(Ended::Expired),
                WatchEvent::Error(status) => return Err(ClusterError::lost(what, &status.message)),
            };
            if let Some(delta) = delta
                && self.to.send(delta).await.is_err()
            {
                return Ok(Ended::Resumable);
            }
        }
    }

    /// Lists the collection again; returns the resource version to watch from.
    async fn relist(&self) -> Result<String, ClusterError> {
        let db = &self.db;
        let (api, ns, name) = (&db.object.api_version, &db.object.namespace, &db.object.name);
        let (delta, mark) = match self.collection {
            Collection::Database => match self.cluster.listed_database(db.kind, api, ns, name).await? {
                (Some(fresh), mark) => (Delta::Database(Box::new(fresh)), mark),
                (None, mark) => (Delta::DatabaseGone { uid: db.object.uid.clone() }, mark),
            },
            Collection::Workloads(kind) => {
                let listed = self.cluster.workloads(kind, db.kind, ns, name).await?;
                let (all, mark) = listed.unwrap_or_default();
                let ours = all.into_iter().filter_map(|w| w.workload(kind, &db.object.uid));
                (Delta::Workloads(kind, ours.collect()), mark)
            }
            Collection::Pods => {
                let (all, mark) = self.cluster.pods(db.kind, ns, name).await?;
                (Delta::Pods(all), mark)
            }
            Collection::Budgets => {
                let (all, mark) = self.cluster.budgets(ns).await?;
                (Delta::Budgets(all), mark)
            }
            Collection::OpsRequests => match self.cluster.ops_requests(db.kind, ns, name).await? {
                (Lookup::Found(all), mark) => (Delta::OpsRequests(all), mark.unwrap_or_default()),
                (Lookup::Absent | Lookup::Unreadable(_), _) => {
                    return Err(ClusterError::ApiAbsent { what: self.plural().to_owned() });
                }
            },
        };
        let _ = self.to.send(delta).await;
        Ok(mark)
    }
}

impl OpsRequestWire {
    fn delta(self, kind: &str, database: &str) -> Delta {
        let name = clean(&self.metadata.name);
        match self.of(kind, database) {
            Some(request) => Delta::OpsRequest(request),
            None => Delta::OpsRequestGone { name },
        }
    }
}

fn expired_or(error: ClusterError) -> Result<Ended, ClusterError> {
    match error {
        ClusterError::Expired { .. } => Ok(Ended::Expired),
        error => Err(error),
    }
}
