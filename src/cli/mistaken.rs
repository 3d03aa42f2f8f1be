//! Command lines that clap rejects for a reason that says little: what was probably meant.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::usage::UsageError;
use crate::kinds::UnknownKind;
use crate::model::{Kind, clean};

/// The error that clap has found in a command line, or what is behind it: a word that is no command, `--version` with a
/// value, or `--to` where the run has the version.
pub fn explained(error: clap::Error, definition: &mut Command, line: &[OsString]) -> clap::Error {
    if let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) {
        return no_command(definition, typed);
    }
    if !matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::TooManyValues) {
        return error;
    }
    let Ok(matches) = definition.clone().ignore_errors(true).try_get_matches_from(line) else { return error };
    let command = matches.subcommand_name();
    let unexpected = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => word.clone(),
        _ => String::new(),
    };
    if let (Some(name @ ("resume" | "rollback")), "--to") = (command, unexpected.as_str()) {
        let text = format!("'{name}' takes its versions from the run; leave --to out");
        return definition.error(ErrorKind::UnknownArgument, text);
    }
    if command.is_none_or(|name| name == "update") && line.iter().skip(1).any(asks_for_version) {
        return version(definition);
    }
    let first = matches.get_one::<String>("kind").filter(|_| command.is_none());
    match first.map(|word| word.split('/').next().unwrap_or_default().parse::<Kind>()) {
        Some(Err(unknown)) => {
            let error = first_word(unknown, definition);
            definition.error(ErrorKind::InvalidSubcommand, error)
        }
        Some(Ok(_)) | None => error,
    }
}

fn asks_for_version(word: &OsString) -> bool {
    let word = word.to_string_lossy();
    word == "--version" || word.starts_with("--version=") || word.starts_with("-V")
}

/// `--version` with anything beside it: with other tools it chooses a version.
pub fn version(definition: &mut Command) -> clap::Error {
    let text = "--version prints the version of kubectl-dbupdate and takes no value; did you mean --to?";
    definition.error(ErrorKind::ArgumentConflict, text)
}

/// There is no such command.
pub fn no_command(definition: &mut Command, typed: &str) -> clap::Error {
    let nearest = nearest(definition, typed).map(|(_, name)| name);
    let error = UsageError::Command { typed: clean(typed), nearest };
    definition.error(ErrorKind::InvalidSubcommand, error)
}

/// The first word is no kind, and may have been meant as a command.
pub fn first_word(unknown: UnknownKind, definition: &Command) -> UsageError {
    let typed = unknown.typed.as_str();
    let kind = unknown.nearest.map(|kind| strsim::osa_distance(typed, kind.singular()));
    match nearest(definition, typed) {
        Some((distance, name)) if kind.is_none_or(|kind| distance < kind) => {
            UsageError::Command { typed: typed.to_owned(), nearest: Some(name) }
        }
        _ => UsageError::Kind { unknown },
    }
}

/// The command of that name, unless only kubectl and the shells call it.
pub fn command<'a>(definition: &'a Command, name: &str) -> Option<&'a Command> {
    commands(definition).find(|command| command.get_name() == name)
}

fn commands(definition: &Command) -> impl Iterator<Item = &Command> {
    definition.get_subcommands().filter(|command| !command.get_name().starts_with('_'))
}

/// The command with the most similar name, if one is similar enough, and how far away it is.
fn nearest(definition: &Command, typed: &str) -> Option<(usize, String)> {
    let typed = typed.to_ascii_lowercase();
    commands(definition)
        .map(|command| command.get_name().to_owned())
        .map(|name| (strsim::osa_distance(&typed, &name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args;

    #[test]
    fn the_first_word_is_near_to_a_kind_or_a_command() {
        for (typed, said) in [
            ("statu", "unknown command \"statu\"; did you mean status?"),
            ("Status", "unknown command \"Status\"; did you mean status?"),
            ("rolback", "unknown command \"rolback\"; did you mean rollback?"),
            ("updat", "unknown command \"updat\"; did you mean update?"),
            ("kafak", "unknown kind of database \"kafak\"; did you mean kafka?"),
            ("postgres", "unknown kind of database \"postgres\"; the supported kinds are kafka, "),
        ] {
            let unknown = typed.parse::<Kind>().expect_err(typed);
            let text = first_word(unknown, &args::definition()).to_string();
            assert!(text.starts_with(said), "{typed}: {text}");
        }
    }
}
