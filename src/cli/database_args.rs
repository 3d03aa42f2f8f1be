//! The argument that names one database.

use clap::Args;

/// The one database that a command is about.
#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// Kind of database, optionally with its name
    #[arg(value_name = "KIND[/NAME]")]
    pub kind: String,

    /// Name of the database
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}
