//! What ends a wait early: the user, the deadline, a lost lock, or a cluster that can no longer be watched.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::cluster::{Aside, ClusterError};
use crate::event::Event;

use super::emitter::Emitter;
use super::stop_reason::StopReason;
use super::{Signal, Stop};

/// Wakes a waiting run and says whether it may continue. A waiting call borrows only this part of the run.
pub(super) struct Interrupt {
    stop: watch::Receiver<Stop>,
    lost: watch::Receiver<Option<String>>,
    /// How long the whole operation may take.
    timeout: Option<Duration>,
    /// How much of that was over when the run began.
    spent: Duration,
    asides: mpsc::UnboundedReceiver<Aside>,
    /// Why a collection can no longer be watched.
    unwatchable: Option<ClusterError>,
    /// The user has been told that the run is stopping.
    told: bool,
    /// The stop request that was in force when the credential plugin that is still running was started.
    asking: Option<Stop>,
    /// How often the run has waited.
    pub waits: u64,
    emitter: Emitter,
}

impl Interrupt {
    pub fn new(
        stop: watch::Receiver<Stop>,
        lost: watch::Receiver<Option<String>>,
        timeout: Option<Duration>,
        spent: Duration,
        asides: mpsc::UnboundedReceiver<Aside>,
        emitter: Emitter,
    ) -> Self {
        Interrupt {
            stop,
            lost,
            timeout,
            spent,
            asides,
            unwatchable: None,
            told: false,
            asking: None,
            waits: 0,
            emitter,
        }
    }

    /// What the user or the system asks of the run now.
    pub fn wish(&self) -> Stop {
        *self.stop.borrow()
    }

    /// A credential plugin is being waited for.
    pub fn asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Ends the run if it must not make even one more call.
    pub fn check(&self) -> Result<(), StopReason> {
        if let Stop::Now(signal) = self.wish() {
            return Err(StopReason::Stopped { signal });
        }
        if let (Some(Stop::Go), Stop::Finish(signal)) = (self.asking, self.wish()) {
            // Without credentials nothing can be finished, so there is no point in waiting for a plugin that hangs.
            return Err(StopReason::Stopped { signal });
        }
        if self.deadline().is_some_and(|deadline| Instant::now() >= deadline) {
            let seconds = self.timeout.unwrap_or_default().as_secs();
            return Err(StopReason::TimedOut { seconds, late: None });
        }
        if let Some(error) = &self.unwatchable {
            return Err(error.clone().into());
        }
        match self.lost.borrow().clone() {
            Some(why) => Err(StopReason::LockLost { why }),
            None => Ok(()),
        }
    }

    /// The signal that asks the run to finish what is in flight and then stop. Reported once, with the pod that the run
    /// is waiting for.
    pub fn requested(&mut self, in_flight: Option<&str>) -> Option<Signal> {
        let signal = match self.wish() {
            Stop::Go => return None,
            Stop::Finish(signal) | Stop::Now(signal) => signal,
        };
        if !std::mem::replace(&mut self.told, true) {
            self.emitter.emit(Event::Stopping { why: signal.to_string(), pod: in_flight.map(str::to_owned) });
        }
        Some(signal)
    }

    /// Ends the run here if it was asked to stop: nothing is in flight.
    pub fn stop_here(&mut self) -> Result<(), StopReason> {
        match self.requested(None) {
            Some(signal) => Err(StopReason::Stopped { signal }),
            None => Ok(()),
        }
    }

    /// Makes calls to the cluster. Only a request to stop at once ends them early.
    pub async fn during<T>(&mut self, calls: impl Future<Output = T>) -> Result<T, StopReason> {
        tokio::pin!(calls);
        loop {
            self.check()?;
            let deadline = self.deadline().unwrap_or_else(far_away);
            tokio::select! {
                biased;
                answer = &mut calls => return Ok(answer),
                Ok(()) = self.stop.changed() => {}
                Some(aside) = self.asides.recv() => self.tell(aside),
                () = sleep_until(deadline) => {}
            }
        }
    }

    /// Makes a call that writes. If the run is stopped during the call, the write may still be carried out, and
    /// `in_the_air` stays set.
    pub async fn during_write<T>(
        &mut self,
        in_the_air: &mut bool,
        call: impl Future<Output = T>,
    ) -> Result<T, StopReason> {
        *in_the_air = true;
        let answer = self.during(call).await?;
        *in_the_air = false;
        Ok(answer)
    }

    /// Waits for news until that moment. `None` if something else woke it.
    pub async fn wait<T>(
        &mut self,
        news: impl Future<Output = Option<T>>,
        until: Instant,
    ) -> Result<Option<T>, StopReason> {
        // A wait whose time has already passed does not count as one.
        self.waits += u64::from(until > Instant::now());
        self.check()?;
        let wake = self.deadline().map_or(until, |deadline| deadline.min(until));
        tokio::select! {
            biased;
            _ = self.lost.changed() => {}
            Ok(()) = self.stop.changed() => {}
            Some(aside) = self.asides.recv() => self.tell(aside),
            Some(heard) = news => return Ok(Some(heard)),
            () = sleep_until(wake) => {}
        }
        Ok(None)
    }

    /// Passes on what the cluster reports besides its responses.
    pub fn catch_up(&mut self) {
        while let Ok(aside) = self.asides.try_recv() {
            self.tell(aside);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.timeout.map(|timeout| self.emitter.began() + timeout.saturating_sub(self.spent))
    }

    fn tell(&mut self, aside: Aside) {
        let message = match aside {
            Aside::Retry(r) => {
                let (call, why, attempt, in_ms) = (r.call, r.why, r.attempt, r.in_ms);
                return self.emitter.emit(Event::Retrying { call, why, attempt, in_ms });
            }
            Aside::WatchLost(error) => {
                self.unwatchable = Some(error);
                return;
            }
            Aside::Asking(plugin) => {
                self.asking = Some(self.wish());
                format!("waiting for the credential plugin {plugin}, for up to a minute")
            }
            Aside::Asked => {
                self.asking = None;
                return;
            }
            Aside::Warning(message) => format!("warning from the API server: {message}"),
            Aside::Renewed => "the API server rejected the credentials; using new ones".to_owned(),
        };
        self.emitter.emit(Event::Notice { message });
    }
}

/// A moment that no wait reaches.
pub(super) fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}
