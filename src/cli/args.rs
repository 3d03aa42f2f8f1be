//! The command line as it is typed. What it means is decided in [`super::options`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::cluster_args::ClusterArgs;
use super::completion::{COMPLETE, CompleteArgs, CompletionArgs};
use super::look_args::{HistoryArgs, ListArgs, StatusArgs, VersionsArgs};
use crate::model::{Check, Method};
use crate::sandbox::Fault;

/// What `--pod-timeout` is unless it is given: a large image takes minutes to pull, and a broker as long to recover.
pub const POD_TIMEOUT: Duration = Duration::from_secs(20 * 60);

/// What `--pause-timeout` is unless it is given: the operator answers in its next reconcile, within seconds.
pub const PAUSE_TIMEOUT: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "\
Examples:
  # Show what an update would do, and change nothing
  kubectl dbupdate kafka my-kf --to 3.6.1 --dry-run

  # Update to the newest version that may follow, after a look at the plan
  kubectl dbupdate kafka/my-kf --to latest

  # Choose the version from a list
  kubectl dbupdate druid my-dr -n analytics

  # From a script: no question, a line for each event, the result as JSON
  kubectl dbupdate zk my-zk --to 3.9.1 --yes --progress plain -o json

  # Try it without a cluster
  kubectl dbupdate kafka my-kf --to 3.6.1 --sandbox --yes";

/// The version, and in brackets what `build.rs` tells of the build: the commit and the target.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("DBUPDATE_BUILT"), ")");

const ABOUT: &str = "Update the version of a KubeDB database, safely";

const LONG_ABOUT: &str = "\
Update the version of a KubeDB database, safely.

Checks what could go wrong, shows the plan and asks; then pauses KubeDB's operator for the database, patches the \
images of its workloads, restarts the pods one at a time within their disruption budgets, sets the version, resumes \
the operator and verifies what came of it. The same command goes on where an interrupted run has stopped.

Kinds: kafka (kf), druid (dr), cassandra (cas), hazelcast (hz), zookeeper (zk).";

const EXIT_CODES: &str = "\
Exit codes:
  0 done, feasible, or nothing to do      4 not finished after a change
  1 failed before any change              5 somebody else is at work on it
  2 usage                                 124 --timeout has passed
  3 refused by a finding, or declined     129, 130, 143 ended by a signal";

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-dbupdate",
    bin_name = "kubectl dbupdate",
    version = VERSION,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"),
    override_usage = "kubectl dbupdate KIND[/NAME] [NAME] --to VERSION [flags]\n       kubectl dbupdate COMMAND",
    subcommand_help_heading = "Commands",
    subcommand_value_name = "COMMAND",
    disable_help_subcommand = true,
    max_term_width = 120
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub update: UpdateArgs,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// The commands beside the update itself.
#[derive(Debug, Subcommand)]
pub enum Command {
    Resume(ResumeArgs),
    Rollback(RollbackArgs),
    Status(StatusArgs),
    History(HistoryArgs),
    List(ListArgs),
    Versions(VersionsArgs),
    Completion(CompletionArgs),
    /// Print the manual page, of the plugin or of one of its commands
    Man(ManArgs),
    Auth(super::auth::AuthArgs),
    Sandbox(SandboxArgs),
    /// What could stand at the end of a line, in the protocol of kubectl and cobra
    #[command(name = COMPLETE, hide = true)]
    Complete(CompleteArgs),
}

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

