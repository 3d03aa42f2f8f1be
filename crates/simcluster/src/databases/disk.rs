//! What a Cassandra node has on its disk, and its rewriting of that.

use std::time::Duration;

use tokio::time::Instant;

use super::contents::Contents;

/// How long a node takes to rewrite one sstable.
const EACH: Duration = Duration::from_secs(2);

/// The format of the sstables of 4.0 and 4.1.
const NB: &str = "nb";

/// An sstable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sstable {
    /// The keyspace.
    pub keyspace: String,
    /// The table.
    pub table: String,
    /// The letters with which the names of its files begin.
    pub format: String,
    /// How large it is.
    pub bytes: u64,
}

impl Sstable {
    /// An sstable of a table.
    pub fn new(keyspace: &str, table: &str, format: &str, bytes: u64) -> Self {
        Self { keyspace: keyspace.to_owned(), table: table.to_owned(), format: format.to_owned(), bytes }
    }
}

/// The disk of a node, which outlives its pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// What the node works with.
    pub sstables: Vec<Sstable>,
    /// What it has put aside as a snapshot, which it never rewrites.
    pub snapshot: Vec<Sstable>,
    /// How many bytes are free.
    pub free: u64,
}

impl Default for Disk {
    /// That of a node whose first version was 4.0 or later, with all of its sstables in the format of that.
    fn default() -> Self {
        let sstable = |keyspace, table, bytes| Sstable::new(keyspace, table, NB, bytes);
        let sstables = vec![
            sstable("system", "local", 6_000),
            sstable("system_schema", "tables", 9_000),
            sstable("shop", "orders", 3 << 20),
            sstable("shop", "orders", 700_000),
            sstable("shop", "items", 400_000),
        ];
        Self { snapshot: Vec::new(), sstables, free: 8 << 30 }
    }
}

/// The format that a node of this version writes.
pub(super) fn written(version: &str, contents: &Contents) -> &'static str {
    match contents.storage_compatibility_mode.as_deref() {
        Some("UPGRADING" | "NONE") if version.starts_with("5.") => "oa",
        _ => NB,
    }
}

/// What comes of a rewriting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All is rewritten.
    Well,
    /// It ends before this sstable, for this reason.
    Fails(usize, String),
}

/// A rewriting that a node was told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rewriting {
    /// Which, counted from the first.
    pub number: u32,
    begun: Instant,
    /// The format that the sstables get.
    to: String,
    /// Which of them, by their places.
    old: Vec<usize>,
    outcome: Outcome,
}

/// How far one sstable is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub keyspace: String,
    pub table: String,
    pub done: u64,
    pub total: u64,
}

/// A disk, and what the process of its node does to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Volume {
    disk: Disk,
    /// The last rewriting of the process that runs now.
    pub rewriting: Option<Rewriting>,
    /// How often one has begun.
    pub count: u32,
}

impl Volume {
    pub fn new(disk: Disk) -> Self {
        Self { disk, ..Self::default() }
    }

    /// What is on the disk at a time.
    pub fn disk(&self, now: Instant) -> Disk {
        let mut disk = self.disk.clone();
        if let Some(rewriting) = &self.rewriting {
            for place in &rewriting.old[..rewriting.done(now)] {
                disk.sstables[*place].format.clone_from(&rewriting.to);
            }
        }
        disk
    }

    /// The node begins to rewrite all sstables that are not of this format. One that does so already goes on.
    pub fn rewrite(&mut self, to: &str, breaks: bool, now: Instant) {
        if self.rewriting.as_ref().is_some_and(|rewriting| !rewriting.has_ended(now)) {
            return;
        }
        self.stop(now);
        let old = self.disk.sstables.iter().enumerate().filter(|(_, sstable)| sstable.format != to);
        let old: Vec<usize> = old.map(|(place, _)| place).collect();
        let large = old.iter().position(|place| self.disk.sstables[*place].bytes > self.disk.free);
        let outcome = match (breaks, large) {
            (true, _) => Outcome::Fails(old.len() / 2, "Error occurred during sstable upgrade".to_owned()),
            (false, Some(at)) => {
                let table = &self.disk.sstables[old[at]].table;
                Outcome::Fails(
                    at,
                    format!("Not enough space for compaction ({table}), estimated sstables = 1"),
                )
            }
            (false, None) => Outcome::Well,
        };
        self.count += 1;
        self.rewriting = Some(Rewriting { number: self.count, begun: now, to: to.to_owned(), old, outcome });
    }

