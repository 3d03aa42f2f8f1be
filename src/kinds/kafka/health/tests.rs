use super::*;
use crate::model::evidence::Said;
use crate::model::evidence::kafka::{
    Answers, Broker, Features, Follower, Moving, Partition, Quorum, Supported, Topic,
};
use crate::model::{Check, Obstacle, Unasked};

/// The time of the active controller, in milliseconds.
const NOW: i64 = 1_800_000_000_000;

/// A Kafka in which all is well, for a test to change.
#[derive(Clone)]
struct Scene {
    roster: Roster,
    answers: Answers,
}

impl Scene {
    /// Controllers of their own, the first of which leads, and one topic of which every broker has a replica.
    fn topology(controllers: u32, brokers: u32) -> Self {
        let names = (0..controllers).map(|i| (format!("kf-controller-{i}"), "controller", i));
        let places = names.chain((0..brokers).map(|i| (format!("kf-broker-{i}"), "broker", i))).map(place);
        let voters = (0..controllers).map(|i| caught_up(1000 + id(i))).collect();
        Scene::new(places.collect(), brokers, quorum(1000, voters, (0..brokers).map(|i| caught_up(id(i)))))
    }

    /// Every node is a broker and a controller.
    fn combined(nodes: u32) -> Self {
        let places = (0..nodes).map(|i| (format!("kf-{i}"), "all", i)).map(place).collect();
        Scene::new(places, nodes, quorum(0, (0..nodes).map(|i| caught_up(id(i))).collect(), []))
    }

    fn new(places: Vec<Place>, brokers: u32, quorum: Quorum) -> Self {
        let ids: Vec<i32> = (0..brokers).map(id).collect();
        let said = Broker {
            cluster: "c1".to_owned(),
            serving: ids.clone(),
            topics: vec![topic("orders", Some(2), vec![partition(&ids, &ids)])],
            quorum: Ok(quorum),
            moving: Ok(Vec::new()),
            features: features(21),
        };
        let asked = places.iter().filter(|place| place.role != "controller");
        let brokers = asked.map(|place| Said {
            pod: place.pod.clone(),
            uid: place.uid.clone(),
            said: Ok(said.clone()),
        });
        Scene {
            answers: Answers { brokers: brokers.collect(), ..Answers::default() },
            roster: Roster { places },
        }
    }

    /// Changes what the broker of that number says.
    fn says(&mut self, broker: usize, change: impl Fn(&mut Broker)) {
        change(self.answers.brokers[broker].said.as_mut().expect("it answers"));
    }

    fn all_say(&mut self, change: impl Fn(&mut Broker)) {
        for broker in 0..self.answers.brokers.len() {
            self.says(broker, &change);
        }
    }

    fn quorum(&mut self, change: impl Fn(&mut Quorum)) {
        self.all_say(|broker| change(broker.quorum.as_mut().expect("it is known")));
    }

    fn silent(&mut self, broker: usize, why: &str) {
        self.answers.brokers[broker].said = Err(Unasked::new(Obstacle::Unreachable, why));
    }

    fn place(&mut self, pod: &str) -> &mut Place {
        self.roster.places.iter_mut().find(|place| place.pod == pod).expect("there is a place")
    }

    fn health(&self) -> Health {
        judge(&Evidence::Kafka(self.answers.clone()), &self.roster)
    }

    fn may_go(&self, pod: &str) -> String {
        in_words(&self.health().member(pod).expect("a member").may_go)
    }

    fn back(&self, pod: &str) -> String {
        in_words(&self.health().member(pod).expect("a member").back)
    }
}

/// What a node says that supports this level of `metadata.version`, while an older one is in force.
fn features(highest: i16) -> Features {
    Features {
        supported: vec![Supported { name: "metadata.version".to_owned(), min: 1, max: highest }],
        finalized: vec![("metadata.version".to_owned(), 14)],
        epoch: Some(100),
    }
}

fn place((pod, role, ordinal): (String, &str, u32)) -> Place {
    Place { uid: format!("uid-of-{pod}"), pod, role: role.to_owned(), ordinal, ready: true }
}

