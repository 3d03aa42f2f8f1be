//! Halting the operator, with its acknowledgement.

use std::time::Duration;

use crate::cluster::{ClusterError, Delta};
use crate::event::{Event, StepOutcome, WaitingOn};
use crate::model::{Action, Method, Write};
use crate::steps::Blocked;
use crate::steps::s1_pause::{self, Pause};

use super::run::{Backoff, Run};
use super::stop_reason::StopReason;

/// How often the condition is written again when the operator's own status write has erased it. Each time it was a race
/// of two writers; losing that often in a row means something else is going on.
const REWRITES: u32 = 5;

impl Run {
    /// Writes our condition and waits for the operator's answer; after a bounded wait the pause is asserted without one.
    pub async fn pause(&mut self) -> Result<StepOutcome, StopReason> {
        if self.plan.action == Action::Resume {
            return Ok(StepOutcome::AlreadyDone);
        }
        let adopted =
            matches!(s1_pause::status(&self.snapshot.database), Pause::Requested | Pause::Acknowledged);
        self.request_pause().await?;
        self.emit(Event::PauseRequested { adopted });
        let asked = self.now();
        let deadline = asked + self.options.pause_timeout;
        let (mut rewrites, mut looked) = (0, false);
        self.waiting(WaitingOn::Operator { timeout_seconds: self.options.pause_timeout.as_secs() });
        loop {
            self.blocked()?;
            self.stop_here()?;
            match s1_pause::status(&self.snapshot.database) {
                Pause::Acknowledged => {
                    self.wait_over();
                    self.operator_confirmed = true;
                    self.emit(Event::PauseAcknowledged { took_ms: millis(self.now() - asked) });
                    break;
                }
                Pause::Absent if rewrites == REWRITES => {
                    return Err(StopReason::PauseErased { times: rewrites });
                }
                Pause::Absent => {
                    rewrites += 1;
                    self.request_pause().await?;
                    self.emit(Event::PauseRewritten);
                }
                // The answer may be there and the watch late.
                Pause::Requested if self.now() >= deadline && !looked => {
                    looked = true;
                    self.read_database().await?;
                }
                Pause::Requested if self.now() >= deadline => {
                    self.assert_pause().await?;
                    self.wait_over();
                    self.emit(Event::PauseUnanswered { after_ms: millis(self.now() - asked) });
                    self.note = "no operator answered; the pause was set without it".to_owned();
                    break;
                }
                Pause::Requested | Pause::Foreign(_) => self.wait(deadline).await?,
            }
        }
        self.pause_holds = true;
        if self.plan.method == Method::Provisioner {
            self.keep_rendered()?;
        }
        Ok(StepOutcome::Done)
    }

    async fn request_pause(&mut self) -> Result<(), StopReason> {
        let (run, who) = (self.options.run.clone(), self.options.who.clone());
        let message = s1_pause::message(&run, &who, self.came_from(), &self.plan.to.name);
        let mut backoff = Backoff::new(self.now());
        loop {
            self.blocked()?;
            self.stop_here()?;
            let db = &self.snapshot.database;
            if db.paused().is_some_and(|(_, c)| s1_pause::run_of(c) == Some(&run)) {
                return Ok(());
            }
            let ours_to_lift = db.paused().is_none();
            let write = s1_pause::request(db, &message, &self.options.clock.rfc3339(0));
            // Even a write whose answer is lost may have paused the database.
            self.paused_by_us |= ours_to_lift;
            if self.write_status(&write, &mut backoff).await? {
                return Ok(());
            }
        }
    }

    async fn assert_pause(&mut self) -> Result<(), StopReason> {
        let mut backoff = Backoff::new(self.now());
        loop {
            self.blocked()?;
            let write = s1_pause::assert(&self.snapshot.database, &self.options.clock.rfc3339(0));
            let Some(write) = write else { return Err(Blocked::PauseLifted.into()) };
            if s1_pause::status(&self.snapshot.database) == Pause::Acknowledged
                || self.write_status(&write, &mut backoff).await?
            {
                return Ok(());
            }
        }
    }

    /// Sends a patch of the database once. `false` means that it has to be decided anew, from the database as it was
    /// read again: it had changed meanwhile, or it is not known what became of the patch.
    pub(super) async fn write_status(
        &mut self,
        write: &Write,
        backoff: &mut Backoff,
    ) -> Result<bool, StopReason> {
        let error = match self.send(write).await? {
            Ok(sent) => {
                let db = sent.database(self.plan.kind, &self.plan.database.api_version)?;
                Delta::Database(Box::new(db)).apply(&mut self.snapshot);
                return Ok(true);
            }
            Err(error) => error,
        };
        match &error {
            ClusterError::Conflict { .. } | ClusterError::Transient { .. } => {
                self.back_off(backoff, &format!("patch {}", write.object), &error).await?;
                self.read_database().await?;
                Ok(false)
            }
            ClusterError::NotFound { .. } => Err(Blocked::DatabaseGone.into()),
            _ => Err(error.into()),
        }
    }

    /// Reads the database afresh.
    pub(super) async fn read_database(&mut self) -> Result<(), StopReason> {
        let (cluster, kind, db) = (self.cluster.clone(), self.plan.kind, self.plan.database.clone());
        let reading = async move { cluster.database(kind, &db.api_version, &db.namespace, &db.name).await };
        match self.during(reading).await? {
            Ok(db) => Delta::Database(Box::new(db)).apply(&mut self.snapshot),
            Err(ClusterError::NotFound { .. }) => return Err(Blocked::DatabaseGone.into()),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}
