//! Completion: kubectl's protocol, and the scripts for the shells.

mod programs;

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn dbupdate(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-dbupdate"))
        .args(words)
        .env("KUBECONFIG", "/nonexistent/kubeconfig")
        .output()
        .expect("the binary runs")
}

/// The candidates at the end of a line, as kubectl gets them.
fn complete(line: &str) -> String {
    let words = ["__complete", "--"].into_iter().chain(line.split(' ')).collect::<Vec<_>>();
    let output = dbupdate(&words);
    assert!(output.status.success() && output.stderr.is_empty(), "{line}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn lines_are_completed() {
    for (line, expected) in [
        ("--sandbox kaf", "kafka\ta Kafka database\n:4\n"),
        ("--sandbox kafka ", "my-kf\t3.5.2, Ready\n:4\n"),
        ("--sandbox zk/", "zk/my-zk\t3.8.3, Ready\n:4\n"),
        ("--sandbox status hz ", "my-hz\t5.5.2, Ready\n:4\n"),
        ("--sandbox zk my-zk --to ", "3.9.1\tlatest\nlatest\t3.9.1\n:4\n"),
        ("zk --to la", "latest\tthe newest version that one hop reaches\n:4\n"),
        ("--sandbox zk my-zk --to=3", "3.9.1\tlatest\n:4\n"),
        ("--sandbox zk/my-zk --to 3.9", "3.9.1\tlatest\n:4\n"),
        ("--sandbox zk my-zk -n ", "analytics\ndefault\n:4\n"),
        ("--sandbox zk -n elsewhere ", ":4\n"),
        ("zk my-zk --skip-check phase,dri", "phase,drift\n:4\n"),
        ("kafka my-kf --via prov", "provisioner\n:4\n"),
        ("kafka my-kf --via 4.0.0=o", "4.0.0=ops-manager\n:4\n"),
        (
            "kafka my-kf --min",
            "--min-ready\tHow long a new pod must stay Ready before the next pod is restarted\n:4\n",
        ),
        ("status -o j", "json\n:4\n"),
        ("--sandbox health hz ", "my-hz\t5.5.2, Ready\n:4\n"),
        ("--sandbox health zk/", "zk/my-zk\t3.8.3, Ready\n:4\n"),
        ("health -o y", "yaml\n:4\n"),
        ("kafka my-kf --health ", "auto\nrequire\noff\n:4\n"),
        ("man res", "resume\tResume an interrupted update or rollback, from any machine\n:4\n"),
        ("--kubeconfig ", ":0\n"),
        // Whatever is wrong, nothing is said.
        ("kafka ", ":4\n"),
        ("--context ", ":4\n"),
        ("nonsense my-kf --to 3", ":4\n"),
        ("--sandbox --context c kafka ", ":4\n"),
    ] {
        assert_eq!(complete(line), expected, "{line:?}");
    }
}

/// A shell inserts a candidate as it is, and others may have written the names.
#[test]
fn no_name_is_offered_that_a_shell_would_run() {
    let names =
        ["prod", "arn:aws:eks:eu-1:1:cluster/a", "a b", "$(reboot)", "'", "a;b", "--yes", "~", "*", ""];
    let contexts = names.map(|name| format!("- {{name: {name:?}, context: {{cluster: c}}}}\n")).concat();
    let path = std::env::temp_dir().join(format!("dbupdate-completion-{}.yaml", std::process::id()));
    std::fs::write(&path, format!("contexts:\n{contexts}")).expect("it can be written");
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-dbupdate"))
        .args(["__complete", "--", "--context", ""])
        .env("KUBECONFIG", &path)
        .output()
        .expect("the binary runs");
    let _ = std::fs::remove_file(path);
    let offered = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(offered, "prod\narn:aws:eks:eu-1:1:cluster/a\n:4\n");
}

#[test]
fn a_line_begins_with_a_kind_or_a_command() {
    let found = complete("");
    for first in ["kafka\t", "zookeeper\t", "resume\t", "status\t"] {
        assert!(found.lines().any(|line| line.starts_with(first)), "{found}");
    }
    assert!(!found.contains("__complete"), "{found}");
}

#[test]
fn there_is_a_script_for_each_shell() {
    for (shell, says) in [
        ("bash", "complete -F _kubectl__dbupdate"),
        ("zsh", "#compdef kubectl-dbupdate"),
        ("fish", "complete -c kubectl-dbupdate"),
        ("powershell", "Register-ArgumentCompleter -Native -CommandName 'kubectl-dbupdate'"),
        ("kubectl", "exec kubectl-dbupdate __complete -- \"$@\""),
    ] {
        let output = dbupdate(&["completion", shell]);
        assert!(output.status.success(), "{output:?}");
        let script = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(script.contains(says), "{shell}: {script}");
        assert!(shell == "kubectl" || script.contains("rollback"), "{shell}");
    }
    assert_eq!(dbupdate(&["completion", "tcsh"]).status.code(), Some(2));
}

#[test]
#[cfg(unix)]
fn bash_takes_its_script() {
    if !programs::installed("bash") {
        return;
    }
    let ask = "COMP_WORDS=(kubectl-dbupdate roll) COMP_CWORD=1; _kubectl__dbupdate kubectl-dbupdate roll; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-s"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut bash = bash.spawn().expect("bash runs");
    let script = dbupdate(&["completion", "bash"]).stdout;
    let mut stdin = bash.stdin.take().expect("it is piped");
    stdin.write_all(&script).and_then(|()| stdin.write_all(ask.as_bytes())).expect("bash reads");
    drop(stdin);
    let output = bash.wait_with_output().expect("bash ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "rollback\n");
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    for (words, says) in [
        (&["man"][..], ".TH kubectl-dbupdate 1"),
        (&["man"], "\nBearer token for the API server\n"),
        (&["man", "resume"], ".TH kubectl-dbupdate-resume 1"),
        (&["man", "status"], "Show the state of a database and the command to run next"),
    ] {
        let output = dbupdate(words);
        let page = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && page.contains(says), "{words:?}: {page}");
    }
    let unknown = dbupdate(&["man", "nonsense"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&unknown.stderr), "error: unknown command \"nonsense\"\n");
}
