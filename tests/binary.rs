//! The built binary against a sandbox that another process serves, and against clusters that are not as they should be.
#![cfg(unix)]

#[path = "programs/sandbox.rs"]
mod sandbox;
mod served;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use kubectl_dbupdate::event::{Event, Outcome as Came, Record};
use serde_json::{Value, json};
use served::{Directory, Running, Sandbox, dbupdate, run};
use simcluster::{Misanswer, Trouble};

const ZK: &str = "/apis/kubedb.com/v1alpha2/namespaces/default/zookeepers/my-zk";

fn no_escapes(text: &str) {
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

/// The harness runs as many tests at once as there are cores. These wait for pods most of the time, and do it together.
#[test]
fn whole_runs() {
    let runs: [(&str, fn()); 9] = [
        ("a quiet run prints its result", a_quiet_run_prints_its_result),
        ("an update through a pipe reads as plain text", an_update_through_a_pipe_reads_as_plain_text),
        ("a result is one object on standard output", a_result_is_one_object_on_standard_output),
        ("events are one object a line", events_are_one_object_a_line),
        ("a reader that goes away does not end a run", a_reader_that_goes_away_does_not_end_a_run),
        ("an interrupted run says how to go on and does", an_interrupted_run_says_how_to_go_on_and_does),
        ("nobody answers the pause", nobody_answers_the_pause),
        ("the whole run is bounded by its timeout", the_whole_run_is_bounded_by_its_timeout),
        (
            "a run that does not finish after a change ends with four",
            a_run_that_does_not_finish_after_a_change_ends_with_four,
        ),
    ];
    thread::scope(|scope| {
        for (name, run) in runs {
            thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run).expect("a thread starts");
        }
    });
}

fn an_update_through_a_pipe_reads_as_plain_text() {
    let sandbox = Sandbox::start();
    let done = sandbox.run("zookeeper my-zk --to 3.9.1 --yes");
    done.ended(0, "done: ZooKeeper my-zk is on 3.9.1 after ");
    no_escapes(&done.stdout);
    no_escapes(&done.stderr);
    assert!(done.stdout.starts_with("ZooKeeper my-zk in namespace default: 3.8.3 → 3.9.1\n"), "{done:#?}");
    assert!(done.stdout.ends_with("\nchanged: yes, left paused: no\n"), "{done:#?}");
    for line in done.stderr.lines() {
        let (time, text) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(time.parse::<jiff::Timestamp>().is_ok() && !text.is_empty(), "{line}");
    }
    let last = done.stderr.lines().last().unwrap_or_default();
    assert!(last.contains(" finished: done; zookeeper/my-zk is on 3.9.1: 3 of 3 pods Ready"), "{last}");
    assert_eq!(sandbox.get(ZK)["spec"]["version"], "3.9.1");
    let again = sandbox.run("zookeeper my-zk --to 3.9.1 --yes");
    again.ended(0, "is on 3.9.1: 3 of 3 pods Ready; nothing to do");
    assert_eq!(again.stderr, "");
}

fn a_quiet_run_prints_its_result() {
    let sandbox = Sandbox::start();
    let done = sandbox.run("zookeeper my-zk --to 3.9 --yes --quiet");
    done.ended(0, "done: ZooKeeper my-zk is on 3.9.1 after ");
    assert_eq!((done.stdout.lines().count(), done.stderr.as_str()), (1, ""), "{done:#?}");
    let stopped = sandbox.run("zookeeper my-zk --to 3.8.3 --allow-downgrade --yes -q --timeout 1s");
    stopped.ended(124, "next:\n  kubectl dbupdate resume zookeeper my-zk");
    assert!(stopped.stdout.starts_with("stopped: ") && stopped.stderr.is_empty(), "{stopped:#?}");
}

fn a_result_is_one_object_on_standard_output() {
    let sandbox = Sandbox::start();
    let done = sandbox.run("hz/my-hz --to 5.5.6 --yes -o json --progress none");
    assert_eq!(done.stderr, "");
    let result = done.ended(0, "").object();
    for (path, expected) in [
        ("/schema", json!("dbupdate/v1")),
        ("/kind", json!("Hazelcast")),
        ("/outcome", json!("done")),
        ("/exitCode", json!(0)),
        ("/changed", json!(true)),
        ("/paused", json!(false)),
        ("/operatorConfirmed", json!(true)),
        ("/workloads/0/workload", json!("statefulset/my-hz")),
        ("/workloads/0/restarted", json!(3)),
    ] {
        assert_eq!(result.pointer(path), Some(&expected), "{path}");
    }
}

