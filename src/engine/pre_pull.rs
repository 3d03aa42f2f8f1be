//! `--pre-pull`: the new images are brought to the nodes before anything is changed, by short-lived pods of our own.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::clock::Clock;
use crate::cluster::{CALL_TIMEOUT, Cluster, ClusterError, HeldLease, LEASE_DURATION};
use crate::event::{Event, StepOutcome};
use crate::journal::Entry;
use crate::model::{Command, ObjectRef, PRE_PULL_LABEL, Pod, Pull, Snapshot, millis};
use crate::retry::Retries;
use crate::roll::creation;
use crate::roll::pull::{Bringing, Brought, CONTAINER, LeftOut, Pulls, Refused};
use crate::steps::pre_pull;

use super::run::Run;
use super::stop_reason::StopReason;

/// How often the pods are read. They carry none of the database's labels, so no watch reports them.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How much longer than a run waits for it the kubelet may keep a pod that nobody removes.
const OUTLIVES: Duration = Duration::from_secs(60);

const NO_ANSWER: &str = "the API server did not answer in time";

/// How often the pods are listed again until none is left.
const LISTS: u32 = 5;

impl Run {
    /// Brings the plan's images to their nodes. Its pods are removed one by one as they arrive.
    pub async fn pre_pull(&mut self) -> Result<StepOutcome, StopReason> {
        let Some(planned) = self.plan.pre_pull.clone() else { return Ok(StepOutcome::AlreadyDone) };
        let there = planned.present.len();
        if there > 0 {
            self.narrator.note = format!("{there} already there");
        }
        if planned.pulls.is_empty() {
            return Ok(StepOutcome::AlreadyDone);
        }
        let all = planned.pulls.len();
        let (mut pulls, mut backoff) = (Pulls::new(planned.pulls), Retries::new());
        while !pulls.done() {
            self.guard()?;
            self.interrupt.stop_here()?;
            self.look_after(&mut pulls).await?;
            while let Some(pull) = pulls.take_next() {
                self.bring(&mut pulls, pull, &mut backoff).await?;
            }
            self.wait_to_look_again(&pulls).await?;
        }
        if let Some(LeftOut { images, why }) = pulls.left_out {
            self.narrator.notice(format!(
                "{images} of {all} images are not pre-pulled, because their pods are not admitted; they will be pulled when \
                 the pods of the database restart: {why}"
            ));
        }
        self.remove_own_pods(Instant::now() + CALL_TIMEOUT).await;
        Ok(StepOutcome::Done)
    }

    async fn wait_to_look_again(&mut self, pulls: &Pulls) -> Result<(), StopReason> {
        let until = self.narrator.now() + LOOK_EVERY;
        while !pulls.done() && self.narrator.now() < until {
            self.interrupt.stop_here()?;
            self.wait(until).await?;
        }
        Ok(())
    }

    /// Creates the pod that brings this image.
    async fn bring(
        &mut self,
        pulls: &mut Pulls,
        pull: Pull,
        backoff: &mut Retries,
    ) -> Result<(), StopReason> {
        let terms = self.observer.snapshot.workload(&pull.workload).map(|w| w.terms.clone());
        let seconds = (self.options.bounds.pod_timeout + OUTLIVES).as_secs();
        let run = &self.options.caller.run;
        let write = pre_pull::create(&self.plan, &pull, &terms.unwrap_or_default(), run, CONTAINER, seconds);
        let name = write.object.name.clone();
        self.hold().await?;
        self.ledger.pull_pods.insert(name.clone());
        let sending = self.observer.cluster.send(&write, false);
        let sent = self.interrupt.during_write(&mut self.ledger.in_the_air, sending).await?.map(drop);
        // An earlier attempt may have created it, and its response was lost; or others write the same quota at this moment.
        let conflict = matches!(sent, Err(ClusterError::Conflict { .. }));
        let sent = if conflict && self.pull_pods().await?.iter().any(|pod| pod.name == name) {
            Ok(())
        } else {
            sent
        };
        match sent {
            Ok(()) => {
                *backoff = Retries::new();
                let Pull { node, image, .. } = pull.clone();
                pulls.on_their_way.push(Bringing::new(pull, name, self.narrator.now()));
                self.narrator.emit(Event::ImagePullStarted { node, image });
            }
            Err(error) if conflict || error.transient() => {
                pulls.again(pull);
                self.back_off(backoff, &format!("create {}", write.object), &error).await?;
            }
            Err(error @ ClusterError::Unauthorized { .. }) => return Err(error.into()),
            Err(error) => {
                self.ledger.pull_pods.remove(&name);
                pulls.refused(pull, refused(&error), &error.to_string());
            }
        }
        Ok(())
    }

