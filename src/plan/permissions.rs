//! The permissions that a run needs, so that it does not stop halfway because one is missing.
//!
//! `docs/rbac.yaml` grants the same, and `tests/rbac` compares both with the requests that are sent.

use std::collections::BTreeSet;

use crate::model::{
    AUTH_SCHEMA, Access, Auth, BACKUP_APIS, GITOPS_API, Kind, Lacking, Lookup, ObjectRef, Permission, Rule,
    Rules, Snapshot, UpdateStrategy, Weight, WorkloadKind,
};

/// The API group of ops requests.
const OPS: &str = "ops.kubedb.com";

/// In the order in which people usually write them.
const VERBS: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];

/// The parts of a database that determine which permissions its update needs.
struct Subject<'a> {
    kind: Kind,
    name: &'a str,
    /// The kinds of workload that are watched.
    served: Vec<WorkloadKind>,
    /// Those that the database has.
    owned: Vec<WorkloadKind>,
    /// This tool evicts pods: not every workload's controller restarts them.
    evicts: bool,
    access: Access,
    ops_requests: bool,
}

impl<'a> Subject<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let mut owned: Vec<WorkloadKind> = snapshot.workloads.iter().map(|w| w.kind).collect();
        owned.sort_by_key(|k| k.plural());
        owned.dedup();
        Subject {
            kind: snapshot.database.kind,
            name: &snapshot.database.object.name,
            served: snapshot.served.clone(),
            owned,
            evicts: snapshot.workloads.iter().any(|w| w.strategy == UpdateStrategy::OnDelete),
            access: snapshot.database.access.clone(),
            ops_requests: snapshot.ops_requests != Lookup::Absent,
        }
    }

    /// Everything that a database of its kind may have.
    fn any(kind: Kind, name: &'a str) -> Self {
        let may_have = |workload: &WorkloadKind| kind.facts().may_have(*workload);
        let served: Vec<WorkloadKind> = WorkloadKind::ALL.into_iter().filter(may_have).collect();
        let access = Access::of(name);
        Subject { kind, name, owned: served.clone(), served, evicts: true, access, ops_requests: true }
    }

    /// A database that could not be read, in a cluster that serves these APIs: everything that a database of its kind
    /// may have.
    fn unread(kind: Kind, name: &'a str, apis: &BTreeSet<String>) -> Self {
        let any = Subject::any(kind, name);
        let served = any.served.into_iter().filter(|workload| apis.contains(workload.api_version()));
        let served: Vec<WorkloadKind> = served.collect();
        let ops_requests = apis.iter().any(|api| group_of(api) == OPS);
        Subject { owned: served.clone(), served, ops_requests, ..any }
    }

    /// What is needed to read a snapshot; without it, reading fails.
    fn reading(&self) -> Vec<Permission> {
        let (facts, beside) = (self.kind.facts(), self.kind.lock_and_journal(self.name));
        let mut all: Vec<Permission> = ["get", "list"]
            .map(|verb| Permission::new(verb, "kubedb.com", self.kind.plural()).named(self.name))
            .into();
        all.extend(self.served.iter().map(|kind| Permission::new("list", group(*kind), kind.plural())));
        all.push(Permission::new("list", "", "pods"));
        all.push(Permission::new("list", "policy", "poddisruptionbudgets"));
        if self.ops_requests {
            all.push(Permission::new("list", OPS, facts.ops_plural));
        }
        all.push(Permission::new("list", "catalog.kubedb.com", facts.version_plural));
        all.push(Permission::new("get", "coordination.k8s.io", "leases").named(&beside));
        all
    }

    /// What a run needs in addition that changes pod templates and restarts pods.
    fn updating(&self) -> Vec<Permission> {
        let mut all = self.following();
        let plural = self.kind.plural();
        all.extend(
            ["", "/status"].map(|sub| {
                Permission::new("patch", "kubedb.com", &format!("{plural}{sub}")).named(self.name)
            }),
        );
        for kind in &self.owned {
            all.extend(["get", "patch"].map(|verb| Permission::new(verb, group(*kind), kind.plural())));
        }
        all.extend(["get", "delete"].map(|verb| Permission::new(verb, "", "pods")));
        if self.evicts {
            all.push(Permission::new("create", "", "pods/eviction"));
        }
        all
    }

    /// What every run needs in addition: it watches the database, and has a lock, a journal and Events.
    fn following(&self) -> Vec<Permission> {
        let (plural, beside) = (self.kind.plural(), self.kind.lock_and_journal(self.name));
        let mut all = vec![Permission::new("watch", "kubedb.com", plural).named(self.name)];
        all.extend(self.served.iter().map(|kind| Permission::new("watch", group(*kind), kind.plural())));
        all.push(Permission::new("watch", "", "pods"));
        all.push(Permission::new("watch", "policy", "poddisruptionbudgets"));
        if self.ops_requests {
            all.push(Permission::new("watch", OPS, self.kind.facts().ops_plural));
        }
        for (group, resource, verbs) in [
            ("coordination.k8s.io", "leases", &["watch", "patch", "delete"][..]),
            ("", "configmaps", &["get", "patch"]),
        ] {
            // RBAC cannot restrict `create` by name, because the object does not exist yet.
            all.push(Permission::new("create", group, resource));
            all.extend(verbs.iter().map(|verb| Permission::new(verb, group, resource).named(&beside)));
        }
        all.push(Permission::new("create", "", "events"));
        all
    }

    /// What is needed to create an ops request.
    fn requesting(&self) -> Permission {
        Permission::new("create", OPS, self.kind.facts().ops_plural)
    }

    /// What is needed to ask the database itself, and to finish an update.
    fn asking(&self) -> Vec<Permission> {
        // A WebSocket is asked for by a GET. From 1.35 on the API server wants `create` as well
        // (AuthorizePodWebsocketUpgradeCreatePermission).
        let socket = |resource| ["get", "create"].map(|verb| Permission::new(verb, "", resource));
        let mut all = Vec::from(socket("pods/portforward"));
        let protocol = self.kind.facts().questions.protocol;
        all.extend(protocol.has_open_pages().then(|| Permission::new("get", "", "pods/proxy")));
        if self.kind.facts().finishing.runs_commands {
            all.extend(socket("pods/exec"));
        }
        if !protocol.takes_credentials() {
            return all;
        }
        let Access { tls, open, auth_secret, client_secret, .. } = &self.access;
        let secret = |name: &String| Permission::new("get", "", "secrets").named(name);
        all.extend((!open).then(|| secret(auth_secret)));
        all.extend(tls.then(|| secret(client_secret)));
        all
    }

    /// What is read besides the database, and for messages when something goes wrong.
    fn aside(&self, apis: &BTreeSet<String>) -> Vec<Permission> {
        let mut all = vec![
            Permission::new("list", "", "nodes"),
            Permission::new("get", "", "nodes"),
            Permission::new("list", "", "events"),
            Permission::new("list", "apps", "controllerrevisions"),
            creating_pods(),
        ];
        all.extend(self.asking());
        if self.served.contains(&WorkloadKind::PetSet) {
            all.push(Permission::new("list", group(WorkloadKind::PetSet), "placementpolicies"));
        }
        if self.ops_requests {
            all.push(Permission::new("get", OPS, self.kind.facts().ops_plural));
            all.push(self.requesting());
        }
        if apis.contains(GITOPS_API) {
            all.push(Permission::new("get", group_of(GITOPS_API), self.kind.plural()).named(self.name));
        }
        for group in BACKUP_APIS.into_iter().filter(|api| apis.contains(*api)).map(group_of) {
            all.extend(
                ["backupsessions", "restoresessions"].map(|plural| Permission::new("list", group, plural)),
            );
            all.push(Permission::new("get", group, "backupconfigurations"));
        }
        all
    }
}

