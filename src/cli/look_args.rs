//! The arguments of the commands that only look.

use clap::{Args, ValueEnum};

use super::args::{ColorArg, Output};

/// Show what state a database is in, and which command goes on
///
/// Without a name all databases of the namespace are listed, without a kind those of every kind.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The kind of database, or kind and name
    #[arg(value_name = "KIND[/NAME]")]
    pub kind: Option<String>,

    /// The database's name
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    #[command(flatten)]
    pub which: WhichArgs,

    #[command(flatten)]
    pub shown: ShownArgs,
}

/// List the runs of a database, the last one first
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The kind of database, or kind and name
    #[arg(value_name = "KIND[/NAME]")]
    pub kind: String,

    /// The database's name
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    #[command(flatten)]
    pub shown: ShownArgs,
}

/// How something is printed that only reads.
#[derive(Debug, Args)]
pub struct ShownArgs {
    /// How it is printed
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub output: Output,

    /// When to use colours: auto, always, never
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: ColorArg,
}

/// Which databases are listed.
#[derive(Debug, Args)]
pub struct WhichArgs {
    /// List the databases of all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,

    /// List the databases with these labels, e.g. team=search,env!=dev
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,
}

/// List databases, with the newest version that each of them may go to
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The kind of database
    #[arg(value_name = "KIND")]
    pub kind: Option<String>,

    #[command(flatten)]
    pub which: WhichArgs,

    #[command(flatten)]
    pub listed: ListedArgs,
}

/// List the versions of the catalog, and with a name what the database may do with each of them
#[derive(Debug, Args)]
pub struct VersionsArgs {
    /// The kind of database, or kind and name
    #[arg(value_name = "KIND[/NAME]")]
    pub kind: String,

    /// The database's name
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    #[command(flatten)]
    pub listed: ListedArgs,
}

/// How a list is printed.
#[derive(Debug, Args)]
pub struct ListedArgs {
    /// How it is printed
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

/// `--output` of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListOutput {
    Table,
    Json,
    Yaml,
    /// resource/name, as kubectl takes it
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
