//! The lock: one Lease per database. Whether its holder is alive is determined without comparing the clocks of two
//! machines: a lease has expired once it was watched for its whole duration without a change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, header};
use k8s_openapi::api::coordination::v1::Lease;
use kube::core::WatchEvent;
use kube::core::params::{PostParams, WatchParams};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use crate::clock::{Clock, Reading};
use crate::model::{Kind, Lock, ObjectRef, PatchOp, clean};
use crate::retry::Retries;

use super::request::{Call, MANAGER, built, json_patch, path, resource};
use super::transport::CALL_TIMEOUT;
use super::{Cluster, ClusterError};

/// How long the lock is valid after a renewal. Long enough to survive a failed renewal, short enough that nobody waits long
/// for the lock of a process that died.
pub const LEASE_DURATION: Duration = Duration::from_secs(30);

/// How often the lock is renewed.
pub const RENEW_EVERY: Duration = Duration::from_secs(5);

/// The longest pause before the lock is looked at, or released, again: other runs wait for it.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) const API: &str = "coordination.k8s.io/v1";

/// A lock that we hold.
#[derive(Clone)]
pub struct HeldLease {
    cluster: Cluster,
    clock: Clock,
    namespace: String,
    name: String,
    holder: String,
    state: Arc<Mutex<State>>,
    /// One renewal at a time: two would race each other for the resource version.
    renewing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone)]
struct State {
    uid: String,
    resource_version: String,
    renewed: Reading,
}

/// Why the lock could not be taken or renewed.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run holds it.
    #[error("the lock is held by {}", .0.holder)]
    Held(Box<Lock>),
    /// The lease was deleted, possibly together with the database.
    #[error("the lock was deleted")]
    Gone,
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

fn lock_of(lease: &Lease) -> Option<Lock> {
    let spec = lease.spec.as_ref()?;
    let holder = spec.holder_identity.as_deref().filter(|h| !h.is_empty())?;
    let since = spec.acquire_time.as_ref().map(|t| format!("{:.0}", t.0)).unwrap_or_default();
    let renewed = spec.renew_time.as_ref().map(|t| t.0.to_string()).unwrap_or_default();
    Some(Lock {
        holder: clean(holder),
        since,
        renewed,
        duration_seconds: i64::from(spec.lease_duration_seconds.unwrap_or(0)),
        resource_version: lease.metadata.resource_version.clone().unwrap_or_default(),
        alive: true,
    })
}

/// The lock, if that is its holder.
fn held(lease: &Lease, holder: &str) -> Result<Lock, LockError> {
    match lock_of(lease) {
        Some(lock) if lock.holder == clean(holder) => Ok(lock),
        Some(lock) => Err(LockError::Held(Box::new(lock))),
        None => Err(LockError::Gone),
    }
}

/// A lock, keyed by the namespace and the name of its lease.
pub(super) fn named(lease: &Lease) -> Option<((String, String), Lock)> {
    let meta = &lease.metadata;
    let key = (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default());
    Some((key, lock_of(lease)?))
}

