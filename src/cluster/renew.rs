//! The client that all calls go through. When its credentials are rejected, it is recreated from the current kubeconfig, for
//! the same context, server and user.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::ClusterError;
use super::call::{Aside, Cluster};
use super::connection::{Current, Renew};
use super::request::{Call, path};
use super::wire::Named;
use crate::model::{ObjectRef, clean};

/// How long to wait for new credentials. A plugin that cannot prompt the user either has them or will never get them.
const RENEWAL: Duration = Duration::from_secs(60);

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

    /// The client with new credentials, within a time limit. A plugin that hangs is not run a second time.
    async fn renewed(&self, renew: &Renew, refused: &ClusterError) -> Result<kube::Client, ClusterError> {
        let _asking = Asking::begin(self);
        let made = timeout(RENEWAL, renew()).await;
        made.map_err(|_| {
            let missing = match &self.connection.plugin {
                Some(plugin) => format!("the credential plugin {plugin} returned no new credentials"),
                None => "no new credentials were found".to_owned(),
            };
            let why = format!("{missing} within {} s", RENEWAL.as_secs());
            self.keep_credentials();
            self.connection.current().given_up = Some(why.clone());
            and(refused.clone(), &why)
        })?
        .map_err(|why| and(refused.clone(), &why.to_string()))
    }

    /// From now on a 401 is final: no plugin is run for new credentials.
    pub fn keep_credentials(&self) {
        self.connection.current().accepted = false;
    }

    /// Whether the new client sees the same database that the run is about.
    async fn same_database(&self, client: &kube::Client) -> Result<(), ClusterError> {
        let Some(expected) = &self.about else { return Ok(()) };
        let what = format!("get {expected}");
        let url = format!(
            "{}/{}",
            path(&expected.api_version, &expected.namespace, &expected.plural)?,
            expected.name
        );
        let call = Call::get(what.clone(), expected.plural.clone(), &url)?;
        let found: Named = self.exchange(client, &call).await?.parse(&what)?;
        if found.metadata.uid == expected.uid {
            return Ok(());
        }
        Err(ClusterError::AnotherCluster { what, message: elsewhere(expected, &found.metadata.uid) })
    }
}

/// Reports that a plugin is being waited for, and when that is over, whatever the result.
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

/// The 401, with the reason why there are no other credentials.
fn and(error: ClusterError, why: &str) -> ClusterError {
    match error {
        ClusterError::Unauthorized { what, message } => {
            ClusterError::Unauthorized { what, message: format!("{message}; {why}") }
        }
        other => other,
    }
}
