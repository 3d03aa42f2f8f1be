use super::*;
use crate::kinds::kafka::health;
use crate::model::evidence::Said;
use crate::model::evidence::kafka::{Broker, Supported};
use crate::model::{Health, Obstacle, Unasked};

/// A Kafka of three controllers and three brokers, all of one version, for a test to change.
#[derive(Clone)]
struct Scene {
    roster: Roster,
    answers: Answers,
    version: &'static str,
}

/// What a node of a release supports, of which a cluster has these levels in force.
fn features(highest: i16, finalized: &[(&str, i16)]) -> Features {
    let supported = |name: &str, min, max| Supported { name: name.to_owned(), min, max };
    let mut all = vec![supported(METADATA, if highest > 21 { 7 } else { 1 }, highest)];
    if highest > 20 {
        all.push(supported("kraft.version", 0, 1));
    }
    if highest > 21 {
        all.push(supported("group.version", 0, 1));
        all.push(supported("transaction.version", 0, 2));
        all.push(supported("eligible.leader.replicas.version", 0, 1));
    }
    let finalized = finalized.iter().map(|(name, level)| ((*name).to_owned(), *level)).collect();
    Features { supported: all, finalized, epoch: Some(40) }
}

impl Scene {
    fn new(version: &'static str, finalized: &[(&str, i16)]) -> Self {
        let features = features(release::highest(version).unwrap_or(40), finalized);
        let place = |role: &str, ordinal: u32| Place {
            pod: format!("kf-{role}-{ordinal}"),
            uid: format!("{role}-{ordinal}"),
            role: role.to_owned(),
            ordinal,
            ready: true,
        };
        let places = ["controller", "broker"].map(|role| [0, 1, 2].map(|ordinal| place(role, ordinal)));
        let [controllers, brokers] = places;
        let said = controllers.iter().map(|place| said(place, features.clone()));
        let broker = Broker {
            cluster: "c1".to_owned(),
            serving: vec![0, 1, 2],
            topics: Vec::new(),
            quorum: Err(Unasked::new(Obstacle::TimedOut, "it does not matter here")),
            moving: Ok(Vec::new()),
            features: features.clone(),
        };
        let answers = Answers {
            controllers: said.collect(),
            brokers: brokers.iter().map(|place| self::said(place, broker.clone())).collect(),
        };
        Scene {
            roster: Roster { places: controllers.into_iter().chain(brokers).collect() },
            answers,
            version,
        }
    }

    /// Changes what a node knows of the features.
    fn node(&mut self, pod: &str, change: impl Fn(&mut Features)) {
        for broker in self.answers.brokers.iter_mut().filter(|said| said.pod == pod) {
            change(&mut broker.said.as_mut().expect("it answers").features);
        }
        for controller in self.answers.controllers.iter_mut().filter(|said| said.pod == pod) {
            change(controller.said.as_mut().expect("it answers"));
        }
    }

    fn silent(&mut self, pod: &str) {
        let why = || Unasked::new(Obstacle::Unreachable, "the pod refuses the connection");
        for broker in self.answers.brokers.iter_mut().filter(|said| said.pod == pod) {
            broker.said = Err(why());
        }
        for controller in self.answers.controllers.iter_mut().filter(|said| said.pod == pod) {
            controller.said = Err(why());
        }
    }

