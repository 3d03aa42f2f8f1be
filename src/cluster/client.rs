//! The client that all calls go through. When its credentials are rejected, it is recreated from the current kubeconfig, for
//! the same context, server and user.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::call::{Aside, Call};
use super::read::path;
use super::wire::Named;
use super::{Cluster, ClusterError, ConnectError};
use crate::model::{ObjectRef, clean};

/// How long new credentials are waited for. A plugin that nobody can answer now either has them, or never will.
const RENEWAL: Duration = Duration::from_secs(60);

/// Makes a client from the credentials as they are at that moment, for the context, server and user that were resolved at
/// the start; an error where the kubeconfig now means another.
pub type Renew = Arc<dyn Fn() -> BoxFuture<'static, Result<kube::Client, ConnectError>> + Send + Sync>;

/// The client in use, shared by all clones of a cluster.
#[derive(Clone)]
pub(super) struct Connection {
    current: Arc<Mutex<Current>>,
    /// Renewals are serialized, because many calls get a 401 at once.
    renewing: Arc<tokio::sync::Mutex<()>>,
    renew: Option<Renew>,
    /// The plugin that gives new credentials, where there is one.
    plugin: Option<Arc<str>>,
}

struct Current {
    client: kube::Client,
    /// How often it was recreated.
    generation: u64,
    /// Whether the server has accepted its credentials since, or no renewal has been tried yet.
    accepted: bool,
    /// Why nothing is asked for new credentials any more, where the asking itself has failed.
    given_up: Option<String>,
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

    /// The client, and which one it is.
    pub fn client(&self) -> (kube::Client, u64) {
        let current = self.current();
        (current.client.clone(), current.generation)
    }

    /// Records that the server has accepted the credentials of that client: the next 401 may be answered by a renewal.
    pub fn accepted(&self, generation: u64) {
        let mut current = self.current();
        if current.generation == generation {
            current.accepted = true;
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    /// After a 401, recreates the client, once per series of 401s, and checks that it reaches the same database.
    ///
    /// # Errors
    /// The 401 itself if the client cannot be recreated or the new credentials are rejected too;
    /// [`ClusterError::AnotherCluster`] if they lead to a different cluster.
    pub(super) async fn renew_credentials(
        &self,
        refused: u64,
        error: ClusterError,
    ) -> Result<(), ClusterError> {
        let _one_at_a_time = self.connection.renewing.lock().await;
        let generation = {
            let current = self.connection.current();
            if current.generation != refused {
                return Ok(());
            }
            if !current.accepted {
                return Err(match &current.given_up {
                    Some(why) => and(error, why),
                    None => error,
                });
            }
            current.generation
        };
        let Some(renew) = &self.connection.renew else { return Err(error) };
        let client = self.renewed(renew, &error).await?;
        let looked = self.same_database(&client).await;
        let mut current = self.connection.current();
        match looked {
            Ok(()) => {
                *current = Current { client, generation: generation + 1, accepted: false, given_up: None };
                self.tell(Aside::Renewed);
            }
            // A server that does not answer says nothing about the credentials.
            Err(ref error) if error.transient() => {}
            Err(_) => current.accepted = false,
        }
        looked
    }

    /// The client that new credentials make, within bounds. Whatever hangs is not asked a second time.
    async fn renewed(&self, renew: &Renew, refused: &ClusterError) -> Result<kube::Client, ClusterError> {
        let _asking = Asking::begin(self);
        let made = timeout(RENEWAL, renew()).await;
        made.map_err(|_| {
            let from = match &self.connection.plugin {
                Some(plugin) => format!("the credential plugin {plugin} gave none"),
                None => "there were none".to_owned(),
            };
            let why = format!("new ones were waited for, and {from} within {} s", RENEWAL.as_secs());
            self.keep_credentials();
            self.connection.current().given_up = Some(why.clone());
            and(refused.clone(), &why)
        })?
        .map_err(|why| and(refused.clone(), &why.to_string()))
    }

    /// From now on a 401 is the last word: nothing is run for new credentials.
    pub fn keep_credentials(&self) {
        self.connection.current().accepted = false;
    }

    /// The new client sees the very database that the run is about.
    async fn same_database(&self, client: &kube::Client) -> Result<(), ClusterError> {
        let Some(expected) = &self.about else { return Ok(()) };
        let what = format!("get {expected}");
        let url = format!(
            "{}/{}",
            path(&expected.api_version, &expected.namespace, &expected.plural),
            expected.name
        );
        let unexpected =
            |e: http::Error| ClusterError::Unexpected { what: what.clone(), message: e.to_string() };
        let request = http::Request::get(url).body(Vec::new()).map_err(unexpected)?;
        let resource = expected.plural.clone();
        let call = Call { what: what.clone(), verb: "get", resource, request };
        let found: Named = self.exchange(client, &call).await?.parse(&what)?;
        if found.metadata.uid == expected.uid {
            return Ok(());
        }
        Err(ClusterError::AnotherCluster { what, message: elsewhere(expected, &found.metadata.uid) })
    }
}

/// Says that a plugin is waited for, and when that is over, however it ends.
struct Asking(Option<mpsc::UnboundedSender<Aside>>);

impl Asking {
    fn begin(cluster: &Cluster) -> Self {
        let Some(plugin) = &cluster.connection.plugin else { return Asking(None) };
        cluster.tell(Aside::Asking(plugin.to_string()));
        Asking(cluster.aside.clone())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(aside) = &self.0 {
            let _ = aside.send(Aside::Asked);
        }
    }
}

fn elsewhere(expected: &ObjectRef, found: &str) -> String {
    format!(
        "with the new credentials {expected} has uid {} instead of {}: this is a different cluster or database",
        clean(found),
        expected.uid
    )
}

/// The 401, and why there are no other credentials.
fn and(error: ClusterError, why: &str) -> ClusterError {
    match error {
        ClusterError::Unauthorized { what, message } => {
            ClusterError::Unauthorized { what, message: format!("{message}; {why}") }
        }
        other => other,
    }
}
