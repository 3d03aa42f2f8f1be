//! Answers to what a run writes: lost, repeated, refused, or a lie.

use serde_json::{Value, json};

use crate::judge::EVIL;
use crate::row::{Changes, Row, row};
use crate::rule::{Effect, Rule, change, json_of, object, patch, post, says, set, status, watch};

const UPDATE: &str = "zk my-zk --to 3.9.1 --yes --pod-timeout 2s --pause-timeout 1s";
/// Long enough for all pods, on a machine that is busy: the version is set after them.
const BOUNDED: &str = "zk my-zk --to 3.9.1 --yes --timeout 20s";
const ESC: &str = "\u{1b}[2J\u{7}\u{202e}";

const EVICTION: &str = "*/eviction*";
const WORKLOAD: &str = "*/petsets/my-zk*";
const STATUS: &str = "*/zookeepers/my-zk/status*";
const DATABASE: &str = "*/zookeepers/my-zk?*";

pub fn rows() -> Vec<Row> {
    let mut rows = refused();
    rows.extend(lost());
    rows.extend(lies());
    rows.extend(trials());
    rows
}

/// A write that is never carried out, and what the run says of it. Dry runs of the same write are let through.
fn refused() -> Vec<Row> {
    let denied = || status(403, "Forbidden", ESC);
    let invalid = || status(422, "Invalid", &format!("admission webhook \"x\" denied it {ESC}"));
    let page = || says("200 OK", "text/html", "<p>\u{1b}[2Jlog in");
    let ended = |code, name: &str, method, target: &str, effect: Effect| {
        row(name, UPDATE)
            .on(real(method, target))
            .on(Rule::new(method, target, effect))
            .ends(code)
            .changes(Changes::PauseOnly)
    };
    let unchanged = |name: &str, method, target: &str, effect: Effect| ended(1, name, method, target, effect);
    // A policy refuses it before anything is changed.
    let by_policy = |name: &str, method, target: &str| ended(3, name, method, target, invalid());
    let endless = |name: &str, method, target: &str| {
        row(name, BOUNDED)
            .on(real(method, target))
            .on(Rule::new(method, target, status(409, "Conflict", ESC)))
            .ends(124)
            .changes(Changes::Anything)
            .says("conflict")
    };
    let half = |name: &str, method, target: &str, effect: Effect| {
        row(name, UPDATE)
            .on(real(method, target))
            .on(Rule::new(method, target, effect))
            .ends(4)
            .changes(Changes::Anything)
            .says("changed: yes, left paused: yes")
            .within(60)
    };
    vec![
        unchanged("a pause that is forbidden", "PATCH", STATUS, denied()).within(60),
        by_policy("a pause that is rejected", "PATCH", STATUS),
        unchanged("a pause that a login page answers", "PATCH", STATUS, page()),
        unchanged("images that are forbidden", "PATCH", WORKLOAD, denied()).within(60),
        by_policy("images that are rejected", "PATCH", WORKLOAD).says("rejected"),
        half("images that a login page answers", "PATCH", WORKLOAD, page()),
        endless("images that are a conflict for ever", "PATCH", WORKLOAD),
        half("images that are redirected", "PATCH", WORKLOAD, Effect::Raw(b"HTTP/1.1 307 No\r\nLocation: http://{elsewhere}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec())),
        half("an eviction that is forbidden", "POST", EVICTION, denied()),
        half("an eviction that is rejected", "POST", EVICTION, invalid()),
        half("an eviction that a budget blocks for ever", "POST", EVICTION, blocked(ESC)),
        half("an eviction that a budget blocks for a hundred years", "POST", EVICTION, blocked_long()),
        half("an eviction of a pod with two budgets", "POST", EVICTION, status(500, "InternalError", "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")),
        endless("an eviction that is a conflict for ever", "POST", EVICTION),
        half("an eviction that a login page answers", "POST", EVICTION, page()),
        half("a version that is forbidden", "PATCH", DATABASE, denied()),
        half("a version that is rejected", "PATCH", DATABASE, invalid()),
        endless("a version that is a conflict for ever", "PATCH", DATABASE),
        row("a journal that is forbidden", UPDATE).on(post("*/configmaps*", denied())).ends(1).ends(3).within(60),
        row("a journal that is rejected", UPDATE).on(post("*/configmaps*", invalid())).ends(1).ends(3),
        row("a lock that is forbidden", UPDATE).on(post("*/leases*", denied())).ends(1).ends(3),
        row("a lock that is rejected", UPDATE).on(post("*/leases*", invalid())).ends(3),
        row("a lock that a login page answers", UPDATE).on(post("*/leases*", page())).ends(1),
        row("Events that are forbidden", UPDATE).on(post("*/events*", denied())).ends(0).changes(Changes::Anything),
        row("Events that a login page answers", UPDATE).on(post("*/events*", page())).ends(0).changes(Changes::Anything),
    ]
}

/// Lets dry runs of a write through.
fn real(method: &'static str, target: &str) -> Rule {
    Rule::new(method, &format!("{target}dryRun=All*"), Effect::Forward)
}

fn blocked(message: &str) -> Effect {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "TooManyRequests", "code": 429,
        "message": message, "details": {"causes": [{"reason": "DisruptionBudget", "message": message}]},
    });
    json_of("429 Too Many Requests", &body)
}

