//! A small plan and a small run for the tests of this folder.

use crate::event::{
    EVENT_SCHEMA, Event, Finish, Outcome, Record, Step, StepOutcome, WaitingOn, WorkloadResult,
};
use crate::model::{
    Action, Check, Finding, ImageChange, KeptContainer, KeptWhy, Kind, ObjectRef, PLAN_SCHEMA, Plan,
    PodAction, PodPlan, Purpose, Severity, Strategy, Trial, VersionRef, WorkloadKind, WorkloadPlan,
};

const NOW: &str = "registry.example/appscode-images/kafka-kraft:3.5.2@sha256:9c0a6a4e1f2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5";
const AFTER: &str = "registry.example/appscode-images/kafka-kraft:3.6.1";

pub(super) fn object(kind: &str, plural: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: kind.into(),
        plural: plural.into(),
        namespace: "default".into(),
        name: name.into(),
        uid: format!("uid-{name}"),
    }
}

pub(super) fn workload(role: &str, replicas: i64) -> WorkloadPlan {
    let name = format!("my-kf-{role}");
    let pods = (0..replicas).map(|i| PodPlan {
        name: format!("{name}-{i}"),
        action: PodAction::Evict,
        waits_for: format!("every other pod is Ready and PodDisruptionBudget {name} allows it"),
    });
    WorkloadPlan {
        kind: WorkloadKind::PetSet,
        object: object("PetSet", "petsets", &name),
        role: role.into(),
        strategy: Strategy::Evict,
        replicas,
        min_ready_seconds: 10,
        images: vec![ImageChange {
            container: "kafka".into(),
            init: false,
            index: 0,
            now: NOW.into(),
            after: AFTER.into(),
        }],
        kept: Vec::new(),
        added: Vec::new(),
        removed: Vec::new(),
        rewriting: Vec::new(),
        pods: pods.collect(),
    }
}

pub(super) fn finding(check: Check, severity: Severity, message: &str, hint: &str) -> Finding {
    Finding { check, severity, message: message.into(), hint: hint.into() }
}

/// Two workloads, one of them with a single replica and a sidecar.
pub(super) fn plan() -> Plan {
    let version = |name: &str| VersionRef { name: name.into(), version: name.into() };
    let mut broker = workload("broker", 1);
    broker.kept.push(KeptContainer {
        container: "log-shipper".into(),
        init: true,
        image: "registry.example/team/shipper:1.0".into(),
        why: KeptWhy::Sidecar,
    });
    Plan {
        schema: PLAN_SCHEMA.into(),
        kind: Kind::Kafka,
        database: object("Kafka", "kafkas", "my-kf"),
        from: version("3.5.2"),
        to: version("3.6.1"),
        action: Action::Update,
        method: crate::model::Method::Client,
        ops_request: None,
        pre_pull: None,
        health: None,
        finish: None,
        workloads: vec![workload("controller", 3), broker],
        findings: vec![finding(
            Check::OneReplica,
            Severity::Warning,
            "petset/my-kf-broker has one replica: it is unavailable while its pod restarts",
            "scale it up first if that matters",
        )],
        missing: Vec::new(),
        path: Vec::new(),
    }
}

/// The same, refused for two reasons, of which one can be overridden.
pub(super) fn refused_plan() -> Plan {
    let mut plan = plan();
    plan.findings = vec![
        finding(
            Check::VersionRule,
            Severity::Refusal,
            "version 3.5.2 does not allow 3.6.1: its allowlist is \"< 3.6.0\"",
            "update in steps",
        ),
        finding(Check::Downgrade, Severity::Refusal, "3.6.1 is older than 3.7.0", ""),
        finding(Check::Phase, Severity::Overridden, "the phase is Critical", ""),
        finding(
            Check::AlreadyOnTarget,
            Severity::Info,
            "container exporter already has the target's image",
            "",
        ),
    ];
    plan.path = ["3.5.2", "3.5.9", "3.6.1"].map(String::from).to_vec();
    plan
}

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Trial {
            write: Purpose::RequestPause,
            object: "kafka/my-kf".into(),
            refused: None,
            warnings: vec!["v1alpha2 is deprecated".into()],
        },
        Trial {
            write: Purpose::PatchImages,
            object: "petset/my-kf-broker".into(),
            refused: Some("policy images denies registry.example".into()),
            warnings: Vec::new(),
        },
    ]
}

