//! What the preflight finds beside the database: permissions, whoever else keeps it, and backups.

use kubectl_dbupdate::model::{Check, Condition, PAUSED, Plan, Severity, Snapshot, rules};
use kubectl_dbupdate::plan::permissions::{self, Doing};
use kubectl_dbupdate::plan::update::{self, Request, Unfinished};
use kubectl_dbupdate::steps::s1_pause;
use serde_json::{Value, json};
use simcluster::world::Database;

use crate::scene::{NAMESPACE, Scene};

const UPDATE: Doing = Doing::Update { ops_manager: false, pre_pull: false };

const KUBESTASH: &str = "core.kubestash.com";
const STASH: &str = "stash.appscode.com";

fn zookeeper() -> Scene {
    Scene::new(Database::zookeeper("zk"))
}

/// The snapshot with what is asked beside it, as the command reads it.
async fn look(scene: &Scene) -> Snapshot {
    let mut snapshot = scene.read().await.expect("the database can be read");
    let needed = permissions::needed(&snapshot, UPDATE);
    snapshot.environment = scene.environment(&needed).await;
    snapshot
}

fn planned(snapshot: &Snapshot, skip: &[Check], unfinished: bool) -> Plan {
    let to = "3.9.1".to_owned();
    let begun = || Unfinished {
        method: Default::default(),
        ops_request: None,
        run: "run1".to_owned(),
        who: "ann@laptop".to_owned(),
        began: String::new(),
        from: "3.8.3".to_owned(),
        to: "3.9.1".to_owned(),
        rollback: false,
        images: Vec::new(),
        pins: Vec::new(),
    };
    let unfinished = unfinished.then(begun);
    let request = Request { skip: skip.iter().copied().collect(), unfinished, ..Request::to(&to) };
    update::plan(snapshot, &request).expect("the target is in the catalog")
}

/// The same under the pause of the run that `planned` resumes.
fn paused(mut snapshot: Snapshot) -> Snapshot {
    snapshot.database.conditions.push(Condition {
        kind: PAUSED.to_owned(),
        status: "True".to_owned(),
        reason: PAUSED.to_owned(),
        message: s1_pause::message("run1", "ann@laptop", "3.8.3", "3.9.1"),
        ..Condition::default()
    });
    snapshot
}

/// What one check says, with its weight.
fn said(plan: &Plan, check: Check) -> Vec<(Severity, String)> {
    let of_it = plan.findings.iter().filter(|f| f.check == check);
    of_it.map(|f| (f.severity, f.message.clone())).collect()
}

async fn found(scene: &Scene, check: Check) -> Vec<(Severity, String)> {
    said(&planned(&look(scene).await, &[], false), check)
}

/// The one finding refuses, unless it is overridden by name, or the run has begun already.
async fn refuses(scene: &Scene, check: Check, message: &str) {
    let snapshot = look(scene).await;
    let message = message.to_owned();
    let one = |severity| vec![(severity, message.clone())];
    assert_eq!(said(&planned(&snapshot, &[], false), check), one(Severity::Refusal));
    assert_eq!(said(&planned(&snapshot, &[check], false), check), one(Severity::Overridden));
    assert_eq!(
        said(&planned(&snapshot, &[], true), check),
        one(Severity::Refusal),
        "only the journal says so"
    );
    assert_eq!(said(&planned(&paused(snapshot), &[], true), check), one(Severity::Warning));
}

#[tokio::test]
async fn who_may_do_everything_hears_of_nothing() {
    let snapshot = look(&zookeeper()).await;
    let plan = planned(&snapshot, &[], false);
    assert!(plan.missing.is_empty());
    let about =
        [Check::Permissions, Check::NoJournal, Check::Gitops, Check::Helm, Check::Backup, Check::NotChecked];
    for check in about {
        assert_eq!(said(&plan, check), [], "{check}");
    }
}

#[tokio::test]
async fn what_a_run_needs_is_missed_before_it_begins() {
    let scene = zookeeper();
    scene.sim.access().deny("create", "", "pods", "eviction");
    scene.sim.access().deny("patch", "kubedb.com", "zookeepers", "status");
    let plan = planned(&look(&scene).await, &[Check::NoJournal], false);
    let message =
        "missing permissions in namespace default: patch zookeepers.kubedb.com/status, create pods/eviction";
    assert_eq!(said(&plan, Check::Permissions), [(Severity::Refusal, message.to_owned())]);
    assert_eq!(
        rules(&plan.missing),
        "- apiGroups: [\"\"]\n  resources: [pods/eviction]\n  verbs: [create]\n\
         - apiGroups: [\"kubedb.com\"]\n  resources: [zookeepers/status]\n  verbs: [patch]\n"
    );
}

