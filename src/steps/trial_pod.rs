//! The pod that a workload's controller will create from the new template, to be tried with `dryRun=All`.

use serde_json::{Map, Value, json};

use crate::model::{Workload, WorkloadKind, WorkloadPlan};

/// The pod of that name as the controller of `workload` would create it (`newStatefulSetPod` of the StatefulSet
/// controller), with the images of the plan. `None` if the template is not the one that was planned from.
pub fn manifest(workload: &Workload, plan: &WorkloadPlan, pod: &str) -> Option<Value> {
    let source = workload.source.as_deref()?;
    let template = &source.template;
    let mut spec = template["spec"].as_object()?.clone();
    for change in &plan.images {
        let list = if change.init { "initContainers" } else { "containers" };
        let containers = spec.get_mut(list).and_then(Value::as_array_mut)?;
        let container = containers.iter_mut().find(|c| c["name"] == change.container.as_str())?;
        container["image"] = json!(change.after);
    }
    let mut metadata = Map::new();
    metadata.insert("namespace".to_owned(), json!(plan.object.namespace));
    let mut labels = template["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    if let Some(annotations) = template["metadata"].get("annotations") {
        metadata.insert("annotations".to_owned(), annotations.clone());
    }
    if plan.kind == WorkloadKind::Deployment {
        metadata.insert("generateName".to_owned(), json!(format!("{}-", plan.object.name)));
    } else {
        metadata.insert("name".to_owned(), json!(pod));
        labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), json!(pod));
        labels.insert("controller-revision-hash".to_owned(), json!(workload.update_revision));
        // Without `blockOwnerDeletion`, which asks for a permission of its own.
        let owner = json!({
            "apiVersion": plan.object.api_version, "kind": plan.object.kind, "name": plan.object.name,
            "uid": plan.object.uid, "controller": true,
        });
        metadata.insert("ownerReferences".to_owned(), json!([owner]));
        spec.insert("hostname".to_owned(), json!(pod));
        spec.insert("subdomain".to_owned(), json!(source.service));
        claims(&source.claims, pod, &mut spec);
    }
    metadata.insert("labels".to_owned(), Value::Object(labels));
    Some(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec }))
}

/// The volumes of the pod's own claims take the place of those of the same name in the template.
fn claims(names: &[String], pod: &str, spec: &mut Map<String, Value>) {
    if names.is_empty() {
        return;
    }
    let mut volumes: Vec<Value> = spec.get("volumes").and_then(Value::as_array).cloned().unwrap_or_default();
    volumes.retain(|volume| names.iter().all(|name| volume["name"] != name.as_str()));
    let claim = |name: &String| json!({ "name": name, "persistentVolumeClaim": { "claimName": format!("{name}-{pod}") } });
    volumes.extend(names.iter().map(claim));
    spec.insert("volumes".to_owned(), Value::Array(volumes));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{ImageChange, ObjectRef, PodManagement, PodSource, Strategy, UpdateStrategy};

    fn plan(kind: WorkloadKind) -> WorkloadPlan {
        WorkloadPlan {
            kind,
            object: ObjectRef {
                api_version: "apps.k8s.appscode.com/v1".into(),
                kind: "PetSet".into(),
                plural: "petsets".into(),
                namespace: "ns".into(),
                name: "db".into(),
                uid: "u".into(),
            },
            role: "db".into(),
            strategy: Strategy::Evict,
            replicas: 3,
            min_ready_seconds: 0,
            images: vec![ImageChange {
                container: "db".into(),
                init: false,
                index: 0,
                now: "repo/db:1".into(),
                after: "repo/db:2".into(),
            }],
            kept: Vec::new(),
            added: Vec::new(),
            removed: Vec::new(),
            rewriting: Vec::new(),
            pods: Vec::new(),
        }
    }

    fn workload(template: Value) -> Workload {
        let source = PodSource { template, claims: vec!["data".into()], service: "db-pods".into() };
        Workload {
            kind: WorkloadKind::PetSet,
            object: plan(WorkloadKind::PetSet).object,
            resource_version: "1".into(),
            labels: Default::default(),
            generation: 1,
            observed_generation: 1,
            replicas: 3,
            status_replicas: 3,
            ready_replicas: 3,
            updated_replicas: 3,
            available_replicas: 3,
            update_revision: "r2".into(),
            strategy: UpdateStrategy::OnDelete,
            partition: 0,
            placement_policy: None,
            replica_failure: None,
            pod_management: PodManagement::Parallel,
            min_ready_seconds: 0,
            distributed: false,
            selector: Default::default(),
            containers: Vec::new(),
            grace_seconds: 30,
            terms: Default::default(),
            source: Some(Arc::new(source)),
            template: 0,
            deleting: false,
        }
    }

    fn template() -> Value {
        json!({
            "metadata": { "labels": { "app": "db" }, "annotations": { "a": "1" } },
            "spec": {
                "containers": [{ "name": "db", "image": "repo/db:1" }, { "name": "agent", "image": "repo/agent:9" }],
                "volumes": [{ "name": "data", "emptyDir": {} }, { "name": "config", "emptyDir": {} }],
            },
        })
    }

    #[test]
    fn it_is_what_the_controller_would_create() {
        assert_eq!(
            manifest(&workload(template()), &plan(WorkloadKind::PetSet), "db-0"),
            Some(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": "db-0", "namespace": "ns", "annotations": { "a": "1" },
                    "labels": {
                        "app": "db", "controller-revision-hash": "r2", "statefulset.kubernetes.io/pod-name": "db-0",
                    },
                    "ownerReferences": [{
                        "apiVersion": "apps.k8s.appscode.com/v1", "kind": "PetSet", "name": "db", "uid": "u", "controller": true,
                    }],
                },
                "spec": {
                    "hostname": "db-0", "subdomain": "db-pods",
                    "containers": [{ "name": "db", "image": "repo/db:2" }, { "name": "agent", "image": "repo/agent:9" }],
                    "volumes": [
                        { "name": "config", "emptyDir": {} },
                        { "name": "data", "persistentVolumeClaim": { "claimName": "data-db-0" } },
                    ],
                },
            }))
        );
    }

    #[test]
    fn a_deployments_pod_has_a_new_name() {
        let pod = manifest(&workload(template()), &plan(WorkloadKind::Deployment), "db-x")
            .expect("there is a template");
        assert_eq!(
            (&pod["metadata"]["generateName"], &pod["metadata"]["name"]),
            (&json!("db-"), &Value::Null)
        );
    }

    #[test]
    fn a_template_that_has_changed_is_not_tried() {
        let mut other = template();
        other["spec"]["containers"][0]["name"] = json!("other");
        for odd in [other, json!({}), json!({ "spec": [] })] {
            assert_eq!(manifest(&workload(odd), &plan(WorkloadKind::PetSet), "db-0"), None);
        }
        let without = workload(template()).without_source();
        assert_eq!(manifest(&without, &plan(WorkloadKind::PetSet), "db-0"), None);
    }
}
