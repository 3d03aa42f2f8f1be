//! A run, as somebody sees it who has not started it. The run records its steps in the journal, and the cluster shows its
//! pods: what has changed between two looks at both becomes the events that the run itself reports.

use std::collections::BTreeSet;
use std::time::Duration;

use super::commands::Next;
use super::decide::{decide, to_follow};
use super::rolling::{Look, Rolling, Timed};
use super::state::{Situation, What};
use super::{Seen, State};
use crate::event::{EVENT_SCHEMA, Event, Finish, Outcome, Record, Step, StepOutcome, WaitingOn, code};
use crate::journal::{Entry, StepEntry};
use crate::model::{
    CreationNews, Direction, Phase, Plan, Pod, PodAction, PodPlan, Snapshot, Workload, WorkloadPlan,
    epoch_millis, millis,
};
use crate::plan::rollback;
use crate::roll::order;
use crate::steps::ops_request::{Requested, requested};
use crate::steps::render::{Rendered, rendered};
use crate::steps::s1_pause;

/// A verification that takes longer waits for KubeDB's report.
const SETTLED: Duration = Duration::from_secs(5);

/// What an onlooker has seen of one run.
#[derive(Debug)]
pub struct Onlooker {
    run: String,
    /// The plan that is carried out now: that of a rollback, once the run rolls back by itself.
    plan: Plan,
    /// When the present process of the run began, in milliseconds since 1970.
    origin: i64,
    /// The first step of that process in the journal.
    first: usize,
    /// Whether each step since then was seen to end.
    ended: Vec<bool>,
    open: Option<(Step, Duration)>,
    /// The verification was seen before it was recorded.
    ahead: bool,
    waiting: Option<WaitingOn>,
    rolling: Rolling,
    now: Duration,
    /// The time of the last event.
    told: Duration,
    seen: Vec<Timed>,
}

impl Onlooker {
    /// An onlooker who first looks at the run now.
    pub fn new(entry: &Entry, snapshot: &Snapshot) -> Self {
        let Entry { run, progress } = entry;
        let resumed = progress.resumed.last().map_or(&run.began, |resumed| &resumed.time);
        let origin = epoch_millis(resumed).or_else(|| epoch_millis(&run.began)).unwrap_or_default();
        let later = |step: &StepEntry| epoch_millis(&step.began).is_some_and(|began| began >= origin);
        let plan = as_found(run.plan.clone(), run.direction, snapshot);
        let mut shown = plan.clone();
        // What the run was to do in all; what a process that resumed it found left to do is not recorded, and neither
        // is the list of very many pods.
        if progress.resumed.is_empty() {
            for (shown, recorded) in shown.workloads.iter_mut().zip(&run.plan.workloads) {
                if !recorded.pods.is_empty() {
                    shown.pods.clone_from(&recorded.pods);
                }
            }
        }
        let started = Event::Started { schema: EVENT_SCHEMA.to_owned(), plan: Box::new(shown) };
        Onlooker {
            run: run.run.clone(),
            plan,
            origin,
            first: progress.steps.iter().position(later).unwrap_or(progress.steps.len()),
            ended: Vec::new(),
            open: None,
            ahead: false,
            waiting: None,
            rolling: Rolling::default(),
            now: Duration::ZERO,
            told: Duration::ZERO,
            seen: vec![(Duration::ZERO, started)],
        }
    }

    /// The id of the run.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The plan that is carried out.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What has happened since the last look. `time` is the present time in RFC 3339; the last event is the end of the
    /// run.
    pub fn look(&mut self, entry: &Entry, seen: &Seen, time: &str) -> Vec<Record> {
        let snapshot = &seen.snapshot;
        self.now = self.now.max(self.since(time));
        // What the pods do after the end of the run is not its doing, and a pod that may not be read is not one that is
        // gone.
        let rolled = match &entry.progress.result {
            Some(result) => {
                self.rolled(entry, result, snapshot);
                true
            }
            None => !seen.unread.is_empty() || self.roll(snapshot),
        };
        let steps = entry.progress.steps.iter().enumerate().skip(self.first);
        for (at, step) in steps {
            self.step(entry, snapshot, at, step);
        }
        match &entry.progress.result {
            Some(result) => self.saw(self.now, Event::Finished(result.clone())),
            None => {
                self.ahead_of_the_journal(snapshot);
                if !rolled {
                    self.roll(snapshot);
                }
                self.wait(snapshot);
            }
        }
        std::mem::take(&mut self.seen).into_iter().map(|seen| self.record(seen)).collect()
    }

    /// The workload whose controller is to be asked why one of its pods has not been created.
    pub fn asks<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s Workload> {
        self.rolling.asks(snapshot, self.now)
    }

    /// What was read about that; the next look tells it.
    pub fn hear(&mut self, workload: &Workload, news: &CreationNews) {
        self.rolling.hear(workload, news, self.now);
    }

