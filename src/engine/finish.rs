//! Finishing an update: what its version allows or needs is done to the database itself, one work after the other. The
//! database is asked before and after each, so that a work whose answer was lost is looked up and not just sent again.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::database::{Session, Undone};
use crate::event::{Event, StepOutcome, WaitingOn};
use crate::kinds;
use crate::model::{Completion, FinishPlan, Work, WorkProgress, millis};

use super::run::Run;
use super::stop_reason::StopReason;

/// The pause before the database is asked again: it is in no hurry, and neither are we.
const PAUSE: Duration = Duration::from_secs(1);

/// A work whose answer was lost may still be on its way: a broker of Kafka tries for a minute to reach a controller. For so
/// long it is looked up, and not sent again.
const LOST: Duration = Duration::from_secs(65);

/// How long the end of an update takes to ask what is left to be done.
const LEFT: Duration = Duration::from_secs(10);

/// How often a run that waits for the database looks at everything else.
const LOOK: Duration = Duration::from_secs(1);

/// What is heard while the database works.
enum Heard {
    Progress(WorkProgress),
    Over(Result<(), Undone>),
}

/// How it is with one work.
enum Stands {
    Done,
    /// It is still to be done, and may be.
    Left,
    /// Something is in its way, or it is not known.
    Hindered(Vec<String>),
}

impl Run {
    /// Does what the plan has, in its order. What is done already is skipped.
    pub(super) async fn finish_update(&mut self) -> Result<StepOutcome, StopReason> {
        let plan = self.plan.clone();
        let steps = plan.finish.iter().flat_map(|finish| &finish.completion.steps);
        let works: Vec<&Work> = steps.map(|step| &step.work).collect();
        let mut session = self.session();
        let mut outcome = StepOutcome::AlreadyDone;
        for (index, work) in works.iter().enumerate() {
            self.interrupt.stop_here()?;
            let began = self.narrator.now();
            self.narrator.emit(Event::WorkStarted {
                work: (*work).clone(),
                number: index + 1,
                of: works.len(),
            });
            if self.do_work(&mut session, work).await? {
                outcome = StepOutcome::Done;
            }
            let took_ms = millis(self.narrator.now() - began);
            self.narrator.emit(Event::WorkDone { work: (*work).clone(), took_ms });
        }
        Ok(outcome)
    }

    /// Asks the database once more, as a whole, and whether what was done can be taken back.
    pub(super) async fn verify_finish(&mut self) -> Result<StepOutcome, StopReason> {
        let mut session = self.session();
        let began = self.narrator.now();
        loop {
            let found = self.examine(&mut session).await?;
            if found.complete() {
                break;
            }
            let why = described(&found);
            if self.narrator.now() >= began + self.options.bounds.pod_timeout {
                return Err(StopReason::NotFinished { why });
            }
            let database = self.plan.kind.name().to_owned();
            self.narrator.waiting(WaitingOn::Answer { database, why });
            self.pause_between().await?;
        }
        self.narrator.wait_over();
        self.note_success();
        self.narrator.note = self.reversal(&mut session).await?;
        Ok(StepOutcome::Done)
    }

    /// Asks what the update leaves to be done, if the database is asked at all. It is only told, so a database that does not
    /// answer is none of the update's concern.
    pub(super) async fn note_left(&mut self) {
        if self.plan.health.is_none() {
            return;
        }
        let mut session = self.session();
        let asking = timeout(LEFT, self.examine(&mut session)).await;
        if let Ok(Ok(found)) = asking {
            self.ledger.left = found.steps.iter().map(|step| step.work.to_string()).collect();
        }
    }

    fn session(&self) -> Session {
        Session::new(&self.observer.cluster, &self.observer.snapshot.database)
    }

    /// Does one work; `false` if it was done already.
    async fn do_work(&mut self, session: &mut Session, work: &Work) -> Result<bool, StopReason> {
        let (mut began, mut acted) = (self.narrator.now(), false);
        // A lost answer: until then it is only looked up.
        let mut quiet_until = Duration::ZERO;
        loop {
            self.hold().await?;
            self.guard()?;
            let found = self.examine(session).await?;
            match stands(work, &found) {
                Stands::Done => {
                    self.narrator.wait_over();
                    return Ok(acted);
                }
                Stands::Left if !waits(work) && self.narrator.now() >= quiet_until => {
                    self.narrator.wait_over();
                    self.interrupt.stop_here()?;
                    self.guard()?;
                    acted = true;
                    let answered = self.perform(session, work).await?;
                    // A work may take hours, and then its effect has to show in time.
                    began = self.narrator.now();
                    if let Err(why) = answered {
                        quiet_until = self.narrator.now() + LOST;
                        let what = work.to_string();
                        self.narrator.notice(format!(
                            "no answer when asked to {what} ({why}); looking whether it was done"
                        ));
                    }
                    continue;
                }
                Stands::Left => {
                    let (database, work) = (self.plan.kind.name().to_owned(), work.clone());
                    self.narrator.waiting(WaitingOn::Work { database, work });
                }
                Stands::Hindered(why) => {
                    let database = self.plan.kind.name().to_owned();
                    self.narrator.waiting(WaitingOn::Answer { database, why });
                }
            }
            if self.narrator.now() >= began + self.options.bounds.pod_timeout {
                let seconds = self.options.bounds.pod_timeout.as_secs();
                return Err(StopReason::WorkLate { work: work.clone(), seconds, why: described(&found) });
            }
            self.interrupt.stop_here()?;
            self.pause_between().await?;
        }
    }

