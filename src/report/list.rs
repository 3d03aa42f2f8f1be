//! Databases and versions as lists, for a person to read and to choose from.

use super::View;
use super::columns::{GAP, bare_table, print};
use super::layout::wrap;
use crate::model::{Check, clean};
use crate::plan::versions::{Choice, Further, Reach};
use crate::situation::{Listed, PausedBy};

/// The databases of a list.
pub fn databases(all: &[Listed], namespaces: bool, view: View) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut header = vec!["KIND", "NAME", "VERSION", "NEWEST", "FURTHER", "PHASE", "PAUSED BY"];
    let unfinished = all.iter().any(|listed| !listed.to_finish.is_empty());
    header.extend(unfinished.then_some("TO FINISH"));
    if namespaces {
        header.insert(0, "NAMESPACE");
    }
    let mut table = bare_table(&header, view);
    for listed in all {
        let mut row = cells(listed).to_vec();
        let to_finish = if listed.to_finish.is_empty() { "-" } else { "yes" };
        row.extend(unfinished.then(|| to_finish.to_owned()));
        if namespaces {
            row.insert(0, listed.database.namespace.clone());
        }
        table.add_row(row);
    }
    print(&table)
}

fn cells(listed: &Listed) -> [String; 7] {
    let newest = match &listed.newest {
        Some(newest) => clean(newest),
        None if listed.on_newest => "current".to_owned(),
        None => "-".to_owned(),
    };
    [
        listed.kind.singular().to_owned(),
        listed.database.name.clone(),
        clean(&listed.version),
        newest,
        listed.further.as_ref().map_or_else(|| "-".to_owned(), further),
        clean(&listed.phase),
        paused_by(listed).unwrap_or("-").to_owned(),
    ]
}

/// `36.0.0 --through`: the version and the flags that lead to it.
fn further(further: &Further) -> String {
    let through = if further.through { " --through" } else { "" };
    let via = further.via.map(|via| format!(" --via {via}")).unwrap_or_default();
    format!("{}{through}{via}", clean(&further.version))
}

fn paused_by(listed: &Listed) -> Option<&'static str> {
    listed.paused_by.map(|by| match by {
        PausedBy::Dbupdate => "dbupdate",
        PausedBy::Other => "other",
    })
}

/// A line for each database, to choose from.
pub fn database_lines(all: &[Listed]) -> Vec<String> {
    let name = |listed: &Listed| format!("{}/{}", listed.kind.singular(), listed.database.name);
    let longest = all.iter().map(|listed| name(listed).chars().count()).max().unwrap_or(0);
    let line = |listed: &Listed| {
        let (version, phase) = (clean(&listed.version), clean(&listed.phase));
        let newest =
            listed.newest.as_deref().map(|newest| format!("→ {}", clean(newest))).unwrap_or_default();
        let paused = paused_by(listed).map(|by| format!(", paused by {by}")).unwrap_or_default();
        let line = format!("{:longest$}  {version:8}  {newest:10}  {phase}{paused}", name(listed));
        line.trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

/// The versions of a catalog, with what a database may do with each of them if one is meant.
pub fn versions(choices: &[Choice], view: View) -> String {
    if choices.is_empty() {
        return String::new();
    }
    let named = choices.iter().any(|choice| choice.reach.is_some());
    let header: &[&str] = if named { &["VERSION", "UPDATE", "NOTES"] } else { &["VERSION", "NOTES"] };
    let mut table = bare_table(header, view);
    let widest = choices.iter().map(|c| c.name.chars().count()).max().unwrap_or(0).max("VERSION".len());
    let reach = choices.iter().flat_map(|c| &c.reach).map(|reach| word(reach).len());
    let reach = reach.max().unwrap_or(0).max("UPDATE".len());
    let room = view.columns().map(|columns| columns.saturating_sub(widest + reach + 2 * GAP).max(20));
    for choice in choices {
        let mut notes = marks(choice);
        // The column beside them says so.
        notes.retain(|note| note != NEEDS_VIA);
        let notes = wrap(&notes.join(", "), room).join("\n");
        let mut row = vec![clean(&choice.name), notes];
        if let Some(reach) = &choice.reach {
            row.insert(1, word(reach));
        }
        table.add_row(row);
    }
    print(&table)
}

/// An update that changes more than images.
const NEEDS_VIA: &str = "needs --via provisioner";

fn word(reach: &Reach) -> String {
    match reach {
        Reach::Current => "current".to_owned(),
        Reach::Allowed => "yes".to_owned(),
        Reach::InSteps { path } => format!("in {} steps", path.len().saturating_sub(1)),
        Reach::Refused { check: Check::ShapeChange, .. } => NEEDS_VIA.to_owned(),
        Reach::Refused { .. } => "no".to_owned(),
    }
}

/// A version to choose from, with its notes.
pub fn version_line(choice: &Choice) -> String {
    let current = (choice.reach == Some(Reach::Current)).then(|| "current".to_owned());
    let marks: Vec<String> = current.into_iter().chain(marks(choice)).collect();
    match marks.as_slice() {
        [] => clean(&choice.name),
        marks => format!("{:8}  {}", clean(&choice.name), marks.join(", ")),
    }
}

/// Notes such as `latest` and `deprecated`, and why an update to it is refused.
pub fn marks(choice: &Choice) -> Vec<String> {
    let flags =
        [(choice.latest, "latest"), (choice.deprecated, "deprecated"), (choice.end_of_life, "end of life")];
    let mut marks: Vec<String> =
        flags.into_iter().filter(|(holds, _)| *holds).map(|(_, mark)| mark.to_owned()).collect();
    marks.extend(match &choice.reach {
        Some(Reach::InSteps { path }) => {
            let between = path.iter().skip(1).filter(|step| **step != choice.name).cloned();
            Some(format!("through {}", clean(&between.collect::<Vec<_>>().join(", "))))
        }
        Some(Reach::Refused { check: Check::ShapeChange, .. }) => Some(NEEDS_VIA.to_owned()),
        Some(Reach::Refused { check: Check::Downgrade, .. }) => Some("downgrade".to_owned()),
        // It has that mark already.
        Some(Reach::Refused { check: Check::DeprecatedTarget, .. } | Reach::Current | Reach::Allowed)
        | None => None,
        Some(Reach::Refused { why, .. }) => Some(clean(why)),
    });
    marks
}