/// What is needed to bring images to nodes, besides the removal of pods, and to try whether a new pod would be refused.
pub fn creating_pods() -> Permission {
    Permission::new("create", "", "pods")
}

fn group(kind: WorkloadKind) -> &'static str {
    group_of(kind.api_version())
}

/// The group of a `group/version`.
fn group_of(api: &str) -> &str {
    api.split_once('/').map_or("", |(group, _)| group)
}

/// What a run does, as far as its permissions depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It updates or rolls back. The permissions for the other methods are needed even with the Ops-manager, for a
    /// rollback.
    Update {
        /// By the Ops-manager.
        ops_manager: bool,
        /// Images are brought to the nodes first.
        pre_pull: bool,
    },
    /// It finishes an update: no object of the database is changed, and no pod restarted.
    Finish,
}

/// Every permission that such a run, its resumption or its rollback needs, except those that reading the snapshot has
/// already proved.
pub fn needed(snapshot: &Snapshot, doing: Doing) -> Vec<Permission> {
    let subject = Subject::of(snapshot);
    let Doing::Update { ops_manager, pre_pull } = doing else { return subject.following() };
    let mut all = subject.updating();
    all.extend(Some(subject.requesting()).filter(|_| ops_manager));
    all.extend(Some(creating_pods()).filter(|_| pre_pull));
    all
}

