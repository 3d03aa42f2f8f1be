//! Reads the state of many databases at once, with one list request per collection regardless of their number and their kinds.
//! A user with partial permissions gets the part that they may read.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::coordination::v1::Lease;
use serde::de::DeserializeOwned;

use crate::journal::Entry;
use crate::model::{
    CatalogVersion, Database, Environment, Kind, Lock, Lookup, OPS_API, PRE_PULL_LABEL, Pod, Snapshot,
    Workload, WorkloadKind,
};

use super::ahead::Ahead;
use super::journal::ConfigMapWire;
use super::ops_request::OpsRequestWire;
use super::pod_wire::PodWire;
use super::request::segment;
use super::wire::{BudgetWire, DatabaseWire, VersionWire, WorkloadWire};
use super::{Cluster, ClusterError, Journal};

/// One database with its objects and its journal.
pub struct Found {
    pub snapshot: Snapshot,
    pub journal: Lookup<Journal>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

impl Found {
    /// The last run on it, if its journal could be read and has one.
    pub fn last_run(&self) -> Option<&Entry> {
        self.journal.found()?.last()
    }
}

const CATALOG_API: &str = "catalog.kubedb.com/v1alpha1";

/// Namespace and name.
type Place = (String, String);

/// The namespace and name of the journal and the lock of a database.
fn place(kind: Kind, namespace: &str, name: &str) -> Place {
    (namespace.to_owned(), kind.lock_and_journal(name))
}

/// Which databases are read.
#[derive(Debug, Clone)]
pub struct Selection<'a> {
    pub kinds: &'a [Kind],
    /// Empty for all namespaces.
    pub namespace: &'a str,
    /// Only the database of that name.
    pub name: Option<&'a str>,
    /// A selector of their labels; empty for all of them.
    pub labels: &'a str,
}

/// The selected databases.
pub struct Overview {
    /// By kind, namespace and name.
    pub found: Vec<Found>,
    /// The kinds that the cluster does not serve.
    pub absent: Vec<Kind>,
}

/// The collections of all kinds of database; empty if the user may not read them.
struct Lists {
    workloads: Vec<(WorkloadKind, Vec<WorkloadWire>)>,
    pods: Vec<PodWire>,
    journals: Lookup<BTreeMap<Place, Journal>>,
    locks: BTreeMap<Place, Lock>,
    /// Those that bring images to nodes; only read where a run may have left some.
    pull_pods: Vec<PodWire>,
    unread: Vec<String>,
}

/// The databases of one kind, and what only that kind has.
struct OfKind {
    databases: Vec<Database>,
    ops_requests: Lookup<Vec<OpsRequestWire>>,
    catalog: Vec<CatalogVersion>,
    unread: Vec<String>,
}

impl Cluster {
    /// The selected databases, each with its objects and its journal. Everything is asked at once, before it is known whether
    /// there is any database; what else cannot be read matters only if there is one.
    ///
    /// # Errors
    /// The databases of a kind that the cluster serves cannot be listed, or any other failure to read.
    pub async fn overview(&self, which: &Selection<'_>) -> Result<Overview, ClusterError> {
        let mut lists = Ahead::new(self.lists(which));
        let asked = join_all(which.kinds.iter().map(|kind| self.of_kind(*kind, which)));
        let (mut of_kinds, mut absent) = (Vec::new(), Vec::new());
        for (kind, found) in which.kinds.iter().zip(lists.during(asked).await) {
            match found {
                Ok(found) => of_kinds.extend(found),
                Err(ClusterError::ApiAbsent { .. }) => absent.push(*kind),
                Err(error) => return Err(error),
            }
        }
        let mut found: Vec<Found> = Vec::new();
        if !of_kinds.is_empty() {
            let lists = lists.answer().await?;
            for of_kind in of_kinds {
                found.extend(of_kind.databases.iter().map(|db| lists.of(db.clone(), &of_kind)));
            }
        }
        for one in found.iter_mut().filter(|_| which.name.is_some()) {
            self.add_revisions(&mut one.snapshot).await?;
        }
        Ok(Overview { found, absent })
    }