/// An update.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// The kind of database, or kind and name: kafka, kf, kafkas, kafkas.kubedb.com, kafka/my-kf
    #[arg(value_name = "KIND[/NAME]")]
    pub kind: Option<String>,

    /// The database's name; on a terminal it can be chosen from a list
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// The version to go to: a name from the cluster's catalog, or latest
    ///
    /// `latest` is the newest version that the version rule allows, that is not deprecated, and that this tool can
    /// get to in one step. On a terminal the version can be chosen from a list.
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,

    /// Where the version is not reachable at once, take every step of the way, one update after another
    ///
    /// Each of them is complete and verified before the next one begins, and nothing is paused in between. The way is
    /// shown and confirmed once; the same command, or resume, goes on from wherever it was left.
    #[arg(long)]
    pub through: bool,

    /// Who changes the templates: client (this tool), provisioner (KubeDB's operator), ops-manager (all of it)
    ///
    /// `client` patches the images while the operator is halted. `provisioner` is for steps that images alone cannot do,
    /// such as Kafka 3.x to 4.x: spec.version is set first and KubeDB's operator renders the new templates, which
    /// restarts nothing by itself; then it is halted, and the pods are restarted as ever. `ops-manager` makes an ops
    /// request for KubeDB's licensed engine, and follows it. On a way of several updates VERSION=WAY chooses for the one
    /// to that version; repeatable.
    #[arg(long, value_name = "[VERSION=]WAY", value_parser = chosen_way)]
    pub via: Vec<(Option<String>, Method)>,

    /// What to do when a pod is stuck on the new version: stop there, or go back
    ///
    /// Going back by itself happens only while no container of the new image has ever started: an image that cannot be
    /// pulled, a pod that no node can take. Otherwise the run stops, and the command rollback is yours to choose.
    #[arg(
        long,
        value_enum,
        value_name = "stop|rollback",
        default_value = "stop",
        hide_possible_values = true
    )]
    pub on_failure: OnFailure,

    /// Go to an older version
    #[arg(long, help_heading = "Checks")]
    pub allow_downgrade: bool,

    /// Go to a version that the catalog marks as deprecated
    #[arg(long, help_heading = "Checks")]
    pub allow_deprecated: bool,

    #[command(flatten)]
    pub run: RunArgs,
}

/// Go on with the unfinished run of a database, from any machine
///
/// What is done is observed and skipped. The command that began the run does the same when it is typed again. What was
/// overridden by name when it began is overridden by name again: whoever may write ConfigMaps may have written what is noted
/// of it.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The kind of database, or kind and name
    #[arg(value_name = "KIND[/NAME]")]
    pub kind: String,

    /// The database's name
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// Take every further step of the way as well that the run was to take
    ///
    /// Without a question, as with --yes, only the update that is unfinished is finished unless this is given.
    #[arg(long)]
    pub through: bool,

    /// Wait until the lock of the run before has run out, instead of refusing while its holder is alive
    #[arg(long)]
    pub take_over: bool,

    /// Go to an older version
    #[arg(long, help_heading = "Checks")]
    pub allow_downgrade: bool,

    /// Go to a version that the catalog marks as deprecated
    #[arg(long, help_heading = "Checks")]
    pub allow_deprecated: bool,

    /// Where the run is a rollback: go back although the data may be in a format that the old version cannot read
    #[arg(long, help_heading = "Checks")]
    pub allow_data_downgrade: bool,

    #[command(flatten)]
    pub run: RunArgs,
}

/// Bring an unfinished run back to the images and the version before it
///
/// Pods that are not well go first, then the updated ones in reverse order. A pod that is not well is deleted where a
/// disruption budget forbids its eviction. With nothing half done it only removes our own pause.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The kind of database, or kind and name
    #[arg(value_name = "KIND[/NAME]")]
    pub kind: String,

    /// The database's name
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// Go back although the new version may have written the data in a format that the old one cannot read
    #[arg(long)]
    pub allow_data_downgrade: bool,

    /// Wait until the lock of the run before has run out, instead of refusing while its holder is alive
    #[arg(long)]
    pub take_over: bool,

    #[command(flatten)]
    pub run: RunArgs,
}

