//! `kubectl dbupdate __complete`: prints completions for a partial command line. kubectl calls it through
//! kubectl_complete-dbupdate (<https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/>). The output is one
//! candidate per line, followed by a tab and its description, and a cobra directive at the end. Errors are silent, because
//! they would appear in the middle of a line that the user is typing.

mod line;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{ArgMatches, FromArgMatches, ValueHint};
use tokio::sync::watch;
use tokio::time::timeout;

use super::args;
use super::cluster_args::ClusterArgs;
use super::connect::{Connected, connect};
use super::exit_code::ExitCode;
use super::options;
use super::stream;
use super::target::Target;
use crate::cluster;
use crate::model::{Check, Kind, Method, clean, quoted};
use crate::operation::Stop;
use crate::plan::versions;
use crate::report::list;
use line::{Asked, Line};

/// How long completion may take before it gives up.
const PATIENCE: Duration = Duration::from_secs(2);

/// A candidate and its description.
type Candidate = (String, String);

enum Answer {
    Candidates(Vec<Candidate>),
    /// The shell completes file names itself.
    Files,
}

/// Prints the completions of a partial command line.
pub async fn complete(words: &[String]) -> ExitCode {
    let definition = args::definition();
    let line = Line::read(&definition, words);
    let answer = timeout(PATIENCE, answer(&line)).await.ok().flatten();
    let mut out = String::new();
    let directive = match answer {
        Some(Answer::Files) => 0,
        Some(Answer::Candidates(found)) => {
            for (value, about) in found.iter().filter(|(value, _)| value.starts_with(&line.typed)) {
                let about = about.lines().next().unwrap_or_default();
                out.push_str(clean(value).as_str());
                out.push_str(&if about.is_empty() {
                    "\n".to_owned()
                } else {
                    format!("\t{}\n", clean(about))
                });
            }
            4
        }
        None => 4,
    };
    stream::out(&format!("{out}:{directive}\n"));
    ExitCode::Done
}

async fn answer(line: &Line<'_>) -> Option<Answer> {
    let found = match line.asked {
        Asked::Flag => flags(line),
        Asked::Value(arg) | Asked::Argument(Some(arg)) => {
            let known: Vec<Candidate> = arg.get_possible_values().iter().map(possible).collect();
            match arg.get_id().as_str() {
                _ if !known.is_empty() => known,
                "kind" if !line.typed.contains('/') => kinds(line),
                "kind" => databases(line, true).await?,
                "name" => databases(line, false).await?,
                "to" => versions(line).await.unwrap_or_else(|| vec![latest(None)]),
                "run" => runs(line).await?,
                "namespace" => {
                    words(connected(line).await?.0.cluster.namespaces().await.ok()?.into_iter().map(bare))
                }
                "context" | "cluster" | "user" => in_kubeconfig(line, arg.get_id().as_str()).await?,
                "skip_check" => checks(&line.typed),
                "via" => methods(&line.typed),
                "command" => commands(line),
                _ if arg.get_value_hint() == ValueHint::AnyPath => return Some(Answer::Files),
                _ => Vec::new(),
            }
        }
        Asked::Argument(None) => Vec::new(),
    };
    Some(Answer::Candidates(found))
}

fn bare(value: String) -> Candidate {
    (value, String::new())
}

/// The names that a shell takes as one word, and this command not as a flag: shells insert a candidate as it is, and others may
/// write these names.
fn words(found: impl Iterator<Item = Candidate>) -> Vec<Candidate> {
    found.filter(|(name, _)| !name.starts_with('-') && quoted(name) == *name).collect()
}

fn possible(value: &clap::builder::PossibleValue) -> Candidate {
    (value.get_name().to_owned(), value.get_help().map(ToString::to_string).unwrap_or_default())
}

fn flags(line: &Line<'_>) -> Vec<Candidate> {
    let shown = line.command.get_arguments().filter(|arg| !arg.is_hide_set());
    let flag = |arg: &clap::Arg| {
        Some((format!("--{}", arg.get_long()?), arg.get_help().map(ToString::to_string).unwrap_or_default()))
    };
    shown.filter_map(flag).collect()
}

/// The kinds of database, and the subcommands if one may be typed here.
fn kinds(line: &Line<'_>) -> Vec<Candidate> {
    let kinds = Kind::ALL.into_iter().map(|kind| (kind.singular().to_owned(), format!("a {kind} database")));
    kinds.chain(commands(line)).collect()
}

