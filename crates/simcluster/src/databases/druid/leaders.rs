//! The APIs of coordinators and overlords. Only the leading one answers most of it; the others send their client there.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{has_loaded, host, tasks};
use crate::databases::asker::Asked;
use crate::databases::contents::Datasource;
use crate::databases::http::{Question, Reply};
use crate::databases::member::Member;
use crate::databases::office::{COORDINATOR, OVERLORD, Office};
use crate::databases::trouble::Trouble;

const TIER: &str = "_default_tier";

const COORDINATORS: &str = "/druid/coordinator/v1/";

const OVERLORDS: &str = "/druid/indexer/v1/";

pub(super) fn answer(asked: &Asked, path: &str, question: &Question) -> Option<Reply> {
    if question.posts {
        return None;
    }
    let coordinates = asked.me.role == "coordinators";
    // Without overlords of their own, the coordinators do their work.
    let alone = asked.view.size_of("overlords") == 0;
    if let Some(what) = path.strip_prefix(COORDINATORS).filter(|_| coordinates) {
        return asked_of_leader(asked, &COORDINATOR, path, what, || {
            coordinator(asked, what, &question.query)
        });
    }
    let what = path.strip_prefix(OVERLORDS).filter(|_| !coordinates || alone)?;
    let office = if alone { &COORDINATOR } else { &OVERLORD };
    asked_of_leader(asked, office, path, what, || overlord(asked, what))
}

/// Who leads everybody may be asked; the rest the leader answers.
fn asked_of_leader(
    asked: &Asked,
    office: &Office,
    path: &str,
    what: &str,
    answer: impl FnOnce() -> Option<Reply>,
) -> Option<Reply> {
    // A process of another cluster knows nobody of this one.
    let foreign = asked.view.is_foreign(&asked.me.pod);
    let leads = foreign || asked.view.leads(&asked.me, office);
    let leader = if foreign { Some(&asked.me) } else { asked.view.leader(office) };
    match (what, leader) {
        ("isLeader", _) => Some(Reply::coded(if leads { 200 } else { 404 }, &json!({ "leader": leads }))),
        ("leader", Some(leader)) => Some(Reply::text(200, &format!("http://{}", host(asked, leader)))),
        _ if leads => answer(),
        (_, Some(leader)) => Some(Reply::moved(&format!("http://{}{path}", host(asked, leader)))),
        (_, None) => Some(Reply::text(503, "")),
    }
}

fn coordinator(asked: &Asked, what: &str, query: &str) -> Option<Reply> {
    let full = query.split('&').any(|part| part.starts_with("full"));
    let simple = query.split('&').any(|part| part.starts_with("simple"));
    let uncounted = asked.view.any(|trouble| matches!(trouble, Trouble::Uncounted));
    let told = match what {
        // How much is served it knows at once.
        "loadstatus" if uncounted && (full || simple) => json!({}),
        "loadstatus" if full => json!({ TIER: by_datasource(asked, |d| json!(missing(asked, d).replicas)) }),
        "loadstatus" if simple => by_datasource(asked, |d| json!(missing(asked, d).segments)),
        "loadstatus" => by_datasource(asked, |d| json!(loaded_percent(asked, d))),
        "loadqueue" => load_queue(asked),
        "rules" => json!({
            "_default": [{ "type": "loadForever", "tieredReplicants": { TIER: replicas(asked) } }],
        }),
        "datasources" if simple => datasources(asked),
        "metadata/datasources" => {
            asked.view.contents.datasources.iter().map(|datasource| datasource.name.clone()).collect()
        }
        "servers" if simple => servers(asked),
        _ => return None,
    };
    Some(Reply::json(&told))
}

fn by_datasource(asked: &Asked, told: impl Fn(&Datasource) -> Value) -> Value {
    let datasources = asked.view.contents.datasources.iter();
    Value::Object(datasources.map(|datasource| (datasource.name.clone(), told(datasource))).collect())
}

/// On how many historicals each segment is to be.
fn replicas(asked: &Asked) -> usize {
    asked.view.contents.datasources.iter().map(|datasource| datasource.replicas).max().unwrap_or_default()
}

/// What is not where it should be.
struct Missing {
    /// Replicas that are on no historical that has loaded them.
    replicas: usize,
    /// Segments none of whose replicas are.
    segments: usize,
}

fn missing(asked: &Asked, datasource: &Datasource) -> Missing {
    let lost = lost(asked, datasource);
    Missing {
        replicas: lost.iter().sum(),
        segments: lost.iter().filter(|lost| **lost == datasource.replicas).count(),
    }
}

/// On how many historicals each segment is, as a broker counts them: the tier, that number, and that of such segments. Those that
/// only tasks serve are on none.
pub(super) fn served(asked: &Asked) -> Value {
    let streamed = streamed(asked);
    let mut counted: BTreeMap<usize, usize> = (streamed > 0).then_some((0, streamed)).into_iter().collect();
    for datasource in asked.view.contents.datasources.iter().filter(|it| it.name != "kubedb-datasource") {
        let mut replicas: Vec<_> =
            lost(asked, datasource).into_iter().map(|lost| datasource.replicas - lost).collect();
        if let (true, [one, other, ..]) =
            (asked.view.any(|trouble| matches!(trouble, Trouble::Unbalanced)), &mut *replicas)
        {
            (*one, *other) = (one.saturating_sub(1), *other + 1);
        }
        for replicas in replicas.into_iter().filter(|replicas| *replicas > 0) {
            *counted.entry(replicas).or_insert(0) += 1;
        }
    }
    counted.into_iter().map(|(replicas, segments)| json!([TIER, replicas, segments])).collect()
}

