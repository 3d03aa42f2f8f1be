//! Bringing images to nodes: one short-lived pod for each image and node, which only has to get as far as the download.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use super::s3_roll_pods::pod_ref;
use crate::model::{ObjectRef, PRE_PULL_LABEL, Plan, Pod, PodTerms, Pull, Purpose, Write, WriteAction};

/// The path of a program that no image has: the download alone counts, and nothing of the image is to run.
const NO_PROGRAM: &str = "/kubectl-dbupdate-pulls-only";

/// The creation of the pod that brings an image to its node. `container` is the name of its container. After that many
/// seconds the kubelet ends it, even if nobody is left to remove it.
pub fn create(plan: &Plan, pull: &Pull, terms: &PodTerms, run: &str, container: &str, seconds: u64) -> Write {
    let name = name(run, pull);
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(&plan.database, &name, run),
        "spec": spec(pull, terms, container, seconds),
    });
    let object = pod_ref(&plan.database.namespace, &name, "");
    Write {
        purpose: Purpose::PrePull,
        object,
        action: WriteAction::CreatePod { manifest: Box::new(manifest) },
    }
}

/// The removal of such a pod.
pub fn remove(namespace: &str, pod: &Pod) -> Write {
    Write {
        purpose: Purpose::RemovePrePull,
        object: pod_ref(namespace, &pod.name, &pod.uid),
        action: WriteAction::Delete { resource_version: None },
    }
}

/// The same for the same image on the same node in one run, so that a creation whose response was lost is recognized.
fn name(run: &str, pull: &Pull) -> String {
    let mut hasher = DefaultHasher::new();
    (run, &pull.node, &pull.image).hash(&mut hasher);
    format!("dbupdate-pull-{:016x}", hasher.finish())
}

/// Service meshes and secret stores that add containers to every pod are asked by their own labels and annotations not
/// to: the pod would wait for them.
fn metadata(database: &ObjectRef, name: &str, run: &str) -> Value {
    json!({
        "name": name,
        "namespace": database.namespace,
        "labels": {
            PRE_PULL_LABEL: database.uid,
            "sidecar.istio.io/inject": "false",
            "kuma.io/sidecar-injection": "disabled",
        },
        "annotations": {
            "kubectl-dbupdate/database": database.to_string(),
            "kubectl-dbupdate/run": run,
            "sidecar.istio.io/inject": "false",
            "linkerd.io/inject": "disabled",
            "consul.hashicorp.com/connect-inject": "false",
            "vault.hashicorp.com/agent-inject": "false",
        },
        "ownerReferences": [{
            "apiVersion": database.api_version,
            "kind": database.kind,
            "name": database.name,
            "uid": database.uid,
        }],
    })
}

/// The node is named by affinity and not by `nodeName`, as a DaemonSet does it: the scheduler then respects taints and
/// resources. The rest satisfies PodSecurity's level "restricted" and a quota that demands limits.
fn spec(pull: &Pull, terms: &PodTerms, container: &str, seconds: u64) -> Value {
    let field = json!({ "key": "metadata.name", "operator": "In", "values": [pull.node] });
    let secrets: Vec<Value> = terms.pull_secrets.iter().map(|name| json!({ "name": name })).collect();
    let mut spec = json!({
        "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{ "matchFields": [field] }],
        } } },
        "activeDeadlineSeconds": seconds,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "imagePullSecrets": secrets,
        "restartPolicy": "Never",
        "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
        "terminationGracePeriodSeconds": 0,
        "tolerations": terms.tolerations,
        "containers": [{
            "name": container,
            "image": pull.image,
            "imagePullPolicy": "IfNotPresent",
            "command": [NO_PROGRAM],
            "resources": {
                "requests": { "cpu": "1m", "memory": "16Mi" },
                "limits": { "cpu": "100m", "memory": "64Mi" },
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": { "drop": ["ALL"] },
                "readOnlyRootFilesystem": true,
            },
        }],
    });
    if !terms.service_account.is_empty() {
        spec["serviceAccountName"] = json!(terms.service_account);
    }
    if let Some(class) = &terms.runtime_class {
        spec["runtimeClassName"] = json!(class);
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_named_by_what_it_brings() {
        let pull =
            |node: &str, image: &str| Pull { node: node.into(), image: image.into(), workload: "w".into() };
        let first = name("run1", &pull("a", "i:1"));
        assert_eq!(first, name("run1", &Pull { workload: "other".into(), ..pull("a", "i:1") }));
        for (run, other) in
            [("run2", pull("a", "i:1")), ("run1", pull("b", "i:1")), ("run1", pull("a", "i:2"))]
        {
            assert_ne!(first, name(run, &other));
        }
    }
}
