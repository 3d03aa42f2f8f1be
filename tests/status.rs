//! The built binary's commands that only read: `status` and `history`.
#![cfg(unix)]

mod served;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use kubectl_dbupdate::situation::{State, Status};
use serde_json::Value;
use served::{Outcome, Running, Sandbox, run};

/// The statuses of `-o json`, read back into the types that they are made from.
fn items(outcome: &Outcome) -> Vec<Status> {
    let object = outcome.ended(0, "").object();
    assert_eq!(object["schema"], "dbupdate/v1");
    serde_json::from_value(object["items"].clone()).expect("they are statuses")
}

#[test]
fn every_database_is_a_line() {
    let sandbox = Sandbox::start();
    let listed = sandbox.run("status");
    listed.ended(0, "");
    assert_eq!(listed.stderr, "");
    assert_eq!(
        listed.stdout,
        "KIND       NAME    VERSION  STATE  PODS  PAUSED BY  RUN\n\
         kafka      my-kf   3.5.2    ok     6/6   -          -\n\
         druid      my-dr   28.0.1   ok     9/9   -          -\n\
         cassandra  my-cas  4.1.8    ok     4/4   -          -\n\
         hazelcast  my-hz   5.5.2    ok     3/3   -          -\n\
         zookeeper  my-zk   3.8.3    ok     3/3   -          -\n"
    );
    assert_eq!(sandbox.run("status zk").stdout.lines().count(), 2);
    assert!(sandbox.run("status -A").stdout.starts_with("NAMESPACE  KIND "));
    assert_eq!(items(&sandbox.run("status -A -o json")).len(), 7);
    assert_eq!(items(&sandbox.run("status -n analytics -o json")).len(), 2);
    let names = sandbox.run("status -o name").stdout;
    assert!(names.starts_with("kafka.kubedb.com/my-kf\ndruid.kubedb.com/my-dr\n"), "{names}");
    assert_eq!(sandbox.run("status zk my-zk -o name").stdout, "zookeeper.kubedb.com/my-zk\n");
    let rows = sandbox.run("status zk --no-headers").stdout;
    assert!(rows.starts_with("zookeeper ") && rows.lines().count() == 1, "{rows}");
    sandbox.run("status -n elsewhere").ended(0, "no database found in this namespace");
    sandbox.run("status -n elsewhere --exit-code").ended(3, "no database found in this namespace");
    sandbox.run("status --exit-code").ended(0, "");
    sandbox.run("status zk none").ended(3, "existing databases: my-zk");
    sandbox.run("status zk my-zk -A").ended(2, "--all-namespaces cannot be used with a name");
    sandbox.run("status zk -w").ended(2, "--watch follows one database; write KIND NAME");
    let idle = sandbox.run("status zk my-zk -w");
    idle.ended(0, "state: zookeeper/my-zk is on 3.8.3: 3 of 3 pods Ready");
    assert_eq!(idle.stderr, "no run is active\n");
}

#[test]
fn databases_are_listed_with_the_version_that_they_may_go_to() {
    let sandbox = Sandbox::start();
    let listed = sandbox.run("list");
    listed.ended(0, "");
    assert_eq!(listed.stderr, "");
    assert_eq!(
        listed.stdout,
        "KIND       NAME    VERSION  NEWEST  FURTHER                  PHASE  PAUSED BY\n\
         kafka      my-kf   3.5.2    3.9.0   4.2.0 --via provisioner  Ready  -\n\
         druid      my-dr   28.0.1   30.0.1  36.0.0 --through         Ready  -\n\
         cassandra  my-cas  4.1.8    5.0.7   -                        Ready  -\n\
         hazelcast  my-hz   5.5.2    5.5.6   -                        Ready  -\n\
         zookeeper  my-zk   3.8.3    3.9.1   -                        Ready  -\n"
    );
    assert_eq!(sandbox.run("list zk -o name").stdout, "zookeeper.kubedb.com/my-zk\n");
    let rows = sandbox.run("list zk --no-headers").stdout;
    assert!(rows.starts_with("zookeeper ") && rows.lines().count() == 1, "{rows}");
    assert_eq!(sandbox.run("list -A").stdout.lines().next().map(|l| &l[..9]), Some("NAMESPACE"));
    assert_eq!(sandbox.run("list dr -o json").ended(0, "").object()["items"][0]["newest"], "30.0.1");
    sandbox
        .run("list -l app.kubernetes.io/name=none")
        .ended(0, "no database matching the selector found in this namespace");
    sandbox.run("list kafka my-kf").ended(2, "unexpected argument 'my-kf'");
    sandbox.run("status zk my-zk -l a=b").ended(2, "--selector cannot be used with a name");
}

