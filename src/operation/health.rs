//! Asks the database about itself before a plan is made.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep, timeout};

use super::error::Error;
use super::read::snapshot;
use super::told::{Notice, Told};
use crate::cluster::Cluster;
use crate::database::Session;
use crate::engine::OUTAGE;
use crate::kinds;
use crate::model::evidence::Evidence;
use crate::model::{
    Action, Completion, Health, HealthReport, Kind, Lookup, Phase, Plan, Reversal, Roster, Snapshot, Verdict,
    Work, WorkloadPlan,
};
use crate::retry::Retries;

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
    told_if_slow(said(cluster, snapshot), snapshot, told).await
}

/// The answer of the database. The caller is told if it takes long.
async fn told_if_slow<T>(
    asking: impl Future<Output = T>,
    snapshot: &Snapshot,
    told: UnboundedSender<Told>,
) -> T {
    // Its future is large, and several operations may run on one stack.
    let mut asking = Box::pin(asking);
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
    let mut session = Session::new(cluster, &snapshot.database);
    ask(&mut session, cluster, snapshot, Depth::Health).await.map(|answers| answers.health)
}

/// The same, with what its version still allows or needs, or with what leads back from these works.
pub(super) async fn examined(
    cluster: &Cluster,
    snapshot: &Snapshot,
    undo: Option<&[Work]>,
    told: UnboundedSender<Told>,
) -> (Lookup<Health>, Lookup<Completion>) {
    let examining = async {
        let mut session = Session::new(cluster, &snapshot.database);
        let answers = ask(&mut session, cluster, snapshot, Depth::Everything).await;
        let mut completion = answers.as_ref().map(|answers| answers.completion(snapshot, undo));
        if let (Lookup::Found(found), Some(_)) = (&mut completion, undo) {
            try_first(&mut session, snapshot, found).await;
        }
        let completion = completion.map(|found| found.told(|text| cluster.without_secrets(text)));
        (answers.map(|answers| answers.health), completion)
    };
    told_if_slow(examining, snapshot, told).await
}

/// Whether the database would do the first of the steps: only it can tell whether one can be taken back.
async fn try_first(session: &mut Session, snapshot: &Snapshot, completion: &mut Completion) {
    let kind = snapshot.database.kind.name();
    let Some(step) = completion.steps.first_mut() else { return };
    match session.try_out(&step.work, &kinds::roster(snapshot)).await {
        Ok(()) => step.reversal = Reversal::Yes { why: format!("{kind} accepts it in a dry run") },
        Err(undone) => completion.obstacles.push(format!("{kind} does not accept it: {undone}")),
    }
}

/// How often a database is looked at that has to stay healthy.
const SOAK_EVERY: Duration = Duration::from_secs(5);

/// Watches the database for that long. It has to stay healthy: every pod Ready, KubeDB's phase Ready, and every member a full
/// one by the database's own account.
///
/// # Errors
///
/// It was not, or cannot be read.
pub(super) async fn soak(cluster: &Cluster, mut snapshot: Snapshot, long: Duration) -> Result<(), Error> {
    let (mut session, until) = (Session::new(cluster, &snapshot.database), Instant::now() + long);
    let mut retries = Retries::new();
    let failed = |why: String| Error::NotSoaked { soak: long.as_secs(), why };
    loop {
        match cluster.read_anew(snapshot.to_read_anew()).await {
            Ok(anew) => (snapshot, retries) = (anew, Retries::new()),
            Err(error) => match retries.pause(OUTAGE).filter(|_| error.transient()) {
                Some(pause) => {
                    sleep(pause).await;
                    continue;
                }
                None => return Err(error.into()),
            },
        }
        if let Some(pod) = snapshot.pods.iter().find(|pod| !pod.healthy()) {
            return Err(failed(format!("pod {} is not Ready", pod.name)));
        }
        if snapshot.database.phase != Phase::Ready {
            return Err(failed(format!("KubeDB reports {}", snapshot.database.phase)));
        }
        match ask(&mut session, cluster, &snapshot, Depth::Health).await {
            Lookup::Found(answers) => {
                if let Some(member) = answers.health.members.iter().find(|member| !member.back.is_yes()) {
                    return Err(failed(format!("{}: {}", member.pod, member.back.why().join("; "))));
                }
            }
            Lookup::Unreadable(why) => return Err(failed(why)),
            Lookup::Absent => {}
        }
        if Instant::now() >= until {
            return Ok(());
        }
        sleep(SOAK_EVERY.min(until.saturating_duration_since(Instant::now()))).await;
    }
}

/// How much a database is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// How it is.
    Health,
    /// Also what is left to be done.
    Everything,
}

/// What a database has answered.
struct Answers {
    roster: Roster,
    evidence: Evidence,
    health: Health,
}

impl Answers {
    fn completion(&self, snapshot: &Snapshot, undo: Option<&[Work]>) -> Completion {
        kinds::completion(snapshot, &self.evidence, &self.health, &self.roster, undo)
    }
}

/// How long what is left to be done is taken to be what it was: asking for it may take commands in the pods.
const SETTLED: Duration = Duration::from_secs(30);

/// A database that is looked at, again and again.
pub struct Examination {
    cluster: Cluster,
    snapshot: Snapshot,
    session: Session,
    left: Option<(Instant, Lookup<Completion>)>,
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
        Ok(Examination { cluster: cluster.clone(), snapshot, session, left: None })
    }

    /// Looks which pods there are now, asks them, and judges what they say.
    ///
    /// # Errors
    ///
    /// The pods cannot be read.
    pub async fn report(&mut self) -> Result<HealthReport, Error> {
        self.snapshot = self.cluster.read_anew(self.snapshot.to_read_anew()).await?;
        let known = self.left.as_ref().is_some_and(|(since, _)| since.elapsed() < SETTLED);
        let depth = if known { Depth::Health } else { Depth::Everything };
        let answers = ask(&mut self.session, &self.cluster, &self.snapshot, depth).await;
        if !known {
            let left = answers.as_ref().map(|answers| answers.completion(&self.snapshot, None));
            let left = left.map(|left| left.told(|text| self.cluster.without_secrets(text)));
            self.left = Some((Instant::now(), left));
        }
        let left = self.left.as_ref().map_or(&Lookup::Absent, |(_, left)| left);
        Ok(HealthReport::new(&self.snapshot.database, answers.map(|answers| answers.health), left))
    }
}

/// Asks again if none of the pods says anything of use.
async fn ask(session: &mut Session, cluster: &Cluster, snapshot: &Snapshot, depth: Depth) -> Lookup<Answers> {
    let roster = kinds::roster(snapshot);
    let mut tries = 0;
    loop {
        let evidence = match depth {
            Depth::Health => session.ask(&roster).await,
            Depth::Everything => Box::pin(session.examine(&roster)).await,
        };
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
            _ => return Lookup::Found(Answers { roster, evidence, health }),
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
