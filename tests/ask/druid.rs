//! Druid: the HTTP API of each role.

use kubectl_dbupdate::model::{Check, Place};

use super::*;

/// The roles of the pods as KubeDB names them, in the order in which they are restarted.
const ROLES: [&str; 6] = ["historicals", "middleManagers", "brokers", "routers", "overlords", "coordinators"];

fn two_of_each() -> Database {
    ROLES.into_iter().fold(Database::druid("dr"), |database, role| database.replicas_of(role, 2))
}

/// The verdicts on the pods of one role, or of all.
fn of_role(health: &Health, role: &str) -> String {
    let members = health.members.iter().filter(|m| m.pod.starts_with(&format!("dr-{role}")));
    may_go(&Health { members: members.cloned().collect(), ..Health::default() })
}

#[tokio::test(start_paused = true)]
async fn a_whole_druid_may_be_restarted_and_its_leaders_are_known() {
    let mut asked = Asked::new(two_of_each());
    let health = asked.health().await;
    let all = "y".repeat(2 * ROLES.len());
    assert_eq!((may_go(&health), back(&health)), (all.clone(), all), "{health:#?}");
    let databases = asked.world.sim.databases();
    let leader = |office| databases.leader(NAMESPACE, "dr", office).expect("somebody leads");
    let leaders: Vec<_> = health.members.iter().filter(|m| m.leader).map(|m| m.pod.clone()).collect();
    assert_eq!(leaders, [leader("overlord"), leader("coordinator")]);
    assert!(health.members.iter().all(|m| !m.version.is_empty() && m.busy.is_empty()), "{health:#?}");
}

#[tokio::test(start_paused = true)]
async fn the_only_process_of_a_role_may_go_and_what_that_interrupts_is_remarked() {
    let health = Asked::new(Database::druid("dr")).health().await;
    assert_eq!(may_go(&health), "y".repeat(health.members.len()), "{health:#?}");
    let alone = health.remarks.iter().filter(|remark| remark.check == Check::OneReplica).count();
    assert_eq!(alone, health.members.len(), "{:#?}", health.remarks);
}

#[tokio::test(start_paused = true)]
async fn each_role_waits_for_what_concerns_it() {
    let answers = |pods: &str, how| Trouble::Answers { pods: pods.into(), how };
    let loading = || Trouble::Loading { pods: "dr-historicals-1".into() };
    let leads = |pods: &str| Trouble::ClaimsToLead { pods: pods.into() };
    for (trouble, role, expected, reason) in [
        (loading(), "historicals", "nn", "replicas of segments of"),
        (loading(), "brokers", "yy", ""),
        (Trouble::Uncounted, "historicals", "nn", "has not counted the segments yet"),
        (Trouble::Uncounted, "coordinators", "yy", ""),
        (Trouble::Unbalanced, "historicals", "nn", "on fewer than 2 historicals"),
        (Trouble::Unbalanced, "coordinators", "yy", ""),
        (leads("dr-coordinators-*"), "coordinators", "nn", "both lead the coordinators"),
        (leads("dr-coordinators-*"), "historicals", "nn", "both lead the coordinators"),
        (leads("dr-overlords-*"), "middlemanagers", "nn", "both lead the overlords"),
        (answers("dr-brokers-1", Misanswer::Hang), "brokers", "?y", "no answer within"),
        (answers("dr-brokers-1", Misanswer::Hang), "routers", "yy", ""),
        (answers("dr-routers-0", Misanswer::Refuse), "routers", "y?", "refused"),
        (answers("dr-historicals-0", Misanswer::Garbage), "historicals", "y?", "an answer"),
        (answers("dr-coordinators-*", Misanswer::Reset), "historicals", "??", "dr-coordinators-0: "),
        (answers("dr-overlords-0", Misanswer::Endless), "overlords", "??", "an answer"),
        (answers("*", Misanswer::RejectCredentials), "", "????????????", "401 Unauthorized"),
    ] {
        let mut asked = Asked::new(two_of_each());
        asked.trouble(trouble.clone());
        let before = Instant::now();
        let health = asked.health().await;
        assert_eq!(of_role(&health, role), expected, "{trouble:?}, {role}: {health:#?}");
        let why: Vec<_> = health.members.iter().flat_map(|member| member.may_go.why()).collect();
        assert!(why.iter().any(|why| why.contains(reason)) || reason.is_empty(), "{trouble:?}: {why:?}");
        assert!(before.elapsed() < Duration::from_secs(6), "{trouble:?}: {:?}", before.elapsed());
        asked.world.sim.databases().heal_all();
        assert_eq!(may_go(&asked.health().await), "y".repeat(2 * ROLES.len()), "{trouble:?} is over");
    }
}