impl Cluster {
    /// The lock on a database; `None` if nobody holds it. Its holder is assumed to be alive.
    ///
    /// # Errors
    /// The lease cannot be read.
    pub async fn lock(
        &self,
        kind: Kind,
        namespace: &str,
        database: &str,
    ) -> Result<Option<Lock>, ClusterError> {
        match self.get::<Lease>(API, namespace, "leases", "lease", &kind.lock_and_journal(database)).await {
            Ok(lease) => Ok(lock_of(&lease)),
            Err(error) if error.absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Watches a lock until its holder renews it (and so is alive), releases it, or lets it expire.
    ///
    /// # Errors
    /// The lease cannot be read.
    pub async fn watch_lock(
        &self,
        kind: Kind,
        namespace: &str,
        database: &str,
        seen: Lock,
    ) -> Result<Option<Lock>, ClusterError> {
        let deadline = Instant::now() + lease_duration(&seen);
        let name = kind.lock_and_journal(database);
        let mut retries = Retries::new().at_most(AGAIN);
        loop {
            let changed = timeout_at(deadline, self.lease_changes(namespace, &name, &seen)).await;
            match self.lock(kind, namespace, database).await? {
                None => return Ok(None),
                Some(now) if now.resource_version != seen.resource_version => return Ok(Some(now)),
                Some(now) if changed.is_err() => return Ok(Some(Lock { alive: false, ..now })),
                // The watch ended early without an event: watch again.
                Some(_) => sleep(retries.pause(Duration::MAX).unwrap_or(AGAIN)).await,
            }
        }
    }

    /// Returns at the first change of the lease, or when the watch ends.
    async fn lease_changes(&self, namespace: &str, name: &str, seen: &Lock) -> Result<(), ClusterError> {
        let params = WatchParams {
            field_selector: Some(format!("metadata.name={name}")),
            timeout: Some(lease_duration(seen).as_secs() as u32 + 1),
            ..WatchParams::default()
        };
        let base = kube::core::Request::new(path(API, namespace, "leases")?);
        let request = built(base.watch(&params, &seen.resource_version), name)?;
        let call = Call {
            what: format!("watch lease/{name}"),
            verb: "watch",
            resource: resource(API, "leases"),
            request,
        };
        let mut events = self.open_watch::<Lease>(&call).await?;
        while let Some(event) = events.next().await {
            if !matches!(event, Ok(WatchEvent::Bookmark(_))) {
                break;
            }
        }
        Ok(())
    }

    /// Takes the lock: creates the lease, or takes over one whose holder was seen to be dead.
    ///
    /// # Errors
    /// [`LockError::Held`] if another run holds it or took it first.
    pub async fn take_lock(
        &self,
        kind: Kind,
        database: &ObjectRef,
        dead: Option<&Lock>,
        holder: &str,
        clock: &Clock,
    ) -> Result<HeldLease, LockError> {
        let name = kind.lock_and_journal(&database.name);
        let mut call = match dead {
            None => creation(database, &name, holder, clock)?,
            Some(lock) => takeover(database, &name, lock, holder, clock)?,
        };
        let mut retries = Retries::from_now();
        let (began, lease) = loop {
            let began = clock.read();
            let error = match self.once(&call).await {
                Ok(answer) => {
                    let lease: Lease = answer.parse(&call.what)?;
                    held(&lease, holder)?;
                    break (began, lease);
                }
                Err(error @ ClusterError::Transient { .. }) => error,
                Err(ClusterError::Conflict { what, message }) => ClusterError::lost(&what, &message),
                // The holder was alive after all and has released the lock: whatever was read before is out of date.
                Err(ClusterError::NotFound { .. }) if dead.is_some() => return Err(LockError::Gone),
                Err(error) => return Err(error.into()),
            };
            // The response may have been lost, or another run may have taken the lock first.
            let found = self.get::<Lease>(API, &database.namespace, "leases", "lease", &name).await;
            match found.map(|lease| (lock_of(&lease), lease)) {
                Ok((Some(lock), lease)) if lock.holder == clean(holder) => break (began, lease),
                Ok((Some(lock), _)) if dead.is_none_or(|d| d.resource_version != lock.resource_version) => {
                    return Err(LockError::Held(Box::new(lock)));
                }
                // A user has removed the holder by hand: the lease is free.
                Ok((None, lease)) if dead.is_none() => call = claim(database, &name, &lease, holder, clock)?,
                Ok((None, _)) => return Err(LockError::Gone),
                // The request was not carried out: the lease does not exist, or still belongs to the dead holder.
                Ok((Some(_), _)) => {}
                Err(absent) if absent.absent() => {}
                Err(error) => return Err(error.into()),
            }
            self.pause(&mut retries, &error, &call).await.ok_or(error)?;
        };
        Ok(HeldLease {
            cluster: self.clone(),
            clock: clock.clone(),
            namespace: database.namespace.clone(),
            name,
            holder: holder.to_owned(),
            state: Arc::new(Mutex::new(State {
                uid: lease.metadata.uid.unwrap_or_default(),
                resource_version: lease.metadata.resource_version.unwrap_or_default(),
                renewed: began,
            })),
            renewing: Arc::default(),
        })
    }
}

/// The duration that the holder has declared, clamped: a holder may declare none, or a year.
pub fn lease_duration(lock: &Lock) -> Duration {
    Duration::from_secs(lock.duration_seconds.clamp(1, 120) as u64)
}

fn creation(database: &ObjectRef, name: &str, holder: &str, clock: &Clock) -> Result<Call, ClusterError> {
    let now = clock.rfc3339(6);
    let lease = json!({
        "apiVersion": API,
        "kind": "Lease",
        "metadata": {
            "name": name,
            "namespace": database.namespace,
            "labels": { "kubectl-dbupdate/lock": "true" },
            "ownerReferences": [{
                "apiVersion": database.api_version,
                "kind": database.kind,
                "name": database.name,
                "uid": database.uid,
            }],
        },
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": LEASE_DURATION.as_secs(),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": 0,
        },
    });
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let base = kube::core::Request::new(path(API, &database.namespace, "leases")?);
    let request = built(base.create(&params, lease.to_string().into_bytes()), name)?;
    Ok(Call {
        what: format!("create lease/{name}"),
        verb: "create",
        resource: resource(API, "leases"),
        request,
    })
}

fn takeover(
    database: &ObjectRef,
    name: &str,
    dead: &Lock,
    holder: &str,
    clock: &Clock,
) -> Result<Call, ClusterError> {
    let now = clock.rfc3339(6);
    let operations = [
        PatchOp::replace("/metadata/resourceVersion", dead.resource_version.as_str()),
        PatchOp::add("/spec/holderIdentity", holder),
        PatchOp::add("/spec/leaseDurationSeconds", LEASE_DURATION.as_secs()),
        PatchOp::add("/spec/acquireTime", now.as_str()),
        PatchOp::add("/spec/renewTime", now.as_str()),
    ];
    patch_call(&database.namespace, name, &operations)
}

/// Takes a lease that nobody holds, if it is unchanged since it was read.
fn claim(
    database: &ObjectRef,
    name: &str,
    free: &Lease,
    holder: &str,
    clock: &Clock,
) -> Result<Call, ClusterError> {
    let now = clock.rfc3339(6);
    let spec = json!({
        "holderIdentity": holder,
        "leaseDurationSeconds": LEASE_DURATION.as_secs(),
        "acquireTime": now,
        "renewTime": now,
    });
    let version = free.metadata.resource_version.clone().unwrap_or_default();
    let operations = [PatchOp::replace("/metadata/resourceVersion", version), PatchOp::add("/spec", spec)];
    patch_call(&database.namespace, name, &operations)
}

fn patch_call(namespace: &str, name: &str, operations: &[PatchOp]) -> Result<Call, ClusterError> {
    let request = json_patch(&format!("{}/{name}", path(API, namespace, "leases")?), operations, false)?;
    Ok(Call {
        what: format!("patch lease/{name}"),
        verb: "patch",
        resource: resource(API, "leases"),
        request,
    })
}

impl HeldLease {
    /// It is this lock.
    pub fn holds(&self, lock: &Lock) -> bool {
        lock.holder == clean(&self.holder)
    }

