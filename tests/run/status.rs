//! The state of a database, as `kubectl dbupdate status` tells it, in the middle of things that go right and wrong.

use kubectl_dbupdate::event::Step;
use kubectl_dbupdate::model::{Kind, Lookup};
use kubectl_dbupdate::report::{self, View};
use kubectl_dbupdate::situation::{self, ImageOf, Next, Seen, State, Status};
use serde_json::{Value, json};
use simcluster::world::Database;
use simcluster::{Ailment, Behaviour, DeleteOptions, Effect, Fault, PodRule};

use crate::common::{NAMESPACE, WORKLOADS, World, overview, secs};

/// What is told, with a lock that has been silent for that many seconds.
async fn told(world: &World, lock_age: Option<i64>) -> Status {
    let found = overview(&world.cluster(), world.kind, NAMESPACE, Some(&world.name)).await.unwrap();
    let found = found.into_iter().next().expect("the database is there");
    let seen = Seen {
        snapshot: found.snapshot,
        runs: found.journal.map(|journal| journal.entries),
        lock_age,
        unread: found.unread,
    };
    situation::status(&seen, |next| format!("{next:?}"))
}

/// A lock whose holder has died long ago.
const SILENT: Option<i64> = Some(3600);

fn says(status: &Status, state: State, sentence: &str, next: &[Next]) {
    assert_eq!((status.state, status.sentence.as_str()), (state, sentence));
    let next: Vec<_> = next.iter().map(|n| format!("{n:?}")).collect();
    assert_eq!(status.next, next, "{sentence}");
}

fn change(world: &World, change: impl FnOnce(&mut Value)) {
    world.store().update(&world.res(), NAMESPACE, &world.name, change).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_database_that_nobody_touches_is_fine() {
    let world = World::new(Database::zookeeper("db"));
    let status = told(&world, None).await;
    says(&status, State::Fine, "zookeeper/db is on 3.8.3: 3 of 3 pods Ready", &[]);
    assert_eq!(status.pods(), (3, 3));
    assert!(status.workloads[0].images.iter().all(|i| i.of == ImageOf::Version), "{status:?}");
    assert!(status.run.is_none() && status.paused.is_none() && status.lock.is_none());
    world.update().await.done();
    let status = told(&world, None).await;
    says(&status, State::Fine, "zookeeper/db is on 3.9.1: 3 of 3 pods Ready", &[]);
    let run = status.run.expect("it is in the journal");
    assert_eq!((run.from.as_str(), run.to.as_str(), run.unfinished), ("3.8.3", "3.9.1", false));
}

#[tokio::test(start_paused = true)]
async fn updates_that_were_to_follow_are_told() {
    let world = World::new(Database::druid("db"));
    let run = world.start_with(|options| options.story.through = Some("31.0.0".to_owned())).await;
    run.end().await.done();
    let status = told(&world, None).await;
    let sentence = "druid/db is on 30.0.1: 6 of 6 pods Ready; further updates to 31.0.0 are pending";
    says(&status, State::OnItsWay, sentence, &[Next::Further]);
    // What somebody else has moved on since then is nobody's business.
    change(&world, |db| db["spec"]["version"] = json!("30.0.0"));
    assert_ne!(told(&world, None).await.state, State::OnItsWay);
}

#[tokio::test(start_paused = true)]
async fn a_run_on_its_way_is_told_by_its_lock() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.ready("db-0").await;
    let status = told(&world, Some(3)).await;
    assert_eq!(status.state, State::Running);
    assert!(
        status.sentence.contains("holds the lock of zookeeper/db, renewed 3 s ago"),
        "{}",
        status.sentence
    );
    assert!(status.sentence.contains("from 3.8.3 to 3.9.1: 1 of 3 pods are on 3.9.1"), "{}", status.sentence);
    run.end().await.done();
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_run_has_left_is_told_with_the_way_on() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.ready("db-0").await;
    run.crash().await;
    tokio::time::sleep(secs(5)).await;
    let half = "between 3.8.3 and 3.9.1: 1 of 3 pods are on 3.9.1 and Ready, spec.version is 3.8.3; no update is running";
    let both = [Next::Resume, Next::Rollback];
    let status = told(&world, SILENT).await;
    // The pod that was in flight is back by now.
    let half = half.replace("1 of 3", &format!("{} of 3", 3 - world.old_pods().len()));
    says(&status, State::HalfDone, &format!("zookeeper/db is paused and {half}"), &both);
    assert!(status.workloads[0].images.iter().any(|i| i.of == ImageOf::Run), "{status:?}");
    assert!(status.run.is_some_and(|run| run.unfinished && run.step == Some(Step::RollPods)));

    world.lift_pause();
    let exposed = format!(
        "zookeeper/db is NOT paused and {half}: the operator may restore the images of 3.8.3 at any time"
    );
    let status = told(&world, SILENT).await;
    says(&status, State::Exposed, &exposed, &both);
}

