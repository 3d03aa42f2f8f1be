//! The catalog: the available versions, the allowed updates between them, and their images. Pure.

pub mod constraint;
pub mod path;
pub mod semver;

use constraint::{ConstraintError, Rule, Verdict};
use semver::{Version, VersionError};

use crate::model::CatalogVersion;

/// A malformed version object: its update constraints cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("version object {name:?} has a malformed spec.version")]
    Version { name: String, source: VersionError },
    #[error("version object {name:?} has a malformed entry in spec.updateConstraints")]
    Constraint { name: String, source: ConstraintError },
}

impl RuleError {
    /// The name of the version object that is malformed.
    pub fn object(&self) -> &str {
        match self {
            RuleError::Version { name, .. } | RuleError::Constraint { name, .. } => name,
        }
    }
}

/// Whether the constraints of `current` allow an update to `target`: the operator's own check, which compares the target's
/// `spec.version` with the current version's constraints.
///
/// # Errors
/// A version or a constraint is malformed.
pub fn verdict(current: &CatalogVersion, target: &CatalogVersion) -> Result<Verdict, RuleError> {
    rule(current)
        .verdict(&parse(target)?)
        .map_err(|source| RuleError::Constraint { name: current.name.clone(), source })
}

/// The version that constraints are compared with.
///
/// # Errors
/// `spec.version` is malformed.
pub fn parse(version: &CatalogVersion) -> Result<Version, RuleError> {
    Version::parse(&version.version)
        .map_err(|source| RuleError::Version { name: version.name.clone(), source })
}

/// The shortest path from one version to another, both included, by names; see [`path::shortest`]. Malformed version objects
/// are never on a path.
pub fn shortest_path(catalog: &[CatalogVersion], from: &str, to: &str) -> Option<Vec<String>> {
    let node = |v: &CatalogVersion| {
        Some(path::Node {
            name: v.name.clone(),
            version: parse(v).ok()?,
            deprecated: v.deprecated,
            end_of_life: v.end_of_life,
            rule: rule(v),
        })
    };
    path::shortest(&catalog.iter().filter_map(node).collect::<Vec<_>>(), from, to)
}

/// The names in the catalog that are nearest to what was typed, best first; at most five. A valid version is compared by its
/// numbers, any other text by its spelling.
pub fn nearest(catalog: &[CatalogVersion], typed: &str) -> Vec<String> {
    let wanted = Version::parse(typed).ok();
    let distance = |v: &CatalogVersion| match (&wanted, parse(v)) {
        (Some(w), Ok(v)) => [
            w.major().abs_diff(v.major()),
            w.minor().abs_diff(v.minor()),
            w.patch().abs_diff(v.patch()),
            strsim::osa_distance(typed, &v.to_string()) as u64,
        ],
        _ => [u64::MAX, 0, 0, strsim::osa_distance(typed, &v.name) as u64],
    };
    let mut names: Vec<_> = catalog.iter().map(|v| (distance(v), v)).collect();
    names.sort_by(|(d1, v1), (d2, v2)| d1.cmp(d2).then_with(|| newest_first(v1, v2)));
    names.into_iter().take(5).map(|(_, v)| v.name.clone()).collect()
}

/// Orders version objects from newest to oldest; malformed ones come last, by name.
pub fn newest_first(a: &CatalogVersion, b: &CatalogVersion) -> std::cmp::Ordering {
    match (parse(a), parse(b)) {
        (Ok(va), Ok(vb)) => vb.cmp(&va).then_with(|| a.name.cmp(&b.name)),
        (Ok(_), Err(_)) => std::cmp::Ordering::Less,
        (Err(_), Ok(_)) => std::cmp::Ordering::Greater,
        (Err(_), Err(_)) => a.name.cmp(&b.name),
    }
}

fn rule(version: &CatalogVersion) -> Rule {
    Rule { allowlist: version.allowlist.clone(), denylist: version.denylist.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &str) -> CatalogVersion {
        CatalogVersion {
            name: name.to_owned(),
            version: name.to_owned(),
            deprecated: false,
            end_of_life: false,
            allowlist: Vec::new(),
            denylist: Vec::new(),
            images: Default::default(),
            simulated: false,
        }
    }

    #[test]
    fn the_nearest_names_come_first_and_the_newest_among_equals() {
        let catalog: Vec<_> = ["3.5.2", "3.6.0", "3.6.1", "4.0.0", "x"].map(version).into();
        assert_eq!(nearest(&catalog, "3.6.2")[..2], ["3.6.1", "3.6.0"]);
        assert_eq!(nearest(&catalog, "5.0.0")[..1], ["4.0.0"]);
        assert_eq!(nearest(&catalog, "y")[..1], ["x"]);
        assert_eq!(nearest(&[], "3.6.2"), Vec::<String>::new());
    }

    #[test]
    fn versions_that_cannot_be_read_come_last() {
        let mut catalog: Vec<_> = ["odd", "3.9.0", "3.10.0"].map(version).into();
        catalog.sort_by(newest_first);
        let names: Vec<_> = catalog.iter().map(|v| v.name.as_str()).collect();
        assert_eq!(names, ["3.10.0", "3.9.0", "odd"]);
    }
}
