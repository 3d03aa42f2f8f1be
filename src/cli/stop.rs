//! Handles the signals that stop a run.

use std::io;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::failure::Failure;
use crate::cluster::{self, Cluster, ConnectOptions};
use crate::engine::{Signal, Stop};

/// Starts listening. The first signal asks the run to stop at the next safe point, every further one to stop at once.
///
/// SIGHUP stays ignored if it was ignored when the process started, so that a run under `nohup` outlives its terminal.
/// Must be called on a runtime, and listens as long as that lives.
///
/// # Errors
///
/// The system refuses to install a signal handler.
pub fn listen() -> io::Result<watch::Receiver<Stop>> {
    let mut signals = system::signals()?;
    let (stop, listener) = watch::channel(Stop::Go);
    tokio::spawn(async move {
        while let Some(signal) = signals.recv().await {
            stop.send_modify(|stop| *stop = after(*stop, signal));
        }
    });
    Ok(listener)
}

/// What is requested after one more signal.
fn after(stop: Stop, signal: Signal) -> Stop {
    match stop {
        Stop::Go => Stop::Finish(signal),
        Stop::Finish(_) | Stop::Now(_) => Stop::Now(signal),
    }
}

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
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        signal = signalled(stop) => Err(Failure::Signalled(signal)),
        done = work => Ok(done),
    }
}

/// Connects, unless a signal comes before that is done, or the bound of the whole run: a plugin that gives the credentials
/// may ask the user, or hang.
///
/// # Errors
///
/// The signal that has come, the bound that is over, or why there is no connection.
pub async fn connect(
    to: &ConnectOptions,
    stop: &mut watch::Receiver<Stop>,
    limit: Option<Duration>,
) -> Result<Cluster, Failure> {
    let connecting = unless_stopped(stop, cluster::connect(to));
    let Some(limit) = limit else { return Ok(connecting.await??) };
    let late = |_| Failure::TimedOut { seconds: limit.as_secs() };
    Ok(timeout(limit, connecting).await.map_err(late)???)
}

#[cfg(unix)]
mod system {
    use tokio::signal::unix::{SignalKind, signal};

    use super::{Signal, io, mpsc};

    pub fn signals() -> io::Result<mpsc::UnboundedReceiver<Signal>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        forward(SignalKind::interrupt(), Signal::Interrupt, &sender)?;
        forward(SignalKind::terminate(), Signal::Terminate, &sender)?;
        if !hang_up_ignored() {
            forward(SignalKind::hangup(), Signal::HangUp, &sender)?;
        }
        Ok(receiver)
    }

    fn forward(kind: SignalKind, meaning: Signal, to: &mpsc::UnboundedSender<Signal>) -> io::Result<()> {
        let mut stream = signal(kind)?;
        let to = to.clone();
        tokio::spawn(async move { while stream.recv().await.is_some() && to.send(meaning).is_ok() {} });
        Ok(())
    }

    /// Whether SIGHUP was ignored when the process started. Must be asked before the handler is installed, which would
    /// change that.
    #[cfg(target_os = "linux")]
    fn hang_up_ignored() -> bool {
        std::fs::read_to_string("/proc/self/status").is_ok_and(|status| super::ignores_hang_up(&status))
    }

    /// Whether SIGHUP was ignored when the process started. No safe call tells, but a child inherits the disposition: if
    /// it survives its own SIGHUP, the signal is ignored.
    #[cfg(not(target_os = "linux"))]
    fn hang_up_ignored() -> bool {
        use std::process::{Command, Stdio};

        Command::new("/bin/sh")
            .args(["-c", "kill -HUP $$"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

#[cfg(not(unix))]
mod system {
    use super::{Signal, io, mpsc};

    pub fn signals() -> io::Result<mpsc::UnboundedReceiver<Signal>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() && sender.send(Signal::Interrupt).is_ok() {}
        });
        Ok(receiver)
    }
}

/// Whether the text of `/proc/self/status` says that SIGHUP is ignored: the line `SigIgn` is a hexadecimal mask
/// in which signal 1, SIGHUP, is the lowest bit (proc_pid_status(5)).
#[cfg(target_os = "linux")]
fn ignores_hang_up(status: &str) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_finishes_and_the_second_leaves() {
        let finish = after(Stop::Go, Signal::Interrupt);
        assert_eq!(finish, Stop::Finish(Signal::Interrupt));
        let now = after(finish, Signal::Terminate);
        assert_eq!(now, Stop::Now(Signal::Terminate));
        assert_eq!(after(now, Signal::Interrupt), Stop::Now(Signal::Interrupt));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nohup_is_read_from_the_mask() {
        for (mask, ignored) in [
            ("0000000000000001", true),
            ("0000000000001001", true),
            ("0000000000001000", false),
            ("0000000000000000", false),
            ("what", false),
        ] {
            let status = format!("Name:\tsh\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
            assert_eq!(ignores_hang_up(&status), ignored, "{mask}");
        }
        assert!(!ignores_hang_up("Name:\tsh\n"));
    }
}
