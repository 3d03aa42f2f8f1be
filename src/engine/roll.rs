//! Restarting pods, one after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::ClusterError;
use crate::event::{Event, StepOutcome, WaitingOn};
use crate::journal::Direction;
use crate::model::{Action, Budget, Check, Phase, Pod, Strategy, Workload, WorkloadPlan};
use crate::retry::Retries;
use crate::roll::order::{self, Next};
use crate::roll::{Flight, Limits, Stuck, Verdict, judge};
use crate::steps::Blocked;
use crate::steps::s3_roll_pods;

use super::pause::millis;
use super::run::Run;
use super::stop_reason::StopReason;

/// After a pod has become Ready its budget says so within some milliseconds: so long a blocked eviction is no news.
const BUDGET_LAG: Duration = Duration::from_secs(1);

/// The shortest time between two tries of an eviction.
const EVICT_AGAIN: Duration = Duration::from_millis(20);

/// The same where the server refuses what its budget allows, or what only the server can tell.
const EVICT_DOUBTED: Duration = Duration::from_secs(1);

/// How often a blocked eviction is tried though the budget's word has not changed: the watch may have missed it.
const EVICT_ANYWAY: Duration = Duration::from_secs(5);

/// A budget that counts fewer healthy pods than there are for so long has fallen behind: its controller looks again only
/// when something about it changes.
const BUDGET_STALE: Duration = Duration::from_secs(10);

/// How long a pod on the old images that has become unwell in the run may take to recover before it is restarted: an
/// election or a rebalance after another member's restart is over by then.
const RECOVERY: Duration = Duration::from_secs(60);

/// A pod that comes back on the old template once was made by a controller that had not seen the new one yet.
const EVICTIONS: u32 = 2;

/// So often a loop may come round without waiting: an eviction, its answer and what follows from it are a few turns.
const TURNS: u32 = 8;

/// The wait of a loop that has come round too often.
const BREATH: Duration = Duration::from_secs(1);

/// One workload that is rolled.
pub(super) struct Roll<'a> {
    pub plan: &'a WorkloadPlan,
    pub name: String,
    pub limits: Limits,
    /// The pods that are waited for: one, or more where several were not well.
    pub flights: Vec<Flight>,
    /// When a pod last became Ready.
    last_ready: Option<Duration>,
    blockage: Option<Blockage>,
    /// Since when something outside this workload has held the next eviction.
    pub held_since: Option<Duration>,
    evictions: BTreeMap<String, u32>,
    /// The user has heard that a budget's status is out of date.
    told_stale: bool,
    told: Option<(String, WaitingOn)>,
    backoff: Retries,
    pub turns: Turns,
}

/// How often a loop has come round without waiting.
#[derive(Default)]
pub(super) struct Turns {
    waits: u64,
    idle: u32,
}

impl Turns {
    /// Counts a turn; `waits` is how often the run has waited so far. `true` where it is time to wait.
    fn spins(&mut self, waits: u64) -> bool {
        if waits != self.waits {
            (self.waits, self.idle) = (waits, 0);
        }
        self.idle += 1;
        self.idle > TURNS
    }
}

/// An eviction that is refused for the moment.
struct Blockage {
    since: Duration,
    not_before: Duration,
    at_the_latest: Duration,
}

impl Run {
    /// Rolls every workload, in order.
    pub async fn roll_pods(&mut self) -> Result<StepOutcome, StopReason> {
        let workloads = self.plan.workloads.clone();
        let mut outcome = StepOutcome::AlreadyDone;
        for plan in &workloads {
            let began = self.narrator.now();
            let mut roll = Roll::new(plan, self.options.bounds.pod_timeout);
            let (pods, done) = self.observer.count(plan);
            if pods > done || !plan.images.is_empty() {
                outcome = StepOutcome::Done;
            }
            self.narrator.emit(Event::WorkloadStarted { workload: roll.name.clone(), pods, done });
            let rolled = match plan.strategy {
                Strategy::Evict => self.roll(&mut roll).await,
                Strategy::Follow | Strategy::OpsManager => self.follow_workload(&mut roll).await,
            };
            let took_ms = millis(self.narrator.now() - began);
            if let Some(result) = self.ledger.results.get_mut(&plan.object.uid) {
                result.took_ms = took_ms;
            }
            rolled?;
            self.narrator.emit(Event::WorkloadFinished { workload: roll.name, took_ms });
        }
        Ok(outcome)
    }