/// What an update, a resume and a rollback have in common.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Show the plan and change nothing; =server also has the server try every write
    #[arg(
        long,
        value_enum,
        value_name = "client|server",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "client",
        hide_possible_values = true
    )]
    pub dry_run: Option<DryRun>,

    /// Do not ask for confirmation; required without a terminal
    #[arg(short, long)]
    pub yes: bool,

    /// How plan and result are printed
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub output: Output,

    /// How the progress of the run is shown
    ///
    /// `auto` is bars when standard error is a terminal, else a plain line for each event. `json` prints an object
    /// for each event on standard output.
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        default_value = "auto",
        hide_possible_values = true,
        help = "How the progress is shown: auto, bars, plain, json, none"
    )]
    pub progress: ProgressArg,

    /// When to use colours: auto, always, never
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: ColorArg,

    /// Where images are pinned to digests: ask the registries for the new ones, or keep to the catalog's tags
    ///
    /// `auto` asks the registry of each new image whether it is there and which digest it has, as nobody or with your own
    /// login of docker or podman. `keep-tags` asks no registry at all. A rollback asks none either: it brings back what was
    /// there, to the letter.
    #[arg(
        long,
        value_enum,
        value_name = "auto|keep-tags",
        default_value = "auto",
        hide_possible_values = true,
        help_heading = "Images"
    )]
    pub digests: Digests,

    /// Stop after that time; 0 is never
    ///
    /// The run stops there and then, whatever it waits for; a pod in flight comes back by itself. The same command goes
    /// on.
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = super::duration::parse, help_heading = "Times")]
    pub timeout: Duration,

    /// How long one pod may take to come back, on top of its termination grace
    ///
    /// The same time bounds an eviction that a disruption budget does not allow.
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = super::duration::parse, help_heading = "Times")]
    pub pod_timeout: Duration,

    /// How long a new pod must stay Ready before the next one is restarted
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = super::duration::parse, help_heading = "Times")]
    pub min_ready: Duration,

    /// How long to wait for KubeDB's operator to acknowledge the pause
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = super::duration::parse, help_heading = "Times")]
    pub pause_timeout: Duration,

    /// Go on although that check refuses; repeatable, or separated by commas
    #[arg(
        long,
        value_name = "CHECK",
        value_delimiter = ',',
        long_help = skippable(),
        help_heading = "Checks"
    )]
    pub skip_check: Vec<String>,
}

/// `WAY` or `VERSION=WAY`.
fn chosen_way(typed: &str) -> Result<(Option<String>, Method), String> {
    let (version, way) = match typed.rsplit_once('=') {
        Some((version, way)) => (Some(version.to_owned()), way),
        None => (None, typed),
    };
    let via = Method::ALL.into_iter().find(|via| via.to_string() == way);
    let known = || format!("the ways are {}", Method::ALL.map(|via| via.to_string()).join(", "));
    via.map(|via| (version, via)).ok_or_else(known)
}

/// Which manual page.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
}

/// Serve a simulated cluster on this machine, for kubectl and kubectl dbupdate
///
/// It has a Kafka, a Druid, a Cassandra, a Hazelcast and a ZooKeeper, and controllers that bring them to life. It
/// listens on 127.0.0.1 only, without TLS and without authentication, and everything in it is gone when it ends.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # Serve it, and follow the lines that it prints
  kubectl dbupdate sandbox

  # Rehearse a failure: the second pod of each workload cannot pull its new image
  kubectl dbupdate sandbox --fail pull")]
pub struct SandboxArgs {
    /// The port to listen on; 0 is any free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,

    /// Where to write the kubeconfig [default: a temporary file, removed at the end]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig_out: Option<PathBuf>,

    /// What goes wrong in it; repeatable
    #[arg(long, value_enum, value_name = "FAULT", value_delimiter = ',')]
    pub fail: Vec<Fault>,
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

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    Auto,
    Always,
    Never,
}

/// Reads a command line, the program's name first.
///
/// # Errors
///
/// A usage error, or the help or version that was asked for: all of them as clap prints them.
pub fn parse<T>(line: impl IntoIterator<Item = T>) -> Result<Cli, clap::Error>
where
    T: Into<OsString> + Clone,
{
    let mut command = definition();
    let matches = command.try_get_matches_from_mut(line)?;
    if let Some(subcommand) = matches.subcommand_name()
        && let Some(stray) = argument_of_the_update(&command, &matches)
    {
        let text = match stray.get_long() {
            Some(long) => format!("--{long} does not go with the command '{subcommand}'"),
            None => format!(
                "'{subcommand}' is a command here; a database of that name is written KIND/{subcommand}"
            ),
        };
        return Err(command.error(ErrorKind::ArgumentConflict, text));
    }
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The whole command line. The flags of the connection are left out of the help of the commands that connect to no cluster.
pub fn definition() -> clap::Command {
    let mut command = Cli::command();
    // Global flags reach the commands only when they are built.
    command.build();
    let without = |command: clap::Command| {
        command.mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg })
    };
    ["sandbox", "completion", "man"]
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, without))
}

