//! One connection to a broker: requests, answers, and the login.

use std::io;
use std::slice;

use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::codec::{Reader, Writer};
use super::message::{self, Answer, Api};
use crate::database::door::Login;
use crate::database::tls::broken;
use crate::model::evidence::kafka::Features;
use crate::model::{Obstacle, Unasked};

/// The longest answer that is read, in bytes: the metadata of about 200,000 partitions.
const LONGEST: usize = 8 * 1024 * 1024;

/// So much is read at a time, and room made for it.
const CHUNK: usize = 64 * 1024;

/// A connection to whatever listens; generic, so that it can be tried without a cluster.
pub struct Connection<W> {
    pub wire: W,
    /// The number of the next request.
    next: i32,
    /// The versions of the request for features that the other side may understand, the newest first.
    versions: &'static [Api],
}

/// A request that was sent and has not been answered.
pub struct Sent {
    api: Api,
    number: i32,
}

impl<W: AsyncRead + AsyncWrite + Unpin> Connection<W> {
    /// Nothing is sent yet.
    pub fn new(wire: W) -> Self {
        Connection { wire, next: 0, versions: &message::API_VERSIONS }
    }

    /// Logs in with SASL PLAIN.
    ///
    /// # Errors
    /// It does not answer as a Kafka does, or rejects the credentials.
    pub async fn log_in(&mut self, login: &Login) -> Result<(), Unasked> {
        self.ask(message::SASL_HANDSHAKE, &message::sasl_plain(), message::sasl_accepted).await?;
        let body = message::credentials(&login.user, login.password.expose_secret());
        self.ask(message::SASL_AUTHENTICATE, &body, message::sasl_accepted).await
    }

    /// Asks for the features of the node. It answers before a login too, but then only once on a connection.
    ///
    /// # Errors
    /// It does not answer as a Kafka does.
    pub async fn features(&mut self) -> Result<Features, Unasked> {
        for version in self.versions {
            let sent = self.send(*version, &message::versions()).await?;
            if let Some(features) = self.receive(sent, message::features).await.flatten()? {
                self.versions = slice::from_ref(version);
                return Ok(features);
            }
        }
        Err(not_understood())
    }

    /// Sends the requests for the features to a node where nobody has to log in any more. It may get several versions of the
    /// request, so that no round trip is spent on finding out which one it understands.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn send_for_features(&mut self) -> Result<Vec<Sent>, Unasked> {
        let mut sent = Vec::new();
        for version in self.versions {
            sent.push(self.send(*version, &message::versions()).await?);
        }
        Ok(sent)
    }

    /// Reads the answers to these; the newest one that makes sense counts.
    ///
    /// # Errors
    /// The connection breaks, an answer makes no sense, or all are errors.
    pub async fn receive_features(&mut self, sent: Vec<Sent>) -> Result<Features, Unasked> {
        let mut newest = None;
        for (version, sent) in self.versions.iter().zip(sent) {
            let answer = self.receive(sent, message::features).await.flatten()?;
            newest = newest.or(answer.map(|features| (version, features)));
        }
        let (version, features) = newest.ok_or_else(not_understood)?;
        self.versions = slice::from_ref(version);
        Ok(features)
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// The connection breaks, the answer makes no sense, or it is an error.
    pub async fn ask<T>(
        &mut self,
        api: Api,
        body: &[u8],
        read: impl FnOnce(&mut Reader<'_>) -> Option<Answer<T>>,
    ) -> Result<T, Unasked> {
        let sent = self.send(api, body).await?;
        self.receive(sent, read).await.flatten()
    }

    /// Sends a request. Answers come in the order of requests, so that several may be on their way.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn send(&mut self, api: Api, body: &[u8]) -> Result<Sent, Unasked> {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let header = Writer::default().int16(api.key).int16(api.version).int32(number);
        let mut header = header.string("kubectl-dbupdate");
        if api.tagged_request {
            header = header.end();
        }
        let request = Writer::default().blob(&[header.bytes.as_slice(), body].concat());
        self.wire.write_all(&request.bytes).await.map_err(|error| ended(&error))?;
        self.wire.flush().await.map_err(|error| ended(&error))?;
        Ok(Sent { api, number })
    }

    /// Reads the answer to the oldest request that has none yet; an error may be the answer.
    ///
    /// # Errors
    /// The connection breaks, or the answer makes no sense. Nothing more can be asked here.
    pub async fn receive<T>(
        &mut self,
        sent: Sent,
        read: impl FnOnce(&mut Reader<'_>) -> Option<Answer<T>>,
    ) -> Result<Result<T, Unasked>, Unasked> {
        let frame = self.frame(sent.api).await?;
        let mut reader = Reader::new(&frame);
        let own = reader.int32() == Some(sent.number);
        if own
            && (!sent.api.tagged_answer || reader.tagged(|_, _| Some(())).is_some())
            && let Some(answer) = read(&mut reader)
        {
            return Ok(answer.map_err(|error| refused(sent.api, error)));
        }
        Err(unintelligible(&format!("the answer to {} makes no sense", sent.api.name)))
    }

    async fn frame(&mut self, api: Api) -> Result<Vec<u8>, Unasked> {
        let length = self.wire.read_i32().await.map_err(|error| ended(&error))?;
        let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST).ok_or_else(|| {
            unintelligible(&format!("the answer to {} claims to be {length} bytes long", api.name))
        })?;
        let mut frame = Vec::new();
        while frame.len() < length {
            let start = frame.len();
            frame.resize(length.min(start + CHUNK), 0);
            self.wire.read_exact(&mut frame[start..]).await.map_err(|error| ended(&error))?;
        }
        Ok(frame)
    }
}

fn ended(error: &io::Error) -> Unasked {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Unasked::new(Obstacle::Unreachable, "the broker closes the connection")
        }
        _ => broken(error),
    }
}

/// The other side understands no version of the request for features.
fn not_understood() -> Unasked {
    let [newest, ..] = message::API_VERSIONS;
    refused(newest, message::UNSUPPORTED_VERSION)
}

fn unintelligible(message: &str) -> Unasked {
    Unasked::new(Obstacle::Unintelligible, message)
}

/// What an error in an answer means: <https://kafka.apache.org/protocol#protocol_error_codes>.
fn refused(api: Api, error: i16) -> Unasked {
    let (obstacle, name) = match error {
        6 => (Obstacle::Unreachable, "NOT_LEADER_OR_FOLLOWER"),
        7 => (Obstacle::TimedOut, "REQUEST_TIMED_OUT"),
        29 => (Obstacle::Credentials, "TOPIC_AUTHORIZATION_FAILED"),
        31 => (Obstacle::Credentials, "CLUSTER_AUTHORIZATION_FAILED"),
        33 => (Obstacle::Credentials, "UNSUPPORTED_SASL_MECHANISM"),
        34 => (Obstacle::Credentials, "ILLEGAL_SASL_STATE"),
        message::UNSUPPORTED_VERSION => (Obstacle::Unintelligible, "UNSUPPORTED_VERSION"),
        41 => (Obstacle::Unreachable, "NOT_CONTROLLER"),
        58 => return Unasked::new(Obstacle::Credentials, "the broker rejects user and password"),
        _ => return unintelligible(&format!("{} is answered with error {error} of Kafka", api.name)),
    };
    Unasked::new(obstacle, &format!("{} is answered with {name}", api.name))
}
