//! The arguments of the commands that continue an update, undo it or finish it, and those that all runs share.

use std::time::Duration;

use clap::Args;

use super::database_args::DatabaseArgs;
use super::values::{ColorArg, Digests, DryRun, HealthArg, Output, ProgressArg};
use crate::model::Check;

/// The default of `--pod-timeout`: a large image takes minutes to pull, and a broker takes as long to recover.
pub const POD_TIMEOUT: Duration = Duration::from_secs(20 * 60);

/// The default of `--pause-timeout`: the operator acknowledges in its next reconcile, within seconds.
pub const PAUSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The default of `--wait-ready`: KubeDB's slowest health checker reports a failure after 100 s.
pub const WAIT_READY: Duration = Duration::from_secs(5 * 60);

/// The default of `--drain-timeout`: a batch task takes minutes.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Resume an interrupted update or rollback, from any machine
///
/// Steps that are already done are skipped. Running the original command again does the same. What the original command
/// overrode must be overridden again: the journal is not trusted, since anybody who may write ConfigMaps can write it.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// Continue with the hops that were to follow the interrupted one
    ///
    /// With --yes and without this flag, only the interrupted hop is completed.
    #[arg(long)]
    pub through: bool,

    #[command(flatten)]
    pub then: ThenArgs,

    /// If another run still holds the lock, wait for it to expire or be released instead of refusing
    #[arg(long)]
    pub take_over: bool,

    /// Download the new images to the nodes of the pods that are left before the run continues
    #[arg(long, help_heading = "Images")]
    pub pre_pull: bool,

    /// Allow an update to an older version
    #[arg(long, help_heading = "Checks")]
    pub allow_downgrade: bool,

    /// Allow a version that the catalog marks as deprecated
    #[arg(long, help_heading = "Checks")]
    pub allow_deprecated: bool,

    /// If the run is a rollback: continue even if the new version may have written data that the old version cannot read
    #[arg(long, help_heading = "Checks")]
    pub allow_data_downgrade: bool,

    #[command(flatten)]
    pub run: RunArgs,
}

/// Roll back an interrupted update to the previous images and version
///
/// Unhealthy pods are replaced first, then the updated pods in reverse order. If a PodDisruptionBudget forbids the
/// eviction of an unhealthy pod, the pod is deleted. If nothing needs to be rolled back, only the pause left by this
/// tool is removed.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// Roll back even if the new version may have written data that the old version cannot read
    #[arg(long)]
    pub allow_data_downgrade: bool,

    /// If another run still holds the lock, wait for it to expire or be released instead of refusing
    #[arg(long)]
    pub take_over: bool,

    #[command(flatten)]
    pub run: RunArgs,
}

/// Finish an update in the database itself, such as raising Kafka's metadata.version
///
/// After an update, Kafka still uses the old version's metadata.version, and Cassandra may still have files in the old
/// version's format. This command asks the database what is left, shows each step and whether it can be undone, asks for
/// confirmation, and does it. No pod is restarted. See docs/finish.md.
#[derive(Debug, Args)]
#[command(
    mut_arg("dry_run", |arg| {
        arg.help("Show the plan without changing anything; with =server, the database is also asked to try the first step")
    }),
    mut_arg("timeout", |arg| {
        arg.long_help(
            "Stop after this time; 0 means no limit\n\nThe run stops at once, whatever it is waiting for. What the database \
             is doing goes on. Run the same command again to resume."
        )
    }),
    after_help = "\
Examples:
  # See what is left to finish, and what of it can be undone
  kubectl dbupdate finish kafka my-kf --dry-run

  # Finish the update
  kubectl dbupdate finish kafka my-kf

  # Undo the last finish, if the database accepts that
  kubectl dbupdate finish kafka my-kf --undo")]
pub struct FinishArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,

    /// Undo the last finish, if the database accepts that
    #[arg(long)]
    pub undo: bool,

    /// If another run still holds the lock, wait for it to expire or be released instead of refusing
    #[arg(long)]
    pub take_over: bool,

    #[command(flatten)]
    pub shown: RunShownArgs,

    /// How long to wait until a step can begin, and then until its effect shows
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = super::duration::parse, help_heading = "Times")]
    pub step_timeout: Duration,

    /// Continue even if this check fails; repeatable or comma-separated
    #[arg(
        long,
        value_name = "CHECK",
        value_delimiter = ',',
        long_help = skippable(&Check::OVERRIDABLE_TO_FINISH),
        help_heading = "Checks"
    )]
    pub skip_check: Vec<String>,
}

/// What is to follow an update.
#[derive(Debug, Default, Args)]
pub struct ThenArgs {
    /// After the update, also finish it in the database itself
    ///
    /// What the command finish does, once the last hop is verified; with --through also before a hop whose version needs
    /// it. Some of it cannot be undone. See docs/finish.md.
    #[arg(long)]
    pub finish: bool,