fn id(ordinal: u32) -> i32 {
    i32::try_from(ordinal).expect("few")
}

fn caught_up(id: i32) -> Follower {
    Follower { id, caught_up: Some(NOW - 300) }
}

fn quorum(leader: i32, voters: Vec<Follower>, observers: impl IntoIterator<Item = Follower>) -> Quorum {
    let mut quorum =
        Quorum { leader: Some(leader), epoch: 7, voters, observers: observers.into_iter().collect() };
    lag(&mut quorum, leader, 0);
    quorum
}

fn lag(quorum: &mut Quorum, id: i32, ms: i64) {
    for node in quorum.voters.iter_mut().chain(&mut quorum.observers).filter(|node| node.id == id) {
        node.caught_up = Some(NOW - ms);
    }
}

fn topic(name: &str, min_insync: Option<u32>, partitions: Vec<Partition>) -> Topic {
    Topic { name: name.to_owned(), min_insync, partitions }
}

fn partition(replicas: &[i32], in_sync: &[i32]) -> Partition {
    let leader = in_sync.first().copied();
    Partition { index: 3, leader, replicas: replicas.to_vec(), in_sync: in_sync.to_vec() }
}

fn in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Yes => "yes".to_owned(),
        Verdict::No { why } => format!("no: {}", why.join(" / ")),
        Verdict::Unknown { why } => format!("unknown: {}", why.join(" / ")),
    }
}

#[test]
fn every_pod_may_go_while_all_is_well() {
    for scene in [Scene::topology(3, 3), Scene::combined(3), Scene::topology(1, 1), Scene::combined(1)] {
        for member in scene.health().members {
            assert!(member.may_go.is_yes() && member.back.is_yes(), "{member:?}");
        }
    }
}

#[test]
fn a_broker_leaves_enough_replicas_in_sync() {
    let catching_up = "no: orders-3 has";
    for (replicas, in_sync, min, broker, expected) in [
        (&[0, 1, 2][..], &[0, 1, 2][..], 2, 0, "yes"),
        (&[0, 1, 2], &[0, 2], 2, 0, "1 of"),
        (&[0, 1, 2], &[0, 2], 2, 1, "yes"),
        (&[0, 1, 2], &[0], 2, 1, "no"),
        (&[0, 1, 2], &[0, 1], 3, 2, "yes"),
        (&[0, 1], &[0, 1], 2, 0, "yes"),
        // It is never at full strength without one of them; but the last one in sync waits for the other.
        (&[0, 1], &[1], 2, 1, "no"),
        (&[0, 1], &[1], 2, 0, "yes"),
        (&[0, 1, 2], &[0, 1], 3, 0, "yes"),
        (&[0, 1, 2], &[0], 3, 0, "no"),
        // The other has no pod here that could catch up.
        (&[0, 9], &[0], 2, 0, "yes"),
        (&[0, 1], &[0, 1], 1, 0, "yes"),
        (&[0, 1], &[0], 1, 0, "no"),
        (&[0, 1], &[0], 1, 1, "yes"),
        // A single replica would do, but it would be the only copy of what is written meanwhile.
        (&[0, 1, 2], &[0, 1], 1, 0, "no"),
        (&[0, 1, 2], &[0, 1], 1, 2, "yes"),
        (&[0, 1, 2], &[0], 1, 2, "yes"),
        (&[1, 2], &[1], 2, 0, "yes"),
        (&[0], &[0], 1, 0, "yes"),
        // Whoever is listed twice is one replica.
        (&[0, 1, 2], &[0, 2, 2, 0], 2, 0, "no"),
    ] {
        let mut scene = Scene::topology(3, 3);
        scene.all_say(|says| {
            says.topics = vec![topic("orders", Some(min), vec![partition(replicas, in_sync)])];
        });
        let said = scene.may_go(&format!("kf-broker-{broker}"));
        let what = format!("{in_sync:?} of {replicas:?}, {min}, {broker}: {said}");
        assert_eq!(said == "yes", expected == "yes", "{what}");
        assert!(said == "yes" || said.starts_with(catching_up), "{what}");
    }
}

