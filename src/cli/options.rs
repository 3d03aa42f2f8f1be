//! What the command line means. Pure: what the process is connected to comes in as a [`Terminal`].

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::args::{
    ColorArg, Digests, DryRun, OnFailure, Output, ProgressArg, ResumeArgs, RollbackArgs, RunArgs,
    SandboxArgs, UpdateArgs,
};
use super::auth::AuthArgs;
use super::cluster_args::ClusterArgs;
use super::look_args::{HistoryArgs, ListArgs, ListOutput, ListedArgs, StatusArgs, VersionsArgs, WhichArgs};
use super::names::{wrong_with_database, wrong_with_namespace};
use super::terminal::Terminal;
use crate::cluster::ConnectOptions;
use crate::model::{Check, Kind, Method, Methods, UnknownKind, clean};
use crate::report::Progress;
use crate::sandbox::Fault;

/// An update, validated.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateOptions {
    pub target: Target,
    /// `None` is the context's namespace.
    pub namespace: Option<String>,
    /// `None` is chosen from a list.
    pub kind: Option<Kind>,
    /// `None` is chosen from a list.
    pub name: Option<String>,
    /// A version object's name or `latest`; `None` is chosen from a list.
    pub to: Option<String>,
    /// Every step of the way is taken.
    pub through: bool,
    /// Which way each update takes.
    pub methods: Methods,
    pub dry_run: Option<DryRun>,
    pub yes: bool,
    pub output: Output,
    pub progress: Progress,
    pub colors: Colors,
    /// `None` is no limit.
    pub timeout: Option<Duration>,
    pub pod_timeout: Duration,
    pub min_ready: Duration,
    pub pause_timeout: Duration,
    /// The checks that the user has overridden.
    pub skip: BTreeSet<Check>,
    pub mode: Mode,
    /// A live lock is waited for.
    pub take_over: bool,
    pub roll_back_on_failure: bool,
    pub digests: Digests,
}

/// A look at databases, validated.
#[derive(Debug, Clone, PartialEq)]
pub struct LookOptions {
    pub target: Target,
    /// `None` is the context's namespace.
    pub namespace: Option<String>,
    /// In every namespace.
    pub all_namespaces: bool,
    /// Those with these labels; empty is all.
    pub selector: String,
    /// `None` is every kind.
    pub kind: Option<Kind>,
    /// `None` is every database.
    pub name: Option<String>,
    pub output: ListOutput,
    pub colors: Colors,
}

impl LookOptions {
    /// Validates what was typed behind the command status.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be.
    pub fn status(args: StatusArgs, cluster: ClusterArgs, terminal: &Terminal) -> Result<Self, UsageError> {
        let options = Self::new(args.kind.as_deref(), args.name, args.shown.into(), cluster, terminal)?;
        options.among(args.which)
    }

    /// Validates what was typed behind the command list.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be.
    pub fn list(args: ListArgs, cluster: ClusterArgs, terminal: &Terminal) -> Result<Self, UsageError> {
        let options = Self::new(args.kind.as_deref(), None, args.listed, cluster, terminal)?;
        options.among(args.which)
    }

    /// Validates what was typed behind the command versions.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be.
    pub fn versions(
        args: VersionsArgs,
        cluster: ClusterArgs,
        terminal: &Terminal,
    ) -> Result<Self, UsageError> {
        Self::new(Some(&args.kind), args.name, args.listed, cluster, terminal)
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

    /// Validates what was typed behind the command history.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be.
    pub fn history(args: HistoryArgs, cluster: ClusterArgs, terminal: &Terminal) -> Result<Self, UsageError> {
        let options = Self::new(Some(&args.kind), args.name, args.shown.into(), cluster, terminal)?;
        if options.name.is_none() { Err(UsageError::KindMissing) } else { Ok(options) }
    }

    /// Validates what was typed behind the command auth.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be.
    pub fn auth(args: AuthArgs, cluster: ClusterArgs, terminal: &Terminal) -> Result<Self, UsageError> {
        let AuthArgs { kind, name, shown } = args;
        Self::history(HistoryArgs { kind, name, shown }, cluster, terminal)
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
            output: shown.output,
            colors: colors(shown.color, terminal),
        })
    }
}

