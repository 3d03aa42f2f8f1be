//! Signals that a laptop, a terminal and a system send to the built binary in the middle of a run.
#![cfg(unix)]

mod served;

use std::process::Command;
use std::thread;

use served::{BINARY, Running, Sandbox, isolated};

const UPDATE: &str = "zk my-zk --to 3.9.1 --yes --progress json";

/// The pod in flight is finished, the state is told, and `resume` goes on.
fn ends_and_is_resumed(signal: &str, code: i32) {
    let sandbox = Sandbox::start();
    let running = Running::start(sandbox.dbupdate(UPDATE));
    running.line("\"event\":\"podEvicted\"");
    running.signal(signal);
    let stopped = running.end();
    stopped.ended(code, &format!("\"why\":\"SIG{signal}\""));
    assert_eq!(stopped.stdout.matches("\"event\":\"podReady\"").count(), 1, "the pod in flight");
    sandbox.run("resume zk my-zk --yes --progress none").ended(0, "done: ZooKeeper my-zk is on 3.9.1");
}

/// As `nohup` starts it: a terminal that goes away ends nothing.
fn a_hang_up_that_was_ignored_at_the_start_stays_ignored() {
    let sandbox = Sandbox::start();
    let mut command: Command = isolated("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", BINARY]).args(UPDATE.split(' '));
    command.env("KUBECONFIG", sandbox.kubeconfig());
    let running = Running::start(command);
    for _ in 0..3 {
        running.line("\"event\":\"podEvicted\"");
        running.signal("HUP");
    }
    running.end().ended(0, "\"outcome\":\"done\"");
}

#[test]
fn signals_in_the_middle_of_a_run() {
    let runs: [(&str, fn()); 3] = [
        ("SIGTERM", || ends_and_is_resumed("TERM", 143)),
        ("SIGHUP", || ends_and_is_resumed("HUP", 129)),
        ("SIGHUP under nohup", a_hang_up_that_was_ignored_at_the_start_stays_ignored),
    ];
    thread::scope(|scope| {
        for (name, run) in runs {
            thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run).expect("a thread starts");
        }
    });
}