#[test]
fn why_a_broker_has_to_stay_is_said_in_kafkas_terms() {
    let min = |n| topic("orders", n, vec![partition(&[0, 1, 2], &[0])]);
    let leaderless = Partition { leader: None, ..partition(&[0, 1, 2], &[0, 1, 2]) };
    for (serving, topic, expected) in [
        (
            &[0, 1, 2][..],
            min(Some(2)),
            "no: orders-3 has 1 of 3 in-sync replicas (min.insync.replicas 2); brokers 1 and 2 are still catching up",
        ),
        (
            &[0, 2],
            min(Some(2)),
            "no: orders-3 has 1 of 3 in-sync replicas (min.insync.replicas 2); broker 2 is still catching up; broker 1 is not serving",
        ),
        (&[0, 1, 2], min(None), "unknown: min.insync.replicas of orders-3 is not known"),
        (&[0, 1, 2], topic("orders", Some(2), vec![leaderless]), "no: orders-3 has no leader"),
        // Its leader does not serve, whatever the view of it.
        (
            &[1, 2],
            topic("orders", Some(1), vec![partition(&[0, 1, 2], &[0, 1, 2])]),
            "no: orders-3 has no leader",
        ),
    ] {
        let mut scene = Scene::topology(3, 3);
        scene.all_say(|says| {
            says.serving = serving.to_vec();
            says.topics = vec![topic.clone()];
        });
        assert_eq!(scene.may_go("kf-broker-0"), expected);
    }
}

#[test]
fn the_worst_view_of_a_partition_counts() {
    let mut scene = Scene::topology(3, 3);
    scene.says(1, |says| says.topics[0].partitions[0].in_sync = vec![0, 2]);
    scene.says(2, |says| says.topics[0].partitions[0].in_sync = vec![0]);
    assert_eq!(
        scene.may_go("kf-broker-0"),
        "no: orders-3 has 1 of 3 in-sync replicas (min.insync.replicas 2); brokers 1 and 2 are still catching up"
    );
    assert_eq!(scene.back("kf-broker-1"), "no: broker 1 is not in the ISR of orders-3");
    assert_eq!(scene.back("kf-broker-0"), "yes");
}

#[test]
fn a_few_reasons_are_said_and_the_others_counted() {
    let mut scene = Scene::topology(3, 3);
    let ill = |index| Partition { index, ..partition(&[0, 1, 2], &[0]) };
    scene.all_say(|says| says.topics[0].partitions = (0..9).map(ill).collect());
    assert_eq!(
        scene.may_go("kf-broker-0"),
        "no: orders-0, orders-1, orders-2 and 6 more partitions have 1 of 3 in-sync replicas \
         (min.insync.replicas 2); brokers 1 and 2 are still catching up"
    );
    assert_eq!(
        scene.back("kf-broker-1"),
        "no: broker 1 is not in the ISR of orders-0, orders-1, orders-2 and 6 more partitions"
    );
    scene.all_say(|says| says.topics[0].min_insync = None);
    assert_eq!(
        scene.may_go("kf-broker-0"),
        "unknown: min.insync.replicas of orders-0, orders-1, orders-2 and 6 more partitions is not known"
    );
    for (partitions, names) in [
        (2, "orders-0 and orders-1 have"),
        (3, "orders-0, orders-1 and orders-2 have"),
        (4, "orders-0, orders-1, orders-2 and 1 more partition have"),
    ] {
        scene
            .all_say(|says| says.topics = vec![topic("orders", Some(2), (0..partitions).map(ill).collect())]);
        let said = scene.may_go("kf-broker-0");
        assert!(said.starts_with(&format!("no: {names} 1 of 3 in-sync replicas")), "{said}");
    }
    scene.all_say(|says| says.topics[0].partitions = (0..9).map(ill).collect());
    assert_eq!(scene.health().member("kf-broker-1").expect("a member").state, "9 of 9 replicas not in sync");
}