/// What is done with the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Update,
    /// Go on with the run that was not finished.
    Resume,
    /// Go back to what was before it.
    Rollback,
}

/// Where the cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A real one.
    Cluster(Box<ConnectOptions>),
    /// The simulated one inside this process.
    Sandbox(Vec<Fault>),
}

/// Which streams are written in colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colors {
    pub stdout: bool,
    pub stderr: bool,
}

/// The simulated cluster that is served to others, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxOptions {
    pub port: u16,
    pub kubeconfig_out: Option<PathBuf>,
    pub faults: Vec<Fault>,
}

/// A command line that asks for something that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    #[error("{unknown}{}", unless_near(unknown))]
    Kind { unknown: UnknownKind },
    #[error("which database? write KIND NAME; the kinds are {}", kinds())]
    KindMissing,
    #[error("{typed:?} has more than one '/'; write KIND/NAME")]
    Slashes { typed: String },
    #[error("the name is given twice: {slash:?} in KIND/NAME, and {word:?}")]
    NameTwice { slash: String, word: String },
    #[error("the database's name {name:?} {wrong}")]
    Name { name: String, wrong: &'static str },
    #[error("the namespace {name:?} {wrong}")]
    Namespace { name: String, wrong: &'static str },
    #[error("--all-namespaces does not go with {with}")]
    AllNamespaces { with: &'static str },
    #[error("--selector chooses among databases, and does not go with a name")]
    SelectorAndName,
    #[error("--to is empty; write a version, or latest")]
    NoVersion,
    #[error("--via {first} and --via {second} cannot both be")]
    TwoWays { first: Method, second: Method },
    #[error("--pod-timeout must be longer than 0")]
    PodTimeout,
    #[error("--sandbox reads no kubeconfig, so --{flag} does not go with it")]
    SandboxAndConnection { flag: &'static str },
    #[error("--{flag} does not go with the command 'sandbox', which serves a cluster of its own")]
    SandboxCommand { flag: &'static str },
    #[error("{typed:?} cannot be given to --skip-check; what can is {}", overridable())]
    Check { typed: String },
    #[error(
        "-o {format} prints one result on standard output, where --progress json prints events; choose one of them"
    )]
    TwoOutputs { format: &'static str },
    #[error(
        "--progress bars needs a terminal on standard error that can move its cursor; use --progress plain"
    )]
    BarsWithoutTerminal,
    #[error("nobody can be asked without a terminal; look at --dry-run, then add --yes")]
    YesRequired,
}

impl UpdateOptions {
    /// Validates what was typed.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be.
    pub fn new(update: UpdateArgs, cluster: ClusterArgs, terminal: &Terminal) -> Result<Self, UsageError> {
        let namespace = namespace(cluster.namespace.as_deref())?;
        let (kind, name) = database(update.kind.as_deref(), update.name)?;
        if kind.is_none() && !terminal.can_pick() {
            return Err(UsageError::KindMissing);
        }
        if update.to.as_deref() == Some("") {
            return Err(UsageError::NoVersion);
        }
        if update.run.pod_timeout.is_zero() {
            return Err(UsageError::PodTimeout);
        }
        let real = update.run.dry_run.is_none();
        if real && !update.run.yes && !terminal.can_ask() {
            return Err(UsageError::YesRequired);
        }
        let progress = progress(update.run.progress, cluster.verbosity > 0, terminal)?;
        if real && progress == Progress::Json {
            one_output(update.run.output)?;
        }
        let mut skip = checks(&update.run.skip_check)?;
        skip.extend(update.allow_downgrade.then_some(Check::Downgrade));
        skip.extend(update.allow_deprecated.then_some(Check::DeprecatedTarget));
        Ok(Self {
            target: cluster.target()?,
            namespace,
            kind,
            name,
            to: update.to.map(|to| version_name(&to)),
            through: update.through,
            methods: methods(update.via)?,
            dry_run: update.run.dry_run,
            yes: update.run.yes,
            output: update.run.output,
            progress,
            colors: colors(update.run.color, terminal),
            timeout: Some(update.run.timeout).filter(|t| !t.is_zero()),
            pod_timeout: update.run.pod_timeout,
            min_ready: update.run.min_ready,
            pause_timeout: update.run.pause_timeout,
            skip,
            mode: Mode::Update,
            take_over: false,
            roll_back_on_failure: update.on_failure == OnFailure::Rollback,
            digests: update.run.digests,
        })
    }

    /// Validates what was typed behind the command resume.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be.
    pub fn resume(args: ResumeArgs, cluster: ClusterArgs, terminal: &Terminal) -> Result<Self, UsageError> {
        let update = UpdateArgs {
            through: args.through,
            allow_downgrade: args.allow_downgrade,
            allow_deprecated: args.allow_deprecated,
            ..unnamed(args.kind, args.name, args.run)
        };
        let options = Self::new(update, cluster, terminal)?;
        let mut options = Self { mode: Mode::Resume, take_over: args.take_over, ..options.named()? };
        options.skip.extend(args.allow_data_downgrade.then_some(Check::DataDowngrade));
        Ok(options)
    }

    /// Validates what was typed behind the command rollback.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be.
    pub fn rollback(
        args: RollbackArgs,
        cluster: ClusterArgs,
        terminal: &Terminal,
    ) -> Result<Self, UsageError> {
        let options = Self::new(unnamed(args.kind, args.name, args.run), cluster, terminal)?;
        let mut options = Self { mode: Mode::Rollback, take_over: args.take_over, ..options.named()? };
        options.skip.extend(args.allow_data_downgrade.then_some(Check::DataDowngrade));
        Ok(options)
    }

    /// A run that is gone on with is one database's: it is named, not chosen.
    fn named(self) -> Result<Self, UsageError> {
        if self.name.is_none() { Err(UsageError::KindMissing) } else { Ok(self) }
    }
}

/// An update to wherever the run before was going.
fn unnamed(kind: String, name: Option<String>, run: RunArgs) -> UpdateArgs {
    UpdateArgs {
        kind: Some(kind),
        name,
        to: None,
        through: false,
        via: Vec::new(),
        allow_downgrade: false,
        allow_deprecated: false,
        on_failure: OnFailure::Stop,
        run,
    }
}

impl SandboxOptions {
    /// Validates what was typed.
    ///
    /// # Errors
    ///
    /// A flag of the connection: the sandbox is a cluster, it connects to none.
    pub fn new(sandbox: SandboxArgs, cluster: ClusterArgs) -> Result<Self, UsageError> {
        match cluster.stray() {
            Some(flag) => Err(UsageError::SandboxCommand { flag }),
            None => {
                Ok(Self { port: sandbox.port, kubeconfig_out: sandbox.kubeconfig_out, faults: sandbox.fail })
            }
        }
    }
}

/// `KIND NAME`, `KIND/NAME`, `KIND` or nothing.
///
/// # Errors
///
/// What cannot be the name of a kind or a database.
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

/// A version's name, or what `versions -o name` and kubectl print of it: `kafkaversion.catalog.kubedb.com/3.6.1`.
fn version_name(typed: &str) -> String {
    match typed.split_once('/') {
        Some((resource, name)) if resource.ends_with(".catalog.kubedb.com") => name.to_owned(),
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
/// Two ways for the same update.
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

/// Bars and the lines of a log would tear each other.
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

fn kinds() -> String {
    Kind::ALL.map(Kind::singular).join(", ")
}

fn unless_near(unknown: &UnknownKind) -> String {
    match unknown.nearest {
        Some(_) => String::new(),
        None => format!("; the kinds are {}", kinds()),
    }
}

fn overridable() -> String {
    Check::OVERRIDABLE.map(|c| c.to_string()).join(", ")
}

#[cfg(test)]
mod tests;
