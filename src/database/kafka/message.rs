//! The few messages of Kafka's protocol in which a broker tells how it is, each in the one version that all releases from 3.3
//! on understand. Their fields are those of the schemas in Kafka's `clients/src/main/resources/common/message`.

use std::collections::BTreeMap;

use super::codec::{Reader, Writer};
use crate::model::evidence::kafka::{Features, Follower, Moving, Partition, Quorum, Supported, Topic};
use crate::model::{brief, clean};

/// The topic in which the controllers keep the cluster's metadata. It has one partition.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// The kind of resource that `DescribeConfigs` calls a topic.
const TOPIC: i8 = 2;

/// A kind of request, in one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Api {
    pub name: &'static str,
    pub key: i16,
    pub version: i16,
    /// Request and answer have headers with tagged fields.
    pub tagged_request: bool,
    pub tagged_answer: bool,
}

const fn api(name: &'static str, key: i16, version: i16, tagged: bool) -> Api {
    Api { name, key, version, tagged_request: tagged, tagged_answer: tagged }
}

pub const METADATA: Api = api("Metadata", 3, 9, true);
pub const SASL_HANDSHAKE: Api = api("SaslHandshake", 17, 1, false);
pub const DESCRIBE_CONFIGS: Api = api("DescribeConfigs", 32, 4, true);
pub const SASL_AUTHENTICATE: Api = api("SaslAuthenticate", 36, 1, false);
pub const LIST_REASSIGNMENTS: Api = api("ListPartitionReassignments", 46, 0, true);
pub const DESCRIBE_QUORUM: Api = api("DescribeQuorum", 55, 1, true);
pub const UPDATE_FEATURES: Api = api("UpdateFeatures", 57, 1, true);
/// Its versions that are asked, the newest first. The older one is what releases before 3.9 understand. It cannot name
/// features that a node supports from level 0 on, so that newer releases leave them out: `transaction.version` and
/// `group.version` are among them (KAFKA-17011).
pub const API_VERSIONS: [Api; 2] = [api_versions(4), api_versions(3)];

/// Its answer has a plain header, so that it can be read whatever the version.
const fn api_versions(version: i16) -> Api {
    Api { tagged_answer: false, ..api("ApiVersions", 18, version, true) }
}

/// The error of an answer to a version of a request that is not known.
pub const UNSUPPORTED_VERSION: i16 = 35;

/// What an answer says, or the number of Kafka's error.
pub type Answer<T> = Result<T, i16>;

/// The body of a request for the versions and features of a broker.
pub fn versions() -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    Writer::default().compact_string("kubectl-dbupdate").compact_string(version).end().bytes
}

/// The features of a node; `None` if it does not understand this version of the request.
pub fn features(reader: &mut Reader<'_>) -> Option<Answer<Option<Features>>> {
    match reader.int16()? {
        0 => {}
        // What follows is in the oldest version, which has no features.
        UNSUPPORTED_VERSION => return Some(Ok(None)),
        error => return Some(Err(error)),
    }
    reader.structs(|r| Some((r.int16()?, r.int16()?, r.int16()?)))?;
    reader.int32()?;
    let mut features = Features::default();
    reader.tagged(|tag, field| {
        match tag {
            0 => features.supported = field.structs(supported)?,
            1 => features.epoch = Some(field.int64()?).filter(|epoch| *epoch >= 0),
            2 => features.finalized = field.structs(finalized)?,
            _ => {}
        }
        Some(())
    })?;
    Some(Ok(Some(features)))
}

fn supported(reader: &mut Reader<'_>) -> Option<Supported> {
    Some(Supported { name: brief(reader.compact_string()?), min: reader.int16()?, max: reader.int16()? })
}

/// The highest level in force is the level: ranges were given up before any release used them.
fn finalized(reader: &mut Reader<'_>) -> Option<(String, i16)> {
    let (name, level) = (brief(reader.compact_string()?), reader.int16()?);
    reader.int16()?;
    Some((name, level))
}

/// The body of a request to log in by user and password.
pub fn sasl_plain() -> Vec<u8> {
    Writer::default().string("PLAIN").bytes
}

/// Whether the broker accepts that.
pub fn sasl_accepted(reader: &mut Reader<'_>) -> Option<Answer<()>> {
    Some(none(reader.int16()?))
}

/// The body of a request with the credentials, by RFC 4616.
pub fn credentials(user: &str, password: &str) -> Vec<u8> {
    Writer::default().blob(format!("\0{user}\0{password}").as_bytes()).bytes
}

/// The body of a request for all topics.
pub fn all_topics() -> Vec<u8> {
    Writer::default().null().bool(false).bool(false).bool(false).end().bytes
}

/// The brokers that serve, the cluster and its topics, whose configuration is not in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    pub serving: Vec<i32>,
    pub cluster: String,
    pub topics: Vec<Topic>,
}

pub fn metadata(reader: &mut Reader<'_>) -> Option<Answer<Metadata>> {
    reader.int32()?;
    let serving = reader.structs(|r| {
        let id = r.int32()?;
        r.compact_string()?;
        r.int32()?;
        r.compact_string()?;
        Some(id)
    })?;
    let cluster = clean(reader.compact_string()?);
    reader.int32()?;
    let topics = reader.structs(topic)?;
    Some(Ok(Metadata { serving, cluster, topics }))
}

