//! ZooKeeper's two ways to ask a server for its state: four-letter words and the AdminServer.

use std::fmt::Write;

use serde_json::{Value, json};

use super::asker::Asked;
use super::http::{Question, Reply};
use super::office::LEADER;

/// What a server says that is in no quorum, to every question of its state.
const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

/// The answer to a four-letter word; `None` hangs up without one.
pub(super) fn four_letter_word(asked: &Asked, word: [u8; 4]) -> Option<String> {
    match &word {
        // Whoever runs is ok, in a quorum or not.
        b"ruok" => Some("imok".to_owned()),
        b"mntr" | b"srvr" if !serves(asked) => Some(format!("{NOT_SERVING}\n")),
        b"mntr" => Some(mntr(asked)),
        b"srvr" => Some(srvr(asked)),
        _ => None,
    }
}

/// A server serves while it is in, and somebody leads.
fn serves(asked: &Asked) -> bool {
    let Asked { view, me } = asked;
    view.is_foreign(&me.pod) || (view.is_in(me) && view.leader(&LEADER).is_some())
}

/// A server of another ensemble says the same as one of this, and knows nobody of it.
fn leads(asked: &Asked) -> bool {
    asked.view.is_foreign(&asked.me.pod) || asked.view.leads(&asked.me, &LEADER)
}

fn version(asked: &Asked) -> String {
    let tag = &asked.me.version;
    format!("{tag}-8dfbd8c4b0ef1f0ea1a1d7a7f1a3d9ca0a1a3f8c, built on 2023-10-05 10:34 UTC")
}

fn zxid(asked: &Asked) -> u64 {
    (u64::from(asked.view.epoch(&LEADER)) << 32) + 0x1f
}

/// What `mntr` tells, in its order, each name without its `zk_`.
fn monitored(asked: &Asked) -> Vec<(&'static str, Value)> {
    let state = if leads(asked) { "leader" } else { "follower" };
    let peer = if leads(asked) { "leading - broadcast" } else { "following - broadcast" };
    let mut told = vec![
        ("version", json!(version(asked))),
        ("server_state", json!(state)),
        ("peer_state", json!(peer)),
        ("ephemerals_count", json!(0)),
        ("num_alive_connections", json!(1)),
        ("avg_latency", json!(0.3)),
        ("outstanding_requests", json!(0)),
        ("znode_count", json!(6)),
        ("quorum_size", json!(asked.view.size())),
    ];
    if leads(asked) {
        let followers = followers(asked);
        told.extend([
            ("learners", json!(followers)),
            ("synced_followers", json!(followers)),
            ("synced_non_voting_followers", json!(0)),
            ("synced_observers", json!(0)),
            ("pending_syncs", json!(on_their_way(asked))),
            ("leader_uptime", json!(60_000)),
        ]);
    }
    told
}

/// How many members a leader counts besides itself.
fn followers(asked: &Asked) -> usize {
    match asked.view.is_foreign(&asked.me.pod) {
        true => asked.view.size().saturating_sub(1),
        false => asked.view.count(&[]).saturating_sub(1),
    }
}

/// How many members are up, and not in sync yet.
fn on_their_way(asked: &Asked) -> usize {
    asked.view.members(&[]).into_iter().filter(|member| member.is_on_its_way()).count()
}

fn mntr(asked: &Asked) -> String {
    monitored(asked).into_iter().fold(String::new(), |mut text, (name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "zk_{name}\t{value}");
        text
    })
}

fn srvr(asked: &Asked) -> String {
    let mode = if leads(asked) { "leader" } else { "follower" };
    format!(
        "Zookeeper version: {}\nLatency min/avg/max: 0/0.3/4\nReceived: 12\nSent: 11\nConnections: 1\n\
         Outstanding: 0\nZxid: {:#x}\nMode: {mode}\nNode count: 6\n",
        version(asked),
        zxid(asked),
    )
}

/// The AdminServer on port 8080.
pub(super) fn admin_server(asked: &Asked, question: &Question) -> Reply {
    let command = match question.path.trim_end_matches('/').strip_prefix("/commands/") {
        Some(command) if !question.posts => command,
        _ => return Reply::not_found(),
    };
    let told = match command {
        "ruok" => json!({ "command": "ruok", "error": null }),
        "monitor" | "mntr" | "leader" | "lead" if !serves(asked) => {
            json!({ "command": command, "error": NOT_SERVING })
        }
        "monitor" | "mntr" => {
            let mut told: Value =
                monitored(asked).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            told["command"] = json!("monitor");
            told["error"] = Value::Null;
            told
        }
        "leader" | "lead" => leader(asked),
        _ => return Reply::not_found(),
    };
    Reply::json(&told)
}

/// Who leads, by id: the ordinal of its pod and one more.
fn leader(asked: &Asked) -> Value {
    let leader = match leads(asked) {
        true => Some(&asked.me),
        false => asked.view.leader(&LEADER),
    };
    json!({
        "is_leader": leads(asked),
        "leader_id": leader.map(|leader| leader.ordinal + 1),
        "leader_ip": leader.map(|leader| leader.address.as_str()),
        "command": "leader",
        "error": null,
    })
}
