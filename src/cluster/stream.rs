//! The events of one watch, as they arrive.

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::marker::PhantomData;

use http::{HeaderValue, Request, header};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::core::{Status, WatchEvent};
use serde::de::DeserializeOwned;

use super::body::{self, LARGEST_ERROR, LARGEST_OBJECT, Lines, Room};
use super::error::{chain, failure};
use super::secrets::Secrets;
use super::{CALL_TIMEOUT, ClusterError};

/// An open watch. It holds no more than the events of the piece that has just arrived, and the beginning of the next one.
pub(super) struct Events<T> {
    what: String,
    body: Body,
    lines: Lines,
    arrived: VecDeque<Vec<u8>>,
    secrets: Secrets,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Events<T> {
    pub async fn open(
        client: &kube::Client,
        mut request: Request<Vec<u8>>,
        what: &str,
        secrets: Secrets,
    ) -> Result<Self, ClusterError> {
        // A proxy that compresses the answer would hold events back.
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let response = client.send(request.map(Body::from)).await.map_err(|e| failure(what, &e))?;
        let (parts, body) = response.into_parts();
        if !parts.status.is_success() {
            let said = body::read(body, &parts.headers, LARGEST_ERROR, CALL_TIMEOUT, &Room::default()).await;
            let said = said.map_err(|e| ClusterError::lost(what, &chain(&*e)))?;
            let said = secrets.masked(&String::from_utf8_lossy(&said.bytes));
            return Err(ClusterError::from_status(what, parts.status.as_u16(), said.as_bytes()));
        }
        let (what, lines, arrived) = (what.to_owned(), Lines::default(), VecDeque::new());
        Ok(Events { what, body, lines, arrived, secrets, of: PhantomData })
    }

    /// The next event; `None` once the server has ended the watch.
    ///
    /// # Errors
    /// The connection broke, or what arrived is no event. The watch has ended then.
    pub async fn next(&mut self) -> Option<Result<WatchEvent<T>, ClusterError>> {
        loop {
            if let Some(line) = self.arrived.pop_front() {
                return Some(self.event(&line).map_err(|error| self.secrets.hidden_in(error)));
            }
            let piece = match self.body.frame().await? {
                Ok(frame) => frame.into_data().unwrap_or_default(),
                // How a watch ends that a proxy has closed.
                Err(error) if cut_off(&error) => return None,
                Err(error) => return Some(Err(ClusterError::lost(&self.what, &chain(&error)))),
            };
            match self.lines.completed(&piece) {
                Ok(lines) => self.arrived.extend(lines),
                Err(body::TooLong) => {
                    return Some(Err(ClusterError::too_large(&self.what, "answer is", LARGEST_OBJECT)));
                }
            }
        }
    }

    fn event(&self, line: &[u8]) -> Result<WatchEvent<T>, ClusterError> {
        serde_json::from_slice(line).map_err(|error| match serde_json::from_slice::<Status>(line) {
            Ok(status) if status.is_failure() => ClusterError::from_status(&self.what, status.code, line),
            Ok(_) | Err(_) => ClusterError::lost(&self.what, &error.to_string()),
        })
    }
}

/// Whether the connection was closed in the middle of the body.
fn cut_off(error: &kube::Error) -> bool {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        // HTTP/2 passes on only the words of rustls.
        let words = error.to_string();
        let said =
            ["unexpected EOF", "without sending TLS close_notify"].iter().any(|end| words.contains(end));
        if kind == Some(io::ErrorKind::UnexpectedEof) || said {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_goes_away_ends_a_watch() {
        for (words, expected) in [
            (
                "error reading a body from connection: peer closed connection without sending TLS close_notify",
                true,
            ),
            ("unexpected EOF during chunk size line", true),
            ("connection reset by peer", false),
        ] {
            assert_eq!(cut_off(&kube::Error::Service(words.into())), expected, "{words}");
        }
    }
}
