//! What the brokers of a Kafka answer. Ids are those of Kafka's nodes.

use super::Said;
use crate::model::{Place, Unasked};

/// A pod as a node of Kafka: who is asked and who is judged as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// KubeDB numbers brokers and combined nodes by their ordinals, and controllers from 1000.
    pub id: i32,
    pub broker: bool,
    pub controller: bool,
}

impl Node {
    /// `None` if the pod is no node, such as the Cruise Control.
    pub fn of(place: &Place) -> Option<Self> {
        let ordinal = i32::try_from(place.ordinal).ok()?;
        match place.role.trim_end_matches('s') {
            "broker" => Some(Node { id: ordinal, broker: true, controller: false }),
            "controller" => Some(Node { id: ordinal.checked_add(1000)?, broker: false, controller: true }),
            "all" | "combined" => Some(Node { id: ordinal, broker: true, controller: true }),
            _ => None,
        }
    }
}

/// The answers of all nodes that were asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    pub brokers: Vec<Said<Broker>>,
    /// The controllers that are no brokers. They are asked only when it is to be found out what is left of an update.
    pub controllers: Vec<Said<Features>>,
}

/// What one broker says: its own view, which may be an old one if it is cut off from the controllers.
#[derive(Debug, Clone, PartialEq)]
pub struct Broker {
    /// The id of the cluster that it belongs to.
    pub cluster: String,
    /// The brokers that serve. One that is fenced, because it starts or its controllers do not hear from it, is not among
    /// them.
    pub serving: Vec<i32>,
    pub topics: Vec<Topic>,
    /// What the active controller answers through this broker. No controller answers, or none leads, if the obstacle is
    /// [`Unreachable`](crate::model::Obstacle::Unreachable) or [`TimedOut`](crate::model::Obstacle::TimedOut): the broker
    /// itself has answered.
    pub quorum: Result<Quorum, Unasked>,
    /// The partitions that are being reassigned, as the active controller says through this broker.
    pub moving: Result<Vec<Moving>, Unasked>,
    pub features: Features,
}

/// The features of the cluster, as one node knows them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    /// What the node's own release knows.
    pub supported: Vec<Supported>,
    /// The levels that are in force by the metadata that the node has. What is not listed is at level 0.
    pub finalized: Vec<(String, i16)>,
    /// How far in the metadata the node was when it said so, in offsets of its log. `None` if it has none yet, so that nothing
    /// is known of the levels. It is no count of changes: brokers raise it with every record, controllers with every change.
    pub epoch: Option<i64>,
}

/// A feature, and the levels of it that a node supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supported {
    pub name: String,
    pub min: i16,
    pub max: i16,
}

impl Features {
    /// The highest level of a feature that the node supports. `None` if it does not name the feature.
    pub fn highest(&self, feature: &str) -> Option<i16> {
        self.supported(feature).map(|supported| supported.max)
    }

    /// What the node supports of a feature.
    pub fn supported(&self, feature: &str) -> Option<&Supported> {
        self.supported.iter().find(|supported| supported.name == feature)
    }

    /// The level of a feature that is in force, as the node knows it. `None` if it has no metadata yet.
    pub fn level(&self, feature: &str) -> Option<i16> {
        self.epoch?;
        let found = self.finalized.iter().find(|(name, _)| name == feature);
        Some(found.map_or(0, |(_, level)| *level))
    }
}

/// A topic and the state of its partitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    pub name: String,
    /// The value of `min.insync.replicas` that is in force; `None` if it is not known.
    pub min_insync: Option<u32>,
    pub partitions: Vec<Partition>,
}

/// A partition as `Metadata` describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition {
    pub index: i32,
    pub leader: Option<i32>,
    /// All replicas, with those that a reassignment adds.
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
}

/// The quorum of the controllers, as its leader describes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Quorum {
    pub leader: Option<i32>,
    pub epoch: i32,
    pub voters: Vec<Follower>,
    /// The brokers that are no controllers.
    pub observers: Vec<Follower>,
}

/// A node that follows the metadata of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follower {
    pub id: i32,
    /// When it last had all of the metadata: milliseconds by the leader's clock; `None` if it never had.
    pub caught_up: Option<i64>,
}

/// A partition that is being reassigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving {
    pub topic: String,
    pub partition: i32,
    /// The replicas that are being made.
    pub adding: Vec<i32>,
}
