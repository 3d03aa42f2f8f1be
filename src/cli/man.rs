//! `kubectl dbupdate man`: the manual pages.

use std::io;

use super::args::{self, CommandArgs};
use super::exit_code::ExitCode;
use super::mistaken;
use super::stream;

/// Prints a manual page, in roff.
///
/// # Errors
/// The command does not exist.
pub fn print(man: &CommandArgs) -> Result<ExitCode, String> {
    let definition = args::definition();
    let command = match &man.command {
        None => Some(definition.name("kubectl-dbupdate")),
        Some(name) => mistaken::command(&definition, name).cloned(),
    };
    let Some(command) = command else {
        let named = man.command.as_deref().map(crate::model::clean).unwrap_or_default();
        return Err(format!("unknown command {named:?}"));
    };
    // The page of a command is named as in `man kubectl-dbupdate-resume`.
    let page = command.get_display_name().unwrap_or("kubectl-dbupdate").replace(' ', "-");
    stream::out(&roff(command.display_name(page)).unwrap_or_default());
    Ok(ExitCode::Done)
}

fn roff(command: clap::Command) -> io::Result<String> {
    let mut page = Vec::new();
    let source = concat!("kubectl-dbupdate ", env!("CARGO_PKG_VERSION"));
    // clap_mangen omits the description of a flag that `-h` hides.
    let command = command.mut_args(|arg| arg.hide_short_help(false));
    clap_mangen::Man::new(command).source(source).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
