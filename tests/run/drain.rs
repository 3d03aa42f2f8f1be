//! MiddleManagers that are drained before their restart, and take on work again if they are not restarted after all.

use std::collections::BTreeSet;
use std::time::Duration;

use kubectl_dbupdate::engine::RunOptions;
use kubectl_dbupdate::event::{Event, Outcome, Step, WaitingOn, code};
use kubectl_dbupdate::model::HealthMode;
use kubectl_dbupdate::operation::{Operation, Request, Stop, Wish};
use simcluster::world::Database;
use simcluster::{Effect, Fault, Misanswer, RecordedRequest, Trouble};
use tokio::sync::{mpsc, watch};

use crate::common::process::Process;
use crate::common::*;
use crate::forged::forge;
use crate::health::unborne;

const FIRST: &str = "db-middlemanagers-0";

fn tasks(hand_off: Duration) -> World {
    let world = World::new(Database::druid("db").replicas_of("middleManagers", 2)).gated();
    world.sim.databases().trouble(Trouble::Task { pod: FIRST.into(), hand_off });
    world
}

fn waits_for_work(event: &Event) -> bool {
    matches!(event, Event::PodWaiting { on: WaitingOn::Drain { .. }, .. })
}

/// Not as long as the tasks.
fn soon(options: &mut RunOptions) {
    options.bounds.drain = secs(60);
}

/// Says that the pod may still take on no new work.
fn is_left_alone(event: &Event) -> bool {
    matches!(event, Event::Notice { message } if message.contains(FIRST) && message.contains("a restart ends that"))
}

fn disabled(world: &World) -> Vec<String> {
    world.sim.databases().disabled(NAMESPACE, "db")
}

/// The pods that are drained by what the journal says.
async fn noted(world: &World) -> Vec<String> {
    let journal = world.journal(&world.cluster()).await;
    let last = journal.last().expect("there is a run");
    last.progress.drained.iter().map(|noted| noted.pod.clone()).collect()
}

/// An update that is killed while it waits for the tasks of a middleManager.
async fn killed(world: &World) {
    let mut running = world.start().await;
    running.event("the drain", waits_for_work).await;
    running.crash().await;
    assert_eq!((disabled(world), noted(world).await), (vec![FIRST.to_owned()], vec![FIRST.to_owned()]));
}

async fn rollback(world: &World) -> Process {
    let process = Process::rollback(world, world.cluster(), BTreeSet::new()).await;
    process.expect("it is half done").with(soon)
}

async fn resume(world: &World) -> Process {
    let process = Process::resume(world, world.cluster(), BTreeSet::new()).await;
    process.expect("it is half done").with(soon)
}

