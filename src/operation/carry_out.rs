//! Carries the hops out, one run after the other. Each one is planned from the state that the previous one left.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::Operation;
use super::end::{Between, End};
use super::error::Error;
use super::goal::Goal;
use super::health;
use super::outlook::{Outlook, Refusal};
use super::ran::Ran;
use super::read;
use super::told::{Notice, Question};
use crate::engine::{self, Earlier, RunOptions, Story};
use crate::event::Outcome;
use crate::journal::Direction;
use crate::model::{Check, Plan};
use crate::plan::hops::Hops;
use crate::situation::{Commands, Next};

/// How often the database is read while it is not healthy between two hops.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A unique run id: 48 random bits.
pub fn run_id() -> String {
    // The keys of a RandomState come from the operating system's random numbers.
    let random = RandomState::new().build_hasher().finish();
    format!("{:012x}", random & 0xffff_ffff_ffff)
}

impl Operation {
    /// Carries out all hops of an outlook that is not refused, after the user has confirmed them if confirmation is
    /// required.
    ///
    /// # Errors
    ///
    /// The user declined. After the first run has started, every other failure is an [`End`].
    pub async fn carry_out(&mut self, mut outlook: Outlook) -> Result<End, Error> {
        if !self.request.unasked {
            let (first, to) = (Box::new(outlook.hops.first.clone()), outlook.hops.last().to.name.clone());
            self.ask(|reply| Question::Confirm { first, to, reply }).await?;
        }
        let count = outlook.hops.all().count();
        let mut runs = Vec::new();
        loop {
            let later = !outlook.hops.later.is_empty();
            let to_finish = outlook.hops.later.first().is_some_and(|plan| plan.finish.is_some());
            let (goal, done) = (outlook.goal.clone(), Box::new(outlook.hops.first.clone()));
            let destination = outlook.hops.last().to.name.clone();
            let changed = runs.iter().any(|ran: &Ran| ran.finish.changed);
            // These futures are large, and several operations may run on one stack.
            let ran = Box::pin(self.carry_out_first(outlook, changed)).await;
            let complete = ran.finish.outcome == Outcome::Done;
            if !later || !complete {
                if let Some(to) = goal.further(&done.to.name).filter(|_| complete) {
                    self.tell(Notice::LeadsFurther { done, to: to.to_owned() });
                }
                return Ok(End::ended(runs, ran));
            }
            let again = self.again(&goal, &done, &destination);
            let next = Box::pin(self.next_soaked(&goal, &done, &destination, to_finish)).await;
            outlook = match next {
                Ok(next) => next,
                Err(error) => return Ok(End::between(runs, ran, Between::Failed(Box::new(error)), again)),
            };
            let plan = Box::new(outlook.hops.first.clone());
            match (Refusal::of(&plan), outlook.not_begun(&self.request.caller.commands)) {
                (Some(refusal), Some((finish, _))) => {
                    runs.push(ran);
                    let refused = Ran { plan, run: run_id(), finish: Box::new(finish) };
                    return Ok(End::between(runs, refused, Between::Refused(refusal), again));
                }
                // The database needs nothing more than the update.
                (None, Some(_)) => {
                    self.tell(Notice::NothingToFinish { plan });
                    return Ok(End::ended(runs, ran));
                }
                (_, None) => runs.push(ran),
            }
            self.tell(Notice::HopBegins { number: runs.len() + 1, count, plan });
        }
    }

    /// The command that continues with the hops that are left.
    fn again(&self, goal: &Goal, done: &Plan, destination: &str) -> String {
        let commands = self.request.caller.commands.clone();
        let through = Some(destination.to_owned());
        let commands = Commands { through, methods: goal.methods(), ..commands };
        let next = Next::Again(destination.to_owned());
        commands.command(&next, done.kind, &done.database).to_string()
    }

    /// Carries out the first of the updates. `changed`: an earlier one has changed something.
    async fn carry_out_first(&self, outlook: Outlook, changed: bool) -> Ran {
        let mut options = self.run_options(&outlook);
        options.story.earlier = Earlier { changed, spent: self.patience.spent() };
        let (plan, run) = (outlook.hops.first, options.caller.run.clone());
        let (events, mut records) = mpsc::unbounded_channel();
        let telling = async {
            while let Some(record) = records.recv().await {
                self.tell(record);
            }
        };
        let stop = self.patience.stop.clone();
        let running = engine::run(&self.cluster, outlook.snapshot, plan.clone(), options, events, stop);
        let running = Box::pin(running);
        let (finish, ()) = tokio::join!(running, telling);
        let ran = Ran { plan: Box::new(plan), run, finish: Box::new(finish) };
        self.tell(Notice::HopEnded(ran.clone()));
        ran
    }

