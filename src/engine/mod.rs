//! Runs a plan: the steps in order, the lock, the waiting, the stopping. Alone sends writes. Knows no terminal.

mod announce;
mod back;
mod emit;
mod end;
mod follow;
mod journal;
mod lock;
mod ops_manager;
mod patch;
mod pause;
mod render;
mod roll;
mod run;
mod settle;
mod stop;
mod stop_reason;
mod trial;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::cluster::{Cluster, Journal};
use crate::event::{Finish, Record, Step};
use crate::journal::{Before, Direction, Entry};
use crate::model::{Action, Check, Method, Methods, Plan, Snapshot};

pub use journal::{to_follow, unfinished};
pub use stop::{Signal, Stop};
pub use trial::trials;

use run::Run;
use stop_reason::StopReason;

/// What a run needs to know beside its plan.
#[derive(Clone)]
pub struct RunOptions {
    /// Tells this run from every other.
    pub run: String,
    /// Who runs it, on which host.
    pub who: String,
    pub commands: Commands,
    /// `kubectl` with the flags that lead to the same cluster, for commands that show more.
    pub kubectl: String,
    /// The bound of the whole run.
    pub timeout: Option<Duration>,
    /// The bound of one pod, on top of its termination grace, and of one blocked eviction.
    pub pod_timeout: Duration,
    /// How long the operator has to acknowledge the pause.
    pub pause_timeout: Duration,
    /// What the user has overridden by name.
    pub skip: BTreeSet<Check>,
    /// The runs that are written down.
    pub journal: Journal,
    /// The unfinished run that this one goes on with.
    pub resuming: Option<Entry>,
    /// The version to which further updates are to follow this one.
    pub through: Option<String>,
    /// Which ways were chosen for it and for them.
    pub methods: Methods,
    /// Which way it goes.
    pub direction: Direction,
    /// What a rollback goes back to; `None` is what is there when the run begins.
    pub before: Option<Before>,
    /// A pod that is not well is deleted where a budget forbids its eviction: the user has agreed to it.
    pub delete_unhealthy: bool,
    /// A failure is rolled back at once, as long as no container of the new image has ever started.
    pub roll_back_on_failure: bool,
    pub clock: Clock,
}

/// The commands that go on with a run, as the user would type them.
#[derive(Debug, Clone, Default)]
pub struct Commands {
    /// The same command again.
    pub again: String,
    pub resume: String,
    pub rollback: String,
    pub status: String,
    /// The same update by this tool alone.
    pub by_us: String,
}

/// Runs a plan that has no refusals, from the snapshot that it was made from. Events tell everything that happens; the
/// last of them is what is returned.
pub async fn run(
    cluster: &Cluster,
    snapshot: Snapshot,
    plan: Plan,
    options: RunOptions,
    events: mpsc::UnboundedSender<Record>,
    stop: watch::Receiver<Stop>,
) -> Finish {
    let mut run = Run::new(cluster, snapshot, plan, options, events, stop);
    run.started();
    let came_to = sequence(&mut run).await;
    let came_to = match came_to {
        Err(reason) if run.turns_back(&reason) => go_back(&mut run, reason).await,
        came_to => came_to,
    };
    run.end(came_to).await
}

/// The way back after a failure, under the same lock and pause.
async fn go_back(run: &mut Run, failure: StopReason) -> Result<(), StopReason> {
    run.turn_back();
    match run.plan.method {
        Method::Provisioner => {
            run.step(Step::Render, async |run| run.render().await).await?;
            run.step(Step::Pause, async |run| run.pause().await).await?;
        }
        Method::Client | Method::OpsManager => {
            run.step(Step::PatchImages, async |run| run.patch_images().await).await?;
        }
    }
    run.step(Step::RollPods, async |run| run.roll_pods().await).await?;
    run.step(Step::Resume, async |run| run.resume().await).await?;
    run.step(Step::Verify, async |run| run.verify().await).await?;
    Err(StopReason::RolledBack { failure: Box::new(failure) })
}

/// The update.
async fn sequence(run: &mut Run) -> Result<(), StopReason> {
    run.step(Step::Lock, async |run| run.lock().await).await?;
    match run.plan.method {
        Method::Client => by_client(run).await?,
        Method::Provisioner => by_provisioner(run).await?,
        Method::OpsManager => by_ops_manager(run).await?,
    }
    run.step(Step::Verify, async |run| run.verify().await).await
}

/// We patch the images while the operator is halted, and set the version last.
async fn by_client(run: &mut Run) -> Result<(), StopReason> {
    run.step(Step::Pause, async |run| run.pause().await).await?;
    run.step(Step::PatchImages, async |run| run.patch_images().await).await?;
    run.step(Step::RollPods, async |run| run.roll_pods().await).await?;
    run.step(Step::SetVersion, async |run| run.set_version().await).await?;
    run.step(Step::Resume, async |run| run.resume().await).await
}

/// The version comes first, the operator renders the templates, and is halted only while pods are rolled.
async fn by_provisioner(run: &mut Run) -> Result<(), StopReason> {
    run.step(Step::Render, async |run| run.render().await).await?;
    run.step(Step::Pause, async |run| run.pause().await).await?;
    run.step(Step::RollPods, async |run| run.roll_pods().await).await?;
    run.step(Step::Resume, async |run| run.resume().await).await
}

/// The Ops-manager does all of it, by our request.
async fn by_ops_manager(run: &mut Run) -> Result<(), StopReason> {
    if run.plan.action == Action::Resume {
        // It is through; what is left is to verify.
        return Ok(());
    }
    run.step(Step::Request, async |run| run.request().await).await?;
    run.step(Step::Follow, async |run| run.follow_request().await).await
}
