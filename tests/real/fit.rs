//! How soon a pod is evicted once its database can bear it. The servers are looked at directly and all the time, which the tool
//! that is measured knows nothing of.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::lives::Lives;
use crate::site::Site;

/// How often the servers are asked. No moment is known better than that.
const EVERY: Duration = Duration::from_millis(20);

/// A server that says nothing for so long says nothing of the database: this machine may be busy.
const LIMIT: Duration = Duration::from_millis(500);

/// What a database's servers are asked, and when their answers say that it can bear the loss of one.
#[derive(Clone, Copy)]
pub struct Fit {
    pub port: u16,
    pub question: &'static str,
    /// What an answer ends with, if the server does not close the connection behind it.
    pub end: &'static str,
    pub is: fn(&[String]) -> bool,
    /// For how long the tool wants it to last (docs/health.md).
    pub lasting: Duration,
}

/// From when on the database was fit or was not; `None` while the servers were not looked at in time.
type Changes = Vec<(Instant, Option<bool>)>;

/// The looks at a database.
pub struct Watch {
    changes: Arc<Mutex<Changes>>,
    fit: Fit,
    task: AbortHandle,
}

impl Watch {
    /// Looks at the servers from now on, if their kind says how.
    pub fn start(site: &Site) -> Option<Self> {
        let fit = site.server.fit?;
        let changes = Arc::new(Mutex::new(vec![(Instant::now(), None)]));
        let addresses: Vec<_> = site.seats.iter().map(|seat| seat.address).collect();
        let task = tokio::spawn(look(Arc::clone(&site.lives), fit, addresses, Arc::clone(&changes)));
        Some(Watch { changes, fit, task: task.abort_handle() })
    }

    /// How long after it could be borne each eviction came, the first one apart: nothing came before it. Without those of which
    /// that is not known.
    pub fn waits(self, evictions: &[Instant]) -> Vec<Duration> {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |eviction: &Instant| match changes.iter().rfind(|(at, _)| at <= eviction) {
            Some((at, Some(true))) => Some(eviction.duration_since(*at + self.fit.lasting)),
            Some((_, None)) => None,
            Some((_, Some(false))) | None => {
                panic!("a pod was evicted when the database could not bear it: {changes:?}")
            }
        };
        evictions.iter().skip(1).filter_map(since).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(lives: Arc<Lives>, fit: Fit, addresses: Vec<Ipv4Addr>, changes: Arc<Mutex<Changes>>) {
    let note = |at, is| {
        let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
        if changes.last().is_some_and(|(_, was)| *was != is) {
            changes.push((at, is));
        }
    };
    let mut before = Instant::now();
    loop {
        let begun = Instant::now();
        if begun - before > LIMIT {
            note(before, None);
        }
        before = begun;
        let answers = join_all(addresses.iter().map(|address| timeout(LIMIT, ask(*address, fit)))).await;
        let in_time = answers.iter().all(Result::is_ok);
        let answers: Vec<String> = answers.into_iter().filter_map(|it| it.ok()?.ok()).collect();
        let is = lives.all_ready() && answers.len() == addresses.len() && (fit.is)(&answers);
        note(begun, in_time.then_some(is));
        sleep(EVERY).await;
    }
}

async fn ask(address: Ipv4Addr, fit: Fit) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((address, fit.port)).await?;
    stream.write_all(fit.question.as_bytes()).await?;
    let mut said = Vec::new();
    while stream.read_buf(&mut said).await? > 0 {
        if !fit.end.is_empty() && String::from_utf8_lossy(&said).ends_with(fit.end) {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}
