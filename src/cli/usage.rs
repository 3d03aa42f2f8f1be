//! What can be wrong with a command line that clap accepts.

use crate::kinds::UnknownKind;
use crate::model::{Check, Kind, Method};

/// A command line that is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    #[error("{unknown}{}", unless_near(unknown))]
    Kind { unknown: UnknownKind },
    #[error("unknown command {typed:?}{}", nearest.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default())]
    Command { typed: String, nearest: Option<String> },
    #[error("no database given; write KIND NAME, where KIND is one of {}", kinds())]
    KindMissing,
    #[error("no database given; write KIND NAME")]
    NameMissing,
    #[error("{typed:?} has more than one '/'; write KIND/NAME")]
    Slashes { typed: String },
    #[error("the name is given twice: {slash:?} in KIND/NAME, and {word:?}")]
    NameTwice { slash: String, word: String },
    #[error("the database name {name:?} {wrong}")]
    Name { name: String, wrong: &'static str },
    #[error("the namespace {name:?} {wrong}")]
    Namespace { name: String, wrong: &'static str },
    #[error("--all-namespaces cannot be used with {with}")]
    AllNamespaces { with: &'static str },
    #[error("--selector cannot be used with a name")]
    SelectorAndName,
    #[error("--watch follows one database; write KIND NAME")]
    WatchWhich,
    #[error("--to is empty; give a version, or latest")]
    NoVersion,
    #[error("--via {first} contradicts --via {second}")]
    TwoWays { first: Method, second: Method },
    #[error("--pod-timeout must be greater than 0")]
    PodTimeout,
    #[error("--{flag} cannot be used with --sandbox, which reads no kubeconfig")]
    SandboxAndConnection { flag: &'static str },
    #[error(
        "--{flag} cannot be used with the command 'sandbox', which serves its own cluster{}",
        if *flag == "kubeconfig" { "; --kubeconfig-out names the file that it writes" } else { "" }
    )]
    SandboxCommand { flag: &'static str },
    #[error("check {typed:?} cannot be skipped; --skip-check accepts {}", overridable())]
    Check { typed: String },
    #[error("-o {format} and --progress json both print to standard output; use only one of them")]
    TwoOutputs { format: &'static str },
    #[error(
        "--progress bars requires a terminal with cursor control on standard error; use --progress plain"
    )]
    BarsWithoutTerminal,
    #[error("--quiet shows no plan to confirm; review the plan with --dry-run, then add --yes")]
    QuietQuestion,
    #[error("cannot ask for confirmation without a terminal; review the plan with --dry-run, then add --yes")]
    YesRequired,
}

fn kinds() -> String {
    Kind::ALL.map(Kind::singular).join(", ")
}

fn unless_near(unknown: &UnknownKind) -> String {
    match unknown.nearest {
        Some(_) => String::new(),
        None => format!("; the supported kinds are {}", kinds()),
    }
}

fn overridable() -> String {
    Check::OVERRIDABLE.map(|c| c.to_string()).join(", ")
}