#[tokio::test(start_paused = true)]
async fn why_a_run_has_failed_is_told_as_long_as_the_journal_has_it() {
    let pull = PodRule::new(Ailment::PullError).name("db-1").image("*:3.9.1*");
    let world = World::behaving(Behaviour::default().with(pull), Database::zookeeper("db"));
    let ended = world.update().await;
    let status = told(&world, None).await;
    let run = status.run.clone().expect("it is in the journal");
    assert_eq!((run.error.as_str(), run.pod.as_deref()), (ended.finish.error.as_str(), Some("db-1")));
    let next = [Next::DescribePod("db-1".to_owned()), Next::Resume, Next::Rollback];
    assert_eq!(status.next, next.map(|next| format!("{next:?}")));
    let shown = report::status::one(&status, View { width: None, color: false });
    assert!(shown.contains("\nreason: pod db-1: container zookeeper: "), "{shown}");
    let shown = report::status::history(&[run], View { width: Some(60), color: false });
    assert!(shown.contains("\nrun1: pod db-1: container zookeeper: "), "{shown}");
    // The journal is not asked which pod to look at, only which of the unhealthy ones.
    world.sim.behaviour().change(|b| b.pods.clear());
    tokio::time::sleep(secs(600)).await;
    assert_eq!(told(&world, None).await.next, [Next::Resume, Next::Rollback].map(|next| format!("{next:?}")));
}

/// A run that has no end yet is in progress as long as its lock is alive.
#[tokio::test(start_paused = true)]
async fn a_run_that_was_killed_has_ended_without_a_word() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.ready("db-0").await;
    let of = async |age| told(&world, age).await.run.expect("it is in the journal").error;
    assert_eq!(of(Some(3)).await, "");
    run.crash().await;
    assert!(of(SILENT).await.contains("ended without a word"));
}

