//! What an update leaves to be done in a Kafka, and how Kafka does it: answers that are lost, late or wrong.

use std::collections::BTreeMap;

use kubectl_dbupdate::model::{Bar, Level, Reversal};
use simcluster::{DeleteOptions, Mishap};

use super::*;

const METADATA: &str = "metadata.version";

/// A Kafka of that version, in which these levels are in force.
fn kafka(version: &str, levels: &[(&str, i16)]) -> Asked {
    let asked = Asked::new(Database::kafka_topology("kf").version(version));
    asked.world.sim.databases().finalize(NAMESPACE, "kf", levels);
    asked
}

impl Asked {
    /// What is in force.
    fn levels(&self) -> BTreeMap<String, i16> {
        self.world.sim.databases().features(NAMESPACE, "kf")
    }

    fn level(&self, feature: &str) -> i16 {
        self.levels().get(feature).copied().unwrap_or_default()
    }

    fn changes(&self) -> u32 {
        self.world.sim.databases().feature_changes(NAMESPACE, "kf")
    }
}

fn set(feature: &str, from: i16, to: i16) -> Work {
    let level = |level| Level { level, name: String::new() };
    Work::SetFeature { feature: feature.to_owned(), from: level(from), to: level(to) }
}

/// The features and levels of the steps.
fn steps(completion: &Completion) -> Vec<(&str, i16, i16)> {
    completion.steps.iter().filter_map(|step| levels_of(&step.work)).collect()
}

