//! Pausing the operator and waiting for its acknowledgement.

use crate::event::{Event, StepOutcome, WaitingOn};
use crate::model::{Action, Method, millis};
use crate::retry::Retries;
use crate::steps::Blocked;
use crate::steps::guard::OurPause;
use crate::steps::s1_pause::{self, Pause};

use super::ledger::Operator;
use super::run::Run;
use super::stop_reason::StopReason;

/// How often the condition is written again after the operator's own status update has erased it. Each time is a race
/// between two writers; losing it this often in a row has another cause.
const REWRITES: u32 = 5;

impl Run {
    /// Writes our condition and waits for the operator to acknowledge it. After a limited time, the pause is set to
    /// True without an acknowledgement.
    pub async fn pause(&mut self) -> Result<StepOutcome, StopReason> {
        if s1_pause::answered(&self.observer.snapshot.database) {
            // An operator has answered an earlier process.
            self.ledger.operator = Operator::Confirmed;
        }
        if self.plan.action == Action::Resume {
            return Ok(StepOutcome::AlreadyDone);
        }
        let adopted = s1_pause::ours(&self.observer.snapshot.database).is_some();
        let written = self.request_pause().await?;
        self.narrator.emit(Event::PauseRequested { adopted });
        if !written && s1_pause::status(&self.observer.snapshot.database) == Pause::Acknowledged {
            // This tells nothing of an operator: an earlier process may have set it to True itself.
            return self.stays_paused(StepOutcome::AlreadyDone);
        }
        let asked = self.narrator.now();
        let deadline = asked + self.options.bounds.pause_timeout;
        let (mut rewrites, mut looked) = (0, false);
        self.narrator
            .waiting(WaitingOn::Operator { timeout_seconds: self.options.bounds.pause_timeout.as_secs() });
        loop {
            self.guard()?;
            self.interrupt.stop_here()?;
            match s1_pause::status(&self.observer.snapshot.database) {
                Pause::Acknowledged => {
                    self.narrator.wait_over();
                    self.ledger.operator = Operator::Confirmed;
                    self.narrator
                        .emit(Event::PauseAcknowledged { took_ms: millis(self.narrator.now() - asked) });
                    break;
                }
                Pause::Absent if rewrites == REWRITES => {
                    return Err(StopReason::PauseErased { times: rewrites });
                }
                Pause::Absent => {
                    rewrites += 1;
                    self.request_pause().await?;
                    self.narrator.emit(Event::PauseRewritten);
                }
                // The operator may have acknowledged it although the watch has not reported that yet.
                Pause::Requested if self.narrator.now() >= deadline && !looked => {
                    looked = true;
                    self.read_database().await?;
                }
                Pause::Requested if self.narrator.now() >= deadline => {
                    self.assert_pause().await?;
                    self.ledger.operator = Operator::Silent;
                    self.narrator.wait_over();
                    self.narrator
                        .emit(Event::PauseUnanswered { after_ms: millis(self.narrator.now() - asked) });
                    self.narrator.note =
                        "no operator acknowledged it; paused without acknowledgement".to_owned();
                    break;
                }
                Pause::Requested | Pause::Foreign(_) => self.wait(deadline).await?,
            }
        }
        self.stays_paused(StepOutcome::Done)
    }

    /// From here on the database must stay paused.
    fn stays_paused(&mut self, outcome: StepOutcome) -> Result<StepOutcome, StopReason> {
        self.expected.pause = OurPause::Held { fresh: self.expected.pause.fresh() };
        if self.plan.method == Method::Provisioner {
            self.keep_rendered()?;
        }
        Ok(outcome)
    }

    /// Writes our condition; `false` if it was there already.
    async fn request_pause(&mut self) -> Result<bool, StopReason> {
        let (run, who) = (self.options.caller.run.clone(), self.options.caller.who.clone());
        let message = s1_pause::message(&run, &who, self.ledger.came_from(&self.plan), &self.plan.to.name);
        let (mut backoff, mut sent) = (Retries::new(), false);
        loop {
            self.guard()?;
            self.interrupt.stop_here()?;
            let db = &self.observer.snapshot.database;
            if s1_pause::ours(db) == Some(&*run) {
                return Ok(sent);
            }
            sent = true;
            let ours_to_lift = db.pauses().next().is_none();
            let write = s1_pause::request(db, &message, &self.options.clock.rfc3339(0));
            // Even a write whose response was lost may have paused the database.
            self.expected.pause = OurPause::Asked { fresh: ours_to_lift || self.expected.pause.fresh() };
            if self.write_status(&write, &mut backoff).await? {
                return Ok(true);
            }
        }
    }

    async fn assert_pause(&mut self) -> Result<(), StopReason> {
        let mut backoff = Retries::new();
        loop {
            self.guard()?;
            let write = s1_pause::assert(&self.observer.snapshot.database, &self.options.clock.rfc3339(0));
            let Some(write) = write else { return Err(Blocked::PauseLifted.into()) };
            if s1_pause::status(&self.observer.snapshot.database) == Pause::Acknowledged
                || self.write_status(&write, &mut backoff).await?
            {
                return Ok(());
            }
        }
    }
}