#[test]
fn the_topic_of_the_health_checker_does_not_count() {
    let mut scene = Scene::topology(3, 3);
    scene.all_say(|says| says.topics.push(topic("kafka-health", Some(1), vec![partition(&[0, 1], &[0])])));
    assert_eq!(
        (scene.may_go("kf-broker-0"), scene.back("kf-broker-1")),
        ("yes".to_owned(), "yes".to_owned())
    );
}

#[test]
fn a_replica_that_is_being_made_is_missed_by_nobody() {
    let mut scene = Scene::topology(3, 4);
    scene.all_say(|says| {
        says.topics[0].partitions[0] = partition(&[0, 1, 2, 3], &[0, 1, 2]);
        says.moving = Ok(vec![Moving { topic: "orders".to_owned(), partition: 3, adding: vec![3] }]);
    });
    assert_eq!(
        (scene.may_go("kf-broker-0"), scene.back("kf-broker-3")),
        ("yes".to_owned(), "yes".to_owned())
    );
    let remark = scene.health().remarks.pop().expect("a remark");
    assert_eq!(remark.check, Check::DataMoving);
    assert_eq!(remark.message, "partitions are being reassigned: orders-3");
    scene.all_say(|says| says.moving = Ok(Vec::new()));
    assert_eq!(scene.back("kf-broker-3"), "no: broker 3 is not in the ISR of orders-3");
}

#[test]
fn a_controller_leaves_a_quorum_that_has_caught_up() {
    let yes = &[true; 5][..];
    for (controllers, late, expected) in [
        (1, &[][..], &yes[..1]),
        (2, &[], &yes[..2]),
        (2, &[1], &[false, true]),
        (3, &[], &yes[..3]),
        (3, &[2], &[false, false, true]),
        (3, &[1, 2], &[false, false, false]),
        (4, &[3], &[false, false, false, true]),
        (5, &[4], yes),
        (5, &[3, 4], &[false, false, false, true, true]),
    ] {
        let mut scene = Scene::topology(controllers, 3);
        scene.quorum(|quorum| late.iter().for_each(|id| lag(quorum, 1000 + id, 2_000)));
        let members = scene.health().members;
        let controller = |member: &&Member| member.role == "controller";
        let may: Vec<bool> = members.iter().filter(controller).map(|member| member.may_go.is_yes()).collect();
        assert_eq!(may, expected, "{late:?} of {controllers} are late");
        // Brokers need a quorum, and the controllers keep theirs.
        assert_eq!(scene.may_go("kf-broker-0"), "yes");
    }
}

#[test]
fn why_a_controller_has_to_stay_names_the_others() {
    let mut scene = Scene::topology(3, 3);
    scene.quorum(|quorum| {
        lag(quorum, 1001, 64_000);
        quorum.voters[2].caught_up = None;
    });
    assert_eq!(
        scene.may_go("kf-controller-0"),
        "no: without controller 1000 only 0 of 3 controllers would be caught up, and 2 are needed / \
         controller 1001 has not caught up with the active controller / \
         controller 1002 has not caught up with the active controller"
    );
    assert_eq!(
        scene.back("kf-controller-1"),
        "no: controller 1001 has not caught up with the active controller"
    );
    let messages: Vec<_> = scene.health().remarks.into_iter().map(|remark| remark.message).collect();
    assert!(
        messages.contains(&"controller 1001 has not caught up with the active controller".to_owned()),
        "{messages:?}"
    );
    scene.quorum(|quorum| quorum.voters.retain(|voter| voter.id != 1001));
    assert_eq!(scene.back("kf-controller-1"), "no: controller 1001 is not among the voters");
}