    /// The selected databases of a kind; `None` if there is none.
    async fn of_kind(&self, kind: Kind, which: &Selection<'_>) -> Result<Option<OfKind>, ClusterError> {
        let facts = kind.facts();
        let fields = match which.name {
            Some(name) => format!("metadata.name={}", segment(name)?),
            None => String::new(),
        };
        let mut beside = Ahead::new(async {
            tokio::try_join!(
                self.readable::<OpsRequestWire>(OPS_API, which.namespace, facts.ops_plural, "", ""),
                self.readable::<VersionWire>(CATALOG_API, "", facts.version_plural, "", ""),
            )
        });
        let read =
            |api| self.list::<DatabaseWire>(api, which.namespace, kind.plural(), which.labels, &fields);
        let ((databases, _), api) = beside.during(self.in_newest(kind, read)).await?;
        if databases.is_empty() {
            return Ok(None);
        }
        let mut databases: Vec<Database> = databases.into_iter().map(|d| d.database(kind, api)).collect();
        databases.sort_by(|a, b| {
            let key = |d: &Database| (d.object.namespace.clone(), d.object.name.clone());
            key(a).cmp(&key(b))
        });
        let (ops_requests, versions) = beside.answer().await?;
        let mut unread = Vec::new();
        let versions = read_or_say(versions, facts.version_plural, &mut unread);
        let catalog = versions.into_iter().map(|v| v.version(facts.image_fields())).collect();
        Ok(Some(OfKind { databases, ops_requests, catalog, unread }))
    }

