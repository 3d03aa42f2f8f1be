use std::collections::BTreeMap;

use super::*;
use crate::model::{ContainerStatus, PodCondition, PodTimes};

const OLD: &str = "repo/db:1";
const NEW: &str = "repo/db:2";
const LIMITS: Limits = Limits { pod_timeout: secs(600), min_ready: secs(5) };

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A well pod `db-0` of that uid, image and revision.
fn pod(uid: &str, image: &str, revision: &str) -> Pod {
    Pod {
        name: "db-0".into(),
        uid: uid.into(),
        resource_version: "1".into(),
        owner: "set".into(),
        labels: BTreeMap::new(),
        revision: revision.into(),
        node: Some("node-1".into()),
        phase: "Running".into(),
        ready: true,
        conditions: Vec::new(),
        deleting: false,
        grace_seconds: 30,
        finalizers: Vec::new(),
        scheduling_gates: Vec::new(),
        closed_gates: Vec::new(),
        times: PodTimes::default(),
        images: vec![("db".into(), image.into()), ("agent".into(), "repo/agent:8".into())],
        containers: vec![container(ContainerState::Running, 0)],
    }
}

fn container(state: ContainerState, restarts: i64) -> ContainerStatus {
    ContainerStatus {
        name: "db".into(),
        init: false,
        restarts,
        state,
        last_end: "Error (exit code 1)".into(),
    }
}

/// The new pod, not Ready, with its container in that state.
fn new_pod(state: ContainerState, restarts: i64) -> Pod {
    let containers = vec![container(state, restarts)];
    Pod { ready: false, phase: "Pending".into(), containers, ..pod("new", NEW, "r2") }
}

fn waiting(reason: &str) -> ContainerState {
    ContainerState::Waiting { reason: reason.into(), message: "m".into() }
}

/// The old pod's eviction was accepted at 100 s.
fn evicted() -> Flight {
    Flight::evicted(&pod("old", OLD, "r1"), secs(100))
}

/// The pod, which is on the target if it is of the new revision.
fn found(pod: &Pod) -> Found<'_> {
    Found { pod, on_target: pod.revision == "r2", not_back: None }
}

fn look(flight: &mut Flight, pod: Option<&Pod>, at: u64) -> Verdict {
    flight.observe(pod, secs(at));
    judge(flight, pod.map(found), LIMITS, secs(at))
}

/// The verdict in a few words.
fn short(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Progress { on, until } => {
            let on = format!("{on:?}");
            format!("{} until {}", on.split([' ', '{']).next().unwrap_or_default(), until.as_secs())
        }
        Verdict::Stuck(stuck) => format!("stuck: {stuck}"),
        Verdict::Done { healthy_since } => format!("done since {}", healthy_since.as_secs()),
        Verdict::Outdated => "outdated".into(),
    }
}

/// Looks at the same pod at each of these times.
fn course(flight: Flight, pod: Option<&Pod>, expected: &[(u64, &str)]) {
    let mut flight = flight;
    for (at, verdict) in expected {
        assert_eq!(short(&look(&mut flight, pod, *at)), *verdict, "at {at} s");
    }
}

#[test]
fn an_old_pod_is_given_a_minute_beyond_its_grace() {
    let old = Pod { deleting: true, finalizers: vec!["f".into()], ..pod("old", OLD, "r1") };
    let mut flight = evicted();
    assert_eq!(short(&look(&mut flight, Some(&old), 189)), "Termination until 190");
    let Verdict::Stuck(Stuck::Terminating { seconds, node, finalizers, .. }) =
        look(&mut flight, Some(&old), 190)
    else {
        panic!("it is stuck")
    };
    assert_eq!((seconds, node.as_deref(), finalizers), (60, Some("node-1"), vec!["f".to_owned()]));
    let not_deleted_yet = pod("old", OLD, "r1");
    course(evicted(), Some(&not_deleted_yet), &[(101, "Termination until 190")]);
}

/// A new pod that somebody drains late in its start has its own grace.
#[test]
fn a_new_pod_that_is_deleted_is_given_its_time_from_then_on() {
    let mut flight = evicted();
    let starting = new_pod(waiting("ContainerCreating"), 0);
    look(&mut flight, Some(&starting), 300);
    let drained = Pod { deleting: true, ..starting };
    assert_eq!(short(&look(&mut flight, Some(&drained), 400)), "Termination until 490");
    assert_eq!(short(&look(&mut flight, Some(&drained), 489)), "Termination until 490");
    assert!(short(&look(&mut flight, Some(&drained), 490)).starts_with("stuck"));
}

fn condition(kind: &str, reason: &str, message: &str) -> PodCondition {
    let [kind, reason, message] = [kind, reason, message].map(str::to_owned);
    PodCondition { kind, status: "False".to_owned(), reason, message }
}

