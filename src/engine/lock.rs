//! The lock of a run, and its renewal.

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Duration, sleep};

use crate::cluster::{HeldLease, LockError, RENEW_EVERY};
use crate::retry::Retries;

/// The longest pause between renewals after one that got no response.
const RENEW_AGAIN: Duration = Duration::from_secs(1);

/// The lock of a run, and the task that renews it.
pub(super) struct Lock {
    /// Absent until it is taken.
    pub lease: Option<HeldLease>,
    pub renewal: Option<Renewal>,
    to_lost: watch::Sender<Option<String>>,
}

impl Lock {
    /// `to_lost` receives the reason if the lock is lost.
    pub fn new(to_lost: watch::Sender<Option<String>>) -> Self {
        Lock { lease: None, renewal: None, to_lost }
    }

    /// Takes charge of the lock and renews it from now on.
    pub fn keep(&mut self, lease: HeldLease) {
        self.renewal = Some(Renewal(tokio::spawn(renew(lease.clone(), self.to_lost.clone()))));
        self.lease = Some(lease);
    }

    /// The lock is valid for long enough to write.
    pub fn good(&self) -> bool {
        self.lease.as_ref().is_some_and(HeldLease::good)
    }
}

/// The task that renews the lock; it ends when this is dropped.
pub(super) struct Renewal(JoinHandle<()>);

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Renews the lock for as long as the run lasts, and reports if it is lost.
async fn renew(lease: HeldLease, lost: tokio::sync::watch::Sender<Option<String>>) {
    let begin = || Retries::new().at_most(RENEW_AGAIN);
    let (mut pause, mut retries) = (RENEW_EVERY, begin());
    loop {
        sleep(pause).await;
        pause = match lease.renew().await {
            Ok(()) => {
                retries = begin();
                RENEW_EVERY
            }
            Err(LockError::Cluster(_)) => retries.pause(Duration::MAX).unwrap_or(RENEW_AGAIN),
            Err(error) => {
                let _ = lost.send(Some(error.to_string()));
                return;
            }
        };
    }
}
