//! What a Cassandra node has on its disks. No table tells the formats of sstables, but the names of their files do. Light
//! programs of its image list them: another Java process would need memory that the database may lack.

use std::collections::BTreeMap;
use std::time::Duration;

use ::http::Method;

use super::frame::{Consistency, strange};
use super::node::rows;
use super::value::text;
use super::{MANAGEMENT_PORT, Open};
use crate::cluster::Ran;
use crate::database::door::Door;
use crate::database::http;
use crate::model::evidence::cassandra::{Files, Format};
use crate::model::{Obstacle, Place, Unasked, brief};

/// The container of the database.
pub const CONTAINER: &str = "cassandra";

/// How long a list of all files may take. A disk far away has to be asked for each of ten thousands.
const LISTING: Duration = Duration::from_secs(60);

/// Answers whether the management API is there.
const LIVENESS: &str = "/api/v0/probes/liveness";

const SETTINGS: &str = "SELECT name, value FROM system_views.settings WHERE name IN ('data_file_directories', \
     'local_system_data_file_directory', 'sstable.selected_format', 'storage_compatibility_mode')";

/// More directories than any node has.
const MOST_DIRECTORIES: usize = 64;

/// Asks a node for its settings, by its own protocol.
///
/// # Errors
/// It breaks the connection, or refuses.
pub async fn settings(open: &mut Open) -> Result<BTreeMap<String, String>, Unasked> {
    let answers = open.ask(&[(SETTINGS, Consistency::One)]).await?;
    let answer = answers.into_iter().next().flatten();
    let settings = rows(answer, |[name, value]: [_; 2]| Some((text(name)?, text(value)?)))?;
    Ok(settings.into_iter().collect())
}

/// Looks at the disks of a node with these settings.
///
/// # Errors
/// No command can be run in its pod, or does not do what it is expected to.
pub async fn look(door: &Door, place: &Place, settings: &BTreeMap<String, String>) -> Result<Files, Unasked> {
    let directories = directories(settings)?;
    let free = free(&run(door, place, "df", &["-Pk"], &directories, &[]).await?)?;
    let search = search(&directories);
    let search: Vec<_> = search.iter().map(String::as_str).collect();
    let formats = formats(&run(door, place, "find", &["-L"], &directories, &search).await?, &directories)?;
    let setting = |name: &str| settings.get(name).cloned();
    Ok(Files {
        formats,
        free,
        mode: setting("storage_compatibility_mode"),
        selected: setting("sstable.selected_format"),
        managed: managed(door, place).await?,
    })
}

/// Runs a program on the directories of a node.
async fn run(
    door: &Door,
    place: &Place,
    program: &str,
    before: &[&str],
    directories: &[String],
    behind: &[&str],
) -> Result<Ran, Unasked> {
    // Its output is read, so its words and dates are those of no language.
    let mut command = vec!["env", "LC_ALL=C", program];
    command.extend(before);
    command.extend(directories.iter().map(String::as_str));
    command.extend(behind);
    door.asked_within(LISTING, door.run(place, CONTAINER, &command)).await
}

/// What find is to look for. Snapshots and backups of a table are not what the node works with.
fn search(directories: &[String]) -> Vec<String> {
    let kept = |directory: &String| ["snapshots", "backups"].map(|name| format!("{directory}/*/*/{name}"));
    let pruned = directories
        .iter()
        .flat_map(kept)
        .flat_map(|path| ["-path".to_owned(), path, "-prune".to_owned(), "-o".to_owned()]);
    let data = ["-type", "f", "-name", "*-Data.db", "-exec", "ls", "-ln", "{}", "+"];
    pruned.chain(data.map(str::to_owned)).collect()
}

/// Whether the management API answers. That nobody listens is an answer as well.
async fn managed(door: &Door, place: &Place) -> Result<bool, Unasked> {
    let asking = async {
        let line = door.plain(place, MANAGEMENT_PORT).await?;
        http::open(Box::new(line), &door.host(place), Method::GET, LIVENESS, "").await
    };
    match door.asked(asking).await {
        Ok(reply) => Ok(reply.status.is_success()),
        Err(unasked) => match unasked.obstacle {
            // The kubelet says so, or something else than HTTP listens there.
            Obstacle::Unreachable | Obstacle::Unintelligible => Ok(false),
            _ => Err(unasked),
        },
    }
}

/// Where the node keeps its sstables: `[/var/lib/cassandra/data, /more]`.
fn directories(settings: &BTreeMap<String, String>) -> Result<Vec<String>, Unasked> {
    let all = settings.get("data_file_directories").map(String::as_str).unwrap_or_default();
    let listed = all.trim_start_matches('[').trim_end_matches(']').split(", ");
    let system = settings.get("local_system_data_file_directory").map(String::as_str);
    let directories: Vec<_> = listed.chain(system).map(str::trim).filter(|text| !text.is_empty()).collect();
    // A list that is too long to be read to its end ends without its bracket.
    let whole = all.starts_with('[') == all.ends_with(']');
    let sound = whole && directories.iter().all(|directory| directory.starts_with('/'));
    if directories.is_empty() || directories.len() > MOST_DIRECTORIES || !sound {
        return Err(strange("a node that does not say where its data is"));
    }
    Ok(directories.into_iter().map(|directory| directory.trim_end_matches('/').to_owned()).collect())
}

