//! Reads everything an update depends on, in as few round trips as possible.

use std::collections::HashMap;

use kube::core::params::{GetParams, ListParams};
use serde::de::DeserializeOwned;

use crate::kinds::Facts;
use crate::model::{
    Budget, CatalogVersion, Database, Environment, Kind, Lookup, OpsRequest, Pod, Snapshot, Workload,
    WorkloadKind,
};

use super::ahead::Ahead;
use super::nodes::NodeWire;
use super::pages::{PAGE, PAGE_OF_JOURNALS, Page, Pages};
use super::pod_wire::PodWire;
use super::request::{Call, built, path, resource, segment};
use super::wire::{BudgetWire, DatabaseWire, Named, VersionWire, WorkloadWire};
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

/// The collections as they were listed, each with the resource version to watch from.
struct Collections {
    workloads: Vec<(WorkloadKind, Vec<WorkloadWire>, String)>,
    pods: (Vec<Pod>, String),
    budgets: (Vec<Budget>, String),
    ops_requests: (Lookup<Vec<OpsRequest>>, Option<String>),
}

impl Collections {
    /// The snapshot of that database with what belongs to it.
    fn into_snapshot(self, base: Snapshot) -> (Snapshot, Marks) {
        let (pods, budgets, (ops_requests, ops_mark)) = (self.pods, self.budgets, self.ops_requests);
        let mut marks = Marks::from([(Collection::Pods, pods.1), (Collection::Budgets, budgets.1)]);
        marks.extend(ops_mark.map(|mark| (Collection::OpsRequests, mark)));
        let (mut workloads, mut served) = (Vec::new(), Vec::new());
        for (kind, listed, mark) in self.workloads {
            workloads.extend(listed.into_iter().filter_map(|w| w.workload(kind, &base.database.object.uid)));
            served.push(kind);
            marks.insert(Collection::Workloads(kind), mark);
        }
        let snapshot = Snapshot { workloads, served, pods: pods.0, budgets: budgets.0, ops_requests, ..base };
        (snapshot, marks)
    }
}

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
        let read = |api| self.list::<DatabaseWire>(api, namespace, kind.plural(), "", "");
        let ((items, _), api) = self.in_newest(kind, read).await?;
        let mut found: Vec<_> = items.into_iter().map(|d| d.database(kind, api)).collect();
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
        let mut beside = Ahead::new(async {
            tokio::try_join!(
                self.collections(kind, namespace, name),
                self.catalog(kind.facts()),
                self.cordoned(),
                self.lock(kind, namespace, name),
            )
        });
        let database = self.in_newest(kind, |api| self.database(kind, api, namespace, name));
        // Whatever else is wrong: the first thing to know is that there is no such database.
        let (database, _) = beside.during(database).await?;
        let (collections, catalog, cordoned, lock) = beside.answer().await?;
        let (mut snapshot, _) = collections.into_snapshot(Snapshot {
            database,
            workloads: Vec::new(),
            pods: Vec::new(),
            revisions: Lookup::Absent,
            budgets: Vec::new(),
            ops_requests: Lookup::Absent,
            served: Vec::new(),
            cordoned,
            catalog,
            lock,
            health: Lookup::Absent,
            completion: Lookup::Absent,
            environment: Environment::default(),
        });
        self.add_revisions(&mut snapshot).await?;
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
        let (kind, db) = (before.database.kind, &before.database.object);
        let (ns, name) = (&db.namespace, &db.name);
        let mut beside = Ahead::new(self.collections(kind, ns, name));
        let (database, mark) = beside.during(self.listed_database(kind, &db.api_version, ns, name)).await?;
        let what = || format!("get {}/{name}", kind.singular());
        let database = database.ok_or_else(|| ClusterError::NotFound { what: what() })?;
        let collections = beside.answer().await?;
        let (snapshot, mut marks) = collections.into_snapshot(Snapshot { database, ..before });
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
        let found = wire.database(kind, api);
        let object = &found.object;
        if (object.namespace.as_str(), object.name.as_str()) != (namespace, name) {
            let what = format!("get {}/{name}", kind.singular());
            let message = format!("it is about {object} in namespace {:?}", object.namespace);
            return Err(ClusterError::Unexpected { what, message });
        }
        Ok(found)
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

    /// Everything that carries the database's labels or is in its namespace. None of it needs the database itself to be read
    /// first; that decides only which of it belongs to the database.
    async fn collections(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Collections, ClusterError> {
        let [petset, statefulset, deployment] = WorkloadKind::ALL;
        let workloads = async |workload| {
            let listed = self.workloads(workload, kind, namespace, name).await?;
            Ok(listed.map(|(items, mark)| (workload, items, mark)))
        };
        let (petsets, statefulsets, deployments, pods, budgets, ops_requests) = tokio::try_join!(
            workloads(petset),
            workloads(statefulset),
            workloads(deployment),
            self.pods(kind, namespace, name),
            self.budgets(namespace),
            self.ops_requests(kind, namespace, name),
        )?;
        let workloads = [petsets, statefulsets, deployments].into_iter().flatten().collect();
        Ok(Collections { workloads, pods, budgets, ops_requests })
    }

    /// The workloads with the labels of that database, and the resource version to watch from; `None` if the kind of database
    /// has none of that kind, or the cluster does not serve it.
    pub(super) async fn workloads(
        &self,
        workload: WorkloadKind,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<(Vec<WorkloadWire>, String)>, ClusterError> {
        if !kind.facts().may_have(workload) {
            return Ok(None);
        }
        let labels = labels(kind, name);
        match self.list(workload.api_version(), namespace, workload.plural(), &labels, "").await {
            Ok(listed) => Ok(Some(listed)),
            Err(ClusterError::ApiAbsent { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn pods(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Result<(Vec<Pod>, String), ClusterError> {
        let labels = labels(kind, name);
        let (items, mark) = self.list::<PodWire>("v1", namespace, "pods", &labels, "").await?;
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
            resource: resource(api, plural),
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
            let call = Call { what: what.clone(), verb: "list", resource: resource(api, plural), request };
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