/// A pod that waits for others is not taken for one that does not start.
#[test]
fn a_pod_that_a_gate_holds_is_told_with_the_gate() {
    let queue = vec!["queue.example.com/wait".to_owned()];
    let held = Pod {
        node: None,
        scheduling_gates: queue.clone(),
        conditions: vec![condition("PodScheduled", "SchedulingGated", "blocked")],
        ..new_pod(ContainerState::Unknown, 0)
    };
    let late = "stuck: nobody removed its scheduling gates within 630 s: queue.example.com/wait";
    course(evicted(), Some(&held), &[(101, "SchedulingGates until 730"), (730, late)]);

    let gate = vec!["lb.example.com/registered".to_owned()];
    let closed =
        |conditions| Pod { closed_gates: gate.clone(), conditions, ..new_pod(ContainerState::Running, 0) };
    let kubelet = condition("Ready", "ReadinessGatesNotReady", "does not exist");
    let own = condition("lb.example.com/registered", "Draining", "not in the pool");
    for (conditions, why) in
        [(vec![kubelet.clone()], "does not exist"), (vec![kubelet, own], "not in the pool")]
    {
        let late = format!(
            "stuck: its containers are ready, but its readiness gates did not open within 630 s: \
             lb.example.com/registered: {why}"
        );
        course(evicted(), Some(&closed(conditions)), &[(101, "ReadinessGates until 730"), (730, &late)]);
    }
    let starting = closed(vec![condition("Ready", "ContainersNotReady", "not ready")]);
    course(evicted(), Some(&starting), &[(101, "Readiness until 730")]);
}

#[test]
fn a_pod_that_does_not_come_is_given_the_pod_timeout_and_the_grace() {
    let late = "stuck: it was not created by its controller within 630 s";
    course(evicted(), None, &[(101, "Creation until 102"), (729, "Creation until 102"), (730, late)]);
    let starting = new_pod(ContainerState::Running, 0);
    let late = "stuck: it did not become Ready within 630 s";
    course(evicted(), Some(&starting), &[(101, "Readiness until 730"), (730, late)]);
}

#[test]
fn a_pod_without_a_node_waits_for_the_pod_timeout() {
    let unscheduled = PodCondition {
        kind: "PodScheduled".into(),
        status: "False".into(),
        reason: "Unschedulable".into(),
        message: "0/3 nodes are available".into(),
    };
    let pod = Pod { conditions: vec![unscheduled], containers: Vec::new(), ..new_pod(waiting(""), 0) };
    let late = "stuck: it was not scheduled: 0/3 nodes are available within 630 s";
    course(
        evicted(),
        Some(&pod),
        &[(101, "Scheduling until 730"), (200, "Scheduling until 730"), (730, late)],
    );
}

#[test]
fn each_trouble_of_a_container_has_its_patience() {
    let config = [
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "RunContainerError",
    ];
    let pull = [
        "ErrImagePull",
        "ImagePullBackOff",
        "RegistryUnavailable",
        "ImageInspectError",
        "SignatureValidationFailed",
    ];
    let all = config.map(|r| (r, 15)).into_iter().chain(pull.map(|r| (r, 45)));
    for (reason, patience) in all {
        let until = 110 + patience;
        let patient = format!("Container until {until}");
        let stuck = format!("stuck: container db: {reason}: m");
        let course_of = [(110, patient.as_str()), (until - 1, &patient), (until, &stuck)];
        course(evicted(), Some(&new_pod(waiting(reason), 0)), &course_of);
    }
    let creating = new_pod(waiting("ContainerCreating"), 0);
    course(evicted(), Some(&creating), &[(110, "Container until 730"), (700, "Container until 730")]);
}

/// Both reasons of a pull are one trouble; one that passes is forgotten.
#[test]
fn patience_runs_from_the_first_sign_of_the_same_trouble() {
    let (failing, backing_off) =
        (new_pod(waiting("ErrImagePull"), 0), new_pod(waiting("ImagePullBackOff"), 0));
    let mut flight = evicted();
    look(&mut flight, Some(&failing), 110);
    assert_eq!(short(&look(&mut flight, Some(&backing_off), 130)), "Container until 155");
    look(&mut flight, Some(&new_pod(waiting("ContainerCreating"), 0)), 140);
    assert_eq!(short(&look(&mut flight, Some(&failing), 150)), "Container until 195");
}

