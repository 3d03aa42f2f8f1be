//! The client that calls go through, and what makes another when its credentials are no longer accepted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;

use super::flags::ConnectError;

/// Makes a client from the current credentials, for the context, server and user that were resolved at the start; an
/// error if the kubeconfig now points elsewhere.
pub type Renew = Arc<dyn Fn() -> BoxFuture<'static, Result<kube::Client, ConnectError>> + Send + Sync>;

/// The client in use, shared by all clones of a cluster.
#[derive(Clone)]
pub(super) struct Connection {
    current: Arc<Mutex<Current>>,
    /// Renewals are serialized, because many calls get a 401 at once.
    pub renewing: Arc<tokio::sync::Mutex<()>>,
    pub renew: Option<Renew>,
    /// The plugin that provides new credentials, if there is one.
    pub plugin: Option<Arc<str>>,
}

pub(super) struct Current {
    pub client: kube::Client,
    /// How often it was recreated.
    pub generation: u64,
    /// Whether the server has accepted the credentials of this client, or no renewal has been tried yet.
    pub accepted: bool,
    /// Why no new credentials are requested any more: the last request for them has failed.
    pub given_up: Option<String>,
}

impl Connection {
    pub fn new(client: kube::Client) -> Self {
        let current = Current { client, generation: 0, accepted: false, given_up: None };
        Connection {
            current: Arc::new(Mutex::new(current)),
            renewing: Arc::default(),
            renew: None,
            plugin: None,
        }
    }

    pub fn with_renew(self, renew: Renew) -> Self {
        Connection { renew: Some(renew), ..self }
    }

    pub fn with_plugin(self, plugin: Option<&str>) -> Self {
        Connection { plugin: plugin.map(Into::into), ..self }
    }

    /// The client, and its number.
    pub fn client(&self) -> (kube::Client, u64) {
        let current = self.current();
        (current.client.clone(), current.generation)
    }

    /// Records that the server has accepted the credentials of that client, so that the next 401 may lead to a renewal.
    pub fn accepted(&self, generation: u64) {
        let mut current = self.current();
        if current.generation == generation {
            current.accepted = true;
        }
    }

    pub fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
