use serde_json::Value;

use super::Container;

/// A revision of a workload's pod template, which a pod names in its label `controller-revision-hash`.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    pub name: String,
    /// The uid of its workload.
    pub owner: String,
    /// The containers and init containers of the template.
    pub containers: Vec<Container>,
    /// The whole template; `None` if it was seen on the workload and not read as a ControllerRevision.
    pub template: Option<Value>,
}
