//! What a broker answers, message by message: the layouts are those of Kafka's protocol guide.

use tokio::time::Instant;

use super::replicas::{self, Partition, node_id};
use super::wire::{Reader, Writer};
use crate::databases::asker::Asked;
use crate::databases::contents::Topic;
use crate::databases::id;
use crate::databases::member::Member;
use crate::databases::office::CONTROLLER;
use crate::databases::trouble::Trouble;

/// Error codes.
const UNKNOWN_TOPIC: i16 = 3;
const LEADER_NOT_AVAILABLE: i16 = 5;
const NOT_LEADER: i16 = 6;

/// Authorized operations that nobody has asked for.
const NOT_ASKED: i32 = i32::MIN;

const PORT: u16 = 9092;

const CONTROLLER_PORT: u16 = 9093;

/// The topic that holds the metadata of a cluster.
const METADATA: &str = "__cluster_metadata";

const TOPIC_RESOURCE: i8 = 2;
const BROKER_RESOURCE: i8 = 4;

/// The brokers that are registered: everyone who is Ready, caught up or not.
fn brokers(asked: &Asked) -> Vec<&Member> {
    let mut brokers = asked.view.members(&replicas::BROKERS);
    brokers.retain(|member| {
        member.ready.is_some() && asked.view.is_foreign(&member.pod) == asked.view.is_foreign(&asked.me.pod)
    });
    brokers
}

fn cluster_id(asked: &Asked) -> String {
    let foreign = asked.view.is_foreign(&asked.me.pod);
    id::short(if foreign { &asked.me.uid } else { &asked.view.uid })
}

fn host(asked: &Asked, member: &Member) -> String {
    let (name, namespace) = (&asked.view.name, &asked.view.namespace);
    format!("{}.{name}-pods.{namespace}.svc.cluster.local", member.pod)
}

fn write_brokers(asked: &Asked, out: &mut Writer) {
    out.list(&brokers(asked), |out, member| {
        out.int32(node_id(member));
        out.string(&host(asked, member));
        out.int32(i32::from(PORT));
        out.nullable(None);
        out.end();
    });
}

/// Brokers name any broker as the controller: they pass requests on to the active one.
fn some_broker(asked: &Asked) -> i32 {
    brokers(asked).first().map_or(-1, |member| node_id(member))
}

/// `Metadata`, versions 1 to 13.
pub(super) fn metadata(asked: &Asked, version: i16, request: &mut Reader, out: &mut Writer) -> Option<()> {
    let names = request.list(|request| {
        if version >= 10 {
            request.raw(16)?;
        }
        let name = request.nullable()?;
        request.end()?;
        Some(name.unwrap_or_default())
    })?;
    if version >= 3 {
        out.int32(0);
    }
    write_brokers(asked, out);
    if version >= 2 {
        out.nullable(Some(&cluster_id(asked)));
    }
    out.int32(some_broker(asked));
    let topics = &asked.view.contents.topics;
    let found = |name: &String| (name.clone(), topics.iter().find(|topic| topic.name == *name));
    let wanted: Vec<(String, Option<&Topic>)> = match names {
        Some(names) => names.iter().map(found).collect(),
        None => topics.iter().map(|topic| (topic.name.clone(), Some(topic))).collect(),
    };
    out.list(&wanted, |out, (name, topic)| write_topic(asked, version, name, *topic, out));
    if (8..=10).contains(&version) {
        out.int32(NOT_ASKED);
    }
    if version >= 13 {
        out.int16(0);
    }
    out.end();
    Some(())
}

fn write_topic(asked: &Asked, version: i16, name: &str, topic: Option<&Topic>, out: &mut Writer) {
    out.int16(if topic.is_some() { 0 } else { UNKNOWN_TOPIC });
    out.nullable(Some(name));
    if version >= 10 {
        out.raw(&id::bytes(&format!("{}/{name}", asked.view.uid)));
    }
    out.bool(topic.is_some_and(|topic| topic.internal));
    let partitions = topic.map(|topic| replicas::partitions(&asked.view, topic)).unwrap_or_default();
    out.list(&partitions, |out, partition| write_partition(asked, version, partition, out));
    if version >= 8 {
        out.int32(NOT_ASKED);
    }
    out.end();
}

