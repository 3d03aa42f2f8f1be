//! The way through the Provisioner: the version first, then the templates, then the pods.

use std::collections::BTreeSet;

use kubectl_dbupdate::event::{Event, Outcome, Step, WaitingOn};
use kubectl_dbupdate::model::Check;
use simcluster::world::Database;
use simcluster::{Ailment, Behaviour, PodRule, object};

use crate::common::invariants::Invariants;
use crate::common::process::Process;
use crate::common::{World, secs, text};

const PETSETS: &str = "petsets.apps.k8s.appscode.com";

fn kafka() -> Database {
    Database::kafka_topology("db").version("3.9.0").controllers(3).brokers(2).cruise_control()
}

fn behaving(behaviour: Behaviour, database: Database) -> (World, Invariants) {
    let world = World::behaving(behaviour, database).rendered_to("4.0.0");
    let invariants = Invariants::watch(&world);
    (world, invariants)
}

/// The init containers of every PetSet's template.
fn inits(world: &World) -> Vec<String> {
    let sets = world.store().list(PETSETS, None);
    let inits =
        sets.iter().filter_map(|w| w["spec"]["template"]["spec"]["initContainers"].as_array().cloned());
    inits.flatten().map(|c| text(&c, "/name").to_owned()).collect()
}

/// Every pod is of the template that its PetSet has, so that none counts as outdated.
fn no_pod_is_outdated(world: &World) {
    for set in world.store().list(PETSETS, None) {
        let revision = text(&set, "/status/updateRevision");
        let pods = world.pods();
        let own = pods.iter().filter(|p| text(p, "/metadata/ownerReferences/0/name") == object::name(&set));
        for pod in own {
            assert_eq!(pod["metadata"]["labels"]["controller-revision-hash"], revision);
        }
    }
}

