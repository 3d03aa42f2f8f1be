//! The wait for KubeDB to report the database as Ready, after everything is on the target.

use std::collections::BTreeSet;
use std::time::Duration;

use kubectl_dbupdate::engine::{Signal, Stop};
use kubectl_dbupdate::event::{Event, Outcome, Step, WaitingOn};
use kubectl_dbupdate::operation;
use kubectl_dbupdate::situation::{Commands, Next, State, decide, last_words};
use serde_json::json;
use simcluster::world::Database;
use simcluster::{Ailment, Behaviour, Effect, Fault, PodRule, Provisioner};

use crate::common::process::Process;
use crate::common::*;

/// A ZooKeeper whose health is checked at multiples of this time.
fn checked_every(period: Duration) -> World {
    let provisioner = Provisioner { check_period: period, ..Provisioner::default() };
    World::behaving(Behaviour { provisioner, ..Behaviour::default() }, Database::zookeeper("db"))
}

/// From now on KubeDB says nothing more than that.
fn falls_silent(world: &World, phase: &str) {
    world.sim.behaviour().change(|b| b.provisioner.alive = false);
    reports(world, phase);
}

fn reports(world: &World, phase: &str) {
    world.change_status(|db| db["status"]["phase"] = json!(phase));
}

fn waits(phase: &str, before: bool) -> impl Fn(&Event) -> bool {
    let expected = WaitingOn::Phase { phase: phase.to_owned(), before };
    move |event| matches!(event, Event::Waiting { step: Step::Verify, on } if *on == expected)
}

/// How long everything was on the target when the run ended.
fn verified_for(ended: &Ended) -> Duration {
    ended.took() - ended.at("verify", |e| *e == Event::StepStarted { step: Step::Verify })
}

