//! The commands, as a person types them one after the other, each a process with a client of its own.

use std::collections::BTreeSet;

use kubectl_dbupdate::cluster::{Cluster, Journal};
use kubectl_dbupdate::engine::RunOptions;
use kubectl_dbupdate::model::{Action, Check, Lock, Plan, Snapshot};
use kubectl_dbupdate::operation::{Error, Goal, Operation, Outlook, Request, Stop, Wish, goal, left_pods};
use kubectl_dbupdate::plan::hops::Hops;
use kubectl_dbupdate::plan::update;
use tokio::sync::{mpsc, watch};

use super::{NAMESPACE, Running, World};

/// A command that is ready to run: what it has found and decided.
pub struct Process {
    pub plan: Plan,
    cluster: Cluster,
    snapshot: Snapshot,
    options: RunOptions,
}

/// Reads what there is. Whether the holder of a lock lives is watched first, and with `take_over` until it does no more.
async fn found(world: &World, cluster: &Cluster, take_over: bool) -> (Snapshot, Journal) {
    let mut snapshot = world.snapshot(cluster).await;
    while let Some(lock) = snapshot.lock.clone() {
        let watched = cluster.watch_lock(world.kind, NAMESPACE, &world.name, lock).await;
        let watched = watched.expect("the lock can be watched");
        // What was read before the wait is old by now.
        snapshot = world.snapshot(cluster).await;
        let version = |l: &Option<Lock>| l.as_ref().map(|l| l.resource_version.clone());
        let same = version(&watched) == version(&snapshot.lock);
        if same {
            snapshot.lock = watched;
        }
        if same && (!take_over || snapshot.lock.as_ref().is_some_and(|l| !l.alive)) {
            break;
        }
    }
    let journal = world.journal(cluster).await;
    (snapshot, journal)
}

impl Process {
    /// The command that updates, typed for the first time or again.
    pub async fn update(world: &World, cluster: Cluster) -> Self {
        let asked = world.asked();
        Process::asked(world, cluster, asked).await.expect("an update needs nothing unfinished")
    }

    /// The same with `--take-over`.
    pub async fn take_over(world: &World, cluster: Cluster) -> Self {
        let asked = Request { take_over: true, ..world.asked() };
        Process::asked(world, cluster, asked).await.expect("an update needs nothing unfinished")
    }

    /// `resume`, with what is overridden by name; `None` where nothing is unfinished.
    pub async fn resume(world: &World, cluster: Cluster, skip: BTreeSet<Check>) -> Option<Self> {
        let wish = Wish::Resume { through: false };
        Process::asked(world, cluster, Request { wish, skip, ..world.asked() }).await
    }

    /// `rollback`, with what is overridden by name; `None` where nothing is unfinished.
    pub async fn rollback(world: &World, cluster: Cluster, skip: BTreeSet<Check>) -> Option<Self> {
        Process::asked(world, cluster, Request { wish: Wish::Rollback, skip, ..world.asked() }).await
    }

    /// What is decided is the operation's own; only what it reads of the cluster's rights is left out.
    async fn asked(world: &World, cluster: Cluster, request: Request) -> Option<Self> {
        let (mut snapshot, journal) = found(world, &cluster, request.take_over).await;
        let left = left_pods(&cluster, &snapshot.database.object, &journal).await;
        snapshot.environment.left_pods = left.expect("pods can be read");
        let (goal, hops) = match goal(&request, &snapshot, &journal) {
            Ok(goal) => (goal.clone(), goal.hops(&snapshot, &request).expect("the target is in the catalog")),
            Err(Error::NothingUnfinished { .. }) => {
                (Goal::Back { entry: None }, Hops::one(update::nothing(&snapshot)))
            }
            Err(error) => panic!("{error}"),
        };
        let mut outlook = Outlook { snapshot, journal, goal, hops, further: None };
        let (_, stop) = watch::channel(Stop::Go);
        let (told, _) = mpsc::unbounded_channel();
        let mut operation = Operation::new(cluster.clone(), request, world.clock(), stop, told);
        operation.remove_left_pods(&mut outlook).await.expect("nobody stops it");
        if outlook.idle() {
            return None;
        }
        let mut options = operation.run_options(&outlook);
        if options.story.resuming.is_none() {
            options.caller.run = cluster.name().replace(' ', "-");
        }
        Some(Process { plan: outlook.hops.first, cluster, snapshot: outlook.snapshot, options })
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
