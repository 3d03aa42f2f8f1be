//! Listens for the signals that stop a run.

use std::io;

use tokio::sync::{mpsc, watch};

use crate::operation::{Signal, Stop};

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
