//! What a pod, or the template of one, must look like.

use serde_json::Value;

use super::{duplicate, forbidden, invalid, is_label, required, unsupported, without};
use crate::error::Cause;
use crate::read::list;

/// Checks a pod's spec at `at`. A template of a workload that keeps its pods up takes no other restart policy than `Always`.
pub(super) fn check_spec(spec: &Value, at: &str, always: bool, causes: &mut Vec<Cause>) {
    let containers = list(spec, "/containers");
    if containers.is_empty() {
        causes.push(required(&format!("{at}.containers")));
    }
    for (field, containers) in [("containers", containers), ("initContainers", list(spec, "/initContainers"))]
    {
        for (index, container) in containers.iter().enumerate() {
            check_container(container, &containers[..index], &format!("{at}.{field}[{index}]"), causes);
        }
    }
    let policies: &[&str] = if always { &["Always"] } else { &["Always", "OnFailure", "Never"] };
    if let Some(policy) = spec["restartPolicy"].as_str().filter(|policy| !policies.contains(policy)) {
        causes.push(unsupported(&format!("{at}.restartPolicy"), policy, policies));
    }
}

fn check_container(container: &Value, before: &[Value], at: &str, causes: &mut Vec<Cause>) {
    let text = |field: &str| container[field].as_str().unwrap_or_default();
    let (name, image) = (text("name"), text("image"));
    let field = format!("{at}.name");
    if name.is_empty() {
        causes.push(required(&field));
    } else if !is_label(name) {
        causes.push(invalid(&field, &format!("\"{name}\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character")));
    } else if before.iter().any(|other| other["name"] == name) {
        causes.push(duplicate(&field, &container["name"]));
    }
    let field = format!("{at}.image");
    if image.is_empty() {
        causes.push(required(&field));
    } else if image.trim() != image {
        causes.push(invalid(&field, &format!("\"{image}\": must not have leading or trailing whitespace")));
    }
}

/// Checks what an update changes of a pod: little may be.
pub(super) fn check_update(stored: &Value, wanted: &Value, causes: &mut Vec<Cause>) {
    for field in ["containers", "initContainers"] {
        let count = |pod: &Value| list(&pod["spec"], &format!("/{field}")).len();
        if count(stored) != count(wanted) {
            let why = format!("pod updates may not add or remove {field}");
            causes.push(forbidden(&format!("spec.{field}"), &why));
            return;
        }
    }
    let fixed = |pod: &Value| {
        let mut spec =
            without(&pod["spec"], &["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"]);
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        spec
    };
    if fixed(stored) != fixed(wanted) {
        causes.push(forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
    let tolerations = |pod: &Value| -> Vec<Value> {
        let list = list(pod, "/spec/tolerations").iter();
        list.map(|toleration| without(toleration, &["tolerationSeconds"])).collect()
    };
    let now = tolerations(wanted);
    if !tolerations(stored).iter().all(|toleration| now.contains(toleration)) {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        causes.push(forbidden("spec.tolerations", why));
    }
}