    async fn roll(&mut self, roll: &mut Roll<'_>) -> Result<(), StopReason> {
        loop {
            self.never_spin(&mut roll.turns).await?;
            self.catch_up();
            self.guard()?;
            let wake = self.land(roll).await?;
            if wake.is_some() {
                roll.held_since = None;
            }
            let next = order::next(&self.plan, roll.plan, &self.observer.snapshot, &self.memory);
            if let Some(wake) = wake {
                // Only a pod that is not well may be restarted while others are on their way.
                let in_flight = roll.flights.first().map(|f| f.pod.clone());
                match next {
                    Next::Evict { pod, uid, healthy: false }
                        if self.interrupt.requested(in_flight.as_deref()).is_none() =>
                    {
                        self.evict(roll, &pod, &uid).await?;
                    }
                    Next::WorkloadGone => {
                        return Err(Blocked::WorkloadGone { workload: roll.name.clone() }.into());
                    }
                    Next::Taken { pod, uid } => self.taken(roll, &pod, &uid).await?,
                    _ => {
                        self.interrupt.requested(in_flight.as_deref());
                        self.wait(wake).await?;
                    }
                }
                continue;
            }
            self.interrupt.stop_here()?;
            match next {
                Next::Done => return Ok(()),
                Next::WorkloadGone => {
                    return Err(Blocked::WorkloadGone { workload: roll.name.clone() }.into());
                }
                Next::Taken { pod, uid } => self.taken(roll, &pod, &uid).await?,
                Next::Await { pod } => self.look_for(roll, &pod).await?,
                Next::Evict { pod, uid, .. } => self.evict(roll, &pod, &uid).await?,
                Next::Hold { pod, uid, why } => self.hold_for(roll, pod, uid, why).await?,
            }
        }
    }

    /// Waits where a loop has come round many times without waiting: whatever the cluster shows, signals, the lock and the
    /// bounds of the run must get their turn.
    pub(super) async fn never_spin(&mut self, turns: &mut Turns) -> Result<(), StopReason> {
        if turns.spins(self.interrupt.waits) {
            self.wait(self.narrator.now() + BREATH).await?;
        }
        Ok(())
    }

    /// A pod that the workload does not own has the name of one that it needs. A fresh look must say the same as the
    /// watch: then somebody else changes the database.
    pub(super) async fn taken(&mut self, roll: &Roll<'_>, pod: &str, uid: &str) -> Result<(), StopReason> {
        let fresh = self.read_pod(pod, Some(uid)).await?;
        match fresh.filter(|p| p.uid == uid && !p.deleting && p.owner != roll.plan.object.uid) {
            Some(fresh) => {
                let (workload, pod) = (roll.name.clone(), pod.to_owned());
                Err(Blocked::PodTaken { workload, pod, owner: fresh.owner }.into())
            }
            None => Ok(()),
        }
    }

    /// Begins to wait for a pod. Where the watch shows none it is looked for once: one that has lost the database's labels
    /// still has the name, and the watch no longer tells of it.
    async fn look_for(&mut self, roll: &mut Roll<'_>, pod: &str) -> Result<(), StopReason> {
        let flight = Flight::awaited(pod, self.narrator.now());
        if self.in_place_of(roll, &flight).is_none() && self.read_pod(pod, None).await?.is_some() {
            return Ok(());
        }
        self.take_off(roll, flight);
        Ok(())
    }

    pub(super) fn take_off(&mut self, roll: &mut Roll<'_>, flight: Flight) {
        let started = self.ledger.results.get(&roll.plan.object.uid).map_or(0, |r| r.restarted);
        self.narrator.emit(Event::PodStarted {
            workload: roll.name.clone(),
            pod: flight.pod.clone(),
            ordinal_in_run: started,
        });
        roll.flights.push(flight);
    }

