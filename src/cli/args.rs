//! The command line as typed. [`super::options`] validates it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::cluster_args::ClusterArgs;
use super::completion::{COMPLETE, CompleteArgs, CompletionArgs};
use super::look_args::{AuthArgs, HealthArgs, HistoryArgs, ListArgs, StatusArgs, VersionsArgs};
use super::mistaken;
use super::run_args::{FinishArgs, ResumeArgs, RollbackArgs, RunArgs, ThenArgs};
use super::values::OnFailure;
use crate::model::{Kind, Method, clean};
use crate::sandbox::Fault;

const EXAMPLES: &str = "\
Examples:
  # Show what an update would do, without changing anything
  kubectl dbupdate kafka my-kf --to 3.6.1 --dry-run

  # Review the plan, then update to the newest allowed version
  kubectl dbupdate kafka/my-kf --to latest

  # Choose the version from a list
  kubectl dbupdate druid my-dr -n analytics

  # In a script: no prompt, one line per event, the result as JSON
  kubectl dbupdate zk my-zk --to 3.9.1 --yes --progress plain -o json

  # Try it without a cluster
  kubectl dbupdate kafka my-kf --to 3.6.1 --sandbox --yes";

/// The version, followed by the commit and the target from `build.rs` in parentheses.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("DBUPDATE_BUILT"), ")");

const ABOUT: &str = "Update the version of a KubeDB database, safely";

const ABOUT_AT_LENGTH: &str = "\
Update the version of a KubeDB database, safely.

Runs preflight checks, shows the plan and asks for confirmation. Then it pauses KubeDB's operator for the database, \
patches the images of its workloads, restarts the pods one at a time within their PodDisruptionBudgets, sets \
spec.version, resumes the operator and verifies the result. To resume an interrupted update, run the same command again. \
The word update may stand before KIND.";

fn kinds() -> String {
    let kinds = Kind::ALL.map(|kind| format!("{} ({})", kind.singular(), kind.short()));
    format!("Kinds: {}.", kinds.join(", "))
}

const EXIT_CODES: &str = "\
Exit codes:
  0    updated, dry run passed, or nothing to do
  1    failed before changing anything
  2    invalid command line
  3    a check failed, or you declined
  4    stopped after changing something
  5    another user or controller is changing the database
  6    updated, but KubeDB did not report Ready within --wait-ready
  124  --timeout exceeded
  129, 130, 143  stopped by SIGHUP, SIGINT or SIGTERM";

/// The parsed command line.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-dbupdate",
    bin_name = "kubectl dbupdate",
    version = VERSION,
    about = ABOUT,
    long_about = format!("{ABOUT_AT_LENGTH}\n\n{}", kinds()),
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"),
    override_usage = "kubectl dbupdate KIND[/NAME] [NAME] --to VERSION [flags]\n       kubectl dbupdate COMMAND",
    subcommand_help_heading = "Commands",
    subcommand_value_name = "COMMAND",
    disable_help_subcommand = true,
    disable_version_flag = true,
    max_term_width = 120
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Print the version of kubectl-dbupdate
    #[arg(short = 'V', long, display_order = 1000)]
    pub version: bool,
    #[command(flatten)]
    pub update: UpdateArgs,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// The subcommands. An update itself needs none.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Update a database, as without this word
    #[command(hide = true)]
    Update(Box<UpdateArgs>),
    Resume(ResumeArgs),
    Rollback(RollbackArgs),
    Finish(FinishArgs),
    Status(StatusArgs),
    History(HistoryArgs),
    List(ListArgs),
    Health(HealthArgs),
    Versions(VersionsArgs),
    Completion(CompletionArgs),
    /// Print the manual page of the plugin or of one command
    Man(CommandArgs),
    Auth(AuthArgs),
    Sandbox(SandboxArgs),
    /// Print the help of the plugin or of one command
    Help(CommandArgs),
    /// Print the version of kubectl-dbupdate
    Version,
    /// Print completions for a partial command line, in the protocol of kubectl and cobra
    #[command(name = COMPLETE, hide = true)]
    Complete(CompleteArgs),
}

