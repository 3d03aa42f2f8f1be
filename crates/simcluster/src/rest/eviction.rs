//! Evictions: a delete that asks the pod's disruption budget first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::Server;
use super::answer::Answer;
use super::call::Call;
use super::create::check_namespace;
use super::delete::parse_options;
use super::options::{FieldValidation, Verb, WriteOptions};
use super::path::Target;
use super::selector::Selector;
use crate::error::{ApiError, Cause};
use crate::object;
use crate::read::set_condition;
use crate::schema::EVICTION;
use crate::schema::conform::conform;
use crate::store::{DeleteOptions, Store};

const BUDGETS: &str = "poddisruptionbudgets.policy";

/// A server repeats an eviction this often, with a pause between, when the write of its budget conflicts, or when it needs no
/// budget and its delete conflicts. A precondition that cannot hold is a conflict like any other: the client waits for its
/// 409.
const CONFLICT_STEPS: u32 = 20;
const CONFLICT_PAUSE: Duration = Duration::from_millis(500);

/// More evictions than this may not wait for the budget's controller.
const MOST_DISRUPTED: usize = 2000;

/// How often an eviction had to begin again because somebody else had written its budget meanwhile.
#[derive(Clone, Default)]
pub(crate) struct Conflicts(Arc<AtomicUsize>);

