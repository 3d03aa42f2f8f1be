//! The real kubectl against the served sandbox, and the plugin called through it.
#![cfg(unix)]

mod programs;
mod served;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use programs::{installed, not_tested};
use serde_json::{Value, json};
use served::{BINARY, Directory, Outcome, Running, Sandbox, isolated, run};

/// A sandbox, and kubectl with the plugin on its path.
struct Site {
    sandbox: Sandbox,
    directory: Directory,
}

impl Site {
    fn new() -> Self {
        let directory = Directory::new();
        symlink(BINARY, directory.path().join("kubectl-dbupdate")).expect("a link can be made");
        Site { sandbox: Sandbox::start(), directory }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = isolated("kubectl");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(words)
            .env("PATH", format!("{}:{path}", self.directory.path().display()))
            .env("KUBECONFIG", self.sandbox.kubeconfig())
            // Where kubectl keeps what it has learnt of a server.
            .env("HOME", self.directory.path());
        command
    }

    /// `kubectl` with these words, which must succeed.
    #[track_caller]
    fn kubectl(&self, line: &str) -> String {
        self.words(&line.split_whitespace().collect::<Vec<_>>()).ended(0, "").stdout.clone()
    }

    #[track_caller]
    fn words(&self, words: &[&str]) -> Outcome {
        run(self.command(words))
    }

    #[track_caller]
    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.kubectl(&format!("{line} -o json"))).expect("it is JSON")
    }
}

#[test]
fn objects_are_listed_as_tables() {
    if !installed("kubectl") {
        return;
    }
    let site = Site::new();
    let table = site.kubectl("get kafka,petset,pod");
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "VERSION", "STATUS", "AGE"]);
    assert_eq!(rows[1][..3], ["kafka.kubedb.com/my-kf", "3.5.2", "Ready"], "{table}");
    for row in [
        "petset.apps.k8s.appscode.com/my-kf-broker",
        "petset.apps.k8s.appscode.com/my-cas-rack-r1",
        "pod/my-kf-controller-2",
        "pod/my-hz-0",
    ] {
        assert!(rows.iter().any(|r| r.first() == Some(&row)), "{row}: {table}");
    }
    let pods = table.lines().filter(|line| line.starts_with("pod/")).count();
    assert_eq!(pods, 6 + 9 + 4 + 3 + 3, "{table}");
    assert!(rows.iter().filter(|r| r.first().is_some_and(|n| n.starts_with("pod/"))).all(|r| r[1] == "1/1"));
    for (short, plural) in [
        ("kf", "kafkas"),
        ("dr", "druids"),
        ("cas", "cassandras"),
        ("hz", "hazelcasts"),
        ("zk", "zookeepers"),
    ] {
        assert_eq!(
            site.kubectl(&format!("get {short} -o name")),
            site.kubectl(&format!("get {plural}.kubedb.com -o name"))
        );
    }
    let selected = site.kubectl("get pod -l app.kubernetes.io/instance=my-zk -o name");
    assert_eq!(selected, "pod/my-zk-0\npod/my-zk-1\npod/my-zk-2\n");
    let missing = site.words(&["get", "kafka", "nope"]);
    missing.ended(1, "Error from server (NotFound): kafkas.kubedb.com \"nope\" not found");
}

