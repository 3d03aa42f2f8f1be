//! Tells `--version` what was built: from which commit, for which target.

use std::env;
use std::path::Path;
use std::process::Command;

/// What the program is made of: a commit says nothing of it when these have changed since.
const SOURCES: [&str; 5] = ["build.rs", "Cargo.lock", "Cargo.toml", "crates", "src"];

fn main() {
    // With any line of this kind, Cargo no longer runs this for every file that changes.
    println!("cargo::rerun-if-changed=build.rs");
    let target = env::var("TARGET").unwrap_or_default();
    let from = match env::var("PROFILE").as_deref() {
        Ok("release") => commit(),
        // A commit in it would have every commit build all tests anew.
        _ => Some("debug build".to_owned()),
    };
    let built = from.map_or(target.clone(), |from| format!("{from}, {target}"));
    println!("cargo::rustc-env=DBUPDATE_BUILT={built}");
}

/// The commit, shortened; `-modified` follows where the sources differ from it. `None` without git, and outside a
/// repository of our own: an archive of the sources may have been unpacked inside another's.
fn commit() -> Option<String> {
    let root = env::var("CARGO_MANIFEST_DIR").ok()?;
    if !Path::new(&root).join(".git").exists() {
        return None;
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    // A path that is not there would have Cargo run this each time: not every repository keeps the log.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let changes = git(&[&["status", "--porcelain", "--untracked-files=no", "--"], &SOURCES[..]].concat())?;
    Some(if changes.is_empty() { commit } else { format!("{commit}-modified") })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