    /// The pods that bring images to nodes.
    async fn pull_pods(&mut self) -> Result<Vec<Pod>, StopReason> {
        let ObjectRef { namespace, uid, .. } = &self.plan.database;
        let listing = self.observer.cluster.pull_pods(namespace, uid);
        Ok(self.interrupt.during(listing).await??)
    }

    /// Judges every pod that is on its way.
    async fn look_after(&mut self, pulls: &mut Pulls) -> Result<(), StopReason> {
        if pulls.on_their_way.is_empty() {
            return Ok(());
        }
        let pods = self.pull_pods().await?;
        let (limit, now) = (self.options.bounds.pod_timeout, self.narrator.now());
        for mut bringing in std::mem::take(&mut pulls.on_their_way) {
            let pod = pods.iter().find(|pod| pod.name == bringing.pod);
            let Pull { node, image, .. } = bringing.pull.clone();
            match bringing.judge(pod, limit, now) {
                Brought::OnItsWay(on) => {
                    if bringing.news(&on) {
                        self.narrator.emit(Event::ImagePullWaiting { node, image, on });
                    }
                    pulls.on_their_way.push(bringing);
                }
                Brought::There => {
                    self.remove(&bringing, pod).await?;
                    let took_ms = millis(now - bringing.began);
                    self.narrator.emit(Event::ImagePulled { node, image, took_ms });
                }
                Brought::NotTaken { why } => {
                    self.remove(&bringing, pod).await?;
                    self.narrator.emit(Event::ImageNotPulled { node, image, why });
                }
                Brought::Failed { .. } if bringing.has_time(limit, now) && self.is_pulling(pod).await? => {
                    bringing.pulls_again(now);
                    pulls.on_their_way.push(bringing);
                }
                Brought::Failed { why } => {
                    let last_event = self.why_not_pulled(pod, &why).await?;
                    return Err(StopReason::PullFailed { node, image, why, last_event });
                }
            }
        }
        Ok(())
    }

    /// The last Event of a pod whose container does not say why it has no image.
    async fn why_not_pulled(&mut self, pod: Option<&Pod>, said: &str) -> Result<Option<String>, StopReason> {
        let Some(pod) = pod.filter(|_| !said.contains(": ")) else { return Ok(None) };
        let asking = self.observer.cluster.last_event(&self.plan.database.namespace, &pod.uid);
        self.interrupt.during(asking).await
    }

    /// Removes a pod that is no longer needed. If that fails, the end of the run tries again.
    async fn remove(&mut self, bringing: &Bringing, pod: Option<&Pod>) -> Result<(), StopReason> {
        if let Some(pod) = pod {
            let write = pre_pull::remove(&self.plan.database.namespace, pod);
            let removing = self.observer.cluster.send(&write, false);
            if self.interrupt.during(removing).await?.is_err_and(|error| !error.absent()) {
                return Ok(());
            }
        }
        self.ledger.pull_pods.remove(&bringing.pod);
        Ok(())
    }

    /// Removes the pods that an earlier run has left, once the lock is held. Nothing of the database depends on them.
    pub(super) async fn remove_left_pods(&mut self) -> Result<(), StopReason> {
        let left = self.options.story.journal.entries.iter().any(Entry::may_leave_pods);
        if !left && self.plan.pre_pull.is_none() {
            return Ok(());
        }
        self.hold().await?;
        let clearing = clear(&self.observer.cluster, &self.plan.database, None);
        match self.interrupt.during(clearing).await? {
            Ok(0) => {}
            Ok(removed) => self.narrator.notice(were_removed(removed)),
            Err(error) => self.tell_of_left_pods(&error.to_string()),
        }
        Ok(())
    }

