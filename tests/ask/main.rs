//! Databases are asked by way of the simulated API server, as a run asks them, and judged, in tokio's paused time.

#[path = "../common/mod.rs"]
mod common;

mod cassandra;
mod druid;
mod files;
mod hazelcast;
mod kafka;
mod kafka_finish;
mod tls;
mod zookeeper;

use std::time::Duration;

use kubectl_dbupdate::cluster::Cluster;
use kubectl_dbupdate::database::{Session, Undone};
use kubectl_dbupdate::kinds;
use kubectl_dbupdate::model::{Completion, Health, Member, Roster, Snapshot, Verdict, Work};
use simcluster::world::Database;
use simcluster::{Misanswer, RecordedRequest, Trouble};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;

use common::{NAMESPACE, World};

/// A database that is asked again and again, over the same connections.
struct Asked {
    world: World,
    cluster: Cluster,
    session: Option<Session>,
}

impl Asked {
    fn new(database: Database) -> Self {
        let world = World::new(database);
        Asked { cluster: world.cluster(), world, session: None }
    }

    fn trouble(&self, trouble: Trouble) {
        self.world.sim.databases().trouble(trouble);
    }

    /// The database and its pods as they are now, and the connections to them.
    async fn look(&mut self) -> (Snapshot, Roster, &mut Session) {
        let snapshot = self.cluster.snapshot(self.world.kind, NAMESPACE, &self.world.name).await;
        let snapshot = snapshot.expect("it can be read");
        let session = self.session.get_or_insert_with(|| Session::new(&self.cluster, &snapshot.database));
        let roster = kinds::roster(&snapshot);
        (snapshot, roster, session)
    }

    /// Asks, and judges the answers.
    async fn health(&mut self) -> Health {
        let (snapshot, roster, session) = self.look().await;
        let evidence = session.ask(&roster).await;
        (snapshot.database.kind.facts().questions.judge)(&evidence, &roster)
    }

    /// Asks what its version still allows or needs, or what leads back from these works.
    async fn completion(&mut self, undo: Option<&[Work]>) -> Completion {
        let (snapshot, roster, session) = self.look().await;
        let evidence = session.examine(&roster).await;
        let health = (snapshot.database.kind.facts().questions.judge)(&evidence, &roster);
        kinds::completion(&snapshot, &evidence, &health, &roster, undo)
    }

    /// Has a work done, or only tried.
    async fn work(&mut self, work: &Work, only_try: bool) -> Result<(), Undone> {
        let (_, roster, session) = self.look().await;
        match only_try {
            true => session.try_out(work, &roster).await,
            false => session.perform(work, &roster, &unbounded_channel().0).await,
        }
    }

    /// Connections to that port so far.
    fn connections(&self, port: u16) -> usize {
        let port = port.to_string();
        let sent = self.world.sim.requests();
        let to_port = |sent: &&RecordedRequest| sent.parameter("ports") == Some(&port);
        sent.iter().filter(|sent| sent.path.ends_with("/portforward")).filter(to_port).count()
    }
}

/// `y`, `n` or `?` for each member.
fn verdicts(health: &Health, verdict: fn(&Member) -> &Verdict) -> String {
    let letter = |member| match verdict(member) {
        Verdict::Yes => 'y',
        Verdict::No { .. } => 'n',
        Verdict::Unknown { .. } => '?',
    };
    health.members.iter().map(letter).collect()
}

fn may_go(health: &Health) -> String {
    verdicts(health, |member| &member.may_go)
}

fn back(health: &Health) -> String {
    verdicts(health, |member| &member.back)
}

/// Whatever one pod does instead of answering, nobody may go, it is known why, and nothing takes longer than a question may.
async fn misanswers(database: fn() -> Database, pod: &str) {
    for (how, words) in [
        (Misanswer::Refuse, "refused"),
        (Misanswer::Reset, ""),
        (Misanswer::Garbage, "an answer"),
        (Misanswer::Endless, "an answer"),
        (Misanswer::Hang, "no answer within"),
    ] {
        let mut asked = Asked::new(database());
        asked.trouble(Trouble::Answers { pods: pod.into(), how });
        let before = Instant::now();
        let health = asked.health().await;
        let members = health.members.len();
        assert_eq!(may_go(&health), "?".repeat(members), "{how:?}: {health:#?}");
        let why = health.members[0].may_go.why().join("; ");
        assert!(why.starts_with(&format!("{pod}: ")) && why.contains(words), "{how:?}: {why}");
        assert!(before.elapsed() < Duration::from_secs(6), "{how:?}: {:?}", before.elapsed());
        asked.world.sim.databases().heal_all();
        assert_eq!(may_go(&asked.health().await), "y".repeat(members), "{how:?} is over");
    }
}
