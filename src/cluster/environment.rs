//! What is asked before a plan is made, beside the database itself. The APIs of others need not be there: the cluster is
//! asked once which it has.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::model::{
    BACKUP_APIS, Backup, Database, Environment, GITOPS_API, Lookup, Permission, Snapshot, clean,
};

use super::call::Call;
use super::{Cluster, ClusterError};

/// A system that takes backups: its API, where a session's target stands, and its configuration's.
struct Vault {
    api: &'static str,
    /// The group, as kubectl takes it.
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
    /// Looks around a database: what the user may do of what is needed, how long the credentials last, who else keeps the
    /// database, and whether a backup is on its way.
    ///
    /// # Errors
    /// What keeps us from asking at all. What is there and may not be read is told as such.
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
    /// What keeps us from asking.
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
                // What the other system has told stays true.
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

    /// The name of what a session backs up, by the configuration that has invoked it; `None` where that cannot be told, as
    /// for a batch of several.
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

/// By the phases of both systems; an empty or unknown one counts as on its way.
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

/// What is there and may not be read; what may pass is an error.
fn unreadable<T>(error: ClusterError) -> Result<Lookup<T>, ClusterError> {
    if error.transient() { Err(error) } else { Ok(Lookup::Unreadable(error.to_string())) }
}
