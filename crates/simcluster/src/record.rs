//! Every request that the server received, in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::time::Instant;

/// How many requests are remembered. A test sends far fewer; a served sandbox must not grow for ever.
const REMEMBERED: usize = 50_000;

/// A request as it came in, and what it was answered.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// Its place in the order of arrival, from 0.
    pub number: u64,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, decoded, in the order in which it was written.
    pub query: Vec<(String, String)>,
    /// The body; null when there was none or it is not JSON.
    pub body: Value,
    /// The `Content-Type` header, without parameters.
    pub content_type: String,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// The name of the client: see [`Transport::of_client`](crate::Transport::of_client). Empty where it has none.
    pub client: String,
    /// The `fieldManager` that the query names.
    pub field_manager: Option<String>,
    /// Whether it asked for `dryRun=All`, in the query or in its delete options.
    pub dry_run: bool,
    /// When it arrived.
    pub at: Instant,
    /// The status code that the server arrived at, even if a fault kept it from the client. `None` while it is being
    /// handled, and for good when a fault kept it from being handled.
    pub status: Option<u16>,
}

impl RecordedRequest {
    /// The first value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether it asked for a change: any method but GET, HEAD and OPTIONS, on a path that holds objects.
    ///
    /// Reviews (`SelfSubjectAccessReview` and the like) are posted, and change nothing.
    pub fn is_mutating(&self) -> bool {
        let reads = matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        let reviews = self.path.starts_with("/apis/authorization.k8s.io/")
            || self.path.starts_with("/apis/authentication.k8s.io/");
        !reads && !reviews
    }
}

type Observer = Arc<dyn Fn(&RecordedRequest) + Send + Sync>;

/// Remembers requests, and tells observers of each that was handled.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    next: u64,
    requests: VecDeque<RecordedRequest>,
    observers: Vec<Observer>,
}

impl Recorder {
    /// Remembers a request that has arrived, and numbers it.
    pub fn begin(&self, request: &mut RecordedRequest) {
        let mut log = self.log();
        request.number = log.next;
        log.next += 1;
        log.requests.push_back(request.clone());
        if log.requests.len() > REMEMBERED {
            log.requests.pop_front();
        }
    }

    /// Notes what a request was answered. Observers run before the client hears of it.
    pub fn finish(&self, mut request: RecordedRequest, status: u16) {
        request.status = Some(status);
        let mut log = self.log();
        let forgotten = log.next - log.requests.len() as u64;
        let index = request.number.checked_sub(forgotten).and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| log.requests.get_mut(index)) {
            entry.status = Some(status);
        }
        let observers = log.observers.clone();
        drop(log);
        for observer in observers {
            observer(&request);
        }
    }

    /// Calls `observer` after each request that was handled.
    pub fn observe(&self, observer: impl Fn(&RecordedRequest) + Send + Sync + 'static) {
        self.log().observers.push(Arc::new(observer));
    }

    /// All requests that are remembered.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.log().requests.iter().cloned().collect()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
