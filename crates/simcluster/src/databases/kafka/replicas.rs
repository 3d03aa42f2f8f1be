//! Which replicas of a partition are in sync, and who leads it.

use crate::databases::contents::Topic;
use crate::databases::member::Member;
use crate::databases::office::CONTROLLER;
use crate::databases::trouble::Trouble;
use crate::databases::view::View;

/// The roles of brokers.
pub(in crate::databases) const BROKERS: [&str; 2] = ["broker", "combined"];

/// The id of a member in KubeDB's numbering.
pub(super) fn node_id(member: &Member) -> i32 {
    if member.role == "controller" { 1000 + member.ordinal } else { member.ordinal }
}

/// The ids of all controllers that there should be.
pub(super) fn voters(view: &View) -> Vec<i32> {
    let first = if view.size_of("combined") > 0 { 0 } else { 1000 };
    let count = i32::try_from(view.size_for(&CONTROLLER)).unwrap_or_default();
    (first..first + count).collect()
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub number: i32,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
    /// `None` if no replica is in sync.
    pub leader: Option<i32>,
}

/// The partitions of a topic, by number.
pub(super) fn partitions(view: &View, topic: &Topic) -> Vec<Partition> {
    let numbered = (0_i32..).zip(&topic.replicas);
    numbered
        .map(|(number, replicas)| {
            let mut in_sync = replicas.clone();
            in_sync.retain(|broker| is_in_sync(view, topic, number, *broker));
            Partition { number, replicas: replicas.clone(), leader: in_sync.first().copied(), in_sync }
        })
        .collect()
}

fn is_in_sync(view: &View, topic: &Topic, partition: i32, broker: i32) -> bool {
    let brokers = view.present(&BROKERS);
    let Some(member) = brokers.into_iter().find(|member| node_id(member) == broker) else { return false };
    let back = member.joined.and_then(|joined| joined.at);
    !view.any(|trouble| match trouble {
        Trouble::Lagging { topic: of, partition: number, broker: who } => {
            *of == topic.name && *number == partition && *who == broker
        }
        Trouble::SlowReplica { topic: of, partition: number, delay } => {
            let catches_up =
                back.is_some_and(|back| back.checked_add(*delay).is_none_or(|end| view.now < end));
            *of == topic.name && *number == partition && catches_up
        }
        _ => false,
    })
}

/// The partition for whose sake a broker must stay, if there is one: without the broker it would have too few replicas in
/// sync, or has too few already. One that never has more replicas than it needs holds nobody back.
pub(in crate::databases) fn holds_back(view: &View, member: &Member) -> Option<String> {
    if !BROKERS.contains(&member.role.as_str()) {
        return None;
    }
    let broker = node_id(member);
    let of_topic = |topic: &Topic| {
        let least = usize::try_from(topic.min_in_sync).unwrap_or_default();
        let partition = partitions(view, topic).into_iter().find(|partition| {
            let in_sync = partition.in_sync.len();
            let needs_all = in_sync == least && partition.in_sync.contains(&broker);
            partition.replicas.contains(&broker)
                && partition.replicas.len() > least
                && (in_sync < least || needs_all)
        })?;
        let (name, number, in_sync) = (&topic.name, partition.number, partition.in_sync.len());
        Some(format!("{name}-{number} has {in_sync} replicas in sync and needs {least}"))
    };
    view.contents.topics.iter().find_map(of_topic)
}
