//! The built binary on an update of several hops: killed in the second one, and resumed.
#![cfg(unix)]

mod served;

use serde_json::{Value, json};
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

    let running =
        Running::start(sandbox.dbupdate("dr my-dr --to 31.0.0 --through --yes --health off --progress json"));
    running.line("\"to\":{\"name\":\"31.0.0\"");
    running.line("\"event\":\"podEvicted\"");
    running.signal("KILL");
    running.end();
    let lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/dbupdate-druid-my-dr";
    sandbox.request("DELETE", lease, "json", &Value::Null);

    sandbox.run("dr my-dr --to 35.0.1 --dry-run").ended(3, "unfinished-other");
    sandbox
        .run("resume dr my-dr --yes --through --health off --progress none")
        .ended(0, "done: Druid my-dr is on 31.0.0");
    let history = sandbox.run("history dr my-dr -o json").ended(0, "").object();
    let targets: Vec<_> = history["items"].as_array().expect("a list").iter().map(|run| &run["to"]).collect();
    assert_eq!(targets, ["31.0.0", "30.0.1"]);
    sandbox.run("resume dr my-dr --yes").ended(0, "no unfinished run");
}

/// Whatever comes of it, there is one object on standard output.
#[test]
fn several_hops_are_one_object_in_every_form() {
    let sandbox = Sandbox::start();
    let hops = "dr my-dr --to 31.0.0 --through";
    let names = |object: &Value| -> Vec<Value> {
        object["hops"].as_array().expect("a list").iter().map(|hop| hop["to"]["name"].clone()).collect()
    };
    let planned = sandbox.run(&format!("{hops} --dry-run -o json")).ended(0, "").object();
    assert_eq!(names(&planned), ["30.0.1", "31.0.0"]);
    let yaml = sandbox.run(&format!("{hops} --dry-run -o yaml"));
    assert_eq!(serde_yaml::from_str::<Value>(&yaml.ended(0, "").stdout).expect("one document"), planned);

    let requests = sandbox
        .run(&format!("{hops} --via ops-manager --dry-run -o json"))
        .ended(0, "each only after")
        .object();
    assert_eq!((&requests["apiVersion"], &requests["kind"]), (&json!("v1"), &json!("List")));
    assert_eq!(requests["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(requests["items"][1]["spec"]["updateVersion"]["targetVersion"], "31.0.0");
    // Where not every hop is by ops request, the requests alone would not lead there.
    let mixed = format!("{hops} --via 30.0.1=ops-manager --dry-run -o json");
    assert_eq!(names(&sandbox.run(&mixed).ended(0, "").object()), ["30.0.1", "31.0.0"]);

    let done = sandbox.run(&format!("{hops} --yes --health off -o json --progress none"));
    assert_eq!(done.stderr, "");
    let done = done.ended(0, "").object();
    assert_eq!(names(&done), ["30.0.1", "31.0.0"]);
    assert_eq!((&done["outcome"], &done["exitCode"], &done["next"]), (&json!("done"), &json!(0), &json!([])));
    let took = |object: &Value| object["tookMs"].as_u64().expect("a number");
    assert_eq!(took(&done), done["hops"].as_array().expect("a list").iter().map(took).sum::<u64>());
}

#[test]
fn hops_that_fail_or_are_refused_are_one_object_too() {
    let sandbox = Sandbox::failing("budget");
    let failed =
        sandbox.run("dr my-dr --to 31.0.0 --through --yes --pod-timeout 2s -o json").ended(4, "").object();
    assert_eq!((&failed["outcome"], &failed["paused"]), (&json!("failed"), &json!(true)));
    assert_eq!((&failed["to"]["name"], failed["hops"].as_array().map(Vec::len)), (&json!("31.0.0"), Some(1)));
    assert_eq!(failed["hops"][0]["to"]["name"], "30.0.1");

    let sandbox = Sandbox::start();
    let paused = json!([{
        "op": "add", "path": "/status/conditions/-",
        "value": {
            "type": "Paused", "status": "True", "reason": "Paused", "message": "by hand",
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        },
    }]);
    let status = "/apis/kubedb.com/v1alpha2/namespaces/default/druids/my-dr/status";
    sandbox.request("PATCH", status, "json-patch+json", &paused);
    let refused = sandbox.run("dr my-dr --to 31.0.0 --through --yes -o json").ended(5, "").object();
    assert_eq!((&refused["outcome"], &refused["to"]["name"]), (&json!("refused"), &json!("31.0.0")));
    assert_eq!(refused["hops"][0]["findings"][0]["check"], "paused-by-other");
    let planned = sandbox.run("dr my-dr --to 31.0.0 --through --dry-run -o json").ended(3, "").object();
    assert_eq!(planned["hops"].as_array().map(Vec::len), Some(2));
}
