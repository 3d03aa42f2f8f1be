//! Events on the database object, as `kubectl describe` finds them.

use kubectl_dbupdate::event::{Event, Outcome};
use kubectl_dbupdate::model::Command;
use serde_json::Value;
use simcluster::world::Database;
use simcluster::{Ailment, Behaviour, Effect, Fault, PodRule};

use crate::common::{NAMESPACE, World, secs, text};

/// Type, reason and message of the Events about the database, in the order in which they were written.
fn announced(world: &World) -> Vec<(String, String, String)> {
    let uid = text(&world.database(), "/metadata/uid").to_owned();
    let posts = world.sim.requests();
    let posts = posts.iter().filter(|r| r.path.ends_with("/events") && r.status == Some(201));
    let about = posts.filter(|r| text(&r.body, "/involvedObject/uid") == uid);
    let told = |body: &Value| {
        let [kind, reason, message] = ["/type", "/reason", "/message"].map(|p| text(body, p).to_owned());
        (kind, reason, message)
    };
    about.map(|r| told(&r.body)).collect()
}

fn reasons(world: &World) -> Vec<String> {
    announced(world).into_iter().map(|(_, reason, _)| reason).collect()
}

#[tokio::test(start_paused = true)]
async fn an_update_is_told_on_the_database() {
    let world = World::new(Database::zookeeper("db"));
    world.update().await.done();
    let reasons = reasons(&world);
    assert_eq!(
        reasons,
        [
            "UpdateStarted",
            "OperatorPaused",
            "PodUpdated",
            "PodUpdated",
            "PodUpdated",
            "VersionSet",
            "OperatorResumed",
            "UpdateDone"
        ]
    );
    let told = announced(&world);
    assert!(told.iter().all(|(kind, ..)| kind == "Normal"), "{told:?}");
    assert_eq!(told[0].2, "run run1 by ann@laptop: updating 3.8.3 to 3.9.1");
    let events = world.store().list("events", Some(NAMESPACE));
    let about = events.iter().filter(|e| text(e, "/source/component") == "kubectl-dbupdate");
    assert!(about.clone().all(|e| text(e, "/involvedObject/name") == "db"));
    assert_eq!(about.count(), reasons.len());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_stops_tells_how_to_go_on() {
    let crash = PodRule::new(Ailment::Crash { after: secs(1), exit_code: 1 }).name("db-1").image("*:3.9.1*");
    let world = World::behaving(Behaviour::default().with(crash), Database::zookeeper("db"));
    world.update().await.ended(Outcome::Failed, 4, true, true);
    let (kind, reason, message) = announced(&world).pop().expect("the end is told");
    assert_eq!((kind.as_str(), reason.as_str()), ("Warning", "UpdateStopped"));
    assert!(
        message.contains("db-1") && message.ends_with("next: kubectl dbupdate resume zookeeper db"),
        "{message}"
    );
}

/// Everybody in the cluster reads what is written there; the user's files and contexts are their own.
#[tokio::test(start_paused = true)]
async fn nothing_in_the_cluster_names_what_is_on_the_users_machine() {
    let crash = PodRule::new(Ailment::Crash { after: secs(1), exit_code: 1 }).name("db-1").image("*:3.9.1*");
    let world = World::behaving(Behaviour::default().with(crash), Database::zookeeper("db"));
    let flags = ["--kubeconfig", "/home/ann/.kube/prod", "--context", "anns-prod"];
    let ended = world
        .start_with(|options| {
            options.caller.commands.connection = Command::new(flags);
            options.caller.commands.kubectl = Command::new(flags);
        })
        .await
        .end()
        .await;
    ended.ended(Outcome::Failed, 4, true, true);
    let finish = &ended.finish;
    assert!(finish.next.iter().any(|next| next.contains("/home/ann/.kube/prod")), "{:?}", finish.next);
    let (.., message) = announced(&world).pop().expect("the end is told");
    assert!(message.ends_with("next: kubectl dbupdate resume zookeeper db"), "{message}");
    for request in world.sim.requests() {
        let sent = format!("{} {} {}", request.path, request.user_agent, request.body);
        assert!(!sent.contains("/home/") && !sent.contains("anns-prod"), "{sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_permitted_is_said_once_and_stops_nothing() {
    let world = World::new(Database::zookeeper("db"));
    let run = world.start().await;
    world.sim.access().deny("create", "", "events", "");
    let ended = run.end().await;
    ended.done();
    let said =
        |e: &Event| matches!(e, Event::Notice { message } if message.contains("Events cannot be recorded"));
    assert_eq!(ended.events().filter(|e| said(e)).count(), 1);
    assert!(announced(&world).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_answer_is_lost_is_written_once() {
    let world = World::new(Database::zookeeper("db"));
    let lost = Fault::new(Effect::Reset).method("POST").path("/events").after_handling();
    world.sim.faults().add(lost);
    world.update().await.done();
    assert_eq!(reasons(&world).iter().filter(|r| *r == "UpdateStarted").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_to_events_holds_up_nothing() {
    let world = World::new(Database::zookeeper("db"));
    let undisturbed = world.update().await.took();
    let world = World::new(Database::zookeeper("db"));
    world.sim.faults().add(Fault::new(Effect::Hang).method("POST").path("/events").always());
    let ended = world.update().await;
    ended.done();
    assert!(ended.took() <= undisturbed + secs(2), "{:?} and {undisturbed:?}", ended.took());
}
