//! A small world for the tests of this folder: two workloads of three pods, and a plan for them.

use std::collections::BTreeMap;

use crate::model::{
    Action, Database, Health, HealthChecker, ImageChange, Kind, Lookup, Member, ObjectRef, PLAN_SCHEMA,
    Phase, Plan, Pod, PodAction, PodManagement, PodPlan, PodTimes, Snapshot, Strategy, UpdateStrategy,
    Verdict, VersionRef, Workload, WorkloadKind, WorkloadPlan,
};

pub(super) const OLD: &str = "repo/db:1";
pub(super) const NEW: &str = "repo/db:2";

pub(super) fn object(name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "apps.k8s.appscode.com/v1".into(),
        kind: "PetSet".into(),
        plural: "petsets".into(),
        namespace: "ns".into(),
        name: name.into(),
        uid: format!("uid-of-{name}"),
    }
}

pub(super) fn workload(name: &str, replicas: i64) -> Workload {
    Workload {
        kind: WorkloadKind::PetSet,
        object: object(name),
        resource_version: "1".into(),
        labels: BTreeMap::new(),
        generation: 1,
        observed_generation: 1,
        replicas,
        status_replicas: replicas,
        ready_replicas: replicas,
        updated_replicas: 0,
        available_replicas: replicas,
        update_revision: "r2".into(),
        strategy: UpdateStrategy::OnDelete,
        partition: 0,
        placement_policy: None,
        source: None,
        replica_failure: None,
        pod_management: PodManagement::Parallel,
        min_ready_seconds: 0,
        distributed: false,
        selector: BTreeMap::new(),
        containers: Vec::new(),
        grace_seconds: 30,
        terms: crate::model::PodTerms::default(),
        template: 0,
        deleting: false,
    }
}

/// A pod in one word: `old` and `new` are healthy, `ill-old` and `ill-new` are not, `-going` is being deleted.
pub(super) fn pod(workload: &str, ordinal: usize, word: &str) -> Pod {
    let (ill, goal) = (word.starts_with("ill-"), word.ends_with("-going"));
    let image = if word.contains("old") { OLD } else { NEW };
    Pod {
        name: format!("{workload}-{ordinal}"),
        uid: format!("{workload}-{ordinal}-{image}"),
        resource_version: "1".into(),
        owner: object(workload).uid,
        labels: BTreeMap::new(),
        revision: String::new(),
        node: None,
        phase: "Running".into(),
        ready: !ill,
        conditions: Vec::new(),
        deleting: goal,
        grace_seconds: 30,
        finalizers: Vec::new(),
        scheduling_gates: Vec::new(),
        closed_gates: Vec::new(),
        times: PodTimes::default(),
        images: vec![("db".into(), image.into())],
        containers: Vec::new(),
    }
}

/// Two workloads, `a` before `b`; a missing pod is `-`.
pub(super) fn snapshot(a: &[&str], b: &[&str]) -> Snapshot {
    let pods = [("a", a), ("b", b)].into_iter().flat_map(|(name, words)| {
        let there = words.iter().enumerate().filter(|(_, word)| **word != "-");
        there.map(move |(at, word)| pod(name, at, word))
    });
    Snapshot {
        database: Database {
            kind: Kind::Kafka,
            object: object("db"),
            resource_version: "1".into(),
            generation: 1,
            version: "1".into(),
            phase: Phase::Ready,
            conditions: Vec::new(),
            has_status: true,
            has_conditions: true,
            deleting: false,
            halted: false,
            health_checker: HealthChecker::default(),
            switched_on: Vec::new(),
            own_images: Vec::new(),
            access: Default::default(),
            owner: None,
        },
        workloads: vec![workload("a", a.len() as i64), workload("b", b.len() as i64)],
        pods: pods.collect(),
        revisions: Lookup::Absent,
        budgets: Vec::new(),
        ops_requests: Lookup::Absent,
        served: Vec::new(),
        cordoned: Lookup::Absent,
        catalog: Vec::new(),
        lock: None,
        health: Lookup::Absent,
        completion: Lookup::Absent,
        environment: Default::default(),
    }
}

/// What a database says of its pods: `yes`, `no`, `unknown`, with `leader` or `away` (not back) behind it.
pub(super) fn health(pods: &[(&str, &str)]) -> Health {
    let verdict = |word: &str| match word {
        word if word.starts_with("yes") => Verdict::Yes,
        word if word.starts_with("no") => Verdict::No { why: vec!["1 of 2 in sync".into()] },
        _ => Verdict::Unknown { why: vec!["no answer".into()] },
    };
    let member = |(pod, word): &(&str, &str)| Member {
        pod: (*pod).into(),
        uid: format!("uid-{pod}"),
        role: "member".into(),
        id: String::new(),
        version: String::new(),
        state: String::new(),
        leader: word.ends_with("leader"),
        back: if word.ends_with("away") { verdict("no") } else { Verdict::Yes },
        may_go: verdict(word),
        unasked: word.starts_with("unasked"),
        busy: Vec::new(),
    };
    Health { members: pods.iter().map(member).collect(), remarks: Vec::new(), ..Health::default() }
}

/// The plan in which those pods were unhealthy from the start.
pub(super) fn plan(ill: &[&str]) -> Plan {
    let planned = |name: &str| WorkloadPlan {
        kind: WorkloadKind::PetSet,
        object: object(name),
        role: name.into(),
        strategy: Strategy::Evict,
        replicas: 3,
        min_ready_seconds: 0,
        images: vec![ImageChange {
            container: "db".into(),
            init: false,
            index: 0,
            now: OLD.into(),
            after: NEW.into(),
        }],
        kept: Vec::new(),
        added: Vec::new(),
        removed: Vec::new(),
        rewriting: Vec::new(),
        pods: (0..3)
            .map(|at| format!("{name}-{at}"))
            .map(|name| PodPlan {
                action: if ill.contains(&name.as_str()) {
                    PodAction::EvictUnhealthy
                } else {
                    PodAction::Evict
                },
                name,
                waits_for: String::new(),
            })
            .collect(),
    };
    Plan {
        schema: PLAN_SCHEMA.into(),
        kind: Kind::Kafka,
        database: object("db"),
        from: VersionRef { name: "1".into(), version: "1".into() },
        to: VersionRef { name: "2".into(), version: "2".into() },
        action: Action::Update,
        method: crate::model::Method::Client,
        ops_request: None,
        pre_pull: None,
        health: None,
        finish: None,
        workloads: vec![planned("a"), planned("b")],
        findings: Vec::new(),
        missing: Vec::new(),
        path: Vec::new(),
    }
}
