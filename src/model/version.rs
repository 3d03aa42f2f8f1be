use std::collections::BTreeMap;

/// A version object of the cluster's catalog (`catalog.kubedb.com/v1alpha1`), as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogVersion {
    /// The object's name: what `spec.version` of a database holds.
    pub name: String,
    /// `spec.version`: what the version rule compares.
    pub version: String,
    pub deprecated: bool,
    pub end_of_life: bool,
    /// `spec.updateConstraints.allowlist`.
    pub allowlist: Vec<String>,
    /// `spec.updateConstraints.denylist`.
    pub denylist: Vec<String>,
    /// Images by the field that names them, e.g. `spec.db.image`.
    pub images: BTreeMap<String, String>,
    /// It belongs to a simulated cluster: no registry has its images.
    pub simulated: bool,
}
