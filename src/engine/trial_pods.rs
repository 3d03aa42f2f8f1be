//! Trying the pods of a plan with `dryRun=All`: whether admission would let their controllers create them again. Only a
//! hint: this user is not the controller, and the old pods still count for a quota.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use crate::cluster::{Cluster, ClusterError};
use crate::model::{Method, Plan, PodAction, Purpose, Snapshot, Trial, WorkloadPlan};
use crate::roll::creation;
use crate::steps::trial_pod;

/// How long a hint may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tries one pod for each workload whose pods will be restarted from a template that this tool patches. None if it is not
/// known that the user may create pods, which an update does not need.
pub(super) async fn trials(cluster: &Cluster, snapshot: &Snapshot, plan: &Plan) -> Vec<Trial> {
    if plan.method != Method::Client || !snapshot.environment.may_create_pods {
        return Vec::new();
    }
    let tried = join_all(plan.workloads.iter().map(|workload| try_one(cluster, snapshot, workload)));
    timeout(PATIENCE, tried).await.into_iter().flatten().flatten().collect()
}

/// `None` if there is nothing to try, or it could not be tried.
async fn try_one(cluster: &Cluster, snapshot: &Snapshot, workload: &WorkloadPlan) -> Option<Trial> {
    let restarts =
        |a: PodAction| matches!(a, PodAction::Evict | PodAction::EvictUnhealthy | PodAction::Follow);
    let pod = &workload.pods.iter().find(|p| restarts(p.action))?.name;
    let manifest = trial_pod::manifest(snapshot.workload(&workload.object.uid)?, workload, pod)?;
    let warnings = match cluster.try_pod(&workload.object.namespace, &manifest).await {
        Ok(warnings) => warnings,
        // The old pod has the name, which the server looks at last.
        Err(ClusterError::Conflict { .. }) => Vec::new(),
        Err(ClusterError::Refused { message, .. }) if speaks_of_the_pod(&message) => vec![format!(
            "may be refused when the controller of {} creates it again: {message} (tried as you; the controller is another user)",
            workload.object
        )],
        Err(_) => return None,
    };
    Some(Trial { write: Purpose::Recreate, object: format!("pod/{pod}"), refused: None, warnings })
}

/// Whether a refusal would meet the controller as well: not a quota, to which the old pod will no longer count, nor what
/// only this trial does wrong.
fn speaks_of_the_pod(message: &str) -> bool {
    let ours = ["does not support dry run", "an ownerRef", " is invalid: "];
    creation::lasts(message) && !ours.iter().any(|word| message.contains(word))
}
