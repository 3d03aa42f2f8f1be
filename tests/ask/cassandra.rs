//! Cassandra: CQL, one connection to each node.

use kubectl_dbupdate::model::Check;

use super::*;

const PORT: u16 = 9042;

fn cassandra() -> Database {
    Database::cassandra_racks("cas", &[("r0", 2), ("r1", 1)])
}

#[tokio::test(start_paused = true)]
async fn a_well_ring_may_be_restarted_and_is_asked_over_connections_that_are_kept() {
    let mut asked = Asked::new(cassandra());
    for _ in 0..3 {
        let health = asked.health().await;
        assert_eq!((may_go(&health), back(&health)), ("yyy".to_owned(), "yyy".to_owned()), "{health:#?}");
        assert!(health.members.iter().all(|m| m.state == "UN" && !m.id.is_empty() && !m.leader));
    }
    assert_eq!(asked.connections(PORT), 3);
}

#[tokio::test(start_paused = true)]
async fn whatever_a_node_does_instead_of_answering_nobody_goes() {
    misanswers(cassandra, "cas-rack-r0-1").await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_knows_no_such_user_is_not_asked_for_more() {
    let mut asked = Asked::new(cassandra());
    asked.trouble(Trouble::Answers { pods: "cas-rack-r0-1".into(), how: Misanswer::RejectCredentials });
    let health = asked.health().await;
    assert_eq!(may_go(&health), "???");
    let why = health.members[0].may_go.why().join("; ");
    assert!(why.contains("password are incorrect"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn what_one_node_sees_otherwise_keeps_all_of_them() {
    for (trouble, words) in [
        (
            Trouble::SeesDown { pod: "cas-rack-r1-0".into(), other: "cas-rack-r0-0".into() },
            "cas-rack-r1-0 sees 2 of 3 replicas alive",
        ),
        (Trouble::OtherSchema { pods: "cas-rack-r0-1".into() }, "different schemas"),
        (Trouble::Streaming { pod: "cas-rack-r0-1".into() }, "cas-rack-r0-1 streams: Repair"),
        (Trouble::OtherCluster { pods: "cas-rack-r0-1".into() }, "nodes of different clusters: cas, other"),
    ] {
        let mut asked = Asked::new(cassandra());
        asked.trouble(trouble);
        let health = asked.health().await;
        assert_eq!(may_go(&health), "nnn", "{words}: {health:#?}");
        let why = health.members[0].may_go.why().join("; ");
        assert!(why.contains(words), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_node_goes_and_that_is_remarked() {
    let mut asked = Asked::new(Database::cassandra_racks("cas", &[("r0", 1)]));
    let health = asked.health().await;
    assert_eq!((may_go(&health), back(&health)), ("y".to_owned(), "y".to_owned()), "{health:#?}");
    assert_eq!(health.remarks[0].check, Check::OneReplica);
}

/// A drained node tells the others that it goes, before it goes.
#[tokio::test(start_paused = true)]
async fn a_node_is_drained_by_its_management_api() {
    let mut asked = Asked::new(cassandra());
    asked.world.sim.databases().serve_management_api();
    asked.health().await;
    let snapshot = asked.cluster.snapshot(asked.world.kind, NAMESPACE, "cas").await.expect("it can be read");
    let place = kinds::roster(&snapshot).places.swap_remove(1);
    let session = asked.session.as_mut().expect("it was asked");
    assert_eq!(session.drain(&place).await, Ok(true));
    assert!(session.undrain(&place).await.is_err(), "there is no way back");
    let why = asked.health().await.members[0].may_go.why().join("; ");
    assert!(why.contains("cas-rack-r0-0 sees 2 of 3 replicas alive"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_node_without_a_management_api_is_left_as_it_is() {
    let mut asked = Asked::new(cassandra());
    asked.health().await;
    let snapshot = asked.cluster.snapshot(asked.world.kind, NAMESPACE, "cas").await.expect("it can be read");
    let place = kinds::roster(&snapshot).places.swap_remove(1);
    let session = asked.session.as_mut().expect("it was asked");
    assert_eq!(session.drain(&place).await, Ok(false));
    assert_eq!(may_go(&asked.health().await), "yyy");
}
