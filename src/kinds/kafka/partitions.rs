//! The partitions that lack a replica or a leader in the view of any broker, and which broker has to stay for their sake.

use std::collections::{BTreeMap, BTreeSet};

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
    views: &'a Views<'a>,
}

/// A partition that lacks a replica or a leader, as one broker sees it.
#[derive(Debug)]
struct Troubled<'a> {
    topic: &'a str,
    index: i32,
    leader: Option<i32>,
    /// Those that serve and are in sync.
    in_sync: BTreeSet<i32>,
    /// Without those that a reassignment is making.
    replicas: Vec<i32>,
    serving: &'a [i32],
    min_insync: Option<u32>,
}

/// The topics that count, which KubeDB's own does not.
pub(super) fn topics(broker: &Broker) -> impl Iterator<Item = &Topic> {
    broker.topics.iter().filter(|topic| topic.name != HEALTH_CHECK)
}

impl<'a> Partitions<'a> {
    pub fn of(views: &'a Views<'a>) -> Self {
        let mut troubled = Vec::new();
        for view in &views.said {
            let present: Vec<i32> =
                view.broker.serving.iter().filter(|id| views.answers(**id)).copied().collect();
            for topic in topics(view.broker) {
                let ill = |p: &&Partition| !is_well(p, &present);
                troubled.extend(topic.partitions.iter().filter(ill).map(|p| seen(topic, p, view.broker)));
            }
        }
        troubled
            .sort_by(|a, b| (a.topic, a.index, a.in_sync.len()).cmp(&(b.topic, b.index, b.in_sync.len())));
        Partitions { troubled, views }
    }

    /// Whether the partitions can bear that the broker is restarted. Kafka counts on a broker that has died until its session
    /// ends, 9 s later; so only those are counted here whose pods are Ready, and a pod that does not answer leaves it open
    /// whether its replicas are there.
    pub fn may_go(&self, broker: i32) -> Verdict {
        let short = |is_there: &dyn Fn(i32) -> bool| {
            self.by_cause(|partition| partition.short_of(broker, is_there, |id| self.views.has(id)))
        };
        let known = short(&|id| !self.views.is_away(id));
        let known = known.iter().map(|(lack, names)| match names.len() {
            1 => format!("{} has {lack}", listed(names)),
            _ => format!("{} have {lack}", listed(names)),
        });
        let known = Verdict::unless(known.collect());
        let undecided = self.by_cause(|partition| partition.is_undecided(broker).then_some(()));
        let undecided = undecided.into_iter().map(|((), names)| listed(&names));
        let mut unknown: Vec<String> =
            undecided.map(|names| format!("min.insync.replicas of {names} is not known")).collect();
        if !short(&|id| self.views.answers(id)).is_empty() {
            unknown
                .extend(self.views.silent().filter(|(id, _)| *id != broker).map(|(_, why)| why.to_owned()));
        }
        let unknown = if unknown.is_empty() { Verdict::Yes } else { Verdict::Unknown { why: unknown } };
        known.and(unknown)
    }

    /// Whether the broker has caught up with everything that it holds.
    pub fn back(&self, broker: i32) -> Verdict {
        let lacking = self.by_cause(|partition| partition.lacks(broker).then_some(()));
        let lacking = lacking.into_iter().map(|((), names)| listed(&names));
        Verdict::unless(
            lacking.map(|names| format!("broker {broker} is not in the ISR of {names}")).collect(),
        )
    }

    /// In how many partitions the broker is a replica that is not in sync.
    pub fn behind(&self, broker: i32) -> usize {
        let behind = self.troubled.iter().filter(|partition| partition.lacks(broker));
        behind.map(|partition| (partition.topic, partition.index)).collect::<BTreeSet<_>>().len()
    }

