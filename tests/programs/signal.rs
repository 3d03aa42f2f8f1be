//! Signals for the processes that a test has started.

use std::process::Command;

/// Sends the signal of that name, e.g. `INT`.
pub fn send(pid: u32, name: &str) {
    // The shell's own: the program of that name is missing on small machines.
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status();
    assert!(sent.expect("sh runs").success());
}
