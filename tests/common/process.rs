//! The commands, as a person types them one after the other, each a process with a client of its own.

use std::collections::BTreeSet;

use kubectl_dbupdate::cluster::{Cluster, Journal};
use kubectl_dbupdate::engine::{self, RunOptions, Story};
use kubectl_dbupdate::journal::{Direction, Entry};
use kubectl_dbupdate::model::{Action, Check, Lock, Methods, Plan, Snapshot};
use kubectl_dbupdate::plan::rollback;
use kubectl_dbupdate::plan::update::{self, Request, Unfinished};
use kubectl_dbupdate::steps::s1_pause;

use super::{NAMESPACE, Running, World, request};

/// A command that is ready to run: what it has found and decided.
pub struct Process {
    pub plan: Plan,
    cluster: Cluster,
    snapshot: Snapshot,
    options: RunOptions,
}

/// What a process finds when it starts.
struct Found {
    cluster: Cluster,
    snapshot: Snapshot,
    journal: Journal,
    unfinished: Option<Entry>,
}

/// Reads what there is. Whether the holder of a lock lives is watched first, and with `take_over` until it does no more.
async fn found(world: &World, cluster: Cluster, take_over: bool) -> Found {
    let mut snapshot = world.snapshot(&cluster).await;
    while let Some(lock) = snapshot.lock.clone() {
        let watched = cluster.watch_lock(world.kind, NAMESPACE, &world.name, lock).await;
        let watched = watched.expect("the lock can be watched");
        // What was read before the wait is old by now.
        snapshot = world.snapshot(&cluster).await;
        let version = |l: &Option<Lock>| l.as_ref().map(|l| l.resource_version.clone());
        let same = version(&watched) == version(&snapshot.lock);
        if same {
            snapshot.lock = watched;
        }
        if same && (!take_over || snapshot.lock.as_ref().is_some_and(|l| !l.alive)) {
            break;
        }
    }
    let journal = cluster.journal(world.kind, NAMESPACE, &world.name).await.expect("it can be read");
    let unfinished = engine::unfinished(&journal, &snapshot);
    Found { cluster, snapshot, journal, unfinished }
}

impl Process {
    /// The command that updates, typed for the first time or again.
    pub async fn update(world: &World, cluster: Cluster) -> Self {
        Process::forward(world, found(world, cluster, false).await, world.request().methods, BTreeSet::new())
    }

    /// The same with `--take-over`.
    pub async fn take_over(world: &World, cluster: Cluster) -> Self {
        Process::forward(world, found(world, cluster, true).await, world.request().methods, BTreeSet::new())
    }

    /// `resume`, with what is overridden by name; `None` where nothing is unfinished.
    pub async fn resume(world: &World, cluster: Cluster, skip: BTreeSet<Check>) -> Option<Self> {
        let found = found(world, cluster, false).await;
        let unfinished = found.unfinished.as_ref()?;
        let methods = unfinished.methods();
        match unfinished.run.direction {
            Direction::Update => Some(Process::forward(world, found, methods, skip)),
            Direction::Rollback => Some(Process::back(world, found, skip)),
        }
    }

    /// `rollback`, with what is overridden by name; `None` where nothing is unfinished.
    pub async fn rollback(world: &World, cluster: Cluster, skip: BTreeSet<Check>) -> Option<Self> {
        let found = found(world, cluster, false).await;
        let ours = found.snapshot.database.paused().is_some_and(|(_, c)| s1_pause::run_of(c).is_some());
        (found.unfinished.is_some() || ours).then(|| Process::back(world, found, skip))
    }

    fn forward(world: &World, found: Found, methods: Methods, skip: BTreeSet<Check>) -> Self {
        let unfinished = found.unfinished.as_ref().map(Unfinished::from);
        let asked = Request { unfinished, methods, skip: skip.clone(), ..world.request() };
        let plan = update::plan(&found.snapshot, &asked).expect("the target is in the catalog");
        Process::of(world, found, plan, Direction::Update, skip)
    }

    fn back(world: &World, found: Found, skip: BTreeSet<Check>) -> Self {
        let plan = match &found.unfinished {
            Some(entry) => rollback::plan(&found.snapshot, entry, &skip),
            // Only our pause is left, and nobody knows from which run: the database stays on its version.
            None => {
                let stays = Request { skip: skip.clone(), ..request(&found.snapshot.database.version) };
                rollback::without_a_journal(&found.snapshot, &stays).expect("its version is in the catalog")
            }
        };
        Process::of(world, found, plan, Direction::Rollback, skip)
    }

    fn of(world: &World, found: Found, plan: Plan, direction: Direction, skip: BTreeSet<Check>) -> Self {
        let before = found.unfinished.as_ref().map(|e| e.run.before.clone());
        let resuming = found.unfinished.filter(|e| e.run.direction == direction);
        let id = match (&resuming, direction) {
            (Some(entry), _) => entry.run.run.clone(),
            (None, _) => found.cluster.name().replace(' ', "-"),
        };
        let usual = world.options(&id);
        let story = Story { journal: found.journal, resuming, before, direction, ..usual.story };
        let options = RunOptions { story, skip, ..usual };
        Process { plan, cluster: found.cluster, snapshot: found.snapshot, options }
    }

    /// What speaks against it.
    pub fn refusals(&self) -> Vec<Check> {
        self.plan.refusals().map(|finding| finding.check).collect()
    }

    /// Everything is as it asks for, so that it ends without having begun.
    pub fn has_nothing_to_do(&self) -> bool {
        self.plan.action == Action::Nothing
    }

    /// The name of its client.
    pub fn client(&self) -> &str {
        self.cluster.name()
    }

    /// Uses other options than usual.
    pub fn with(mut self, change: impl FnOnce(&mut RunOptions)) -> Self {
        change(&mut self.options);
        self
    }

    pub fn start(self) -> Running {
        let refusals: Vec<_> = self.plan.refusals().map(|f| &f.message).collect();
        assert!(refusals.is_empty(), "refused: {refusals:?}");
        Running::start(self.cluster, self.snapshot, self.plan, self.options)
    }
}