    /// Judges the pods that are waited for. `None` when none is left; otherwise when to look again at the latest.
    pub(super) async fn land(&mut self, roll: &mut Roll<'_>) -> Result<Option<Duration>, StopReason> {
        let now = self.narrator.now();
        let mut wake: Option<Duration> = None;
        for mut flight in std::mem::take(&mut roll.flights) {
            let workload = self.observer.snapshot.workload(&roll.plan.object.uid);
            let revision = workload.filter(|w| w.observed()).map(|w| w.update_revision.as_str());
            let pod = self.in_place_of(roll, &flight);
            if pod.is_none() && workload.is_some_and(|w| self.scaled_away(w, &flight.pod)) {
                continue;
            }
            flight.observe(pod, now);
            match judge(&flight, pod, roll.plan, revision, roll.limits, now) {
                Verdict::Progress { on, until } => {
                    wake = Some(wake.map_or(until, |w| w.min(until)));
                    self.tell_pod(roll, &flight.pod, on);
                    roll.flights.push(flight);
                }
                Verdict::Done { healthy_since } => self.landed(roll, &flight, healthy_since),
                Verdict::Outdated => {}
                Verdict::Stuck(stuck) => {
                    let (seen, name) = (pod.cloned(), flight.pod.clone());
                    roll.flights.push(flight);
                    self.believe(&name, seen, stuck).await?;
                    wake = Some(now);
                }
            }
        }
        Ok(wake)
    }

    /// Nobody will make that pod again: the workload was scaled down meanwhile, and has all the others.
    fn scaled_away(&self, workload: &Workload, pod: &str) -> bool {
        let ordinal = pod.rsplit_once('-').and_then(|(_, ordinal)| ordinal.parse::<i64>().ok());
        let pods = self.observer.snapshot.pods_of(workload).count() as i64;
        ordinal.is_some_and(|o| o >= workload.replicas) && pods >= workload.replicas
    }

    /// A pod counts as stuck only when a fresh look says the same as the watch: then the run ends here.
    pub(super) async fn believe(
        &mut self,
        pod: &str,
        seen: Option<Pod>,
        stuck: Stuck,
    ) -> Result<(), StopReason> {
        let version = |p: &Option<Pod>| p.as_ref().map(|p| (p.uid.clone(), p.resource_version.clone()));
        let fresh = self.read_pod(pod, seen.as_ref().map(|p| p.uid.as_str())).await?;
        if version(&fresh) != version(&seen) {
            return Ok(());
        }
        let uid = seen.map(|p| p.uid).unwrap_or_default();
        Err(self.stuck(pod.to_owned(), &uid, stuck).await)
    }

    /// The workload's pod that stands where the evicted one stood: the new one, as soon as there is one.
    fn in_place_of(&self, roll: &Roll<'_>, flight: &Flight) -> Option<&Pod> {
        let workload = self.observer.snapshot.workload(&roll.plan.object.uid)?;
        let named = || self.observer.snapshot.pods_of(workload).filter(|p| p.name == flight.pod);
        named().find(|p| Some(&p.uid) != flight.old_uid.as_ref()).or_else(|| named().next())
    }

    fn landed(&mut self, roll: &mut Roll<'_>, flight: &Flight, healthy_since: Duration) {
        let now = self.narrator.now();
        let away_ms = if flight.old_uid.is_some() { millis(healthy_since - flight.began) } else { 0 };
        roll.last_ready = Some(now);
        if let Some(result) = self.ledger.results.get_mut(&roll.plan.object.uid) {
            result.restarted += u64::from(flight.old_uid.is_some());
            result.longest_away_ms = result.longest_away_ms.max(away_ms);
        }
        let (_, done) = self.observer.count(roll.plan);
        self.journal_pods(&roll.name, done);
        self.narrator.emit(Event::PodReady {
            workload: roll.name.clone(),
            pod: flight.pod.clone(),
            took_ms: millis(now - flight.began),
            away_ms,
        });
    }

    /// A pod is stuck: the last event about it often says why.
    async fn stuck(&mut self, pod: String, uid: &str, mut stuck: Stuck) -> StopReason {
        let (cluster, ns) = (&self.observer.cluster, &self.plan.database.namespace);
        let node = match &stuck {
            Stuck::Terminating { node: Some(node), .. } => Some(node.clone()),
            _ => None,
        };
        let asking = async {
            let state = match node {
                Some(node) => Some(cluster.node_state(&node).await),
                None => None,
            };
            (cluster.last_event(ns, uid).await, state)
        };
        let (last_event, state) = match self.interrupt.during(asking).await {
            Ok(answers) => answers,
            Err(reason) => return reason,
        };
        if let Stuck::Terminating { node_state, .. } = &mut stuck {
            *node_state = state;
        }
        StopReason::Stuck { pod, stuck, last_event }
    }