/// What `--skip-check` takes.
fn skippable() -> String {
    let names = Check::OVERRIDABLE.map(|check| check.to_string());
    format!(
        "Go on although that check refuses; repeatable, or separated by commas\n\nChecks: {}",
        names.join(", ")
    )
}

/// An argument of the update that was typed before a command: clap would accept and drop it.
fn argument_of_the_update<'a>(command: &'a clap::Command, matches: &ArgMatches) -> Option<&'a clap::Arg> {
    command.get_arguments().filter(|arg| !arg.is_global_set()).find(|arg| {
        let id = arg.get_id().as_str();
        matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        parse(std::iter::once("kubectl-dbupdate").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn defaults_are_as_documented() {
        let cli = parsed("kafka my-kf").expect("a valid line");
        let update = &cli.update;
        assert_eq!(update.kind.as_deref(), Some("kafka"));
        assert_eq!(update.name.as_deref(), Some("my-kf"));
        assert_eq!((update.run.dry_run, update.run.yes), (None, false));
        assert_eq!(update.run.output, Output::Table);
        assert_eq!(update.run.timeout, Duration::ZERO);
        assert_eq!(update.run.pod_timeout, POD_TIMEOUT);
        assert_eq!(update.run.min_ready, Duration::ZERO);
        assert_eq!(update.run.pause_timeout, PAUSE_TIMEOUT);
        assert!(!cli.cluster.sandbox && cli.command.is_none());
    }

    #[test]
    fn dry_run_swallows_no_word() {
        for (line, dry_run, name) in [
            ("kafka --dry-run my-kf", Some(DryRun::Client), Some("my-kf")),
            ("kafka --dry-run server", Some(DryRun::Client), Some("server")),
            ("kafka my-kf --dry-run", Some(DryRun::Client), Some("my-kf")),
            ("kafka my-kf --dry-run=client", Some(DryRun::Client), Some("my-kf")),
            ("--dry-run=server kafka my-kf", Some(DryRun::Server), Some("my-kf")),
            ("kafka my-kf", None, Some("my-kf")),
        ] {
            let cli = parsed(line).expect(line);
            assert_eq!(cli.update.run.dry_run, dry_run, "{line}");
            assert_eq!(cli.update.name.as_deref(), name, "{line}");
        }
    }

    #[test]
    fn checks_are_repeated_or_separated_by_commas() {
        let cli = parsed("kf a --skip-check phase,drift --skip-check=downgrade").expect("a valid line");
        assert_eq!(cli.update.run.skip_check, ["phase", "drift", "downgrade"]);
    }

    #[test]
    fn flags_of_the_cluster_stand_anywhere() {
        for line in [
            "-n db kafka my-kf",
            "kafka -n db my-kf",
            "kafka my-kf --namespace=db",
            "-n db sandbox",
            "sandbox -n db",
        ] {
            let cli = parsed(line).expect(line);
            assert_eq!(cli.cluster.namespace.as_deref(), Some("db"), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_is_a_usage_error() {
        for (line, said) in [
            ("kafka my-kf extra", "unexpected argument 'extra'"),
            ("kafka my-kf --dry-run=none", "[possible values: client, server]"),
            ("kafka my-kf -o wide", "[possible values: table, json, yaml]"),
            ("kafka my-kf --timeout=-5s", "cannot be negative"),
            ("kafka my-kf --pod-timeout soon", "not a duration"),
            ("kafka my-kf --outptu json", "similar argument exists: '--output'"),
            ("kafka my-kf --sandbox-fail pull", "--sandbox"),
            ("kafka sandbox", "'sandbox' is a command here"),
            ("--to 3.6.1 sandbox", "--to does not go with the command 'sandbox'"),
            ("sandbox --port 70000", "70000"),
            ("sandbox --fail nothing", "[possible values: pull"),
        ] {
            let error = parsed(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
            let text = error.to_string();
            assert!(text.contains(said), "{line}: {text}");
        }
    }
}
