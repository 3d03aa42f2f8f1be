//! Validates the command line. Pure: what the process is connected to is passed in as a [`Terminal`].

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::args::{self, SandboxArgs, UpdateArgs};
use super::cluster_args::ClusterArgs;
use super::database_args::DatabaseArgs;
use super::look_args::{
    AuthArgs, HealthArgs, HistoryArgs, ListArgs, ListedArgs, StatusArgs, VersionsArgs, WhichArgs,
};
use super::mistaken;
use super::names::{wrong_with_database, wrong_with_namespace};
use super::run_args::{FinishArgs, ResumeArgs, RollbackArgs, RunArgs, ThenArgs};
use super::target::Target;
use super::terminal::Terminal;
use super::usage::UsageError;
use super::values::{ColorArg, Digests, DryRun, HistoryOutput, ListOutput, OnFailure, Output, ProgressArg};
use crate::model::{Check, HealthMode, Kind, Method, Methods, clean};
use crate::report::Progress;
use crate::sandbox::Fault;

/// An update, validated.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateOptions {
    pub target: Target,
    /// `None` means the context's namespace.
    pub namespace: Option<String>,
    /// `None` means that the user chooses from a list.
    pub kind: Option<Kind>,
    /// `None` means that the user chooses from a list.
    pub name: Option<String>,
    /// The name of a version object, or `latest`; `None` means that the user chooses from a list.
    pub to: Option<String>,
    /// If the version cannot be reached directly, update through the versions in between.
    pub through: bool,
    /// The method of each hop.
    pub methods: Methods,
    pub dry_run: Option<DryRun>,
    pub yes: bool,
    pub output: Output,
    pub progress: Progress,
    /// Only the result is printed.
    pub quiet: bool,
    pub colors: Colors,
    /// `None` means no limit.
    pub timeout: Option<Duration>,
    pub pod_timeout: Duration,
    pub min_ready: Duration,
    /// Bring the new images to the nodes before anything is changed.
    pub pre_pull: bool,
    pub pause_timeout: Duration,
    /// Zero means that no pod is drained.
    pub drain: Duration,
    /// Zero means not to wait.
    pub wait_ready: Duration,
    /// Whether the database is asked before each restart.
    pub health: HealthMode,
    /// Finish the update afterwards, once the database has been healthy for that long.
    pub finish: Option<Duration>,
    /// The checks that the user has overridden.
    pub skip: BTreeSet<Check>,
    pub mode: Mode,
    /// Wait for a lock that another run still holds.
    pub take_over: bool,
    pub roll_back_on_failure: bool,
    pub digests: Digests,
}

/// The options of a read-only command, validated.
#[derive(Debug, Clone, PartialEq)]
pub struct LookOptions {
    pub target: Target,
    /// `None` means the context's namespace.
    pub namespace: Option<String>,
    /// Search every namespace.
    pub all_namespaces: bool,
    /// The label selector; empty means no filter.
    pub selector: String,
    /// `None` means every kind.
    pub kind: Option<Kind>,
    /// `None` means every database.
    pub name: Option<String>,
    /// How to show the run that is followed; `None` if none is.
    pub watch: Option<Progress>,
    /// Exit with a code for the state.
    pub exit_code: bool,
    /// The one run of a history that is shown; `None` means all of them.
    pub run: Option<OneRun>,
    pub output: ListOutput,
    /// Tables have a header.
    pub headers: bool,
    pub colors: Colors,
}

/// One run of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneRun {
    /// Its id, or the beginning of it; `None` means the latest run.
    pub id: Option<String>,
    pub markdown: bool,
}

impl LookOptions {
    /// Validates the arguments of `status`.
    ///
    /// # Errors
    ///
    /// The first argument that is invalid.
    pub fn status(args: StatusArgs, cluster: ClusterArgs, terminal: &Terminal) -> Result<Self, UsageError> {
        let watch = match args.watch {
            true => Some(progress(ProgressArg::Auto, cluster.verbosity > 0, terminal)?),
            false => None,
        };
        let options = Self::new(args.kind.as_deref(), args.name, args.listed, cluster, terminal)?;
        if watch.is_some() && options.name.is_none() {
            return Err(UsageError::WatchWhich);
        }
        Self { watch, exit_code: args.exit_code, ..options }.among(args.which)
    }

