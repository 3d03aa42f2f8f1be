//! Reads everything an update depends on, in as few round trips as possible.

use std::collections::HashMap;

use kube::core::params::{GetParams, ListParams};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::kinds::Facts;
use crate::model::{
    Budget, CatalogVersion, Database, Environment, Kind, Lookup, Pod, Snapshot, Workload, WorkloadKind, clean,
};

use super::pages::{PAGE, PAGE_OF_JOURNALS, Page, Pages};
use super::request::{Call, MANAGER, built, path, segment};
use super::wire::{BudgetWire, DatabaseWire, Named, NodeWire, PodWire, VersionWire, WorkloadWire};
use super::{Cluster, ClusterError};

/// The collections that a run watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Collection {
    Database,
    Workloads(WorkloadKind),
    Pods,
    Budgets,
    OpsRequests,
}

/// The resource version from which to watch each collection; a collection that the cluster does not serve is missing.
pub(super) type Marks = HashMap<Collection, String>;

/// The labels that KubeDB puts on all objects of one database.
pub(super) fn labels(kind: Kind, name: &str) -> String {
    format!("app.kubernetes.io/instance={name},app.kubernetes.io/name={}.kubedb.com", kind.plural())
}

impl Cluster {
    /// The databases of a kind in a namespace, by name.
    ///
    /// # Errors
    /// The cluster does not serve the kind, or the user may not list it.
    pub async fn databases(&self, kind: Kind, namespace: &str) -> Result<Vec<Database>, ClusterError> {
        let api = self.database_api(kind).await?;
        let (items, _) = self.list::<DatabaseWire>(&api, namespace, kind.plural(), "", "").await?;
        let mut found: Vec<_> = items.into_iter().map(|d| d.database(kind, &api)).collect();
        found.sort_by(|a, b| a.object.name.cmp(&b.object.name));
        Ok(found)
    }