#[tokio::test(start_paused = true)]
async fn a_pause_alone_is_told_apart() {
    let world = World::new(Database::zookeeper("db"));
    let patch = Fault::new(Effect::Hang).method("PATCH").path("/petsets/").when(|r| !r.dry_run);
    world.sim.faults().add(patch);
    let run = world.start().await;
    world.until("the pause is acknowledged", || world.paused().is_some_and(|p| p["status"] == "True")).await;
    run.crash().await;
    let status = told(&world, SILENT).await;
    let sentence = "zookeeper/db is paused by a run to 3.9.1 that has changed nothing else";
    says(&status, State::LeftPaused, sentence, &[Next::Resume, Next::Rollback]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_killed_while_it_verified_is_unverified() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.step(Step::Verify).await;
    run.crash().await;
    let status = told(&world, SILENT).await;
    let sentence = "zookeeper/db is on 3.9.1, but the update has not been verified: 3 of 3 pods Ready";
    says(&status, State::Unverified, sentence, &[Next::Resume]);
}

#[tokio::test(start_paused = true)]
async fn others_at_work_are_named() {
    let world = World::new(Database::zookeeper("db"));
    let pause = json!([{ "type": "Paused", "status": "True", "reason": "Paused", "message": "mine",
        "lastTransitionTime": "2026-01-01T00:00:00Z" }]);
    world.change_status(|db| db["status"]["conditions"] = pause);
    let status = told(&world, None).await;
    says(
        &status,
        State::PausedByOther,
        "zookeeper/db is on 3.8.3 and paused by another user or controller (mine)",
        &[Next::Describe],
    );
    let request = json!({
        "metadata": { "name": "restart-1", "namespace": NAMESPACE },
        "spec": { "type": "Restart", "databaseRef": { "name": "db" } },
    });
    world.store().create("zookeeperopsrequests.ops.kubedb.com", request).unwrap();
    let status = told(&world, None).await;
    assert_eq!(status.state, State::OpsRequest);
    assert!(status.sentence.starts_with("ZooKeeperOpsRequest restart-1 (Restart, "), "{}", status.sentence);
}

#[tokio::test(start_paused = true)]
async fn what_is_amiss_by_itself_is_told() {
    let sick = PodRule::new(Ailment::NeverReady).name("db-1");
    let world = World::behaving(Behaviour::default(), Database::zookeeper("db"));
    world.sim.behaviour().change(|b| b.pods.push(sick));
    world.store().delete("pods", NAMESPACE, "db-1", DeleteOptions::now()).unwrap();
    tokio::time::sleep(secs(30)).await;
    let status = told(&world, None).await;
    assert_eq!(status.state, State::NotReady);
    assert!(status.sentence.ends_with("; not Ready: db-1"), "{}", status.sentence);

    let world = World::new(Database::zookeeper("db"));
    world.sim.behaviour().change(|b| b.provisioner.alive = false);
    let other = |set: &mut Value| {
        set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("example.com/zookeeper:mine");
    };
    world.store().update(WORKLOADS[0], NAMESPACE, "db", other).unwrap();
    let status = told(&world, None).await;
    assert_eq!(status.state, State::Drift, "{}", status.sentence);
    assert_eq!(status.next, ["Update(\"3.8.3\")"]);

    let world = World::new(Database::zookeeper("db"));
    world.sim.behaviour().change(|b| b.provisioner.alive = false);
    change(&world, |db| db["spec"]["halted"] = json!(true));
    assert_eq!(told(&world, None).await.state, State::Halted);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_is_said() {
    let world = World::new(Database::zookeeper("db"));
    world.sim.access().deny("get", "", "configmaps", "");
    let status = told(&world, None).await;
    assert_eq!((status.state, status.exit_code), (State::Fine, 1));
    assert!(status.not_checked[0].starts_with("the journal: "), "{:?}", status.not_checked);
    world.sim.access().deny("list", "", "pods", "");
    let status = told(&world, None).await;
    assert_eq!(status.state, State::Unknown);
    assert!(status.not_checked.iter().any(|what| what.starts_with("pods: ")), "{:?}", status.not_checked);
}

#[tokio::test(start_paused = true)]
async fn many_databases_take_no_more_requests_than_one() {
    let world = World::new(Database::kafka_topology("db"));
    let count = async || {
        let before = world.sim.requests().len();
        let found = overview(&world.cluster(), Kind::Kafka, "", None).await.unwrap();
        (found.len(), world.sim.requests().len() - before)
    };
    let (one, requests) = count().await;
    for n in 0..8 {
        Database::kafka_topology(&format!("db{n}")).install(&world.sim);
    }
    assert_eq!((one, count().await), (1, (9, requests)));
    let found = overview(&world.cluster(), Kind::Kafka, "", None).await.unwrap();
    assert!(found.iter().all(|f| f.snapshot.workloads.len() == 2 && f.snapshot.pods.len() == 6));
    assert!(found.iter().all(|f| f.unread.is_empty() && f.journal == Lookup::Absent));
}

/// What a person sees of a half-done database, at 80 columns.
#[tokio::test(start_paused = true)]
async fn a_half_done_database_at_80_columns() {
    let world = World::new(Database::kafka_topology("my-kf"));
    let mut run = world.start().await;
    run.ready("my-kf-controller-1").await;
    run.crash().await;
    tokio::time::sleep(secs(10)).await;
    // Its holder has a name of the moment.
    let status = Status { lock: None, ..told(&world, SILENT).await };
    let shown = report::status::one(&status, View { width: Some(80), color: false });
    let expected = include_str!("../testdata/status-80.txt");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let shown = shown.replace(&status.run.as_ref().expect("it is in the journal").began, "BEGAN");
    assert!(shown == expected, "testdata/status-80.txt is not what was printed:\n{shown}");
}