    /// Validates the arguments of `list`.
    ///
    /// # Errors
    ///
    /// The first argument that is invalid.
    pub fn list(args: ListArgs, cluster: ClusterArgs, terminal: &Terminal) -> Result<Self, UsageError> {
        let options = Self::new(args.kind.as_deref(), None, args.listed, cluster, terminal)?;
        options.among(args.which)
    }

    /// Validates the arguments of `versions`.
    ///
    /// # Errors
    ///
    /// The first argument that is invalid.
    pub fn versions(
        args: VersionsArgs,
        cluster: ClusterArgs,
        terminal: &Terminal,
    ) -> Result<Self, UsageError> {
        Self::new(Some(&args.database.kind), args.database.name, args.listed, cluster, terminal)
    }

    fn among(self, which: WhichArgs) -> Result<Self, UsageError> {
        let selector = which.selector.filter(|labels| !labels.is_empty());
        match (&self.name, &self.namespace, &selector) {
            (Some(_), ..) if which.all_namespaces => Err(UsageError::AllNamespaces { with: "a name" }),
            (_, Some(_), _) if which.all_namespaces => Err(UsageError::AllNamespaces { with: "--namespace" }),
            (Some(_), _, Some(_)) => Err(UsageError::SelectorAndName),
            _ => {
                let (all_namespaces, selector) = (which.all_namespaces, selector.unwrap_or_default());
                Ok(Self { all_namespaces, selector, ..self })
            }
        }
    }

    /// Validates the arguments of `history`.
    ///
    /// # Errors
    ///
    /// The first argument that is invalid.
    pub fn history(args: HistoryArgs, cluster: ClusterArgs, terminal: &Terminal) -> Result<Self, UsageError> {
        let HistoryArgs { kind, mut name, run: mut id, which, output, no_headers, color } = args;
        if kind.as_deref().is_some_and(|kind| kind.contains('/')) && id.is_none() {
            // With KIND/NAME, the second word is the run.
            id = name.take();
        }
        let markdown = output == HistoryOutput::Markdown;
        let run = (markdown || id.is_some()).then_some(OneRun { id, markdown });
        let listed = ListedArgs { output: output.into(), no_headers, color };
        let options = Self::new(kind.as_deref(), name, listed, cluster, terminal)?;
        if run.is_some() && options.name.is_none() {
            return Err(UsageError::NameMissing);
        }
        Self { run, ..options }.among(which)
    }

    /// Validates the arguments of `health`.
    ///
    /// # Errors
    ///
    /// The first argument that is invalid.
    pub fn health(args: HealthArgs, cluster: ClusterArgs, terminal: &Terminal) -> Result<Self, UsageError> {
        let (database, shown) = (args.database, args.shown.into());
        let options = Self::new(Some(&database.kind), database.name, shown, cluster, terminal)?;
        let watch = args.watch.then_some(Progress::Plain);
        if options.name.is_none() { Err(UsageError::NameMissing) } else { Ok(Self { watch, ..options }) }
    }

    /// Validates the arguments of `auth`.
    ///
    /// # Errors
    ///
    /// The first argument that is invalid.
    pub fn auth(args: AuthArgs, cluster: ClusterArgs, terminal: &Terminal) -> Result<Self, UsageError> {
        let (database, shown) = (args.database, args.shown.into());
        let options = Self::new(Some(&database.kind), database.name, shown, cluster, terminal)?;
        if options.name.is_none() { Err(UsageError::NameMissing) } else { Ok(options) }
    }