    /// Says what a pod waits for, when that has changed.
    pub(super) fn tell_pod(&mut self, roll: &mut Roll<'_>, pod: &str, on: WaitingOn) {
        let told = Some((pod.to_owned(), on.clone()));
        if roll.told != told {
            roll.told = told;
            self.narrator.emit(Event::PodWaiting { workload: roll.name.clone(), pod: pod.to_owned(), on });
        }
    }

    /// Waits for a pod that has become unwell. Where it is on the old images and does not recover, it is given up: then it
    /// may be restarted like one that was not well from the start.
    async fn hold_for(
        &mut self,
        roll: &mut Roll<'_>,
        pod: String,
        uid: String,
        why: String,
    ) -> Result<(), StopReason> {
        let since = *roll.held_since.get_or_insert(self.narrator.now());
        if self.narrator.now() >= since + RECOVERY && !self.memory.given_up.contains(&uid) {
            self.memory.given_up.insert(uid);
            return Ok(());
        }
        let on = WaitingOn::OtherPod { pod: pod.clone(), why: why.clone() };
        let until = if self.memory.given_up.contains(&uid) { Duration::MAX } else { since + RECOVERY };
        self.held(roll, &pod.clone(), on, StopReason::OtherPod { pod, why }, until).await
    }

    /// Waits for something outside this workload, at most as long as for a pod.
    pub(super) async fn held(
        &mut self,
        roll: &mut Roll<'_>,
        pod: &str,
        on: WaitingOn,
        reason: StopReason,
        until: Duration,
    ) -> Result<(), StopReason> {
        let since = *roll.held_since.get_or_insert(self.narrator.now());
        let deadline = since + roll.limits.pod_timeout;
        if self.narrator.now() >= deadline {
            return Err(reason);
        }
        self.tell_pod(roll, pod, on);
        self.wait(deadline.min(until)).await
    }

    /// Tries to evict a pod, or waits for what speaks against it. Afterwards everything is decided anew.
    async fn evict(&mut self, roll: &mut Roll<'_>, pod: &str, uid: &str) -> Result<(), StopReason> {
        let now = self.narrator.now();
        let Some(old) = self.observer.snapshot.pods.iter().find(|p| p.uid == uid).cloned() else {
            return Ok(());
        };
        if let Some(until) = self.not_yet(roll, &old) {
            if !roll.within_lag(now) {
                self.tell_blocked(roll, &old, "");
            }
            return self.wait(until).await;
        }
        // While the watch says that the database is unwell, nothing has to be read to know it.
        if let Some(what) = self.database_unhealthy().filter(|_| old.healthy() && self.observer.watching()) {
            let on = WaitingOn::DatabaseHealth { what: what.clone() };
            return self.held(roll, pod, on, StopReason::DatabaseUnhealthy { what }, Duration::MAX).await;
        }
        self.observe(roll.plan).await?;
        self.guard()?;
        if !self.observer.snapshot.workload(&roll.plan.object.uid).is_some_and(Workload::observed) {
            // A pod that is evicted now would come back from the old template, or not at all.
            let (workload, seconds) = (roll.name.clone(), roll.limits.pod_timeout.as_secs());
            let reason = StopReason::NotTakenUp { workload, seconds };
            return self.held(roll, pod, WaitingOn::Controller, reason, Duration::MAX).await;
        }
        let decided = order::next(&self.plan, roll.plan, &self.observer.snapshot, &self.memory);
        if !matches!(&decided, Next::Evict { uid: still, .. } if still == uid) {
            return Ok(());
        }
        // A pod that is not well may be what ails the database.
        if let Some(what) = self.database_unhealthy().filter(|_| old.healthy()) {
            let on = WaitingOn::DatabaseHealth { what: what.clone() };
            return self.held(roll, pod, on, StopReason::DatabaseUnhealthy { what }, Duration::MAX).await;
        }
        let evictions = roll.evictions.get(pod).copied().unwrap_or_default();
        if evictions == EVICTIONS {
            return Err(StopReason::OldTemplate { pod: pod.to_owned() });
        }
        if self.lock.lease.as_ref().is_some_and(|lease| !lease.good()) {
            // By the time the lock is ours again, what was decided here is old, and watches that slept may not know better.
            self.hold().await?;
            return Box::pin(self.observe_all(roll.plan)).await;
        }
        let ns = &self.plan.database.namespace;
        let write = s3_roll_pods::evict(ns, pod, uid);
        let mut sent = self.send(&write).await?;
        if matches!(sent, Err(ClusterError::Budget { .. })) && self.may_delete() {
            // The budget may be right: what a watch has told of the pod can be old.
            let fresh = self.read_pod(pod, Some(uid)).await?;
            if let Some(fresh) = fresh.filter(|fresh| fresh.uid == uid && !fresh.deleting && !fresh.healthy())
            {
                let deletion = s3_roll_pods::delete(&self.plan.database.namespace, &fresh);
                sent = self.send(&deletion).await?;
            }
        }
        match sent {
            Ok(_) => {
                roll.evictions.insert(pod.to_owned(), evictions + 1);
                self.memory.evicted.insert(uid.to_owned());
                (roll.blockage, roll.held_since) = (None, None);
                roll.backoff = Retries::new();
                let flight = Flight::evicted(&old, self.narrator.now());
                self.take_off(roll, flight);
                self.narrator.emit(Event::PodEvicted { workload: roll.name.clone(), pod: pod.to_owned() });
                Ok(())
            }
            Err(error) => self.not_evicted(roll, &old, error).await,
        }
    }

