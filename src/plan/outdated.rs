//! Pods that are on an older revision before they are restarted: the restart brings them whatever has changed in their
//! template since, and not only new images. An upgraded operator renders templates anew and restarts no pod. Part of the
//! preflight.

use std::collections::BTreeSet;

use serde_json::Value;

use super::context::Context;
use crate::model::{
    Check, Finding, Lookup, Method, Pod, PodAction, Severity, Snapshot, Workload, WorkloadPlan, clean,
};

/// More differences than this are counted, not named.
const NAMED: usize = 6;

/// One finding for each workload whose pods restart onto more than new images. What KubeDB has rendered for an unfinished update is
/// that update, and no change besides.
pub fn findings(context: &Context<'_>, planned: &[WorkloadPlan], found: &mut Vec<Finding>) {
    let rendered = match context.method {
        Method::Client => false,
        Method::Provisioner => context.on_target_version(),
        Method::OpsManager => context.ops_request.is_some(),
    };
    if rendered && context.unfinished() {
        return;
    }
    let snapshot = context.snapshot;
    let mut unknown = BTreeSet::new();
    for plan in planned {
        let Some(workload) = snapshot.workload(&plan.object.uid) else { continue };
        let pods: Vec<&Pod> = snapshot.outdated_pods(workload).filter(|pod| restarts(plan, pod)).collect();
        let mut differences = BTreeSet::new();
        let mut carried = 0;
        for pod in &pods {
            match differs(snapshot, workload, pod) {
                Some(fields) if fields.is_empty() => {}
                Some(fields) => {
                    carried += 1;
                    differences.extend(fields);
                }
                None => drop(unknown.insert(workload.object.to_string())),
            }
        }
        if carried > 0 {
            found.push(finding(workload, carried, &differences));
        }
    }
    if !unknown.is_empty() {
        let of = unknown.into_iter().collect::<Vec<_>>().join(", ");
        let why = match &snapshot.revisions {
            Lookup::Unreadable(why) => why.clone(),
            Lookup::Absent | Lookup::Found(_) => "its old revisions are gone".to_owned(),
        };
        let message =
            format!("could not check whether outdated pods of {of} restart onto more than new images: {why}");
        found.push(Finding::note(Check::NotChecked, Severity::Info, message));
    }
}

fn restarts(plan: &WorkloadPlan, pod: &Pod) -> bool {
    let stays = |action| matches!(action, PodAction::Skip | PodAction::Await);
    plan.pods.iter().any(|p| p.name == pod.name && !stays(p.action))
}

fn finding(workload: &Workload, pods: usize, fields: &BTreeSet<String>) -> Finding {
    let named: Vec<_> = fields.iter().take(NAMED).map(String::as_str).collect();
    let more = match fields.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = format!("{}{more}", named.join(", "));
    Finding {
        hint: "an upgraded operator may have changed the template without restarting pods; a rollback restores the images, \
               and these fields stay as they are in the template now"
            .to_owned(),
        ..Finding::note(
            Check::OutdatedPods,
            Severity::Warning,
            format!(
                "{}: {pods} of {} pods are on an older revision and restart onto more than new images: {what}",
                workload.object, workload.replicas
            ),
        )
    }
}

/// The fields in which the template that a pod was created from differs from the present one, apart from images; `None` if
/// it is not known.
fn differs(snapshot: &Snapshot, workload: &Workload, pod: &Pod) -> Option<BTreeSet<String>> {
    let template = |name: &str| snapshot.revision(workload, name)?.template.as_ref();
    let (old, new) = (template(&pod.revision)?, template(&workload.update_revision)?);
    let mut fields = BTreeSet::new();
    compare("", old, new, &mut fields);
    Some(fields.into_iter().map(|field| clean(&field)).collect())
}

/// Adds the paths at which two values differ, with the items of a list by their names.
fn compare(path: &str, old: &Value, new: &Value, fields: &mut BTreeSet<String>) {
    match (old, new) {
        _ if old == new => {}
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()).filter(|key| *key != "$patch") {
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                compare(&below(path, key), &of(a), &of(b), fields);
            }
        }
        (Value::Array(a), Value::Array(b)) if named(a) && named(b) => {
            let names: BTreeSet<&str> = a.iter().chain(b).filter_map(name_of).collect();
            for name in names {
                let of = |all: &[Value]| {
                    all.iter().find(|item| name_of(item) == Some(name)).cloned().unwrap_or_default()
                };
                compare(&format!("{path}[{name}]"), &of(a), &of(b), fields);
            }
        }
        // The plan shows the images; a container that is there on one side only is told as such.
        (Value::String(_), Value::String(_)) if is_image(path) => {}
        _ => drop(fields.insert(path.to_owned())),
    }
}

fn is_image(path: &str) -> bool {
    let container = path.strip_suffix("].image").unwrap_or_default();
    container.starts_with("containers[") || container.starts_with("initContainers[")
}

/// As people write it: `containers[kafka].resizePolicy`, `metadata.annotations.x`.
fn below(path: &str, key: &str) -> String {
    match path {
        "" if key == "spec" => String::new(),
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

fn named(items: &[Value]) -> bool {
    items.iter().all(|item| name_of(item).is_some())
}

fn name_of(item: &Value) -> Option<&str> {
    item["name"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_named_by_their_fields() {
        let template = |container: Value, more: Value| {
            let mut spec = json!({"containers": [container], "volumes": [{"name": "data"}]});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"metadata": {"labels": {"a": "b"}}, "spec": spec, "$patch": "replace"})
        };
        let old = template(json!({"name": "db", "image": "db:1", "args": ["a", "b"]}), json!({}));
        for (container, more, fields) in [
            (json!({"name": "db", "image": "db:2", "args": ["a", "b"]}), json!({}), &[][..]),
            (
                json!({"name": "db", "image": "db:1", "args": ["a"], "resizePolicy": [{"resourceName": "cpu"}]}),
                json!({}),
                &["containers[db].args", "containers[db].resizePolicy"],
            ),
            (json!({"name": "other", "image": "db:1"}), json!({}), &["containers[db]", "containers[other]"]),
            (
                json!({"name": "db", "image": "db:1", "args": ["a", "b"]}),
                json!({"hostNetwork": true, "volumes": [{"name": "data", "emptyDir": {}}]}),
                &["hostNetwork", "volumes[data].emptyDir"],
            ),
        ] {
            let mut found = BTreeSet::new();
            compare("", &old, &template(container, more), &mut found);
            assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), fields);
        }
    }
}