    fn judged(&self, judge: impl Fn(&Examined<'_>) -> Completion) -> Completion {
        let evidence = Evidence::Kafka(self.answers.clone());
        let health = health::judge(&evidence, &self.roster);
        judge(&Examined { evidence: &evidence, health: &health, roster: &self.roster, version: self.version })
    }

    fn left(&self) -> Completion {
        self.judged(left)
    }

    fn undo(&self, works: &[Work]) -> Completion {
        self.judged(|examined| undo(examined, works))
    }

    fn health(&self) -> Health {
        health::judge(&Evidence::Kafka(self.answers.clone()), &self.roster)
    }
}

fn said<T>(place: &Place, said: T) -> Said<T> {
    Said { pod: place.pod.clone(), uid: place.uid.clone(), said: Ok(said) }
}

/// Each step in a line.
fn steps(completion: &Completion) -> Vec<String> {
    let step = |step: &FinishStep| {
        let Work::SetFeature { feature, from, to } = &step.work else { return "another work".to_owned() };
        let reversal = match &step.reversal {
            Reversal::Yes { why } => format!("yes: {why}"),
            Reversal::No { why } => format!("no: {why}"),
            Reversal::Unknown { why } => format!("unknown: {why}"),
        };
        format!("{feature} {} to {}, {reversal}", words(feature, from.level), words(feature, to.level))
    };
    completion.steps.iter().map(step).collect()
}

#[test]
fn what_is_left_depends_on_what_every_node_supports_and_what_is_in_force() {
    const FREE: &str = "changes the format of the metadata";
    for (version, finalized, expected) in [
        ("3.9.0", &[("metadata.version", 21)][..], vec![]),
        (
            "3.9.0",
            &[("metadata.version", 19)],
            vec![format!(
                "metadata.version 3.7-IV4 (19) to 3.9-IV0 (21), yes: no level above 3.7-IV4 (19) up to 3.9-IV0 (21) \
                 {FREE}"
            )],
        ),
        (
            "3.9.0",
            &[("metadata.version", 11)],
            vec![format!("metadata.version 3.5-IV2 (11) to 3.9-IV0 (21), no: 3.6-IV1 (13) {FREE}")],
        ),
        (
            "4.0.0",
            &[("metadata.version", 21)],
            vec![
                format!("metadata.version 3.9-IV0 (21) to 4.0-IV3 (25), no: 4.0-IV1 (23) {FREE}"),
                "group.version 0 to 1, yes: Kafka lowers it again; consumers with group.protocol=consumer are not \
                 served below level 1"
                    .to_owned(),
                "transaction.version 0 to 2, yes: Kafka lowers it again".to_owned(),
            ],
        ),
        (
            "4.1.1",
            &[("metadata.version", 25), ("group.version", 1), ("transaction.version", 2)],
            vec![format!(
                "metadata.version 4.0-IV3 (25) to 4.1-IV1 (27), yes: no level above 4.0-IV3 (25) up to 4.1-IV1 (27) \
                 {FREE}"
            )],
        ),
        // A version that is newer than what is known here.
        (
            "4.9.0",
            &[("metadata.version", 30), ("group.version", 1), ("transaction.version", 2)],
            vec![
                "metadata.version 4.3-IV0 (30) to 40, unknown: this level is not known here; Kafka says once it is set"
                    .to_owned(),
            ],
        ),
    ] {
        let left = Scene::new(version, finalized).left();
        assert_eq!(steps(&left), expected, "{version}");
        assert_eq!((left.obstacles.clone(), left.complete()), (vec![], expected.is_empty()), "{version}");
    }
}

#[test]
fn what_is_settled_and_what_is_left_alone_is_said() {
    let finalized = [("metadata.version", 25), ("group.version", 1), ("transaction.version", 2)];
    let left = Scene::new("4.0.0", &finalized).left();
    assert_eq!(
        left.settled,
        [
            "metadata.version is 4.0-IV3 (25), the highest that every node supports",
            "group.version is 1, the highest that every node supports",
            "transaction.version is 2, the highest that every node supports",
        ]
    );
    assert_eq!(
        left.remarks,
        [
            "kraft.version 0 is left as it is: from level 1 on the quorum of controllers is a dynamic one, and KubeDB \
             configures a static one (controller.quorum.voters)",
            "not needed by any release, and left as they are: eligible.leader.replicas.version",
        ]
    );
    let older = Scene::new("3.8.1", &[("metadata.version", 20)]).left();
    assert_eq!((older.remarks.len(), older.settled.len()), (0, 1), "{older:?}");
}

#[test]
fn nodes_that_do_not_support_it_or_do_not_say_so_are_obstacles() {
    type Change = fn(&mut Scene);
    let cases: [(&str, Change, &str); 10] = [
        (
            "an old broker",
            |s| s.node("kf-broker-1", |n| *n = features(21, &[(METADATA, 21)])),
            "kf-broker-1 supports metadata.version up to 3.9-IV0 (21), and 4.0.0 up to 4.0-IV3 (25)",
        ),
        (
            "an old controller",
            |s| s.node("kf-controller-2", |n| *n = features(21, &[(METADATA, 21)])),
            "kf-controller-2 supports metadata.version up to 3.9-IV0 (21), and 4.0.0 up to 4.0-IV3 (25)",
        ),
        (
            "a newer broker than the database's version",
            |s| s.node("kf-broker-1", |n| *n = features(27, &[(METADATA, 21)])),
            "kf-broker-1 supports metadata.version up to 4.1-IV1 (27), and 4.0.0 up to 4.0-IV3 (25)",
        ),
        ("a silent broker", |s| s.silent("kf-broker-0"), "kf-broker-0: the pod refuses the connection"),
        (
            "a silent controller",
            |s| s.silent("kf-controller-0"),
            "kf-controller-0: the pod refuses the connection",
        ),
        ("a pod that is not Ready", |s| s.roster.places[1].ready = false, "kf-controller-1 is not Ready"),
        (
            "the answer of an earlier pod",
            |s| s.answers.controllers[0].uid = "earlier".to_owned(),
            "kf-controller-0 has not been asked yet",
        ),
        (
            "a node that starts",
            |s| s.node("kf-controller-1", |n| n.epoch = None),
            "the levels of the cluster are not known yet on kf-controller-1",
        ),
        (
            "a node that has fallen behind",
            |s| s.node("kf-broker-2", |n| n.finalized = vec![(METADATA.to_owned(), 20)]),
            "metadata.version is not the same on all nodes: 3.8-IV0 (20) on kf-broker-2; 3.9-IV0 (21) on \
             kf-controller-0, kf-controller-1 and 3 more",
        ),
        (
            "two clusters",
            |s| s.answers.brokers[0].said.as_mut().expect("it answers").cluster = "c2".to_owned(),
            "brokers belong to different clusters: kf-broker-1 and kf-broker-2 to \"c1\", kf-broker-0 to \"c2\"",
        ),
    ];
    for (case, change, expected) in cases {
        let mut scene = Scene::new("4.0.0", &[(METADATA, 21)]);
        change(&mut scene);
        let left = scene.left();
        assert!(left.obstacles.iter().any(|why| why == expected), "{case}: {left:#?}");
        assert!(!left.complete(), "{case}");
        // A node of another release can go back all the same.
        let undo = scene.undo(&[set(METADATA, 20, 21)]);
        assert_eq!(undo.obstacles.is_empty(), expected.contains("supports"), "{case}: {undo:#?}");
    }
}

#[test]
fn every_controller_has_to_be_asked() {
    let mut scene = Scene::new("3.9.0", &[(METADATA, 19)]);
    scene.answers.controllers.clear();
    let obstacles = scene.left().obstacles;
    let expected: Vec<_> = (0..3).map(|n| format!("kf-controller-{n} has not been asked yet")).collect();
    assert_eq!(obstacles, expected);
}

#[test]
fn nothing_is_offered_if_nobody_answers() {
    let mut scene = Scene::new("4.0.0", &[(METADATA, 21)]);
    for place in scene.roster.places.clone() {
        scene.silent(&place.pod);
    }
    let left = scene.left();
    assert_eq!((left.steps.len(), left.obstacles.len(), left.settled.len()), (0, 6, 0), "{left:#?}");
}

#[test]
fn the_last_work_is_undone_first_and_only_what_is_as_it_was_set() {
    let works = [set(METADATA, 21, 25), set(GROUP, 0, 1), set(TRANSACTION, 0, 2)];
    let all = [(METADATA, 25), (GROUP, 1), (TRANSACTION, 2)];
    let undo = Scene::new("4.0.0", &all).undo(&works);
    let again = "yes: it can be raised again";
    assert_eq!(
        (steps(&undo), undo.obstacles),
        (
            vec![format!("transaction.version 2 to 0, {again}"), format!("group.version 1 to 0, {again}")],
            vec![
                "Kafka does not take metadata.version back to 3.9-IV0 (21): 4.0-IV1 (23) changes the format of the \
                 metadata"
                    .to_owned()
            ]
        )
    );

    let half =
        Scene::new("4.1.1", &[(METADATA, 27), (GROUP, 1)]).undo(&[set(METADATA, 25, 27), works[2].clone()]);
    assert_eq!(steps(&half), [format!("metadata.version 4.1-IV1 (27) to 4.0-IV3 (25), {again}")]);
    assert_eq!((half.settled, half.obstacles), (vec!["transaction.version is 0".to_owned()], vec![]));

    let other = Scene::new("4.1.1", &[(METADATA, 26)]).undo(&[set(METADATA, 25, 27)]);
    assert_eq!(steps(&other), Vec::<String>::new());
    assert_eq!(other.obstacles, ["metadata.version is 4.1-IV0 (26) by now, not 4.1-IV1 (27) as it was set"]);
}

#[test]
fn health_knows_what_is_in_force_by_the_newest_view() {
    let mut scene = Scene::new("4.0.0", &[(METADATA, 21)]);
    scene.node("kf-broker-1", |node| {
        node.finalized = vec![(METADATA.to_owned(), 25), (GROUP.to_owned(), 1)];
        node.epoch = Some(41);
    });
    let told = |health: Health| -> Vec<_> {
        health
            .features
            .into_iter()
            .map(|f| format!("{} {}", f.feature, words(&f.feature, f.level.level)))
            .collect()
    };
    assert_eq!(told(scene.health()), ["group.version 1", "metadata.version 4.0-IV3 (25)"]);
    scene.answers.brokers[0].said.as_mut().expect("it answers").cluster = "c2".to_owned();
    assert_eq!(told(scene.health()), Vec::<String>::new());
}
