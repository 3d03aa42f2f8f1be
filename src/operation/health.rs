//! Asks the database about itself before a plan is made.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{sleep, timeout};

use super::error::Error;
use super::read::snapshot;
use super::told::{Notice, Told};
use crate::cluster::Cluster;
use crate::database::Session;
use crate::kinds;
use crate::model::evidence::Evidence;
use crate::model::{Action, Health, HealthReport, Kind, Lookup, Plan, Snapshot, Verdict, WorkloadPlan};

/// After this time without an answer, the caller is told what the operation is waiting for.
const SILENCE: Duration = Duration::from_secs(1);

/// How often a database is asked whose answers are of no use: a connection may break, a pod may be busy.
const TRIES: u32 = 3;

/// The pause between two of these.
const PAUSE: Duration = Duration::from_millis(500);

/// The plan evicts pods, so that it matters what the database says of them.
pub(super) fn matters(plan: &Plan) -> bool {
    plan.action != Action::Nothing && plan.workloads.iter().any(WorkloadPlan::evicts)
}

/// What the database says of itself before a plan is made. The caller is told if it takes long.
pub(super) async fn ask_once(
    cluster: &Cluster,
    snapshot: &Snapshot,
    told: UnboundedSender<Told>,
) -> Lookup<Health> {
    // Its future is large, and several operations may run on one stack.
    let mut asking = Box::pin(said(cluster, snapshot));
    if let Ok(answer) = timeout(SILENCE, &mut asking).await {
        return answer;
    }
    let database = snapshot.database.kind.name().to_owned();
    // It does not matter if the caller no longer listens.
    let _ = told.send(Notice::DatabaseAsked { database }.into());
    asking.await
}

/// What the database of this snapshot says of itself; [`Lookup::Unreadable`] if none of its pods says anything of use.
pub async fn said(cluster: &Cluster, snapshot: &Snapshot) -> Lookup<Health> {
    ask(&mut Session::new(cluster, &snapshot.database), cluster, snapshot).await
}

/// A database that is looked at, again and again.
pub struct Examination {
    cluster: Cluster,
    snapshot: Snapshot,
    session: Session,
}

impl Examination {
    /// Reads which pods there are to ask.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub async fn begin(cluster: &Cluster, kind: Kind, namespace: &str, name: &str) -> Result<Self, Error> {
        let snapshot = snapshot(cluster, kind, namespace, name).await?;
        let session = Session::new(cluster, &snapshot.database);
        Ok(Examination { cluster: cluster.clone(), snapshot, session })
    }

    /// Looks which pods there are now, asks them, and judges what they say.
    ///
    /// # Errors
    ///
    /// The pods cannot be read.
    pub async fn report(&mut self) -> Result<HealthReport, Error> {
        self.snapshot = self.cluster.read_anew(self.snapshot.to_read_anew()).await?;
        let said = ask(&mut self.session, &self.cluster, &self.snapshot).await;
        Ok(HealthReport::new(&self.snapshot.database, said))
    }
}

/// Asks again if none of the pods says anything of use.
async fn ask(session: &mut Session, cluster: &Cluster, snapshot: &Snapshot) -> Lookup<Health> {
    let roster = kinds::roster(snapshot);
    let mut tries = 0;
    loop {
        let evidence = session.ask(&roster).await;
        let mut health = (snapshot.database.kind.facts().questions.judge)(&evidence, &roster);
        let lasting = evidence.failed().into_iter().filter(|(_, unasked)| unasked.obstacle.lasts());
        health.cannot_ask(&lasting.map(|(pod, _)| pod).collect::<Vec<_>>());
        let health = health.told(|text| cluster.without_secrets(text));
        tries += 1;
        let silent = health.members.iter().all(|member| matches!(member.may_go, Verdict::Unknown { .. }));
        match silence(&evidence) {
            Some(why) if silent && tries == TRIES => {
                return Lookup::Unreadable(cluster.without_secrets(&why));
            }
            _ if silent && tries < TRIES => sleep(PAUSE).await,
            _ => return Lookup::Found(health),
        }
    }
}

/// Why the database cannot be asked at all: none of its pods says anything of use, or one cannot be asked for a reason that
/// lasts. Otherwise a pod that is silent for a moment is waited for during the run.
fn silence(evidence: &Evidence) -> Option<String> {
    let failed = evidence.failed();
    let lasting = failed.iter().find(|(_, unasked)| unasked.obstacle.lasts());
    let all = failed.first().filter(|_| failed.len() == evidence.asked());
    match lasting.or(all) {
        Some((pod, unasked)) => Some(format!("{pod}: {}", unasked.message)),
        None if evidence.asked() == 0 => Some("none of its pods is Ready".to_owned()),
        None => None,
    }
}
