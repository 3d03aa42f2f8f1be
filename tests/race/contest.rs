//! Commands that several people type at the same time.

use std::collections::BTreeSet;
use std::time::Duration;

use kubectl_dbupdate::engine::RunOptions;
use kubectl_dbupdate::event::Outcome;
use kubectl_dbupdate::model::Check;
use simcluster::world::Database;
use tokio::time::sleep;

use crate::common::invariants::Invariants;
use crate::common::process::Process;
use crate::common::{Ended, World, secs};
use crate::jitter;

#[derive(Clone, Copy, Debug)]
pub enum Command {
    Update,
    Resume,
    Rollback,
    TakeOver,
}

/// What a command has come to.
pub enum Came {
    Refused(Vec<Check>),
    /// Nothing is unfinished, or nothing is left to do.
    Nothing,
    Ended(Box<Ended>),
}

/// A database of a few pods, whose requests are held up.
pub struct Scene {
    pub world: World,
    pub invariants: Invariants,
}

pub fn scene(seed: u64) -> Scene {
    println!("seed {seed}");
    let world = World::new(Database::zookeeper("db")).gated();
    let invariants = Invariants::watch(&world);
    jitter::hold_up(&world, seed);
    Scene { world, invariants }
}

/// Types a command after some time.
pub async fn types(scene: &Scene, client: &str, command: Command, after: Duration) -> Came {
    types_with(scene, client, command, after, |_| {}).await
}

/// Types a command whose run has other options than usual.
pub async fn types_with(
    scene: &Scene,
    client: &str,
    command: Command,
    after: Duration,
    change: impl FnOnce(&mut RunOptions),
) -> Came {
    sleep(after).await;
    let Scene { world, invariants } = scene;
    let (cluster, nothing) = (world.cluster_of(client), BTreeSet::new());
    let process = match command {
        Command::Update => Some(Process::update(world, cluster).await),
        Command::TakeOver => Some(Process::take_over(world, cluster).await),
        Command::Resume => Process::resume(world, cluster, nothing).await,
        Command::Rollback => Process::rollback(world, cluster, nothing).await,
    };
    let Some(process) = process else { return Came::Nothing };
    let refusals = process.refusals();
    if !refusals.is_empty() {
        return Came::Refused(refusals);
    }
    if process.has_nothing_to_do() {
        return Came::Nothing;
    }
    let ended = process.with(change).start().end().await;
    invariants.ended(&ended);
    Came::Ended(Box::new(ended))
}

impl Came {
    /// It has come to its end, or has left everything to the other: exit code 5, and nothing of the database changed.
    pub fn yields(&self) {
        if let Some(ended) = self.judged()
            && ended.finish.outcome != Outcome::Done
        {
            ended.ended(Outcome::SomebodyElse, 5, false, ended.finish.paused);
        }
    }

    /// The same, where it may have acted before it was overtaken.
    pub fn yields_at_last(&self) {
        if let Some(ended) = self.judged()
            && ended.finish.outcome != Outcome::Done
        {
            let (outcome, code) = (ended.finish.outcome, ended.finish.exit_code);
            assert_eq!((outcome, code), (Outcome::SomebodyElse, 5), "{}", ended.finish.error);
        }
    }

    fn judged(&self) -> Option<&Ended> {
        match self {
            Came::Refused(checks) => {
                let theirs = [
                    Check::Locked,
                    Check::UnfinishedRun,
                    Check::PausedByOther,
                    // What the other one has done so far may speak against it as well as the lock does.
                    Check::PodNotReady,
                    Check::Phase,
                    Check::DataDowngrade,
                ];
                assert!(checks.iter().any(|c| theirs.contains(c)), "{checks:?}");
                None
            }
            Came::Nothing => None,
            Came::Ended(ended) => Some(ended),
        }
    }

    pub fn is_done(&self) -> bool {
        matches!(self, Came::Ended(ended) if ended.finish.outcome == Outcome::Done)
    }
}

/// In the end the database is updated, if need be by one who comes afterwards.
pub async fn arrives(scene: &Scene) {
    scene.world.sim.faults().clear();
    // The database's own word about its health comes every ten seconds.
    sleep(secs(20)).await;
    for command in [Command::Resume, Command::Update] {
        match types(scene, "one who comes afterwards", command, Duration::ZERO).await {
            Came::Ended(ended) => drop(ended.done()),
            Came::Nothing => {}
            Came::Refused(checks) => panic!("{command:?} is refused: {checks:?}"),
        }
    }
    scene.invariants.hold();
    scene.world.is_updated();
}
