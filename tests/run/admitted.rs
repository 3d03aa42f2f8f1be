//! Clusters whose pods are not what their templates say: admission rewrites them, or the operator has been upgraded.

use std::collections::BTreeSet;

use kubectl_dbupdate::event::{Event, Outcome, WaitingOn};
use kubectl_dbupdate::model::{Action, Check, Plan, PodAction};
use kubectl_dbupdate::plan::update::{self, Request};
use serde_json::{Value, json};
use simcluster::world::{Database, Strategy};
use simcluster::{AdmissionRule, Behaviour, Rewrite, object};

use crate::back::{roll_back, state};
use crate::common::process::Process;
use crate::common::{Ended, NAMESPACE, WORKLOADS, World, secs, text};

const ZOOKEEPER_VERSIONS: &str = "zookeeperversions.catalog.kubedb.com";
const PETSETS: &str = WORKLOADS[0];
const INIT: &str = "zookeeper-init:3.7-v1";

/// Every pod is of its workload's current revision.
fn no_pod_counts_as_outdated(world: &World) {
    for workload in world.workloads().values() {
        let current = text(workload, "/status/updateRevision");
        let owned = |pod: &&std::sync::Arc<Value>| {
            text(pod, "/metadata/ownerReferences/0/uid") == text(workload, "/metadata/uid")
        };
        for pod in world.pods().iter().filter(owned) {
            assert_eq!(
                text(pod, "/metadata/labels/controller-revision-hash"),
                current,
                "{}",
                object::name(pod)
            );
        }
    }
}

/// A version object names its init container's image so.
fn spell(world: &World, version: &str, image: &str) {
    let change = |object: &mut Value| object["spec"]["initContainer"]["image"] = json!(image);
    world.store().update(ZOOKEEPER_VERSIONS, "", version, change).expect("it is in the catalog");
}

/// The catalog of an upgraded operator spells an image otherwise, which both versions share: the operator brings the
/// new spelling as soon as it is resumed, unless the update has.
#[tokio::test(start_paused = true)]
async fn the_targets_spelling_comes_with_the_update() {
    let world = World::new(Database::zookeeper("db"));
    for (version, image) in
        [("3.8.3", format!("kubedb/{INIT}")), ("3.9.1", format!("docker.io/kubedb/{INIT}"))]
    {
        spell(&world, version, &image);
    }
    let template = |set: &mut Value| {
        set["spec"]["template"]["spec"]["initContainers"][0]["image"] = json!(format!("kubedb/{INIT}"));
    };
    world.store().update("petsets.apps.k8s.appscode.com", NAMESPACE, "db", template).expect("it is there");
    world.update().await.done();
    world.is_updated();
    no_pod_counts_as_outdated(&world);
}

/// The upgraded operator has rendered the new spelling already, and has restarted no pod: each one still runs the image
/// that is asked for.
#[tokio::test(start_paused = true)]
async fn another_spelling_is_no_other_image() {
    let world = World::new(Database::hazelcast("db").version("5.5.6"));
    let old = |image: &str| image.strip_prefix("docker.io/").expect("it is spelled out").to_owned();
    for pod in world.pods() {
        let change = |pod: &mut Value| {
            let image = &mut pod["spec"]["containers"][0]["image"];
            *image = json!(old(image.as_str().expect("a name")));
        };
        world.store().update("pods", NAMESPACE, object::name(&pod), change).expect("it is there");
    }
    let plan = world.plan().await;
    assert_eq!(plan.action, Action::Nothing, "{plan:#?}");
    assert!(plan.findings.iter().all(|f| f.check != Check::Drift), "{:?}", plan.findings);
}

