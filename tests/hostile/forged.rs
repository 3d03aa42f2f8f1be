//! A run that somebody has written into the journal who may write ConfigMaps and nothing else, beside an update that is half done.

use serde_json::{Value, json};
use simcluster::SimCluster;

use crate::judge::EVIL;
use crate::row::{Changes, Row, row};

/// A run of the journal, and its progress.
pub struct Entry {
    pub run: Value,
    pub progress: Value,
}

const KEY: &str = "20260102T030405678Z-0123456789ab";
const SETS: &str = "petsets.apps.k8s.appscode.com";

/// An unfinished update from 3.8.3 to 3.9.1, as this tool writes it, changed so and put into the journal.
pub fn planted(
    change: impl Fn(&mut Entry) + Send + Sync + 'static,
) -> impl Fn(&SimCluster, &str) + Send + Sync + 'static {
    move |sim, _| {
        let mut entry = entry(sim);
        change(&mut entry);
        let map = json!({
            "metadata": {
                "name": "dbupdate-zookeeper-my-zk", "namespace": "default",
                "labels": {"kubectl-dbupdate/journal": "zookeeper"},
            },
            "data": {KEY: entry.run.to_string(), format!("{KEY}.progress"): entry.progress.to_string()},
        });
        sim.store().create("configmaps", map).expect("it is not there yet");
    }
}

fn reference(object: &Value, plural: &str) -> Value {
    let meta = &object["metadata"];
    json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"], "plural": plural, "namespace": "default",
        "name": meta["name"], "uid": meta["uid"],
    })
}

fn image(version: &str) -> String {
    format!("ghcr.io/appscode-images/zookeeper:{version}")
}

fn entry(sim: &SimCluster) -> Entry {
    let database = sim.store().get("zookeepers.kubedb.com", "default", "my-zk").expect("the sandbox has it");
    let set = sim.store().get(SETS, "default", "my-zk").expect("the sandbox has it");
    let uid = set["metadata"]["uid"].as_str().expect("it has a uid");
    let init = "ghcr.io/kubedb/zookeeper-init:3.7-v1";
    let run = json!({
        "schema": "dbupdate/v1", "run": "0123456789ab", "direction": "update", "who": "eve@x",
        "began": "2026-01-02T03:04:05.678Z",
        "plan": {
            "schema": "dbupdate/v1", "kind": "ZooKeeper", "database": reference(&database, "zookeepers"),
            "from": {"name": "3.8.3", "version": "3.8.3"}, "to": {"name": "3.9.1", "version": "3.9.1"},
            "action": "update", "via": "client",
            "workloads": [{
                "kind": "PetSet", "object": reference(&set, "petsets"), "role": "all", "strategy": "evict",
                "replicas": 3, "minReadySeconds": 0,
                "images": [{"container": "zookeeper", "init": false, "index": 0, "now": image("3.8.3"), "after": image("3.9.1")}],
                "kept": [], "pods": [],
            }],
            "findings": [],
        },
        "before": {
            "version": "3.8.3",
            "workloads": {uid: [
                {"container": "zookeeper-init", "init": true, "image": init},
                {"container": "zookeeper", "init": false, "image": image("3.8.3")},
            ]},
        },
    });
    Entry { run, progress: json!({"steps": [], "changed": true}) }
}

