//! ZooKeeper: `mntr` on the client port, or the AdminServer's page.

use kubectl_dbupdate::model::{Check, Verdict};

use super::*;

fn zookeeper() -> Database {
    Database::zookeeper("zk")
}

#[tokio::test(start_paused = true)]
async fn a_well_ensemble_says_who_leads_and_may_be_restarted() {
    let mut asked = Asked::new(zookeeper());
    let health = asked.health().await;
    assert_eq!((may_go(&health), back(&health)), ("yyy".to_owned(), "yyy".to_owned()), "{health:#?}");
    let leader = asked.world.sim.databases().leader(NAMESPACE, "zk", "leader").expect("somebody leads");
    let leaders: Vec<_> = health.members.iter().filter(|m| m.leader).map(|m| m.pod.clone()).collect();
    assert_eq!(leaders, [leader]);
    assert!(health.members.iter().all(|m| m.state.ends_with(" - broadcast") && !m.version.is_empty()));
    assert_eq!(health.remarks, []);
}

#[tokio::test(start_paused = true)]
async fn whatever_a_server_does_instead_of_answering_nobody_goes() {
    misanswers(zookeeper, "zk-1").await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_ready_and_not_in_its_ensemble_is_the_only_one_that_may_go() {
    let mut asked = Asked::new(zookeeper());
    let leader = asked.world.sim.databases().leader(NAMESPACE, "zk", "leader").expect("somebody leads");
    let other = if leader == "zk-1" { "zk-2" } else { "zk-1" };
    asked.trouble(Trouble::OtherCluster { pods: other.into() });
    let health = asked.health().await;
    for member in &health.members {
        assert_ne!((member.pod != other, &member.may_go), (true, &Verdict::Yes), "{health:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_that_claim_to_lead_keep_everybody_where_they_are() {
    let mut asked = Asked::new(zookeeper());
    asked.trouble(Trouble::ClaimsToLead { pods: "zk-*".into() });
    let health = asked.health().await;
    assert_eq!((may_go(&health), back(&health)), ("nnn".to_owned(), "nnn".to_owned()));
    assert_eq!(health.members[0].may_go.why(), ["zk-0, zk-1, zk-2 all say that they lead"]);
}

/// What takes `pods/proxy` alone is asked without `pods/portforward`.
#[tokio::test(start_paused = true)]
async fn the_page_of_the_admin_server_does_where_no_connection_may_be_had() {
    let mut asked = Asked::new(zookeeper());
    asked.world.sim.access().deny("*", "", "pods", "portforward");
    let health = asked.health().await;
    assert_eq!((may_go(&health), back(&health)), ("yyy".to_owned(), "yyy".to_owned()), "{health:#?}");
    asked.world.sim.access().deny("get", "", "pods", "proxy");
    let health = asked.health().await;
    assert_eq!(may_go(&health), "???");
    assert!(health.members[0].may_go.why()[0].contains("forbidden"), "{health:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_single_server_goes_and_that_is_remarked() {
    let mut asked = Asked::new(zookeeper().replicas(1));
    let health = asked.health().await;
    assert_eq!((may_go(&health), back(&health)), ("y".to_owned(), "y".to_owned()), "{health:#?}");
    assert_eq!(health.remarks[0].check, Check::OneReplica);
}