fn write_partition(asked: &Asked, version: i16, partition: &Partition, out: &mut Writer) {
    out.int16(if partition.leader.is_some() { 0 } else { LEADER_NOT_AVAILABLE });
    out.int32(partition.number);
    out.int32(partition.leader.unwrap_or(-1));
    if version >= 7 {
        out.int32(0);
    }
    out.ids(&partition.replicas);
    // The last one in sync stays in the list when it goes: nobody else may lead.
    match partition.in_sync.is_empty() {
        true => out.ids(&partition.replicas[..partition.replicas.len().min(1)]),
        false => out.ids(&partition.in_sync),
    }
    if version >= 5 {
        let up: Vec<i32> = brokers(asked).into_iter().map(node_id).collect();
        let mut offline = partition.replicas.clone();
        offline.retain(|broker| !up.contains(broker));
        out.ids(&offline);
    }
    out.end();
}

/// `DescribeCluster`, versions 0 and 1.
pub(super) fn describe_cluster(
    asked: &Asked,
    version: i16,
    request: &mut Reader,
    out: &mut Writer,
) -> Option<()> {
    request.bool()?;
    out.int32(0);
    out.int16(0);
    out.nullable(None);
    if version >= 1 {
        // Of brokers, as asked: a broker knows no other answer.
        out.int8(1);
    }
    out.string(&cluster_id(asked));
    out.int32(some_broker(asked));
    write_brokers(asked, out);
    out.int32(NOT_ASKED);
    out.end();
    Some(())
}

/// `DescribeConfigs`, versions 1 to 4.
pub(super) fn describe_configs(
    asked: &Asked,
    version: i16,
    request: &mut Reader,
    out: &mut Writer,
) -> Option<()> {
    let resources = request.list(|request| {
        let (kind, name) = (request.int8()?, request.string()?);
        let keys = request.list(Reader::string)?;
        request.end()?;
        Some((kind, name, keys))
    })?;
    out.int32(0);
    out.list(&resources.unwrap_or_default(), |out, (kind, name, keys)| {
        let value = min_in_sync(asked, *kind, name);
        out.int16(if value.is_some() { 0 } else { UNKNOWN_TOPIC });
        out.nullable(value.is_none().then_some("This server does not host this topic-partition."));
        out.int8(*kind);
        out.string(name);
        let asked_for = keys.as_ref().is_none_or(|keys| keys.iter().any(|key| key == "min.insync.replicas"));
        let values: Vec<i32> = value.into_iter().filter(|_| asked_for).collect();
        out.list(&values, |out, value| write_config(version, *value, out));
        out.end();
    });
    out.end();
    Some(())
}

/// The effective value of a topic, or the default of a broker.
fn min_in_sync(asked: &Asked, kind: i8, name: &str) -> Option<i32> {
    match kind {
        TOPIC_RESOURCE => {
            let mut topics = asked.view.contents.topics.iter();
            topics.find(|topic| topic.name == name).map(|topic| topic.min_in_sync)
        }
        BROKER_RESOURCE => Some(1),
        _ => None,
    }
}

fn write_config(version: i16, value: i32, out: &mut Writer) {
    const TOPIC_SOURCE: i8 = 1;
    const INT: i8 = 3;
    out.string("min.insync.replicas");
    out.nullable(Some(&value.to_string()));
    out.bool(false);
    out.int8(TOPIC_SOURCE);
    out.bool(false);
    out.list::<()>(&[], |_, ()| {});
    if version >= 3 {
        out.int8(INT);
        out.nullable(None);
    }
    out.end();
}

/// `ListPartitionReassignments`, version 0.
pub(super) fn reassignments(asked: &Asked, request: &mut Reader, out: &mut Writer) -> Option<()> {
    request.int32()?;
    out.int32(0);
    out.int16(0);
    out.nullable(None);
    let moving: Vec<(&Topic, i32)> = asked
        .view
        .contents
        .topics
        .iter()
        .flat_map(|topic| (0_i32..).take(topic.replicas.len()).map(move |number| (topic, number)))
        .filter(|(topic, number)| {
            asked.view.any(|trouble| {
                matches!(trouble, Trouble::Reassigning { topic: of, partition } if *of == topic.name && partition == number)
            })
        })
        .collect();
    out.list(&moving, |out, (topic, number)| {
        out.string(&topic.name);
        out.list(&[*number], |out, number| {
            let at = usize::try_from(*number).ok().and_then(|at| topic.replicas.get(at));
            out.int32(*number);
            out.ids(at.map(Vec::as_slice).unwrap_or_default());
            out.ids(&[]);
            out.ids(&[]);
            out.end();
        });
        out.end();
    });
    out.end();
    Some(())
}