    /// A pod that is not healthy is deleted where a budget forbids its eviction: a rollback may, since the user has asked
    /// to be rid of what the update has brought.
    fn may_delete(&self) -> bool {
        self.plan.action == Action::Rollback || self.options.story.direction == Direction::Rollback
    }

    /// When the eviction is to be tried at the latest; `None` for now. A budget covers a pod that is well, and its own
    /// word is waited for; whether one that is not may go, only the server can tell.
    fn not_yet(&self, roll: &Roll<'_>, pod: &Pod) -> Option<Duration> {
        let now = self.narrator.now();
        let until = match (&roll.blockage, self.may_go(pod)) {
            (Some(b), true) => b.not_before,
            (Some(b), false) => b.at_the_latest,
            (None, true) => return None,
            (None, false) => roll.last_ready.map_or(now, |t| t + BUDGET_LAG),
        };
        (now < until).then_some(until)
    }

    /// Nothing that the budgets say speaks against the eviction.
    fn may_go(&self, pod: &Pod) -> bool {
        !pod.healthy() || self.observer.snapshot.budgets_of(pod).all(|b| b.allows())
    }

    /// What the database says of its own health, where that is bad.
    fn database_unhealthy(&self) -> Option<String> {
        let db = &self.observer.snapshot.database;
        if self.options.skip.contains(&Check::DatabaseHealth) {
            return None;
        }
        if db.phase == Phase::NotReady {
            return Some("phase NotReady".to_owned());
        }
        let (_, condition) = db.condition("AcceptingConnection")?;
        (condition.status == "False").then(|| format!("AcceptingConnection=False ({})", condition.message))
    }

    /// Says which budget blocks the eviction, with its numbers; the server's own words where it is not known.
    fn tell_blocked(&mut self, roll: &mut Roll<'_>, pod: &Pod, message: &str) {
        let budgets = || self.observer.snapshot.budgets_of(pod);
        let budget = budgets().find(|b| !b.allows()).or_else(|| budgets().next()).cloned();
        if let Some(b) = budget.as_ref().filter(|b| self.stale(roll, b)) {
            roll.told_stale = true;
            self.narrator.emit(Event::Notice { message: self.poke(b) });
        }
        let on = match budget {
            Some(b) => WaitingOn::Budget {
                budget: b.name,
                needed: b.desired_healthy,
                healthy: b.current_healthy,
                held_by: b.disrupted_pods.into_iter().find(|p| *p != pod.name),
            },
            None => WaitingOn::Server { message: message.to_owned() },
        };
        self.tell_pod(roll, &pod.name, on);
    }