    /// Whether the lease was renewed recently enough, by both clocks, that even the slowest write finishes before it expires.
    pub fn good(&self) -> bool {
        let age = self.state().renewed.until(self.clock.read());
        age.is_some_and(|age| age < LEASE_DURATION - CALL_TIMEOUT)
    }

    /// Renews the lease. The write expects the resource version that we know, so it fails if another run has taken the lock.
    ///
    /// # Errors
    /// [`LockError::Held`] and [`LockError::Gone`] if we no longer hold it.
    pub async fn renew(&self) -> Result<(), LockError> {
        let _one_at_a_time = self.renewing.lock().await;
        let mut state = self.state();
        for _ in 0..2 {
            let began = self.clock.read();
            let now = self.clock.rfc3339(6);
            let operations = [
                PatchOp::replace("/metadata/resourceVersion", state.resource_version.as_str()),
                PatchOp::test("/spec/holderIdentity", self.holder.as_str()),
                PatchOp::add("/spec/renewTime", now.as_str()),
            ];
            let call = patch_call(&self.namespace, &self.name, &operations)?;
            let lease: Lease = match self.cluster.once(&call).await {
                Ok(answer) => answer.parse(&call.what)?,
                // An earlier renewal may have succeeded although its response was lost: then the lease is still ours, at a
                // newer version.
                Err(ClusterError::Conflict { .. }) => {
                    state.resource_version = self.still_ours(&state.uid).await?;
                    continue;
                }
                Err(ClusterError::NotFound { .. }) => return Err(LockError::Gone),
                Err(error) => return Err(error.into()),
            };
            held(&lease, &self.holder)?;
            state.resource_version = lease.metadata.resource_version.unwrap_or_default();
            state.renewed = began;
            *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
            return Ok(());
        }
        Err(ClusterError::Conflict { what: format!("lease/{}", self.name), message: String::new() }.into())
    }

    /// The lease's resource version, if we still hold it.
    async fn still_ours(&self, uid: &str) -> Result<String, LockError> {
        match self.cluster.get::<Lease>(API, &self.namespace, "leases", "lease", &self.name).await {
            Ok(lease) if lease.metadata.uid.as_deref() != Some(uid) => Err(LockError::Gone),
            Ok(lease) => held(&lease, &self.holder).map(|lock| lock.resource_version),
            Err(error) if error.absent() => Err(LockError::Gone),
            Err(error) => Err(error.into()),
        }
    }

    /// Releases the lock: deletes the lease if we still hold it. A failure that may go away is retried for as long as the
    /// caller waits.
    ///
    /// # Errors
    /// The lease cannot be deleted; it then expires on its own.
    pub async fn release(&self) -> Result<(), LockError> {
        let _one_at_a_time = self.renewing.lock().await;
        let State { uid, mut resource_version, .. } = self.state();
        let mut retries = Retries::new().at_most(AGAIN);
        let mut pause = async || sleep(retries.pause(Duration::MAX).unwrap_or(AGAIN)).await;
        loop {
            let call = self.deletion(&uid, &resource_version)?;
            match self.cluster.once(&call).await {
                Ok(_) => return Ok(()),
                Err(error) if error.absent() => return Ok(()),
                Err(error) if error.transient() => pause().await,
                // A cancelled renewal may have succeeded: then the lease is still ours, at a newer version.
                Err(ClusterError::Conflict { .. }) => {
                    let found = self.still_ours(&uid).await?;
                    if found == resource_version {
                        // The conflict was not about the resource version.
                        pause().await;
                    }
                    resource_version = found;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn deletion(&self, uid: &str, resource_version: &str) -> Result<Call, ClusterError> {
        let url = format!("{}/{}", path(API, &self.namespace, "leases")?, self.name);
        let body = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": { "uid": uid, "resourceVersion": resource_version },
        });
        let what = format!("delete lease/{}", self.name);
        let request = Request::delete(url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into_bytes())
            .map_err(|e| ClusterError::Unexpected { what: what.clone(), message: e.to_string() })?;
        Ok(Call { what, verb: "delete", resource: resource(API, "leases"), request })
    }

    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