pub(super) fn finish() -> Finish {
    let result = |role: &str, pods: u64, took_ms: u64, longest_away_ms: u64| WorkloadResult {
        workload: format!("petset/my-kf-{role}"),
        role: role.into(),
        pods,
        updated: pods,
        restarted: pods,
        took_ms,
        longest_away_ms,
        longest_away_at_least: false,
    };
    Finish {
        outcome: Outcome::Done,
        exit_code: 0,
        changed: true,
        paused: false,
        operator_confirmed: true,
        phase: "Ready".into(),
        error: String::new(),
        pod: None,
        not_rolled_back: None,
        state: "kafka/my-kf is on 3.6.1: 4 of 4 pods Ready.".into(),
        left: Vec::new(),
        next: Vec::new(),
        workloads: vec![result("controller", 3, 12_300, 2_100), result("broker", 1, 65_000, 4_200)],
        elapsed_ms: 80_500,
        longest_away_ms: 4_200,
        longest_away_at_least: false,
    }
}

pub(super) fn failed_finish() -> Finish {
    let mut finish = finish();
    finish.outcome = Outcome::Failed;
    finish.exit_code = 4;
    finish.paused = true;
    finish.error = "pod my-kf-broker-0: container kafka: ImagePullBackOff".into();
    finish.pod = Some("my-kf-broker-0".into());
    finish.state = "the controllers are on 3.6.1, the broker is not; kafka/my-kf is left paused.".into();
    finish.next = vec![
        "kubectl dbupdate kafka my-kf -n default --to 3.6.1".into(),
        "kubectl describe pod my-kf-broker-0 -n default".into(),
    ];
    finish.workloads[1].updated = 0;
    finish
}

pub(super) fn started(plan: Plan) -> Event {
    Event::Started { schema: EVENT_SCHEMA.into(), plan: Box::new(plan) }
}

/// Numbers the events: one second lies between each two.
pub(super) fn recorded(events: Vec<Event>) -> Vec<Record> {
    let at = |(i, event)| Record {
        time: format!("2026-01-02T03:04:{:02}Z", 5 + i),
        elapsed_ms: 1000 * i as u64,
        run: "r1".into(),
        event,
    };
    events.into_iter().enumerate().map(at).collect()
}

/// A run, and one of another database.
pub(super) fn two_runs() -> (Vec<Record>, Vec<Record>) {
    let mut other = records();
    for record in &mut other {
        record.run = "r2".into();
        if let Event::Started { plan, .. } = &mut record.event {
            plan.database.name = "other".into();
        }
    }
    (records(), other)
}

/// A run from its beginning to its end.
pub(super) fn records() -> Vec<Record> {
    let step = |step| Event::StepStarted { step };
    let done = |step, note: &str| Event::StepFinished {
        step,
        outcome: StepOutcome::Done,
        took_ms: 400,
        note: note.into(),
    };
    let controller = || "petset/my-kf-controller".to_owned();
    let pod = || "my-kf-controller-0".to_owned();
    let waits = |on| Event::PodWaiting { workload: controller(), pod: pod(), on };
    recorded(vec![
        started(plan()),
        step(Step::Lock),
        done(Step::Lock, ""),
        step(Step::Pause),
        Event::PauseRequested { adopted: false },
        Event::Waiting {
            step: Step::Pause,
            on: WaitingOn::Operator {
                timeout_seconds: 30,
            },
        },
        Event::PauseAcknowledged { took_ms: 400 },
        done(Step::Pause, "acknowledged by the operator in 0.4 s"),
        step(Step::RollPods),
        Event::WorkloadStarted {
            workload: controller(),
            pods: 3,
            done: 2,
        },
        Event::PodStarted {
            workload: controller(),
            pod: pod(),
            ordinal_in_run: 1,
        },
        waits(WaitingOn::Budget {
            budget: "my-kf-controller".into(),
            needed: 2,
            healthy: 2,
            held_by: Some("my-kf-controller-2".into()),
        }),
        Event::PodEvicted {
            workload: controller(),
            pod: pod(),
        },
        waits(WaitingOn::Container {
            container: "kafka".into(),
            reason: "ImagePullBackOff".into(),
            message: "Back-off pulling image \"registry.example/appscode-images/kafka-kraft:3.6.1\": the registry's certificate is not trusted".into(),
        }),
        Event::PodReady {
            workload: controller(),
            pod: pod(),
            took_ms: 3_000,
            away_ms: 2_100,
        },
        Event::WorkloadFinished {
            workload: controller(),
            took_ms: 5_000,
        },
        done(Step::RollPods, ""),
        Event::Finished(finish()),
    ])
}