    /// The same database again, for whoever looks at it every few seconds: the catalog is kept, and the budgets are read
    /// as well, if the user may. `None` if it is gone, or another one has its name.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn look_again(&self, before: &Snapshot) -> Result<Option<Found>, ClusterError> {
        let (kind, db) = (before.database.kind, &before.database.object);
        let (namespace, name) = (db.namespace.as_str(), db.name.as_str());
        let which = Selection { kinds: &[kind], namespace, name: Some(name), labels: "" };
        let (database, lists, ops_requests, budgets) = tokio::try_join!(
            self.listed_database(kind, &db.api_version, namespace, name),
            self.lists(&which),
            self.readable::<OpsRequestWire>(OPS_API, namespace, kind.facts().ops_plural, "", ""),
            self.readable::<BudgetWire>("policy/v1", namespace, "poddisruptionbudgets", "", ""),
        )?;
        let Some(database) = database.0.filter(|now| now.object.uid == db.uid) else { return Ok(None) };
        let (catalog, unread) = (before.catalog.clone(), Vec::new());
        let mut found = lists.of(database, &OfKind { databases: Vec::new(), ops_requests, catalog, unread });
        found.snapshot.revisions.clone_from(&before.revisions);
        found.snapshot.learn_revisions();
        if let Lookup::Found(budgets) = budgets {
            found.snapshot.budgets = budgets.into_iter().map(BudgetWire::budget).collect();
        }
        Ok(Some(found))
    }

    /// The collections that have no kind of database of their own: one request for each, whatever is selected.
    async fn lists(&self, which: &Selection<'_>) -> Result<Lists, ClusterError> {
        let namespace = which.namespace;
        let labels = labels(which);
        let [petset, statefulset, deployment] = WorkloadKind::ALL;
        let workloads = async |workload: WorkloadKind| {
            if !which.kinds.iter().any(|kind| kind.facts().may_have(workload)) {
                return Ok(Lookup::Absent);
            }
            self.readable(workload.api_version(), namespace, workload.plural(), &labels, "").await
        };
        let (petsets, statefulsets, deployments, pods, journals, locks) = tokio::try_join!(
            workloads(petset),
            workloads(statefulset),
            workloads(deployment),
            self.readable::<PodWire>("v1", namespace, "pods", &labels, ""),
            self.journals(which),
            self.locks(which),
        )?;
        let left = |all: &Vec<(Place, Journal)>| {
            all.iter().any(|(_, journal)| journal.entries.iter().any(Entry::may_leave_pods))
        };
        let pull_pods = match &journals {
            Lookup::Found(all) if left(all) => {
                self.readable::<PodWire>("v1", namespace, "pods", PRE_PULL_LABEL, "").await?
            }
            _ => Lookup::Absent,
        };
        let mut unread = Vec::new();
        let workloads = [(petset, petsets), (statefulset, statefulsets), (deployment, deployments)]
            .into_iter()
            .map(|(kind, found)| (kind, read_or_say(found, kind.plural(), &mut unread)))
            .collect();
        Ok(Lists {
            workloads,
            pods: read_or_say(pods, "pods", &mut unread),
            journals: journals.map(|all| all.into_iter().collect()),
            locks: read_or_say(locks, "leases", &mut unread).into_iter().collect(),
            // That pods cannot be read is said already.
            pull_pods: if let Lookup::Found(pods) = pull_pods { pods } else { Vec::new() },
            unread,
        })
    }

    /// The journals by namespace and name. A single journal is read with `get`, because a user who may read it may not be
    /// allowed to list.
    async fn journals(&self, which: &Selection<'_>) -> Result<Lookup<Vec<(Place, Journal)>>, ClusterError> {
        let namespace = which.namespace;
        let Some((kind, name)) = which.one() else {
            let label = one_of("kubectl-dbupdate/journal", which.kinds.iter().map(|kind| kind.singular()));
            let maps = self.readable::<ConfigMapWire>("v1", namespace, "configmaps", &label, "").await?;
            return Ok(maps.map(|all| all.into_iter().map(ConfigMapWire::journal).collect()));
        };
        let found = self.read_journal(kind, namespace, name).await?;
        Ok(found.map(|journal| vec![(place(kind, namespace, name), journal)]))
    }

    async fn locks(&self, which: &Selection<'_>) -> Result<Lookup<Vec<(Place, Lock)>>, ClusterError> {
        let namespace = which.namespace;
        let Some((kind, name)) = which.one() else {
            let label = "kubectl-dbupdate/lock=true";
            let leases = self.readable::<Lease>(super::lease::API, namespace, "leases", label, "").await?;
            return Ok(leases.map(|all| all.iter().filter_map(super::lease::named).collect()));
        };
        match self.lock(kind, namespace, name).await {
            Ok(lock) => {
                Ok(Lookup::Found(lock.map(|lock| (place(kind, namespace, name), lock)).into_iter().collect()))
            }
            Err(error @ ClusterError::Forbidden { .. }) => Ok(Lookup::Unreadable(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// A list that may not exist, or that the user may not read.
    async fn readable<T: DeserializeOwned>(
        &self,
        api: &str,
        namespace: &str,
        plural: &str,
        labels: &str,
        fields: &str,
    ) -> Result<Lookup<Vec<T>>, ClusterError> {
        match self.list::<T>(api, namespace, plural, labels, fields).await {
            Ok((items, _)) => Ok(Lookup::Found(items)),
            Err(error) if error.absent() => Ok(Lookup::Absent),
            Err(error @ (ClusterError::Forbidden { .. } | ClusterError::TooLarge { .. })) => {
                Ok(Lookup::Unreadable(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }
}

fn read_or_say<T>(found: Lookup<Vec<T>>, what: &str, unread: &mut Vec<String>) -> Vec<T> {
    match found {
        Lookup::Found(items) => items,
        Lookup::Absent => Vec::new(),
        Lookup::Unreadable(why) => {
            unread.push(format!("{what}: {why}"));
            Vec::new()
        }
    }
}

impl Selection<'_> {
    /// The only database that may be selected.
    fn one(&self) -> Option<(Kind, &str)> {
        match (self.kinds, self.name) {
            ([kind], Some(name)) => Some((*kind, name)),
            _ => None,
        }
    }
}

/// A selector of the labels that KubeDB puts on all objects of the selected databases.
fn labels(which: &Selection<'_>) -> String {
    let names = which.kinds.iter().map(|kind| format!("{}.kubedb.com", kind.plural()));
    let of_kinds = one_of("app.kubernetes.io/name", names);
    match which.name {
        Some(name) => format!("{of_kinds},app.kubernetes.io/instance={name}"),
        None => of_kinds,
    }
}

/// A selector of objects whose label has one of these values.
fn one_of(label: &str, values: impl Iterator<Item = impl AsRef<str>>) -> String {
    let values: Vec<_> = values.collect();
    let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
    match values[..] {
        [value] => format!("{label}={value}"),
        _ => format!("{label} in ({})", values.join(",")),
    }
}

impl Lists {
    /// Selects the objects of one database.
    fn of(&self, database: Database, of_kind: &OfKind) -> Found {
        let (namespace, name) = (database.object.namespace.clone(), database.object.name.clone());
        let uid = database.object.uid.clone();
        let here = |wire: &&WorkloadWire| wire.metadata.namespace == namespace;
        let workloads = self.workloads.iter().flat_map(|(kind, found)| {
            found
                .iter()
                .filter(here)
                .filter_map(|w| w.clone().workload(*kind, &uid))
                .map(Workload::without_source)
        });
        let its_kind = format!("{}.kubedb.com", database.kind.plural());
        let instance = |p: &&PodWire| {
            let label = |key: &str| p.metadata.labels.get(key);
            p.metadata.namespace == namespace
                && label("app.kubernetes.io/instance") == Some(&name)
                && label("app.kubernetes.io/name") == Some(&its_kind)
        };
        let pods: Vec<Pod> = self.pods.iter().filter(instance).map(|p| p.clone().pod()).collect();
        let facts = database.kind.facts();
        let ops_requests = match &of_kind.ops_requests {
            Lookup::Found(all) => {
                let here = all.iter().filter(|r| r.metadata.namespace == namespace);
                Lookup::Found(here.filter_map(|r| r.clone().of(facts.ops_kind, &name)).collect())
            }
            Lookup::Absent => Lookup::Absent,
            Lookup::Unreadable(why) => Lookup::Unreadable(why.clone()),
        };
        let brings = |p: &&PodWire| {
            p.metadata.namespace == namespace && p.metadata.labels.get(PRE_PULL_LABEL) == Some(&uid)
        };
        let left_pods = self.pull_pods.iter().filter(brings).map(|p| p.clone().pod().name).collect();
        let key = place(database.kind, &namespace, &name);
        let journal = match &self.journals {
            Lookup::Found(all) => all.get(&key).map_or(Lookup::Absent, |j| Lookup::Found(j.clone())),
            Lookup::Absent => Lookup::Absent,
            Lookup::Unreadable(why) => Lookup::Unreadable(why.clone()),
        };
        let snapshot = Snapshot {
            workloads: workloads.collect(),
            pods,
            revisions: Lookup::Absent,
            budgets: Vec::new(),
            ops_requests,
            served: Vec::new(),
            cordoned: Lookup::Absent,
            catalog: of_kind.catalog.clone(),
            lock: self.locks.get(&key).cloned(),
            health: Lookup::Absent,
            completion: Lookup::Absent,
            environment: Environment { left_pods, ..Environment::default() },
            database,
        };
        let unread = self.unread.iter().chain(&of_kind.unread).cloned().collect();
        Found { snapshot, journal, unread }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_selector_is_for_all_kinds() {
        let which = |kinds, name| Selection { kinds, namespace: "", name, labels: "" };
        for (kinds, name, selector) in [
            (&[Kind::Kafka][..], None, "app.kubernetes.io/name=kafkas.kubedb.com"),
            (
                &[Kind::Kafka],
                Some("db"),
                "app.kubernetes.io/name=kafkas.kubedb.com,app.kubernetes.io/instance=db",
            ),
            (
                &[Kind::Kafka, Kind::Druid],
                None,
                "app.kubernetes.io/name in (kafkas.kubedb.com,druids.kubedb.com)",
            ),
        ] {
            assert_eq!(labels(&which(kinds, name)), selector);
        }
    }
}
