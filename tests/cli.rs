//! The built binary as a shell sees it: words in, text and exit code out. No cluster is needed here.

#[cfg(unix)]
#[path = "programs/signal.rs"]
mod signal;

use std::process::{Command, Output, Stdio};

/// The binary, without a terminal and without anything of the caller's that could lead to a cluster.
fn command(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-dbupdate"));
    command
        .args(line.split_whitespace())
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("KUBECONFIG", "/nonexistent/kubeconfig")
        .stdin(Stdio::null());
    command
}

fn dbupdate(line: &str) -> Output {
    command(line).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the binary writes UTF-8")
}

#[test]
fn usage_errors_end_with_two_and_say_why() {
    for (line, said) in [
        ("", "no database given; write KIND NAME, where KIND is one of kafka, druid,"),
        ("", "\n\nUsage: kubectl dbupdate KIND[/NAME] [NAME] --to VERSION [flags]\n"),
        ("statu", "unknown command \"statu\"; did you mean status?"),
        ("statu kafka my-kf", "unknown command \"statu\"; did you mean status?"),
        ("kafka my-kf statu", "unknown command \"statu\"; did you mean status?"),
        ("kafka my-kf --version=3.9.1", "did you mean --to?"),
        ("resume kafka my-kf --to 3.6.1", "'resume' takes its versions from the run; leave --to out"),
        ("rollback kafka my-kf --to=3.6.1", "'rollback' takes its versions from the run; leave --to out"),
        ("auth kafka", "no database given; write KIND NAME"),
        ("kafak my-kf --yes", "unknown kind of database \"kafak\"; did you mean kafka?"),
        ("postgres my-pg --yes", "the supported kinds are kafka, druid, cassandra, hazelcast, zookeeper"),
        ("kafka/my-kf my-kf --yes", "given twice"),
        ("kafka My_kf --yes", "must consist of lower case letters"),
        ("kafka my-kf --to 3.6.1", "add --yes"),
        ("kafka my-kf --yes --timeout=-1s", "cannot be negative"),
        ("kafka my-kf --yes --skip-check locked", "--skip-check accepts phase, pod-not-ready"),
        ("kafka my-kf --yes -o json --progress json", "use only one of them"),
        ("kafka my-kf --yes --progress bars", "requires a terminal"),
        ("kafka my-kf --yes --sandbox --context prod", "--context cannot be used with --sandbox"),
        ("kafka my-kf --yes --sandbox-fail pull", "--sandbox"),
        ("kafka my-kf --no-such-flag", "unexpected argument '--no-such-flag'"),
        ("sandbox --context prod", "--context cannot be used with the command 'sandbox'"),
        ("sandbox --kubeconfig f", "; --kubeconfig-out names the file that it writes"),
        ("sandbox --port 70000", "70000"),
    ] {
        let output = dbupdate(line);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {stderr}");
        assert!(stderr.starts_with("error: "), "{line}: {stderr}");
        assert!(stderr.contains(said), "{line}: {stderr}");
        assert_eq!(text(&output.stdout), "", "{line}");
    }
}

#[test]
fn help_and_version_are_answers() {
    for (line, said) in [
        ("--help", "Usage: kubectl dbupdate KIND[/NAME] [NAME] --to VERSION [flags]"),
        ("-h", "kubectl dbupdate kafka my-kf --to 3.6.1 --dry-run"),
        ("sandbox --help", "Usage: kubectl dbupdate sandbox"),
        ("help sandbox", "Usage: kubectl dbupdate sandbox"),
        ("version", concat!("kubectl-dbupdate ", env!("CARGO_PKG_VERSION"), " (")),
        ("--version", concat!("kubectl-dbupdate ", env!("CARGO_PKG_VERSION"), " (")),
        ("--version", &format!(", {}-", std::env::consts::ARCH)),
    ] {
        let output = dbupdate(line);
        let stdout = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert!(stdout.contains(said), "{line}: {stdout}");
        assert_eq!(text(&output.stderr), "", "{line}");
    }
}

#[test]
fn without_a_cluster_nothing_has_happened() {
    for (line, said) in [
        ("kafka my-kf --to 3.6.1 --dry-run", "kubeconfig"),
        ("kafka my-kf --to 3.6.1 --yes --kubeconfig /nonexistent/other", "/nonexistent/other"),
    ] {
        let output = dbupdate(line);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(said), "{line}: {stderr}");
        assert!(stderr.lines().count() <= 2, "{line}: {stderr}");
        assert_eq!(text(&output.stdout), "", "{line}");
    }
}