#[test]
fn a_controller_counts_only_if_its_pod_is_ready() {
    let mut scene = Scene::topology(3, 3);
    scene.place("kf-controller-2").ready = false;
    assert_eq!(
        scene.may_go("kf-controller-1"),
        "no: without controller 1001 only 1 of 3 controllers would be caught up, and 2 are needed / \
         the pod of controller 1002 is not Ready"
    );
    assert_eq!(scene.may_go("kf-controller-2"), "yes");
    assert_eq!(scene.back("kf-controller-2"), "no: pod kf-controller-2 is not Ready");
}

#[test]
fn a_combined_node_has_to_satisfy_both_rules() {
    let mut scene = Scene::combined(3);
    scene.quorum(|quorum| lag(quorum, 2, 5_000));
    assert!(scene.may_go("kf-1").starts_with("no: without controller 1 only 1 of 3 controllers"));
    assert_eq!(scene.back("kf-2"), "no: controller 2 has not caught up with the active controller");
    let mut scene = Scene::combined(3);
    scene.all_say(|says| says.topics[0].partitions[0].in_sync = vec![0, 1]);
    assert!(scene.may_go("kf-1").starts_with("no: orders-3 has 2 of 3"), "{}", scene.may_go("kf-1"));
    assert_eq!(scene.may_go("kf-2"), "yes");
}

#[test]
fn the_active_controller_leads_and_no_broker_does() {
    let mut scene = Scene::topology(3, 3);
    scene.quorum(|quorum| quorum.leader = Some(1002));
    let leads = |scene: &Scene| {
        let members = scene.health().members;
        members.into_iter().filter(|member| member.leader).map(|member| member.pod).collect::<Vec<_>>()
    };
    assert_eq!(leads(&scene), ["kf-controller-2"]);
    assert_eq!(leads(&Scene::combined(3)), ["kf-0"]);
    let states: Vec<_> = scene.health().members.into_iter().map(|member| member.state).collect();
    assert_eq!(states[1..4], ["Follower", "Leader", "in sync"]);
}

/// Nothing that cannot be believed lets any pod go.
#[test]
fn lies_and_silence_let_nobody_go() {
    let three = || Scene::topology(3, 3);
    let changed = |change: &dyn Fn(&mut Scene)| {
        let mut scene = three();
        change(&mut scene);
        scene
    };
    let scenes = [
        (
            changed(&|s| s.says(2, |says| says.cluster = "c2".to_owned())),
            "no: brokers belong to different clusters: kf-broker-0 and kf-broker-1 to \"c1\", kf-broker-2 to \"c2\"",
        ),
        (
            changed(&|s| s.all_say(|says| says.cluster = String::new())),
            "no: brokers belong to different clusters: kf-broker-0 and kf-broker-1 and kf-broker-2 to \"\"",
        ),
        (
            changed(&|s| s.says(1, |says| says.quorum = Ok(quorum(1001, vec![caught_up(1001)], [])))),
            "no: brokers do not agree on the active controller: 1000 in epoch 7, 1001 in epoch 7",
        ),
        (changed(&|s| s.quorum(|quorum| quorum.leader = None)), "no: the controllers have no leader"),
        (
            changed(&|s| s.all_say(|says| says.quorum = Err(Unasked::new(Obstacle::TimedOut, "no answer")))),
            "no: the controllers do not answer: no answer",
        ),
        (
            changed(&|s| {
                s.all_say(|says| says.quorum = Err(Unasked::new(Obstacle::Credentials, "forbidden")))
            }),
            "unknown: the active controller: forbidden",
        ),
        (
            changed(&|s| s.roster.places.iter_mut().for_each(|place| place.uid.push('2'))),
            "unknown: kf-broker-0: it has not been asked yet / kf-broker-1: it has not been asked yet / \
             kf-broker-2: it has not been asked yet",
        ),
        (
            changed(&|s| s.roster.places.iter_mut().for_each(|place| place.ready = false)),
            "unknown: no broker is Ready, so none can be asked",
        ),
        (
            changed(&|s| (0..3).for_each(|broker| s.silent(broker, "connection refused"))),
            "unknown: kf-broker-0: connection refused / kf-broker-1: connection refused / \
             kf-broker-2: connection refused",
        ),
    ];
    for (scene, expected) in scenes {
        for pod in ["kf-controller-1", "kf-broker-1"] {
            assert_eq!(scene.may_go(pod), expected);
            assert_ne!(scene.back(pod), "yes", "{expected}");
        }
    }
}

