use super::*;
use crate::cli::args::{Command, parse};
use crate::cluster::ConnectOptions;

/// A terminal that everything is connected to.
const TTY: Terminal =
    Terminal { stdin: true, stdout: true, stderr: true, dumb: false, no_color: false, width: Some(80) };

/// No terminal at all, as in a pipeline.
const NONE: Terminal =
    Terminal { stdin: false, stdout: false, stderr: false, dumb: true, no_color: false, width: None };

fn options(line: &str, terminal: &Terminal) -> Result<UpdateOptions, UsageError> {
    let words = std::iter::once("kubectl-dbupdate").chain(line.split(' '));
    let cli = parse(words).expect(line);
    UpdateOptions::new(cli.update, cli.cluster, terminal)
}

fn refused(line: &str, terminal: &Terminal) -> String {
    options(line, terminal).expect_err(line).to_string()
}

#[test]
fn a_database_is_named_in_several_forms() {
    let my_kf = Some("my-kf".to_owned());
    for (line, kind, name) in [
        ("kafka my-kf", Some(Kind::Kafka), my_kf.clone()),
        ("kafka/my-kf", Some(Kind::Kafka), my_kf.clone()),
        ("kafkas.kubedb.com/my-kf", Some(Kind::Kafka), my_kf.clone()),
        ("kf my-kf", Some(Kind::Kafka), my_kf),
        ("zk", Some(Kind::ZooKeeper), None),
        ("--yes", None, None),
    ] {
        let options = options(line, &TTY).expect(line);
        assert_eq!((options.kind, options.name), (kind, name), "{line}");
    }
}

#[test]
fn what_names_no_database_is_refused() {
    let long = format!("kafka {}", "a".repeat(64));
    for (line, said) in [
        ("kafak my-kf", "unknown kind of database \"kafak\"; did you mean kafka?"),
        (
            "postgres my-pg",
            "unknown kind of database \"postgres\"; the supported kinds are kafka, druid, cassandra, hazelcast, \
             zookeeper",
        ),
        ("kafka/my-kf my-kf", "given twice"),
        ("kafka/my/kf", "more than one '/'"),
        ("kafka/", "\"\" must consist of"),
        ("kafka My_kf", "\"My_kf\" must consist of"),
        ("kafka kf\u{1b}[2J", "\"kf [2J\" must consist of"),
        (long.as_str(), "longer than 63 characters"),
        ("-n My_ns kafka my-kf", "the namespace \"My_ns\" must"),
        ("kafka my-kf --to=", "--to is empty"),
        ("kafka my-kf --to=\u{a0}", "--to is empty"),
    ] {
        let text = refused(line, &TTY);
        assert!(text.contains(said), "{line}: {text}");
        assert!(!text.contains('\n'), "{line}: {text}");
    }
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let no_stdin = Terminal { stdin: false, ..TTY };
    let no_stderr = Terminal { stderr: false, ..TTY };
    let no_stdout = Terminal { stdout: false, ..TTY };
    let dumb = Terminal { dumb: true, ..TTY };
    let yes_required = Err(UsageError::YesRequired);
    for (line, terminal, expected) in [
        ("kafka my-kf --to 3.6.1", TTY, Ok(())),
        ("kafka my-kf --to 3.6.1", no_stdout, Ok(())),
        ("kafka my-kf --to 3.6.1", dumb, Ok(())),
        ("kafka my-kf --to 3.6.1", no_stdin, yes_required.clone()),
        ("kafka my-kf --to 3.6.1", no_stderr, yes_required.clone()),
        ("kafka my-kf --to 3.6.1", NONE, yes_required),
        ("kafka my-kf --to 3.6.1 --yes", NONE, Ok(())),
        ("kafka my-kf --to 3.6.1 --dry-run", NONE, Ok(())),
        ("kafka my-kf --to 3.6.1 -q", TTY, Err(UsageError::QuietQuestion)),
        ("kafka my-kf --to 3.6.1 -q --yes", TTY, Ok(())),
        ("kafka my-kf --to 3.6.1 --quiet --dry-run", TTY, Ok(())),
        ("--to 3.6.1", TTY, Ok(())),
        ("--to 3.6.1 --yes", NONE, Err(UsageError::KindMissing)),
        ("--to 3.6.1 --yes", dumb, Err(UsageError::KindMissing)),
    ] {
        let found = options(line, &terminal).map(|_| ());
        assert_eq!(found, expected, "{line} on {terminal:?}");
    }
}

#[test]
fn the_sandbox_goes_without_a_connection() {
    let sandbox = |faults: &[Fault]| Ok(Target::Sandbox(faults.to_vec()));
    let refused = |flag| Err(UsageError::SandboxAndConnection { flag });
    let cluster = Target::Cluster(Box::default());
    let context = Target::Cluster(Box::new(ConnectOptions {
        context: Some("prod".into()),
        ..ConnectOptions::default()
    }));
    for (line, expected) in [
        ("kafka my-kf", Ok(cluster.clone())),
        ("kafka my-kf --context=", Ok(cluster)),
        ("kafka my-kf --context prod", Ok(context)),
        ("kafka my-kf --sandbox", sandbox(&[])),
        ("kafka my-kf --sandbox --sandbox-fail pull,no-operator", sandbox(&[Fault::Pull, Fault::NoOperator])),
        ("kafka my-kf --sandbox -n other", sandbox(&[])),
        ("kafka my-kf --sandbox --context prod", refused("context")),
        ("kafka my-kf --sandbox --kubeconfig f", refused("kubeconfig")),
        ("kafka my-kf --sandbox -s http://h", refused("server")),
        ("kafka my-kf --sandbox --token t", refused("token")),
        ("kafka my-kf --sandbox --insecure-skip-tls-verify", refused("insecure-skip-tls-verify")),
    ] {
        assert_eq!(options(line, &TTY).map(|o| o.target), expected, "{line}");
    }
}

