//! Trying the writes of a plan with `dryRun=All`: the same ones that the run would send.

use futures::future::{join_all, try_join_all};

use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterError};
use crate::database::{Session, Undone};
use crate::kinds;
use crate::model::{Action, FinishPlan, Method, Plan, PodAction, Purpose, Snapshot, Trial, Work, Write};
use crate::retry::Retries;
use crate::steps::{ops_request, s1_pause, s2_patch_images, s3_roll_pods, s4_set_version};

use super::run::Run;
use super::stop_reason::StopReason;
use super::trial_pods;

/// Sends every write of a plan that can be tried, changing nothing: the pause, each image patch, the version, and one
/// eviction for each workload. Resuming is the pause's own permission and webhooks.
///
/// # Errors
/// The cluster cannot be reached, so nothing is known.
pub async fn trials(
    cluster: &Cluster,
    snapshot: &Snapshot,
    plan: &Plan,
    clock: &Clock,
) -> Result<Vec<Trial>, ClusterError> {
    let writes = writes(snapshot, plan, &clock.rfc3339(0));
    if let Some(finish) = &plan.finish {
        return Ok(try_works(cluster, snapshot, finish).await);
    }
    // None of them changes anything, so none waits for another.
    let trying = try_join_all(writes.iter().map(|write| try_one(cluster, write)));
    let (tried, pods) = tokio::join!(trying, trial_pods::trials(cluster, snapshot, plan));
    let tried = tried?;
    let trials = writes.iter().zip(tried).map(|(write, tried)| {
        let (refused, warnings) = match tried {
            Ok(warnings) => (None, warnings),
            Err(error) => (Some(error.to_string()), Vec::new()),
        };
        Trial { write: write.purpose, object: write.object.to_string(), refused, warnings }
    });
    Ok(trials.chain(pods).collect())
}

/// Asks the database whether it would do the works of a finish.
async fn try_works(cluster: &Cluster, snapshot: &Snapshot, finish: &FinishPlan) -> Vec<Trial> {
    let mut session = Session::new(cluster, &snapshot.database);
    let roster = kinds::roster(snapshot);
    let mut trials = Vec::new();
    for step in &finish.completion.steps {
        let mut trial = Trial {
            write: Purpose::Finish,
            object: step.work.to_string(),
            refused: None,
            warnings: Vec::new(),
        };
        match &step.work {
            Work::SetFeature { .. } => match session.try_out(&step.work, &roster).await {
                Ok(()) => {}
                Err(Undone::Refused(why)) => trial.refused = Some(cluster.without_secrets(&why)),
                Err(Undone::Unknown(why)) => {
                    trial.warnings.push(format!("could not be tried: {}", cluster.without_secrets(&why)));
                }
            },
            Work::RewriteFiles { .. } | Work::Await { .. } => {
                trial.warnings.push("could not be tried: the database has no dry run for it".to_owned());
            }
        }
        trials.push(trial);
    }
    trials
}

/// Sends one write as a dry run. Returns the server's warnings, or why it would refuse the write.
async fn try_one(
    cluster: &Cluster,
    write: &Write,
) -> Result<Result<Vec<String>, ClusterError>, ClusterError> {
    Ok(match cluster.send(write, true).await {
        Ok(sent) => Ok(sent.warnings().to_vec()),
        // The budget forbids the eviction only now; the run would wait.
        Err(ClusterError::Budget { message, .. }) => Ok(vec![format!("would have to wait now: {message}")]),
        // Another user or controller changed the object at the same moment, or the pod has just been replaced.
        Err(error @ (ClusterError::Conflict { .. } | ClusterError::NotFound { .. })) if !exact(write) => {
            Ok(vec![format!("could not be tried: {error}")])
        }
        // A webhook that does not support dry run.
        Err(ClusterError::Refused { message, .. }) if message.contains("does not support dry run") => {
            Ok(vec![format!("could not be tried: {message}")])
        }
        Err(error) if error.transient() => return Err(error),
        Err(error) => Err(error),
    })
}

/// What the write expects does not change on its own: images, the version, or a name that is not taken; not the status
/// or a pod.
fn exact(write: &Write) -> bool {
    matches!(write.purpose, Purpose::PatchImages | Purpose::SetVersion | Purpose::Request)
}

impl Run {
    /// Tries every write before the first one is sent, so that a webhook, a policy or a missing permission stops the
    /// run now rather than when the database is half updated.
    pub(super) async fn try_writes(&mut self) -> Result<(), StopReason> {
        let mut untried = writes(&self.observer.snapshot, &self.plan, &self.options.clock.rfc3339(0));
        let (mut backoff, mut refused) = (Retries::new(), Vec::new());
        let mut pods = None;
        while !untried.is_empty() {
            let trying = join_all(untried.iter().map(|write| try_one(&self.observer.cluster, write)));
            let first = async {
                match pods {
                    Some(_) => Vec::new(),
                    None => {
                        trial_pods::trials(&self.observer.cluster, &self.observer.snapshot, &self.plan).await
                    }
                }
            };
            let (tried, found) = self.interrupt.during(async { tokio::join!(trying, first) }).await?;
            pods.get_or_insert(found);
            let (mut again, mut lost) = (Vec::new(), None);
            for (write, came) in untried.into_iter().zip(tried) {
                match came {
                    Ok(tried) => refused.extend(tried.err()),
                    Err(error) => {
                        again.push(write);
                        lost = Some(error);
                    }
                }
            }
            if let Some(error) = lost {
                self.back_off(&mut backoff, "try the writes", &error).await?;
            }
            untried = again;
        }
        if refused.is_empty() {
            for Trial { object, warnings, .. } in pods.unwrap_or_default() {
                warnings.iter().for_each(|warning| self.narrator.notice(format!("{object} {warning}")));
            }
            return Ok(());
        }
        // If another user or controller changed something during the trial, the run reports that change, and not what
        // the server would refuse.
        self.hold().await?;
        Err(StopReason::WouldBeRefused { refused })
    }
}

fn writes(snapshot: &Snapshot, plan: &Plan, now: &str) -> Vec<Write> {
    if plan.action == Action::Nothing || plan.finish.is_some() {
        return Vec::new();
    }
    if plan.method == Method::OpsManager {
        let there = ops_request::requested(plan, snapshot) != ops_request::Requested::Absent;
        return ops_request::write(plan).into_iter().filter(|_| !there).collect();
    }
    let message = s1_pause::message("trial", "kubectl-dbupdate", &plan.from.name, &plan.to.name);
    let mut writes = vec![s1_pause::request(&snapshot.database, &message, now)];
    if plan.method == Method::Client {
        writes.extend(plan.workloads.iter().filter_map(s2_patch_images::write));
    }
    if snapshot.database.version != plan.to.name {
        writes.push(s4_set_version::write(plan));
    }
    for workload in &plan.workloads {
        let evicts = |a| matches!(a, PodAction::Evict | PodAction::EvictUnhealthy);
        let first = workload.pods.iter().find(|p| evicts(p.action));
        let pod = first.and_then(|first| snapshot.pods.iter().find(|p| p.name == first.name));
        writes.extend(pod.map(|p| s3_roll_pods::evict(&plan.database.namespace, &p.name, &p.uid)));
    }
    writes
}
