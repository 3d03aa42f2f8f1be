//! The tables by which a node tells how it sees its cluster.

use std::net::IpAddr;

use super::commands;
use super::value::{Cell, Table, Type};
use crate::databases::asker::Asked;
use crate::databases::contents::{DATA_CENTRE, Keyspace};
use crate::databases::disk::Progress;
use crate::databases::id;
use crate::databases::member::Member;
use crate::databases::trouble::{Trouble, means};

/// A table by its keyspace and name.
pub(super) fn find(asked: &Asked, name: &str) -> Option<Table> {
    match name {
        "system.local" => Some(local(asked)),
        "system.peers_v2" => Some(peers(asked)),
        "system_schema.keyspaces" => Some(keyspaces(asked)),
        "system_views.gossip_info" => Some(gossip(asked)),
        "system_views.settings" => Some(settings(asked)),
        "system_views.streaming" => Some(streaming(asked)),
        "system_views.sstable_tasks" => Some(sstable_tasks(asked)),
        "system_distributed.view_build_status" => Some(view_build_status()),
        _ => None,
    }
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn address(member: &Member) -> Cell {
    member.address.parse::<IpAddr>().map_or(Cell::Null, Cell::Inet)
}

/// The node that is asked, and the others that it knows: those that have an address.
pub(super) fn nodes(asked: &Asked) -> Vec<&Member> {
    let mut nodes = asked.view.members(&[]);
    let foreign = |member: &Member| asked.view.is_foreign(&member.pod);
    nodes.retain(|node| !node.address.is_empty() && foreign(node) == foreign(&asked.me));
    nodes
}

fn cluster_name(asked: &Asked) -> String {
    match asked.view.is_foreign(&asked.me.pod) {
        true => "other".to_owned(),
        false => asked.view.name.clone(),
    }
}

/// A node keeps its id in its data, over restarts.
fn host_id(asked: &Asked, node: &Member) -> String {
    format!("{}/{}", asked.view.uid, node.pod)
}

fn schema_of(asked: &Asked, node: &Member) -> String {
    let differs =
        asked.view.any(|trouble| matches!(trouble, Trouble::OtherSchema { pods } if means(pods, &node.pod)));
    format!("{}/schema/{}", cluster_name(asked), if differs { node.pod.as_str() } else { "" })
}

fn rack(node: &Member) -> &str {
    node.role.strip_prefix("rack-").unwrap_or("rack1")
}

fn token(asked: &Asked, node: &Member) -> String {
    let bytes = id::bytes(&host_id(asked, node));
    let high: [u8; 8] = std::array::from_fn(|at| bytes[at]);
    i64::from_be_bytes(high).to_string()
}

/// When a node's gossip began, in seconds.
fn generation(asked: &Asked, node: &Member) -> i32 {
    let up = node.ready.map_or(0, |since| asked.view.now.saturating_duration_since(since).as_secs());
    let up = i64::try_from(up).unwrap_or_default();
    i32::try_from(asked.view.wall.as_second() - up).unwrap_or(i32::MAX)
}

const PORT: i32 = 7000;

/// How often the keyspace `system_distributed` is kept.
const DISTRIBUTED: usize = 3;

fn local(asked: &Asked) -> Table {
    use Type::{Inet, Int, Text, TextSet, Uuid};
    let me = &asked.me;
    let row = [
        ("key", Text, text("local")),
        ("bootstrapped", Text, text("COMPLETED")),
        ("broadcast_address", Inet, address(me)),
        ("broadcast_port", Int, Cell::Int(PORT)),
        ("cluster_name", Text, text(&cluster_name(asked))),
        ("cql_version", Text, text("3.4.6")),
        ("data_center", Text, text(DATA_CENTRE)),
        ("gossip_generation", Int, Cell::Int(generation(asked, me))),
        ("host_id", Uuid, Cell::Uuid(id::bytes(&host_id(asked, me)))),
        ("listen_address", Inet, address(me)),
        ("listen_port", Int, Cell::Int(PORT)),
        ("native_protocol_version", Text, text("5")),
        ("partitioner", Text, text("org.apache.cassandra.dht.Murmur3Partitioner")),
        ("rack", Text, text(rack(me))),
        ("release_version", Text, text(&me.version)),
        ("rpc_address", Inet, address(me)),
        ("rpc_port", Int, Cell::Int(9042)),
        ("schema_version", Uuid, Cell::Uuid(id::bytes(&schema_of(asked, me)))),
        ("tokens", TextSet, Cell::Texts(vec![token(asked, me)])),
    ];
    let columns = row.iter().map(|(name, kind, _)| (*name, *kind)).collect();
    let rows = vec![row.into_iter().map(|(_, _, cell)| cell).collect()];
    Table { keyspace: "system", name: "local", columns, rows }
}

fn peers(asked: &Asked) -> Table {
    use Type::{Inet, Int, Text, TextSet, Uuid};
    let columns = vec![
        ("peer", Inet),
        ("peer_port", Int),
        ("data_center", Text),
        ("host_id", Uuid),
        ("native_address", Inet),
        ("native_port", Int),
        ("preferred_ip", Inet),
        ("preferred_port", Int),
        ("rack", Text),
        ("release_version", Text),
        ("schema_version", Uuid),
        ("tokens", TextSet),
    ];
    let row = |node: &Member| {
        vec![
            address(node),
            Cell::Int(PORT),
            text(DATA_CENTRE),
            Cell::Uuid(id::bytes(&host_id(asked, node))),
            address(node),
            Cell::Int(9042),
            Cell::Null,
            Cell::Null,
            text(rack(node)),
            text(&node.version),
            Cell::Uuid(id::bytes(&schema_of(asked, node))),
            Cell::Texts(vec![token(asked, node)]),
        ]
    };
    let others = nodes(asked).into_iter().filter(|node| node.pod != asked.me.pod);
    Table { keyspace: "system", name: "peers_v2", columns, rows: others.map(row).collect() }
}

/// What a node has heard of another, or knows of itself.
pub(super) struct Sight {
    pub is_up: bool,
    /// Its heartbeat is heard, so that it does not seem dead.
    pub is_heard: bool,
    pub generation: i32,
    pub heartbeat: i32,
    pub status: String,
    pub schema: String,
    pub data_centre: &'static str,
    pub rack: String,
    pub host_id: String,
}

/// Of a node that another takes for dead it hears no heartbeat any more; one that has left in good order has said so.
pub(super) fn sight(asked: &Asked, node: &Member) -> Sight {
    let me = &asked.me.pod;
    let is_up = asked.view.is_in(node) || (node.pod == *me && !node.drained);
    let dead = |trouble: &Trouble| matches!(trouble, Trouble::SeesDown { pod, other } if pod == me && *other == node.pod);
    let is_heard = is_up && !asked.view.any(dead);
    let generation = generation(asked, node);
    let beats = asked.view.wall.as_second() - i64::from(generation);
    let heartbeat = if is_heard { i32::try_from(beats).unwrap_or(i32::MAX) } else { 0 };
    Sight {
        is_up,
        is_heard,
        generation,
        heartbeat: 100_i32.saturating_add(heartbeat),
        status: if is_up { format!("NORMAL,{}", token(asked, node)) } else { "shutdown,true".to_owned() },
        schema: id::uuid(&schema_of(asked, node)),
        data_centre: DATA_CENTRE,
        rack: rack(node).to_owned(),
        host_id: id::uuid(&host_id(asked, node)),
    }
}

/// How many replicas of the range that misses the most a node takes for alive, and how many that range is to have.
pub(super) fn replicas(asked: &Asked) -> (usize, usize) {
    let up = nodes(asked).into_iter().filter(|node| sight(asked, node).is_heard).count();
    let size = if asked.view.is_foreign(&asked.me.pod) { up } else { asked.view.size() };
    (DISTRIBUTED.min(size).saturating_sub(size.saturating_sub(up)), DISTRIBUTED)
}

fn gossip(asked: &Asked) -> Table {
    use Type::{Inet, Int, Text};
    let columns = vec![
        ("address", Inet),
        ("port", Int),
        ("hostname", Text),
        ("generation", Int),
        ("heartbeat", Int),
        ("status", Text),
        ("status_with_port", Text),
        ("load", Text),
        ("schema", Text),
        ("dc", Text),
        ("rack", Text),
        ("release_version", Text),
        ("host_id", Text),
        ("rpc_ready", Text),
    ];
    let row = |node: &Member| {
        let sight = sight(asked, node);
        vec![
            address(node),
            Cell::Int(PORT),
            text(&node.pod),
            Cell::Int(sight.generation),
            Cell::Int(sight.heartbeat),
            text(&sight.status),
            text(&sight.status),
            text("123456.0"),
            Cell::Text(sight.schema),
            text(sight.data_centre),
            Cell::Text(sight.rack),
            text(&node.version),
            Cell::Text(sight.host_id),
            text(if sight.is_up { "true" } else { "false" }),
        ]
    };
    let rows = nodes(asked).into_iter().map(row).collect();
    Table { keyspace: "system_views", name: "gossip_info", columns, rows }
}

fn keyspaces(asked: &Asked) -> Table {
    let columns = vec![
        ("keyspace_name", Type::Text),
        ("durable_writes", Type::Boolean),
        ("replication", Type::TextMap),
    ];
    let local = |name: &str| Keyspace {
        name: name.to_owned(),
        replication: vec![("class".to_owned(), "org.apache.cassandra.locator.LocalStrategy".to_owned())],
    };
    let mut all = vec![
        local("system"),
        Keyspace::simple("system_auth", 1),
        Keyspace::simple("system_distributed", DISTRIBUTED),
        local("system_schema"),
        Keyspace::simple("system_traces", 2),
    ];
    all.extend(asked.view.contents.keyspaces.iter().cloned());
    let row = |keyspace: Keyspace| {
        vec![Cell::Text(keyspace.name), Cell::Boolean(true), Cell::Map(keyspace.replication)]
    };
    let rows = all.into_iter().map(row).collect();
    Table { keyspace: "system_schema", name: "keyspaces", columns, rows }
}

fn settings(asked: &Asked) -> Table {
    let mut settings = vec![
        ("cluster_name", cluster_name(asked)),
        ("endpoint_snitch", "GossipingPropertyFileSnitch".to_owned()),
        ("num_tokens", "16".to_owned()),
    ];
    settings.push(("data_file_directories", format!("[{}]", commands::DATA)));
    let mut rows: Vec<_> =
        settings.into_iter().map(|(name, value)| vec![text(name), Cell::Text(value)]).collect();
    rows.push(vec![text("local_system_data_file_directory"), Cell::Null]);
    if asked.me.version.starts_with("5.") {
        let mode = asked.view.contents.storage_compatibility_mode.clone();
        rows.push(vec![text("sstable.selected_format"), text("big")]);
        // What the configuration does not say is null.
        rows.push(vec![text("storage_compatibility_mode"), mode.map_or(Cell::Null, Cell::Text)]);
    }
    let columns = vec![("name", Type::Text), ("value", Type::Text)];
    Table { keyspace: "system_views", name: "settings", columns, rows }
}

fn streaming(asked: &Asked) -> Table {
    let columns = vec![
        ("id", Type::Uuid),
        ("follower", Type::Boolean),
        ("operation", Type::Text),
        ("peers", Type::TextList),
        ("progress_percentage", Type::Double),
        ("status", Type::Text),
    ];
    let streams =
        asked.view.any(|trouble| matches!(trouble, Trouble::Streaming { pod } if *pod == asked.me.pod));
    let row = || {
        let peers = nodes(asked).into_iter().filter(|node| node.pod != asked.me.pod);
        let peers = peers.take(1).map(|node| format!("/{}:{PORT}", node.address)).collect();
        vec![
            Cell::Uuid(id::bytes("stream")),
            Cell::Boolean(false),
            text("Repair"),
            Cell::Texts(peers),
            Cell::Double(40.0),
            text("start"),
        ]
    };
    let rows = streams.then(row).into_iter().collect();
    Table { keyspace: "system_views", name: "streaming", columns, rows }
}

fn sstable_tasks(asked: &Asked) -> Table {
    let columns = vec![
        ("keyspace_name", Type::Text),
        ("table_name", Type::Text),
        ("task_id", Type::Uuid),
        ("completion_ratio", Type::Double),
        ("kind", Type::Text),
        ("progress", Type::BigInt),
        ("sstables", Type::Int),
        ("target_directory", Type::Text),
        ("total", Type::BigInt),
        ("unit", Type::Text),
    ];
    let row = |task: Progress| {
        vec![
            Cell::Text(task.keyspace),
            Cell::Text(task.table),
            Cell::Uuid(id::bytes("task")),
            Cell::Double(task.done as f64 / task.total.max(1) as f64),
            text("upgrade sstables"),
            Cell::BigInt(task.done),
            Cell::Int(1),
            Cell::Null,
            Cell::BigInt(task.total),
            text("bytes"),
        ]
    };
    let rows = asked.view.progress(&asked.me.pod).map(row).into_iter().collect();
    Table { keyspace: "system_views", name: "sstable_tasks", columns, rows }
}

fn view_build_status() -> Table {
    let columns = vec![
        ("keyspace_name", Type::Text),
        ("view_name", Type::Text),
        ("host_id", Type::Uuid),
        ("status", Type::Text),
    ];
    Table { keyspace: "system_distributed", name: "view_build_status", columns, rows: Vec::new() }
}
