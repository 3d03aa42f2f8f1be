//! Programs that a test drives, and that a bare machine may lack.

use std::io::Write;

/// Whether the program is on the `PATH`. Where it is not, the calling test has nothing to test and returns: this says so, and
/// fails where `CI` is set, because a CI must not overlook it.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(there || std::env::var_os("CI").is_none(), "{program} has to be installed in a CI");
    if !there {
        not_tested(&format!("{program} is not installed"));
    }
    there
}

/// Says that the calling test is skipped. The test harness hides what a passing test prints with a macro, so this writes to
/// standard error itself.
pub fn not_tested(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // In one write, because other tests write at the same time. Where standard error is closed, nobody can be told.
    let _ = std::io::stderr().write_all(format!("NOT TESTED: {test}: {why}\n").as_bytes());
}
