//! Which APIs the cluster serves.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::model::Kind;

use super::ahead::Ahead;
use super::request::Call;
use super::{Cluster, ClusterError};

/// The version of the API in which a database is read and written wherever the cluster serves its kind in it.
const NEWEST: &str = "kubedb.com/v1";

/// The version for every other kind, and for an older KubeDB.
const OLDER: &str = "kubedb.com/v1alpha2";

#[derive(Deserialize)]
struct Groups {
    #[serde(default)]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    #[serde(default)]
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupVersion {
    group_version: String,
}

#[derive(Deserialize)]
struct Resources {
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
}

impl Cluster {
    /// Reads databases of a kind in the newest API version in which the cluster serves it, and returns that version as well.
    /// Both versions are asked at once: to ask first which one is served would take a round trip more.
    ///
    /// # Errors
    /// [`ClusterError::ApiAbsent`] if it serves none, or any other failure to read.
    pub(super) async fn in_newest<T, F>(
        &self,
        kind: Kind,
        read: impl Fn(&'static str) -> F,
    ) -> Result<(T, &'static str), ClusterError>
    where
        F: Future<Output = Result<T, ClusterError>>,
    {
        // What is not needed any more is dropped before more is asked: as long as nobody waits for it, it would keep its
        // turn from the other calls.
        let found = {
            let mut older = Ahead::new(read(OLDER));
            match older.during(read(NEWEST)).await {
                Err(ClusterError::ApiAbsent { .. }) => older.answer().await.map(|found| (found, OLDER)),
                found => found.map(|found| (found, NEWEST)),
            }
        };
        match found {
            Err(ClusterError::ApiAbsent { .. }) => Err(absent(kind)),
            Err(ClusterError::Forbidden { .. }) if !self.may_serve(kind).await => Err(absent(kind)),
            found => found,
        }
    }

    /// Whether the cluster serves a kind, as far as one can ask it: without a permission for that kind, an API server does not
    /// say whether it has one.
    async fn may_serve(&self, kind: Kind) -> bool {
        !matches!(self.database_api(kind).await, Err(ClusterError::ApiAbsent { .. }))
    }

    /// The newest API version in which the cluster serves a kind of database.
    ///
    /// # Errors
    /// [`ClusterError::ApiAbsent`] if it serves none, or any other failure to read.
    pub async fn database_api(&self, kind: Kind) -> Result<String, ClusterError> {
        let (newest, older) = tokio::join!(self.serves(NEWEST, kind), self.serves(OLDER, kind));
        for (api, served) in [(NEWEST, newest), (OLDER, older)] {
            if served? {
                return Ok(api.to_owned());
            }
        }
        Err(absent(kind))
    }

    async fn serves(&self, api: &str, kind: Kind) -> Result<bool, ClusterError> {
        let url = format!("/apis/{api}");
        let call = Call::get(format!("get {url}"), url.clone(), &url)?;
        match self.read::<Resources>(call).await {
            Ok(resources) => Ok(resources.resources.iter().any(|r| r.name == kind.plural())),
            Err(error) if error.absent() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Every `group/version` that the cluster serves.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub async fn served_versions(&self) -> Result<BTreeSet<String>, ClusterError> {
        let call = Call::get("get /apis".to_owned(), "/apis".to_owned(), "/apis")?;
        let found: Groups = self.read(call).await?;
        Ok(found.groups.into_iter().flat_map(|g| g.versions).map(|v| v.group_version).collect())
    }
}

fn absent(kind: Kind) -> ClusterError {
    ClusterError::ApiAbsent { what: format!("{}.kubedb.com", kind.plural()) }
}