/// The update has paused the operator and patched the images, and no pod is restarted yet.
pub fn half_done(sim: &SimCluster, _: &str) {
    let message = "kubectl-dbupdate run 0123456789ab by eve@x: updating 3.8.3 to 3.9.1";
    let pause = json!({
        "type": "Paused", "status": "True", "reason": "Paused", "message": message,
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    });
    let paused = |db: &mut Value| {
        db["status"]["conditions"].as_array_mut().expect("a list").push(pause.clone());
    };
    sim.store().update_status("zookeepers.kubedb.com", "default", "my-zk", paused).expect("it is there");
    let patched =
        |set: &mut Value| set["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image("3.9.1"));
    sim.store().update(SETS, "default", "my-zk", patched).expect("it is there");
}

fn on(name: &str, command: &str, change: impl Fn(&mut Entry) + Send + Sync + 'static) -> Row {
    row(format!("{name} for {command}"), command).given(planted(change)).given(half_done)
}

const RESUME: &str = "resume zk my-zk --yes";
const ROLLBACK: &str = "rollback zk my-zk --yes";
const AGAIN: &str = "zk my-zk --to 3.9.1 --yes";
const STATUS: &str = "status zk my-zk";

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        on("an honest journal", RESUME, |_| {}).ends(0).changes(Changes::Anything).check(is_on("3.9.1")),
        on("an honest journal", ROLLBACK, |_| {}).ends(0).changes(Changes::Anything).check(is_on("3.8.3")),
        on("an honest journal", AGAIN, |_| {}).ends(0).changes(Changes::Anything).check(is_on("3.9.1")),
    ];
    rows.extend(images());
    rows.extend(versions());
    rows.extend(consents());
    rows
}

/// It ends on this version.
fn is_on(
    version: &'static str,
) -> impl Fn(&crate::row::Scene<'_>) -> Result<(), String> + Send + Sync + 'static {
    move |scene| {
        let pods = scene.sim.store().list("pods", Some("default"));
        let mut of_it =
            pods.iter().filter(|pod| pod["metadata"]["labels"]["app.kubernetes.io/instance"] == "my-zk");
        let wrong = of_it.find(|pod| pod["spec"]["containers"][0]["image"] != image(version).as_str());
        wrong.map_or(Ok(()), |pod| Err(format!("a pod has {}", pod["spec"]["containers"][0]["image"])))
    }
}

/// No image of the journal's alone gets into the database.
fn images() -> Vec<Row> {
    let evil = || format!("{EVIL}zookeeper:3.8.3");
    let before = |entry: &mut Entry, image: &str| {
        let all = entry.run["before"]["workloads"].as_object_mut().expect("an object");
        for container in all.values_mut().flat_map(|list| list.as_array_mut().expect("a list")) {
            container["image"] = json!(image);
        }
    };
    let after = |entry: &mut Entry, image: &str| {
        entry.run["plan"]["workloads"][0]["images"][0]["after"] = json!(image)
    };
    let mut rows = Vec::new();
    for (what, image) in [
        ("an attacker's image", evil()),
        ("an attacker's image with a digest", format!("{}@sha256:{}", evil(), "0a".repeat(32))),
        ("an image that steers the terminal", format!("{EVIL}\u{1b}[2J\u{202e}")),
        ("an image that is a command", format!("{EVIL}$(touch x)")),
        ("an image of 70,000 characters", format!("{EVIL}{}", "x".repeat(70_000))),
    ] {
        let (one, two, three, four) = (image.clone(), image.clone(), image.clone(), image);
        rows.extend([
            on(&format!("{what} before the update"), ROLLBACK, move |entry| before(entry, &one)).ends(3),
            on(&format!("{what} before the update"), RESUME, move |entry| before(entry, &two))
                .ends(0)
                .changes(Changes::Anything)
                .check(is_on("3.9.1")),
            on(&format!("{what} after the update"), RESUME, move |entry| after(entry, &three))
                .ends(0)
                .changes(Changes::Anything)
                .check(is_on("3.9.1")),
            on(&format!("{what} before a rollback"), RESUME, move |entry| {
                entry.run["direction"] = json!("rollback");
                before(entry, &four);
            })
            .ends(3),
        ]);
    }
    rows
}

/// No version of the journal's alone is updated to.
fn versions() -> Vec<Row> {
    let to = |name: &'static str| {
        move |entry: &mut Entry| entry.run["plan"]["to"] = json!({"name": name, "version": name})
    };
    let from = |name: &'static str| {
        move |entry: &mut Entry| {
            entry.run["plan"]["from"] = json!({"name": name, "version": name});
            entry.run["before"]["version"] = json!(name);
        }
    };
    vec![
        on("another target", RESUME, to("3.7.2"))
            .ends(0)
            .ends(3)
            .changes(Changes::Anything)
            .check(is_not_on("3.7.2")),
        on("a target that nobody knows", RESUME, to("0.0.1"))
            .ends(0)
            .ends(3)
            .changes(Changes::Anything)
            .check(is_not_on("0.0.1")),
        on("a target that is a command", STATUS, to("; touch x #")).ends(0).hides("--to ; touch"),
        on("a target that is a command", RESUME, to("; touch x #"))
            .ends(0)
            .ends(3)
            .changes(Changes::Anything),
        on("another origin", ROLLBACK, from("3.7.2")).ends(3),
        on("an origin that nobody knows", ROLLBACK, from("0.0.1")).ends(3),
        on("an origin that steers the terminal", ROLLBACK, from("\u{1b}[2J\u{7}")).ends(3),
        on("further updates", RESUME, |entry| entry.run["through"] = json!("3.7.2"))
            .ends(0)
            .changes(Changes::Anything)
            .check(is_not_on("3.7.2")),
        on("another database", ROLLBACK, |entry| {
            entry.run["plan"]["database"]["name"] = json!("victim");
            entry.run["plan"]["database"]["namespace"] = json!("kube-system");
        })
        .ends(0)
        .ends(3)
        .changes(Changes::Anything)
        .check(nothing_of_the_victim),
        on("another workload", ROLLBACK, |entry| {
            let object = &mut entry.run["plan"]["workloads"][0]["object"];
            object["name"] = json!("victim");
            object["namespace"] = json!("kube-system");
            object["plural"] = json!("deployments");
        })
        .ends(0)
        .ends(3)
        .changes(Changes::Anything)
        .check(nothing_of_the_victim),
        on("another method", RESUME, |entry| entry.run["plan"]["via"] = json!("ops-manager"))
            .ends(0)
            .ends(3)
            .ends(5)
            .changes(Changes::Anything),
    ]
}

