//! Asks the database about itself before a plan is made.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{sleep, timeout};

use super::Operation;
use super::error::Error;
use super::goal::Goal;
use super::read::snapshot;
use super::told::{Notice, Told};
use crate::cluster::Cluster;
use crate::database::Session;
use crate::kinds;
use crate::model::{Action, Health, HealthMode, HealthReport, Kind, Lookup, Snapshot, Strategy, Verdict};
use crate::plan::hops::Hops;
/// After this time without an answer, the caller is told what the operation is waiting for.
const SILENCE: Duration = Duration::from_secs(1);

/// How often a database is asked whose answers are of no use: a connection may break, a pod may be busy.
const TRIES: u32 = 3;

/// The pause between two of these.
const PAUSE: Duration = Duration::from_millis(500);

impl Operation {
    /// The planned hops, planned again with what the database says of itself, if pods of it are to be evicted.
    pub(super) async fn with_health(
        &mut self,
        snapshot: &mut Snapshot,
        goal: &Goal,
        hops: Hops,
    ) -> Result<Hops, Error> {
        snapshot.environment.require_health = self.request.health == HealthMode::Require;
        let evicts = hops.first.workloads.iter().any(|w| w.strategy == Strategy::Evict && !w.settled());
        if self.request.health == HealthMode::Off || hops.first.action == Action::Nothing || !evicts {
            return Ok(hops);
        }
        let mut session = Session::new(&self.cluster, &snapshot.database);
        let asking = told_if_long(ask(&mut session, snapshot), snapshot, self.told.clone());
        let health = self.patience.during(asking).await?;
        snapshot.health = health;
        self.hops(snapshot, goal)
    }
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
        let said = ask(&mut self.session, &self.snapshot).await;
        Ok(HealthReport::new(&self.snapshot.database, said))
    }
}

/// What a database says of itself now; [`Lookup::Unreadable`] if none of its pods says anything of use.
async fn ask(session: &mut Session, snapshot: &Snapshot) -> Lookup<Health> {
    let roster = kinds::roster(snapshot);
    let mut tries = 0;
    loop {
        let evidence = session.ask(&roster).await;
        let health = (snapshot.database.kind.facts().questions.judge)(&evidence, &roster);
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

/// The caller is told what is waited for if it takes long.
async fn told_if_long<T>(
    asking: impl Future<Output = T>,
    snapshot: &Snapshot,
    told: UnboundedSender<Told>,
) -> T {
    let mut asking = std::pin::pin!(asking);
    if let Ok(answer) = timeout(SILENCE, &mut asking).await {
        return answer;
    }
    // It does not matter if the caller no longer listens.
    let _ = told.send(Notice::DatabaseAsked { database: snapshot.database.kind.name().to_owned() }.into());
    asking.await
}