#[tokio::test(start_paused = true)]
async fn segments_that_a_stream_still_fills_do_not_hide_one_that_has_lost_a_replica() {
    let mut asked = Asked::new(two_of_each());
    for pod in ["dr-middlemanagers-0", "dr-middlemanagers-1"] {
        asked.trouble(Trouble::Task { pod: pod.into(), hand_off: Duration::MAX });
    }
    assert_eq!(of_role(&asked.health().await, "historicals"), "yy", "they are on no historical yet");
    asked.trouble(Trouble::Unbalanced);
    let health = asked.health().await;
    assert_eq!(of_role(&health, "historicals"), "nn", "{health:#?}");
}

/// Only historicals wait for a broker that fails to count, and none for one that never does, which is a setting.
#[tokio::test(start_paused = true)]
async fn a_broker_that_answers_all_but_sql_is_well_and_its_count_is_missed() {
    for (pods, code, historicals, reason) in [
        ("dr-brokers-*", None, "??", "no answer within 3 s"),
        ("dr-brokers-*", Some(429), "??", "/druid/v2/sql: 429 Too Many Requests"),
        ("dr-brokers-*", Some(500), "??", "/druid/v2/sql: 500 Internal Server Error"),
        ("dr-brokers-*", Some(503), "??", "/druid/v2/sql: 503 Service Unavailable"),
        ("dr-brokers-*", Some(504), "??", "/druid/v2/sql: 504 Gateway Timeout"),
        ("dr-brokers-*", Some(200), "??", "an answer that this tool does not understand"),
        ("dr-brokers-*", Some(404), "yy", ""),
        ("dr-brokers-*", Some(405), "yy", ""),
        ("dr-brokers-*", Some(400), "yy", ""),
        ("dr-brokers-*", Some(403), "yy", ""),
        ("dr-brokers-1", Some(503), "yy", ""),
        ("dr-brokers-1", None, "yy", ""),
    ] {
        let mut asked = Asked::new(two_of_each());
        asked.trouble(Trouble::NoSql { pods: pods.into(), code });
        let health = asked.health().await;
        assert_eq!(of_role(&health, "historicals"), historicals, "{pods} {code:?}: {health:#?}");
        assert_eq!(of_role(&health, "brokers"), "yy", "{pods} {code:?}: {health:#?}");
        let why: Vec<_> = health.members.iter().flat_map(|member| member.may_go.why()).collect();
        assert_eq!(why.is_empty(), reason.is_empty(), "{pods} {code:?}: {why:?}");
        assert!(why.iter().all(|why| why.contains(reason)), "{pods} {code:?}: {why:?}");
    }
}

fn manager(health: &Health) -> &Member {
    health.member("dr-middlemanagers-0").expect("it is there")
}

/// Where the middleManager is, and what it says.
async fn told(asked: &mut Asked) -> (Place, String, usize) {
    let health = asked.health().await;
    let Member { pod, uid, state, busy, .. } = manager(&health).clone();
    (Place { pod, uid, role: "middlemanagers".into(), ordinal: 0, ready: true }, state, busy.len())
}

#[tokio::test(start_paused = true)]
async fn a_middle_manager_is_drained_and_the_tasks_of_the_health_checker_are_not_waited_for() {
    let mut asked = Asked::new(two_of_each());
    let hand_off = Duration::from_secs(60);
    asked.trouble(Trouble::Task { pod: "dr-middlemanagers-0".into(), hand_off });
    let (place, state, busy) = told(&mut asked).await;
    assert_eq!((state.as_str(), busy), ("enabled", 1));
    asked.session.as_mut().expect("it was asked").drain(&place).await.expect("it can be drained");
    let (_, state, busy) = told(&mut asked).await;
    assert_eq!((state.as_str(), busy), ("disabled", 1));
    tokio::time::sleep(hand_off).await;
    let (_, state, busy) = told(&mut asked).await;
    assert_eq!((state.as_str(), busy), ("disabled", 0));
    asked.session.as_mut().expect("it was asked").undrain(&place).await.expect("it takes tasks again");
    assert_eq!(told(&mut asked).await.1, "enabled");
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_fails_says_why() {
    let mut asked = Asked::new(two_of_each());
    let (place, ..) = told(&mut asked).await;
    let how = Misanswer::RejectCredentials;
    asked.trouble(Trouble::Answers { pods: "*".into(), how });
    let refused = asked.session.as_mut().expect("it was asked").drain(&place).await.err();
    let why = refused.map(|why| why.message);
    assert_eq!(why.as_deref(), Some("/druid/worker/v1/disable: 401 Unauthorized"));
}
