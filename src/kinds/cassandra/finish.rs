//! What is left to do after an update of a Cassandra: a new version reads the files of the one before it, and keeps them as
//! they are until they are compacted or rewritten. The version after it may not read them any more.

mod format;

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::finish::{Examined, Finishing, members_report_it};
use crate::kinds::heard::{Heard, Voice};
use crate::model::evidence::Evidence;
use crate::model::evidence::cassandra::{Answers, Files, Format};
use crate::model::{Completion, FinishStep, Reversal, Tool, Work, size};

use format::Written;

/// The rules.
pub const FINISHING: Finishing = Finishing { left, undo, bar: |_, _| None, runs_commands: true };

/// A node whose disks are known.
struct Node<'a> {
    pod: &'a str,
    files: &'a Files,
    /// What it writes.
    written: Written,
}

fn left(examined: &Examined<'_>) -> Completion {
    let Evidence::Cassandra(answers) = examined.evidence else { return Completion::default() };
    let mut completion = members_report_it(examined);
    let nodes = nodes(examined, answers, &mut completion.obstacles);
    for node in &nodes {
        completion.obstacles.extend(node.strange());
        completion.steps.extend(node.step());
    }
    completion.settled.extend(settled(&nodes));
    completion.remarks.extend(mode(&nodes));
    if !completion.steps.is_empty() {
        completion.obstacles.extend(nodes.iter().filter_map(Node::short_of_room));
        completion.obstacles.extend(unwell(examined, answers));
        completion.remarks.extend(memory(&completion.steps));
    }
    completion
}

/// The files that are rewritten stay so.
fn undo(_: &Examined<'_>, works: &[Work]) -> Completion {
    let rewritten = works.iter().filter_map(|work| match work {
        Work::RewriteFiles { pod, to, .. } => {
            Some(format!("the files of {pod} that have got the format {to} cannot get an older one again"))
        }
        Work::SetFeature { .. } | Work::Await { .. } => None,
    });
    Completion { obstacles: rewritten.collect(), ..Completion::default() }
}

/// The nodes whose disks are known. What is not known is an obstacle.
fn nodes<'a>(examined: &Examined<'a>, answers: &'a Answers, obstacles: &mut Vec<String>) -> Vec<Node<'a>> {
    let mut nodes = Vec::new();
    for place in &examined.roster.places {
        let pod = place.pod.as_str();
        let files = match Voice::of(place, &answers.files).heard {
            Heard::NotReady => {
                obstacles.push(format!("{pod} is not Ready, so its files are not known"));
                continue;
            }
            Heard::Nothing(why) => {
                obstacles.push(format!("{why}, so its files are not known"));
                continue;
            }
            Heard::Said(files) => files,
        };
        let version = examined.health.member(pod).map(|member| member.version.as_str()).unwrap_or_default();
        match Written::of(version, files) {
            Ok(written) => nodes.push(Node { pod, files, written }),
            Err(why) => obstacles.push(format!("it is not known in which format {pod} writes files: {why}")),
        }
    }
    nodes
}

