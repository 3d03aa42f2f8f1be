//! Sending a write, and interpreting its response.

use crate::cluster::{ClusterError, Delta, FORBIDDEN_DOUBT, Sent};
use crate::model::{Purpose, Write};
use crate::retry::Retries;
use crate::steps::Blocked;

use super::run::Run;
use super::stop_reason::StopReason;

impl Run {
    /// Sends a patch of the database once. `false` means that the caller must decide again from the database as it was
    /// just reread: it had changed in the meantime, or it is not known whether the patch was applied.
    pub(super) async fn write_status(
        &mut self,
        write: &Write,
        backoff: &mut Retries,
    ) -> Result<bool, StopReason> {
        let error = match self.send(write).await? {
            Ok(sent) => {
                let db = sent.database(self.plan.kind, &self.plan.database.api_version)?;
                self.observer.take_in(Delta::Database(Box::new(db)));
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

    /// Sends a write once, under the lock. What it changes counts as changed unless the server has certainly refused
    /// it. A 403 that contradicts an earlier response is doubted for a while: it is returned as a failure that may
    /// pass, so that the caller decides again before it retries.
    pub(super) async fn send(&mut self, write: &Write) -> Result<Result<Sent, ClusterError>, StopReason> {
        let harmless =
            matches!(write.purpose, Purpose::RequestPause | Purpose::AssertPause | Purpose::Resume);
        let before = self.ledger.changed.by_this_run;
        self.hold().await?;
        self.ledger.changed.by_this_run |= !harmless;
        let sending = self.observer.cluster.send(write, false);
        let answer = self.interrupt.during_write(&mut self.ledger.in_the_air, sending).await?;
        let this = (write.purpose, write.object.to_string());
        let since = self
            .ledger
            .forbidden_since
            .take_if(|(purpose, object, _)| (*purpose, &*object) == (this.0, &this.1));
        let Err(error) = answer else { return Ok(answer) };
        if surely_refused(&error) {
            self.ledger.changed.by_this_run = before;
        }
        if !matches!(error, ClusterError::Forbidden { .. }) || !self.observer.cluster.was_allowed_to(write) {
            return Ok(Err(error));
        }
        let since = since.map_or(self.narrator.now(), |(.., since)| since);
        if self.narrator.now() >= since + FORBIDDEN_DOUBT {
            return Ok(Err(error));
        }
        self.ledger.forbidden_since = Some((this.0, this.1, since));
        Ok(Err(error.doubted()))
    }
}

/// The write has not been carried out: the server said so, or was never reached.
fn surely_refused(error: &ClusterError) -> bool {
    match error {
        ClusterError::Transient { refusal, .. } => refusal.unreachable,
        ClusterError::Unexpected { .. } | ClusterError::TooLarge { .. } => false,
        _ => true,
    }
}
