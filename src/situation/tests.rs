use super::State;
use super::commands::{Commands, Next, Typed};
use super::state::{Pods, Progress, Situation, What};
use crate::model::{
    Action, Kind, Method, Methods, ObjectRef, OpsRequest, PLAN_SCHEMA, Phase, Plan, ShapeChange, Strategy,
    VersionRef, WorkloadKind, WorkloadPlan,
};

fn situation(what: What) -> Situation {
    Situation { database: "kafka/my-kf".to_owned(), version: "3.5.2".to_owned(), what }
}

fn progress(from: &str, unhealthy: &[&str]) -> Progress {
    Progress {
        run: "1f2e".to_owned(),
        from: from.to_owned(),
        to: "3.6.1".to_owned(),
        pods: Pods { ready: 2, all: 6 },
        unhealthy: unhealthy.iter().map(|name| (*name).to_owned()).collect(),
        stuck: unhealthy
            .first()
            .filter(|_| unhealthy.len() == 1)
            .map(|name| Next::DescribePod((*name).to_owned())),
    }
}

fn request(phase: &str) -> Box<OpsRequest> {
    Box::new(OpsRequest {
        kind: "KafkaOpsRequest".to_owned(),
        name: "up".to_owned(),
        operation: "UpdateVersion".to_owned(),
        target: "3.6.1".to_owned(),
        phase: phase.to_owned(),
        conditions: Vec::new(),
    })
}

/// A lock that is valid for 30 s.
fn running(renewed_seconds_ago: Option<i64>, updating: Option<Progress>) -> What {
    What::Running { holder: "ann".to_owned(), renewed_seconds_ago, lease_seconds: 30, updating }
}

#[test]
fn every_situation_is_a_sentence_in_plain_words() {
    let pods = Pods { ready: 6, all: 6 };
    for (what, state, sentence) in [
        (
            What::HalfDone(progress("3.5.2", &[])),
            State::HalfDone,
            "kafka/my-kf is paused and between 3.5.2 and 3.6.1: 2 of 6 pods are on 3.6.1 and Ready, spec.version is 3.5.2; no \
             update is running",
        ),
        (
            What::HalfDone(progress("3.6.1", &["a", "b", "c", "d", "e"])),
            State::HalfDone,
            "kafka/my-kf is paused and only partly on 3.6.1: 2 of 6 pods are on 3.6.1 and Ready, spec.version is 3.5.2; not \
             Ready: a, b, c and 2 more; no update is running",
        ),
        (
            What::Requested { request: request(""), run: progress("3.5.2", &[]) },
            State::OpsRequest,
            "KafkaOpsRequest up (UpdateVersion, not started), created by run 1f2e of this tool, has not been picked up by the \
             Ops-manager yet to update kafka/my-kf: 2 of 6 pods are on 3.6.1 and Ready, spec.version is 3.5.2",
        ),
        (
            What::RequestEnded { run: progress("3.5.2", &["a"]), by_us: Method::Client },
            State::HalfDone,
            "kafka/my-kf is between 3.5.2 and 3.6.1: 2 of 6 pods are on 3.6.1 and Ready, spec.version is 3.5.2; not Ready: a; \
             no update is running: its ops request has ended; the operator may restore the pod templates of 3.5.2 at any time",
        ),
        (
            What::NotReady { pods, phase: Phase::Critical, unhealthy: Vec::new() },
            State::NotReady,
            "kafka/my-kf is on 3.5.2: 6 of 6 pods Ready; KubeDB's health checker, which runs every 10 to 30 s, last \
             reported Critical",
        ),
        (running(Some(3), None), State::Running, "ann holds the lock of kafka/my-kf, renewed 3 s ago"),
        (running(Some(30), None), State::Running, "ann holds the lock of kafka/my-kf, renewed 30 s ago"),
        (
            running(Some(41), Some(progress("3.5.2", &[]))),
            State::Running,
            "ann holds the lock of kafka/my-kf, updating from 3.5.2 to 3.6.1: 2 of 6 pods are on 3.6.1 and Ready; it has not \
             renewed the lock for 41 s, and the lease is 30 s: it may be dead, which `status -w` finds out",
        ),
    ] {
        let situation = situation(what);
        assert_eq!((situation.state(), situation.to_string().as_str()), (state, sentence));
    }
}

/// A contract: `docs/exit-codes.md` has the same table.
#[test]
fn every_situation_has_an_exit_code() {
    let (pods, run) = (Pods { ready: 6, all: 6 }, || progress("3.5.2", &[]));
    for (what, code) in [
        (What::Fine(pods), 0),
        (What::Outdated { pods: 2 }, 0),
        (What::Unread { phase: Phase::Ready }, 1),
        (What::Gone, 3),
        (What::Deleting, 3),
        (What::Halted, 3),
        (What::Drift, 3),
        (What::HalfDone(run()), 4),
        (What::Exposed(run()), 4),
        (What::Rendered(run()), 4),
        (What::PausedForRequest(run()), 4),
        (What::RequestEnded { run: run(), by_us: Method::Client }, 4),
        (What::VersionMoved { run: run(), was: "3.5.2".to_owned() }, 4),
        (What::JournalUnreadable { why: String::new() }, 4),
        (What::NoJournalEntry, 4),
        (What::LeftPaused { to: None }, 4),
        (What::Unverified { pods, to: String::new(), unhealthy: Vec::new() }, 4),
        (What::OnItsWay { pods, to: "3.7.0".to_owned() }, 4),
        (running(None, None), 5),
        (What::Requested { request: request(""), run: run() }, 5),
        (What::OtherRequest { request: request(""), unfinished: None }, 5),
        (What::PausedByOther { message: String::new(), unfinished: None, left: None }, 5),
        (What::NotReady { pods, phase: Phase::Critical, unhealthy: Vec::new() }, 6),
    ] {
        assert_eq!(situation(what.clone()).exit_code(), code, "{what:?}");
    }
}

