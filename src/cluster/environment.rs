//! Reads the environment of a database before planning: permissions, GitOps, backups. Their APIs are optional, so the cluster
//! is asked first which APIs it serves.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::model::{
    BACKUP_APIS, Backup, Database, Environment, GITOPS_API, Lookup, Permission, Snapshot, clean,
};

use super::request::Call;
use super::{Cluster, ClusterError};

/// A backup system: its API, and the path of the target in a session and in a configuration.
struct Vault {
    api: &'static str,
    /// The API group, as kubectl accepts it.
    group: &'static str,
    target: &'static str,
}

/// KubeStash (`core.kubestash.com`) names its target directly, Stash (`stash.appscode.com`) by a `ref`.
const VAULTS: [Vault; 2] = [
    Vault { api: BACKUP_APIS[0], group: "core.kubestash.com", target: "/spec/target/name" },
    Vault { api: BACKUP_APIS[1], group: "stash.appscode.com", target: "/spec/target/ref/name" },
];

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

impl Cluster {
    /// Reads the environment of a database: which of the needed permissions the user lacks, whether KubeDB's GitOps operator
    /// manages the database, and whether a backup or restore is in progress.
    ///
    /// # Errors
    /// The cluster cannot be asked. An API that the user may not read is not an error; the result says so.
    pub async fn environment(
        &self,
        snapshot: &Snapshot,
        needed: &[Permission],
    ) -> Result<Environment, ClusterError> {
        let db = &snapshot.database;
        let (denied, served) =
            tokio::try_join!(self.denied(&db.object.namespace, needed), self.served_versions())?;
        let (gitops, backups) = tokio::try_join!(self.gitops(db, &served), self.backups(db, &served))?;
        Ok(Environment { denied, gitops, backups, ..Environment::default() })
    }

    /// Every `group/version` that the cluster serves.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub async fn served_versions(&self) -> Result<BTreeSet<String>, ClusterError> {
        let what = "get /apis".to_owned();
        let request = http::Request::get("/apis").body(Vec::new());
        let request =
            request.map_err(|e| ClusterError::Unexpected { what: what.clone(), message: e.to_string() })?;
        let found: Groups =
            self.read(Call { what, verb: "get", resource: "/apis".to_owned(), request }).await?;
        Ok(found.groups.into_iter().flat_map(|g| g.versions).map(|v| v.group_version).collect())
    }

    async fn gitops(&self, db: &Database, served: &BTreeSet<String>) -> Result<Lookup<bool>, ClusterError> {
        if !served.contains(GITOPS_API) {
            return Ok(Lookup::Absent);
        }
        let (plural, name) = (db.kind.plural(), &db.object.name);
        let word = format!("{}.gitops.kubedb.com", db.kind.singular());
        match self.get::<Value>(GITOPS_API, &db.object.namespace, plural, &word, name).await {
            Ok(_) => Ok(Lookup::Found(true)),
            Err(error) if error.absent() => Ok(Lookup::Found(false)),
            Err(error) => unreadable(error),
        }
    }

    async fn backups(
        &self,
        db: &Database,
        served: &BTreeSet<String>,
    ) -> Result<Lookup<Vec<Backup>>, ClusterError> {
        let mut found = Lookup::Absent;
        for vault in VAULTS.iter().filter(|v| served.contains(v.api)) {
            match self.backups_in(db, vault).await {
                Ok(more) => {
                    let mut all = match found {
                        Lookup::Found(all) => all,
                        Lookup::Absent | Lookup::Unreadable(_) => Vec::new(),
                    };
                    all.extend(more);
                    found = Lookup::Found(all);
                }
                // The backups found in the other system must not be dropped.
                Err(error)
                    if !error.transient() && !matches!(found, Lookup::Found(ref all) if !all.is_empty()) =>
                {
                    found = unreadable(error)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn backups_in(&self, db: &Database, vault: &Vault) -> Result<Vec<Backup>, ClusterError> {
        let namespace = &db.object.namespace;
        let (sessions, restores) = tokio::try_join!(
            self.list::<Value>(vault.api, namespace, "backupsessions", "", ""),
            self.list::<Value>(vault.api, namespace, "restoresessions", "", ""),
        )?;
        let mut found = Vec::new();
        for session in sessions.0.iter().filter(|s| on_its_way(s)) {
            if self.target(vault, namespace, session).await?.is_none_or(|target| target == db.object.name) {
                found.push(backup("BackupSession", "backupsession", session, vault));
            }
        }
        let ours = |s: &&Value| s.pointer(vault.target).and_then(Value::as_str) == Some(&db.object.name);
        let restores = restores.0.iter().filter(|s| on_its_way(s)).filter(ours);
        found.extend(restores.map(|s| backup("RestoreSession", "restoresession", s, vault)));
        Ok(found)
    }

    /// The name of the target of a session, from the configuration that invoked it; `None` if unknown, for example for a
    /// batch of several targets.
    async fn target(
        &self,
        vault: &Vault,
        namespace: &str,
        session: &Value,
    ) -> Result<Option<String>, ClusterError> {
        let invoker = &session["spec"]["invoker"];
        let Some(name) = invoker["name"].as_str().filter(|_| invoker["kind"] == "BackupConfiguration") else {
            return Ok(None);
        };
        let word = "backupconfiguration";
        match self.get::<Value>(vault.api, namespace, "backupconfigurations", word, name).await {
            Ok(found) => Ok(found.pointer(vault.target).and_then(Value::as_str).map(str::to_owned)),
            Err(error) if error.transient() => Err(error),
            Err(_) => Ok(None),
        }
    }
}

/// Whether a session is in progress, by the phases of both systems. An empty or unknown phase counts as in progress.
fn on_its_way(session: &Value) -> bool {
    let phase = session.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default();
    !matches!(phase, "Succeeded" | "Failed" | "Skipped" | "Invalid")
}

fn backup(kind: &str, resource: &str, session: &Value, vault: &Vault) -> Backup {
    let text = |at: &str| session.pointer(at).and_then(Value::as_str).map(clean).unwrap_or_default();
    Backup {
        kind: kind.to_owned(),
        name: text("/metadata/name"),
        phase: text("/status/phase"),
        resource: format!("{resource}.{}", vault.group),
    }
}

/// Turns a failure into an unreadable lookup, unless it may go away.
fn unreadable<T>(error: ClusterError) -> Result<Lookup<T>, ClusterError> {
    if error.transient() { Err(error) } else { Ok(Lookup::Unreadable(error.to_string())) }
}