    /// Has the database do the work. The inner error says why it is not known whether it has.
    async fn perform(
        &mut self,
        session: &mut Session,
        work: &Work,
    ) -> Result<Result<(), String>, StopReason> {
        let roster = kinds::roster(&self.observer.snapshot);
        let (tell, mut told) = mpsc::unbounded_channel();
        let mut performing = Box::pin(session.perform(work, &roster, &tell));
        self.ledger.changed.by_this_run = true;
        self.ledger.in_the_air = true;
        let over = loop {
            let news = async {
                tokio::select! {
                    biased;
                    Some(progress) = told.recv() => Some(Heard::Progress(progress)),
                    over = &mut performing => Some(Heard::Over(over)),
                }
            };
            match self.interrupt.wait(news, Instant::now() + LOOK).await? {
                Some(Heard::Over(over)) => break over,
                Some(Heard::Progress(progress)) => {
                    self.narrator.emit(Event::WorkProgressed { work: work.clone(), progress });
                }
                None => {}
            }
            self.catch_up();
            // A work that has begun is not left half done, unless that is asked for twice.
            self.interrupt.requested(Some(subject(work)));
        };
        drop(performing);
        self.ledger.in_the_air = false;
        match over {
            Ok(()) => Ok(Ok(())),
            Err(Undone::Unknown(why)) => Ok(Err(self.masked(&why))),
            Err(Undone::Refused(why)) => {
                Err(StopReason::WorkRefused { work: work.clone(), why: self.masked(&why) })
            }
        }
    }

    /// What the database says of itself now.
    async fn examine(&mut self, session: &mut Session) -> Result<Completion, StopReason> {
        let roster = kinds::roster(&self.observer.snapshot);
        let evidence = self.interrupt.during(Box::pin(session.examine(&roster))).await?;
        let health = (self.plan.kind.facts().questions.judge)(&evidence, &roster);
        let (snapshot, undo) = (&self.observer.snapshot, self.options.story.undo.as_deref());
        let found = kinds::completion(snapshot, &evidence, &health, &roster, undo);
        Ok(found.told(|text| self.masked(text)))
    }

    async fn pause_between(&mut self) -> Result<(), StopReason> {
        let until = self.narrator.now() + PAUSE;
        while self.narrator.now() < until {
            self.wait(until).await?;
        }
        Ok(())
    }

    /// Whether what was done can be taken back, by the database's own word.
    async fn reversal(&mut self, session: &mut Session) -> Result<String, StopReason> {
        let Some(FinishPlan { undo: false, completion }) = &self.plan.finish else {
            return Ok(String::new());
        };
        // What was raised last would have to be taken back first.
        let Some(back) = completion.steps.last().and_then(|step| step.work.back()) else {
            return Ok(String::new());
        };
        let roster = kinds::roster(&self.observer.snapshot);
        let asking = Box::pin(timeout(LEFT, session.try_out(&back, &roster)));
        let kind = self.plan.kind.name();
        Ok(match self.interrupt.during(asking).await? {
            Ok(Ok(())) if completion.steps.iter().all(|step| !step.reversal.is_no()) => {
                format!("{kind} would undo it (finish --undo)")
            }
            Ok(Err(Undone::Refused(why))) => format!("{kind} would not undo it: {}", self.masked(&why)),
            _ => String::new(),
        })
    }

    fn masked(&self, text: &str) -> String {
        self.observer.cluster.without_secrets(text)
    }
}

fn stands(work: &Work, found: &Completion) -> Stands {
    if !found.obstacles.is_empty() {
        return Stands::Hindered(found.obstacles.clone());
    }
    let left = found.steps.iter().any(|step| step.work.is_about(work));
    if left { Stands::Left } else { Stands::Done }
}

/// The database does it by itself, and it is only waited for.
fn waits(work: &Work) -> bool {
    matches!(work, Work::Await { .. })
}

/// What a person calls it who waits for its end.
fn subject(work: &Work) -> &str {
    match work {
        Work::SetFeature { feature, .. } => feature,
        Work::RewriteFiles { pod, .. } => pod,
        Work::Await { what, .. } => what,
    }
}

/// What is left, and what is in its way.
fn described(found: &Completion) -> Vec<String> {
    let left = found.steps.iter().map(|step| format!("still to do: {}", step.work));
    found.obstacles.iter().cloned().chain(left).collect()
}
