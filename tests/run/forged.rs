//! A journal that somebody else has written, who may write ConfigMaps in the namespace and nothing else.

use std::collections::BTreeSet;

use kubectl_dbupdate::event::Outcome;
use kubectl_dbupdate::model::{Check, Severity};
use kubectl_dbupdate::operation;
use kubectl_dbupdate::steps::leftover;
use serde_json::{Value, json};
use simcluster::world::Database;
use simcluster::{Ailment, Behaviour, PodRule};

use crate::back;
use crate::common::process::Process;
use crate::common::*;

const EVIL: &str = "evil.example/zookeeper:3.8.3";

/// Changes the last run of the journal, and what is noted of its progress.
pub fn forge(world: &World, change: impl Fn(&mut Value, &mut Value)) {
    let forged = |map: &mut Value| {
        let data = map["data"].as_object_mut().expect("a journal has data");
        let runs = data.keys().filter(|key| !key.ends_with(".progress"));
        let key = runs.max().expect("the journal has a run").clone();
        let progress = format!("{key}.progress");
        let parsed =
            |text: &Value| serde_json::from_str::<Value>(text.as_str().expect("text")).expect("JSON");
        let (mut run, mut noted) = (parsed(&data[&key]), parsed(&data[&progress]));
        change(&mut run, &mut noted);
        data.insert(key, run.to_string().into());
        data.insert(progress, noted.to_string().into());
    };
    world.store().update("configmaps", NAMESPACE, &world.journal_map(), forged).expect("it is there");
}

/// Puts that image into the place of the one that the database itself had before.
fn spoil(run: &mut Value, image: &str) {
    let workloads = run["before"]["workloads"].as_object_mut().expect("an object");
    let all = workloads.values_mut().flat_map(|w| w.as_array_mut().expect("a list"));
    all.filter(|c| c["container"] == "zookeeper").for_each(|c| c["image"] = image.into());
}

/// An update that is killed after its first pod.
async fn killed(world: &World) {
    let mut run = world.start().await;
    run.ready("db-0").await;
    run.crash().await;
}

/// An update from where the database is not, that has ended long ago.
async fn over() -> World {
    let world = World::new(Database::zookeeper("db"));
    world.update().await.done();
    world
}

fn unfinished(noted: &mut Value) {
    noted["result"] = Value::Null;
}

fn no_image_of_the_attacker(world: &World) {
    for (name, workload) in world.workloads() {
        assert!(!workload.to_string().contains("evil.example"), "{name}");
    }
    assert!(world.pods().iter().all(|pod| !pod.to_string().contains("evil.example")));
}

#[tokio::test(start_paused = true)]
async fn a_forged_rollback_brings_no_image_of_its_own() {
    let world = over().await;
    let sent = world.sent();
    forge(&world, |run, noted| {
        spoil(run, EVIL);
        run["direction"] = "rollback".into();
        let plan = &mut run["plan"];
        (plan["from"], plan["to"]) = (plan["to"].clone(), plan["to"].clone());
        unfinished(noted);
    });
    let resume = Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("it says so");
    assert_eq!(resume.refusals(), [Check::Drift], "of the one container");
    let refusal = resume.plan.refusals().next().expect("it is refused");
    for part in ["petset/db", "container zookeeper", EVIL, "only the journal"] {
        assert!(refusal.message.contains(part), "{part} is not in {}", refusal.message);
    }
    assert!(refusal.hint.contains("kubectl get configmap dbupdate-zookeeper-db"), "{}", refusal.hint);
    assert_eq!(world.sent(), sent);
    no_image_of_the_attacker(&world);
}