/// Every permission that the run of any plan for that database may need: what [`needed`] is chosen from, for whoever asks
/// about them before the database is read.
pub fn possible(kind: Kind, name: &str) -> Vec<Permission> {
    let subject = Subject::any(kind, name);
    let mut all = subject.updating();
    all.extend([subject.requesting(), creating_pods()]);
    all
}

/// Every permission that an update of a database needs, from the first read on, or would use. `apis` are the
/// `group/version`s that the cluster serves. If the database could not be read, these are the permissions that any
/// database of its kind may need.
pub fn all(kind: Kind, name: &str, read: Option<&Snapshot>, apis: &BTreeSet<String>) -> Vec<Permission> {
    let subject = read.map_or_else(|| Subject::unread(kind, name, apis), Subject::of);
    let mut all = subject.reading();
    all.extend(subject.updating());
    all.extend(subject.aside(apis));
    let rank = |p: &Permission| VERBS.iter().position(|verb| *verb == p.verb);
    all.sort_by(|a, b| {
        (&a.group, &a.resource, rank(a), &a.name).cmp(&(&b.group, &b.resource, rank(b), &b.name))
    });
    all
}

/// What a run cannot do without that permission.
pub fn weight(permission: &Permission) -> Weight {
    let Permission { group, resource, verb, .. } = permission;
    match (group.as_str(), resource.as_str(), verb.as_str()) {
        ("", "configmaps", _) => Weight::Journal,
        ("", "events", "create") => Weight::Spared("Events will not be recorded on the database"),
        ("", "events", _) => {
            Weight::Spared("the last Event of a stuck pod, and why a pod is not created, will not be shown")
        }
        (_, "placementpolicies", _) => {
            Weight::Spared("whether a PlacementPolicy that a PetSet names exists will not be checked")
        }
        ("", "pods/portforward" | "pods/proxy" | "secrets", _) => {
            Weight::Spared("the database may not be asked whether it can bear the restart of a pod")
        }
        ("", "pods/exec", _) => {
            Weight::Spared("what an update leaves to be finished cannot be asked or done")
        }
        ("", "pods", "delete") => Weight::Spared(
            "a rollback cannot replace a broken pod whose eviction a PodDisruptionBudget forbids",
        ),
        ("", "pods", "create") => Weight::Spared("--pre-pull is not possible"),
        ("", "nodes", "list") => Weight::Spared("cordoned nodes will not be detected"),
        ("", "nodes", _) => Weight::Spared("the images and the state of nodes will not be shown"),
        ("apps", "controllerrevisions", _) => {
            Weight::Spared("what pods on an older revision were created from will not be known")
        }
        (OPS, _, "create") => Weight::Spared("--via ops-manager is not possible"),
        (OPS, _, "get") => Weight::Spared("who created an ops request will not be shown"),
        (group, _, _) if group == group_of(GITOPS_API) => {
            Weight::Spared("whether gitops.kubedb.com owns the database will not be checked")
        }
        (group, _, _) if BACKUP_APIS.into_iter().any(|api| group_of(api) == group) => {
            Weight::Spared("whether a backup is in progress will not be checked")
        }
        _ => Weight::Needed,
    }
}

/// What the missing permissions, of those that were checked, mean for an update.
pub fn auth(
    kind: Kind,
    database: ObjectRef,
    unread: Option<String>,
    asked: usize,
    denied: &[Permission],
) -> Auth {
    let lacking = denied.iter().map(|p| Lacking { permission: p.clone(), weight: weight(p) });
    let (cluster, namespace): (Vec<&Permission>, Vec<&Permission>) =
        denied.iter().partition(|p| p.of_the_cluster());
    Auth {
        schema: AUTH_SCHEMA.to_owned(),
        kind,
        database,
        allowed: denied.iter().all(|p| matches!(weight(p), Weight::Spared(_))),
        asked,
        lacking: lacking.collect(),
        rules: Rules { namespace: Rule::of(namespace), cluster: Rule::of(cluster) },
        unread,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_asked_with_the_secrets_and_by_the_proxy_only_where_it_takes_that() {
        for kind in Kind::ALL {
            let asking =
                Subject { access: Access { tls: true, ..Access::of("db") }, ..Subject::any(kind, "db") }
                    .asking();
            let count = |resource| asking.iter().filter(|permission| permission.resource == resource).count();
            assert_eq!(count("secrets"), if kind == Kind::ZooKeeper { 0 } else { 2 }, "{kind}");
            let has_pages = matches!(kind, Kind::ZooKeeper | Kind::Hazelcast);
            assert_eq!(count("pods/proxy"), usize::from(has_pages), "{kind}");
        }
    }
}