    /// The partitions that share a cause, each by the worst view that has one.
    fn by_cause<C: Ord>(&self, cause: impl Fn(&Troubled<'_>) -> Option<C>) -> BTreeMap<C, Vec<String>> {
        let causes = self.troubled.iter().filter_map(|partition| Some((partition, cause(partition)?)));
        let mut causes: Vec<_> = causes.collect();
        causes.dedup_by_key(|(partition, _)| (partition.topic, partition.index));
        let mut shared: BTreeMap<C, Vec<String>> = BTreeMap::new();
        for (partition, cause) in causes {
            shared.entry(cause).or_default().push(partition.name());
        }
        shared
    }
}

/// The first three partitions, and how many there are besides.
fn listed(names: &[String]) -> String {
    match names {
        [] | [_] => names.concat(),
        [one, two] => format!("{one} and {two}"),
        [one, two, three] => format!("{one}, {two} and {three}"),
        [one, two, three, _] => format!("{one}, {two}, {three} and 1 more partition"),
        [one, two, three, more @ ..] => format!("{one}, {two}, {three} and {} more partitions", more.len()),
    }
}

/// It is led, and every replica is there and in sync: then it can lose any one of them, unless it has too few to begin with.
fn is_well(partition: &Partition, present: &[i32]) -> bool {
    let well = |replica: &i32| partition.in_sync.contains(replica) && present.contains(replica);
    partition.leader.is_some_and(|leader| present.contains(&leader)) && partition.replicas.iter().all(well)
}

fn seen<'a>(topic: &'a Topic, partition: &Partition, view: &'a Broker) -> Troubled<'a> {
    let moving = view.moving.as_deref().unwrap_or_default();
    let this = |moving: &&Moving| moving.topic == topic.name && moving.partition == partition.index;
    let adding = moving.iter().find(this).map(|moving| moving.adding.as_slice()).unwrap_or_default();
    let serves = |replica: &i32| view.serving.contains(replica);
    Troubled {
        topic: &topic.name,
        index: partition.index,
        leader: partition.leader.filter(serves),
        in_sync: partition.in_sync.iter().copied().filter(serves).collect(),
        replicas: partition.replicas.iter().filter(|replica| !adding.contains(replica)).copied().collect(),
        serving: &view.serving,
        min_insync: topic.min_insync,
    }
}

impl Troubled<'_> {
    fn name(&self) -> String {
        format!("{}-{}", self.topic, self.index)
    }

    fn holds(&self, broker: i32) -> bool {
        self.replicas.contains(&broker) || self.in_sync.contains(&broker)
    }

    fn lacks(&self, broker: i32) -> bool {
        self.replicas.contains(&broker) && !self.in_sync.contains(&broker)
    }

    /// It lacks a replica, and how many it needs is not known.
    fn is_undecided(&self, broker: i32) -> bool {
        self.min_insync.is_none() && self.holds(broker)
    }

    /// What the partition has too few of for the broker to go, if so. The rule is that of Strimzi's `KafkaAvailability`: without it, no fewer replicas may be in
    /// sync than `min.insync.replicas`. A partition that has no more replicas than that is unavailable during any restart of
    /// one of them, so that waiting does not help, unless it would be left without any replica in sync while another one, whose
    /// broker [has a pod](Views::has), can still catch up. Where a single replica in sync is allowed, a broker leaves two behind
    /// nevertheless if the partition has more than two: one that goes must not leave the only copy of what is written meanwhile.
    fn short_of(
        &self,
        broker: i32,
        is_there: impl Fn(i32) -> bool,
        has_pod: impl Fn(i32) -> bool,
    ) -> Option<String> {
        if !self.holds(broker) {
            return None;
        }
        if !self.leader.is_some_and(|leader| leader == broker || is_there(leader)) {
            return Some("no leader".to_owned());
        }
        let min = usize::try_from(self.min_insync?).ok()?;
        let replicas = self.replicas.len();
        let needed = match self.in_sync.contains(&broker) {
            true => min.max(replicas.saturating_sub(1).min(2)),
            false => min,
        };
        let in_sync = |id: i32| self.in_sync.contains(&id) && is_there(id);
        let left = self.in_sync.iter().filter(|id| **id != broker && in_sync(**id)).count();
        let may_catch_up = || self.replicas.iter().any(|id| *id != broker && !in_sync(*id) && has_pod(*id));
        let short = if replicas > min { left < needed } else { left == 0 && may_catch_up() };
        short.then(|| self.shortage(min, is_there))
    }

    /// How many replicas are in sync, and how the others are doing.
    fn shortage(&self, min: usize, is_there: impl Fn(i32) -> bool) -> String {
        let in_sync = self.in_sync.iter().filter(|id| is_there(**id)).count();
        let counts =
            format!("{in_sync} of {} in-sync replicas (min.insync.replicas {min})", self.replicas.len());
        let missing = self.replicas.iter().copied().filter(|id| !self.in_sync.contains(id) || !is_there(*id));
        let (late, away): (Vec<i32>, Vec<i32>) =
            missing.partition(|id| self.serving.contains(id) && is_there(*id));
        let states = [(late, "still catching up"), (away, "not serving")].map(|(brokers, state)| {
            let ids = brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
            match brokers.len() {
                0 => String::new(),
                1 => format!("; broker {ids} is {state}"),
                _ => format!("; brokers {ids} are {state}"),
            }
        });
        counts + &states.concat()
    }
}
