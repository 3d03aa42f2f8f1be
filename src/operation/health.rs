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
        let health = (snapshot.database.kind.facts().questions.judge)(&evidence, &roster);
        let health = health.told(|text| cluster.without_secrets(text));
        tries += 1;
        match silence(&health) {
            None => return Lookup::Found(health),
            Some(why) if tries == TRIES => return Lookup::Unreadable(why),
            Some(_) => sleep(PAUSE).await,
        }
    }
}

/// Why nothing is known of any pod; `None` if something is.
fn silence(health: &Health) -> Option<String> {
    let unknown = |verdict: &Verdict| matches!(verdict, Verdict::Unknown { .. });
    if !health.members.iter().all(|member| unknown(&member.may_go)) {
        return None;
    }
    let first = health.members.iter().flat_map(|member| member.may_go.why()).next();
    Some(first.cloned().unwrap_or_else(|| "it has no pods".to_owned()))
}
