//! Evicting a pod: checks the gates, sends the write, and interprets the response.

use crate::cluster::ClusterError;
use crate::event::Event;
use crate::journal::Direction;
use crate::model::{Action, Command, Pod, WorkloadPlan};
use crate::retry::Retries;
use crate::roll::Flight;
use crate::roll::gates::{self, Answer, Facts, Refusal, Stale, Wait};
use crate::roll::order::{self, Next};
use crate::steps::s3_roll_pods;

use super::roll::Roll;
use super::run::Run;
use super::stop_reason::StopReason;

impl Run {
    /// Tries to evict a pod, or waits for the gate that forbids it. Afterwards everything is decided again.
    pub(super) async fn evict(&mut self, roll: &mut Roll<'_>, uid: &str) -> Result<(), StopReason> {
        let Some(old) = self.observer.snapshot.pods.iter().find(|p| p.uid == uid).cloned() else {
            return Ok(());
        };
        // An unhealthy pod of another workload may be restarted first.
        let plan = self.plan.clone();
        let owner = plan.workload(&old.owner).unwrap_or(roll.plan);
        // While everything is watched, the snapshot is current and nothing has to be read.
        if !self.pass(roll, owner, &old, gates::by_watch).await? {
            return Ok(());
        }
        self.observe(owner).await?;
        self.guard()?;
        if self.ask_database(roll) {
            // A pod has changed meanwhile, so what the database has said of them all is old.
            return Ok(());
        }
        let decided = order::next(&self.plan, roll.plan, &self.observer.snapshot, &self.memory);
        // A pod that has become healthy meanwhile has to wait for more than one that was not.
        let same = |still: &str, healthy: bool| still == uid && healthy == old.healthy();
        if !matches!(&decided, Next::Evict { uid: still, healthy, .. } if same(still, *healthy)) {
            return Ok(());
        }
        if !self.pass(roll, owner, &old, gates::by_reading).await? {
            return Ok(());
        }
        roll.held_since = None;
        if self.lock.lease.is_some() && !self.lock.good() {
            // By the time the lock is renewed, this decision is old, and the watches may have missed a change.
            self.hold().await?;
            return Box::pin(self.observe_all(owner)).await;
        }
        if !self.drained(roll, owner, &old).await? {
            return Ok(());
        }
        match self.send_away(&old).await? {
            Ok(()) => {
                self.sent_away(roll, &old);
                Ok(())
            }
            Err(error) => self.not_evicted(roll, &old, error).await,
        }
    }