/// The run has ended, and nothing of it is left to be done or cleaned up.
async fn nothing_is_left(world: &World) {
    world.is_updated();
    let cluster = world.cluster();
    let (journal, snapshot) = (world.journal(&cluster).await, world.snapshot(&cluster).await);
    assert!(journal.last().is_some_and(|entry| !entry.unfinished()));
    assert!(operation::unfinished(&journal, &snapshot).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_critical_at_the_end_is_waited_for() {
    // It is checked in the middle of the roll, and again long after it.
    let world = checked_every(secs(61));
    tokio::time::sleep(secs(57)).await;
    let ended = world.update().await;
    ended.done();
    assert!(ended.has(waits("Critical", false)));
    assert!(verified_for(&ended) > secs(40), "{:?}", verified_for(&ended));
    assert_eq!((ended.finish.phase.as_str(), text(&world.database(), "/status/phase")), ("Ready", "Ready"));
}

#[tokio::test(start_paused = true)]
async fn a_ready_from_before_is_no_news() {
    // Three checks of 10 s and a timeout of 10 s, as the database asks for; the simulation has nothing to say in between.
    let world = checked_every(secs(3600));
    let ended = world.update().await;
    ended.done();
    assert!(ended.has(waits("Ready", true)));
    assert!((secs(40)..secs(41)).contains(&verified_for(&ended)), "{:?}", verified_for(&ended));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ready_in_time_is_updated_and_has_a_code_of_its_own() {
    for phase in ["Critical", "NotReady", "Provisioning", ""] {
        let world = World::new(Database::zookeeper("db"));
        let mut run = world.start_with(|o| o.bounds.wait_ready = secs(100)).await;
        run.step(Step::Verify).await;
        falls_silent(&world, phase);
        let ended = run.end().await;
        let shown = if phase.is_empty() { "not reported" } else { phase };
        ended.ended(Outcome::NotReady, 6, true, false).says(&[
            "everything is on 3.9.1, but KubeDB did not report the database as Ready within the 100 s of --wait-ready",
            &format!("its phase is {shown}"),
            "kubectl describe",
            "kubectl dbupdate status",
        ]);
        assert!(!ended.finish.next.iter().any(|next| next.contains("resume") || next.contains("rollback")));
        assert_eq!(ended.finish.phase, shown);
        assert!((secs(103)..secs(104)).contains(&verified_for(&ended)), "{:?}", verified_for(&ended));
        nothing_is_left(&world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_never_answered_confirms_nothing() {
    let dead = Provisioner { alive: false, ..Provisioner::default() };
    let world =
        World::behaving(Behaviour { provisioner: dead, ..Behaviour::default() }, Database::zookeeper("db"));
    let ended = world.update().await;
    ended.ended(Outcome::NotReady, 6, true, false).says(&["Ready, but may be from before"]);
    nothing_is_left(&world).await;
}

/// A process that only verifies asks no operator; what an earlier one has heard counts.
#[tokio::test(start_paused = true)]
async fn a_ready_that_stands_counts_only_if_an_operator_has_answered_the_run() {
    for alive in [true, false] {
        let provisioner = Provisioner { alive, check_period: secs(3600), ..Provisioner::default() };
        let world =
            World::behaving(Behaviour { provisioner, ..Behaviour::default() }, Database::zookeeper("db"));
        let mut run = world.start().await;
        run.step(Step::Verify).await;
        run.crash().await;
        tokio::time::sleep(secs(60)).await;
        let resume =
            Process::resume(&world, world.cluster(), BTreeSet::new()).await.expect("it is unfinished");
        let ended = resume.start().end().await;
        match alive {
            true => ended.done(),
            false => ended.ended(Outcome::NotReady, 6, false, false),
        };
        nothing_is_left(&world).await;
    }
}

/// An operator that has answered nothing, and whose report ends as it began.
#[tokio::test(start_paused = true)]
async fn a_ready_that_has_returned_is_news() {
    let provisioner = Provisioner { acknowledge: None, check_period: secs(3600), ..Provisioner::default() };
    let world = World::behaving(Behaviour { provisioner, ..Behaviour::default() }, Database::zookeeper("db"));
    let mut run = world.start().await;
    run.event("it waits", waits("Ready", true)).await;
    reports(&world, "Critical");
    run.event("it waits on", waits("Critical", false)).await;
    reports(&world, "Ready");
    let ended = run.end().await;
    ended.done();
    assert!(ended.finish.operator_confirmed);
}

/// Watches that are open and silent tell nothing of what KubeDB reports: it is read before the run ends.
#[tokio::test(start_paused = true)]
async fn silence_is_believed_only_after_a_look() {
    for (seen, really) in [("Ready", "Critical"), ("Critical", "Ready")] {
        let world = checked_every(secs(3600));
        let databases = Fault::new(Effect::StallWatch(0)).method("GET").path("/zookeepers").always();
        world.sim.faults().add(databases);
        let mut run = world.start_with(|o| o.bounds.wait_ready = secs(50)).await;
        run.step(Step::Resume).await;
        reports(&world, seen);
        run.step(Step::Verify).await;
        falls_silent(&world, really);
        let ended = run.end().await;
        match really {
            "Ready" => ended.done(),
            _ => ended.ended(Outcome::NotReady, 6, true, false),
        };
    }
}

/// Its health checker takes longer to report a failure than `--wait-ready` allows.
#[tokio::test(start_paused = true)]
async fn a_slow_health_checker_is_given_its_time() {
    let world = checked_every(secs(3600));
    let slowly = |db: &mut serde_json::Value| db["spec"]["healthChecker"]["periodSeconds"] = json!(120);
    world.store().update(&world.res(), NAMESPACE, "db", slowly).expect("it is there");
    let ended = world.update().await;
    ended.done();
    assert!((secs(370)..secs(371)).contains(&verified_for(&ended)), "{:?}", verified_for(&ended));
}

#[tokio::test(start_paused = true)]
async fn zero_waits_for_nothing() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start_with(|o| o.bounds.wait_ready = Duration::ZERO).await;
    run.step(Step::Verify).await;
    falls_silent(&world, "Critical");
    let ended = run.end().await;
    ended.done().says(&["last reported Critical"]);
    assert_eq!(ended.finish.phase, "Critical");
    assert!(verified_for(&ended) < secs(4));
}

/// The update is complete: whoever stops the wait leaves nothing undone, and is told so.
#[tokio::test(start_paused = true)]
async fn the_wait_is_stopped_by_a_signal_and_by_the_timeout() {
    for (stop, code, words) in [
        (Some(Stop::Finish(Signal::Interrupt)), 130, "interrupted by SIGINT"),
        (Some(Stop::Now(Signal::Terminate)), 143, "interrupted by SIGTERM"),
        (None, 124, "the --timeout of 60 s"),
    ] {
        let world = World::new(Database::zookeeper("db"));
        let mut run = world.start_with(|o| o.bounds.timeout = Some(secs(60))).await;
        run.step(Step::Verify).await;
        falls_silent(&world, "Critical");
        run.event("it waits", waits("Critical", false)).await;
        if let Some(stop) = stop {
            run.stop(stop);
        }
        let ended = run.end().await;
        ended.ended(Outcome::NotReady, code, true, false).says(&["everything is on 3.9.1", words]);
        nothing_is_left(&world).await;
    }
}

/// As long as the pod templates settle, the update is not verified, and a stop leaves that to be done.
#[tokio::test(start_paused = true)]
async fn a_stop_before_the_update_is_verified_leaves_it_unfinished() {
    let world = World::new(Database::zookeeper("db"));
    let mut run = world.start().await;
    run.step(Step::Verify).await;
    run.interrupt();
    run.end().await.ended(Outcome::Stopped, 130, true, false).says(&["not been verified", "resume"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_relapses_while_kubedb_is_waited_for_is_waited_for_as_well() {
    let relapse = PodRule::new(Ailment::Relapse { after: secs(20) }).name("db-2").image("*:3.9.1*");
    let provisioner = Provisioner { check_period: secs(3600), ..Provisioner::default() };
    let behaviour = Behaviour { provisioner, ..Behaviour::default() }.with(relapse);
    let world = World::behaving(behaviour, Database::zookeeper("db"));
    let run = world.start_with(|o| o.bounds.pod_timeout = secs(60)).await;
    // The pod is not Ready again: the update is not complete, whatever the phase says.
    run.end().await.ended(Outcome::Failed, 4, true, false).says(&["pod db-2 of petset/db is not Ready"]);
}

/// It has the whole of `--pod-timeout` from its relapse on, however long the wait for KubeDB has been by then.
#[tokio::test(start_paused = true)]
async fn a_late_relapse_has_the_time_of_every_pod() {
    let relapse = PodRule::new(Ailment::Relapse { after: secs(30) }).name("db-2").image("*:3.9.1*");
    let provisioner = Provisioner { check_period: secs(3600), ..Provisioner::default() };
    let behaviour = Behaviour { provisioner, ..Behaviour::default() }.with(relapse);
    let world = World::behaving(behaviour, Database::zookeeper("db"));
    let ended = world.start_with(|o| o.bounds.pod_timeout = secs(25)).await.end().await;
    ended.ended(Outcome::Failed, 4, true, false).says(&["pod db-2 of petset/db is not Ready"]);
    assert!((secs(50)..secs(56)).contains(&verified_for(&ended)), "{:?}", verified_for(&ended));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_waits_as_well() {
    let pull = PodRule::new(Ailment::PullError).image("*:3.9.1*");
    let world = World::behaving(Behaviour::default().with(pull), Database::zookeeper("db"));
    let mut run = world.start_with(|o| o.roll_back_on_failure = true).await;
    run.step(Step::Verify).await;
    falls_silent(&world, "Critical");
    run.end().await.ended(Outcome::RolledBack, 4, true, false).says(&[
        "rolled back, but KubeDB did not report the database as Ready within the 300 s of --wait-ready",
        "its phase is Critical",
    ]);
    let (journal, snapshot) = (world.journal(&world.cluster()).await, world.snapshot(&world.cluster()).await);
    assert!(operation::unfinished(&journal, &snapshot).is_none());
}

/// As after an update, the code says what has ended the wait.
#[tokio::test(start_paused = true)]
async fn the_wait_of_a_rollback_is_stopped_too() {
    let pull = PodRule::new(Ailment::PullError).image("*:3.9.1*");
    let world = World::behaving(Behaviour::default().with(pull), Database::zookeeper("db"));
    let mut run = world.start_with(|o| o.roll_back_on_failure = true).await;
    run.step(Step::Verify).await;
    falls_silent(&world, "Critical");
    run.event("it waits", waits("Critical", false)).await;
    run.interrupt();
    run.end().await.ended(Outcome::RolledBack, 130, true, false).says(&["interrupted by SIGINT"]);
}

/// The hops after it do not start by themselves, but are not lost: the run, whoever has followed it, `status` and `resume`
/// all lead to them.
#[tokio::test(start_paused = true)]
async fn a_hop_that_is_not_ready_is_followed_by_none() {
    let world = World::new(Database::druid("db"));
    let further = |o: &mut kubectl_dbupdate::engine::RunOptions| {
        let through = Some("31.0.0".to_owned());
        (o.story.through, o.caller.commands.through) = (through.clone(), through);
    };
    let mut run = world.start_with(further).await;
    run.step(Step::Verify).await;
    falls_silent(&world, "Critical");
    let ended = run.end().await;
    let again = "kubectl dbupdate resume druid db --through";
    ended.ended(Outcome::NotReady, 4, true, false).says(&[again]);

    let seen = async || {
        let found = overview(&world.cluster(), world.kind, NAMESPACE, Some(&world.name)).await;
        operation::seen(found.expect("it can be read").remove(0), &world.clock())
    };
    let (finish, next) = last_words(&seen().await, &ended.finish, "30.0.1");
    let named = |next: &Next| Commands::default().command(next, world.kind, &ended.plan.database).to_string();
    assert_eq!(finish.exit_code, 4);
    assert_eq!(next.iter().map(named).collect::<Vec<_>>(), ended.finish.next);

    world.change_status(|db| db["status"]["phase"] = json!("Ready"));
    let (situation, cluster) = (decide(&seen().await), world.cluster());
    assert_eq!((situation.state(), situation.next()), (State::OnItsWay, vec![Next::Further]));
    let wish = operation::Wish::Resume { through: true };
    let request = operation::Request { wish, unasked: true, ..world.asked() };
    let goal = operation::goal(&request, &world.snapshot(&cluster).await, &world.journal(&cluster).await);
    let Ok(operation::Goal::To { to, through: true, unfinished: None, .. }) = goal else {
        panic!("{goal:?}")
    };
    assert_eq!(to, "31.0.0");
}