impl Conflicts {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) async fn evict(server: &Server, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let options = options(call, target)?;
    let (namespace, name) = (target.namespace.as_str(), target.name.as_str());
    let mut left = CONFLICT_STEPS;
    loop {
        let free = server.store.get("pods", namespace, name).is_some_and(|pod| ignores_budgets(&pod));
        left -= 1;
        let tried = match spend_budget(server, namespace, name, options.dry_run).await {
            // Preconditions are looked at here, last: a uid that is wrong has already spent the budget.
            Ok(Spent::Yes) => mark_and_delete(&server.store, namespace, name, options.clone()),
            Ok(Spent::Changed) if left > 0 => {
                server.conflicts.note();
                sleep(CONFLICT_PAUSE).await;
                continue;
            }
            Ok(Spent::Changed) => {
                let message = "couldn't update PodDisruptionBudget due to conflicts";
                Err(ApiError::new(504, "Timeout", message))
            }
            Err(error) => Err(error),
        };
        match tried {
            Ok(()) => return Ok(evicted()),
            Err(error) if free && error.code == 409 && options.resource_version.is_none() && left > 0 => {
                sleep(CONFLICT_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// What has become of the write to a pod's budget.
enum Spent {
    /// It was written, or the eviction needs none.
    Yes,
    /// Its status has changed since it was read.
    Changed,
}

/// Takes one disruption from the pod's budget. That is a write like any other: it takes its time, and it is refused if
/// somebody else, most often the budget's controller, was faster.
async fn spend_budget(
    server: &Server,
    namespace: &str,
    name: &str,
    dry_run: bool,
) -> Result<Spent, ApiError> {
    let Some(read) = budget_to_spend(&server.store, namespace, name, dry_run)? else {
        return Ok(Spent::Yes);
    };
    sleep(server.behaviour.read(|behaviour| behaviour.budget_write)).await;
    let now = server.store.get(BUDGETS, namespace, object::name(&read));
    let version = |budget: &Value| budget["metadata"]["resourceVersion"].clone();
    if now.as_deref().map(version) != Some(version(&read)) {
        return Ok(Spent::Changed);
    }
    spend(&server.store, &read, name)?;
    Ok(Spent::Yes)
}

/// Evicts a pod at once, if its budget allows it now.
///
/// # Errors
/// 404 without such a pod, 429 when the budget allows none, 409 when a precondition does not hold.
pub(crate) fn attempt(
    store: &Store,
    namespace: &str,
    name: &str,
    options: DeleteOptions,
) -> Result<(), ApiError> {
    if let Some(budget) = budget_to_spend(store, namespace, name, options.dry_run)? {
        spend(store, &budget, name)?;
    }
    mark_and_delete(store, namespace, name, options)
}

/// Tells in the pod's status why it goes, and deletes it.
fn mark_and_delete(
    store: &Store,
    namespace: &str,
    name: &str,
    options: DeleteOptions,
) -> Result<(), ApiError> {
    let trial = DeleteOptions { dry_run: true, ..options.clone() };
    store.delete("pods", namespace, name, trial)?;
    if options.dry_run {
        return Ok(());
    }
    let condition = json!({
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    });
    let now = store.clock().seconds();
    let marked = store.update_status("pods", namespace, name, |pod| {
        set_condition(&mut pod["status"], condition, &now);
    })?;
    // The mark has moved the pod's version, which is the one to delete now.
    let resource_version =
        options.resource_version.as_ref().map(|_| object::resource_version(&marked).to_owned());
    store.delete("pods", namespace, name, DeleteOptions { resource_version, ..options })?;
    Ok(())
}

fn evicted() -> Answer {
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Answer::json(201, &status)
}

fn options(call: &Call, target: &Target) -> Result<DeleteOptions, ApiError> {
    let mut eviction = call.json()?;
    let api_version = eviction["apiVersion"].as_str().unwrap_or("policy/v1");
    let kind = eviction["kind"].as_str().unwrap_or("Eviction");
    if kind != "Eviction" || !matches!(api_version, "policy/v1" | "policy/v1beta1") {
        let message =
            format!("no kind \"{kind}\" is registered for version \"{api_version}\" in this subresource");
        return Err(ApiError::bad_request(message));
    }
    if object::name(&eviction) != target.name {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    check_namespace(target, &eviction)?;
    let asked = WriteOptions::read(call, Verb::Create)?;
    let unknown = conform(&EVICTION, &mut eviction, false).unknown;
    if let Some(field) = unknown.first().filter(|_| asked.validation == FieldValidation::Strict) {
        return Err(ApiError::bad_request(format!(
            "Eviction in version \"v1\" cannot be handled as a Eviction: strict decoding error: unknown field \"{field}\""
        )));
    }
    let mut options = parse_options(&eviction["deleteOptions"])?;
    options.dry_run |= asked.dry_run;
    Ok(options)
}

/// Pods that are no loss any more, or not yet.
fn ignores_budgets(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Pending"))
        || object::is_terminating(pod)
}

fn is_ready(pod: &Value) -> bool {
    object::condition(pod, "Ready").is_some_and(|condition| condition["status"] == "True")
}

/// The budget that the eviction of a pod takes a disruption from; `None` if it needs none.
///
/// # Errors
/// 404 without such a pod, 429 when its budget allows none.
fn budget_to_spend(
    store: &Store,
    namespace: &str,
    name: &str,
    dry_run: bool,
) -> Result<Option<Arc<Value>>, ApiError> {
    let pod = store.get("pods", namespace, name).ok_or_else(|| ApiError::not_found("pods", name))?;
    if ignores_budgets(&pod) {
        return Ok(None);
    }
    let mut budgets = budgets_of(store, &pod);
    if budgets.len() > 1 {
        let message = "This pod has more than one PodDisruptionBudget, \
                       which the eviction subresource does not support.";
        return Err(ApiError::new(500, "", message));
    }
    let Some(budget) = budgets.pop() else { return Ok(None) };
    if !is_ready(&pod) && tolerates_unready(&budget) {
        return Ok(None);
    }
    check(&budget)?;
    Ok(Some(budget).filter(|_| !dry_run))
}

fn budgets_of(store: &Store, pod: &Value) -> Vec<Arc<Value>> {
    let mut budgets = store.list(BUDGETS, Some(object::namespace(pod)));
    budgets.retain(|budget| {
        Selector::of_spec(&budget["spec"]["selector"]).is_some_and(|selector| selector.matches(pod))
    });
    budgets
}

/// Whether an unready pod may go without being counted.
fn tolerates_unready(budget: &Value) -> bool {
    let (healthy, desired) = (count(budget, "currentHealthy"), count(budget, "desiredHealthy"));
    budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow" || (healthy >= desired && desired > 0)
}

fn count(budget: &Value, field: &str) -> i64 {
    budget["status"][field].as_i64().unwrap_or(0)
}

fn check(budget: &Value) -> Result<(), ApiError> {
    let name = object::name(budget);
    let generation = budget["metadata"]["generation"].as_i64().unwrap_or(0);
    if count(budget, "observedGeneration") < generation {
        let message = format!("The disruption budget {name} is still being processed by the server.");
        return Err(blocked(message).retry_after(10));
    }
    let forbidden = |why: &str| {
        let message = format!("poddisruptionbudget.policy \"{name}\" is forbidden: {why}");
        Err(ApiError::new(403, "Forbidden", message).about("poddisruptionbudget.policy", name))
    };
    if count(budget, "disruptionsAllowed") < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    let disrupted = budget["status"]["disruptedPods"].as_object().map_or(0, serde_json::Map::len);
    if disrupted > MOST_DISRUPTED {
        return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    if count(budget, "disruptionsAllowed") == 0 {
        let (desired, healthy) = (count(budget, "desiredHealthy"), count(budget, "currentHealthy"));
        return Err(blocked(format!(
            "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
        )));
    }
    Ok(())
}

fn blocked(cause: String) -> ApiError {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    let cause = Cause { reason: "DisruptionBudget".into(), message: cause, field: String::new() };
    ApiError::too_many_requests(message).because(&[cause])
}

/// Counts the pod as gone before it is, until the budget's controller sees for itself.
fn spend(store: &Store, budget: &Value, pod: &str) -> Result<(), ApiError> {
    let now = store.clock().seconds();
    store.update_status(BUDGETS, object::namespace(budget), object::name(budget), |budget| {
        let allowed = count(budget, "disruptionsAllowed") - 1;
        budget["status"]["disruptionsAllowed"] = json!(allowed);
        budget["status"]["disruptedPods"][pod] = json!(now);
        if allowed == 0 {
            no_more_allowed(budget, &now);
        }
    })?;
    Ok(())
}

fn no_more_allowed(budget: &mut Value, now: &str) {
    let generation = budget["metadata"]["generation"].clone();
    let conditions = budget["status"]["conditions"].as_array_mut().into_iter().flatten();
    for condition in conditions.filter(|condition| condition["type"] == "DisruptionAllowed") {
        if condition["status"] != "False" {
            condition["lastTransitionTime"] = json!(now);
        }
        condition["status"] = json!("False");
        condition["reason"] = json!("InsufficientPods");
        condition["observedGeneration"] = generation.clone();
    }
}
