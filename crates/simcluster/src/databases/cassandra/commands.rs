//! The commands that are known in the container of a Cassandra node: as much of them as lists its sstables, tells the room on
//! its disk, and has it rewrite what is old.

use std::time::Duration;

use tokio::time::sleep;

use crate::databases::asker::{Asked, Asker};
use crate::databases::disk::{Disk, Sstable};
use crate::databases::id;
use crate::databases::member::Deed;
use crate::databases::trouble::{Trouble, means};
use crate::execution::Ended;
use crate::pattern::Pattern;

/// Where a node keeps its sstables.
pub(super) const DATA: &str = "/var/lib/cassandra/data";

/// How often nodetool looks whether the node has done what it was told.
const POLL: Duration = Duration::from_millis(100);

/// Runs a command in the container of a node.
pub(in crate::databases) async fn execute(asker: &Asker, words: &[String]) -> Ended {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words = without_environment(&words);
    let Some(asked) = asker.ask() else { return Ended::failed(137, "the process is gone") };
    let disk = asked.view.disk(&asked.me.pod);
    match words {
        ["find", rest @ ..] => find(&asked, &disk, rest),
        ["df", flags @ .., directory] if flags.iter().all(|flag| flag.starts_with('-')) => {
            df(&disk, directory)
        }
        ["nodetool", "upgradesstables", ..] => upgrade(asker, &asked).await,
        [program, ..] => Ended::failed(127, &format!("{program}: not simulated")),
        [] => Ended::default(),
    }
}

/// `env` with its settings runs the words behind them.
fn without_environment<'a, 'w>(words: &'a [&'w str]) -> &'a [&'w str] {
    let ["env", rest @ ..] = words else { return words };
    let mut rest = rest;
    while let ["-u", _, behind @ ..] = rest {
        rest = behind;
    }
    let settings = rest.iter().take_while(|word| word.contains('=')).count();
    &rest[settings..]
}

fn df(disk: &Disk, directory: &str) -> Ended {
    const KIB: u64 = 1024;
    let used: u64 = disk.sstables.iter().map(|sstable| sstable.bytes).sum();
    if directory != DATA {
        return Ended::failed(1, &format!("df: {directory}: No such file or directory"));
    }
    let (used, free) = (used / KIB, disk.free / KIB);
    let (all, part) = (used + free, used * 100 / (used + free).max(1));
    Ended::well(format!(
        "Filesystem     1024-blocks    Used Available Capacity Mounted on\n\
         /dev/nvme1n1  {all:>12} {used:>7} {free:>9} {part:>7}% /var/lib/cassandra\n"
    ))
}

/// The files of a node by their paths.
fn files(asked: &Asked, disk: &Disk) -> Vec<(String, u64)> {
    let path = |kept: &str, (place, sstable): (usize, &Sstable)| {
        let Sstable { keyspace, table, format, bytes } = sstable;
        let id = id::uuid(&format!("{}/{keyspace}.{table}", asked.view.uid)).replace('-', "");
        let kind = if format.starts_with('d') { "bti" } else { "big" };
        (format!("{DATA}/{keyspace}/{table}-{id}/{kept}{format}-{}-{kind}-Data.db", place + 1), *bytes)
    };
    let live = disk.sstables.iter().enumerate().map(|it| path("", it));
    live.chain(disk.snapshot.iter().enumerate().map(|it| path("snapshots/before/", it))).collect()
}

/// `find` with directories, `-path X -prune`, `-name X` and what `ls -ln` or itself prints.
fn find(asked: &Asked, disk: &Disk, words: &[&str]) -> Ended {
    let words: Vec<&str> =
        words.iter().copied().skip_while(|word| matches!(*word, "-L" | "-H" | "-P")).collect();
    let below: Vec<&str> = words.iter().copied().take_while(|word| !word.starts_with(['-', '('])).collect();
    if let Some(missing) = below.iter().find(|directory| !directory.starts_with(DATA)) {
        return Ended::failed(1, &format!("find: '{missing}': No such file or directory"));
    }
    let behind = |flag: &'static str| {
        words
            .windows(2)
            .filter(move |pair| pair[0] == flag)
            .map(|pair| Pattern::new(pair[1]))
            .collect::<Vec<_>>()
    };
    let (pruned, names) = (behind("-path"), behind("-name"));
    let fits = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
        below.iter().any(|directory| path.starts_with(directory))
            && names.iter().all(|pattern| pattern.matches(name))
            && !folders.into_iter().any(|folder| pruned.iter().any(|pattern| pattern.matches(folder)))
    };
    let listed = words.contains(&"ls");
    let line = |(path, bytes): (String, u64)| match listed {
        true => format!("-rw-r--r-- 1 999 999 {bytes:>10} Nov 29 22:31 {path}\n"),
        false => format!("{path}\n"),
    };
    let found = files(asked, disk).into_iter().filter(|(path, _)| fits(path));
    Ended::well(found.map(line).collect::<String>())
}

/// Has the node rewrite its old sstables, and waits until it has.
async fn upgrade(asker: &Asker, asked: &Asked) -> Ended {
    let (pod, view) = (&asked.me.pod, &asked.view);
    asker.obey(Deed::Rewrite);
    if view.any(|trouble| matches!(trouble, Trouble::LosesCommands { pods } if means(pods, pod))) {
        return Ended::lost();
    }
    loop {
        // The processes of a container end with it.
        let Some(asked) = asker.look() else { return Ended { code: Some(137), ..Ended::default() } };
        match asked.view.rewriting(pod) {
            Some(rewriting) if !rewriting.has_ended(asked.view.now) => {}
            Some(rewriting) => {
                return match rewriting.failure() {
                    None => Ended::well(""),
                    Some(why) => Ended::failed(2, &format!("error: {why}")),
                };
            }
            None => return Ended::well(""),
        }
        sleep(POLL).await;
    }
}