impl<'a> Node<'a> {
    /// What of its files is older than what it writes.
    fn old(&self) -> impl Iterator<Item = &'a Format> {
        self.files.formats.iter().filter(|format| self.written.is_newer_than(&format.letters) == Some(true))
    }

    /// Files of which it is not known whether they are older.
    fn strange(&self) -> Option<String> {
        let strange: Vec<&Format> = self
            .files
            .formats
            .iter()
            .filter(|format| self.written.is_newer_than(&format.letters).is_none())
            .collect();
        let letters: Vec<_> =
            strange.iter().map(|format| &*format.letters).filter(|it| !it.is_empty()).collect();
        let count: u64 = strange.iter().map(|format| format.files).sum();
        let named = if letters.is_empty() { String::new() } else { format!(" ({})", letters.join(", ")) };
        (count > 0).then(|| format!("{} has {count} files of a format that is not known{named}", self.pod))
    }

    fn step(&self) -> Option<FinishStep> {
        let old: Vec<_> = self.old().collect();
        let work = Work::RewriteFiles {
            pod: self.pod.to_owned(),
            from: old.iter().map(|format| format.letters.clone()).collect(),
            to: self.written.name.to_owned(),
            files: old.iter().map(|format| format.files).sum(),
            bytes: old.iter().map(|format| format.bytes).sum(),
            tool: if self.files.managed { Tool::ManagementApi } else { Tool::Nodetool },
        };
        let why = format!(
            "files of the format {} cannot be read by Cassandra before {}, and nothing gives them an older one",
            self.written.name, self.written.since
        );
        (!old.is_empty()).then_some(FinishStep { work, reversal: Reversal::No { why } })
    }

    /// A file is removed only when the one that takes its place is there, so the largest table has to fit twice at worst.
    fn short_of_room(&self) -> Option<String> {
        let mut tables: BTreeMap<&str, u64> = BTreeMap::new();
        for format in self.old() {
            *tables.entry(&format.table).or_default() += format.largest;
        }
        let (table, needed) = tables.into_iter().max_by_key(|(_, bytes)| *bytes)?;
        (needed > self.files.free).then(|| {
            let (pod, needed, free) = (self.pod, size(needed), size(self.files.free));
            format!("{pod} has {free} of free disk, and rewriting {table} takes up to {needed}")
        })
    }
}

/// Why no work is begun that burdens a node: another one is missed already.
fn unwell(examined: &Examined<'_>, answers: &Answers) -> Vec<String> {
    let members = examined.health.members.iter();
    let away = members.flat_map(|member| member.back.why().iter().cloned());
    let streams = answers.pods.iter().filter_map(|said| Some((&said.pod, said.said.as_ref().ok()?)));
    let streams = streams.filter(|(_, node)| !node.streams.is_empty()).map(|(pod, node)| {
        let operations: BTreeSet<_> = node.streams.iter().map(String::as_str).collect();
        format!("{pod} streams: {}", operations.into_iter().collect::<Vec<_>>().join(", "))
    });
    away.chain(streams).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The nodes of which no file is older than what they write.
fn settled(nodes: &[Node<'_>]) -> Vec<String> {
    let mut done: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in nodes.iter().filter(|node| node.old().next().is_none() && node.strange().is_none()) {
        done.entry(node.written.name).or_default().push(node.pod);
    }
    let told = done.into_iter().map(|(name, pods)| {
        let where_ = match pods.len() {
            1 => pods.join(""),
            all if all == nodes.len() => format!("any of the {all} nodes"),
            _ => pods.join(", "),
        };
        format!("no files of an older format than {name} on {where_}")
    });
    told.collect()
}

/// What `storage_compatibility_mode` means, where the version has it.
fn mode(nodes: &[Node<'_>]) -> Option<String> {
    let mut modes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in nodes {
        if let Some(mode) = &node.files.mode {
            modes.entry(format::mode(mode)).or_default().push(node.pod);
        }
    }
    if modes.len() > 1 {
        let each = modes.iter().map(|(mode, pods)| format!("{mode} on {}", pods.join(", ")));
        return Some(format!("storage_compatibility_mode is {}", each.collect::<Vec<_>>().join(", and ")));
    }
    let (mode, _) = modes.into_iter().next()?;
    let meaning = match mode {
        "CASSANDRA_4" => {
            "new files stay in the format nb, which 4.1 reads as well. To leave it, the configuration says UPGRADING and \
             then NONE, with a rolling restart for each; this tool does not change it"
        }
        "UPGRADING" => {
            "new files get a format that 4.1 cannot read. With NONE in the configuration and a rolling restart the \
             upgrade is complete; this tool does not change it"
        }
        _ => "new files get a format that 4.1 cannot read",
    };
    Some(format!("storage_compatibility_mode is {mode}: {meaning}"))
}

/// What `nodetool` takes.
fn memory(steps: &[FinishStep]) -> Option<String> {
    let by_nodetool =
        |step: &FinishStep| matches!(step.work, Work::RewriteFiles { tool: Tool::Nodetool, .. });
    steps.iter().any(by_nodetool).then(|| {
        "the management API does not answer, so nodetool is run in the database's container: a Java process that \
         takes about 100 MiB of the memory that the container is limited to"
            .to_owned()
    })
}

#[cfg(test)]
mod tests;
