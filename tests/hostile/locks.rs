//! The Lease that is the lock, and the conditions of the database: what others may write there.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use simcluster::SimCluster;

use crate::row::{Changes, Row, row};
use crate::rule::{change, get, patch, post, set};

const DRY: &str = "zk my-zk --to 3.9.1 --dry-run";
const UPDATE: &str = "zk my-zk --to 3.9.1 --yes";
const ESC: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}\u{200b}";

pub fn rows() -> Vec<Row> {
    let mut rows = leases();
    rows.extend(holders());
    rows.extend(conditions());
    rows
}

fn lease(spec: Value) -> impl Fn(&SimCluster, &str) + Send + Sync + 'static {
    move |sim, _| {
        let lease =
            json!({"metadata": {"name": "dbupdate-zookeeper-my-zk", "namespace": "default"}, "spec": spec});
        sim.store().create("leases.coordination.k8s.io", lease).expect("it is not there yet");
    }
}

/// A Lease that nobody renews: for a dry run and for `status`.
fn leases() -> Vec<Row> {
    let time = "2026-01-02T03:04:05.000000Z";
    let specs = [
        (
            "that holds a text that steers the terminal",
            json!({"holderIdentity": ESC, "leaseDurationSeconds": 1}),
        ),
        (
            "of a holder with a very long name",
            json!({"holderIdentity": "x".repeat(70_000), "leaseDurationSeconds": 1}),
        ),
        ("for ever", json!({"holderIdentity": "eve", "leaseDurationSeconds": i32::MAX})),
        ("for less than nothing", json!({"holderIdentity": "eve", "leaseDurationSeconds": i32::MIN})),
        ("longer than a number", json!({"holderIdentity": "eve", "leaseDurationSeconds": i64::MAX})),
        ("of no time", json!({"holderIdentity": "eve", "leaseDurationSeconds": 1, "renewTime": "never"})),
        (
            "of the year 9999",
            json!({"holderIdentity": "eve", "leaseDurationSeconds": 1, "renewTime": "9999-12-31T23:59:59.999999Z", "acquireTime": time}),
        ),
        (
            "from before the beginning",
            json!({"holderIdentity": "eve", "leaseDurationSeconds": 1, "renewTime": "0001-01-01T00:00:00.000000Z"}),
        ),
        (
            "of a run for rm",
            json!({"holderIdentity": "; rm -rf ~ #", "leaseDurationSeconds": 1, "renewTime": time}),
        ),
        ("that is a list", json!([])),
        ("that is null", json!(null)),
        ("whose holder is a number", json!({"holderIdentity": 42})),
    ];
    let mut rows = Vec::new();
    for (what, spec) in specs {
        for command in ["status zk my-zk", "status zk my-zk -o json"] {
            rows.push(
                row(format!("a lock {what} for {command}"), command)
                    .given(lease(spec.clone()))
                    .ends(0)
                    .ends(1),
            );
        }
    }
    rows.push(
        row("a lock for ever before a dry run", DRY)
            .given(lease(json!({"holderIdentity": "eve", "leaseDurationSeconds": 2})))
            .ends(0)
            .ends(3),
    );
    rows
}

/// Answers that name another holder.
fn holders() -> Vec<Row> {
    let other = |lease: &mut Value| {
        if lease.pointer("/spec/holderIdentity").is_some() {
            set(lease, "/spec/holderIdentity", json!(format!("eve{ESC}")));
        }
    };
    let alive = |version: AtomicU64| {
        change(move |lease: &mut Value| {
            if lease.pointer("/metadata/resourceVersion").is_some() {
                let now = version.fetch_add(1, Ordering::Relaxed);
                set(lease, "/metadata/resourceVersion", json!(now.to_string()));
            }
        })
    };
    let name = "dbupdate-zookeeper-my-zk";
    vec![
        row("a lock that somebody renews", UPDATE)
            .given(lease(json!({"holderIdentity": format!("eve{ESC}"), "leaseDurationSeconds": 2})))
            .on(get("leases", name, alive(AtomicU64::new(100_000))))
            .ends(5),
        row("a lock whose creation names another holder", UPDATE).on(post("*/leases*", change(other))).ends(5).ends(1),
        row("a lock without a uid", UPDATE)
            .on(post("*/leases*", change(|lease| set(lease, "/metadata", json!({})))))
            .ends(3)
            .ends(5),
        row("a lock whose renewal names another holder", "zk my-zk --to 3.9.1 --yes --min-ready 3s")
            .on(patch("*/leases/*", change(other)))
            .ends(5)
            .changes(Changes::Anything)
            .within(40),
        row("a lock that is gone at its renewal", "zk my-zk --to 3.9.1 --yes --min-ready 3s")
            .on(patch("*/leases/*", crate::rule::json_of("404 Not Found", &json!({
                "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": ESC,
                "details": {"name": name},
            }))))
            .ends(5)
            .ends(4)
            .changes(Changes::Anything)
            .within(40),
        row("a lock that cannot be removed", UPDATE)
            .on(crate::rule::Rule::new("DELETE", "*/leases/*", crate::rule::status(403, "Forbidden", ESC)))
            .ends(0)
            .changes(Changes::Anything),
    ]
}