/// The plan is on standard output in a dry run and the result in a real one; each is one object, whatever comes of it.
#[test]
fn a_refused_run_is_an_object_too() {
    let sandbox = Sandbox::start();
    let refused = sandbox.run("druid my-dr --to 36.0.0 --yes -o json");
    let result = refused.ended(3, "").object();
    assert_eq!(
        (&result["outcome"], &result["exitCode"], &result["changed"]),
        (&json!("refused"), &json!(3), &json!(false))
    );
    let events = records(&sandbox.run("druid my-dr --to 36.0.0 --yes --progress json").ended(3, "").stdout);
    assert!(
        matches!(&events[..], [.., Event::Finished(finish)] if finish.outcome == Came::Refused && finish.exit_code == 3)
    );
}

/// The events on standard output, which begin and end as they have to.
#[track_caller]
fn records(stdout: &str) -> Vec<Event> {
    no_escapes(stdout);
    let read =
        |line: &str| serde_json::from_str::<Record>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let records: Vec<Record> = stdout.lines().map(read).collect();
    assert!(records.is_sorted_by_key(|record| record.elapsed_ms));
    let events: Vec<Event> = records.into_iter().map(|record| record.event).collect();
    assert!(matches!(events.first(), Some(Event::Started { schema, .. }) if schema == "dbupdate/v1"));
    assert!(matches!(events.last(), Some(Event::Finished(_))), "{:?}", events.last());
    let ends = events.iter().filter(|event| matches!(event, Event::Finished(_)));
    assert_eq!(ends.count(), 1);
    events
}

fn events_are_one_object_a_line() {
    let sandbox = Sandbox::start();
    let done = sandbox.run("zk my-zk --to 3.9.1 --yes --progress json");
    assert_eq!(done.stderr, "");
    let events = records(&done.ended(0, "").stdout);
    let ready = |event: &&Event| matches!(event, Event::PodReady { .. });
    assert_eq!(events.iter().filter(ready).count(), 3);
    assert!(matches!(events.last(), Some(Event::Finished(finish)) if finish.outcome == Came::Done));
}

/// `kubectl dbupdate … | head -1`: the reader leaves in the middle, and the database must not be left half done.
fn a_reader_that_goes_away_does_not_end_a_run() {
    let sandbox = Sandbox::start();
    let mut command = sandbox.dbupdate("zk my-zk --to 3.9.1 --yes --progress json");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut first = String::new();
    stdout.read_line(&mut first).expect("it says something");
    assert!(first.contains("\"event\":\"started\""), "{first}");
    drop(stdout);
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.starts_with("standard output is closed\n"), "{stderr}");
    assert!(
        stderr.contains("done: ZooKeeper my-zk is on 3.9.1"),
        "the end is said where it can be read: {stderr}"
    );
    assert_eq!(sandbox.get(ZK)["spec"]["version"], "3.9.1");
}

/// Ctrl-C once: the pod in flight is finished. The command that is told goes on.
fn an_interrupted_run_says_how_to_go_on_and_does() {
    let sandbox = Sandbox::start();
    let running = Running::start(sandbox.dbupdate("zk my-zk --to 3.9.1 --yes --progress json"));
    running.line("\"event\":\"podEvicted\"");
    running.signal("INT");
    let stopped = running.end();
    let events = records(&stopped.ended(130, "").stdout);
    let Some(Event::Finished(finish)) = events.last() else { panic!("{events:?}") };
    assert_eq!(
        (finish.outcome, finish.exit_code, finish.changed, finish.paused),
        (Came::Stopped, 130, true, true)
    );
    assert_eq!(events.iter().filter(|e| matches!(e, Event::PodReady { .. })).count(), 1, "the pod in flight");
    let next = finish.next.first().expect("a command goes on");
    let line = next.strip_prefix("kubectl dbupdate ").unwrap_or_else(|| panic!("{next}"));
    sandbox.run(&format!("{line} --yes --progress none")).ended(0, "done: ZooKeeper my-zk is on 3.9.1");
}

