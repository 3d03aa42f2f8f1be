//! One call to the API server: with a timeout, a typed failure, the server's warnings, and retries where they are safe.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Request, header};
use jiff::Timestamp;
use kube::client::Body;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::model::{ObjectRef, clean};
use crate::retry::{LONGEST_PAUSE, Retries};

use super::ClusterError;
use super::body::{self, Extent, LARGEST_ERROR, LARGEST_OBJECT, LARGEST_PAGE, LARGEST_TOGETHER, Room};
use super::connection::{Connection, Renew};
use super::error::{chain, failure};
use super::request::{Answer, Call};
use super::secrets::Secrets;
use super::stream::Events;
use super::transport::CALL_TIMEOUT;

/// How long a page of a list may take while it goes on arriving, unless the user has set a limit: over a slow line its
/// megabytes take longer than [`CALL_TIMEOUT`].
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a 403 that contradicts an earlier response is retried before it is believed: a restarting API server briefly
/// answers 403 until its authorizer has loaded the roles.
pub const FORBIDDEN_DOUBT: Duration = Duration::from_secs(30);

/// A failed call that is about to be retried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// The call, e.g. `get kafka/my-kf`.
    pub call: String,
    pub why: String,
    pub attempt: u32,
    pub in_ms: u64,
}

/// What a cluster reports besides its responses.
pub enum Aside {
    Retry(Retry),
    /// The text of a `Warning:` header.
    Warning(String),
    /// The credentials were rejected, and new ones were found and accepted.
    Renewed,
    /// The credential plugin of that name was started to get new credentials, and the run waits for it.
    Asking(String),
    /// The run no longer waits for it.
    Asked,
    /// A collection can no longer be watched, and trying again will not help.
    WatchLost(ClusterError),
}

/// A cluster and the connection to it.
#[derive(Clone)]
pub struct Cluster {
    pub(super) connection: Connection,
    /// The database of this run; renewed credentials must lead to the same one.
    pub(super) about: Option<Arc<ObjectRef>>,
    /// When the credentials expire, if known.
    expires: Option<Timestamp>,
    /// The name shown to the user: the context and the server's address.
    name: Arc<str>,
    user_agent: Arc<str>,
    /// How long failed reads are retried.
    patience: Duration,
    /// The user's timeout of a read; a write never takes longer than [`CALL_TIMEOUT`].
    answer_within: Option<Duration>,
    secrets: Secrets,
    room: Room,
    /// Calls that were allowed before, by verb and resource.
    allowed: Arc<Mutex<HashSet<(String, String)>>>,
    pub(super) aside: Option<mpsc::UnboundedSender<Aside>>,
}

impl Cluster {
    /// A cluster behind this client. `name` is shown to the user.
    pub fn new(client: kube::Client, name: &str) -> Self {
        Cluster {
            connection: Connection::new(client),
            about: None,
            expires: None,
            name: clean(name).into(),
            user_agent: concat!("kubectl-dbupdate/", env!("CARGO_PKG_VERSION")).into(),
            patience: Duration::from_secs(5),
            answer_within: None,
            secrets: Secrets::default(),
            room: Room::default(),
            allowed: Arc::default(),
            aside: None,
        }
    }

    /// The same cluster with a different timeout for reads.
    pub(super) fn answering_within(self, limit: Option<Duration>) -> Self {
        Cluster { answer_within: limit, ..self }
    }

    /// The same cluster with a function that recreates the client when its credentials are rejected.
    pub fn renewing(self, renew: Renew) -> Self {
        Cluster { connection: self.connection.with_renew(renew), ..self }
    }

    /// The same cluster, with the name of the plugin that provides new credentials.
    pub fn asking(self, plugin: Option<&str>) -> Self {
        Cluster { connection: self.connection.with_plugin(plugin), ..self }
    }

    /// The same cluster, with the time at which its credentials expire.
    pub(super) fn expiring(self, expires: Option<Timestamp>) -> Self {
        Cluster { expires, ..self }
    }

