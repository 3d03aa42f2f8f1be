//! Asks the brokers of a Kafka, in Kafka's protocol. Addresses that Kafka advertises are never followed: every broker is
//! asked by its own pod.

mod broker;
mod codec;
mod connection;
mod message;

use crate::model::evidence::kafka::{Answers, Broker, Node};
use crate::model::{Obstacle, Place, Roster, Unasked};

use super::door::{Door, Wire, lost};
use super::kept::Kept;
use broker::Asked;
use connection::Connection;

/// Clients inside the cluster use this port, with SASL, and with TLS where the database has it.
const PORT: u16 = 9092;

type Open = Asked<Box<dyn Wire>>;

/// The connections to the brokers.
#[derive(Default)]
pub struct Asker {
    connections: Kept<Open>,
}

impl Asker {
    /// Asks every broker that is Ready. Controllers do not listen where brokers do; brokers ask them in our place.
    pub async fn ask(&mut self, door: &Door, roster: &Roster) -> Answers {
        let brokers = roster.ready().filter(|place| Node::of(place).is_some_and(|node| node.broker));
        let ports = brokers.map(|place| (place, PORT));
        let question = |place, port, open| answer(door, place, port, open);
        Answers { brokers: self.connections.ask_all(ports, question).await }
    }
}

/// One broker's answer, and the connection if it can be used again.
async fn answer(
    door: &Door,
    place: &Place,
    port: u16,
    open: Option<Open>,
) -> (Result<Broker, Unasked>, Option<Open>) {
    match door.asked(question(door, place, port, open)).await {
        Ok((broker, open)) => (Ok(broker), Some(open).filter(Asked::is_usable)),
        Err(unasked) => (Err(unasked), None),
    }
}

async fn question(
    door: &Door,
    place: &Place,
    port: u16,
    open: Option<Open>,
) -> Result<(Broker, Open), Unasked> {
    if let Some(mut open) = open {
        match open.ask().await {
            Ok(broker) => return Ok((broker, open)),
            // It may have been closed since the last question, by whoever carries it.
            Err(unasked) if unasked.obstacle == Obstacle::Unreachable => drop(open),
            Err(unasked) => return Err(unasked),
        }
    }
    let mut open = connect(door, place, port).await?;
    match open.ask().await {
        Ok(broker) => Ok((broker, open)),
        Err(unasked) => Err(lost(unasked, &mut *open.connection.wire).await),
    }
}

async fn connect(door: &Door, place: &Place, port: u16) -> Result<Open, Unasked> {
    let login = door.login().await?;
    let mut connection = Connection::new(door.open(place, port).await?);
    match connection.introduce(login.as_ref()).await {
        Ok(level) => Ok(Asked::new(connection, level)),
        Err(unasked) => Err(lost(unasked, &mut *connection.wire).await),
    }
}