/// Each of them is asked for by its right name: without it the run would fail.
#[tokio::test]
async fn every_single_permission_is_asked_for() {
    let needed = permissions::needed(&look(&zookeeper()).await, UPDATE);
    for permission in &needed {
        let scene = zookeeper();
        let (resource, subresource) =
            permission.resource.split_once('/').unwrap_or((&permission.resource, ""));
        // Reading it at all needs this one.
        if (permission.verb.as_str(), resource) == ("get", "configmaps") {
            continue;
        }
        scene.sim.access().deny(&permission.verb, &permission.group, resource, subresource);
        let plan = planned(&look(&scene).await, &[], false);
        assert_eq!(plan.missing, std::slice::from_ref(permission));
        let check = if permission.resource == "configmaps" { Check::NoJournal } else { Check::Permissions };
        assert_eq!(said(&plan, check).len(), 1, "{permission}");
    }
}

#[tokio::test]
async fn without_a_journal_there_is_no_rollback() {
    let scene = zookeeper();
    scene.sim.access().deny("create", "", "configmaps", "");
    let plan = planned(&look(&scene).await, &[], false);
    let message =
        "no journal can be kept, so rollback will not be possible: missing permissions: create configmaps";
    assert_eq!(said(&plan, Check::NoJournal), [(Severity::Refusal, message.to_owned())]);
    let plan = planned(&look(&scene).await, &[Check::NoJournal], false);
    assert_eq!(plan.refusals().count(), 0);
}

#[tokio::test]
async fn what_a_run_can_do_without_is_a_warning() {
    let scene = zookeeper();
    scene.sim.access().deny("create", "", "events", "");
    scene.sim.access().deny("delete", "", "pods", "");
    let found = found(&scene, Check::Permissions).await;
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|(severity, _)| *severity == Severity::Warning), "{found:?}");
}

#[tokio::test]
async fn permissions_that_cannot_be_asked_for_are_said_to_be_unknown() {
    let scene = zookeeper();
    scene.sim.access().deny("create", "authorization.k8s.io", "selfsubjectaccessreviews", "");
    let found = found(&scene, Check::NotChecked).await;
    assert!(found[0].1.starts_with("could not check whether you have all permissions: "), "{found:?}");
}

#[tokio::test]
async fn nodes_that_cannot_be_read_are_said_to_be_unknown() {
    let scene = zookeeper();
    scene.sim.access().deny("list", "", "nodes", "");
    let found = found(&scene, Check::NotChecked).await;
    assert!(found[0].1.starts_with("could not check whether nodes are cordoned: "), "{found:?}");
}

fn mark(scene: &Scene, kind: &str, key: &str, value: &str) {
    scene.change(&scene.res(), "zk", |db| db["metadata"][kind][key] = json!(value));
}

#[tokio::test]
async fn a_gitops_controller_is_told_by_its_marks() {
    for (kind, key, value, owner) in [
        (
            "annotations",
            "argocd.argoproj.io/tracking-id",
            "shop:kubedb.com/ZooKeeper:db/zk",
            "Argo CD application shop",
        ),
        ("labels", "argocd.argoproj.io/instance", "shop", "Argo CD application shop"),
        ("labels", "kustomize.toolkit.fluxcd.io/name", "apps", "Flux Kustomization apps"),
        ("labels", "helm.toolkit.fluxcd.io/name", "zk", "Flux HelmRelease zk"),
    ] {
        let scene = zookeeper();
        mark(&scene, kind, key, value);
        let message = format!("zookeeper/zk is managed by {owner}, which would set the old version again");
        refuses(&scene, Check::Gitops, &message).await;
    }
}

#[tokio::test]
async fn an_object_of_gitops_kubedb_com_keeps_the_database() {
    let scene = zookeeper();
    scene.sim.apis().add("gitops.kubedb.com");
    assert_eq!(found(&scene, Check::Gitops).await, []);
    let kept = json!({ "metadata": { "name": "zk", "namespace": NAMESPACE }, "spec": {} });
    scene.store().create("zookeepers.gitops.kubedb.com", kept).expect("it is new");
    let message =
        "zookeeper/zk is managed by zookeepers.gitops.kubedb.com/zk, which would set the old version again";
    refuses(&scene, Check::Gitops, message).await;
    scene.sim.access().deny("get", "gitops.kubedb.com", "*", "");
    assert_eq!(found(&scene, Check::Gitops).await, []);
    assert_eq!(found(&scene, Check::NotChecked).await.len(), 1);
}

