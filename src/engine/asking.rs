//! Asks the database about itself, beside everything else that the run does.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::cluster::Cluster;
use crate::database::Session;
use crate::kinds::Questions;
use crate::model::{Database, Health, Obstacle, Place, Roster, Unasked};
use crate::retry::Retries;

/// The longest pause between two questions that no pod answers: the API server may be down for minutes.
const SILENT: Duration = Duration::from_secs(2);

/// A fit database that has to stay so for a while is asked so often meanwhile.
const LOOKS: u32 = 3;

/// The database's pods, asked again and again while somebody wants to know. Dropping it ends that, and the connections.
pub(super) struct Asking {
    wanted: watch::Sender<Option<Roster>>,
    /// The newest one: whoever reads seldom learns no old ones.
    answers: watch::Receiver<Option<Answered>>,
    orders: mpsc::Sender<Order>,
    task: AbortHandle,
}

/// To drain a pod, or to take that back.
struct Order {
    place: Place,
    drain: bool,
    done: oneshot::Sender<Result<bool, Unasked>>,
}

/// What the pods answered.
#[derive(Clone)]
pub(super) struct Answered {
    /// When they were asked.
    pub asked: Instant,
    pub roster: Roster,
    pub health: Health,
}

impl Asking {
    /// Nothing is asked before somebody wants to know.
    pub fn new(cluster: &Cluster, database: &Database) -> Self {
        let session = Session::new(cluster, database);
        let (wanted, rosters) = watch::channel(None);
        let (to_answers, answers) = watch::channel(None);
        let (orders, from_orders) = mpsc::channel(1);
        let questions = &database.kind.facts().questions;
        let task = tokio::spawn(ask(questions, session, rosters, from_orders, to_answers)).abort_handle();
        Asking { wanted, answers, orders, task }
    }

    /// Drains a pod: it takes on no new work. Or takes that back. `false` if it is a pod that cannot be drained.
    ///
    /// # Errors
    /// The pod could not be told.
    pub async fn drain(&self, place: Place, drain: bool) -> Result<bool, Unasked> {
        let (done, answer) = oneshot::channel();
        let gone = || Unasked::new(Obstacle::Unreachable, "nobody asks the database any more");
        self.orders.send(Order { place, drain, done }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
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
            if self.answers.changed().await.is_err() {
                std::future::pending().await
            }
            if let Some(answered) = self.newest() {
                return answered;
            }
        }
    }

    /// An answer that has come already.
    pub fn pending(&mut self) -> Option<Answered> {
        self.answers.has_changed().is_ok_and(|changed| changed).then(|| self.newest())?
    }

    fn newest(&mut self) -> Option<Answered> {
        let answered = self.answers.borrow_and_update().clone();
        answered.filter(|answered| self.is_wanted(&answered.roster))
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
    questions: &'static Questions,
    mut session: Session,
    mut rosters: watch::Receiver<Option<Roster>>,
    mut orders: mpsc::Receiver<Order>,
    answers: watch::Sender<Option<Answered>>,
) {
    let unanswered = || Retries::new().at_most(SILENT);
    let mut retries = unanswered();
    loop {
        let wanted = rosters.borrow_and_update().clone();
        let mut again = None;
        if let Some(roster) = wanted {
            let asked = Instant::now();
            tokio::select! {
                evidence = session.ask(&roster) => {
                    let health = (questions.judge)(&evidence, &roster);
                    let mut pause = questions.pause;
                    match evidence.failed().len() < evidence.asked() {
                        true => retries = unanswered(),
                        false => pause = pause.max(retries.pause(Duration::MAX).unwrap_or(SILENT)),
                    }
                    let next = Instant::now() + pause;
                    // Counted from question to question, as the time is for which it has to stay fit.
                    again = Some(if health.fit() { next.max(asked + questions.apart / LOOKS) } else { next });
                    if answers.send(Some(Answered { asked, roster, health })).is_err() {
                        return;
                    }
                }
                // Another pod is in its place, or one is away: what is asked now is not needed any more.
                changed = rosters.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    rosters.mark_changed();
                }
            }
        }
        tokio::select! {
            changed = rosters.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            Some(Order { place, drain, done }) = orders.recv() => {
                let told = match drain {
                    true => session.drain(&place).await,
                    false => session.undrain(&place).await.map(|()| true),
                };
                // It does not matter if nobody waits for it any more.
                let _ = done.send(told);
            }
            () = until(again) => {}
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