/// Of what is known, nothing is lost because something else is not.
#[test]
fn a_partition_in_need_keeps_its_brokers_though_the_controllers_are_not_known() {
    let need = "orders-3 has 2 of 3 in-sync replicas (min.insync.replicas 2); broker 2 is still catching up";
    for (obstacle, pod, expected) in [
        (Obstacle::Credentials, "kf-broker-0", format!("no: {need}")),
        (Obstacle::Credentials, "kf-broker-2", "unknown: the active controller: so it is".to_owned()),
        (Obstacle::TimedOut, "kf-broker-0", format!("no: the controllers do not answer: so it is / {need}")),
        (Obstacle::Unreachable, "kf-broker-2", "no: the controllers do not answer: so it is".to_owned()),
        (Obstacle::Unreachable, "kf-controller-1", "no: the controllers do not answer: so it is".to_owned()),
    ] {
        let mut scene = Scene::topology(3, 3);
        scene.all_say(|says| {
            says.topics[0].partitions[0].in_sync = vec![0, 1];
            says.quorum = Err(Unasked::new(obstacle, "so it is"));
        });
        assert_eq!(scene.may_go(pod), expected, "{obstacle:?}");
        assert_ne!(scene.back(pod), "yes", "{obstacle:?}");
    }
}

#[test]
fn a_leader_that_does_not_vote_is_not_believed() {
    let mut scene = Scene::topology(3, 3);
    scene.quorum(|quorum| quorum.leader = Some(5));
    assert_eq!(scene.may_go("kf-controller-1"), "unknown: the active controller 5 is not among the voters");
    assert!(scene.may_go("kf-broker-1").starts_with("unknown"));
}

/// Kafka counts on a broker that has died for some seconds more.
#[test]
fn a_replica_counts_only_if_its_broker_answers() {
    let mut scene = Scene::topology(3, 3);
    scene.silent(2, "connection refused");
    assert_eq!(scene.may_go("kf-broker-0"), "unknown: kf-broker-2: connection refused");
    assert_eq!(scene.back("kf-broker-2"), "unknown: kf-broker-2: connection refused");
    // The others have enough without it.
    assert_eq!(
        (scene.may_go("kf-broker-2"), scene.back("kf-broker-1")),
        ("yes".to_owned(), "yes".to_owned())
    );
    scene.place("kf-broker-2").ready = false;
    assert_eq!(
        scene.may_go("kf-broker-0"),
        "no: orders-3 has 2 of 3 in-sync replicas (min.insync.replicas 2); broker 2 is not serving"
    );
    assert_eq!(scene.may_go("kf-broker-2"), "yes");
    // One that has no pod here, such as a broker that is being taken away, is believed to be where Kafka says it is.
    let mut scene = Scene::topology(3, 4);
    scene.roster.places.pop();
    scene.all_say(|says| says.topics[0].partitions[0] = partition(&[0, 1, 3], &[0, 1, 3]));
    assert_eq!(scene.may_go("kf-broker-0"), "yes");
}

#[test]
fn a_leader_that_does_not_answer_leads_nobody() {
    let mut scene = Scene::topology(3, 4);
    scene.silent(0, "connection refused");
    assert_eq!(scene.may_go("kf-broker-1"), "unknown: kf-broker-0: connection refused");
    scene.place("kf-broker-0").ready = false;
    assert_eq!(scene.may_go("kf-broker-1"), "no: orders-3 has no leader");
    // Whom it does not concern may go.
    for broker in 1..4 {
        scene.says(broker, |says| says.topics[0].partitions[0] = partition(&[0, 1], &[0, 1]));
    }
    assert_eq!(scene.may_go("kf-broker-2"), "yes");
}

