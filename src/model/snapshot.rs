use super::{
    Budget, CatalogVersion, Completion, Database, Environment, Health, Lookup, OpsRequest, Pod, Revision,
    Workload, WorkloadKind, WorkloadPlan,
};

/// Everything that an update depends on, as read from the cluster at one moment, and kept up to date by watches during
/// a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub database: Database,
    /// PetSets, StatefulSets and Deployments that carry the database's labels *and* have it as their controller.
    pub workloads: Vec<Workload>,
    /// Pods that carry the database's labels.
    pub pods: Vec<Pod>,
    /// The revisions of the workloads' templates that pods were created from, as far as they are not the current ones; those
    /// only where there are such pods. A run adds the current ones.
    pub revisions: Lookup<Vec<Revision>>,
    /// Every PodDisruptionBudget of the namespace.
    pub budgets: Vec<Budget>,
    /// The ops requests for this database, including those that have ended.
    pub ops_requests: Lookup<Vec<OpsRequest>>,
    /// The kinds of workloads that the cluster serves.
    pub served: Vec<WorkloadKind>,
    /// Nodes that are cordoned.
    pub cordoned: Lookup<Vec<String>>,
    /// The version objects of the database's kind.
    pub catalog: Vec<CatalogVersion>,
    /// The lock that a run holds on the database.
    pub lock: Option<Lock>,
    /// What the database said of itself; [`Lookup::Absent`] if it was not asked.
    pub health: Lookup<Health>,
    /// What its version still allows or needs, or what leads back; [`Lookup::Absent`] if it was not asked.
    pub completion: Lookup<Completion>,
    /// What was read besides the database, for the preflight.
    pub environment: Environment,
}

impl Snapshot {
    /// The pods that a workload runs.
    ///
    /// A Deployment's pods are owned by its ReplicaSets, so they are found by the selector instead, except for pods
    /// that another workload owns.
    pub fn pods_of<'a>(&'a self, workload: &'a Workload) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(move |p| self.runs(workload, p))
    }

    pub(super) fn runs(&self, workload: &Workload, pod: &Pod) -> bool {
        if workload.kind.owns_pods() {
            return pod.owner == workload.object.uid;
        }
        !workload.selector.is_empty()
            && workload.selector.iter().all(|(k, v)| pod.labels.get(k) == Some(v))
            && !self.workloads.iter().any(|w| w.object.uid == pod.owner)
    }

    /// The workloads whose pods are the database itself.
    pub fn members(&self) -> impl Iterator<Item = &Workload> {
        self.workloads.iter().filter(|w| !w.kind.serves_only())
    }

    /// The names of a workload's pods that are not healthy, and how many of its pods do not exist.
    pub fn not_ready(&self, workload: &Workload) -> (Vec<String>, i64) {
        let (healthy, unhealthy): (Vec<_>, Vec<_>) = self.pods_of(workload).partition(|p| p.healthy());
        let missing = workload.replicas - (healthy.len() + unhealthy.len()) as i64;
        (unhealthy.into_iter().map(|p| p.name.clone()).collect(), missing.max(0))
    }

    /// How many pods a workload is to have, and how many are on the target and healthy; none if it is gone.
    pub fn count(&self, planned: &WorkloadPlan) -> (u64, u64) {
        let Some(now) = self.workload(&planned.object.uid) else { return (0, 0) };
        let done = self.pods_of(now).filter(|p| p.healthy() && self.on_target(planned, p)).count();
        (now.replicas.max(0).unsigned_abs(), done as u64)
    }

    /// The same snapshot with empty lists, to be read again: it avoids a second copy of a thousand pods.
    pub fn to_read_anew(&self) -> Snapshot {
        Snapshot {
            database: self.database.clone(),
            workloads: Vec::new(),
            pods: Vec::new(),
            revisions: self.revisions.clone(),
            budgets: Vec::new(),
            ops_requests: Lookup::Absent,
            served: self.served.clone(),
            cordoned: self.cordoned.clone(),
            catalog: self.catalog.clone(),
            lock: self.lock.clone(),
            health: self.health.clone(),
            completion: self.completion.clone(),
            environment: self.environment.clone(),
        }
    }

    /// What the database said of itself, if it was asked and has answered.
    pub fn said(&self) -> Option<&Health> {
        self.health.found()
    }

    /// The pod leads the database, as far as is known, so that it goes last.
    pub fn leads(&self, pod: &Pod) -> bool {
        self.said().is_some_and(|health| health.leads(&pod.name))
    }

    /// The workload of that uid.
    pub fn workload(&self, uid: &str) -> Option<&Workload> {
        self.workloads.iter().find(|w| w.object.uid == uid)
    }

    /// The ops requests that have not ended.
    pub fn ops_in_flight(&self) -> impl Iterator<Item = &OpsRequest> {
        self.all_ops_requests().iter().filter(|r| !r.ended())
    }

    /// The ops request of that name.
    pub fn ops_request(&self, name: &str) -> Option<&OpsRequest> {
        self.all_ops_requests().iter().find(|r| r.name == name)
    }

    fn all_ops_requests(&self) -> &[OpsRequest] {
        match &self.ops_requests {
            Lookup::Found(all) => all,
            Lookup::Absent | Lookup::Unreadable(_) => &[],
        }
    }

    /// The budgets that cover a pod.
    pub fn budgets_of<'a>(&'a self, pod: &'a Pod) -> impl Iterator<Item = &'a Budget> {
        self.budgets.iter().filter(|b| b.covers(pod))
    }

    /// The catalog's object of that name.
    pub fn version(&self, name: &str) -> Option<&CatalogVersion> {
        self.catalog.iter().find(|v| v.name == name)
    }
}

/// A Lease that a run holds on the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Who, on which host, with which run.
    pub holder: String,
    /// When it was taken, as the holder wrote it.
    pub since: String,
    /// When it was renewed last, as the holder wrote it, in RFC 3339.
    pub renewed: String,
    /// How many seconds it is valid after each renewal.
    pub duration_seconds: i64,
    /// It changes with every renewal.
    pub resource_version: String,
    /// Whether the holder is alive: only watching can tell, because the clocks of two machines are never compared.
    pub alive: bool,
}