#[test]
fn the_catalog_is_listed_with_what_a_database_may_do() {
    let sandbox = Sandbox::start();
    let listed = sandbox.run("versions dr my-dr");
    listed.ended(0, "");
    assert_eq!(
        listed.stdout,
        "VERSION  UPDATE      NOTES\n\
         36.0.0   in 4 steps  through 30.0.1, 31.0.0, 35.0.1\n\
         35.0.1   in 3 steps  through 30.0.1, 31.0.0\n\
         31.0.0   in 2 steps  through 30.0.1\n\
         30.0.1   yes         latest\n\
         30.0.0   no          deprecated\n\
         28.0.1   current\n\
         25.0.0   no          deprecated, downgrade\n"
    );
    let rows = sandbox.run("versions dr my-dr --no-headers").stdout;
    assert!(rows.starts_with("36.0.0 ") && rows.lines().count() == 7, "{rows}");
    let names = sandbox.run("versions zk -o name").stdout;
    assert!(names.starts_with("zookeeperversion.catalog.kubedb.com/3.9"), "{names}");
    let latest = sandbox.run("versions kafka/my-kf -o json").ended(0, "").object();
    assert_eq!(
        (&latest["items"][0]["name"], &latest["items"][0]["reach"]),
        (&"4.2.0".into(), &"refused".into())
    );
    let catalog = sandbox.run("versions kafka -o json").ended(0, "").object();
    assert_eq!((&catalog["items"][0]["reach"], &catalog["database"]), (&Value::Null, &Value::Null));
    sandbox.run("versions zk none").ended(3, "existing databases: my-zk");
    // What it prints as a name can be typed.
    let plan = sandbox.run("zk my-zk --to zookeeperversion.catalog.kubedb.com/3.9.1 --dry-run -o json");
    assert_eq!(plan.ended(0, "").object()["to"]["name"], "3.9.1");
}

#[test]
fn a_killed_run_is_told_with_the_commands_that_go_on() {
    let sandbox = Sandbox::start();
    sandbox.run("history zk my-zk").ended(0, "no runs recorded for zookeeper/my-zk");
    let running = Running::start(sandbox.dbupdate("zk my-zk --to 3.9.1 --yes --progress json"));
    running.line("\"event\":\"podReady\"");
    running.signal("KILL");
    running.end();
    // Right after its death nothing but the time tells it from one that is alive.
    let status: Status = serde_json::from_value(sandbox.run("status zk my-zk -o json").ended(0, "").object())
        .expect("a status");
    assert_eq!((status.state, status.exit_code), (State::Running, 5));
    assert!(status.run.as_ref().is_some_and(|run| run.unfinished && run.outcome.is_none()), "{status:?}");
    let lock =
        format!("/apis/coordination.k8s.io/v1/namespaces/default/leases/dbupdate-zookeeper-{}", "my-zk");
    sandbox.request("DELETE", &lock, "json", &Value::Null);
    sandbox.run("status --exit-code").ended(4, "half updated");
    sandbox.run("status zk my-zk --exit-code").ended(4, "next:");
    sandbox.run("status kf --exit-code").ended(0, "");
    let told = sandbox.run("status zk my-zk");
    told.ended(0, "state: zookeeper/my-zk is paused and between 3.8.3 and 3.9.1: ");
    told.ended(
        0,
        "next:\n  kubectl dbupdate resume zookeeper my-zk\n  kubectl dbupdate rollback zookeeper my-zk\n",
    );
    sandbox.run("resume zk").ended(2, "no database given; choose one of: my-zk");
    sandbox.run("resume kafka").ended(0, "no kafka in namespace default has an unfinished run");
    sandbox.run("resume zk my-zk").ended(2, "cannot ask for confirmation without a terminal");
    sandbox.run("resume zk my-zk --yes --progress none").ended(0, "done: ZooKeeper my-zk is on 3.9.1");
    sandbox.run("status zk my-zk").ended(0, "state: zookeeper/my-zk is on 3.9.1: 3 of 3 pods Ready\n");
    let history = sandbox.run("history zk my-zk -o json").ended(0, "").object();
    assert_eq!(history["items"][0]["outcome"], "done");
    assert_eq!(history["items"][0]["resumedBy"].as_array().map(Vec::len), Some(1));
    sandbox.run("history zk my-zk").ended(0, "update 3.8.3 → 3.9.1");

    let id = history["items"][0]["run"].as_str().expect("an id");
    let one = sandbox.run(&format!("history zk/my-zk {} -o json", &id[..6])).ended(0, "").object();
    assert_eq!((&one["run"], &one["result"]["outcome"]), (&history["items"][0], &Value::from("done")));
    assert_eq!(one["resumed"][0]["who"], history["items"][0]["resumedBy"][0]);
    let ticket = sandbox.run("history zk my-zk -o markdown");
    let title =
        "## Update of `zookeeper/my-zk` in namespace `default`: `3.8.3` → `3.9.1`\n\n- Result: done after ";
    assert!(
        ticket.ended(0, "- Pods: 3 of 3 on the target and Ready, ").stdout.starts_with(title),
        "{ticket:#?}"
    );
    sandbox.run(&format!("history zk my-zk {id}")).ended(0, &format!("Run: {id}\n"));
    let completed = sandbox.run(&format!("__complete -- history zk my-zk {}", &id[..2]));
    completed.ended(0, &format!("{id}\t3.8.3 → 3.9.1, 20"));
    let known = format!("zookeeper/my-zk has no run \"nope\"; its runs are {id}\n");
    sandbox.run("history zk my-zk nope -o markdown").ended(3, &known);
    sandbox.run("history hz my-hz -o markdown").ended(3, "no runs recorded for hazelcast/my-hz");
    assert_eq!(sandbox.run("history zk my-zk -o name").stdout, format!("{id}\n"));
    let rows = sandbox.run("history zk my-zk --no-headers").stdout;
    assert!(rows.starts_with(id) && rows.lines().count() == 1, "{rows}");
    every_run_is_a_line(&sandbox, id);
}