/// Types `rollback`, which has to bring everything back to 3.9.0.
async fn goes_back(world: &World) {
    let back = Process::rollback(world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
    back.start().end().await.done();
    assert_eq!(text(&world.database(), "/spec/version"), "3.9.0");
    assert_eq!(inits(world), Vec::<String>::new());
    assert_eq!(world.paused(), None);
    no_pod_is_outdated(world);
    world.no_lease();
}

#[tokio::test(start_paused = true)]
async fn kafka_goes_from_3_to_4() {
    let (world, invariants) = behaving(Behaviour::default(), kafka());
    let mut guard = world.guard();
    let ended = world.update().await;
    ended.done();
    invariants.ended(&ended);
    invariants.hold();
    assert_eq!(guard.most_away(), 1);
    world.is_updated();
    assert_eq!(inits(&world), ["kafka-init", "kafka-init"]);
    no_pod_is_outdated(&world);
    let sent = world.sent();
    let at = |what: &str| sent.iter().position(|s| s.starts_with(what)).expect(what);
    assert!(at("version") < at("pause") && at("pause") < at("evict"), "{sent:?}");
    assert!(!sent.iter().any(|s| s.starts_with("images")), "{sent:?}");
}

/// What the operator has rendered for the update is no change that the pods are restarted onto besides.
#[tokio::test(start_paused = true)]
async fn a_resumed_update_is_not_told_of_its_own_templates() {
    let (world, _invariants) = behaving(Behaviour::default(), kafka());
    let mut run = world.start().await;
    run.ready("db-controller-0").await;
    run.crash().await;
    let again = Process::take_over(&world, world.cluster()).await;
    let told = again.plan.findings.iter().any(|finding| finding.check == Check::OutdatedPods);
    assert!(!told, "{:#?}", again.plan.findings);
    again.start().end().await.done();
    no_pod_is_outdated(&world);
}

/// What the operator pins is pinned before the pods are restarted.
#[tokio::test(start_paused = true)]
async fn a_pinned_cluster_stays_pinned() {
    let mut behaviour = Behaviour::default();
    behaviour.provisioner.pin_digests = true;
    let (world, invariants) = behaving(behaviour, kafka().pinned());
    let ended = world.update().await;
    ended.done();
    invariants.hold();
    assert!(!ended.has(|e| matches!(e, Event::Repinned { .. })));
    for pod in world.pods() {
        assert!(text(&pod, "/spec/containers/0/image").contains("@sha256:"), "{}", object::name(&pod));
    }
    no_pod_is_outdated(&world);
}

#[tokio::test(start_paused = true)]
async fn druid_gets_its_init_container() {
    let (world, _) = behaving(Behaviour::default(), Database::druid("db").version("25.0.0"));
    let world = world.rendered_to("28.0.1");
    let invariants = Invariants::watch(&world);
    world.update().await.done();
    invariants.hold();
    world.is_updated();
    no_pod_is_outdated(&world);
}

/// An operator that is gone renders nothing: the run ends, no pod was touched, and a rollback needs the operator as well.
#[tokio::test(start_paused = true)]
async fn without_an_operator_nothing_is_restarted() {
    let (world, invariants) = behaving(Behaviour::default(), kafka());
    world.sim.behaviour().change(|b| b.provisioner.alive = false);
    let ended = world.update().await;
    ended.ended(Outcome::Failed, 4, true, false).says(&["did not render", "is it running"]);
    assert!(ended.has(|e| matches!(e, Event::Waiting { on: WaitingOn::Rendering { .. }, .. })));
    invariants.ended(&ended);
    invariants.hold();
    assert!(world.evictions().is_empty());
    world.sim.behaviour().change(|b| b.provisioner.alive = true);
    goes_back(&world).await;
    assert!(world.evictions().is_empty(), "the pods had never left the old template");
}

/// A real server says nothing for minutes where nothing happens, so that quiet watches are opened anew: the patience does
/// not begin anew with them.
#[tokio::test(start_paused = true)]
async fn watches_that_break_do_not_prolong_the_patience() {
    let (world, _) = behaving(Behaviour::default(), kafka());
    world.sim.behaviour().change(|b| b.provisioner.alive = false);
    let began = tokio::time::Instant::now();
    let mut running = world.start().await;
    let rendering = |e: &Event| matches!(e, Event::Waiting { on: WaitingOn::Rendering { .. }, .. });
    running.event("it waits for the operator", rendering).await;
    let breaking = async {
        for _ in 0..20 {
            tokio::time::sleep(secs(50)).await;
            world.sim.faults().break_watches();
        }
    };
    tokio::select! {
        ended = running.end() => { ended.ended(Outcome::Failed, 4, true, false).says(&["did not render"]); }
        () = breaking => panic!("it still waits after {:?}", began.elapsed()),
    }
    assert!(began.elapsed() < secs(150), "{:?}", began.elapsed());
}

/// Where the server is away for good the wait ends as well.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_while_templates_are_rendered_ends_the_run() {
    let (world, _) = behaving(Behaviour::default(), kafka());
    world.sim.behaviour().change(|b| b.provisioner.alive = false);
    let mut running = world.start().await;
    let rendering = |e: &Event| matches!(e, Event::Waiting { on: WaitingOn::Rendering { .. }, .. });
    running.event("it waits for the operator", rendering).await;
    world.sim.faults().restart_server(secs(3600));
    let ended = tokio::time::timeout(secs(1200), running.end()).await.expect("it does not wait for ever");
    assert_eq!(ended.finish.outcome, Outcome::Failed, "{}", ended.finish.error);
}

#[tokio::test(start_paused = true)]
async fn what_was_interrupted_while_the_operator_renders_goes_on() {
    let mut behaviour = Behaviour::default();
    behaviour.provisioner.reconcile = secs(30);
    let (world, invariants) = behaving(behaviour, kafka());
    let mut running = world.start().await;
    let rendering = |e: &Event| matches!(e, Event::Waiting { on: WaitingOn::Rendering { .. }, .. });
    running.event("it waits for the operator", rendering).await;
    running.interrupt();
    running.end().await.ended(Outcome::Stopped, 130, true, false);
    let resumed = Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
    resumed.start().end().await.done();
    invariants.hold();
    world.is_updated();
}