    /// Something that happens to the onlooker now.
    pub fn remark(&mut self, event: Event, time: &str) -> Record {
        self.record((self.now.max(self.since(time)), event))
    }

    /// One step of the journal: it may have begun since the last look, or ended.
    fn step(&mut self, entry: &Entry, snapshot: &Snapshot, at: usize, step: &StepEntry) {
        let number = at - self.first;
        let began = self.since(&step.began);
        if number >= self.ended.len() {
            self.ended.push(false);
            if at > self.first && turns_back(&entry.progress.steps[at - 1], step) {
                self.plan = rollback::plan(snapshot, entry, &BTreeSet::new());
                self.rolling = Rolling::default();
                self.saw(began, Event::RollingBack { plan: Box::new(self.plan.clone()) });
            }
            if !(self.ahead && step.step == Step::Verify) {
                self.begin(step.step, began);
            }
        }
        if let (Some(ended), Some(outcome), false) = (&step.ended, step.outcome, self.ended[number]) {
            self.ended[number] = true;
            self.end(snapshot, step.step, outcome, began, self.since(ended));
        }
    }

    fn begin(&mut self, step: Step, began: Duration) {
        self.open = Some((step, began));
        self.saw(began, Event::StepStarted { step });
    }

    fn end(
        &mut self,
        snapshot: &Snapshot,
        step: Step,
        outcome: StepOutcome,
        began: Duration,
        ended: Duration,
    ) {
        if outcome == StepOutcome::Done && rolls(step) {
            let look = Look { plan: &self.plan, snapshot, began, now: ended };
            let events = self.rolling.complete(look, |_| true);
            self.seen.extend(events);
        }
        if self.open.is_some_and(|(open, _)| open == step) {
            self.open = None;
        }
        self.waiting = None;
        let took_ms = millis(ended.saturating_sub(began));
        self.saw(ended, Event::StepFinished { step, outcome, took_ms, note: String::new() });
    }

    /// The verification is recorded together with the end of the run: that it has begun is seen in the cluster.
    fn ahead_of_the_journal(&mut self, snapshot: &Snapshot) {
        let db = &snapshot.database;
        let resumed = || s1_pause::ours(db).is_none() && db.version == self.plan.to.name;
        let (step, began) = match self.open {
            Some((Step::Resume, began)) if resumed() => (Step::Resume, began),
            Some((Step::Follow, began)) if requested(&self.plan, snapshot) == Requested::Successful => {
                (Step::Follow, began)
            }
            _ => return,
        };
        if let Some(last) = self.ended.last_mut() {
            *last = true;
        }
        self.ahead = true;
        self.end(snapshot, step, StepOutcome::Done, began, self.now);
        self.begin(Step::Verify, self.now);
    }

    /// Looks at the pods, if they are being restarted. Tells whether they are.
    fn roll(&mut self, snapshot: &Snapshot) -> bool {
        let Some((_, began)) = self.open.filter(|(step, _)| rolls(*step)) else { return false };
        let events = self.rolling.look(Look { plan: &self.plan, snapshot, began, now: self.now });
        self.seen.extend(events);
        true
    }

    /// The run has ended while it restarted pods, or soon after: the workloads that it says are done, are.
    fn rolled(&mut self, entry: &Entry, result: &Finish, snapshot: &Snapshot) {
        let Some((_, began)) = self.open.filter(|(step, _)| rolls(*step)) else { return };
        // Since then, it may have rolled back.
        if entry.progress.steps.len() != self.first + self.ended.len() {
            return;
        }
        let done = |planned: &WorkloadPlan| {
            let name = planned.object.to_string();
            result.workloads.iter().any(|w| w.workload == name && w.updated > 0 && w.updated >= w.pods)
        };
        let events = self.rolling.complete(Look { plan: &self.plan, snapshot, began, now: self.now }, done);
        self.seen.extend(events);
    }

    /// What the step waits for, as far as the cluster shows it.
    fn wait(&mut self, snapshot: &Snapshot) {
        let Some((step, began)) = self.open else { return };
        let on = match step {
            Step::Render => match rendered(&self.plan, snapshot) {
                Rendered::Not { workload, what } => Some(WaitingOn::Rendering { workload, what }),
                Rendered::All | Rendered::WorkloadGone { .. } => None,
            },
            Step::Follow => match requested(&self.plan, snapshot) {
                Requested::InFlight(request) => Some(WaitingOn::ops_manager(request)),
                _ => None,
            },
            Step::Verify => {
                let phase = &snapshot.database.phase;
                let before = *phase == Phase::Ready;
                let lasting = !before || self.now >= began + SETTLED;
                lasting.then(|| WaitingOn::Phase { phase: phase.to_string(), before })
            }
            _ => None,
        };
        if on == self.waiting {
            return;
        }
        self.waiting.clone_from(&on);
        self.saw(self.now, on.map_or(Event::WaitOver { step }, |on| Event::Waiting { step, on }));
    }