/// The least room that `df -Pk` tells, in bytes. A line has the device, three numbers of KiB, a percentage and the directory.
fn free(ran: &Ran) -> Result<u64, Unasked> {
    let output = good(ran, "df")?;
    let room = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let percentage = words.iter().position(|word| word.ends_with('%'))?;
        words.get(percentage.checked_sub(1)?)?.parse::<u64>().ok()?.checked_mul(1024)
    };
    let rooms: Option<Vec<u64>> = output.lines().skip(1).map(room).collect();
    let least = rooms.and_then(|rooms| rooms.into_iter().min());
    least.ok_or_else(|| strange("df: an answer that this tool does not understand"))
}

/// What `ls -ln` tells of the files below these directories, by their formats.
fn formats(ran: &Ran, directories: &[String]) -> Result<Vec<Format>, Unasked> {
    let output = listed(ran)?;
    let mut tables: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for line in output.lines() {
        let file = file(line, directories);
        let file = file.ok_or_else(|| strange("ls: an answer that this tool does not understand"))?;
        let (files, bytes) = tables.entry((file.letters, file.table)).or_default();
        *files += 1;
        *bytes = bytes.saturating_add(file.bytes);
    }
    let mut formats: BTreeMap<String, Format> = BTreeMap::new();
    for ((letters, table), (files, bytes)) in tables {
        let format = formats.entry(letters.clone()).or_default();
        format.letters = letters;
        format.files += files;
        format.bytes = format.bytes.saturating_add(bytes);
        if bytes >= format.largest {
            (format.largest, format.table) = (bytes, table);
        }
    }
    Ok(formats.into_values().collect())
}

/// An sstable.
struct File {
    letters: String,
    /// Its keyspace and its table.
    table: String,
    bytes: u64,
}

/// A line such as `-rw-r--r-- 1 999 999 5123 Nov 29 22:31 /data/shop/orders-1b2c/nb-1-big-Data.db`.
fn file(line: &str, directories: &[String]) -> Option<File> {
    let (facts, path) = line.split_at(line.find(" /")?);
    let path = path.trim_start();
    let bytes = facts.split_whitespace().nth(4)?.parse().ok()?;
    let below = |directory: &String| path.strip_prefix(directory.as_str())?.strip_prefix('/');
    let path: Vec<_> = directories.iter().find_map(below)?.split('/').collect();
    let (name, folders) = path.split_last()?;
    let table = match folders {
        [keyspace, table, ..] => {
            format!("{keyspace}.{}", table.rsplit_once('-').map_or(*table, |(table, _)| table))
        }
        folders => folders.join("."),
    };
    Some(File { letters: letters(name).to_owned(), table: brief(&table), bytes })
}

/// The format in the name of a file, e.g. `nb` of `nb-1-big-Data.db` and `da` of `da-3gf5_1wfe_2z-bti-Data.db`; empty if it is
/// not the name of an sstable.
fn letters(name: &str) -> &str {
    let format = || {
        let (letters, rest) = name.strip_suffix("-Data.db")?.split_once('-')?;
        let (_, kind) = rest.rsplit_once('-')?;
        let format = letters.len() == 2 && letters.bytes().all(|letter| letter.is_ascii_lowercase());
        (format && matches!(kind, "big" | "bti")).then_some(letters)
    };
    format().unwrap_or_default()
}

/// The output of a program that has done what it was to do.
fn good<'a>(ran: &'a Ran, program: &str) -> Result<&'a str, Unasked> {
    match ran.code {
        0 => said(ran, program),
        code => Err(failed(program, code, &ran.complaint)),
    }
}

/// The same for the list of files. A node removes files while they are listed, which find and ls complain of.
fn listed(ran: &Ran) -> Result<&str, Unasked> {
    let vanished = |line: &str| line.trim_end().ends_with("No such file or directory");
    let only = !ran.complaint.is_empty() && ran.complaint.lines().all(vanished);
    match only && !ran.output.is_empty() {
        true => said(ran, "find"),
        false => good(ran, "find"),
    }
}

fn said<'a>(ran: &'a Ran, program: &str) -> Result<&'a str, Unasked> {
    std::str::from_utf8(&ran.output).map_err(|_| strange(&format!("{program}: an answer that is no text")))
}

/// Why a program did not do what it was to do.
fn failed(program: &str, code: i32, complaint: &str) -> Unasked {
    let why = format!("{program} in the container {CONTAINER} ended with exit code {code}: {complaint}");
    Unasked::new(Obstacle::Unintelligible, &why)
}

#[cfg(test)]
mod tests;
