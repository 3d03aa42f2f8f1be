//! Asks the servers of a ZooKeeper by the command `mntr` on the client port. That port speaks no TLS even where the
//! database has it, and the command needs no login (ZooKeeper Administrator's Guide, "The Four Letter Words"). Where no
//! connection can be carried, the AdminServer's page `monitor` says the same.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::model::evidence::Said;
use crate::model::evidence::zookeeper::{Answers, Monitor, Pod};
use crate::model::{Obstacle, Place, Roster, Unasked, clean};

use super::door::Door;
use super::tls::broken;

/// `clientPort`, which KubeDB sets for every ZooKeeper.
const CLIENT_PORT: u16 = 2181;

/// `admin.serverPort`, unless the database names another.
const ADMIN_PORT: u16 = 8080;

/// How much of an answer is read. A server with a thousand metrics sends a tenth of it.
const LARGEST: u64 = 1024 * 1024;

/// The whole answer of a server without a leader.
const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

/// A server closes the connection after each command, so there is none to keep.
#[derive(Default)]
pub struct Asker {}

impl Asker {
    /// Asks every pod that is Ready, all at once.
    pub async fn ask(&mut self, door: &Door, roster: &Roster) -> Answers {
        let asked = roster.ready().map(|place| async move {
            let said = door.asked(ask_one(door, place)).await;
            Said { pod: place.pod.clone(), uid: place.uid.clone(), said }
        });
        Answers { pods: join_all(asked.collect::<Vec<_>>()).await }
    }
}

/// A page can be had by `pods/proxy`, without a WebSocket and without `pods/portforward`.
async fn ask_one(door: &Door, place: &Place) -> Result<Pod, Unasked> {
    let mut line = match door.plain(place, CLIENT_PORT).await {
        Ok(line) => line,
        Err(refused) if matches!(refused.obstacle, Obstacle::NoUpgrade | Obstacle::Forbidden) => {
            return ask_page(door, place).await.map_err(|failed| both(&refused, &failed));
        }
        Err(refused) => return Err(refused),
    };
    match mntr(&mut line).await {
        Err(unasked) if unasked.obstacle == Obstacle::Unreachable => {
            Err(line.complaint().await.map_or(unasked, |why| Unasked::new(Obstacle::Unreachable, &why)))
        }
        answer => answer,
    }
}

/// Both ways failed. The error counts as the first one did, because that is the one a user can do something about.
fn both(refused: &Unasked, failed: &Unasked) -> Unasked {
    Unasked::new(refused.obstacle, &format!("{}; {}", refused.message, failed.message))
}

async fn ask_page(door: &Door, place: &Place) -> Result<Pod, Unasked> {
    let port = door.access.admin_port.unwrap_or(ADMIN_PORT);
    from_page(&door.page(place, port, "commands/monitor").await?)
}

/// Sends the command and reads the answer. A container runtime holds a connection for a second longer than its pod, so an answer
/// that says everything is not heard to its end.
async fn mntr(wire: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<Pod, Unasked> {
    wire.write_all(b"mntr").await.map_err(|error| broken(&error))?;
    wire.flush().await.map_err(|error| broken(&error))?;
    let (mut answer, mut wire) = (Vec::new(), wire.take(LARGEST + 1));
    while !says_everything(&answer) && wire.read_buf(&mut answer).await.map_err(|error| broken(&error))? > 0 {
    }
    if answer.is_empty() {
        return Err(Unasked::new(Obstacle::Unreachable, "the connection was closed without an answer"));
    }
    if answer.len() as u64 > LARGEST {
        return Err(strange("an answer of more than 1 MiB"));
    }
    from_words(&answer)
}

/// Whether what has come of an answer holds all that matters here, so that nothing that follows can change it. Where a server does not
/// say all of that, its answer is heard to the end.
fn says_everything(answer: &[u8]) -> bool {
    match from_words(answer) {
        Ok(Pod::Serving(monitor)) => {
            let counts = monitor.synced_followers.is_some() && monitor.pending_syncs.is_some();
            monitor.quorum_size.is_some()
                && !monitor.peer_state.is_empty()
                && (counts || monitor.server_state == "follower")
        }
        Ok(Pod::NotServing) => true,
        Err(_) => false,
    }
}

/// Lines of a key, a tab and a value.
fn from_words(answer: &[u8]) -> Result<Pod, Unasked> {
    let text = String::from_utf8_lossy(answer);
    if !text.ends_with('\n') {
        // Half a number is another number.
        return Err(strange("an answer that breaks off"));
    }
    if text.trim() == NOT_SERVING {
        return Ok(Pod::NotServing);
    }
    let values: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('\t')).collect();
    monitor(|key| values.get(format!("zk_{key}").as_str()).map(|&value| value.to_owned()))
        .ok_or_else(|| strange(&format!("an answer that mntr does not give: {}", beginning(&text))))
}

/// The same keys in JSON, without `zk_`. A server without a leader answers the page with an error of HTTP instead.
fn from_page(page: &[u8]) -> Result<Pod, Unasked> {
    let values: BTreeMap<String, Value> =
        serde_json::from_slice(page).map_err(|_| strange("a page that is not JSON"))?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    monitor(|key| values.get(key).map(text)).ok_or_else(|| strange("a page that lacks the server's state"))
}

/// `None` if the answer lacks what every server says.
fn monitor(value: impl Fn(&str) -> Option<String>) -> Option<Pod> {
    let count = |key: &str| value(key).and_then(|count| count.parse().ok());
    let version = value("version")?;
    Some(Pod::Serving(Monitor {
        version: clean(version.split(['-', ',']).next().unwrap_or_default()),
        server_state: clean(&value("server_state")?),
        peer_state: clean(&value("peer_state").unwrap_or_default()),
        quorum_size: count("quorum_size"),
        synced_followers: count("synced_followers"),
        pending_syncs: count("pending_syncs"),
    }))
}

fn strange(what: &str) -> Unasked {
    Unasked::new(Obstacle::Unintelligible, what)
}

/// Enough of an answer to recognize it by.
fn beginning(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