/// `DescribeQuorum`, versions 0 to 2.
pub(super) fn describe_quorum(
    asked: &Asked,
    version: i16,
    request: &mut Reader,
    out: &mut Writer,
) -> Option<()> {
    request.list(|request| {
        request.string()?;
        request.list(|request| {
            request.int32()?;
            request.end()
        })?;
        request.end()
    })?;
    let claims = asked.view.leads(&asked.me, &CONTROLLER);
    let leader = if claims { Some(&asked.me) } else { asked.view.leader(&CONTROLLER) };
    out.int16(0);
    if version >= 2 {
        out.nullable(None);
    }
    out.list(&[METADATA], |out, topic| {
        out.string(topic);
        out.list(&[leader.map_or(-1, node_id)], |out, leader| write_quorum(asked, version, *leader, out));
        out.end();
    });
    if version >= 2 {
        out.list(&replicas::voters(&asked.view), |out, voter| {
            out.int32(*voter);
            out.list(&["CONTROLLER"], |out, name| {
                out.string(name);
                out.string(&format!("{}-controller-{}", asked.view.name, voter % 1000));
                out.uint16(CONTROLLER_PORT);
                out.end();
            });
            out.end();
        });
    }
    out.end();
    Some(())
}

fn write_quorum(asked: &Asked, version: i16, leader: i32, out: &mut Writer) {
    out.int32(0);
    out.int16(if leader < 0 { NOT_LEADER } else { 0 });
    if version >= 2 {
        out.nullable(None);
    }
    out.int32(leader);
    out.int32(i32::try_from(asked.view.epoch(&CONTROLLER)).unwrap_or(i32::MAX));
    out.int64(END);
    out.list(&replicas::voters(&asked.view), |out, voter| {
        write_voter(version, *voter, &progress(asked, *voter), out);
    });
    let observers = brokers(asked);
    let observers: &[&Member] = if asked.view.size_of("combined") > 0 { &[] } else { &observers };
    out.list(observers, |out, member| write_voter(version, node_id(member), &caught_up(asked), out));
    out.end();
}

/// The end of the log, and by how much it is missed by who has been away.
const END: i64 = 1820;
const MISSED: i64 = 150;

/// The newest fetch of a follower that keeps up, in milliseconds ago.
const FETCHED: i64 = 20;

/// How far a replica is: offset, last fetch, last time it had everything.
struct Progress {
    end: i64,
    fetched: i64,
    caught_up: i64,
}

fn caught_up(asked: &Asked) -> Progress {
    let now = asked.view.wall.as_millisecond();
    Progress { end: END, fetched: now - FETCHED, caught_up: now - FETCHED }
}

fn progress(asked: &Asked, voter: i32) -> Progress {
    let now = asked.view.wall.as_millisecond();
    let ago = |then: Instant| {
        let past = asked.view.now.saturating_duration_since(then).as_millis();
        now - i64::try_from(past).unwrap_or(now)
    };
    let voters = asked.view.members(&["controller", "combined"]);
    let Some(member) = voters.into_iter().find(|member| node_id(member) == voter) else {
        return Progress { end: -1, fetched: -1, caught_up: -1 };
    };
    let leads = asked.view.leader(&CONTROLLER).is_some_and(|leader| leader.pod == member.pod);
    match member.left.map_or(-1, ago) {
        _ if leads => Progress { end: END, fetched: -1, caught_up: now },
        _ if asked.view.is_in(member) => caught_up(asked),
        left if member.ready.is_some() => {
            Progress { end: END - MISSED, fetched: now - FETCHED, caught_up: left }
        }
        left => Progress { end: END - MISSED, fetched: left, caught_up: left },
    }
}

fn write_voter(version: i16, voter: i32, progress: &Progress, out: &mut Writer) {
    out.int32(voter);
    if version >= 2 {
        out.raw(&[0; 16]);
    }
    out.int64(progress.end);
    if version >= 1 {
        out.int64(progress.fetched);
        out.int64(progress.caught_up);
    }
    out.end();
}
