//! The offices of a database: what one member at a time is for all the others.

use super::member::Member;
use crate::kubedb::kind::Kind;

/// An office, and who may hold it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Office {
    pub name: &'static str,
    /// The roles whose members may hold it; empty for all.
    roles: &'static [&'static str],
    /// Whether more than half of them must be in.
    pub needs_quorum: bool,
    /// Whether the holder may lose it without leaving.
    pub may_move: bool,
    preference: Preference,
}

/// Who of those who may gets an office.
#[derive(Debug, PartialEq, Eq)]
enum Preference {
    /// The lowest ordinal: of equals, somebody has to be first.
    First,
    /// The highest id, as ZooKeeper elects among members with the same transactions.
    Last,
    /// Who has been in for longest.
    Oldest,
}

/// Kafka's active controller.
pub(super) const CONTROLLER: Office = Office {
    name: "controller",
    roles: &["controller", "combined"],
    needs_quorum: true,
    may_move: true,
    preference: Preference::First,
};

/// ZooKeeper's leader.
pub(super) const LEADER: Office =
    Office { name: "leader", roles: &[], needs_quorum: true, may_move: true, preference: Preference::Last };

/// Hazelcast's master: by definition the oldest member.
pub(super) const MASTER: Office = Office {
    name: "master",
    roles: &[],
    needs_quorum: false,
    may_move: false,
    preference: Preference::Oldest,
};

/// Druid's leading coordinator.
pub(super) const COORDINATOR: Office = Office {
    name: "coordinator",
    roles: &["coordinators"],
    needs_quorum: false,
    may_move: true,
    preference: Preference::First,
};

/// Druid's leading overlord.
pub(super) const OVERLORD: Office = Office { name: "overlord", roles: &["overlords"], ..COORDINATOR };

/// The offices that a database of the kind has.
pub(super) fn offices(kind: Kind) -> &'static [Office] {
    match kind {
        Kind::Kafka => &[CONTROLLER],
        Kind::ZooKeeper => &[LEADER],
        Kind::Hazelcast => &[MASTER],
        Kind::Druid => &[COORDINATOR, OVERLORD],
        Kind::Cassandra => &[],
    }
}

impl Office {
    /// Whether members of a role may hold it.
    pub fn is_for(&self, role: &str) -> bool {
        self.roles.is_empty() || self.roles.contains(&role)
    }

    /// The pod of the candidate that gets it.
    pub fn choose<'a>(&self, candidates: &[&'a Member]) -> Option<&'a str> {
        let by_ordinal = candidates.iter().copied();
        let chosen = match self.preference {
            Preference::First => by_ordinal.min_by_key(|member| member.ordinal),
            Preference::Last => by_ordinal.max_by_key(|member| member.ordinal),
            Preference::Oldest => by_ordinal.min_by_key(|member| member.joined.map(|joined| joined.place)),
        };
        chosen.map(|member| member.pod.as_str())
    }
}