/// The images of every pod come through a mirror and are digests, and every pod has two sidecars in front.
fn rewritten() -> Behaviour {
    let rules = [
        Rewrite::Images { from: "ghcr.io/".into(), to: "mirror.local:5000/ghcr.io/".into() },
        Rewrite::Digests { keep_tag: false },
        Rewrite::Sidecar { name: "agent".into(), image: "agents/agent:7".into(), first: true },
        Rewrite::NativeSidecar { name: "proxy".into(), image: "mesh/proxy:1".into() },
    ];
    rules.map(AdmissionRule::rewrite).into_iter().fold(Behaviour::default(), Behaviour::admitting)
}

fn notices(ended: &Ended) -> Vec<&str> {
    fn notice(event: &Event) -> Option<&str> {
        match event {
            Event::Notice { message } => Some(message.as_str()),
            _ => None,
        }
    }
    ended.records.iter().filter_map(|record| notice(&record.event)).collect()
}

/// Every pod was recreated from the new template, and nothing is left to do.
async fn is_done(world: &World) {
    assert_eq!(text(&world.database(), "/spec/version"), world.target());
    assert_eq!(world.paused(), None);
    no_pod_counts_as_outdated(world);
    let plan = world.plan().await;
    assert_eq!(plan.action, Action::Nothing, "{plan:#?}");
    world.no_lease();
}

#[tokio::test(start_paused = true)]
async fn pods_that_admission_rewrites_are_updated_all_the_same() {
    for database in [
        Database::zookeeper("db"),
        Database::kafka_topology("db").cruise_control(),
        Database::hazelcast("db"),
        Database::cassandra_racks("db", &[("r0", 2), ("r1", 1)])
            .strategy(Strategy::RollingUpdate { partition: 0 }),
    ] {
        let world = World::behaving(rewritten(), database);
        let plan = world.plan().await;
        let said: Vec<_> = plan.findings.iter().filter(|f| f.check == Check::PodsRewritten).collect();
        assert_eq!(said.len(), 1, "{:?}", plan.findings);
        for part in
            ["agent: added (agents/agent:7)", "proxy: added (mesh/proxy:1)", "image pinned to a digest"]
        {
            assert!(said[0].message.contains(part), "{}", said[0].message);
        }
        let pods = plan.pods().filter(|p| p.action != PodAction::Skip).count();
        assert_eq!(pods, world.pods().len(), "every pod is to be restarted");
        let ended = world.update().await;
        ended.done();
        assert_eq!(notices(&ended), Vec::<&str>::new());
        is_done(&world).await;
    }
}

