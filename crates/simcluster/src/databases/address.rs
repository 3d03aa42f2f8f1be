//! Where a database is.

use crate::kubedb::kind::Kind;

/// The resource of the pods.
pub(super) const PODS: &str = "pods";

/// Where a database is. Two kinds may have one of the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    pub namespace: String,
    pub kind: Kind,
    pub name: String,
}