    /// Removes whatever pods of this process may still be there.
    pub(super) async fn remove_own_pods(&mut self, until: Instant) {
        if self.ledger.pull_pods.is_empty() {
            return;
        }
        let (cluster, database) = (&self.observer.cluster, &self.plan.database);
        let clearing = async {
            let mut retries = Retries::new();
            loop {
                match clear(cluster, database, Some(&self.ledger.pull_pods)).await {
                    Err(error) if error.transient() => {
                        sleep(retries.pause(Duration::MAX).unwrap_or_default()).await;
                    }
                    cleared => return cleared,
                }
            }
        };
        match timeout_at(until, clearing).await {
            Ok(Ok(_)) => self.ledger.pull_pods.clear(),
            Ok(Err(error)) => self.tell_of_left_pods(&error.to_string()),
            Err(_) => self.tell_of_left_pods(NO_ANSWER),
        }
    }

    fn tell_of_left_pods(&self, why: &str) {
        self.narrator.notice(may_be_left(&self.plan.database, why));
    }
}

/// Removes the pods that an earlier run has left, under the lock, where no run follows that would do it. The lock's holder
/// must have been seen to be dead, if it has one. Cancelling this leaves a lock that expires.
///
/// # Errors
///
/// What to tell the user if pods may still be there.
pub async fn remove_left_pods(
    cluster: &Cluster,
    snapshot: &Snapshot,
    holder: &str,
    clock: &Clock,
) -> Result<Option<String>, String> {
    let (kind, database) = (snapshot.database.kind, &snapshot.database.object);
    let dead = snapshot.lock.as_ref().filter(|lock| !lock.alive);
    let taking = cluster.take_lock(kind, database, dead, holder, clock);
    let lease = match taking.await {
        Ok(lease) => lease,
        Err(error) => return Err(may_be_left(database, &error.to_string())),
    };
    // The lock is not renewed: all of it has to fit into the time for which it is valid.
    let cleared = timeout(LEASE_DURATION - CALL_TIMEOUT, clear(cluster, database, None)).await;
    let said = match cleared {
        Ok(Ok(0)) => Ok(None),
        Ok(Ok(removed)) => Ok(Some(were_removed(removed))),
        Ok(Err(error)) => Err(may_be_left(database, &error.to_string())),
        // A deletion may still be in flight: the lock is kept until it expires.
        Err(_) => return Err(may_be_left(database, NO_ANSWER)),
    };
    release(lease).await;
    said
}

fn refused(error: &ClusterError) -> Refused {
    match error {
        ClusterError::Refused { message, .. } if creation::lasts(message) => Refused::ThisOne,
        _ => Refused::ForNow,
    }
}

/// A lock that cannot be released expires by itself.
async fn release(lease: HeldLease) {
    let _ = timeout(CALL_TIMEOUT, lease.release()).await;
}

fn were_removed(pods: usize) -> String {
    let pods = if pods == 1 { "1 pod was".to_owned() } else { format!("{pods} pods were") };
    format!("{pods} removed, left by an earlier run that pre-pulled images")
}

fn may_be_left(database: &ObjectRef, why: &str) -> String {
    let label = format!("{PRE_PULL_LABEL}={}", database.uid);
    let delete = Command::kubectl(["delete", "pods", "-l", &label]).in_namespace(&database.namespace);
    format!("pods that pre-pull images may be left ({why}); to remove them: {delete}")
}

/// Removes the pods that bring images to nodes, or only those of these names. Returns how many there were.
async fn clear(
    cluster: &Cluster,
    database: &ObjectRef,
    only: Option<&BTreeSet<String>>,
) -> Result<usize, ClusterError> {
    let mut removed = 0;
    for _ in 0..LISTS {
        let pods = cluster.pull_pods(&database.namespace, &database.uid).await?;
        let ours = |pod: &&Pod| !pod.deleting && only.is_none_or(|names| names.contains(&pod.name));
        let left: Vec<&Pod> = pods.iter().filter(ours).collect();
        if left.is_empty() {
            break;
        }
        for pod in left {
            match cluster.send(&pre_pull::remove(&database.namespace, pod), false).await {
                Ok(_) => removed += 1,
                // Somebody else has removed it, or removed it and created another one.
                Err(error) if error.absent() || matches!(error, ClusterError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(removed)
}
