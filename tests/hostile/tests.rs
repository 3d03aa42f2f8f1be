//! One test for each kind, and tests of the judge itself: it must not let anything pass.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::KINDS;
use crate::judge::{Ended, MEMORY, judge_all, verdict};
use crate::row::{SECRET, row};

macro_rules! kinds {
    ($($test:ident: $kind:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            let (_, rows) = KINDS.iter().find(|(kind, _)| *kind == $kind).expect("a kind of that name");
            judge_all(&rows());
        })*

        #[test]
        fn every_kind_has_a_test() {
            assert_eq!(KINDS.map(|(kind, _)| kind), [$($kind),*]);
        }
    };
}

kinds!(
    command_line: "command line",
    kubeconfig: "kubeconfig",
    plugins: "credential plugins",
    answers: "answers of the server",
    lists: "lists and watches",
    objects: "objects",
    databases: "answers of the database",
    runs: "during a run",
    journal: "journal",
    forged: "forged runs",
    locks: "lock and conditions",
    registries: "registries and logins",
    completion: "completion, files and next lines",
);

#[test]
fn the_documentation_tells_how_many_there_are() {
    let counted: Vec<(&str, usize)> = KINDS.iter().map(|(kind, rows)| (*kind, rows().len())).collect();
    let all: usize = counted.iter().map(|(_, rows)| rows).sum();
    assert!(all >= 250, "{all}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/safety.md");
    let safety = fs::read_to_string(path).expect("it can be read");
    let row = safety.lines().find(|line| line.contains("`cargo test --test hostile`"));
    let cells: Vec<&str> = row.expect("safety.md has the suite").split('|').map(str::trim).collect();
    assert_eq!(cells[2].replace(',', ""), all.to_string(), "{counted:?}");
}

#[test]
fn no_two_rows_have_one_name_and_every_row_says_how_it_ends() {
    let mut names = BTreeSet::new();
    for (kind, rows) in KINDS {
        for row in rows() {
            assert!(!row.codes.is_empty(), "{kind}: {}", row.name);
            assert!(names.insert(row.name.clone()), "{kind}: {}", row.name);
        }
    }
}

fn ended(code: i32, stdout: &str, stderr: &str) -> Ended {
    Ended {
        status: Some(ExitStatus::from_raw(code << 8)),
        stdout: stdout.as_bytes().to_vec(),
        stderr: stderr.as_bytes().to_vec(),
        took: Duration::ZERO,
    }
}

#[test]
fn the_judge_lets_nothing_pass() {
    let asked = || row("x", "status").ends(0).says("it is said").hides("not this");
    let good = "it is\n said\tünïcode → \\u00fc";
    assert_eq!(verdict(&asked(), &ended(0, good, "")), [""; 0]);
    for (code, stdout, stderr) in [
        (1, good, ""),
        (101, good, ""),
        (0, "it was said", ""),
        (0, good, "\u{1b}[2J"),
        (0, good, "\u{7}"),
        (0, good, "\u{9b}31m"),
        (0, good, "\u{202e}"),
        (0, good, "\u{200b}"),
        (0, good, "soft\u{ad}hyphen"),
        (0, good, "\r"),
        (0, "it is said \"\\u001b[2J\"", ""),
        (0, "it is said \"\\u202e\"", ""),
        (0, good, "thread 'main' panicked at src/main.rs"),
        (0, good, SECRET),
        (0, good, "not this"),
    ] {
        assert_eq!(verdict(&asked(), &ended(code, stdout, stderr)).len(), 1, "{code} {stdout:?} {stderr:?}");
    }
    let killed = |status| Ended { status, ..ended(0, good, "") };
    assert_eq!(verdict(&asked(), &killed(None)).len(), 1, "it has not ended");
    assert_eq!(verdict(&asked(), &killed(Some(ExitStatus::from_raw(6)))).len(), 1, "it was aborted");
    assert_eq!(verdict(&asked().ends(101), &ended(101, good, "")).len(), 1, "no row can allow a panic");
    let long = "x".repeat(2 << 20);
    assert_eq!(verdict(&row("x", "status").ends(0), &ended(0, &long, "")).len(), 1, "it has no end");
    let mut odd = ended(0, good, "");
    odd.stdout.push(0xff);
    assert_eq!(verdict(&row("x", "status").ends(0), &odd).len(), 1, "it is not UTF-8");
}

/// The limit bites: a program that needs more is refused it.
#[test]
fn memory_is_bounded() {
    if !cfg!(target_os = "linux") {
        // Written past the harness, which hides what a passing test prints.
        let said = b"NOT TESTED: the memory that a row uses, which only Linux bounds\n";
        let _ = std::io::stderr().write_all(said);
        return;
    }
    let keeps = |kib: u64| {
        let bytes = kib << 10;
        let script = format!(
            "ulimit -d {MEMORY}; head -c {bytes} /dev/zero | tail -c {bytes} | wc -c | grep -qx {bytes}"
        );
        Command::new("sh").args(["-c", &script]).output().expect("sh runs").status.success()
    };
    assert!(keeps(MEMORY / 4), "a small program fits");
    assert!(!keeps(MEMORY * 2), "a large one does not");
}