fn topic(reader: &mut Reader<'_>) -> Option<Topic> {
    reader.int16()?;
    let name = clean(reader.compact_string()?);
    reader.int8()?;
    let partitions = reader.structs(partition)?;
    reader.int32()?;
    Some(Topic { name, min_insync: None, partitions })
}

fn partition(reader: &mut Reader<'_>) -> Option<Partition> {
    reader.int16()?;
    let index = reader.int32()?;
    let leader = Some(reader.int32()?).filter(|id| *id >= 0);
    reader.int32()?;
    let (replicas, in_sync) = (reader.ids()?, reader.ids()?);
    reader.ids()?;
    Some(Partition { index, leader, replicas, in_sync })
}

/// The body of a request for `min.insync.replicas` of topics.
pub fn min_insync_of(topics: &[&str]) -> Vec<u8> {
    let mut writer = Writer::default().count(topics.len());
    for topic in topics {
        writer = writer.int8(TOPIC).compact_string(topic);
        writer = writer.count(1).compact_string("min.insync.replicas").end();
    }
    writer.bool(false).bool(false).end().bytes
}

/// The values by topic. A topic that is gone by now, or whose value makes no sense, is not in it.
pub fn min_insync(reader: &mut Reader<'_>) -> Option<Answer<BTreeMap<String, u32>>> {
    reader.int32()?;
    let topics = reader.structs(|r| {
        let error = r.int16()?;
        r.compact_string()?;
        r.int8()?;
        let name = clean(r.compact_string()?);
        let values = r.structs(config)?;
        Some((name, values.into_iter().flatten().next().filter(|_| error == 0)))
    })?;
    Some(Ok(topics.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()))
}

fn config(reader: &mut Reader<'_>) -> Option<Option<u32>> {
    let name = reader.compact_string()?;
    let value = reader.compact_string()?.parse().ok();
    reader.take(3)?;
    reader.structs(|r| {
        r.compact_string()?;
        r.compact_string()?;
        r.int8()
    })?;
    reader.int8()?;
    reader.compact_string()?;
    Some(value.filter(|_| name == "min.insync.replicas"))
}

/// The body of a request for the state of the controllers.
pub fn quorum_state() -> Vec<u8> {
    let topic = Writer::default().count(1).compact_string(METADATA_TOPIC);
    topic.count(1).int32(0).end().end().end().bytes
}

pub fn quorum(reader: &mut Reader<'_>) -> Option<Answer<Quorum>> {
    let error = reader.int16()?;
    if error != 0 {
        return Some(Err(error));
    }
    let topics = reader.structs(|r| {
        r.compact_string()?;
        r.structs(quorum_partition)
    })?;
    topics.into_iter().flatten().next()
}

fn quorum_partition(reader: &mut Reader<'_>) -> Option<Answer<Quorum>> {
    reader.int32()?;
    let error = reader.int16()?;
    let leader = Some(reader.int32()?).filter(|id| *id >= 0);
    let epoch = reader.int32()?;
    reader.int64()?;
    let (voters, observers) = (reader.structs(follower)?, reader.structs(follower)?);
    Some(none(error).map(|()| Quorum { leader, epoch, voters, observers }))
}

fn follower(reader: &mut Reader<'_>) -> Option<Follower> {
    let id = reader.int32()?;
    reader.take(16)?;
    Some(Follower { id, caught_up: Some(reader.int64()?).filter(|ms| *ms >= 0) })
}

/// The body of a request for all partitions that are being reassigned. The broker may take so long, in milliseconds.
pub fn all_reassignments(within: i32) -> Vec<u8> {
    Writer::default().int32(within).null().end().bytes
}

pub fn reassignments(reader: &mut Reader<'_>) -> Option<Answer<Vec<Moving>>> {
    reader.int32()?;
    let error = reader.int16()?;
    reader.compact_string()?;
    if error != 0 {
        return Some(Err(error));
    }
    let topics = reader.structs(|r| {
        let topic = clean(r.compact_string()?);
        r.structs(|r| {
            let partition = r.int32()?;
            r.ids()?;
            let adding = r.ids()?;
            r.ids()?;
            Some(Moving { topic: topic.clone(), partition, adding })
        })
    })?;
    Some(Ok(topics.into_iter().flatten().collect()))
}

/// The body of a request to set a feature to a level: up, or down by what Kafka calls a safe downgrade. The controllers may take
/// so long, in milliseconds.
pub fn feature_update(feature: &str, level: i16, up: bool, only_try: bool, within: i32) -> Vec<u8> {
    let update = Writer::default().int32(within).count(1).compact_string(feature).int16(level);
    update.int8(if up { UPGRADE } else { SAFE_DOWNGRADE }).end().bool(only_try).end().bytes
}

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;

/// What became of the update of a feature: the number of Kafka's error, and what it says of it. 3.9 tells an error of the
/// feature beside the feature, 4.0 and later beside the request.
pub fn feature_updated(reader: &mut Reader<'_>, feature: &str) -> Option<Answer<(i16, String)>> {
    reader.int32()?;
    let (error, message) = (reader.int16()?, clean(reader.compact_string()?));
    if error != 0 {
        return Some(Ok((error, message)));
    }
    let results = reader.structs(|r| {
        let (name, error, message) = (r.compact_string()?, r.int16()?, r.compact_string()?);
        Some((name == feature).then(|| (error, clean(message))))
    })?;
    results.into_iter().flatten().next().map(Ok)
}

fn none(error: i16) -> Answer<()> {
    if error == 0 { Ok(()) } else { Err(error) }
}
