//! Posts Events on the database in the background. Best effort: nothing waits for them.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::clock::Clock;
use crate::cluster::{Announcement, Cluster, ClusterError};
use crate::event::Event;
use crate::model::ObjectRef;
use crate::retry::Retries;

use super::emitter::Emitter;

/// How long a failed Event is retried before it is dropped.
const PATIENCE: Duration = Duration::from_secs(2);

/// Posts Events one after the other, in the background. Ends when this is dropped.
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
    pub fn start(cluster: Cluster, about: ObjectRef, clock: Clock, emitter: Emitter) -> Self {
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
        // A restarting API server briefly answers 403 as well.
        let Err(ClusterError::Transient { .. } | ClusterError::Forbidden { .. }) = posted else {
            return posted;
        };
        let Some(pause) = retries.pause(PATIENCE) else { return posted };
        sleep(pause).await;
    }
}

/// The Event for something that happened in a run; `None` if it only concerns the user who is watching the run.
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
