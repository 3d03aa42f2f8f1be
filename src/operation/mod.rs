//! One database from its goal to its result: reads it, plans, carries the plan out, and reports its state. Prints
//! nothing: what happens and what has to be asked is sent as [`Told`], and everything else is returned. Several
//! operations may run in one process.

mod attach;
mod carry_out;
mod end;
mod error;
mod goal;
mod health;
mod outlook;
mod ran;
mod read;
mod request;
mod stop;
mod told;

use stop::Patience;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterError};
use crate::engine;
use crate::model::{Snapshot, Trial};
use crate::plan::hops::Hops;

pub use crate::engine::{Bounds, RunOptions, Signal, Stop};
pub use crate::journal::Soak;
pub use attach::{Attached, Sight, attach};
pub use carry_out::run_id;
pub use end::{Between, End};
pub use error::Error;
pub use goal::{Goal, goal, unfinished};
pub use health::{Examination, said};
pub use outlook::{Outlook, Refusal};
pub use ran::Ran;
pub use read::{databases, left_pods, seen, snapshot};
pub use request::{Caller, Registries, Request, Which, Wish};
pub use stop::{Signalled, signalled, unless_stopped};
pub use told::{Notice, Question, Told};

/// What is done with one database, on behalf of one caller.
pub struct Operation {
    cluster: Cluster,
    request: Request,
    clock: Clock,
    patience: Patience,
    told: mpsc::UnboundedSender<Told>,
}

impl Operation {
    /// Creates the operation; nothing happens yet, but its timeout begins. Its reports and questions are sent to `told`; a question that nobody
    /// receives counts as declined.
    pub fn new(
        cluster: Cluster,
        request: Request,
        clock: Clock,
        stop: watch::Receiver<Stop>,
        told: mpsc::UnboundedSender<Told>,
    ) -> Self {
        let patience = Patience::begin(stop, request.bounds.timeout);
        Operation { cluster, request, clock, patience, told }
    }

    /// Sends the writes of the first update with `dryRun=All`; `None` if the plan is refused and would send nothing.
    ///
    /// # Errors
    ///
    /// A signal, or a cluster that cannot be reached.
    pub async fn trials(&mut self, outlook: &Outlook) -> Result<Option<Vec<Trial>>, Error> {
        if outlook.refused().is_some() {
            return Ok(None);
        }
        let trials = engine::trials(&self.cluster, &outlook.snapshot, &outlook.hops.first, &self.clock);
        let tried: Result<_, ClusterError> = self.patience.during(trials).await?;
        Ok(Some(tried?))
    }

    /// Removes the pods that an earlier run has left, which pre-pulled images, where no run follows that would do it.
    ///
    /// # Errors
    ///
    /// A signal, or the timeout. That pods may be left is only told: nothing of the database depends on them.
    pub async fn remove_left_pods(&mut self, outlook: &mut Outlook) -> Result<(), Error> {
        if outlook.left_pods().is_empty() {
            return Ok(());
        }
        let holder = engine::holder(&self.request.caller.who, &run_id());
        let removing = engine::remove_left_pods(&self.cluster, &outlook.snapshot, &holder, &self.clock);
        let removed = self.patience.during(removing).await?;
        if removed.is_ok() {
            outlook.snapshot.environment.left_pods.clear();
        }
        if let Some(said) = removed.unwrap_or_else(Some) {
            self.tell(Notice::LeftPods { said });
        }
        Ok(())
    }

    fn tell(&self, told: impl Into<Told>) {
        // It does not matter if the caller no longer listens.
        let _ = self.told.send(told.into());
    }

    /// The answer to a question.
    async fn ask<T>(&mut self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let asked = Instant::now();
        self.tell(question(reply));
        let answer = answer.await.map_err(|_| Error::Unanswered)?;
        self.patience.excuse(asked.elapsed());
        Ok(answer)
    }

    fn hops(&self, snapshot: &Snapshot, goal: &Goal) -> Result<Hops, Error> {
        Ok(goal.hops(snapshot, &self.request)?)
    }
}
