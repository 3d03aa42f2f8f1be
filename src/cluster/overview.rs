//! Reads the state of many databases at once, with one list request per collection regardless of their number. A user with
//! partial permissions gets the part that they may read.

use std::collections::BTreeMap;

use k8s_openapi::api::coordination::v1::Lease;
use serde::de::DeserializeOwned;

use crate::model::{
    CatalogVersion, Database, Environment, Kind, Lock, Lookup, OPS_API, Pod, Snapshot, WorkloadKind,
};

use super::journal::ConfigMapWire;
use super::ops_request::OpsRequestWire;
use super::request::segment;
use super::wire::{BudgetWire, DatabaseWire, PodWire, VersionWire, WorkloadWire};
use super::{Cluster, ClusterError, Journal};

/// One database with its objects and its journal.
pub struct Found {
    pub snapshot: Snapshot,
    pub journal: Lookup<Journal>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

const CATALOG_API: &str = "catalog.kubedb.com/v1alpha1";

/// Namespace and name.
type Place = (String, String);

/// The namespace and name of the journal and the lock of a database.
fn place(kind: Kind, namespace: &str, name: &str) -> Place {
    (namespace.to_owned(), kind.lock_and_journal(name))
}

/// The listed collections; empty if the user may not read them.
struct Lists {
    workloads: Vec<(WorkloadKind, Vec<WorkloadWire>)>,
    pods: Vec<PodWire>,
    ops_requests: Lookup<Vec<OpsRequestWire>>,
    catalog: Vec<CatalogVersion>,
    journals: Lookup<BTreeMap<Place, Journal>>,
    locks: BTreeMap<Place, Lock>,
    unread: Vec<String>,
}

impl Cluster {
    /// The databases of a kind in a namespace (in all namespaces if it is empty), sorted by namespace and name, filtered by
    /// `labels` if not empty. With `name`, only that database.
    ///
    /// # Errors
    /// [`ClusterError::ApiAbsent`] if the cluster does not serve the kind; any other failure to list the databases.
    pub async fn overview(
        &self,
        kind: Kind,
        namespace: &str,
        name: Option<&str>,
        labels: &str,
    ) -> Result<Vec<Found>, ClusterError> {
        let api = self.database_api(kind).await?;
        let fields = match name {
            Some(name) => format!("metadata.name={}", segment(name)?),
            None => String::new(),
        };
        let (databases, _) =
            self.list::<DatabaseWire>(&api, namespace, kind.plural(), labels, &fields).await?;
        let mut databases: Vec<Database> = databases.into_iter().map(|d| d.database(kind, &api)).collect();
        if databases.is_empty() {
            return Ok(Vec::new());
        }
        databases.sort_by(|a, b| {
            let key = |d: &Database| (d.object.namespace.clone(), d.object.name.clone());
            key(a).cmp(&key(b))
        });
        let lists = self.lists(kind, namespace, name, true).await?;
        Ok(databases.into_iter().map(|db| lists.of(db)).collect())
    }

    /// The same database again, for whoever looks at it every few seconds: the catalog is kept, and the budgets are read
    /// as well, if the user may. `None` if it is gone, or another one has its name.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn look_again(&self, before: &Snapshot) -> Result<Option<Found>, ClusterError> {
        let (kind, db) = (before.database.kind, &before.database.object);
        let (namespace, name) = (db.namespace.as_str(), db.name.as_str());
        let (database, lists, budgets) = tokio::try_join!(
            self.listed_database(kind, &db.api_version, namespace, name),
            self.lists(kind, namespace, Some(name), false),
            self.readable::<BudgetWire>("policy/v1", namespace, "poddisruptionbudgets", "", ""),
        )?;
        let Some(database) = database.0.filter(|now| now.object.uid == db.uid) else { return Ok(None) };
        let mut found = lists.of(database);
        found.snapshot.catalog.clone_from(&before.catalog);
        if let Lookup::Found(budgets) = budgets {
            found.snapshot.budgets = budgets.into_iter().map(BudgetWire::budget).collect();
        }
        Ok(Some(found))
    }

