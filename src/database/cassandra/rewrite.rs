//! Has a node rewrite its sstables, and follows how far that is. The node does it in a thread of its own, whoever has told it:
//! who loses sight of it asks again, sees the task in a table of the node, and waits for that.

use std::time::Duration;

use ::http::Method;
use futures::FutureExt;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

use super::files::CONTAINER;
use super::frame::{Consistency, strange};
use super::node::rows;
use super::value::{long, text};
use super::{MANAGEMENT_PORT, Open, PORT, question};
use crate::cluster::Ran;
use crate::database::Undone;
use crate::database::door::Door;
use crate::database::http;
use crate::model::{Obstacle, Place, Tool, Unasked, WorkProgress};

/// The pause between two questions.
const PAUSE: Duration = Duration::from_secs(2);

/// How often in a row a node has to show no task before one that somebody else has begun has ended: between two tables there
/// is none.
const QUIET: u32 = 3;

/// How often it is looked whether somebody else has begun one.
const LOOKS: u32 = 2;

/// How often in a row it may not answer until it is lost.
const PATIENT: u32 = 15;

const TASKS: &str = "SELECT kind, keyspace_name, table_name, progress, total FROM system_views.sstable_tasks";

/// What such a task is called in that table.
const KIND: &str = "upgrade sstables";

/// Every sstable that is not of the current format, as `nodetool upgradesstables` (k8ssandra's Management API for Apache
/// Cassandra). Its parameter `excludeCurrentVersion` has the opposite sense of its name, so it is left out.
const UPGRADE: &str = "/api/v1/ops/tables/sstables/upgrade";

const JOB: &str = "/api/v0/ops/executor/job?job_id=";

/// `nodetool` is a Java process in the memory of the database's container: its heap is small, whatever the variables for the
/// database's own say, and it starts no agent on their ports. bin/nodetool takes `MAX_HEAP_SIZE` only together with
/// `HEAP_NEWSIZE`, and adds to `JVM_OPTS` what it needs itself. One sstable after the other is rewritten.
const NODETOOL: [&str; 13] = [
    "env",
    "-u",
    "JAVA_TOOL_OPTIONS",
    "-u",
    "JDK_JAVA_OPTIONS",
    "JVM_OPTS=",
    "JVM_EXTRA_OPTS=",
    "MAX_HEAP_SIZE=64M",
    "HEAP_NEWSIZE=16M",
    "nodetool",
    "upgradesstables",
    "-j",
    "1",
];

/// A node while it rewrites.
pub struct Watched<'a> {
    door: &'a Door,
    place: &'a Place,
    open: Option<Open>,
    progress: &'a UnboundedSender<WorkProgress>,
}

/// A task on sstables of the kind that is waited for.
struct Task {
    table: String,
    done: u64,
    total: u64,
}

/// What the management API says of a job.
#[derive(Deserialize)]
struct Job {
    #[serde(default)]
    status: String,
    #[serde(default)]
    error: Option<String>,
}

/// Has the node rewrite, unless it does so already, and waits until it has.
///
/// # Errors
/// It refuses, or is lost.
pub async fn rewrite(mut watched: Watched<'_>, tool: Tool) -> Result<(), Undone> {
    // Before anything is begun it has to be known that nothing is. One look might fall between two tables.
    for look in 0..LOOKS {
        if look > 0 {
            sleep(PAUSE).await;
        }
        let tasks = watched.tasks().await.map_err(|unasked| Undone::Refused(unasked.message))?;
        if !tasks.is_empty() {
            return watched.until_quiet().await;
        }
    }
    // Boxed, as it is much to keep on a stack.
    match tool {
        Tool::ManagementApi => watched.by_management_api().boxed().await,
        Tool::Nodetool => watched.by_nodetool().boxed().await,
    }
}

impl<'a> Watched<'a> {
    /// A node, and the connection to it if there is one.
    pub fn new(
        door: &'a Door,
        place: &'a Place,
        open: Option<Open>,
        progress: &'a UnboundedSender<WorkProgress>,
    ) -> Self {
        Watched { door, place, open, progress }
    }

    /// The tasks that are waited for, as the node shows them now.
    async fn tasks(&mut self) -> Result<Vec<Task>, Unasked> {
        let asked = question(self.door, self.place, PORT, self.open.take(), |open: &mut Open| {
            all_tasks(open).boxed()
        });
        let (tasks, open) = self.door.asked(asked).boxed().await?;
        self.open = Some(open).filter(|open| !open.spent);
        Ok(tasks.into_iter().flatten().collect())
    }

    /// Tells how far the node is, if it says so.
    async fn tell(&mut self) -> Result<bool, Unasked> {
        let tasks = self.tasks().await?;
        for task in &tasks {
            let told = WorkProgress { doing: task.table.clone(), done: task.done, total: task.total };
            // Who has lost interest does not have to know.
            let _ = self.progress.send(told);
        }
        Ok(!tasks.is_empty())
    }

    /// Waits for what somebody else has begun.
    async fn until_quiet(&mut self) -> Result<(), Undone> {
        let (mut quiet, mut silent) = (0, 0);
        while quiet < QUIET {
            sleep(PAUSE).await;
            match self.tell().await {
                Ok(true) => (quiet, silent) = (0, 0),
                Ok(false) => (quiet, silent) = (quiet + 1, 0),
                Err(unasked) => silent = self.lost(silent, unasked)?,
            }
        }
        Ok(())
    }