/// A pod that cannot come up on 4.0.0 stops the run; the rollback lets the operator render the old templates first.
#[tokio::test(start_paused = true)]
async fn a_stuck_pod_is_brought_back() {
    let stuck = PodRule::new(Ailment::PullError).name("db-broker-1").image("*kafka:4.0.0*");
    let (world, invariants) = behaving(Behaviour::default().with(stuck), kafka());
    let ended = world.update().await;
    ended.ended(Outcome::Failed, 4, true, true).says(&["db-broker-1"]);
    goes_back(&world).await;
    invariants.hold();
    let back: Vec<_> = world.sent().into_iter().skip_while(|s| s != "resume").collect();
    assert_eq!(
        back[..3],
        ["resume", "version 3.9.0", "pause"],
        "the pause is lifted before the version goes back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_rolled_back_by_itself() {
    let stuck = PodRule::new(Ailment::PullError).image("*kafka:4.0.0*");
    let (world, invariants) = behaving(Behaviour::default().with(stuck), kafka());
    let ended = world.start_with(|o| o.roll_back_on_failure = true).await.end().await;
    ended.ended(Outcome::RolledBack, 4, true, false);
    assert_eq!(ended.finish.next, ["kubectl dbupdate status kafka db"], "there is nothing to resume");
    invariants.ended(&ended);
    invariants.hold();
    assert_eq!(text(&world.database(), "/spec/version"), "3.9.0");
    no_pod_is_outdated(&world);
}

/// Once every pod has followed, a rollback may meet data of the new version.
#[tokio::test(start_paused = true)]
async fn going_back_from_what_has_arrived_needs_consent() {
    let (world, _) = behaving(Behaviour::default(), kafka());
    let mut running = world.start().await;
    running.step(Step::Resume).await;
    running.crash().await;
    let back = Process::rollback(&world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
    assert_eq!(back.refusals(), [Check::DataDowngrade]);
}

/// Whoever sets the version back while pods are restarted ends the run: the operator would render the old templates.
#[tokio::test(start_paused = true)]
async fn a_version_that_is_set_back_ends_the_run() {
    let (world, _) = behaving(Behaviour::default(), kafka());
    let mut running = world.start().await;
    running.evicted("db-controller-0").await;
    let set_back = |db: &mut serde_json::Value| db["spec"]["version"] = "3.9.0".into();
    world.store().update(&world.res(), "default", "db", set_back).expect("it is there");
    let ended = running.end().await;
    ended.ended(Outcome::SomebodyElse, 5, true, true).says(&["spec.version", "3.9.0"]);
    assert_eq!(world.evictions().len(), 1);
}

/// A stale write that brings the pause back keeps the operator from rendering: it is removed again.
#[tokio::test(start_paused = true)]
async fn a_pause_that_comes_back_does_not_keep_the_operator_from_rendering() {
    let stuck = PodRule::new(Ailment::PullError).name("db-broker-1").image("*kafka:4.0.0*");
    let (world, invariants) = behaving(Behaviour::default().with(stuck), kafka());
    world.update().await.ended(Outcome::Failed, 4, true, true);
    world.sim.behaviour().change(|b| b.provisioner.restore_pause = 2);
    goes_back(&world).await;
    invariants.hold();
}

/// Somebody and the operator fight over a template: the run does not wait for ever.
#[tokio::test(start_paused = true)]
async fn templates_that_never_rest_end_the_run() {
    let (world, _) = behaving(Behaviour::default(), kafka());
    let (store, began) = (world.store().clone(), tokio::time::Instant::now());
    let fight = tokio::spawn(async move {
        for round in 0.. {
            tokio::time::sleep(secs(2)).await;
            let annotate = |set: &mut serde_json::Value| {
                set["spec"]["template"]["metadata"]["annotations"]["round"] = round.to_string().into();
            };
            store.update(PETSETS, "default", "db-broker", annotate).expect("it is there");
        }
    });
    let ended = world.start_with(|o| o.bounds.pod_timeout = secs(300)).await.end().await;
    fight.abort();
    ended.ended(Outcome::Failed, 4, true, false).says(&["kept changing for 300 s"]);
    assert!(began.elapsed() < secs(400));
    assert!(world.evictions().is_empty());
}
