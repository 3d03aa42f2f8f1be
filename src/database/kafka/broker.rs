//! What one broker is asked, how often, and in which order.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

use super::codec::Reader;
use super::connection::{Connection, Sent};
use super::message::{self, Answer};
use crate::model::evidence::kafka::{Broker, Features, Moving, Topic};
use crate::model::{Obstacle, Unasked};

/// For so long the configuration of topics, the list of reassignments and the features are taken to be what they were. None
/// of them changes while an update waits for replicas, and asking for the first two costs the broker much more than what is
/// asked every time.
const REMEMBERED: Duration = Duration::from_secs(10);

/// So long a broker may take to get an answer from the active controller. Without one it would go on trying for half a minute.
const CONTROLLER: Duration = Duration::from_secs(2);

/// A broker with many partitions works hard for an answer, and rests as long as that took before it is asked again, but no
/// longer than this.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// So many topics are asked for at once.
const BATCH: usize = 1_000;

/// A broker that has been asked, and what need not be asked again at once.
pub struct Asked<W> {
    pub connection: Connection<W>,
    features: Features,
    /// When they were asked for; `None` if they are to be asked for anew.
    features_since: Option<Instant>,
    /// `min.insync.replicas` by topic; `None` if the broker does not tell.
    min_insync: BTreeMap<String, Option<u32>>,
    moving: Result<Vec<Moving>, Unasked>,
    since: Option<Instant>,
    /// It rests until then.
    rested: Instant,
    /// An answer is missing, which would be taken for that to the next request.
    behind: bool,
}

impl<W: AsyncRead + AsyncWrite + Unpin> Asked<W> {
    /// A broker that accepts requests, and was not asked anything yet.
    pub fn new(connection: Connection<W>) -> Self {
        Asked {
            connection,
            features: Features::default(),
            features_since: None,
            min_insync: BTreeMap::new(),
            moving: Ok(Vec::new()),
            since: None,
            rested: Instant::now(),
            behind: false,
        }
    }

    /// Another question may follow on this connection.
    pub fn is_usable(&self) -> bool {
        !self.behind
    }

    /// The features may have changed since they were asked for.
    pub fn forget_features(&mut self) {
        self.features_since = None;
    }

    /// Asks for the topics, and through the broker for the controllers.
    ///
    /// # Errors
    /// The broker does not answer, or not as a Kafka does. That it gets nothing out of the active controller is an answer.
    pub async fn ask(&mut self) -> Result<Broker, Unasked> {
        sleep_until(self.rested).await;
        let asked = Instant::now();
        let long_ago = |since: Option<Instant>| since.is_none_or(|since| since.elapsed() >= REMEMBERED);
        let old = long_ago(self.since);
        let features = match long_ago(self.features_since) {
            true => Some(self.connection.send_for_features().await?),
            false => None,
        };
        let metadata = self.connection.send(message::METADATA, &message::all_topics()).await?;
        let quorum = self.connection.send(message::DESCRIBE_QUORUM, &message::quorum_state()).await?;
        let moving = match old {
            true => Some(self.send_for_reassignments().await?),
            false => None,
        };
        if let Some(sent) = features {
            self.features = self.connection.receive_features(sent).await?;
            self.features_since = Some(Instant::now());
        }
        let mut metadata = self.connection.receive(metadata, message::metadata).await.flatten()?;
        let quorum = self.forwarded(quorum, message::quorum).await?;
        if let Some(sent) = moving {
            self.moving = self.forwarded(sent, message::reassignments).await?;
        }
        if !self.behind {
            if old {
                self.min_insync.clear();
                self.since = Some(Instant::now());
            }
            self.learn_min_insync(&metadata.topics).await?;
        }
        self.rested = Instant::now() + asked.elapsed().min(LONGEST_REST);
        for topic in &mut metadata.topics {
            topic.min_insync = self.min_insync.get(&topic.name).copied().flatten();
        }
        Ok(Broker {
            cluster: metadata.cluster,
            serving: metadata.serving,
            topics: metadata.topics,
            quorum,
            moving: self.moving.clone(),
            features: self.features.clone(),
        })
    }

    /// The answer of the active controller, which the broker passes on.
    async fn forwarded<T>(
        &mut self,
        sent: Sent,
        read: impl FnOnce(&mut Reader<'_>) -> Option<Answer<T>>,
    ) -> Result<Result<T, Unasked>, Unasked> {
        // What is sent after a request that is not answered is not answered either.
        if !self.behind
            && let Ok(answer) = timeout(CONTROLLER, self.connection.receive(sent, read)).await
        {
            return answer;
        }
        self.behind = true;
        let why = format!("the broker gets no answer from them within {} s", CONTROLLER.as_secs());
        Ok(Err(Unasked::new(Obstacle::TimedOut, &why)))
    }

    async fn send_for_reassignments(&mut self) -> Result<Sent, Unasked> {
        let within = i32::try_from(CONTROLLER.as_millis()).unwrap_or(i32::MAX);
        self.connection.send(message::LIST_REASSIGNMENTS, &message::all_reassignments(within)).await
    }

    /// Asks for `min.insync.replicas` of the topics of which it is not known.
    async fn learn_min_insync(&mut self, topics: &[Topic]) -> Result<(), Unasked> {
        let names = topics.iter().map(|topic| topic.name.as_str());
        let missing: Vec<&str> = names.filter(|name| !self.min_insync.contains_key(*name)).collect();
        for batch in missing.chunks(BATCH) {
            let body = message::min_insync_of(batch);
            let mut told = self.connection.ask(message::DESCRIBE_CONFIGS, &body, message::min_insync).await?;
            let each = batch.iter().map(|name| ((*name).to_owned(), told.remove(*name)));
            self.min_insync.extend(each);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