    fn new(
        kind: Option<&str>,
        name: Option<String>,
        shown: ListedArgs,
        cluster: ClusterArgs,
        terminal: &Terminal,
    ) -> Result<Self, UsageError> {
        let (kind, name) = database(kind, name)?;
        Ok(Self {
            namespace: namespace(cluster.namespace.as_deref())?,
            target: cluster.target()?,
            all_namespaces: false,
            selector: String::new(),
            kind,
            name,
            watch: None,
            exit_code: false,
            run: None,
            output: shown.output,
            headers: !shown.no_headers,
            colors: colors(shown.color, terminal),
        })
    }
}

/// What to do with the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Update,
    /// Resume the interrupted run.
    Resume,
    /// Roll the interrupted run back.
    Rollback,
    /// Finish the update, or take that back.
    Finish {
        undo: bool,
    },
}

/// Which output streams use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colors {
    pub stdout: bool,
    pub stderr: bool,
}

/// The options of `sandbox`, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxOptions {
    pub port: u16,
    pub kubeconfig_out: Option<PathBuf>,
    /// The round trip to its clients.
    pub latency: Duration,
    pub faults: Vec<Fault>,
}

impl UpdateOptions {
    /// Validates the arguments of an update.
    ///
    /// # Errors
    ///
    /// The first argument that is invalid.
    pub fn new(update: UpdateArgs, cluster: ClusterArgs, terminal: &Terminal) -> Result<Self, UsageError> {
        Self::of(Mode::Update, update, cluster, terminal)
    }

    fn of(
        mode: Mode,
        update: UpdateArgs,
        cluster: ClusterArgs,
        terminal: &Terminal,
    ) -> Result<Self, UsageError> {
        let namespace = namespace(cluster.namespace.as_deref())?;
        let (kind, name) = database(update.kind.as_deref(), update.name).map_err(|error| match error {
            UsageError::Kind { unknown } => mistaken::first_word(unknown, &args::definition()),
            error => error,
        })?;
        if kind.is_none() && !terminal.can_pick() {
            return Err(UsageError::KindMissing);
        }
        if update.to.as_ref().is_some_and(|to| to.trim().is_empty()) {
            return Err(UsageError::NoVersion);
        }
        if update.run.pod_timeout.is_zero() {
            return Err(UsageError::PodTimeout);
        }
        let real = update.run.shown.dry_run.is_none();
        // Whether there is anything to resume or to roll back is said first.
        if mode == Mode::Update && real && !update.run.shown.yes && !terminal.can_ask() {
            return Err(UsageError::YesRequired);
        }
        if real && !update.run.shown.yes && update.run.shown.quiet {
            return Err(UsageError::QuietQuestion);
        }
        let progress = progress(update.run.shown.progress, cluster.verbosity > 0, terminal)?;
        if real && progress == Progress::Json {
            one_output(update.run.shown.output)?;
        }
        let mut skip = checks(&update.run.skip_check)?;
        skip.extend(update.allow_downgrade.then_some(Check::Downgrade));
        skip.extend(update.allow_deprecated.then_some(Check::DeprecatedTarget));
        Ok(Self {
            target: cluster.target()?,
            namespace,
            kind,
            name,
            to: update.to.map(|to| version_name(to.trim())),
            through: update.through,
            methods: methods(update.via)?,
            dry_run: update.run.shown.dry_run,
            yes: update.run.shown.yes,
            output: update.run.shown.output,
            progress: if update.run.shown.quiet { Progress::None } else { progress },
            quiet: update.run.shown.quiet,
            colors: colors(update.run.shown.color, terminal),
            timeout: Some(update.run.shown.timeout).filter(|t| !t.is_zero()),
            pod_timeout: update.run.pod_timeout,
            min_ready: update.run.min_ready,
            pre_pull: update.pre_pull,
            pause_timeout: update.run.pause_timeout,
            drain: if update.run.no_drain { Duration::ZERO } else { update.run.drain_timeout },
            wait_ready: update.run.wait_ready,
            health: update.run.health.into(),
            finish: update.then.finish.then_some(update.then.soak),
            skip,
            mode,
            take_over: false,
            roll_back_on_failure: update.on_failure == OnFailure::Rollback,
            digests: update.run.digests,
        })
    }

