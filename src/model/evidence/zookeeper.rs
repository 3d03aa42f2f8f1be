//! What the servers of a ZooKeeper answer to `mntr`.

use super::Said;

/// The answers of all pods that were asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    pub pods: Vec<Said<Pod>>,
}

/// What one server says.
#[derive(Debug, Clone, PartialEq)]
pub enum Pod {
    /// It listens, but is not part of an ensemble that has a leader, so it serves nobody. `ruok` says `imok` all the same.
    NotServing,
    Serving(Monitor),
}

/// The values of a server that serves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Monitor {
    /// `3.9.1`, without the build.
    pub version: String,
    /// `leader`, `follower`, `observer` or `standalone`.
    pub server_state: String,
    /// Its part and the phase of the protocol, e.g. `leading - broadcast`; empty if it is alone.
    pub peer_state: String,
    /// How many servers vote, by the configuration of this one.
    pub quorum_size: Option<u32>,
    /// How many followers have all that was committed. Only a leader knows.
    pub synced_followers: Option<u32>,
    /// How many `sync` requests wait for an answer. Only a leader knows.
    pub pending_syncs: Option<u32>,
}