/// How many segments only the tasks serve that ingest a stream: each is still filling one.
fn streamed(asked: &Asked) -> usize {
    let managers = asked.view.present(&["middlemanagers"]).into_iter();
    managers.flat_map(|member| tasks(asked, member)).filter(|task| task.kind == "index_kafka").count()
}

/// How many replicas each segment lacks. They are on the next historicals in a circle.
fn lost(asked: &Asked, datasource: &Datasource) -> Vec<usize> {
    let count = asked.view.size_of("historicals").max(1);
    let historicals = asked.view.members(&["historicals"]);
    let loaded = |ordinal: usize| {
        let mut members = historicals.iter();
        members.any(|member| usize::try_from(member.ordinal) == Ok(ordinal) && has_loaded(asked, member))
    };
    let loaded: Vec<bool> = (0..count).map(loaded).collect();
    let lost =
        |segment: usize| (0..datasource.replicas).filter(|nth| !loaded[(segment + nth) % count]).count();
    (0..datasource.segments).map(lost).collect()
}

fn loaded_percent(asked: &Asked, datasource: &Datasource) -> f64 {
    let all = f64::from(u32::try_from(datasource.segments).unwrap_or(u32::MAX));
    let missing = f64::from(u32::try_from(missing(asked, datasource).segments).unwrap_or(u32::MAX));
    if all == 0.0 { 100.0 } else { (all - missing) / all * 100.0 }
}

/// For each historical, how many segments it is told to load.
fn load_queue(asked: &Asked) -> Value {
    let mut queue = Map::new();
    for member in asked.view.members(&["historicals"]).into_iter().filter(|member| member.ready.is_some()) {
        let to_load = if has_loaded(asked, member) { 0 } else { 5 };
        queue.insert(
            host(asked, member),
            json!({
                "segmentsToLoad": to_load, "segmentsToDrop": 0,
                "segmentsToLoadSize": to_load * 1024, "segmentsToDropSize": 0,
            }),
        );
    }
    Value::Object(queue)
}

/// What is served of each datasource, each segment of 1 KiB once and as often as it is served. A segment that a task serves counts,
/// and has no size yet (seen with 25.0.0).
fn datasources(asked: &Asked) -> Value {
    let told = |name: &str, count: usize, size: usize, replicated: usize| {
        json!({
            "name": name,
            "properties": {
                "tiers": { TIER: { "size": size, "replicatedSize": replicated, "segmentCount": count } },
                "segments": { "count": count, "size": size, "replicatedSize": replicated },
            },
        })
    };
    let loaded = |datasource: &Datasource| {
        let missing = missing(asked, datasource);
        let count = datasource.segments - missing.segments;
        let replicated = (datasource.segments * datasource.replicas - missing.replicas) * 1024;
        told(&datasource.name, count, count * 1024, replicated)
    };
    let streamed = Some(streamed(asked)).filter(|count| *count > 0);
    let streamed = streamed.map(|count| told("clicks", count, 0, 0));
    asked.view.contents.datasources.iter().map(loaded).chain(streamed).collect()
}

fn servers(asked: &Asked) -> Value {
    let present = asked.view.present(&["historicals"]).into_iter();
    let server = |member| {
        json!({
            "host": host(asked, member), "tier": TIER, "type": "historical", "priority": 0,
            "currSize": 24_576, "maxSize": 10_737_418_240_u64,
        })
    };
    present.map(server).collect()
}

fn overlord(asked: &Asked, what: &str) -> Option<Reply> {
    let managers = asked.view.present(&["middlemanagers"]);
    let told: Value = match what {
        "workers" => managers.into_iter().map(|member| worker(asked, member)).collect(),
        "runningTasks" => managers
            .into_iter()
            .flat_map(|member| tasks(asked, member))
            .map(|task| task.described())
            .collect(),
        "supervisor" => {
            let mut running = managers.into_iter().flat_map(|member| tasks(asked, member));
            match running.any(|task| task.kind == "index_kafka") {
                true => json!([{
                    "id": "clicks", "state": "RUNNING", "detailedState": "RUNNING", "healthy": true,
                    "suspended": false,
                }]),
                false => json!([]),
            }
        }
        _ => return None,
    };
    Some(Reply::json(&told))
}

fn worker(asked: &Asked, member: &Member) -> Value {
    let running: Vec<String> = tasks(asked, member).into_iter().map(|task| task.id).collect();
    // A worker that takes no tasks shows an empty version.
    let version = if member.disabled.is_some() { "" } else { "0" };
    json!({
        "worker": {
            "scheme": "http", "host": host(asked, member), "ip": member.address, "capacity": 4,
            "version": version, "category": "_default_worker_category",
        },
        "currCapacityUsed": running.len(), "availabilityGroups": [], "runningTasks": running,
        "lastCompletedTaskTime": "2026-01-01T00:00:00.000Z", "blacklistedUntil": null,
    })
}