#[test]
fn three_restarts_are_a_crash_loop() {
    let crashing = |restarts| new_pod(waiting("CrashLoopBackOff"), restarts);
    let mut flight = evicted();
    assert_eq!(short(&look(&mut flight, Some(&crashing(2)), 110)), "Container until 730");
    let stuck =
        "stuck: container db: CrashLoopBackOff: it has crashed 3 times; last exit: Error (exit code 1)";
    assert_eq!(short(&look(&mut flight, Some(&crashing(3)), 120)), stuck);
    // A pod that this run has not made is not judged by what it did before.
    let mut found = Flight::awaited("db-0", "", secs(100));
    assert_eq!(short(&look(&mut found, Some(&crashing(7)), 110)), "Container until 700");
    assert_eq!(short(&look(&mut found, Some(&crashing(9)), 111)), "Container until 700");
    assert!(short(&look(&mut found, Some(&crashing(10)), 112)).contains("crashed 3 times"));
}

#[test]
fn a_pod_is_done_when_it_has_been_ready_for_long_enough() {
    let new = pod("new", NEW, "r2");
    course(
        evicted(),
        Some(&new),
        &[(110, "MinReady until 115"), (114, "MinReady until 115"), (115, "done since 110")],
    );
    let mut relapsing = evicted();
    look(&mut relapsing, Some(&new), 110);
    look(&mut relapsing, Some(&new_pod(ContainerState::Running, 0)), 112);
    assert_eq!(short(&look(&mut relapsing, Some(&new), 114)), "MinReady until 119");
}

#[test]
fn a_pod_that_has_crashed_must_stay_ready_for_longer() {
    let healthy = |restarts| Pod {
        containers: vec![container(ContainerState::Running, restarts)],
        ..pod("new", NEW, "r2")
    };
    let mut flight = evicted();
    look(&mut flight, Some(&new_pod(waiting("CrashLoopBackOff"), 1)), 105);
    assert_eq!(short(&look(&mut flight, Some(&healthy(1)), 110)), "MinReady until 120");
    // It was down between two looks.
    assert_eq!(short(&look(&mut flight, Some(&healthy(2)), 118)), "MinReady until 128");
    assert_eq!(short(&look(&mut flight, Some(&healthy(2)), 128)), "done since 118");
}

/// Admission may have given it any image.
#[test]
fn what_a_new_pod_is_made_from_is_told_apart() {
    for (image, revision, verdict) in [
        (NEW, "r2", "done since 110"),
        ("mirror.local/repo/db@sha256:ab", "r2", "done since 110"),
        (NEW, "r1", "outdated"),
    ] {
        let limits = Limits { min_ready: secs(0), ..LIMITS };
        let (new, mut flight) = (pod("new", image, revision), evicted());
        flight.observe(Some(&new), secs(110));
        assert_eq!(
            short(&judge(&flight, Some(found(&new)), limits, secs(110))),
            verdict,
            "{image} {revision}"
        );
    }
}

#[test]
fn a_pod_that_is_ready_has_to_be_a_member_again() {
    let on = WaitingOn::Database { database: "Kafka".into(), why: vec!["broker 0 is not in sync".into()] };
    let new = pod("new", NEW, "r2");
    let mut flight = evicted();
    let judged = |flight: &mut Flight, not_back: Option<&WaitingOn>, at: u64| {
        flight.observe(Some(&new), secs(at));
        judge(flight, Some(Found { pod: &new, on_target: true, not_back }), LIMITS, secs(at))
    };
    judged(&mut flight, Some(&on), 110);
    let progress = Verdict::Progress { on: on.clone(), until: secs(110 + 5 + 600) };
    assert_eq!(judged(&mut flight, Some(&on), 115), progress);
    let done = Verdict::Done { healthy_since: secs(110) };
    assert_eq!(judged(&mut flight, None, 116), done, "it was away until it was Ready");
    let Verdict::Stuck(stuck) = judged(&mut flight, Some(&on), 715) else { panic!("it is late") };
    assert!(stuck.to_string().contains("no full member of Kafka again"), "{stuck}");
}

/// What the container reports stays while the kubelet tries again, which may take minutes.
#[test]
fn an_image_that_is_being_downloaded_again_is_waited_for() {
    let mut flight = evicted();
    let pauses = new_pod(waiting("ImagePullBackOff"), 0);
    assert_eq!(short(&look(&mut flight, Some(&pauses), 110)), "Container until 155");
    assert_eq!((flight.fails_to_pull(secs(154)), flight.fails_to_pull(secs(155))), (false, true));
    assert!(
        short(&look(&mut flight, Some(&pauses), 155)).starts_with("stuck: container db: ImagePullBackOff")
    );
    flight.pulls_again(secs(155));
    assert_eq!(short(&look(&mut flight, Some(&pauses), 156)), "Container until 200");
    flight.pulls_again(secs(720));
    assert!(short(&look(&mut flight, Some(&pauses), 730)).ends_with("ImagePullBackOff m within 630 s"));
    look(&mut flight, Some(&new_pod(waiting("CreateContainerError"), 0)), 731);
    assert!(!flight.fails_to_pull(secs(999)), "it has the image");
}