fn levels_of(work: &Work) -> Option<(&str, i16, i16)> {
    match work {
        Work::SetFeature { feature, from, to } => Some((feature, from.level, to.level)),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_cluster_has_nothing_left_to_do() {
    for version in ["3.5.2", "3.8.1", "3.9.0", "4.0.0"] {
        for database in [Database::kafka_topology("kf"), Database::kafka_combined("kf")] {
            let mut asked = Asked::new(database.version(version));
            let left = asked.completion(None).await;
            assert!(left.complete(), "{version}: {left:#?}");
            assert!(left.settled[0].starts_with("metadata.version is "), "{version}: {left:#?}");
            let features = asked.health().await.features;
            assert_eq!(features.len(), asked.levels().len(), "{version}: {features:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_done_and_what_can_be_undone_is() {
    let mut asked = kafka("4.0.0", &[(METADATA, 21)]);
    let left = asked.completion(None).await;
    let expected = [(METADATA, 21, 25), ("group.version", 0, 1), ("transaction.version", 0, 2)];
    assert_eq!((steps(&left), left.obstacles.len()), (expected.to_vec(), 0));
    assert!(matches!(left.steps[0].reversal, Reversal::No { .. }), "{left:#?}");
    let works: Vec<Work> = left.steps.into_iter().map(|step| step.work).collect();
    for work in &works {
        assert_eq!(asked.work(work, true).await, Ok(()));
        assert_eq!(asked.work(work, false).await, Ok(()));
    }
    assert_eq!((asked.level(METADATA), asked.level("transaction.version"), asked.changes()), (25, 2, 4));
    assert_eq!(asked.level("kraft.version"), 0, "it is never touched");
    assert!(asked.completion(None).await.complete());

    let undo = asked.completion(Some(&works)).await;
    assert_eq!(steps(&undo), [("transaction.version", 2, 0), ("group.version", 1, 0)]);
    assert_eq!(undo.obstacles.len(), 1, "{undo:#?}");
    let refused = asked.work(&works[0].back().expect("it has a way back"), true).await;
    let words = "Invalid metadata.version 21. Refusing to perform the requested downgrade because it might delete \
                 metadata information.";
    assert_eq!(refused, Err(Undone::Refused(words.to_owned())));
    for step in undo.steps {
        assert_eq!(asked.work(&step.work, false).await, Ok(()));
    }
    assert_eq!(asked.levels(), BTreeMap::from([(METADATA.to_owned(), 25)]));
}

#[tokio::test(start_paused = true)]
async fn levels_are_asked_for_anew_over_the_same_connections() {
    let mut asked = kafka("3.9.0", &[(METADATA, 19)]);
    assert_eq!(steps(&asked.completion(None).await), [(METADATA, 19, 21)]);
    asked.world.sim.databases().finalize(NAMESPACE, "kf", &[(METADATA, 20)]);
    assert_eq!(steps(&asked.completion(None).await), [(METADATA, 20, 21)]);
    assert_eq!(asked.work(&set(METADATA, 20, 21), false).await, Ok(()));
    assert!(asked.completion(None).await.complete());
    assert_eq!((asked.connections(9092), asked.connections(9093)), (3, 9), "controllers are asked afresh");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_say_what_it_supports_is_an_obstacle() {
    let no_answers = [
        ("kf-broker-1", "the answer to SaslHandshake"),
        // Nobody logs in at a controller.
        ("kf-controller-1", "the answer to ApiVersions"),
    ];
    for (pod, no_answer) in no_answers {
        for (how, words) in [
            (Misanswer::Refuse, "refused"),
            (Misanswer::Reset, ""),
            (Misanswer::Garbage, no_answer),
            (Misanswer::Endless, no_answer),
            (Misanswer::Hang, "no answer within"),
        ] {
            let mut asked = kafka("3.9.0", &[(METADATA, 19)]);
            asked.trouble(Trouble::Answers { pods: pod.into(), how });
            let before = Instant::now();
            let left = asked.completion(None).await;
            let obstacle = left.obstacles.iter().find(|why| why.starts_with(&format!("{pod}: ")));
            assert!(obstacle.is_some_and(|why| why.contains(words)), "{how:?}: {left:#?}");
            assert!(before.elapsed() < Duration::from_secs(6), "{how:?}: {:?}", before.elapsed());
            asked.world.sim.databases().heal_all();
            let left = asked.completion(None).await;
            assert_eq!(
                (steps(&left), left.obstacles.len()),
                (vec![(METADATA, 19, 21)], 0),
                "{how:?} is over"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_permission_it_is_not_known_what_is_left() {
    let mut asked = kafka("3.9.0", &[(METADATA, 19)]);
    asked.world.sim.access().deny("get", "", "pods", "portforward");
    let left = asked.completion(None).await;
    assert_eq!((left.steps.len(), left.obstacles.len()), (0, 6), "{left:#?}");
    let undone = asked.work(&set(METADATA, 19, 21), false).await;
    assert!(matches!(&undone, Err(Undone::Unknown(why)) if why.contains("forbidden")), "{undone:?}");
    assert_eq!(asked.level(METADATA), 19);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_sent_once_and_its_answer_is_believed_as_far_as_it_goes() {
    let lost = "closes the connection";
    for (mishap, level, words) in [
        (Mishap::Lost { done: true }, 21, lost),
        (Mishap::Lost { done: false }, 19, lost),
        (Mishap::Late(Duration::from_secs(40)), 19, "no answer within 15 s"),
        (Mishap::Error { code: 7, done: true }, 21, "REQUEST_TIMED_OUT"),
        (Mishap::Error { code: 41, done: false }, 19, "NOT_CONTROLLER"),
        (Mishap::Error { code: -1, done: true }, 21, "error -1 of Kafka"),
        (Mishap::Nonsense, 19, "makes no sense"),
    ] {
        let mut asked = kafka("3.9.0", &[(METADATA, 19)]);
        asked.completion(None).await;
        asked.trouble(Trouble::FeatureUpdate(mishap));
        let undone = asked.work(&set(METADATA, 19, 21), false).await;
        assert!(
            matches!(&undone, Err(Undone::Unknown(why)) if why.contains(words)),
            "{mishap:?}: {undone:?}"
        );
        assert_eq!(asked.level(METADATA), level, "{mishap:?}");
        let left = asked.completion(None).await;
        assert_eq!((left.complete(), left.obstacles), (level == 21, vec![]), "{mishap:?}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let done = level == 21 || matches!(mishap, Mishap::Late(_));
        assert_eq!(asked.completion(None).await.complete(), done, "{mishap:?}");
        assert_eq!(asked.changes(), 1 + u32::from(done), "{mishap:?}: it was sent again");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_broker_says_it_has_done_is_looked_up() {
    let mut asked = kafka("3.9.0", &[(METADATA, 19)]);
    asked.trouble(Trouble::FeatureUpdate(Mishap::Lie));
    assert_eq!(asked.work(&set(METADATA, 19, 21), false).await, Ok(()));
    assert_eq!(steps(&asked.completion(None).await), [(METADATA, 19, 21)]);
    let refusal = Mishap::Error { code: 31, done: false };
    asked.trouble(Trouble::FeatureUpdate(refusal));
    let undone = asked.work(&set(METADATA, 19, 21), false).await;
    let why = "UpdateFeatures is answered with CLUSTER_AUTHORIZATION_FAILED";
    assert_eq!(undone, Err(Undone::Refused(why.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_cannot_be_asked_is_passed_over_before_anything_is_sent() {
    for how in [Misanswer::Refuse, Misanswer::Garbage, Misanswer::Hang, Misanswer::RejectCredentials] {
        let mut asked = kafka("3.9.0", &[(METADATA, 19)]);
        asked.trouble(Trouble::Answers { pods: "kf-broker-0".into(), how });
        assert_eq!(asked.work(&set(METADATA, 19, 21), false).await, Ok(()), "{how:?}");
        assert_eq!((asked.level(METADATA), asked.changes()), (21, 2), "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn levels_outlast_the_pods() {
    let mut asked = kafka("3.9.0", &[(METADATA, 19)]);
    assert_eq!(asked.work(&set(METADATA, 19, 20), false).await, Ok(()));
    for pod in ["kf-broker-0", "kf-broker-1", "kf-broker-2", "kf-controller-0"] {
        asked.world.store().delete("pods", NAMESPACE, pod, DeleteOptions::default()).expect("it is there");
    }
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(steps(&asked.completion(None).await), [(METADATA, 20, 21)]);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_too_far_behind_or_ahead_is_barred() {
    for (version, levels, to, unfinished) in [
        ("3.3.2", &[(METADATA, 6)][..], "4.0.0", Some(true)),
        ("3.9.0", &[(METADATA, 7)], "4.0.0", None),
        ("4.0.0", &[(METADATA, 25)], "3.9.0", Some(false)),
        ("4.0.0", &[(METADATA, 21), ("group.version", 1)], "3.9.0", Some(false)),
        ("4.0.0", &[(METADATA, 21)], "3.9.0", None),
    ] {
        let mut asked = kafka("3.9.0", levels);
        let health = asked.health().await;
        let bar = (asked.world.kind.facts().finishing.bar)(&health, to);
        let found = bar.as_ref().map(|bar| matches!(bar, Bar::Unfinished { .. }));
        assert_eq!(found, unfinished, "{version} to {to}: {bar:?}");
    }
}