    /// Validates the arguments of `resume`.
    ///
    /// # Errors
    ///
    /// The first argument that is invalid.
    pub fn resume(args: ResumeArgs, cluster: ClusterArgs, terminal: &Terminal) -> Result<Self, UsageError> {
        let update = UpdateArgs {
            through: args.through,
            allow_downgrade: args.allow_downgrade,
            allow_deprecated: args.allow_deprecated,
            pre_pull: args.pre_pull,
            then: args.then,
            ..unnamed(args.database, args.run)
        };
        let options = Self::of(Mode::Resume, update, cluster, terminal)?;
        let mut options = Self { take_over: args.take_over, ..options.named()? };
        options.skip.extend(args.allow_data_downgrade.then_some(Check::DataDowngrade));
        Ok(options)
    }

    /// Validates the arguments of `rollback`.
    ///
    /// # Errors
    ///
    /// The first argument that is invalid.
    pub fn rollback(
        args: RollbackArgs,
        cluster: ClusterArgs,
        terminal: &Terminal,
    ) -> Result<Self, UsageError> {
        let options = Self::of(Mode::Rollback, unnamed(args.database, args.run), cluster, terminal)?;
        let mut options = Self { take_over: args.take_over, ..options.named()? };
        options.skip.extend(args.allow_data_downgrade.then_some(Check::DataDowngrade));
        Ok(options)
    }

    /// Validates the arguments of `finish`.
    ///
    /// # Errors
    ///
    /// The first argument that is invalid.
    pub fn finish(args: FinishArgs, cluster: ClusterArgs, terminal: &Terminal) -> Result<Self, UsageError> {
        let run = RunArgs {
            pod_timeout: args.step_timeout,
            skip_check: args.skip_check,
            ..RunArgs::unchosen(args.shown)
        };
        let mode = Mode::Finish { undo: args.undo };
        let options = Self::of(mode, unnamed(args.database, run), cluster, terminal)?;
        Ok(Self { take_over: args.take_over, ..options.named()? })
    }

    /// What a program reads is about one database.
    fn named(self) -> Result<Self, UsageError> {
        let program = self.output != Output::Table || self.progress == Progress::Json;
        if program && self.name.is_none() { Err(UsageError::NameMissing) } else { Ok(self) }
    }
}

/// The arguments of an update without a target version, which comes from the interrupted run.
fn unnamed(database: DatabaseArgs, run: RunArgs) -> UpdateArgs {
    UpdateArgs {
        kind: Some(database.kind),
        name: database.name,
        to: None,
        through: false,
        then: ThenArgs::default(),
        via: Vec::new(),
        pre_pull: false,
        allow_downgrade: false,
        allow_deprecated: false,
        on_failure: OnFailure::Stop,
        run,
    }
}

impl SandboxOptions {
    /// Validates the arguments of `sandbox`.
    ///
    /// # Errors
    ///
    /// A connection flag: the sandbox is a cluster itself, and connects to none.
    pub fn new(sandbox: SandboxArgs, cluster: ClusterArgs) -> Result<Self, UsageError> {
        match cluster.stray() {
            Some(flag) => Err(UsageError::SandboxCommand { flag }),
            None => Ok(Self {
                port: sandbox.port,
                kubeconfig_out: sandbox.kubeconfig_out,
                latency: sandbox.latency,
                faults: sandbox.fail,
            }),
        }
    }
}

