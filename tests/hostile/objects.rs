//! Objects with one field that is not as KubeDB or Kubernetes would have it: a pointer, and the value that stands there.

use serde_json::{Value, json};

use crate::judge::EVIL;
use crate::row::{Changes, Row, row};
use crate::rule::{object, set};

const DRY: &str = "zk my-zk --to 3.9.1 --dry-run";
const UPDATE: &str = "zk my-zk --to 3.9.1 --yes";
/// A pod is waited for no longer than a second.
const IMPATIENT: &str = "zk my-zk --to 3.9.1 --yes --pod-timeout 1s";
const STATUS: &str = "status zk my-zk";
const ESC: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{200b}\u{ad}";

/// The plural, the name, the table of its fields.
type Mutated = (&'static str, &'static str, Vec<Field>);
/// The pointer, the value, the command, the exit code, what is said.
type Field = (&'static str, Value, &'static str, i32, &'static str);

pub fn rows() -> Vec<Row> {
    let tables = [
        ("zookeepers", "my-zk", database()),
        ("petsets", "my-zk", workload()),
        ("pods", "my-zk-0", pod()),
        ("poddisruptionbudgets", "my-zk", budget()),
        ("zookeeperversions", "3.9.1", target()),
        ("zookeeperversions", "3.8.3", current()),
    ];
    tables.into_iter().flat_map(mutations).collect()
}

fn mutations((plural, name, fields): Mutated) -> Vec<Row> {
    let one = |(pointer, value, line, code, said): Field| {
        let shown: String = value.to_string().chars().take(60).collect();
        row(format!("{plural}/{name} {pointer} = {shown} for {line}"), line)
            .on(object(plural, name, move |object| set(object, pointer, value.clone())))
            .ends(code)
            .says(said)
            // That is what this code means.
            .changes(if code == 4 { Changes::Anything } else { Changes::Nothing })
    };
    fields.into_iter().map(one).collect()
}

/// More than any field holds.
fn huge() -> Value {
    "x".repeat(70_000).into()
}

fn database() -> Vec<Field> {
    let paused = |message: &str| json!({"type": "Paused", "status": "True", "reason": "Paused", "message": message, "lastTransitionTime": "x"});
    vec![
        ("", json!(null), UPDATE, 1, "unexpected response"),
        ("", json!([]), UPDATE, 1, "unexpected response"),
        ("/metadata", json!(null), UPDATE, 1, "unexpected response"),
        ("/metadata", json!({}), UPDATE, 1, "unexpected response"),
        ("/metadata/uid", json!(null), UPDATE, 3, "no-workloads"),
        ("/metadata/uid", json!(""), UPDATE, 3, "no-workloads"),
        ("/metadata/uid", json!("other"), UPDATE, 3, "no-workloads"),
        ("/metadata/name", json!(ESC), UPDATE, 1, "unexpected response"),
        ("/metadata/name", json!("; touch x #"), STATUS, 0, ""),
        ("/metadata/namespace", json!("../../kube-system"), UPDATE, 1, ""),
        ("/metadata/resourceVersion", json!(42), UPDATE, 1, "unexpected response"),
        ("/metadata/labels", json!([]), UPDATE, 1, "unexpected response"),
        ("/metadata/labels", json!({"argocd.argoproj.io/instance": ESC}), DRY, 3, "gitops"),
        ("/metadata/annotations", json!({"argocd.argoproj.io/tracking-id": ESC}), DRY, 3, "gitops"),
        ("/metadata/annotations", json!({"meta.helm.sh/release-name": ESC}), DRY, 0, ""),
        ("/metadata/annotations", json!("x"), UPDATE, 1, "unexpected response"),
        ("/metadata/deletionTimestamp", json!(ESC), UPDATE, 3, "delet"),
        ("/metadata/deletionTimestamp", json!(0), UPDATE, 1, "unexpected response"),
        ("/metadata/ownerReferences", json!({}), UPDATE, 1, "unexpected response"),
        ("/metadata/generation", json!("1"), UPDATE, 1, "unexpected response"),
        ("/spec", json!(null), UPDATE, 1, "unexpected response"),
        ("/spec", json!([]), UPDATE, 1, "unexpected response"),
        ("/spec/version", json!(null), UPDATE, 1, "unexpected response"),
        ("/spec/version", json!(""), UPDATE, 3, "version"),
        ("/spec/version", json!(ESC), UPDATE, 3, "version"),
        ("/spec/version", json!("3.8.3; touch x #"), UPDATE, 3, "version"),
        ("/spec/version", huge(), UPDATE, 3, "version"),
        ("/spec/version", json!(383), UPDATE, 1, "unexpected response"),
        ("/spec/halted", json!(true), UPDATE, 3, "halted"),
        ("/spec/halted", json!("true"), UPDATE, 1, "unexpected response"),
        (
            "/spec/podTemplate",
            json!({"spec": {"containers": [{"name": "zookeeper", "image": format!("{EVIL}{ESC}")}]}}),
            DRY,
            0,
            "",
        ),
        ("/spec/podTemplate", json!("x"), DRY, 0, ""),
        ("/status", json!(null), DRY, 3, "phase"),
        ("/status", json!("Ready"), UPDATE, 1, "unexpected response"),
        ("/status/phase", json!(null), UPDATE, 3, "phase"),
        ("/status/phase", json!(ESC), UPDATE, 3, "phase"),
        ("/status/phase", json!("ready"), UPDATE, 3, "phase"),
        ("/status/phase", json!(["Ready"]), UPDATE, 1, "unexpected response"),
        ("/status/phase", huge(), UPDATE, 3, "phase"),
        ("/status/conditions", json!(null), DRY, 0, ""),
        ("/status/conditions", json!({"Paused": true}), UPDATE, 1, "unexpected response"),
        ("/status/conditions", json!([null]), UPDATE, 1, "unexpected response"),
        ("/status/conditions/-", paused(ESC), UPDATE, 5, "paused-by-other"),
        ("/status/conditions/-", paused(""), UPDATE, 5, "paused-by-other"),
        ("/status/conditions/-", paused(&"x".repeat(70_000)), UPDATE, 5, "paused-by-other"),
        ("/status/conditions/-", json!({"type": "Paused", "status": ESC}), UPDATE, 5, "paused-by-other"),
        ("/status/conditions/-", json!({"type": "Paused", "status": true}), UPDATE, 1, "unexpected response"),
    ]
}

fn workload() -> Vec<Field> {
    let image = "/spec/template/spec/containers/0/image";
    vec![
        ("", json!(null), UPDATE, 1, "unexpected response"),
        ("/metadata/uid", json!(null), UPDATE, 3, "pod-not-ready"),
        ("/metadata/uid", json!(""), UPDATE, 3, "pod-not-ready"),
        // The database's pods are no longer found by the workload's name.
        ("/metadata/name", json!(ESC), DRY, 3, "quorum"),
        ("/metadata/name", json!("../../x"), DRY, 3, "quorum"),
        ("/metadata/ownerReferences", json!(null), UPDATE, 3, "no-workloads"),
        ("/metadata/ownerReferences/0/uid", json!("other"), UPDATE, 3, "no-workloads"),
        ("/metadata/ownerReferences/0/controller", json!(false), UPDATE, 3, "no-workloads"),
        ("/metadata/ownerReferences/0/controller", json!("true"), UPDATE, 1, "unexpected response"),
        ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"), UPDATE, 3, ""),
        ("/metadata/labels/kubedb.com~1role", json!(ESC), DRY, 0, ""),
        ("/metadata/generation", json!(i64::MAX), IMPATIENT, 4, "observe the new pod template"),
        ("/spec", json!(null), UPDATE, 1, "unexpected response"),
        ("/spec/replicas", json!(-1), UPDATE, 3, ""),
        ("/spec/replicas", json!(i64::MAX), UPDATE, 3, ""),
        ("/spec/replicas", json!("3"), UPDATE, 1, "unexpected response"),
        ("/spec/replicas", json!(0), UPDATE, 3, ""),
        ("/spec/minReadySeconds", json!(i64::MAX), DRY, 0, ""),
        ("/spec/minReadySeconds", json!(-1), DRY, 0, ""),
        ("/spec/minReadySeconds", json!(null), UPDATE, 1, "unexpected response"),
        ("/spec/podManagementPolicy", json!(ESC), DRY, 0, ""),
        ("/spec/updateStrategy", json!(ESC), UPDATE, 1, "unexpected response"),
        ("/spec/updateStrategy", json!({"type": ESC}), DRY, 0, ""),
        (
            "/spec/updateStrategy",
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": -1}}),
            DRY,
            0,
            "",
        ),
        (
            "/spec/updateStrategy",
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": i64::MAX}}),
            UPDATE,
            3,
            "partition",
        ),
        ("/spec/selector", json!(null), UPDATE, 1, "unexpected response"),
        ("/spec/selector", json!({}), DRY, 0, ""),
        ("/spec/selector/matchLabels", json!({ESC: ESC}), DRY, 0, ""),
        ("/spec/template", json!(null), UPDATE, 3, ""),
        ("/spec/template", json!("x"), UPDATE, 3, ""),
        ("/spec/template/spec/containers", json!(null), UPDATE, 3, ""),
        ("/spec/template/spec/containers", json!([null, [], "x"]), UPDATE, 3, ""),
        (
            "/spec/template/spec/containers",
            json!(vec![json!({"name": "x", "image": "y"}); 5000]),
            UPDATE,
            3,
            "",
        ),
        ("/spec/template/spec/containers/0/name", json!(ESC), UPDATE, 3, ""),
        ("/spec/template/spec/containers/0/name", json!("zookeeper; touch x"), UPDATE, 3, ""),
        (image, json!(null), UPDATE, 3, ""),
        (image, json!(""), UPDATE, 3, ""),
        (image, json!(ESC), UPDATE, 3, "drift"),
        (image, json!(format!("{EVIL}zookeeper:3.8.3")), UPDATE, 3, "drift"),
        (image, json!("ghcr.io/appscode-images/zookeeper:3.8.3@sha256:short"), DRY, 0, ""),
        (image, json!(["x"]), UPDATE, 3, ""),
        (image, huge(), UPDATE, 3, "drift"),
        ("/spec/template/spec/terminationGracePeriodSeconds", json!(i64::MAX), DRY, 0, ""),
        ("/spec/template/spec/terminationGracePeriodSeconds", json!("30"), DRY, 0, ""),
        ("/status", json!(null), IMPATIENT, 4, "observe the new pod template"),
        ("/status", json!([]), IMPATIENT, 4, "observe the new pod template"),
        ("/status/observedGeneration", json!(0), IMPATIENT, 4, "observe the new pod template"),
        ("/status/updateRevision", json!(ESC), DRY, 0, ""),
        ("/status/updateRevision", json!(null), UPDATE, 1, "unexpected response"),
        ("/status/readyReplicas", json!(i64::MAX), DRY, 0, ""),
        ("/status/replicas", json!(-5), DRY, 0, ""),
    ]
}

fn pod() -> Vec<Field> {
    vec![
        ("", json!(null), UPDATE, 1, "unexpected response"),
        ("/metadata/uid", json!(""), UPDATE, 1, "no uid"),
        ("/metadata/uid", json!(null), UPDATE, 1, "unexpected response"),
        // The database's first pod is missing then.
        ("/metadata/name", json!(""), DRY, 3, "quorum"),
        ("/metadata/name", json!(ESC), DRY, 3, "quorum"),
        ("/metadata/name", json!("../my-zk-1"), DRY, 3, "quorum"),
        ("/metadata/name", json!("my-zk-99999999999999999999"), DRY, 3, "quorum"),
        ("/metadata/name", json!("my-zk-1"), DRY, 3, "quorum"),
        ("/metadata/labels", json!(null), DRY, 0, ""),
        ("/metadata/labels/controller-revision-hash", json!(ESC), DRY, 0, ""),
        ("/metadata/ownerReferences", json!(null), UPDATE, 3, ""),
        ("/metadata/ownerReferences/0/uid", json!("other"), UPDATE, 3, ""),
        ("/metadata/ownerReferences/0/uid", json!(7), UPDATE, 1, "unexpected response"),
        ("/metadata/deletionTimestamp", json!("never"), UPDATE, 3, ""),
        ("/metadata/deletionGracePeriodSeconds", json!(i64::MAX), DRY, 0, ""),
        ("/metadata/deletionGracePeriodSeconds", json!(i64::MIN), DRY, 0, ""),
        ("/metadata/finalizers", json!([ESC]), DRY, 0, ""),
        ("/metadata/finalizers", json!("x"), UPDATE, 1, "unexpected response"),
        ("/spec/nodeName", json!(ESC), DRY, 0, ""),
        ("/spec/nodeName", json!("../secrets/x"), DRY, 0, ""),
        ("/spec/containers", json!(null), DRY, 0, ""),
        ("/spec/containers/0/image", json!(ESC), STATUS, 0, ""),
        ("/spec/containers/0/image", json!(format!("{EVIL}x")), STATUS, 0, ""),
        ("/spec/terminationGracePeriodSeconds", json!(i64::MAX), DRY, 0, ""),
        ("/status", json!(null), UPDATE, 3, "pod-not-ready"),
        ("/status", json!("Running"), UPDATE, 1, "unexpected response"),
        ("/status/phase", json!(ESC), STATUS, 0, ""),
        ("/status/conditions", json!(null), UPDATE, 3, "pod-not-ready"),
        ("/status/conditions", json!([{"type": "Ready", "status": "true"}]), UPDATE, 3, "pod-not-ready"),
        (
            "/status/conditions",
            json!([{"type": "Ready", "status": "False", "reason": ESC, "message": ESC}]),
            UPDATE,
            3,
            "pod-not-ready",
        ),
        (
            "/status/conditions",
            json!([{"type": "Ready", "status": "False", "message": "x".repeat(70_000)}]),
            UPDATE,
            3,
            "pod-not-ready",
        ),
        ("/status/conditions", json!([{"type": ["Ready"]}]), UPDATE, 1, "unexpected response"),
        (
            "/status/containerStatuses",
            json!([{"name": ESC, "restartCount": i64::MAX, "state": {"waiting": {"reason": ESC, "message": ESC}}}]),
            DRY,
            0,
            "",
        ),
        ("/status/containerStatuses", json!([{"restartCount": "many"}]), UPDATE, 1, "unexpected response"),
        (
            "/status/containerStatuses",
            json!([{"lastState": {"terminated": {"exitCode": i64::MIN, "reason": ESC}}}]),
            DRY,
            0,
            "",
        ),
    ]
}

fn budget() -> Vec<Field> {
    vec![
        ("", json!(null), UPDATE, 1, "unexpected response"),
        ("/metadata/name", json!(ESC), DRY, 0, ""),
        ("/spec", json!(null), UPDATE, 1, "unexpected response"),
        ("/spec/selector", json!(null), DRY, 0, ""),
        (
            "/spec/selector",
            json!({"matchExpressions": [{"key": ESC, "operator": ESC, "values": [ESC]}]}),
            DRY,
            0,
            "",
        ),
        ("/spec/maxUnavailable", json!(-1), UPDATE, 3, "budget-never"),
        ("/spec/maxUnavailable", json!("99999999999999999999%"), DRY, 0, ""),
        ("/spec/maxUnavailable", json!(ESC), DRY, 0, ""),
        ("/spec/maxUnavailable", json!({"x": 1}), DRY, 0, ""),
        ("/spec/maxUnavailable", json!(i64::MAX), DRY, 0, ""),
        ("/spec/minAvailable", json!(i64::MAX), DRY, 0, ""),
        ("/status", json!(null), DRY, 0, ""),
        ("/status/disruptionsAllowed", json!(i64::MIN), DRY, 0, ""),
        ("/status/disruptionsAllowed", json!("1"), UPDATE, 1, "unexpected response"),
        ("/status/currentHealthy", json!(i64::MAX), DRY, 0, ""),
        ("/status/disruptedPods", json!({ESC: "never"}), DRY, 0, ""),
        ("/status/disruptedPods", json!([]), UPDATE, 1, "unexpected response"),
    ]
}

fn target() -> Vec<Field> {
    vec![
        ("", json!(null), UPDATE, 1, "unexpected response"),
        ("/metadata/name", json!(""), UPDATE, 3, "the catalog has no"),
        ("/metadata/name", json!(ESC), UPDATE, 3, "the catalog has no"),
        ("/spec", json!(null), UPDATE, 3, "version-rule"),
        ("/spec/version", json!(null), UPDATE, 3, "version-rule"),
        ("/spec/version", json!("v"), UPDATE, 3, ""),
        ("/spec/version", json!("99999999999999999999.0.0"), UPDATE, 3, ""),
        ("/spec/version", json!(ESC), UPDATE, 3, ""),
        ("/spec/version", json!(3.9), UPDATE, 3, "version-rule"),
        ("/spec/version", json!("3.7.0"), UPDATE, 3, "downgrade"),
        ("/spec/version", huge(), UPDATE, 3, ""),
        ("/spec/deprecated", json!(true), UPDATE, 3, "deprecated"),
        ("/spec/endOfLife", json!(null), DRY, 0, ""),
        ("/spec/db", json!(null), UPDATE, 3, ""),
        ("/spec/db", json!(ESC), UPDATE, 3, ""),
        ("/spec/db/image", json!(null), UPDATE, 3, ""),
        ("/spec/db/image", json!(""), UPDATE, 3, ""),
        ("/spec/db/image", json!(42), UPDATE, 3, ""),
        ("/spec/db/image", json!(ESC), DRY, 0, ""),
        ("/spec/db/image", json!("not an image"), DRY, 0, ""),
        ("/spec/initContainer", json!(null), UPDATE, 3, ""),
    ]
}

fn current() -> Vec<Field> {
    vec![
        ("", json!(null), UPDATE, 1, "unexpected response"),
        ("/metadata/name", json!("other"), UPDATE, 3, "current-version-missing"),
        ("/spec/version", json!(null), UPDATE, 3, ""),
        ("/spec/version", json!("eight"), UPDATE, 3, ""),
        ("/spec/version", json!(ESC), UPDATE, 3, ""),
        ("/spec/version", json!("4.0.0"), UPDATE, 3, "downgrade"),
        ("/spec/version", json!("3.8.3-99999999999999999999"), DRY, 0, ""),
        ("/spec/db/image", json!(null), UPDATE, 3, "drift"),
        ("/spec/db/image", json!(ESC), UPDATE, 3, "drift"),
        ("/spec/updateConstraints", json!([]), UPDATE, 3, ""),
        ("/spec/updateConstraints", json!({"allowlist": {"x": 1}}), UPDATE, 3, ""),
        ("/spec/updateConstraints", json!({"allowlist": [null]}), UPDATE, 3, ""),
        ("/spec/updateConstraints", json!({"allowlist": ["99999999999999999999 || <"]}), UPDATE, 3, ""),
        ("/spec/updateConstraints", json!({"allowlist": [ESC]}), UPDATE, 3, ""),
        ("/spec/updateConstraints", json!({"denylist": "3.9.1"}), UPDATE, 3, ""),
        ("/spec/updateConstraints", json!({"allowlist": ["<".repeat(50_000)]}), UPDATE, 3, ""),
        ("/spec/updateConstraints", json!({"allowlist": vec!["> 0.0.1"; 20_000]}), DRY, 0, ""),
    ]
}
