//! The partitions that lack a replica or a leader in the view of any broker, and which broker has to stay for their sake.

use std::collections::BTreeSet;

use crate::model::Verdict;
use crate::model::evidence::kafka::{Broker, Moving, Partition, Topic};

use super::views::Views;

/// The topic that KubeDB's health checker makes, writes to and reads.
const HEALTH_CHECK: &str = "kafka-health";

/// What any broker's view has against the partitions. The worst view of a partition counts: a broker that is cut off from the
/// controllers goes on seeing replicas in sync that have long fallen behind.
pub(super) struct Partitions<'a> {
    /// By topic, number and the replicas that are left in sync, so that the worst view of a partition comes first.
    troubled: Vec<Troubled<'a>>,
}

/// A partition that lacks a replica or a leader, as one broker sees it.
#[derive(Debug)]
struct Troubled<'a> {
    topic: &'a str,
    index: i32,
    /// Those that serve and are in sync.
    in_sync: Vec<i32>,
    /// Without those that a reassignment is making.
    replicas: Vec<i32>,
    serving: &'a [i32],
    led: bool,
    min_insync: Option<u32>,
}

/// The topics that count, which KubeDB's own does not.
pub(super) fn topics(broker: &Broker) -> impl Iterator<Item = &Topic> {
    broker.topics.iter().filter(|topic| topic.name != HEALTH_CHECK)
}

impl<'a> Partitions<'a> {
    pub fn of(views: &Views<'a>) -> Self {
        let mut troubled = Vec::new();
        for view in &views.said {
            for topic in topics(view.broker) {
                let ill = |p: &&Partition| !is_well(p, &view.broker.serving);
                troubled.extend(topic.partitions.iter().filter(ill).map(|p| seen(topic, p, view.broker)));
            }
        }
        troubled
            .sort_by(|a, b| (a.topic, a.index, a.in_sync.len()).cmp(&(b.topic, b.index, b.in_sync.len())));
        Partitions { troubled }
    }

    /// Whether the partitions can bear that the broker is restarted.
    pub fn may_go(&self, broker: i32) -> Verdict {
        let unknown = self.reasons(|partition| partition.undecided(broker));
        let known = Verdict::unless(self.reasons(|partition| partition.blocks(broker)));
        let unknown = if unknown.is_empty() { Verdict::Yes } else { Verdict::Unknown { why: unknown } };
        known.and(unknown)
    }

    /// Whether the broker has caught up with everything that it holds.
    pub fn back(&self, broker: i32) -> Verdict {
        match self.behind(broker) {
            0 => Verdict::Yes,
            _ => Verdict::unless(self.reasons(|partition| {
                let name = format!("{}-{}", partition.topic, partition.index);
                partition.lacks(broker).then(|| format!("broker {broker} is not in the ISR of {name}"))
            })),
        }
    }

    /// In how many partitions the broker is a replica that is not in sync.
    pub fn behind(&self, broker: i32) -> usize {
        let behind = self.troubled.iter().filter(|partition| partition.lacks(broker));
        behind.map(|partition| (partition.topic, partition.index)).collect::<BTreeSet<_>>().len()
    }

    /// One reason for each partition.
    fn reasons(&self, reason: impl Fn(&Troubled<'_>) -> Option<String>) -> Vec<String> {
        let mut found: Vec<((&str, i32), String)> = self
            .troubled
            .iter()
            .filter_map(|partition| Some(((partition.topic, partition.index), reason(partition)?)))
            .collect();
        found.dedup_by_key(|(partition, _)| *partition);
        found.into_iter().map(|(_, reason)| reason).collect()
    }
}

/// It is led, and every replica serves and is in sync: then it can lose any one of them, unless it has too few to begin with.
fn is_well(partition: &Partition, serving: &[i32]) -> bool {
    let well = |replica: &i32| partition.in_sync.contains(replica) && serving.contains(replica);
    partition.leader.is_some_and(|leader| serving.contains(&leader)) && partition.replicas.iter().all(well)
}

fn seen<'a>(topic: &'a Topic, partition: &Partition, view: &'a Broker) -> Troubled<'a> {
    let moving = view.moving.as_deref().unwrap_or_default();
    let this = |moving: &&Moving| moving.topic == topic.name && moving.partition == partition.index;
    let adding = moving.iter().find(this).map(|moving| moving.adding.as_slice()).unwrap_or_default();
    let in_sync: BTreeSet<i32> =
        partition.in_sync.iter().filter(|replica| view.serving.contains(replica)).copied().collect();
    Troubled {
        topic: &topic.name,
        index: partition.index,
        in_sync: in_sync.into_iter().collect(),
        replicas: partition.replicas.iter().filter(|replica| !adding.contains(replica)).copied().collect(),
        serving: &view.serving,
        led: partition.leader.is_some_and(|leader| view.serving.contains(&leader)),
        min_insync: topic.min_insync,
    }
}

impl Troubled<'_> {
    fn holds(&self, broker: i32) -> bool {
        self.replicas.contains(&broker) || self.in_sync.contains(&broker)
    }

    fn lacks(&self, broker: i32) -> bool {
        self.replicas.contains(&broker) && !self.in_sync.contains(&broker)
    }

    /// It lacks a replica, and how many it needs is not known.
    fn undecided(&self, broker: i32) -> Option<String> {
        let open =
            self.min_insync.is_none() && self.holds(broker) && self.in_sync.len() < self.replicas.len();
        open.then(|| format!("min.insync.replicas of {} is not known", self.topic))
    }

    /// Why the broker has to stay. The rule is that of Strimzi's `KafkaAvailability`: without it, no fewer replicas may be in
    /// sync than `min.insync.replicas`. A partition that has no more replicas than that is unavailable during any restart of
    /// one of them, so that waiting does not help. Where a single replica in sync is allowed, a broker leaves two behind
    /// nevertheless if the partition has more than two: one that goes must not leave the only copy of what is written meanwhile.
    fn blocks(&self, broker: i32) -> Option<String> {
        if !self.holds(broker) {
            return None;
        }
        let name = format!("{}-{}", self.topic, self.index);
        if !self.led {
            return Some(format!("{name} has no leader"));
        }
        let min = usize::try_from(self.min_insync?).ok()?;
        let (replicas, in_sync) = (self.replicas.len(), self.in_sync.len());
        let goes = self.in_sync.contains(&broker);
        let needed = if goes { min.max(replicas.saturating_sub(1).min(2)) } else { min };
        if replicas <= min || in_sync - usize::from(goes) >= needed {
            return None;
        }
        let counts =
            format!("{name} has {in_sync} of {replicas} in-sync replicas (min.insync.replicas {min})");
        Some([counts].into_iter().chain(self.missing()).collect::<Vec<_>>().join("; "))
    }

    /// Which replicas are not in sync, and how they are doing.
    fn missing(&self) -> impl Iterator<Item = String> {
        let missing = self.replicas.iter().filter(|replica| !self.in_sync.contains(replica));
        let (late, away): (Vec<i32>, Vec<i32>) =
            missing.copied().partition(|replica| self.serving.contains(replica));
        [(late, "still catching up"), (away, "not serving")].into_iter().filter_map(|(brokers, state)| {
            let ids = brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
            match brokers.len() {
                0 => None,
                1 => Some(format!("broker {ids} is {state}")),
                _ => Some(format!("brokers {ids} are {state}")),
            }
        })
    }
}
