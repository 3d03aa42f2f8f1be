use std::time::Duration;

use super::*;
use crate::cli::run_args::{PAUSE_TIMEOUT, POD_TIMEOUT, WAIT_READY};
use crate::cli::values::{DryRun, Output};

fn parsed(line: &str) -> Result<Cli, clap::Error> {
    parse(std::iter::once("kubectl-dbupdate").chain(line.split_whitespace()))
}

#[test]
fn the_definition_is_consistent() {
    definition().debug_assert();
}

#[test]
fn defaults_are_as_documented() {
    let cli = parsed("kafka my-kf").expect("a valid line");
    let update = &cli.update;
    assert_eq!(update.kind.as_deref(), Some("kafka"));
    assert_eq!(update.name.as_deref(), Some("my-kf"));
    assert_eq!((update.run.shown.dry_run, update.run.shown.yes), (None, false));
    assert_eq!(update.run.shown.output, Output::Table);
    assert_eq!(update.run.shown.timeout, Duration::ZERO);
    assert_eq!(update.run.pod_timeout, POD_TIMEOUT);
    assert_eq!(update.run.min_ready, Duration::ZERO);
    assert_eq!(update.run.pause_timeout, PAUSE_TIMEOUT);
    assert_eq!(update.run.wait_ready, WAIT_READY);
    assert!(!cli.cluster.sandbox && cli.command.is_none());
}

#[test]
fn help_and_version_may_be_words() {
    for (word, flag) in [
        ("help", "--help"),
        ("help resume", "resume --help"),
        ("help update", "update --help"),
        ("help kf", "update --help"),
    ] {
        let [word, flag] = [word, flag].map(|line| parsed(line).expect_err(line));
        assert_eq!((word.kind(), word.to_string()), (ErrorKind::DisplayHelp, flag.to_string()));
    }
    for line in ["version", "--version", "-V", "--version -n db"] {
        let answer = parsed(line).expect_err(line);
        let said = (answer.kind(), answer.to_string());
        assert_eq!(said, (ErrorKind::DisplayVersion, format!("kubectl-dbupdate {VERSION}\n")), "{line}");
    }
}

#[test]
fn an_update_may_be_named_as_such() {
    for line in ["kafka my-kf --to 3.6.1 -n db", "-n db update kafka my-kf --to 3.6.1"] {
        let cli = parsed(line).expect(line);
        let update = match cli.command {
            Some(Command::Update(update)) => *update,
            _ => cli.update,
        };
        let typed = [update.kind, update.name, update.to, cli.cluster.namespace];
        let expected = ["kafka", "my-kf", "3.6.1", "db"].map(|word| Some(word.to_owned()));
        assert_eq!(typed, expected, "{line}");
    }
}

#[test]
fn dry_run_swallows_no_word() {
    for (line, dry_run, name) in [
        ("kafka --dry-run my-kf", Some(DryRun::Client), Some("my-kf")),
        ("kafka --dry-run server", Some(DryRun::Client), Some("server")),
        ("kafka my-kf --dry-run", Some(DryRun::Client), Some("my-kf")),
        ("kafka my-kf --dry-run=client", Some(DryRun::Client), Some("my-kf")),
        ("--dry-run=server kafka my-kf", Some(DryRun::Server), Some("my-kf")),
        ("kafka my-kf", None, Some("my-kf")),
    ] {
        let cli = parsed(line).expect(line);
        assert_eq!(cli.update.run.shown.dry_run, dry_run, "{line}");
        assert_eq!(cli.update.name.as_deref(), name, "{line}");
    }
}

#[test]
fn checks_are_repeated_or_separated_by_commas() {
    let cli = parsed("kf a --skip-check phase,drift --skip-check=downgrade").expect("a valid line");
    assert_eq!(cli.update.run.skip_check, ["phase", "drift", "downgrade"]);
}

#[test]
fn flags_of_the_cluster_stand_anywhere() {
    for line in [
        "-n db kafka my-kf",
        "kafka -n db my-kf",
        "kafka my-kf --namespace=db",
        "-n db sandbox",
        "sandbox -n db",
    ] {
        let cli = parsed(line).expect(line);
        assert_eq!(cli.cluster.namespace.as_deref(), Some("db"), "{line}");
    }
}

#[test]
fn what_cannot_be_is_a_usage_error() {
    for (line, said) in [
        ("kafka my-kf extra", "unexpected argument 'extra'"),
        ("kafka my-kf --dry-run=none", "[possible values: client, server]"),
        ("kafka my-kf -o wide", "[possible values: table, json, yaml]"),
        ("kafka my-kf --timeout=-5s", "cannot be negative"),
        ("kafka my-kf --pod-timeout soon", "not a duration"),
        ("kafka my-kf --outptu json", "similar argument exists: '--output'"),
        ("kafka my-kf --sandbox-fail pull", "--sandbox"),
        ("kafka sandbox", "'sandbox' is a command; to name a database 'sandbox', write KIND/sandbox"),
        ("--to 3.6.1 sandbox", "--to cannot be used with the command 'sandbox'"),
        ("sandbox --port 70000", "70000"),
        ("kafka my-kf --version 3.9.1", "did you mean --to?"),
        ("kafka my-kf --version=3.9.1", "did you mean --to?"),
        ("--version 3.9.1", "did you mean --to?"),
        ("--version kafka", "did you mean --to?"),
        ("--version --to 3.9.1", "did you mean --to?"),
        ("update kafka my-kf --version 3.9.1", "did you mean --to?"),
        ("kafka my-kf -V", "did you mean --to?"),
        ("--version status", "--version cannot be used with the command 'status'"),
        ("statu kafka my-kf", "unknown command \"statu\"; did you mean status?"),
        ("lst -A", "unknown command \"lst\"; did you mean list?"),
        ("kafak my-kf -A", "unknown kind of database \"kafak\"; did you mean kafka?"),
        ("kafka my-kf -A", "unexpected argument '-A'"),
        ("help statu", "unknown command \"statu\"; did you mean status?"),
        ("help kafak", "unknown command \"kafak\""),
        ("sandbox --fail nothing", "[possible values: pull"),
    ] {
        let error = parsed(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        let text = error.to_string();
        assert!(text.contains(said), "{line}: {text}");
    }
}
