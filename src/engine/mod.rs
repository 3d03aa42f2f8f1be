//! Runs a plan: the steps in order, the lock, waiting and stopping. The only sender of writes. Knows no terminal.

mod announce;
mod announcer;
mod asking;
mod away;
mod back;
mod drain;
mod drained;
mod emitter;
mod end;
mod evict;
mod finish;
mod flights;
mod follow;
mod health;
mod interrupt;
mod journal;
mod ledger;
mod lock;
mod look;
mod missing;
mod narrator;
mod observer;
mod ops_manager;
mod patch;
mod pause;
mod pre_pull;
mod render;
mod roll;
mod run;
mod send;
mod settle;
mod stop;
mod stop_reason;
mod take_lock;
mod trial;
mod trial_pods;
mod writer;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::cluster::{Cluster, Journal};
use crate::event::{Finish, Record, Step};
use crate::journal::{Before, Direction, Entry, Soak};
use crate::model::{Action, Check, Method, Methods, Plan, Snapshot, Work};
use crate::situation::Commands;

pub use pre_pull::remove_left_pods;
pub use run::OUTAGE;
pub use stop::{Signal, Stop};
pub use take_lock::holder;
pub use trial::trials;

use run::Run;
use stop_reason::StopReason;

/// What a run needs to know besides its plan.
#[derive(Clone)]
pub struct RunOptions {
    pub caller: Caller,
    pub bounds: Bounds,
    pub story: Story,
    /// The checks that the user has overridden.
    pub skip: BTreeSet<Check>,
    /// Roll back at once after a failure, provided that no container has started from the new image.
    pub roll_back_on_failure: bool,
    pub clock: Clock,
}

/// Who runs it, and which commands they would type.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The id that distinguishes this run from all others.
    pub run: String,
    /// The user and the host.
    pub who: String,
    pub commands: Commands,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The whole operation, with all of its runs.
    pub timeout: Option<Duration>,
    /// For one pod to become healthy, not counting its termination grace period, and for one blocked eviction.
    pub pod_timeout: Duration,
    /// The operator's acknowledgement of the pause.
    pub pause_timeout: Duration,
    /// The work of a pod that is drained; zero means that none is drained.
    pub drain: Duration,
    /// KubeDB's report that the database is Ready after the update; zero means that it is not waited for.
    pub wait_ready: Duration,
}

/// What came before the run, and what follows it.
#[derive(Debug, Clone)]
pub struct Story {
    /// The runs of this database so far.
    pub journal: Journal,
    /// The unfinished run that this one resumes.
    pub resuming: Option<Entry>,
    /// The unfinished run that this one undoes.
    pub undoing: Option<Entry>,
    pub direction: Direction,
    /// The state that a rollback restores; `None` means the state when the run starts.
    pub before: Option<Before>,
    /// The version that further updates after this one lead to.
    pub through: Option<String>,
    /// The finish that follows the updates.
    pub finish: Option<Soak>,
    /// The works that a finish takes back.
    pub undo: Option<Vec<Work>>,
    /// The methods that were chosen for this update and the ones after it.
    pub methods: Methods,
    pub earlier: Earlier,
}

/// What the same operation did before this run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Earlier {
    /// A run of it has changed something.
    pub changed: bool,
    /// How much of [`Bounds::timeout`] is used up.
    pub spent: Duration,
}

/// Runs a plan without refusals, from the snapshot that it was made from. Everything that happens is sent as events;
/// the last event is returned.
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
    // The futures of the sequence and of the end are large, and several operations may run on one stack.
    match Box::pin(sequence(&mut run)).await {
        Err(failure) if run.turns_back(&failure).is_ok() => {
            let mut back = run.rolling_back();
            let rolled_back = match rollback(&mut back).await {
                Ok(()) => Ok(None),
                Err(StopReason::NotReady { unready, .. }) => Ok(Some(unready)),
                Err(reason) => Err(reason),
            };
            let failure = Box::new(failure);
            back.end(rolled_back.and_then(|unready| Err(StopReason::RolledBack { failure, unready }))).await
        }
        result => Box::pin(run.end(result)).await,
    }
}

/// The rollback after a failure, under the lock and the pause that the update hands over.
async fn rollback(run: &mut Run) -> Result<(), StopReason> {
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
    run.step(Step::Verify, async |run| run.verify().await).await
}

/// The update.
async fn sequence(run: &mut Run) -> Result<(), StopReason> {
    run.step(Step::Lock, async |run| run.lock().await).await?;
    if run.plan.pre_pull.is_some() {
        run.step(Step::PrePull, async |run| run.pre_pull().await).await?;
    }
    if run.plan.finish.is_some() {
        run.step(Step::Finish, async |run| run.finish_update().await).await?;
        return run.step(Step::Verify, async |run| run.verify_finish().await).await;
    }
    match run.plan.method {
        Method::Client => by_client(run).await?,
        Method::Provisioner => by_provisioner(run).await?,
        Method::OpsManager => by_ops_manager(run).await?,
    }
    run.step(Step::Verify, async |run| run.verify().await).await?;
    Box::pin(run.note_left()).await;
    Ok(())
}

/// This tool patches the images while the operator is paused, and sets the version last.
async fn by_client(run: &mut Run) -> Result<(), StopReason> {
    run.step(Step::Pause, async |run| run.pause().await).await?;
    run.step(Step::PatchImages, async |run| run.patch_images().await).await?;
    run.step(Step::RollPods, async |run| run.roll_pods().await).await?;
    run.step(Step::SetVersion, async |run| run.set_version().await).await?;
    run.step(Step::Resume, async |run| run.resume().await).await
}

/// The version is set first and the operator renders the templates; it is paused only while pods are restarted.
async fn by_provisioner(run: &mut Run) -> Result<(), StopReason> {
    run.step(Step::Render, async |run| run.render().await).await?;
    run.step(Step::Pause, async |run| run.pause().await).await?;
    run.step(Step::RollPods, async |run| run.roll_pods().await).await?;
    run.step(Step::Resume, async |run| run.resume().await).await
}

/// The Ops-manager does everything, following our ops request.
async fn by_ops_manager(run: &mut Run) -> Result<(), StopReason> {
    if run.plan.action == Action::Resume {
        // The ops request is done; only the verification is left.
        run.note_success();
        return Ok(());
    }
    run.step(Step::Request, async |run| run.request().await).await?;
    run.step(Step::Follow, async |run| run.follow_request().await).await
}