    fn saw(&mut self, at: Duration, event: Event) {
        self.seen.push((at, event));
    }

    /// What the journal tells may be older than what was seen before it was read; time never goes back.
    fn record(&mut self, (at, event): Timed) -> Record {
        self.told = self.told.max(at);
        let elapsed_ms = millis(self.told);
        let time = i64::try_from(elapsed_ms).ok().and_then(|elapsed| self.origin.checked_add(elapsed));
        let time = time.and_then(|time| jiff::Timestamp::from_millisecond(time).ok());
        let time = time.map(|time| format!("{time:.3}")).unwrap_or_default();
        Record { time, elapsed_ms, run: self.run.clone(), event }
    }

    /// The time since the present process of the run began.
    fn since(&self, time: &str) -> Duration {
        let elapsed = epoch_millis(time).map(|time| time.saturating_sub(self.origin)).unwrap_or_default();
        Duration::from_millis(u64::try_from(elapsed).unwrap_or_default())
    }
}

/// The end of a run that the journal has recorded, with what the cluster shows of it: the journal is not believed about
/// the state of the database, nor about which commands to type, nor that all is well.
pub fn last_words(seen: &Seen, recorded: &Finish, to: &str) -> (Finish, Vec<Next>) {
    let snapshot = Snapshot { lock: None, ..seen.snapshot.clone() };
    let situation = decide(&Seen { snapshot, lock_age: None, ..seen.clone() });
    let mut finish = Finish { state: situation.to_string(), next: Vec::new(), ..recorded.clone() };
    if matches!(recorded.outcome, Outcome::Done | Outcome::Nothing) {
        finish.exit_code = 0;
        if let Some((outcome, error)) = contradicted(&situation) {
            let error = format!("its journal says that it is done, {error}");
            finish = Finish { outcome, exit_code: situation.exit_code(), error, ..finish };
        }
    } else if recorded.exit_code == 0 {
        finish.exit_code = match recorded.outcome {
            Outcome::NotReady => code::NOT_READY,
            Outcome::SomebodyElse => code::SOMEBODY_ELSE,
            _ if recorded.changed => code::UNFINISHED,
            _ => situation.exit_code().max(code::FAILED),
        };
    }
    let next = match finish.outcome {
        Outcome::Done => situation.next_when_done(),
        Outcome::RolledBack => vec![Next::Status],
        Outcome::NotReady => {
            let again = if to_follow(seen).is_some() { Next::Further } else { Next::Status };
            situation.next_after(Some(Next::Describe), again)
        }
        _ => situation.next_after(None, Next::Again(to.to_owned())),
    };
    (finish, next)
}

/// What a run that says it is done has come to, if the cluster does not show that. KubeDB's report alone is no
/// contradiction: it may lag behind, and a run need not wait for it. Nor are further updates, which may have begun.
fn contradicted(situation: &Situation) -> Option<(Outcome, &'static str)> {
    match (situation.state(), &situation.what) {
        (State::Fine | State::OnItsWay | State::ToFinish, _) => None,
        (_, What::NotReady { unhealthy, .. }) => {
            (!unhealthy.is_empty()).then_some((Outcome::NotReady, "but pods are not Ready"))
        }
        (State::Unknown, _) => {
            Some((Outcome::Failed, "which cannot be checked: not everything could be read"))
        }
        (State::OpsRequest | State::PausedByOther | State::Running, _) => {
            Some((Outcome::SomebodyElse, "but another user or controller is changing the database"))
        }
        _ => Some((Outcome::Failed, "which the cluster contradicts")),
    }
}

/// The plan with the pods as they are found now: those on the target need no restart.
fn as_found(mut plan: Plan, direction: Direction, snapshot: &Snapshot) -> Plan {
    let db = &snapshot.database;
    (plan.kind, plan.database) = (db.kind, db.object.clone());
    for planned in &mut plan.workloads {
        let Some(workload) = snapshot.workload(&planned.object.uid) else { continue };
        let pods = order::pods(direction, planned.strategy, workload, snapshot);
        planned.pods = pods.into_iter().map(|pod| found(planned, pod, snapshot)).collect();
    }
    plan
}

fn found(planned: &WorkloadPlan, pod: &Pod, snapshot: &Snapshot) -> PodPlan {
    let done = pod.healthy() && snapshot.on_target(planned, pod);
    let action = if done { PodAction::Skip } else { PodAction::Evict };
    PodPlan { name: pod.name.clone(), action, waits_for: String::new() }
}

fn rolls(step: Step) -> bool {
    matches!(step, Step::RollPods | Step::Follow)
}

/// Within one process, only an automatic rollback begins again after the pods.
fn turns_back(before: &StepEntry, step: &StepEntry) -> bool {
    let failed = before.step == Step::RollPods && before.outcome == Some(StepOutcome::Failed);
    failed && matches!(step.step, Step::PatchImages | Step::Render)
}
