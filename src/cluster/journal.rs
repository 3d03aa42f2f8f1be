//! The journal: the ConfigMap that records the runs on a database.

use std::collections::BTreeMap;

use http::{Request, header};
use kube::core::params::PostParams;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::journal::{Entry, Progress, Run, entry, key, outlived};
use crate::model::{Kind, Lookup, ObjectRef};

use super::request::{Call, MANAGER, built, path};
use super::wire::Meta;
use super::{Cluster, ClusterError};

/// The content of a journal's ConfigMap, as far as this version understands it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Journal {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// The last run cannot be read: it was written by a newer version of this tool, or is damaged.
    pub unreadable: bool,
    /// Key and size of every run, oldest first, including unreadable ones.
    sizes: Vec<(String, usize)>,
    /// The resource version of the ConfigMap, if it exists.
    resource_version: Option<String>,
}

impl Journal {
    /// The last run; only it can be unfinished.
    pub fn last(&self) -> Option<&Entry> {
        self.entries.last()
    }
}

#[derive(Deserialize)]
pub(super) struct ConfigMapWire {
    #[serde(default)]
    metadata: Meta,
    #[serde(default)]
    data: Option<BTreeMap<String, String>>,
}

impl ConfigMapWire {
    /// The journal, keyed by the namespace and the name of its ConfigMap.
    pub fn journal(self) -> ((String, String), Journal) {
        let place = (self.metadata.namespace.clone(), self.metadata.name.clone());
        (place, self.read())
    }
}

impl ConfigMapWire {
    fn read(self) -> Journal {
        let data = self.data.unwrap_or_default();
        let mut journal =
            Journal { resource_version: Some(self.metadata.resource_version), ..Journal::default() };
        for (key, text) in data.iter().filter(|(key, _)| !key.ends_with(PROGRESS)) {
            let progress = data.get(&format!("{key}{PROGRESS}"));
            journal.sizes.push((key.clone(), text.len() + progress.map_or(0, String::len)));
            let entry = progress.and_then(|progress| entry(key, text, progress));
            journal.unreadable = entry.is_none();
            journal.entries.extend(entry);
        }
        journal
    }
}

/// The suffix of a run's key for the part that is written repeatedly.
const PROGRESS: &str = ".progress";

impl Cluster {
    /// The journal of a database; empty if there is none.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn journal(
        &self,
        kind: Kind,
        namespace: &str,
        database: &str,
    ) -> Result<Journal, ClusterError> {
        match self.read_journal(kind, namespace, database).await? {
            Lookup::Found(journal) => Ok(journal),
            // A user who may not read it may not write it either; the preflight checks report that.
            Lookup::Absent | Lookup::Unreadable(_) => Ok(Journal::default()),
        }
    }

    /// The same, but tells a missing journal from one that the user may not read.
    pub(super) async fn read_journal(
        &self,
        kind: Kind,
        namespace: &str,
        database: &str,
    ) -> Result<Lookup<Journal>, ClusterError> {
        let name = kind.lock_and_journal(database);
        match self.get::<ConfigMapWire>("v1", namespace, "configmaps", "configmap", &name).await {
            Ok(map) => Ok(Lookup::Found(map.read())),
            Err(error) if error.absent() => Ok(Lookup::Absent),
            Err(error @ ClusterError::Forbidden { .. }) => Ok(Lookup::Unreadable(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Records a run before its first change, or that it is resumed. Runs beyond the retention limit are dropped.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] if another run was recorded since `journal` was read, or any other failure to write.
    pub(crate) async fn open_journal(
        &self,
        database: &ObjectRef,
        kind: Kind,
        journal: &Journal,
        run: &Run,
        progress: &Progress,
    ) -> Result<(), ClusterError> {
        let mut data = Map::new();
        let (run_text, progress_text) = (text(run)?, text(progress)?);
        let key = key(run);
        if !journal.sizes.iter().any(|(known, _)| *known == key) {
            for gone in outlived(&journal.sizes, run_text.len() + progress_text.len()) {
                data.insert(format!("{gone}{PROGRESS}"), Value::Null);
                data.insert(gone, Value::Null);
            }
            data.insert(key.clone(), run_text.into());
        }
        data.insert(format!("{key}{PROGRESS}"), progress_text.into());
        let written = match &journal.resource_version {
            Some(version) => self.patch_journal(database, kind, data, Some(version)).await,
            None => self.create_journal(database, kind, data).await,
        };
        let Err(conflict @ ClusterError::Conflict { .. }) = written else { return written };
        // An earlier attempt may have succeeded although its response was lost.
        match self.read_journal(kind, &database.namespace, &database.name).await? {
            Lookup::Found(now)
                if now.last().is_some_and(|e| e.run.run == run.run && e.progress == *progress) =>
            {
                Ok(())
            }
            _ => Err(conflict),
        }
    }

    async fn create_journal(
        &self,
        database: &ObjectRef,
        kind: Kind,
        data: Map<String, Value>,
    ) -> Result<(), ClusterError> {
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": kind.lock_and_journal(&database.name),
                "namespace": database.namespace,
                "labels": { "kubectl-dbupdate/journal": kind.singular() },
                "ownerReferences": [{
                    "apiVersion": database.api_version,
                    "kind": database.kind,
                    "name": database.name,
                    "uid": database.uid,
                }],
            },
            "data": data,
        });
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let base = kube::core::Request::new(path("v1", &database.namespace, "configmaps")?);
        let what = format!("create configmap/{}", kind.lock_and_journal(&database.name));
        let request = built(base.create(&params, map.to_string().into_bytes()), &what)?;
        let call = Call { what, verb: "create", resource: "configmaps".to_owned(), request };
        self.once(&call).await.map(|_| ())
    }

    /// Records the progress of a run.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) async fn write_progress(
        &self,
        database: &ObjectRef,
        kind: Kind,
        key: &str,
        progress: &Progress,
    ) -> Result<(), ClusterError> {
        let data = Map::from_iter([(format!("{key}{PROGRESS}"), Value::from(text(progress)?))]);
        self.patch_journal(database, kind, data, None).await
    }

    /// Merge-patches single keys, which only the holder of the database's lock writes. With a resource version, the patch
    /// fails if the ConfigMap has changed since.
    async fn patch_journal(
        &self,
        database: &ObjectRef,
        kind: Kind,
        data: Map<String, Value>,
        expected: Option<&str>,
    ) -> Result<(), ClusterError> {
        let name = kind.lock_and_journal(&database.name);
        let what = format!("patch configmap/{name}");
        let url = format!("{}/{name}?fieldManager={MANAGER}", path("v1", &database.namespace, "configmaps")?);
        let mut body = json!({ "data": data });
        if let Some(version) = expected {
            body["metadata"] = json!({ "resourceVersion": version });
        }
        let request = Request::patch(url)
            .header(header::CONTENT_TYPE, "application/merge-patch+json")
            .body(body.to_string().into_bytes())
            .map_err(|e| ClusterError::Unexpected { what: what.clone(), message: e.to_string() })?;
        let call = Call { what, verb: "patch", resource: "configmaps".to_owned(), request };
        self.once(&call).await.map(|_| ())
    }
}

fn text(value: &impl Serialize) -> Result<String, ClusterError> {
    serde_json::to_string(value)
        .map_err(|e| ClusterError::Unexpected { what: "journal".to_owned(), message: e.to_string() })
}