    /// Checks the gates. `false` means that the pod had to wait, and everything must be decided again.
    async fn pass(
        &mut self,
        roll: &mut Roll<'_>,
        owner: &WorkloadPlan,
        pod: &Pod,
        gates: impl Fn(&Facts<'_>) -> Answer,
    ) -> Result<bool, StopReason> {
        let facts = Facts {
            plan: &self.plan,
            workload: owner,
            pod,
            snapshot: &self.observer.snapshot,
            memory: &self.memory,
            pace: &roll.pace,
            skip: &self.options.skip,
            watched: self.observer.watching(),
            pod_timeout: roll.limits.pod_timeout,
            asked: self.asked().filter(|_| !self.serves_nobody(&pod.uid)),
            now: self.narrator.now(),
        };
        let wait = match gates(&facts) {
            Answer::Go => return Ok(true),
            Answer::Refuse(refusal) => return Err(refusal.into()),
            Answer::Wait(wait) => wait,
        };
        let Wait { on, until, or, stale } = wait;
        self.tell_stale(roll, stale);
        match (on, or) {
            (Some(on), Some(or)) => self.held(roll, &pod.name, on, or.into(), until).await?,
            (on, _) => {
                // Whatever has held the pod up until now does so no more.
                roll.held_since = None;
                if let Some(on) = on {
                    self.tell_pod(roll, &pod.name, on);
                }
                self.wait(until).await?;
            }
        }
        Ok(false)
    }

    /// Evicts the pod, or deletes it if a budget forbids the eviction and deleting it is allowed.
    async fn send_away(&mut self, pod: &Pod) -> Result<Result<(), ClusterError>, StopReason> {
        let namespace = &self.plan.database.namespace;
        let eviction = s3_roll_pods::evict(namespace, &pod.name, &pod.uid);
        let mut sent = self.send(&eviction).await?;
        if matches!(sent, Err(ClusterError::Budget { .. })) && self.may_delete() {
            // The budget may be right: what a watch has reported about the pod can be out of date.
            let fresh = self.read_pod(&pod.name, Some(&pod.uid)).await?;
            let same = |fresh: &Pod| fresh.uid == pod.uid && !fresh.deleting && !fresh.healthy();
            if let Some(fresh) = fresh.filter(same) {
                let deletion = s3_roll_pods::delete(&self.plan.database.namespace, &fresh);
                sent = self.send(&deletion).await?;
            }
        }
        Ok(sent.map(drop))
    }

    fn sent_away(&mut self, roll: &mut Roll<'_>, old: &Pod) {
        *self.memory.evictions.entry(old.name.clone()).or_default() += 1;
        self.memory.evicted.insert(old.uid.clone());
        self.drained = None;
        self.ledger.no_longer_drained(&old.uid);
        roll.pace.evicted();
        roll.held_since = None;
        roll.backoff = Retries::new();
        self.take_off(roll, Flight::evicted(old, self.narrator.now()));
        self.narrator.emit(Event::PodEvicted { workload: roll.name.clone(), pod: old.name.clone() });
        self.journal_away();
    }

    /// A rollback deletes an unhealthy pod if a budget forbids its eviction: the user has asked to undo the update.
    fn may_delete(&self) -> bool {
        self.plan.action == Action::Rollback || self.options.story.direction == Direction::Rollback
    }

    /// Reports once that a budget's status is out of date.
    fn tell_stale(&mut self, roll: &mut Roll<'_>, stale: Option<Stale>) {
        if let Some(stale) = stale.filter(|_| !std::mem::replace(&mut roll.told_stale, true)) {
            let (name, command) = (&stale.budget, self.poke("poddisruptionbudget", &stale.budget));
            let pods = if stale.counted == 1 { "pod" } else { "pods" };
            self.narrator.notice(format!(
                "PodDisruptionBudget {name} counts {} healthy {pods}, but there are more: its status is out of date. To make \
                 its controller recalculate it: {command}",
                stale.counted
            ));
        }
    }

    /// The command that makes the controller of an object look at it again.
    pub(super) fn poke(&self, resource: &str, name: &str) -> Command {
        let command = self.options.caller.commands.kubectl().words(["annotate", resource, name]);
        let command = command.in_namespace(&self.plan.database.namespace).word("--overwrite");
        command.word(format!("kubectl-dbupdate/poke={}", self.options.caller.run))
    }

    /// The server has not evicted the pod, or may have done so without our receiving the response.
    async fn not_evicted(
        &mut self,
        roll: &mut Roll<'_>,
        pod: &Pod,
        error: ClusterError,
    ) -> Result<(), StopReason> {
        match error {
            ClusterError::Budget { message, .. } => self.budget_refused(roll, pod, &message),
            // The pod is gone, or another pod has its name: the watch will show it soon.
            ClusterError::NotFound { .. } | ClusterError::Conflict { .. } => {
                let fresh = self.read_pod(&pod.name, Some(&pod.uid)).await?;
                match fresh.filter(|fresh| fresh.uid == pod.uid && !fresh.deleting) {
                    // The conflict was about something other than this pod.
                    Some(_) => self.back_off_eviction(roll, pod, &error).await,
                    None => Ok(()),
                }
            }
            ClusterError::Transient { .. } => {
                self.back_off_eviction(roll, pod, &error).await?;
                self.read_pod(&pod.name, Some(&pod.uid)).await.map(drop)
            }
            error => Err(error.into()),
        }
    }

    async fn back_off_eviction(
        &mut self,
        roll: &mut Roll<'_>,
        pod: &Pod,
        error: &ClusterError,
    ) -> Result<(), StopReason> {
        self.back_off(&mut roll.backoff, &format!("evict pod/{}", pod.name), error).await
    }

    fn budget_refused(&mut self, roll: &mut Roll<'_>, pod: &Pod, message: &str) -> Result<(), StopReason> {
        let now = self.narrator.now();
        roll.backoff = Retries::new();
        let snapshot = &self.observer.snapshot;
        let refused_for = roll.pace.refused(gates::allowed(pod, snapshot), now);
        if refused_for >= roll.limits.pod_timeout {
            let budget = snapshot.budgets_of(pod).next();
            return Err(StopReason::BudgetBlocked {
                pod: pod.name.clone(),
                budget: budget.map_or_else(|| message.to_owned(), |b| b.name.clone()),
                needed: budget.map_or(0, |b| b.desired_healthy),
                healthy: budget.map_or(0, |b| b.current_healthy),
            });
        }
        if !roll.pace.within_lag(now) {
            let on = gates::blocking(pod, snapshot, message);
            self.tell_pod(roll, &pod.name, on);
        }
        Ok(())
    }
}

impl From<Refusal> for StopReason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::DatabaseUnhealthy { what } => StopReason::DatabaseUnhealthy { what },
            Refusal::NotTakenUp { workload, seconds } => StopReason::NotTakenUp { workload, seconds },
            Refusal::OldTemplate { pod } => StopReason::OldTemplate { pod },
            Refusal::Resizing { pod, what } => StopReason::Resizing { pod, what },
            Refusal::Unbearable { pod, on } => StopReason::Unbearable { pod, on },
        }
    }
}
