//! Files that are pipes, or devices without an end: a signal and `--timeout` end the reading, and a limit.
#![cfg(target_os = "linux")]

mod served;

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::Command;
use std::thread;

use served::{Directory, Running, dbupdate, run};

/// A kubeconfig in which one of the files is that one.
fn kubeconfig(what: &str, file: &Path) -> String {
    let (cluster, user) = match what {
        "certificate-authority" => (format!(", certificate-authority: {}", file.display()), String::new()),
        // One without the other is refused before either is read.
        "client-certificate" => (String::new(), format!("{what}: {}, client-key-data: eA==", file.display())),
        "client-key" => (String::new(), format!("{what}: {}, client-certificate-data: eA==", file.display())),
        _ => (String::new(), format!("{what}: {}", file.display())),
    };
    format!(
        "apiVersion: v1
kind: Config
current-context: c
clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'{cluster}}}}}]
contexts: [{{name: c, context: {{cluster: c, user: ann}}}}]
users: [{{name: ann, user: {{{user}}}}}]
"
    )
}

const FILES: [&str; 5] =
    ["kubeconfig", "certificate-authority", "client-certificate", "client-key", "tokenFile"];

/// A kubeconfig that is that file, or names it.
fn naming(directory: &Directory, what: &str, file: &Path) -> std::path::PathBuf {
    match what {
        "kubeconfig" => file.to_owned(),
        what => directory.file("config", &kubeconfig(what, file)),
    }
}

fn command(line: &str, kubeconfig: &Path) -> Command {
    let mut command = dbupdate(line);
    command.env("KUBECONFIG", kubeconfig);
    command
}

/// A pipe to which nobody writes.
fn pipe(directory: &Directory) -> std::path::PathBuf {
    let pipe = directory.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    pipe
}

#[test]
fn a_signal_or_the_timeout_ends_the_reading_of_a_pipe() {
    let ends = [("INT", 130), ("TERM", 143), ("", 124)];
    let cases = FILES.iter().enumerate().map(|(number, what)| (*what, ends[number % ends.len()]));
    let also = [("kubeconfig", ends[2]), ("tokenFile", ends[0])];
    thread::scope(|scope| {
        for (what, (signal, code)) in cases.chain(also) {
            scope.spawn(move || {
                let directory = Directory::new();
                let pipe = pipe(&directory);
                let config = naming(&directory, what, &pipe);
                let timeout = if signal.is_empty() { "1s" } else { "1h" };
                let line = format!("zk db --to 3.9.1 --dry-run --timeout {timeout}");
                let running = Running::start(command(&line, &config));
                // It opens once the file is being read, and is kept open without a word.
                let _silent = OpenOptions::new().write(true).open(&pipe).expect("somebody reads");
                if !signal.is_empty() {
                    running.signal(signal);
                }
                running.end().ended(code, "nothing was changed");
            });
        }
    });
}

#[test]
fn a_device_without_an_end_is_an_error() {
    thread::scope(|scope| {
        for what in FILES {
            for device in ["/dev/zero", "/dev/full"] {
                scope.spawn(move || {
                    let directory = Directory::new();
                    let config = naming(&directory, what, Path::new(device));
                    let said = format!("{device}: it is larger than 8 MiB");
                    run(command("status zk db", &config)).ended(1, &said);
                });
            }
        }
    });
}

/// As `--kubeconfig <(…)` of a shell.
#[test]
fn what_is_written_to_a_pipe_is_read() {
    let directory = Directory::new();
    let pipe = pipe(&directory);
    let running = Running::start(command("status zk db --context other", &pipe));
    fs::write(&pipe, kubeconfig("tokenFile", Path::new("/dev/null"))).expect("somebody reads");
    running.end().ended(1, "no context \"other\"; it has c");
}