/// Without a name, the runs of all databases.
fn every_run_is_a_line(sandbox: &Sandbox, run: &str) {
    sandbox.run("history kafka").ended(0, "no runs recorded\n");
    sandbox.run("history zk my-zk -A").ended(2, "--all-namespaces cannot be used with a name");
    for (line, header) in
        [("history", "KIND       NAME   RUN "), ("history -A", "NAMESPACE  KIND       NAME   RUN ")]
    {
        let listed = sandbox.run(line);
        listed.ended(0, run);
        assert_eq!(listed.stderr, "");
        assert!(listed.stdout.starts_with(header) && listed.stdout.lines().count() == 2, "{listed:#?}");
    }
    assert_eq!(sandbox.run("history -o name").stdout, format!("{run}\n"));
    let all = sandbox.run("history -A -o json").ended(0, "").object();
    let item = &all["items"][0];
    assert_eq!(
        (&all["database"], &item["kind"], &item["database"]["name"], &item["run"]),
        (&Value::Null, &"ZooKeeper".into(), &"my-zk".into(), &run.into())
    );
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let sandbox = Sandbox::start();
    let mut child = sandbox
        .dbupdate("status -o json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    stdout.read_line(&mut first).expect("it says something");
    drop(stdout);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn no_cluster_is_told_in_a_line() {
    let mut command = served::dbupdate("status --server http://127.0.0.1:1");
    command.env("HOME", "/nonexistent");
    run(command).ended(1, "");
}

/// From another terminal, or another machine: the same progress, the same last words, the same exit code.
#[test]
fn a_run_is_followed_to_its_end() {
    let sandbox = Sandbox::start();
    let running = Running::start(sandbox.dbupdate("zk my-zk --to 3.9.1 --yes --progress json"));
    running.line("\"event\":\"podEvicted\"");
    sandbox.run("status zk my-zk --exit-code").ended(5, "holds the lock");
    let followed = sandbox.run("status zk my-zk -w");
    followed.ended(0, "done: ZooKeeper my-zk is on 3.9.1 after ");
    running.end().ended(0, "");
    assert!(followed.stdout.ends_with("\nchanged: yes, left paused: no\n"), "{followed:#?}");
    for said in [
        "following ",
        "roll pods: started\n",
        "pod my-zk-2: Ready",
        "verify: done after ",
        "finished: done; ",
    ] {
        followed.ended(0, said);
    }

    let sandbox = Sandbox::failing("budget");
    let running =
        Running::start(sandbox.dbupdate("zk my-zk --to 3.9.1 --yes --progress json --pod-timeout 5s"));
    running.line("\"event\":\"podWaiting\"");
    let followed = sandbox.run("status zk my-zk -w");
    followed.ended(4, "pod my-zk-0: waiting for PodDisruptionBudget my-zk to allow a disruption: ").ended(
        4,
        "next:\n  kubectl dbupdate resume zookeeper my-zk\n  kubectl dbupdate rollback zookeeper my-zk\n",
    );
    running.end().ended(4, "");
}
