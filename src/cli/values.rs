//! The values that flags take.

use clap::ValueEnum;

use crate::model::HealthMode;
use crate::report::object::Format;

/// `--digests`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Digests {
    Auto,
    KeepTags,
}

/// `--on-failure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnFailure {
    Stop,
    Rollback,
}

/// `--dry-run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    Client,
    Server,
}

/// `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Json,
    Yaml,
}

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressArg {
    Auto,
    Bars,
    Plain,
    Json,
    None,
}

/// `--health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HealthArg {
    Auto,
    Require,
    Off,
}

impl From<HealthArg> for HealthMode {
    fn from(typed: HealthArg) -> Self {
        match typed {
            HealthArg::Auto => HealthMode::Auto,
            HealthArg::Require => HealthMode::Require,
            HealthArg::Off => HealthMode::Off,
        }
    }
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    Auto,
    Always,
    Never,
}

/// `--output` of a command that lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListOutput {
    Table,
    Json,
    Yaml,
    /// resource/name, as kubectl accepts it
    Name,
}

impl From<Output> for ListOutput {
    fn from(output: Output) -> Self {
        match output {
            Output::Table => ListOutput::Table,
            Output::Json => ListOutput::Json,
            Output::Yaml => ListOutput::Yaml,
        }
    }
}

/// `--output` of `history`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HistoryOutput {
    Table,
    Json,
    Yaml,
    /// ids of runs, one per line
    Name,
    /// one run, for a change ticket
    Markdown,
}

impl From<HistoryOutput> for ListOutput {
    fn from(output: HistoryOutput) -> Self {
        match output {
            HistoryOutput::Table | HistoryOutput::Markdown => ListOutput::Table,
            HistoryOutput::Json => ListOutput::Json,
            HistoryOutput::Yaml => ListOutput::Yaml,
            HistoryOutput::Name => ListOutput::Name,
        }
    }
}

/// The format of a printed object; `None` for a table or names.
pub fn format(output: impl Into<ListOutput>) -> Option<Format> {
    match output.into() {
        ListOutput::Table | ListOutput::Name => None,
        ListOutput::Json => Some(Format::Json),
        ListOutput::Yaml => Some(Format::Yaml),
    }
}