#[test]
fn old_views_alone_let_no_broker_go() {
    let mut scene = Scene::topology(3, 3);
    scene.quorum(|quorum| (0..3).for_each(|id| lag(quorum, id, 9_000)));
    let expected = "unknown: no broker that answers has caught up with the active controller";
    assert_eq!(
        (scene.may_go("kf-broker-0").as_str(), scene.back("kf-broker-1").as_str()),
        (expected, expected)
    );
    assert_eq!(scene.may_go("kf-controller-1"), "yes");
    scene.quorum(|quorum| lag(quorum, 2, 1_999));
    assert_eq!((scene.may_go("kf-broker-0").as_str(), scene.back("kf-broker-1").as_str()), ("yes", "yes"));
}

#[test]
fn a_broker_that_is_away_may_go_and_is_not_back() {
    let mut scene = Scene::topology(3, 3);
    scene.place("kf-broker-2").ready = false;
    scene.all_say(|says| {
        says.serving = vec![0, 1];
        says.topics[0].partitions[0].in_sync = vec![0, 1];
    });
    assert_eq!(scene.may_go("kf-broker-2"), "yes");
    assert_eq!(scene.back("kf-broker-2"), "no: pod kf-broker-2 is not Ready");
    assert!(
        scene.may_go("kf-broker-0").ends_with("broker 2 is not serving"),
        "{}",
        scene.may_go("kf-broker-0")
    );
    // It serves nobody, though Kubernetes calls it Ready.
    scene.place("kf-broker-2").ready = true;
    assert!(scene.back("kf-broker-2").starts_with("no: broker 2 does not serve yet, says kf-broker-0"));
    scene.place("kf-broker-2").uid = String::new();
    scene.place("kf-broker-2").ready = false;
    assert_eq!(scene.back("kf-broker-2"), "no: pod kf-broker-2 does not exist");
    assert_eq!(scene.health().members.len(), 6);
}

#[test]
fn what_a_restart_will_cost_is_told_before() {
    let mut scene = Scene::topology(3, 3);
    scene.all_say(|says| {
        says.topics.push(topic("alone", Some(1), vec![partition(&[1], &[1]), partition(&[0, 1], &[0, 1])]));
        says.topics.push(topic("pair", Some(2), vec![partition(&[0, 1], &[0, 1])]));
        says.topics.push(topic("unknown", None, vec![partition(&[0, 1], &[0, 1])]));
    });
    scene.says(2, |says| says.features = features(25));
    let told: Vec<_> = scene.health().remarks.into_iter().map(|r| (r.check, r.message)).collect();
    let told: Vec<_> = told.iter().map(|(check, message)| (*check, message.as_str())).collect();
    assert_eq!(
        told,
        [
            (
                Check::Replication,
                "topics with a single replica, unavailable while the broker that holds it restarts: alone"
            ),
            (
                Check::Replication,
                "topics with no more replicas than min.insync.replicas, to which producers with acks=all cannot \
                 write while one of their brokers restarts: pair"
            ),
            (
                Check::MemberVersions,
                "brokers run different versions: kf-broker-0, kf-broker-1 on 3.9; kf-broker-2 on 4.0"
            ),
        ]
    );
    let alone = Scene::combined(1).health();
    assert_eq!(alone.remarks.iter().map(|remark| remark.check).collect::<Vec<_>>(), [Check::OneReplica]);
    assert!(Scene::topology(3, 3).health().remarks.is_empty());
}

#[test]
fn nothing_is_known_of_a_pod_whose_role_is_not() {
    let mut scene = Scene::topology(3, 3);
    scene.roster.places.push(place(("kf-witness-0".to_owned(), "witness", 0)));
    let unknown = "unknown: witness is no role of Kafka";
    assert_eq!(
        (scene.may_go("kf-witness-0").as_str(), scene.back("kf-witness-0").as_str()),
        (unknown, unknown)
    );
    assert_eq!(scene.may_go("kf-broker-0"), "yes");
    scene.place("kf-witness-0").ready = false;
    assert_eq!(scene.back("kf-witness-0"), "no: pod kf-witness-0 is not Ready");
}