/// The operator pins the images once it is resumed, which makes a revision that no pod is on.
#[tokio::test(start_paused = true)]
async fn rewritten_pods_are_known_by_the_revision_that_they_came_from() {
    let mut behaviour = rewritten();
    behaviour.provisioner.pin_digests = true;
    let world = World::behaving(behaviour, Database::zookeeper("db"));
    world.update().await.done();
    let current = text(&world.workloads()["petset/db"], "/status/updateRevision").to_owned();
    let pods = world.pods();
    assert!(pods.iter().all(|pod| text(pod, "/metadata/labels/controller-revision-hash") != current));
    let plan = world.plan().await;
    assert_eq!(plan.action, Action::Nothing, "{plan:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_among_rewritten_pods_is_resumed_and_rolled_back() {
    let world = World::behaving(rewritten(), Database::zookeeper("db"));
    let before = text(&world.workloads()["petset/db"], "/status/updateRevision").to_owned();
    let mut run = world.start().await;
    run.ready("db-0").await;
    run.crash().await;
    tokio::time::sleep(secs(60)).await;
    let plan = roll_back(&world).await.expect("it is half done");
    plan.done();
    assert_eq!(text(&world.workloads()["petset/db"], "/status/updateRevision"), before);
    no_pod_counts_as_outdated(&world);
    let mut run = world.start().await;
    run.ready("db-1").await;
    run.crash().await;
    tokio::time::sleep(secs(60)).await;
    let ended = world.launch(world.options("again")).await.end().await;
    ended.done();
    assert_eq!(world.evictions().values().copied().max(), Some(3), "{:?}", world.evictions());
    is_done(&world).await;
}

/// The controller has not seen the new template when the run ends: the pods are of the revision from before, and no other
/// user has set the images that admission gives them.
#[tokio::test(start_paused = true)]
async fn rewritten_pods_are_known_while_their_controller_is_behind() {
    let world = World::behaving(rewritten(), Database::zookeeper("db"));
    let before = state(&world);
    world.sim.behaviour().change(|b| b.controller_lag = secs(2000));
    let ended = world.start_with(|options| options.bounds.pod_timeout = secs(60)).await.end().await;
    ended.ended(Outcome::Failed, 4, true, true);
    assert!(world.evictions().is_empty(), "{:?}", world.evictions());
    let snapshot = world.snapshot(&world.cluster()).await;
    for pod in &snapshot.pods {
        let images = snapshot.asked_images(pod);
        assert!(!images.iter().any(|(_, image)| image.starts_with("mirror.local")), "{images:?}");
    }
    let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("it is half done");
    assert_eq!(back.plan.refusals().next(), None);
    world.sim.behaviour().change(|b| b.controller_lag = Behaviour::default().controller_lag);
    tokio::time::sleep(secs(2100)).await;
    roll_back(&world).await.expect("it is half done").done();
    assert_eq!(state(&world), before);
}

/// A webhook that leaves pods as they are, or gives them something else, is told and stops nothing.
#[tokio::test(start_paused = true)]
async fn what_admission_does_otherwise_than_before_is_a_warning() {
    let mirror =
        |from: &str, to: &str| AdmissionRule::rewrite(Rewrite::Images { from: from.into(), to: to.into() });
    let zookeeper = "ghcr.io/appscode-images/zookeeper:3.9.1";
    for (after, said) in [
        (vec![mirror("ghcr.io/", "m.local/")], vec![]),
        (vec![], vec![format!("container zookeeper runs {zookeeper}, as its pod template has it")]),
        (
            vec![
                mirror(zookeeper, "m.local/appscode-images/zookeeper:3.8.3"),
                mirror("ghcr.io/", "m.local/"),
            ],
            vec![format!(
                "container zookeeper runs m.local/appscode-images/zookeeper:3.8.3, and its pod template has {zookeeper}"
            )],
        ),
    ] {
        let behaviour = Behaviour::default().admitting(mirror("ghcr.io/", "m.local/"));
        let world = World::behaving(behaviour, Database::zookeeper("db"));
        let run = world.start().await;
        world.sim.behaviour().change(|b| b.admission = after.clone());
        let ended = run.end().await;
        ended.done();
        let told = notices(&ended);
        for part in &said {
            assert_eq!(told.iter().filter(|t| t.contains(part)).count(), 1, "{told:?}");
        }
        assert_eq!(told.is_empty(), said.is_empty(), "{told:?}");
    }
}

/// What an upgraded operator does: it renders a field that was not there, and restarts no pod.
fn upgrade_the_operator(world: &World) {
    for (name, set) in world.workloads() {
        let res = if name.starts_with("petset/") { PETSETS } else { "statefulsets.apps" };
        let fill = |set: &mut Value| {
            for list in ["containers", "initContainers"] {
                let all = set["spec"]["template"]["spec"].get_mut(list).and_then(Value::as_array_mut);
                for container in all.into_iter().flatten() {
                    container["resizePolicy"] =
                        json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"}]);
                }
            }
        };
        world.store().update(res, NAMESPACE, object::name(&set), fill).expect("it is there");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_names_what_a_restart_brings_besides_images() {
    for (behaviour, database) in [
        (Behaviour::default(), Database::zookeeper("db")),
        (rewritten(), Database::zookeeper("db")),
        (Behaviour::default(), Database::hazelcast("db")),
    ] {
        let world = World::behaving(behaviour, database);
        upgrade_the_operator(&world);
        tokio::time::sleep(secs(5)).await;
        let same = Request::to(text(&world.database(), "/spec/version"));
        let snapshot = world.snapshot(&world.cluster()).await;
        let nothing = update::plan(&snapshot, &same).expect("it is in the catalog");
        assert_eq!(nothing.action, Action::Nothing, "{nothing:#?}");
        let of = |plan: &Plan, check: Check| -> Vec<String> {
            plan.findings.iter().filter(|f| f.check == check).map(|f| f.message.clone()).collect()
        };
        assert_eq!(of(&nothing, Check::OutdatedPods), Vec::<String>::new(), "nothing is restarted");
        let said = of(&world.plan().await, Check::OutdatedPods);
        let container = world.kind.singular();
        let fields =
            format!("containers[{container}].resizePolicy, initContainers[{container}-init].resizePolicy");
        let part = "3 of 3 pods are on an older revision and restart onto more than new images: ";
        assert!(said.len() == 1 && said[0].ends_with(&format!("{part}{fields}")), "{said:?}");
        let ended = world.update().await;
        ended.done();
        assert_eq!(notices(&ended), Vec::<&str>::new());
        is_done(&world).await;
    }
}

/// The revisions tell it, so a user who may not read them hears that it is not known.
#[tokio::test(start_paused = true)]
async fn what_a_restart_brings_is_not_known_without_the_revisions() {
    let world = World::behaving(rewritten(), Database::zookeeper("db"));
    upgrade_the_operator(&world);
    tokio::time::sleep(secs(5)).await;
    world.sim.access().deny("list", "apps", "controllerrevisions", "");
    let plan = world.plan().await;
    let said = "could not check whether outdated pods of petset/db restart onto more than new images: ";
    let found = plan.findings.iter().filter(|f| f.check == Check::NotChecked && f.message.starts_with(said));
    assert_eq!(found.count(), 1, "{:?}", plan.findings);
    world.update().await.done();
    no_pod_counts_as_outdated(&world);
}

/// Whoever has asked for other resources waits for that pod.
#[tokio::test(start_paused = true)]
async fn a_pod_that_is_resized_in_place_is_not_evicted() {
    let world = World::new(Database::zookeeper("db"));
    let resize = |status: &'static str| {
        let change = move |pod: &mut Value| {
            let conditions = pod["status"]["conditions"].as_array_mut().expect("there are some");
            conditions.retain(|c| c["type"] != "PodResizeInProgress");
            conditions.push(json!({ "type": "PodResizeInProgress", "status": status }));
        };
        world.store().update_status("pods", NAMESPACE, "db-1", change).expect("it is there");
    };
    resize("True");
    let plan = world.plan().await;
    let said = plan.findings.iter().find(|f| f.check == Check::PodResizing).expect("it is told");
    assert_eq!(said.message, "pod db-1 is being resized in place: PodResizeInProgress");
    let mut run = world.start().await;
    let waits =
        |e: &Event| matches!(e, Event::PodWaiting { on: WaitingOn::Resize { .. }, pod, .. } if pod == "db-1");
    run.event("it is waited for", waits).await;
    tokio::time::sleep(secs(60)).await;
    assert_eq!(world.evictions().get("db-1"), None);
    resize("False");
    run.end().await.done();
    world.is_updated();
    // One that never ends is given up.
    let world = World::new(Database::zookeeper("db"));
    let pending = json!({ "type": "PodResizePending", "status": "True", "reason": "Infeasible" });
    let change = move |pod: &mut Value| {
        pod["status"]["conditions"].as_array_mut().expect("there are some").push(pending);
    };
    world.store().update_status("pods", NAMESPACE, "db-0", change).expect("it is there");
    let ended = world.update().await;
    ended.ended(Outcome::Failed, 4, true, true).says(&[
        "pod db-0 is being resized in place and is not restarted before that has ended (PodResizePending: Infeasible)",
    ]);
    assert_eq!(world.evictions().get("db-0"), None);
}