    /// The budget has counted too few healthy pods for a while, and nobody has said so yet.
    fn stale(&self, roll: &Roll<'_>, budget: &Budget) -> bool {
        let healthy =
            self.observer.snapshot.pods.iter().filter(|p| p.healthy() && budget.covers(p)).count() as i64;
        let lasting = roll.blockage.as_ref().is_some_and(|b| self.narrator.now() >= b.since + BUDGET_STALE);
        !roll.told_stale && lasting && !budget.allows() && healthy > budget.current_healthy
    }

    /// How the user makes the disruption controller look at a budget again.
    fn poke(&self, budget: &Budget) -> String {
        let name = &budget.name;
        let command = self.options.caller.kubectl.clone().words(["annotate", "poddisruptionbudget", name]);
        let command = command.in_namespace(&self.plan.database.namespace).word("--overwrite");
        let command = command.word(format!("kubectl-dbupdate/poke={}", self.options.caller.run));
        format!(
            "PodDisruptionBudget {name} counts {} healthy pods, but there are more: its status is out of date. To make \
             its controller recalculate it: {command}",
            budget.current_healthy
        )
    }

    /// The server has not evicted the pod, or it is not known whether it has.
    async fn not_evicted(
        &mut self,
        roll: &mut Roll<'_>,
        pod: &Pod,
        error: ClusterError,
    ) -> Result<(), StopReason> {
        match error {
            ClusterError::Budget { message, .. } => self.budget_refused(roll, pod, &message),
            // The pod is gone, or another has its name: the watch will tell, if it has not yet.
            ClusterError::NotFound { .. } | ClusterError::Conflict { .. } => {
                let fresh = self.read_pod(&pod.name, Some(&pod.uid)).await?;
                match fresh.filter(|fresh| fresh.uid == pod.uid && !fresh.deleting) {
                    // The conflict was none of this pod's.
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
        let mut backoff = std::mem::take(&mut roll.backoff);
        let backed_off = self.back_off(&mut backoff, &format!("evict pod/{}", pod.name), error).await;
        roll.backoff = backoff;
        backed_off
    }

    fn budget_refused(&mut self, roll: &mut Roll<'_>, pod: &Pod, message: &str) -> Result<(), StopReason> {
        let now = self.narrator.now();
        roll.backoff = Retries::new();
        let since = roll.blockage.as_ref().map_or(now, |b| b.since);
        let lag = roll.within_lag(now);
        let at_the_latest = now + if lag { EVICT_AGAIN } else { EVICT_ANYWAY };
        let not_before = now + if lag || !self.may_go(pod) { EVICT_AGAIN } else { EVICT_DOUBTED };
        roll.blockage = Some(Blockage { since, not_before, at_the_latest });
        if now >= since + roll.limits.pod_timeout {
            let budget = self.observer.snapshot.budgets_of(pod).next();
            return Err(StopReason::BudgetBlocked {
                pod: pod.name.clone(),
                budget: budget.map_or_else(|| message.to_owned(), |b| b.name.clone()),
                needed: budget.map_or(0, |b| b.desired_healthy),
                healthy: budget.map_or(0, |b| b.current_healthy),
            });
        }
        if !lag {
            self.tell_blocked(roll, pod, message);
        }
        Ok(())
    }
}

impl<'a> Roll<'a> {
    pub fn new(plan: &'a WorkloadPlan, pod_timeout: Duration) -> Self {
        let min_ready = Duration::from_secs(plan.min_ready_seconds.max(0) as u64);
        Roll {
            plan,
            name: plan.object.to_string(),
            limits: Limits { pod_timeout, min_ready },
            flights: Vec::new(),
            last_ready: None,
            blockage: None,
            held_since: None,
            evictions: BTreeMap::new(),
            told_stale: false,
            told: None,
            backoff: Retries::new(),
            turns: Turns::default(),
        }
    }

    /// A pod has just become Ready, and its budget may not know yet.
    fn within_lag(&self, now: Duration) -> bool {
        self.last_ready.is_some_and(|t| now < t + BUDGET_LAG)
    }
}
