//! What one request of ours was about.

use serde_json::Value;
use simcluster::RecordedRequest;

use super::text;

/// A write of ours, by what it is about. Trials, and notes for readers (Events), are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// The lock was taken, renewed or given back.
    Lease,
    Journal,
    /// Our `Paused` was added or asserted.
    Pause,
    /// Our `Paused` was removed.
    Resume,
    Images {
        workload: String,
    },
    Version,
    Evict {
        pod: String,
        uid: String,
    },
    Delete {
        pod: String,
        uid: String,
    },
    /// A pod was created to bring an image to a node.
    PrePull,
    /// Such a pod was removed.
    RemovePrePull,
    /// Nothing that a run has any business with.
    Other,
}

impl Wrote {
    /// What a request was about; `plural` is that of the databases.
    pub fn of(request: &RecordedRequest, plural: &str) -> Option<Self> {
        if !request.is_mutating() || request.dry_run {
            return None;
        }
        let parts: Vec<_> = request.path.split('/').collect();
        let uid = |at: &str| text(&request.body, at).to_owned();
        Some(match parts.as_slice() {
            [.., "events"] | [.., "events", _] => return None,
            [.., "leases"] | [.., "leases", _] => Wrote::Lease,
            [.., "configmaps"] | [.., "configmaps", _] => Wrote::Journal,
            [.., "pods", pod, "eviction"] => {
                Wrote::Evict { pod: (*pod).to_owned(), uid: uid("/deleteOptions/preconditions/uid") }
            }
            [.., "pods"] => Wrote::PrePull,
            [.., "pods", pod] if pod.starts_with("dbupdate-pull-") => Wrote::RemovePrePull,
            [.., "pods", pod] if request.method == "DELETE" => {
                Wrote::Delete { pod: (*pod).to_owned(), uid: uid("/preconditions/uid") }
            }
            [.., kind, _, "status"] if *kind == plural => {
                let removes = |op: &Value| op["op"] == "remove";
                let removed = request.body.as_array().is_some_and(|ops| ops.iter().any(removes));
                if removed { Wrote::Resume } else { Wrote::Pause }
            }
            [.., kind, _] if *kind == plural => Wrote::Version,
            [.., "petsets" | "statefulsets" | "deployments", name] => {
                Wrote::Images { workload: (*name).to_owned() }
            }
            _ => Wrote::Other,
        })
    }

    /// It touches what the operator must keep its hands off: templates, pods, the version.
    pub fn changes_database(&self) -> bool {
        matches!(
            self,
            Wrote::Images { .. } | Wrote::Version | Wrote::Evict { .. } | Wrote::Delete { .. } | Wrote::Other
        )
    }
}

/// The name by which a request has taken the lock.
pub fn holder_in(request: &RecordedRequest) -> Option<String> {
    let created = request.body.pointer("/spec/holderIdentity").and_then(Value::as_str);
    let mut operations = request.body.as_array().into_iter().flatten();
    let taken = || {
        operations.find(|op| op["path"] == "/spec/holderIdentity" && op["op"] != "test")?["value"].as_str()
    };
    created.or_else(taken).map(str::to_owned)
}
