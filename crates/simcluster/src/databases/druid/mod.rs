//! Druid's HTTP APIs, each role's on a port of its own.

mod leaders;
mod workers;

use serde_json::{Value, json};

use super::asker::Asked;
use super::http::{Question, Reply};
use super::member::Member;
use super::trouble::{Trouble, means};

/// Whether a role listens on a port.
pub(super) fn listens(role: &str, port: u16) -> bool {
    port_of(role) == port
}

fn port_of(role: &str) -> u16 {
    match role {
        "coordinators" => 8081,
        "overlords" => 8090,
        "historicals" => 8083,
        "middlemanagers" => 8091,
        "brokers" => 8082,
        _ => 8888,
    }
}

/// How processes name a member: its host and port.
fn host(asked: &Asked, member: &Member) -> String {
    let (name, namespace) = (&asked.view.name, &asked.view.namespace);
    format!("{}.{name}-pods.{namespace}.svc:{}", member.pod, port_of(&member.role))
}

/// What a process of any role answers.
pub(super) fn answer(asked: &Asked, question: &Question) -> Reply {
    let path = question.path.trim_end_matches('/');
    // The only thing that is told to everybody.
    if path == "/status/health" && !question.posts {
        return Reply::json(&json!(true));
    }
    if asked.view.secured && !question.authenticated {
        return Reply::text(401, "Unauthorized");
    }
    let of_role = || match asked.me.role.as_str() {
        "coordinators" | "overlords" => leaders::answer(asked, path, question),
        "middlemanagers" => workers::answer(asked, path, question),
        "historicals" if !question.posts => historical(asked, path),
        "brokers" if question.posts => sql(asked, path, &question.body),
        "brokers" => broker(asked, path),
        _ => None,
    };
    let status = if question.posts { None } else { status(asked, path) };
    status.or_else(of_role).unwrap_or_else(Reply::not_found)
}

fn status(asked: &Asked, path: &str) -> Option<Reply> {
    let is_in = asked.view.is_in(&asked.me);
    match path {
        "/status" => {
            let memory = json!({ "maxMemory": 268_435_456, "totalMemory": 268_435_456 });
            Some(Reply::json(&json!({ "version": asked.me.version, "modules": [], "memory": memory })))
        }
        "/status/selfDiscovered/status" => Some(Reply::json(&json!({ "selfDiscovered": is_in }))),
        "/status/selfDiscovered" => Some(flag(is_in)),
        _ => None,
    }
}

fn historical(asked: &Asked, path: &str) -> Option<Reply> {
    let loaded = has_loaded(asked, &asked.me);
    match path {
        "/druid/historical/v1/loadstatus" => Some(Reply::json(&json!({ "cacheInitialized": loaded }))),
        "/druid/historical/v1/readiness" => Some(flag(loaded)),
        _ => None,
    }
}

fn broker(asked: &Asked, path: &str) -> Option<Reply> {
    let knows = asked.view.is_in(&asked.me);
    match path {
        "/druid/broker/v1/loadstatus" => Some(Reply::json(&json!({ "inventoryInitialized": knows }))),
        "/druid/broker/v1/readiness" => Some(flag(knows)),
        _ => None,
    }
}

/// Answers the one question that is asked in SQL: on how many historicals each segment of a tier is. Those of the health
/// checker are left out.
fn sql(asked: &Asked, path: &str, body: &str) -> Option<Reply> {
    let question: Value = serde_json::from_str(body).ok().filter(|_| path == "/druid/v2/sql")?;
    if let Some(code) = no_sql(asked) {
        return Some(Reply { withheld: code.is_none(), ..Reply::text(code.unwrap_or(200), "") });
    }
    let query = question["query"].as_str()?;
    let parts = [
        "sys.server_segments",
        "SUM(CASE WHEN s.\"server_type\" = 'historical' THEN 1 ELSE 0 END)",
        "NOT LIKE 'kubedb-datasource!_%' ESCAPE '!'",
    ];
    let is_known = parts.into_iter().all(|part| query.contains(part));
    match is_known && question["resultFormat"] == "array" {
        true => Some(Reply::json(&leaders::served(asked))),
        // On the tables of its metadata it knows few functions.
        false => Some(Reply::coded(500, &json!({ "errorMessage": "cannot translate call" }))),
    }
}

/// What this broker answers to everything in SQL, if something is wrong.
fn no_sql(asked: &Asked) -> Option<Option<u16>> {
    asked.view.troubles.iter().find_map(|trouble| match trouble {
        Trouble::NoSql { pods, code } if means(pods, &asked.me.pod) => Some(*code),
        _ => None,
    })
}

fn flag(holds: bool) -> Reply {
    Reply::text(if holds { 200 } else { 503 }, "")
}

/// Whether a historical serves all segments that it should.
fn has_loaded(asked: &Asked, member: &Member) -> bool {
    let loading =
        |trouble: &Trouble| matches!(trouble, Trouble::Loading { pods } if means(pods, &member.pod));
    asked.view.is_in(member) && !asked.view.any(loading)
}

/// A task that runs on a middleManager.
struct Task {
    id: String,
    kind: &'static str,
    datasource: &'static str,
    host: String,
}

impl Task {
    fn described(&self) -> Value {
        json!({
            "id": self.id, "type": self.kind, "dataSource": self.datasource, "status": "RUNNING",
            "statusCode": "RUNNING", "runnerStatusCode": "RUNNING",
            "location": { "host": self.host, "port": 8100, "tlsPort": -1 },
        })
    }
}

/// The tasks that run on a middleManager: those of users, and on the first one that takes any that of KubeDB's health
/// checker.
fn tasks(asked: &Asked, member: &Member) -> Vec<Task> {
    let host = host(asked, member);
    let mut tasks = Vec::new();
    if super::judge::druid_task(&asked.view, &member.pod) {
        let id = format!("index_kafka_clicks_{}_0", member.ordinal);
        tasks.push(Task { id, kind: "index_kafka", datasource: "clicks", host: host.clone() });
    }
    let managers = asked.view.present(&["middlemanagers"]);
    let checked = managers.into_iter().find(|manager| manager.disabled.is_none());
    if checked.is_some_and(|checked| checked.pod == member.pod) {
        let id = "index_parallel_kubedb-datasource_hpolgbkn_2026-01-01T00:00:00.000Z".to_owned();
        tasks.push(Task { id, kind: "index_parallel", datasource: "kubedb-datasource", host });
    }
    tasks
}
