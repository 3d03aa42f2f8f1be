//! The built binary on an update of several hops: killed in the second one, and resumed.
#![cfg(unix)]

mod served;

use serde_json::Value;
use served::{Running, Sandbox};

#[test]
fn two_hops_are_resumed() {
    let sandbox = Sandbox::start();
    let planned = sandbox.run("dr my-dr --to 31.0.0 --through --dry-run");
    planned.ended(0, "");
    let way = "2 updates, each verified before the next one starts: 28.0.1 → 30.0.1 → 31.0.0";
    assert!(planned.stdout.starts_with(way), "{}", planned.stdout);
    assert!(
        planned.stdout.contains("Druid my-dr in namespace default: 30.0.1 → 31.0.0"),
        "{}",
        planned.stdout
    );

    let running = Running::start(sandbox.dbupdate("dr my-dr --to 31.0.0 --through --yes --progress json"));
    running.line("\"to\":{\"name\":\"31.0.0\"");
    running.line("\"event\":\"podEvicted\"");
    running.signal("KILL");
    running.end();
    let lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/dbupdate-druid-my-dr";
    sandbox.request("DELETE", lease, "json", &Value::Null);

    sandbox.run("dr my-dr --to 35.0.1 --dry-run").ended(3, "unfinished-other");
    sandbox.run("resume dr my-dr --yes --through --progress none").ended(0, "done: Druid my-dr is on 31.0.0");
    let history = sandbox.run("history dr my-dr -o json").ended(0, "").object();
    let targets: Vec<_> = history["items"].as_array().expect("a list").iter().map(|run| &run["to"]).collect();
    assert_eq!(targets, ["31.0.0", "30.0.1"]);
    sandbox.run("resume dr my-dr --yes").ended(0, "no unfinished run");
}