/// The arguments of an update.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Kind of database, optionally with its name: kafka, kf, kafkas, kafkas.kubedb.com, kafka/my-kf
    #[arg(value_name = "KIND[/NAME]")]
    pub kind: Option<String>,

    /// Name of the database; if omitted on a terminal, you choose from a list
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// Target version: a name from the cluster's catalog, its first numbers, or latest
    ///
    /// `latest` is the newest version that the catalog's update constraints allow, that is not deprecated, and that can
    /// be reached in one hop, or in several with --through. `3.6` is the newest 3.6.x that can be reached. If omitted on
    /// a terminal, you choose from a list.
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,

    /// If the version cannot be reached directly, update through the versions in between
    ///
    /// Each hop is completed and verified before the next one starts, and the operator is not paused in between. You
    /// confirm all hops once. If interrupted, the same command or resume continues with the remaining hops.
    #[arg(long)]
    pub through: bool,

    #[command(flatten)]
    pub then: ThenArgs,

    /// Method of the update: client (this tool), provisioner (KubeDB's operator) or ops-manager
    ///
    /// `client` patches the images while KubeDB's operator is paused. `provisioner` is for updates that change more than
    /// images, such as Kafka 3.x to 4.x: it sets spec.version first and lets KubeDB's operator render the new pod
    /// templates, which restarts nothing; then it pauses the operator and restarts the pods. `ops-manager` creates an
    /// ops request for KubeDB's licensed Ops-manager and follows it. With --through, VERSION=METHOD chooses the method
    /// of the hop to that version; repeatable.
    #[arg(long, value_name = "[VERSION=]METHOD", value_parser = chosen_way)]
    pub via: Vec<(Option<String>, Method)>,

    /// Download the new images to the nodes of the pods before anything is changed
    ///
    /// A pod is then not away while its node downloads an image. For each node and image, a short-lived pod is created in
    /// the namespace of the database, and removed again. If a node cannot download an image, the update does not start. If
    /// such pods are not admitted, it starts without them. See docs/pre-pull.md.
    #[arg(long, help_heading = "Images")]
    pub pre_pull: bool,

    /// What to do when a pod is stuck on the new version: stop, or roll back
    ///
    /// An automatic rollback happens only if no container has ever started from the new image, for example because the
    /// image cannot be pulled or the pod cannot be scheduled. Otherwise the run stops, and you decide whether to roll back.
    #[arg(
        long,
        value_enum,
        value_name = "stop|rollback",
        default_value = "stop",
        hide_possible_values = true
    )]
    pub on_failure: OnFailure,

    /// Allow an update to an older version
    #[arg(long, help_heading = "Checks")]
    pub allow_downgrade: bool,

    /// Allow a version that the catalog marks as deprecated
    #[arg(long, help_heading = "Checks")]
    pub allow_deprecated: bool,

    #[command(flatten)]
    pub run: RunArgs,
}

/// Parses `METHOD` or `VERSION=METHOD`.
fn chosen_way(typed: &str) -> Result<(Option<String>, Method), String> {
    let (version, way) = match typed.rsplit_once('=') {
        Some((version, way)) => (Some(version.to_owned()), way),
        None => (None, typed),
    };
    let via = Method::ALL.into_iter().find(|via| via.to_string() == way);
    let known = || format!("the methods are {}", Method::ALL.map(|via| via.to_string()).join(", "));
    via.map(|via| (version, via)).ok_or_else(known)
}

/// The arguments of `help` and `man`.
#[derive(Debug, Args)]
pub struct CommandArgs {
    /// The command to document; if omitted, the plugin
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
}

/// Serve a simulated cluster on this machine, for kubectl and kubectl dbupdate
///
/// It runs one simulated database of each kind and their controllers. It listens on 127.0.0.1 only, over TLS; the
/// credentials are in the kubeconfig that it writes. All its state is lost when it stops.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Serve the sandbox, then follow the instructions it prints
  kubectl dbupdate sandbox

  # Rehearse a failure: the second pod of each workload cannot pull its new image
  kubectl dbupdate sandbox --fail pull

  # See how the commands fare with a cluster on another continent
  kubectl dbupdate sandbox --latency 150ms")]
pub struct SandboxArgs {
    /// Port to listen on; 0 picks a free port
    #[arg(long, default_value_t = 0)]
    pub port: u16,

    /// Where to write the kubeconfig [default: a temporary file, removed on exit]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig_out: Option<PathBuf>,

