//! The built binary on a journal that somebody else has written, who may write ConfigMaps in the namespace and nothing else.
#![cfg(unix)]

mod served;

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use served::Sandbox;

const MAP: &str = "/api/v1/namespaces/default/configmaps/dbupdate-druid-my-dr";

/// Changes the run of the journal, and what is noted of its progress.
fn forge(sandbox: &Sandbox, change: impl Fn(&mut Value, &mut Value)) {
    let map = sandbox.get(MAP);
    let data = map["data"].as_object().expect("a journal has data");
    let key = data.keys().filter(|key| !key.ends_with(".progress")).max().expect("the journal has a run");
    let noted = format!("{key}.progress");
    let parsed =
        |key: &str| serde_json::from_str::<Value>(data[key].as_str().expect("text")).expect("a run is JSON");
    let (mut run, mut progress) = (parsed(key), parsed(&noted));
    change(&mut run, &mut progress);
    let data = json!({ key.as_str(): run.to_string(), noted.as_str(): progress.to_string() });
    sandbox.request("PATCH", MAP, "merge-patch+json", &json!({ "data": data }));
}

fn database(sandbox: &Sandbox) -> Value {
    sandbox.get("/apis/kubedb.com/v1alpha2/namespaces/default/druids/my-dr")
}

fn version(sandbox: &Sandbox) -> Value {
    database(sandbox)["spec"]["version"].clone()
}

/// KubeDB's own checker looks at a database only every few seconds.
fn healthy(sandbox: &Sandbox) {
    let until = Instant::now() + Duration::from_secs(120);
    while database(sandbox)["status"]["phase"] != "Ready" {
        assert!(Instant::now() < until, "it never is Ready");
        thread::sleep(Duration::from_millis(100));
    }
}

fn updated() -> Sandbox {
    let sandbox = Sandbox::start();
    sandbox.run("dr my-dr --to 30.0.1 --yes --health off --progress none").ended(0, "done");
    healthy(&sandbox);
    sandbox
}

#[test]
fn an_update_of_which_only_the_journal_tells_is_begun_by_its_name_alone() {
    let sandbox = updated();
    forge(&sandbox, |run, progress| {
        let plan = &mut run["plan"];
        (plan["from"], plan["to"]) = (plan["to"].clone(), json!({ "name": "31.0.0", "version": "31.0.0" }));
        for workload in plan["workloads"].as_array_mut().expect("a list") {
            for image in workload["images"].as_array_mut().expect("a list") {
                image["now"] = image["after"].clone();
            }
        }
        run["who"] = "\u{1b}[1A\u{1b}[2K\u{1b}]0;x\u{7}eve\u{202e}".into();
        progress["result"] = Value::Null;
    });
    let refused = sandbox.run("resume dr my-dr --yes");
    refused.ended(3, "kubectl dbupdate druid my-dr --to 31.0.0").ended(3, "the cluster shows no sign of it");
    let said = refused.stdout.clone() + &refused.stderr;
    let shown =
        sandbox.run("status dr my-dr").stdout + &sandbox.run("history dr my-dr -o json").stdout + &said;
    assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown:?}");
    assert!(!shown.contains("\\u001b") && !shown.contains("\\u0007"), "{shown:?}");
    assert_eq!(version(&sandbox), "30.0.1");
    // It keeps nobody from another update.
    sandbox.run("dr my-dr --to 35.0.1 --through --dry-run").ended(0, "30.0.1 → ");
    // The plan is shown where somebody is asked, and what is done where the version is named.
    sandbox.run("resume dr my-dr --dry-run").ended(0, "31.0.0");
    sandbox.run("dr my-dr --to 31.0.0 --yes --health off --progress none").ended(0, "my-dr is on 31.0.0");
}

#[test]
fn further_updates_follow_by_yes_alone_only_where_they_are_asked_for() {
    let sandbox = updated();
    forge(&sandbox, |run, _| run["through"] = "31.0.0".into());
    sandbox.run("status dr my-dr").ended(0, "kubectl dbupdate resume druid my-dr --through");
    let refused = sandbox.run("resume dr my-dr --yes");
    refused.ended(3, "kubectl dbupdate druid my-dr --to 31.0.0 --through");
    assert_eq!(version(&sandbox), "30.0.1");

    // One that is unfinished is finished, and no further.
    forge(&sandbox, |_, progress| progress["result"] = Value::Null);
    let finished = sandbox.run("resume dr my-dr --yes --wait-ready 0 --health off --progress none");
    finished.ended(0, "my-dr is on 30.0.1").ended(0, "kubectl dbupdate druid my-dr --to 31.0.0 --through");
    assert_eq!(version(&sandbox), "30.0.1");
    healthy(&sandbox);
    sandbox
        .run("resume dr my-dr --yes --through --health off --progress none")
        .ended(0, "my-dr is on 31.0.0");
}

#[test]
fn a_journal_that_cannot_be_read_may_be_deleted() {
    let sandbox = updated();
    sandbox.request("PATCH", MAP, "merge-patch+json", &json!({ "data": { "zz": "{}" } }));
    let refused = sandbox.run("dr my-dr --to 31.0.0 --yes");
    refused.ended(3, "kubectl get configmap dbupdate-druid-my-dr -n default -o yaml").ended(3, "delete it");
}
