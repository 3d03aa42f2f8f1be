//! Reads the environment of a database before planning: permissions, GitOps, backups. Their APIs are optional.

use serde_json::Value;

use crate::model::{BACKUP_APIS, Backup, Environment, GITOPS_API, Kind, Lookup, Permission, clean};

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

impl Cluster {
    /// Reads the environment of a database: which of these permissions the user lacks, whether KubeDB's GitOps operator manages
    /// the database, and whether a backup or restore is in progress. An optional API is asked before it is known whether the
    /// cluster serves it, and what it answers counts only if it does.
    ///
    /// # Errors
    /// The cluster cannot be asked. An API that the user may not read is not an error; the result says so.
    pub async fn environment(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        permissions: &[Permission],
    ) -> Result<Environment, ClusterError> {
        let [kubestash, stash] = &VAULTS;
        let (denied, served, gitops, kubestash, stash, placement) = tokio::join!(
            self.denied(namespace, permissions),
            self.served_versions(),
            self.gitops(kind, namespace, name),
            self.backups_in(kubestash, namespace, name),
            self.backups_in(stash, namespace, name),
            self.placement_policies(),
        );
        let (denied, served) = (denied?, served?);
        let gitops = if served.contains(GITOPS_API) { gitops? } else { Lookup::Absent };
        let found = VAULTS.iter().zip([kubestash, stash]);
        let found = found.filter(|(vault, _)| served.contains(vault.api)).map(|(_, found)| found);
        Ok(Environment { denied, gitops, backups: together(found)?, placement, ..Environment::default() })
    }

    async fn gitops(&self, kind: Kind, namespace: &str, name: &str) -> Result<Lookup<bool>, ClusterError> {
        let word = format!("{}.gitops.kubedb.com", kind.singular());
        match self.get::<Value>(GITOPS_API, namespace, kind.plural(), &word, name).await {
            Ok(_) => Ok(Lookup::Found(true)),
            Err(error) if error.absent() => Ok(Lookup::Found(false)),
            Err(error) => unreadable(error),
        }
    }

    async fn backups_in(
        &self,
        vault: &Vault,
        namespace: &str,
        database: &str,
    ) -> Result<Vec<Backup>, ClusterError> {
        let (sessions, restores) = tokio::try_join!(
            self.list::<Value>(vault.api, namespace, "backupsessions", "", ""),
            self.list::<Value>(vault.api, namespace, "restoresessions", "", ""),
        )?;
        let mut found = Vec::new();
        for session in sessions.0.iter().filter(|s| on_its_way(s)) {
            if self.target(vault, namespace, session).await?.is_none_or(|target| target == database) {
                found.push(backup("BackupSession", "backupsession", session, vault));
            }
        }
        let ours = |s: &&Value| s.pointer(vault.target).and_then(Value::as_str) == Some(database);
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

/// The backups of all systems that the cluster has.
fn together(
    all: impl Iterator<Item = Result<Vec<Backup>, ClusterError>>,
) -> Result<Lookup<Vec<Backup>>, ClusterError> {
    let mut together = Lookup::Absent;
    for found in all {
        match found {
            Ok(more) => {
                let mut all = match together {
                    Lookup::Found(all) => all,
                    Lookup::Absent | Lookup::Unreadable(_) => Vec::new(),
                };
                all.extend(more);
                together = Lookup::Found(all);
            }
            // The backups found in the other system must not be dropped.
            Err(error)
                if !error.transient() && !matches!(together, Lookup::Found(ref all) if !all.is_empty()) =>
            {
                together = unreadable(error)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(together)
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
