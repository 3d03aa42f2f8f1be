//! Work that a signal cuts short, because nothing has been changed yet.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::engine::{Signal, Stop};

/// A signal arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signalled(pub Signal);

/// Waits for a signal and returns it.
pub async fn signalled(stop: &mut watch::Receiver<Stop>) -> Signal {
    loop {
        match *stop.borrow_and_update() {
            Stop::Finish(signal) | Stop::Now(signal) => return signal,
            Stop::Go => {}
        }
        if stop.changed().await.is_err() {
            // The listener has ended, so no signal can arrive any more.
            std::future::pending::<()>().await;
        }
    }
}

/// Runs work that may be cancelled at any time, until it is done or a signal arrives.
///
/// # Errors
///
/// The signal that arrived.
pub async fn unless_stopped<T>(
    stop: &mut watch::Receiver<Stop>,
    work: impl Future<Output = T>,
) -> Result<T, Signalled> {
    tokio::select! {
        biased;
        signal = signalled(stop) => Err(Signalled(signal)),
        done = work => Ok(done),
    }
}

/// Why reading ended early.
pub(super) enum Over {
    Signalled(Signalled),
    TimedOut { seconds: u64 },
}

/// What ends reading early: a signal, or the timeout of the operation.
pub(super) struct Patience {
    pub stop: watch::Receiver<Stop>,
    /// When it is over, and the timeout that this comes from.
    limit: Option<(Instant, Duration)>,
}

impl Patience {
    /// The timeout begins now.
    pub fn begin(stop: watch::Receiver<Stop>, timeout: Option<Duration>) -> Self {
        Patience { stop, limit: timeout.map(|timeout| (Instant::now() + timeout, timeout)) }
    }

    /// How much of the timeout is used up.
    pub fn spent(&self) -> Duration {
        let left = |(end, timeout): (Instant, Duration)| {
            timeout.saturating_sub(end.saturating_duration_since(Instant::now()))
        };
        self.limit.map(left).unwrap_or_default()
    }

    /// The time in which a person answers does not count.
    pub fn excuse(&mut self, time: Duration) {
        self.limit = self.limit.map(|(end, timeout)| (end + time, timeout));
    }

    /// Runs work that may be cancelled at any time, until it is done or the patience is over.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Over> {
        // Each of the futures around it would hold another copy of the work, which is large.
        let work = unless_stopped(&mut self.stop, Box::pin(work));
        let done = match self.limit {
            None => work.await,
            Some((end, timeout)) => {
                let late = |_| Over::TimedOut { seconds: timeout.as_secs() };
                timeout_at(end, work).await.map_err(late)?
            }
        };
        done.map_err(Over::Signalled)
    }
}