    /// The collections, with or without the catalog.
    async fn lists(
        &self,
        kind: Kind,
        namespace: &str,
        name: Option<&str>,
        catalog: bool,
    ) -> Result<Lists, ClusterError> {
        let facts = kind.facts();
        let of_kind = format!("app.kubernetes.io/name={}.kubedb.com", kind.plural());
        let labels = match name {
            Some(name) => format!("{of_kind},app.kubernetes.io/instance={name}"),
            None => of_kind,
        };
        let [petset, statefulset, deployment] = WorkloadKind::ALL;
        let workloads = async |kind: WorkloadKind, wanted: bool| {
            if !wanted {
                return Ok(Lookup::Absent);
            }
            self.readable::<WorkloadWire>(kind.api_version(), namespace, kind.plural(), &labels, "").await
        };
        let versions = async {
            match catalog {
                true => self.readable(CATALOG_API, "", facts.version_plural, "", "").await,
                false => Ok(Lookup::Absent),
            }
        };
        let (petsets, statefulsets, deployments, pods, ops, versions, journals, locks) = tokio::try_join!(
            workloads(petset, true),
            workloads(statefulset, true),
            workloads(deployment, facts.deployments),
            self.readable::<PodWire>("v1", namespace, "pods", &labels, ""),
            self.readable::<OpsRequestWire>(OPS_API, namespace, facts.ops_plural, "", ""),
            versions,
            self.journals(kind, namespace, name),
            self.locks(kind, namespace, name),
        )?;
        let mut unread = Vec::new();
        let workloads = [(petset, petsets), (statefulset, statefulsets), (deployment, deployments)]
            .into_iter()
            .map(|(kind, found)| (kind, read_or_say(found, kind.plural(), &mut unread)))
            .collect();
        let versions: Vec<VersionWire> = read_or_say(versions, facts.version_plural, &mut unread);
        Ok(Lists {
            workloads,
            pods: read_or_say(pods, "pods", &mut unread),
            ops_requests: ops,
            catalog: versions.into_iter().map(|v| v.version(facts.image_fields())).collect(),
            journals: journals.map(|all| all.into_iter().collect()),
            locks: read_or_say(locks, "leases", &mut unread).into_iter().collect(),
            unread,
        })
    }

    /// The journals by namespace and name. A single journal is read with `get`, because a user who may read it may not be
    /// allowed to list.
    async fn journals(
        &self,
        kind: Kind,
        namespace: &str,
        name: Option<&str>,
    ) -> Result<Lookup<Vec<(Place, Journal)>>, ClusterError> {
        let Some(name) = name else {
            let label = format!("kubectl-dbupdate/journal={}", kind.singular());
            let maps = self.readable::<ConfigMapWire>("v1", namespace, "configmaps", &label, "").await?;
            return Ok(maps.map(|all| all.into_iter().map(ConfigMapWire::journal).collect()));
        };
        let found = self.read_journal(kind, namespace, name).await?;
        Ok(found.map(|journal| vec![(place(kind, namespace, name), journal)]))
    }

    async fn locks(
        &self,
        kind: Kind,
        namespace: &str,
        name: Option<&str>,
    ) -> Result<Lookup<Vec<(Place, Lock)>>, ClusterError> {
        let Some(name) = name else {
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

impl Lists {
    /// Selects the objects of one database.
    fn of(&self, database: Database) -> Found {
        let (namespace, name) = (database.object.namespace.clone(), database.object.name.clone());
        let uid = database.object.uid.clone();
        let here = |wire: &&WorkloadWire| wire.metadata.namespace == namespace;
        let workloads = self.workloads.iter().flat_map(|(kind, found)| {
            found.iter().filter(here).filter_map(|w| w.clone().workload(*kind, &uid))
        });
        let instance = |p: &&PodWire| {
            p.metadata.namespace == namespace
                && p.metadata.labels.get("app.kubernetes.io/instance") == Some(&name)
        };
        let pods: Vec<Pod> = self.pods.iter().filter(instance).map(|p| p.clone().pod()).collect();
        let facts = database.kind.facts();
        let ops_requests = match &self.ops_requests {
            Lookup::Found(all) => {
                let here = all.iter().filter(|r| r.metadata.namespace == namespace);
                Lookup::Found(here.filter_map(|r| r.clone().of(facts.ops_kind, &name)).collect())
            }
            Lookup::Absent => Lookup::Absent,
            Lookup::Unreadable(why) => Lookup::Unreadable(why.clone()),
        };
        let key = place(database.kind, &namespace, &name);
        let journal = match &self.journals {
            Lookup::Found(all) => all.get(&key).map_or(Lookup::Absent, |j| Lookup::Found(j.clone())),
            Lookup::Absent => Lookup::Absent,
            Lookup::Unreadable(why) => Lookup::Unreadable(why.clone()),
        };
        let snapshot = Snapshot {
            workloads: workloads.collect(),
            pods,
            budgets: Vec::new(),
            ops_requests,
            served: Vec::new(),
            cordoned: Lookup::Absent,
            catalog: self.catalog.clone(),
            lock: self.locks.get(&key).cloned(),
            environment: Environment::default(),
            database,
        };
        Found { snapshot, journal, unread: self.unread.clone() }
    }
}
