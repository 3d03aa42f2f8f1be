//! Runs that bring digests, and an operator that pins images itself.

use std::collections::{BTreeMap, BTreeSet};

use kubectl_dbupdate::event::{Event, Outcome};
use kubectl_dbupdate::model::{Check, ImageFound, Snapshot};
use kubectl_dbupdate::plan::update;
use simcluster::world::{Database, Strategy};
use simcluster::{Behaviour, Provisioner};

use crate::back::{roll_back, state};
use crate::common::process::Process;
use crate::common::{NAMESPACE, Running, World, request, secs, text};

const TARGET: &str = "ghcr.io/appscode-images/zookeeper:3.9.1";
const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// A ZooKeeper whose operator pins what it renders.
fn pinning() -> World {
    let provisioner = Provisioner { pin_digests: true, ..Provisioner::default() };
    World::behaving(Behaviour { provisioner, ..Behaviour::default() }, Database::zookeeper("db").pinned())
}

fn template(world: &World) -> String {
    text(&world.workloads()["petset/db"], IMAGE).to_owned()
}

/// The digest that the operator has for the target.
fn the_operators() -> String {
    let there = World::new(Database::zookeeper("db").version("3.9.1").pinned());
    template(&there).split_once('@').expect("it is pinned").1.to_owned()
}

/// An update by what the registry has said of the target.
async fn update_to(world: &World, digest: &str) -> Running {
    let cluster = world.cluster();
    let mut snapshot = world.snapshot(&cluster).await;
    let exists = ImageFound::Exists { digest: digest.to_owned() };
    snapshot.environment.images = BTreeMap::from([(TARGET.to_owned(), exists)]);
    let plan = update::plan(&snapshot, &request(world.target())).expect("the target is in the catalog");
    assert!(
        plan.findings.iter().all(|f| matches!(f.check, Check::AlreadyOnTarget | Check::Via)),
        "{:?}",
        plan.findings
    );
    assert_eq!(plan.workloads[0].images[0].after, format!("{TARGET}@{digest}"));
    Running::start(cluster, snapshot, plan, world.options("run1"))
}

/// Every pod is of the workload's current revision.
fn no_pod_counts_as_outdated(world: &World) {
    let current = text(&world.workloads()["petset/db"], "/status/updateRevision").to_owned();
    for pod in world.pods() {
        assert_eq!(text(&pod, "/metadata/labels/controller-revision-hash"), current);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_pinned_right_is_left_alone_by_the_operator() {
    let world = pinning();
    let digest = the_operators();
    let ended = update_to(&world, &digest).await.end().await;
    ended.done();
    world.is_updated();
    assert!(!ended.has(|e| matches!(e, Event::Repinned { .. })));
    assert_eq!(template(&world), format!("{TARGET}@{digest}"));
    no_pod_counts_as_outdated(&world);
}

/// The tag has moved between the look-up and the resume: the pods do not run what the template says.
#[tokio::test(start_paused = true)]
async fn other_content_under_the_same_tag_is_an_error() {
    let world = pinning();
    let ended = update_to(&world, "sha256:00ff").await.end().await;
    let (is, was) = (format!("{TARGET}@{}", the_operators()), format!("{TARGET}@sha256:00ff"));
    let said = format!("pinned container zookeeper to {is}, but its pods run {was}");
    ended.ended(Outcome::Failed, 4, true, false).says(&[&said, "the tag has moved"]);
    // The run continues with the content that is there by then.
    world.goes_on().await;
}

/// A run that dies half way is finished without the registry, which may be away by then.
#[tokio::test(start_paused = true)]
async fn digests_outlive_the_run_that_has_set_them() {
    let world = pinning();
    let digest = the_operators();
    let mut run = update_to(&world, &digest).await;
    run.ready("db-0").await;
    run.crash().await;
    let ended = world.goes_on().await;
    assert!(ended.plan.workloads[0].images.is_empty(), "{:?}", ended.plan.workloads[0].images);
    assert_eq!(template(&world), format!("{TARGET}@{digest}"));
    no_pod_counts_as_outdated(&world);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_brings_the_old_digests_back_to_the_letter() {
    let world = pinning();
    let before = state(&world);
    let mut run = update_to(&world, &the_operators()).await;
    run.ready("db-0").await;
    run.crash().await;
    roll_back(&world).await.expect("it is half done").done();
    assert_eq!(state(&world), before);
}

/// What an earlier process of the run has pinned is looked at as well, and told once.
#[tokio::test(start_paused = true)]
async fn other_content_is_an_error_of_a_run_that_is_resumed() {
    let world = pinning();
    let mut run = update_to(&world, "sha256:00ff").await;
    run.ready("db-0").await;
    run.crash().await;
    let ended = Process::update(&world, world.cluster()).await.start().end().await;
    ended.ended(Outcome::Failed, 4, true, false).says(&["the tag has moved"]);
    let resumed = Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
    resumed.start().end().await.done();
}

/// A tag that has moved since a run began does not split the database between two contents.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_resumed_keeps_the_digest_that_it_began_with() {
    let rolls = Strategy::RollingUpdate { partition: 0 };
    let racks = Database::cassandra_racks("db", &[("r0", 1), ("r1", 1)]).pinned().strategy(rolls);
    let world = World::new(racks);
    let said = |digest: &str| {
        let digest = digest.to_owned();
        move |snapshot: &mut Snapshot| {
            let targets = snapshot.version("5.0.7").expect("it is in the catalog").images.clone();
            let exists = |image: String| (image, ImageFound::Exists { digest: digest.clone() });
            snapshot.environment.images = targets.into_values().map(exists).collect();
        }
    };
    let cluster = world.cluster();
    let mut snapshot = world.snapshot(&cluster).await;
    said("sha256:00aa")(&mut snapshot);
    let plan = update::plan(&snapshot, &request(world.target())).expect("the target is in the catalog");
    let mut run = Running::start(cluster, snapshot, plan, world.options("run1"));
    run.event("it is patched", |e| matches!(e, Event::WorkloadPatched { .. })).await;
    run.crash().await;
    tokio::time::sleep(secs(60)).await;
    let cluster = world.cluster();
    let mut snapshot = world.snapshot(&cluster).await;
    let journal = cluster.journal(world.kind, NAMESPACE, "db").await.expect("it can be read");
    let unfinished = journal.last().map(update::Unfinished::from);
    said("sha256:00bb")(&mut snapshot);
    let asked = update::Request { unfinished, ..request(world.target()) };
    let plan = update::plan(&snapshot, &asked).expect("the target is in the catalog");
    let brought: Vec<_> = plan.workloads.iter().flat_map(|w| &w.images).map(|i| &i.after).collect();
    assert!(!brought.is_empty());
    assert!(brought.iter().all(|image| image.ends_with("@sha256:00aa")), "{brought:?}");
}
