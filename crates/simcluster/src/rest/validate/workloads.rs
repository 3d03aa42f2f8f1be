//! What workloads and their budgets must look like.

use serde_json::Value;

use super::{forbidden, invalid, pods, required, unsupported, without};
use crate::error::Cause;
use crate::read::{list, number, selects};

/// A StatefulSet, a Deployment or a ReplicaSet.
pub(super) fn check(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    if number(spec, "/replicas").is_some_and(|replicas| replicas < 0) {
        let replicas = &spec["replicas"];
        causes.push(invalid("spec.replicas", &format!("{replicas}: must be greater than or equal to 0")));
    }
    let template = &spec["template"];
    if spec["selector"].is_null() {
        causes.push(required("spec.selector"));
    }
    if spec["selector"].is_null() || !selects(&spec["selector"], template) {
        let labels = &template["metadata"]["labels"];
        let why = format!("{labels}: `selector` does not match template `labels`");
        causes.push(invalid("spec.template.metadata.labels", &why));
    }
    pods::check_spec(&template["spec"], "spec.template.spec", true, causes);
}

/// What a StatefulSet has beside that.
pub(super) fn check_statefulset(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let policy = spec["podManagementPolicy"].as_str().unwrap_or("OrderedReady");
    if !matches!(policy, "OrderedReady" | "Parallel") {
        let why = format!("\"{policy}\": must be 'OrderedReady' or 'Parallel'");
        causes.push(invalid("spec.podManagementPolicy", &why));
    }
    let strategy = &spec["updateStrategy"];
    if !matches!(strategy["type"].as_str().unwrap_or("RollingUpdate"), "RollingUpdate" | "OnDelete") {
        let why = format!("{strategy}: must be 'RollingUpdate' or 'OnDelete'");
        causes.push(invalid("spec.updateStrategy", &why));
    }
}

/// What an update may change of a StatefulSet.
pub(super) fn check_statefulset_update(stored: &Value, wanted: &Value, causes: &mut Vec<Cause>) {
    const FREE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    if without(&stored["spec"], &FREE) != without(&wanted["spec"], &FREE) {
        causes.push(forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

/// A disruption budget.
pub(super) fn check_budget(budget: &Value, causes: &mut Vec<Cause>) {
    const OPERATORS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];
    const POLICIES: [&str; 2] = ["AlwaysAllow", "IfHealthyBudget"];
    let spec = &budget["spec"];
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        causes.push(invalid("spec", &format!("{spec}: minAvailable and maxUnavailable cannot be both set")));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        check_share(&format!("spec.{field}"), &spec[field], causes);
    }
    let policy = spec["unhealthyPodEvictionPolicy"].as_str();
    if let Some(policy) = policy.filter(|policy| !POLICIES.contains(policy)) {
        causes.push(unsupported("spec.unhealthyPodEvictionPolicy", policy, &POLICIES));
    }
    for (index, expression) in list(spec, "/selector/matchExpressions").iter().enumerate() {
        let operator = &expression["operator"];
        if !OPERATORS.iter().any(|known| operator == known) {
            let field = format!("spec.selector.matchExpressions[{index}].operator");
            causes.push(invalid(&field, &format!("{operator}: not a valid selector operator")));
        }
    }
}

/// A number of pods, or a share of them in percent.
fn check_share(field: &str, value: &Value, causes: &mut Vec<Cause>) {
    let why = match value {
        Value::Number(number) if number.as_i64().is_some_and(|number| number < 0) => {
            "must be greater than or equal to 0"
        }
        Value::String(text) => match text.strip_suffix('%').and_then(|share| share.parse::<u32>().ok()) {
            None => "a valid percent string must be a numeric string followed by an ending '%'",
            Some(share) if share > 100 => "must not be greater than 100%",
            Some(_) => return,
        },
        _ => return,
    };
    causes.push(invalid(field, &format!("{value}: {why}")));
}

/// A service needs ports, unless it has no address of its own.
pub(super) fn check_service(service: &Value, causes: &mut Vec<Cause>) {
    let spec = &service["spec"];
    let bare = spec["clusterIP"] == "None" || spec["type"] == "ExternalName";
    if list(spec, "/ports").is_empty() && !bare {
        causes.push(required("spec.ports"));
    }
}
