//! Restarting a pod: it is evicted, or deleted if it is unhealthy and a budget forbids the eviction. Which pod is next,
//! and when, is decided in `roll/`.

use crate::model::{ObjectRef, Pod, Purpose, Write, WriteAction};

/// The deletion of a pod; the server refuses it if the pod has changed since it was read.
pub fn delete(namespace: &str, pod: &Pod) -> Write {
    let action = WriteAction::Delete { resource_version: Some(pod.resource_version.clone()) };
    Write { purpose: Purpose::Delete, action, ..evict(namespace, &pod.name, &pod.uid) }
}

/// The eviction of a pod; the server refuses it if the pod has a different uid.
pub fn evict(namespace: &str, pod: &str, uid: &str) -> Write {
    Write { purpose: Purpose::Evict, object: pod_ref(namespace, pod, uid), action: WriteAction::Evict }
}

/// A pod of that name and uid.
pub(super) fn pod_ref(namespace: &str, pod: &str, uid: &str) -> ObjectRef {
    ObjectRef {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        plural: "pods".to_owned(),
        namespace: namespace.to_owned(),
        name: pod.to_owned(),
        uid: uid.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eviction_says_which_pod_it_means() {
        let write = evict("ns", "a-0", "uid-1");
        assert_eq!((write.purpose, write.action), (Purpose::Evict, WriteAction::Evict));
        assert_eq!((write.object.to_string().as_str(), write.object.uid.as_str()), ("pod/a-0", "uid-1"));
    }
}
