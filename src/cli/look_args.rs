//! The arguments of the read-only commands.

use clap::{Args, ValueEnum};

use super::args::{ColorArg, Output};

/// Show the state of a database and the command to run next
///
/// Without a name, all databases of the kind in the namespace are listed; without a kind, the databases of every kind.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Kind of database, optionally with its name
    #[arg(value_name = "KIND[/NAME]")]
    pub kind: Option<String>,

    /// Name of the database
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    #[command(flatten)]
    pub which: WhichArgs,

    #[command(flatten)]
    pub shown: ShownArgs,
}

/// List the runs on a database, newest first
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Kind of database, optionally with its name
    #[arg(value_name = "KIND[/NAME]")]
    pub kind: String,

    /// Name of the database
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    #[command(flatten)]
    pub shown: ShownArgs,
}

/// The output format of a read-only command.
#[derive(Debug, Args)]
pub struct ShownArgs {
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub output: Output,

    /// When to use colours: auto, always, never
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: ColorArg,
}

/// Which databases to list.
#[derive(Debug, Args)]
pub struct WhichArgs {
    /// List databases in all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,

    /// Label selector to filter on, e.g. team=search,env!=dev
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,
}

/// List databases and the newest version each can be updated to
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Kind of database
    #[arg(value_name = "KIND")]
    pub kind: Option<String>,

    #[command(flatten)]
    pub which: WhichArgs,

    #[command(flatten)]
    pub listed: ListedArgs,
}

/// List the versions in the catalog and, with a name, which of them the database can be updated to
#[derive(Debug, Args)]
pub struct VersionsArgs {
    /// Kind of database, optionally with its name
    #[arg(value_name = "KIND[/NAME]")]
    pub kind: String,

    /// Name of the database
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    #[command(flatten)]
    pub listed: ListedArgs,
}

/// The output format of a list.
#[derive(Debug, Args)]
pub struct ListedArgs {
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub output: ListOutput,

    /// When to use colours: auto, always, never
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: ColorArg,
}

impl From<ShownArgs> for ListedArgs {
    fn from(shown: ShownArgs) -> Self {
        ListedArgs { output: shown.output.into(), color: shown.color }
    }
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
