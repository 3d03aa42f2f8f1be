//! What a node is asked, and its answers as it gave them.

use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Connection, unexpected};
use super::frame::{Answer, Complaint, Consistency, strange};
use super::value::{Row, int, text, texts, uuid};
use crate::model::Unasked;
use crate::model::evidence::cassandra::{Keyspace, Node, Pod, Reach, Task};

const ITSELF: &str = "SELECT cluster_name, host_id, release_version, schema_version FROM system.local";
const KNOWN: &str = r#"SELECT host_id, generation, status_with_port, "schema", release_version FROM system_views.gossip_info"#;
const STREAMS: &str = "SELECT operation, status FROM system_views.streaming";
const TASKS: &str = "SELECT kind, keyspace_name, table_name FROM system_views.sstable_tasks";
const KEYSPACES: &str = "SELECT keyspace_name, replication FROM system_schema.keyspaces";

/// Nearly always empty, and kept by every node for some range, as whole tables are spread over all of them.
const EVERYWHERE: &str = "SELECT view_name FROM system_distributed.view_build_status";

const QUESTIONS: [(&str, Consistency); 6] = [
    (ITSELF, Consistency::One),
    (KNOWN, Consistency::One),
    (STREAMS, Consistency::One),
    (TASKS, Consistency::One),
    (KEYSPACES, Consistency::One),
    (EVERYWHERE, Consistency::All),
];

/// Asks a node everything.
///
/// # Errors
/// It breaks the connection, refuses a question, or answers something else.
pub async fn ask<W: AsyncRead + AsyncWrite + Unpin>(connection: &mut Connection<W>) -> Result<Pod, Unasked> {
    let answers = connection.ask(&QUESTIONS).await?;
    let answers = <[_; QUESTIONS.len()]>::try_from(answers).map_err(|_| strange("too few answers"))?;
    let [itself, known, streams, tasks, keyspaces, everywhere] = answers;
    let [cluster, host_id, version, schema] = the_one(rows(itself, |row: [_; 4]| {
        let [cluster, host_id, version, schema] = row;
        Some([text(cluster)?, uuid(host_id)?, text(version)?, uuid(schema)?])
    })?)?;
    Ok(Pod {
        cluster,
        host_id,
        version,
        schema,
        known: rows(known, node)?,
        reach: reach(everywhere)?,
        streams: rows(streams, stream)?.into_iter().flatten().collect(),
        tasks: rows(tasks, task)?,
        keyspaces: rows(keyspaces, keyspace)?,
    })
}

fn node(row: [Option<&[u8]>; 5]) -> Option<Node> {
    let [host_id, generation, status, schema, version] = row;
    let status = text(status)?;
    Some(Node {
        host_id: text(host_id)?,
        generation: int(generation)?.into(),
        status: status.split(',').next().unwrap_or_default().to_owned(),
        schema: text(schema)?,
        version: text(version)?,
    })
}

/// A stream that has ended is remembered for a while.
fn stream(row: [Option<&[u8]>; 2]) -> Option<Option<String>> {
    let [operation, status] = row;
    let ended = matches!(text(status)?.as_str(), "success" | "failure");
    let operation = text(operation)?;
    Some((!ended).then_some(operation))
}

fn task(row: [Option<&[u8]>; 3]) -> Option<Task> {
    let [kind, keyspace, table] = row;
    Some(Task { kind: text(kind)?, keyspace: text(keyspace)?, table: text(table)? })
}

/// The replicas of a datacenter are a number, or two with a slash between, of which the second is of transient ones.
fn keyspace(row: [Option<&[u8]>; 2]) -> Option<Keyspace> {
    let [name, replication] = row;
    let factors = texts(replication)?.into_iter().filter(|(key, _)| key != "class");
    let factors = factors.filter_map(|(_, factor)| factor.split('/').next()?.parse().ok()).collect();
    Some(Keyspace { name: text(name)?, factors })
}

fn reach(answer: Option<Answer>) -> Result<Reach, Unasked> {
    match answer {
        Some(Answer::Rows(_)) => Ok(Reach::All),
        None => Ok(Reach::Silence),
        Some(Answer::Error(Complaint { code, unavailable, message })) => match (code, unavailable) {
            (Complaint::UNAVAILABLE, Some((alive, needed))) => Ok(Reach::Alive { alive, needed }),
            (Complaint::READ_TIMEOUT | Complaint::READ_FAILURE, _) => Ok(Reach::Silence),
            _ => Err(unexpected(Answer::Error(Complaint { code, unavailable, message }))),
        },
        Some(other) => Err(unexpected(other)),
    }
}

/// The rows of an answer, each of so many columns.
///
/// # Errors
/// The node refuses, does not answer in time, or answers something else.
pub fn rows<T, const N: usize>(
    answer: Option<Answer>,
    read: impl Fn([Option<&[u8]>; N]) -> Option<T>,
) -> Result<Vec<T>, Unasked> {
    let rows = match answer {
        Some(Answer::Rows(rows)) => rows,
        Some(other) => return Err(unexpected(other)),
        None => return Err(Unasked::new(crate::model::Obstacle::TimedOut, "no answer within 3 s")),
    };
    let cells = |row: &Row| {
        let cells: Vec<_> = row.iter().map(Option::as_deref).collect();
        read(cells.try_into().ok()?)
    };
    rows.iter()
        .map(|row| cells(row).ok_or_else(|| strange("a table that is not as Cassandra has it")))
        .collect()
}

fn the_one<T>(rows: Vec<T>) -> Result<T, Unasked> {
    rows.into_iter().next().ok_or_else(|| strange("a node that does not know itself"))
}
