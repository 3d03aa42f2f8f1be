//! One database in a cluster whose controllers do not run, and what the preflight says of it.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeSet;

use kubectl_dbupdate::cluster::{Cluster, ClusterError};
use kubectl_dbupdate::model::{
    Check, Environment, Finding, ImageFound, Kind, Method, Methods, Permission, Plan, Severity, Snapshot,
};
use kubectl_dbupdate::plan::update::{self, Request};
use serde_json::Value;
use simcluster::world::{Database, catalog};
use simcluster::{Behaviour, SimCluster, Store, object};

pub const NAMESPACE: &str = "default";
pub const BUDGETS: &str = "poddisruptionbudgets.policy";
pub const PETSETS: &str = "petsets.apps.k8s.appscode.com";

/// A finding as the user reads it: the check, what is the case, and what to do about it.
pub type Said<'a> = (Check, &'a str, &'a str);

pub struct Scene {
    pub sim: SimCluster,
    pub kind: Kind,
    pub name: String,
    /// The way that is asked for.
    pub method: Option<Method>,
}

impl Scene {
    pub fn new(database: Database) -> Self {
        let sim = SimCluster::new(Behaviour::default());
        catalog::install(sim.store());
        Self::on(sim, database)
    }

    /// In a cluster whose catalog the test has made.
    pub fn on(sim: SimCluster, database: Database) -> Self {
        let installed = database.install(&sim);
        let kind =
            installed["kind"].as_str().and_then(|k| Kind::ALL.into_iter().find(|kind| kind.name() == k));
        let (kind, name) = (kind.expect("a kind that we know"), object::name(&installed).to_owned());
        Scene { kind, name, method: None, sim }
    }

    pub fn store(&self) -> &Store {
        self.sim.store()
    }

    pub fn cluster(&self) -> Cluster {
        Cluster::new(kube::Client::new(self.sim.transport(), NAMESPACE), "sim")
    }

    /// The database's resource, as the store names it.
    pub fn res(&self) -> String {
        format!("{}.kubedb.com", self.kind.plural())
    }

    pub fn change_database_status(&self, change: impl FnOnce(&mut Value)) {
        self.store().update_status(&self.res(), NAMESPACE, &self.name, change).expect("it is there");
    }

    pub fn change(&self, res: &str, name: &str, change: impl FnOnce(&mut Value)) {
        self.store().update(res, NAMESPACE, name, change).expect("it is there");
    }

    pub fn change_status(&self, res: &str, name: &str, change: impl FnOnce(&mut Value)) {
        self.store().update_status(res, NAMESPACE, name, change).expect("it is there");
    }

    /// Changes a version object of the database's kind.
    pub fn change_version(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.store().update(&self.versions(), "", name, change).expect("it is there");
    }

    /// The resource of the kind's version objects.
    pub fn versions(&self) -> String {
        format!("{}versions.catalog.kubedb.com", self.kind.singular())
    }

    pub fn condition(&self, kind: &str, status: &str, message: &str) {
        let condition = serde_json::json!({
            "type": kind, "status": status, "reason": kind, "message": message,
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        });
        self.change_database_status(|db| {
            db["status"]["conditions"].as_array_mut().expect("it has conditions").push(condition);
        });
    }

    /// The pod loses its readiness.
    pub fn unready(&self, pod: &str) {
        self.change_status("pods", pod, |pod| {
            for condition in pod["status"]["conditions"].as_array_mut().expect("it has conditions") {
                if condition["type"] == "Ready" {
                    condition["status"] = "False".into();
                }
            }
        });
    }

    pub async fn read(&self) -> Result<Snapshot, ClusterError> {
        self.cluster().snapshot(self.kind, NAMESPACE, &self.name).await
    }

    /// What is asked beside the database.
    pub async fn environment(&self, permissions: &[Permission]) -> Environment {
        let environment = self.cluster().environment(self.kind, NAMESPACE, &self.name, permissions).await;
        environment.expect("it can be asked")
    }

    pub async fn plan(&self, to: &str) -> Plan {
        self.plan_skipping(to, &[]).await
    }

    pub async fn plan_skipping(&self, to: &str, skip: &[Check]) -> Plan {
        self.plan_knowing(to, skip, &[]).await
    }

    /// With what registries have said of images.
    pub async fn plan_knowing(&self, to: &str, skip: &[Check], images: &[(&str, ImageFound)]) -> Plan {
        let mut snapshot = self.read().await.expect("the database can be read");
        snapshot.environment.images =
            images.iter().map(|(name, found)| ((*name).to_owned(), found.clone())).collect();
        let request = Request {
            methods: Methods { all: self.method, ..Methods::default() },
            skip: skip.iter().copied().collect(),
            ..Request::to(to)
        };
        update::plan(&snapshot, &request).expect("the target is in the catalog")
    }

    /// Exactly these refusals are found, and no override helps.
    pub async fn refuses(&self, to: &str, refusals: &[Said<'_>]) -> Plan {
        let plan = self.plan(to).await;
        assert_eq!(said(&plan, Severity::Refusal), refusals);
        let own = refusals.iter().map(|(check, _, _)| *check);
        let skipped: Vec<_> = Check::OVERRIDABLE.into_iter().chain(own).collect();
        let all = self.plan_skipping(to, &skipped).await;
        assert_eq!(said(&all, Severity::Refusal), refusals, "with everything overridden");
        plan
    }

    /// Exactly this refusal is found, and its own override turns it into a remark; any other does not.
    pub async fn yields(&self, to: &str, (check, message, hint): Said<'_>) {
        let plan = self.plan(to).await;
        assert_eq!(said(&plan, Severity::Refusal), [(check, message, hint)]);
        let mut others: BTreeSet<Check> = Check::OVERRIDABLE.into();
        assert!(others.remove(&check), "{check} cannot be overridden");
        let others: Vec<_> = others.into_iter().collect();
        let plan = self.plan_skipping(to, &others).await;
        assert_eq!(said(&plan, Severity::Refusal), [(check, message, hint)], "with every other overridden");
        let plan = self.plan_skipping(to, &[check]).await;
        assert_eq!(said(&plan, Severity::Refusal), []);
        assert_eq!(said(&plan, Severity::Overridden), [(check, message, hint)]);
    }

    /// Nothing is refused; exactly these warnings are found.
    pub async fn warns(&self, to: &str, warnings: &[(Check, &str)]) -> Plan {
        let plan = self.plan(to).await;
        assert_eq!(said(&plan, Severity::Refusal), []);
        let found: Vec<_> = said(&plan, Severity::Warning).into_iter().map(|(c, m, _)| (c, m)).collect();
        assert_eq!(found, warnings);
        plan
    }
}

/// The findings of that severity, in their order.
pub fn said(plan: &Plan, severity: Severity) -> Vec<Said<'_>> {
    let of_it = plan.findings.iter().filter(|f| f.severity == severity);
    of_it.map(|f| (f.check, f.message.as_str(), f.hint.as_str())).collect()
}

/// What that check has found.
pub fn of(plan: &Plan, check: Check) -> Vec<&Finding> {
    plan.findings.iter().filter(|f| f.check == check).collect()
}