fn blocked_long() -> Effect {
    let body = json!({
        "kind": "Status", "status": "Failure", "code": 429, "message": "later",
        "details": {"retryAfterSeconds": 3_153_600_000u32, "causes": [{"reason": "DisruptionBudget", "message": "later"}]},
    });
    json_of("429 Too Many Requests", &body)
}

/// The server does what is asked, and the client does not hear of it. The update ends as usual.
fn lost() -> Vec<Row> {
    let done =
        |name: &str, rule: Rule| row(name, UPDATE).on(rule).ends(0).changes(Changes::Anything).within(40);
    vec![
        done("an answer to the pause that is lost", patch(STATUS, Effect::Handled).times(1)),
        done("an answer to the images that is lost", patch(WORKLOAD, Effect::Handled).times(1)),
        done("answers to evictions that are lost", real("POST", EVICTION))
            .on(post(EVICTION, Effect::Handled))
            .check(no_pod_twice),
        done("answers to evictions that are half", real("POST", EVICTION))
            .on(post(EVICTION, Effect::Cut(5)))
            .check(no_pod_twice),
        done("an answer to the version that is lost", patch(DATABASE, Effect::Handled).times(1)),
        done("an answer to the lock that is lost", post("*/leases*", Effect::Handled).times(1)),
        done("an answer to the journal that is lost", post("*/configmaps*", Effect::Handled).times(1)),
        done(
            "an answer to a patch in the middle that is lost",
            Rule::new("PATCH", "*", Effect::Handled).after(3).times(1),
        ),
    ]
}

/// No pod is evicted a second time after it was evicted.
fn no_pod_twice(scene: &crate::row::Scene<'_>) -> Result<(), String> {
    let uid = |body: &[u8]| {
        serde_json::from_slice::<Value>(body).ok()?.pointer("/deleteOptions/preconditions/uid").cloned()
    };
    let real = |request: &&crate::front::Request| {
        request.target.contains("/eviction") && !request.target.contains("dryRun")
    };
    let mut evicted: Vec<Value> =
        scene.server.iter().filter(real).filter_map(|request| uid(&request.body)).collect();
    evicted.retain(|uid| uid.is_string());
    evicted.dedup();
    if evicted.len() <= 3 { Ok(()) } else { Err(format!("more than three pods were evicted: {evicted:?}")) }
}