fn commands(line: &Line<'_>) -> Vec<Candidate> {
    let root = if matches!(line.command.get_name(), "man" | "help") {
        args::definition()
    } else {
        line.command.clone()
    };
    let shown = root.get_subcommands().filter(|command| !command.is_hide_set());
    let about = |c: &clap::Command| c.get_about().map(ToString::to_string).unwrap_or_default();
    shown.map(|command| (command.get_name().to_owned(), about(command))).collect()
}

fn checks(typed: &str) -> Vec<Candidate> {
    let before = typed.rfind(',').map_or("", |comma| &typed[..=comma]);
    Check::OVERRIDABLE.map(|check| bare(format!("{before}{check}"))).into()
}

fn methods(typed: &str) -> Vec<Candidate> {
    let before = typed.rfind('=').map_or("", |equals| &typed[..=equals]);
    Method::ALL.map(|method| bare(format!("{before}{method}"))).into()
}

/// The databases of the typed kind; with the kind in front if the user types `KIND/NAME`.
async fn databases(line: &Line<'_>, slash: bool) -> Option<Vec<Candidate>> {
    let typed = if slash { line.typed.split_once('/')?.0 } else { line.arguments.first()? };
    let kind: Kind = typed.parse().ok()?;
    let (connected, namespace) = connected(line).await?;
    let found = connected.cluster.databases(kind, &namespace).await.ok()?;
    let candidate = |db: crate::model::Database| {
        let about = format!("{}, {}", db.version, db.phase);
        let name = db.object.name;
        (if slash { format!("{typed}/{name}") } else { name }, about)
    };
    Some(words(found.into_iter().map(candidate)))
}

/// The versions that the database can be updated to, newest first.
async fn versions(line: &Line<'_>) -> Option<Vec<Candidate>> {
    let (kind, name) =
        options::database(line.arguments.first().copied(), line.arguments.get(1).map(|&n| n.to_owned()))
            .ok()?;
    let (kind, name) = (kind?, name?);
    let (connected, namespace) = connected(line).await?;
    let snapshot = connected.cluster.snapshot(kind, &namespace, &name).await.ok()?;
    let choices = versions::choices(&snapshot, &BTreeSet::new());
    let allowed = choices.iter().filter(|choice| choice.reach == Some(versions::Reach::Allowed));
    let named = allowed.map(|choice| (choice.name.clone(), list::marks(choice).join(", ")));
    Some(words(named.chain([latest(choices.iter().find(|choice| choice.latest))])))
}

fn latest(meant: Option<&versions::Choice>) -> Candidate {
    let about = meant.map_or("the newest version that one hop reaches", |choice| choice.name.as_str());
    ("latest".to_owned(), about.to_owned())
}

/// The runs of the database, the last one first.
async fn runs(line: &Line<'_>) -> Option<Vec<Candidate>> {
    let typed = line.arguments.get(1).map(|&name| name.to_owned());
    let (kind, name) = options::database(line.arguments.first().copied(), typed).ok()?;
    let (connected, namespace) = connected(line).await?;
    let journal = connected.cluster.journal(kind?, &namespace, &name?).await.ok()?;
    let runs = journal.entries.iter().rev().map(|entry| {
        let run = &entry.run;
        (run.run.clone(), format!("{} → {}, {}", run.plan.from.name, run.plan.to.name, run.began))
    });
    Some(words(runs))
}

/// The names of contexts, clusters or users in the kubeconfig.
async fn in_kubeconfig(line: &Line<'_>, what: &str) -> Option<Vec<Candidate>> {
    let Target::Cluster(connection) = target(line)?.0 else { return None };
    let names = cluster::names(&connection).await.ok()?;
    let wanted = match what {
        "context" => names.contexts,
        "cluster" => names.clusters,
        _ => names.users,
    };
    Some(words(wanted.into_iter().map(bare)))
}

/// The cluster and the namespace that the line chooses.
async fn connected(line: &Line<'_>) -> Option<(Connected, String)> {
    let (target, namespace) = target(line)?;
    // A signal ends this process as it ends any other.
    let (_sender, mut stop) = watch::channel(Stop::Go);
    let connected = connect(&target, &mut stop, None).await.ok()?;
    let namespace = namespace.unwrap_or_else(|| connected.cluster.default_namespace());
    Some((connected, namespace))
}

/// The target that the connection flags typed so far choose.
fn target(line: &Line<'_>) -> Option<(Target, Option<String>)> {
    let program = std::iter::once("kubectl-dbupdate");
    let matches: ArgMatches = args::definition()
        .ignore_errors(true)
        .try_get_matches_from(program.chain(line.before.iter().copied()))
        .ok()?;
    let typed = ClusterArgs::from_arg_matches(&matches).ok()?;
    let namespace = typed.namespace.clone().filter(|namespace| !namespace.is_empty());
    Some((typed.target().ok()?, namespace))
}