/// Dry runs on the simulated cluster inside the process.
#[test]
fn a_dry_run_says_whether_it_could_run() {
    for (line, code, stream, said) in [
        ("kafka my-kf --to 3.6.1", 0, Stream::Out, "6 pods in 2 workloads will be restarted"),
        ("kafka/my-kf --to latest -o json", 0, Stream::Out, "\"schema\": \"dbupdate/v1\""),
        ("zk my-zk --to 3.9.1 -o yaml", 0, Stream::Out, "schema: dbupdate/v1"),
        ("druid my-dr --to 36.0.0", 3, Stream::Out, "28.0.1 → 30.0.1 → 31.0.0 → 35.0.1 → 36.0.0"),
        ("kafka my-kf --to 3.5.1 --allow-downgrade", 3, Stream::Out, "deprecated-target"),
        ("kafka nope --to 3.6.1", 3, Stream::Err, "kafka \"nope\" not found in namespace default"),
        ("kafka my-kf --to 3.6.9", 3, Stream::Err, "no KafkaVersion \"3.6.9\"; closest matches: 3.6.1"),
        ("kafka my-kf", 2, Stream::Err, "no version given; add --to with one of:"),
        ("kafka", 2, Stream::Err, "no database given; choose one of: my-kf"),
        ("kafka -n other", 1, Stream::Err, "no kafka found in namespace other"),
    ] {
        let output = dbupdate(&format!("{line} --sandbox --dry-run"));
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{line}: {stdout}{stderr}");
        let (shown, silent) = match stream {
            Stream::Out => (stdout, stderr),
            Stream::Err => (stderr, stdout),
        };
        assert!(shown.contains(said), "{line}: {shown}");
        assert_eq!(silent, "", "{line}");
    }
}

#[test]
fn a_quiet_dry_run_is_a_line_or_says_why_not() {
    for (line, code, said) in [
        (
            "kafka my-kf --to 3.6.1",
            0,
            "Kafka my-kf in namespace default: 3.5.2 → 3.6.1: 6 pods in 2 workloads will be restarted.\n",
        ),
        (
            "druid my-dr --to 36.0.0",
            3,
            "Druid my-dr in namespace default: 28.0.1 → 36.0.0: refused: 1 check failed\n  \
             version-denied: 28.0.1 may not be updated to 36.0.0: its allowlist only has \">= 28.0.1 < 31.0.0\"\n",
        ),
    ] {
        let output = dbupdate(&format!("{line} --sandbox --dry-run --quiet"));
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(code), said));
        assert_eq!(text(&output.stderr), "");
    }
    let output = dbupdate("druid my-dr --to 36.0.0 --sandbox --yes -q");
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).contains("refused: 1 check failed\n  version-denied: "));
}

#[test]
fn nothing_to_do_is_said() {
    for how in ["--yes", "--dry-run", "--dry-run=server", "--yes -q"] {
        let output = dbupdate(&format!("zk my-zk --to 3.8.3 --sandbox {how}"));
        let said = "zookeeper/my-zk is on 3.8.3: 3 of 3 pods Ready; nothing to do\n";
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), said), "{how}");
    }
}

/// Whether there is anything to resume is said before anything else is asked for.
#[test]
fn nothing_to_resume_is_said_first() {
    let alone = "kafka/my-kf is on 3.5.2: 6 of 6 pods Ready; no unfinished run, nothing to do\n";
    for (line, said) in [
        ("resume kafka my-kf", alone),
        ("rollback kafka my-kf", alone),
        ("resume kafka my-kf --yes --through", alone),
        ("resume kafka my-kf --dry-run", alone),
        ("resume kafka", "no kafka in namespace default has an unfinished run; nothing to do\n"),
        ("rollback kafka --yes", "no kafka in namespace default has an unfinished run; nothing to do\n"),
    ] {
        let output = dbupdate(&format!("{line} --sandbox"));
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!((output.status.code(), stdout.as_str(), stderr.as_str()), (Some(0), said, ""), "{line}");
    }
    for line in ["resume kafka my-kf --yes", "resume kafka my-kf", "rollback kafka my-kf --yes"] {
        let output = dbupdate(&format!("{line} --sandbox -o json"));
        let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
        assert_eq!((output.status.code(), &result["outcome"]), (Some(0), &"nothing".into()), "{line}");
        assert_eq!((&result["paused"], &result["to"]["name"]), (&false.into(), &"3.5.2".into()), "{line}");
        assert_eq!(text(&output.stderr), "");
    }
    let output = dbupdate("resume kafka --sandbox -o json");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no database given; write KIND NAME"));
}