/// Reads `KIND NAME`, `KIND/NAME`, `KIND` or nothing.
///
/// # Errors
///
/// An unknown kind, or an invalid name.
pub(super) fn database(
    kind: Option<&str>,
    word: Option<String>,
) -> Result<(Option<Kind>, Option<String>), UsageError> {
    let Some(typed) = kind else {
        return Ok((None, None));
    };
    let (kind, slash) = match typed.split_once('/') {
        Some((kind, name)) => (kind, Some(name)),
        None => (typed, None),
    };
    let kind = kind.parse::<Kind>().map_err(|unknown| UsageError::Kind { unknown })?;
    let name = match (slash, word) {
        (Some(slash), Some(word)) => {
            return Err(UsageError::NameTwice { slash: clean(slash), word: clean(&word) });
        }
        (Some(slash), None) if slash.contains('/') => {
            return Err(UsageError::Slashes { typed: clean(typed) });
        }
        (Some(slash), None) => Some(slash.to_owned()),
        (None, word) => word,
    };
    match name.as_deref().and_then(wrong_with_database) {
        Some(wrong) => Err(UsageError::Name { name: name.as_deref().map(clean).unwrap_or_default(), wrong }),
        None => Ok((Some(kind), name)),
    }
}

/// The name of a version, also in the form that `versions -o name` and kubectl print:
/// `kafkaversion.catalog.kubedb.com/3.6.1`.
fn version_name(typed: &str) -> String {
    match typed.split_once('/') {
        Some((resource, name)) if resource.ends_with(".catalog.kubedb.com") => name.to_owned(),
        _ if typed.eq_ignore_ascii_case("latest") => "latest".to_owned(),
        _ => typed.to_owned(),
    }
}

fn namespace(typed: Option<&str>) -> Result<Option<String>, UsageError> {
    let Some(name) = typed.filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    match wrong_with_namespace(name) {
        Some(wrong) => Err(UsageError::Namespace { name: clean(name), wrong }),
        None => Ok(Some(name.to_owned())),
    }
}

/// # Errors
///
/// Two different methods for the same hop.
fn methods(typed: Vec<(Option<String>, Method)>) -> Result<Methods, UsageError> {
    let mut methods = Methods::default();
    for (version, method) in typed {
        let before = match version {
            Some(version) => methods.to.insert(version, method),
            None => methods.all.replace(method),
        };
        if let Some(first) = before.filter(|before| *before != method) {
            return Err(UsageError::TwoWays { first, second: method });
        }
    }
    Ok(methods)
}

fn checks(typed: &[String]) -> Result<BTreeSet<Check>, UsageError> {
    let check = |name: &String| {
        Check::overridable(name.trim()).ok_or_else(|| UsageError::Check { typed: clean(name) })
    };
    typed.iter().map(check).collect()
}

/// Resolves `--progress`. Log lines would garble the bars, so `auto` uses plain lines with `-v`.
fn progress(typed: ProgressArg, logged: bool, terminal: &Terminal) -> Result<Progress, UsageError> {
    let can_draw = terminal.stderr && !terminal.dumb;
    match typed {
        ProgressArg::Auto if can_draw && !logged => Ok(Progress::Bars),
        ProgressArg::Auto | ProgressArg::Plain => Ok(Progress::Plain),
        ProgressArg::Bars if can_draw => Ok(Progress::Bars),
        ProgressArg::Bars => Err(UsageError::BarsWithoutTerminal),
        ProgressArg::Json => Ok(Progress::Json),
        ProgressArg::None => Ok(Progress::None),
    }
}

fn one_output(output: Output) -> Result<(), UsageError> {
    match output {
        Output::Table => Ok(()),
        Output::Json => Err(UsageError::TwoOutputs { format: "json" }),
        Output::Yaml => Err(UsageError::TwoOutputs { format: "yaml" }),
    }
}

fn colors(typed: ColorArg, terminal: &Terminal) -> Colors {
    let auto = |is_terminal: bool| is_terminal && !terminal.dumb && !terminal.no_color;
    match typed {
        ColorArg::Auto => Colors { stdout: auto(terminal.stdout), stderr: auto(terminal.stderr) },
        ColorArg::Always => Colors { stdout: true, stderr: true },
        ColorArg::Never => Colors { stdout: false, stderr: false },
    }
}

#[cfg(test)]
mod tests;