#[tokio::test(start_paused = true)]
async fn a_middle_manager_is_drained_before_it_goes() {
    let world = tasks(secs(120));
    let ended = world.update().await;
    ended.done();
    assert_eq!(unborne(&world), Vec::<String>::new());
    let waited = ended.evicted_at(FIRST) - ended.at("the drain", waits_for_work);
    assert!(waited >= secs(115) && waited < secs(130), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_bounded_and_taken_back_by_a_run_that_stops_before_the_restart() {
    let world = tasks(secs(3600));
    let mut running = world.start_with(|options| options.bounds.drain = secs(60)).await;
    running.event("the drain", waits_for_work).await;
    running.interrupt();
    running.end().await.ended(Outcome::Stopped, 130, true, true);
    let mut running = world.start_with(|options| options.bounds.drain = secs(60)).await;
    running.evicted(FIRST).await;
    let ended = running.end().await;
    ended.done();
    let late = |e: &Event| matches!(e, Event::Notice { message } if message.contains("--drain-timeout"));
    assert!(ended.has(late), "it is said that a task was cut off");
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_run_has_left_drained_works_again_whatever_comes_next() {
    for command in ["resume", "rollback", "update"] {
        let world = tasks(secs(3600));
        killed(&world).await;
        let process = match command {
            "resume" => resume(&world).await,
            "rollback" => rollback(&world).await,
            _ => Process::update(&world, world.cluster()).await.with(soon),
        };
        let ended = process.start().end().await;
        ended.done();
        let told = |e: &Event| matches!(e, Event::Notice { message } if message.contains("work again"));
        let rolls = |e: &Event| *e == Event::StepStarted { step: Step::RollPods };
        let restarts = |e: &Event| matches!(e, Event::PodEvicted { .. });
        assert!(ended.at("told", told) >= ended.at("rolls", rolls), "{command}");
        assert!(ended.at("told", told) <= ended.at("restarts", restarts), "{command}");
        assert_eq!(disabled(&world), Vec::<String>::new(), "{command}");
        assert_eq!(noted(&world).await, Vec::<String>::new(), "{command}");
        let borne = unborne(&world);
        // The task was still running when --drain-timeout was over.
        assert!(borne.iter().all(|gone| gone.contains(FIRST)), "{command}: {borne:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_told_to_work_is_told_by_the_next_command() {
    let world = tasks(secs(3600));
    killed(&world).await;
    let mute = Trouble::Answers { pods: FIRST.into(), how: Misanswer::Refuse };
    world.sim.databases().trouble(mute.clone());
    let impatient = rollback(&world).await.with(|options| options.bounds.pod_timeout = secs(60));
    let ended = impatient.start().end().await;
    ended.ended(Outcome::Failed, code::UNFINISHED, true, true);
    assert!(ended.has(is_left_alone));
    assert_eq!((disabled(&world), noted(&world).await), (vec![FIRST.to_owned()], vec![FIRST.to_owned()]));
    world.sim.databases().heal(&mute);
    rollback(&world).await.start().end().await.done();
    assert_eq!((disabled(&world), noted(&world).await), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_does_not_ask_the_database_says_which_pod_may_not_work() {
    let mut world = tasks(secs(3600));
    killed(&world).await;
    world.health = HealthMode::Off;
    let ended = rollback(&world).await.start().end().await;
    ended.done();
    assert!(ended.has(is_left_alone));
    assert_eq!((disabled(&world), noted(&world).await), (vec![FIRST.to_owned()], vec![FIRST.to_owned()]));
    // One that restarts the pod has nothing to say.
    let world = {
        let mut world = tasks(secs(3600));
        killed(&world).await;
        world.health = HealthMode::Off;
        world
    };
    let ended = resume(&world).await.start().end().await;
    ended.done();
    assert!(!ended.has(is_left_alone));
    assert_eq!((disabled(&world), noted(&world).await), (vec![], vec![]));
}

/// No pod is restarted by the rollback, since none was by the update; so nothing but the note is a reason to ask the database.
#[tokio::test(start_paused = true)]
async fn it_is_told_even_where_no_pod_is_restarted_any_more() {
    let world = World::new(Database::druid("db").without("historicals")).gated();
    world.sim.databases().trouble(Trouble::Task { pod: FIRST.into(), hand_off: secs(3600) });
    killed(&world).await;
    let record = Fault::new(Effect::Hang).always();
    let rolls =
        |r: &RecordedRequest| r.path.contains("configmaps") && r.body.to_string().contains("rollPods");
    world.sim.faults().add(record.when(rolls));
    let mut back = rollback(&world).await.start();
    back.step(Step::RollPods).await;
    back.crash().await;
    world.sim.faults().clear();
    assert_eq!((disabled(&world), noted(&world).await), (vec![FIRST.to_owned()], vec![FIRST.to_owned()]));
    let request =
        Request { wish: Wish::Resume { through: false }, unasked: true, take_over: true, ..world.asked() };
    let ((_, stop), (told, _)) = (watch::channel(Stop::Go), mpsc::unbounded_channel());
    let mut operation = Operation::new(world.cluster(), request, world.clock(), stop, told);
    let outlook = operation.outlook().await.expect("it can be read");
    assert_eq!(outlook.refused(), None);
    let end = operation.carry_out(outlook).await.expect("nobody is asked");
    assert_eq!(end.finish.exit_code, 0, "{}", end.finish.error);
    assert_eq!((disabled(&world), noted(&world).await), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_to_work_because_only_a_journal_says_so() {
    let world = tasks(secs(3600));
    killed(&world).await;
    let uid = |pod: &str| text(&world.pod(pod), "/metadata/uid").to_owned();
    let (first, second) = (uid(FIRST), uid("db-middlemanagers-1"));
    let historical = uid("db-historicals-0");
    forge(&world, |_, noted| {
        let note = |pod: &str, uid: &str| serde_json::json!({ "pod": pod, "uid": uid });
        noted["drained"] = serde_json::json!([
            note(FIRST, "another"),
            note(FIRST, &second),
            note("db-historicals-0", &historical),
            note("", ""),
            note("db-middlemanagers-7", ""),
            note("someone-elses-pod", &first),
        ]);
    });
    let process = rollback(&world).await.with(|options| options.bounds.pod_timeout = secs(60));
    let ended = process.start().end().await;
    ended.ended(Outcome::Failed, code::UNFINISHED, true, true).says(&["db-middlemanagers-0 is disabled"]);
    assert!(!ended.has(|e| matches!(e, Event::Notice { message } if message.contains("work"))));
    assert_eq!((disabled(&world), noted(&world).await), (vec![FIRST.to_owned()], vec![]));
}

/// What another process has restarted may have hung, so that a good answer has to last for half a minute; but once is enough.
#[tokio::test(start_paused = true)]
async fn a_resumed_run_is_held_up_once_before_it_drains_and_says_why() {
    let world = World::new(Database::druid("db").replicas_of("middleManagers", 2)).gated();
    let mut running = world.start().await;
    running.ready("db-historicals-0").await;
    running.crash().await;
    assert!(!world.sent().contains(&format!("evict {FIRST}")), "it has died before");
    let ended = resume(&world).await.start().end().await;
    ended.done();
    let rolls = |e: &Event| *e == Event::StepStarted { step: Step::RollPods };
    let waited = ended.evicted_at(FIRST) - ended.at("rolls", rolls);
    assert!(waited > secs(29) && waited < secs(40), "{waited:?}");
    let stay = |why: &[String]| why.iter().any(|why| why.contains("it has to stay good for 30 s"));
    let says =
        |e: &Event| matches!(e, Event::PodWaiting { on: WaitingOn::Answer { why, .. }, .. } if stay(why));
    assert_eq!(ended.events().filter(|e| says(e)).count(), 1);
}