#[test]
fn objects_are_described_and_patched() {
    if !installed("kubectl") {
        return;
    }
    let site = Site::new();
    let described = site.kubectl("describe kafka my-kf");
    for part in ["Name:         my-kf", "Kind:         Kafka", "Version:          3.5.2", "Phase:  "] {
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(squeezed(&described).contains(&squeezed(part)), "{part}: {described}");
    }
    assert!(site.kubectl("describe pod my-kf-broker-0").contains("Controlled By:  PetSet/my-kf-broker"));
    // Not described: the kubectl of Debian 12 asks for a version of budgets that clusters serve no longer.
    let budget = site.kubectl("get pdb my-kf-broker --no-headers");
    assert_eq!(budget.split_whitespace().take(4).collect::<Vec<_>>(), ["my-kf-broker", "N/A", "1", "1"]);

    let merge = json!({ "metadata": { "labels": { "team": "streams" } } }).to_string();
    site.words(&["patch", "kafka", "my-kf", "--type=merge", "-p", &merge])
        .ended(0, "kafka.kubedb.com/my-kf patched");
    assert_eq!(site.json("get kafka my-kf").pointer("/metadata/labels/team"), Some(&json!("streams")));

    let image = "/spec/template/spec/containers/0/image";
    let right = json!([
        { "op": "test", "path": image, "value": "ghcr.io/appscode-images/kafka-kraft:3.5.2" },
        { "op": "replace", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": 31 },
    ]);
    let wrong = json!([
        { "op": "test", "path": image, "value": "another" },
        { "op": "replace", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": 32 },
    ]);
    let patch = |patch: &Value| {
        site.words(&["patch", "petset", "my-kf-broker", "--type=json", "-p", &patch.to_string()])
    };
    patch(&right).ended(0, "petset.apps.k8s.appscode.com/my-kf-broker patched");
    patch(&wrong).ended(1, "The request is invalid");
    let grace = site.json("get petset my-kf-broker");
    assert_eq!(grace.pointer("/spec/template/spec/terminationGracePeriodSeconds"), Some(&json!(31)));
}

/// kubectl's own commands for one kind send protobuf.
#[test]
fn objects_are_created_in_protobuf_and_yaml() {
    if !installed("kubectl") {
        return;
    }
    let site = Site::new();
    for (line, created) in [
        ("create configmap c --from-literal=a=b", "configmap/c created"),
        ("create secret generic s --from-literal=a=b", "secret/s created"),
        ("create serviceaccount robot", "serviceaccount/robot created"),
        ("create namespace elsewhere", "namespace/elsewhere created"),
        ("create role reader --verb=get --resource=pods", "role.rbac.authorization.k8s.io/reader created"),
        ("create deployment web --image=web:1 --replicas=0", "deployment.apps/web created"),
    ] {
        site.words(&line.split(' ').collect::<Vec<_>>()).ended(0, created);
    }
    assert_eq!(site.json("get configmap c")["data"], json!({ "a": "b" }));
    assert_eq!(site.json("get secret s")["data"], json!({ "a": "Yg==" }));
    assert_eq!(site.json("get role reader")["rules"][0]["verbs"], json!(["get"]));
    assert_eq!(site.json("get deployment web")["spec"]["replicas"], 0);
    let file =
        site.directory.file("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: c}\n");
    let file = file.to_str().expect("a path of letters");
    site.kubectl(&format!("apply --server-side --force-conflicts -f {file}"));
    assert_eq!(site.json("get configmap c")["data"], json!({ "a": "c" }));
}

/// A pod that is deleted comes back, and whoever watches sees it.
#[test]
fn a_deleted_pod_comes_back_before_the_eyes_of_a_watch() {
    if !installed("kubectl") {
        return;
    }
    let site = Site::new();
    let before = site.json("get pod my-zk-1");
    let watch = Running::start(site.command(&["get", "pod", "my-zk-1", "-w", "--no-headers"]));
    watch.line("Running");
    assert_eq!(site.kubectl("delete pod my-zk-1"), "pod \"my-zk-1\" deleted\n");
    watch.line("Pending");
    watch.line("1/1");
    watch.signal("TERM");
    watch.end();
    site.kubectl("wait --for=condition=Ready pod/my-zk-1 --timeout=30s");
    let after = site.json("get pod my-zk-1");
    assert_ne!(before["metadata"]["uid"], after["metadata"]["uid"]);
    let failed = site.words(&["wait", "--for=delete", "pod/my-zk-2", "--timeout=1s"]);
    failed.ended(1, "timed out waiting for the condition");
}

/// The whole tool as its users call it, while kubectl looks on.
#[test]
fn the_plugin_is_called_through_kubectl() {
    if !installed("kubectl") {
        return;
    }
    let site = Site::new();
    assert!(site.kubectl("plugin list").contains("kubectl-dbupdate"));
    let shown = site.kubectl("dbupdate hz my-hz --to 5.5.6 --dry-run=server");
    assert!(shown.contains("✓ pod/my-hz-1, evict a pod: accepted"), "{shown}");
    let refused = site.words(&["dbupdate", "druid", "my-dr", "--to", "36.0.0", "--dry-run"]);
    refused.ended(3, "28.0.1 → 30.0.1 → 31.0.0 → 35.0.1 → 36.0.0");
    let watch = Running::start(site.command(&["get", "hazelcast", "my-hz", "-w", "--no-headers"]));
    watch.line("5.5.2");
    let done = site.words(&["dbupdate", "hazelcast/my-hz", "--to", "5.5.6", "--yes"]);
    done.ended(0, "done: Hazelcast my-hz is on 5.5.6 after ");
    watch.line("5.5.6");
    watch.signal("TERM");
    watch.end();
    let images =
        site.kubectl("get pod -l app.kubernetes.io/instance=my-hz -o jsonpath={..containers[*].image}");
    assert_eq!(images.split(' ').collect::<Vec<_>>(), ["docker.io/hazelcast/hazelcast-enterprise:5.5.6"; 3]);
    let events = site.kubectl("get events --field-selector involvedObject.name=my-hz-2 --no-headers");
    assert!(events.contains("Stopping container hazelcast"), "{events}");
}

/// What is known of a simulated Cassandra's commands can be run by hand as well, over WebSockets, as kubectl does from 1.31 on.
#[test]
fn commands_are_run_in_containers() {
    if !installed("kubectl") {
        return;
    }
    let site = Site::new();
    if minor(&site) < 31 {
        not_tested("this kubectl runs commands by SPDY");
        return;
    }
    let exec = |words: &[&str]| {
        site.words(&[&["exec", "my-cas-rack-r0-0", "-c", "cassandra", "--"], words].concat())
    };
    let data = "/var/lib/cassandra/data";
    let files = exec(&["find", data, "-name", "*-Data.db"]);
    assert!(files.ended(0, "/shop/orders-").stdout.lines().all(|path| path.contains("/nb-")), "{files:#?}");
    exec(&["df", "-Pk", data]).ended(0, "Available");
    exec(&["env", "MAX_HEAP_SIZE=64M", "nodetool", "upgradesstables"]).ended(0, "");
    exec(&["find", "/elsewhere"]).ended(1, "No such file or directory");
    exec(&["bash", "-c", "true"]).ended(127, "bash: not simulated");
    site.words(&["exec", "my-zk-0", "--", "zkServer.sh", "status"]).ended(127, "zkServer.sh: not simulated");
    site.words(&["exec", "my-cas-rack-r0-0", "-c", "none", "--", "df"])
        .ended(1, "container none is not valid");
    let viewer = ["exec", "my-cas-rack-r0-0", "--context", "dbupdate-sandbox-viewer", "--", "df"];
    site.words(&viewer).ended(1, "resource \"pods/exec\"");
}

/// The minor version of the client: 26 of 1.26.
fn minor(site: &Site) -> u32 {
    let version = site.json("version --client");
    let minor = version["clientVersion"]["minor"].as_str().expect("a minor version");
    minor.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
}

/// kubectl asks the program that `completion kubectl` prints, from 1.26 on.
#[test]
fn kubectl_completes_what_is_typed_behind_it() {
    if !installed("kubectl") {
        return;
    }
    let site = Site::new();
    if minor(&site) < 26 {
        not_tested("this kubectl does not complete the lines of plugins");
        return;
    }
    let script =
        site.directory.file("kubectl_complete-dbupdate", &site.kubectl("dbupdate completion kubectl"));
    fs::set_permissions(script, Permissions::from_mode(0o755)).expect("it can be made a program");
    for (line, expected) in [
        (&["kaf"][..], "kafka\ta Kafka database\n:4\n"),
        (&["kafka", ""], "my-kf\t3.5.2, Ready\n:4\n"),
        (&["zk", "my-zk", "--to", ""], "3.9.1\tlatest\nlatest\t3.9.1\n:4\n"),
        (&["zk", "my-zk", "-n", "de"], "default\n:4\n"),
        (&["--context", ""], "dbupdate-sandbox\ndbupdate-sandbox-viewer\n:4\n"),
    ] {
        let words: Vec<&str> = ["__complete", "dbupdate"].iter().chain(line).copied().collect();
        assert_eq!(site.words(&words).ended(0, "").stdout, expected, "{line:?}");
    }
}

#[test]
fn a_context_plays_a_user_who_only_reads() {
    if !installed("kubectl") {
        return;
    }
    let site = Site::new();
    let viewer = "--context dbupdate-sandbox-viewer";
    assert_eq!(site.kubectl(&format!("get zk my-zk -o name {viewer}")), "zookeeper.kubedb.com/my-zk\n");
    let words = |line: &str| site.words(&format!("{line} {viewer}").split(' ').collect::<Vec<_>>());
    words("auth can-i delete pods").ended(1, "no");
    words("auth can-i list pods").ended(0, "yes");
    words("delete pod my-zk-0").ended(1, "User \"viewer\" cannot delete resource \"pods\"");
    words("dbupdate status zk my-zk").ended(0, "3 of 3 pods Ready");
    let refused = words("dbupdate zk my-zk --to 3.9.1 --yes");
    refused.ended(3, "create pods/eviction");
    assert_eq!(site.kubectl("get zk my-zk -o jsonpath={.spec.version}"), "3.8.3");
    // The one who may do everything is another context.
    site.kubectl("delete pod my-zk-0 --wait=false");
}