    /// One more question in a row without an answer.
    fn lost(&self, before: u32, unasked: Unasked) -> Result<u32, Undone> {
        match before + 1 {
            lost if lost < PATIENT && !unasked.obstacle.lasts() => Ok(lost),
            _ => Err(Undone::Unknown(unasked.message)),
        }
    }

    async fn by_management_api(&mut self) -> Result<(), Undone> {
        let body = json!({ "jobs": 1, "keyspace_name": "", "tables": [] }).to_string();
        let job = match self.managed(Method::POST, UPGRADE, &body).await {
            Ok(reply) if reply.status.is_success() => String::from_utf8_lossy(&reply.body).into_owned(),
            Ok(reply) => return Err(Undone::Refused(self.refusal(&reply))),
            Err(unasked) => return Err(Undone::Unknown(unasked.message)),
        };
        let job = job.trim().trim_matches('"');
        if job.is_empty() || !job.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(Undone::Unknown(
                "the management API does not name the job that it has begun".to_owned(),
            ));
        }
        self.until_done(job).await
    }

    /// Waits until a job of the management API has ended.
    async fn until_done(&mut self, job: &str) -> Result<(), Undone> {
        let mut silent = 0;
        loop {
            sleep(PAUSE).await;
            // How far it is does not have to be known.
            let _ = self.tell().await;
            let page = format!("{JOB}{job}");
            let asked = self.managed(Method::GET, &page, "").await.and_then(|reply| reply.json::<Job>(&page));
            match asked {
                Ok(job) => match job.status.as_str() {
                    "COMPLETED" => return Ok(()),
                    "WAITING" => silent = 0,
                    "ERROR" => return Err(self.failed(&job)),
                    _ => {
                        silent =
                            self.lost(silent, strange("the management API does not know the job any more"))?
                    }
                },
                Err(unasked) => silent = self.lost(silent, unasked)?,
            }
        }
    }

    async fn managed(&mut self, method: Method, path: &str, body: &str) -> Result<http::Reply, Unasked> {
        // A pod has one connection at a time.
        self.open = None;
        let asking = async {
            let line = self.door.plain(self.place, MANAGEMENT_PORT).await?;
            http::open(Box::new(line), &self.door.host(self.place), method, path, body).await
        };
        self.door.asked(asking).boxed().await
    }

    fn failed(&self, job: &Job) -> Undone {
        let why = job.error.as_deref().unwrap_or("for a reason that it does not tell");
        Undone::Refused(self.door.told(&format!("the management API could not do it: {why}")))
    }

    fn refusal(&self, reply: &http::Reply) -> String {
        let said = String::from_utf8_lossy(&reply.body);
        self.door.told(&format!("the management API answers {}: {said}", reply.status))
    }

    async fn by_nodetool(&mut self) -> Result<(), Undone> {
        let started = self.door.start(self.place, CONTAINER, &NODETOOL).await;
        let process = started.map_err(|unasked| match unasked.obstacle {
            // The API server has refused it, so it was not started.
            Obstacle::Forbidden | Obstacle::NoUpgrade => Undone::Refused(self.door.told(&unasked.message)),
            _ => Undone::Unknown(self.door.told(&unasked.message)),
        })?;
        let mut ending = std::pin::pin!(process.ended());
        let mut silent = 0;
        loop {
            tokio::select! {
                ended = &mut ending => {
                    let ran = ended.map_err(|error| Undone::Unknown(self.door.told(&error.to_string())))?;
                    return self.judge(&ran);
                }
                // A connection that is dead may not say so, and then the node is not heard either.
                () = sleep(PAUSE) => silent = match self.tell().await {
                    Ok(_) => 0,
                    Err(unasked) => self.lost(silent, unasked)?,
                },
            }
        }
    }

    /// What came of nodetool.
    fn judge(&self, ran: &Ran) -> Result<(), Undone> {
        match ran.code {
            0 => Ok(()),
            // A signal has ended it, e.g. for want of memory. The node goes on.
            code @ 129.. => {
                Err(Undone::Unknown(self.door.told(&format!("nodetool was ended by signal {}", code - 128))))
            }
            code => {
                let said = [&ran.complaint, &*String::from_utf8_lossy(&ran.output)].join(" ");
                Err(Undone::Refused(self.door.told(&format!("nodetool ended with exit code {code}: {said}"))))
            }
        }
    }
}

async fn all_tasks(open: &mut Open) -> Result<Vec<Option<Task>>, Unasked> {
    let answers = open.ask(&[(TASKS, Consistency::One)]).await?;
    rows(answers.into_iter().next().flatten(), task)
}

/// A row of the tasks; an inner `None` for one of another kind.
fn task(row: [Option<&[u8]>; 5]) -> Option<Option<Task>> {
    let [kind, keyspace, table, done, total] = row;
    let number = |value| long(value).and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
    let table = format!("{}.{}", text(keyspace)?, text(table)?);
    let task = Task { table, done: number(done), total: number(total) };
    Some((text(kind)?.to_lowercase() == KIND).then_some(task))
}
