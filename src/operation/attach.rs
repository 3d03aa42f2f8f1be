//! Attaching to a run that another process carries out: looks at its journal, its lock and its pods every few seconds,
//! until it ends.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::error::Error;
use super::read;
use super::stop::{Signalled, unless_stopped};
use crate::clock::Clock;
use crate::cluster::{Cluster, lease_duration};
use crate::engine::{OUTAGE, Signal, Stop};
use crate::event::{Event, Finish, Outcome, Record};
use crate::journal::Entry;
use crate::model::{Lookup, Plan, millis};
use crate::retry::Retries;
use crate::situation::{self, Onlooker, Seen, State};

/// How often to look.
const EVERY: Duration = Duration::from_secs(2);

/// How long the next hop may take to begin after the end of one.
const NEXT_HOP: Duration = Duration::from_secs(60);

/// How long a run whose lock may not be read may record nothing: waiting for one pod takes 20 minutes by default.
const UNSEEN: Duration = Duration::from_secs(3600);

/// What somebody sees who is attached to a run.
#[derive(Debug)]
pub enum Sight {
    /// An event of the run.
    Record(Box<Record>),
    /// A run holds the lock, and has not recorded yet what it does.
    Unrecorded { holder: String },
}

/// How it ended to be attached.
#[derive(Debug)]
pub enum Attached {
    /// No run is active, and none was.
    Idle(Box<Seen>),
    /// The run has ended, as it has recorded.
    Ended { plan: Box<Plan>, finish: Box<Finish>, seen: Box<Seen> },
    /// The run is no longer there, and has recorded no end.
    Lost { why: String, seen: Box<Seen> },
    /// The database was deleted or replaced.
    Gone,
    /// A signal; the run continues.
    Detached(Signal),
}

/// Watches the run that is active on a database until it ends; `seen` is the first look. If further hops are to follow
/// it, they are watched too.
///
/// # Errors
///
/// The cluster cannot be read any more.
pub async fn attach(
    cluster: &Cluster,
    seen: Seen,
    clock: &Clock,
    stop: &mut watch::Receiver<Stop>,
    tell: impl FnMut(Sight),
) -> Result<Attached, Error> {
    if situation::decide(&seen).state() != State::Running {
        return Ok(Attached::Idle(Box::new(seen)));
    }
    let watching = Attachment { cluster, clock, tell, onlooker: None, pulse: None, ended: None, told: false };
    match unless_stopped(stop, watching.until_the_end(seen)).await {
        Ok(attached) => attached,
        Err(Signalled(signal)) => Ok(Attached::Detached(signal)),
    }
}

struct Attachment<'a, T> {
    cluster: &'a Cluster,
    clock: &'a Clock,
    tell: T,
    onlooker: Option<Onlooker>,
    /// The last sign of life, and since when there was no other: the lock's resource version, or what was recorded last if
    /// the lock may not be read.
    pulse: Option<(String, Instant)>,
    /// The run has ended, and the next hop has not begun.
    ended: Option<(Finish, Instant)>,
    told: bool,
}