/// Ctrl-C twice: it leaves at once, and still says in which state.
#[test]
fn two_interrupts_leave_now() {
    let sandbox = Sandbox::start();
    let running = Running::start(sandbox.dbupdate("zk my-zk --to 3.9.1 --yes --progress json"));
    running.line("\"event\":\"podEvicted\"");
    running.signal("INT");
    running.line("\"event\":\"stopping\"");
    running.signal("INT");
    let events = records(&running.end().ended(130, "").stdout);
    assert!(!events.iter().any(|e| matches!(e, Event::PodReady { .. })), "nothing was waited for");
}

fn the_whole_run_is_bounded_by_its_timeout() {
    // No pod may go for two minutes, so that the time limit finds a run between its first change and its end.
    let sandbox = Sandbox::failing("budget");
    let stopped = sandbox.run("zk my-zk --to 3.9.1 --yes --timeout 5s");
    stopped.ended(124, "changed: yes, left paused: yes");
}

fn a_run_that_does_not_finish_after_a_change_ends_with_four() {
    let sandbox = Sandbox::failing("budget");
    let stopped = sandbox.run("zk my-zk --to 3.9.1 --yes --pod-timeout 2s");
    stopped
        .ended(4, "PodDisruptionBudget my-zk allows no disruption")
        .ended(4, "changed: yes, left paused: yes");
    assert_eq!(sandbox.get(ZK)["spec"]["version"], "3.8.3");
}

#[test]
fn another_user_at_work_ends_with_five() {
    let sandbox = Sandbox::start();
    let paused = json!([{
        "op": "add", "path": "/status/conditions/-",
        "value": {
            "type": "Paused", "status": "True", "reason": "Paused", "message": "by \u{1b}[31mhand",
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        },
    }]);
    sandbox.request("PATCH", &format!("{ZK}/status"), "json-patch+json", &paused);
    let refused = sandbox.run("zk my-zk --to 3.9.1 --yes");
    refused
        .ended(5, "paused-by-other: zookeeper/my-zk is paused by another user or controller: by  [31mhand");
    no_escapes(&refused.stdout);
    let request = json!({
        "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "HazelcastOpsRequest", "metadata": { "name": "restart" },
        "spec": { "type": "Restart", "databaseRef": { "name": "my-hz" } },
    });
    let ops = "/apis/ops.kubedb.com/v1alpha1/namespaces/default/hazelcastopsrequests";
    sandbox.request("POST", ops, "json", &request);
    sandbox
        .run("hz my-hz --to 5.5.6 --yes")
        .ended(5, "HazelcastOpsRequest restart (Restart) is in progress: not started");
    sandbox.run("hz my-hz --to 5.5.6 --dry-run").ended(3, "ops-request");
}

/// A slip of the fingers is told with what is near, and nothing is changed.
#[test]
fn what_is_not_there_is_told_with_what_is() {
    let sandbox = Sandbox::start();
    for (line, code, said) in [
        ("kafak my-kf --to 3.6.1 --yes", 2, "unknown kind of database \"kafak\"; did you mean kafka?"),
        (
            "kafka my-kaf --to 3.6.1 --yes",
            3,
            "kafka \"my-kaf\" not found in namespace default; existing databases: my-kf",
        ),
        (
            "kafka my-kf --to 3.6.11 --yes",
            3,
            "the catalog has no KafkaVersion \"3.6.11\"; closest matches: 3.6.1, ",
        ),
        ("kafka my-kf -n other --to 3.6.1 --yes", 3, "kafka \"my-kf\" not found in namespace other"),
        (
            "kafka -n other --to 3.6.1 --yes",
            1,
            "no kafka found in namespace other; choose another namespace with -n",
        ),
        ("kafka --to 3.6.1 --yes", 2, "no database given; choose one of: my-kf"),
        ("kafka my-kf --yes", 2, "no version given; add --to with one of:\n  4.2.0"),
        (
            "kafka my-kf --to 3.6.1",
            2,
            "cannot ask for confirmation without a terminal; review the plan with --dry-run, then add --yes",
        ),
        (
            "kafka my-kf --to 4.0.0 --yes",
            3,
            "4.0.0 needs init container kafka-init, which is missing from petset/my-kf-broker",
        ),
        (
            "kafka my-kf --to 3.6.1 --dry-run --context prod",
            1,
            "the kubeconfig has no context \"prod\"; it has dbupdate-sandbox",
        ),
        (
            "kafka my-kf --to 3.6.1 --dry-run",
            0,
            "6 pods in 2 workloads will be restarted.\ndry run: nothing was changed\n",
        ),
    ] {
        let ended = sandbox.run(line);
        ended.ended(code, said);
        no_escapes(&ended.stderr);
    }
    assert_eq!(sandbox.get("/apis/coordination.k8s.io/v1/namespaces/default/leases")["items"], json!([]));
}