/// An optional API is asked before it is known whether the cluster serves it, and an API server refuses whoever may not read
/// it before it says that there is none.
#[tokio::test]
async fn what_the_cluster_does_not_serve_is_not_missed() {
    let scene = zookeeper();
    for group in ["gitops.kubedb.com", KUBESTASH, STASH] {
        scene.sim.access().deny("*", group, "*", "");
    }
    let plan = planned(&look(&scene).await, &[], false);
    for check in [Check::Gitops, Check::Backup, Check::NotChecked] {
        assert_eq!(said(&plan, check), [], "{check}");
    }
}

#[tokio::test]
async fn helm_is_a_warning() {
    let scene = zookeeper();
    mark(&scene, "labels", "app.kubernetes.io/managed-by", "Helm");
    mark(&scene, "annotations", "meta.helm.sh/release-name", "shop");
    let found = found(&scene, Check::Helm).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, Severity::Warning);
    assert!(found[0].1.contains("Helm release shop"), "{found:?}");
}

fn create(scene: &Scene, res: &str, name: &str, spec: &Value, phase: &str) {
    let object = json!({ "metadata": { "name": name, "namespace": NAMESPACE }, "spec": spec });
    scene.store().create(res, object).expect("it is new");
    if !phase.is_empty() {
        scene.change_status(res, name, |o| o["status"] = json!({ "phase": phase }));
    }
}

/// A configuration that backs up that database, and a session of it.
fn session(scene: &Scene, group: &str, target: &Value, phase: &str) {
    create(scene, &format!("backupconfigurations.{group}"), "nightly", &json!({ "target": target }), "");
    let invoker = json!({ "invoker": { "kind": "BackupConfiguration", "name": "nightly" } });
    create(scene, &format!("backupsessions.{group}"), "nightly-1", &invoker, phase);
}

#[tokio::test]
async fn a_backup_on_its_way_refuses() {
    for (group, target) in [(KUBESTASH, json!({ "name": "zk" })), (STASH, json!({ "ref": { "name": "zk" } }))]
    {
        let scene = zookeeper();
        scene.sim.apis().add(group);
        session(&scene, group, &target, "Running");
        let message = "BackupSession nightly-1 of the database is in progress: Running";
        refuses(&scene, Check::Backup, message).await;
    }
}

#[tokio::test]
async fn a_restore_on_its_way_refuses() {
    let scene = zookeeper();
    scene.sim.apis().add(KUBESTASH);
    let target = json!({ "target": { "name": "zk" } });
    create(&scene, "restoresessions.core.kubestash.com", "back", &target, "");
    refuses(&scene, Check::Backup, "RestoreSession back of the database is in progress: not started").await;
}

#[tokio::test]
async fn a_backup_that_has_ended_or_is_anothers_does_not() {
    for (target, phase) in [("zk", "Succeeded"), ("zk", "Failed"), ("zk", "Skipped"), ("other", "Running")] {
        let scene = zookeeper();
        scene.sim.apis().add(KUBESTASH);
        session(&scene, KUBESTASH, &json!({ "name": target }), phase);
        assert_eq!(found(&scene, Check::Backup).await, [], "{target} {phase}");
    }
}

#[tokio::test]
async fn backups_that_cannot_be_read_are_said_to_be_unknown() {
    let scene = zookeeper();
    scene.sim.apis().add(KUBESTASH);
    scene.sim.access().deny("list", KUBESTASH, "*", "");
    assert_eq!(found(&scene, Check::Backup).await, []);
    assert_eq!(found(&scene, Check::NotChecked).await.len(), 1);
}

#[tokio::test]
async fn credentials_that_may_not_last_are_a_warning() {
    let mut snapshot = look(&zookeeper()).await;
    // Three pods at two minutes, and five beside them.
    for (left, message) in [
        (Some(11 * 60), None),
        (None, None),
        (Some(11 * 60 - 1), Some("your credentials expire in 10 min, but updating 3 pods may take 11 min")),
        (Some(90), Some("your credentials expire in 90 s, but updating 3 pods may take 11 min")),
        (Some(-5), Some("your credentials have expired")),
    ] {
        snapshot.environment.credentials_left = left;
        let expected: Vec<_> = message.map(|m| (Severity::Warning, m.to_owned())).into_iter().collect();
        assert_eq!(said(&planned(&snapshot, &[], false), Check::CredentialsExpire), expected, "{left:?}");
    }
}