impl<T: FnMut(Sight)> Attachment<'_, T> {
    async fn until_the_end(mut self, mut seen: Seen) -> Result<Attached, Error> {
        let mut missing = 0;
        loop {
            self.look(&seen);
            self.ask_why_missing(&seen).await;
            match self.dead(&seen) {
                // A run that has just ended is recorded after it was looked for.
                Some(_) if missing == 0 && seen.snapshot.lock.is_none() => missing += 1,
                Some(why) => return Ok(self.over(why, seen)),
                None => missing = 0,
            }
            if let Some((_, since)) = &self.ended
                && !(self.leads_further(&seen) && since.elapsed() < NEXT_HOP)
            {
                return Ok(self.over(String::new(), seen));
            }
            sleep(EVERY).await;
            match self.look_again(&seen).await? {
                Some(again) => seen = again,
                None => return Ok(Attached::Gone),
            }
        }
    }

    /// Tells what has changed, in the run and in the one that may have followed it since.
    fn look(&mut self, seen: &Seen) {
        let Lookup::Found(runs) = &seen.runs else { return self.unrecorded(seen) };
        self.look_at(runs, seen);
        let active = runs.last().filter(|entry| entry.killed() && seen.snapshot.lock.is_some());
        let known = self.onlooker.as_ref().map(Onlooker::run);
        if let Some(entry) = active.filter(|entry| known != Some(&entry.run.run)) {
            (self.onlooker, self.ended) = (Some(Onlooker::new(entry, &seen.snapshot)), None);
            self.look_at(runs, seen);
        }
        if self.onlooker.is_none() {
            self.unrecorded(seen);
        }
    }

    /// Asks why a pod has not been created, as the run itself does. What is said is told at the next look.
    async fn ask_why_missing(&mut self, seen: &Seen) {
        let Some(onlooker) = &mut self.onlooker else { return };
        if let Some(workload) = onlooker.asks(&seen.snapshot) {
            let news = self.cluster.creation_news(workload).await;
            onlooker.hear(workload, &news);
        }
    }

    fn look_at(&mut self, runs: &[Entry], seen: &Seen) {
        let Some(onlooker) = self.onlooker.as_mut().filter(|_| self.ended.is_none()) else { return };
        let Some(entry) = runs.iter().find(|entry| entry.run.run == onlooker.run()) else { return };
        for record in onlooker.look(entry, seen, &self.clock.rfc3339(3)) {
            (self.tell)(Sight::Record(Box::new(record)));
        }
        self.ended = entry.progress.result.clone().map(|finish| (finish, Instant::now()));
    }

    fn unrecorded(&mut self, seen: &Seen) {
        if let Some(lock) = seen.snapshot.lock.as_ref().filter(|_| !std::mem::replace(&mut self.told, true)) {
            (self.tell)(Sight::Unrecorded { holder: lock.holder.clone() });
        }
    }

    /// Why the run seems to be dead: its lock is gone, or was not renewed for as long as it is valid. A lock that may not be
    /// read is not one that is gone; then the journal has to show that the run is alive.
    fn dead(&mut self, seen: &Seen) -> Option<String> {
        if self.ended.is_some() {
            return None;
        }
        let (sign, valid, silent) = match &seen.snapshot.lock {
            Some(lock) => (lock.resource_version.clone(), lease_duration(lock), "has not renewed its lock"),
            None if seen.lock_unread() => {
                let entry = self.own(seen).map(|entry| entry.progress.time.clone());
                (entry.unwrap_or_default(), UNSEEN, "has recorded nothing, and its lock cannot be read,")
            }
            None => return Some("its lock is gone".to_owned()),
        };
        match &self.pulse {
            Some((last, since)) if *last == sign => {
                let silence = since.elapsed();
                (silence > valid).then(|| format!("it {silent} for {} s", silence.as_secs()))
            }
            _ => {
                self.pulse = Some((sign, Instant::now()));
                None
            }
        }
    }

    /// The run that is followed, in the journal.
    fn own<'s>(&self, seen: &'s Seen) -> Option<&'s Entry> {
        let (Lookup::Found(runs), Some(onlooker)) = (&seen.runs, &self.onlooker) else { return None };
        runs.iter().find(|entry| entry.run.run == onlooker.run())
    }

    fn leads_further(&self, seen: &Seen) -> bool {
        if self.ended.as_ref().is_none_or(|(finish, _)| finish.outcome != Outcome::Done) {
            return false;
        }
        let to = self.own(seen).and_then(Entry::follow);
        to.is_some_and(|to| seen.snapshot.database.version != to)
    }

    fn over(self, why: String, seen: Seen) -> Attached {
        let seen = Box::new(seen);
        match (self.onlooker, self.ended) {
            (Some(onlooker), Some((finish, _))) => {
                let (plan, finish) = (Box::new(onlooker.plan().clone()), Box::new(finish));
                Attached::Ended { plan, finish, seen }
            }
            (Some(_), None) => Attached::Lost { why, seen },
            (None, _) => Attached::Idle(seen),
        }
    }

    /// Looks again; a failure that may go away is retried, and told.
    async fn look_again(&mut self, before: &Seen) -> Result<Option<Seen>, Error> {
        let mut retries = Retries::new();
        loop {
            let error = match Box::pin(self.cluster.look_again(&before.snapshot)).await {
                Ok(found) => return Ok(found.map(|found| read::seen(found, self.clock))),
                Err(error) => error,
            };
            // The lock could not be read, so its age tells nothing: the run had the same outage.
            self.pulse = None;
            let pause = retries.pause(OUTAGE).filter(|_| error.transient());
            let Some(pause) = pause else { return Err(error.into()) };
            if let Some(onlooker) = &mut self.onlooker {
                let (call, why, attempt) =
                    ("read the database".to_owned(), error.to_string(), retries.tries());
                let event = Event::Retrying { call, why, attempt, in_ms: millis(pause) };
                (self.tell)(Sight::Record(Box::new(onlooker.remark(event, &self.clock.rfc3339(3)))));
            }
            sleep(pause).await;
        }
    }
}