#[tokio::test(start_paused = true)]
async fn the_rollback_of_a_killed_update_brings_no_image_of_the_journals_alone() {
    let world = World::new(Database::zookeeper("db"));
    killed(&world).await;
    forge(&world, |run, _| spoil(run, EVIL));
    let rollback =
        Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("it is half done");
    let refusals: Vec<_> = rollback.plan.refusals().collect();
    assert!(refusals.iter().all(|f| f.check == Check::Drift), "{refusals:?}");
    assert!(refusals.iter().any(|f| f.message.contains(EVIL)), "{refusals:?}");
    let images: Vec<_> =
        rollback.plan.workloads.iter().flat_map(|w| &w.images).map(|i| i.after.as_str()).collect();
    assert!(images.contains(&EVIL), "the plan hides it: {images:?}");
    // Going on takes the target's images from the catalog.
    forge(&world, |run, _| {
        for image in run["plan"]["workloads"][0]["images"].as_array_mut().expect("a list") {
            image["after"] = EVIL.into();
        }
    });
    let resume = Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("it is half done");
    assert_eq!(resume.refusals(), []);
    resume.start().end().await.done();
    world.is_updated();
    no_image_of_the_attacker(&world);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_run_does_not_go_back_by_itself_to_what_only_the_journal_tells() {
    let pull = PodRule::new(Ailment::PullError).image("*:3.9.1*");
    let world = World::behaving(Behaviour::default().with(pull), Database::zookeeper("db"));
    let mut run = world.start().await;
    run.evicted("db-0").await;
    run.crash().await;
    forge(&world, |run, _| spoil(run, EVIL));
    let resume = Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("it is half done");
    let resume = resume.with(|options| options.roll_back_on_failure = true);
    resume.start().end().await.ended(Outcome::Failed, 4, false, true);
    no_image_of_the_attacker(&world);
}

#[tokio::test(start_paused = true)]
async fn a_digest_that_only_the_journal_tells_is_named_in_the_plan() {
    let world = World::new(Database::zookeeper("db"));
    killed(&world).await;
    let old = world.store().get("zookeeperversions.catalog.kubedb.com", "", "3.8.3").expect("it is there");
    let pinned = format!("{}@sha256:00aa", text(&old, "/spec/db/image"));
    forge(&world, |run, _| spoil(run, &pinned));
    let rollback =
        Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("it is half done");
    assert_eq!(rollback.refusals(), []);
    let warning = rollback.plan.findings.iter().find(|f| f.check == Check::PinnedImages).expect("it is said");
    assert_eq!(warning.severity, Severity::Warning);
    assert!(warning.message.contains(&pinned), "{}", warning.message);
}

/// What a plan says of an object leads a write to no other one.
#[tokio::test(start_paused = true)]
async fn no_object_but_the_databases_own_is_written_to() {
    let world = World::new(Database::zookeeper("db"));
    let before = back::state(&world);
    killed(&world).await;
    forge(&world, |run, _| {
        let elsewhere = |object: &mut Value| {
            object["name"] = "victim".into();
            object["namespace"] = "kube-system".into();
            object["plural"] = "deployments".into();
            object["apiVersion"] = "apps/v1".into();
        };
        elsewhere(&mut run["plan"]["database"]);
        elsewhere(&mut run["plan"]["workloads"][0]["object"]);
        let twice = run["plan"]["workloads"][0].clone();
        run["plan"]["workloads"].as_array_mut().expect("a list").push(twice);
    });
    let rollback =
        Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("it is half done");
    assert_eq!(rollback.plan.workloads.len(), 1);
    assert_eq!(rollback.plan.workloads[0].object.to_string(), "petset/db");
    rollback.start().end().await.done();
    assert_eq!(back::state(&world), before);
    assert!(
        world.sim.requests().iter().all(|r| !r.path.contains("victim") && !r.path.contains("kube-system"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_forged_rollback_needs_the_consent_that_a_real_one_needs() {
    for method in ["client", "provisioner"] {
        for direction in ["update", "rollback"] {
            let world = over().await;
            forge(&world, |run, noted| {
                run["direction"] = direction.into();
                run["plan"]["via"] = method.into();
                if direction == "rollback" {
                    let plan = &mut run["plan"];
                    (plan["from"], plan["to"]) = (plan["to"].clone(), plan["from"].clone());
                    plan["findings"] = json!([
                        { "check": "data-downgrade", "severity": "overridden", "message": "" },
                    ]);
                }
                *noted = json!({ "steps": [], "changed": true });
            });
            let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await;
            let back = back.unwrap_or_else(|| panic!("{direction} {method}: it says that it is half done"));
            assert!(
                back.refusals().contains(&Check::DataDowngrade),
                "{direction} {method}: {:?}",
                back.refusals()
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_consent_in_the_journal_overrides_nothing() {
    let world = over().await;
    forge(&world, |run, noted| {
        let plan = &mut run["plan"];
        plan["from"] = plan["to"].clone();
        plan["to"] = json!({ "name": "3.8.3", "version": "3.8.3" });
        plan["findings"] = json!([{ "check": "downgrade", "severity": "overridden", "message": "" }]);
        let images = plan["workloads"][0]["images"].as_array_mut().expect("a list");
        images.iter_mut().for_each(|image| image["after"] = image["now"].clone());
        unfinished(noted);
    });
    let (cluster, world) = (world.cluster(), &world);
    let snapshot = world.snapshot(&cluster).await;
    let journal = world.journal(&cluster).await;
    let entry = journal.last().expect("it is in the journal");
    assert!(!leftover::shows_run(&snapshot, entry), "the cluster shows nothing of it");
    let asked =
        kubectl_dbupdate::plan::update::Request { unfinished: Some(entry.into()), ..request("3.8.3") };
    let plan = kubectl_dbupdate::plan::update::plan(&snapshot, &asked).expect("it is in the catalog");
    let refusals: Vec<_> = plan.refusals().map(|f| f.check).collect();
    assert!(refusals.contains(&Check::Downgrade), "{refusals:?}");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_nobody_knows_is_no_version_before() {
    let world = World::new(Database::zookeeper("db"));
    killed(&world).await;
    forge(&world, |run, _| {
        run["plan"]["from"]["name"] = "0.0.1".into();
        run["before"]["version"] = "0.0.1".into();
    });
    let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("it is half done");
    assert!(back.refusals().contains(&Check::VersionRule), "{:?}", back.refusals());
}

/// The pause tells of the update that was really begun, and nobody can write it who may write ConfigMaps alone.
#[tokio::test(start_paused = true)]
async fn a_journal_that_contradicts_the_pause_is_not_followed() {
    let world = World::new(Database::zookeeper("db"));
    killed(&world).await;
    let forged = |run: &mut Value, to: &str, direction: &str| {
        run["direction"] = direction.into();
        run["plan"]["to"] = json!({ "name": to, "version": to });
    };
    forge(&world, |run, _| forged(run, "3.7.2", "update"));
    let cluster = world.cluster();
    let (snapshot, journal) = (world.snapshot(&cluster).await, world.journal(&cluster).await);
    let entry = operation::unfinished(&journal, &snapshot).expect("it says so");
    assert!(!leftover::shows_run(&snapshot, &entry));
    forge(&world, |run, _| forged(run, "3.7.2", "rollback"));
    let back = Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("it says so");
    assert!(back.refusals().contains(&Check::VersionRule), "{:?}", back.refusals());
}

#[tokio::test(start_paused = true)]
async fn nothing_in_a_journal_overflows() {
    let world = World::new(Database::zookeeper("db"));
    killed(&world).await;
    forge(&world, |run, _| {
        let workload = &mut run["plan"]["workloads"][0];
        workload["minReadySeconds"] = i64::MAX.into();
        workload["replicas"] = i64::MAX.into();
        workload["role"] = "\u{1b}[1A\u{1b}[2K\u{202e}all".into();
        run["who"] = "x".repeat(70_000).into();
    });
    let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("it is half done");
    assert_eq!(back.refusals(), []);
    let workload = &back.plan.workloads[0];
    assert_eq!((workload.role.as_str(), workload.replicas), ("all", 3));
    back.start().end().await.done();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_began_in_the_year_9999_is_not_read() {
    let world = over().await;
    let late = |map: &mut Value| {
        let data = map["data"].as_object_mut().expect("a journal has data");
        let key = data.keys().find(|key| !key.ends_with(".progress")).expect("a run").clone();
        let mut run: Value = serde_json::from_str(data[&key].as_str().expect("text")).expect("JSON");
        run["began"] = "9999-12-31T23:59:59.999Z".into();
        data.insert("99991231T235959999Z-run1.progress".to_owned(), r#"{"steps":[]}"#.into());
        data.insert("99991231T235959999Z-run1".to_owned(), run.to_string().into());
    };
    world.store().update("configmaps", NAMESPACE, &world.journal_map(), late).expect("it is there");
    let journal = world.journal(&world.cluster()).await;
    assert!(journal.unreadable);
    assert_eq!(journal.entries.len(), 1);
}
