//! `kubectl dbupdate list`: lists the databases.

use super::exit_code::ExitCode;
use super::failure::Failure;
use super::look::{Look, ended, resource_name};
use super::options::LookOptions;
use super::stream;
use super::terminal::Terminal;
use super::values::{ListOutput, format};
use crate::report;
use crate::situation::{self, Listed};

/// Lists databases.
pub async fn list(options: LookOptions, terminal: Terminal) -> ExitCode {
    ended(Look::begin(options, terminal).await, async |look| show(look).await).await
}

async fn show(look: &mut Look) -> Result<ExitCode, Failure> {
    let found = look.found().await?;
    let all: Vec<Listed> =
        found.iter().map(|found| situation::listed(&found.snapshot, found.last_run())).collect();
    let text = match (look.options.output, format(look.options.output)) {
        (_, Some(format)) => report::object::databases(&all, format)?,
        (ListOutput::Name, None) => {
            all.iter().map(|listed| resource_name(listed.kind, &listed.database)).collect()
        }
        (_, None) => look.table(report::list::databases(&all, look.options.all_namespaces, look.view())),
    };
    stream::out(&text);
    if all.is_empty() {
        look.say_none();
    }
    let mut unread: Vec<&String> = found.iter().flat_map(|found| &found.unread).collect();
    unread.sort();
    unread.dedup();
    for why in unread {
        stream::err(&format!("could not read {why}\n"));
    }
    Ok(ExitCode::Done)
}