    /// What the engine needs to know about the first of the updates besides its plan.
    pub fn run_options(&self, outlook: &Outlook) -> RunOptions {
        let request = &self.request;
        let further = outlook.hops.later.iter().rev().find(|plan| plan.finish.is_none());
        let through = further.map(|last| last.to.name.clone());
        let methods = outlook.goal.methods();
        let (direction, entry) = match &outlook.goal {
            Goal::To { .. } if outlook.hops.first.finish.is_some() => (Direction::Finish, None),
            Goal::To { unfinished, .. } => (Direction::Update, unfinished.clone()),
            Goal::Back { entry } => (Direction::Rollback, entry.clone()),
            Goal::Finish { unfinished, .. } => (Direction::Finish, unfinished.clone()),
        };
        let before = entry.as_ref().map(|e| e.run.before.clone());
        // A rollback of an update is a run of its own; resuming one is the same run.
        let (resuming, undoing) = match entry {
            Some(entry) if entry.run.direction == direction => (Some(entry), None),
            other => (None, other),
        };
        RunOptions {
            caller: engine::Caller {
                run: resuming.as_ref().map_or_else(run_id, |e| e.run.run.clone()),
                who: request.caller.who.clone(),
                commands: Commands {
                    through: through.clone(),
                    methods: methods.clone(),
                    ..request.caller.commands.clone()
                },
            },
            bounds: request.bounds,
            story: Story {
                journal: outlook.journal.clone(),
                resuming,
                undoing,
                direction,
                before,
                through,
                finish: outlook.goal.then_finish(),
                undo: outlook.goal.undo().map(<[_]>::to_vec),
                methods,
                earlier: Earlier::default(),
            },
            skip: request.skip.clone(),
            roll_back_on_failure: request.roll_back_on_failure,
            clock: self.clock.clone(),
        }
    }

    /// The remaining hops, once the database has been healthy for as long as is wished before it is finished.
    async fn next_soaked(
        &mut self,
        goal: &Goal,
        done: &Plan,
        destination: &str,
        to_finish: bool,
    ) -> Result<Outlook, Error> {
        let next = self.next(goal, done, destination).await?;
        let soak = goal.then_finish().filter(|_| to_finish).map_or(0, |soak| soak.soak_seconds);
        if soak == 0 || next.refused().is_some() {
            return Ok(next);
        }
        self.tell(Notice::Soaks { seconds: soak });
        let soaking = health::soak(&self.cluster, next.snapshot, Duration::from_secs(soak));
        self.patience.during(soaking).await??;
        self.next(goal, done, destination).await
    }

    /// The remaining hops. The last one may not have waited until KubeDB reported the database as Ready (`--wait-ready`),
    /// and a pod may not be Ready for a moment: the next one is refused only if the database is not healthy in time.
    async fn next(&mut self, goal: &Goal, done: &Plan, destination: &str) -> Result<Outlook, Error> {
        let (kind, db, methods) = (done.kind, &done.database, goal.methods());
        let goal = goal.after_a_hop(destination);
        let until = Instant::now() + self.request.bounds.pod_timeout;
        let mut waits = false;
        loop {
            let reading =
                read::everything(&self.cluster, kind, &db.namespace, &db.name, &methods, &self.request);
            let (mut snapshot, journal) = self.patience.during(reading).await??;
            let mut hops = self.hops(&snapshot, &goal)?;
            if may_pass(&hops).is_none() {
                hops = self.with_answers(&mut snapshot, &goal, hops).await?;
            }
            let Some(why) = may_pass(&hops).filter(|_| Instant::now() < until) else {
                return Ok(Outlook { snapshot, journal, goal, hops, further: None });
            };
            if !std::mem::replace(&mut waits, true) {
                self.tell(Notice::HopWaits { why });
            }
            self.patience.during(sleep(LOOK_EVERY)).await?;
        }
    }
}

/// What is against the next hop, if it may pass once the database is healthy again.
fn may_pass(hops: &Hops) -> Option<String> {
    let passing = [Check::Phase, Check::PodNotReady, Check::DatabaseHealth, Check::Quorum];
    if Refusal::of(&hops.first) == Some(Refusal::SomebodyElse) {
        return None;
    }
    hops.first
        .refusals()
        .find(|finding| passing.contains(&finding.check))
        .map(|finding| finding.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_runs_have_the_same_id() {
        let ids = std::collections::BTreeSet::from([run_id(), run_id(), run_id()]);
        assert_eq!(ids.len(), 3);
        assert!(ids.iter().all(|id| id.len() == 12), "{ids:?}");
    }
}
