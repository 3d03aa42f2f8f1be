//! Asks the database about itself, beside everything else that the run does.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::database::Session;
use crate::model::evidence::Evidence;
use crate::model::{Database, Roster};

/// The pause between an answer and the next question: what a fit database costs in time until the eviction is half of it.
const PAUSE: Duration = Duration::from_millis(150);

/// The database's pods, asked again and again while somebody wants to know. Dropping it ends that, and the connections.
pub(super) struct Asking {
    wanted: watch::Sender<Option<Roster>>,
    answers: mpsc::Receiver<Answered>,
    task: AbortHandle,
}

/// What the pods answered.
pub(super) struct Answered {
    /// When they were asked.
    pub asked: Instant,
    pub roster: Roster,
    pub evidence: Evidence,
}

impl Asking {
    /// Nothing is asked before somebody wants to know.
    pub fn new(cluster: &Cluster, database: &Database) -> Self {
        let session = Session::new(cluster, database);
        let (wanted, rosters) = watch::channel(None);
        let (to_answers, answers) = mpsc::channel(1);
        let task = tokio::spawn(ask(session, rosters, to_answers)).abort_handle();
        Asking { wanted, answers, task }
    }

    /// From now on these pods are asked, or nobody. `true` if that is news, so that all answers so far are out of date.
    pub fn want(&self, roster: Option<Roster>) -> bool {
        self.wanted.send_if_modified(|wanted| {
            let news = *wanted != roster;
            *wanted = roster;
            news
        })
    }

    /// The next answer from the pods that are wanted.
    pub async fn next(&mut self) -> Answered {
        loop {
            match self.answers.recv().await {
                Some(answered) if self.is_wanted(&answered.roster) => return answered,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// An answer that has come already.
    pub fn pending(&mut self) -> Option<Answered> {
        let answered = self.answers.try_recv().ok()?;
        self.is_wanted(&answered.roster).then_some(answered)
    }

    fn is_wanted(&self, roster: &Roster) -> bool {
        self.wanted.borrow().as_ref() == Some(roster)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn ask(
    mut session: Session,
    mut rosters: watch::Receiver<Option<Roster>>,
    answers: mpsc::Sender<Answered>,
) {
    loop {
        let Some(roster) = rosters.borrow_and_update().clone() else {
            if rosters.changed().await.is_err() {
                return;
            }
            continue;
        };
        let asked = Instant::now();
        tokio::select! {
            evidence = session.ask(&roster) => {
                if answers.send(Answered { asked, roster, evidence }).await.is_err() {
                    return;
                }
            }
            // Another pod is in its place, or one is away: what is asked now is not needed any more.
            _ = rosters.changed() => {
                rosters.mark_changed();
                continue;
            }
        }
        tokio::select! {
            _ = rosters.changed() => rosters.mark_changed(),
            () = sleep(PAUSE) => {}
        }
    }
}