#[test]
fn a_refused_run_changes_nothing_and_says_why() {
    let output = dbupdate("druid my-dr --to 36.0.0 --sandbox --yes --progress json");
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).contains("version-denied"), "{}", text(&output.stdout));
}

/// `kubectl dbupdate … | head`.
#[test]
fn a_reader_that_goes_away_ends_a_dry_run_quietly() {
    let mut child = command("kafka my-kf --to 3.6.1 --sandbox --dry-run")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the binary ends");
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn the_served_sandbox_leaves_nothing_behind() {
    let (mut child, kubeconfig) = served(command("sandbox"));
    let config = std::fs::read_to_string(&kubeconfig).expect("the kubeconfig is there");
    assert!(config.contains("server: https://127.0.0.1:"), "{config}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&kubeconfig).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600, "nobody else reads it");
    signal::send(child.id(), "TERM");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(!kubeconfig.exists());
}

#[cfg(unix)]
#[test]
fn a_kubeconfig_of_somebody_else_is_not_overwritten() {
    let directory = std::env::temp_dir().join(format!("dbupdate-cli-test-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory of our own");
    let (path, ours) = (directory.join("config"), directory.join("ours"));
    let marked = "# written by kubectl dbupdate sandbox\n";
    std::fs::write(&path, "apiVersion: v1\n").expect("it can be written");
    std::fs::write(&ours, marked).expect("it can be written");
    let (link, pipe) = (directory.join("link"), directory.join("pipe"));
    std::os::unix::fs::symlink(&ours, &link).expect("it can be linked");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    for named in [&path, &link, &pipe] {
        let output = dbupdate(&format!("sandbox --kubeconfig-out {}", named.display()));
        assert_eq!(output.status.code(), Some(1), "{named:?}");
        assert!(text(&output.stderr).contains("was not written by this command"), "{named:?}");
    }
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "apiVersion: v1\n");
    assert_eq!(std::fs::read_to_string(&ours).expect("it is there"), marked);
    std::fs::remove_dir_all(&directory).expect("it can be removed");
}

/// The kernel says which signals a process ignores and which it catches; SIGHUP is the lowest bit of the masks.
#[cfg(target_os = "linux")]
#[test]
fn under_nohup_a_hang_up_stays_ignored() {
    let under_nohup = {
        let mut shell = Command::new("sh");
        let script = format!("trap '' HUP; exec {} sandbox", env!("CARGO_BIN_EXE_kubectl-dbupdate"));
        shell.args(["-c", &script]);
        shell
    };
    for (command, ignored) in [(under_nohup, true), (command("sandbox"), false)] {
        let (mut child, _) = served(command);
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
        let hang_up = |mask: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(mask)).expect("Linux says so");
            u64::from_str_radix(line.trim(), 16).expect("a mask") & 1 == 1
        };
        let (ignores, catches) = (hang_up("SigIgn:"), hang_up("SigCgt:"));
        signal::send(child.id(), "TERM");
        child.wait().expect("it ends");
        assert_eq!((ignores, catches), (ignored, !ignored));
    }
}

/// A client that opens many connections, as a browser or a load test does, does not end the sandbox.
#[cfg(unix)]
#[test]
fn a_sandbox_without_a_descriptor_left_goes_on_once_there_is_one() {
    let mut shell = Command::new("sh");
    let script = format!("ulimit -n 32; exec {} sandbox", env!("CARGO_BIN_EXE_kubectl-dbupdate"));
    shell.args(["-c", &script]);
    let (mut child, kubeconfig) = served(shell);
    let text = std::fs::read_to_string(&kubeconfig).expect("it is there");
    let address = text.split("https://").nth(1).and_then(|rest| rest.lines().next()).expect("an address");
    let connections: Vec<_> = (0..64).map(|_| std::net::TcpStream::connect(address)).collect();
    // Until the sandbox has accepted as many as it can.
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(child.try_wait().expect("it can be asked"), None, "it has ended");
    drop(connections);
    let output = dbupdate(&format!("list --kubeconfig {}", kubeconfig.display()));
    signal::send(child.id(), "TERM");
    child.wait().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", self::text(&output.stderr));
}

/// Starts the sandbox and waits until it is up: the process, and its kubeconfig.
#[cfg(unix)]
fn served(mut command: Command) -> (std::process::Child, std::path::PathBuf) {
    use std::io::{BufRead, BufReader};

    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the sandbox starts");
    let stdout = child.stdout.take().expect("it is piped");
    let kubeconfig = BufReader::new(stdout)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.trim().strip_prefix("export KUBECONFIG=").map(Into::into))
        .expect("the sandbox names its kubeconfig");
    (child, kubeconfig)
}

enum Stream {
    Out,
    Err,
}
