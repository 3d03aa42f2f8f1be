//! What KubeDB makes of a database: kinds, the workloads of each, their templates and budgets.

pub(crate) mod digest;
pub(crate) mod kind;
pub(crate) mod layout;
pub(crate) mod template;
pub(crate) mod workload;
