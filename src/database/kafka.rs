//! Asks the brokers of a Kafka, in Kafka's protocol. Addresses that Kafka advertises are never followed: every broker is
//! asked by its own pod.

mod broker;
mod codec;
mod connection;
mod message;
mod update;

use futures::future::{join, join_all};

use crate::model::evidence::Said;
use crate::model::evidence::kafka::{Answers, Broker, Features, Node};
use crate::model::{Obstacle, Place, Roster, Unasked, Work};

use super::Undone;
use super::door::{Door, Wire, lost};
use super::kept::Kept;
use broker::Asked;
use connection::Connection;

/// Clients inside the cluster use this port, with SASL, and with TLS where the database has it.
const PORT: u16 = 9092;

/// Controllers use this one among themselves and with the brokers.
const CONTROLLER_PORT: u16 = 9093;

type Open = Asked<Box<dyn Wire>>;

/// The connections to the brokers.
#[derive(Default)]
pub struct Asker {
    connections: Kept<Open>,
}

impl Asker {
    /// Asks every broker that is Ready. Controllers do not listen where brokers do; brokers ask them in our place.
    pub async fn ask(&mut self, door: &Door, roster: &Roster) -> Answers {
        Answers { brokers: self.brokers(door, roster).await, controllers: Vec::new() }
    }

    /// Asks the brokers, and every controller that is Ready for its features. What a broker remembers of the features is not
    /// used.
    pub async fn examine(&mut self, door: &Door, roster: &Roster) -> Answers {
        self.connections.change(Asked::forget_features);
        let is_alone = |place: &&Place| Node::of(place).is_some_and(|node| node.controller && !node.broker);
        let controllers = roster.ready().filter(is_alone).map(async |place| Said {
            pod: place.pod.clone(),
            uid: place.uid.clone(),
            said: door.asked(controller(door, place)).await,
        });
        let (brokers, controllers) = join(self.brokers(door, roster), join_all(controllers)).await;
        Answers { brokers, controllers }
    }

    async fn brokers(&mut self, door: &Door, roster: &Roster) -> Vec<Said<Broker>> {
        let ports = brokers(roster).map(|place| (place, PORT));
        let question = |place, port, open| answer(door, place, port, open);
        self.connections.ask_all(ports, question).await
    }

    /// Has a feature of the cluster set to another level; if it is only tried, nothing is changed. One broker is asked, once:
    /// it asks the active controller, and would go on doing so after its answer was no longer waited for.
    ///
    /// # Errors
    /// The controllers refuse, or it is not known whether they have done it.
    pub async fn set(
        &mut self,
        door: &Door,
        roster: &Roster,
        work: &Work,
        only_try: bool,
    ) -> Result<(), Undone> {
        let Work::SetFeature { feature, from, to } = work else {
            return Err(Undone::Refused("a Kafka can only have its features changed".to_owned()));
        };
        let change = update::Change { feature, level: to.level, up: to.level > from.level, only_try };
        let mut why = "none of the brokers is Ready".to_owned();
        for place in brokers(roster).take(TRIED) {
            let open = self.connections.take(place);
            match door.asked(ready_to_be_told(door, place, open)).await {
                Ok(mut open) => {
                    let done = update::update(door, &mut open.connection, &change).await;
                    let usable = match &done {
                        Ok(()) if !only_try => update::settle(&mut open.connection, &change).await,
                        Ok(()) | Err(Undone::Refused(_)) => true,
                        Err(Undone::Unknown(_)) => false,
                    };
                    self.connections.keep(place, usable.then_some(open));
                    return done;
                }
                Err(unasked) => why = format!("{}: {}", place.pod, unasked.message),
            }
        }
        Err(Undone::Unknown(format!("no broker can be asked: {why}")))
    }
}

/// If a broker cannot be connected to, another one is told, but no more than so many.
const TRIED: usize = 3;

fn brokers(roster: &Roster) -> impl Iterator<Item = &Place> {
    roster.ready().filter(|place| Node::of(place).is_some_and(|node| node.broker))
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

/// A connection over which the broker has just answered, so that what is sent next arrives, as far as anybody can know.
async fn ready_to_be_told(door: &Door, place: &Place, open: Option<Open>) -> Result<Open, Unasked> {
    if let Some(mut open) = open
        && open.connection.features().await.is_ok()
    {
        return Ok(open);
    }
    let mut open = connect(door, place, PORT).await?;
    features(&mut open.connection).await?;
    Ok(open)
}

/// The features of a controller, which answers that to anybody.
async fn controller(door: &Door, place: &Place) -> Result<Features, Unasked> {
    features(&mut Connection::new(door.open(place, CONTROLLER_PORT).await?)).await
}

/// The features of a node over a new connection, or why that broke.
async fn features(connection: &mut Connection<Box<dyn Wire>>) -> Result<Features, Unasked> {
    match connection.features().await {
        Ok(features) => Ok(features),
        Err(unasked) => Err(lost(unasked, &mut *connection.wire).await),
    }
}

async fn connect(door: &Door, place: &Place, port: u16) -> Result<Open, Unasked> {
    let (wire, login) = door.open_for_login(place, port).await?;
    let mut connection = Connection::new(wire);
    if let Some(login) = &login
        && let Err(unasked) = connection.log_in(login).await
    {
        return Err(lost(unasked, &mut *connection.wire).await);
    }
    Ok(Asked::new(connection))
}
