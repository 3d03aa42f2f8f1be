//! What a user must be allowed to do, so that a run does not end half way for want of a permission.

use crate::model::{Lookup, Permission, Snapshot, UpdateStrategy, WorkloadKind};

/// What becomes of a run without a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It cannot be carried out.
    Needed,
    /// It keeps no journal, so that there is no way back by one command.
    Journal,
    /// It lacks something that it can do without; what.
    Spared(&'static str),
}

/// Every permission that the run of a plan, its resumption or its rollback needs, beside what reading the snapshot has
/// proven already.
pub fn needed(snapshot: &Snapshot) -> Vec<Permission> {
    let db = &snapshot.database;
    let (name, plural) = (db.object.name.as_str(), db.kind.plural());
    let status = format!("{plural}/status");
    let mut all = vec![
        Permission::new("watch", "kubedb.com", plural),
        Permission::new("patch", "kubedb.com", plural).named(name),
        Permission::new("patch", "kubedb.com", &status).named(name),
    ];
    for kind in &snapshot.served {
        all.push(Permission::new("watch", group(*kind), kind.plural()));
    }
    let mut kinds: Vec<WorkloadKind> = snapshot.workloads.iter().map(|w| w.kind).collect();
    kinds.sort_by_key(|k| k.plural());
    kinds.dedup();
    for kind in kinds {
        all.extend(["get", "patch"].map(|verb| Permission::new(verb, group(kind), kind.plural())));
    }
    all.extend(["get", "watch", "delete"].map(|verb| Permission::new(verb, "", "pods")));
    if snapshot.workloads.iter().any(|w| w.strategy == UpdateStrategy::OnDelete) {
        all.push(Permission::new("create", "", "pods/eviction"));
    }
    all.push(Permission::new("watch", "policy", "poddisruptionbudgets"));
    if let Lookup::Found(_) = snapshot.ops_requests {
        all.push(Permission::new("watch", "ops.kubedb.com", db.kind.facts().ops_plural));
    }
    all.extend(
        ["watch", "create", "patch", "delete"]
            .map(|verb| Permission::new(verb, "coordination.k8s.io", "leases")),
    );
    all.extend(["get", "create", "patch"].map(|verb| Permission::new(verb, "", "configmaps")));
    all.push(Permission::new("create", "", "events"));
    all
}

fn group(kind: WorkloadKind) -> &'static str {
    kind.api_version().split_once('/').map_or("", |(group, _)| group)
}

/// What becomes of a run that lacks that permission.
pub fn weight(permission: &Permission) -> Weight {
    match (permission.verb.as_str(), permission.resource.as_str()) {
        (_, "configmaps") => Weight::Journal,
        ("create", "events") => Weight::Spared("no Events are written on the database"),
        ("delete", "pods") => Weight::Spared(
            "going back cannot replace a broken pod whose eviction a disruption budget forbids",
        ),
        _ => Weight::Needed,
    }
}
