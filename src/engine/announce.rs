//! Events about a run on the database object, for whoever looks at it with `kubectl describe`. Best effort: no step
//! waits for them, and nothing depends on them.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::clock::Clock;
use crate::cluster::{Announcement, Cluster, ClusterError};
use crate::event::{Event, Finish, Outcome};
use crate::journal::Direction;
use crate::model::{Command, ObjectRef, Permission};
use crate::retry::Retries;
use crate::situation::Next;

use super::narrator::Emitter;
use super::run::Run;

/// How long an announcement that fails is tried again before it is dropped.
const PATIENCE: Duration = Duration::from_secs(2);

/// Posts announcements one after the other, behind the run's back. Ends when this is dropped.
pub(super) struct Announcer {
    to: Option<mpsc::UnboundedSender<Announcement>>,
    task: JoinHandle<()>,
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Announcer {
    fn start(cluster: Cluster, about: ObjectRef, clock: Clock, emitter: Emitter) -> Self {
        let (to, mut from) = mpsc::unbounded_channel::<Announcement>();
        let task = tokio::spawn(async move {
            let mut number = 0;
            while let Some(said) = from.recv().await {
                number += 1;
                if let Err(error) = post(&cluster, &about, &said, number, &clock).await
                    && !error.transient()
                {
                    let message = format!("Events cannot be recorded on the database: {error}");
                    emitter.emit(Event::Notice { message });
                    return;
                }
            }
        });
        Announcer { to: Some(to), task }
    }

    pub fn say(&self, said: Announcement) {
        if let Some(to) = &self.to {
            let _ = to.send(said);
        }
    }

    /// Waits until everything is posted, but not beyond that moment.
    pub async fn finish(mut self, until: Instant) {
        self.to = None;
        let _ = timeout_at(until, &mut self.task).await;
    }
}

async fn post(
    cluster: &Cluster,
    about: &ObjectRef,
    said: &Announcement,
    number: u64,
    clock: &Clock,
) -> Result<(), ClusterError> {
    let now = clock.rfc3339(9);
    let time: String = now.chars().filter(char::is_ascii_digit).collect();
    let name = format!("{}.{time}-{number}", about.name);
    let mut retries = Retries::new();
    loop {
        let posted = cluster.announce(about, said, &name, &clock.rfc3339(0)).await;
        // An API server that restarts says 403 for some moments as well.
        let Err(ClusterError::Transient { .. } | ClusterError::Forbidden { .. }) = posted else {
            return posted;
        };
        let Some(pause) = retries.pause(PATIENCE) else { return posted };
        sleep(pause).await;
    }
}

impl Run {
    /// From now on the run records Events on the database. It holds the lock, so no other run records any in between.
    pub(super) fn begin_announcing(&mut self) {
        let denied = |p: &Permission| p.resource == "events" && p.verb == "create";
        if self.observer.snapshot.environment.denied().iter().any(denied) {
            // The plan has already said so.
            return;
        }
        let (cluster, about) = (self.observer.cluster.clone(), self.plan.database.clone());
        let announcer =
            Announcer::start(cluster, about, self.options.clock.clone(), self.narrator.emitter.clone());
        announcer.say(self.beginning());
        self.narrator.announcer = Some(announcer);
    }

    fn beginning(&self) -> Announcement {
        let again = if self.options.story.resuming.is_some() { " (resumed)" } else { "" };
        let (run, who) = (&self.options.caller.run, &self.options.caller.who);
        let (from, to) = (self.ledger.came_from(&self.plan), &self.plan.to.name);
        let (reason, doing) = match self.options.story.direction {
            Direction::Update => ("UpdateStarted", "updating"),
            Direction::Rollback => ("RollbackStarted", "rolling back from"),
        };
        let message = format!("run {run} by {who}{again}: {doing} {from} to {to}");
        Announcement { warning: false, reason, message }
    }

    /// Announces how the run has ended.
    pub(super) fn announce_end(&self, finish: &Finish, next: &[Next]) {
        if let Some(announcer) = &self.narrator.announcer {
            let next = next.iter().find(|next| next.goes_on() || **next == Next::Status);
            let next = next.map(|next| self.command(next));
            announcer.say(ending(finish, self.options.story.direction, next));
        }
    }
}

/// What is announced of an event; `None` where it concerns only whoever watches the run.
pub(super) fn announcement(event: &Event, to: &str) -> Option<Announcement> {
    let (warning, reason, message) = match event {
        Event::PauseAcknowledged { .. } => (
            false,
            "OperatorPaused",
            "the operator has acknowledged the pause and leaves this database alone".to_owned(),
        ),
        Event::PauseUnanswered { .. } => {
            (true, "OperatorPaused", "paused, but no operator has acknowledged it".to_owned())
        }
        Event::PodReady { pod, took_ms, .. } => {
            let seconds = *took_ms as f64 / 1000.0;
            (false, "PodUpdated", format!("pod {pod} is on {to} and Ready, after {seconds:.1} s"))
        }
        Event::VersionSet { from, to } => {
            (false, "VersionSet", format!("spec.version set from {from} to {to}"))
        }
        Event::Resumed => (false, "OperatorResumed", "the operator manages this database again".to_owned()),
        Event::Requested { request } => {
            (false, "OpsRequestMade", format!("{request} was created for the Ops-manager"))
        }
        Event::RollingBack { .. } => {
            (true, "RollingBack", format!("the update failed; rolling back to {to}"))
        }
        _ => return None,
    };
    Some(Announcement { warning, reason, message })
}

fn ending(finish: &Finish, direction: Direction, next: Option<Command>) -> Announcement {
    let done = matches!(finish.outcome, Outcome::Done | Outcome::Nothing);
    let reason = match (finish.outcome, direction, done) {
        (Outcome::RolledBack, _, _) => "RolledBack",
        (_, Direction::Update, true) => "UpdateDone",
        (_, Direction::Update, false) => "UpdateStopped",
        (_, Direction::Rollback, true) => "RolledBack",
        (_, Direction::Rollback, false) => "RollbackStopped",
    };
    let parts = [finish.error.as_str(), &finish.state];
    let mut message = parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("; ");
    if let Some(next) = next {
        message.push_str(&format!("; next: {next}"));
    }
    Announcement { warning: !done, reason, message }
}
