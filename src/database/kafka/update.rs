//! Sets a feature of the cluster, and tells what is known of what came of it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::connection::Connection;
use super::message;
use crate::database::Undone;
use crate::database::door::Door;

/// So long the controllers may take.
const CONTROLLERS: Duration = Duration::from_secs(10);

/// So long the broker's answer is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// A feature and the level that it is to have.
#[derive(Debug)]
pub struct Change<'a> {
    pub feature: &'a str,
    pub level: i16,
    pub up: bool,
    /// The controllers only say whether they would do it.
    pub only_try: bool,
}

/// Sends the change once, over a connection whose other end is logged in.
///
/// # Errors
/// The controllers refuse, or it is not known whether they have done it.
pub async fn update<W: AsyncRead + AsyncWrite + Unpin>(
    door: &Door,
    connection: &mut Connection<W>,
    change: &Change<'_>,
) -> Result<(), Undone> {
    send(connection, change).await.map_err(|undone| match undone {
        Undone::Refused(why) => Undone::Refused(door.told(&why)),
        Undone::Unknown(why) => Undone::Unknown(door.told(&why)),
    })
}

/// The nodes hear of a change up to half a second after the active controller has answered, all at about the same time. Until
/// then they contradict each other.
const HEARD: Duration = Duration::from_secs(1);

/// The pause before the broker is asked again whether it has heard.
const PAUSE: Duration = Duration::from_millis(50);

/// Gives a change the time that it takes to reach the nodes. `false` if the connection is of no use any more.
pub async fn settle<W: AsyncRead + AsyncWrite + Unpin>(
    connection: &mut Connection<W>,
    change: &Change<'_>,
) -> bool {
    let until = Instant::now() + HEARD;
    while Instant::now() < until {
        match timeout_at(until, connection.features()).await {
            Ok(Ok(features)) if features.level(change.feature) == Some(change.level) => return true,
            Ok(Ok(_)) => sleep(PAUSE).await,
            Ok(Err(_)) | Err(_) => return false,
        }
    }
    true
}

async fn send<W: AsyncRead + AsyncWrite + Unpin>(
    connection: &mut Connection<W>,
    change: &Change<'_>,
) -> Result<(), Undone> {
    let Change { feature, level, up, only_try } = *change;
    let within = i32::try_from(CONTROLLERS.as_millis()).unwrap_or(i32::MAX);
    let body = message::feature_update(feature, level, up, only_try, within);
    let asking =
        connection.ask(message::UPDATE_FEATURES, &body, |reader| message::feature_updated(reader, feature));
    let Ok(answer) = timeout(PATIENCE, asking).await else {
        return Err(Undone::Unknown(format!("no answer within {} s", PATIENCE.as_secs())));
    };
    match answer.map_err(|unasked| Undone::Unknown(unasked.message))? {
        (0, _) => Ok(()),
        (error, said) => Err(undone(error, &said)),
    }
}

/// How 4.0 and later begin what they say of a request in which only one feature is named.
const OF_ALL: &str = "The update failed for all features since the following feature had an error: ";

/// What an error means: <https://kafka.apache.org/protocol#protocol_error_codes>. Only of those that the controllers give
/// before they write anything is it known that nothing was done.
fn undone(error: i16, said: &str) -> Undone {
    let (nothing_done, name) = match error {
        31 => (true, "CLUSTER_AUTHORIZATION_FAILED".to_owned()),
        35 => (true, "UNSUPPORTED_VERSION".to_owned()),
        42 => (true, "INVALID_REQUEST".to_owned()),
        95 => (true, "INVALID_UPDATE_VERSION".to_owned()),
        7 => (false, "REQUEST_TIMED_OUT".to_owned()),
        41 => (false, "NOT_CONTROLLER".to_owned()),
        96 => (false, "FEATURE_UPDATE_FAILED".to_owned()),
        _ => (false, format!("error {error} of Kafka")),
    };
    let why = match said.strip_prefix(OF_ALL).unwrap_or(said) {
        "" => format!("UpdateFeatures is answered with {name}"),
        said => said.to_owned(),
    };
    if nothing_done { Undone::Refused(why) } else { Undone::Unknown(why) }
}

#[cfg(test)]
mod tests;