    /// The same cluster, whose errors show none of these credentials.
    pub(super) fn hiding(self, secrets: &Secrets) -> Self {
        Cluster { secrets: secrets.clone(), ..self }
    }

    /// Hides these values in whatever is shown from now on.
    pub(super) fn hide<'a>(&self, values: impl IntoIterator<Item = &'a Vec<u8>>) {
        values.into_iter().for_each(|value| self.secrets.add(&String::from_utf8_lossy(value)));
    }

    /// The text of somebody to whom credentials were sent, without these.
    pub fn without_secrets(&self, text: &str) -> String {
        self.secrets.masked(text)
    }

    /// The error without the secrets.
    pub(super) fn hidden(&self, error: ClusterError) -> ClusterError {
        self.secrets.hidden_in(error)
    }

    /// When the credentials expire; `None` if they are renewed automatically or do not tell.
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// The cluster's name, as shown to the user.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The context's namespace.
    pub fn default_namespace(&self) -> String {
        self.connection.client().0.default_namespace().to_owned()
    }

    /// The same cluster for a run on this database: the run's id goes into the User-Agent, failed reads are retried for
    /// `patience`, and retries and warnings are sent to `aside`.
    pub fn for_run(
        &self,
        run: &str,
        about: &ObjectRef,
        patience: Duration,
        aside: mpsc::UnboundedSender<Aside>,
    ) -> Self {
        let user_agent = format!("kubectl-dbupdate/{} (run {run})", env!("CARGO_PKG_VERSION"));
        Cluster {
            user_agent: user_agent.into(),
            about: Some(Arc::new(about.clone())),
            patience,
            aside: Some(aside),
            ..self.clone()
        }
    }

    pub(super) fn tell(&self, aside: Aside) {
        if let Some(to) = &self.aside {
            let _ = to.send(aside);
        }
    }

    /// Makes a read, and retries it while its failure may go away.
    pub(super) async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T, ClusterError> {
        self.answer(&call).await?.parse(&call.what).map_err(|error| self.secrets.hidden_in(error))
    }

    /// The same, with the response as it was sent.
    pub(super) async fn answer(&self, call: &Call) -> Result<Answer, ClusterError> {
        let mut retries = Retries::from_now();
        loop {
            // Many reads are made at once, and several operations may run on one stack: boxed, so that they do not all
            // take space on it.
            match Box::pin(self.once(call)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.pause(&mut retries, &error, call).await.ok_or(error)?,
            }
        }
    }

    /// Waits before the next attempt, and reports it; `None` if there should be none.
    pub(super) async fn pause(&self, retries: &mut Retries, error: &ClusterError, call: &Call) -> Option<()> {
        let doubted = matches!(error, ClusterError::Forbidden { .. }) && self.knows(&call.resource);
        let patience = match error {
            // A server that was never reached is probably down; waiting would only delay the error.
            ClusterError::Transient { refusal, .. } if refusal.unreachable && !self.reached() => return None,
            ClusterError::Transient { .. } => self.patience,
            _ if doubted => FORBIDDEN_DOUBT,
            _ => return None,
        };
        let asked = retry_after(error).unwrap_or_default().min(LONGEST_PAUSE);
        let pause = retries.pause(patience)?.max(asked);
        self.tell(Aside::Retry(Retry {
            call: call.what.clone(),
            why: error.to_string(),
            attempt: retries.tries(),
            in_ms: pause.as_millis() as u64,
        }));
        sleep(pause).await;
        Some(())
    }

    /// Makes a call once. After a 401, a read is repeated with new credentials, if there are any. A write is not: it was not
    /// carried out, and getting credentials may have taken minutes, so the caller must decide again.
    pub(super) async fn once(&self, call: &Call) -> Result<Answer, ClusterError> {
        let (client, generation) = self.connection.client();
        let (generation, answer) = match self.exchange(&client, call).await {
            Err(error @ ClusterError::Unauthorized { .. }) => {
                self.renew_credentials(generation, error).await?;
                if !matches!(call.verb, "get" | "list") {
                    return Err(ClusterError::no_connection(
                        &call.what,
                        "the credentials had to be renewed first",
                    ));
                }
                let (client, generation) = self.connection.client();
                (generation, self.exchange(&client, call).await)
            }
            answer => (generation, answer),
        };
        let answer = answer?;
        self.connection.accepted(generation);
        self.remember(call);
        for warning in &answer.warnings {
            self.tell(Aside::Warning(warning.clone()));
        }
        Ok(answer)
    }

    /// Sends a request through this client.
    pub(super) async fn exchange(&self, client: &kube::Client, call: &Call) -> Result<Answer, ClusterError> {
        let request = self.signed(call).map(Body::from);
        let (limit, whole) = self.limits(call);
        let late = |limit: Duration| {
            ClusterError::lost(&call.what, &format!("no response within {} s", limit.as_secs_f32()))
        };
        let exchange = async {
            let response = timeout(limit, client.send(request)).await.map_err(|_| late(limit))?;
            let (parts, body) = response.map_err(|e| failure(&call.what, &e))?.into_parts();
            let most = match call.verb {
                _ if !parts.status.is_success() => LARGEST_ERROR,
                "list" => LARGEST_PAGE,
                _ => LARGEST_OBJECT,
            };
            let read = body::read(body, &parts.headers, most, limit, &self.room).await;
            let read = read.map_err(|e| ClusterError::lost(&call.what, &chain(&*e)))?;
            match read.extent {
                Extent::Cut if parts.status.is_success() => {
                    return Err(ClusterError::too_large(&call.what, "answer is", most));
                }
                Extent::Crowded if parts.status.is_success() => {
                    return Err(ClusterError::too_large(
                        &call.what,
                        "answers together are",
                        LARGEST_TOGETHER,
                    ));
                }
                _ => {}
            }
            Ok((parts, Bytes::from(read.bytes)))
        };
        let began = Instant::now();
        let answered = timeout(whole, exchange).await.map_err(|_| late(whole)).flatten();
        let answered = answered.map_err(|error| self.secrets.hidden_in(error));
        self.log(call, began, &answered);
        let (parts, body) = answered?;
        if !parts.status.is_success() {
            let said = self.secrets.masked(&String::from_utf8_lossy(&body));
            let error = ClusterError::from_status(&call.what, parts.status.as_u16(), said.as_bytes());
            // JSON may have escaped what is hidden.
            return Err(self.secrets.hidden_in(error));
        }
        let warnings = warnings(&parts.headers).iter().map(|text| self.secrets.masked(text)).collect();
        Ok(Answer { body, warnings })
    }

    /// How long a call may take without anything arriving, and as a whole.
    fn limits(&self, call: &Call) -> (Duration, Duration) {
        match (call.verb, self.answer_within) {
            ("list", None) => (CALL_TIMEOUT, PAGE_TIMEOUT),
            ("get" | "list", limit) => (limit.unwrap_or(CALL_TIMEOUT), limit.unwrap_or(CALL_TIMEOUT)),
            // A slower write could take effect after another run has taken the lock.
            (_, limit) => {
                let limit = limit.unwrap_or(CALL_TIMEOUT).min(CALL_TIMEOUT);
                (limit, limit)
            }
        }
    }

    /// Opens a watch.
    pub(super) async fn open_watch<T: DeserializeOwned>(
        &self,
        call: &Call,
    ) -> Result<Events<T>, ClusterError> {
        let opening = async |client: kube::Client| {
            let opening = Events::open(&client, self.signed(call), &call.what, self.secrets.clone());
            let opened = timeout(CALL_TIMEOUT, opening).await;
            let opened = opened.map_err(|_| ClusterError::lost(&call.what, "timed out")).flatten();
            opened.map_err(|error| self.secrets.hidden_in(error))
        };
        let (client, generation) = self.connection.client();
        let (generation, opened) = match opening(client).await {
            Err(error @ ClusterError::Unauthorized { .. }) => {
                self.renew_credentials(generation, error).await?;
                let (client, generation) = self.connection.client();
                (generation, opening(client).await)
            }
            opened => (generation, opened),
        };
        tracing::debug!("watch {} {}", call.request.uri(), if opened.is_ok() { "opened" } else { "refused" });
        let events = opened?;
        self.connection.accepted(generation);
        self.remember(call);
        Ok(events)
    }

    /// Logs a call for `-v`. The credentials are added further down, and are shown only if somebody repeats them.
    fn log(&self, call: &Call, began: Instant, answered: &Result<(Parts, Bytes), ClusterError>) {
        let (method, uri, ms) = (call.request.method(), call.request.uri(), began.elapsed().as_millis());
        match answered {
            Ok((parts, body)) => {
                tracing::debug!("{method} {uri} {} in {ms} ms", parts.status.as_u16());
                tracing::trace!("request body: {}", self.shown(call.request.body()));
                // What a Secret holds is not known before it is read, so it cannot be recognised in its answer.
                if call.resource != "secrets" {
                    tracing::trace!("response body: {}", self.shown(body));
                }
            }
            Err(error) => tracing::debug!("{method} {uri} failed after {ms} ms: {error}"),
        }
    }

    /// A body for the log. It is cut last: half a secret would not be recognised.
    fn shown(&self, body: &[u8]) -> String {
        let text = self.secrets.masked(&clean(&String::from_utf8_lossy(body)));
        match text.char_indices().find(|(at, c)| at + c.len_utf8() > LOGGED) {
            Some((end, _)) => format!("{} [{} bytes more]", &text[..end], text.len() - end),
            None => text,
        }
    }

    /// The request of a call, with this run's User-Agent.
    pub(super) fn signed(&self, call: &Call) -> Request<Vec<u8>> {
        let mut request = call.request.clone();
        if let Ok(agent) = header::HeaderValue::from_str(&self.user_agent) {
            request.headers_mut().insert(header::USER_AGENT, agent);
        }
        request
    }

    pub(super) fn remember(&self, call: &Call) {
        let mut allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        allowed.insert((call.verb.to_owned(), call.resource.clone()));
    }

    pub(super) fn was_allowed(&self, call: &Call) -> bool {
        // A user who may list may almost always get: a 403 in the middle of a run is doubted.
        let listed = || call.verb == "get" && self.was_allowed_before("list", &call.resource);
        self.was_allowed_before(call.verb, &call.resource) || listed()
    }

    /// Whether any call on this resource was allowed before: a user who may list pods can usually get one.
    fn knows(&self, resource: &str) -> bool {
        let allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        allowed.iter().any(|(_, known)| known == resource)
    }

    pub(super) fn was_allowed_before(&self, verb: &str, resource: &str) -> bool {
        let allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        allowed.contains(&(verb.to_owned(), resource.to_owned()))
    }

    /// Whether any call has succeeded.
    fn reached(&self) -> bool {
        !self.allowed.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// How much of a body is logged, in bytes.
const LOGGED: usize = 8 << 10;

fn retry_after(error: &ClusterError) -> Option<Duration> {
    match error {
        ClusterError::Transient { refusal, .. } => refusal.retry_after.map(Duration::from_secs),
        _ => None,
    }
}

/// The texts of the `Warning: 299 - "text"` headers.
fn warnings(headers: &HeaderMap) -> Vec<String> {
    let text = |value: &header::HeaderValue| {
        let value = value.to_str().ok()?;
        let quoted = value.split_once('"')?.1;
        Some(clean(&quoted.rsplit_once('"').map_or(quoted, |(text, _)| text).replace("\\\"", "\"")))
    };
    headers.get_all(header::WARNING).iter().filter_map(text).collect()
}