    /// Everything that an update of one database depends on. The holder of a lock is assumed to be alive; see
    /// [`Cluster::watch_lock`].
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] if there is no such database, [`ClusterError::ApiAbsent`] if the cluster does not serve its
    /// kind, or any other failure to read.
    pub async fn snapshot(&self, kind: Kind, namespace: &str, name: &str) -> Result<Snapshot, ClusterError> {
        let facts = kind.facts();
        let api = self.database_api(kind).await?;
        let (database, catalog, cordoned, lock) = tokio::try_join!(
            self.database(kind, &api, namespace, name),
            self.catalog(facts),
            self.cordoned(),
            self.lock(kind, namespace, name),
        )?;
        let (snapshot, _) = self
            .objects(Snapshot {
                database,
                workloads: Vec::new(),
                pods: Vec::new(),
                budgets: Vec::new(),
                ops_requests: Lookup::Absent,
                served: Vec::new(),
                cordoned,
                catalog,
                lock,
                environment: Environment::default(),
            })
            .await?;
        Ok(snapshot)
    }

    /// Rereads the same database and all its objects.
    ///
    /// # Errors
    /// As [`Cluster::snapshot`].
    pub async fn read_anew(&self, before: Snapshot) -> Result<Snapshot, ClusterError> {
        self.reread(before).await.map(|(snapshot, _)| snapshot)
    }

    /// Rereads the same database; also returns the resource versions to watch from.
    pub(super) async fn reread(&self, before: Snapshot) -> Result<(Snapshot, Marks), ClusterError> {
        let db = &before.database.object;
        let (api, ns, name) = (&db.api_version, &db.namespace, &db.name);
        let (database, mark) = self.listed_database(before.database.kind, api, ns, name).await?;
        let what = || format!("get {}/{name}", before.database.kind.singular());
        let database = database.ok_or_else(|| ClusterError::NotFound { what: what() })?;
        let (snapshot, mut marks) = self.objects(Snapshot { database, ..before }).await?;
        marks.insert(Collection::Database, mark);
        Ok((snapshot, marks))
    }

    /// The database, if it exists, and the resource version to watch from. That is the list's version: the version of a
    /// database that has not changed for a while is too old to watch from.
    pub(super) async fn listed_database(
        &self,
        kind: Kind,
        api: &str,
        namespace: &str,
        name: &str,
    ) -> Result<(Option<Database>, String), ClusterError> {
        let field = format!("metadata.name={}", segment(name)?);
        let (items, mark) = self.list::<DatabaseWire>(api, namespace, kind.plural(), "", &field).await?;
        Ok((items.into_iter().next().map(|d| d.database(kind, api)), mark))
    }

    /// The current state of a database.
    ///
    /// # Errors
    /// As [`Cluster::snapshot`].
    pub async fn database(
        &self,
        kind: Kind,
        api: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Database, ClusterError> {
        let wire: DatabaseWire = self.get(api, namespace, kind.plural(), kind.singular(), name).await?;
        Ok(wire.database(kind, api))
    }

    /// The current state of a workload; `None` if the database is not its controller.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] if it does not exist, or any other failure to read.
    pub async fn workload(
        &self,
        kind: WorkloadKind,
        namespace: &str,
        name: &str,
        database: &str,
    ) -> Result<Option<Workload>, ClusterError> {
        let word = kind.name().to_ascii_lowercase();
        let wire: WorkloadWire = self.get(kind.api_version(), namespace, kind.plural(), &word, name).await?;
        Ok(wire.workload(kind, database))
    }

    /// The current state of a pod.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] if it does not exist, or any other failure to read.
    pub async fn pod(&self, namespace: &str, name: &str) -> Result<Pod, ClusterError> {
        let pod = self.get::<PodWire>("v1", namespace, "pods", "pod", name).await?.pod();
        identified(&pod).map(|()| pod)
    }

    /// Reads the objects that depend on the database object.
    async fn objects(&self, base: Snapshot) -> Result<(Snapshot, Marks), ClusterError> {
        let [petset, statefulset, deployment] = WorkloadKind::ALL;
        let (petsets, statefulsets, deployments, pods, budgets, ops) = tokio::try_join!(
            self.workloads(petset, &base.database),
            self.workloads(statefulset, &base.database),
            self.workloads(deployment, &base.database),
            self.pods(&base.database),
            self.budgets(&base.database.object.namespace),
            self.ops_requests(&base.database),
        )?;
        let mut marks = Marks::from([(Collection::Pods, pods.1), (Collection::Budgets, budgets.1)]);
        let (mut workloads, mut served) = (Vec::new(), Vec::new());
        for (kind, (found, mark)) in WorkloadKind::ALL.into_iter().zip([petsets, statefulsets, deployments]) {
            workloads.extend(found);
            served.extend(mark.as_ref().map(|_| kind));
            marks.extend(mark.map(|m| (Collection::Workloads(kind), m)));
        }
        let (ops_requests, mark) = ops;
        marks.extend(mark.map(|m| (Collection::OpsRequests, m)));
        let snapshot = Snapshot { workloads, served, pods: pods.0, budgets: budgets.0, ops_requests, ..base };
        Ok((snapshot, marks))
    }

    pub(super) async fn workloads(
        &self,
        kind: WorkloadKind,
        db: &Database,
    ) -> Result<(Vec<Workload>, Option<String>), ClusterError> {
        let (ns, uid) = (&db.object.namespace, &db.object.uid);
        if !db.kind.facts().may_have(kind) {
            return Ok((Vec::new(), None));
        }
        let labels = labels(db.kind, &db.object.name);
        match self.list::<WorkloadWire>(kind.api_version(), ns, kind.plural(), &labels, "").await {
            Ok((items, mark)) => {
                Ok((items.into_iter().filter_map(|w| w.workload(kind, uid)).collect(), Some(mark)))
            }
            Err(ClusterError::ApiAbsent { .. }) => Ok((Vec::new(), None)),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn pods(&self, db: &Database) -> Result<(Vec<Pod>, String), ClusterError> {
        let labels = labels(db.kind, &db.object.name);
        let (items, mark) = self.list::<PodWire>("v1", &db.object.namespace, "pods", &labels, "").await?;
        let pods: Vec<Pod> = items.into_iter().map(PodWire::pod).collect();
        pods.iter().try_for_each(identified)?;
        Ok((pods, mark))
    }

    pub(super) async fn budgets(&self, namespace: &str) -> Result<(Vec<Budget>, String), ClusterError> {
        let (items, mark) =
            self.list::<BudgetWire>("policy/v1", namespace, "poddisruptionbudgets", "", "").await?;
        Ok((items.into_iter().map(BudgetWire::budget).collect(), mark))
    }

    /// The names of the namespaces.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn namespaces(&self) -> Result<Vec<String>, ClusterError> {
        let (items, _) = self.list::<Named>("v1", "", "namespaces", "", "").await?;
        Ok(items.into_iter().map(|namespace| namespace.metadata.name).collect())
    }

    /// The versions in the catalog of a kind.
    ///
    /// # Errors
    /// [`ClusterError::ApiAbsent`] if the cluster does not serve the kind's catalog, or any other failure to read it.
    pub async fn versions(&self, kind: Kind) -> Result<Vec<CatalogVersion>, ClusterError> {
        self.catalog(kind.facts()).await
    }

    async fn catalog(&self, facts: &'static Facts) -> Result<Vec<CatalogVersion>, ClusterError> {
        let (items, _) =
            self.list::<VersionWire>("catalog.kubedb.com/v1alpha1", "", facts.version_plural, "", "").await?;
        Ok(items.into_iter().map(|v| v.version(facts.image_fields())).collect())
    }

    /// The cordoned nodes. Nodes are cluster-scoped, and many users may not list them.
    async fn cordoned(&self) -> Result<Lookup<Vec<String>>, ClusterError> {
        match self.list::<NodeWire>("v1", "", "nodes", "", "spec.unschedulable=true").await {
            Ok((items, _)) => Ok(Lookup::Found(items.into_iter().filter_map(NodeWire::cordoned).collect())),
            Err(error @ (ClusterError::Forbidden { .. } | ClusterError::Refused { .. })) => {
                Ok(Lookup::Unreadable(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a node is Ready, in a few words.
    pub async fn node_state(&self, node: &str) -> String {
        match self.get::<NodeWire>("v1", "", "nodes", "node", node).await {
            Ok(node) => node.state(),
            Err(error) if error.absent() => "it no longer exists".to_owned(),
            Err(_) => "its readiness is unknown".to_owned(),
        }
    }

    /// Reason and message of a pod's newest Warning event, or else of its newest event. `None` if there is none, or events
    /// cannot be read.
    pub async fn last_event(&self, namespace: &str, pod_uid: &str) -> Option<String> {
        let selector = format!("involvedObject.uid={pod_uid}");
        let (mut events, _) = self.list::<EventWire>("v1", namespace, "events", "", &selector).await.ok()?;
        events.sort_by(|a, b| a.rank().cmp(&b.rank()));
        events.pop().map(|e| clean(&format!("{}: {}", e.reason, e.message)))
    }

    /// Reason and message of the newest Warning event on an object that this tool did not create itself. `None` if there is
    /// none, or events cannot be read.
    pub async fn last_warning(&self, namespace: &str, uid: &str) -> Option<String> {
        let selector = format!("involvedObject.uid={uid}");
        let (mut events, _) = self.list::<EventWire>("v1", namespace, "events", "", &selector).await.ok()?;
        events.retain(|e| e.kind == "Warning" && e.reporting_component.as_deref() != Some(MANAGER));
        events.sort_by(|a, b| a.rank().cmp(&b.rank()));
        events.pop().map(|e| clean(&format!("{}: {}", e.reason, e.message)))
    }

    /// The newest API version in which the cluster serves a kind of database, preferably `kubedb.com/v1`.
    ///
    /// # Errors
    /// [`ClusterError::ApiAbsent`] if it serves none, or any other failure to read.
    pub async fn database_api(&self, kind: Kind) -> Result<String, ClusterError> {
        let (v1, v1alpha2) =
            tokio::join!(self.serves("kubedb.com/v1", kind), self.serves("kubedb.com/v1alpha2", kind));
        for (api, served) in [("kubedb.com/v1", v1), ("kubedb.com/v1alpha2", v1alpha2)] {
            if served? {
                return Ok(api.to_owned());
            }
        }
        Err(ClusterError::ApiAbsent { what: format!("{}.kubedb.com", kind.plural()) })
    }

    async fn serves(&self, api: &str, kind: Kind) -> Result<bool, ClusterError> {
        let url = format!("/apis/{api}");
        let request = http::Request::get(&url).body(Vec::new());
        let request =
            request.map_err(|e| ClusterError::Unexpected { what: url.clone(), message: e.to_string() })?;
        let call = Call { what: format!("get {url}"), verb: "get", resource: url, request };
        match self.read::<Resources>(call).await {
            Ok(resources) => Ok(resources.resources.iter().any(|r| r.name == kind.plural())),
            Err(error) if error.absent() => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        api: &str,
        namespace: &str,
        plural: &str,
        word: &str,
        name: &str,
    ) -> Result<T, ClusterError> {
        let base = kube::core::Request::new(path(api, namespace, plural)?);
        let request = base.get(segment(name)?, &GetParams::default());
        self.read(Call {
            what: format!("get {word}/{name}"),
            verb: "get",
            resource: plural.to_owned(),
            request: built(request, name)?,
        })
        .await
    }

    /// A complete list, read page by page, and the resource version to watch from. If it expires between two pages, the list
    /// is started again.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        api: &str,
        namespace: &str,
        plural: &str,
        labels: &str,
        fields: &str,
    ) -> Result<(Vec<T>, String), ClusterError> {
        let limit = if plural == "configmaps" { PAGE_OF_JOURNALS } else { PAGE };
        let mut params = ListParams::default().limit(limit);
        params.label_selector = Some(labels.to_owned()).filter(|l| !l.is_empty());
        params.field_selector = Some(fields.to_owned()).filter(|f| !f.is_empty());
        let base = kube::core::Request::new(path(api, namespace, plural)?);
        let what = format!("list {plural}");
        let (mut items, mut pages) = (Vec::new(), Pages::default());
        loop {
            let request = built(base.list(&params), plural)?;
            let call = Call { what: what.clone(), verb: "list", resource: plural.to_owned(), request };
            let answer = match self.answer(&call).await {
                Err(ClusterError::Expired { .. }) if params.continue_token.is_some() => {
                    pages.again(&what)?;
                    items.clear();
                    params.continue_token = None;
                    continue;
                }
                answer => answer?,
            };
            let page: Page<T> = answer.parse(&what)?;
            page.fits(&what)?;
            items.extend(page.items);
            let next = page.metadata.next;
            if next.is_empty() {
                return Ok((items, page.metadata.resource_version));
            }
            pages.next(&what, items.len(), answer.body.len(), &next)?;
            params.continue_token = Some(next);
        }
    }
}

/// Pods are identified by their uid, never by their name: a pod without one cannot be followed.
fn identified(pod: &Pod) -> Result<(), ClusterError> {
    if pod.uid.is_empty() {
        let what = format!("read pod/{}", pod.name);
        return Err(ClusterError::Unexpected { what, message: "it has no uid".to_owned() });
    }
    Ok(())
}

#[derive(Deserialize)]
struct Resources {
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct EventWire {
    #[serde(rename = "type")]
    kind: String,
    reason: String,
    message: String,
    last_timestamp: Option<String>,
    event_time: Option<String>,
    reporting_component: Option<String>,
}

impl EventWire {
    fn rank(&self) -> (bool, &str) {
        let time = self.last_timestamp.as_deref().or(self.event_time.as_deref());
        (self.kind == "Warning", time.unwrap_or_default())
    }
}
