//! Kafka: its own protocol on the port for clients.

use std::time::Duration;

use kubectl_dbupdate::model::Check;
use simcluster::{ApiError, Contents, Effect, Fault, Misanswer, Topic};
use tokio::time::Instant;

use super::*;

/// Three controllers, three brokers, and a topic whose partitions have a replica on each broker.
fn topology() -> Asked {
    let asked = Asked::new(Database::kafka_topology("kf"));
    fill(&asked, vec![Topic::spread("orders", 6, 3, 2, 3)]);
    asked
}

fn fill(asked: &Asked, topics: Vec<Topic>) {
    asked.world.sim.databases().fill(NAMESPACE, "kf", &Contents { topics, ..Contents::default() });
}

/// What the verdict on a pod's going is, in words.
fn may(health: &Health, pod: &str) -> String {
    in_words(&health.member(pod).expect("it is a member").may_go)
}

fn in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Yes => "yes".to_owned(),
        Verdict::No { why } => format!("no: {}", why.join("; ")),
        Verdict::Unknown { why } => format!("unknown: {}", why.join("; ")),
    }
}

#[tokio::test(start_paused = true)]
async fn a_well_kafka_says_who_leads_and_may_be_restarted() {
    for (mut asked, office) in
        [(topology(), "controller"), (Asked::new(Database::kafka_combined("kf")), "controller")]
    {
        let health = asked.health().await;
        let members = health.members.len();
        assert_eq!(
            (may_go(&health), back(&health)),
            ("y".repeat(members), "y".repeat(members)),
            "{health:#?}"
        );
        let leader = asked.world.sim.databases().leader(NAMESPACE, "kf", office).expect("somebody leads");
        let leaders: Vec<_> = health.members.iter().filter(|m| m.leader).map(|m| m.pod.clone()).collect();
        assert_eq!(leaders, [leader]);
        let asked_themselves = health.members.iter().filter(|member| member.role != "controller");
        assert!(asked_themselves.clone().all(|member| member.version == "3.5"), "{health:#?}");
    }
}

/// A proxy that knows nothing of WebSockets takes their header off, and an API server then asks for it.
#[tokio::test(start_paused = true)]
async fn what_carries_no_websocket_is_told_as_that() {
    let mut asked = topology();
    let refusal = ApiError::new(400, "BadRequest", "Upgrade request required");
    asked.world.sim.faults().add(Fault::new(Effect::Answer(refusal)).path("/portforward").always());
    let health = asked.health().await;
    assert!(may(&health, "kf-broker-0").contains("no WebSocket is carried"), "{health:#?}");
}

#[tokio::test(start_paused = true)]
async fn connections_stay_open_between_questions() {
    let mut asked = topology();
    for _ in 0..5 {
        asked.health().await;
    }
    assert_eq!(asked.connections(9092), 3);
}

#[tokio::test(start_paused = true)]
async fn whatever_a_broker_does_instead_of_answering_no_other_broker_goes() {
    for (how, words) in [
        (Misanswer::Refuse, "refused"),
        (Misanswer::Reset, ""),
        (Misanswer::Garbage, "the answer to"),
        (Misanswer::Endless, "the answer to"),
        (Misanswer::Hang, "no answer within"),
        (Misanswer::RejectCredentials, "rejects user and password"),
    ] {
        let mut asked = topology();
        asked.health().await;
        asked.trouble(Trouble::Answers { pods: "kf-broker-1".into(), how });
        // Who is known already is not asked for credentials again.
        asked.session = None;
        let before = Instant::now();
        let health = asked.health().await;
        for pod in ["kf-broker-0", "kf-broker-2"] {
            let said = may(&health, pod);
            assert!(said.starts_with("unknown: kf-broker-1: ") && said.contains(words), "{how:?}: {said}");
        }
        assert!(!health.member("kf-broker-1").expect("a member").back.is_yes(), "{how:?}");
        assert_eq!(may(&health, "kf-controller-1"), "yes", "{how:?}");
        assert!(before.elapsed() < Duration::from_secs(6), "{how:?}: {:?}", before.elapsed());
        asked.world.sim.databases().heal_all();
        assert_eq!(may_go(&asked.health().await), "yyyyyy", "{how:?} is over");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_opened_again() {
    let mut asked = topology();
    asked.trouble(Trouble::Answers { pods: "kf-broker-1".into(), how: Misanswer::Reset });
    assert!(may(&asked.health().await, "kf-broker-0").starts_with("unknown: kf-broker-1: "));
    asked.world.sim.databases().heal_all();
    assert_eq!(may_go(&asked.health().await), "yyyyyy");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_lags_keeps_those_that_are_in_sync() {
    let mut asked = topology();
    asked.trouble(Trouble::Lagging { topic: "orders".into(), partition: 3, broker: 1 });
    let health = asked.health().await;
    let expected =
        "no: orders-3 has 2 of 3 in-sync replicas (min.insync.replicas 2); broker 1 is still catching up";
    assert_eq!(
        (may(&health, "kf-broker-0").as_str(), may(&health, "kf-broker-2").as_str()),
        (expected, expected)
    );
    assert_eq!(may(&health, "kf-broker-1"), "yes");
    let member = health.member("kf-broker-1").expect("a member");
    assert_eq!(in_words(&member.back), "no: broker 1 is not in the ISR of orders-3");
    assert_eq!(member.state, "1 of 6 replicas not in sync");
}

#[tokio::test(start_paused = true)]
async fn a_broker_of_another_cluster_lets_nobody_go() {
    let mut asked = topology();
    asked.trouble(Trouble::OtherCluster { pods: "kf-broker-2".into() });
    let health = asked.health().await;
    assert_eq!((may_go(&health), back(&health)), ("nnnnnn".to_owned(), "nnnnnn".to_owned()));
    assert!(may(&health, "kf-broker-0").starts_with("no: brokers belong to different clusters: "));
}

#[tokio::test(start_paused = true)]
async fn two_that_claim_to_lead_keep_everybody_where_they_are() {
    let mut asked = Asked::new(Database::kafka_combined("kf"));
    asked.trouble(Trouble::ClaimsToLead { pods: "kf-*".into() });
    let health = asked.health().await;
    assert_eq!((may_go(&health), back(&health)), ("nnn".to_owned(), "nnn".to_owned()), "{health:#?}");
    assert!(may(&health, "kf-0").starts_with("no: brokers do not agree on the active controller: "));
}

#[tokio::test(start_paused = true)]
async fn what_a_restart_will_cost_is_remarked() {
    let mut asked = topology();
    fill(
        &asked,
        vec![
            Topic::spread("alone", 3, 1, 1, 3),
            Topic::spread("pair", 3, 2, 2, 3),
            Topic::spread("moving", 3, 3, 2, 3),
        ],
    );
    asked.trouble(Trouble::Reassigning { topic: "moving".into(), partition: 1 });
    let health = asked.health().await;
    let checks: Vec<_> = health.remarks.iter().map(|remark| remark.check).collect();
    assert_eq!(checks, [Check::Replication, Check::Replication, Check::DataMoving], "{health:#?}");
}

#[tokio::test(start_paused = true)]
async fn without_permission_nothing_is_known() {
    let mut asked = topology();
    asked.world.sim.access().deny("get", "", "pods", "portforward");
    let health = asked.health().await;
    assert_eq!(may_go(&health), "??????");
    assert!(may(&health, "kf-broker-0").contains("forbidden"), "{health:#?}");
}
