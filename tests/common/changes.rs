//! The changes of a database in short, as they were sent and as a plan announces them.

use kubectl_dbupdate::model::{Plan, PodAction, Strategy, WorkloadPlan};
use serde_json::Value;
use simcluster::RecordedRequest;

/// A change of the database in short: `pause`, `assert`, `images petset/db kafka=repo:3.6.1`, `evict db-0`,
/// `version 3.6.1`, `resume`; `None` for the lock, the journal and Events, for reads, and for trials.
pub fn sent(request: &RecordedRequest) -> Option<String> {
    if !request.is_mutating()
        || request.dry_run
        || request.path.contains("/leases")
        || request.path.contains("/configmaps")
        || request.path.contains("/events")
    {
        return None;
    }
    // The pods that bring images to nodes are none of the database's.
    if request.path.ends_with("/pods") || request.path.contains("/pods/dbupdate-pull-") {
        return None;
    }
    let parts: Vec<_> = request.path.split('/').collect();
    if let [.., "pods", pod, "eviction"] = parts.as_slice() {
        return Some(format!("evict {pod}"));
    }
    let replaced: Vec<(&str, &Value)> = operations(request, &["replace", "add", "remove"]);
    if request.path.ends_with("/status") {
        let (path, value) = replaced.iter().find(|(path, _)| path.contains("/status/"))?;
        let change = match value {
            Value::Null => "resume",
            _ if path.ends_with("/status") => "assert",
            _ => "pause",
        };
        return Some(change.to_owned());
    }
    if let Some((_, version)) = replaced.iter().find(|(path, _)| *path == "/spec/version") {
        return Some(format!("version {}", version.as_str().unwrap_or_default()));
    }
    let [.., plural, name] = parts.as_slice() else { return Some(format!("? {}", request.path)) };
    let tests = operations(request, &["test"]);
    let images: Vec<_> = replaced
        .iter()
        .filter_map(|(path, image)| {
            let container = format!("{}/name", path.strip_suffix("/image")?);
            let (_, container) = tests.iter().find(|(path, _)| *path == container)?;
            Some(format!("{}={}", container.as_str()?, image.as_str()?))
        })
        .collect();
    let kind = plural.trim_end_matches('s');
    Some(format!("images {kind}/{name} {}", images.join(" ")))
}

/// Path and value of a JSON patch's operations of these kinds.
fn operations<'a>(request: &'a RecordedRequest, kinds: &[&str]) -> Vec<(&'a str, &'a Value)> {
    let all = request.body.as_array().map(Vec::as_slice).unwrap_or_default();
    let wanted = all.iter().filter(|op| op["op"].as_str().is_some_and(|kind| kinds.contains(&kind)));
    wanted.map(|op| (op["path"].as_str().unwrap_or_default(), &op["value"])).collect()
}

/// The changes that a plan announces, as [`sent`] tells them: first every image patch of workloads whose pods are
/// evicted, then the pods in order, where a workload that rolls by itself is patched when its turn comes.
pub fn announced(plan: &Plan) -> Vec<String> {
    let images = |w: &WorkloadPlan| {
        let images: Vec<_> = w.images.iter().map(|i| format!("{}={}", i.container, i.after)).collect();
        format!("images {} {}", w.object, images.join(" "))
    };
    let evicts = |w: &&WorkloadPlan| w.strategy == Strategy::Evict;
    let mut all = vec!["pause".to_owned()];
    all.extend(plan.workloads.iter().filter(evicts).map(images));
    for workload in &plan.workloads {
        if !evicts(&workload) {
            all.push(images(workload));
        }
        let pods =
            workload.pods.iter().filter(|p| matches!(p.action, PodAction::Evict | PodAction::EvictUnhealthy));
        all.extend(pods.map(|p| format!("evict {}", p.name)));
    }
    all.push(format!("version {}", plan.to.name));
    all.push("resume".to_owned());
    all
}
