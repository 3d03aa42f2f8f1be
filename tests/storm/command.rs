//! The commands of the tool, as `cli` carries them out, without its terminal.

use std::collections::BTreeSet;

use kubectl_dbupdate::clock::Clock;
use kubectl_dbupdate::cluster::{Cluster, ClusterError, Journal};
use kubectl_dbupdate::engine::{self, Bounds, RunOptions, Stop, Story};
use kubectl_dbupdate::event::Record;
use kubectl_dbupdate::journal::{Direction, Entry};
use kubectl_dbupdate::model::{Action, Check, Method, Methods, Plan, Snapshot};
use kubectl_dbupdate::plan::rollback;
use kubectl_dbupdate::plan::update::{self, Request, Unfinished};
use kubectl_dbupdate::steps::s1_pause;
use tokio::sync::{mpsc, watch};

use crate::common::{Ended, NAMESPACE, World, secs};

/// What the user runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Update,
    Resume,
    Rollback,
}

/// What a command came to.
pub enum Came {
    /// It has run to an end, whichever.
    Ended(Box<Ended>),
    /// The plan has refusals.
    Refused(Box<Plan>),
    /// There was nothing to do.
    Nothing,
    /// There was nothing unfinished.
    NothingUnfinished,
    /// The cluster could not be read.
    Unread(ClusterError),
}

/// The options that the schedule decides.
#[derive(Clone)]
pub struct Settings {
    pub run: String,
    pub roll_back_on_failure: bool,
    /// What the user overrides by name.
    pub skip: BTreeSet<Check>,
    pub clock: Clock,
}

/// Carries out a command as a process of its own.
pub async fn carry_out(
    command: Command,
    world: &World,
    settings: Settings,
    stop: watch::Receiver<Stop>,
) -> Came {
    let cluster = world.cluster();
    let read = async {
        let snapshot = cluster.snapshot(world.kind, NAMESPACE, &world.name).await?;
        Ok((snapshot, cluster.journal(world.kind, NAMESPACE, &world.name).await?))
    };
    let (mut snapshot, journal) = match read.await {
        Ok(read) => read,
        Err(error) => return Came::Unread(error),
    };
    let skip = &settings.skip;
    let Some(goal) = goal(command, world, &snapshot, &journal) else { return Came::NothingUnfinished };
    let mut plan = goal.plan(&snapshot, skip);
    if let Some(lock) = snapshot.lock.take_if(|_| plan.action != Action::Nothing) {
        match cluster.watch_lock(world.kind, NAMESPACE, &world.name, lock).await {
            Ok(watched) => snapshot.lock = watched,
            Err(error) => return Came::Unread(error),
        }
        plan = goal.plan(&snapshot, skip);
    }
    if plan.refusals().next().is_some() {
        return Came::Refused(Box::new(plan));
    }
    if plan.action == Action::Nothing {
        return Came::Nothing;
    }
    Came::Ended(Box::new(run(world, cluster, snapshot, plan, journal, goal, settings, stop).await))
}

/// Where a run goes.
enum Goal {
    To { to: String, method: Option<Method>, unfinished: Option<Entry> },
    Back { entry: Option<Entry> },
}

/// `None` where nothing is unfinished.
fn goal(command: Command, world: &World, snapshot: &Snapshot, journal: &Journal) -> Option<Goal> {
    let unfinished = engine::unfinished(journal, snapshot);
    match command {
        Command::Update => {
            Some(Goal::To { to: world.target().to_owned(), method: Some(world.method), unfinished })
        }
        Command::Resume => match unfinished {
            Some(entry) if entry.run.direction == Direction::Rollback => {
                Some(Goal::Back { entry: Some(entry) })
            }
            Some(entry) => {
                Some(Goal::To { to: entry.run.plan.to.name.clone(), method: None, unfinished: Some(entry) })
            }
            None => {
                let stays =
                    Goal::To { to: snapshot.database.version.clone(), method: None, unfinished: None };
                Some(stays).filter(|stays| stays.plan(snapshot, &BTreeSet::new()).action == Action::Resume)
            }
        },
        Command::Rollback => {
            let ours = snapshot.database.paused().is_some_and(|(_, c)| s1_pause::run_of(c).is_some());
            (unfinished.is_some() || ours).then_some(Goal::Back { entry: unfinished })
        }
    }
}

impl Goal {
    fn plan(&self, snapshot: &Snapshot, skip: &BTreeSet<Check>) -> Plan {
        let planned = match self {
            Goal::To { to, method, unfinished } => {
                update::plan(snapshot, &request(to, *method, unfinished.as_ref()))
            }
            Goal::Back { entry: Some(entry) } => Ok(rollback::plan(snapshot, entry, skip)),
            Goal::Back { entry: None } => {
                rollback::without_a_journal(snapshot, &request(&snapshot.database.version, None, None))
            }
        };
        planned.expect("the target is in the catalog")
    }
}

fn request(to: &str, method: Option<Method>, unfinished: Option<&Entry>) -> Request {
    let unfinished = unfinished.map(Unfinished::from);
    Request {
        methods: Methods { all: method, ..Methods::default() },
        unfinished,
        ..crate::common::request(to)
    }
}

#[expect(clippy::too_many_arguments, reason = "each is one part of what the command has found")]
async fn run(
    world: &World,
    cluster: Cluster,
    snapshot: Snapshot,
    plan: Plan,
    journal: Journal,
    goal: Goal,
    settings: Settings,
    stop: watch::Receiver<Stop>,
) -> Ended {
    let (direction, entry) = match goal {
        Goal::To { unfinished, .. } => (Direction::Update, unfinished),
        Goal::Back { entry } => (Direction::Rollback, entry),
    };
    let before = entry.as_ref().map(|e| e.run.before.clone());
    let resuming = entry.filter(|e| e.run.direction == direction);
    let run = resuming.as_ref().map_or(settings.run, |e| e.run.run.clone());
    let usual = world.options(&run);
    let options = RunOptions {
        bounds: Bounds { pod_timeout: secs(180), pause_timeout: secs(10), ..usual.bounds },
        story: Story { journal, resuming, direction, before, through: None, ..usual.story },
        skip: settings.skip,
        roll_back_on_failure: settings.roll_back_on_failure,
        clock: settings.clock,
        ..usual
    };
    let client = cluster.name().to_owned();
    let (events, mut told) = mpsc::unbounded_channel();
    let finish = engine::run(&cluster, snapshot, plan.clone(), options, events, stop).await;
    let mut records: Vec<Record> = Vec::new();
    while let Ok(record) = told.try_recv() {
        records.push(record);
    }
    Ended { client, plan, finish, records }
}

impl Came {
    /// In a few words, for whoever reads of a failure.
    pub fn words(&self) -> String {
        match self {
            Came::Ended(ended) => {
                let f = &ended.finish;
                format!("{:?} ({}): {} [{}]", f.outcome, f.exit_code, f.error, f.state)
            }
            Came::Refused(plan) => {
                let against: Vec<_> =
                    plan.refusals().map(|f| format!("{}: {}", f.check, f.message)).collect();
                format!("refused: {}", against.join("; "))
            }
            Came::Nothing => "nothing to do".to_owned(),
            Came::NothingUnfinished => "nothing unfinished".to_owned(),
            Came::Unread(error) => format!("the cluster could not be read: {error}"),
        }
    }

    pub fn refused_for(&self, check: Check) -> bool {
        matches!(self, Came::Refused(plan) if plan.refusals().all(|f| f.check == check))
    }
}