#[test]
fn health_exits_by_what_the_database_says() {
    let lag = Trouble::Lagging { topic: "orders".into(), partition: 3, broker: 1 };
    let troubles = [lag, Trouble::Answers { pods: "my-hz-*".into(), how: Misanswer::Refuse }];
    let (_, kubeconfig) = sandbox::serve(move |sim| {
        troubles.into_iter().for_each(|trouble| sim.databases().trouble(trouble));
    });
    let directory = Directory::new();
    let kubeconfig = directory.file("kubeconfig", &kubeconfig);
    let health = |line: &str| {
        let mut command = dbupdate(line);
        command.env("KUBECONFIG", &kubeconfig);
        run(command)
    };
    for (line, code, said) in [
        ("health zk my-zk", 0, "every pod could be restarted now, one after the other\n"),
        ("health zk/my-zk -o yaml", 0, "fit: true\n"),
        ("health kafka my-kf", 3, "not every pod could be restarted now\n"),
        ("health kafka my-kf", 3, "orders-3 has 2 of 3 in-sync replicas"),
        ("health hz my-hz", 3, "it could not be asked: "),
        ("health zk none", 3, "zookeeper \"none\" not found in namespace default; existing databases: my-zk"),
        ("health zk my-zk -n other", 3, "zookeeper \"my-zk\" not found in namespace other"),
        ("health zk", 2, "no database given; write KIND NAME"),
        ("health", 2, "the following required arguments were not provided"),
        ("health postgres my-pg", 2, "the supported kinds are kafka, druid"),
        ("health zk my-zk --to 3.9.1", 2, "--to"),
        ("health zk my-zk -o wide", 2, "wide"),
        ("health zk my-zk --health off", 2, "--health"),
    ] {
        let ended = health(line);
        ended.ended(code, said);
        no_escapes(&ended.stdout);
        no_escapes(&ended.stderr);
    }
    let object = health("health kafka my-kf -o json").ended(3, "").object();
    assert_eq!((&object["schema"], &object["fit"]), (&json!("dbupdate/v1"), &json!(false)));
    let no = |member: &&Value| member["mayGo"]["answer"] == "no";
    let members = object["members"].as_array().expect("the members");
    assert!(members.iter().any(|member| no(&member)), "{object:#}");
    let object = health("health hz my-hz -o json").ended(3, "").object();
    assert_eq!((&object["fit"], &object["members"]), (&json!(false), &json!([])));
    assert!(object["unasked"].as_str().is_some_and(|why| why.contains("refused")), "{object:#}");
}

#[test]
fn health_is_watched_until_a_signal() {
    let lag = Trouble::Lagging { topic: "orders".into(), partition: 3, broker: 1 };
    let trouble = lag.clone();
    let (sim, kubeconfig) = sandbox::serve(move |sim| sim.databases().trouble(trouble));
    let directory = Directory::new();
    let mut command = dbupdate("health kafka my-kf --watch");
    command.env("KUBECONFIG", directory.file("kubeconfig", &kubeconfig));
    let watching = Running::start(command);
    watching.line("not every pod could be restarted now");
    sim.databases().heal(&lag);
    watching.line("every pod could be restarted now, one after the other");
    watching.signal("INT");
    let ended = watching.end();
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    // What has not changed is not repeated.
    assert_eq!(ended.stdout.matches("Kafka my-kf in namespace default\n").count(), 2, "{ended:#?}");
}

/// A cluster that gives every request the same answer.
fn answering(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    format!("http://{address}")
}

const FORBIDDEN: &str = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,
    "message":"forbidden: User \"bob\" cannot get path \"/apis\" \u001b[2J","details":{}}"#;
