//! What only Kafka knows and a user should know before pods are restarted.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::evidence::kafka::{Node, Topic};
use crate::model::{Check, Remark, Roster};

use super::finish::{METADATA, words};
use super::partitions::topics;
use super::quorum::Controllers;
use super::release;
use super::views::Views;

/// In the order of their weight.
pub(super) fn of(views: &Views<'_>, controllers: Option<&Controllers<'_>>, roster: &Roster) -> Vec<Remark> {
    let brokers = roster.places.iter().filter_map(Node::of).filter(|node| node.broker).count();
    let mut found = match brokers {
        1 => vec![remark(
            Check::OneReplica,
            "there is only one broker: every topic is unavailable while it restarts".to_owned(),
        )],
        _ => few_replicas(views),
    };
    let late = controllers.map(Controllers::late).unwrap_or_default();
    found.extend(late.into_iter().map(|late| remark(Check::Replication, late)));
    found.extend(moving(views));
    found.extend(versions(views));
    found
}

/// The topics that no restart can spare, by why.
fn few_replicas(views: &Views<'_>) -> Vec<Remark> {
    let (mut single, mut few) = (BTreeSet::new(), BTreeSet::new());
    for topic in views.said.iter().flat_map(|view| topics(view.broker)) {
        match fewest_replicas(topic) {
            Some(1) => single.insert(topic.name.as_str()),
            Some(n)
                if topic.min_insync.is_some_and(|min| n <= usize::try_from(min).unwrap_or(usize::MAX)) =>
            {
                few.insert(topic.name.as_str())
            }
            _ => false,
        };
    }
    let single = (!single.is_empty()).then(|| {
        let names = named(&single);
        format!("topics with a single replica, unavailable while the broker that holds it restarts: {names}")
    });
    let few = (!few.is_empty()).then(|| {
        let names = named(&few);
        format!("topics with no more replicas than min.insync.replicas, to which producers with acks=all cannot write while one of their brokers restarts: {names}")
    });
    single.into_iter().chain(few).map(|message| remark(Check::Replication, message)).collect()
}

fn fewest_replicas(topic: &Topic) -> Option<usize> {
    topic.partitions.iter().map(|partition| partition.replicas.len()).min()
}

fn moving(views: &Views<'_>) -> Option<Remark> {
    let lists = views.said.iter().filter_map(|view| view.broker.moving.as_ref().ok());
    let moving: BTreeSet<String> =
        lists.flatten().map(|moving| format!("{}-{}", moving.topic, moving.partition)).collect();
    let names = named(&moving);
    (!moving.is_empty())
        .then(|| remark(Check::DataMoving, format!("partitions are being reassigned: {names}")))
}

fn versions(views: &Views<'_>) -> Option<Remark> {
    let mut versions: BTreeMap<i16, Vec<&str>> = BTreeMap::new();
    for view in &views.said {
        if let Some(level) = view.broker.features.highest(METADATA) {
            versions.entry(level).or_default().push(view.pod);
        }
    }
    let each = versions.iter().map(|(level, pods)| {
        let version = release::of(*level)
            .map_or_else(|| format!("{METADATA} {}", words(METADATA, *level)), str::to_owned);
        format!("{} on {}", pods.join(", "), version)
    });
    let each = each.collect::<Vec<_>>().join("; ");
    (versions.len() > 1)
        .then(|| remark(Check::MemberVersions, format!("brokers run different versions: {each}")))
}

/// The first five names, and how many there are besides.
fn named<T: AsRef<str>>(names: &BTreeSet<T>) -> String {
    let first: Vec<&str> = names.iter().take(5).map(AsRef::as_ref).collect();
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn remark(check: Check, message: String) -> Remark {
    Remark { check, message }
}