/// Answers that are not true.
fn lies() -> Vec<Row> {
    let evil = |object: &mut Value| {
        if object.pointer("/spec/template/spec/containers/0/image").is_some() {
            set(object, "/spec/template/spec/containers/0/image", json!(format!("{EVIL}zookeeper:3.9.1")));
        }
    };
    let stops = |name: &str| row(name, UPDATE).ends(4).ends(5).ends(1).changes(Changes::Anything).within(60);
    let ok = || json_of("201 Created", &json!({"kind": "Status", "status": "Success"}));
    vec![
        stops("evictions that are granted and never happen")
            .on(real("POST", EVICTION))
            .on(post(EVICTION, ok())),
        stops("images that are accepted and never written").on(real("PATCH", WORKLOAD)).on(patch(
            WORKLOAD,
            json_of("200 OK", &json!({"metadata": {"uid": "x", "resourceVersion": "1"}})),
        )),
        stops("a pause that is accepted and never written").on(real("PATCH", STATUS)).on(patch(
            STATUS,
            json_of("200 OK", &json!({"metadata": {"uid": "x", "resourceVersion": "1"}, "spec": {}})),
        )),
        stops("templates that show an attacker's image after they were patched")
            .on(patch(WORKLOAD, change(evil)))
            .ends(0),
        stops("pods that belong to nobody during the run")
            .on(Rule::new(
                "GET",
                "*/pods?*watch=true*",
                change(|event| set(event, "/object/metadata/ownerReferences", json!([]))),
            ))
            .ends(0),
        stops("pods that belong to somebody else during the run")
            .on(Rule::new(
                "GET",
                "*/pods?*watch=true*",
                change(|event| {
                    if event.pointer("/object/metadata/ownerReferences/0/uid").is_some() {
                        set(event, "/object/metadata/ownerReferences/0/uid", json!("other"));
                    }
                }),
            ))
            .ends(0),
        stops("a database of another uid in the middle of a run")
            .on(watch("zookeepers", change(|event| set(event, "/object/metadata/uid", json!("other")))))
            .ends(0),
        stops("a database that goes away in the middle of a run")
            .on(watch("zookeepers", change(|event| set(event, "/type", json!("DELETED"))))),
        stops("workloads that go away in the middle of a run")
            .on(watch("petsets", change(|event| set(event, "/type", json!("DELETED"))))),
        stops("a version that somebody else sets in the middle of a run")
            .on(watch("zookeepers", change(|event| set(event, "/object/spec/version", json!(ESC))))),
        stops("a phase that steers the terminal in the middle of a run")
            .on(watch("zookeepers", change(|event| set(event, "/object/status/phase", json!(ESC)))))
            .ends(0),
        stops("containers that wait with a text that steers the terminal")
            .on(object("pods", "my-zk-0", |pod| {
                set(
                    pod,
                    "/status/containerStatuses",
                    json!([{
                        "name": ESC, "state": {"waiting": {"reason": ESC, "message": ESC.repeat(1000)}},
                    }]),
                )
            }))
            .ends(0),
    ]
}

fn trials() -> Vec<Row> {
    let dry = "zk my-zk --to 3.9.1 --dry-run=server";
    vec![
        row("a trial that is rejected", dry).on(patch(WORKLOAD, status(422, "Invalid", ESC))).ends(3),
        row("a trial that is forbidden", dry).on(post(EVICTION, status(403, "Forbidden", ESC))).ends(3),
        row("a trial that a login page answers", dry)
            .on(patch(STATUS, says("200 OK", "text/html", "<p>\u{1b}[2J")))
            .ends(0)
            .ends(1)
            .ends(3),
        row("a trial without an end", dry)
            .on(patch(WORKLOAD, crate::rule::endless("{\"x\":\"", "y")))
            .ends(0)
            .ends(1)
            .ends(3)
            .within(60),
        row("a trial that is silent", dry).on(patch(WORKLOAD, Effect::Silence)).ends(1).ends(3).within(60),
        row("a trial that shows the token", dry).on(patch(WORKLOAD, Effect::Echo("400 Bad Request"))).ends(3),
    ]
}