#[test]
fn the_sandbox_command_connects_to_nothing() {
    for (line, expected) in [
        ("sandbox", Ok(vec![])),
        ("sandbox --fail crash --fail budget", Ok(vec![Fault::Crash, Fault::Budget])),
        ("-n db sandbox", Err(UsageError::SandboxCommand { flag: "namespace" })),
        ("sandbox --context c", Err(UsageError::SandboxCommand { flag: "context" })),
        ("sandbox --sandbox", Err(UsageError::SandboxCommand { flag: "sandbox" })),
    ] {
        let cli = parse(std::iter::once("x").chain(line.split(' '))).expect(line);
        let Some(Command::Sandbox(sandbox)) = cli.command else {
            panic!("{line} is the sandbox command");
        };
        let found = SandboxOptions::new(sandbox, cli.cluster).map(|o| o.faults);
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn progress_follows_the_terminal() {
    let dumb = Terminal { dumb: true, ..TTY };
    let piped = Terminal { stderr: false, ..TTY };
    for (line, terminal, expected) in [
        ("kf a --yes", TTY, Ok(Progress::Bars)),
        ("kf a --yes", dumb, Ok(Progress::Plain)),
        ("kf a --yes", piped, Ok(Progress::Plain)),
        ("kf a --yes -o json", TTY, Ok(Progress::Bars)),
        ("kf a --yes --progress bars", TTY, Ok(Progress::Bars)),
        ("kf a --yes -v 6", TTY, Ok(Progress::Plain)),
        ("kf a --yes -v=2 --progress bars", TTY, Ok(Progress::Bars)),
        ("kf a --yes --progress bars", piped, Err(UsageError::BarsWithoutTerminal)),
        ("kf a --yes --progress bars", dumb, Err(UsageError::BarsWithoutTerminal)),
        ("kf a --yes --progress plain", TTY, Ok(Progress::Plain)),
        ("kf a --yes --progress none", TTY, Ok(Progress::None)),
        ("kf a --yes -q", TTY, Ok(Progress::None)),
        ("kf a --yes --progress json", TTY, Ok(Progress::Json)),
        ("kf a --yes --progress json -o json", TTY, Err(UsageError::TwoOutputs { format: "json" })),
        ("kf a --yes --progress json -o yaml", TTY, Err(UsageError::TwoOutputs { format: "yaml" })),
        ("kf a --dry-run --progress json -o yaml", TTY, Ok(Progress::Json)),
    ] {
        let found = options(line, &terminal).map(|o| o.progress);
        assert_eq!(found, expected, "{line} on {terminal:?}");
    }
}

#[test]
fn colours_follow_the_terminal_unless_told() {
    let no_color = Terminal { no_color: true, ..TTY };
    let dumb = Terminal { dumb: true, ..TTY };
    let piped = Terminal { stdout: false, ..TTY };
    for (line, terminal, stdout, stderr) in [
        ("kf a", TTY, true, true),
        ("kf a", no_color, false, false),
        ("kf a", dumb, false, false),
        ("kf a", piped, false, true),
        ("kf a --color never", TTY, false, false),
        ("kf a --color always", no_color, true, true),
        ("kf a --color always --dry-run", NONE, true, true),
    ] {
        let colors = options(line, &terminal).expect(line).colors;
        assert_eq!(colors, Colors { stdout, stderr }, "{line} on {terminal:?}");
    }
}

#[test]
fn checks_are_overridden_by_name_only() {
    let options = options("kf a --skip-check phase,drift --allow-downgrade --allow-deprecated", &TTY)
        .expect("a valid line");
    let expected = [Check::Phase, Check::Drift, Check::Downgrade, Check::DeprecatedTarget];
    assert_eq!(options.skip, BTreeSet::from(expected));

    for name in ["locked", "version-denied", "phse", ""] {
        let text = refused(&format!("kf a --skip-check={name}"), &TTY);
        assert!(text.contains(&format!("check {name:?} cannot be skipped")), "{text}");
        for check in Check::OVERRIDABLE {
            assert!(text.contains(&check.to_string()), "{text}");
        }
    }
}

#[test]
fn times_are_checked() {
    let found = options("kf a --timeout 1h --min-ready 5", &TTY).expect("a valid line");
    assert_eq!(found.timeout, Some(Duration::from_secs(3600)));
    assert_eq!(found.min_ready, Duration::from_secs(5));
    assert_eq!(options("kf a", &TTY).expect("a valid line").timeout, None);
    assert_eq!(options("kf a --pod-timeout 0", &TTY), Err(UsageError::PodTimeout));
}

#[test]
fn a_version_is_taken_without_the_blanks_around_it() {
    for typed in ["3.6.1", " 3.6.1 ", "3.6.1\r", " kafkaversion.catalog.kubedb.com/3.6.1\n"] {
        let cli = parse(["x", "kf", "a", "--to", typed]).expect(typed);
        let options = UpdateOptions::new(cli.update, cli.cluster, &TTY).expect(typed);
        assert_eq!(options.to.as_deref(), Some("3.6.1"), "{typed:?}");
    }
    assert_eq!(options("kf a --to Latest", &TTY).expect("a valid line").to.as_deref(), Some("latest"));
}