fn is_not_on(
    version: &'static str,
) -> impl Fn(&crate::row::Scene<'_>) -> Result<(), String> + Send + Sync + 'static {
    move |scene| {
        let database = scene.sim.store().get("zookeepers.kubedb.com", "default", "my-zk");
        let on = database.is_some_and(|database| database["spec"]["version"] == version);
        if on { Err(format!("it is on {version}")) } else { Ok(()) }
    }
}

pub fn nothing_of_the_victim(scene: &crate::row::Scene<'_>) -> Result<(), String> {
    let asked = |part: &str| scene.server.iter().find(|request| request.target.contains(part));
    let wrong = asked("victim").or_else(|| asked("kube-system"));
    wrong.map_or(Ok(()), |request| Err(format!("{} {}", request.method, request.target)))
}

/// No override of the journal's alone lowers a guard.
fn consents() -> Vec<Row> {
    let consent = |check: &'static str| {
        move |entry: &mut Entry| {
            let plan = &mut entry.run["plan"];
            plan["from"] = json!({"name": "3.8.3", "version": "3.8.3"});
            plan["to"] = json!({"name": "3.7.2", "version": "3.7.2"});
            plan["workloads"][0]["images"][0]["after"] = json!(image("3.7.2"));
            plan["findings"] = json!([{"check": check, "severity": "overridden", "message": ""}]);
        }
    };
    ["downgrade", "phase", "drift", "data-downgrade", "version-rule"]
        .into_iter()
        .map(|check| {
            row(format!("a consent to {check} for {RESUME}"), RESUME)
                .given(planted(consent(check)))
                // Whether there is something to resume is not the point here.
                .ends(0)
                .ends(3)
                .check(is_not_on("3.7.2"))
        })
        .collect()
}