    /// With --finish: how long the database must stay healthy after the update before it is finished
    #[arg(
        long,
        value_name = "TIME",
        default_value = "0s",
        value_parser = super::duration::parse,
        requires = "finish",
        help_heading = "Times"
    )]
    pub soak: Duration,
}

/// How a run is confirmed and shown, and how long it may take.
#[derive(Debug, Args)]
pub struct RunShownArgs {
    /// Show the plan without changing anything; with =server, the API server validates every write
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

    /// Skip the confirmation prompt; required without a terminal
    #[arg(short, long)]
    pub yes: bool,

    /// Print only the result: no plan and no progress
    ///
    /// Requires --yes or --dry-run: nothing is confirmed unseen.
    #[arg(short, long, conflicts_with = "progress")]
    pub quiet: bool,

    /// Format of the plan and the result
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub output: Output,

    /// How to show progress: auto, bars, plain, json, none
    ///
    /// `auto` shows bars if standard error is a terminal, and otherwise one plain line per event. `json` prints one
    /// object per event on standard output.
    #[arg(long, value_enum, value_name = "HOW", default_value = "auto", hide_possible_values = true)]
    pub progress: ProgressArg,

    /// When to use colours: auto, always, never
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: ColorArg,

    /// Stop after this time; 0 means no limit
    ///
    /// The run stops at once, whatever it is waiting for. A pod that is restarting comes back on its own. Run the same
    /// command again to resume.
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = super::duration::parse, help_heading = "Times")]
    pub timeout: Duration,
}

/// Arguments that update, resume and rollback share.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub shown: RunShownArgs,

    /// How to pin new images: look up their digests in the registries, or use the catalog's tags
    ///
    /// `auto` checks in the registry that each new image exists, and pins it to its digest if the current image is
    /// pinned. It uses your docker or podman login, or none. `keep-tags` contacts no registry. A rollback contacts no
    /// registry either: it restores the exact previous images.
    #[arg(
        long,
        value_enum,
        value_name = "auto|keep-tags",
        default_value = "auto",
        hide_possible_values = true,
        help_heading = "Images"
    )]
    pub digests: Digests,

    /// How long a pod may take to become Ready, not counting its termination grace period
    ///
    /// Also how long to wait for a PodDisruptionBudget to allow an eviction.
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = super::duration::parse, help_heading = "Times")]
    pub pod_timeout: Duration,

    /// How long a new pod must stay Ready before the next pod is restarted
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = super::duration::parse, help_heading = "Times")]
    pub min_ready: Duration,

    /// How long to wait for the work of a pod that is drained before its restart: the tasks of a Druid middleManager
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = super::duration::parse, help_heading = "Times")]
    pub drain_timeout: Duration,

    /// Restart pods without draining them: Druid middleManagers, Cassandra nodes with a management API
    #[arg(long, conflicts_with = "drain_timeout", help_heading = "Checks")]
    pub no_drain: bool,

    /// How long to wait for KubeDB's operator to acknowledge the pause
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = super::duration::parse, help_heading = "Times")]
    pub pause_timeout: Duration,

    /// How long to wait after the update for KubeDB to report Ready; 0 means not to wait
    ///
    /// KubeDB's health checker runs every 10 to 30 s. The wait is longer if the health checker of this database needs
    /// longer to report a failure. If the time is up, the update is complete, and the exit code is 6.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = super::duration::parse, help_heading = "Times")]
    pub wait_ready: Duration,

    /// Whether to ask the database itself before each restart: auto, require, off
    ///
    /// A pod is then restarted only while the database says that it can bear it, and counts as back only when it is a full
    /// member again. `auto` goes on by readiness and PodDisruptionBudgets where the database cannot be asked, and says so;
    /// `require` refuses. See docs/health.md.
    #[arg(
        long,
        value_enum,
        value_name = "auto|require|off",
        default_value = "auto",
        hide_possible_values = true,
        help_heading = "Checks"
    )]
    pub health: HealthArg,

    /// Continue even if this check fails; repeatable or comma-separated
    #[arg(
        long,
        value_name = "CHECK",
        value_delimiter = ',',
        long_help = skippable(&Check::OVERRIDABLE),
        help_heading = "Checks"
    )]
    pub skip_check: Vec<String>,
}

impl RunArgs {
    /// The defaults of everything that does not concern how the run is shown.
    pub fn unchosen(shown: RunShownArgs) -> Self {
        RunArgs {
            shown,
            digests: Digests::KeepTags,
            pod_timeout: POD_TIMEOUT,
            min_ready: Duration::ZERO,
            drain_timeout: DRAIN_TIMEOUT,
            no_drain: false,
            pause_timeout: PAUSE_TIMEOUT,
            wait_ready: WAIT_READY,
            health: HealthArg::Auto,
            skip_check: Vec::new(),
        }
    }
}

/// The long help of `--skip-check`, with the names it accepts.
fn skippable(checks: &[Check]) -> String {
    let names: Vec<_> = checks.iter().map(Check::to_string).collect();
    format!(
        "Continue even if this check fails; repeatable or comma-separated\n\nChecks: {}",
        names.join(", ")
    )
}
