use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of database that the tool can update, named as the API spells it. All else about it is in `kinds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    Kafka,
    Druid,
    Cassandra,
    Hazelcast,
    ZooKeeper,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
