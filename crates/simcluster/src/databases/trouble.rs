//! What can be wrong with a simulated database, and with what it answers.

use std::time::Duration;

use tokio::time::Instant;

use crate::pattern::Pattern;

/// Something that is wrong. Where it names pods, `*` stands for any text, and all namespaces are meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// These pods take this long from their Ready until they are in their database again.
    SlowRejoin {
        /// Which.
        pods: String,
        /// How long. [`Duration::MAX`] means: not before this trouble is over.
        delay: Duration,
    },
    /// Whoever leads loses that to another member this long after each question.
    LeaderMoves {
        /// How long.
        after: Duration,
    },
    /// These pods do not answer as they should, though their database is well.
    Answers {
        /// Which.
        pods: String,
        /// What they do instead.
        how: Misanswer,
    },
    /// These pods are members of another cluster of the same kind: somebody else's process at a known address.
    OtherCluster {
        /// Which.
        pods: String,
    },
    /// These pods believe that they lead, besides the one that does.
    ClaimsToLead {
        /// Which.
        pods: String,
    },
    /// A Kafka broker is far behind on one partition.
    Lagging {
        /// The topic.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// The broker's id.
        broker: i32,
    },
    /// A Kafka broker that has come back takes this much longer for one partition than for all others.
    SlowReplica {
        /// The topic.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// How much longer.
        delay: Duration,
    },
    /// A Kafka partition is being moved to other brokers.
    Reassigning {
        /// The topic.
        topic: String,
        /// The partition's number.
        partition: i32,
    },
    /// Something happens to the next request that changes the features of a Kafka, and is over with it.
    FeatureUpdate(Mishap),
    /// These Cassandra nodes have another schema than the rest.
    OtherSchema {
        /// Which.
        pods: String,
    },
    /// This Cassandra node takes another for dead that is up.
    SeesDown {
        /// Who sees it so.
        pod: String,
        /// Whom.
        other: String,
    },
    /// A Cassandra node streams data to another.
    Streaming {
        /// Which.
        pod: String,
    },
    /// These Cassandra nodes fail to rewrite their sstables, half way.
    CannotRewrite {
        /// Which.
        pods: String,
    },
    /// The connections to nodetool in these pods break as soon as it has told its node what to do.
    LosesCommands {
        /// Which.
        pods: String,
    },
    /// The Hazelcast of these pods is migrating partitions.
    Migrating {
        /// Which.
        pods: String,
    },
    /// This Hazelcast member has lost all others, and thinks itself a cluster of one.
    Island {
        /// Which.
        pod: String,
    },
    /// These Druid historicals are still loading segments.
    Loading {
        /// Which.
        pods: String,
    },
    /// The leading Druid coordinator has not counted the segments since it leads, as a real one has not before its first run
    /// (`druid.coordinator.startDelay`).
    Uncounted,
    /// While it balances a Druid, the coordinator has had one historical too many drop a segment, and has another segment that it
    /// moves served once more: together they are served as often as they should be, and its last count is of before (seen with
    /// 25.0.0).
    Unbalanced,
    /// These Druid brokers answer no question in SQL, but all others.
    NoSql {
        /// Which.
        pods: String,
        /// With which status instead. Without one they never answer.
        code: Option<u16>,
    },
    /// A task of a user runs on this middleManager.
    Task {
        /// Which.
        pod: String,
        /// For how long it goes on once the middleManager takes no new tasks.
        hand_off: Duration,
    },
}

/// What a pod does instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misanswer {
    /// It refuses connections.
    Refuse,
    /// It breaks the connection in the middle of its first answer.
    Reset,
    /// It answers with bytes that mean nothing.
    Garbage,
    /// It answers with a GiB.
    Endless,
    /// It never answers.
    Hang,
    /// It accepts no credentials.
    RejectCredentials,
}

/// What happens to a request for a change of the features of a Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// The connection ends without an answer.
    Lost {
        /// Whether the change was made before.
        done: bool,
    },
    /// There is never an answer, and the change is made after this time.
    Late(Duration),
    /// The broker answers with this error of Kafka.
    Error {
        /// Its number.
        code: i16,
        /// Whether the change was made all the same.
        done: bool,
    },
    /// The broker says that it has been done, and nothing has.
    Lie,
    /// The broker answers with bytes that mean nothing, and nothing is done.
    Nonsense,
}

/// A trouble, and when it is over by itself.
#[derive(Clone, Debug)]
pub(super) struct Timed {
    pub trouble: Trouble,
    pub until: Option<Instant>,
}

impl Timed {
    pub fn holds_at(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Whether a pattern means a pod.
pub(super) fn means(pattern: &str, pod: &str) -> bool {
    Pattern::new(pattern).matches(pod)
}
