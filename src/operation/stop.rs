//! Work that a signal cuts short, because nothing has been changed yet.

use tokio::sync::watch;

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
