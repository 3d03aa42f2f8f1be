//! The arguments of the read-only commands.

use clap::Args;

use super::database_args::DatabaseArgs;
use super::values::{ColorArg, HistoryOutput, ListOutput, Output};

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

    /// Follow the run that is active on the database until it ends, and exit with its exit code
    ///
    /// Shows the same progress as the run itself, from any machine. Ctrl-C ends only this command; the run continues. If no
    /// run is active, the state is shown, and the exit code is that of --exit-code.
    #[arg(short, long)]
    pub watch: bool,

    /// Exit with a code for the state, for scripts: 0 fine, 4 to be finished, 5 being changed, 6 not Ready
    ///
    /// All codes are in docs/exit-codes.md. For several databases, it is that of the most serious state.
    #[arg(long)]
    pub exit_code: bool,

    #[command(flatten)]
    pub which: WhichArgs,

    #[command(flatten)]
    pub listed: ListedArgs,
}

/// List the runs on a database, newest first, or show one run
///
/// Without a name, the runs on all databases of the kind in the namespace are listed; without a kind, those of every
/// kind.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # List the runs
  kubectl dbupdate history kafka my-kf

  # The latest run as a block for a change ticket
  kubectl dbupdate history kafka my-kf -o markdown")]
pub struct HistoryArgs {
    /// Kind of database, optionally with its name
    #[arg(value_name = "KIND[/NAME]")]
    pub kind: Option<String>,

    /// Name of the database
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// Show this run: its id, or the beginning of it; with -o markdown, the latest run if omitted
    #[arg(value_name = "RUN")]
    pub run: Option<String>,

    #[command(flatten)]
    pub which: WhichArgs,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub output: HistoryOutput,

    /// Print a table without its header
    #[arg(long)]
    pub no_headers: bool,

    /// When to use colours: auto, always, never
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: ColorArg,
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
    #[command(flatten)]
    pub database: DatabaseArgs,

    #[command(flatten)]
    pub listed: ListedArgs,
}

/// Check whether you have the permissions that an update needs
///
/// Asks the API server about each permission, lists those you lack, and prints the RBAC rules that grant them. Nothing is
/// changed. If you cannot read the database, the permissions for any database of its kind are checked.
///
/// Exits with 0 if you have every permission that an update requires, and with 3 otherwise.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Check which permissions you lack to update this database
  kubectl dbupdate auth kafka my-kf -n shop

  # Print the missing RBAC rules for an administrator
  kubectl dbupdate auth kafka my-kf -o json | jq .rules")]
pub struct AuthArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,

    #[command(flatten)]
    pub shown: ShownArgs,
}

/// Ask a database how it is, and which of its pods could be restarted now
///
/// Asks the pods themselves, by the database's own protocol through the API server. Nothing is changed. An update asks the
/// same before each restart. See docs/health.md.
///
/// Exits with 0 if every pod could be restarted, one after the other, and with 3 otherwise.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # See the members of a database, and what speaks against a restart
  kubectl dbupdate health kafka my-kf

  # Look on until you press Ctrl-C
  kubectl dbupdate health zk my-zk --watch")]
pub struct HealthArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// Ask again and again, and print what has changed, until you press Ctrl-C
    #[arg(short, long)]
    pub watch: bool,

    #[command(flatten)]
    pub shown: ShownArgs,
}

/// The output format of a list.
#[derive(Debug, Args)]
pub struct ListedArgs {
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub output: ListOutput,

    /// Print a table without its header
    #[arg(long)]
    pub no_headers: bool,

    /// When to use colours: auto, always, never
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: ColorArg,
}

impl From<ShownArgs> for ListedArgs {
    fn from(shown: ShownArgs) -> Self {
        ListedArgs { output: shown.output.into(), no_headers: false, color: shown.color }
    }
}