const UNAUTHORIZED: &str = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#;

#[test]
fn a_cluster_that_is_of_no_use_is_told_in_a_line() {
    // A port that was free a moment ago, where nobody listens.
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        format!("http://{}", listener.local_addr().expect("it is bound"))
    };
    let refused = format!(
        "cannot reach the cluster without a context ({nobody}): Connection refused (os error 111); check that it is \
         running and that the address is correct"
    );
    for (server, said) in [
        (nobody.clone(), refused.as_str()),
        (
            answering("404 Not Found", "404 page not found"),
            "the cluster does not serve the kind Kafka; is KubeDB installed?",
        ),
        (answering("403 Forbidden", FORBIDDEN), "forbidden: User \"bob\" cannot get path"),
        (answering("401 Unauthorized", UNAUTHORIZED), "the server rejected the credentials: Unauthorized"),
        (answering("200 OK", "<html>a login page</html>"), "unexpected response"),
        ("http://".to_owned(), "is not a valid URL"),
        ("ftp://127.0.0.1".to_owned(), "it must begin with http:// or https://"),
    ] {
        let began = Instant::now();
        let mut command = dbupdate(&format!("kafka my-kf --to 3.6.1 --yes --server {server}"));
        command.env_remove("KUBECONFIG");
        let ended = run(command);
        assert!(began.elapsed() < Duration::from_secs(10), "{server}: {:?}", began.elapsed());
        told_in_a_line(&ended, said);
    }
}

#[track_caller]
fn told_in_a_line(ended: &served::Outcome, said: &str) {
    ended.ended(1, said);
    assert!(ended.stderr.starts_with("error: ") && ended.stderr.lines().count() <= 2, "{ended:#?}");
    no_escapes(&ended.stderr);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_kubeconfig_that_is_of_no_use_is_told_in_a_line() {
    let directory = Directory::new();
    let path = directory.path().join("config");
    let unreadable = &*format!("cannot read the kubeconfig {}: ", path.display());
    let context =
        "contexts:\n- name: here\n  context: {cluster: gone, user: nobody}\ncurrent-context: here\n";
    for (content, said) in [
        ("token: secret\n{[", unreadable),
        ("clusters: 3\n", unreadable),
        ("\u{0}\u{1}", unreadable),
        ("apiVersion: v1\nkind: Config\ncurrent-context: prod\n", "the kubeconfig has no context \"prod\""),
        (&format!("apiVersion: v1\nkind: Config\n{context}"), "the kubeconfig has no cluster \"gone\""),
    ] {
        let file = directory.file("config", content);
        let mut command = dbupdate("kafka my-kf --to 3.6.1 --yes");
        command.env("KUBECONFIG", &file);
        let ended = run(command);
        told_in_a_line(&ended, said);
        assert!(!ended.stderr.contains("secret"), "{ended:#?}");
        let mut command = dbupdate("kafka my-kf --to 3.6.1 --yes");
        told_in_a_line(
            &run({
                command.arg("--kubeconfig").arg(&file);
                command
            }),
            said,
        );
    }
}

#[test]
fn without_any_cluster_the_ways_to_name_one_are_told() {
    let mut command = dbupdate("kafka my-kf --to 3.6.1 --yes");
    command.env_remove("KUBECONFIG");
    let said =
        "no kubeconfig found, and not running in a pod; set KUBECONFIG, or pass --kubeconfig or --server";
    told_in_a_line(&run(command), said);
}

fn nobody_answers_the_pause() {
    let sandbox = Sandbox::failing("no-operator");
    let done = sandbox.run("zk my-zk --to 3.9.1 --yes --pause-timeout 1s --wait-ready 1s -o json");
    let result = done.ended(6, "no operator acknowledged the pause within 1.0 s").object();
    assert_eq!((&result["outcome"], &result["operatorConfirmed"]), (&json!("notReady"), &json!(false)));
    assert_eq!((&result["phase"], &result["exitCode"]), (&json!("Ready"), &json!(6)));
    assert_eq!(
        sandbox
            .get(ZK)
            .pointer("/status/conditions")
            .and_then(Value::as_array)
            .map(|conditions| { conditions.iter().filter(|c| c["type"] == "Paused").count() }),
        Some(0)
    );
}
