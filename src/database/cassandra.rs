//! Asks the nodes of a Cassandra in CQL. Addresses that nodes tell are never followed: every node is asked by its own pod.
//! Whether a node sees the others alive stands in no table. It shows when a node reads a table that is spread over all of
//! them at consistency level ALL: it refuses at once if it takes a replica for down, and otherwise each has to answer.

mod connection;
mod files;
mod frame;
mod node;
mod rewrite;
mod value;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc::UnboundedSender;

use crate::model::evidence::cassandra::{Answers, Files, Pod};
use crate::model::{Obstacle, Place, Roster, Tool, Unasked, WorkProgress};

use super::Undone;
use super::door::{Door, Wire, lost};
use super::http;
use super::kept::Kept;
use connection::Connection;

/// `native_transport_port`, with TLS where the database has it.
const PORT: u16 = 9042;

/// The management API of the image speaks plain HTTP and knows no users (k8ssandra's Management API for Apache Cassandra).
const MANAGEMENT_PORT: u16 = 8081;

const DRAIN: &str = "/api/v0/ops/node/drain";

type Open = Connection<Box<dyn Wire>>;

/// The connections to the nodes.
#[derive(Default)]
pub struct Asker {
    connections: Kept<Open>,
}

impl Asker {
    /// Asks every node that is Ready, all at once.
    pub async fn ask(&mut self, door: &Door, roster: &Roster) -> Answers {
        let ports = roster.ready().map(|place| (place, PORT));
        let question = |place, port, open| answer(door, place, port, open);
        Answers { pods: self.connections.ask_all(ports, question).await, files: Vec::new() }
    }

    /// The same, and what every node has on its disks.
    pub async fn examine(&mut self, door: &Door, roster: &Roster) -> Answers {
        let answers = self.ask(door, roster).await;
        let ports = roster.ready().map(|place| (place, PORT));
        let question = |place, port, open| disks(door, place, port, open);
        Answers { files: self.connections.ask_all(ports, question).await, ..answers }
    }

    /// Has a node rewrite the sstables that are of an older format than it writes, and waits until it has. One that does so
    /// already is not told again. It goes on if the connection breaks.
    ///
    /// # Errors
    /// It refuses, or it is not known whether it has done it.
    pub async fn rewrite(
        &mut self,
        door: &Door,
        place: &Place,
        tool: Tool,
        progress: &UnboundedSender<WorkProgress>,
    ) -> Result<(), Undone> {
        // The connection that was kept ends with this, as a pod has one at a time.
        let watched = rewrite::Watched::new(door, place, self.connections.take(place), progress);
        rewrite::rewrite(watched, tool).boxed().await
    }

    /// Has a node write to disk what it holds in memory, and take no more requests: it starts faster then. `false` if it has
    /// no management API, which comes with the image and not with Cassandra.
    ///
    /// # Errors
    /// It cannot be told, or refuses.
    pub async fn drain(&mut self, door: &Door, place: &Place) -> Result<bool, Unasked> {
        // The node closes it, and a pod has one connection at a time.
        drop(self.connections.take(place));
        let told = match door.plain(place, MANAGEMENT_PORT).await {
            Ok(line) => match door.asked(http::post(Box::new(line), &door.host(place), DRAIN)).await {
                // Draining can take longer than an answer is waited for. The node goes on with it.
                Err(late) if late.obstacle == Obstacle::TimedOut => Ok(()),
                told => told,
            },
            Err(refused) => Err(refused),
        };
        match told {
            Ok(()) => Ok(true),
            // Nobody listens there.
            Err(absent) if absent.obstacle == Obstacle::Unreachable => Ok(false),
            Err(refused) => Err(refused),
        }
    }
}

/// One node's answer, and the connection if it can be used again.
async fn answer(
    door: &Door,
    place: &Place,
    port: u16,
    open: Option<Open>,
) -> (Result<Pod, Unasked>, Option<Open>) {
    match door.asked(question(door, place, port, open, |open| node::ask(open).boxed())).await {
        Ok((pod, open)) => (Ok(pod), Some(open).filter(|open| !open.spent)),
        Err(unasked) => (Err(unasked), None),
    }
}

/// What a node has on its disks. No connection is kept: a pod has one at a time, and another port is asked last.
async fn disks(
    door: &Door,
    place: &Place,
    port: u16,
    open: Option<Open>,
) -> (Result<Files, Unasked>, Option<Open>) {
    let settings = door.asked(question(door, place, port, open, |open| files::settings(open).boxed())).await;
    let looked = match settings {
        Ok((settings, open)) => {
            drop(open);
            files::look(door, place, &settings).await
        }
        Err(unasked) => Err(unasked),
    };
    (looked, None)
}

/// Asks a node over the connection that was kept, or over a new one.
async fn question<T>(
    door: &Door,
    place: &Place,
    port: u16,
    open: Option<Open>,
    asked: impl for<'p> Fn(&'p mut Open) -> BoxFuture<'p, Result<T, Unasked>>,
) -> Result<(T, Open), Unasked> {
    if let Some(mut open) = open {
        match asked(&mut open).await {
            Ok(said) => return Ok((said, open)),
            // It may have been closed since the last question, by whoever carries it.
            Err(unasked) if unasked.obstacle == Obstacle::Unreachable => drop(open),
            Err(unasked) => return Err(unasked),
        }
    }
    let (wire, login) = door.open_for_login(place, port).await?;
    let mut open = Connection::new(wire);
    let said = match open.introduce(login.as_ref()).await {
        Ok(()) => asked(&mut open).await,
        Err(unasked) => Err(unasked),
    };
    match said {
        Ok(said) => Ok((said, open)),
        Err(unasked) => Err(lost(unasked, &mut *open.wire).await),
    }
}

#[cfg(test)]
mod tests;