/// Where to look comes first, the same command again last, and only where nothing else goes on.
#[test]
fn a_run_that_ends_names_what_its_state_names() {
    let again = || Next::Again("3.6.1".to_owned());
    let (half, fine) = (What::HalfDone(progress("3.5.2", &[])), What::Fine(Pods::default()));
    let other = What::OtherRequest { request: request("Progressing"), unfinished: None };
    let (pod, look) = (Next::DescribePod("a".to_owned()), Next::DescribeRequest("up".to_owned()));
    for (what, first, next) in [
        (half.clone(), None, vec![Next::Resume, Next::Rollback]),
        (half, Some(pod.clone()), vec![pod.clone(), Next::Resume, Next::Rollback]),
        (What::HalfDone(progress("3.5.2", &["a"])), None, vec![pod.clone(), Next::Resume, Next::Rollback]),
        (
            What::HalfDone(progress("3.5.2", &["a"])),
            Some(pod.clone()),
            vec![pod, Next::Resume, Next::Rollback],
        ),
        (fine, None, vec![again()]),
        (other.clone(), None, vec![look.clone(), again()]),
        (other, Some(look.clone()), vec![look, again()]),
        (What::Gone, Some(Next::Describe), Vec::new()),
        (running(None, None), Some(Next::Describe), vec![Next::Follow]),
    ] {
        assert_eq!(situation(what.clone()).next_after(first, again()), next, "{what:?}");
    }
}

fn database() -> ObjectRef {
    ObjectRef {
        api_version: "kubedb.com/v1".to_owned(),
        kind: "Kafka".to_owned(),
        plural: "kafkas".to_owned(),
        namespace: "db".to_owned(),
        name: "my-kf".to_owned(),
        uid: String::new(),
    }
}

#[test]
fn a_command_is_typed_as_it_was_reached() {
    let database = database();
    let context = || crate::model::Command::new(["--context", "c"]);
    let commands =
        Commands { connection: context(), kubectl: context(), typed: Typed::Rollback, ..Commands::default() };
    for (next, shown) in [
        (Next::Again("3.6.1".to_owned()), "kubectl dbupdate rollback kafka my-kf --context c"),
        (Next::Update("3.6.1".to_owned()), "kubectl dbupdate kafka my-kf --to 3.6.1 --context c"),
        (Next::Further, "kubectl dbupdate resume kafka my-kf --context c --through"),
        (Next::DescribeBudget("b".to_owned()), "kubectl --context c describe poddisruptionbudget b -n db"),
        (
            Next::VersionBack("3.5.2".to_owned()),
            r#"kubectl --context c patch kafkas my-kf --type merge -p '{"spec":{"version":"3.5.2"}}' -n db"#,
        ),
        (Next::Pods, "kubectl --context c get pods -l app.kubernetes.io/instance=my-kf -n db"),
        (Next::DescribeWorkload("petset/b".to_owned()), "kubectl --context c describe petset/b -n db"),
        (Next::CanI, "kubectl --context c auth can-i --list -n db"),
    ] {
        assert_eq!(commands.command(&next, Kind::Kafka, &database).to_string(), shown);
    }
    let again = Commands {
        methods: Methods { all: Some(Method::Provisioner), ..Methods::default() },
        ..Commands::default()
    };
    let again = again.command(&Next::Again("3.6.1".to_owned()), Kind::Kafka, &database).to_string();
    assert_eq!(again, "kubectl dbupdate kafka my-kf --to 3.6.1 --via provisioner");
}

/// If the Ops-manager fails on a hop that adds or removes containers, only the operator can render the new templates.
#[test]
fn the_next_command_names_a_method_that_is_open() {
    let version = |name: &str| VersionRef { name: name.to_owned(), version: name.to_owned() };
    let object = database();
    let mut plan = Plan {
        schema: PLAN_SCHEMA.to_owned(),
        kind: Kind::Kafka,
        database: object.clone(),
        from: version("3.5.2"),
        to: version("3.6.1"),
        action: Action::Update,
        method: Method::OpsManager,
        ops_request: None,
        pre_pull: None,
        health: None,
        finish: None,
        workloads: Vec::new(),
        findings: Vec::new(),
        missing: Vec::new(),
        path: Vec::new(),
    };
    assert_eq!(plan.by_us(), Method::Client);
    let (container, image) = ("kafka-init".to_owned(), "kafka-init:4.0".to_owned());
    plan.workloads.push(WorkloadPlan {
        kind: WorkloadKind::PetSet,
        object,
        role: String::new(),
        strategy: Strategy::OpsManager,
        replicas: 3,
        min_ready_seconds: 0,
        images: Vec::new(),
        kept: Vec::new(),
        added: vec![ShapeChange { container, init: true, image }],
        removed: Vec::new(),
        rewriting: Vec::new(),
        pods: Vec::new(),
    });
    assert_eq!(plan.by_us(), Method::Provisioner);
}