    /// Round-trip time between the sandbox and its clients, such as 50ms
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = super::duration::parse)]
    pub latency: Duration,

    /// Fault to simulate; repeatable
    #[arg(long, value_enum, value_name = "FAULT", value_delimiter = ',')]
    pub fail: Vec<Fault>,
}

/// Parses a command line whose first word is the program's name.
///
/// # Errors
///
/// A usage error, or the requested help or version text, ready for clap to print.
pub fn parse<T>(line: impl IntoIterator<Item = T>) -> Result<Cli, clap::Error>
where
    T: Into<OsString>,
{
    let line: Vec<OsString> = line.into_iter().map(Into::into).collect();
    let mut command = definition();
    let matches = match command.try_get_matches_from_mut(&line) {
        Ok(matches) => matches,
        Err(error) => return Err(mistaken::explained(error, &mut command, &line)),
    };
    let typed = arguments_of_the_update(&command, &matches);
    if let (Some(subcommand), Some(stray)) = (matches.subcommand_name(), typed.first()) {
        let text = match stray.get_long() {
            Some(long) => format!("--{long} cannot be used with the command '{subcommand}'"),
            None => {
                format!(
                    "'{subcommand}' is a command; to name a database '{subcommand}', write KIND/{subcommand}"
                )
            }
        };
        return Err(command.error(ErrorKind::ArgumentConflict, text));
    }
    let not_alone = typed.len() > 1;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    match &cli.command {
        _ if cli.version && not_alone => Err(mistaken::version(&mut command)),
        None if cli.version => Err(version()),
        Some(Command::Version) => Err(version()),
        Some(Command::Help(help)) => Err(help_of(&help.command)),
        _ => Ok(cli),
    }
}

/// What `--version` prints, as clap hands it on.
fn version() -> clap::Error {
    let program = clap::Command::new("kubectl-dbupdate").version(VERSION);
    let asked = program.clone().try_get_matches_from(["", "--version"]);
    asked.err().unwrap_or_else(|| clap::Error::raw(ErrorKind::DisplayVersion, program.render_version()))
}

/// What `--help` prints for the plugin or for one of its commands, as clap hands it on.
fn help_of(name: &Option<String>) -> clap::Error {
    let mut definition = definition();
    // The command that begins with a kind is the update.
    let kind = |name: &str| name.parse::<Kind>().is_ok();
    let name = name.as_deref().map(|name| if kind(name) { "update" } else { name });
    let known = name.is_none_or(|name| mistaken::command(&definition, name).is_some());
    let line = ["kubectl dbupdate"].into_iter().chain(name).chain(["--help"]);
    match definition.try_get_matches_from_mut(line) {
        Err(help) if known => help,
        _ => mistaken::no_command(&mut definition, name.unwrap_or_default()),
    }
}

/// Prints the help or the version that was asked for, or what is wrong with the line. Clap repeats the words of a wrong line,
/// and a script may have taken them from anywhere: they must not control the terminal.
pub fn explain(line: &[OsString], error: &clap::Error) {
    let words = || line.iter().map(|word| word.to_string_lossy());
    if words().all(|word| clean(&word) == word.trim()) {
        // A closed stream is no error of ours.
        let _ = error.print();
        return;
    }
    let text = error.render().to_string();
    let lines: Vec<String> = text.lines().map(clean).collect();
    let print = if error.use_stderr() { super::stream::err } else { super::stream::out };
    print(&format!("{}\n", lines.join("\n").trim_end()));
}

/// The clap definition. The help of commands that connect to no cluster hides the connection flags.
pub fn definition() -> clap::Command {
    let mut command = Cli::command();
    // Global flags reach the commands only when they are built.
    command.build();
    let without = |command: clap::Command| {
        command.mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg })
    };
    ["sandbox", "completion", "man", "help", "version"]
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, without))
}

/// The arguments of the update that were typed. Before a subcommand, clap would accept them and then ignore them.
fn arguments_of_the_update<'a>(command: &'a clap::Command, matches: &ArgMatches) -> Vec<&'a clap::Arg> {
    let typed = |arg: &&clap::Arg| {
        let id = arg.get_id().as_str();
        matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    command.get_arguments().filter(|arg| !arg.is_global_set()).filter(typed).collect()
}

#[cfg(test)]
mod tests;
