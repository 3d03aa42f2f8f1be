//! What the pods of a database answered at one moment, as they said it. `database/` fills it in and judges nothing;
//! `kinds/` judges it and asks nothing.

pub mod cassandra;
pub mod druid;
pub mod hazelcast;
pub mod kafka;
pub mod zookeeper;

use super::Unasked;

/// The answers of one database.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    Kafka(kafka::Answers),
    Druid(druid::Answers),
    Cassandra(cassandra::Answers),
    Hazelcast(hazelcast::Answers),
    ZooKeeper(zookeeper::Answers),
}

impl Evidence {
    /// The pods that gave no answer of use, and why.
    pub fn failed(&self) -> Vec<(&str, &Unasked)> {
        fn of<T>(all: &[Said<T>]) -> Vec<(&str, &Unasked)> {
            all.iter().filter_map(|said| Some((said.pod.as_str(), said.said.as_ref().err()?))).collect()
        }
        match self {
            Evidence::Kafka(answers) => [of(&answers.brokers), of(&answers.controllers)].concat(),
            Evidence::Druid(answers) => of(&answers.pods),
            Evidence::Cassandra(answers) => of(&answers.pods),
            Evidence::Hazelcast(answers) => of(&answers.pods),
            Evidence::ZooKeeper(answers) => of(&answers.pods),
        }
    }

    /// How many pods were asked.
    pub fn asked(&self) -> usize {
        match self {
            Evidence::Kafka(answers) => answers.brokers.len() + answers.controllers.len(),
            Evidence::Druid(answers) => answers.pods.len(),
            Evidence::Cassandra(answers) => answers.pods.len(),
            Evidence::Hazelcast(answers) => answers.pods.len(),
            Evidence::ZooKeeper(answers) => answers.pods.len(),
        }
    }
}

/// The protocol in which the pods of a database are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Kafka,
    Druid,
    Cassandra,
    Hazelcast,
    ZooKeeper,
}

impl Protocol {
    /// Whether asking may take a user or a certificate, from the Secrets of the database. ZooKeeper's `mntr` needs no user, and its
    /// port speaks no TLS.
    pub fn takes_credentials(self) -> bool {
        self != Protocol::ZooKeeper
    }

    /// Whether what matters is on a page that a pod serves to everybody, so that it can be had by `pods/proxy` as well.
    pub fn has_open_pages(self) -> bool {
        matches!(self, Protocol::ZooKeeper | Protocol::Hazelcast)
    }
}

/// What one pod answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Said<T> {
    pub pod: String,
    /// The uid of the pod when it was asked: an answer says nothing about a later pod of the same name.
    pub uid: String,
    pub said: Result<T, Unasked>,
}
