//! A connection to one node: the login, and questions that are sent all at once.

use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::frame::{self, Answer, Complaint, Consistency, strange};
use crate::database::door::Login;
use crate::database::tls::broken;
use crate::model::{Obstacle, Unasked};

/// For how long answers are waited for. A node that waits for others itself gives up later, after 10 s by default.
const ANSWERS: Duration = Duration::from_secs(3);

/// A connection in the CQL native protocol.
pub struct Connection<W> {
    pub wire: W,
    /// An answer is still to come, so that no other question can follow.
    pub spent: bool,
}

impl<W: AsyncRead + AsyncWrite + Unpin> Connection<W> {
    pub fn new(wire: W) -> Self {
        Connection { wire, spent: false }
    }

    /// Greets the node, and logs in if that asks for it.
    ///
    /// # Errors
    /// It rejects the login, or speaks something else.
    pub async fn introduce(&mut self, login: Option<&Login>) -> Result<(), Unasked> {
        match (self.send(&frame::startup()).await?, login) {
            (Answer::Ready, _) => Ok(()),
            (Answer::Authenticate, Some(Login { user, password })) => {
                let response = frame::auth_response(user, password.expose_secret());
                match self.send(&response).await? {
                    Answer::AuthSuccess => Ok(()),
                    other => Err(unexpected(other)),
                }
            }
            (Answer::Authenticate, None) => {
                Err(Unasked::new(Obstacle::Credentials, "the node asks for a login"))
            }
            (other, _) => Err(unexpected(other)),
        }
    }

    async fn send(&mut self, request: &[u8]) -> Result<Answer, Unasked> {
        self.wire.write_all(request).await.map_err(|error| broken(&error))?;
        self.wire.flush().await.map_err(|error| broken(&error))?;
        match frame::read(&mut self.wire).await? {
            (0, answer) => Ok(answer),
            _ => Err(strange("an answer to something that was not asked")),
        }
    }

    /// Asks all at once: an answer for each question, in their order. What is not answered in time has none.
    ///
    /// # Errors
    /// The connection breaks, or answers come that nobody asked for.
    pub async fn ask(&mut self, questions: &[(&str, Consistency)]) -> Result<Vec<Option<Answer>>, Unasked> {
        let requests = (1..)
            .zip(questions)
            .flat_map(|(stream, (statement, consistency))| frame::query(stream, statement, *consistency));
        self.wire.write_all(&requests.collect::<Vec<_>>()).await.map_err(|error| broken(&error))?;
        self.wire.flush().await.map_err(|error| broken(&error))?;
        let mut answers: Vec<Option<Answer>> = questions.iter().map(|_| None).collect();
        match timeout(ANSWERS, receive(&mut self.wire, &mut answers)).await {
            Ok(received) => received?,
            Err(_) => self.spent = true,
        }
        Ok(answers)
    }
}

/// Each answer goes to the place of its question; they come in any order.
async fn receive(wire: &mut (impl AsyncRead + Unpin), answers: &mut [Option<Answer>]) -> Result<(), Unasked> {
    while answers.iter().any(Option::is_none) {
        let (stream, answer) = frame::read(wire).await?;
        let place = usize::try_from(stream).ok().and_then(|stream| answers.get_mut(stream.checked_sub(1)?));
        match place {
            Some(place @ None) => *place = Some(answer),
            _ => return Err(strange("an answer to something that was not asked")),
        }
    }
    Ok(())
}

/// Why there is no useful answer.
pub fn unexpected(answer: Answer) -> Unasked {
    match answer {
        Answer::Error(complaint) => refused(&complaint),
        _ => strange("an answer to another question"),
    }
}

/// What it means that a node refuses a request. It also says "not authorized" while it cannot look a role up, since the
/// replicas of `system_auth` are down, and then it is right again later (seen with 4.1.8).
fn refused(complaint: &Complaint) -> Unasked {
    const BAD_CREDENTIALS: i32 = 0x0100;
    const UNAUTHORIZED: i32 = 0x2100;
    let cannot_tell = complaint.message.contains("Cannot achieve consistency level")
        || complaint.message.contains("Unable to perform authentication")
        || complaint.message.contains("Operation timed out");
    let obstacle = match complaint.code {
        BAD_CREDENTIALS | UNAUTHORIZED if cannot_tell => Obstacle::Unreachable,
        BAD_CREDENTIALS | UNAUTHORIZED => Obstacle::Credentials,
        // Overloaded, bootstrapping, too few replicas: the node's own errors.
        0x1000..=0x1fff | 0x0000 => Obstacle::Unreachable,
        _ => Obstacle::Unintelligible,
    };
    Unasked::new(obstacle, &complaint.message)
}