    /// The process ends: what it has rewritten stays, the rest is as it was.
    pub fn stop(&mut self, now: Instant) {
        self.disk = self.disk(now);
        self.rewriting = None;
    }

    /// What the node is doing.
    pub fn progress(&self, now: Instant) -> Option<Progress> {
        let rewriting = self.rewriting.as_ref().filter(|rewriting| !rewriting.has_ended(now))?;
        let sstable = &self.disk.sstables[*rewriting.old.get(rewriting.done(now))?];
        let part = rewriting.spent(now).as_millis() % EACH.as_millis();
        let done = u128::from(sstable.bytes) * part / EACH.as_millis();
        Some(Progress {
            keyspace: sstable.keyspace.clone(),
            table: sstable.table.clone(),
            done: u64::try_from(done).unwrap_or_default(),
            total: sstable.bytes,
        })
    }
}

impl Rewriting {
    fn spent(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.begun)
    }

    /// How many sstables will be rewritten.
    fn last(&self) -> usize {
        match &self.outcome {
            Outcome::Well => self.old.len(),
            Outcome::Fails(at, _) => *at,
        }
    }

    /// How many are.
    fn done(&self, now: Instant) -> usize {
        let done = self.spent(now).as_millis() / EACH.as_millis();
        usize::try_from(done).unwrap_or(usize::MAX).min(self.last())
    }

    pub fn has_ended(&self, now: Instant) -> bool {
        self.done(now) == self.last()
    }

    /// Why it has failed, if it has.
    pub fn failure(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Well => None,
            Outcome::Fails(_, why) => Some(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats(volume: &Volume, now: Instant) -> String {
        let disk = volume.disk(now);
        disk.sstables.iter().map(|sstable| sstable.format.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn volume(free: u64) -> Volume {
        let sstable = |format, bytes| Sstable::new("shop", "orders", format, bytes);
        let sstables = vec![sstable("md", 10), sstable("nb", 10), sstable("me", 20)];
        Volume::new(Disk { sstables, free, snapshot: Vec::new() })
    }

    #[tokio::test(start_paused = true)]
    async fn old_sstables_are_rewritten_one_after_the_other() {
        let (mut volume, begun) = (volume(100), Instant::now());
        volume.rewrite("nb", false, begun);
        assert_eq!(formats(&volume, begun), "md nb me");
        let half = volume.progress(begun + EACH / 2).expect("it is doing something");
        assert_eq!((half.done, half.total), (5, 10));
        assert_eq!(formats(&volume, begun + EACH), "nb nb me");
        // Another order changes nothing.
        volume.rewrite("nb", true, begun + EACH);
        assert_eq!(formats(&volume, begun + EACH * 2), "nb nb nb");
        assert_eq!(volume.progress(begun + EACH * 2), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_ended_process_has_not_rewritten_stays_old() {
        let (mut volume, begun) = (volume(100), Instant::now());
        volume.rewrite("nb", false, begun);
        volume.stop(begun + EACH);
        assert_eq!(formats(&volume, begun + EACH * 9), "nb nb me");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rewriting_fails_half_way_or_for_want_of_room() {
        for (free, breaks) in [(100, true), (15, false)] {
            let (mut volume, begun) = (volume(free), Instant::now());
            volume.rewrite("nb", breaks, begun);
            assert_eq!(formats(&volume, begun + EACH * 9), "nb nb me");
            let rewriting = volume.rewriting.as_ref().expect("there is one");
            assert!(rewriting.has_ended(begun + EACH) && rewriting.failure().is_some());
        }
    }
}