fn condition(kind: &str, status: &str, message: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": kind, "message": message,
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    })
}

fn with(conditions: Vec<Value>) -> impl Fn(&SimCluster, &str) + Send + Sync + 'static {
    move |sim, _| {
        let write = |db: &mut Value| {
            let all = db.pointer_mut("/status/conditions").and_then(Value::as_array_mut).expect("a list");
            all.extend(conditions.clone());
        };
        sim.store().update_status("zookeepers.kubedb.com", "default", "my-zk", write).expect("it is there");
    }
}

fn conditions() -> Vec<Row> {
    let ours = |from: &str, to: &str| {
        condition(
            "Paused",
            "True",
            &format!("kubectl-dbupdate run 0123456789ab by eve@x: updating {from} to {to}"),
        )
    };
    let foreign = condition("Paused", "True", "by hand");
    let long = "x".repeat(70_000);
    let mut rows = vec![
        row("a pause of ours and one of somebody else", UPDATE)
            .given(with(vec![ours("3.8.3", "3.9.1"), foreign.clone()]))
            .ends(5),
        row("a pause of somebody else and one of ours", UPDATE)
            .given(with(vec![foreign.clone(), ours("3.8.3", "3.9.1")]))
            .ends(5),
        row("a pause of somebody else, and resume", "resume zk my-zk --yes")
            .given(with(vec![foreign.clone()]))
            .ends(0)
            .ends(3)
            .ends(5),
        row("a pause of somebody else, and rollback", "rollback zk my-zk --yes")
            .given(with(vec![foreign]))
            .ends(0)
            .ends(3)
            .ends(5),
        row("a pause that looks like ours", UPDATE)
            .given(with(vec![condition(
                "Paused",
                "True",
                "kubectl-dbupdate run  by eve: updating 3.8.3 to 3.9.1",
            )]))
            .ends(5),
        row("a pause whose type steers the terminal", UPDATE)
            .given(with(vec![condition(&format!("Paused{ESC}"), "True", ESC)]))
            .ends(0)
            .changes(Changes::Anything),
        row("ten thousand conditions", DRY).given(with(vec![condition("X", "True", ESC); 10_000])).ends(0),
    ];
    for (what, from, to) in [
        ("to a version that nobody knows", "3.8.3", "0.0.1"),
        ("from a version that nobody knows", "0.0.1", "3.9.1"),
        ("between texts that steer the terminal", ESC, ESC),
        ("between commands", "$(touch x)", "; touch x #"),
        ("to an image", "3.8.3", "evil.example/zookeeper:3.9.1"),
        ("between very long names", long.as_str(), long.as_str()),
        ("back to an older one", "3.9.1", "3.7.2"),
    ] {
        for command in ["status zk my-zk", "resume zk my-zk --yes", "rollback zk my-zk --yes", UPDATE] {
            let status = command.starts_with("status");
            rows.push(
                row(format!("a forged pause of ours {what} for {command}"), command)
                    .given(with(vec![ours(from, to)]))
                    .ends(0)
                    .ends(if status { 0 } else { 3 })
                    .changes(if status { Changes::Nothing } else { Changes::Anything })
                    .hides("\u{1b}"),
            );
        }
    }
    rows
}
