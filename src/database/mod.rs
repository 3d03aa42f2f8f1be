//! Asks databases about themselves, by their own protocols through the API server, and judges nothing. Every question is
//! bounded in time and size; a pod has at most one connection at a time, which ends with the session.

mod cassandra;
pub mod door;
mod druid;
mod hazelcast;
mod http;
mod kafka;
mod kept;
mod tls;
mod zookeeper;

use crate::cluster::Cluster;
use crate::model::evidence::{Evidence, Protocol};
use crate::model::{Database, Obstacle, Place, Roster, Unasked, Work, WorkProgress};

use tokio::sync::mpsc::UnboundedSender;

use door::Door;

/// The connections to the pods of one database, for as long as it is asked.
pub struct Session {
    door: Door,
    asker: Asker,
}

enum Asker {
    Kafka(kafka::Asker),
    Druid(druid::Asker),
    Cassandra(cassandra::Asker),
    Hazelcast(hazelcast::Asker),
    ZooKeeper(zookeeper::Asker),
}

impl Session {
    /// Nothing is sent yet.
    pub fn new(cluster: &Cluster, database: &Database) -> Self {
        let asker = match database.kind.facts().questions.protocol {
            Protocol::Kafka => Asker::Kafka(kafka::Asker::default()),
            Protocol::Druid => Asker::Druid(druid::Asker::default()),
            Protocol::Cassandra => Asker::Cassandra(cassandra::Asker::default()),
            Protocol::Hazelcast => Asker::Hazelcast(hazelcast::Asker::default()),
            Protocol::ZooKeeper => Asker::ZooKeeper(zookeeper::Asker::default()),
        };
        Session { door: Door::new(cluster, database), asker }
    }

    /// Asks every pod that is Ready, all at once. What could not be asked says why.
    pub async fn ask(&mut self, roster: &Roster) -> Evidence {
        let door = &self.door;
        let evidence = match &mut self.asker {
            Asker::Kafka(asker) => Evidence::Kafka(asker.ask(door, roster).await),
            Asker::Druid(asker) => Evidence::Druid(asker.ask(door, roster).await),
            Asker::Cassandra(asker) => Evidence::Cassandra(asker.ask(door, roster).await),
            Asker::Hazelcast(asker) => Evidence::Hazelcast(asker.ask(door, roster).await),
            Asker::ZooKeeper(asker) => Evidence::ZooKeeper(asker.ask(door, roster).await),
        };
        heard(door, evidence).await
    }

    /// Has a pod take no more work, before it is restarted; what it still does ends by itself. Pods that
    /// [cannot be drained](crate::kinds::Questions), or have nobody to be told by, are left alone: that is `false`.
    ///
    /// # Errors
    /// It cannot be asked, or refuses.
    pub async fn drain(&mut self, place: &Place) -> Result<bool, Unasked> {
        match &mut self.asker {
            Asker::Druid(asker) => asker.disable(&self.door, place).await.map(|()| true),
            Asker::Cassandra(asker) => asker.drain(&self.door, place).await,
            Asker::Kafka(_) | Asker::Hazelcast(_) | Asker::ZooKeeper(_) => Ok(false),
        }
    }

    /// Has a pod that was drained and is not restarted after all take work again.
    ///
    /// # Errors
    /// It cannot be asked, or refuses.
    pub async fn undrain(&mut self, place: &Place) -> Result<(), Unasked> {
        match &mut self.asker {
            Asker::Druid(asker) => asker.enable(&self.door, place).await,
            Asker::Cassandra(_) => Err(Unasked::new(
                Obstacle::Unreachable,
                "a drained Cassandra node cannot be told to serve again",
            )),
            Asker::Kafka(_) | Asker::Hazelcast(_) | Asker::ZooKeeper(_) => Ok(()),
        }
    }

    /// Asks every pod that is Ready what [`Session::ask`] asks, and what its version still allows or needs.
    pub async fn examine(&mut self, roster: &Roster) -> Evidence {
        let door = &self.door;
        let evidence = match &mut self.asker {
            Asker::Kafka(asker) => Evidence::Kafka(asker.examine(door, roster).await),
            Asker::Cassandra(asker) => Evidence::Cassandra(asker.examine(door, roster).await),
            Asker::Hazelcast(asker) => Evidence::Hazelcast(asker.examine(door, roster).await),
            Asker::Druid(_) | Asker::ZooKeeper(_) => return self.ask(roster).await,
        };
        heard(door, evidence).await
    }

    /// Asks the database whether it would do that work, without having it done.
    ///
    /// # Errors
    /// It would refuse, or does not say.
    pub async fn try_out(&mut self, work: &Work, roster: &Roster) -> Result<(), Undone> {
        match &mut self.asker {
            // Its future is large.
            Asker::Kafka(asker) => Box::pin(asker.set(&self.door, roster, work, true)).await,
            _ => Ok(()),
        }
    }

    /// Has the database do that work, and waits until it says that it has. How far it is, is told to `progress`.
    ///
    /// # Errors
    /// It refuses, or it is not known whether it has done it.
    pub async fn perform(
        &mut self,
        work: &Work,
        roster: &Roster,
        progress: &UnboundedSender<WorkProgress>,
    ) -> Result<(), Undone> {
        match (&mut self.asker, work) {
            (Asker::Kafka(asker), work) => asker.set(&self.door, roster, work, false).await,
            (Asker::Cassandra(asker), Work::RewriteFiles { pod, tool, .. }) => {
                let place = roster.ready().find(|place| place.pod == *pod);
                let place = place.ok_or_else(|| Undone::Refused(format!("{pod} is not Ready")))?;
                asker.rewrite(&self.door, place, *tool, progress).await
            }
            _ => Ok(()),
        }
    }
}

/// After credentials that were rejected, the next question is asked with those of then.
async fn heard(door: &Door, evidence: Evidence) -> Evidence {
    if evidence.failed().iter().any(|(_, unasked)| unasked.obstacle == Obstacle::Credentials) {
        door.forget_login().await;
    }
    evidence
}

/// Why a work is not known to be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undone {
    /// The database refuses, in its own words; nothing was done.
    #[error("{0}")]
    Refused(String),
    /// It could not be asked, or its answer was lost: whether it was done has to be looked up.
    #[error("{0}")]
    Unknown(String),
}
